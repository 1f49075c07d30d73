"""Whether what an input names is there: the node, and the output that it is to have.

Most ops have the same outputs at every node, so their nodes need not be decoded again.
Where nobody describes an op, or an attribute does not tell, every output may be there.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from tfexplore.core import text
from tfexplore.core.op_defs import output_counts
from tfexplore.formats.proto import DecodeError, lean

ARGUMENT = -1
# The one way back that is legal: a loop of TensorFlow 1.
_BACK_FROM, _BACK_TO = 1, 2
_WAYS = {b"NextIteration": _BACK_FROM, b"RefNextIteration": _BACK_FROM, b"Merge": _BACK_TO, b"RefMerge": _BACK_TO}
_FUNCTION_TYPES = (b"func", b"list(func)")
_MAX_DIGITS = 18
# So many different numbers of outputs are kept for a graph: one for each node would take too much memory.
_MAX_COUNTS = 65_536


class Op:
    """What an op's definition says about all its nodes.

    Args:
        op_def: its OpDef; None where nobody describes it.

    Attributes:
        args: names of its output arguments; None where nobody describes it.
        counts: how many tensors each of them has; None where an attribute decides.
        settled: whether no attribute decides.
        plain: whether a node's bare name leads to an output for sure, or nobody can tell.
        first: what a function's body adds to a node's name for its first output, where that is always there.
        called: attributes that name functions, and whether each must name one.
        calls: whether a node may name functions: any attribute may where nobody describes the op.
        way: `_BACK_FROM` or `_BACK_TO`, else 0.
    """

    __slots__ = ("args", "called", "calls", "counts", "first", "op_def", "plain", "settled", "way")

    def __init__(self, op_def: Any | None) -> None:
        self.op_def = op_def
        self.args: tuple[bytes, ...] | None = None
        self.counts: tuple[int | None, ...] = ()
        self.settled = False
        self.plain = op_def is None
        self.first: bytes | None = None
        self.called: tuple[tuple[str, bool], ...] = ()
        self.calls = op_def is None
        self.way = 0
        if op_def is None:
            return
        self.args = tuple([arg.name for arg in op_def.output_arg])
        self.counts = output_counts(op_def)
        self.settled = None not in self.counts
        self.plain = 1 in self.counts
        if self.counts[:1] == (1,):
            self.first = b":%s:0" % self.args[0]
        # An attribute with a default may name none: the default of a function is no name.
        self.called = tuple(
            [
                (text.decode(attr.name), not attr.HasField("default_value"))
                for attr in op_def.attr
                if attr.type in _FUNCTION_TYPES
            ]
        )
        self.calls = bool(self.called)
        self.way = _WAYS.get(op_def.name, 0)


UNDESCRIBED = Op(None)


class Nodes:
    """The nodes of one graph, as far as they have been met.

    Args:
        raw: serialized NodeDefs, in file order.
        arguments: a function's input arguments.
        inside: whether it is a function's body, where outputs are named by argument.

    Attributes:
        positions: of the first node of each name; `ARGUMENT` for an argument.
        ops: by position.
    """

    def __init__(self, raw: Sequence[bytes], arguments: Iterable[bytes] = (), *, inside: bool = False) -> None:
        self.raw = raw
        self.inside = inside
        self.positions: dict[bytes, int] = dict.fromkeys(arguments, ARGUMENT)
        self.ops: list[Op] = []
        # Of nodes whose attributes decide: 0 where they were not asked, else one more than the place in `_counts`.
        self._asked: array[int] | None = None
        self._counts: dict[tuple[int | None, ...], int] = {}
        self._listed: list[tuple[int | None, ...]] = []

    def find(self, spelled: bytes) -> int | None:
        """The position of the node that an input names; `ARGUMENT` for an argument, None where neither is met."""
        return self.positions.get(spelled[1:] if spelled[:1] == b"^" else spelled.partition(b":")[0])

    def has(self, spelled: bytes, position: int) -> bool:
        """Whether the node at `position`, which an input names, has the output that it names; True if unknown."""
        if spelled[:1] == b"^" or position == ARGUMENT:
            return True
        output = spelled.partition(b":")[2]
        if not output or not self.inside:
            total = self.total(position)
            return total is None or _is_below(output or b"0", total)
        counts = self.counts(position)
        if counts is None:
            return True
        name, _, index = output.partition(b":")
        args = self.ops[position].args or ()
        if name not in args:
            return False
        count = counts[args.index(name)]
        return count is None or not index or _is_below(index, count)

    def is_way_back(self, source: int, target: int) -> bool:
        """Whether a node leads back to an earlier one as loops of TensorFlow 1 do."""
        return self.ops[target].way == _BACK_TO and self.ops[source].way == _BACK_FROM

    def total(self, position: int) -> int | None:
        """How many outputs the node at a position has; None where that is not known."""
        op = self.ops[position]
        if op.settled:
            return len(op.counts)
        counts = self.counts(position)
        return None if counts is None or None in counts else sum(filter(None, counts))

    def counts(self, position: int) -> tuple[int | None, ...] | None:
        """How many tensors each output argument of a node has, None for one of which that is not known.

        None for all of them where nobody describes the op.
        """
        op = self.ops[position]
        if op.settled or op.args is None:
            return None if op.args is None else op.counts
        if self._asked is None:
            self._asked = array("I", bytes(4 * len(self.raw)))
        place = self._asked[position]
        if not place:
            counts = self._decoded(position, op)
            if counts not in self._counts and len(self._listed) < _MAX_COUNTS:
                self._listed.append(counts)
                self._counts[counts] = len(self._listed)
            place = self._asked[position] = self._counts.get(counts, 0)
            return counts
        return self._listed[place - 1]

    def _decoded(self, position: int, op: Op) -> tuple[int | None, ...]:
        try:
            message = lean("NodeDef").FromString(self.raw[position])
        except DecodeError:
            return op.counts
        return output_counts(op.op_def, {entry.key: entry.value for entry in message.attr})


def source_of(spelled: bytes) -> bytes:
    """The node or argument that an input names: `^a`, `a:1` and `a:sum:0` name `a`."""
    return spelled[1:] if spelled[:1] == b"^" else spelled.partition(b":")[0]


def _is_below(digits: bytes, count: int) -> bool:
    """Whether these are the digits of a number below `count`."""
    if not digits.isdigit():
        return False
    digits = digits.lstrip(b"0") or b"0"
    return len(digits) <= _MAX_DIGITS and int(digits) < count
