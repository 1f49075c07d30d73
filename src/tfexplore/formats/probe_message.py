"""Which of TensorFlow's messages some bytes begin, from the wire format alone: further on they may be cut or damaged.

A GraphDef begins with a NodeDef (a name, then an op), a MetaGraphDef with a MetaInfoDef, a SavedModel with its schema
version and a MetaGraphDef. In text format the first field's name tells.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SAVED_MODEL = "saved_model"
META_GRAPH = "meta_graph"
GRAPH_DEF = "graph_def"
ONNX = "onnx"
FINGERPRINT = "fingerprint"
KERAS_METADATA = "keras_metadata"

_IDENTIFIER = re.compile(rb"[A-Za-z][A-Za-z0-9_>.]*\Z")
_MAX_FIELDS = 64
_MAX_LENGTH = 1 << 31
_FINGERPRINT = {1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 2, 7: 2}
_ONNX = {2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2}
_META_INFO = {1: 2, 2: 2, 3: 2, 4: 2, 5: 2, 6: 2, 7: 0, 8: 2}

_TEXT_FIELDS = {
    b"saved_model_schema_version": SAVED_MODEL,
    b"meta_graphs": SAVED_MODEL,
    b"meta_info_def": META_GRAPH,
    b"graph_def": META_GRAPH,
    b"saver_def": META_GRAPH,
    b"collection_def": META_GRAPH,
    b"signature_def": META_GRAPH,
    b"asset_file_def": META_GRAPH,
    b"object_graph_def": META_GRAPH,
    b"node": GRAPH_DEF,
    b"library": GRAPH_DEF,
    b"versions": GRAPH_DEF,
    b"version": GRAPH_DEF,
}
_BLANK = re.compile(rb"(?:[\s\x00]|#[^\n]*(?:\n|\Z))*")
_FIELD = re.compile(rb"([A-Za-z_][A-Za-z0-9_]*)\s*(?::\s*)?([{<:]|[0-9])?")


class _Field(NamedTuple):
    """A field at the beginning of a message: its content as far as it is there, and the length that it claims."""

    number: int
    wire_type: int
    content: bytes
    length: int


def message_kind(head: bytes, size: int) -> str | None:
    """`saved_model`, `meta_graph`, `graph_def`, `onnx`, `fingerprint` or `keras_metadata`, or None for anything else.

    Args:
        head: the beginning.
        size: how many bytes there are in all.
    """
    fields = _fields(head, size)
    if not fields:
        return None
    first = fields[0]
    if size < 200 and len(fields) > 2 and all(_FINGERPRINT.get(found.number) == found.wire_type for found in fields):
        return FINGERPRINT
    if first.number == 1 and first.wire_type == 0:
        return _versioned(fields)
    if first.wire_type != 2:
        return None
    if first.number == 1:
        if _is_node(first):
            return GRAPH_DEF
        if b"_tf_keras_" in first.content[:400]:
            return KERAS_METADATA
        return META_GRAPH if _is_meta_info(first) else None
    if first.number == 2:
        if _is_library(first):
            return GRAPH_DEF
        if _is_graph(first):
            return META_GRAPH
        return SAVED_MODEL if _is_meta_graph(first) else None
    if first.number == 4:  # the versions of a graph without nodes
        inside = _fields(first.content, first.length)
        known = inside and all(field.number in (1, 2, 3) and field.wire_type in (0, 2) for field in inside)
        return GRAPH_DEF if known and first.length < 100 else None
    return None


def text_kind(head: bytes) -> str | None:
    """`saved_model`, `meta_graph` or `graph_def` where some text begins one in text format, else None."""
    found = _FIELD.match(head, _blank_end(head))
    if found is None or found.group(2) is None:
        return None
    return _TEXT_FIELDS.get(found.group(1))


def _blank_end(head: bytes) -> int:
    """Where blanks and comments end."""
    position = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    blank = _BLANK.match(head, position)
    return blank.end() if blank is not None else position


def _versioned(fields: list[_Field]) -> str | None:
    """A SavedModel, or ONNX's ModelProto: both begin with a version."""
    for field in fields[1:]:
        if field.number == 2 and field.wire_type == 2 and _is_meta_graph(field):
            return SAVED_MODEL
        if _ONNX.get(field.number) != field.wire_type:
            return None
        if field.number == 2:
            named = 0 < field.length < 200 and field.content.isascii() and b"\0" not in field.content
            return ONNX if fields[0].length < 100 and named else None
        if field.number in (7, 8) and field.wire_type == 2 and fields[0].length < 100:
            return ONNX
    return SAVED_MODEL if len(fields) == 1 and fields[0].length <= 1 else None


def _is_meta_graph(field: _Field) -> bool:
    inside = _fields(field.content, field.length)
    if not inside or inside[0].wire_type != 2:
        return False
    first = inside[0]
    if first.number == 1:
        return _is_meta_info(first) or not first.content
    if first.number == 2:
        return _is_graph(first)
    # Some writers put the object graph first.
    return first.number == 7 and first.content[:1] == b"\x0a"


def _is_meta_info(field: _Field) -> bool:
    inside = _fields(field.content, field.length)
    if not inside or _is_node(field):
        return False
    versions = [found for found in inside if found.number in (1, 5, 6)]
    return all(_META_INFO.get(found.number) == found.wire_type for found in inside) and all(
        found.content.isascii() for found in versions
    )


def _is_graph(field: _Field) -> bool:
    inside = _fields(field.content, field.length)
    if not inside or inside[0].wire_type != 2:
        return False
    first = inside[0]
    return (first.number == 1 and _is_node(first)) or (first.number == 2 and _is_library(first)) or first.number == 4


def _is_library(field: _Field) -> bool:
    """A FunctionDefLibrary: functions that begin with a signature, which begins with a name."""
    inside = _fields(field.content, field.length)
    if not inside or inside[0].number != 1 or inside[0].wire_type != 2:
        return False
    function = _fields(inside[0].content, inside[0].length)
    if not function or function[0].number != 1 or function[0].wire_type != 2 or _is_node(inside[0]):
        return False
    signature = _fields(function[0].content, function[0].length)
    return bool(signature) and signature[0].number == 1 and signature[0].wire_type == 2


def _is_node(field: _Field) -> bool:
    """A NodeDef: a name, which may be any bytes or missing, then an op."""
    inside = _fields(field.content, field.length)
    for place, found in enumerate(inside[:2]):
        if found.wire_type != 2:
            return False
        if found.number == 2:
            # A field that is cut off is an op as far as it goes.
            return bool(_IDENTIFIER.match(found.content)) if found.content else len(inside) == place + 1
        if found.number != 1:
            return False
    # Cut off within its name, or before its op.
    return len(inside) == 1 and len(field.content) < field.length


def _fields(data: bytes, size: int) -> list[_Field]:
    """The first fields of a message of `size` bytes that begins with `data`; none where it is no message."""
    found: list[_Field] = []
    position = 0
    while position < len(data) and len(found) < _MAX_FIELDS:
        tag, position = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if tag < 0 or number == 0 or wire_type not in (0, 1, 2, 5):
            return [] if tag >= 0 and not found else found
        if wire_type == 0:
            value, position = _varint(data, position)
            if value < 0:
                break
            found.append(_Field(number, 0, b"", value))
            continue
        length = {1: 8, 5: 4}.get(wire_type, 0)
        if wire_type == 2:
            length, position = _varint(data, position)
            if not 0 <= length < _MAX_LENGTH:
                break
        if position + length > size:
            # In a file that was cut off the last field runs past its end: it is what it begins to be.
            found.append(_Field(number, wire_type, data[position:], length))
            break
        found.append(_Field(number, wire_type, data[position : position + length], length))
        position += length
    return found


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at a place and the place after it; -1 where it does not end."""
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    return -1, len(data)
