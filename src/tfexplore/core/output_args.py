"""What a node puts out: number, names and dtypes of its outputs, from its OpDef."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tfexplore.core import text
from tfexplore.core.op_defs import attr_value
from tfexplore.formats import dtypes
from tfexplore.formats.graph_def import Node


@dataclass(frozen=True, slots=True)
class OutputArg:
    """One output argument of a node: `count` tensors, all of one dtype or each of its own."""

    name: str
    count: int
    dtypes: tuple[int, ...]  # one for all, or one for each

    def dtype(self, index: int) -> int:
        """The DataType number of tensor `index` of this argument."""
        return self.dtypes[index] if len(self.dtypes) > 1 else self.dtypes[0]


def output_args(node: Node, op_def: Any) -> tuple[OutputArg, ...] | None:
    """The output arguments of a node; None where its attributes do not say how many or of which dtype."""
    args = []
    for arg in op_def.output_arg:
        found = _arg(arg, node, op_def)
        if found is None:
            return None
        args.append(found)
    return tuple(args)


def _arg(arg: Any, node: Node, op_def: Any) -> OutputArg | None:
    name = text.decode(arg.name)
    if arg.type_list_attr:
        value = attr_value(node, op_def, arg.type_list_attr)
        if value is None or value.WhichOneof("value") not in ("list", None):
            return None
        types = tuple(value.list.type)
        return OutputArg(name, len(types), types or (0,))
    dtype = arg.type
    if arg.type_attr:
        value = attr_value(node, op_def, arg.type_attr)
        if value is None or value.WhichOneof("value") != "type":
            return None
        dtype = value.type
    if arg.is_ref and dtype < dtypes.REF:
        dtype += dtypes.REF
    count = 1
    if arg.number_attr:
        value = attr_value(node, op_def, arg.number_attr)
        if value is None or value.WhichOneof("value") != "i" or value.i < 0:
            return None
        count = value.i
    return OutputArg(name, count, (dtype,))


def iter_outputs(args: Iterable[OutputArg]) -> Iterator[tuple[str, int, int]]:
    """Each output in order: (argument, index in the argument, dtype)."""
    for arg in args:
        for index in range(arg.count):
            yield arg.name, index, arg.dtype(index)
