"""Search as one types: over the panes, so that what was looked at stays."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tfexplore.core import text
from tfexplore.core.subjects import Subject
from tfexplore.tui.finding import Finding
from tfexplore.tui.labels import glyphs
from tfexplore.tui.widgets.line_view import LineView


class HitList(LineView):
    """What was found: glyph, name, and the function it is in."""

    TITLE = "What was found"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "hit--mark",
        "hit--name",
        "hit--place",
    }

    def __init__(self, finding: Finding, *, id: str) -> None:
        super().__init__(id=id)
        self.finding = finding
        self.can_focus = False  # the keys that move go through the screen: the typing goes on

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        return len(self.finding.hits)

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self.finding.cursor

    @property
    def has_focus_or_marks(self) -> bool:
        """The cursor is always there, though the typing has the focus."""
        return True

    @property
    def cursor_style(self) -> Style:
        """See `LineView`; as in a pane that has the focus."""
        return self.get_component_rich_style("line--cursor")

    def move_cursor(self, line: int) -> None:
        """See `LineView`."""
        if self.finding.move_to(line):
            self.show_cursor()
            self.refresh()

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        hit = self.finding.hits[line]
        mark = glyphs().get(hit.kind, "")
        place = f"  in {text.label(hit.function)}" if hit.function is not None else f"  {hit.kind}"
        room = cells - text.width(mark) - 1
        name = text.label(hit.name)
        place_room = max(0, room - text.width(name))
        if text.width(place) > place_room:
            place = text.shorten(place, max(0, min(text.width(place), max(place_room, room // 3))))
        name = text.shorten(name, max(1, room - text.width(place)))
        return [
            Segment(f"{mark} ", self.piece_style("hit--mark")),
            Segment(name, self.piece_style("hit--name")),
            Segment(place, self.piece_style("hit--place")),
        ]

    def act(self) -> None:
        """See `LineView`."""
        screen = self.screen
        if isinstance(screen, SearchScreen):
            screen.action_take()


class SearchScreen(ModalScreen[Subject | None]):
    """Dismissed with what was chosen, or None."""

    TITLE = "Search"
    HELP = (
        "Type words, all of which must occur in the name (a capital letter makes case count). op:Conv2D, "
        "dtype:float32, shape:[?,3], attr:padding=SAME and /regex/ narrow it; Conv2D > BiasAdd > Relu finds ops along "
        "edges. Enter goes to what the cursor is on."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,ctrl+n", "move(1)", "Down", show=False, priority=True, id="search.down", tooltip="The hit below"),
        Binding("up,ctrl+p", "move(-1)", "Up", show=False, priority=True, id="search.up", tooltip="The hit above"),
        Binding(
            "pagedown",
            "page(1)",
            "Page down",
            show=False,
            priority=True,
            id="search.page_down",
            tooltip="A screenful down",
        ),
        Binding(
            "pageup", "page(-1)", "Page up", show=False, priority=True, id="search.page_up", tooltip="A screenful up"
        ),
        Binding("ctrl+y", "copy_hit", "Copy", priority=True, id="search.copy", tooltip="Copy what the cursor is on"),
        Binding("enter", "take", "Go there", priority=True, id="search.take", tooltip="Show what the cursor is on"),
        Binding("escape", "leave", "Close", priority=True, id="search.close", tooltip="Back to where you were"),
    ]

    def __init__(self, finding: Finding) -> None:
        super().__init__()
        self.finding = finding
        self._early = ""

    def on_key(self, event: Key) -> None:
        """Takes what is typed before the field has the focus: on a slow line keys come in bursts."""
        fields = self.query(Input)
        if event.is_printable and event.character and not (fields and fields.first().has_focus):
            event.stop()
            if fields and self.is_mounted:
                field = fields.first()
                field.value += event.character
                field.cursor_position = len(field.value)
            else:
                self._early += event.character

    def compose(self) -> ComposeResult:
        """What is typed, what was found, how much."""
        with Vertical(id="search"):
            yield Input(self.finding.query, placeholder="search names", compact=True, id="query")
            yield HitList(self.finding, id="hits")
            yield Static(id="found", markup=False)

    def on_mount(self) -> None:
        """Shows what the last search found, and takes what is typed."""
        field = self.query_one(Input)
        field.cursor_blink = False
        if self._early:
            field.value = self._early
        field.focus()
        self.draw()

    def draw(self) -> None:
        """Draws what has changed in the search."""
        if self.is_mounted:
            hits = self.query_one(HitList)
            hits.update_lines()
            hits.show_cursor()
            self.query_one("#found", Static).update(Content(self.finding.sentence))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value != self.finding.query:
            self.look(event.value)

    @work(exclusive=True, group="search", description="searching names")
    async def look(self, query: str) -> None:
        """Searches as one types."""
        await self.finding.search(query)

    def action_move(self, by: int) -> None:
        """Moves the cursor."""
        self.query_one(HitList).action_move(by)

    def action_page(self, by: int) -> None:
        """Moves the cursor by a screenful."""
        self.query_one(HitList).action_page(by)

    @work(exclusive=True, group="take", description="reading what was found")
    async def action_take(self) -> None:
        """Goes to what the cursor is on."""
        subject = await self.finding.subject()
        if subject is not None:
            self.dismiss(subject)

    def action_copy_hit(self) -> None:
        """Asks what to copy of what the cursor is on."""
        app = self.app
        if hasattr(app, "action_copy"):
            app.action_copy()

    def action_leave(self) -> None:
        """Goes back; what was found stays for the next time."""
        self.dismiss(None)
