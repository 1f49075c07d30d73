"""A matrix of any size as few pixels: each stands for a block of elements, and all blocks together for all of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tfexplore.core.value_cells import real
from tfexplore.core.value_grid import View
from tfexplore.errors import Cancelled, UsageError

if TYPE_CHECKING:
    import numpy as np

    from tfexplore.formats.bundle_values import TensorValue

    Array = np.ndarray[Any, np.dtype[Any]]

# Elements read at once: with the float64 that they become some 16 MiB.
_PIECE = 1 << 20


class Boxes(Protocol):
    """Gives the values of any box of a tensor; a `TensorSource` does."""

    def read(self, starts: tuple[int, ...], counts: tuple[int, ...], cancel: threading.Event | None) -> TensorValue: ...


class Pooled(NamedTuple):
    """The pixels of a matrix.

    Attributes:
        mean: of the finite values of each block, [height, width]; NaN where there is none.
        peak: of each block the finite value that is farthest from zero.
        bad: the blocks with NaN or an infinity in them.
        low, high: the least and the greatest finite value of all.
        block: how many rows and columns a pixel stands for, at most.
        elements: how many elements were read.
    """

    mean: Array
    peak: Array
    bad: Array
    low: float
    high: float
    block: tuple[int, int]
    elements: int


def pool(
    source: Boxes,
    view: View,
    height: int,
    width: int,
    cancel: threading.Event | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Pooled:
    """The matrix that a view shows in at most `height` by `width` pixels; reads all of it, piece by piece.

    Args:
        progress: called with the elements done and the elements in all.

    Raises:
        UsageError: there is nothing to see, or it is not numbers.
        ModelError: as reading it does.
        Cancelled: `cancel` was set.
    """
    import numpy as np

    if view.is_empty:
        raise UsageError("there are no elements to make a picture of")
    # Read in the order in which it lies on disk; a scalar and a folded axis are one long line.
    is_line = view.columns is None
    is_turned = not is_line and (view.rows or 0) > (view.columns or 0)
    outer_axis, inner_axis = (view.columns, view.rows) if is_turned or is_line else (view.rows, view.columns)
    outer = view.counts[outer_axis] if outer_axis is not None else 1
    inner = view.counts[inner_axis] if inner_axis is not None else 1
    if is_turned:
        height, width = width, height
    down, right = _edges(outer, max(1, height)), _edges(inner, max(1, width))
    size = (len(down) - 1, len(right) - 1)
    sums, counts, bad = np.zeros(size), np.zeros(size, np.int64), np.zeros(size, bool)
    least, most = np.full(size, np.inf), np.full(size, -np.inf)
    columns = min(inner, _PIECE)
    rows = max(1, _PIECE // columns)
    done, total = 0, outer * inner
    for top in range(0, outer, rows):
        for left in range(0, inner, columns):
            if cancel is not None and cancel.is_set():
                raise Cancelled
            shape = (min(rows, outer - top), min(columns, inner - left))
            values = real(source.read(*_box(view, outer_axis, inner_axis, (top, left), shape), cancel).array)
            if values is None:
                raise UsageError("only numbers make a picture")
            values = values.reshape(shape)
            finite = np.isfinite(values)
            first, down_cuts = _cuts(down, top, top + shape[0])
            second, right_cuts = _cuts(right, left, left + shape[1])
            place = (slice(first, first + len(down_cuts)), slice(second, second + len(right_cuts)))

            def reduced(how: Any, array: Array, cuts: tuple[Any, Any] = (down_cuts, right_cuts)) -> Array:
                return np.asarray(how.reduceat(how.reduceat(array, cuts[1], axis=1), cuts[0], axis=0))

            with np.errstate(all="ignore"):
                sums[place] += reduced(np.add, np.where(finite, values, 0.0))
            counts[place] += reduced(np.add, finite.astype(np.int64))
            bad[place] |= reduced(np.logical_or, ~finite)
            least[place] = np.minimum(least[place], reduced(np.minimum, np.where(finite, values, np.inf)))
            most[place] = np.maximum(most[place], reduced(np.maximum, np.where(finite, values, -np.inf)))
            done += values.size
            if progress is not None:
                progress(done, total)
    with np.errstate(all="ignore"):
        mean = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        # The sum of the greatest doubles may be infinite, their mean is not.
        mean = np.clip(mean, least, most)
        peak = np.where(counts > 0, np.where(np.abs(least) > most, least, most), np.nan)
    some = counts > 0
    low, high = (float(least[some].min()), float(most[some].max())) if some.any() else (0.0, 0.0)
    block = (max(b - a for a, b in pairwise(down)), max(b - a for a, b in pairwise(right)))
    if is_turned:
        mean, peak, bad, block = mean.T, peak.T, bad.T, (block[1], block[0])
    return Pooled(mean, peak, bad, low, high, block, done)


def _edges(size: int, pixels: int) -> list[int]:
    """Where the blocks of an axis begin and the last one ends; no block is empty."""
    pixels = min(size, pixels)
    return [at * size // pixels for at in range(pixels + 1)]


def _cuts(edges: list[int], start: int, stop: int) -> tuple[int, list[int]]:
    """The first block that a piece of an axis touches, and where blocks begin within the piece."""
    from bisect import bisect_right

    first = bisect_right(edges, start) - 1
    cuts = [0]
    for edge in edges[first + 1 : -1]:
        if edge >= stop:
            break
        cuts.append(edge - start)
    return first, cuts


def _box(
    view: View, outer: int | None, inner: int | None, corner: tuple[int, int], size: tuple[int, int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    starts, counts = list(view.index), [1] * len(view.shape)
    for axis, at, count in zip((outer, inner), corner, size, strict=True):
        if axis is not None:
            starts[axis], counts[axis] = view.starts[axis] + at, count
    return tuple(starts), tuple(counts)
