"""Object graphs: ways from the root, and which object of a checkpoint belongs to which of a SavedModel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bounded import MEGABYTE, peak_memory
from core.saved_model_writer import (
    DAMAGED,
    concrete_function,
    object_graph,
    trackable_graph,
    user_object,
    variable_object,
)
from tfexplore.core.objects import ObjectGraph, match, saved_object_graph, trackable_object_graph
from tfexplore.errors import CorruptError

Refs = list[tuple[bytes, int]]


def saved(*refs: Refs) -> ObjectGraph:
    return saved_object_graph(object_graph(user_object(found) for found in refs), path="m.pb")


def stored(*refs: Refs) -> ObjectGraph:
    return trackable_object_graph(trackable_graph((found, None) for found in refs), path="m.index")


def test_a_path_is_a_shortest_way_from_the_root() -> None:
    found = saved([(b"a", 1), (b"b", 2)], [(b"deep", 3)], [(b"x", 3), (b"y", 4)], [(b"up", 0)], [], [(b"a", 0)])
    assert [found.path(node_id) for node_id in range(6)] == ["root", "a", "b", "a.deep", "b.y", None]
    assert found.walk == [0, 1, 2, 3, 4]


def test_cycles_and_dangling_references_end() -> None:
    found = saved(
        [(b"me", 0), (b"gone", 99), (b"minus", -1), (b"a", 1)], [(b"back", 0), (b"self", 1), (b"far", 2**31 - 1)]
    )
    assert found.path(1) == "a"
    assert found.walk == [0, 1]
    assert found.dangling == 3
    assert found.first_dangling == ((0, "gone", 99), (0, "minus", -1), (1, "far", 2**31 - 1))
    assert list(found.iter_dangling(0)) == [(0, "gone", 99), (0, "minus", -1)]
    assert list(found.iter_dangling(1)) == [(1, "far", 2**31 - 1)]
    assert found.object(0).children == (("me", 0), ("a", 1))
    assert found.object(1).children == (("back", 0), ("self", 1))


def test_an_empty_graph_has_no_objects() -> None:
    empty = saved()
    assert len(empty) == 0
    assert empty.walk == []
    assert match(empty, saved([])) == {}
    assert match(saved([]), empty) == {}


def test_objects_are_matched_along_equal_names() -> None:
    ours = saved([(b"v", 1), (b"w", 2), (b"only_here", 3)], [], [(b"m", 4)], [], [])
    theirs = stored([(b"w", 1), (b"v", 3), (b"only_there", 2)], [(b"m", 2)], [], [])
    assert match(ours, theirs) == {0: 0, 1: 3, 2: 1, 4: 2}


def test_matching_ends_on_cycles_and_leaves_dangling_ids_out() -> None:
    ours = saved([(b"a", 1), (b"x", 77)], [(b"root", 0), (b"a", 1)])
    theirs = stored([(b"a", 1), (b"x", 1)], [(b"root", 0), (b"a", 44)])
    assert match(ours, theirs) == {0: 0, 1: 1}


def test_slot_variables_with_wrong_ids_are_left_out() -> None:
    root = user_object([(b"v", 1)])
    root.slot_variables.add(original_variable_node_id=1, slot_name=b"m", slot_variable_node_id=1)
    root.slot_variables.add(original_variable_node_id=9, slot_name=b"m", slot_variable_node_id=1)
    root.slot_variables.add(original_variable_node_id=1, slot_name=b"m", slot_variable_node_id=-4)
    found = saved_object_graph(object_graph([root, variable_object(b"v", [2])]), path="m.pb").object(0)
    assert [(slot.name, slot.original, slot.slot) for slot in found.slots] == [("m", 1, 1)]


def test_kinds_and_labels() -> None:
    found = saved_object_graph(
        object_graph([user_object([]), variable_object(b"w\x1b", [2])], {b"f": concrete_function([1, 5])}), path="m.pb"
    )
    assert (found.object(0).kind, found.object(0).label) == ("user_object", "_generic_user_object")
    assert (found.object(1).kind, found.object(1).label) == ("variable", "w\x1b")
    assert found.concrete_functions == {"f": (1, 5)}
    kept = trackable_object_graph(
        trackable_graph([([(b"v", 1)], None), ([], b"v/.ATTRIBUTES/VARIABLE_VALUE")]), path="i"
    )
    assert (kept.object(0).kind, kept.object(1).kind) == ("object", "variable")
    assert kept.object(1).tensors[0].key == "v/.ATTRIBUTES/VARIABLE_VALUE"


def test_bytes_that_are_no_graph_are_refused() -> None:
    for read in (saved_object_graph, trackable_object_graph):
        with pytest.raises(CorruptError) as caught:
            read(DAMAGED, path="m.pb")
        assert caught.value.path == "m.pb"


def test_a_long_chain_of_variables_costs_what_the_file_costs(made_models: object) -> None:
    """Each variable's path is as long as its depth: all of them together must not be kept."""
    code = """
import sys
from pathlib import Path
from core.saved_model_writer import meta_graph, object_graph, user_object, variable_object, write_saved_model
from tfexplore.core.opener import open_model
from tfexplore.core.tree import root_items
size = 20_000
chain = [user_object([(b"a", 1)])]
chain += [variable_object(b"v%d" % place, [1], [(b"a", place + 1)]) for place in range(1, size)]
chain.append(variable_object(b"last", [1]))
write_saved_model(Path(sys.argv[1]), meta_graph(objects=object_graph(chain)))
with open_model(sys.argv[1]) as model:
    assert len(model.meta_graphs[0].variables) == size
    root_items(model)
"""
    assert peak_memory(code, f"{made_models}/chain") < 256 * MEGABYTE


ref_lists = st.lists(
    st.lists(st.tuples(st.sampled_from([b"a", b"b", b"\xff", b""]), st.integers(-2, 6)), max_size=4), max_size=6
)


@given(ref_lists, ref_lists)
def test_any_graph_is_walked_to_its_end(ours: list[Refs], theirs: list[Refs]) -> None:
    graph, other = saved(*ours), stored(*theirs)
    reached = set(graph.walk)
    assert len(reached) == len(graph.walk)
    for node_id in range(len(graph)):
        assert (graph.path(node_id) is not None) is (node_id in reached or node_id == 0)
        graph.object(node_id)
    found = match(graph, other)
    assert all(0 <= one < len(graph) and 0 <= two < len(other) for one, two in found.items())
    assert set(found) <= reached


def test_slot_variables_are_matched_by_their_original_and_name() -> None:
    from core.saved_model_writer import object_graph, user_object, variable_object
    from tfexplore.formats.proto import lean

    def graph(order: list[int]) -> ObjectGraph:
        raw = object_graph([user_object([(b"w", 1), (b"opt", 2)]), variable_object(b"w", [2])])
        message = lean("SavedObjectGraph").FromString(raw)
        for _ in range(3):
            message.nodes.add()
        for slot in (b"m", b"v"):
            place = order[0] if slot == b"m" else order[1]
            message.nodes[2].slot_variables.add(
                original_variable_node_id=1, slot_name=slot, slot_variable_node_id=place
            )
        return saved_object_graph(message.SerializeToString(), path="x")

    assert match(graph([3, 4]), graph([4, 3])) == {0: 0, 1: 1, 2: 2, 3: 4, 4: 3}


def test_a_path_that_nobody_can_read_is_none() -> None:
    found = saved(*[[(b"next", place + 1)] for place in range(1000)], [])
    assert found.path(10) == ".".join(["next"] * 10)
    assert found.path(900) is None
    assert len(found.walk) == 1001
