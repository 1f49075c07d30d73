"""Paths between nodes: shortest, in the direction of the edges, whatever the graph looks like."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.saved_model_writer import attr, identity, meta_graph, node, placeholder
from tfexplore.core.describe import describe
from tfexplore.core.graph import Graph
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.op_defs import OpDefs
from tfexplore.core.paths import shortest_path
from tfexplore.core.subjects import NodeSubject, PathSubject
from tfexplore.errors import Cancelled


def chain(count: int) -> Graph:
    raw = [placeholder(b"n0")]
    raw += [identity(b"n%d" % number, b"n%d" % (number - 1)) for number in range(1, count)]
    return Graph(raw, OpDefs(), path="m")


def test_from_end_to_end_and_back() -> None:
    graph = chain(20_000)
    assert shortest_path(graph, 0, 19_999) == (list(range(20_000)), True)
    assert shortest_path(graph, 5, 2) == ([2, 3, 4, 5], False)
    assert shortest_path(graph, 7, 7) == ([7], True)


@given(st.lists(st.lists(st.integers(0, 11), max_size=4), min_size=12, max_size=12), st.data())
def test_the_shortest_way_of_any_graph(inputs: list[list[int]], data: st.DataObject) -> None:
    raw = [node(b"n%d" % at, b"NoOp", [b"^n%d" % source for source in listed]) for at, listed in enumerate(inputs)]
    graph = Graph(raw, OpDefs(), path="m")
    first, second = data.draw(st.integers(0, 11)), data.draw(st.integers(0, 11))

    def distance(start: int, end: int) -> int | None:
        reached, rounds = {start}, 0
        while end not in reached:
            more = reached | {at for at, listed in enumerate(inputs) if reached.intersection(listed)}
            if more == reached:
                return None
            reached, rounds = more, rounds + 1
        return rounds

    found = shortest_path(graph, first, second)
    there, back = distance(first, second), distance(second, first)
    if found is None:
        assert there is None
        assert back is None
        return
    way, forward = found
    assert forward == (there is not None)
    assert len(way) - 1 == (there if forward else back)
    assert [way[0], way[-1]] == ([first, second] if forward else [second, first])
    assert all(producer in inputs[consumer] for producer, consumer in pairwise(way))


def test_cancelled() -> None:
    cancel = threading.Event()
    graph = chain(10_000)
    graph.load_edges()
    cancel.set()
    with pytest.raises(Cancelled):
        shortest_path(graph, 0, 9_999, cancel)


def test_what_the_details_say() -> None:
    raw = [
        placeholder(b"x", [2]),
        identity(b"y", b"x"),
        node(b"after", b"NoOp", [b"^y"]),
        node(b"sum", b"AddN", [b"x", b"y"], T=attr(type=1), N=attr(i=2)),
        placeholder(b"alone"),
    ]
    owner = MetaGraph(meta_graph(nodes=raw), path="m", folder=None, checkpoint=None)
    graph = owner.graph

    def lines(first: str, second: str) -> list[tuple[str, str]]:
        ends = graph.find(first), graph.find(second)
        assert ends[0] is not None
        assert ends[1] is not None
        detail = describe(PathSubject(owner, graph, None, ends[0], ends[1]))
        assert detail.kind == "Path"
        listed = [line for block in detail.blocks if block.title == "way" for line in block.lines]
        assert all(isinstance(line.subject, NodeSubject) for line in listed)
        return [(line.label, line.value) for line in detail.lines() if line.label != "from"][1:]

    assert lines("x", "after") == [
        ("edges", "2"),
        ("0", "x  Placeholder  → float32 [2]"),
        ("1", "y  Identity  → control"),
        ("2", "after  NoOp"),
    ]
    assert lines("after", "x")[0] == ("", "The way leads from the second to the first: only that is one along edges.")
    assert lines("x", "sum")[0] == ("edges", "1")
    assert lines("x", "alone") == [("", "Neither leads to the other: there is no way along edges in either direction.")]
