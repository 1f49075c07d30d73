"""Where a path, an address or a shape comes from: followed back through a graph, and into those that call it."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import text
from tfexplore.core.joins import CALLS
from tfexplore.core.scan_graph import Body, Call, tensor_strings
from tfexplore.formats import dtypes
from tfexplore.formats.graph_def import Node, split_input
from tfexplore.formats.proto import DecodeError, lean

if TYPE_CHECKING:
    from tfexplore.core.objects import ObjectGraph

CONST, ASSET, SAVER, INPUT, UNKNOWN = "constant", "asset", "saver", "input", "unknown"
# Strings of a constant that are kept, and bytes of each.
MAX_LITERALS, MAX_LITERAL = 16, 4096
_BOOL, _INT32, _INT64 = 10, 3, 9
# Steps of one way back, and of all together: a few microseconds each.
_MAX_STEPS, _MAX_ALL_STEPS = 10_000, 500_000
_MAX_DEPTH = 40
_MAX_PARTS = 64
_PASS_ON = frozenset(
    (
        *("Identity", "StopGradient", "EnsureShape", "PreventGradient", "Reshape", "ExpandDims", "Squeeze", "Snapshot"),
        *("Enter", "RefEnter", "Exit", "RefExit", "Switch", "RefSwitch", "NextIteration", "ReadVariableOp"),
        *("CheckNumerics", "GuaranteeConst"),
    )
)
_ALL_OF = frozenset(("Pack", "ConcatV2", "Merge", "RefMerge", "Concat"))
_CHOICES = {"Select": (1, 2), "SelectV2": (1, 2)}
FUNCTION_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# Datasets that call a function with each element of another (input 0) and with more arguments (inputs 1 and on).
_OF_ELEMENTS = frozenset(
    (
        *("MapDataset", "ParallelMapDataset", "ParallelMapDatasetV2", "FilterDataset", "FlatMapDataset"),
        *("InterleaveDataset", "ParallelInterleaveDataset", "ParallelInterleaveDatasetV2"),
        *("ParallelInterleaveDatasetV3", "ParallelInterleaveDatasetV4", "TakeWhileDataset", "MapAndBatchDataset"),
    )
)
# Datasets that give the elements of another as they are, or several at once.
_SAME_ELEMENTS = frozenset(
    (
        *("PrefetchDataset", "RepeatDataset", "ShuffleDataset", "ShuffleDatasetV2", "ShuffleDatasetV3", "TakeDataset"),
        *("SkipDataset", "ShardDataset", "OptionsDataset", "ModelDataset", "CacheDataset", "CacheDatasetV2"),
        *("BatchDataset", "BatchDatasetV2", "ShuffleAndRepeatDataset", "ShuffleAndRepeatDatasetV2", "FilterDataset"),
        *("TakeWhileDataset", "Identity", "FinalizeDataset", "AutoShardDataset", "UnbatchDataset"),
    )
)
_COMPONENTS = ("TensorSliceDataset", "TensorDataset")


class Source(NamedTuple):
    """One place that a value may come from.

    Attributes:
        kind: a constant, an asset of the model, a saver's filename, an input of the model, or unknown.
        strings: of a constant of strings; an asset's name.
        at: of a constant the graph (None: the main graph) and its position there.
    """

    kind: str
    strings: tuple[str, ...] = ()
    at: tuple[str | None, int] | None = None


_UNKNOWN = (Source(UNKNOWN),)
_INPUT = (Source(INPUT),)


class Origins:
    """Follows values back.

    Args:
        body: gives the body of a function, or the main graph for None; None where there is none.
        callers: all nodes that call a function; None in place of a list that became too long.
        assets: the tensors of the main graph that the names of assets are fed to, by node name.
        savers: gives the nodes of the main graph that a saver's filename is fed to.
        objects: the object graph, which binds arguments of functions.
        asset_names: names of the assets, as SavedAsset objects count them.
    """

    def __init__(
        self,
        body: Callable[[str | None], Body | None],
        callers: Mapping[str, Sequence[Call] | None],
        *,
        assets: Mapping[str, str],
        savers: Callable[[], Container[str]],
        objects: ObjectGraph | None = None,
        asset_names: Sequence[str] = (),
    ) -> None:
        self._body = body
        self._callers = callers
        self._assets = assets
        self._find_savers = savers
        self._objects = objects
        self._asset_names = asset_names
        self._steps = 0
        self._all_steps = _MAX_ALL_STEPS
        self._known: dict[tuple[str | None, str], tuple[Source, ...]] = {}
        self._assigned: dict[str, str] | None = None

    @cached_property
    def _savers(self) -> Container[str]:
        return self._find_savers()

    def of(self, graph: str | None, name: str) -> tuple[Source, ...]:
        """Every source of an input, as a node of `graph` (a function, None: the main graph) names it."""
        self._start()
        self._known.clear()
        return self._of(graph, name, 0) or _UNKNOWN

    def _start(self) -> None:
        self._steps = _MAX_STEPS

    def _step(self) -> bool:
        """One step more; whether it may be made."""
        self._steps -= 1
        self._all_steps -= 1
        return self._steps >= 0 and self._all_steps >= 0

    def _of(self, graph: str | None, name: str, depth: int) -> tuple[Source, ...]:
        if not self._step() or depth > _MAX_DEPTH:
            return _UNKNOWN
        key = (graph, name)
        found = self._known.get(key)
        if found is None:
            self._known[key] = ()  # a way round adds nothing
            found = self._known[key] = tuple(dict.fromkeys(self._find(graph, name, depth + 1)))[:_MAX_PARTS]
        return found

    def _open(self, graph: str | None) -> Body | None:
        """A graph, in which names are looked up: the first time that costs as much as it has nodes."""
        body = self._body(graph)
        if body is not None and not body.is_open:
            self._all_steps -= len(body.raw_nodes) // 10
        return body

    def _find(self, graph: str | None, name: str, depth: int) -> tuple[Source, ...]:
        body = self._open(graph)
        source, output, control = split_input(name)
        if body is None or control:
            return _UNKNOWN
        if graph is not None and source in body.arguments:
            return self._argument(body, body.arguments[source], depth)
        node = body.find(source)
        if node is None:
            return _UNKNOWN
        if graph is None and source in self._assets:
            return (Source(ASSET, (self._assets[source],)),)
        if graph is None and source in self._savers:
            # What it would be where nobody feeds one.
            default = (
                self._of(None, node.inputs[0], depth) if node.op == "PlaceholderWithDefault" and node.inputs else ()
            )
            return (Source(SAVER, literals(node) or tuple(part for source in default for part in source.strings)),)
        return self._node(body, node, output, depth)

    def _node(self, body: Body, node: Node, output: str, depth: int) -> tuple[Source, ...]:
        op, graph = node.op, body.function
        if op in ("Const", "HostConst"):
            strings = literals(node)
            return _UNKNOWN if strings is None else (Source(CONST, strings, (graph, body.places[node.name])),)
        inputs = [name for name in node.inputs if not name.startswith("^")]
        if op in FUNCTION_CALLS:
            return self._returned(node, output, depth)
        if op in ("Placeholder", "PlaceholderV2", "_Arg", "Arg"):
            return _INPUT
        if op == "VarHandleOp":
            assigned = self._assignments().get(node.name) if graph is None else None
            return _UNKNOWN if assigned is None else self._of(None, assigned, depth)
        if not inputs:
            return _UNKNOWN
        if op == "PlaceholderWithDefault":
            return (*_INPUT, *self._of(graph, inputs[0], depth))
        if op == "IdentityN":
            place = output.rpartition(":")[2]
            chosen = int(place) if place.isdecimal() and len(place) < 9 else 0
            return self._of(graph, inputs[chosen], depth) if chosen < len(inputs) else _UNKNOWN
        if op == "Fill":
            return self._of(graph, inputs[1], depth) if len(inputs) > 1 else _UNKNOWN
        if op in _PASS_ON:
            return self._of(graph, inputs[0], depth)
        if op in _CHOICES:
            inputs = [inputs[place] for place in _CHOICES[op] if place < len(inputs)]
        elif op in ("ShardedFilename", "ShardedFilespec"):
            return self._of(graph, inputs[0], depth)
        elif op == "StringJoin":
            return self._joined(graph, node, inputs, depth)
        elif op not in _ALL_OF:
            return _UNKNOWN
        elif op == "ConcatV2":
            inputs = inputs[:-1]
        found: list[Source] = []
        for name in inputs:
            found.extend(self._of(graph, name, depth))
            if len(found) > _MAX_PARTS:
                found = list(dict.fromkeys(found))
                if len(found) > _MAX_PARTS:
                    return (*found[:_MAX_PARTS], *_UNKNOWN)
        return tuple(found)

    def _joined(self, graph: str | None, node: Node, inputs: Sequence[str], depth: int) -> tuple[Source, ...]:
        """A StringJoin: of constants their text; what begins with a saver's filename or an input is that."""
        if len(inputs) > _MAX_PARTS:
            return _UNKNOWN
        parts = [self._of(graph, name, depth) for name in inputs]
        if not all(parts):
            return _UNKNOWN
        rest = [source for part in parts[1:] for source in part]
        if all(len(part) == 1 and part[0].kind == CONST and len(part[0].strings) == 1 for part in parts):
            separator = node.attr("separator")
            between = text.decode(separator.s) if separator is not None and separator.WhichOneof("value") == "s" else ""
            return (Source(CONST, (between.join(part[0].strings[0] for part in parts)[:MAX_LITERAL],)),)
        inside = all(source.kind == CONST and not any(map(leads_out, source.strings)) for source in rest)
        if inside and all(source.kind in (SAVER, INPUT) for source in parts[0]):
            return parts[0]
        return _UNKNOWN

    def _returned(self, node: Node, output: str, depth: int) -> tuple[Source, ...]:
        value = node.attr("f")
        name = text.decode(value.func.name) if value is not None else ""
        body = self._open(name) if name else None
        place = output.rpartition(":")[2] or "0"
        if body is None or not place.isdecimal() or len(place) > 9 or int(place) >= len(body.returns):
            return _UNKNOWN
        return self._of(name, body.returns[int(place)], depth)

    def _assignments(self) -> dict[str, str]:
        """What the main graph assigns to variables, by the variable's node."""
        if self._assigned is None:
            self._assigned = {}
            main = self._body(None)
            head = lean("NodeEdges").FromString
            for raw in main.raw_nodes if main is not None else ():
                try:
                    message = head(raw)
                except DecodeError:
                    continue
                if message.op == b"AssignVariableOp" and len(message.input) > 1:
                    variable, value = map(text.decode, message.input[:2])
                    self._assigned.setdefault(split_input(variable)[0], value)
        return self._assigned

    # -- arguments --

    def _argument(self, body: Body, place: int, depth: int) -> tuple[Source, ...]:
        found: list[Source] = []
        name = body.function or ""
        bound = self._objects.concrete_functions.get(name) if self._objects is not None else None
        if bound is not None:
            first = len(body.arguments) - len(bound)
            found.extend(_INPUT if place < first else self._object(bound[place - first], depth))
        callers = self._callers.get(name, ())
        if callers is None:
            return (*found, *_UNKNOWN)
        for caller in callers:
            found.extend(self._passed(caller, body, place, depth))
        return tuple(found) or _INPUT

    def _object(self, node_id: int, depth: int) -> tuple[Source, ...]:
        assert self._objects is not None
        if not 0 <= node_id < len(self._objects):
            return _UNKNOWN
        message = self._objects.message(node_id)
        kind = message.WhichOneof("kind")
        if kind == "asset":
            index = message.asset.asset_file_def_index
            return (Source(ASSET, (self._asset_names[index],)),) if 0 <= index < len(self._asset_names) else _UNKNOWN
        if kind == "constant":
            return self._of(None, text.decode(message.constant.operation), depth)
        return _UNKNOWN

    def _passed(self, caller: Call, body: Body, place: int, depth: int) -> tuple[Source, ...]:
        """What a caller's node hands to an argument."""
        outer = self._open(caller.graph)
        node = outer.node(caller.position) if outer is not None and caller.position >= 0 else None
        if node is None:
            return _UNKNOWN
        inputs = [name for name in node.inputs if not name.startswith("^")]
        if node.op in CALLS and caller.attr in CALLS[node.op][0]:
            at = CALLS[node.op][1] + place
        elif not caller.attr:
            at = place
        elif caller.attr == "f" and node.op == "RemoteCall":
            at = place + 1
        elif node.op in _OF_ELEMENTS:
            captured = node.attr("Targuments")
            at = 1 + place - len(body.arguments) + (len(captured.list.type) if captured is not None else 0)
            if at < 1:
                return self._element(caller.graph, inputs[0], place, depth) if inputs else _UNKNOWN
        else:
            return _UNKNOWN
        found = self._of(caller.graph, inputs[at], depth) if 0 <= at < len(inputs) else _UNKNOWN
        # A loop's body may hand itself another value the next time.
        return (*found, *_UNKNOWN) if node.op.endswith("While") and not self._unchanged(node, place) else found

    def _element(self, graph: str | None, name: str, component: int, depth: int) -> tuple[Source, ...]:
        """A component of each element of a dataset."""
        for _ in range(_MAX_DEPTH):
            body = self._open(graph)
            source, _, control = split_input(name)
            node = body.find(source) if body is not None and not control and source not in body.arguments else None
            if node is None or not self._step():
                return _UNKNOWN
            inputs = [found for found in node.inputs if not found.startswith("^")]
            if node.op in _COMPONENTS:
                return self._of(graph, inputs[component], depth) if component < len(inputs) else _UNKNOWN
            if node.op not in _SAME_ELEMENTS or not inputs:
                return _UNKNOWN
            name = inputs[0]
        return _UNKNOWN

    def _unchanged(self, node: Node, place: int) -> bool:
        """Whether a loop's body returns an argument as it came."""
        value = node.attr("body")
        body = self._open(text.decode(value.func.name)) if value is not None else None
        if body is None or place >= len(body.returns):
            return False
        name = body.returns[place]
        for _ in range(_MAX_DEPTH):
            source = split_input(name)[0]
            if source in body.arguments:
                return body.arguments[source] == place
            inner = body.find(source)
            if inner is None or inner.op != "Identity" or not inner.inputs:
                return False
            name = inner.inputs[0]
        return False

    # -- shapes --

    def elements(self, graph: str | None, name: str, depth: int = 0) -> int:
        """At least so many elements does a tensor have whose shape this is, for each 1 that an input says."""
        if depth == 0:
            self._start()
        body = self._open(graph)
        source, _, control = split_input(name)
        if body is None or control or depth > _MAX_DEPTH or not self._step():
            return 1
        if graph is not None and source in body.arguments:
            return 1
        node = body.find(source)
        if node is None:
            return 1
        inputs = [found for found in node.inputs if not found.startswith("^")][:_MAX_PARTS]
        if node.op == "Const":
            # Only a factor: of an index or a count that may be negative or zero nothing is known.
            return math.prod(max(1, number) for number in integers(node))
        if node.op in ("Cast", "Identity", "Reshape", "ExpandDims"):
            inputs = inputs[:1]
        elif node.op == "ConcatV2":
            inputs = inputs[:-1]
        elif node.op not in ("Pack", "Mul"):
            return 1
        found = 1
        for part in inputs:
            found = min(found * self.elements(graph, part, depth + 1), 1 << 64)
        return found


def leads_out(part: str) -> bool:
    """Whether a part of a path leads out of the folder that comes before it."""
    return part.startswith("/") or "://" in part or ".." in part.split("/") or "\0" in part


def _tensor(node: Node) -> Any | None:
    value = node.attr("value")
    if value is None or value.WhichOneof("value") != "tensor":
        return None
    try:
        return lean("TensorProto").FromString(value.tensor)
    except DecodeError:
        return None


def literals(node: Node) -> tuple[str, ...] | None:
    """The strings of a Const, as many as are kept; None where it holds none."""
    message = _tensor(node)
    if message is None or message.dtype % dtypes.REF != dtypes.STRING:
        return None
    return tuple(text.decode(part[:MAX_LITERAL]) for part in islice(tensor_strings(message), MAX_LITERALS)) or ("",)


def integers(node: Node) -> tuple[int, ...]:
    """The whole numbers of a small Const; none of any other."""
    message = _tensor(node)
    if message is None:
        return ()
    size = {_INT32: 4, _INT64: 8}.get(message.dtype)
    if size is None or len(message.tensor_content) > 8 * _MAX_PARTS:
        return ()
    content = message.tensor_content
    if content:
        cut = range(0, len(content) - size + 1, size)
        return tuple(int.from_bytes(content[at : at + size], "little", signed=True) for at in cut)
    values = message.int_val if size == 4 else message.int64_val
    found = tuple(islice(values, _MAX_PARTS))
    sizes = [dim.size for dim in message.tensor_shape.dim]
    # The last element stands for the rest.
    if found and len(sizes) == 1 and len(found) < sizes[0] <= _MAX_PARTS:
        found += found[-1:] * (sizes[0] - len(found))
    return found


def is_always_true(body: Body, name: str) -> bool:
    """Whether a condition is the constant true."""
    for _ in range(_MAX_DEPTH):
        source, _, control = split_input(name)
        node = None if control or source in body.arguments else body.find(source)
        if node is None:
            return False
        if node.op == "Const":
            message = _tensor(node)
            if message is None or message.dtype != _BOOL:
                return False
            return any(message.bool_val) or any(message.tensor_content)
        if node.op not in ("Identity", "Enter", "RefEnter", "ToBool") or not node.inputs:
            return False
        name = node.inputs[0]
    return False


def iter_strings(value: Any) -> Iterator[str]:
    """The strings of an attribute that holds one or a list."""
    kind = value.WhichOneof("value") if value is not None else None
    if kind == "s":
        yield text.decode(value.s[:MAX_LITERAL])
    elif kind == "func":
        yield text.decode(value.func.name[:MAX_LITERAL])
    elif kind == "list":
        yield from (text.decode(part[:MAX_LITERAL]) for part in islice(value.list.s, MAX_LITERALS))
