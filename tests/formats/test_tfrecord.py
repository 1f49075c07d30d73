"""TFRecord files: TensorFlow writes, we read; damage gives our errors only."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from tfexplore.errors import ChecksumError, CorruptError, ModelError, NotAModelError, UnsupportedError
from tfexplore.formats.table import crc32c, mask
from tfexplore.formats.tfrecord import iter_records

RECORDS = [b"", b"a", b"\x00" * 300_000, bytes(range(256)) * 5]


def record(data: bytes) -> bytes:
    head = struct.pack("<Q", len(data))
    return head + struct.pack("<I", mask(crc32c(head))) + data + struct.pack("<I", mask(crc32c(data)))


@pytest.mark.parametrize("packing", ["", "GZIP", "ZLIB"])
def test_what_tensorflow_writes(tf: Any, tmp_path: Path, packing: str) -> None:
    path = tmp_path / "r"
    with tf.io.TFRecordWriter(str(path), packing) as writer:
        for data in RECORDS:
            writer.write(data)
    assert list(iter_records(str(path))) == RECORDS
    assert list(iter_records(str(path), 2)) == RECORDS[:2]


def test_what_we_write_tensorflow_reads(tf: Any, tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(b"".join(map(record, RECORDS)))
    assert [part.numpy() for part in tf.data.TFRecordDataset(str(path))] == RECORDS == list(iter_records(str(path)))


def test_a_length_that_looks_like_a_packers_mark(tmp_path: Path) -> None:
    for length in (0x8B1F, 0x9C78):
        path = tmp_path / "r"
        path.write_bytes(record(bytes(length)))
        assert list(iter_records(str(path))) == [bytes(length)]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(b"")
    assert list(iter_records(str(path))) == []


@pytest.mark.parametrize("pack", [bytes, zlib.compress])
def test_cut_at_every_byte(tmp_path: Path, pack: Any) -> None:
    whole = pack(record(b"first") + record(b"second"))
    path = tmp_path / "r"
    complete = {0, len(record(b"first")), len(whole)} if pack is bytes else {0, len(whole)}
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        if end in complete:
            list(iter_records(str(path)))
            continue
        with pytest.raises((CorruptError, NotAModelError)) as caught:
            list(iter_records(str(path)))
        assert "\n" not in str(caught.value)


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    whole = record(b"first") + record(b"second")
    path = tmp_path / "r"
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with pytest.raises((ChecksumError, NotAModelError)):
            list(iter_records(str(path)))


def test_flipped_bytes_of_packed_files(tmp_path: Path) -> None:
    whole = zlib.compress(record(b"first" * 20) + record(b"second"))
    refused = 0
    path = tmp_path / "r"
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            found = list(iter_records(str(path)))
        except ModelError:
            refused += 1
        else:  # a bit that deflate fills up with
            assert found == [b"first" * 20, b"second"]
    assert refused > len(whole) - 3


def huge(length: int) -> bytes:
    head = struct.pack("<Q", length)
    return head + struct.pack("<I", mask(crc32c(head)))


def test_a_length_that_is_not_there_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(record(b"x") + huge(2**60))
    records = iter_records(str(path))
    assert next(records) == b"x"
    with pytest.raises(
        CorruptError, match=r"a record claims 1,152,921,504,606,846,976 bytes where 0 are left at byte 17"
    ):
        next(records)
    path.write_bytes(zlib.compress(huge(2**60)))
    with pytest.raises(UnsupportedError, match="more than the"):
        list(iter_records(str(path)))


def test_a_bomb_is_not_unpacked_whole(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(zlib.compress(record(bytes(31 << 20)) * 12, 9))
    with pytest.raises(UnsupportedError, match="unpacks to over"):
        for _ in iter_records(str(path)):
            pass


def test_other_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n')
    with pytest.raises(NotAModelError, match="no TFRecord file"):
        list(iter_records(str(path)))
