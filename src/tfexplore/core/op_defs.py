"""What a node puts out: number, names and dtypes of its outputs, from its OpDef.

The OpDef comes from the graph's own functions, else from the MetaGraph's
`stripped_op_list`, else from the table of TensorFlow's ops that the package ships
(`scripts/make_op_table.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tfexplore.core import text
from tfexplore.formats import dtypes
from tfexplore.formats.graph_def import Node

# Which TensorFlow the shipped table was made with.
TABLE_VERSION = "2.21"


@dataclass(frozen=True, slots=True)
class OutputArg:
    """One output argument of a node: `count` tensors, all of one dtype or each of its own."""

    name: str
    count: int
    dtypes: tuple[int, ...]  # one for all, or one for each

    def dtype(self, index: int) -> int:
        """The DataType number of tensor `index` of this argument."""
        return self.dtypes[index] if len(self.dtypes) > 1 else self.dtypes[0]


@cache
def _shipped() -> dict[str, Any]:
    import zlib

    from tfexplore.formats.proto import lean

    with open(os.path.join(os.path.dirname(__file__), "op_table.bin"), "rb") as file:
        table = lean("OpList").FromString(zlib.decompress(file.read()))
    return {text.decode(op.name): op for op in table.op}


def is_tensorflows(op: str) -> bool:
    """Whether TensorFlow `TABLE_VERSION` itself has an op of that name."""
    return op in _shipped()


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
        return self._functions.get(op) or self._own.get(op) or _shipped().get(op)


def output_args(node: Node, op_def: Any) -> tuple[OutputArg, ...] | None:
    """The output arguments of a node; None where its attributes do not say how many or of which dtype."""
    args = []
    for arg in op_def.output_arg:
        found = _arg(arg, node, op_def)
        if found is None:
            return None
        args.append(found)
    return tuple(args)


def _attr(node: Node, op_def: Any, name: bytes) -> Any | None:
    value = node.attr(text.decode(name))
    if value is not None:
        return value
    for attr in op_def.attr:
        if attr.name == name and attr.HasField("default_value"):
            return attr.default_value
    return None


def _arg(arg: Any, node: Node, op_def: Any) -> OutputArg | None:
    name = text.decode(arg.name)
    if arg.type_list_attr:
        value = _attr(node, op_def, arg.type_list_attr)
        if value is None or value.WhichOneof("value") not in ("list", None):
            return None
        types = tuple(value.list.type)
        return OutputArg(name, len(types), types or (0,))
    dtype = arg.type
    if arg.type_attr:
        value = _attr(node, op_def, arg.type_attr)
        if value is None or value.WhichOneof("value") != "type":
            return None
        dtype = value.type
    if arg.is_ref and dtype < dtypes.REF:
        dtype += dtypes.REF
    count = 1
    if arg.number_attr:
        value = _attr(node, op_def, arg.number_attr)
        if value is None or value.WhichOneof("value") != "i" or value.i < 0:
            return None
        count = value.i
    return OutputArg(name, count, (dtype,))


def iter_outputs(args: Iterable[OutputArg]) -> Iterator[tuple[str, int, int]]:
    """Each output in order: (argument, index in the argument, dtype)."""
    for arg in args:
        for index in range(arg.count):
            yield arg.name, index, arg.dtype(index)
