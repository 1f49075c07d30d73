"""Damaged and hostile V1 checkpoints: nothing wrong passes, nothing good is lost, memory is bounded."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bounded import MEGABYTE, peak_memory
from formats import v1_writer
from formats.table_writer import Partition, TableWriter, encode_block, encode_table, strings, varint
from formats.v1_cases import FLOATS, as_large, same, some
from formats.v1_writer import data, listed, meta, slice_key, values, whole, write_entries, write_sharded, write_v1
from tfexplore.errors import (
    Cancelled,
    ChecksumError,
    CorruptError,
    ModelError,
    TfexploreError,
    UnsupportedError,
)
from tfexplore.formats.checkpoint_v1 import CheckpointV1
from tfexplore.formats.files import RandomAccessFile


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    as_large(monkeypatch)


# -- damage --


def flip_in(path: Path, position: int, bit: int = 0) -> None:
    raw = bytearray(path.read_bytes())
    raw[position] ^= 1 << bit
    path.write_bytes(raw)


def test_a_damaged_block_costs_its_own_tensors(tmp_path: Path) -> None:
    tensors = {b"%d" % number: FLOATS + number for number in range(9)}
    write_v1(tmp_path / "c", tensors, block_size=1)
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        place = checkpoint.entry("4").offset
    flip_in(tmp_path / "c", place + 12)
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        assert len(checkpoint) == 9
        assert [type(error) for error in checkpoint.damage] == [ChecksumError]
        for key in checkpoint.keys:
            entry = checkpoint.entry(key)
            if key == "4":
                with pytest.raises(ChecksumError, match="does not match its checksum"):
                    checkpoint.read(entry)
                assert checkpoint.checksum(entry) == "bad"
            else:
                assert same(checkpoint.read(entry).array, FLOATS + int(key))
                assert checkpoint.checksum(entry) == "good"


@pytest.mark.usefixtures("large")
def test_a_damaged_block_of_a_large_file(tmp_path: Path) -> None:
    """It is not looked at when the file is opened: a whole read finds it, and a box is unverified."""
    write_v1(tmp_path / "c", {b"w": FLOATS, b"x": FLOATS}, block_size=1)
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        place = checkpoint.entry("w").offset
    flip_in(tmp_path / "c", place + 20)
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        assert checkpoint.damage == ()
        assert checkpoint.read(checkpoint.entry("w"), (1, 1), (1, 1)).checksum == "unverified"
        with pytest.raises(ChecksumError):
            checkpoint.read(checkpoint.entry("w"))
        assert checkpoint.checksum(checkpoint.entry("w")) == "bad"
        assert checkpoint.read(checkpoint.entry("x")).checksum == "good"
        assert checkpoint.read(checkpoint.entry("x"), (1, 1), (1, 1)).checksum == "good"


@pytest.mark.parametrize("how", ["flipped", "missing", "no proto"])
def test_without_its_list_the_names_are_known(tmp_path: Path, how: str) -> None:
    found = v1_writer.entries({b"v": FLOATS, b"w": Partition(np.arange(4), [[(0, 2)], [(2, 2)]])})[0]
    if how == "missing":
        del found[b""]
    elif how == "no proto":
        found[b""] = b"\x0a\x03\xff\xff\xff"
    write_entries(tmp_path / "c", found, block_size=1)
    if how == "flipped":
        flip_in(tmp_path / "c", 8)
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        assert checkpoint.keys == ["v", "w"]
        assert len(checkpoint.damage) == 1
        assert {"flipped": "checksum", "missing": "is missing", "no proto": "SavedTensorSliceMeta"}[how] in str(
            checkpoint.damage[0]
        )
        with pytest.raises(CorruptError, match="the list of tensors with dtypes and shapes is damaged"):
            checkpoint.entry("w")


def test_slices_in_a_file_without_its_list_are_read(tmp_path: Path) -> None:
    """The lists of the other files tell dtype and shape."""
    array = np.arange(6, dtype=np.int64)
    write_sharded(tmp_path / "c", {b"p": Partition(array, [[(0, 2)], [(2, 2)], [(4, 2)]])}, 3, block_size=1)
    flip_in(tmp_path / "c-00000-of-00003", 8)
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        assert len(checkpoint.damage) == 1
        assert same(checkpoint.read(checkpoint.entry("p")).array, array)


def test_a_damaged_type_of_a_block_costs_nothing(tmp_path: Path) -> None:
    for snappy in (False, True):
        write_v1(tmp_path / "c", {b"v": FLOATS, b"w": FLOATS}, block_size=1, snappy=snappy)
        data = (tmp_path / "c").read_bytes()
        with CheckpointV1(str(tmp_path / "c")) as checkpoint:
            table = checkpoint._tables[0].table
            places = [sum(table.place(number)) for number in range(table.block_count)]
        for place in [*places, len(data) - 53]:
            (tmp_path / "c").write_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
            with CheckpointV1(str(tmp_path / "c")) as checkpoint:
                assert [error.offset for error in checkpoint.damage] == [place]
                for key in ("v", "w"):
                    value = checkpoint.read(checkpoint.entry(key))
                    assert same(value.array, FLOATS)
                    assert value.checksum == checkpoint.checksum(checkpoint.entry(key)) == "good"


def test_no_file_stays_open(tmp_path: Path) -> None:
    """Not even where what keeps errors keeps them, and nothing collects cycles."""
    write_sharded(tmp_path / "c", {b"%d" % number: FLOATS for number in range(20)}, 10)
    for shard in range(1, 10):
        path = tmp_path / f"c-{shard:05d}-of-00010"
        flip_in(path, 20 if shard % 2 else path.stat().st_size - 60)
    before = len(os.listdir("/proc/self/fd"))
    gc.disable()
    try:
        checkpoint = CheckpointV1(str(tmp_path / "c"))
        entry = checkpoint.entry(checkpoint.keys[0])
        damage = checkpoint.damage
        assert len(damage) == 9
        assert all(error.__traceback__ is None for error in damage)
        checkpoint.close()
        assert len(os.listdir("/proc/self/fd")) == before
        with pytest.raises(Cancelled):
            checkpoint.read(entry)
    finally:
        gc.enable()


def test_a_damaged_block_is_not_kept_in_memory(tmp_path: Path) -> None:
    """Each of eight has a few kilobytes in the file and 60 MB decompressed."""
    writer = TableWriter(snappy=True)
    writer.block([(b"", meta([listed(b"v", 1, [2, 3], [whole(2)])]))])
    block = bytes(60 * MEGABYTE) + bytes(4)
    for number in range(8):
        writer.index.append((b"\0b%03d" % number, writer.raw_block(block)))
    writer.block([(slice_key(b"v", whole(2)), data(b"v", whole(2), values(FLOATS)))])
    (tmp_path / "c").write_bytes(writer.finish())
    del block
    code = """
from tfexplore.formats.checkpoint_v1 import CheckpointV1
checkpoint = CheckpointV1(sys.argv[1])
assert (checkpoint.keys, len(checkpoint.damage)) == (["v"], 8)
"""
    assert peak_memory(code, tmp_path / "c") < 256 * MEGABYTE


def test_a_sector_that_cannot_be_read_ends_no_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_v1(tmp_path / "c", {b"v": FLOATS, b"w": FLOATS}, block_size=1)
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        bad = checkpoint._tables[0].table.place(1)[0]
    original = os.pread

    def pread(fd: int, length: int, offset: int) -> bytes:
        if offset == bad:
            raise OSError(errno.EIO, "Input/output error")
        return original(fd, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        assert checkpoint.keys == ["v", "w"]
        assert ["input/output error" in str(error) for error in checkpoint.damage] == [True]
        assert same(checkpoint.read(checkpoint.entry("w")).array, FLOATS)
        with pytest.raises(ModelError, match="input/output error"):
            checkpoint.read(checkpoint.entry("v"))


def test_a_file_for_a_newer_reader_hides_no_other(tmp_path: Path) -> None:
    files = v1_writer.entries({b"0": FLOATS, b"1": FLOATS}, 2)
    too_large = b"\x0a" + varint(65 * MEGABYTE) + bytes(65 * MEGABYTE)
    for bad in (meta([listed(b"1", 1, [2, 3], [whole(2)])], min_consumer=9), too_large):
        files[1][b""] = bad
        for shard, found in enumerate(files):
            write_entries(tmp_path / f"c-{shard:05d}-of-00002", found)
        with CheckpointV1(str(tmp_path / "c")) as checkpoint:
            assert same(checkpoint.read(checkpoint.entry("0")).array, FLOATS)
            assert [type(error) for error in checkpoint.damage] == [UnsupportedError]
            assert checkpoint.missing_shards() == ()
            if "1" in checkpoint:
                with pytest.raises(CorruptError, match="the list of tensors with dtypes and shapes is damaged"):
                    checkpoint.entry("1")


def test_a_value_that_changes_while_it_is_read_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block matches its checksum when that is looked at, and somebody writes to it before the value is read."""
    write_v1(tmp_path / "c", {b"v": FLOATS, b"w": FLOATS}, block_size=1)
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        entry = checkpoint.entry("v")
        original = RandomAccessFile.pread

        def pread(file: RandomAccessFile, offset: int, length: int) -> bytes:
            if offset == entry.offset:
                flip_in(tmp_path / "c", entry.offset + 12)
            return original(file, offset, length)

        monkeypatch.setattr(RandomAccessFile, "pread", pread)
        with pytest.raises(ChecksumError):
            checkpoint.read(entry)


def small() -> dict[bytes, np.ndarray | Partition]:
    return {
        b"f": FLOATS,
        b"i": some("int64", 3),
        b"p": Partition(np.arange(4, dtype=np.int32), [[(0, 2)], [(2, 2)]]),
        b"s": strings(b"one", b"two"),
    }


def look(path: Path) -> dict[str, np.ndarray | str] | str:
    """All that can be read: values that count as good, and sentences."""
    found: dict[str, np.ndarray | str] = {}
    try:
        with CheckpointV1(str(path)) as checkpoint:
            for key in checkpoint.keys:
                try:
                    entry = checkpoint.entry(key)
                    value = checkpoint.read(entry)
                    assert checkpoint.checksum(entry) == value.checksum == "good"
                    found[key] = value.array
                except TfexploreError as error:
                    found[key] = str(error)
            assert all(isinstance(error, ModelError) for error in checkpoint.damage)
            assert sum(len(batch.keys) for batch in checkpoint.iter_batches()) == len(checkpoint)
            checkpoint.nbytes()
    except TfexploreError as error:
        return str(error)
    return found


def check_damaged(path: Path) -> int:
    """Whatever can be read is right; how much that is."""
    expected = {name.decode(): v.array if isinstance(v, Partition) else v for name, v in small().items()}
    found = look(path)
    if isinstance(found, str):
        return 0
    right = 0
    for key, value in found.items():
        if not isinstance(value, str):
            assert same(value, expected[key]), key
            right += 1
    return right


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("table", [{"block_size": 1}, {}, {"snappy": True, "block_size": 60}])
def test_no_flip_or_cut_passes(
    tmp_path: Path, table: dict[str, Any], is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_large:
        as_large(monkeypatch)
    path = tmp_path / "c"
    write_v1(path, small(), **table)
    raw = path.read_bytes()
    assert check_damaged(path) == 4
    right = []
    for position in range(len(raw)):
        path.write_bytes(raw[:position])
        assert check_damaged(path) == 0
        for bit in (0, 7):
            path.write_bytes(raw[:position] + bytes((raw[position] ^ 1 << bit,)) + raw[position + 1 :])
            right.append(check_damaged(path))
    if table == {"block_size": 1}:
        # What a flip costs is its own block, but for the list of tensors, the index block and the footer.
        assert sum(right) / len(right) > 1.5


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_entries_with_any_bytes_and_right_checksums(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, int]], is_large: bool
) -> None:
    """A checksum made right again vouches for the bytes, not for their sense: only our errors."""
    path = tmp_path_factory.getbasetemp() / "edited"
    found = v1_writer.entries(small())[0]
    block = bytearray(encode_block(sorted(found.items()), 16))
    for position, byte in edits:
        block[position % len(block)] = byte
    writer = TableWriter()
    writer.index.append((b"\xff", writer.raw_block(bytes(block))))
    path.write_bytes(writer.finish())
    with pytest.MonkeyPatch.context() as patch:
        if is_large:
            as_large(patch)
        look(path)


# -- bounded memory and time --

_OPEN = """
from tfexplore.errors import TfexploreError
from tfexplore.formats.checkpoint_v1 import CheckpointV1
try:
    with CheckpointV1(sys.argv[1]) as checkpoint:
        for key in checkpoint.keys[:5]:
            try:
                entry = checkpoint.entry(key)
                checkpoint.read(entry, [0] * len(entry.shape), [min(size, 8) for size in entry.shape], limit=1 << 22)
            except TfexploreError:
                pass
except TfexploreError:
    pass
"""


def hostile_list(snappy: bool) -> bytes:
    """Two bytes each for millions of tensors."""
    tensors = b"\x0a\x00" * 6_000_000
    return encode_table([(b"", b"\x0a" + varint(len(tensors)) + tensors)], snappy=snappy)


def hostile_keys() -> bytes:
    """Keys that share long prefixes."""
    writer = TableWriter()
    writer.block([(b"", meta([]))])
    size = 50_000
    for block in range(40):
        first = b"\x00%02d" % block + b"k" * (size - 3)
        entries = [varint(0) + varint(size) + varint(0) + first]
        entries += [varint(size) + b"\x03\x00%03d" % number for number in range(400)]
        handle = writer.raw_block(b"".join(entries) + b"\0\0\0\0\1\0\0\0")
        writer.index.append((first + b"399", handle))
    return writer.finish()


def hostile_slices() -> bytes:
    """Ten bytes for each of a million slices."""
    starts = [varint(number) for number in range(1 << 14, (1 << 14) + 100_000)]
    parts = b"".join([b"\x22\x08\x0a\x06\x08" + start + b"\x10\x01" for start in starts])
    shape = b"\x12\x06\x12\x04\x08\xff\xff\x7f"
    tensors = [b"\x0a\x02%02d" % number + shape + b"\x18\x01" + parts for number in range(10)]
    listing = b"".join([b"\x0a" + varint(len(tensor)) + tensor for tensor in tensors])
    return encode_table([(b"", b"\x0a" + varint(len(listing)) + listing)])


def claims() -> bytes:
    """A tensor that should have far more elements than there are bytes."""
    found = {b"": meta([listed(b"w", 1, [1 << 40], [whole(1)])])}
    found[slice_key(b"w", whole(1))] = data(b"w", whole(1), values(FLOATS))
    return encode_table(sorted(found.items()))


def bomb() -> bytes:
    """A block that is far smaller than what it unpacks to."""
    found = {b"": meta([listed(b"w", 10, [60 << 20], [whole(1)])])}
    found[slice_key(b"w", whole(1))] = data(b"w", whole(1), values(np.zeros(30 << 20, np.bool_)))
    return encode_table(sorted(found.items()), snappy=True, block_size=1)


def bad_list() -> bytes:
    """Three bytes each for tensors that cannot be read."""
    tensors = b"\x0a\x01\x0f" * 111_000
    return encode_table([(b"", b"\x0a" + varint(len(tensors)) + tensors)])


def versions() -> bytes:
    """Versions in millions of pieces, or of millions of refused ones."""
    raw = b"\x12\x02\x08\x01" * 1_000_000 + b"\x12" + varint(20_000_000) + b"\x1a" + varint(19_999_995)
    raw += bytes(19_999_995)
    return encode_table([(b"", b"\x0a" + varint(len(raw)) + raw)])


def extents() -> bytes:
    """A slice of millions of dimensions."""
    found = {b"": meta([listed(b"w", 1, [3], [whole(1)])])}
    part = b"\x0a\x00" * 10_000_000
    value = b"\x0a\x01w\x12" + varint(len(part)) + part + b"\x1a\x00"
    found[slice_key(b"w", whole(1))] = b"\x12" + varint(len(value)) + value
    return encode_table(sorted(found.items()))


def dimensions() -> bytes:
    """Values that come with a shape of millions of dimensions."""
    found = {b"": meta([listed(b"w", 1, [3], [whole(1)])])}
    shape = b"\x12\x00" * 10_000_000
    found[slice_key(b"w", whole(1))] = data(b"w", whole(1), b"\x12" + varint(len(shape)) + shape)
    return encode_table(sorted(found.items()))


def bad_blocks() -> bytes:
    """Two bytes each for blocks that are nowhere."""
    writer = TableWriter()
    writer.block([(b"", meta([listed(b"w", 1, [3], [whole(1)])]))])
    writer.index += [(number.to_bytes(3, "big"), b"\xff") for number in range(1 << 16, (1 << 16) + 140_000)]
    return writer.finish()


HOSTILE = {
    "bad list": bad_list,
    "versions": versions,
    "extents": extents,
    "dimensions": dimensions,
    "list": lambda: hostile_list(False),
    "packed list": lambda: hostile_list(True),
    "keys": hostile_keys,
    "slices": hostile_slices,
    "claims": claims,
    "bomb": bomb,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_files_cannot_fill_memory(tmp_path: Path, what: str) -> None:
    (tmp_path / "c").write_bytes(HOSTILE[what]())
    assert peak_memory(_OPEN, tmp_path / "c") < 290 * MEGABYTE


def test_all_files_share_what_they_may_take(tmp_path: Path) -> None:
    for shard in range(5):
        (tmp_path / f"c-{shard:05d}-of-00005").write_bytes(bad_blocks())
    assert peak_memory(_OPEN, tmp_path / "c") < 200 * MEGABYTE


def test_a_large_tensor_is_not_held_as_a_whole(tmp_path: Path) -> None:
    """Corners of 160 MB of float32 and of 20 million integers, and a small tensor beside them."""
    floats, integers = bytes(160_000_000), b"\x05" * 20_000_000
    tensors = [listed(b"v", 1, [2, 3], [whole(2)]), listed(b"w", 1, [4000, 10_000], [whole(2)])]
    found = {
        b"": meta([*tensors, listed(b"x", 3, [2000, 10_000], [whole(2)])]),
        slice_key(b"v", whole(2)): data(b"v", whole(2), values(FLOATS)),
        slice_key(b"w", whole(2)): data(b"w", whole(2), b"\x2a" + varint(len(floats)) + floats),
        slice_key(b"x", whole(2)): data(b"x", whole(2), b"\x3a" + varint(len(integers)) + integers),
    }
    write_entries(tmp_path / "c", found, block_size=1)
    del found, floats, integers
    code = f"""
from tfexplore.formats.checkpoint_v1 import CheckpointV1
with CheckpointV1(sys.argv[1]) as checkpoint:
    value = checkpoint.read(checkpoint.entry("v"), limit=1 << 22)
    assert (value.checksum, value.array.tolist()) == ("good", {FLOATS.tolist()})
    for key, rows, expected in (("w", 3990, 0), ("x", 1990, 500)):
        entry = checkpoint.entry(key)
        value = checkpoint.read(entry, [rows, 9990], [10, 10], limit=1 << 22)
        assert (value.checksum, value.array.sum()) == ("unverified", expected)
        assert checkpoint.checksum(entry) == "good"
"""
    assert peak_memory(code, tmp_path / "c") < 130 * MEGABYTE
