"""The fields of one big protobuf message, one after the other, without decoding it as a whole.

A file of a few megabytes may hold millions of tiny entries, each of which costs many times its
bytes once it is decoded; here each is looked at and let go. Wire format: see `wire`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from tfexplore.errors import Cancelled, CorruptError

# A field longer than this is told with its place, and not read.
MAX_FIELD = 1 << 20
# More fields than this are nobody's; each costs about a microsecond.
MAX_FIELDS = 2_000_000

_WINDOW = 1 << 18
_MAX_HEADER = 20  # a tag and a length, ten bytes each
_CHECK_EVERY = 4096


class Source(Protocol):
    """Bytes that are read by position: a `RandomAccessFile`, or `Bytes`."""

    @property
    def path(self) -> str:
        """The file, for errors."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def pread(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes at `offset`."""


class Bytes(NamedTuple):
    """Bytes in memory as a `Source`."""

    path: str
    data: bytes

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    def pread(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes at `offset`.

        Raises:
            CorruptError: the range does not lie within the bytes.
        """
        if offset < 0 or length < 0 or offset + length > len(self.data):
            raise CorruptError(
                f"{length:,} bytes were expected but there are {len(self.data):,} in all", path=self.path
            )
        return self.data[offset : offset + length]


class Field(NamedTuple):
    """One length-delimited field.

    Attributes:
        number: the field number.
        start, length: where its bytes lie in the source.
        data: its bytes; None where there are more than `MAX_FIELD`.
    """

    number: int
    start: int
    length: int
    data: bytes | None


def iter_fields(source: Source, what: str, cancel: threading.Event | None = None) -> Iterator[Field]:
    """The length-delimited fields of the message that the whole source is, in order; numbers are passed over.

    Args:
        source: the serialized message.
        what: what it is, for the error ("GraphDebugInfo").
        cancel: ends the reading early.

    Raises:
        CorruptError: the message breaks off, or has more than `MAX_FIELDS` fields; what came before is good.
        Cancelled: `cancel` was set meanwhile.
    """
    buffer, base, position, count = b"", 0, 0, 0
    while position < source.size:
        if count % _CHECK_EVERY == 0 and cancel is not None and cancel.is_set():
            raise Cancelled
        if count >= MAX_FIELDS:
            raise CorruptError(f"{what}: only the first {count:,} fields are read", path=source.path, offset=position)
        count += 1
        if position + _MAX_HEADER > base + len(buffer) < source.size:
            buffer, base = source.pread(position, min(_WINDOW, source.size - position)), position
        tag, at = _varint(buffer, position - base, source, what, position)
        number, wire_type = tag >> 3, tag & 7
        if number == 0 or wire_type not in (0, 1, 2, 5):
            raise CorruptError(f"no readable {what}: a field has the number {number:,} and the wire type "
                               f"{wire_type}, which no such file has", path=source.path, offset=position)  # fmt: skip
        if wire_type == 0:
            _, at = _varint(buffer, at, source, what, position)
            position = base + at
            continue
        length = {1: 8, 5: 4}.get(wire_type, -1)
        if length < 0:
            length, at = _varint(buffer, at, source, what, position)
        start = base + at
        if length > source.size - start:
            raise CorruptError(
                f"no readable {what}: field {number} claims {length:,} bytes where {source.size - start:,} are left",
                path=source.path,
                offset=position,
            )
        if wire_type == 2:
            data = None
            if at + length <= len(buffer):
                data = buffer[at : at + length]
            elif length <= MAX_FIELD:
                data = source.pread(start, length)
            yield Field(number, start, length, data)
        position = start + length


def _varint(buffer: bytes, position: int, source: Source, what: str, field: int) -> tuple[int, int]:
    """A varint of `buffer`, which holds ten bytes from `position` on unless the source ends before.

    `field` is the byte at which the field begins, for the error.
    """
    value = shift = 0
    while position < len(buffer) and shift < 70:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise CorruptError(f"no readable {what}: a number does not end", path=source.path, offset=field)
