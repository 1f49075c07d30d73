"""A node between its neighbours, drawn with box characters: arrows move along the edges."""

from __future__ import annotations

import locale
from typing import ClassVar

from rich.segment import Segment
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click
from textual.screen import ModalScreen
from textual.widgets import Static

from tfexplore.core import text
from tfexplore.core.subjects import NodeSubject, Subject
from tfexplore.loader import Loader
from tfexplore.tui.around import CENTRE, CONSUMERS, PRODUCERS, Around
from tfexplore.tui.widgets.line_view import LineView

_KEYS = "arrows: along edges · ⏎ to the middle · ⌫ back · o details · Esc closes"


class PictureView(LineView):
    """The picture; the edge of the cursor, or the node itself, is marked."""

    TITLE = "Neighbours"
    HELP = "A node between those that feed it and those that it feeds."
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "picture--edge",
        "picture--flow",
        "picture--node",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "sideways(-1)", "Producers", show=False, id="around.left", tooltip="Towards the producers"),
        Binding("right,l", "sideways(1)", "Consumers", show=False, id="around.right", tooltip="Towards the consumers"),
        Binding("enter", "recentre", "To the middle", id="around.recentre", tooltip="Put that node in the middle"),
        Binding("backspace,u", "back", "Back", id="around.back", tooltip="The node that was in the middle before"),
        Binding("o", "open", "Details", id="around.open", tooltip="Show the details of what the cursor is on"),
    ]

    def __init__(self, around: Around, *, id: str) -> None:
        super().__init__(id=id)
        self.around = around

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        return len(self.around.rows)

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self.around.cursor_line

    @property
    def has_focus_or_marks(self) -> bool:
        """The cursor is a part of a line, which `draw_line` marks."""
        return False

    def move_cursor(self, line: int) -> None:
        """See `LineView`: pages and ends move by lines."""
        self.around.click(line, 0)
        self.show_change()

    def update_lines(self) -> None:
        """See `LineView`; makes the picture for the pane's size."""
        region = self.scrollable_content_region
        plain = locale.getpreferredencoding(False).lower().replace("-", "") != "utf8"
        self.around.draw(max(8, region.width), max(1, region.height), ascii_only=plain)
        super().update_lines()

    def show_change(self) -> None:
        """Draws the cursor at its new place."""
        self.show_cursor()
        self.refresh()
        screen = self.screen
        if isinstance(screen, NeighbourhoodScreen):
            screen.tell_cursor()

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        around, row = self.around, self.around.rows[line]
        edge, node = self.piece_style("picture--edge"), self.piece_style("picture--node")
        if row.box is None:
            in_box = row.left is None and row.right is None and row.text[:1] in "┌│└+|"
            style = self.cursor_style if self._is_at(line) else node if in_box else edge
            if in_box and around.side == CENTRE:
                style = self.cursor_style
            if style is not edge:
                return [Segment(row.text, style)]
            flows = _before_name(row.text)
            return [Segment(row.text[:flows], self.piece_style("picture--flow")), Segment(row.text[flows:], edge)]
        before = text.take(row.text, row.box[0])
        inside = text.take(row.text[len(before) :], row.box[1] - row.box[0])
        after = row.text[len(before) + len(inside) :]
        at = self._is_at(line)
        return [
            Segment(before, self.cursor_style if at and around.side == PRODUCERS else edge),
            Segment(inside, self.cursor_style if around.side == CENTRE and inside.strip() else node),
            Segment(after, self.cursor_style if at and around.side == CONSUMERS else edge),
        ]

    def _is_at(self, line: int) -> bool:
        return self.around.side != CENTRE and line == self.around.row

    def action_move(self, lines: int) -> None:
        """Moves between the edges."""
        if self.around.along(lines):
            self.show_change()

    def action_sideways(self, to: int) -> None:
        """Moves along an edge."""
        if self.around.sideways(to):
            self.show_change()

    def action_recentre(self) -> None:
        """Puts the node of the cursor in the middle; what is no node has its details shown."""
        screen = self.screen
        if isinstance(screen, NeighbourhoodScreen):
            if self.around.recentre():
                screen.read()
            elif self.around.at_cursor is not None:
                screen.dismiss(self.around.at_cursor)

    def action_back(self) -> None:
        """Goes back to the node that was in the middle before; from the first one, closes."""
        screen = self.screen
        if isinstance(screen, NeighbourhoodScreen):
            if self.around.back():
                screen.read()
            else:
                screen.dismiss(None)

    def action_open(self) -> None:
        """Shows the details of what the cursor is on."""
        subject = self.around.at_cursor
        screen = self.screen
        if subject is not None and isinstance(screen, NeighbourhoodScreen):
            screen.dismiss(subject)

    def act(self) -> None:
        """See `LineView`."""
        self.action_recentre()

    def on_click(self, event: Click) -> None:
        """A click moves the cursor; a second one puts that node in the middle."""
        event.prevent_default()
        offset = event.get_content_offset(self)
        if offset is None:
            return
        before = (self.around.side, self.around.row)
        self.around.click(self.scroll_offset.y + offset.y, offset.x)
        if before == (self.around.side, self.around.row) and before[0] != CENTRE:
            self.action_recentre()
        else:
            self.show_change()


def _before_name(line: str) -> int:
    """Where in a line the name at the other end of its edge begins: behind the line that follows dtype and shape."""
    start = next((at for at, letter in enumerate(line) if letter.isalnum()), len(line))
    ends = [at for at in (line.find(f"{stroke} ", start) for stroke in "─┄-~") if at >= 0]
    return min(ends) + 2 if ends else len(line)


class NeighbourhoodScreen(ModalScreen[Subject | None]):
    """Dismissed with what is to be shown in the details, or None."""

    TITLE = "Neighbours"
    HELP = (
        "What feeds the node stands before it, what takes its output behind it, two levels of both where there is "
        "room. Arrows move along the edges, Enter puts a node in the middle."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Close", id="around.close", tooltip="Back to where you were"),
    ]

    def __init__(self, loader: Loader, subject: NodeSubject) -> None:
        super().__init__()
        self.around = Around(loader, subject, self._changed)

    def compose(self) -> ComposeResult:
        """The picture, what the cursor is on, the keys."""
        with Vertical(id="around"):
            yield PictureView(self.around, id="picture")
            yield Static(id="around-at", markup=False)
            yield Static(Content(_KEYS), id="around-keys")

    def on_mount(self) -> None:
        """Reads the neighbours."""
        self.query_one(PictureView).focus()
        self.read()

    @work(exclusive=True, group="around", description="reading neighbours")
    async def read(self) -> None:
        """Reads the neighbours of the node in the middle."""
        await self.around.read()

    def _changed(self) -> None:
        if not self.is_mounted:
            return
        found = self.around.found
        if found is not None:
            title = f"Around {text.shorten(text.label(found.name), max(8, self.size.width - 20))}"
            self.query_one("#around").border_title = Content(title)
        picture = self.query_one(PictureView)
        picture.update_lines()
        picture.show_cursor()
        self.tell_cursor()

    def tell_cursor(self) -> None:
        """Names what the cursor is on, in full."""
        around = self.around
        edge = around.edge
        if around.problem:
            said = around.problem
        elif around.found is None:
            said = ""
        elif edge is None:
            said = f"{text.label(around.found.name)}  {text.label(around.found.op)}"
            if around.subject.function is not None:
                said += f"  in {text.label(around.subject.function)}"
        else:
            side = "from" if around.side == PRODUCERS else "to" if around.side == CONSUMERS else ""
            what = text.label(edge.op) if edge.op else "argument" if edge.argument else "missing"
            said = f"{side} {text.label(edge.name)}  {what}  {edge.carries}"
        self.query_one("#around-at", Static).update(Content(text.shorten(said, max(8, self.size.width - 8))))

    def action_leave(self) -> None:
        """Closes, and changes nothing."""
        self.dismiss(None)
