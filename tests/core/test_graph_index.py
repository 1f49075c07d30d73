"""Producers and consumers on small graphs made by hand, well made and broken."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.saved_model_writer import DAMAGED_ATTR, attr, function, identity, node, placeholder
from tfexplore.core.functions import Functions
from tfexplore.core.graph import Graph
from tfexplore.core.op_defs import OpDefs
from tfexplore.errors import Cancelled, CorruptError


def graph(*raw: bytes, **options: Any) -> Graph:
    return Graph(raw, OpDefs(), path="m.pb", **options)


def split(name: bytes, source: bytes, count: int = 2) -> bytes:
    return node(name, b"Split", [b"axis", source], T=attr(type=1), num_split=attr(i=count))


def uses(found: Graph, name: str) -> list[tuple[str, int, str, bool]]:
    position = found.find(name)
    assert position is not None
    consumers = found.consumers(position)
    assert found.num_consumers(position) == len(consumers)
    return [(found.names[use.node], use.slot, use.name, use.control) for use in consumers]


def test_inputs_lead_to_their_producers_and_back() -> None:
    found = graph(
        placeholder(b"x"), node(b"axis", b"Const", dtype=attr(type=3)), split(b"s", b"x"), identity(b"a", b"s"),
        identity(b"b", b"s:1"), node(b"c", b"NoOp", [b"^a", b"^b"]),
    )  # fmt: skip
    inputs = found.inputs(found.node(2))
    assert [(item.name, item.producer, item.control, item.argument) for item in inputs] == [
        ("axis", 1, False, False),
        ("x", 0, False, False),
    ]
    assert inputs[1].tensor is not None
    assert inputs[1].tensor.name == "x:0"
    assert (inputs[1].tensor.dtype, inputs[1].tensor.shape, inputs[1].tensor.shape_stored) == (1, (None, 3), True)
    second = found.inputs(found.node(4))[0]
    assert second.tensor is not None
    assert second.tensor.name == "s:1"
    assert not second.tensor.shape_stored
    assert [(item.name, item.control, item.producer, item.tensor) for item in found.inputs(found.node(5))] == [
        ("^a", True, 3, None),
        ("^b", True, 4, None),
    ]
    assert uses(found, "x") == [("s", 1, "x", False)]
    assert uses(found, "s") == [("a", 0, "s", False), ("b", 0, "s:1", False)]
    assert uses(found, "a") == [("c", 0, "^a", True)]
    assert uses(found, "c") == []


def test_missing_inputs_are_told_apart() -> None:
    found = graph(
        identity(b"a", b"nowhere:0"), node(b"b", b"NoOp", [b"^gone"]), identity(b"c", b"a:7"), identity(b"d", b"a:x")
    )
    assert (found.inputs(found.node(0))[0].producer, found.inputs(found.node(0))[0].tensor) == (None, None)
    assert found.inputs(found.node(1))[0].producer is None
    for position in (2, 3):
        reference = found.inputs(found.node(position))[0]
        assert (reference.producer, reference.tensor) == (0, None)
    assert [name for name, *_ in uses(found, "a")] == ["c", "d"]


@pytest.mark.parametrize(
    "name", [b"a:", b":", b"", b"^", b"^^a", b"a:-1", b"a:0:0:0", b"a:99999999999", b"a:\xd9\xa1", b"\xff:0"]
)
def test_odd_spellings_of_inputs_harm_nothing(name: bytes) -> None:
    for is_function in (False, True):
        found = graph(placeholder(b"a"), identity(b"b", name), is_function=is_function)
        (reference,) = found.inputs(found.node(1))
        assert reference.name == name.decode("utf-8", "surrogateescape")
        found.consumers(0)


def test_cycles_and_nodes_that_feed_themselves() -> None:
    found = graph(identity(b"a", b"b"), identity(b"b", b"a"), identity(b"me", b"me"), node(b"n", b"NoOp", [b"^n"]))
    assert uses(found, "a") == [("b", 0, "a", False)]
    assert uses(found, "b") == [("a", 0, "b", False)]
    assert uses(found, "me") == [("me", 0, "me", False)]
    assert uses(found, "n") == [("n", 0, "^n", True)]


def test_of_nodes_with_one_name_the_first_is_meant() -> None:
    found = graph(identity(b"y", b"x"), placeholder(b"x"), placeholder(b"x", (5,)), placeholder(b"a"))
    assert found.names == ["y", "x", "x", "a"]
    assert found.find("x") == 1
    assert found.resolve("x").producer == 1
    assert [use.node for use in found.consumers(1)] == [0]
    assert found.consumers(2) == []
    assert found.sorted_names == ["a", "x", "x", "y"]


def test_one_node_may_use_another_several_times() -> None:
    found = graph(placeholder(b"x"), node(b"n", b"AddN", [b"x", b"x:0", b"^x"], T=attr(type=1), N=attr(i=2)))
    assert uses(found, "x") == [("n", 0, "x", False), ("n", 1, "x:0", False), ("n", 2, "^x", True)]


def body() -> Any:
    raw = function(
        b"f", [b"x", b"w"], {b"out": b"s:output:1", b"same": b"x"},
        [node(b"axis", b"Const", dtype=attr(type=3)), split(b"s", b"x"), identity(b"i", b"s:output:1"),
         identity(b"x:0", b"w"), node(b"n", b"NoOp", [b"^i", b"^x"]), identity(b"j", b"s:nothing:0")],
    )  # fmt: skip
    return Functions([raw], OpDefs, path="m.pb").get("f")


def test_a_function_s_nodes_name_outputs_by_argument() -> None:
    found = body().graph
    reference = found.inputs(found.node(2))[0]
    assert (reference.producer, reference.argument) == (1, False)
    assert reference.tensor is not None
    assert (reference.tensor.arg, reference.tensor.name) == ("s:output:1", "s:1")
    source = found.inputs(found.node(1))[1]
    assert (source.producer, source.argument) == (None, True)
    assert source.tensor is not None
    assert (source.tensor.name, source.tensor.arg, source.tensor.dtype) == ("x:0", "x", 1)
    control = found.inputs(found.node(4))[1]
    assert (control.control, control.producer, control.argument) == (True, None, True)
    unknown = found.inputs(found.node(5))[0]
    assert (unknown.producer, unknown.tensor) == (1, None)
    assert uses(found, "s") == [("i", 0, "s:output:1", False), ("j", 0, "s:nothing:0", False)]
    assert [(found.names[use.node], use.slot) for use in found.argument_consumers("w")] == [("x:0", 0)]
    assert ("s", 1) in [(found.names[use.node], use.slot) for use in found.argument_consumers("x")]


def test_a_function_s_tensors_begin_with_its_arguments() -> None:
    tensors = list(body().graph.iter_tensors())
    assert [(tensor.name, tensor.arg) for tensor in tensors[:2]] == [("x:0", "x"), ("w:0", "w")]
    assert ("s:1", "s:output:1") in [(tensor.name, tensor.arg) for tensor in tensors]


def test_a_function_s_outputs_know_what_they_return() -> None:
    assert [(found.name, found.returns) for found in body().outputs] == [("out", "s:output:1"), ("same", "x")]
    assert [found.name for found in body().inputs] == ["x", "w"]


def test_ops_are_counted() -> None:
    found = graph(identity(b"a", b"x"), identity(b"b", b"x"), placeholder(b"x"), node(b"\xff", b"\xff"))
    assert found.op_counts() == [("Identity", 2), ("Placeholder", 1), ("\udcff", 1)]
    assert found.nodes_by_op("Identity") == [0, 1]
    assert graph().op_counts() == []
    assert graph().find("a") is None


def test_loading_is_cancelled() -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        graph(placeholder(b"x")).load(cancel)
    with pytest.raises(Cancelled):
        list(graph(placeholder(b"x")).iter_tensors(cancel))


def test_one_damaged_node_leaves_the_others_their_edges() -> None:
    found = graph(placeholder(b"x"), node(b"bad", b"Identity", [b"x"]) + DAMAGED_ATTR, identity(b"y", b"x"))
    assert found.names == ["x", "bad", "y"]
    with pytest.raises(CorruptError):
        found.node(1)
    assert ("y", 0, "x", False) in uses(found, "x")
    assert found.inputs(found.node(2))[0].producer == 0


sources = st.sampled_from([b"a", b"b", b"c:0", b"^a", b"^c", b"zz", b"a:0:0", b"", b"x"])
node_lists = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d/e"]), st.lists(sources, max_size=4)), max_size=8)


@given(node_lists, st.booleans())
def test_consumers_are_the_inputs_turned_round(nodes: list[tuple[bytes, list[bytes]]], is_function: bool) -> None:
    arguments = [("x", 1, None, False)] if is_function else []
    found = graph(
        *(node(name, b"NoOp", inputs) for name, inputs in nodes), arguments=arguments, is_function=is_function
    )
    forward = [
        (reference.producer, position, slot, reference.control)
        for position in range(len(found))
        for slot, reference in enumerate(found.inputs(found.node(position)))
        if reference.producer is not None
    ]
    backward = [
        (position, use.node, use.slot, use.control)
        for position in range(len(found))
        for use in found.consumers(position)
    ]
    assert sorted(forward) == sorted(backward)


def test_a_consumer_with_many_inputs_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfexplore.core import edges as module

    found = graph(placeholder(b"x"), node(b"fan", b"AddN", [b"x"] * 3000, N=attr(i=3000), T=attr(type=1)))
    found.load_edges()
    decoded: list[bytes] = []
    original = module.raw_inputs
    monkeypatch.setattr(module, "raw_inputs", lambda raw: decoded.append(raw) or original(raw))
    assert len(found.consumers(0)) == 3000
    assert len(decoded) == 1
    assert [use.slot for use in found.consumers(0, 5)] == [0, 1, 2, 3, 4]


def test_a_producer_of_many_inputs_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = graph(split(b"s", b"x", 500), node(b"all", b"AddN", [b"s:%d" % place for place in range(500)]))
    asked: list[int] = []
    original = found.node
    monkeypatch.setattr(found, "node", lambda position: asked.append(position) or original(position))
    inputs = found.inputs(original(1))
    assert [item.tensor.name for item in inputs if item.tensor] == [f"s:{place}" for place in range(500)]
    assert asked.count(0) == 1
    assert len(found.inputs(original(1), limit=7)) == 7


def test_edges_and_inputs_are_cancelled() -> None:
    cancel = threading.Event()
    cancel.set()
    found = graph(placeholder(b"x"), identity(b"y", b"x"))
    with pytest.raises(Cancelled):
        found.load_edges(cancel)
    with pytest.raises(Cancelled):
        found.inputs(found.node(1), cancel=cancel)
    assert len(found.consumers(0)) == 1


def test_the_users_of_one_node_of_a_large_graph_are_those_of_all_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by name or with all others, the edges are the same; damaged nodes, doubles and arguments included."""
    from tfexplore.core import edges

    names = ["a", "a/b", "ab", "a", "arg", "c"]
    raw = [
        placeholder(b"a"),
        identity(b"a/b", b"a"),
        identity(b"ab", b"a:1"),
        identity(b"a", b"a/b"),
        identity(b"arg", b"arg"),
        node(b"c", b"AddV2", [b"a", b"ab", b"^a", b"a:output:0", b"arg"]),
    ]
    raw.append(b"\x0a\xff")
    names.append("(damaged node 6)")
    whole = edges.Edges(names, raw, {"arg"})
    whole.load()
    monkeypatch.setattr(edges, "LARGE", 2)
    single = edges.Edges(names, raw, {"arg"})
    for position in range(len(raw)):
        single.load(of=position)
        assert single._all is None
        assert single.consumers(position) == whole.consumers(position)
        assert single.num_consumers(position) == whole.num_consumers(position)
        assert single.consumers(position, 1, 1) == whole.consumers(position, 1, 1) == whole.consumers(position)[1:2]
    assert [(use.node, use.slot) for use in whole.consumers(0)] == [(1, 0), (2, 0), (5, 0), (5, 2), (5, 3)]
    assert whole.consumers(3) == whole.consumers(4) == []
    assert single.rows() == whole.rows()
    assert single.consumers(0) == whole.consumers(0)
