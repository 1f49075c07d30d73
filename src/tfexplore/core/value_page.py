"""One page of a tensor as the grid keeps it; of strings that are too much together those that can be had."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

from tfexplore.core.tensor_source import MAX_READ, TensorSource
from tfexplore.core.value_grid import Page, View
from tfexplore.errors import UnsupportedError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def read_page(source: TensorSource, view: View, page: Page, cancel: threading.Event | None = None) -> Array:
    """The values of a page as rows and columns, see `View.arrange`.

    Where strings are larger than may be read at once, the reason, a ModelError, stands in place of some.

    Raises:
        ModelError: none can be read.
        Cancelled: `cancel` was set.
    """
    import numpy as np

    starts, counts = view.box(page)
    try:
        return view.arrange(source.read(starts, counts, cancel).array)
    except UnsupportedError:
        if dtypes.itemsize(source.dtype) or math.prod(counts) <= 1:
            raise
    array: Array = np.empty(counts, object)
    _fill(source, array, starts, (0,) * len(counts), cancel, MAX_READ)
    return view.arrange(array)


def _fill(
    source: TensorSource,
    array: Array,
    starts: tuple[int, ...],
    corner: tuple[int, ...],
    cancel: threading.Event | None,
    room: int,
) -> int:
    """Reads an array in halves until they can be read, or are single strings; the bytes of room that are left."""
    import numpy as np

    place = tuple([start + at for start, at in zip(starts, corner, strict=True)])
    try:
        if room <= 0:
            raise UnsupportedError("the strings before it take all the room", hint="look at a slice")
        found = source.read(place, array.shape, cancel).array
    except UnsupportedError as error:
        if array.size <= 1 or room <= 0:
            array.fill(error.without_traceback())
            return room
        axis = max(range(array.ndim), key=lambda one: array.shape[one])
        half = array.shape[axis] // 2
        for first, last in ((0, half), (half, array.shape[axis])):
            part = np.moveaxis(np.moveaxis(array, axis, 0)[first:last], 0, axis)
            moved = (*corner[:axis], corner[axis] + first, *corner[axis + 1 :])
            room = _fill(source, part, starts, moved, cancel, room)
        return room
    array[...] = found
    return room - size_of(found)


def size_of(array: Array) -> int:
    """About how many bytes a page takes."""
    if array.dtype != object:
        return array.nbytes
    return sum(len(value) for value in array.flat if isinstance(value, bytes)) + 64 * array.size
