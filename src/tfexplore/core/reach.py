"""Where the strings of a tensor arrive: followed through what passes them on unchanged, and through functions.

Identities, reshapes, slices, TensorLists and TensorArrays, loops, branches, calls and datasets pass on;
`DecodeBase64` is remembered. What a function was called with is remembered too: so a constant that
arrives as an argument can be found.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core.joins import CALLS
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes
from tfexplore.formats.graph_def import Node, called_functions, split_input
from tfexplore.formats.table import check_cancel

if TYPE_CHECKING:
    from tfexplore.core.functions import Function
    from tfexplore.core.graph import Graph
    from tfexplore.core.meta_graph import MetaGraph

_MORE_CALLS: dict[str, tuple[tuple[str, ...], int]] = CALLS | {
    "TPUPartitionedCall": (("f",), 0),
    "RemoteCall": (("f",), 1),
    "BatchFunction": (("f",), 0),
    "MapDefun": (("f",), 0),
    "XlaLaunch": (("function",), 0),
}
_WHILE = ("While", "StatelessWhile")
# Of these one element or one shape of what arrives leaves at every output.
_PASSES = frozenset({
    "Identity", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape", "PlaceholderWithDefault",
    "Reshape", "ExpandDims", "Squeeze", "Gather", "GatherV2", "GatherNd", "StridedSlice", "Slice", "Concat",
    "ConcatV2", "Pack", "Unpack", "Split", "SplitV", "Tile", "BroadcastTo", "Transpose", "Reverse", "ReverseV2",
    "Select", "SelectV2", "DynamicPartition", "DynamicStitch", "ParallelDynamicStitch", "Switch", "RefSwitch",
    "Merge", "RefMerge", "Enter", "RefEnter", "Exit", "RefExit", "NextIteration", "RefNextIteration",
    "RefIdentity", "Batch", "Unbatch", "OptionalFromValue", "OptionalGetValue", "IteratorGetNext",
    "RaggedTensorToVariant", "RaggedTensorFromVariant",
})  # fmt: skip
# A constant is the same constant behind these, whatever its shape.
_SAME = frozenset({
    "Identity", "Reshape", "Enter", "StopGradient", "PreventGradient", "Snapshot", "EnsureShape", "ExpandDims",
    "Squeeze",
})  # fmt: skip
# What one search may take; real models need a few hundred.
_MAX_PLACES = 200_000
_MAX_STEPS = 200_000
_MAX_CHAIN = 1_000
_MAX_OUTPUTS = 4_096
_CHECK_EVERY = 256


class Use(NamedTuple):
    """A node that takes the strings as its first input.

    Attributes:
        function: whose body it stands in; None for the main graph.
        base64: whether they were decoded from base64 on the way.
    """

    function: str | None
    position: int
    base64: bool


class _Place(NamedTuple):
    """A tensor on the way: output `output` of a node, or an argument."""

    function: str | None
    name: str
    output: int
    base64: bool


_Uses = dict[int, list[tuple[int, int]]]


class Reach:
    """One search.

    Args:
        meta_graph: where.
        wanted: the op types that are looked for.

    Attributes:
        uses: what was found.
        complete: False where the search was given up.
    """

    def __init__(self, meta_graph: MetaGraph, wanted: frozenset[str], cancel: threading.Event | None = None) -> None:
        self._meta_graph = meta_graph
        self._wanted = wanted
        self._cancel = cancel
        self._seen: set[_Place] = set()
        self._waiting: deque[_Place] = deque()
        self._consumers: dict[tuple[str | None, str], _Uses] = {}
        self._argument_uses: dict[str, dict[str, list[tuple[int, int]]]] = {}
        self._returns: dict[str, dict[tuple[str, int], list[int]]] = {}
        self._callers: dict[str, dict[tuple[str | None, int], None]] = {}
        self._returned: dict[str, set[tuple[int, bool]]] = {}
        self._steps = 0
        self.uses: dict[Use, None] = {}
        self.complete = True

    def follow(self, function: str | None, name: str, output: int = 0) -> None:
        """Follows one output of a node, or one argument of a function, to the end.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        self._push(_Place(function, name, output, False))
        count = 0
        while self._waiting:
            if count % _CHECK_EVERY == 0:
                check_cancel(self._cancel)
            count += 1
            place = self._waiting.popleft()
            try:
                self._advance(place)
            except ModelError:  # a damaged function hides no other
                self.complete = False

    def graph(self, function: str | None) -> Graph | None:
        """The main graph, or a function's body; None where there is no such function."""
        if function is None:
            return self._meta_graph.graph
        found = self._meta_graph.functions.get(function)
        return None if found is None else found.graph

    def node(self, use: Use) -> Node:
        """The node of a use."""
        graph = self.graph(use.function)
        assert graph is not None
        return graph.node_or_blank(use.position)

    # -- forward --

    def _push(self, place: _Place) -> None:
        if place in self._seen:
            return
        if len(self._seen) >= _MAX_PLACES:
            self.complete = False
            return
        self._seen.add(place)
        self._waiting.append(place)

    def _advance(self, place: _Place) -> None:
        graph = self.graph(place.function)
        if graph is None:
            return
        if place.function is not None:
            for number in self._returned_as(place.function).get((place.name, place.output), ()):
                self._leave(place.function, number, place.base64)
        for position, slot in self._consumers_of(place.function, graph, place.name).get(place.output, ()):
            self._arrive(place, graph, position, slot)

    def _consumers_of(self, function: str | None, graph: Graph, name: str) -> _Uses:
        key = function, name
        found = self._consumers.get(key)
        if found is None:
            found = self._consumers[key] = self._find_consumers(function, graph, name)
        return found

    def _find_consumers(self, function: str | None, graph: Graph, name: str) -> _Uses:
        if function is not None and graph.argument(name) is not None:
            return {0: self._uses_of_arguments(function, graph).get(name, [])}
        position = graph.find(name)
        if position is None:
            return {}
        graph.load_edges(self._cancel)
        found: _Uses = {}
        outputs: dict[str, int | None] = {}
        for use in graph.consumers(position):
            if use.control:
                continue
            if use.name not in outputs:
                outputs[use.name] = _output_number(graph, use.name)
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

    def _arrive(self, place: _Place, graph: Graph, position: int, slot: int) -> None:
        op = graph.ops[position]
        if op in self._wanted:
            if slot == 0:
                self.uses[Use(place.function, position, place.base64)] = None
            return
        callees = self._callees(graph, position)
        if callees:
            self._enter(place, position, slot, callees, graph)
        if "Dataset" in op or op in _PASSES or op.startswith(("TensorList", "TensorArray")):
            node = graph.node_or_blank(position)
            for output in range(min(graph.num_outputs(node) or 1, _MAX_OUTPUTS)):
                self._push(place._replace(name=node.name, output=output))
        elif op == "IdentityN":
            self._push(place._replace(name=graph.names[position], output=slot))
        elif op == "DecodeBase64":
            self._push(place._replace(name=graph.names[position], output=0, base64=True))

    # -- functions --

    def _callees(self, graph: Graph, position: int) -> tuple[list[Function], int] | None:
        """The functions that a node calls, and how many of its inputs come before their arguments."""
        op = graph.ops[position]
        functions = self._meta_graph.functions
        if op in _MORE_CALLS:
            attrs, before = _MORE_CALLS[op]
        elif "Dataset" in op:
            attrs, before = ("f",), 1
        else:
            called = functions.get(op)
            return None if called is None else ([called], 0)
        names = called_functions(graph.node_or_blank(position), attrs)
        found = [functions.get(name) for name in dict.fromkeys(names)]
        return [function for function in found if function is not None], before

    def _enter(
        self, place: _Place, position: int, slot: int, callees: tuple[list[Function], int], graph: Graph
    ) -> None:
        functions, before = callees
        op = graph.ops[position]
        for callee in functions:
            self._add_caller(callee.name, place.function, position)
            if "Dataset" in op:
                # Which component of an element it was is not kept: any string of an element may be it.
                for argument in callee.inputs if slot == 0 else ():
                    if argument.dtype in (dtypes.STRING, dtypes.VARIANT):
                        self._push(_Place(callee.name, argument.name, 0, place.base64))
            elif 0 <= slot - before < len(callee.inputs):
                self._push(_Place(callee.name, callee.inputs[slot - before].name, 0, place.base64))

    def _add_caller(self, callee: str, function: str | None, position: int) -> None:
        callers = self._callers.setdefault(callee, {})
        if (function, position) in callers:
            return
        callers[function, position] = None
        for number, base64 in list(self._returned.get(callee, ())):
            self._deliver(callee, number, base64, function, position)

    def _returned_as(self, function: str) -> dict[tuple[str, int], list[int]]:
        """The numbers of the outputs that return each tensor of a function's body."""
        found = self._returns.get(function)
        if found is None:
            found = self._returns[function] = {}
            definition = self._meta_graph.functions.get(function)
            assert definition is not None
            for number, output in enumerate(definition.outputs):
                if output.returns is None:
                    continue
                index = _output_number(definition.graph, output.returns)
                if index is not None:
                    found.setdefault((split_input(output.returns)[0], index), []).append(number)
        return found

    def _leave(self, function: str, number: int, base64: bool) -> None:
        """The strings leave a function as its output `number`."""
        returned = self._returned.setdefault(function, set())
        if (number, base64) in returned:
            return
        returned.add((number, base64))
        for caller, position in list(self._callers.get(function, ())):
            self._deliver(function, number, base64, caller, position)

    def _deliver(self, callee: str, number: int, base64: bool, function: str | None, position: int) -> None:
        graph = self.graph(function)
        if graph is None:
            return
        op = graph.ops[position]
        if op in _WHILE:
            loop = graph.node_or_blank(position)
            if callee not in called_functions(loop, ("body",)):
                return
            for name in called_functions(loop, ("cond", "body")):
                again = self._meta_graph.functions.get(name)
                if again is not None and number < len(again.inputs):
                    self._push(_Place(name, again.inputs[number].name, 0, base64))
        output = 0 if "Dataset" in op and op != "ReduceDataset" else number
        self._push(_Place(function, graph.names[position], output, base64))

    # -- constants --

    def constant(self, function: str | None, spelled: str) -> bytes | None:
        """The serialized TensorProto behind an input of that spelling, the same for all calls found so far; or None."""
        found: set[bytes] = set()
        waiting = [(function, spelled)]
        seen: set[tuple[str | None, str]] = set()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            self._steps += 1
            if len(seen) > _MAX_CHAIN or self._steps > _MAX_STEPS:
                return None
            try:
                behind = self._behind(*place)
            except ModelError:
                return None
            if behind is None:
                return None
            if isinstance(behind, bytes):
                found.add(behind)
            else:
                waiting += behind
        return found.pop() if len(found) == 1 else None

    def _behind(self, function: str | None, spelled: str) -> bytes | list[tuple[str | None, str]] | None:
        """A constant, or the inputs that it must come from."""
        graph = self.graph(function)
        if graph is None:
            return None
        source = graph.resolve(spelled)
        if source.argument and function is not None:
            return self._passed(function, split_input(spelled)[0])
        node = graph.readable_node(source.producer) if source.producer is not None else None
        if node is None:
            return None
        if node.op == "Const":
            value = node.attr("value")
            return bytes(value.tensor) if value is not None and value.WhichOneof("value") == "tensor" else None
        if node.op in _SAME and node.inputs:
            return [(function, node.inputs[0])]
        if node.op == "IdentityN":
            output = _output_number(graph, spelled)
            if output is not None and output < len(node.inputs):
                return [(function, node.inputs[output])]
        return None

    def _passed(self, function: str, argument: str) -> list[tuple[str | None, str]] | None:
        """What the calls found so far pass as an argument."""
        definition = self._meta_graph.functions.get(function)
        assert definition is not None
        names = [found.name for found in definition.inputs]
        number = names.index(argument)
        passed: list[tuple[str | None, str]] = []
        for caller, position in self._callers.get(function, ()):
            graph = self.graph(caller)
            callees = self._callees(graph, position) if graph is not None else None
            if graph is None or callees is None:
                return None
            node = graph.node_or_blank(position)
            inputs = [name for name in node.inputs if not name.startswith("^")]
            slot = number + callees[1]
            if "Dataset" in node.op:  # captured values are a function's last arguments, and the dataset's too
                captured = node.attr("Targuments")
                count = len(captured.list.type) if captured is not None else 0
                slot = 1 + number - (len(names) - count)
                if slot < 1 or node.op == "ReduceDataset":
                    return None
            if slot >= len(inputs) or not self._stays(node, number):
                return None
            passed.append((caller, inputs[slot]))
        return passed or None

    def _stays(self, node: Node, number: int) -> bool:
        """Whether a loop hands its argument on as it came; true of any other call."""
        if node.op not in _WHILE:
            return True
        for name in called_functions(node, ("body",)):
            body = self._meta_graph.functions.get(name)
            if body is None or number >= min(len(body.inputs), len(body.outputs)):
                return False
            spelled = body.outputs[number].returns
            for _ in range(_MAX_CHAIN):
                source = body.graph.resolve(spelled) if spelled is not None else None
                if source is None or spelled is None:
                    return False
                if source.argument:
                    if split_input(spelled)[0] != body.inputs[number].name:
                        return False
                    break
                inner = body.graph.readable_node(source.producer) if source.producer is not None else None
                if inner is None or inner.op != "Identity" or not inner.inputs:
                    return False
                spelled = inner.inputs[0]
        return True


def _output_number(graph: Graph, spelled: str) -> int | None:
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
