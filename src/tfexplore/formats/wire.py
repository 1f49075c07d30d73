"""Where a protobuf message breaks: walked only after decoding has failed.

Wire format: a tag (field number << 3 | wire type) as varint, then a varint (0), eight bytes (1),
a length and that many bytes (2), groups (3 and 4, long out of use), four bytes (5).
"""

from __future__ import annotations

from typing import Any

from tfexplore.errors import CorruptError
from tfexplore.formats.proto import DecodeError

_TYPE_MESSAGE = 11
_MAX_DEPTH = 100


class _DamageError(Exception):
    def __init__(self, offset: int, what: str) -> None:
        self.offset = offset
        self.what = what


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    start = position
    while True:
        if position >= end:
            raise _DamageError(start, "a number runs past the end of its message")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift >= 70:
            raise _DamageError(start, "a number is longer than ten bytes")


def _walk(data: bytes, position: int, end: int, descriptor: Any, depth: int) -> None:
    while position < end:
        start = position
        tag, position = _varint(data, position, end)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise _DamageError(start, "field number 0, which no message has")
        field = descriptor.fields_by_number.get(number) if descriptor is not None else None
        name = f"{descriptor.name}.{field.name}" if field is not None else f"field {number}"
        if wire_type == 0:
            _, position = _varint(data, position, end)
        elif wire_type in (1, 5):
            position += 8 if wire_type == 1 else 4
            if position > end:
                raise _DamageError(start, f"{name} runs past the end of its message")
        elif wire_type == 2:
            length, position = _varint(data, position, end)
            if length > end - position:
                raise _DamageError(start, f"{name} claims {length:,} bytes where {end - position:,} are left")
            if field is not None and field.type == _TYPE_MESSAGE and depth < _MAX_DEPTH:
                _walk(data, position, position + length, field.message_type, depth + 1)
            position += length
        else:
            raise _DamageError(start, f"{name} has wire type {wire_type}, which no such file uses")


def decode(message_class: Any, data: bytes, *, path: str, what: str, offset: int | None = 0) -> Any:
    """Decodes `data` as one message.

    Args:
        message_class: a class that `proto.lean` gave.
        data: the serialized message.
        path: the file it came from, for the error.
        what: what it is, for the error ("SavedModel").
        offset: where `data` begins in the file; None where that is not known.

    Raises:
        CorruptError: it is no such message; names the byte at which it breaks.
    """
    try:
        return message_class.FromString(data)
    except DecodeError as error:
        try:
            _walk(data, 0, len(data), message_class.DESCRIPTOR, 0)
        except _DamageError as damage:
            at = None if offset is None else offset + damage.offset
            raise CorruptError(f"no readable {what}: {damage.what}", path=path, offset=at) from error
        raise CorruptError(f"no readable {what}: a field nests too deep or has the wrong type", path=path) from error
