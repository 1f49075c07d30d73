"""`show` of a lone GraphDef and of a MetaGraph with its checkpoint: each section, and what they cannot answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import GOLDEN, Run
from core.saved_model_writer import (
    attr,
    function,
    function_name,
    identity,
    info,
    meta_graph,
    node,
    placeholder,
    shape,
    signature,
    tensor,
)
from formats.v1_writer import write_v1
from tfexplore import __version__
from tfexplore.core.sections import SECTIONS
from tfexplore.formats.proto import lean

FLOAT = bytes(lean("AttrValue")(list={"type": [1]}).SerializeToString())
NONE = ("checkpoints", "files")
CASES = [(path, section) for path in ("frozen.pb", "model.ckpt-7.meta") for section in SECTIONS if section not in NONE]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a frozen graph, and a MetaGraph beside its V1 checkpoint."""
    nodes = [
        placeholder(b"x"),
        node(b"layer/w", b"Const", dtype=attr(type=1), value=attr(tensor=tensor(1, [3, 2], float_val=[0.5]))),
        node(b"layer/y", b"MatMul", [b"x", b"layer/w"], T=attr(type=1)),
        node(b"call", b"PartitionedCall", [b"layer/y"], f=attr(func=function_name(b"twice")), Tin=FLOAT, Tout=FLOAT),
        node(b"odd\x1b[31m", b"NotAnOp", [b"^call"]),
    ]  # fmt: skip
    body = [identity(b"i", b"a"), node(b"s", b"AddV2", [b"i:output:0", b"a"], T=attr(type=1))]
    twice = function(b"twice", [b"a"], {b"out": b"s:z:0"}, body)
    graph = lean("GraphDef")(node=nodes)
    graph.library.function.append(twice)
    graph.versions.producer = 1987
    (tmp_path / "frozen.pb").write_bytes(graph.SerializeToString())

    variable = node(b"v", b"VariableV2", dtype=attr(type=1), shape=attr(shape=shape([2])))
    message = meta_graph(
        tags=[],
        nodes=[placeholder(b"x"), variable, node(b"y", b"AddV2", [b"x", b"v"], T=attr(type=1))],
        signatures={b"add": signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")})},
        assets=[b"words.txt"],
    )
    (tmp_path / "model.ckpt-7.meta").write_bytes(message.SerializeToString())
    write_v1(tmp_path / "model.ckpt-7", {b"v": np.float32([1, 2])})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("path", "section"), CASES)
def test_each_section(run: Run, golden: Callable[[str, str], None], folder: Path, path: str, section: str) -> None:
    lines = run("show", path, section, "--no-color")
    assert lines.code == 0
    golden(f"{path}-{section}.tsv", lines.out)
    document = run("show", path, section, "--json")
    assert document.code == 0
    assert json.loads(document.out)["kind"] == ("graph_def" if path == "frozen.pb" else "meta_graph")
    golden(f"{path}-{section}.json", document.out.replace(f'"tfexplore": "{__version__}"', '"tfexplore": "VERSION"'))


def test_a_function_of_a_lone_graph(run: Run, folder: Path) -> None:
    found = run("show", "frozen.pb", "nodes", "--function", "twice", "--json")
    assert [row["name"] for row in json.loads(found.out)["items"]] == ["i", "s"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        *(([section], f"a GraphDef has no list of {section}") for section in NONE),
        (["nodes", "--function", "thrice"], "thrice"),
        (["nodes", "--tag-set", "serve"], "serve"),
        (["nodes", "--match", "("], "--match"),
        (["nodez"], "nodez"),
    ],
)
def test_wrong_usage_is_one_sentence(run: Run, folder: Path, words: list[str], sentence: str) -> None:
    found = run("show", "frozen.pb", *words)
    assert (found.code, found.out) == (2, "")
    assert sentence in found.err
    assert "Traceback" not in found.err


def test_a_graph_cut_short_shows_the_rest_and_says_so(run: Run, folder: Path) -> None:
    data = Path("frozen.pb").read_bytes()
    Path("cut.pb").write_bytes(data[: len(data) // 3])
    found = run("show", "cut.pb", "nodes", "--json")
    assert found.code == 0
    assert [row["name"] for row in json.loads(found.out)["items"]][:1] == ["x"]
    assert "cut.pb" in found.err + run("show", "cut.pb", "summary").out


def test_no_golden_file_is_left_over(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden", default=False):
        pytest.skip("they are being written")
    wanted = {f"{path}-{name}.{form}" for path, name in CASES for form in ("tsv", "json")}
    assert {
        path.name for path in GOLDEN.iterdir() if path.name.startswith(("frozen.pb-", "model.ckpt-7.meta-"))
    } == wanted
