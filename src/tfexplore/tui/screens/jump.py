"""The prompt over the bottom that goes to a thing by its name, with the ways to go on above it."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tfexplore.core import text
from tfexplore.core.jump import Target
from tfexplore.tui.jumping import Jumping
from tfexplore.tui.labels import glyphs
from tfexplore.tui.widgets.line_view import LineView


class CandidateList(LineView):
    """How what is typed may go on: glyph, name, kind."""

    TITLE = "Names"

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "hit--mark",
        "hit--name",
        "hit--place",
    }

    def __init__(self, jumping: Jumping, *, id: str) -> None:
        super().__init__(id=id)
        self.jumping = jumping
        self.can_focus = False  # the keys that move go through the screen: the typing goes on

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        return len(self.jumping.candidates)

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self.jumping.cursor

    def move_cursor(self, line: int) -> None:
        """See `LineView`."""
        self.jumping.move(line - self.jumping.cursor)

    def show_cursor(self) -> None:
        """See `LineView`; where nothing is chosen, the first lines are shown."""
        if self.jumping.cursor < 0:
            self.scroll_to(y=0, animate=False, force=True, immediate=True)
        else:
            super().show_cursor()

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        candidate = self.jumping.candidates[line]
        mark = glyphs().get(candidate.kind, "")
        mark = mark or glyphs()["closed"]
        cells -= 2
        room = cells - text.width(mark) - 1 - text.width(candidate.kind) - 2
        name = text.shorten(text.label(candidate.name), max(1, room))
        gap = " " * max(2, room + 2 - text.width(name))
        return [
            Segment(f" {mark} ", self.piece_style("hit--mark")),
            Segment(name, self.piece_style("hit--name")),
            Segment(f"{gap}{candidate.kind}", self.piece_style("hit--place")),
        ]

    def act(self) -> None:
        """See `LineView`."""
        screen = self.screen
        if isinstance(screen, JumpScreen):
            screen.action_take()


class JumpScreen(ModalScreen[Target | None]):
    """Dismissed with what the name stands for, or None."""

    TITLE = "Go to"
    HELP = (
        "Type the name of a node, a tensor (dense/MatMul:0), a variable, a checkpoint key, a signature or a function. "
        "Tab completes it, ↑ and ↓ choose, Enter goes there."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "down,ctrl+n", "move(1)", "Down", show=False, priority=True, id="jump.down", tooltip="The next way to go on"
        ),
        Binding(
            "up,ctrl+p",
            "move(-1)",
            "Up",
            show=False,
            priority=True,
            id="jump.up",
            tooltip="The way before; above the first, what is typed",
        ),
        Binding(
            "pagedown",
            "move(9)",
            "Page down",
            show=False,
            priority=True,
            id="jump.page_down",
            tooltip="A screenful down",
        ),
        Binding(
            "pageup", "move(-9)", "Page up", show=False, priority=True, id="jump.page_up", tooltip="A screenful up"
        ),
        Binding("tab", "complete", "Complete", priority=True, id="jump.complete", tooltip="Complete the name"),
        Binding("enter", "take", "Go there", priority=True, id="jump.take", tooltip="Show what is called so"),
        Binding("escape", "leave", "Close", priority=True, id="jump.close", tooltip="Back to where you were"),
    ]

    def __init__(self, jumping: Jumping) -> None:
        super().__init__()
        self.jumping = jumping
        jumping.tell = self._draw

    def compose(self) -> ComposeResult:
        """Candidates, why the name leads nowhere, the line that is typed in."""
        with Vertical(id="jump"):
            yield CandidateList(self.jumping, id="candidates")
            yield Static(id="jump-problem", markup=False)
            with Horizontal(id="jump-line"):
                yield Static(":", id="jump-mark", markup=False)
                yield Input(placeholder="a name, as dense/MatMul:0", compact=True, select_on_focus=False, id="name")

    def on_mount(self) -> None:
        """Takes what is typed."""
        field = self.query_one(Input)
        field.cursor_blink = False
        field.focus()
        self.look(field.value)

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        jumping, candidates = self.jumping, self.query_one(CandidateList)
        # An auto height is that of the lines that there are.
        candidates.styles.height = min(len(jumping.candidates), 10)
        candidates.display = bool(jumping.candidates)
        candidates.update_lines()
        candidates.show_cursor()
        problem = self.query_one("#jump-problem", Static)
        problem.display = bool(jumping.problem)
        problem.update(Content(jumping.problem))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if not event.value.isprintable():  # pasted
            self._put("".join(part if part.isprintable() else text.visible(part) for part in event.value))
        elif event.value != self.jumping.shown:
            self.look(event.value)

    def _put(self, shown: str) -> None:
        field = self.query_one(Input)
        field.value = shown
        field.cursor_position = len(shown)

    @work(exclusive=True, group="complete", description="completing a name")
    async def look(self, shown: str) -> None:
        """Looks for ways to go on."""
        await self.jumping.type(shown)

    def action_move(self, by: int) -> None:
        """Chooses another candidate."""
        self.jumping.move(by)

    def action_complete(self) -> None:
        """Completes what is typed."""
        self._put(self.jumping.longer())

    @work(exclusive=True, group="take", description="going to a name")
    async def action_take(self) -> None:
        """Goes to what is called so; into a scope that is chosen."""
        shown = self.query_one(Input).value
        scope = self.jumping.chosen_scope
        if scope is not None and shown == self.jumping.shown:
            self._put(scope)
            return
        target = await self.jumping.take(shown)
        if target is not None:
            self.dismiss(target)

    def action_leave(self) -> None:
        """Goes back."""
        self.dismiss(None)
