"""Cycles of graphs, by themselves and as the linter finds them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.saved_model_writer import (
    node,
)
from tfexplore.core.cycles import cycles
from tfexplore.core.graph_lint import Flaws, GraphLint
from tfexplore.core.op_defs import OpDefs


def reachable(size: int, edges: list[tuple[int, int]]) -> list[set[int]]:
    ways: list[set[int]] = [{target for source, target in edges if source == number} for number in range(size)]
    for _ in range(size):
        for number in range(size):
            ways[number] = ways[number].union(*(ways[other] for other in ways[number]))
    return ways


@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=24))
def test_cycles_are_the_nodes_that_reach_themselves(size: int, pairs: list[tuple[int, int]]) -> None:
    edges = [(source % size, target % size) for source, target in pairs]
    ways = reachable(size, edges)
    parts = cycles(size, [number for edge in edges for number in edge])
    on_cycle = {number for number in range(size) if number in ways[number]}
    assert sorted(number for part in parts for number in part) == sorted(on_cycle)
    for part in parts:
        for number in on_cycle:
            assert (number in part) == (part[0] in ways[number] and number in ways[part[0]])


def test_long_cycles_and_chains_need_no_recursion() -> None:
    size = 50_000
    ring = [number for place in range(size) for number in (place, (place + 1) % size)]
    assert [len(part) for part in cycles(size, ring)] == [size]
    assert cycles(size, ring[:-2]) == []


@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 9)), max_size=24),
    st.permutations(range(8)),
    st.booleans(),
)
def test_in_any_order_the_same_cycles_and_missing_inputs_are_found(
    pairs: list[tuple[int, int]], order: list[int], twice: bool
) -> None:
    """Of nodes 0 to 7; 8 and 9 are not there."""
    nodes = [
        node(b"n%d" % number, b"NoOp", [b"^n%d" % source for target, source in pairs if target == number])
        for number in order
    ]
    flaws = Flaws()
    GraphLint(OpDefs().find, lambda name: True, None).look(nodes + nodes[:1] * twice, flaws)
    ways = reachable(8, [(source, target) for target, source in pairs if source < 8])
    on_cycle = [number for number in range(8) if number in ways[number]]
    missing = [target for target, source in pairs if source >= 8]
    assert flaws.on_cycles.count == len(on_cycle)
    assert flaws.cycles == len(
        {
            frozenset(other for other in on_cycle if other in ways[number] and number in ways[other])
            for number in on_cycle
        }
    )
    assert flaws.missing.count == len(missing) + twice * missing.count(order[0])
    assert (flaws.duplicates.count, flaws.outputs.count) == (twice, 0)
