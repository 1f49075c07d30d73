"""Slot variables, told by references, by order and shape, and by name; sizes that count each value once; meanings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.saved_model_writer import (
    concrete_function,
    function,
    meta_graph,
    object_graph,
    trackable_graph,
    user_object,
    variable_object,
    write_saved_model,
)
from formats.table_writer import write_bundle
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.describe import describe
from tfexplore.core.detail import Line
from tfexplore.core.items import Item, Scoped
from tfexplore.core.objects import ObjectGraph
from tfexplore.core.op_defs import OpDefs, is_tensorflows
from tfexplore.core.op_meanings import meaning, meanings
from tfexplore.core.opener import open_model
from tfexplore.core.slots import slots
from tfexplore.core.subjects import KeySubject, ModelSubject, NoteSubject, ScopeSubject, VariableSubject
from tfexplore.core.summary import summary
from tfexplore.core.tree import root_items
from tfexplore.formats.proto import lean


def slot_lines(subject: KeySubject | VariableSubject) -> list[Line]:
    return [line for part in describe(subject).blocks if part.title == "slot variables" for line in part.lines]


def keras3(variables: Sequence[tuple[int, ...]], lists: dict[bytes, list[tuple[int, ...]]], everything: bool) -> Any:
    """A SavedObjectGraph with an optimizer as Keras 3 stores it: (the graph, ids of variables, ids by list)."""
    objects: list[Any] = [None, None]

    def add(message: Any) -> int:
        objects.append(message)
        return len(objects) - 1

    trained = [add(variable_object(b"v%d" % number, sizes)) for number, sizes in enumerate(variables)]
    step = add(variable_object(b"iteration", []))
    by_list = {
        name: [add(variable_object(name + b"%d" % number, sizes)) for number, sizes in enumerate(shapes)]
        for name, shapes in lists.items()
    }

    def listed(ids: list[int]) -> int:
        return add(user_object([(b"%d" % number, node_id) for number, node_id in enumerate(ids)]))

    refs = [(b"_trainable_variables", listed(trained)), (b"_iterations", step)]
    if everything:
        refs.append((b"_variables", listed([step, *(node_id for ids in by_list.values() for node_id in ids)])))
    else:
        refs += [(name, listed(ids)) for name, ids in by_list.items()]
    objects[0] = user_object([(b"optimizer", 1)])
    objects[1] = user_object(refs)
    return ObjectGraph(objects), trained, by_list


dims = st.lists(st.integers(1, 3), max_size=2).map(tuple)


@given(st.lists(dims, min_size=1, max_size=4))
def test_lists_of_equal_shapes_are_slots_in_their_order(shapes: list[tuple[int, ...]]) -> None:
    lists = {
        b"_momentums": shapes,
        b"_velocities": shapes,
        b"_other": [*shapes, (9, 9)],
        b"_wrong": [(9, 9)] * len(shapes),
    }
    objects, trained, by_list = keras3(shapes, lists, False)
    found = slots(objects)
    for number, node_id in enumerate(trained):
        assert [(slot.name, slot.slot, slot.inferred) for slot in found.of[node_id]] == [
            ("_momentums", by_list[b"_momentums"][number], True),
            ("_velocities", by_list[b"_velocities"][number], True),
        ]
    assert set(found.owner) == {*by_list[b"_momentums"], *by_list[b"_velocities"]}


def test_one_list_is_told_apart_only_where_shapes_do() -> None:
    objects, trained, by_list = keras3([(2,), (3,)], {b"_a": [(2,), (3,)], b"_b": [(2,), (3,)]}, True)
    assert [slot.slot for slot in slots(objects).of[trained[1]]] == [by_list[b"_a"][1], by_list[b"_b"][1]]
    objects, _, _ = keras3([(2,), (2,)], {b"_a": [(2,), (2,)], b"_b": [(2,), (2,)]}, True)
    assert slots(objects).of == {}
    objects, _, _ = keras3([(2,), (3,)], {b"_a": [(2,), (4,)]}, True)
    assert slots(objects).of == {}


def test_a_checkpoints_slots_lead_both_ways(tmp_path: Path) -> None:
    suffix = b"/.ATTRIBUTES/VARIABLE_VALUE"
    keys = [name + suffix for name in (b"w", b"b", b"optimizer/m/0", b"optimizer/m/1")]
    graph = trackable_graph(
        [
            ([(b"w", 1), (b"b", 2), (b"optimizer", 3)], None),
            ([], keys[0]),
            ([], keys[1]),
            ([(b"_trainable_variables", 4), (b"_momentums", 5)], None),
            ([(b"0", 2), (b"1", 1)], None),
            ([(b"0", 6), (b"1", 7)], None),
            ([], keys[2]),
            ([], keys[3]),
        ]
    )
    shapes = [(2, 3), (3,), (3,), (2, 3)]
    values: dict[bytes, Any] = {key: np.zeros(size, np.float32) for key, size in zip(keys, shapes, strict=True)}
    values[b"_CHECKPOINTABLE_OBJECT_GRAPH"] = np.array(graph, object)
    write_bundle(tmp_path / "ckpt", values)
    checkpoint = Checkpoint(str(tmp_path / "ckpt"))
    try:
        (line,) = slot_lines(KeySubject(checkpoint, keys[0].decode()))
        assert (line.label, line.value) == ("_momentums (inferred)", keys[3].decode())
        assert isinstance(line.subject, KeySubject)
        (back,) = slot_lines(line.subject)
        assert (back.label, back.value) == ("slot of (inferred)", keys[0].decode())
    finally:
        checkpoint.close()


def test_slots_by_name(tmp_path: Path) -> None:
    values = {
        b"w": np.zeros((2, 3)), b"w/Adam": np.zeros((2, 3)), b"w/Adam_1": np.zeros((2, 3)), b"w/Momentum": np.zeros(7),
        b"w/other": np.zeros((2, 3)), b"w2": np.zeros(1),
    }  # fmt: skip
    write_bundle(tmp_path / "ckpt", values)
    checkpoint = Checkpoint(str(tmp_path / "ckpt"))
    try:
        found = [(line.label, line.value) for line in slot_lines(KeySubject(checkpoint, "w"))]
    finally:
        checkpoint.close()
    assert found == [("Adam (inferred)", "w/Adam"), ("Adam_1 (inferred)", "w/Adam_1")]


def test_references_of_a_saved_model_are_no_inference(tmp_path: Path) -> None:
    optimizer = user_object([])
    optimizer.slot_variables.add(slot_name=b"m", original_variable_node_id=1, slot_variable_node_id=3)
    objects = [
        user_object([(b"w", 1), (b"opt", 2)]),
        variable_object(b"w", [2]),
        optimizer,
        variable_object(b"w/m", [2]),
    ]
    with open_model(str(write_saved_model(tmp_path / "m", meta_graph(objects=object_graph(objects))))) as model:
        owner = model.meta_graph()
        by_name = {variable.name: variable for variable in owner.variables}
        assert [(line.label, line.value) for line in slot_lines(VariableSubject(owner, by_name["w"]))] == [("m", "w/m")]
        assert [(line.label, line.value) for line in slot_lines(VariableSubject(owner, by_name["w/m"]))] == [
            ("slot of", "w")
        ]


# -- sizes --


@given(st.lists(st.tuples(st.text(alphabet="ab/", min_size=1, max_size=5), st.integers(0, 9)), max_size=15))
def test_a_scope_weighs_what_lies_below(things: list[tuple[str, int]]) -> None:
    things = sorted(things)
    names = [name for name, _ in things]

    def leaf(place: int, label: str, below: Any) -> Item:
        return Item("x", label, NoteSubject(""), below)

    root = Scoped(names, "thing", leaf, lambda: [(size, 4 * size) for _, size in things]).root()

    def look(item: Item, prefix: str) -> None:
        if isinstance(item.subject, ScopeSubject):
            inside = [size for name, size in things if name.startswith(item.subject.name + "/")]
            assert (item.subject.parameters, item.subject.nbytes) == (sum(inside), 4 * sum(inside))
        if item.children is not None:
            for child in item.children.page(0, item.children.load()):
                look(child, prefix)

    for item in root.page(0, root.load()):
        look(item, "")


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c/d"]), st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=5
    ),
    st.booleans(),
)
def test_each_value_counts_once_however_often_it_is_stored(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[str, int, int]], captured: bool
) -> None:
    """`made`: (scope, elements, how many objects have it); only the first of each is captured where any is."""
    objects: list[Any] = [None]
    refs, bound = [], []
    for number, (scope, elements, times) in enumerate(made):
        for time in range(times):
            refs.append((b"r%d_%d" % (number, time), len(objects)))
            if not time:
                bound.append(len(objects))
                refs.append((b"again%d" % number, len(objects)))  # one object, two attributes
            objects.append(variable_object(f"{scope}/v{number}".encode(), [elements]))
    objects[0] = user_object(refs)
    # All objects of one value lead to one object of the checkpoint, which holds it once.
    suffix = b"/.ATTRIBUTES/VARIABLE_VALUE"
    stored: list[Any] = [([], None)]
    values: dict[bytes, Any] = {}
    for number, (_, elements, times) in enumerate(made):
        stored[0][0].extend((b"r%d_%d" % (number, time), len(stored)) for time in range(times))
        values[b"v%d" % number + suffix] = np.zeros(elements, np.float32)
        stored.append(([], b"v%d" % number + suffix))
    values[b"_CHECKPOINTABLE_OBJECT_GRAPH"] = np.array(trackable_graph(stored), object)
    concrete = {b"f": concrete_function(bound)} if captured else {}
    whole = meta_graph(objects=object_graph(objects, concrete), functions=[function(b"f", [b"x%d" % n for n in bound])])
    folder = write_saved_model(tmp_path_factory.mktemp("once") / "m", whole)
    (folder / "variables").mkdir(exist_ok=True)
    write_bundle(folder / "variables" / "variables", values)
    total = sum(elements for _, elements, _ in made)
    with open_model(str(folder)) as model:
        facts = summary(model)
        assert (facts["parameters"], facts["bytes"]) == (total, 4 * total)
        assert sum(scope["parameters"] for scope in facts["scopes"]) == total
        by_scope = {scope["name"]: scope["parameters"] for scope in facts["scopes"]}
        for top in by_scope:
            assert by_scope[top] == sum(elements for scope, elements, _ in made if scope.partition("/")[0] == top)
        (heading,) = [item for item in root_items(model) if item.label == "Variables"]
        assert heading.note.endswith(f"· {total}")
        assert describe(ModelSubject(model)).title


# -- meanings --


def test_each_meaning_is_one_line_about_an_op_that_is() -> None:
    table = meanings()
    assert len(table) >= 200
    unknown = [op for op in table if not is_tensorflows(op)]
    assert unknown == []
    assert all(len(line) <= 110 and line == line.strip() and not line.endswith(".") for line in table.values())
    assert list(table) == sorted(table)


def test_other_ops_are_told_by_their_signature() -> None:
    assert meaning("Relu", None) == "keeps what is positive, else 0"
    assert meaning("Atan2", OpDefs().find("Atan2")) == "(y: T, x: T) → (z: T)"
    assert meaning("EnsureShape", OpDefs().find("EnsureShape")) == "(input: T) → (output: T)"
    assert meaning("NobodyKnows", None) is None
    hostile = lean("OpDef")(name=b"X")
    hostile.input_arg.add(name=b"\x1b[31m" * 99, type=1)
    shown = meaning("X", hostile)
    assert shown is not None
    assert shown.isprintable()
    assert len(shown) < 250
