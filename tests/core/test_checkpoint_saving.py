"""A directory of checkpoints: the newest are kept, nothing is replaced, and a writer may be killed at any moment."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.checkpoint_saving import CheckpointDirectory, files_of, latest_of
from tfexplore.demo import FOLDER
from tfexplore.errors import UsageError
from tfexplore.formats.checkpoint_state import read_checkpoint_state

MARK = "data/row/.ATTRIBUTES/VARIABLE_VALUE"


@pytest.fixture(scope="module")
def written(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as the child writes one."""
    folder = tmp_path_factory.mktemp("written")
    checkpoint = tf.train.Checkpoint(net=tf.Variable([1.0, 2.0]), data=tf.train.Checkpoint(row=tf.Variable(3)))
    checkpoint.write(str(folder / "ckpt"))
    return folder


def save(directory: CheckpointDirectory, written: Path, step: int) -> tuple[str, list[str]]:
    names = sorted(path.name for path in written.iterdir())
    with directory.begin(step, names) as new:
        for name in names:
            data = (written / name).read_bytes()
            new.write(name, data[:50])
            new.write(name, data[50:])
        return new.commit()


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def is_whole(prefix: str) -> bool:
    checkpoint = Checkpoint(prefix)
    try:
        return checkpoint.has(MARK) and checkpoint.read(MARK).checksum == "good" and not checkpoint.damage
    finally:
        checkpoint.close()


def test_the_newest_are_kept(written: Path, tmp_path: Path, tf: Any) -> None:
    folder = tmp_path / "a" / "b"
    directory = CheckpointDirectory(str(folder), 2)
    assert directory.latest() is None
    gone = [save(directory, written, step)[1] for step in (10, 20, 30)]
    assert gone == [[], [], [str(folder / "ckpt-10")]]
    assert set(content(folder)) == {"checkpoint"} | {
        f"ckpt-{step}{part}" for step in (20, 30) for part in (".index", ".data-00000-of-00001")
    }
    assert directory.latest() == tf.train.latest_checkpoint(str(folder)) == str(folder / "ckpt-30")
    state = read_checkpoint_state(str(folder / "checkpoint"))
    assert state.all_model_checkpoint_paths == ("ckpt-20", "ckpt-30")
    theirs = tf.train.get_checkpoint_state(str(folder))
    assert list(theirs.all_model_checkpoint_paths) == [str(folder / "ckpt-20"), str(folder / "ckpt-30")]
    assert state.all_model_checkpoint_timestamps == tuple(theirs.all_model_checkpoint_timestamps)
    # Another process goes on.
    assert save(CheckpointDirectory(str(folder), 2), written, 40)[1] == [str(folder / "ckpt-20")]
    assert [name for name, _, _ in files_of(str(folder / "ckpt-40"))] == ["ckpt.data-00000-of-00001", "ckpt.index"]


def test_checkpoints_of_others_stay_and_nothing_is_replaced(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "training"
    shutil.copytree(FOLDER / "training", folder)
    before = content(folder)
    directory = CheckpointDirectory(str(folder), 1)
    assert save(directory, written, 300) == (str(folder / "ckpt-r2-300"), [])
    assert save(directory, written, 300) == (str(folder / "ckpt-r3-300"), [str(folder / "ckpt-r2-300")])
    after = content(folder)
    assert {name: data for name, data in after.items() if name in before and name != "checkpoint"} == {
        name: data for name, data in before.items() if name != "checkpoint"
    }
    assert read_checkpoint_state(str(folder / "checkpoint")).all_model_checkpoint_paths == (
        "ckpt-100", "ckpt-200", "ckpt-300", "ckpt-r3-300",
    )  # fmt: skip


def test_what_lies_elsewhere_is_never_removed(written: Path, tmp_path: Path) -> None:
    other = CheckpointDirectory(str(tmp_path / "other"), 0)
    save(other, written, 1)
    before = content(tmp_path / "other")
    folder = tmp_path / "ours"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "other")
    (folder / "checkpoint").write_text(
        'model_checkpoint_path: "link/ckpt-1"\nall_model_checkpoint_paths: "link/ckpt-1"\n'
        f'all_model_checkpoint_paths: "{tmp_path}/other/ckpt-1"\n'
    )
    directory = CheckpointDirectory(str(folder), 1)
    assert save(directory, written, 10)[1] == []
    assert save(directory, written, 20)[1] == [str(folder / "ckpt-10")]
    assert content(tmp_path / "other") == before


def test_what_is_no_checkpoint(written: Path, tmp_path: Path) -> None:
    directory = CheckpointDirectory(str(tmp_path), 1)
    for names in (
        ["ckpt.index", "../x"],
        ["x.index"],
        ["ckpt.data-00000-of-00001"],
        ["ckpt.index", "ckpt.index/x"],
        [],
    ):
        with pytest.raises(UsageError, match="what was to be saved is no checkpoint"):
            directory.begin(1, names)
    assert content(tmp_path) == {}
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        CheckpointDirectory(str(tmp_path / "file"), 1)


def test_killed_at_every_moment_what_was_there_is_whole(written: Path, tmp_path: Path) -> None:
    """A process saves a second checkpoint with one to keep, and ends before the n-th system call that changes files."""
    calls = ("open", "write", "fsync", "replace", "unlink")
    reached, moment = True, 0
    while reached:
        folder = tmp_path / str(moment)
        save(CheckpointDirectory(str(folder), 1), written, 1)
        first = content(folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TensorFlow has threads, which the child leaves alone
            child = os.fork()
        if not child:
            left = moment
            try:

                def count() -> int:
                    nonlocal left
                    left -= 1
                    return left

                for name in calls:
                    setattr(os, name, dying(getattr(os, name), count))
                save(CheckpointDirectory(str(folder), 1), written, 2)
                os._exit(0)
            finally:
                os._exit(3)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, 9), moment
        reached = code == 9
        latest = latest_of(str(folder))
        assert latest in (str(folder / "ckpt-1"), str(folder / "ckpt-2"))
        assert is_whole(latest)
        if latest.endswith("ckpt-1"):
            assert {name: data for name, data in content(folder).items() if name in first} == first
        # And the next save succeeds.
        assert is_whole(save(CheckpointDirectory(str(folder), 1), written, 3)[0])
        moment += 1
    assert moment > 12


def dying(function: Any, count: Any) -> Any:
    """The function, which ends the process where `count` has come to its end."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if count() < 0:
            os._exit(9)
        return function(*args, **kwargs)

    return call


def test_a_full_disk_leaves_what_was_there(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = CheckpointDirectory(str(tmp_path), 1)
    save(directory, written, 1)
    before = content(tmp_path)

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UsageError, match="no space left on device"):
        save(directory, written, 2)
    assert content(tmp_path) == before
