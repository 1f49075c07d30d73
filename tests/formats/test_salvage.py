"""What is left of damaged protobufs: every part that the damage did not touch is still there."""

from __future__ import annotations

import random
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bounded import MEGABYTE, peak_memory
from core.saved_model_writer import (
    concrete_function,
    function,
    identity,
    info,
    meta_graph,
    node,
    object_graph,
    placeholder,
    signature,
    user_object,
    variable_object,
)
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.objects import saved_object_graph
from tfexplore.errors import Cancelled, CorruptError
from tfexplore.formats.graph_file import graph_def, meta_graph_def, salvaged
from tfexplore.formats.proto import DecodeError, lean
from tfexplore.formats.salvage import MAX_SENTENCES, salvage

FLIPS = (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x55, 0xFF)
SAVED_MODEL = lean("SavedModel")


def serialized(message: Any) -> bytes:
    return bytes(message.SerializeToString())


def model(nodes: int = 12, functions: int = 4) -> Any:
    """A MetaGraphDef with something of everything."""
    body = [identity(b"i", b"x"), identity(b"j", b"i:output:0")]
    graph = meta_graph(
        nodes=[placeholder(b"x"), *(identity(b"n%d" % place, b"x") for place in range(nodes)), node(b"last")],
        functions=[function(b"f%d" % place, [b"x"], {b"o": b"i:output:0"}, body) for place in range(functions)],
        signatures={
            name: signature({b"x": info(b"x:0")}, {b"y": info(b"n1:0")}) for name in (b"serving_default", b"two")
        },
        objects=object_graph(
            [user_object([(b"v", 1)]), variable_object(b"v", [2])], {b"f0": concrete_function([1])}
        ),
        assets=[b"words.txt"],
    )  # fmt: skip
    graph.graph_def.versions.producer = 1000
    return graph


def saved(*graphs: Any) -> bytes:
    return serialized(SAVED_MODEL(saved_model_schema_version=1, meta_graphs=list(graphs)))


def read(data: bytes) -> tuple[Any, tuple[CorruptError, ...]]:
    return salvage(SAVED_MODEL, data, path="m.pb", what="SavedModel")


def parts(message: Any) -> set[object]:
    """What a person sees of a SavedModel: its nodes, functions, signatures and objects."""
    found: set[object] = set()
    for stored in message.meta_graphs:
        owner = MetaGraph(stored, path="m.pb", folder=None, checkpoint=None)
        nodes = map(owner.graph.readable_node, range(len(owner.graph)))
        found.update((item.name, item.op, item.inputs) for item in nodes if item is not None)
        found.update(("function", name) for name in owner.functions.names)
        found.update(("signature", item.name) for item in owner.signatures if item.inputs and item.outputs)
        objects = owner.objects
        if objects is not None:
            found.update((place, *objects.head(place)[:2]) for place in range(len(objects)))
    return found


def told(message: Any, damage: tuple[CorruptError, ...]) -> list[str]:
    """All that is said about the damage."""
    graphs = [MetaGraph(stored, path="m.pb", folder=None, checkpoint=None) for stored in message.meta_graphs]
    return [*map(str, damage), *(sentence for graph in graphs for sentence in graph.damage)]


def test_a_good_model_is_what_protobuf_reads() -> None:
    data = saved(model(), model(3, 0))
    message, damage = read(data)
    assert damage == ()
    assert message == SAVED_MODEL.FromString(data)


def test_a_flipped_byte_costs_what_it_touches() -> None:
    data = saved(model())
    whole = parts(SAVED_MODEL.FromString(data))
    cases = refused = more = silent = 0
    for position in range(len(data)):
        for flip in FLIPS:
            cases += 1
            try:
                message, damage = read(data[:position] + bytes((data[position] ^ flip,)) + data[position + 1 :])
            except CorruptError:
                refused += 1
                continue
            missing = len(whole - parts(message))
            more += missing > 1
            silent += missing > 1 and not told(message, damage)
    assert refused == 0
    assert more <= cases // 1000
    assert silent <= cases // 1000


def test_a_model_cut_at_any_byte_keeps_all_before() -> None:
    data = saved(model())
    stored = SAVED_MODEL.FromString(data).meta_graphs[0].graph_def
    whole = parts(SAVED_MODEL.FromString(data))
    ends = {raw: data.index(raw) + len(raw) for raw in (*stored.node, *stored.library.function)}
    for size in range(5, len(data)):
        message, damage = read(data[:size])
        graph = message.meta_graphs[0].graph_def if message.meta_graphs else lean("GraphDef")()
        kept = {*graph.node, *graph.library.function}
        assert {raw for raw, end in ends.items() if end <= size} <= kept
        assert damage
        assert "SavedModel.meta_graphs" in str(damage[0])
        # Nothing is made of what is cut off, but its place and, of an object, its id.
        assert not {item for item in parts(message) - whole if not isinstance(item[0], int)}  # type: ignore[index]


@given(st.randoms(use_true_random=False))
def test_any_damage_is_read_or_refused(rnd: random.Random) -> None:
    data = bytearray(saved(model(6, 2), model(2, 1)))
    for _ in range(rnd.randint(1, 8)):
        place, length = rnd.randrange(len(data)), rnd.choice((0, 1, 1, 3, 40))
        data[place : place + rnd.choice((0, length))] = rnd.randbytes(length)
    try:
        message, damage = read(bytes(data))
    except CorruptError:
        return
    assert len(damage) <= MAX_SENTENCES + 1
    parts(message)


@pytest.mark.parametrize("offset", [-2, -1, 0])
def test_a_node_whose_frame_is_broken_keeps_its_place(offset: int) -> None:
    """Tag, length, and the tag of its name."""
    nodes = [identity(b"node_%d" % place, b"x") for place in range(9)]
    data = bytearray(serialized(meta_graph(nodes=nodes).graph_def))
    at = data.index(nodes[4]) + offset
    data[at] ^= 0x43
    message, damage = graph_def(bytes(data), path="g.pb")
    assert len(message.node) == 9
    assert [raw for place, raw in enumerate(message.node) if place != 4] == nodes[:4] + nodes[5:]
    assert (message.node[4] == nodes[4]) == (offset < 0)
    if offset < 0:
        assert damage[0].path == "g.pb"
        assert damage[0].offset == data.index(nodes[3]) + len(nodes[3])


def test_what_cannot_be_found_again_is_named_by_its_range() -> None:
    nodes = [identity(b"node_%d" % place, b"x") for place in range(9)]
    data = bytearray(serialized(meta_graph(nodes=nodes).graph_def))
    start = data.index(nodes[4]) - 2
    data[start : start + 12] = b"\xff" * 12
    message, damage = graph_def(bytes(data), path="g.pb")
    assert list(message.node[:4]) + list(message.node[5:]) == nodes[:4] + nodes[5:]
    with pytest.raises(DecodeError):
        lean("NodeHead").FromString(message.node[4])
    assert f"GraphDef: {len(nodes[4]) + 2} bytes cannot be read at byte {start}" in str(damage[0])


def test_a_length_that_ends_at_another_node_hides_none() -> None:
    """protobuf accepts it: the nodes behind become names of the first."""
    nodes = [identity(b"n%d" % place, b"x") for place in range(5)]
    data = bytearray(serialized(meta_graph(nodes=nodes).graph_def))
    data[1] += 2 * (len(nodes[0]) + 2)
    lean("GraphDef").FromString(bytes(data))
    message, damage = graph_def(bytes(data), path="g.pb")
    assert list(message.node) == nodes
    assert "GraphDef.node claims" in str(damage[0])


def test_a_field_of_a_newer_tensorflow_is_no_damage() -> None:
    data = serialized(model()) + b"\x4a\x03abc"
    message, damage = meta_graph_def(data, path="m.pb")
    assert damage == ()
    assert message == lean("MetaGraphDef").FromString(data)


def test_the_graph_under_another_tag_is_found() -> None:
    data = bytearray(serialized(model()))
    at = data.index(serialized(model().graph_def)) - 3
    assert data[at] == 0x12
    data[at] = 0x1A  # saver_def
    message, damage = meta_graph_def(bytes(data), path="m.pb")
    assert len(message.graph_def.node) == 14
    assert "MetaGraphDef.graph_def is marked as MetaGraphDef.saver_def" in str(damage[0])


def test_a_damaged_object_keeps_its_id() -> None:
    raw = object_graph(
        [
            user_object([(b"a", 1), (b"b", 2)]),
            variable_object(b"first", [2], [(b"x", 2)]),
            variable_object(b"second", [3]),
        ]
    )
    at = raw.index(b"first") - 1
    objects = saved_object_graph(raw[:at] + b"\x7f" + raw[at + 1 :], path="m.pb")
    assert len(objects) == 3
    assert objects.head(1)[0] == "none"
    assert objects.head(2)[:2] == ("variable", "second")
    assert objects.path(2) == "b"
    assert any("SavedObjectGraph.nodes" in sentence for sentence in objects.damaged)


def test_a_damaged_function_keeps_its_name_and_its_good_nodes() -> None:
    body = [identity(b"node_%d" % place, b"x") for place in range(3)]
    raw = function(b"f", [b"x"], {b"o": b"node_0:output:0"}, body)
    at = raw.index(body[1]) - 1
    stored = meta_graph(functions=[raw[:at] + b"\x7f" + raw[at + 1 :], function(b"g")])
    owner = MetaGraph(stored, path="m.pb", folder=None, checkpoint=None)
    assert owner.functions.names == ["f", "g"]
    found = owner.functions.get("f")
    assert found is not None
    assert found.graph.names == ["node_0", "node_1", "node_2"]
    assert found.damage
    assert any("function 0" in sentence for sentence in owner.damage)


def test_a_cut_signature_is_told_by_its_name() -> None:
    graph = meta_graph(nodes=[placeholder(b"x")], signatures={b"serve_me": signature({b"x": info(b"x:0")}, {})})
    data = serialized(graph)[:-4]
    message, _ = meta_graph_def(data, path="m.pb")
    owner = MetaGraph(message, path="m.pb", folder=None, checkpoint=None)
    assert owner.signatures == ()
    assert any("signature serve_me" in sentence for sentence in owner.damage)


def test_marks_of_a_cut_that_are_in_the_file_are_damage() -> None:
    """They are 0x07, which no writer leaves there, and there may be any number of them."""
    nodes = [identity(b"node_%d" % place, b"x") for place in range(9)]
    graph = serialized(meta_graph(nodes=nodes).graph_def)
    for count in (1, 4, 8, 3_000_000):
        message, damage = graph_def(graph + b"\x07" * count, path="g.pb")
        assert list(message.node) == nodes
        assert any(f"GraphDef: {count:,} bytes cannot be read" in str(error) for error in damage)
    stored = meta_graph(functions=[function(b"f") + b"\x07" * 4])
    found = MetaGraph(stored, path="m.pb", folder=None, checkpoint=None).functions.get("f")
    assert found is not None
    assert found.damage == ("m.pb: the end of a FunctionDef is missing",)


@pytest.mark.parametrize("what", ["SavedModel", "MetaGraphDef", "GraphDef"])
def test_what_is_no_such_file_is_refused(what: str) -> None:
    rnd = random.Random(3)
    page = b"<!DOCTYPE html><html><head><title>404</title></head><body>" + b"not found " * 400 + b"</body></html>"
    others = [page, zlib.compress(page * 20), b"\x1f\x8b\x08" + rnd.randbytes(5000), b"\0" * 4000, b"\n" * 4000]
    others += [rnd.randbytes(size) for size in (1, 2, 10, 1000, 200_000)]
    others += [b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12\n"]
    for data in others:
        with pytest.raises(CorruptError, match=f"no readable {what}"):
            salvaged(what, data, path="m.pb")


def test_a_cancelled_walk_ends() -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        salvage(SAVED_MODEL, saved(model())[:-20], path="m.pb", what="SavedModel", cancel=cancel)


HOSTILE = {
    "empty fields": "b'\\x0a\\x00' * (N // 2)",
    "tags": "b'\\x0a' * N",
    "empty nodes": "field(0x12, field(0x12, b'\\x0a\\x00' * (N // 2) + b'\\xff'))",
    "breaks": "field(0x12, field(0x12, (b'\\x0a\\x06\\x0a\\x01a\\x12\\x01b' * 9 + b'\\x0f') * (N // 73)))",
    "heads": "field(0x12, field(0x12, b'\\x0a\\x7f\\x0a\\x01a\\x12\\x01b' * (N // 8)))",
    "nested": "b'\\x12\\x7f\\x0a\\x7f' * (N // 4)",
    "numbers": "b'\\x08\\x01' * (4 * N)",
    "long numbers": "(b'\\x08' + b'\\x81' * 9 + b'\\x01') * (N * 8 // 11)",
    "numbers of a graph": "field(0x12, field(0x12, b'\\x18\\x01' * (4 * N)))",
    "numbers of a saver": "field(0x12, field(0x1a, b'\\x20\\x01\\x28\\x01\\x30\\x01' * N))",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_bytes_cost_a_bounded_effort(case: str) -> None:
    code = f"""
from tfexplore.errors import CorruptError
from tfexplore.formats.graph_file import salvaged
N = 8 << 20
def field(tag, data):
    length, size = len(data), b""
    while length > 127:
        size, length = size + bytes((length & 127 | 128,)), length >> 7
    return bytes((tag,)) + size + bytes((length,)) + data
try:
    _, damage = salvaged("SavedModel", {HOSTILE[case]}, path="m.pb")
    assert damage
except CorruptError:
    pass
"""
    assert peak_memory(code) < 400 * MEGABYTE


def test_one_byte_of_many_nodes(tmp_path: Path) -> None:
    """Larger than what is looked through part by part."""
    nodes = [identity(b"scope/with/a/name/node_%d" % place, b"x") for place in range(100_000)]
    graph = meta_graph(nodes=nodes, functions=[function(b"f")])
    data = saved(graph)
    at = data.index(nodes[50_000])
    for place, flip in ((at - 1, 0x40), (at - 1, 0x02), (at - 2, 0x11)):
        message, damage = read(data[:place] + bytes((data[place] ^ flip,)) + data[place + 1 :])
        assert list(message.meta_graphs[0].graph_def.node) == nodes
        assert len(message.meta_graphs[0].graph_def.library.function) == 1
        assert len(damage) == 1
    message, damage = read(data[:at] + data[at + 5 :])
    found = message.meta_graphs[0].graph_def.node
    assert len(found) == 100_000
    assert [raw for place, raw in enumerate(found) if place != 50_000] == nodes[:50_000] + nodes[50_001:]
