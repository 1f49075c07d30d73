"""Object graphs: what a SavedModel or an object-based checkpoint keeps of the Python objects.

A SavedModel's is a SavedObjectGraph, a checkpoint's a TrackableObjectGraph (under the key
`_CHECKPOINTABLE_OBJECT_GRAPH`). Node 0 is the root; cycles are normal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from tfexplore.core import text
from tfexplore.formats import parts
from tfexplore.formats.proto import DecodeError, lean
from tfexplore.formats.salvage import salvage

TRACKABLE = "TrackableObjectGraph"

VARIABLE_VALUE = "VARIABLE_VALUE"
ROOT = "root"
_MAX_PATH = 512
_FEW = 3


class SlotVariable(NamedTuple):
    """A slot of an optimizer: `name` of the variable `original` lives in the variable `slot`."""

    name: str
    original: int
    slot: int


class SerializedTensor(NamedTuple):
    """A value that an object of a checkpoint keeps: attribute, variable name and checkpoint key."""

    name: str
    full_name: str
    key: str


class TrackableObject(NamedTuple):
    """One object.

    Attributes:
        kind: `user_object`, `variable`, `function`, `asset`, … as SavedObject names them; in a
            checkpoint `variable` where a VARIABLE_VALUE is stored, else `object`.
        label: what else tells it apart: the class identifier, the variable's or function's name.
        children: (attribute, node id), in stored order.
    """

    id: int
    kind: str
    label: str
    children: tuple[tuple[str, int], ...]
    slots: tuple[SlotVariable, ...]
    tensors: tuple[SerializedTensor, ...]


class DanglingReference(NamedTuple):
    """A child `name` of the object `owner` that is to have the id `target`, which no object has."""

    owner: int
    name: str
    target: int


class ObjectGraph:
    """One object graph; objects are made when asked for.

    Args:
        messages: SavedObject or TrackableObject messages, by node id.
        concrete_functions: by name, the ids of the objects that each captures (`bound_inputs`).
        damaged: a sentence for each concrete function that cannot be decoded.
    """

    def __init__(
        self,
        messages: Sequence[Any],
        concrete_functions: dict[str, tuple[int, ...]] | None = None,
        damaged: Sequence[str] = (),
    ) -> None:
        self._messages = messages
        self.concrete_functions = concrete_functions or {}
        self.damaged = tuple(damaged)

    def __len__(self) -> int:
        return len(self._messages)

    def message(self, node_id: int) -> Any:
        """The lean message of one object."""
        return self._messages[node_id]

    def object(self, node_id: int) -> TrackableObject:
        """One object; references to nodes that do not exist are left out."""
        message = self._messages[node_id]
        kind, label = _kind(message)
        tensors: tuple[SerializedTensor, ...] = ()
        if kind == "":
            tensors = tuple(
                SerializedTensor(text.decode(part.name), text.decode(part.full_name), text.decode(part.checkpoint_key))
                for part in message.attributes
            )
            kind, label, _ = self.head(node_id)
        size = len(self._messages)
        return TrackableObject(
            node_id,
            kind,
            label,
            tuple((text.decode(ref.local_name), ref.node_id) for ref in message.children if 0 <= ref.node_id < size),
            tuple(
                SlotVariable(text.decode(slot.slot_name), slot.original_variable_node_id, slot.slot_variable_node_id)
                for slot in message.slot_variables
                if 0 <= slot.original_variable_node_id < size and 0 <= slot.slot_variable_node_id < size
            ),
            tensors,
        )

    def head(self, node_id: int) -> tuple[str, str, int]:
        """Kind, label and how many references one object has: what a row shows, without its children."""
        message = self._messages[node_id]
        kind, label = _kind(message)
        if kind == "":
            variable = next((part for part in message.attributes if part.name == VARIABLE_VALUE.encode()), None)
            kind = "object" if variable is None else "variable"
            label = "" if variable is None else text.decode(variable.full_name)
        return kind, label, len(message.children)

    @property
    def dangling(self) -> int:
        """How many references lead to nodes that do not exist."""
        return self._dangling[0]

    @property
    def first_dangling(self) -> tuple[DanglingReference, ...]:
        """The first few of them."""
        return self._dangling[1]

    @cached_property
    def _dangling(self) -> tuple[int, tuple[DanglingReference, ...]]:
        size = len(self)
        count = 0
        first: list[DanglingReference] = []
        for node_id, message in enumerate(self._messages):
            for ref in message.children:
                if not 0 <= ref.node_id < size:
                    count += 1
                    if len(first) < _FEW:
                        first.append(DanglingReference(node_id, text.decode(ref.local_name), ref.node_id))
        return count, tuple(first)

    def iter_dangling(self, node_id: int) -> Iterator[DanglingReference]:
        """Those of one object."""
        size = len(self)
        for ref in self._messages[node_id].children:
            if not 0 <= ref.node_id < size:
                yield DanglingReference(node_id, text.decode(ref.local_name), ref.node_id)

    @cached_property
    def _breadth_first(self) -> tuple[list[tuple[int, str] | None], list[int]]:
        """For each node its (parent, attribute) on a shortest way from the root, and the order of the walk."""
        size = len(self)
        parents: list[tuple[int, str] | None] = [None] * size
        seen = bytearray(size)
        order: list[int] = []
        queue: deque[int] = deque()
        if size:
            seen[0] = 1
            queue.append(0)
        while queue:
            node_id = queue.popleft()
            order.append(node_id)
            for ref in self._messages[node_id].children:
                child = ref.node_id
                if 0 <= child < size and not seen[child]:
                    seen[child] = 1
                    parents[child] = (node_id, text.decode(ref.local_name))
                    queue.append(child)
        return parents, order

    @property
    def walk(self) -> list[int]:
        """Ids of all objects that the root reaches, breadth first."""
        return self._breadth_first[1]

    @cached_property
    def _slots(self) -> dict[int, tuple[int, str, int]]:
        """Slot variables by id: the optimizer, the slot's name, and the variable that it belongs to."""
        size = len(self)
        found: dict[int, tuple[int, str, int]] = {}
        for owner, message in enumerate(self._messages):
            for slot in getattr(message, "slot_variables", ()):
                variable, original = slot.slot_variable_node_id, slot.original_variable_node_id
                if 0 <= variable < size and 0 <= original < size:
                    found.setdefault(variable, (owner, text.decode(slot.slot_name), original))
        return found

    def place(self, node_id: int) -> str:
        """A name for any object: its path; of a slot variable its optimizer and variable; else its number."""
        found = self.path(node_id)
        slot = self._slots.get(node_id) if found is None else None
        if slot is not None:
            owner, name, original = (self.path(slot[0]), slot[1], self.path(slot[2]))
            if owner is not None and original is not None:
                return f"{owner} {name} of {original}"
        return found if found is not None else f"object {node_id}"

    @property
    def everything(self) -> list[int]:
        """Ids of all objects: those that the root reaches, then the others (slot variables mostly) by number."""
        reached = bytearray(len(self))
        for node_id in self.walk:
            reached[node_id] = 1
        return [*self.walk, *(node_id for node_id in range(len(self)) if not reached[node_id])]

    def path(self, node_id: int) -> str | None:
        """The shortest way from the root, attributes joined by `.`; `root` for the root.

        None where no way leads there, or only one of over 512 attributes.
        """
        steps = self.steps(node_id)
        if steps is None:
            return None
        return ".".join(steps) if steps else ROOT

    def steps(self, node_id: int) -> list[str] | None:
        """The attributes of `path`; none for the root."""
        parents = self._breadth_first[0]
        parts: list[str] = []
        while node_id:
            parent = parents[node_id]
            if parent is None:
                return None
            node_id, name = parent
            parts.append(name)
            if len(parts) > _MAX_PATH:
                return None
        return parts[::-1]


def _kind(message: Any) -> tuple[str, str]:
    """Kind and label of a SavedObject; ("", "") for an object of a checkpoint."""
    if not hasattr(message, "WhichOneof") or "kind" not in message.DESCRIPTOR.oneofs_by_name:
        return "", ""
    kind = message.WhichOneof("kind")
    if kind is None:
        return "none", ""
    part = getattr(message, kind)
    raw: bytes = b""
    if kind == "user_object":
        raw = part.identifier
    elif kind == "variable":
        raw = part.name
    elif kind == "function":
        raw = b", ".join(part.concrete_functions)
    elif kind == "bare_concrete_function":
        raw = part.concrete_function_name
    elif kind == "constant":
        raw = part.operation
    elif kind == "resource":
        raw = part.device
    elif kind == "captured_tensor":
        raw = part.name
    return kind, text.decode(raw)


def saved_object_graph(raw: bytes, *, path: str) -> ObjectGraph:
    """The object graph of a SavedModel's MetaGraph; concrete functions that cannot be decoded are left out.

    An object that cannot be decoded keeps its id, without kind and children.

    Raises:
        CorruptError: nothing of the bytes can be read as a SavedObjectGraph.
    """
    message, damage = salvage(lean("SavedObjectGraph"), raw, path=path, what="SavedObjectGraph", offset=None)
    if damage and not any(part.ListFields() for part in message.nodes) and not message.concrete_functions:
        message = parts.decode(lean("SavedObjectGraph"), raw, path=path, what="SavedObjectGraph", offset=None)
    functions: dict[str, tuple[int, ...]] = {}
    damaged = [f"the object graph is damaged: {error}" for error in damage]
    decode = lean("SavedConcreteFunction").FromString
    for position, entry in enumerate(message.concrete_functions):
        try:
            functions[text.decode(entry.key)] = tuple(decode(entry.value).bound_inputs)
        except DecodeError:
            damaged.append(f"{path}: concrete function {position:,} of the object graph is no SavedConcreteFunction")
    return ObjectGraph(message.nodes, functions, damaged)


def trackable_object_graph(raw: bytes, *, path: str) -> ObjectGraph:
    """The object graph that a checkpoint keeps; an object that cannot be decoded keeps its id, without children.

    Raises:
        CorruptError: nothing of the bytes can be read as a TrackableObjectGraph.
    """
    message, damage = salvage(lean(TRACKABLE), raw, path=path, what=TRACKABLE, offset=None)
    if damage and not any(part.ListFields() for part in message.nodes):
        message = parts.decode(lean(TRACKABLE), raw, path=path, what=TRACKABLE, offset=None)
    return ObjectGraph(message.nodes, damaged=[f"the object graph is damaged: {error}" for error in damage])


def match(saved: ObjectGraph, stored: ObjectGraph) -> dict[int, int]:
    """Which object of a checkpoint belongs to each object of a SavedModel.

    Both graphs are walked from their roots along equal attribute names, as TensorFlow's own
    restore does, so node ids need not agree. A slot variable is met through its optimizer, where
    both have one of that name for the same variable.

    Returns:
        Ids in `stored` by ids in `saved`, for all that were met.
    """
    found: dict[int, int] = {}
    queue: deque[int] = deque()
    # (original, slot name, slot, the optimizer in `stored`): those whose original is not met yet, by it, and the rest.
    waiting: dict[int, list[tuple[int, bytes, int, int]]] = {}
    ready: deque[tuple[int, bytes, int, int]] = deque()

    # One stored object may be met by many of the others.
    @lru_cache(maxsize=256)
    def references(theirs: int) -> tuple[dict[bytes, int], dict[tuple[int, bytes], int]]:
        message = stored.message(theirs)
        return (
            {ref.local_name: ref.node_id for ref in message.children},
            {
                (ref.original_variable_node_id, ref.slot_name): ref.slot_variable_node_id
                for ref in message.slot_variables
            },
        )

    def meet(ours: int, theirs: int | None) -> None:
        if theirs is not None and ours not in found and 0 <= ours < len(saved) and 0 <= theirs < len(stored):
            found[ours] = theirs
            queue.append(ours)
            ready.extend(waiting.pop(ours, ()))

    meet(0, 0)
    while queue:
        node_id = queue.popleft()
        message, theirs = saved.message(node_id), found[node_id]
        for ref in message.children:
            meet(ref.node_id, references(theirs)[0].get(ref.local_name))
        for ref in message.slot_variables:
            original = ref.original_variable_node_id
            slot = (original, ref.slot_name, ref.slot_variable_node_id, theirs)
            (ready if original in found else waiting.setdefault(original, [])).append(slot)
        # What attributes lead to is met along them: slots only when that has come to its end.
        while ready and not queue:
            original, name, slot_id, optimizer = ready.popleft()
            meet(slot_id, references(optimizer)[1].get((found[original], name)))
    return found
