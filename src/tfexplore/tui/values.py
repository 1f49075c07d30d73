"""The state of the values grid: which tensor, which part of it, where the cursor stands, what has been read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import text
from tfexplore.core.shapes import format_shape
from tfexplore.core.value_cells import (
    Look,
    cell,
    exact,
    extremes,
    heat,
    hexadecimal,
    look_for,
    state,
    typical,
    widest_cell,
    widest_text,
)
from tfexplore.core.value_grid import FOLDS, Page, View, parse_place, whole
from tfexplore.core.value_page import read_page, size_of
from tfexplore.errors import Cancelled, ModelError, UsageError
from tfexplore.formats import dtypes
from tfexplore.loader import Loader

if TYPE_CHECKING:
    from tfexplore.core.tensor_source import TensorSource
    from tfexplore.loader.tasks import Context

PAGES = "values"
# Levels of the heat behind the numbers.
HEAT = 8
_MAX_PAGES = 96
# Bytes of the pages that are kept.
_MAX_KEPT = 64 << 20
# A tensor of fewer bytes is read as a whole first: its checksum is known then.
_SMALL = 1 << 20
_GAP = 2
_MAX_STRING = 32
_WIDTHS = {"bool": 5, "int8": 4, "uint8": 3, "int16": 6, "uint16": 5, "int4": 2, "uint4": 2, "string": _MAX_STRING}
_WIDTH = 9

Where = tuple[tuple[object, ...], Page]


class Cell(NamedTuple):
    """A cell as it is drawn.

    Attributes:
        text: visible.
        state: `value_cells.NAN` and so on; "unread" and "unreadable" where there is no value.
        heat: 0 to HEAT - 1; None where it has none.
    """

    text: str
    state: str
    heat: int | None = None


class Values:
    """One tensor as it is looked at.

    Args:
        source: the tensor.
        loader: reads it, page by page.
        tell: called in the event loop after something changed.
        name: what it is called; without one as the source calls it.

    Attributes:
        view: axes and ranges.
        row, column: the cursor.
        top, left: the first row and column on the screen.
        rows, columns: how many rows and columns fit there.
        axis: which of the view's `others` steps.
        is_hot, is_hex: whether cells have heat colours, and the exact value is hexadecimal too.
        problem: why something could not be done; empty where all is well.
        extremes: the least and the greatest finite value known.
        typical: the range that the heat stands for, wider than which are only a few values.
    """

    def __init__(self, source: TensorSource, loader: Loader, tell: Callable[[], None], name: str = "") -> None:
        self.source = source
        self.name = name or source.name
        self.loader = loader
        self.tell = tell
        self.dtype = dtypes.name(source.dtype)
        self.view = whole(source.shape)
        self.row = self.column = self.top = self.left = 0
        self.rows = self.columns = 1
        self.axis = 0
        self.is_hot = True
        self.is_hex = False
        self.problem = ""
        self.extremes: tuple[float, float] | None = None
        self.typical: tuple[float, float] | None = None
        self._is_typical_of_all = False
        self.look = Look()
        self.width = _WIDTHS.get(self.dtype, _WIDTH)
        self._cells = 80
        self._pages: OrderedDict[Where, Any] = OrderedDict()
        self._sizes: dict[Where, int] = {}
        self._wanted: dict[Where, None] = {}
        self._reading: set[Where] = set()

    # -- what is drawn --

    @property
    def is_text(self) -> bool:
        """Whether cells are text, which begins at the left."""
        return not dtypes.itemsize(self.source.dtype)

    @property
    def facts(self) -> str:
        """dtype, shape and size."""
        parts = [self.dtype, format_shape(self.source.shape)]
        if self.source.nbytes is not None:
            parts.append(text.size(self.source.nbytes))
        return "  ".join(parts)

    @property
    def checksum(self) -> str:
        """What is known of the stored checksum."""
        return self.source.checksum

    @property
    def label_cells(self) -> int:
        """How wide the rows' labels are, with a blank behind them."""
        return len(self.view.row_label(max(0, self.view.row_count - 1))) + 1

    @property
    def cell_width(self) -> int:
        """How wide a cell is, without the gap before it."""
        room = max(1, self._cells - self.label_cells - _GAP)
        if self.is_text and self.view.column_count <= 1:
            return room
        return min(self.width, room)

    def resize(self, cells: int, rows: int) -> None:
        """Takes how many cells and rows there are to draw in."""
        self._cells, self.rows = max(1, cells), max(1, rows)
        self._fit()

    def _fit(self) -> None:
        """As many columns as there is room for; the cursor stays on its element and on the screen."""
        room = self._cells - self.label_cells
        self.columns = max(1, room // (self.width + _GAP))
        if self.view.is_folded:
            fold = 1 if self.is_text else max(fold for fold in FOLDS if fold <= max(1, self.columns))
            if fold != self.view.fold:
                at = self.row * self.view.fold + self.column
                self.view = self.view.folded(fold)
                self.row, self.column = divmod(at, fold)
        self._show_cursor()

    def _show_cursor(self) -> None:
        self.row = max(0, min(self.row, self.view.row_count - 1))
        self.column = max(0, min(self.column, self.view.column_count - 1))
        if self.view.is_folded and not self.view.exists(self.row, self.column) and not self.view.is_empty:
            self.column = (self.view.elements - 1) % self.view.fold
        self.top = max(self.row - self.rows + 1, min(self.top, self.row))
        self.left = max(self.column - self.columns + 1, min(self.left, self.column))
        self.top = max(0, min(self.top, self.view.row_count - self.rows))
        self.left = max(0, min(self.left, self.view.column_count - self.columns))

    def cell(self, row: int, column: int) -> Cell | None:
        """What is drawn at a row and a column, None where there is no element; a page not read yet is wanted then."""
        if not self.view.exists(row, column):
            return None
        found = self._value(row, column)
        if found is None:
            return Cell(text.ELLIPSIS, "unread")
        if isinstance(found, ModelError):
            return Cell("?", "unreadable")
        value = found[0]
        level = heat(value, *self.typical, HEAT) if self.is_hot and self.typical is not None else None
        return Cell(cell(value, self.look), state(value), level)

    def _value(self, row: int, column: int) -> tuple[Any] | ModelError | None:
        """The value in a tuple of its own, why there is none, or None where it has not been read."""
        page, down, right = self.view.page(row, column)
        where = (self.view.key, page)
        found = self._pages.get(where)
        if found is None:
            if where not in self._reading:
                self._wanted[where] = None
            return None
        if isinstance(found, ModelError):
            return found
        value = found[down, right]
        return value if isinstance(value, ModelError) else (value,)

    def value(self) -> tuple[Any] | None:
        """The value under the cursor, in a tuple of its own; None where it has not been read."""
        found = self._value(self.row, self.column) if self.view.exists(self.row, self.column) else None
        return None if isinstance(found, ModelError) else found

    @property
    def reason(self) -> str:
        """Why the value under the cursor cannot be shown; empty where it can, or has not been read."""
        found = self._value(self.row, self.column) if self.view.exists(self.row, self.column) else None
        return text.visible(str(found)) if isinstance(found, ModelError) else ""

    @property
    def place(self) -> tuple[int, ...] | None:
        """The index of the element under the cursor; None where there is none."""
        return None if self.view.is_empty else self.view.place(self.row, self.column)

    @property
    def exact(self) -> str:
        """The value under the cursor such that it can be read back; empty where it has not been read."""
        found = self.value()
        if found is None:
            return ""
        number = hexadecimal(found[0]) if self.is_hex else ""
        return exact(found[0]) + (f"  {number}" if number else "")

    @property
    def emptiness(self) -> str:
        """Why there is nothing to look at; empty where there is something."""
        if not self.view.is_empty:
            return ""
        if 0 in self.source.shape:
            return f"No elements: the shape is {format_shape(self.source.shape)}."
        return "No elements in this slice."

    # -- moving --

    def move(self, rows: int, columns: int) -> bool:
        """Moves the cursor; tells whether it moved. On a folded axis a step goes on to the next line."""
        before = (self.row, self.column)
        if self.view.is_empty:
            return False
        if self.view.is_folded:
            at = self.row * self.view.fold + self.column + columns
            at += rows * self.view.fold
            last = self.view.elements - 1
            if rows and not 0 <= at <= last:
                at = max(self.column, min(at, last))
            self.row, self.column = divmod(max(0, min(at, last)), self.view.fold)
        else:
            self.row, self.column = self.row + rows, self.column + columns
        self._show_cursor()
        return before != (self.row, self.column)

    def move_to(self, row: int, column: int) -> bool:
        """Moves the cursor to a row and a column, as far as there are any."""
        before = (self.row, self.column)
        self.row, self.column = row, column
        self._show_cursor()
        return before != (self.row, self.column)

    def scroll(self, rows: int) -> None:
        """Moves what is on the screen; the cursor comes along where it would be lost."""
        self.top = max(0, min(self.top + rows, self.view.row_count - self.rows))
        self.row = max(self.top, min(self.row, self.top + self.rows - 1))
        self._show_cursor()

    # -- what part of the tensor --

    def _look_at(self, view: View, row: int = 0, column: int = 0) -> None:
        self.view, self.row, self.column = view, row, column
        self.axis = max(0, min(self.axis, len(view.others) - 1))
        self.problem = ""
        self._fit()
        self.tell()

    def _turn(self, view: View) -> None:
        """Takes other axes; the cursor stays on its element."""
        place = self.place
        if view == self.view:
            return
        if place is None:
            self._look_at(view)
        else:
            self._look_at(*view.find(place))

    def turn(self, which: str) -> None:
        """Takes the next axis as rows or columns."""
        self._turn(self.view.turned(which))

    def transpose(self) -> None:
        """Changes rows and columns."""
        self._turn(self.view.transposed())

    @property
    def stepped_axis(self) -> int | None:
        """The axis that steps; None where rows and columns are all."""
        others = self.view.others
        return others[min(self.axis, len(others) - 1)] if others else None

    def next_axis(self) -> None:
        """Lets the next of the other axes step."""
        others = self.view.others
        self.axis = (self.axis + 1) % len(others) if others else 0
        self.tell()

    def step(self, by: int) -> bool:
        """Moves the axis that steps; tells whether it moved."""
        axis = self.stepped_axis
        view = self.view.stepped(axis, by) if axis is not None else self.view
        if view == self.view:
            return False
        self._look_at(view, self.row, self.column)
        return True

    def slice(self, spec: str) -> bool:
        """Looks at a part of the tensor, as `0, :, 3:10, :` names it; tells whether there is such a part."""
        try:
            if spec.strip() and ":" not in spec and "." not in spec and spec.count(",") + 1 == len(self.source.shape):
                return self.go_to(spec)
            self._look_at(self.view.sliced(spec))
        except UsageError as error:
            return self._refuse(error)
        return True

    def go_to(self, written: str) -> bool:
        """Puts the cursor on the element that an index names; tells whether there is one."""
        try:
            place = parse_place(written, self.source.shape, self.place or (0,) * len(self.source.shape))
            self._look_at(*self.view.find(place))
        except UsageError as error:
            return self._refuse(error)
        return True

    def _refuse(self, error: UsageError) -> bool:
        self.problem = text.visible(str(error))
        self.tell()
        return False

    # -- reading --

    def want_screen(self) -> bool:
        """Wants what the screen shows, before it is drawn; tells whether anything has not been read."""
        if not self.view.is_empty:
            for row in {self.top, min(self.top + self.rows, self.view.row_count) - 1}:
                for column in {self.left, min(self.left + self.columns, self.view.column_count) - 1}:
                    self.cell(row, column)
        return self.has_wanted

    @property
    def has_wanted(self) -> bool:
        """Whether something was to be drawn that has not been read."""
        return bool(self._wanted)

    async def read_wanted(self) -> None:
        """Reads the pages that were to be drawn; gives up those that a newer call does not want any more."""
        view, source = self.view, self.source
        wanted, self._wanted = [where for where in self._wanted if where[0] == view.key], {}
        if not wanted:
            return
        self._reading.update(wanted)

        def job(context: Context) -> list[Any]:
            found: list[Any] = []
            if source.checksum == "unverified" and (source.nbytes or _SMALL) < _SMALL:
                with suppress(ModelError):  # the pages below say why
                    source.read(None, None, context.cancel)  # all of it, which checks the checksum
            for _, page in wanted:
                try:
                    array = read_page(source, view, page, context.cancel)
                    widest = widest_text(array, _MAX_STRING)
                    found.append((array, extremes(array), typical(array), widest, size_of(array)))
                except ModelError as error:
                    found.append(error.without_traceback())
            return found

        try:
            pages = await self.loader.tasks.run(job, channel=PAGES)
        except Cancelled:  # by a newer call, after which what is still on the screen is wanted again
            return
        finally:
            self._reading -= set(wanted)
        for where, found in zip(wanted, pages, strict=True):
            if isinstance(found, ModelError):
                self._pages[where] = found
                self.problem = text.visible(str(found))
                continue
            self._pages[where], seen, often, widest, self._sizes[where] = found
            self._learn(seen)
            if not self._is_typical_of_all:
                self.typical = _wider(self.typical, often)
            self._measure(widest or widest_cell(self._pages[where], seen, self.look))
        # What was read last is on the screen.
        while len(self._pages) > _MAX_PAGES or (
            len(self._pages) > len(wanted) and sum(self._sizes.values()) > _MAX_KEPT
        ):
            self._sizes.pop(self._pages.popitem(last=False)[0], None)
        self.tell()

    def cancel(self) -> None:
        """Gives up what is being read."""
        self.loader.tasks.cancel(PAGES)

    def learn_typical(self, low: float, high: float) -> None:
        """Takes the range that most values of the whole tensor lie in; what is read later does not change it."""
        self.typical, self._is_typical_of_all = (low, high), True

    def _learn(self, seen: tuple[float, float] | None) -> None:
        if seen is None:
            return
        known = self.extremes
        if known is None:
            # The look stays what it is, or every number would change while one scrolls.
            self.look = look_for(self.source.dtype, seen)
        self.extremes = _wider(known, seen)

    def _measure(self, widest: int) -> None:
        """Makes the columns as wide as what has been read; never narrower again while one scrolls."""
        if widest > self.width or len(self._pages) == 1:
            self.width = max(widest, 1)
            self._fit()


def _wider(one: tuple[float, float] | None, other: tuple[float, float] | None) -> tuple[float, float] | None:
    """The range that holds two ranges."""
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])
