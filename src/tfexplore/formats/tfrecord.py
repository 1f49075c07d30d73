"""TFRecord files: records with their lengths and checksums, plain or packed with gzip or zlib.

A record is its length (8 bytes, little endian), the masked CRC-32C of the length (4), the bytes, and
their masked CRC-32C (4). tensorflow/core/lib/io/record_reader.cc.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator

from tfexplore.errors import ChecksumError, CorruptError, NotAModelError, UnsupportedError
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.gzipped import PIECE, iter_pieces, iter_unpacked
from tfexplore.formats.table import check_cancel, crc32c, mask

_HEADER, _FOOTER = 12, 4
# A serialized Example of more bytes is no row to predict with.
MAX_RECORD = 32 << 20
# What is unpacked from a zlib stream at most, as `gzipped` bounds gzip.
_MOST, _MOST_PER_BYTE = 128 << 20, 400


def iter_records(path: str, limit: int | None = None, cancel: threading.Event | None = None) -> Iterator[bytes]:
    """The records of a file, the first `limit` of them; each is checked before it is given.

    Raises:
        NotAModelError: the file holds no records.
        CorruptError: it is cut off, or claims a record that is not there.
        ChecksumError: a length or a record does not match its checksum.
        UnsupportedError: a record of over 32 MiB, or a packed file that unpacks to far more than it should.
        Cancelled: `cancel` was set.
    """
    with RandomAccessFile(path) as file:
        packing = _packing(file)
        if packing == "":
            pieces, whole = iter_pieces(file, cancel), file.size
        else:
            pieces, whole = (iter_unpacked if packing == "gzip" else _iter_inflated)(file, cancel), None
        stream = _Stream(pieces, path)
        count = 0
        while limit is None or count < limit:
            check_cancel(cancel)
            record = _next(stream, path, packing, whole)
            if record is None:
                return
            yield record
            count += 1


def _packing(file: RandomAccessFile) -> str:
    """`gzip`, `zlib`, or nothing for plain records; by checksum first, for a length may look like a packer's mark."""
    head = file.pread(0, min(file.size, _HEADER))
    if not head or (len(head) == _HEADER and _is_length(head)):
        return ""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if len(head) >= 2 and head[0] & 0x0F == 8 and (head[0] << 8 | head[1]) % 31 == 0:
        return "zlib"
    raise NotAModelError(
        "this is no TFRecord file: its first 12 bytes are not a length with its checksum",
        path=file.path,
        hint="rows of JSON go with --example @FILE",
    )


def _is_length(head: bytes) -> bool:
    stored: int = struct.unpack("<I", head[8:])[0]
    return mask(crc32c(head[:8])) == stored


def _next(stream: _Stream, path: str, packing: str, whole: int | None) -> bytes | None:
    place = stream.position
    where = f" of the unpacked {packing} stream" if packing else ""
    head = stream.read(_HEADER)
    if not head:
        return None
    if len(head) < _HEADER:
        raise CorruptError(f"the TFRecord file ends within a record's head{where}", path=path, offset=place)
    if not _is_length(head):
        raise ChecksumError(f"a record's length does not match its checksum{where}", path=path, offset=place)
    length: int = struct.unpack("<Q", head[:8])[0]
    if whole is not None and length + _FOOTER > whole - stream.position:
        left = max(0, whole - stream.position - _FOOTER)
        raise CorruptError(f"a record claims {length:,} bytes where {left:,} are left", path=path, offset=place)
    if length > MAX_RECORD:
        raise UnsupportedError(
            f"a record has {length:,} bytes, more than the {MAX_RECORD:,} that are read{where}", path=path, offset=place
        )
    body = stream.read(length + _FOOTER)
    if len(body) < length + _FOOTER:
        raise CorruptError(f"the TFRecord file ends within a record{where}", path=path, offset=place)
    record = body[:length]
    if mask(crc32c(record)) != struct.unpack("<I", body[length:])[0]:
        raise ChecksumError(f"a record does not match its checksum{where}", path=path, offset=place)
    return record


class _Stream:
    """Pieces, read as one stream."""

    def __init__(self, pieces: Iterator[bytes], path: str) -> None:
        self._pieces = pieces
        self._buffer = bytearray()
        self._start = 0
        self.path = path
        self.position = 0

    def read(self, length: int) -> bytes:
        """The next `length` bytes; fewer where the stream ends."""
        while len(self._buffer) - self._start < length:
            piece = next(self._pieces, b"")
            if not piece:
                break
            del self._buffer[: self._start]
            self._start = 0
            self._buffer += piece
        found = bytes(self._buffer[self._start : self._start + length])
        self._start += len(found)
        self.position += len(found)
        return found


def _iter_inflated(file: RandomAccessFile, cancel: threading.Event | None) -> Iterator[bytes]:
    left = most = _MOST + _MOST_PER_BYTE * file.size
    unpacker = zlib.decompressobj()
    for number, piece in enumerate(iter_pieces(file, cancel)):
        while piece and not unpacker.eof:
            check_cancel(cancel)
            try:
                data = unpacker.decompress(piece, PIECE)
            except zlib.error as error:
                raise CorruptError("the zlib stream is damaged", path=file.path, offset=number * PIECE) from error
            left -= len(data)
            if left < 0:
                raise UnsupportedError(f"the zlib stream unpacks to over {most:,} bytes", path=file.path)
            piece = unpacker.unconsumed_tail
            if data:
                yield data
    if not unpacker.eof:
        raise CorruptError("the zlib stream ends before its contents do", path=file.path, offset=file.size)
