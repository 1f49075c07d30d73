"""Exports: what is copied, what is refused and why, and that nothing is lost where one fails."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.exporting import ROWS, WEIGHTS, files_of, write_model
from core.saved_model_writer import meta_graph, write_saved_model
from formats import v1_writer
from tfexplore.core import new_folder
from tfexplore.core.export import check_export, export
from tfexplore.core.opener import open_model
from tfexplore.errors import Cancelled, ChecksumError, ModelError, NotFoundError, RefusedFileError, UsageError
from tfexplore.formats.fingerprint import fingerprint64, read_fingerprint, with_checkpoint_hash

NEW = {"w": WEIGHTS * 2, "rows": ROWS - 1}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def exported(source: Path, target: Path, values: dict[str, Any] | None = None, **options: Any) -> Any:
    with open_model(str(source)) as model:
        return export(model, NEW if values is None else values, str(target), **options)


def values_of(folder: Path) -> dict[str, np.ndarray]:
    with open_model(str(folder)) as model:
        assert model.checkpoint is not None
        found = {key: model.checkpoint.read(key) for key in model.checkpoint.keys}
        assert {value.checksum for value in found.values()} == {"good"}
        return {key: value.array for key, value in found.items()}


# -- what is written --


def test_everything_but_the_values_is_the_same(source: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    found = exported(source, tmp_path / "new", progress=lambda *step: steps.append(step))
    before, after = files_of(source), files_of(tmp_path / "new")
    assert before.keys() == after.keys()
    changed = {name for name in before if before[name] != after[name]}
    data = {f"variables/variables.data-0000{number}-of-00002" for number in (0, 1)}
    assert changed == {"variables/variables.index", "fingerprint.pb", *data}
    now = values_of(tmp_path / "new")
    assert {key: value.tolist() for key, value in now.items()} == {key: value.tolist() for key, value in NEW.items()}
    assert found.keys == ("rows", "w")
    assert found.notes == ()
    assert found.files == sum(data is not None for data in after.values())
    assert found.nbytes == sum(len(data) for data in after.values() if data is not None)
    assert steps[-1][0] == steps[-1][1]
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "new"]


def test_without_new_values_it_is_a_copy(source: Path, tmp_path: Path) -> None:
    exported(source, tmp_path / "new", {})
    before, after = files_of(source), files_of(tmp_path / "new")
    # Tests write other index blocks than TensorFlow does.
    for name in ("variables/variables.index", "fingerprint.pb"):
        del before[name], after[name]
    assert before == after


def test_the_folders_above_are_made(source: Path, tmp_path: Path) -> None:
    exported(source, tmp_path / "a" / "b" / "new")
    assert values_of(tmp_path / "a" / "b" / "new")["w"].tolist() == NEW["w"].tolist()


def test_a_relative_path_and_a_link_to_a_file_of_the_model(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "assets" / "link.txt").symlink_to("words.txt")
    monkeypatch.chdir(source)
    exported(Path("."), Path("../new"))
    link = tmp_path / "new" / "assets" / "link.txt"
    assert not link.is_symlink()
    assert link.read_bytes() == (source / "assets" / "words.txt").read_bytes()


# -- the fingerprint --


def test_the_fingerprint_keeps_all_but_the_checkpoint_hash(source: Path, tmp_path: Path) -> None:
    exported(source, tmp_path / "new")
    before, after = ((folder / "fingerprint.pb").read_bytes() for folder in (source, tmp_path / "new"))
    made = fingerprint64(str(tmp_path / "new" / "variables" / "variables.index"))
    assert read_fingerprint(str(tmp_path / "new" / "fingerprint.pb")).hashes["checkpoint_hash"] == made
    old = read_fingerprint(str(source / "fingerprint.pb")).hashes["checkpoint_hash"]
    assert with_checkpoint_hash(after, old, path="") == before
    assert after.startswith(b"\x9a\x06\x02hi")
    assert after.endswith(b"\x1a\x03abc\x98\x06\x05".replace(b"\x1a", b"\x3a"))


def test_a_fingerprint_without_the_hash_gets_it_in_its_place() -> None:
    made = with_checkpoint_hash(b"\x08\x01\x3a\x01x", 300, path="")
    assert made == b"\x08\x01\x28\xac\x02\x3a\x01x"
    assert with_checkpoint_hash(b"", 1, path="") == b"\x28\x01"


@pytest.mark.parametrize("data", [b"\x08", b"\x3a\x05x", b"\x0b", b"\x09abc", b"\x00\x01"])
def test_what_is_no_fingerprint_is_copied_and_said(source: Path, tmp_path: Path, data: bytes) -> None:
    (source / "fingerprint.pb").write_bytes(data)
    found = exported(source, tmp_path / "new")
    assert (tmp_path / "new" / "fingerprint.pb").read_bytes() == data
    assert len(found.notes) == 1
    assert "copied as it is, for it cannot be read" in found.notes[0]


def test_a_fingerprint_that_did_not_match_is_mended_and_said(source: Path, tmp_path: Path) -> None:
    path = source / "fingerprint.pb"
    path.write_bytes(with_checkpoint_hash(path.read_bytes(), 1, path=""))
    found = exported(source, tmp_path / "new")
    assert found.notes == (f"{path}: its checkpoint_hash did not match the model's variables; the export's matches",)
    made = fingerprint64(str(tmp_path / "new" / "variables" / "variables.index"))
    assert read_fingerprint(str(tmp_path / "new" / "fingerprint.pb")).hashes["checkpoint_hash"] == made


# -- where it may be written --


def test_what_is_there_stays_without_overwrite(source: Path, tmp_path: Path) -> None:
    for make in (Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")):
        target = tmp_path / "new"
        make(target)
        with pytest.raises(UsageError, match=r"exists already; --overwrite|is no folder"):
            exported(source, target)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "new"]
        target.rmdir() if target.is_dir() else target.unlink()


def test_an_older_export_is_replaced(source: Path, tmp_path: Path) -> None:
    exported(source, tmp_path / "new", {})
    (tmp_path / "new" / "assets" / "old.txt").write_text("no longer")
    exported(source, tmp_path / "new", overwrite=True)
    assert files_of(tmp_path / "new").keys() == files_of(source).keys()
    assert values_of(tmp_path / "new")["w"].tolist() == NEW["w"].tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "new"]


def test_it_is_replaced_where_names_cannot_be_exchanged(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_folder, "_rename", lambda *_: False)
    exported(source, tmp_path / "new", {})
    with pytest.raises(UsageError, match="exists already"):
        exported(source, tmp_path / "new")
    exported(source, tmp_path / "new", overwrite=True)
    assert values_of(tmp_path / "new")["w"].tolist() == NEW["w"].tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "new"]


def test_only_a_savedmodel_is_replaced(source: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letters").write_text("dear")
    with pytest.raises(UsageError, match="holds no SavedModel, and --overwrite replaces nothing else"):
        exported(source, tmp_path / "home", overwrite=True)
    exported(source, tmp_path / "new")
    (tmp_path / "new" / "notes").mkdir()
    (tmp_path / "new" / "notes" / "letters").write_text("dear")
    with pytest.raises(UsageError, match=r"also holds notes/letters, which .* would be lost"):
        exported(source, tmp_path / "new", overwrite=True)
    assert (tmp_path / "new" / "notes" / "letters").read_text() == "dear"
    (tmp_path / "nothing").mkdir()
    exported(source, tmp_path / "nothing", overwrite=True)


def test_the_model_itself_is_never_written_to(source: Path, tmp_path: Path) -> None:
    before = files_of(source)
    (tmp_path / "link").symlink_to(source)
    for target in (source, source / "assets" / "new", tmp_path / "link", tmp_path / "link" / "new"):
        for overwrite in (False, True):
            with pytest.raises(UsageError, match="the model itself lies there"):
                exported(source, target, overwrite=overwrite)
    write_saved_model(tmp_path, meta_graph())
    with pytest.raises(UsageError, match="the model that is exported lies in it"):
        exported(source, tmp_path, overwrite=True)
    assert files_of(source) == before


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800"])
def test_what_is_no_name(source: Path, name: str) -> None:
    with open_model(str(source)) as model, pytest.raises(UsageError, match="no folder can be named"):
        export(model, NEW, name)


def test_it_can_be_asked_before(source: Path, tmp_path: Path) -> None:
    with open_model(str(source)) as model:
        check_export(model, str(tmp_path / "new"))
        assert not (tmp_path / "new").exists()
        (tmp_path / "new").mkdir()
        with pytest.raises(UsageError, match="exists already"):
            check_export(model, str(tmp_path / "new"))
        check_export(model, str(tmp_path / "new"), overwrite=True)


# -- what cannot be exported --


def test_kinds_that_have_no_place_for_values(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only a SavedModel's variables have a place to go, and this is a checkpoint"):
        exported(source / "variables" / "variables", tmp_path / "new")
    write_saved_model(tmp_path / "none", meta_graph())
    with pytest.raises(UsageError, match=r"it has no variables \(there is no variables/variables.index\)"):
        exported(tmp_path / "none", tmp_path / "new")
    (tmp_path / "none" / "variables").mkdir()
    v1_writer.write_v1(tmp_path / "none" / "variables" / "variables-00000-of-00001", {b"w": WEIGHTS})
    with pytest.raises(UsageError, match="its variables are a V1 checkpoint"):
        exported(tmp_path / "none", tmp_path / "new")
    (source / "variables" / "variables.data-00001-of-00002").unlink()
    with pytest.raises(UsageError, match=r"variables.data-00001-of-00002 is missing"):
        exported(source, tmp_path / "new")
    (source / "variables" / "variables.index").write_bytes(b"no table")
    with pytest.raises(ModelError, match=r"variables\.index"):
        exported(source, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def make_link_out(path: Path) -> None:
    path.symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (make_link_out, "a link that leads out of the model's folder"),
        (os.mkfifo, "this is a FIFO"),
        (lambda path: path.symlink_to("."), "this is a folder"),
        (lambda path: path.symlink_to(path.name), "leads"),
    ],
)
def test_only_regular_files_are_copied(
    source: Path, tmp_path: Path, make: Callable[[Path], None], sentence: str
) -> None:
    make(source / "assets" / "odd")
    with pytest.raises(RefusedFileError, match=sentence) as raised:
        exported(source, tmp_path / "new")
    assert "assets/odd" in str(raised.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_values_that_do_not_fit(source: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no tensor 'v'"):
        exported(source, tmp_path / "new", {"v": WEIGHTS})
    with pytest.raises(UsageError, match="cannot take its place"):
        exported(source, tmp_path / "new", {"w": WEIGHTS.astype(np.float64)})
    assert not (tmp_path / "new").exists()


# -- failures in the middle --


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if ".tfexplore-" in path.name]


def fails_cleanly(source: Path, tmp_path: Path, error: type[Exception], sentence: str | None, **options: Any) -> None:
    """With nothing there and with an older export: what was there is there, and nothing else."""
    for there in (False, True):
        target = tmp_path / f"new-{there}"
        before = files_of(target) if there else {}
        with pytest.raises(error, match=sentence):
            exported(source, target, overwrite=there, **options)
        assert target.exists() == there
        assert files_of(target) == before
        assert not left_over(tmp_path)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("call", ["mkdir", "write", "fsync"])
def test_a_full_disk(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, overwrite: bool) -> None:
    """At each of the calls that may find it full."""
    exported(source, tmp_path / "old", {})
    target = tmp_path / ("old" if overwrite else "above/new")
    before = files_of(tmp_path)
    real = getattr(os, call)
    left = 0

    def until_full(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    refused = 0
    monkeypatch.setattr(os, call, until_full)
    for fails_at in range(100):
        left = fails_at
        try:
            exported(source, target, overwrite=overwrite)
        except UsageError as error:
            refused += 1
            sentence = str(error)
            assert sentence.endswith("cannot be written (no space left on device)")
            assert sentence.startswith((str(target), str(tmp_path)))
            assert ".tfexplore-" not in sentence
            assert files_of(tmp_path) == before
        else:
            break
    assert refused > 3
    assert values_of(target)["w"].tolist() == NEW["w"].tolist()


def test_it_is_cancelled(source: Path, tmp_path: Path) -> None:
    exported(source, tmp_path / "new-True", {})
    steps = 0

    def count(*_: int) -> None:
        nonlocal steps
        steps += 1

    exported(source, tmp_path / "whole", progress=count)
    assert steps > 5
    for stop_at in range(1, steps + 1):
        for there in (False, True):
            cancel = threading.Event()
            left = stop_at

            def progress(*_: int, _cancel: threading.Event = cancel) -> None:
                nonlocal left
                left -= 1
                if not left:
                    _cancel.set()

            before = files_of(tmp_path)
            target = tmp_path / f"new-{there}"
            with pytest.raises(Cancelled):
                exported(source, target, overwrite=there, cancel=cancel, progress=progress)
            assert files_of(tmp_path) == before


def test_a_damaged_value_is_not_copied(source: Path, tmp_path: Path) -> None:
    exported(source, tmp_path / "new-True", {})
    data = source / "variables" / "variables.data-00000-of-00002"
    raw = data.read_bytes()
    data.write_bytes(bytes((raw[0] ^ 1,)) + raw[1:])
    fails_cleanly(source, tmp_path, ChecksumError, "do not match their checksum", values={})


def test_a_checkpoint_that_was_replaced_meanwhile(source: Path, tmp_path: Path) -> None:
    with open_model(str(source)) as model:
        other = tmp_path / "other"
        write_model(other)
        index = source / "variables" / "variables.index"
        os.replace(other / "variables" / "variables.index", index)
        with pytest.raises(ModelError, match="written anew since the model was opened"):
            export(model, NEW, str(tmp_path / "new"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "other"]


def test_what_a_killed_export_left_is_said(source: Path, tmp_path: Path) -> None:
    left = tmp_path / ".new.tfexplore-0123abcd"
    left.mkdir()
    with new_folder.NewFolder(str(tmp_path / "new")) as running:
        assert running.left_behind == [str(left)]
        found = exported(source, tmp_path / "new")
        assert found.notes == (f"{left} is left of an export that was stopped; it can be deleted",)
