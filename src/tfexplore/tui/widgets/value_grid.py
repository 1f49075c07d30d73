"""The grid of values: numbers in rows and columns, of which only those on the screen are drawn and read."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tfexplore.core import text
from tfexplore.core.value_cells import INF, NAN, ZERO
from tfexplore.tui.ramp import Ramp
from tfexplore.tui.values import Values

_WHEEL = 3


class ValueGrid(Widget, can_focus=True):
    """The cells of a tensor, with the indices of rows and columns beside and above."""

    TITLE = "The values"
    HELP = (
        "The values of one tensor, read as they come on the screen. Two of its axes are rows and columns, the others "
        "stand at one index each. The line below has the exact value under the cursor."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1, 0)", "Up", show=False, id="values.up", tooltip="A row up"),
        Binding("down,j", "move(1, 0)", "Down", show=False, id="values.down", tooltip="A row down"),
        Binding("left,h", "move(0, -1)", "Left", show=False, id="values.left", tooltip="A column to the left"),
        Binding("right,l", "move(0, 1)", "Right", show=False, id="values.right", tooltip="A column to the right"),
        Binding("pageup,ctrl+b", "page(-1, 0)", "Page up", show=False, id="values.page_up", tooltip="A screenful up"),
        Binding(
            "pagedown,ctrl+f", "page(1, 0)", "Page down", show=False, id="values.page_down", tooltip="A screenful down"
        ),
        Binding(
            "ctrl+left,less_than_sign",
            "page(0, -1)",
            "Page left",
            show=False,
            id="values.page_left",
            tooltip="A screenful to the left",
        ),
        Binding(
            "ctrl+right,greater_than_sign",
            "page(0, 1)",
            "Page right",
            show=False,
            id="values.page_right",
            tooltip="A screenful to the right",
        ),
        Binding("home,0", "edge(0, -1)", "Row's start", show=False, id="values.home", tooltip="The row's first value"),
        Binding(
            "end,dollar_sign", "edge(0, 1)", "Row's end", show=False, id="values.end", tooltip="The row's last value"
        ),
        Binding("ctrl+home", "edge(-1, -1)", "Start", show=False, id="values.start", tooltip="The first value"),
        Binding("ctrl+end,G", "edge(1, 1)", "End", show=False, id="values.last", tooltip="The last value"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "grid--head",
        "grid--value",
        "grid--zero",
        "grid--text",
        "grid--special",
        "grid--unread",
        "grid--cursor",
        "grid--here",
    }

    class Moved(Message):
        """The cursor stands on another value."""

    class PagesWanted(Message):
        """Values are on the screen that have not been read."""

    def __init__(self, values: Values, *, id: str) -> None:
        super().__init__(id=id)
        self.values = values
        self.ramp: Ramp | None = None
        self._asking = False
        self._pieces: dict[str, Style] = {}

    def on_mount(self) -> None:
        """Shows what it is a grid of."""
        self.border_title = "Values"

    def on_resize(self) -> None:
        """As many rows and columns as fit."""
        self.update_cells()

    def update_cells(self) -> None:
        """Draws anew after anything changed."""
        size = self.content_size
        self.values.resize(size.width, size.height - 1)
        self._say_where()
        self.refresh()

    def _say_where(self) -> None:
        """What part of the whole is on the screen."""
        values = self.values
        view = values.view
        if view.is_empty or view.rows is None:
            self.border_subtitle = None
            return
        last = min(values.top + values.rows, view.row_count)
        if view.is_folded:
            first, last = values.top * view.fold, min(last * view.fold, view.elements)
            said = f"{first:,} to {last - 1:,} of {view.elements:,}"
        else:
            right = min(values.left + values.columns, view.column_count)
            said = (
                f"rows {values.top:,} to {last - 1:,} of {view.row_count:,} · "
                f"columns {values.left:,} to {right - 1:,} of {view.column_count:,}"
            )
        self.border_subtitle = Content(text.shorten(said, max(8, self.size.width - 6)))

    # -- drawing --

    def render_line(self, y: int) -> Strip:
        """One line of the screen: the columns' labels, or a row of cells."""
        width = self.content_size.width
        values = self.values
        base = self.rich_style
        if values.emptiness:
            said = [Segment(values.emptiness, self._piece("grid--head"))] if y == 0 else []
            return Strip(said).adjust_cell_length(width).apply_style(base)
        segments = self._head() if y == 0 else self._row(values.top + y - 1)
        strip = Strip(segments).adjust_cell_length(width).apply_style(base)
        if values.has_wanted and not self._asking:
            self._asking = True
            self.call_after_refresh(self._ask)
        return strip

    def _ask(self) -> None:
        self._asking = False
        # To the screen itself: what is called after a refresh runs as the screen.
        self.screen.post_message(self.PagesWanted())

    def _piece(self, name: str) -> Style:
        """A style without a background of its own."""
        found = self._pieces.get(name)
        if found is None:
            full = self.get_component_rich_style(name)
            found = Style(color=full.color, bold=full.bold, dim=full.dim, italic=full.italic, reverse=full.reverse)
            self._pieces[name] = found
        return found

    def notify_style_update(self) -> None:
        """Forgets the looks of another theme."""
        self._pieces.clear()
        super().notify_style_update()

    def _columns(self) -> range:
        values = self.values
        # One more than fits whole, cut at the edge, tells that there are more.
        return range(values.left, min(values.left + values.columns, values.view.column_count))

    def _head(self) -> list[Segment]:
        values = self.values
        head, here = self._piece("grid--head"), self._piece("grid--here")
        segments = [Segment(" " * values.label_cells, head)]
        for column in self._columns():
            label = text.shorten(values.view.column_label(column), values.cell_width)
            placed = label.ljust(values.cell_width) if values.is_text else label.rjust(values.cell_width)
            segments.append(Segment(f" {placed} ", here if column == values.column else head))
        return segments

    def _row(self, row: int) -> list[Segment]:
        values = self.values
        if row >= values.view.row_count:
            return []
        is_here = row == values.row
        label = values.view.row_label(row).rjust(values.label_cells - 1) + " "
        segments = [Segment(label, self._piece("grid--here" if is_here else "grid--head"))]
        styles = {
            NAN: self._piece("grid--special"),
            INF: self._piece("grid--special"),
            ZERO: self._piece("grid--zero"),
            "unread": self._piece("grid--unread"),
            "unreadable": self._piece("grid--special"),
        }
        plain = self._piece("grid--text" if values.is_text else "grid--value")
        width = values.cell_width
        for column in self._columns():
            cell = values.cell(row, column)
            if cell is None:
                break
            written = cell.text
            cells = text.width(written)
            if cells > width:
                written = text.take(written, width - 1) + text.ELLIPSIS
                cells = text.width(written)
            fill = " " * (width - cells)
            placed = f" {written}{fill} " if values.is_text else f" {fill}{written} "
            style = styles.get(cell.state, plain)
            if is_here and column == values.column:
                cursor = self.get_component_rich_style("grid--cursor")
                style = style + Style(color=cursor.color, bgcolor=cursor.bgcolor, bold=True, reverse=cursor.reverse)
            elif cell.heat is not None and self.ramp is not None:
                behind = self.ramp.heat(cell.heat)
                if behind is not None:
                    style = style + Style(bgcolor=behind)
            segments.append(Segment(placed, style))
        return segments

    # -- moving --

    def _moved(self, before: tuple[int, int, int, int], moved: bool) -> None:
        if not moved:
            return
        values = self.values
        self.post_message(self.Moved())
        top, left, row, column = before
        if (top, left) != (values.top, values.left):
            self._say_where()
            self.refresh()
            if values.want_screen():  # it may be there before the next frame is drawn
                self.post_message(self.PagesWanted())
            return
        lines = {row - top + 1, values.row - top + 1}
        if column != values.column:
            lines.add(0)
        self.refresh(*(Region(0, line, self.content_size.width, 1) for line in lines))

    def _corner(self) -> tuple[int, int, int, int]:
        values = self.values
        return values.top, values.left, values.row, values.column

    def action_move(self, rows: int, columns: int) -> None:
        """Moves the cursor."""
        before = self._corner()
        self._moved(before, self.values.move(rows, columns))

    def action_page(self, down: int, right: int) -> None:
        """Moves the cursor by a screenful."""
        before, values = self._corner(), self.values
        rows, columns = down * max(1, values.rows - 1), right * max(1, values.columns - 1)
        values.top = max(0, min(values.top + rows, values.view.row_count - values.rows))
        values.left = max(0, min(values.left + columns, values.view.column_count - values.columns))
        self._moved(before, values.move_to(values.row + rows, values.column + columns))

    def action_edge(self, down: int, right: int) -> None:
        """Moves the cursor to the first or the last row and column."""
        before, values = self._corner(), self.values
        row = values.row if not down else 0 if down < 0 else values.view.row_count - 1
        column = values.column if not right else 0 if right < 0 else values.view.column_count - 1
        self._moved(before, values.move_to(row, column))

    def _scroll(self, rows: int) -> None:
        before = self._corner()
        self.values.scroll(rows)
        self._moved(before, before != self._corner())

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """The wheel moves what is on the screen."""
        event.stop()
        self._scroll(_WHEEL)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """The wheel moves what is on the screen."""
        event.stop()
        self._scroll(-_WHEEL)

    def on_click(self, event: Click) -> None:
        """A click moves the cursor."""
        offset, values = event.get_content_offset(self), self.values
        if offset is None or offset.y == 0 or offset.x < values.label_cells:
            return
        row = values.top + offset.y - 1
        column = values.left + (offset.x - values.label_cells) // (values.cell_width + 2)
        if column < values.left + values.columns and values.view.exists(row, column):
            before = self._corner()
            self._moved(before, values.move_to(row, column))
