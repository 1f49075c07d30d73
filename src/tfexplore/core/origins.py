"""Through calls and loops: which variable stands behind a tensor, which node makes it, where it arrives."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core.joins import CALLS
from tfexplore.core.passing import Call, argument_at, callers, gives, graph_of, is_body, passed
from tfexplore.core.wiring import output_number
from tfexplore.errors import Cancelled
from tfexplore.formats.graph_def import Node, called_functions, split_input

if TYPE_CHECKING:
    from tfexplore.core.graph import Graph
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.variables import Variable

# What hands on a value, or the handle of a variable.
_READS = ("ReadVariableOp", "Identity", "Enter", "RefEnter", "Cast", "StopGradient", "PreventGradient", "Snapshot")
_PLAIN = ("PartitionedCall", "StatefulPartitionedCall")
_MAX_STEPS = 400
_MAX_CALLERS = 8
_MAX_FOUND = 8


class Spot(NamedTuple):
    """A node of the main graph (`function` is None) or of a function; `slot` is the input that something arrives at."""

    function: str | None
    position: int
    slot: int = 0


class Origins:
    """Searches for the variables behind tensors of one MetaGraph; all of them together take bounded time.

    Args:
        steps: how many tensors may be looked at.
    """

    def __init__(self, owner: MetaGraph, cancel: threading.Event | None = None, steps: int = 20 * _MAX_STEPS) -> None:
        self._owner = owner
        self._cancel = cancel
        self._steps = steps
        self._by_object = {
            variable.object_id: variable for variable in owner.variables if variable.object_id is not None
        }
        self._by_node = {one.node: one for one in owner.variables if one.node is not None}

    def variables(self, function: str | None, spelled: str) -> list[Variable]:
        """The variables whose value or handle a tensor is; several where callers pass several, at most eight.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        found: dict[int, Variable] = {}
        seen: set[tuple[str | None, str]] = set()
        waiting: deque[tuple[str | None, str]] = deque([(function, spelled)])
        while waiting and len(found) < _MAX_FOUND and len(seen) < _MAX_STEPS:
            place = waiting.popleft()
            if place in seen or place[1].startswith("^"):
                continue
            if self._cancel is not None and self._cancel.is_set():
                raise Cancelled
            self._steps -= 1
            if self._steps < 0:
                break
            seen.add(place)
            for variable in self._step(*place, waiting):
                found[id(variable)] = variable
        return list(found.values())

    def _step(self, function: str | None, spelled: str, waiting: deque[tuple[str | None, str]]) -> list[Variable]:
        graph = graph_of(self._owner, function)
        if graph is None:
            return []
        source = split_input(spelled)[0]
        if function is not None and graph.argument(source) is not None:
            ids = self._owner.joins.arguments.get((function, source), ()) if self._owner.objects is not None else ()
            known = [self._by_object[node_id] for node_id in sorted(ids) if node_id in self._by_object]
            if not known:
                self._out(function, source, graph, waiting)
            return known
        position = graph.find(source)
        if position is None:
            return []
        if function is None:
            known_id = self._owner.joins.main_nodes.get(source) if self._owner.objects is not None else None
            variable = self._by_object.get(known_id) if known_id is not None else self._by_node.get(source)
            if variable is not None:
                return [variable]
        if graph.ops[position] in _READS:
            inputs = graph.node_or_blank(position).inputs
            waiting.extend((function, name) for name in inputs[:1])
        return []

    def _out(self, function: str, argument: str, graph: Graph, waiting: deque[tuple[str | None, str]]) -> None:
        """Goes on with what callers pass to an argument."""
        number = graph.argument_names.index(argument)
        for found in passed(self._owner, function, number, _MAX_CALLERS, self._cancel):
            if not self._changes(function, argument, number, found.call):
                waiting.append((found.call.function, found.name))

    def _changes(self, function: str, argument: str, number: int, call: Call) -> bool:
        """Whether an argument of a loop is another one each time round."""
        graph = graph_of(self._owner, call.function)
        if graph is None or graph.ops[call.position] not in ("While", "StatelessWhile"):
            return False
        bodies = called_functions(graph.node_or_blank(call.position), ("body",))
        body = self._owner.functions.get(bodies[0]) if bodies else None
        if body is None or number >= len(body.outputs) or number >= len(body.inputs):
            return True
        spelled = body.outputs[number].returns or ""
        for _ in range(_MAX_CALLERS):
            source = split_input(spelled)[0]
            if source == body.inputs[number].name:
                return False
            position = body.graph.find(source)
            if position is None or body.graph.ops[position] != "Identity":
                return True
            spelled = next(iter(body.graph.node_or_blank(position).inputs), "")
        return True


def maker(owner: MetaGraph, function: str | None, spelled: str) -> Spot | None:
    """The node that makes a tensor: through Identity, into the functions that are called, out to their callers."""
    entered: list[tuple[str | None, Node]] = []
    for _ in range(_MAX_STEPS):
        graph = graph_of(owner, function)
        if graph is None:
            return None
        source = split_input(spelled)[0]
        if function is not None and graph.argument(source) is not None:
            if not entered:
                return None
            number = graph.argument_names.index(source)
            function, call = entered.pop()
            inputs = [name for name in call.inputs if not name.startswith("^")]
            if number >= len(inputs):
                return None
            spelled = inputs[number]
            continue
        position = graph.find(source)
        if position is None:
            return None
        node = graph.node_or_blank(position)
        callee = _plain_callee(owner, node)
        number_of = output_number(graph, spelled)
        if node.op == "Identity" and node.inputs:
            spelled = node.inputs[0]
        elif callee is not None and number_of is not None:
            called = owner.functions.get(callee)
            if called is None or number_of >= len(called.outputs) or called.outputs[number_of].returns is None:
                return Spot(function, position)
            entered.append((function, node))
            function, spelled = callee, called.outputs[number_of].returns or ""
        else:
            return Spot(function, position)
    return None


def _plain_callee(owner: MetaGraph, node: Node) -> str | None:
    if owner.functions.get(node.op) is not None:
        return node.op
    names = called_functions(node, ("f",)) if node.op in _PLAIN else []
    return names[0] if names else None


def arrivals(owner: MetaGraph, name: str, cancel: threading.Event | None = None) -> list[Spot]:
    """The nodes at which a tensor of the main graph arrives: through Identity and into the functions that are called.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """
    found: list[Spot] = []
    waiting: deque[tuple[str | None, str, int]] = deque([(None, split_input(name)[0], int_of(name))])
    seen: set[tuple[str | None, str, int]] = set()
    while waiting and len(found) < _MAX_FOUND and len(seen) < _MAX_STEPS:
        place = waiting.popleft()
        if place in seen:
            continue
        seen.add(place)
        function, source, output = place
        graph = graph_of(owner, function)
        if graph is None:
            continue
        for position, slot in _uses(graph, source, output, cancel):
            node = graph.node_or_blank(position)
            callee = _plain_callee(owner, node)
            called = owner.functions.get(callee) if callee is not None else None
            if node.op == "Identity":
                waiting.append((function, node.name, 0))
            elif called is not None:
                number = argument_at(owner, node, "" if callee == node.op else "f", called, slot)
                if number is not None:
                    waiting.append((called.name, called.inputs[number].name, 0))
            else:
                found.append(Spot(function, position, slot))
    return found[:_MAX_FOUND]


def int_of(name: str) -> int:
    """The output number of a tensor's name in the main graph."""
    output = split_input(name)[1]
    return int(output) if output.isdecimal() and len(output) < 10 else 0


def _uses(graph: Graph, source: str, output: int, cancel: threading.Event | None) -> list[tuple[int, int]]:
    if graph.is_function and graph.argument(source) is not None:
        return [(use.node, use.slot) for use in graph.argument_consumers(source, cancel) if not use.control]
    position = graph.find(source)
    if position is None:
        return []
    graph.load_edges(cancel, of=position)
    uses = graph.consumers(position, _MAX_STEPS)
    return [(use.node, use.slot) for use in uses if not use.control and output_number(graph, use.name) == output]


def given_to(owner: MetaGraph, function: str, limit: int, cancel: threading.Event | None = None) -> list[Call]:
    """The calls whose outputs are those of a function, at most `limit`.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """
    found = []
    for call in callers(owner, function, cancel):
        graph = graph_of(owner, call.function)
        if graph is not None and gives(graph.ops[call.position], call.attr):
            found.append(call)
            if len(found) == limit:
                break
    return found


def callees(owner: MetaGraph, node: Node) -> list[str]:
    """The functions whose outputs are those of a node, in the order that it names them."""
    if owner.functions.get(node.op) is not None:
        return [node.op]
    if node.op not in CALLS:
        return []
    names = [name for attr in CALLS[node.op][0] if gives(node.op, attr) for name in called_functions(node, (attr,))]
    return [*dict.fromkeys(names)]


__all__ = ["Origins", "Spot", "arrivals", "callees", "given_to", "int_of", "is_body", "maker"]
