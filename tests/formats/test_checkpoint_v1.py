"""V1 checkpoints: every dtype, slices, shards, boxes, damage; TensorFlow says the same."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.table_writer import Partition, strings, varint, write_bundle
from formats.v1_cases import FLOATS, NUMBERS, as_large, cut, same, some
from formats.v1_writer import data, listed, meta, slice_key, values, whole, write_sharded, write_v1
from tfexplore.errors import (
    Cancelled,
    CorruptError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from tfexplore.formats.bundle import Bundle
from tfexplore.formats.checkpoint_state import find_checkpoints
from tfexplore.formats.checkpoint_v1 import CheckpointV1, is_v1, prefix_of, shard_files
from tfexplore.formats.files import RandomAccessFile


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    as_large(monkeypatch)


def every_dtype() -> dict[bytes, np.ndarray]:
    tensors = {np.dtype(dtype).name.encode(): some(dtype, 2, 3, 4) for dtype in NUMBERS}
    tensors |= {b"scalar": np.array(2.5, np.float32), b"empty": np.zeros((0, 5), np.int16)}
    tensors |= {b"text": strings(b"", b"\xff\x00", b"a" * 300, b"z"), b"no text": strings()}
    tensors |= {b"not \xff UTF-8": FLOATS, b"a/\x00b": FLOATS, b"": FLOATS}
    return tensors


def check_all(checkpoint: CheckpointV1, tensors: dict[bytes, np.ndarray]) -> None:
    names = {name.decode("utf-8", "surrogateescape"): array for name, array in tensors.items()}
    assert sorted(names) == sorted(checkpoint.keys)
    assert len(checkpoint) == len(names)
    assert checkpoint.damage == ()
    for name, array in names.items():
        assert name in checkpoint
        entry = checkpoint.entry(name)
        value = checkpoint.read(entry)
        assert same(value.array, array), name
        assert (value.checksum, value.shape, entry.shape) == ("good", array.shape, array.shape)
        assert checkpoint.checksum(entry) == "good"
        if array.ndim == 3:
            box = checkpoint.read(entry, (1, 0, 1), (1, 3, 2))
            assert same(box.array, array[1:2, 0:3, 1:3]), name
            assert (box.shape, box.starts) == (array.shape, (1, 0, 1))


@pytest.mark.parametrize("table", [{}, {"snappy": True}, {"block_size": 1}, {"restart_interval": 1}])
def test_every_dtype(tmp_path: Path, table: dict[str, Any]) -> None:
    write_v1(tmp_path / "c", every_dtype(), **table)
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        check_all(checkpoint, every_dtype())


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("block_size", [1, 262_144])
def test_every_dtype_as_a_large_tensor(tmp_path: Path, block_size: int) -> None:
    write_v1(tmp_path / "c", every_dtype(), block_size=block_size)
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        check_all(checkpoint, every_dtype())


# -- slices, shards and boxes --


@st.composite
def tilings(draw: st.DrawFn) -> tuple[list[int], list[list[tuple[int, int | None]]]]:
    """A shape, and slices that cover it just once: every dimension is cut in some places."""
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    dims: list[list[tuple[int, int | None]]] = []
    for size in shape:
        cuts = sorted(draw(st.sets(st.integers(1, size - 1), max_size=3))) if size > 1 else []
        ranges: list[tuple[int, int | None]] = [(a, b - a) for a, b in itertools.pairwise([0, *cuts, size])]
        dims.append([(0, None)] if not cuts and draw(st.booleans()) else ranges)
    return shape, draw(st.permutations([list(part) for part in itertools.product(*dims)]))


@given(
    tilings(),
    st.sampled_from(["uint8", "int32", "int64", "float16", "float32", "complex128", "bool", "object"]),
    st.integers(1, 3),
    st.booleans(),
    st.data(),
)
def test_slices_and_boxes_are_what_numpy_cuts(
    tmp_path_factory: pytest.TempPathFactory,
    tiling: tuple[list[int], list[list[tuple[int, int | None]]]],
    dtype: str,
    shards: int,
    is_large: bool,
    drawn: st.DataObject,
) -> None:
    shape, parts = tiling
    count = int(np.prod(shape))
    if dtype == "object":
        array = strings(*[b"%d" % number * (number % 3) for number in range(count)]).reshape(shape)
    else:
        array = some(dtype, *shape)
    starts = [drawn.draw(st.integers(0, dim)) for dim in shape]
    counts = [drawn.draw(st.integers(0, dim - start)) for dim, start in zip(shape, starts, strict=True)]
    prefix = tmp_path_factory.getbasetemp() / "tiled"
    for old in shard_files(str(prefix)):
        os.remove(old)
    write_sharded(prefix, {b"a": FLOATS, b"p": Partition(array, parts)}, shards)
    with pytest.MonkeyPatch.context() as patch:
        if is_large:
            as_large(patch)
        with CheckpointV1(str(prefix)) as checkpoint:
            assert (checkpoint.keys, checkpoint.damage, checkpoint.num_shards) == (["a", "p"], (), shards)
            entry = checkpoint.entry("p")
            assert entry.shape == array.shape
            box = checkpoint.read(entry, starts, counts)
            assert same(box.array, cut(array, starts, counts))
            value = checkpoint.read(entry)
            assert same(value.array, array)
            assert value.checksum == checkpoint.checksum(entry) == "good"


@pytest.mark.parametrize("given_as", ["export", "export-00001-of-00003", "export-?????-of-00003"])
def test_a_shard_or_a_pattern_stands_for_all(tmp_path: Path, given_as: str) -> None:
    write_sharded(tmp_path / "export", {b"%d" % number: FLOATS + number for number in range(5)}, 3)
    with CheckpointV1(str(tmp_path / given_as)) as checkpoint:
        assert checkpoint.prefix == str(tmp_path / "export")
        assert checkpoint.keys == ["0", "1", "2", "3", "4"]
        assert [checkpoint.entry(key).shard for key in checkpoint.keys] == [0, 1, 2, 0, 1]
        assert checkpoint.missing_shards() == ()
        assert not checkpoint.replaced()


def test_missing_shards_are_named(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.int32)
    tensors = {b"p": Partition(array, [[(0, 2)], [(2, 2)], [(4, 2)]]), b"q": FLOATS, b"r": FLOATS}
    write_sharded(tmp_path / "export", tensors, 3)
    os.remove(tmp_path / "export-00001-of-00003")
    with CheckpointV1(str(tmp_path / "export")) as checkpoint:
        assert checkpoint.keys == ["p", "q"]
        assert checkpoint.missing_shards() == (1,)
        assert checkpoint.shard_path(1) == str(tmp_path / "export-00001-of-00003")
        assert same(checkpoint.read(checkpoint.entry("q")).array, FLOATS)
        entry = checkpoint.entry("p")
        sentence = "2 of 6 elements of 'p' must lie in files that are missing: export-00001-of-00003; copy"
        for ask in (checkpoint.read, checkpoint.checksum):
            with pytest.raises(NotFoundError, match=sentence):
                ask(entry)
        # What is here can be read all the same.
        assert same(checkpoint.read(entry, [0], [2]).array, array[:2])
        assert same(checkpoint.read(entry, [4], [2]).array, array[4:])
        with pytest.raises(NotFoundError, match="1 of 2 elements"):
            checkpoint.read(entry, [1], [2])


def test_a_lone_file_of_any_name_is_one_shard(tmp_path: Path) -> None:
    write_v1(tmp_path / "model.ckpt-300", {b"w": FLOATS})
    write_v1(tmp_path / "lone-00000-of-00001", {b"w": FLOATS})
    for name in ("model.ckpt-300", "lone-00000-of-00001", "lone"):
        with CheckpointV1(str(tmp_path / name)) as checkpoint:
            assert (checkpoint.keys, checkpoint.num_shards) == (["w"], 1)


def test_names_that_end_with_a_line_feed_are_no_shards(tmp_path: Path) -> None:
    write_v1(tmp_path / "x-00000-of-00001\n", {b"w": FLOATS})
    write_v1(tmp_path / "y-٠٠٠٠٠-of-٠٠٠٠١", {b"w": FLOATS})
    assert find_checkpoints(str(tmp_path)) == []
    for name in ("x", "x\n", "y", "x-00000-of-00001"):
        assert shard_files(str(tmp_path / name)) == []
    for name in ("x-00000-of-00001\n", "y-٠٠٠٠٠-of-٠٠٠٠١"):
        with CheckpointV1(str(tmp_path / name)) as checkpoint:
            assert (checkpoint.prefix, checkpoint.keys) == (str(tmp_path / name), ["w"])


def test_what_is_no_v1_checkpoint(tmp_path: Path) -> None:
    write_bundle(tmp_path / "v2", {b"w": FLOATS})
    write_bundle(tmp_path / "p", {b"p": Partition(np.arange(4), [[(0, 2)], [(2, 2)]])}, block_size=1)
    (tmp_path / "text").write_text("words " * 20)
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "fifo")
    for name in ("v2.index", "p.index", "text", "empty", "fifo", "nothing", "a\0b", ""):
        path = str(tmp_path / name)
        assert shard_files(path) == []
        with pytest.raises(NotFoundError, match="there is no V1 checkpoint of this name"):
            CheckpointV1(path)
    write_v1(tmp_path / "v1", {b"w": FLOATS})
    with RandomAccessFile(str(tmp_path / "v1")) as file:
        assert is_v1(file)
    with RandomAccessFile(str(tmp_path / "v2.index")) as file:
        assert not is_v1(file)
    (tmp_path / "v1").rename(tmp_path / "v1.index")
    with pytest.raises(CorruptError, match="header"):
        Bundle(str(tmp_path / "v1"))


def test_prefixes() -> None:
    assert prefix_of("a/export-00003-of-00010") == "a/export"
    assert prefix_of("a/export-?????-of-00010") == "a/export"
    for path in ("a/export", "export-0003-of-00010", "export-00003-of-00010.meta", ""):
        assert prefix_of(path) == path


# -- what does not fit --


def missing(name: bytes) -> Any:
    return listed(name, 1, [2, 3], [whole(2)])


@pytest.mark.parametrize(
    ("version", "sentence"),
    [({"min_consumer": 2}, "format version 2, this one reads version 1"), ({"bad_consumers": [1]}, "version 2")],
)
def test_a_newer_format_is_refused(tmp_path: Path, version: dict[str, Any], sentence: str) -> None:
    write_v1(tmp_path / "c", {b"w": FLOATS}, extra={b"": meta([missing(b"w")], **version)})
    with pytest.raises(UnsupportedError, match=sentence):
        CheckpointV1(str(tmp_path / "c"))


def test_tensors_without_values_are_listed(tmp_path: Path) -> None:
    tensors = [missing(b"none"), listed(b"no slice", 1, [2], []), missing(b"w")]
    write_v1(tmp_path / "c", {b"w": FLOATS}, extra={b"": meta(tensors)})
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        assert checkpoint.keys == ["no slice", "none", "w"]
        assert checkpoint.damage == ()
        assert checkpoint.nbytes() == 24
        for key in ("none", "no slice"):
            entry = checkpoint.entry(key)
            assert (entry.dtype, entry.size) == (1, 0)
            for read in (checkpoint.read, checkpoint.checksum):
                with pytest.raises(CorruptError, match=f"'{key}' is listed, but no values of it are stored"):
                    read(entry)
        assert same(checkpoint.read(checkpoint.entry("w")).array, FLOATS)


def test_values_that_are_not_listed_are_told(tmp_path: Path) -> None:
    extra = {slice_key(b"x%d" % number, []): data(b"x", [], values(FLOATS)) for number in range(5)}
    write_v1(tmp_path / "c", {b"w": FLOATS}, extra={**extra, b"odd": b"?"})
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        assert checkpoint.keys == ["w"]
        assert [str(error) for error in checkpoint.damage] == [
            f"{tmp_path}/c: there are values that the list of tensors does not name: 'x0', 'x1', 'x2' and 3 more"
        ]


KEY = slice_key(b"w", whole(2))
BAD_VALUES = {
    "too few": (data(b"w", whole(2), values(FLOATS[:1])), "'w' has 3 values stored, expected the 6 of [2, 3]"),
    "too many": (data(b"w", whole(2), values(some("float32", 9))), "'w' has 9 values stored, expected the 6 of [2, 3]"),
    "another dtype": (data(b"w", whole(2), values(some("int32", 6))), "'w' has 0 values stored, expected the 6"),
    "another name": (data(b"v", whole(2), values(FLOATS)), "says that it belongs to another tensor or slice"),
    "another slice": (data(b"w", [(0, 2), (0, None)], values(FLOATS)), "belongs to another tensor or slice"),
    "no proto": (b"\x12\xff" + b"\xff" * 9, "the values of 'w' cannot be read"),
    "nothing": (b"", "'w' should have 6 elements of [2, 3], but 0 bytes are stored"),
    "no tensor": (data(b"w", whole(2), b"\xff" * 9), "the values of 'w' are no SavedTensorSlices"),
}


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("what", BAD_VALUES)
def test_bad_values_hide_no_others(tmp_path: Path, what: str, is_large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_large:
        as_large(monkeypatch)
    stored, sentence = BAD_VALUES[what]
    write_v1(tmp_path / "c", {b"a": FLOATS, b"w": FLOATS, b"z": FLOATS}, extra={KEY: stored})
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        assert checkpoint.keys == ["a", "w", "z"]
        with pytest.raises(CorruptError) as caught:
            checkpoint.read(checkpoint.entry("w"))
        assert sentence in str(caught.value)
        for key in ("a", "z"):
            assert same(checkpoint.read(checkpoint.entry(key)).array, FLOATS)


@pytest.mark.parametrize(
    ("field", "raw"),
    [(7, b"\x80" * 11 + b"\x01" * 5), (7, b"\x01" * 5 + b"\x80"), (7, b"\x01" * 7), (7, b"\x01" * 5)],
)
@pytest.mark.usefixtures("large")
def test_varints_of_a_large_tensor_that_do_not_fit(tmp_path: Path, field: int, raw: bytes) -> None:
    tensor = bytes((field << 3 | 2,)) + varint(len(raw)) + raw
    extra = {b"": meta([listed(b"w", 3, [2, 3], [whole(2)])]), KEY: data(b"w", whole(2), tensor)}
    write_v1(tmp_path / "c", {}, extra=extra)
    with CheckpointV1(str(tmp_path / "c")) as checkpoint, pytest.raises(CorruptError, match=r"varint|6 values"):
        checkpoint.read(checkpoint.entry("w"))


@pytest.mark.usefixtures("large")
def test_unpacked_values_of_a_large_tensor(tmp_path: Path) -> None:
    """A field may come in many pieces: protobuf puts them together."""
    single = [values(FLOATS[row, column : column + 1]) for row in range(2) for column in range(3)]
    write_v1(tmp_path / "c", {b"w": FLOATS}, extra={KEY: data(b"w", whole(2), b"".join(single))})
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        assert same(checkpoint.read(checkpoint.entry("w")).array, FLOATS)


UNRANKED = listed(b"x", 1, [], [])
UNRANKED.shape.unknown_rank = True
BAD_LISTS = {
    "negative dim": (listed(b"x", 1, [-1], []), "its shape [-1] has a dimension below 0"),
    "overflow": (listed(b"x", 1, [1 << 40, 1 << 40], []), "more elements than there can be"),
    "rank": (listed(b"x", 1, [1] * 255, []), "it has 255 dimensions, more than 254"),
    "unknown rank": (UNRANKED, "its rank is unknown"),
    "slice outside": (listed(b"x", 1, [4], [[(3, 2)]]), "it has a slice that does not lie within its shape [4]"),
    "slice of another rank": (listed(b"x", 1, [4], [whole(2)]), "a slice of 2 dimensions, but the tensor has 1"),
}


@pytest.mark.parametrize("what", BAD_LISTS)
def test_a_bad_listing_hides_no_other(tmp_path: Path, what: str) -> None:
    proto, sentence = BAD_LISTS[what]
    write_v1(tmp_path / "c", {b"w": FLOATS}, extra={b"": meta([proto, missing(b"w")])})
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        assert checkpoint.keys == ["w", "x"]
        with pytest.raises(CorruptError) as caught:
            checkpoint.entry("x")
        assert str(caught.value).startswith(f"{tmp_path}/c: the entry of 'x' cannot be read: ")
        assert sentence in str(caught.value)
        assert same(checkpoint.read(checkpoint.entry("w")).array, FLOATS)
        assert [batch.heads[0] is not None for batch in checkpoint.iter_batches()] == [True]


@pytest.mark.parametrize("number", [0, 20, 21, 120, 999])
def test_an_unknown_dtype_is_listed_but_not_read(tmp_path: Path, number: int) -> None:
    write_v1(tmp_path / "c", {b"w": FLOATS}, extra={b"": meta([listed(b"w", number, [2, 3], [whole(2)])])})
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        assert checkpoint.entry("w").shape == (2, 3)
        with pytest.raises(UnsupportedError):
            checkpoint.read(checkpoint.entry("w"))


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([[(0, 2)], [(1, 2)]], "two slices of 'p' overlap"),
        ([[(0, 2)], [(3, 1)]], "do not cover it just once"),
        ([[(0, 2)], [(2, 2)], [(0, 1)]], "do not cover it just once"),
    ],
)
def test_slices_that_do_not_tile_are_refused(tmp_path: Path, parts: list[Any], sentence: str) -> None:
    write_v1(tmp_path / "c", {b"p": Partition(np.arange(4), parts)})
    with CheckpointV1(str(tmp_path / "c")) as checkpoint, pytest.raises(CorruptError, match=sentence):
        checkpoint.read(checkpoint.entry("p"))


def test_a_tensor_in_two_files_is_told(tmp_path: Path) -> None:
    write_v1(tmp_path / "c-00000-of-00002", {b"w": FLOATS, b"v": FLOATS})
    write_v1(tmp_path / "c-00001-of-00002", {b"w": FLOATS + 1, b"v": np.zeros(2, np.int32)})
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        told = [str(error) for error in checkpoint.damage]
        assert any("'w' is listed twice, with the same slice" in sentence for sentence in told)
        assert any("'v' is listed twice, with different facts" in sentence for sentence in told)
        assert same(checkpoint.read(checkpoint.entry("w")).array, FLOATS)


def test_a_box_outside_is_refused(tmp_path: Path) -> None:
    write_v1(tmp_path / "c", {b"w": FLOATS})
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        with pytest.raises(UsageError):
            checkpoint.read(checkpoint.entry("w"), (1, 0), (2, 1))
        with pytest.raises(NotFoundError, match="has no tensor 'x'"):
            checkpoint.entry("x")


def test_limits_and_cancelling(tmp_path: Path) -> None:
    write_v1(tmp_path / "c", {b"w": FLOATS, b"s": strings(b"a" * 1000)})
    cancel = threading.Event()
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        for key, limit in (("w", 23), ("s", 1000)):
            with pytest.raises(UnsupportedError, match=f"more than the {limit:,} that are read at once"):
                checkpoint.read(checkpoint.entry(key), limit=limit)
        assert same(checkpoint.read(checkpoint.entry("w"), (0, 0), (1, 3), limit=12).array, FLOATS[:1])
        cancel.set()
        with pytest.raises(Cancelled):
            checkpoint.read(checkpoint.entry("w"), cancel=cancel)
        with pytest.raises(Cancelled):
            CheckpointV1(str(tmp_path / "c"), cancel=cancel)
        entry = checkpoint.entry("w")
    with pytest.raises(Cancelled):
        checkpoint.read(entry)


def test_batches_are_the_entries(tmp_path: Path) -> None:
    tensors = {b"%04d" % number: np.full(number % 3, number, np.int16) for number in range(2500)}
    write_v1(tmp_path / "c", {**tensors, b"p": Partition(np.arange(4), [[(0, 2)], [(2, 2)]])})
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        batches = list(checkpoint.iter_batches())
        assert [key for batch in batches for key in batch.keys] == checkpoint.keys
        for batch in batches:
            rows = zip(batch.keys, batch.heads, batch.offsets, batch.sizes, strict=True)
            for key, head, offset, size in rows:
                entry = checkpoint.entry(key)
                assert (head is None) == bool(entry.slices) == (key == "p")
                if head is not None:
                    assert (head.shape, head.nbytes, offset) == (entry.shape, size, entry.offset)
        assert checkpoint.nbytes() == sum(array.nbytes for array in tensors.values()) + 32
        assert checkpoint.slice_count == 2
