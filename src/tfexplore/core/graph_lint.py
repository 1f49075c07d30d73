"""What is wrong inside one graph: inputs that lead nowhere, names that occur twice, cycles, calls of no function.

TensorFlow 2 loads a main graph with any of these without a word, because it does not look at it.
One pass over names and inputs; only inputs of nodes that could not run yet are looked at again.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tfexplore.core import text
from tfexplore.core.cycles import cycles
from tfexplore.core.node_outputs import ARGUMENT, UNDESCRIBED, Nodes, Op, source_of
from tfexplore.errors import Cancelled, CorruptError
from tfexplore.formats.graph_def import called_functions, decode_node
from tfexplore.formats.proto import DecodeError, lean

_CHECK_EVERY = 4096
_MAX_NAMED = 3
_MAX_NAME = 80
# Bytes of nodes that are decoded into one message; a node of more may have too many inputs for a set of them.
_LARGE = 1 << 20
# What a node takes beside its bytes.
_NODE_COST = 256
# So many inputs are remembered as good; the others are looked up again where they occur again.
_MAX_KEPT = 100_000


def short(name: str) -> str:
    """A name as a sentence about many shows it: not of any length, never empty."""
    return (name if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]}{text.ELLIPSIS}") or '""'


def _shown(name: bytes) -> str:
    return short(text.decode(name))


class Tally:
    """How often something was found, and the first cases in words."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[str] = []

    def add(self, case: str, count: int = 1) -> None:
        """One more case (or `count` of them)."""
        self.count += count
        if len(self._first) < _MAX_NAMED:
            self._first.append(case)

    def add_all(self, other: Tally) -> None:
        """The cases of another one."""
        self.count += other.count
        self._first = [*self._first, *other._first][:_MAX_NAMED]

    @property
    def is_full(self) -> bool:
        """Whether further cases are counted only."""
        return len(self._first) == _MAX_NAMED

    def __str__(self) -> str:
        """`a, b, c and 4 more`."""
        rest = self.count - len(self._first)
        return ", ".join(self._first) + (f" and {rest:,} more" if rest > 0 else "")


class Flaws:
    """What was found in a graph, or in all functions together.

    Attributes:
        unreadable: nodes that are no NodeDef.
        missing: inputs and returned values that name no node (and no argument).
        outputs: inputs and returned values that name an output that their node does not have.
        duplicates: names that occur more than once.
        on_cycles: nodes that lie on a cycle.
        cycles: how many cycles.
        calls: functions that a node names and the library does not have.
    """

    def __init__(self) -> None:
        self.unreadable = Tally()
        self.missing = Tally()
        self.outputs = Tally()
        self.duplicates = Tally()
        self.on_cycles = Tally()
        self.cycles = 0
        self.calls = Tally()


class GraphLint:
    """Looks through graphs.

    Args:
        find: gives the OpDef of an op; None where nobody describes it.
        has_function: whether there is a function of that name.
        cancel: ends the work early.

    Attributes:
        ops: the ops of all nodes that were looked at.
    """

    def __init__(
        self, find: Callable[[str], Any | None], has_function: Callable[[str], bool], cancel: threading.Event | None
    ) -> None:
        self._find = find
        self._has_function = has_function
        self._cancel = cancel
        self.ops: dict[bytes, Op] = {}

    def look(
        self,
        raw_nodes: Sequence[bytes],
        flaws: Flaws,
        *,
        function: str | None = None,
        arguments: Iterable[bytes] = (),
        returns: Iterable[bytes] = (),
        control_returns: Iterable[bytes] = (),
    ) -> Nodes:
        """Adds what is wrong in one graph to `flaws`; returns its nodes.

        Args:
            raw_nodes: serialized NodeDefs, in file order.
            function: the name of the function whose body this is; None for the main graph.
            arguments: the function's input arguments.
            returns: what it returns, as `node:arg:index`, or an argument's name.
            control_returns: nodes that must have run before it returns.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        where = "" if function is None else f"{short(function)}: "
        nodes = Nodes(raw_nodes, arguments, inside=function is not None)
        inside, positions, ops = nodes.inside, nodes.positions, nodes.ops
        waits = bytearray(len(raw_nodes) + 1)  # nodes that could not have run where they stand; never `ARGUMENT`
        # Some of the inputs, as spelled, that lead to an argument or to an output of a node that could have run.
        good = set(positions)
        twice: set[bytes] = set()
        unreadable = 0
        met = self.ops
        edges_class = lean("NodeEdges")
        room = 0
        for position, raw in enumerate(raw_nodes):
            size = len(raw)
            room -= _NODE_COST + size
            if room < 0:
                self._check()
                if len(good) > _MAX_KEPT:
                    good.clear()
                # One message for many nodes is faster, but gives back no memory before its end.
                message = edges_class()
                parse = message.ParseFromString
                room = _LARGE
            try:
                parse(raw)
            except DecodeError:
                unreadable += 1
                flaws.unreadable.add(f"{where}node {position:,}")
                ops.append(UNDESCRIBED)
                continue
            name, kind = message.name, message.op
            op = met.get(kind) or self._met(kind)
            ops.append(op)
            # The inputs of one node are made one by one: a damaged file may give it millions.
            if size > _LARGE or not good.issuperset(message.input):
                wrong = None
                for spelled in message.input:
                    if spelled in good:
                        continue
                    control = spelled[:1] == b"^"
                    source = positions.get(spelled[1:] if control else spelled.partition(b":")[0])
                    if source is None or waits[source]:
                        waits[position] = 1
                        break
                    if control:
                        continue
                    if not nodes.has(spelled, source):
                        wrong = wrong or Tally()
                        wrong.add(_takes(wrong, where, name, spelled))
                    elif len(good) < 2 * _MAX_KEPT:
                        good.add(spelled)
                if wrong is not None and not waits[position]:  # of a node that waits all inputs are looked at again
                    flaws.outputs.add_all(wrong)
            if positions.setdefault(name, position) != position:
                if name not in twice:
                    twice.add(name)
                    flaws.duplicates.add(where + _shown(name))
            elif not waits[position]:
                if not inside:
                    if op.plain:
                        good.add(name)
                elif op.first:
                    good.add(name + op.first)
            if op.calls:
                self._calls(raw, op, where, flaws)
        # A node that cannot be read may be the one that is named.
        missing = flaws.missing if not unreadable else Tally()
        message = parse = None  # the inputs of a damaged file's node may take much memory
        good.clear()
        edges = self._late_edges(nodes, waits, where, missing, flaws.outputs)
        for spelled in returns:
            source = nodes.find(spelled)
            if source is None:
                missing.add(f"{where}it returns {_shown(spelled)}")
            elif not nodes.has(spelled, source):
                flaws.outputs.add(f"{where}it returns {_shown(spelled)}")
        for spelled in control_returns:
            if nodes.find(spelled) is None:
                missing.add(f"{where}it returns {_shown(spelled)}")
        if twice and 1 in waits:  # of nodes with one name only the first was waited for
            edges = self._all_edges(nodes)
        for cycle in cycles(len(raw_nodes), edges, self._check) if edges else ():
            flaws.cycles += 1
            for position in cycle:
                flaws.on_cycles.add(where + _name(nodes, position))
        return nodes

    def _check(self) -> None:
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled

    def _met(self, kind: bytes) -> Op:
        op_def = self._find(text.decode(kind))
        op = self.ops[kind] = UNDESCRIBED if op_def is None else Op(op_def)
        return op

    def _calls(self, raw: bytes, op: Op, where: str, flaws: Flaws) -> None:
        try:
            node = decode_node(raw, path="")
        except CorruptError:
            return
        attrs = op.called if op is not UNDESCRIBED else [(attr, False) for attr in node.raw_attrs]
        for attr, must in attrs:
            for name in called_functions(node, (attr,)):
                if (must and not name) or (name and not self._has_function(name)):
                    flaws.calls.add(f"{where}{short(node.name)} calls {short(name)}")

    def _late_edges(self, nodes: Nodes, waits: bytearray, where: str, missing: Tally, outputs: Tally) -> array[int]:
        """Looks at the inputs of nodes that could not have run where they stand.

        Returns:
            Which of these nodes leads to which, as pairs of positions, without the ways back that are legal. Every
            cycle consists of such edges alone, for none of its nodes can ever run.
        """
        edges = array("I")
        good: set[bytes] = set()
        decode = lean("NodeEdges").FromString
        position = waits.find(1)
        while position >= 0:
            if not len(edges) % _CHECK_EVERY:
                self._check()
            message = decode(nodes.raw[position])
            for spelled in message.input:
                source = nodes.find(spelled)
                if source is None:
                    missing.add(_takes(missing, where, message.name, source_of(spelled)))
                    continue
                if spelled not in good:
                    if not nodes.has(spelled, source):
                        outputs.add(_takes(outputs, where, message.name, spelled))
                    elif len(good) < _MAX_KEPT:
                        good.add(spelled)
                if waits[source] and not nodes.is_way_back(source, position):
                    edges.append(source)
                    edges.append(position)
            position = waits.find(1, position + 1)
        return edges

    def _all_edges(self, nodes: Nodes) -> array[int]:
        edges = array("I")
        decode = lean("NodeEdges").FromString
        for position, raw in enumerate(nodes.raw):
            if not position % _CHECK_EVERY:
                self._check()
            try:
                message = decode(raw)
            except DecodeError:
                continue
            target = nodes.positions[message.name]
            for spelled in message.input if target != ARGUMENT else ():
                source = nodes.find(spelled)
                if source is not None and source != ARGUMENT and not nodes.is_way_back(source, target):
                    edges.append(source)
                    edges.append(target)
        return edges


def _takes(tally: Tally, where: str, name: bytes, spelled: bytes) -> str:
    """A case in words, unless the tally names no more."""
    return "" if tally.is_full else f"{where}{_shown(name)} takes {_shown(spelled)}"


def _name(nodes: Nodes, position: int) -> str:
    return _shown(lean("NodeEdges").FromString(nodes.raw[position]).name)
