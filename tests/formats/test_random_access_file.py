"""Files that are read by position: closing one disturbs no read that is going on, and no other file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfexplore.errors import Cancelled, CorruptError
from tfexplore.formats.files import RandomAccessFile


def test_a_file_is_closed_when_the_last_read_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    original = os.pread
    before = len(os.listdir("/proc/self/fd"))
    file = RandomAccessFile(str(tmp_path / "f"))
    during = []

    def pread(fd: int, length: int, offset: int) -> bytes:
        file.close()
        during.append(len(os.listdir("/proc/self/fd")))
        return original(fd, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    assert file.pread(2, 3) == b"234"
    assert during == [before + 1]
    assert len(os.listdir("/proc/self/fd")) == before
    for read in (lambda: file.pread(2, 3), lambda: file.readinto(0, memoryview(bytearray(2)))):
        with pytest.raises(Cancelled, match="was closed"):
            read()
    assert file.replaced()
    file.close()


def test_a_file_that_becomes_shorter_is_told(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    with RandomAccessFile(str(tmp_path / "f")) as file:
        os.truncate(tmp_path / "f", 4)
        target = bytearray(8)
        with pytest.raises(CorruptError, match="became shorter"):
            file.pread(1, 8)
        with pytest.raises(CorruptError, match="became shorter"):
            file.readinto(1, memoryview(target))
        with pytest.raises(CorruptError, match="10 bytes in all"):
            file.pread(5, 6)
