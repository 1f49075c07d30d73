"""NodeDefs, FunctionDefs and AttrValues, decoded one by one from the bytes a graph keeps.

Field numbers: node_def.proto, function.proto, attr_value.proto.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tfexplore.errors import CorruptError
from tfexplore.formats.proto import DecodeError, lean


class Node(NamedTuple):
    """One NodeDef; attribute values stay serialized until `attr` decodes one."""

    name: str
    op: str
    inputs: tuple[str, ...]
    device: str
    raw_attrs: dict[str, bytes]

    def attr(self, name: str) -> Any | None:
        """The AttrValue message of that name; None where the node has none or its bytes are damaged."""
        raw = self.raw_attrs.get(name)
        if raw is None:
            return None
        try:
            return lean("AttrValue").FromString(raw)
        except DecodeError:
            return None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def decode_node(raw: bytes, *, path: str) -> Node:
    """One node of a graph.

    Raises:
        CorruptError: the bytes are no NodeDef.
    """
    try:
        message = lean("NodeDef").FromString(raw)
    except DecodeError as error:
        raise CorruptError("a node's bytes are no NodeDef", path=path) from error
    return Node(
        _text(message.name),
        _text(message.op),
        tuple(map(_text, message.input)),
        _text(message.device),
        {_text(entry.key): entry.value for entry in message.attr},
    )


def called_functions(node: Node, attrs: tuple[str, ...]) -> list[str]:
    """The functions that a node names in these attributes."""
    found = []
    for name in attrs:
        value = node.attr(name)
        kind = value.WhichOneof("value") if value is not None else None
        if value is None:
            continue
        if kind == "func":
            found.append(_text(value.func.name))
        elif kind == "list":
            found.extend(_text(part.name) for part in value.list.func)
    return found


def split_input(name: str) -> tuple[str, str, bool]:
    """Takes a NodeDef's input apart: (node or argument, what follows the first colon, is it a control input).

    `^a` is a control input; `a` is output 0; `a:1` output 1; in a function `a:sum:0` is
    element 0 of the output argument `sum`, and `x` an argument of the function.
    """
    if name.startswith("^"):
        return name[1:], "", True
    node, _, output = name.partition(":")
    return node, output, False
