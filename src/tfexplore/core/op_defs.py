"""OpDefs by op name, and how many outputs they give to a node.

An OpDef comes from the graph's own functions, else from the MetaGraph's
`stripped_op_list`, else from the table of TensorFlow's ops that the package ships
(`scripts/make_op_table.py`).
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from tfexplore.core import text
from tfexplore.formats.graph_def import Node
from tfexplore.formats.proto import DecodeError, lean

# Which TensorFlow the shipped table was made with: tensorflow-cpu of that version.
TABLE_VERSION = "2.21"


@cache
def _shipped() -> list[bytes]:
    """The serialized OpDefs of the table, by name."""
    import zlib

    with open(os.path.join(os.path.dirname(__file__), "op_table.bin"), "rb") as file:
        table = zlib.decompress(file.read())
    # An OpList is repeated bytes to who decodes few of its OpDefs, which is what a BytesList is.
    return list(lean("CollectionDef.BytesList").FromString(table).value)


def _name(raw: bytes) -> bytes:
    """The name in a serialized OpDef of the table: its first field, of under 128 bytes."""
    return raw[2 : 2 + raw[1]]


@lru_cache(maxsize=2048)  # all there are; a model may name any number of others
def _of_tensorflow(op: str) -> Any | None:
    shipped, name = _shipped(), text.encode(op)
    at = bisect_left(shipped, name, key=_name)
    if at == len(shipped) or _name(shipped[at]) != name:
        return None
    return lean("OpDef").FromString(shipped[at])


def is_tensorflows(op: str) -> bool:
    """Whether the CPU build of TensorFlow `TABLE_VERSION` has an op of that name; other builds may have more."""
    return _of_tensorflow(op) is not None


class OpDefs:
    """Looks up OpDefs by op name, in the order that the module's docstring gives.

    Args:
        own: the MetaGraph's `stripped_op_list` ops, or nothing.
        functions: signatures of the graph's functions by name: a node may call one by its name.
    """

    def __init__(self, own: Iterable[Any] = (), functions: Mapping[str, Any] | None = None) -> None:
        self._own = {text.decode(op.name): op for op in own}
        self._functions = functions or {}

    def find(self, op: str) -> Any | None:
        """The OpDef of `op`, or None where nobody knows it."""
        return self._functions.get(op) or self._own.get(op) or _of_tensorflow(op)


def output_counts(op_def: Any, attrs: Mapping[bytes, bytes] | None = None) -> tuple[int | None, ...]:
    """How many tensors each output argument of a node has; None where an attribute decides and does not tell.

    Args:
        attrs: the node's attributes, serialized; None for what is the same at every node.
    """
    return tuple([_count(arg, attrs, op_def) for arg in op_def.output_arg])


def _count(arg: Any, attrs: Mapping[bytes, bytes] | None, op_def: Any) -> int | None:
    name = arg.type_list_attr or arg.number_attr
    if not name:
        return 1
    if attrs is None:
        return None
    raw = attrs.get(name)
    try:
        value = lean("AttrValue").FromString(raw) if raw is not None else _default(op_def, name)
    except DecodeError:
        return None
    # An AttrValue without a value is an empty list.
    if value is None or value.WhichOneof("value") not in (("list", None) if arg.type_list_attr else ("i",)):
        return None
    count: int = len(value.list.type) if arg.type_list_attr else value.i
    return count if count >= 0 else None


def attr_value(node: Node, op_def: Any, name: bytes) -> Any | None:
    """The AttrValue of a node, else the default that its OpDef has; None where there is neither, or it is damaged."""
    if text.decode(name) in node.raw_attrs:
        return node.attr(text.decode(name))
    return _default(op_def, name)


def _default(op_def: Any, name: bytes) -> Any | None:
    for attr in op_def.attr:
        if attr.name == name and attr.HasField("default_value"):
            return attr.default_value
    return None
