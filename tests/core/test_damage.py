"""One bad part never hides the good ones: damage one thing, and all the others are still listed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.bounded import MEGABYTE, peak_memory
from core.opening import refused
from core.saved_model_writer import (
    DAMAGED,
    DAMAGED_ATTR,
    attr,
    concrete_function,
    function,
    identity,
    info,
    meta_graph,
    node,
    object_graph,
    placeholder,
    signature,
    tensor,
    trackable_graph,
    user_object,
    variable_object,
    write_saved_model,
)
from formats.table_writer import strings, write_bundle
from tfexplore.core.describe import describe
from tfexplore.core.graph import Graph
from tfexplore.core.items import Item
from tfexplore.core.model import Model
from tfexplore.core.op_defs import OpDefs
from tfexplore.core.opener import open_model
from tfexplore.core.sections import SECTIONS, Options, section
from tfexplore.core.tree import root_items
from tfexplore.errors import CorruptError, ModelError
from tfexplore.formats.graph_file import graph_def

GRAPH_SECTIONS = (
    "summary",
    "signatures",
    "features",
    "variables",
    "nodes",
    "ops",
    "tensors",
    "functions",
    "objects",
    "assets",
    "files",
    "keys",
)
KEY = b"%s/.ATTRIBUTES/VARIABLE_VALUE"


def parts() -> dict[str, Any]:
    """A small whole model, to be damaged in one place."""
    return {
        "nodes": [placeholder(b"x"), identity(b"y", b"x"), identity(b"z", b"y")],
        "functions": [
            function(name, [b"x"], {b"out": b"i:output:0"}, [identity(b"i", b"x"), identity(b"j", b"i:output:0")])
            for name in (b"f", b"g", b"h")
        ],
        "signatures": {
            name: signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")}) for name in (b"one", b"three", b"two")
        },
        "objects": object_graph(
            [user_object([(b"v", 1), (b"w", 2)]), variable_object(b"v", [2]), variable_object(b"w", [2])],
            {b"f": concrete_function([1]), b"g": concrete_function([2])},
        ),
    }  # fmt: skip


def written(folder: Path, damaged: dict[str, Any], entries: dict[bytes, bytes] | None = None) -> Path:
    """Writes the model with some parts replaced, and its variables with some entries replaced."""
    write_saved_model(folder, meta_graph(**{**parts(), **damaged}))
    (folder / "variables").mkdir(exist_ok=True)
    graph = trackable_graph([([(b"v", 1), (b"w", 2)], None), ([], KEY % b"v"), ([], KEY % b"w")])
    write_bundle(
        folder / "variables" / "variables",
        {
            KEY % b"v": np.ones(2, np.float32),
            KEY % b"w": np.ones(2, np.float32),
            b"_CHECKPOINTABLE_OBJECT_GRAPH": strings(graph).reshape(()),
        },
        extra=entries,
    )
    return folder


def rows(folder: Path, name: str, **options: Any) -> list[dict[str, Any]]:
    with open_model(str(folder)) as model:
        return list(section(model, name, Options(**options)))


def listed(folder: Path, name: str, **options: Any) -> list[str]:
    return [row.get("name") or row.get("path") for row in rows(folder, name, **options)]


def items(model: Model) -> Iterator[Item]:
    """All items of the tree; a small model has few."""
    pending = list(root_items(model))
    while pending:
        item = pending.pop()
        yield item
        if item.children is not None:
            pending.extend(item.children.page(0, item.children.load()))


def all_but(wanted: set[str], found: list[str]) -> None:
    assert wanted <= set(found)


def test_the_whole_model_is_listed(tmp_path: Path) -> None:
    folder = written(tmp_path, {})
    assert listed(folder, "nodes") == ["x", "y", "z"]
    assert listed(folder, "functions") == ["f", "g", "h"]
    assert listed(folder, "signatures") == ["one", "three", "two"]
    assert [(row["name"], row["key"]) for row in rows(folder, "variables")] == [
        ("v", "v/.ATTRIBUTES/VARIABLE_VALUE"),
        ("w", "w/.ATTRIBUTES/VARIABLE_VALUE"),
    ]
    assert len(listed(folder, "keys")) == 3
    assert rows(folder, "summary")[0]["notes"] == []


BAD_NODES = {"head": DAMAGED, "attr": identity(b"y", b"x") + DAMAGED_ATTR}


@pytest.mark.parametrize("bad", BAD_NODES)
def test_one_damaged_node_hides_no_other(tmp_path: Path, bad: str) -> None:
    nodes = parts()["nodes"]
    folder = written(tmp_path, {"nodes": [nodes[0], BAD_NODES[bad], nodes[2]]})
    all_but({"x", "z"}, listed(folder, "nodes"))
    all_but({"x:0", "z:0"}, listed(folder, "tensors"))
    assert {"op": "Placeholder", "count": 1} in rows(folder, "ops")
    assert listed(folder, "functions") == ["f", "g", "h"]
    assert listed(folder, "signatures") == ["one", "three", "two"]
    assert listed(folder, "variables") == ["v", "w"]
    assert rows(folder, "summary")


@pytest.mark.parametrize("bad", BAD_NODES)
def test_one_damaged_node_leaves_the_others_their_rows_and_details(tmp_path: Path, bad: str) -> None:
    nodes = parts()["nodes"]
    folder = written(tmp_path, {"nodes": [nodes[0], BAD_NODES[bad], nodes[2]]})
    with open_model(str(folder)) as model:
        labels = set()
        for item in items(model):
            labels.add(item.label)
            if item.kind in ("node", "variable", "function", "signature") and item.label in ("x", "z", "v", "f", "one"):
                describe(item.subject)
        assert {"x", "z", "v", "w", "f", "g", "h", "one", "two"} <= labels


@pytest.mark.parametrize("bad", BAD_NODES)
def test_one_damaged_node_of_a_function_hides_no_other(tmp_path: Path, bad: str) -> None:
    damaged = function(b"g", [b"x"], {b"out": b"i:output:0"}, [identity(b"i", b"x"), BAD_NODES[bad]])
    functions = parts()["functions"]
    folder = written(tmp_path, {"functions": [functions[0], damaged, functions[2]]})
    assert listed(folder, "functions") == ["f", "g", "h"]
    assert "i" in listed(folder, "nodes", function="g")
    assert listed(folder, "nodes", function="h") == ["i", "j"]


def test_one_damaged_function_hides_no_other_and_is_told(tmp_path: Path) -> None:
    functions = parts()["functions"]
    folder = written(tmp_path, {"functions": [functions[0], DAMAGED, functions[2]]})
    assert listed(folder, "functions") == ["f", "h"]
    assert listed(folder, "nodes", function="h") == ["i", "j"]
    assert listed(folder, "nodes") == ["x", "y", "z"]
    notes = rows(folder, "summary")[0]["notes"]
    assert any("FunctionDef" in note for note in notes)


@pytest.mark.parametrize("place", ["signature", "input", "default"])
def test_one_damaged_signature_hides_no_other(tmp_path: Path, place: str) -> None:
    bad = {
        "signature": DAMAGED,
        "input": signature({b"x": DAMAGED}, {b"y": info(b"y:0")}),
        "default": signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")}, {b"x": DAMAGED}),
    }[place]
    folder = written(tmp_path, {"signatures": {**parts()["signatures"], b"three": bad}})
    all_but({"one", "two"}, listed(folder, "signatures"))
    assert rows(folder, "summary")[0]["nodes"] == 3
    assert listed(folder, "variables") == ["v", "w"]
    with open_model(str(folder)) as model:
        all_but({"one", "two", "v", "x"}, [item.label for item in items(model)])
        describe(root_items(model)[0].subject)


def test_a_default_that_claims_much_is_not_written_out(tmp_path: Path) -> None:
    huge = signature({b"x": info(b"x:0")}, {}, {b"x": tensor(1, [2**24], float_val=[1.0])})
    write_saved_model(tmp_path, meta_graph(signatures={b"one": huge}))
    code = """
import json
from tfexplore.core.opener import open_model
from tfexplore.core.sections import section
with open_model(sys.argv[1]) as model:
    assert len(json.dumps(list(section(model, "signatures")))) < 1_000_000
"""
    assert peak_memory(code, tmp_path) < 256 * MEGABYTE


@pytest.mark.parametrize("place", ["entry", "dtype", "shape"])
def test_one_damaged_key_entry_hides_no_other(tmp_path: Path, place: str) -> None:
    from formats.table_writer import entry

    bad = {
        "entry": DAMAGED,
        "dtype": entry(999, [2], size=8),
        "shape": entry(1, [-2], size=8),
    }[place]
    folder = written(tmp_path, {}, {KEY % b"v": bad})
    assert len(listed(folder, "keys")) == 3
    assert listed(folder, "variables") == ["v", "w"]
    assert listed(folder, "nodes") == ["x", "y", "z"]
    assert rows(folder, "summary")[0]["variables"] == 2
    with open_model(str(folder)) as model:
        for item in items(model):
            if item.kind == "variable" or item.label == "w":
                describe(item.subject)
    with open_model(str(folder / "variables" / "variables")) as alone:
        assert len(list(section(alone, "keys"))) == 3
        assert len(list(section(alone, "variables"))) == 2
        assert next(iter(section(alone, "summary")))


@pytest.mark.parametrize("place", ["graph", "concrete"])
def test_a_damaged_object_graph_hides_nothing_else(tmp_path: Path, place: str) -> None:
    bad = {
        "graph": DAMAGED,
        "concrete": object_graph(
            [user_object([(b"v", 1)]), variable_object(b"v", [2])], {b"f": DAMAGED, b"g": concrete_function([1])}
        ),
    }[place]
    folder = written(tmp_path, {"objects": bad})
    assert listed(folder, "nodes") == ["x", "y", "z"]
    assert listed(folder, "signatures") == ["one", "three", "two"]
    assert listed(folder, "functions") == ["f", "g", "h"]
    assert len(listed(folder, "keys")) == 3
    assert rows(folder, "summary")[0]["nodes"] == 3
    if place == "concrete":
        assert listed(folder, "variables") == ["v"]
        assert listed(folder, "objects") == ["root", "v"]
    with open_model(str(folder)) as model:
        for item in items(model):
            if item.kind in ("model", "node", "signature", "function", "input", "output"):
                describe(item.subject)


@pytest.mark.parametrize("what", ["collection", "asset"])
def test_one_damaged_collection_hides_nothing(tmp_path: Path, what: str) -> None:
    damaged = (
        {"collections": {b"variables": DAMAGED, b"saved_model_assets": DAMAGED}}
        if what == "collection"
        else {"assets": [b"../x", b"", b"ok"]}
    )
    folder = written(tmp_path, damaged)
    for name in GRAPH_SECTIONS:
        rows(folder, name)


def test_an_object_graph_that_fails_its_checksum_is_not_believed(tmp_path: Path) -> None:
    """Its names would be wrong names shown as right ones."""
    folder = written(tmp_path, {})
    data = folder / "variables" / "variables.data-00000-of-00001"
    stored = data.read_bytes()
    at = stored.index(b"v/.ATTRIBUTES")
    data.write_bytes(stored[:at] + b"u" + stored[at + 1 :])
    with open_model(str(folder / "variables" / "variables")) as model:
        assert model.checkpoint is not None
        told: list[str] = []
        try:
            told += next(iter(section(model, "summary")))["notes"]
            list(section(model, "objects"))
            told += [item.label for item in root_items(model) if item.kind == "note"]
        except ModelError as error:
            told.append(str(error))
        assert any("checksum" in sentence.lower() for sentence in told)


# -- hostile numbers --


def test_shapes_of_any_size_are_shown(tmp_path: Path) -> None:
    """Elements that no float holds, and more digits than Python writes."""
    for dims in (2, 40, 400):
        folder = tmp_path / str(dims)
        graph = object_graph([user_object([(b"v", 1)]), variable_object(b"v", [2**62] * dims)])
        write_saved_model(folder, meta_graph(objects=graph, nodes=[placeholder(b"x", [2**62] * dims)]))
        with open_model(str(folder)) as model:
            for name in GRAPH_SECTIONS:
                assert all(section(model, name, Options(attrs=True)))
            for item in items(model):
                describe(item.subject)


def test_every_section_is_tried() -> None:
    assert set(GRAPH_SECTIONS) | {"checkpoints"} == set(SECTIONS)


# -- hostile names --

EVIL = [b"\x1b]0;x\x07", b"a\nb", "\u202ex".encode(), b"[/]", b"\xff\x80", b"n" * 10_000, b"", b"/", b"//x", b"\x9b2J"]


def test_hostile_names_are_printable_in_every_row_and_detail(tmp_path: Path) -> None:
    functions = [
        function(name, [name, b"x"], {name: b"x"}, [node(name, name, [name], name, ok=attr(s=name))]) for name in EVIL
    ]
    nodes = [
        node(name, b"Placeholder", [b"^" + other], other) for name, other in zip(EVIL, reversed(EVIL), strict=True)
    ]
    odd_attrs = lean_node_with_attrs(EVIL)
    graph = object_graph(
        [
            user_object([(name, place + 1) for place, name in enumerate(EVIL)]),
            *(variable_object(name, [2]) for name in EVIL),
        ],
        {name: concrete_function([1]) for name in EVIL},
    )
    signatures = {
        name: signature({name: info(name)}, {name: info(name + b":0")}, {name: tensor(7, [1], string_val=[name])})
        for name in EVIL
    }
    write_saved_model(
        tmp_path,
        meta_graph(
            tags=EVIL, nodes=[*nodes, odd_attrs], functions=functions, signatures=signatures, objects=graph, assets=EVIL
        ),
    )
    stored = trackable_graph(
        [([(name, place + 1) for place, name in enumerate(EVIL)], None), *(([], KEY % name) for name in EVIL)]
    )
    (tmp_path / "variables").mkdir()
    write_bundle(
        tmp_path / "variables" / "variables",
        {KEY % name: np.ones(2, np.float32) for name in EVIL}
        | {b"_CHECKPOINTABLE_OBJECT_GRAPH": strings(stored).reshape(())},
    )
    for path in (tmp_path, tmp_path / "variables" / "variables"):
        unprintable = set()
        with open_model(str(path)) as model:
            for item in items(model):
                found = describe(item.subject)
                shown = [item.note, found.title, found.kind]
                shown += [
                    word
                    for part in found.blocks
                    for word in (part.title, *(line.label for line in part.lines), *(line.value for line in part.lines))
                ]
                if not all(word.isprintable() for word in shown):
                    unprintable.add((item.kind, type(item.subject).__name__))
        assert not unprintable


def lean_node_with_attrs(names: list[bytes]) -> bytes:
    from tfexplore.formats.proto import lean

    message = lean("NodeDef")(name=b"attrs", op=b"NoOp")
    for name in names:
        message.attr.add(key=name, value=lean("AttrValue")(s=name).SerializeToString())
    return bytes(message.SerializeToString())


def test_a_shape_attribute_of_another_kind_is_no_scalar(tmp_path: Path) -> None:
    odd = [
        node(b"v", b"VarHandleOp", dtype=attr(type=1), shape=attr(s=b"x")),
        node(b"w", b"VarHandleOp", dtype=attr(type=1)),
    ]
    write_saved_model(tmp_path, meta_graph(nodes=odd))
    assert [(row["shape"], row["bytes"]) for row in rows(tmp_path, "variables")] == [(None, None), (None, None)]


def test_a_damaged_call_hides_no_detail(tmp_path: Path) -> None:
    bad = node(b"call", b"StatefulPartitionedCall", [b"x"]) + DAMAGED_ATTR
    whole = parts()
    functions = [*whole["functions"][:2], function(b"h", [b"x"], {b"out": b"i:output:0"}, [identity(b"i", b"x"), bad])]
    folder = written(tmp_path, {"nodes": [*whole["nodes"], bad], "functions": functions})
    with open_model(str(folder)) as model:
        described = 0
        for item in items(model):
            if item.kind in ("node", "variable", "function", "input", "output") and item.label != "call":
                described += bool(describe(item.subject).blocks)
        assert described > 10
    assert any("damaged" in str(row.get("problem", "")) or "problem" in row for row in rows(folder, "nodes"))


def test_a_page_of_objects_reads_no_grandchildren(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfexplore.core.objects import ObjectGraph

    wide = user_object([(b"a%d" % place, 1) for place in range(300)])
    graph = object_graph([wide, user_object([(b"b%d" % place, 2) for place in range(300)]), user_object([])])
    write_saved_model(tmp_path, meta_graph(objects=graph))
    read: list[int] = []
    original = ObjectGraph.object
    monkeypatch.setattr(ObjectGraph, "object", lambda self, place: read.append(place) or original(self, place))
    with open_model(str(tmp_path)) as model:
        heading = next(item for item in root_items(model) if item.label == "Objects")
        assert heading.children is not None
        assert len(heading.children.page(0, 250)) == 250
    assert read == [0]


def test_a_flipped_byte_stands_beside_the_value(tmp_path: Path) -> None:
    folder = written(tmp_path, {})
    data = folder / "variables" / "variables.data-00000-of-00001"
    stored = bytearray(data.read_bytes())
    at = stored.index(np.ones(2, np.float32).tobytes())
    told = []
    for flipped in (False, True):
        if flipped:
            stored[at] ^= 1
            data.write_bytes(stored)
        with open_model(str(folder)) as model:
            found = {item.label: item for item in items(model) if item.kind == "variable"}
            for name in ("v", "w"):
                lines = describe(found[name].subject).lines()
                told.append(next(line.value.split(":")[0] for line in lines if line.label == "checksum"))
    assert told == ["good", "good", "BAD", "good"]


# -- a saved_model.pb that protobuf refuses --


def broken(folder: Path, at: bytes, shift: int, flip: int) -> Path:
    """The whole model with one byte flipped, `shift` bytes from where `at` first occurs."""
    written(folder, {})
    path = folder / "saved_model.pb"
    data = bytearray(path.read_bytes())
    data[data.index(at) + shift] ^= flip
    path.write_bytes(data)
    return folder


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF])
@pytest.mark.parametrize("shift", [-2, -1])
def test_a_damaged_frame_of_a_node_hides_no_other(tmp_path: Path, shift: int, flip: int) -> None:
    folder = broken(tmp_path, identity(b"y", b"x"), shift, flip)
    all_but({"x", "z"}, listed(folder, "nodes"))
    assert listed(folder, "functions") == ["f", "g", "h"]
    assert listed(folder, "signatures") == ["one", "three", "two"]
    assert listed(folder, "variables") == ["v", "w"]
    notes = rows(folder, "summary")[0]["notes"]
    assert any("GraphDef" in note and "at byte" in note for note in notes)
    with open_model(str(folder)) as model:
        labels = [item.label for item in items(model)]
        all_but({"x", "z", "f", "one", "v"}, labels)
        assert any("GraphDef" in label for label in labels)


def test_a_cut_model_shows_what_is_left(tmp_path: Path) -> None:
    written(tmp_path, {})
    path = tmp_path / "saved_model.pb"
    data = path.read_bytes()
    path.write_bytes(data[: data.index(identity(b"z", b"y")) + 20])
    assert listed(tmp_path, "nodes") == ["x", "y", "(damaged node 2)"]
    summary = rows(tmp_path, "summary")[0]
    assert summary["nodes"] == 3
    assert any("1 of 3 nodes cannot be read: (damaged node 2)" in note for note in summary["notes"])
    assert any("SavedModel.meta_graphs claims" in note for note in summary["notes"])
    with open_model(str(tmp_path)) as model:
        found = {item.label: item for item in items(model)}
        for label in ("x", "y", "v", "w"):
            if label in found:
                describe(found[label].subject)
        assert any("(damaged node 2)" in label for label, item in found.items() if item.kind == "note")


def test_damaged_nodes_are_counted(tmp_path: Path) -> None:
    folder = written(tmp_path, {"nodes": [placeholder(b"x"), *[DAMAGED] * 5, node(b"y")]})
    notes = rows(folder, "summary")[0]["notes"]
    wanted = "5 of 7 nodes cannot be read: (damaged node 1), (damaged node 2), (damaged node 3) and 2 more"
    assert any(wanted in note for note in notes)


def test_damaged_nodes_of_a_large_graph_are_counted_once_it_is_loaded(tmp_path: Path) -> None:
    write_saved_model(tmp_path, meta_graph(nodes=[*[node(b"x")] * 5000, DAMAGED]))
    with open_model(str(tmp_path)) as model:
        found = model.meta_graph()
        assert found.damage == ()
        found.graph.load()
        assert "(damaged node 5000)" in found.damage[0]


def test_damage_inside_a_function_is_told_with_it(tmp_path: Path) -> None:
    bad = function(b"g", [b"x"], {b"out": b"i:output:0"}, [identity(b"i", b"x"), identity(b"j", b"i:output:0")])
    bad = bad.replace(b"\x12\ni:output:0", b"\x12\x7fi:output:0")  # what it returns
    functions = parts()["functions"]
    folder = written(tmp_path, {"functions": [functions[0], bad, functions[2]]})
    found = {row["name"]: row for row in rows(folder, "functions")}
    assert list(found) == ["f", "g", "h"]
    assert "FunctionDef.ret" in found["g"]["problem"]
    assert found["g"]["nodes"] == 2
    assert "problem" not in found["h"]


HOSTILE = {
    "bad-sm_made/truncated": "SavedModel.meta_graphs claims 516,378 bytes where 258,186 are left at byte 2",
    "bad-sm_made/signature_dangling": "",
    "bad-fuzz-bad_node_attr": "",
    "bad-fuzz-const_with_no_value": "",
}
REFUSED = {
    "bad-sm_made/no_meta_graphs": "no SavedModel: it holds no MetaGraph",
    "bad-sm_made/text_in_pb": "no SavedModel: it holds no MetaGraph",
    "bad-sm_made/zero_bytes": "the file is empty (0 bytes)",
    "bad-sm_made/is_a_directory": "this is a folder, expected a regular file",
}


@pytest.mark.parametrize("name", [*HOSTILE, *REFUSED])
def test_broken_models_of_the_corpus_open_or_say_why_not(corpus: Path, name: str) -> None:
    folder = corpus / "hostile" / name
    if name in REFUSED:
        assert REFUSED[name] in str(refused(folder, ModelError))
        return
    with open_model(str(folder)) as model:
        assert HOSTILE[name] in "; ".join(model.notes)
        for part in GRAPH_SECTIONS:
            list(section(model, part))
        for item in root_items(model):
            describe(item.subject)


def test_a_truncated_graph_of_the_corpus_is_read_as_far_as_it_goes(corpus: Path) -> None:
    path = corpus / "hostile" / "bad-graphdef_made" / "truncated.pb"
    message, damage = graph_def(path.read_bytes(), path=str(path))
    graph = Graph(message.node, OpDefs([], {}), path=str(path))
    assert graph.damaged is None
    graph.load()
    assert len(graph) > 3
    assert graph.damaged == [len(graph) - 1]
    assert "GraphDef.node claims" in str(damage[0])
    page = path.with_name("html_saved_as.pb")
    with pytest.raises(CorruptError, match="no readable GraphDef"):
        graph_def(page.read_bytes(), path=str(page))
