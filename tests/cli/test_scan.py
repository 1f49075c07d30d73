"""`tfexplore scan`: its text, its document, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Run, on_pty, process
from core.opening import bundle
from core.saved_model_writer import (
    attr,
    function,
    function_name,
    info,
    meta_graph,
    node,
    placeholder,
    signature,
    tensor,
    write_saved_model,
)
from tfexplore import demo

DEMO = Path(demo.__file__).parent / "ranker"


def const(name: bytes, value: bytes) -> bytes:
    return node(name, b"Const", value=attr(tensor=tensor(7, (), string_val=[value])))


@pytest.fixture
def risky(tmp_path: Path) -> Path:
    """Writes a file and reads one that an input names, when called."""
    body = function(
        b"f",
        [b"x"],
        {},
        [
            const(b"path", b"/tmp/\x1b[31mout"),
            node(b"w", b"WriteFile", [b"path:output:0", b"x"]),
            node(b"r", b"ReadFile", [b"x"]),
        ],
    )
    call = node(b"call", b"StatefulPartitionedCall", [b"x"], f=attr(func=function_name(b"f")))
    graph = meta_graph(
        nodes=[placeholder(b"x"), call],
        functions=[body],
        signatures={b"serving_default": signature({b"x": info(b"x:0")}, {b"y": info(b"call:0")})},
    )
    return write_saved_model(tmp_path / "risky", graph)


@pytest.fixture
def reading(tmp_path: Path) -> Path:
    graph = meta_graph(nodes=[placeholder(b"x"), node(b"r", b"ReadFile", [b"x"])])
    return write_saved_model(tmp_path / "reading", graph)


def test_the_document(run: Run, risky: Path) -> None:
    found = run("scan", risky, "--json")
    assert (found.code, found.err) == (0, "")
    document = json.loads(found.out)
    assert list(document) == ["schema", "tfexplore", "path", "kind", "command", "level", "items", "total", "shown"]
    assert (document["command"], document["level"], document["total"]) == ("scan", "high", 2)
    assert document["items"][0] == {
        "level": "high",
        "op": "WriteFile",
        "class": "writes files",
        "what": "writes a file",
        "phase": "call",
        "path": ["signature serving_default", "node call", "function f", "node w"],
        "node": "w",
        "function": "f",
        "tag_set": ["serve"],
        "arguments": {"filename": "/tmp/\x1b[31mout"},
    }
    assert document["items"][1]["level"] == "medium"
    assert document["items"][1]["arguments"] == {"filename": None}


def test_lines_where_this_is_no_terminal(run: Run, risky: Path) -> None:
    found = run("scan", risky)
    assert found.code == 0
    assert found.out.splitlines() == [
        "high\tcall\tWriteFile\twrites files\twrites a file\t"
        'signature serving_default > node call > function f > node w\tfilename="/tmp/\\x1b[31mout"',
        "medium\tcall\tReadFile\treads files\treads a file that an input names\t"
        "signature serving_default > node call > function f > node r\tfilename=(no constant)",
    ]


def test_blocks_on_a_terminal(risky: Path) -> None:
    code, shown, _ = on_pty("scan", risky, "--no-color")
    lines = [line.rstrip("\r") for line in shown.decode().split("\n")]
    assert code == 0
    assert lines[:4] == [
        "high    WriteFile: writes a file, when it is called",
        "        signature serving_default > node call > function f > node w",
        '        filename: "/tmp/\\x1b[31mout"',
        "",
    ]
    assert b"\x1b[31mhigh" in on_pty("scan", risky)[1]


@pytest.mark.parametrize(
    ("model", "level", "code"),
    [
        ("risky", "high", 1),
        ("risky", "note", 1),
        ("reading", "high", 0),
        ("reading", "medium", 1),
        ("reading", "note", 1),
        ("reading", None, 0),
        ("demo", "note", 1),
        ("demo", "medium", 0),
    ],
)
def test_fail_on(run: Run, risky: Path, reading: Path, model: str, level: str | None, code: int) -> None:
    path = {"risky": risky, "reading": reading, "demo": DEMO}[model]
    assert run("scan", path, *(("--fail-on", level) if level else ())).code == code
    assert run("scan", path, "--json", *(("--fail-on", level) if level else ())).code == code


def test_match_narrows_what_counts(run: Run, risky: Path) -> None:
    found = run("scan", risky, "--match", "^ReadFile$", "--json", "--fail-on", "high")
    document = json.loads(found.out)
    assert (found.code, document["level"], document["total"]) == (0, "medium", 1)
    assert json.loads(run("scan", risky, "--match", "/tmp/", "--json").out)["total"] == 1
    assert run("scan", risky, "--match", "[").code == 2


def test_a_limit_says_what_was_cut(run: Run, risky: Path) -> None:
    found = run("scan", risky, "--limit", "1", "--fail-on", "high")
    assert (found.code, len(found.out.splitlines())) == (1, 1)
    assert found.err == "tfexplore: 1 of 2 shown; --limit 2 shows all\n"
    assert json.loads(run("scan", risky, "--limit", "1", "--json").out)["total"] == 2
    assert run("scan", risky, "--limit", "1", "--quiet").err == ""


def test_tag_sets(run: Run, tmp_path: Path) -> None:
    graphs = [meta_graph(tags=[tag], nodes=[node(b"a", b"Abort")]) for tag in (b"serve", b"train")]
    path = write_saved_model(tmp_path, *graphs)
    assert json.loads(run("scan", path, "--json").out)["total"] == 2
    document = json.loads(run("scan", path, "--json", "--tag-set", "train").out)
    assert [item["tag_set"] for item in document["items"]] == [["train"]]
    assert run("scan", path, "--tag-set", "eval").code == 2


def test_nothing_found_is_said(run: Run, tmp_path: Path) -> None:
    path = write_saved_model(tmp_path, meta_graph(nodes=[placeholder(b"x")]))
    found = run("scan", path, "--fail-on", "note")
    assert (found.code, found.out, found.err) == (0, "", "tfexplore: nothing was found\n")
    assert json.loads(run("scan", path, "--json").out)["level"] is None


def test_a_checkpoint_has_nothing_to_run(run: Run, tmp_path: Path) -> None:
    bundle(tmp_path / "ckpt-1")
    found = run("scan", tmp_path / "ckpt-1", "--fail-on", "note")
    assert (found.code, found.out) == (0, "")
    assert "a checkpoint holds values, nothing that could run" in found.err


def test_a_base_directory_stands_for_its_newest_version(run: Run, tmp_path: Path) -> None:
    write_saved_model(tmp_path / "1", meta_graph(nodes=[node(b"a", b"Abort")]))
    write_saved_model(tmp_path / "2", meta_graph(nodes=[placeholder(b"x")]))
    found = run("scan", tmp_path, "--fail-on", "high")
    assert found.code == 0
    assert "2" in found.err
    write_saved_model(tmp_path / "others" / "a", meta_graph(nodes=[placeholder(b"x")]))
    write_saved_model(tmp_path / "others" / "b", meta_graph(nodes=[placeholder(b"x")]))
    assert run("scan", tmp_path / "others").code == 2


def test_a_model_that_is_partly_read_fails_on_medium(run: Run, risky: Path) -> None:
    file = risky / "saved_model.pb"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    found = run("scan", risky, "--fail-on", "medium", "--match", "not scanned")
    assert found.code == 1
    assert "not scanned: " in found.out
    file.write_bytes(b"")
    assert run("scan", risky).code == 3


@pytest.mark.parametrize("words", [(), ("x", "y"), ("x", "--fail-on", "low"), ("x", "--function", "f")])
def test_wrong_usage(run: Run, words: tuple[str, ...]) -> None:
    assert run("scan", *words).code == 2


def test_help_names_the_levels(run: Run) -> None:
    found = run("scan", "--help")
    assert found.code == 0
    assert "--fail-on LEVEL" in found.out
    assert "medium" in found.out


def test_as_a_process_of_its_own(risky: Path) -> None:
    assert process("scan", risky, "--fail-on", "high").returncode == 1
