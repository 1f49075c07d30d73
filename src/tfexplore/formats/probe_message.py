"""Which of TensorFlow's messages some bytes are, from the wire format alone: further on they may be cut or damaged.

No message has a magic number, they share field numbers, and a writer may put fields in any order: what tells them
apart is what lies in their fields 1 and 2. One part that can only be a GraphDef's, a MetaGraphDef's or a SavedModel's
decides; where none is found, what may be such a part does, if nothing speaks against it.
Field numbers: graph.proto, node_def.proto, function.proto, op_def.proto, meta_graph.proto, saved_model.proto,
fingerprint.proto, saved_metadata.proto (Keras), graph_debug_info.proto; onnx.proto.
"""

from __future__ import annotations

from itertools import islice

from tfexplore.formats.probe_wire import Field, Source, Wire

SAVED_MODEL = "saved_model"
META_GRAPH = "meta_graph"
GRAPH_DEF = "graph_def"
ONNX = "onnx"
FINGERPRINT = "fingerprint"
KERAS_METADATA = "keras_metadata"
DEBUG_INFO = "debug_info"
OTHER = "message"
_LIBRARY = "library"

# What holds in its field 2 what.
_HOLDS = {_LIBRARY: GRAPH_DEF, GRAPH_DEF: META_GRAPH, META_GRAPH: SAVED_MODEL}
# The wire types of their fields, by number.
_FIELDS = {
    SAVED_MODEL: {1: 0, 2: 2},
    META_GRAPH: dict.fromkeys(range(1, 8), 2),
    GRAPH_DEF: {1: 2, 2: 2, 3: 0, 4: 2, 5: 2},
}
_NO_NODES = {(2, 2), (3, 0), (4, 2), (5, 2)}
_META_INFO = {1: 2, 2: 2, 3: 2, 4: 2, 5: 2, 6: 2, 7: 0, 8: 2}
_OP_DEF = {1: 2, 2: 2, 3: 2, 4: 2, 5: 2, 6: 2, 8: 2, 16: 0, 17: 0, 18: 0, 19: 0, 20: 2, 21: 0}
_FINGERPRINT = {1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 2, 7: 2}
_HASHES = {(1, 0), (2, 0), (3, 0), (4, 0)}
_ONNX = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_NAME = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.>/-"
# What a text is made of; the tags of a name and an op are not.
_PRINTED = b"\t\n\r\f" + bytes(range(0x20, 0x100))
_SOURCES = (b".py", b".cc", b".h")
# Fields of a node and parts of a list that are looked at.
_LOOKED_AT, _TRIED = 512, 4
_MAX_DEPTH = 3


# What a message is, and whether that is sure.
_Role = tuple[str | None, bool]
_NONE: _Role = (None, False)


def message_kind(source: Source, head: bytes) -> str | None:
    """What message some bytes are.

    Args:
        source: the bytes.
        head: the first of them.

    Returns:
        `saved_model`, `meta_graph`, `graph_def`, `onnx`, `fingerprint`, `keras_metadata`, `debug_info`, `message` for
        another one, or None where they are no message.

    Raises:
        ModelError: the file cannot be read.
    """
    if not (head[:256].translate(None, _PRINTED) or head.translate(None, _PRINTED)):
        return None  # a text
    wire = Wire(source, head)
    fields: list[Field] = []
    maybe: dict[str, int] = {}
    for field in wire.fields(0, wire.size):
        fields.append(field)
        name, sure = _of_field(wire, field, 0)
        if name in _FIELDS:
            if sure:
                return name
            maybe[name] = max(field.number, maybe.get(name, 0))
    return _of_fields(wire, fields, maybe) if fields else None


def _of_fields(wire: Wire, fields: list[Field], maybe: dict[str, int]) -> str | None:
    """What a message is of which no single field is sure.

    Args:
        maybe: what it may be, and the highest number of a field that says so.
    """
    types = {(field.number, field.wire_type) for field in fields}
    if wire.size < 512 and _HASHES <= types <= _FINGERPRINT.items():
        return FINGERPRINT
    for field in islice((field for field in fields if field.number == 1), _TRIED):
        beside = _beside(wire, field)
        if beside is not None:
            return beside
    if _is_onnx(wire, fields, types):
        return ONNX
    is_whole = fields[-1].whole and fields[-1].end == wire.size
    if not maybe and types <= _FIELDS[SAVED_MODEL].items() and _begins_as_saved_model(wire, fields):
        return SAVED_MODEL
    if not maybe and types <= _NO_NODES and any(_is_version_def(wire, field) for field in fields):
        return GRAPH_DEF
    for name, number in maybe.items():
        # What is hardly a MetaInfoDef is none in a whole message that nothing else speaks for.
        spoken_for = {GRAPH_DEF: True, META_GRAPH: number > 1, SAVED_MODEL: (1, 0) in types}[name]
        if types <= _FIELDS[name].items() and (spoken_for or not is_whole):
            return name
    # Of bytes that only happen to be fields up to the last one, most have fields that few messages have.
    is_usual = fields[0].wire_type in (0, 2) and any(kind == 2 for _, kind in types) and max(types)[0] < 100
    return OTHER if is_whole and is_usual and wire.size > 8 else None


def _of_field(wire: Wire, field: Field, depth: int) -> _Role:
    """What one field says about the message that it is in."""
    if field.wire_type != 2 or field.start == field.end or field.number > 7:
        return _NONE
    if field.number == 1:
        return _of_first(wire, field, depth)
    if field.number == 2:
        if depth == _MAX_DEPTH:
            return _NONE
        if depth and _is_entry(wire, field, text=True):
            return _LIBRARY, False  # a GradientDef
        name, sure = _of_message(wire, field, depth + 1)
        return _HOLDS.get(name or ""), sure
    if depth and _is_version_def(wire, field):
        return GRAPH_DEF, False
    # Some writers put the objects first.
    is_objects = field.number == 7 and wire.value(field)[:1] in (b"\x0a", b"\x12") and (depth or not field.whole)
    if is_objects or (field.number == 5 and _is_signature(wire, field)):
        return META_GRAPH, False
    return _NONE


def _of_message(wire: Wire, field: Field, depth: int) -> _Role:
    maybe = _NONE
    for inside in wire.inside(field):
        found = _of_field(wire, inside, depth)
        if found[1]:
            return found
        maybe = maybe if maybe[0] else found
    return maybe


def _of_first(wire: Wire, field: Field, depth: int) -> _Role:
    """Field 1: a NodeDef of a GraphDef, a FunctionDef of a library, the MetaInfoDef of a MetaGraphDef."""
    node = _node(wire, field)
    if node[1]:
        return node
    if depth and _is_function(wire, field):
        return _LIBRARY, True
    info = _meta_info(wire, field)
    return info if info[1] or not node[0] else node


# -- parts --


def _node(wire: Wire, field: Field) -> _Role:
    """NodeDef: 1 name, 2 op, 3 inputs, 4 device, 5 attributes, 6 and 7 messages; names may be any bytes or missing."""
    name = op = b""
    attributes = False
    for place, found in enumerate(islice(wire.inside(field), _LOOKED_AT)):
        if found.wire_type != 2 or found.number > 7:
            # Damage further on changes nothing.
            return (GRAPH_DEF, True) if _is_name(op) else _NONE
        if found.number == 1:
            name = wire.value(found)
            if not found.whole and not place:
                return GRAPH_DEF, False  # cut off within its name
        elif found.number == 2:
            op = wire.value(found)
            if _is_name(op) and place < 2:
                return GRAPH_DEF, True
            if op[:1] == b"\x0a" or (op and not _is_name(op) and _is_message(wire, found)):
                return _NONE  # another message
        elif found.number == 5:
            attributes = attributes or _is_entry(wire, found)
    if _is_name(op):
        return GRAPH_DEF, True
    may_be = op or attributes or (name and not field.whole)
    return (GRAPH_DEF, False) if may_be and name[:1] != b"\x0a" else _NONE


def _meta_info(wire: Wire, field: Field) -> _Role:
    """MetaInfoDef: 1 its version, 2 OpList, 3 Any, 4 tags, 5 and 6 versions of TensorFlow, 7 a bool, 8 aliases."""
    some = False
    for found in islice(wire.inside(field), _LOOKED_AT):
        if _META_INFO.get(found.number) != found.wire_type:
            return _NONE
        value = wire.value(found)
        if found.number in (1, 4, 5, 6) and not _is_text(value) and found.whole:
            return _NONE
        if found.number == 5 and value[:1].isdigit():
            return META_GRAPH, True
        if found.number == 2 and value:
            if _is_op_list(wire, found):
                return META_GRAPH, True
            if found.whole:
                return _NONE
        some = some or found.number not in (3, 7, 8)
    return (META_GRAPH, False) if some else _NONE


def _is_function(wire: Wire, field: Field) -> bool:
    """FunctionDef: 1 OpDef, 3 NodeDefs, 4 to 8 maps; no 2."""
    for found in islice(wire.inside(field), _LOOKED_AT):
        if found.wire_type != 2 or found.number in (0, 2):
            return False
        if found.number == 1:
            return _is_op_def(wire, found)
        if found.number == 3 and _node(wire, found)[1]:
            return True
    return False


def _is_op_list(wire: Wire, field: Field) -> bool:
    ops = list(islice(wire.inside(field), _TRIED))
    return bool(ops) and all(found.number == 1 and _is_op_def(wire, found) for found in ops)


def _is_op_def(wire: Wire, field: Field) -> bool:
    """OpDef: 1 name, 2 and 3 arguments, 4 attributes and others."""
    fields = list(islice(wire.inside(field), _LOOKED_AT))
    cut_off = not field.whole or (bool(fields) and not fields[-1].whole)
    names = [wire.value(found) for found in fields if found.number == 1 and found.whole]
    known = all(_OP_DEF.get(found.number) == found.wire_type for found in fields)
    return known and all(map(_is_text, names)) and (bool(names) or cut_off)


def _is_entry(wire: Wire, field: Field, *, text: bool = False) -> bool:
    """An entry of a map: 1 its key, which is text, and 2 its value, which is bytes (or `text`)."""
    fields = list(islice(wire.inside(field), 3))
    if len(fields) > 2 or any(found.wire_type != 2 or found.number > 2 for found in fields):
        return False
    values = {found.number: wire.value(found) for found in fields}
    return _is_text(values.get(1, b"")) and (not text or _is_text(values.get(2, b"")))


def _is_signature(wire: Wire, field: Field) -> bool:
    """An entry of the signatures: SignatureDef has maps as 1, 2 and 4, and 3 its method."""
    if not _is_entry(wire, field):
        return False
    found = [inside for value in wire.inside(field) if value.number == 2 for inside in islice(wire.inside(value), 4)]
    return bool(found) and all(
        _is_entry(wire, inside) if inside.number in (1, 2, 4) else inside.number == 3 and _is_text(wire.value(inside))
        for inside in found
    )


def _is_version_def(wire: Wire, field: Field) -> bool:
    """VersionDef: 1 producer, 2 min_consumer, 3 bad_consumers."""
    if field.number != 4 or field.end - field.start > 100:
        return False
    fields = list(islice(wire.inside(field), _LOOKED_AT))
    numbers = all(found.wire_type == 0 or (found.number == 3 and found.wire_type == 2) for found in fields)
    return bool(fields) and numbers and all(found.number <= 3 for found in fields)


def _is_message(wire: Wire, field: Field) -> bool:
    """Whether a string may be a message: fields up to its last byte."""
    last = None
    for found in islice(wire.inside(field), _LOOKED_AT):
        last = found
    return last is not None and last.whole and last.end == field.end


def _is_name(value: bytes) -> bool:
    """Whether it is a name as ops and functions have."""
    return bool(value) and not value.strip(_NAME) and not value[:1].isdigit()


def _is_text(value: bytes) -> bool:
    """Whether it may be a name: no control characters."""
    return bool(value) and min(value) >= 0x20


# -- what lies beside, and others' --


def _beside(wire: Wire, field: Field) -> str | None:
    """`keras_metadata` or `debug_info`, from the object or the file name that it begins with."""
    value = wire.value(field)
    if b"_tf_keras_" in value or any(wire.value(found).startswith(b"_tf_keras_") for found in wire.inside(field)):
        return KERAS_METADATA
    is_source = _is_text(value) and value.endswith(_SOURCES)
    return DEBUG_INFO if is_source else None


def _is_onnx(wire: Wire, fields: list[Field], types: set[tuple[int, int]]) -> bool:
    """ModelProto: 1 ir_version, 2 producer_name, 7 GraphProto, 8 operator sets."""
    if not types <= _ONNX.items() or not any(field.number == 1 and 0 < field.value < 100 for field in fields):
        return False
    producers = [wire.value(field) for field in fields if field.number == 2]
    named = all(_is_text(producer) and len(producer) < 200 and producer.isascii() for producer in producers)
    return named and (bool(producers) or not types.isdisjoint({(7, 2), (8, 2)}))


def _begins_as_saved_model(wire: Wire, fields: list[Field]) -> bool:
    """1 the schema version, which is 1; 2 MetaGraphDefs that are empty, or so damaged that nothing in them is known."""
    numbers = {field.number for field in fields}
    if not any(field.number == 1 and field.value == 1 for field in fields) or (2 not in numbers and wire.size != 2):
        return False
    for field in fields:
        if field.number == 2 and field.start < field.end:
            inside = next(wire.inside(field), None)
            return inside is not None and inside.number <= 7 and inside.wire_type == 2
    return True
