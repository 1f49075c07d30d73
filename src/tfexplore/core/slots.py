"""Slot variables of optimizers: which belong to a variable, and which variable a slot belongs to.

TensorFlow 2's optimizers and those of Keras 2 store the references. Those of Keras 3 store lists: the variables that
they train (`_trainable_variables`), and one list for each slot (`_momentums`, `_velocities`) or all in `_variables`.
There order and shape tell. In a checkpoint saved by names the slots of `w` are called `w/Adam` and the like.
What is concluded so is marked as inferred.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from tfexplore.core import text
from tfexplore.core.objects import VARIABLE_VALUE, ObjectGraph
from tfexplore.core.shapes import Shape, from_proto
from tfexplore.errors import ModelError

if TYPE_CHECKING:
    from tfexplore.core.checkpoint import Checkpoint

_TRAINED, _ALL = b"_trainable_variables", b"_variables"
_SLOT_NAMES = frozenset(
    (
        *("Adam", "Adam_1", "Adagrad", "Momentum", "RMSProp", "RMSProp_1", "Adadelta", "Adadelta_1"),
        *("Ftrl", "Ftrl_1", "ExponentialMovingAverage"),
    )
)
_MAX_LISTED = 64


class Slot(NamedTuple):
    """One slot: `slot` holds what an optimizer keeps about `original` (ids of objects).

    Attributes:
        name: as the optimizer calls it (`m`, `_momentums`).
        optimizer: the id of its object.
        inferred: whether order and shape tell it, and no reference does.
    """

    name: str
    original: int
    slot: int
    optimizer: int
    inferred: bool


class Slots(NamedTuple):
    """The slots of an object graph, by both ends."""

    of: dict[int, list[Slot]]
    owner: dict[int, Slot]


_known: WeakKeyDictionary[ObjectGraph, Slots] = WeakKeyDictionary()


def slots(objects: ObjectGraph, checkpoint: Checkpoint | None = None) -> Slots:
    """The slots of an object graph; found once.

    Args:
        checkpoint: the one that keeps it; None for the object graph of a SavedModel.
    """
    found = _known.get(objects)
    if found is None:
        found = Slots({}, {})

        def shape(node_id: int) -> Shape:
            return _stored_shape(objects, node_id, checkpoint) if checkpoint is not None else _saved(objects, node_id)

        for slot in _iter_slots(objects, shape):
            if slot.slot not in found.owner:
                found.owner[slot.slot] = slot
                found.of.setdefault(slot.original, []).append(slot)
        _known[objects] = found
    return found


def _iter_slots(objects: ObjectGraph, shape: Callable[[int], Shape]) -> Iterator[Slot]:
    optimizers = []
    for node_id in range(len(objects)):
        message = objects.message(node_id)
        if message.slot_variables:
            for slot in objects.object(node_id).slots:
                yield Slot(slot.name, slot.original, slot.slot, node_id, False)
        elif any(ref.local_name == _TRAINED for ref in message.children):
            optimizers.append(node_id)
    for node_id in optimizers:  # what is certain comes first
        yield from _inferred(objects, node_id, shape)


def _inferred(objects: ObjectGraph, optimizer: int, shape: Callable[[int], Shape]) -> Iterator[Slot]:
    lists = {
        ref.local_name: _listed(objects, ref.node_id)
        for ref in objects.message(optimizer).children
        if ref.local_name.startswith(b"_")
    }
    trained = lists.pop(_TRAINED, None)
    everything = lists.pop(_ALL, None)
    if not trained:
        return
    shapes = [shape(node_id) for node_id in trained]
    found = False
    for name, listed in lists.items():
        if listed is None or len(listed) != len(trained) or listed == trained:
            continue
        if [shape(node_id) for node_id in listed] == shapes and None not in shapes:
            found = True
            for original, slot in zip(trained, listed, strict=True):
                yield Slot(text.decode(name), original, slot, optimizer, True)
    if not found and everything:
        # The step and the learning rate are in the list too, and attributes of their own.
        own = {ref.node_id for ref in objects.message(optimizer).children}
        rest = [node_id for node_id in everything if node_id not in own]
        yield from _of_all(rest, trained, shapes, optimizer, shape)


def _of_all(
    rest: list[int], trained: list[int], shapes: list[Shape], optimizer: int, shape: Callable[[int], Shape]
) -> Iterator[Slot]:
    """Slots in one list: slot by slot, or variable by variable; never by a guess."""
    count = len(trained)
    each = len(rest) // count
    if not each or len(rest) % count or None in shapes:
        return
    found = [shape(node_id) for node_id in rest]
    by_variable = all(found[place] == shapes[place // each] for place in range(len(rest)))
    by_slot = all(found[place] == shapes[place % count] for place in range(len(rest)))
    if not by_variable and not by_slot:
        return
    if by_variable and by_slot and each > 1 and count > 1:  # all of one shape: order alone does not tell
        return
    for place, node_id in enumerate(rest):
        original, number = (place // each, place % each) if by_variable else (place % count, place // count)
        yield Slot(f"slot {number}", trained[original], node_id, optimizer, True)


def _listed(objects: ObjectGraph, node_id: int) -> list[int] | None:
    """The entries of a list: children named `0`, `1` and so on; None where it is none."""
    if not 0 <= node_id < len(objects):
        return None
    entries = objects.message(node_id).children
    found = []
    for number, ref in enumerate(entries):
        if ref.local_name != b"%d" % number or not 0 <= ref.node_id < len(objects):
            return None
        found.append(ref.node_id)
    return found or None


def _saved(objects: ObjectGraph, node_id: int) -> Shape:
    message = objects.message(node_id)
    return from_proto(message.variable.shape) if message.WhichOneof("kind") == "variable" else None


def _stored_shape(objects: ObjectGraph, node_id: int, checkpoint: Checkpoint) -> Shape:
    key = value_key(objects, node_id)
    try:
        return checkpoint.stored(key).shape if key is not None and checkpoint.has(key) else None
    except ModelError:
        return None


def value_key(objects: ObjectGraph, node_id: int) -> str | None:
    """The key under which a checkpoint's object keeps its value; None where it keeps none."""
    for part in objects.message(node_id).attributes:
        if part.name == VARIABLE_VALUE.encode():
            return text.decode(part.checkpoint_key)
    return None


def named_slots(checkpoint: Checkpoint, key: str) -> list[tuple[str, str]]:
    """Slots of a variable in a checkpoint saved by names, as (slot, key): `w/Adam` of the same shape as `w`."""
    keys = checkpoint.keys
    shape = checkpoint.stored(key).shape
    found = []
    start = bisect_right(keys, f"{key}/")
    for other in keys[start : start + _MAX_LISTED]:
        name = other[len(key) + 1 :]
        if not other.startswith(f"{key}/"):
            break
        if name in _SLOT_NAMES:
            try:
                same = checkpoint.stored(other).shape == shape or not checkpoint.stored(other).shape
            except ModelError:
                continue
            if same:
                found.append((name, other))
    return found
