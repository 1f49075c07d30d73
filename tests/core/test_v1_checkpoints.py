"""V1 checkpoints as a person meets them: a file, shards, a training directory; what the commands show of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import process
from core.bounded import MEGABYTE, peak_memory
from core.opening import bundle, opened, refused
from core.test_training_directories import latest, names, state
from formats.table_writer import Partition
from formats.test_v1_of_tensorflow import FUZZ_TABLES, TABLES
from formats.v1_cases import FLOATS
from formats.v1_writer import write_sharded, write_v1
from tfexplore.core.describe import describe
from tfexplore.core.model import CHECKPOINT, TRAINING_DIRECTORY, Model
from tfexplore.core.sections import section
from tfexplore.core.subjects import KeySubject
from tfexplore.errors import NotAModelError

PARTS = Partition(np.arange(12, dtype=np.int32).reshape(4, 3), [[(0, 2), (0, None)], [(2, 2), (0, None)]])


def rows(model: Model) -> list[tuple[str, str, list[int], int, int]]:
    found = section(model, "keys")
    return [(row["name"], row["dtype"], row["shape"], row["bytes"], len(row.get("slices", [0]))) for row in found]


@pytest.mark.parametrize("given_as", ["export", "export-00000-of-00002", "export-00001-of-00002"])
def test_shards_open_as_one(tmp_path: Path, given_as: str) -> None:
    write_sharded(tmp_path / "export", {b"p": PARTS, b"s/w": FLOATS}, 2)
    model = opened(tmp_path / given_as)
    assert isinstance(model, Model)
    assert (model.kind, model.notes) == (CHECKPOINT, ())
    assert rows(model) == [("p", "int32", [4, 3], 48, 2), ("s/w", "float32", [2, 3], 24, 1)]
    assert model.checkpoint is not None
    assert model.checkpoint.objects is None
    assert model.checkpoint.nbytes == 72
    assert model.checkpoint.read("p").array.tolist() == PARTS.array.tolist()
    told = {line.label: line.value for line in describe(KeySubject(model.checkpoint, "p")).lines()}
    assert told["checksum"] == "good"
    assert told["slice 0,2:-"].startswith("shard 0 of 2, 24 B at byte ")
    assert told["slice 2,2:-"].startswith("shard 1 of 2, 24 B at byte ")


def test_missing_shards_are_told(tmp_path: Path) -> None:
    write_sharded(tmp_path / "export", {b"v": FLOATS, b"w": FLOATS}, 2)
    os.remove(tmp_path / "export-00001-of-00002")
    model = opened(tmp_path / "export")
    assert isinstance(model, Model)
    assert model.notes == (
        "data files are missing, so the values in them cannot be shown: export-00001-of-00002",
    )  # fmt: skip


def test_a_lone_file_of_any_name(tmp_path: Path) -> None:
    write_v1(tmp_path / "model.ckpt-300", {b"w": FLOATS})
    model = opened(tmp_path / "model.ckpt-300")
    assert isinstance(model, Model)
    assert model.kind == CHECKPOINT
    assert model.checkpoint is not None
    assert model.checkpoint.step == 300
    assert rows(model) == [("w", "float32", [2, 3], 24, 1)]


def test_an_index_under_another_name_is_no_v1_checkpoint(tmp_path: Path) -> None:
    bundle(tmp_path / "c", b"w")
    (tmp_path / "c.index").rename(tmp_path / "other")
    error = refused(tmp_path / "other", NotAModelError)
    assert str(error) == (
        f"{tmp_path}/other: this is a checkpoint's index under another name; name it PREFIX.index, beside its data"
    )


@pytest.mark.parametrize("stored", ["ckpt-20-?????-of-00002", "/elsewhere/ckpt-20-?????-of-00002", "ckpt-20"])
def test_a_training_directory_of_sharded_checkpoints(tmp_path: Path, stored: str) -> None:
    """The Saver of TensorFlow 1 names the shards by a pattern."""
    for step in (9, 20, 100):
        write_sharded(tmp_path / f"ckpt-{step}", {b"w%d" % step: FLOATS, b"x": FLOATS}, 2)
    state(tmp_path, stored, stored.replace("20", "9"), stored.replace("20", "100"), stamps=(1.0, 3.0, 2.0))
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert model.kind == TRAINING_DIRECTORY
    assert names(model) == ["ckpt-9", "ckpt-20", "ckpt-100"] or names(model) == ["ckpt-9", "ckpt-100", "ckpt-20"]
    assert latest(model) == ["ckpt-20"]
    assert model.notes == ()
    assert model.checkpoint is not None
    assert model.checkpoint.keys == ["w20", "x"]
    assert [(info.keys, info.shards, info.problem) for info in model.checkpoints] == [(2, 2, None)] * 3


def test_a_training_directory_of_lone_files(tmp_path: Path) -> None:
    for step in (9, 10):
        write_v1(tmp_path / f"model.ckpt-{step}", {b"w": FLOATS + step})
        (tmp_path / f"model.ckpt-{step}.meta").write_bytes(b"")
    state(tmp_path, "model.ckpt-10", "model.ckpt-9")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert names(model) == ["model.ckpt-9", "model.ckpt-10"]
    assert model.checkpoint is not None
    assert model.checkpoint.read("w").array.tolist() == (FLOATS + 10).tolist()


def test_both_formats_in_one_training_directory(tmp_path: Path) -> None:
    bundle(tmp_path / "ckpt-2", b"w")
    write_sharded(tmp_path / "ckpt-1", {b"w": FLOATS}, 1)
    state(tmp_path, "ckpt-2", "ckpt-1-?????-of-00001")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert names(model) == ["ckpt-1", "ckpt-2"]
    assert latest(model) == ["ckpt-2"]


def test_a_served_folder_of_the_corpus(corpus: Path) -> None:
    model = opened(corpus / "hostile" / "bad-serving_half_plus_two" / "00000123")
    assert isinstance(model, Model)
    assert model.kind == TRAINING_DIRECTORY
    assert names(model) == ["export"]
    assert [row[0] for row in rows(model)] == ["Variable", "Variable_1"]


@pytest.mark.parametrize("name", FUZZ_TABLES)
def test_commands_show_each_fuzz_table(corpus: Path, name: str) -> None:
    path = corpus / TABLES / f"{name}.v1ckpt"
    where, sentence = FUZZ_TABLES[name]
    found = process("show", path, "keys", "--json")
    assert (found.returncode, found.stderr) == (0, b"")
    (row,) = json.loads(found.stdout)["items"]
    assert row.get("problem") == (f"{path}: {sentence}" if where == "entry" else None)
    summary = process("show", path, "summary", "--json")
    assert (summary.returncode, summary.stderr) == (0, b"")
    facts = json.loads(summary.stdout)
    assert (facts["kind"], facts["keys"], facts["variables"]) == (CHECKPOINT, 1, int(where != "entry"))
    assert facts["notes"] == (["1 key with a damaged entry"] if where == "entry" else [])


def keys(path: Path) -> list[str]:
    model = opened(path)
    assert isinstance(model, Model), repr(model)
    assert model.checkpoint is not None
    return model.checkpoint.keys


def test_the_file_that_was_named_is_opened(tmp_path: Path) -> None:
    write_v1(tmp_path / "x", {b"lone": FLOATS})
    write_v1(tmp_path / "x-00000-of-00001", {b"shard": FLOATS})
    assert keys(tmp_path / "x") == ["lone"]
    assert keys(tmp_path / "x-00000-of-00001") == ["shard"]


def test_of_two_sets_of_shards_the_named_one_is_opened(tmp_path: Path) -> None:
    write_v1(tmp_path / "x-00000-of-00001", {b"one": FLOATS})
    write_sharded(tmp_path / "x", {b"p": PARTS}, 2)
    assert keys(tmp_path / "x-00000-of-00001") == ["one"]
    assert keys(tmp_path / "x-00001-of-00002") == ["p"]
    assert keys(tmp_path / "x") == ["p"]


def test_a_damaged_file_is_never_taken_for_an_index(tmp_path: Path) -> None:
    write_v1(tmp_path / "good", {b"a": FLOATS, b"b": FLOATS}, block_size=1)
    data = (tmp_path / "good").read_bytes()
    for at in range(len(data) - 8):  # the last eight tell a table
        (tmp_path / "bad").write_bytes(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])
        assert "under another name" not in str(opened(tmp_path / "bad"))


def test_more_values_than_the_shape_has_take_no_memory(tmp_path: Path) -> None:
    from formats.v1_writer import data, listed, meta, slice_key, whole, write_entries

    scalar = whole(0)
    stored = data(b"w", scalar, b"\x42\x00" * 10_000_000)
    entries = {b"": meta([listed(b"w", 7, [], [scalar])]), slice_key(b"w", scalar): stored}
    write_entries(tmp_path / "many", entries, snappy=True)
    code = """
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.errors import CorruptError
try:
    Checkpoint(sys.argv[1]).read("w", limit=64 << 20)
except CorruptError:
    pass
else:
    sys.exit("it was read")
"""
    assert peak_memory(code, tmp_path / "many") < 256 * MEGABYTE
