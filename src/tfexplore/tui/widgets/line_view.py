"""A list drawn line by line over an index: what is off the screen costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tfexplore.core.copied import LINE, Copy, of_text
from tfexplore.core.subjects import Subject

# A line is copied whole, as if the pane were that wide.
_WIDE = 4096
_BOLD = Style(bold=True)


class LineView(ScrollView, can_focus=True):
    """Base of the panes: a cursor on one of many lines, moved by arrows and vim keys.

    A subclass says how many lines there are, where the cursor is, and draws one line.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="line.up", tooltip="The line above"),
        Binding("down,j", "move(1)", "Down", show=False, id="line.down", tooltip="The line below"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="line.page_up", tooltip="A screenful up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="line.page_down", tooltip="A screenful down"),
        Binding("home,g", "first", "First line", show=False, id="line.first", tooltip="The first line"),
        Binding("end,G", "last", "Last line", show=False, id="line.last", tooltip="The last line"),
    ]

    @property
    def line_count(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    @property
    def cursor_line(self) -> int:
        """The line of the cursor."""
        raise NotImplementedError

    def move_cursor(self, line: int) -> None:
        """Moves the cursor; `line` lies within the lines."""
        raise NotImplementedError

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """The pieces of one line in at most `cells` cells."""
        raise NotImplementedError

    def draw_blank(self, y: int, cells: int) -> list[Segment]:
        """The pieces of line `y` of the screen, below the last line."""
        return []

    def update_lines(self) -> None:
        """Draws anew after the lines changed; stays where the person has scrolled to."""
        self.virtual_size = Size(self.scrollable_content_region.width, self.line_count)
        self.refresh()

    def show_cursor(self) -> None:
        """Scrolls so far that the cursor's line can be seen."""
        if self.line_count:
            region = Region(0, self.cursor_line, 1, 1)
            self.scroll_to_region(region, animate=False, force=True, immediate=True)

    def on_resize(self) -> None:
        """Lines are as wide as the pane."""
        self.update_lines()
        self.show_cursor()

    def render_line(self, y: int) -> Strip:
        """One line of the screen, from Textual's line API."""
        cells = self.scrollable_content_region.width
        line = self.scroll_offset.y + y
        base = self.rich_style
        if line >= self.line_count:
            return Strip(self.draw_blank(y, cells)).adjust_cell_length(cells).apply_style(base)
        segments = self.draw_line(line, cells)
        strip = Strip(segments).adjust_cell_length(cells)
        if line == self.cursor_line and self.has_focus_or_marks:
            style = self.cursor_style
            if style.reverse:  # a piece's colour would be a patch in it
                strip = Strip([Segment(part, _BOLD if own and own.bold else None) for part, own, _ in strip])
            return strip.apply_style(style)
        return strip.apply_style(base)

    @property
    def has_focus_or_marks(self) -> bool:
        """Whether the cursor's line is drawn as such."""
        return True

    def piece_style(self, name: str) -> Style:
        """The look of a piece of a line, without a background of its own: the cursor's shows through."""
        full = self.get_component_rich_style(name)
        return Style(
            color=full.color, bold=full.bold, dim=full.dim or None, italic=full.italic, underline=full.underline
        )

    @property
    def cursor_style(self) -> Style:
        """The look of the cursor's line: strong in the focused pane, faint in the others."""
        return self.get_component_rich_style("line--cursor" if self.has_focus else "line--cursor-blurred")

    def _move(self, line: int) -> None:
        if self.line_count:
            line = max(0, min(line, self.line_count - 1))
            if line != self.cursor_line:
                self.move_cursor(line)

    def action_move(self, lines: int) -> None:
        """Moves the cursor by some lines."""
        self._move(self.cursor_line + lines)

    def action_page(self, pages: int) -> None:
        """Moves the cursor by a screenful."""
        self._move(self.cursor_line + pages * max(1, self.scrollable_content_region.height - 1))

    def action_first(self) -> None:
        """Moves the cursor to the first line."""
        self._move(0)

    def action_last(self) -> None:
        """Moves the cursor to the last line."""
        self._move(self.line_count - 1)

    def on_click(self, event: Click) -> None:
        """A click moves the cursor; on the cursor's line it acts as Enter does."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        line = self.scroll_offset.y + offset.y
        if line >= self.line_count:
            return
        if line == self.cursor_line:
            self.act()
        else:
            self._move(line)

    def act(self) -> None:
        """What Enter does."""

    # -- copying --

    @property
    def subject_here(self) -> Subject | None:
        """What the cursor's line stands for; None where it is nothing, or what the details follow."""
        return None

    def copies_here(self) -> Sequence[Copy]:
        """What can be copied of the cursor's line itself: the line, as it is drawn."""
        if self.cursor_line >= self.line_count:
            return ()
        drawn = "".join(segment.text for segment in self.draw_line(self.cursor_line, _WIDE)).strip()
        return (of_text(LINE, drawn),) if drawn else ()
