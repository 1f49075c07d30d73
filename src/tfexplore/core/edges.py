"""Who uses which node's outputs: all edges of a graph, or of a large one those of the nodes that are looked at."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Container, Sequence
from dataclasses import dataclass

from tfexplore.core import text
from tfexplore.errors import Cancelled
from tfexplore.formats.graph_def import split_input
from tfexplore.formats.proto import DecodeError, lean

_CHECK_EVERY = 4096
# In more nodes than this one node's users are found by its name, until all edges are wanted.
LARGE = 50_000
_MAX_LOOKED_AT = 256

_Use = tuple[int, int]
"""A node, and which of its inputs."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """One use of a node's output: by node `node`, as its input number `slot`."""

    node: int
    slot: int
    name: str
    control: bool


class Edges:
    """The edges of one graph.

    Args:
        names: of its nodes, in file order.
        raw_nodes: serialized NodeDefs.
        arguments: the names of a function's arguments, which hide nodes of the same name.
    """

    def __init__(self, names: Sequence[str], raw_nodes: Sequence[bytes], arguments: Container[str]) -> None:
        self._names = names
        self._raw = raw_nodes
        self._arguments = arguments
        self._all: tuple[array[int], array[int]] | None = None
        self._looked_at: dict[int, list[_Use]] = {}

    def load(self, cancel: threading.Event | None = None, of: int | None = None) -> None:
        """Finds all edges, or in a large graph only those to the users of node `of`.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        if self._all is not None:
            return
        if of is None or len(self._raw) <= LARGE:
            self._all = self._find_all(cancel)
            self._looked_at.clear()
        elif of not in self._looked_at:
            found = self._find(of, cancel)
            while len(self._looked_at) >= _MAX_LOOKED_AT:
                self._looked_at.pop(next(iter(self._looked_at)), None)
            self._looked_at[of] = found

    def rows(self, cancel: threading.Event | None = None) -> tuple[array[int], array[int]]:
        """All uses in compressed rows: of node p, `targets[2 * starts[p]:2 * starts[p + 1]]`, pairs of (node, slot).

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        self.load(cancel)
        assert self._all is not None
        return self._all

    def consumers(self, position: int, limit: int | None = None, start: int = 0) -> list[Consumer]:
        """Who uses a node's outputs, control edges included, in file order; `limit` uses from number `start` on."""
        found = []
        decoded, inputs = -1, ()  # type: int, Sequence[bytes]
        for consumer, slot in self._uses(position, limit, start):
            if consumer != decoded:
                decoded, inputs = consumer, raw_inputs(self._raw[consumer])
            name = text.decode(inputs[slot])
            found.append(Consumer(consumer, slot, name, name.startswith("^")))
        return found

    def num_consumers(self, position: int) -> int:
        """How many uses `consumers` would list."""
        if self._all is None:
            return len(self._uses(position, None, 0))
        starts, _ = self._all
        return starts[position + 1] - starts[position]

    def _uses(self, position: int, limit: int | None, skip: int) -> list[_Use]:
        if self._all is None:
            self.load(of=position)
        if self._all is None:
            return self._looked_at[position][skip : None if limit is None else skip + limit]
        starts, targets = self._all
        start, stop = starts[position] + skip, starts[position + 1]
        if limit is not None:
            stop = min(stop, start + limit)
        return [(targets[2 * place], targets[2 * place + 1]) for place in range(start, stop)]

    def _find(self, position: int, cancel: threading.Event | None) -> list[_Use]:
        """The uses of one node: nodes in whose bytes its name occurs are few, and only those are decoded."""
        name = self._names[position]
        if name in self._arguments or self._names.index(name) != position:
            return []  # another one is meant by that name
        needle = name.encode("utf-8", "surrogateescape")
        found: list[_Use] = []
        for start in range(0, len(self._raw), _CHECK_EVERY):
            _check(cancel)
            batch = self._raw[start : start + _CHECK_EVERY]
            for consumer in [start + place for place, raw in enumerate(batch) if needle in raw]:
                for slot, spelled in enumerate(raw_inputs(self._raw[consumer])):
                    if needle in spelled and split_input(text.decode(spelled))[0] == name:
                        found.append((consumer, slot))
        return found

    def _find_all(self, cancel: threading.Event | None) -> tuple[array[int], array[int]]:
        """See `rows`."""
        position_of: dict[str, int] = {}
        for position, name in enumerate(self._names):
            position_of.setdefault(name, position)
        found = array("I")  # producer, consumer, slot
        counts = array("I", bytes(4 * (len(self._raw) + 1)))
        for consumer, raw in enumerate(self._raw):
            if consumer % _CHECK_EVERY == 0:
                _check(cancel)
            for slot, spelled in enumerate(raw_inputs(raw)):
                source = split_input(text.decode(spelled))[0]
                if source in self._arguments:
                    continue
                producer = position_of.get(source)
                if producer is not None:
                    found.extend((producer, consumer, slot))
                    counts[producer + 1] += 1
        for position in range(len(self._raw)):
            counts[position + 1] += counts[position]
        starts = array("I", counts)
        targets = array("I", bytes(8 * (len(found) // 3)))
        for edge in range(0, len(found), 3):
            place = counts[found[edge]]
            targets[2 * place] = found[edge + 1]
            targets[2 * place + 1] = found[edge + 2]
            counts[found[edge]] += 1
        return starts, targets


def raw_inputs(raw: bytes) -> Sequence[bytes]:
    """The inputs of a serialized NodeDef; none where it is damaged."""
    try:
        inputs: Sequence[bytes] = lean("NodeDef").FromString(raw).input
    except DecodeError:
        return ()
    return inputs


def _check(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled
