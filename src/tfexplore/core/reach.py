"""Where the strings of a tensor arrive: followed through what passes them on unchanged, and through functions.

Identities, reshapes, slices, TensorLists and TensorArrays, loops, branches, calls and datasets pass on;
`DecodeBase64` is remembered. What a function was called with is remembered too: so a constant that
arrives as an argument can be found.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core.joins import CALLS
from tfexplore.core.wiring import Constant, Wiring, output_number
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes
from tfexplore.formats.graph_def import Node, called_functions, split_input

if TYPE_CHECKING:
    from tfexplore.core.functions import Function
    from tfexplore.core.graph import Graph

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
_MAX_CHAIN = 1_000
_MAX_OUTPUTS = 4_096
# Nodes that are found; further ones are left out.
_MAX_USES = 1_000


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


class Reach:
    """One search.

    Args:
        wiring: where; what it finds out is shared by all searches.
        wanted: the op types that are looked for.

    Attributes:
        uses: what was found.
        complete: False where the search was given up.
    """

    def __init__(self, wiring: Wiring, wanted: frozenset[str]) -> None:
        self._wiring = wiring
        self._wanted = wanted
        self._seen: set[_Place] = set()
        self._waiting: deque[_Place] = deque()
        self._callers: dict[str, dict[tuple[str | None, int], None]] = {}
        self._returned: dict[str, set[tuple[int, bool]]] = {}
        self.uses: dict[Use, None] = {}
        self.complete = True

    def follow(self, function: str | None, name: str, output: int = 0) -> None:
        """Follows one output of a node, or one argument of a function, to the end.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        self._push(_Place(function, name, output, False))
        while self._waiting:
            place = self._waiting.popleft()
            try:
                self._advance(place)
            except ModelError:  # a damaged function hides no other
                self.complete = False

    def node(self, use: Use) -> Node:
        """The node of a use."""
        graph = self._wiring.graph(use.function)
        assert graph is not None
        return graph.node_or_blank(use.position)

    # -- forward --

    def _push(self, place: _Place) -> None:
        if place in self._seen:
            return
        if not self._wiring.step():
            self.complete = False
            return
        self._seen.add(place)
        self._waiting.append(place)

    def _advance(self, place: _Place) -> None:
        graph = self._wiring.graph(place.function)
        if graph is None:
            return
        if place.function is not None:
            for number in self._wiring.returned_as(place.function).get((place.name, place.output), ()):
                self._leave(place.function, number, place.base64)
        uses = self._wiring.consumers(place.function, place.name).get(place.output, ())
        if not self._wiring.step(len(uses)):
            self.complete = False
            return
        for position, slot in uses:
            self._arrive(place, graph, position, slot)

    def _arrive(self, place: _Place, graph: Graph, position: int, slot: int) -> None:
        op = graph.ops[position]
        if op in self._wanted:
            if slot == 0 and len(self.uses) < _MAX_USES:
                self.uses[Use(place.function, position, place.base64)] = None
            elif slot == 0:
                self.complete = False
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
        if op in _MORE_CALLS:
            attrs, before = _MORE_CALLS[op]
        elif "Dataset" in op:
            attrs, before = ("f",), 1
        else:
            called = self._wiring.function(op)
            return None if called is None else ([called], 0)
        names = called_functions(graph.node_or_blank(position), attrs)
        found = [self._wiring.function(name) for name in dict.fromkeys(names)]
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

    def _leave(self, function: str, number: int, base64: bool) -> None:
        """The strings leave a function as its output `number`."""
        returned = self._returned.setdefault(function, set())
        if (number, base64) in returned:
            return
        returned.add((number, base64))
        for caller, position in list(self._callers.get(function, ())):
            self._deliver(function, number, base64, caller, position)

    def _deliver(self, callee: str, number: int, base64: bool, function: str | None, position: int) -> None:
        graph = self._wiring.graph(function)
        if graph is None:
            return
        op = graph.ops[position]
        if op in _WHILE:
            loop = graph.node_or_blank(position)
            if callee not in called_functions(loop, ("body",)):
                return
            for name in called_functions(loop, ("cond", "body")):
                again = self._wiring.function(name)
                if again is not None and number < len(again.inputs):
                    self._push(_Place(name, again.inputs[number].name, 0, base64))
        output = 0 if "Dataset" in op and op != "ReduceDataset" else number
        self._push(_Place(function, graph.names[position], output, base64))

    # -- constants --

    def constant(self, function: str | None, spelled: str) -> Constant | None:
        """The constant behind an input of that spelling, the same one for all calls found so far; or None."""
        found: dict[bytes, Constant] = {}
        waiting = [(function, spelled)]
        seen: set[tuple[str | None, str]] = set()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > _MAX_CHAIN or not self._wiring.step():
                return None
            try:
                behind = self._behind(*place)
            except ModelError:
                return None
            if behind is None:
                return None
            if isinstance(behind, Constant):
                found[behind.raw] = behind
            else:
                waiting += behind
        return next(iter(found.values())) if len(found) == 1 else None

    def _behind(self, function: str | None, spelled: str) -> Constant | list[tuple[str | None, str]] | None:
        """A constant, or the inputs that it must come from."""
        graph = self._wiring.graph(function)
        if graph is None:
            return None
        source = graph.resolve(spelled)
        if source.argument and function is not None:
            return self._passed(function, split_input(spelled)[0])
        if source.producer is None:
            return None
        node = graph.node_or_blank(source.producer)
        if node.op == "Const":
            return self._wiring.constant(function, source.producer, node)
        if node.op in _SAME and node.inputs:
            return [(function, node.inputs[0])]
        if node.op == "IdentityN":
            output = output_number(graph, spelled)
            if output is not None and output < len(node.inputs):
                return [(function, node.inputs[output])]
        return None

    def _passed(self, function: str, argument: str) -> list[tuple[str | None, str]] | None:
        """What the calls found so far pass as an argument."""
        definition = self._wiring.function(function)
        assert definition is not None
        number = self._wiring.argument_number(function, argument)
        callers = self._callers.get(function, {})
        if number is None or not self._wiring.step(len(callers)):
            return None
        passed: list[tuple[str | None, str]] = []
        for caller, position in callers:
            graph = self._wiring.graph(caller)
            callees = self._callees(graph, position) if graph is not None else None
            if graph is None or callees is None:
                return None
            node = graph.node_or_blank(position)
            inputs = [name for name in node.inputs if not name.startswith("^")]
            slot = number + callees[1]
            if "Dataset" in node.op:  # captured values are a function's last arguments, and the dataset's too
                captured = node.attr("Targuments")
                count = len(captured.list.type) if captured is not None else 0
                slot = 1 + number - (len(definition.inputs) - count)
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
            body = self._wiring.function(name)
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
