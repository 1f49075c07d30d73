"""Training directories: which checkpoints there are, which is the latest, and what is told of damaged ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.opening import bundle, opened, refused, small_model
from tfexplore.core.model import COLLECTION, TRAINING_DIRECTORY, Model
from tfexplore.core.subjects import ScopeSubject
from tfexplore.core.tree import root_items
from tfexplore.errors import ModelError, NotAModelError


def state(folder: Path, latest: str, *others: str, stamps: tuple[float, ...] = ()) -> None:
    lines = [f'model_checkpoint_path: "{latest}"']
    lines += [f'all_model_checkpoint_paths: "{name}"' for name in (*others, latest)]
    lines += [f"all_model_checkpoint_timestamps: {stamp}" for stamp in stamps]
    (folder / "checkpoint").write_text("\n".join(lines) + "\n")


def names(model: Model) -> list[str]:
    return [os.path.basename(file.prefix) for file in model.checkpoint_files]


def latest(model: Model) -> list[str]:
    return [os.path.basename(file.prefix) for file in model.checkpoint_files if file.latest]


def test_a_training_directory(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        bundle(tmp_path / f"ckpt-{step}", b"w%d" % step)
    state(tmp_path, "ckpt-100", "ckpt-9", "ckpt-10", stamps=(1.0, 2.0, 3.0))
    for path in (tmp_path, tmp_path / "checkpoint"):
        model = opened(path)
        assert isinstance(model, Model)
        assert model.kind == TRAINING_DIRECTORY
        assert names(model) == ["ckpt-9", "ckpt-10", "ckpt-100"]
        assert latest(model) == ["ckpt-100"]
        assert model.checkpoint is not None
        assert model.checkpoint.keys == ["w100"]
        assert model.notes == ()


def test_without_a_state_file_the_newest_in_natural_order_is_the_latest(tmp_path: Path) -> None:
    for step in (9, 10):
        bundle(tmp_path / f"ckpt-{step}")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert (names(model), latest(model)) == (["ckpt-9", "ckpt-10"], ["ckpt-10"])


@pytest.mark.parametrize(
    "stored",
    ["/home/somebody/run/ckpt-2", "../elsewhere/ckpt-2", "gs://bucket/run/ckpt-2", "C:\\\\run\\\\ckpt-2", "./ckpt-2"],
)
def test_paths_of_another_machine_stand_for_the_files_beside(tmp_path: Path, stored: str) -> None:
    bundle(tmp_path / "run" / "ckpt-1")
    bundle(tmp_path / "run" / "ckpt-2")
    bundle(tmp_path / "elsewhere" / "ckpt-2", b"foreign")
    state(tmp_path / "run", stored, stamps=(5.0,))
    model = opened(tmp_path / "run")
    assert isinstance(model, Model)
    assert latest(model) == ["ckpt-2"]
    assert model.checkpoint is not None
    assert model.checkpoint.keys == ["w"]


def test_a_latest_checkpoint_that_is_gone_is_told(tmp_path: Path) -> None:
    bundle(tmp_path / "ckpt-1")
    state(tmp_path, "/dev/zero", stamps=(5.0,))
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert latest(model) == ["ckpt-1"]
    assert any("/dev/zero" in note for note in model.notes)


@pytest.mark.parametrize("stamp", ["nan", "inf", "-inf", "1e300"])
def test_odd_times_in_the_state_file(tmp_path: Path, stamp: str) -> None:
    for step in (1, 2):
        bundle(tmp_path / f"ckpt-{step}")
    state(tmp_path, "ckpt-2", "ckpt-1")
    with (tmp_path / "checkpoint").open("a") as file:
        file.write(f"all_model_checkpoint_timestamps: {stamp}\nall_model_checkpoint_timestamps: 3\n")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert latest(model) == ["ckpt-2"]
    assert len(model.checkpoints) == 2


def test_a_state_file_that_is_garbage_is_told(tmp_path: Path) -> None:
    bundle(tmp_path / "ckpt-1")
    (tmp_path / "checkpoint").write_bytes(b"\xff\x00garbage {")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert latest(model) == ["ckpt-1"]
    assert any("checkpoint" in note for note in model.notes)


def test_a_state_file_alone_is_no_training_directory(tmp_path: Path) -> None:
    state(tmp_path, "ckpt-1")
    refused(tmp_path, NotAModelError)
    refused(tmp_path / "checkpoint", NotAModelError)


def broken_footer(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def broken_block(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[5] ^= 0xFF
    path.write_bytes(bytes(data))


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def no_bytes(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [broken_footer, broken_block, zeros, no_bytes]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_latest_checkpoint_is_named_as_damaged(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    for step in (1, 2):
        bundle(tmp_path / f"ckpt-{step}")
    state(tmp_path, "ckpt-2", "ckpt-1", stamps=(1.0, 2.0))
    damage(tmp_path / "ckpt-2.index")
    model = opened(tmp_path)
    assert isinstance(model, Model), repr(model)
    assert "ckpt-1" in names(model)
    told = [note for note in model.notes if "ckpt-2" in note]
    assert told
    assert not any("not here" in note for note in told)


@pytest.mark.parametrize("damage", [broken_footer, zeros, no_bytes])
def test_a_damaged_only_checkpoint_is_not_said_to_be_missing(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    bundle(tmp_path / "ckpt-1")
    damage(tmp_path / "ckpt-1.index")
    error = refused(tmp_path, ModelError)
    assert "ckpt-1" in str(error)


def test_an_only_checkpoint_with_a_damaged_block_opens_with_what_is_left(tmp_path: Path) -> None:
    bundle(tmp_path / "ckpt-1")
    broken_block(tmp_path / "ckpt-1.index")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert model.checkpoint is not None
    assert all(model.checkpoint.is_doubtful(key) for key in model.checkpoint.keys)
    assert any("ckpt-1.index" in note and "does not match its checksum" in note for note in model.notes)


def test_a_damaged_older_checkpoint_is_listed_with_its_problem(tmp_path: Path) -> None:
    for step in (1, 2):
        bundle(tmp_path / f"ckpt-{step}")
    broken_block(tmp_path / "ckpt-1.index")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert [info.problem is None for info in model.checkpoints] == [False, True]


def test_a_folder_named_checkpoint_is_no_state_file(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    bundle(tmp_path / "checkpoint" / "model")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert (model.kind, [found.path for found in model.found]) == (COLLECTION, ["checkpoint/model"])


def test_a_checkpoint_without_a_time_stands_by_its_step(tmp_path: Path) -> None:
    for step in (2, 3, 10):
        bundle(tmp_path / f"ckpt-{step}")
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "ckpt-3"\nall_model_checkpoint_paths: "ckpt-2"\nall_model_checkpoint_paths: "ckpt-3"\n'
        "all_model_checkpoint_timestamps: 100\nall_model_checkpoint_timestamps: 200\n"
    )
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert [info.step for info in model.checkpoints] == [2, 3, 10]
    assert [info.latest for info in model.checkpoints] == [False, True, False]


def test_scopes_of_keys_tell_their_elements_and_bytes(tmp_path: Path) -> None:
    from formats.table_writer import write_bundle

    write_bundle(
        tmp_path / "model",
        {b"a/x": np.ones((2, 3), np.float32), b"a/y": np.ones(4, np.int64), b"b/z": np.ones(1, np.uint8)},
    )
    model = opened(tmp_path / "model")
    assert isinstance(model, Model)
    keys = next(item for item in root_items(model) if item.label == "Keys")
    assert keys.children is not None
    found = {item.label: item.subject for item in keys.children.page(0, 10)}
    assert isinstance(found["a"], ScopeSubject)
    assert (found["a"].count, found["a"].parameters, found["a"].nbytes) == (2, 10, 56)
    assert isinstance(found["b"], ScopeSubject)
    assert (found["b"].count, found["b"].parameters, found["b"].nbytes) == (1, 1, 1)


@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize("damage", [broken_footer, zeros, no_bytes])
def test_where_the_latest_cannot_be_read_the_newest_that_can_is_shown(
    tmp_path: Path, damage: Callable[[Path], None], with_state: bool
) -> None:
    for step in (1, 2, 3):
        bundle(tmp_path / f"ckpt-{step}", b"w%d" % step)
    if with_state:
        state(tmp_path, "ckpt-3", "ckpt-1", "ckpt-2", stamps=(1.0, 2.0, 3.0))
    damage(tmp_path / "ckpt-3.index")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert (names(model), latest(model)) == (["ckpt-1", "ckpt-2", "ckpt-3"], ["ckpt-3"])
    assert model.checkpoint is not None
    assert model.checkpoint.keys == ["w2"]
    assert any("the latest checkpoint cannot be read" in note and "ckpt-3" in note for note in model.notes)
    assert [info.problem is None for info in model.checkpoints] == [True, True, False]


def test_an_index_of_something_else_is_no_checkpoint(tmp_path: Path) -> None:
    bundle(tmp_path / "ckpt-1")
    (tmp_path / "book.index").write_text("alpha 1\nbeta 2\n")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert names(model) == ["ckpt-1"]


def test_other_models_beside_the_checkpoints_are_told(tmp_path: Path) -> None:
    bundle(tmp_path / "ckpt-1")
    assert not_told(tmp_path)
    small_model(tmp_path / "export" / "1700000000")
    small_model(tmp_path / "best")
    for name in ("ckpt-1.meta", "graph.pbtxt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "eval").mkdir()
    model = opened(tmp_path)
    assert isinstance(model, Model)
    (note,) = model.notes
    assert note == "beside the checkpoints lie ckpt-1.meta, graph.pbtxt, best and 1 more: open one by its path"


def not_told(folder: Path) -> bool:
    model = opened(folder)
    return isinstance(model, Model) and model.notes == ()
