"""The names in a zip archive, read by hand: how many there are and how large they claim to be costs nothing.

Source of the layout: PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import struct

from tfexplore.formats.files import RandomAccessFile

_TAIL = 1 << 16
_MAX_DIRECTORY = 1 << 18


def zip_names(file: RandomAccessFile, head: bytes) -> list[bytes]:
    """The names of the members, as far as 256 KiB of the central directory tell; of one that is cut off the first.

    Args:
        file: the archive.
        head: its first bytes.

    Raises:
        ModelError: it cannot be read.
    """
    size = min(file.size, _TAIL)
    tail = file.pread(file.size - size, size)
    last = tail[max(tail.find(b"PK\x01\x02"), 0) :]
    return _of_directory(_directory(file, tail)) or _of_directory(last) or _first(head)


def _directory(file: RandomAccessFile, tail: bytes) -> bytes:
    """The central directory, which the record at the end of the file tells the place of."""
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        return b""
    length, offset = struct.unpack_from("<2L", tail, at + 12)
    return file.pread(offset, min(length, _MAX_DIRECTORY, file.size - offset)) if offset < file.size else b""


def _of_directory(data: bytes) -> list[bytes]:
    names = []
    position = 0
    while data.startswith(b"PK\x01\x02", position) and position + 46 <= len(data):
        length, extra, comment = struct.unpack_from("<3H", data, position + 28)
        position += 46
        names.append(data[position : position + length])
        position += length + extra + comment
    return names


def _first(head: bytes) -> list[bytes]:
    if len(head) < 30:
        return []
    length = struct.unpack_from("<H", head, 26)[0]
    return [head[30 : 30 + length]]
