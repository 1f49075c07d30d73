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
# Those who pack in blocks make a member of 64 KiB each.
_MOST_MEMBERS = 100_000
_MAGIC = b"\x1f\x8b"


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
        CorruptError: it is damaged or cut off, or something else than zeros follows it.
        UnsupportedError: it unpacks to far more than such a file should, or has very many members.
        Cancelled: `cancel` was set.
    """
    most = _MOST_HELD + _MOST_HELD_PER_BYTE * file.size if held else _MOST + _MOST_PER_BYTE * file.size
    left = most
    unpacker = zlib.decompressobj(31)
    members = 1
    rest = b""  # the last byte of a piece, which may begin a member
    for number, piece in enumerate(iter_pieces(file, cancel)):
        end = min((number + 1) * PIECE, file.size)
        piece = rest + piece
        rest = b""
        while piece:
            check_cancel(cancel)
            if unpacker.eof:
                piece = piece.lstrip(b"\0")  # they fill a block up, as gzip itself ignores them
                if len(piece) < 2:
                    rest = piece
                    break
                if not piece.startswith(_MAGIC):
                    raise _foreign(file, end - len(piece))
                members += 1
                if members > _MOST_MEMBERS:
                    raise UnsupportedError(
                        f"the gzip file has more than {_MOST_MEMBERS:,} members",
                        path=file.path,
                        hint="unpack it and open what is inside",
                    )
                unpacker = zlib.decompressobj(31)
            try:
                data = unpacker.decompress(piece, PIECE)
            except zlib.error as error:
                raise CorruptError("the gzip file is damaged", path=file.path, offset=end - len(piece)) from error
            left -= len(data)
            if left < 0:
                raise UnsupportedError(
                    f"the gzip file unpacks to over {most:,} bytes",
                    path=file.path,
                    hint="unpack it and open what is inside",
                )
            if data:
                yield data
            piece = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    if rest:
        raise _foreign(file, file.size - len(rest))
    if not unpacker.eof:
        raise CorruptError("the gzip file ends before its contents do", path=file.path, offset=file.size)


def _foreign(file: RandomAccessFile, offset: int) -> CorruptError:
    return CorruptError(
        f"the gzip file goes on for {file.size - offset:,} bytes that are no gzip member", path=file.path, offset=offset
    )
