"""A tensor of any rank as rows and columns: which axes those are, where the others stand, what a window reads.

One axis alone is folded: it goes on from line to line, `fold` elements a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import slices
from tfexplore.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

# Elements of a page: what is read and kept at once.
PAGE_ROWS, PAGE_COLUMNS = 128, 32
FOLDED_PAGE = PAGE_ROWS * PAGE_COLUMNS
FOLDS = (1, 2, 5, 10, 20, 50)


class Page(NamedTuple):
    """The number of a page, down and to the right."""

    down: int
    right: int


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at of a tensor.

    Attributes:
        shape: of the whole tensor.
        rows: the axis that goes down; None for a scalar.
        columns: the axis that goes to the right; None where `rows` is folded, and for a scalar.
        starts, counts: the range of each axis that is looked at.
        index: where each axis stands that is neither rows nor columns, counted from the axis' beginning.
        fold: elements a line of a folded axis.
    """

    shape: tuple[int, ...]
    rows: int | None
    columns: int | None
    starts: tuple[int, ...]
    counts: tuple[int, ...]
    index: tuple[int, ...]
    fold: int = 1

    @property
    def is_folded(self) -> bool:
        """Whether one axis goes on from line to line."""
        return self.rows is not None and self.columns is None

    @property
    def others(self) -> tuple[int, ...]:
        """The axes that are neither rows nor columns."""
        return tuple(axis for axis in range(len(self.shape)) if axis not in (self.rows, self.columns))

    @property
    def is_empty(self) -> bool:
        """Whether there is no element to look at."""
        return 0 in self.counts

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        if self.is_empty:
            return 0
        if self.rows is None:
            return 1
        count = self.counts[self.rows]
        return -(-count // self.fold) if self.is_folded else count

    @property
    def column_count(self) -> int:
        """How many columns there are."""
        if self.is_empty:
            return 0
        if self.rows is None:
            return 1
        if self.columns is None:
            return min(self.fold, self.counts[self.rows])
        return self.counts[self.columns]

    @property
    def elements(self) -> int:
        """How many elements the rows and columns have together."""
        if self.is_empty:
            return 0
        return (self.counts[self.rows] if self.rows is not None else 1) * (
            self.counts[self.columns] if self.columns is not None else 1
        )

    def exists(self, row: int, column: int) -> bool:
        """Whether there is an element; the last line of a folded axis may have fewer."""
        if not (0 <= row < self.row_count and 0 <= column < self.column_count):
            return False
        return not self.is_folded or self._along(row, column) < self.counts[self.rows or 0]

    def _along(self, row: int, column: int) -> int:
        return row * self.fold + column

    def place(self, row: int, column: int) -> tuple[int, ...]:
        """The index, in the whole tensor, of the element at a row and a column."""
        place = list(self.index)
        if self.rows is not None:
            down = self._along(row, column) if self.is_folded else row
            place[self.rows] = self.starts[self.rows] + down
        if self.columns is not None:
            place[self.columns] = self.starts[self.columns] + column
        return tuple(place)

    def row_label(self, row: int) -> str:
        """The index on the axis of the rows."""
        if self.rows is None:
            return ""
        return str(self.starts[self.rows] + (row * self.fold if self.is_folded else row))

    def column_label(self, column: int) -> str:
        """The index on the axis of the columns; of a folded axis how far from the line's beginning."""
        if self.columns is not None:
            return str(self.starts[self.columns] + column)
        return f"+{column}" if self.is_folded and self.fold > 1 else ""

    def page(self, row: int, column: int) -> tuple[Page, int, int]:
        """The page that holds the element at a row and a column, and where in it the element lies.

        The pages of a folded axis do not depend on its fold.
        """
        if self.is_folded:
            at = self._along(row, column)
            return Page(at // FOLDED_PAGE, 0), at % FOLDED_PAGE, 0
        return Page(row // PAGE_ROWS, column // PAGE_COLUMNS), row % PAGE_ROWS, column % PAGE_COLUMNS

    def box(self, page: Page) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The first index and the shape of what a page holds."""
        starts, counts = list(self.index), [1] * len(self.shape)
        sizes = (FOLDED_PAGE if self.is_folded else PAGE_ROWS, PAGE_COLUMNS)
        for axis, number, size in zip((self.rows, self.columns), page, sizes, strict=True):
            if axis is not None:
                first = min(number * size, self.counts[axis])
                starts[axis], counts[axis] = self.starts[axis] + first, min(size, self.counts[axis] - first)
        return tuple(starts), tuple(counts)

    def arrange(self, array: Array) -> Array:
        """What was read of a page's `box` as rows and columns; of a folded axis as one column."""
        if self.rows is None or self.columns is None:
            return array.reshape(-1, 1)
        plain = array.reshape([array.shape[axis] for axis in sorted((self.rows, self.columns))])
        return plain if self.rows < self.columns else plain.T

    @property
    def key(self) -> tuple[object, ...]:
        """What the pages of two views must have in common to be the same."""
        return (self.rows, self.columns, self.starts, self.counts, tuple(self.index[axis] for axis in self.others))

    @property
    def spec(self) -> str:
        """What is looked at, as a slice: `[0, :, 3:10, :]`."""
        parts = []
        for axis, (size, start, count) in enumerate(zip(self.shape, self.starts, self.counts, strict=True)):
            if axis not in (self.rows, self.columns):
                parts.append(str(self.index[axis]) if count else ":")
            elif (start, count) == (0, size):
                parts.append(":")
            else:
                parts.append(f"{start}:{start + count}")
        return f"[{', '.join(parts)}]"

    # -- another view of the same tensor --

    def turned(self, which: str, by: int = 1) -> View:
        """The next axis as the rows (`which` is "rows") or the columns ("columns"); they change places where they meet.

        A folded axis gets its columns so.
        """
        rank = len(self.shape)
        if rank < 2 or self.rows is None:
            return self
        rows, columns = self.rows, self.columns
        if which == "rows":
            new = (rows + by) % rank
            return self._with(new, rows if new == columns else columns)
        new = ((rows if columns is None else columns) + by) % rank
        if columns is None:
            return self._with(rows, new)
        return self._with(columns if new == rows else rows, new)

    def transposed(self) -> View:
        """Rows as columns, columns as rows."""
        return self if self.columns is None else self._with(self.columns, self.rows)

    def _with(self, rows: int | None, columns: int | None) -> View:
        return replace(self, rows=rows, columns=columns)

    def stepped(self, axis: int, by: int) -> View:
        """An axis that is neither rows nor columns, some indices further, within its range."""
        if axis not in self.others or not self.counts[axis]:
            return self
        first = self.starts[axis]
        index = list(self.index)
        index[axis] = max(first, min(index[axis] + by, first + self.counts[axis] - 1))
        return replace(self, index=tuple(index))

    def folded(self, fold: int) -> View:
        """Folded to so many elements a line."""
        return replace(self, fold=max(1, fold))

    def find(self, place: Sequence[int]) -> tuple[View, int, int]:
        """The view that shows an element, with its row and its column; ranges that leave it out are given up."""
        starts, counts, index = list(self.starts), list(self.counts), list(self.index)
        for axis, at in enumerate(place):
            if not starts[axis] <= at < starts[axis] + counts[axis]:
                starts[axis], counts[axis] = 0, self.shape[axis]
            if axis not in (self.rows, self.columns):
                index[axis] = at
        view = replace(self, starts=tuple(starts), counts=tuple(counts), index=tuple(index))
        row = place[self.rows] - view.starts[self.rows] if self.rows is not None else 0
        column = place[self.columns] - view.starts[self.columns] if self.columns is not None else 0
        return (view, *divmod(row, self.fold)) if self.is_folded else (view, row, column)

    def sliced(self, spec: str) -> View:
        """What a slice like `0, :, 3:10, :` names.

        Its ranges become the rows and columns: those that are so already stay, else the last two. A number says where
        an axis stands; `...` stands for all the axes that are not named. Negative numbers count from the end.

        Raises:
            UsageError: it is no such slice, or lies outside the tensor.
        """
        found = slices.parse(spec, self.shape)
        ranges: dict[int, tuple[int, int]] = {}
        numbers: dict[int, int] = {}
        for axis, (start, count, inside) in enumerate(zip(found.starts, found.counts, found.inside, strict=True)):
            if isinstance(inside, int):
                numbers[axis] = start
                continue
            if inside[2] != 1:
                raise UsageError(f"axis {axis}: the grid has no steps; write its range as for instance 3:10")
            if not count and self.shape[axis]:
                raise UsageError(f"axis {axis}: that range holds nothing of its {self.shape[axis]:,}")
            ranges[axis] = (start, start + count)
        index = [numbers.get(axis, at) for axis, at in enumerate(self.index)]
        starts, counts = [0] * len(self.shape), list(self.shape)
        for axis, (start, stop) in ranges.items():
            starts[axis], counts[axis] = start, stop - start
            if axis not in numbers:
                index[axis] = max(start, min(index[axis], stop - 1))
        shown = sorted(ranges)
        rows, columns = self.rows, self.columns
        if len(shown) == 1:
            rows, columns = shown[0], None
        elif len(shown) > 1 and (columns is None or not {rows, columns} <= set(shown)):
            rows, columns = shown[-2], shown[-1]
        return View(self.shape, rows, columns, tuple(starts), tuple(counts), tuple(index), self.fold)


def whole(shape: Sequence[int]) -> View:
    """All of a tensor: the last two axes as rows and columns, the others at their first index.

    Where one of the two has a single index the other is folded.
    """
    rank = len(shape)
    rows, columns = (rank - 2, rank - 1) if rank > 1 else (0 if rank else None, None)
    if rank > 1 and 1 in shape[-2:]:
        rows, columns = (rank - 1 if shape[-2] == 1 else rank - 2), None
    zeros = (0,) * rank
    return View(tuple(shape), rows, columns, zeros, tuple(shape), zeros)


def parse_place(written: str, shape: Sequence[int], here: Sequence[int]) -> tuple[int, ...]:
    """An index like `3, 5`; with fewer numbers than axes the last axes, the others as they are `here`.

    Raises:
        UsageError: it is no index, or lies outside the tensor.
    """
    named = written.count(",") + 1
    if not shape or not written.strip() or named > len(shape):
        raise UsageError(f"expected 1 to {len(shape)} numbers like 3, 5" if shape else "a scalar has no index")
    first = len(shape) - named
    found = slices.parse(", ".join([*map(str, here[:first]), written.strip().strip("[]")]), shape)
    if not all(isinstance(inside, int) for inside in found.inside):
        raise UsageError("an index is made of numbers, like 3, 5; s takes a slice")
    return found.starts
