"""The fields of a protobuf message, read where they are looked at: what lies between is stepped over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tfexplore.formats.files import RandomAccessFile

# What one answer costs at most, whatever the bytes are: fields that are looked at, and reads.
_MAX_STEPS = 4_096
_MAX_READS = 4_096
_WINDOW = 1_024
_MAX_VALUE = 256
# Protobuf's own bound.
_MAX_LENGTH = 1 << 31


class Unpacked:
    """The beginning of what a file unpacks to, to be read as a file is."""

    __slots__ = ("_data", "size")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def pread(self, offset: int, length: int) -> bytes:
        """What is there of `length` bytes at `offset`."""
        return self._data[offset : offset + length]


Source = RandomAccessFile | Unpacked


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        number: its number.
        wire_type: 0 a number, 2 bytes (a string or a message), 1 and 5 a number of 8 and 4 bytes.
        start: where its content begins.
        end: and where that ends, as far as it is there.
        value: the number of wire type 0.
        whole: whether it ends within its message; it does not in a file that was cut off.
    """

    number: int
    wire_type: int
    start: int
    end: int
    value: int
    whole: bool


class Wire:
    """A message, or anything else that is read as one.

    Args:
        source: its bytes.
        head: the first of them.
    """

    def __init__(self, source: Source, head: bytes) -> None:
        self.size = source.size
        self._steps = _MAX_STEPS
        self._source = source
        self._head = head
        self._start = 0
        self._window = b""
        self._reads = _MAX_READS

    def fields(self, position: int, end: int) -> Iterator[Field]:
        """The fields of the message at [position, end), up to where it is none.

        Raises:
            ModelError: the file cannot be read.
        """
        while position < end and self._steps:
            self._steps -= 1
            tag, position = self._varint(position, end)
            number, wire_type = tag >> 3, tag & 7
            if tag < 8 or wire_type not in (0, 1, 2, 5):
                return
            value, length = 0, {1: 8, 5: 4}.get(wire_type, 0)
            if wire_type == 0:
                value, position = self._varint(position, end)
                if value < 0:
                    return
            elif wire_type == 2:
                length, position = self._varint(position, end)
                if not 0 <= length < _MAX_LENGTH:
                    return
            start, position = position, position + length
            yield Field(number, wire_type, start, min(position, end), value, position <= end)

    def inside(self, field: Field) -> Iterator[Field]:
        """The fields of the message that a field holds."""
        return self.fields(field.start, field.end) if field.wire_type == 2 else iter(())

    def value(self, field: Field) -> bytes:
        """The first bytes of a string, 256 at most."""
        return self._bytes(field.start, min(field.end - field.start, _MAX_VALUE)) if field.wire_type == 2 else b""

    def _bytes(self, offset: int, length: int) -> bytes:
        """`length` bytes; none once enough was read."""
        if offset + length <= len(self._head):
            return self._head[offset : offset + length]
        at = offset - self._start
        if at < 0 or at + length > len(self._window):
            if not self._reads:
                return b""
            self._reads -= 1
            self._start, at = offset, 0
            self._window = self._source.pread(offset, min(_WINDOW, self.size - offset))
        return self._window[at : at + length]

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        """The number at a place and the place after it; -1 where it does not end."""
        value = shift = 0
        for byte in self._bytes(position, min(10, end - position)):
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
            shift += 7
        return -1, position
