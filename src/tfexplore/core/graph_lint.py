"""What is wrong inside one graph: inputs that name nothing, names that occur twice, cycles, calls of no function.

TensorFlow 2 loads a main graph with any of these without a word, because it does not look at it.
One pass over names and inputs; a second one only where the nodes do not stand in an order in which they could run.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tfexplore.core import text
from tfexplore.errors import Cancelled, CorruptError
from tfexplore.formats.graph_def import called_functions, decode_node
from tfexplore.formats.proto import DecodeError, lean

_CHECK_EVERY = 4096
_MAX_NAMED = 3
_MAX_NAME = 80
# The one way back that is legal: a loop of TensorFlow 1.
_BACK_FROM = (b"NextIteration", b"RefNextIteration")
_BACK_TO = (b"Merge", b"RefMerge")


def short(name: str) -> str:
    """A name as a sentence about many shows it: not of any length, never empty."""
    return (name if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]}{text.ELLIPSIS}") or '""'


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
        duplicates: names that occur more than once.
        on_cycles: nodes that lie on a cycle.
        cycles: how many cycles.
        calls: functions that a node names and the library does not have.
        ops: how many nodes have each op.
    """

    def __init__(self) -> None:
        self.unreadable = Tally()
        self.missing = Tally()
        self.duplicates = Tally()
        self.on_cycles = Tally()
        self.cycles = 0
        self.calls = Tally()
        self.ops: dict[bytes, int] = {}


class GraphLint:
    """Looks through graphs.

    Args:
        function_attrs: gives the names of an op's attributes that name functions.
        has_function: whether there is a function of that name.
        cancel: ends the work early.
    """

    def __init__(
        self,
        function_attrs: Callable[[str], tuple[str, ...]],
        has_function: Callable[[str], bool],
        cancel: threading.Event | None,
    ) -> None:
        self._function_attrs = function_attrs
        self._has_function = has_function
        self._cancel = cancel
        self._attrs: dict[bytes, tuple[str, ...]] = {}

    def look(
        self,
        raw_nodes: Sequence[bytes],
        flaws: Flaws,
        *,
        function: str | None = None,
        arguments: Iterable[bytes] = (),
        returns: Iterable[bytes] = (),
    ) -> None:
        """Adds what is wrong in one graph to `flaws`.

        Args:
            raw_nodes: serialized NodeDefs, in file order.
            function: the name of the function whose body this is; None for the main graph.
            arguments: the function's input arguments.
            returns: what it returns, as `node:arg:index`, or an argument's name.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        where = "" if function is None else f"{short(function)}: "
        ids: dict[bytes, int] = {}
        for argument in arguments:
            ids.setdefault(argument, len(ids))
        defined = bytearray(b"\1" * len(ids))
        kinds = bytearray(len(ids))  # 1: a way back may begin here, 2: it may end here
        early = array("I")  # pairs (source, node) where the source stands behind the node
        twice: set[int] = set()
        unreadable = 0
        ops = flaws.ops
        decode = lean("NodeEdges").FromString
        for position, raw in enumerate(raw_nodes):
            if position % _CHECK_EVERY == 0:
                self._check()
            try:
                message = decode(raw)
            except DecodeError:
                unreadable += 1
                flaws.unreadable.add(f"{where}node {position:,}")
                continue
            op = message.op
            ops[op] = ops.get(op, 0) + 1
            number = ids.setdefault(message.name, len(ids))
            if number == len(defined):
                defined.append(0)
                kinds.append(0)
            for spelled in message.input:
                source = ids.setdefault(_source(spelled), len(ids))
                if source == len(defined):
                    defined.append(0)
                    kinds.append(0)
                if not defined[source]:
                    early.append(source)
                    early.append(number)
            if defined[number] and number not in twice:
                twice.add(number)
                flaws.duplicates.add(where + short(text.decode(message.name)))
            defined[number] = 1
            if op in _BACK_FROM or op in _BACK_TO:
                kinds[number] = 1 if op in _BACK_FROM else 2
            self._calls(raw, op, where, flaws)
        names = list(ids)

        def missing(case: str) -> None:
            # A node that cannot be read may be the one that is named.
            if not unreadable:
                flaws.missing.add(where + case)

        unordered = False
        for place in range(0, len(early), 2):
            source, number = early[place], early[place + 1]
            if not defined[source]:
                missing(f"{short(text.decode(names[number]))} takes {short(text.decode(names[source]))}")
            elif not (kinds[source] == 1 and kinds[number] == 2):
                unordered = True
        for spelled in returns:
            found = ids.get(_source(spelled))
            if found is None or not defined[found]:
                missing(f"it returns {short(text.decode(spelled))}")
        if unordered:
            self._cycles(raw_nodes, ids, names, kinds, where, flaws)

    def _check(self) -> None:
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled

    def _calls(self, raw: bytes, op: bytes, where: str, flaws: Flaws) -> None:
        attrs = self._attrs.get(op)
        if attrs is None:
            attrs = self._attrs[op] = self._function_attrs(text.decode(op))
        if not attrs:
            return
        try:
            node = decode_node(raw, path="")
        except CorruptError:
            return
        for name in called_functions(node, attrs):
            if name and not self._has_function(name):
                flaws.calls.add(f"{where}{short(node.name)} calls {short(name)}")

    def _cycles(
        self,
        raw_nodes: Sequence[bytes],
        ids: dict[bytes, int],
        names: Sequence[bytes],
        kinds: bytearray,
        where: str,
        flaws: Flaws,
    ) -> None:
        edges = array("I")
        decode = lean("NodeEdges").FromString
        for position, raw in enumerate(raw_nodes):
            if position % _CHECK_EVERY == 0:
                self._check()
            try:
                message = decode(raw)
            except DecodeError:
                continue
            number = ids[message.name]
            for spelled in message.input:
                source = ids[_source(spelled)]
                if not (kinds[source] == 1 and kinds[number] == 2):
                    edges.append(source)
                    edges.append(number)
        for cycle in cycles(len(ids), edges, self._check):
            flaws.cycles += 1
            for number in cycle:
                flaws.on_cycles.add(where + short(text.decode(names[number])))


def _source(spelled: bytes) -> bytes:
    """The node or argument that an input names: `^a`, `a:1` and `a:sum:0` name `a`."""
    if spelled[:1] == b"^":
        return spelled[1:]
    return spelled.partition(b":")[0]


def cycles(size: int, edges: Any, check: Callable[[], None] = lambda: None) -> list[list[int]]:
    """The strongly connected parts of a graph in which something leads back to itself, in linear time.

    Args:
        size: how many nodes, numbered from 0.
        edges: source and target of each edge, one after the other.
        check: called now and then; raises to end the work.
    """
    starts, targets = _rows(size, edges)
    waiting = array("I", bytes(4 * size))
    for place in range(1, len(edges), 2):
        waiting[edges[place]] += 1
    check()
    # What can run is taken away first: of a good graph nothing is left.
    ready = [number for number in range(size) if not waiting[number]]
    left = size
    while ready:
        number = ready.pop()
        left -= 1
        for place in range(starts[number], starts[number + 1]):
            target = targets[place]
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    check()
    return _connected(size, starts, targets, waiting, check) if left else []


def _rows(size: int, edges: Any) -> tuple[Any, Any]:
    """Targets in compressed rows: those of node n are `targets[starts[n]:starts[n + 1]]`."""
    starts = array("I", bytes(4 * (size + 2)))
    for place in range(0, len(edges), 2):
        starts[edges[place] + 2] += 1
    for number in range(2, size + 2):
        starts[number] += starts[number - 1]
    targets = array("I", bytes(2 * len(edges)))
    for place in range(0, len(edges), 2):
        source = edges[place]
        targets[starts[source + 1]] = edges[place + 1]
        starts[source + 1] += 1
    return starts, targets


def _connected(size: int, starts: Any, targets: Any, waiting: Any, check: Callable[[], None]) -> list[list[int]]:
    """Tarjan's algorithm without recursion, over the nodes that still wait."""
    found: list[list[int]] = []
    order = array("I", bytes(4 * size))  # when a node was met, from 1 on
    low = array("I", bytes(4 * size))
    following = array("I", starts[:size])
    on_stack = bytearray(size)
    stack: list[int] = []
    clock = 0
    for root in range(size):
        if order[root] or not waiting[root]:
            continue
        path = [root]
        while path:
            number = path[-1]
            if not order[number]:
                clock += 1
                if clock % _CHECK_EVERY == 0:
                    check()
                order[number] = low[number] = clock
                stack.append(number)
                on_stack[number] = 1
            place = following[number]
            if place < starts[number + 1]:
                following[number] = place + 1
                target = targets[place]
                if not order[target]:
                    path.append(target)
                elif on_stack[target]:
                    low[number] = min(low[number], order[target])
                continue
            path.pop()
            if path:
                low[path[-1]] = min(low[path[-1]], low[number])
            if low[number] == order[number]:
                part: list[int] = []
                while not part or part[-1] != number:
                    part.append(stack.pop())
                    on_stack[part[-1]] = 0
                if len(part) > 1 or number in targets[starts[number] : starts[number + 1]]:
                    found.append(sorted(part))
    return found
