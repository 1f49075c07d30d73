"""Gzip files, unpacked piece by piece and not without bounds: a few bytes may claim to be very many."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator

from tfexplore.errors import CorruptError, UnsupportedError
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.table import check_cancel

PIECE = 1 << 18
# A graph of 73.6 MB of text takes 200 KB packed, 368 times less.
_MOST, _MOST_PER_BYTE = 128 << 20, 400
# The same graph in binary form is a fourth of that, and is held as a whole.
_MOST_HELD, _MOST_HELD_PER_BYTE = 64 << 20, 150


def iter_pieces(file: RandomAccessFile, cancel: threading.Event | None = None) -> Iterator[bytes]:
    """A file as it is, in pieces.

    Raises:
        CorruptError: it became shorter meanwhile.
        Cancelled: `cancel` was set.
    """
    for offset in range(0, file.size, PIECE):
        check_cancel(cancel)
        yield file.pread(offset, min(PIECE, file.size - offset))


def iter_unpacked(
    file: RandomAccessFile, cancel: threading.Event | None = None, *, held: bool = False
) -> Iterator[bytes]:
    """A gzip file unpacked, all its members one after the other, in pieces.

    Args:
        held: whether the pieces are kept, for which the bounds are narrower.

    Raises:
        CorruptError: it is damaged or cut off.
        UnsupportedError: it unpacks to far more than such a file should.
        Cancelled: `cancel` was set.
    """
    most = _MOST_HELD + _MOST_HELD_PER_BYTE * file.size if held else _MOST + _MOST_PER_BYTE * file.size
    left = most
    unpacker = zlib.decompressobj(31)
    for number, piece in enumerate(iter_pieces(file, cancel)):
        while piece:
            check_cancel(cancel)
            try:
                data = unpacker.decompress(piece, PIECE)
            except zlib.error as error:
                raise CorruptError("the gzip file is damaged", path=file.path, offset=number * PIECE) from error
            left -= len(data)
            if left < 0:
                raise UnsupportedError(
                    f"the gzip file unpacks to over {most:,} bytes",
                    path=file.path,
                    hint="unpack it and open what is inside",
                )
            if data:
                yield data
            piece = unpacker.unconsumed_tail
            if unpacker.eof:
                piece = unpacker.unused_data
                if piece.startswith(b"\x1f\x8b"):
                    unpacker = zlib.decompressobj(31)
                else:  # zeros that fill a block up, as gzip itself ignores them
                    return
    if not unpacker.eof:
        raise CorruptError("the gzip file ends before its contents do", path=file.path, offset=file.size)
