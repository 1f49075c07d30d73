"""Who runs what: from where a model is entered, when, and by which way a node is reached.

At load: what init ops lead back to, the functions `_initialize`, `_create_resource` and `_destroy_resource` of
objects, restoring. When called: signatures and the functions of the object graph. When saving: the saver.
tensorflow/python/saved_model/load.py and tensorflow/cc/saved_model/loader.cc.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import text
from tfexplore.core.scan_finding import CALL, LOAD, SAVE, UNREACHED
from tfexplore.core.scan_graph import Body, Call
from tfexplore.errors import Cancelled
from tfexplore.formats.graph_def import split_input
from tfexplore.formats.proto import DecodeError, lean

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.objects import ObjectGraph

_RUN_AT_LOAD = ("_initialize", "_create_resource", "_destroy_resource")
# Collections that name ops: the first two TensorFlow's loader runs, the others whoever trains on.
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_TRAINING_COLLECTIONS = ("init_op", "local_init_op")
_INIT_SIGNATURE = "__saved_model_init_op"
_CHECK_EVERY = 1024
# Steps of a way that are kept, before the node.
_MAX_WAY = 32
# Nodes that call one function, of which all are remembered.
MAX_CALLERS = 16


class Root(NamedTuple):
    """A place where a model is entered.

    Attributes:
        phase: when: load, call, save, or unreached for what nothing enters.
        label: what it is: `signature serving_default`; empty where nothing leads in.
        targets: the tensors or nodes of the main graph that are asked for.
        functions: the functions that are called.
        fed: tensors that are given, so that nothing behind them runs.
        is_saver: whether the caller gives the name of a checkpoint.
        whole: whether any node of the main graph may be asked for.
    """

    phase: str
    label: str
    targets: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    fed: frozenset[str] = frozenset()
    is_saver: bool = False
    whole: bool = False


class Reached(NamedTuple):
    """How a function is reached first: by which node of which graph (None: the main graph), from which root."""

    root: Root
    caller: Call | None


def roots(meta_graph: MetaGraph) -> Iterator[Root]:
    """The places where a MetaGraph is entered: at load first, then calls, then saving."""
    signatures = meta_graph.signatures
    for signature in signatures:
        if signature.name == _INIT_SIGNATURE:
            targets = tuple(info.tensor for info in signature.outputs if info.tensor)
            yield Root(LOAD, f"init op {', '.join(targets)}", targets)
    yield from _collection_roots(meta_graph, _INIT_COLLECTIONS, LOAD)
    saver = meta_graph.saver
    if saver.restore:
        yield Root(
            LOAD, f"restoring, {saver.restore}", (saver.restore,), fed=frozenset((saver.filename,)), is_saver=True
        )
    objects = _object_roots(meta_graph.objects) if meta_graph.objects is not None else []
    yield from (root for root in objects if root.phase == LOAD)
    entered = False
    for signature in signatures:
        if signature.name != _INIT_SIGNATURE:
            entered = True
            fed = frozenset(tensor for info in signature.inputs for tensor in _tensors(info))
            targets = tuple(tensor for info in signature.outputs for tensor in _tensors(info))
            yield Root(CALL, f"signature {signature.name}", targets, fed=fed)
    for root in objects:
        if root.phase == CALL:
            entered = True
            yield root
    for op, function in meta_graph.registered_gradients:
        yield Root(CALL, f"gradient of {op}", functions=(function,))
    yield from _collection_roots(meta_graph, _TRAINING_COLLECTIONS, CALL)
    if saver.save:
        yield Root(SAVE, f"saving, {saver.save}", (saver.save,), fed=frozenset((saver.filename,)), is_saver=True)
    yield from (root for root in objects if root.phase == SAVE)
    if not entered:  # whoever runs it fetches tensors by name
        yield Root(CALL, "main graph", whole=True)


def _collection_roots(meta_graph: MetaGraph, names: Sequence[str], phase: str) -> Iterator[Root]:
    for name in names:
        collection = meta_graph.collections.get(name)
        kind = collection.WhichOneof("kind") if collection is not None else None
        if kind in ("node_list", "bytes_list"):
            targets = tuple(map(text.decode, getattr(collection, kind).value))
            yield Root(phase, f"{name} {', '.join(targets[:3])}", targets)


def _tensors(info: Any) -> tuple[str, ...]:
    return info.sparse or info.components or ((info.tensor,) if info.tensor is not None else ())


def _object_roots(objects: ObjectGraph) -> list[Root]:
    """The functions of the object graph; those that TensorFlow calls by itself by the attribute's name."""
    phases: dict[int, str] = {}
    savers: set[int] = set()
    for node_id in range(len(objects)):
        message = objects.message(node_id)
        for ref in (*message.children, *message.dependencies):
            if text.decode(ref.local_name) in _RUN_AT_LOAD:
                phases[ref.node_id] = LOAD
        for entry in message.saveable_objects:
            save, restore = _saveable(entry.value)
            phases.setdefault(save, SAVE)
            phases.setdefault(restore, LOAD)
            savers |= {save, restore}
    found = []
    named: set[str] = set()
    for node_id in range(len(objects)):
        message = objects.message(node_id)
        kind = message.WhichOneof("kind")
        if kind == "function":
            functions = tuple(map(text.decode, message.function.concrete_functions))
        elif kind == "bare_concrete_function":
            functions = (text.decode(message.bare_concrete_function.concrete_function_name),)
        else:
            continue
        named.update(functions)
        path = objects.path(node_id) or f"number {node_id}"
        phase = phases.get(node_id, CALL)
        found.append(Root(phase, f"object {path}", functions=functions, is_saver=node_id in savers))
    rest = tuple(name for name in objects.concrete_functions if name not in named)
    if rest:
        found.append(Root(CALL, "concrete function", functions=rest))
    return found


def _saveable(raw: bytes) -> tuple[int, int]:
    """The functions that save and restore a SaveableObject (saved_object_graph.proto: fields 2 and 3, both numbers)."""
    found = {2: 0, 3: 0}
    position = 0
    while position + 1 < len(raw) and raw[position] in (0x10, 0x18):
        number, value, shift = raw[position] >> 3, 0, 0
        position += 1
        while position < len(raw) and shift < 35:
            value |= (raw[position] & 0x7F) << shift
            shift += 7
            position += 1
            if raw[position - 1] < 0x80:
                break
        found[number] = value
    return found[2], found[3]


class Reach:
    """Which functions and which nodes of the main graph are reached from where.

    Args:
        main: the main graph.
        calls: the calls in each function, and in the main graph (None), by position.
        cancel: ends the work early.

    Attributes:
        functions: how each function is reached first; the worst phase comes first.
        callers: the nodes that call each function; None in place of too many.
    """

    def __init__(
        self,
        main: Body,
        calls: Mapping[str | None, Sequence[Call]],
        entries: Sequence[Root],
        cancel: threading.Event | None,
    ) -> None:
        self._main = main
        self._calls = calls
        self._cancel = cancel
        self._main_calls = calls.get(None, ())
        self._main_positions = array("I", (call.position for call in self._main_calls))
        self.functions: dict[str, Reached] = {}
        self.callers: dict[str, list[Call] | None] = {}
        self._roots: list[Root] = []
        self._root_of = bytearray(4 * len(main.raw_nodes))
        self._owner = memoryview(self._root_of).cast("I")
        for found in calls.values():
            for call in found:
                self._add_caller(call)
        for entry in entries:
            self._enter(entry)
        self._enter_rest()

    def _add_caller(self, call: Call) -> None:
        known = self.callers.setdefault(call.function, [])
        if known is None:
            return
        if len(known) >= MAX_CALLERS:
            self.callers[call.function] = None
        else:
            known.append(call)

    def _check(self, count: int) -> None:
        if count % _CHECK_EVERY == 0 and self._cancel is not None and self._cancel.is_set():
            raise Cancelled

    def root_of(self, position: int) -> Root:
        """From where a node of the main graph is reached first."""
        return self._roots[self._owner[position] - 1]

    def _enter(self, root: Root) -> None:
        self._roots.append(root)
        number = len(self._roots)
        pending: deque[str] = deque()
        for name in root.functions:
            self._reach(name, root, None, pending)
        self._walk_main(root, number, pending)
        if root.whole:
            for position in range(len(self._owner)):
                self._own(position, root, number, pending)
        self._walk_functions(root, pending)

    def _enter_rest(self) -> None:
        """What nothing enters: the rest of the main graph, functions that nobody calls, and circles of functions."""
        self._enter(Root(UNREACHED, "main graph", whole=True))
        called = {call.function for found in self._calls.values() for call in found}
        for names in ([name for name in self._calls if name not in called], list(self._calls)):
            for name in names:
                if name is not None and name not in self.functions:
                    self._enter(Root(UNREACHED, "", functions=(name,)))

    def _own(self, position: int, root: Root, number: int, pending: deque[str]) -> bool:
        if self._owner[position]:
            return False
        self._owner[position] = number
        place = bisect_left(self._main_positions, position)
        while place < len(self._main_calls) and self._main_calls[place].position == position:
            call = self._main_calls[place]
            self._reach(call.function, root, call, pending)
            place += 1
        return True

    def _walk_main(self, root: Root, number: int, pending: deque[str]) -> None:
        if not root.targets:
            return
        places, raw_nodes = self._main.places, self._main.raw_nodes
        decode = lean("NodeEdges").FromString
        fed = {_spelled(name) for name in root.fed}
        waiting = [name for name in root.targets if _spelled(name) not in fed]
        steps = 0
        while waiting:
            name = waiting.pop()
            steps += 1
            self._check(steps)
            position = places.get(split_input(name)[0])
            if position is None or not self._own(position, root, number, pending):
                continue
            try:
                inputs = decode(raw_nodes[position]).input
            except DecodeError:
                continue
            for raw in inputs:
                spelled = text.decode(raw)
                if not fed or _spelled(spelled) not in fed:
                    waiting.append(spelled)

    def _reach(self, name: str, root: Root, caller: Call | None, pending: deque[str]) -> None:
        if name in self._calls and name not in self.functions:
            self.functions[name] = Reached(root, caller)
            pending.append(name)

    def _walk_functions(self, root: Root, pending: deque[str]) -> None:
        steps = 0
        while pending:
            steps += 1
            self._check(steps)
            for call in self._calls[pending.popleft()]:
                self._reach(call.function, root, call, pending)

    def way(self, function: str, node_name: Callable[[Call], str]) -> tuple[str, ...]:
        """The way to a function, from where the model is entered; of a very long one both ends.

        Args:
            node_name: gives the step that a node which calls is; nothing where it is not worth one.
        """
        steps: list[str] = []
        root = self.functions[function].root
        while len(steps) < _MAX_WAY:
            steps.append(f"function {function}")
            caller = self.functions[function].caller
            if caller is None:
                break
            name = caller.attr if caller.position < 0 else node_name(caller)
            if name:
                steps.append(name)
            if caller.graph is None:
                break
            function = caller.graph
        else:
            steps.append(text.ELLIPSIS)
        if root.label:
            steps.append(root.label)
        return tuple(reversed(steps))


def _spelled(name: str) -> str:
    """A tensor's name with its output: `a` is `a:0`."""
    return name if ":" in name or name.startswith("^") else f"{name}:0"
