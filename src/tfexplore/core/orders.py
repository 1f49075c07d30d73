"""Orders of lists, as arrays of positions: a list of a million is four megabytes, and no row is made for it."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tfexplore.core.natural import natural_key, natural_texts
from tfexplore.core.shapes import num_elements
from tfexplore.formats import dtypes
from tfexplore.formats.table import check_cancel

if TYPE_CHECKING:
    from tfexplore.core.checkpoint import Checkpoint
    from tfexplore.core.graph import Graph, Tensor

NAME, SIZE, COUNT, PLAIN = "name", "size", "count", "plain"
_CHECK_EVERY = 4096
# From so many names on an order is found in parts.
_BUCKETED = 4096
_BUCKETS = 64
_MAX_CHARACTERS = 1 << 27


def by_name(names: Sequence[str], cancel: threading.Event | None = None) -> array[int]:
    """Positions by name, in natural order.

    Of more than `_MAX_CHARACTERS` in all the order is plain: the texts that it is found by would not fit.

    Raises:
        Cancelled: `cancel` was set.
    """
    if len(names) <= _BUCKETED:
        return array("I", sorted(range(len(names)), key=lambda position: natural_key(names[position])))
    if sum(map(len, names)) > _MAX_CHARACTERS:
        return _sorted(names, cancel)
    texts: list[str] = []
    for batch in natural_texts(names):
        check_cancel(cancel)
        texts += batch
    return _sorted(texts, cancel)


def in_plain_order(names: Sequence[str], cancel: threading.Event | None = None) -> array[int]:
    """Positions by name, in the order of their characters.

    Raises:
        Cancelled: `cancel` was set.
    """
    return _sorted(names, cancel)


def _sorted(texts: Sequence[str], cancel: threading.Event | None) -> array[int]:
    """Positions in the order of the texts.

    In parts: sorting a million texts at once would hold up every other thread for half a second.
    """
    count = len(texts)
    sample = sorted(texts[place] for place in range(0, count, max(1, count // (4 * _BUCKETS))))
    bounds = sample[::4]
    buckets: list[list[int]] = [[] for _ in range(len(bounds) + 1)]
    for position, found in enumerate(texts):
        buckets[bisect_right(bounds, found)].append(position)
    order = array("I")
    for bucket in buckets:
        check_cancel(cancel)
        bucket.sort(key=texts.__getitem__)
        order.extend(bucket)
    return order


def by_size(sizes: Sequence[int], names: Sequence[str], cancel: threading.Event | None = None) -> array[int]:
    """Positions by size, the largest first; equal ones by name.

    Raises:
        Cancelled: `cancel` was set.
    """
    return array("I", sorted(by_name(names, cancel), key=lambda position: -sizes[position]))


def key_sizes(checkpoint: Checkpoint, cancel: threading.Event | None = None) -> list[int]:
    """Bytes of the values of all keys, in the order of `Checkpoint.keys`; 0 for a damaged entry.

    Raises:
        Cancelled: `cancel` was set.
    """
    sizes: list[int] = []
    for batch in checkpoint.iter_batches(cancel):
        for key, head, size in zip(batch.keys, batch.heads, batch.sizes, strict=True):
            sizes.append(size if head is not None else _stored_size(checkpoint, key))
    return sizes


def _stored_size(checkpoint: Checkpoint, key: str) -> int:
    from tfexplore.errors import ModelError

    try:
        return checkpoint.stored(key).nbytes
    except ModelError:
        return 0


def tensor_bytes(tensor: Tensor) -> int:
    """What a tensor takes in memory; 0 where its shape is not known."""
    elements = num_elements(tensor.shape) if tensor.shape_stored else None
    return (elements or 0) * dtypes.itemsize(tensor.dtype)


class TensorIndex:
    """All tensors of a graph by number: a function's arguments first, then the outputs of each node.

    Args:
        graph: a loaded one.
        order: of its nodes; None for file order.
        cancel: ends the counting.

    Raises:
        Cancelled: `cancel` was set.
    """

    def __init__(self, graph: Graph, order: Sequence[int] | None = None, cancel: threading.Event | None = None) -> None:
        self._graph = graph
        self._order = range(len(graph)) if order is None else order
        self._arguments = graph.argument_names
        total = len(self._arguments)
        starts = array("Q")
        for place, position in enumerate(self._order):
            if place % _CHECK_EVERY == 0:
                check_cancel(cancel)
            starts.append(total)
            total += graph.output_count(position)
        self._starts = starts
        self._total = total

    def __len__(self) -> int:
        return self._total

    def name(self, number: int) -> str:
        """The name of tensor `number`; its producer is not decoded."""
        if number < len(self._arguments):
            return f"{self._arguments[number]}:0"
        place = bisect_right(self._starts, number) - 1
        return f"{self._graph.names[self._order[place]]}:{number - self._starts[place]}"

    def first_of(self, position: int) -> int | None:
        """The number of the first tensor that a node puts out; None where there is none."""
        try:
            place = self._order.index(position)
        except ValueError:
            return None
        end = self._starts[place + 1] if place + 1 < len(self._starts) else self._total
        return self._starts[place] if self._starts[place] < end else None

    def argument(self, name: str) -> int | None:
        """The number of a function's argument."""
        return self._arguments.index(name) if name in self._arguments else None

    def tensor(self, number: int) -> Tensor:
        """Tensor `number`, read now.

        Raises:
            IndexError: there are not so many.
        """
        if not 0 <= number < self._total:
            raise IndexError(number)
        if number < len(self._arguments):
            found = self._graph.argument(self._arguments[number])
            assert found is not None
            return found
        place = bisect_right(self._starts, number) - 1
        return self._graph.output(self._order[place], number - self._starts[place])

    def __iter__(self) -> Iterator[Tensor]:
        return map(self.tensor, range(self._total))

    def by_size(
        self, cancel: threading.Event | None = None, progress: Callable[[int, int], None] | None = None
    ) -> array[int]:
        """Numbers of the tensors, the largest first; decodes every node.

        Args:
            progress: told how many of all have been looked at.

        Raises:
            Cancelled: `cancel` was set.
        """
        sizes: list[int] = []
        for number, tensor in enumerate(self):
            if number % _CHECK_EVERY == 0:
                check_cancel(cancel)
                if progress is not None:
                    progress(number, self._total)
            sizes.append(tensor_bytes(tensor))
        return array("I", sorted(range(self._total), key=lambda number: -sizes[number]))
