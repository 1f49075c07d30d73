"""Ops along edges: `A > B > C` finds the nodes of the last op that the others lead to, one edge after the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.saved_model_writer import function, identity, meta_graph, node, placeholder, write_saved_model
from tfexplore.core.graph import Graph
from tfexplore.core.op_defs import OpDefs
from tfexplore.core.opener import open_model
from tfexplore.core.query import parse
from tfexplore.core.search import matching, node_facts, search

NODES = [
    placeholder(b"x"),
    node(b"conv", b"Conv2D", [b"x"]),
    node(b"bias", b"BiasAdd", [b"conv"]),
    node(b"relu", b"Relu", [b"bias"]),
    node(b"alone", b"Relu", [b"x"]),
    node(b"ordered", b"Relu", [b"x", b"^bias"]),
    node(b"missing", b"Relu", [b"gone"]),
    node(b"again", b"BiasAdd", [b"relu"]),
]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("Conv2D > BiasAdd > Relu", ["inner_relu", "relu"]),
        ("op:Conv2D > op:BiasAdd > op:Relu", ["inner_relu", "relu"]),
        ("Conv* > * > relu", ["inner_relu", "relu"]),
        ("Placeholder > Relu", ["alone", "ordered"]),
        ("BiasAdd > Relu > BiasAdd", ["again"]),
        ("BiasAdd > Relu > BiasAdd nothing", []),
        ("BiasAdd > Relu inner", ["inner_relu"]),
        ("Relu > Conv2D", []),
        # Not finished: as far as it goes.
        ("Conv2D >", ["conv", "inner_conv"]),
        ("> Conv2D", ["conv", "inner_conv"]),
        ("Conv2D > BiasAdd >", ["bias", "inner_bias"]),
        (">", []),
    ],
)
def test_ops_along_edges(tmp_path: Path, query: str, names: list[str]) -> None:
    body = [
        node(b"inner_conv", b"Conv2D", [b"x"]),
        node(b"inner_bias", b"BiasAdd", [b"inner_conv:output:0"]),
        node(b"inner_relu", b"Relu", [b"inner_bias:output:0"]),
    ]
    library = [function(b"f", [b"x"], {b"y": b"inner_relu:activations:0"}, body)]
    path = write_saved_model(tmp_path / "m", meta_graph(nodes=NODES, functions=library))
    with open_model(str(path)) as model:
        found = [hit for batch in search(model, parse(query)) for hit in batch]
    assert sorted(hit.name for hit in found) == names
    assert {hit.kind for hit in found} <= {"node"}


EDGES = st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=10, max_size=10)


@given(EDGES, st.lists(st.integers(0, 2), min_size=2, max_size=4))
def test_as_a_walk_finds_them(inputs: list[list[int]], chain: list[int]) -> None:
    ops = [f"Op{at % 3}" for at in range(10)]
    raw = [
        node(b"n%d" % at, ops[at].encode(), [b"n%d" % source for source in listed]) for at, listed in enumerate(inputs)
    ]
    graph = Graph(raw, OpDefs(), path="m")

    def ends(at: int, rest: list[int]) -> bool:
        if ops[at] != f"Op{rest[-1]}":
            return False
        return len(rest) == 1 or any(ends(source, rest[:-1]) for source in inputs[at])

    query = parse(" > ".join(f"Op{number}" for number in chain))
    found = matching(range(10), query, lambda at: f"n{at}", lambda at: node_facts(graph, at))
    assert [*found] == [at for at in range(10) if ends(at, chain)]


def test_a_ladder_does_not_explode() -> None:
    rungs = [placeholder(b"a0"), placeholder(b"b0")]
    for number in range(1, 60):
        for side in (b"a", b"b"):
            before = [b"a%d" % (number - 1), b"b%d" % (number - 1)]
            rungs.append(node(b"%s%d" % (side, number), b"AddV2", before))
    graph = Graph(rungs, OpDefs(), path="m")
    query = parse(" > ".join(["AddV2"] * 59))
    found = matching(range(len(rungs)), query, lambda at: graph.names[at], lambda at: node_facts(graph, at))
    assert [graph.names[at] for at in found] == ["a59", "b59"]


def test_identity_is_an_op_like_others() -> None:
    graph = Graph([placeholder(b"x"), identity(b"y", b"x"), identity(b"z", b"y")], OpDefs(), path="m")
    found = matching(
        range(3), parse("Placeholder > Identity"), lambda at: graph.names[at], lambda at: node_facts(graph, at)
    )
    assert [*found] == [1]
