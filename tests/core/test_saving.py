"""Outputs as files: names, dtypes, nothing replaced unasked, nothing half-written."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tfexplore.core.outputs import Output
from tfexplore.core.saving import save_outputs
from tfexplore.errors import UsageError


def output(name: str, values: Any = 1.0, dtype: str = "float32") -> Output:
    return Output(name, dtype, np.array(values, object if dtype == "string" else dtype))


def saved(folder: Path, *outputs: Output, **more: Any) -> list[str]:
    """The names of the files, in the order of the outputs."""
    found = save_outputs(outputs, str(folder), **more)
    assert [os.path.dirname(path) for path in found] == [str(folder)] * len(outputs)
    assert sorted(os.listdir(folder)) == sorted(map(os.path.basename, found))
    return [os.path.basename(path) for path in found]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="float32").reshape(2, 3),
        np.array(True),
        np.zeros((0, 3), "int64"),
        np.array([1 + 2j], "complex64"),
        np.array([np.nan, np.inf], "float16"),
        np.asfortranarray(np.arange(6, dtype="uint8").reshape(2, 3)),
        np.array(np.arange(12, dtype="int32")[::2]),
    ],
)
def test_arrays_are_read_back(tmp_path: Path, array: Any) -> None:
    (name,) = saved(tmp_path / "new" / "folder", Output("y", array.dtype.name, array))
    assert name == "y.npy"
    found = np.load(tmp_path / "new" / "folder" / name, allow_pickle=False)
    assert (found.dtype, found.shape, found.tobytes("C")) == (array.dtype, array.shape, array.tobytes("C"))


@pytest.mark.parametrize(
    ("dtype", "written"),
    [
        ("bfloat16", "float32"),
        ("float8_e4m3fn", "float32"),
        ("float8_e5m2", "float32"),
        ("int4", "int8"),
        ("uint4", "uint8"),
    ],
)
def test_dtypes_that_numpy_does_not_have(tmp_path: Path, dtype: str, written: str) -> None:
    values = np.array([[1, 2], [3, 0]], getattr(ml_dtypes, dtype))
    saved(tmp_path, Output("y", dtype, values))
    found = np.load(tmp_path / "y.npy", allow_pickle=False)
    assert found.dtype == written
    assert found.tolist() == [[1, 2], [3, 0]]


def test_strings(tmp_path: Path) -> None:
    values = np.empty((2, 2), object)
    values[:] = [[b"a", "é日".encode()], [b"\xff\x00", b""]]
    assert saved(tmp_path, Output("words", "string", values)) == ["words.json"]
    raw = (tmp_path / "words.json").read_bytes()
    assert raw.isascii()
    assert json.loads(raw) == [["a", "é日"], [{"b64": "/wA="}, ""]]
    scalar = np.array(b"one", object)
    saved(tmp_path / "scalar", Output("word", "string", scalar))
    assert json.loads((tmp_path / "scalar" / "word.json").read_text()) == "one"


def test_names_that_collide(tmp_path: Path) -> None:
    names = saved(tmp_path, *map(output, ("a/b", "a_b", "a:b", "a_b-2", "a_b")), output("a_b", b"x", "string"))
    assert names[0] == "a_b.npy"
    assert len(set(names)) == 6
    assert names[5] == "a_b.json"
    # Some file systems do not tell the case.
    upper = saved(tmp_path / "case", output("Y"), output("y"))
    assert len({name.lower() for name in upper}) == 2


HOSTILE = [
    "../../etc/passwd", "/abs", "..", ".", "", ".hidden", "a\0b", "a\nb", "\x1b[31m", "\udcff\udc80", "日" * 300,
    "n" * 10_000, "con/../x", "-rf", "~", "$(id)", "a b", "\u202etxt", "StatefulPartitionedCall:0",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    (file,) = saved(tmp_path / "out", output(name))
    assert os.listdir(tmp_path) == ["out"]
    assert file.endswith(".npy")
    assert not file.startswith((".", "-"))
    assert len(os.fsencode(file)) < 200
    assert file.isprintable()
    assert "/" not in file


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "b.npy").write_text("mine")
    with pytest.raises(UsageError) as found:
        save_outputs([output("a"), output("b")], str(tmp_path))
    assert str(found.value) == f"{tmp_path}/b.npy exists already; --overwrite replaces it"
    assert os.listdir(tmp_path) == ["b.npy"]
    assert (tmp_path / "b.npy").read_text() == "mine"
    saved(tmp_path, output("a"), output("b"), overwrite=True)
    assert np.load(tmp_path / "b.npy") == 1


def test_a_dangling_link_counts_as_a_file_and_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "y.npy").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="exists already"):
        save_outputs([output("y")], str(tmp_path / "out"))
    saved(tmp_path / "out", output("y"), overwrite=True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("n" * 300)):
        with pytest.raises(UsageError) as found:
            save_outputs([output("y")], str(folder))
        assert str(found.value).startswith(f"{folder}: the outputs cannot be saved: ")
    (tmp_path / "out" / "y.npy").mkdir(parents=True)
    with pytest.raises(UsageError, match="the outputs cannot be saved: is a directory"):
        save_outputs([output("y")], str(tmp_path / "out"), overwrite=True)
    assert os.listdir(tmp_path / "out") == ["y.npy"]


def test_files_have_the_rights_that_others_have(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        saved(tmp_path / "out", output("y"))
    finally:
        assert os.umask(before) == 0o027
    assert stat.S_IMODE((tmp_path / "out" / "y.npy").stat().st_mode) == 0o640


def test_a_failure_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, output("y"))
    before = (tmp_path / "y.npy").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="the outputs cannot be saved: no space left on device"):
        save_outputs([output("y", [1.0] * 100)], str(tmp_path), overwrite=True)
    assert os.listdir(tmp_path) == ["y.npy"]
    assert (tmp_path / "y.npy").read_bytes() == before


@pytest.mark.parametrize("step", ["write", "fsync", "chmod", "replace"])
def test_killed_at_any_step(tmp_path: Path, step: str) -> None:
    """Whatever is there under the final name is the old file or the whole new one."""
    saved(tmp_path, output("y"))
    before = (tmp_path / "y.npy").read_bytes()
    child = os.fork()
    if not child:
        import signal

        def die(*_: Any, **__: Any) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        if step == "write":
            np.save = die
        else:
            setattr(os, step, die)
        save_outputs([output("y", [2.0] * 1000)], str(tmp_path), overwrite=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert (tmp_path / "y.npy").read_bytes() == before
    assert all(name == "y.npy" or name.startswith(".tfexplore-") for name in os.listdir(tmp_path))
