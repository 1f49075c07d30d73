"""Gzip files of several members: nothing of them is dropped, wherever a member ends, and only zeros may follow."""

from __future__ import annotations

import gzip
import random
import zlib
from pathlib import Path

import pytest

from tfexplore.errors import CorruptError, UnsupportedError
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.gzipped import PIECE, iter_unpacked

FIRST = random.Random(1).randbytes(200_000)


def member(data: bytes, size: int) -> bytes:
    """A member of so many bytes: its header holds a file name that fills it up."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(data) + packer.flush()
    body += zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"n" * (size - 11 - len(body)) + b"\0" + body


def unpacked(path: Path, data: bytes) -> tuple[bytes, str | None]:
    """What comes out of a file, and the sentence with which it ends."""
    path.write_bytes(data)
    found = bytearray()
    with RandomAccessFile(str(path)) as file:
        try:
            for piece in iter_unpacked(file):
                found += piece
        except CorruptError as error:
            return bytes(found), str(error)
    return bytes(found), None


@pytest.mark.parametrize("size", [PIECE - 2, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE])
@pytest.mark.parametrize("zeros", [0, 1, 600, PIECE])
def test_a_member_may_end_anywhere(tmp_path: Path, size: int, zeros: int) -> None:
    data = member(FIRST, size) + bytes(zeros) + gzip.compress(b"second") + bytes(zeros)
    assert gzip.decompress(data) == FIRST + b"second"
    assert unpacked(tmp_path / "m.gz", data) == (FIRST + b"second", None)


@pytest.mark.parametrize("size", [PIECE - 2, PIECE - 1, PIECE, 220_000])
@pytest.mark.parametrize("rest", [b"\x1f", b"\0\x1e\x8b\x08", b"garbage", b"\0x"])
def test_what_follows_a_member_is_told(tmp_path: Path, size: int, rest: bytes) -> None:
    found, sentence = unpacked(tmp_path / "m.gz", member(FIRST, size) + rest)
    assert found == FIRST
    at = size + len(rest) - len(rest.lstrip(b"\0"))
    assert sentence is not None
    assert f"{len(rest.lstrip(bytes(1)))} bytes that are no gzip member at byte {at:,}" in sentence


def test_a_cut_or_damaged_second_member_is_told(tmp_path: Path) -> None:
    second = gzip.compress(b"second" * 100)
    for rest in (second[:-3], second[:9], second[:2], second[:12] + b"\xff\xff" + second[14:]):
        found, sentence = unpacked(tmp_path / "m.gz", gzip.compress(FIRST) + rest)
        assert found.startswith(FIRST)
        assert sentence is not None


def test_a_file_of_empty_members_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.gz"
    path.write_bytes(gzip.compress(b"") * 110_000)
    with RandomAccessFile(str(path)) as file, pytest.raises(UnsupportedError, match="100,000 members"):
        list(iter_unpacked(file))
