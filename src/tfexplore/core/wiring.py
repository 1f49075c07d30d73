"""How the nodes of all graphs of a MetaGraph hang together: who takes an output, what a function returns.

Found piece by piece as searches ask for it, and kept for the next one.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.errors import ModelError
from tfexplore.formats import tensor_proto
from tfexplore.formats.graph_def import Node, split_input
from tfexplore.formats.table import check_cancel

if TYPE_CHECKING:
    from tfexplore.core.functions import Function
    from tfexplore.core.graph import Graph
    from tfexplore.core.meta_graph import MetaGraph

# What all searches together may take; real models need some thousands.
_MAX_STEPS = 500_000
_MAX_CONSUMERS = 200_000
_CHECK_EVERY = 256

Uses = dict[int, list[tuple[int, int]]]
"""Of a node by output number: (position of the consumer, number of its input)."""


class Constant(NamedTuple):
    """A Const node's value: the serialized TensorProto, and the lean message."""

    raw: bytes
    message: Any


class Wiring:
    """The connections in one MetaGraph.

    Raises:
        Cancelled: (all methods) `cancel` was set meanwhile.
        ModelError: (all methods) a function is damaged.
    """

    def __init__(self, meta_graph: MetaGraph, cancel: threading.Event | None = None) -> None:
        self._meta_graph = meta_graph
        self._cancel = cancel
        self._consumers: dict[tuple[str | None, str], Uses] = {}
        self._argument_uses: dict[str, dict[str, list[tuple[int, int]]]] = {}
        self._returns: dict[str, dict[tuple[str, int], list[int]]] = {}
        self._numbers: dict[str, dict[str, int]] = {}
        self._constants: dict[tuple[str | None, int], Constant | None] = {}
        self._steps = _MAX_STEPS

    def step(self, count: int = 1) -> bool:
        """Counts work; False where there was too much of it and the search must be given up."""
        if self._steps // _CHECK_EVERY != (self._steps - count) // _CHECK_EVERY:
            check_cancel(self._cancel)
        self._steps -= count
        return self._steps > 0

    def function(self, name: str) -> Function | None:
        """The function of that name."""
        return self._meta_graph.functions.get(name)

    def graph(self, function: str | None) -> Graph | None:
        """The main graph, or a function's body; None where there is no such function."""
        if function is None:
            return self._meta_graph.graph
        found = self.function(function)
        return None if found is None else found.graph

    def consumers(self, function: str | None, name: str) -> Uses:
        """Who takes the outputs of a node, or an argument (as output 0)."""
        key = function, name
        found = self._consumers.get(key)
        if found is None:
            found = self._consumers[key] = self._find_consumers(function, name)
        return found

    def _find_consumers(self, function: str | None, name: str) -> Uses:
        graph = self.graph(function)
        if graph is None:
            return {}
        if function is not None and graph.argument(name) is not None:
            return {0: self._uses_of_arguments(function, graph).get(name, [])}
        position = graph.find(name)
        if position is None:
            return {}
        graph.load_edges(self._cancel)
        found: Uses = {}
        outputs: dict[str, int | None] = {}
        for use in graph.consumers(position, _MAX_CONSUMERS):
            if use.control:
                continue
            if use.name not in outputs:
                outputs[use.name] = output_number(graph, use.name)
            output = outputs[use.name]
            if output is not None:
                found.setdefault(output, []).append((use.node, use.slot))
        return found

    def _uses_of_arguments(self, function: str, graph: Graph) -> dict[str, list[tuple[int, int]]]:
        """Who takes each argument, found in one pass over the body."""
        found = self._argument_uses.get(function)
        if found is None:
            found = self._argument_uses[function] = {}
            for position in range(len(graph)):
                if position % _CHECK_EVERY == 0:
                    check_cancel(self._cancel)
                for slot, spelled in enumerate(graph.node_or_blank(position).inputs):
                    source, _, control = split_input(spelled)
                    if not control and graph.argument(source) is not None:
                        found.setdefault(source, []).append((position, slot))
        return found

    def returned_as(self, function: str) -> dict[tuple[str, int], list[int]]:
        """The numbers of the outputs that return each tensor of a function's body."""
        found = self._returns.get(function)
        if found is None:
            found = self._returns[function] = {}
            definition = self.function(function)
            for number, output in enumerate(definition.outputs if definition is not None else ()):
                if definition is None or output.returns is None:
                    continue
                index = output_number(definition.graph, output.returns)
                if index is not None:
                    found.setdefault((split_input(output.returns)[0], index), []).append(number)
        return found

    def argument_number(self, function: str, argument: str) -> int | None:
        """Which argument of a function has that name."""
        numbers = self._numbers.get(function)
        if numbers is None:
            definition = self.function(function)
            names = [found.name for found in definition.inputs] if definition is not None else []
            numbers = self._numbers[function] = {name: number for number, name in enumerate(names)}
        return numbers.get(argument)

    def constant(self, function: str | None, position: int, node: Node) -> Constant | None:
        """The value of a Const node; None where it is damaged."""
        key = function, position
        if key not in self._constants:
            self._constants[key] = _constant(node)
        return self._constants[key]


def _constant(node: Node) -> Constant | None:
    value = node.attr("value")
    if value is None or value.WhichOneof("value") != "tensor":
        return None
    raw = bytes(value.tensor)
    try:
        return Constant(raw, tensor_proto.decode_tensor(raw, path=""))
    except ModelError:
        return None


def output_number(graph: Graph, spelled: str) -> int | None:
    """Which output of its node, or which argument (always 0), an input of that spelling takes."""
    _, output, control = split_input(spelled)
    if control:
        return None
    if not graph.is_function:
        return int(output or "0") if (output or "0").isdecimal() and len(output) < 10 else None
    tensor = graph.resolve(spelled).tensor
    if tensor is None:
        return None
    return 0 if tensor.node is None else int(tensor.name.rpartition(":")[2])
