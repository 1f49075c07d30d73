"""Names are data: hostile names through every form of `show`, looked at as bytes on a real pty."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.conftest import Run, on_pty, process
from core.saved_model_writer import (
    attr,
    function,
    info,
    meta_graph,
    node,
    object_graph,
    signature,
    tensor,
    user_object,
    variable_object,
    write_saved_model,
)
from formats.table_writer import write_bundle
from tfexplore.core import text

NAMES = [
    b"\x1b]0;owned\x07", b"\x1b[2J\x1b[H", b"a\nb\r\x08\x7f", b"tab\there", "\u202etxt.exe\u202c".encode(),
    "\u2066x\u2069\u200b\u200e\u061c".encode(), "\u009b2J\u0085".encode(), b"\x9b2J\x90", b"[/]", b"[bold red]x[/]",
    b"n" * 10_240, b"//", b"a//b", b"/", b"\xff\xfe/\x80", b"\\x1b", "é/日本".encode(), b"\xc3",
    "\u2028\u2029\ufeff".encode(),
]  # fmt: skip
# Whatever moves a cursor, reorders text or starts a sequence.
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
OUR_COLOURS = re.compile(r"\x1b\[(?:0|2)m")


@pytest.fixture(scope="module")
def checkpoint(made_models: Path) -> Path:
    prefix = made_models / "hostile-names"
    write_bundle(prefix, {name: np.ones(1, np.float32) for name in NAMES})
    return prefix


@pytest.fixture(scope="module")
def saved_model(made_models: Path) -> Path:
    names = [name for name in NAMES if len(name) < 100]
    return write_saved_model(
        made_models / "hostile-model",
        meta_graph(
            tags=names[:3],
            nodes=[node(name, name, [name, b"^" + name], name, value=attr(s=name)) for name in names],
            functions=[function(name, [name], {name: name}, [node(name, name)]) for name in names],
            signatures={
                name: signature({name: info(name)}, {name: info(name)}, {name: tensor(7, [], string_val=[name])})
                for name in names
            },
            assets=names,
        ),
    )  # fmt: skip


SECTIONS = ("summary", "signatures", "variables", "nodes", "ops", "tensors", "functions", "assets")


def cases(checkpoint: Path, saved_model: Path) -> Iterator[list[object]]:
    for section in ("summary", "keys", "variables", "checkpoints"):
        yield ["show", checkpoint, section]
    for section in SECTIONS:
        yield ["show", saved_model, section]
    yield ["show", saved_model, "nodes", "--match", "^nothing\x1b$"]
    yield ["show", saved_model, "--tag-set", "nothing"]
    yield ["show", saved_model, "nodes", "--function", "\x1b[2J"]


def clean(raw: bytes) -> None:
    """Fails where a byte of a name could act on a terminal, or is not UTF-8."""
    shown = OUR_COLOURS.sub("", raw.decode("utf-8")).replace("\r\n", "\n")
    found = FORBIDDEN.search(shown)
    assert found is None, repr(shown[max(0, found.start() - 30) : found.end() + 30]) if found else ""


def test_nothing_of_a_name_acts_on_a_terminal(checkpoint: Path, saved_model: Path) -> None:
    for words in cases(checkpoint, saved_model):
        code, out, said = on_pty(*words)
        assert code in (0, 2)
        assert out or said
        clean(out)
        clean(said)


def test_json_on_a_terminal_is_plain_ascii(checkpoint: Path, saved_model: Path) -> None:
    for path, section in (
        (checkpoint, "keys"),
        (saved_model, "nodes"),
        (saved_model, "signatures"),
        (saved_model, "summary"),
    ):
        code, out, _ = on_pty("show", path, section, "--json", *(["--attrs"] if section == "nodes" else []))
        assert code == 0
        assert re.search(rb"[^\x20-\x7e\r\n]", out) is None
        json.loads(out)


def test_lines_elsewhere_hold_nothing_but_tabs_between(checkpoint: Path, saved_model: Path) -> None:
    for words in cases(checkpoint, saved_model):
        found = process(*words)
        clean(found.stdout.replace(b"\t", b" "))
        clean(found.stderr)
        assert b"Traceback" not in found.stderr


def test_every_key_has_its_line_and_can_be_read_back(run: Run, checkpoint: Path) -> None:
    lines = run("show", checkpoint, "keys").out.splitlines()
    assert sorted(line.split("\t")[0] for line in lines) == sorted(text.label(text.decode(name)) for name in NAMES)
    assert {line.count("\t") for line in lines} == {5}


def decoded(name: Any) -> bytes:
    """The stored bytes of a name in a JSON document."""
    if isinstance(name, dict):
        assert set(name) == {"b64"}
        return base64.b64decode(name["b64"], validate=True)
    return str(name).encode("utf-8")


def is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def test_json_keeps_every_byte_of_a_name(run: Run, checkpoint: Path, saved_model: Path) -> None:
    found = json.loads(run("show", checkpoint, "keys", "--json").out)
    assert sorted(decoded(row["name"]) for row in found["items"]) == sorted(NAMES)
    for row in found["items"]:
        assert isinstance(row["name"], str) is is_utf8(decoded(row["name"]))
    wanted = [name for name in NAMES if len(name) < 100]
    nodes = json.loads(run("show", saved_model, "nodes", "--json", "--attrs").out)["items"]
    assert [decoded(row["name"]) for row in nodes] == wanted
    assert [decoded(row["op"]) for row in nodes] == wanted
    assert [decoded(row["device"]) for row in nodes] == wanted
    assert [decoded(row["inputs"][0]) for row in nodes] == wanted
    assert [decoded(row["attrs"]["value"]) for row in nodes] == wanted
    for section in SECTIONS:
        json.loads(run("show", saved_model, section, "--json").out)


def test_a_function_with_a_hostile_name_is_found_by_it(run: Run, saved_model: Path) -> None:
    for name in (b"\x1b[2J\x1b[H", b"[/]", b"\xff\xfe/\x80"):
        found = json.loads(run("show", saved_model, "nodes", "--json", "--function", text.decode(name)).out)
        assert [decoded(row["name"]) for row in found["items"]] == [name]


@pytest.mark.parametrize("dims", [2, 40, 400])
def test_numbers_of_any_length_are_written(run: Run, tmp_path: Path, dims: int) -> None:
    """Elements that no float holds, and more digits than Python writes."""
    objects = object_graph([user_object([(b"v", 1)]), variable_object(b"v", [2**62] * dims)])
    write_saved_model(tmp_path, meta_graph(objects=objects))
    for section in ("summary", "variables"):
        found = run("show", tmp_path, section)
        assert found.code == 0
        assert found.out
        found = run("show", tmp_path, section, "--json")
        assert found.code == 0
        assert found.out.isascii()
    code, out, said = on_pty("show", tmp_path)
    assert (code, b"Traceback" in said) == (0, False)
    clean(out)


def test_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    prefix = tmp_path / "\udcff\x1b"
    write_bundle(prefix, {b"w": np.ones(1, np.float32)})
    found = process("show", prefix, "keys", "--json")
    assert found.returncode == 0
    document = json.loads(found.stdout)
    assert decoded(document["path"]) == str(prefix).encode("utf-8", "surrogateescape")
    clean(process("show", prefix, "checkpoints").stdout.replace(b"\t", b" "))


def test_hostile_tags_and_dictionary_keys_stay_one_document(run: Run, saved_model: Path) -> None:
    summary = json.loads(run("show", saved_model, "--json").out)
    assert [decoded(tag) for tag in summary["tag_sets"][0]] == NAMES[:3]
    rows = json.loads(run("show", saved_model, "signatures", "--json").out)["items"]
    assert all(len(row["defaults"]) == 1 for row in rows)
