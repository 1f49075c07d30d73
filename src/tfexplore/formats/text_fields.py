"""What the fields of TensorFlow's messages are in text format, and the wire bytes of each value.

The messages are those of proto/full.proto. Spelling of values: protobuf's text format
(protobuf.dev/reference/protobuf/textformat-spec), as protobuf's own parsers read it.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from typing import Any

from tfexplore.formats.proto import full

_PACKAGE = "tfexplore.full."
# How a type is named in an Any.
_TENSORFLOW = "tensorflow."
_REPEATED = 3
_MAX_KNOWN = 1024
# More digits than any number needs: a longer one takes Python quadratic time.
_MAX_NUMBER = 400
_MAX_SHOWN = 40

_INTEGER = re.compile(rb"-?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
_FLOAT = re.compile(rb"(-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)[fF]?")
_NOT_FINITE = re.compile(rb"(-?(?:inf(?:inity)?|nan))f?", re.IGNORECASE)
_BOOLS = {b"true": 1, b"t": 1, b"1": 1, b"True": 1, b"false": 0, b"f": 0, b"0": 0, b"False": 0}

# What Python's own decoder does not take as text format does. No `\\` is left in what this is asked.
_UNUSUAL_ESCAPE = re.compile(rb"\\(?![0-3][0-7]{2}|[0-7]{1,2}(?![0-7])|x[0-9a-fA-F]{2}|[nrtabfv\"'])")
_ESCAPE = re.compile(
    rb"\\(?:([0-3][0-7]{2}|[0-7]{1,2}(?![0-7]))|[xX]([0-9a-fA-F]{1,2})"
    rb"|u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|(?:u([0-9a-fA-F]{4})|U(00[01][0-9a-fA-F]{5}))"
    rb"|([nrtabfv\"'?\\])|)"
)
_LETTERS = dict(zip(b"nrtabfv\"'?\\", b"\n\r\t\a\b\f\v\"'?\\", strict=True))


class FieldError(Exception):
    """A field that cannot be: what is wrong with it, without the place."""


def shown(token: bytes) -> str:
    """A piece of the text, for a sentence."""
    if len(token) > _MAX_SHOWN:
        token = token[:_MAX_SHOWN] + b"..."
    return repr(token.decode("utf-8", "surrogateescape"))


def varint(value: int) -> bytes:
    """An unsigned number in protobuf's variable length form."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# Lengths of names and small messages, ready made.
VARINTS = tuple(map(varint, range(1024)))


def _integer(token: bytes, low: int, high: int) -> int:
    if len(token) > _MAX_NUMBER or _INTEGER.fullmatch(token) is None:
        raise FieldError(f"expected an integer, found {shown(token)}")
    digits = token.lstrip(b"-")
    base = 16 if digits[:2] in (b"0x", b"0X") else 8 if digits[:1] == b"0" else 10
    value = int(token, base)
    if not low <= value <= high:
        raise FieldError(f"{shown(token)} is not between {low} and {high}")
    return value


def _float(token: bytes) -> float:
    if len(token) <= _MAX_NUMBER:
        match = _FLOAT.fullmatch(token) or _NOT_FINITE.fullmatch(token)
        if match is not None:
            return float(match.group(1))
    raise FieldError(f"expected a number, found {shown(token)}")


def _float32(token: bytes) -> bytes:
    value = _float(token)
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return struct.pack("<f", float("-inf" if value < 0 else "inf"))


def _replaced(match: re.Match[bytes]) -> bytes:
    octal, byte, high, low, code, long_code, letter = match.groups()
    if octal is not None:
        return bytes([int(octal, 8)])
    if byte is not None:
        return bytes([int(byte, 16)])
    if letter is not None:
        return bytes([_LETTERS[letter[0]]])
    if high is not None:
        return (bytes.fromhex((high + low).decode())).decode("utf-16-be").encode()
    number = int(code or long_code or b"110000", 16)
    if number > 0x10FFFF:
        found = match.string[match.start() : match.start() + 4]
        raise FieldError(f"an escape in a string that text format does not have: {shown(found)}")
    return chr(number).encode("utf-8", "surrogatepass")


def unescape(body: bytes) -> bytes:
    """The bytes that a string's text (between the quotes) stands for.

    Raises:
        FieldError: it has an escape that text format does not have.
    """
    if b"\\" not in body:
        return body
    simple = body.replace(b"\\\\", b"\\134")
    if _UNUSUAL_ESCAPE.search(simple) is None:
        # Python's decoder for literals, 100 times as fast as one escape at a time.
        return simple.decode("unicode_escape").encode("latin-1")
    return _ESCAPE.sub(_replaced, body)


class Field:
    """One field of a message.

    Attributes:
        tag: field number and wire type as they are written.
        is_message, is_bytes: what its value is; neither: a number, a bool or the name of an enum's value.
        bit: what marks that it was seen, 0 where it may be repeated; the members of a oneof share one.
        presence: whether its default value is written too.
        known: values already translated, by their text.
    """

    __slots__ = (
        "_descriptor",
        "_message",
        "bit",
        "is_bytes",
        "is_message",
        "known",
        "name",
        "presence",
        "repeated",
        "tag",
    )

    def __init__(self, descriptor: Any) -> None:
        kind = descriptor.type
        self._descriptor = descriptor
        self._message: Message | None = None
        self.name: str = descriptor.name
        self.is_message: bool = kind == descriptor.TYPE_MESSAGE
        self.is_bytes: bool = kind in (descriptor.TYPE_BYTES, descriptor.TYPE_STRING)
        self.repeated: bool = (
            descriptor.is_repeated if hasattr(descriptor, "is_repeated") else descriptor.label == _REPEATED
        )
        oneof = descriptor.containing_oneof
        first = descriptor if oneof is None else oneof.fields[0]
        self.bit = 0 if self.repeated else 1 << first.index
        self.presence: bool = self.repeated or descriptor.has_presence
        if self.is_message or self.is_bytes:
            wire_type = 2
        elif kind in (descriptor.TYPE_DOUBLE, descriptor.TYPE_FIXED64):
            wire_type = 1
        else:
            wire_type = 5 if kind == descriptor.TYPE_FLOAT else 0
        self.tag = varint(descriptor.number << 3 | wire_type)
        self.known: dict[bytes, bytes] = {}

    @property
    def message(self) -> Message:
        """The message that it holds."""
        if self._message is None:
            self._message = message(self._descriptor.message_type.full_name.removeprefix(_PACKAGE))
        return self._message

    def scalar(self, token: bytes) -> bytes:
        """The field with the number, bool or enum value that `token` spells; nothing where it is not written.

        Raises:
            FieldError: it spells none, or one out of range.
        """
        value = self._value(token)
        written = b"" if not self.presence and not any(value) else self.tag + value
        if len(self.known) < _MAX_KNOWN and len(token) <= _MAX_SHOWN:
            self.known[token] = written
        return written

    def _value(self, token: bytes) -> bytes:
        descriptor = self._descriptor
        kind = descriptor.type
        if kind in (descriptor.TYPE_INT32, descriptor.TYPE_INT64):
            size = 31 if kind == descriptor.TYPE_INT32 else 63
            return varint(_integer(token, -(1 << size), (1 << size) - 1) & 0xFFFF_FFFF_FFFF_FFFF)
        if kind == descriptor.TYPE_ENUM:
            named = descriptor.enum_type.values_by_name.get(token.decode("latin-1"))
            if named is None and not token[:1].isdigit() and token[:1] != b"-":
                raise FieldError(f"{descriptor.enum_type.name} has no value named {shown(token)}")
            number = named.number if named is not None else _integer(token, -(1 << 31), (1 << 31) - 1)
            return varint(number & 0xFFFF_FFFF_FFFF_FFFF)
        if kind == descriptor.TYPE_BOOL:
            if token not in _BOOLS:
                raise FieldError(f"expected true or false, found {shown(token)}")
            return VARINTS[_BOOLS[token]]
        if kind == descriptor.TYPE_FLOAT:
            return _float32(token)
        if kind == descriptor.TYPE_DOUBLE:
            return struct.pack("<d", _float(token))
        if kind == descriptor.TYPE_UINT32:
            return varint(_integer(token, 0, (1 << 32) - 1))
        if kind == descriptor.TYPE_UINT64:
            return varint(_integer(token, 0, (1 << 64) - 1))
        if kind == descriptor.TYPE_FIXED64:
            return struct.pack("<Q", _integer(token, 0, (1 << 64) - 1))
        if kind == descriptor.TYPE_SINT64:
            value = _integer(token, -(1 << 63), (1 << 63) - 1)
            return varint(value << 1 if value >= 0 else ~(value << 1))
        raise FieldError(f"expected a {'message in braces' if self.is_message else 'string'}, found {shown(token)}")


class PackedField(Field):
    """The message inside an Any that is spelled out: `[type.googleapis.com/tensorflow.AssetFileDef] { ... }`.

    Raises:
        FieldError: there is no such message here.
    """

    __slots__ = ()

    def __init__(self, type_url: bytes) -> None:
        name = type_url.rpartition(b"/")[2].decode("latin-1")
        try:
            self._message = message(name.removeprefix(_TENSORFLOW)) if name.startswith(_TENSORFLOW) else None
        except KeyError:
            self._message = None
        if self._message is None:
            raise FieldError(f"an Any holds a message that is not known here: {shown(type_url)}")
        self.name = "Any"
        self.is_message, self.is_bytes = True, False
        self.repeated, self.presence = False, True
        # An Any is its type_url (field 1) and the message's bytes (field 2).
        self.bit = 0b11
        self.tag = b"\x0a%b%b\x12" % (varint(len(type_url)), type_url)


class Message:
    """A message: its fields by their names, and its name as TensorFlow has it."""

    __slots__ = ("fields", "name")

    def __init__(self, descriptor: Any) -> None:
        self.name: str = descriptor.full_name.removeprefix(_PACKAGE)
        self.fields: dict[bytes, Field] = {field.name.encode(): Field(field) for field in descriptor.fields}


@cache
def message(name: str) -> Message:
    """A message of full.proto, for instance `message("MetaGraphDef.MetaInfoDef")`.

    Raises:
        KeyError: there is none of that name.
    """
    return Message(full(name).DESCRIPTOR)
