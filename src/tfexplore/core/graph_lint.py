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
from tfexplore.core.node_outputs import ARGUMENT, BACK_FROM, BACK_TO, UNDESCRIBED, Nodes, Op, source_of
from tfexplore.errors import Cancelled, CorruptError
from tfexplore.formats.graph_def import called_functions, decode_node
from tfexplore.formats.proto import DecodeError, lean

_CHECK_EVERY = 4096
_MAX_NAMED = 3
_MAX_NAME = 80


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
        good = set(positions)  # inputs, as they are spelled, that lead to an output of a node that could have run
        waits = bytearray(len(raw_nodes) + 1)  # nodes that could not have run where they stand; never `ARGUMENT`
        late: dict[bytes, int] = {}
        early = array("I")  # pairs (number in `late`, node): what a node takes that could not have run before it
        twice: set[bytes] = set()
        unreadable = 0
        met = self.ops
        decode = lean("NodeEdges").FromString
        for position, raw in enumerate(raw_nodes):
            if not position % _CHECK_EVERY:
                self._check()
            try:
                message = decode(raw)
            except DecodeError:
                unreadable += 1
                flaws.unreadable.add(f"{where}node {position:,}")
                ops.append(UNDESCRIBED)
                continue
            name, kind = message.name, message.op
            op = met.get(kind) or self._met(kind)
            ops.append(op)
            inputs = message.input[:]
            if not good.issuperset(inputs):
                for spelled in inputs:
                    if spelled in good:
                        continue
                    source = positions.get(spelled[1:] if spelled[:1] == b"^" else spelled.partition(b":")[0])
                    if source is None or waits[source]:
                        early.append(late.setdefault(spelled, len(late)))
                        early.append(position)
                        waits[position] = 1
                    elif spelled[:1] == b"^" or nodes.has(spelled, source):
                        good.add(spelled)
                    else:
                        flaws.outputs.add(f"{where}{_shown(name)} takes {_shown(spelled)}")
            if name in positions:
                if name not in twice:
                    twice.add(name)
                    flaws.duplicates.add(where + _shown(name))
            else:
                positions[name] = position
                if waits[position]:
                    pass
                elif not inside:
                    if op.plain:
                        good.add(name)
                elif op.first:
                    good.add(name + op.first)
            if op.calls:
                self._calls(raw, op, where, flaws)
        # A node that cannot be read may be the one that is named.
        missing = flaws.missing if not unreadable else Tally()
        edges = _late_edges(nodes, late, early, where, missing, flaws.outputs)
        for spelled in returns:
            source = nodes.find(spelled)
            if source is None:
                missing.add(f"{where}it returns {_shown(spelled)}")
            elif not nodes.has(spelled, source):
                flaws.outputs.add(f"{where}it returns {_shown(spelled)}")
        for spelled in control_returns:
            if nodes.find(spelled) is None:
                missing.add(f"{where}it returns {_shown(spelled)}")
        if edges:
            # Of nodes with one name only the first was waited for.
            self._cycles(nodes, self._all_edges(nodes) if twice else edges, where, flaws)
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

    def _all_edges(self, nodes: Nodes) -> array[int]:
        edges = array("I")
        decode = lean("NodeEdges").FromString
        for position, raw in enumerate(nodes.raw):
            if position % _CHECK_EVERY == 0:
                self._check()
            try:
                message = decode(raw)
            except DecodeError:
                continue
            target = nodes.positions[message.name]
            if target == ARGUMENT:
                continue
            for spelled in message.input:
                source = nodes.find(spelled)
                if source is not None and source >= 0 and not _is_way_back(nodes, source, target):
                    edges.append(source)
                    edges.append(target)
        return edges

    def _cycles(self, nodes: Nodes, edges: array[int], where: str, flaws: Flaws) -> None:
        for cycle in cycles(len(nodes.raw), edges, self._check):
            flaws.cycles += 1
            for position in cycle:
                flaws.on_cycles.add(where + _name(nodes, position))


def _name(nodes: Nodes, position: int) -> str:
    return _shown(lean("NodeEdges").FromString(nodes.raw[position]).name)


def _is_way_back(nodes: Nodes, source: int, target: int) -> bool:
    return nodes.ops[target].way == BACK_TO and nodes.ops[source].way == BACK_FROM


def _late_edges(
    nodes: Nodes, late: Iterable[bytes], early: array[int], where: str, missing: Tally, outputs: Tally
) -> array[int]:
    """What led to nodes before it could run, as pairs of positions, without the ways back that are legal.

    Every cycle consists of such edges alone, for none of its nodes can ever run.
    """
    edges = array("I")
    spelled = list(late)
    sources = [nodes.find(name) for name in spelled]
    wrong = {
        number for number, source in enumerate(sources) if source is not None and not nodes.has(spelled[number], source)
    }
    for place in range(0, len(early), 2):
        number, position = early[place], early[place + 1]
        source = sources[number]
        if source is None:
            missing.add(f"{where}{_name(nodes, position)} takes {_shown(source_of(spelled[number]))}")
            continue
        if number in wrong:
            outputs.add(f"{where}{_name(nodes, position)} takes {_shown(spelled[number])}")
        if not _is_way_back(nodes, source, position):
            edges.append(source)
            edges.append(position)
    return edges
