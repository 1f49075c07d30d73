"""What a checkpoint's object graph adds to its keys: slot variables, damage, and one moment with the values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.saved_model_writer import children, trackable_graph
from formats.table_writer import strings, write_bundle
from tfexplore.core.checkpoint import OBJECT_GRAPH_KEY, Checkpoint
from tfexplore.core.describe import describe
from tfexplore.core.opener import open_model
from tfexplore.core.sections import section
from tfexplore.core.subjects import KeySubject
from tfexplore.core.summary import summary
from tfexplore.core.tree import root_items
from tfexplore.formats.proto import lean

W, SLOT = b"w/.ATTRIBUTES/VARIABLE_VALUE", b"w/.OPTIMIZER_SLOT/opt/m/.ATTRIBUTES/VARIABLE_VALUE"


def graph_with_a_slot() -> bytes:
    """A root with a variable and an optimizer, whose slot variable no attribute reaches."""
    message = lean("TrackableObjectGraph").FromString(
        trackable_graph([([(b"w", 1), (b"opt", 2)], None), ((), W), ((), None), ((), SLOT)])
    )
    message.nodes[2].slot_variables.add(original_variable_node_id=1, slot_name=b"m", slot_variable_node_id=3)
    return bytes(message.SerializeToString())


def write(prefix: Path, graph: bytes, value: Any = 1.0) -> None:
    tensors = {W: np.full((2, 3), value, np.float32), SLOT: np.full((2, 3), value, np.float32)}
    scalar = strings(graph).reshape(())
    write_bundle(prefix, {**tensors, OBJECT_GRAPH_KEY.encode(): scalar})


def test_slot_variables_are_variables_and_objects(tmp_path: Path) -> None:
    write(tmp_path / "c", graph_with_a_slot())
    with open_model(str(tmp_path / "c")) as model:
        rows = list(section(model, "variables"))
        assert sorted(row["key"] for row in rows) == [W.decode(), SLOT.decode()]
        assert len(rows) == summary(model)["variables"] == 2
        objects = list(section(model, "objects"))
        assert [row["path"] for row in objects] == ["root", "w", "opt", "opt m of w"]
        assert objects[2]["slots"] == [{"slot": "m", "variable": "w", "value": "opt m of w"}]
        heading = next(item for item in root_items(model) if item.label == "Objects")
        assert heading.note == str(len(objects))


def test_one_damaged_object_hides_no_other(tmp_path: Path) -> None:
    good = graph_with_a_slot()
    name = good.index(b"\x0a\x05\x08\x01\x12\x01w")  # the reference to w: its length made longer than what is left
    write(tmp_path / "c", good[: name + 1] + b"\x7f" + good[name + 2 :])
    with open_model(str(tmp_path / "c")) as model:
        assert len(list(section(model, "objects"))) == 4
        assert {row["key"] for row in section(model, "variables")} >= {SLOT.decode()}
        assert any("object graph is damaged" in note for note in summary(model)["notes"])


def test_variables_are_keys_where_nothing_of_the_object_graph_can_be_read(tmp_path: Path) -> None:
    write(tmp_path / "c", b"\xff\xff\xff")
    with open_model(str(tmp_path / "c")) as model:
        assert [row["key"] for row in section(model, "variables")] == sorted((W.decode(), SLOT.decode()))
        assert any("object graph cannot be read" in note for note in summary(model)["notes"])


def test_the_object_graph_is_of_one_moment_with_the_index(tmp_path: Path) -> None:
    """The trainer has put other data in place; its index follows while the object graph is being read."""
    write(tmp_path / "c", graph_with_a_slot())
    checkpoint = Checkpoint(str(tmp_path / "c"))
    more = lean("TrackableObjectGraph").FromString(graph_with_a_slot())
    more.nodes[0].children.extend(children([(b"another", 1)]))
    write(tmp_path / "new", bytes(more.SerializeToString()), 2.0)
    for end in (".data-00000-of-00001", ".index"):
        os.replace(f"{tmp_path}/new{end}", f"{tmp_path}/c{end}")
    # The shard was opened with the index, so this is the old moment as a whole; read anew it is the new one.
    objects = checkpoint.objects
    assert objects is not None
    assert [name for name, _ in objects.object(0).children] == ["w", "opt"]
    assert checkpoint.read(W.decode()).array[0, 0] == 1.0


def test_an_object_graph_that_was_overwritten_is_read_anew(tmp_path: Path) -> None:
    write(tmp_path / "c", graph_with_a_slot())
    checkpoint = Checkpoint(str(tmp_path / "c"))
    more = lean("TrackableObjectGraph").FromString(graph_with_a_slot())
    more.nodes[0].children.extend(children([(b"another", 1)]))
    write(tmp_path / "c", bytes(more.SerializeToString()), 2.0)  # in place, as `cp` does it
    objects = checkpoint.objects
    assert objects is not None
    assert checkpoint.objects_checksum == "good"
    assert [name for name, _ in objects.object(0).children] == ["w", "opt", "another"]
    assert checkpoint.restarts == 1


def test_a_value_that_was_overwritten_by_a_smaller_one_is_shown_as_it_is_now(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", {b"w": np.ones((600, 600), np.float64)})
    checkpoint = Checkpoint(str(tmp_path / "c"))
    write_bundle(tmp_path / "c", {b"w": np.full((2, 2), 7.0)})
    detail = describe(KeySubject(checkpoint, "w"))
    lines = [line.value for block in detail.blocks for line in block.lines]
    assert any("rewritten since it was opened" in line for line in lines)
    assert "7  7" in lines


@pytest.mark.parametrize("shards", [1, 2])
def test_values_beyond_the_end_of_their_data_file_are_noted(tmp_path: Path, shards: int) -> None:
    write_bundle(tmp_path / "c", {b"a%d" % number: np.ones(4) for number in range(6)}, shards=shards)
    data = tmp_path / f"c.data-00000-of-0000{shards}"
    data.write_bytes(data.read_bytes()[: 40 // shards])
    with open_model(str(tmp_path / "c")) as model:
        (note,) = summary(model)["notes"]
        size, needed, count, first = (40, 192, 5, "a1") if shards == 1 else (20, 96, 3, "a0")
        assert note == (
            f"{data.name} has {size} bytes where the index needs {needed}: {count} values lie beyond its end and "
            f"cannot be read, the first of them {first}"
        )
        heading = next(item for item in root_items(model) if item.label == "Notes")
        assert heading.children is not None
        heading.children.load(None)
        assert [item.label for item in heading.children.page(0, 9, None)] == [note]
        data.unlink()  # that it is missing is told by itself
        assert all("beyond" not in found for found in summary(model)["notes"])
