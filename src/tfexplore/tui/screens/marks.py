"""Marks: sets one under a letter, or shows them to choose from."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Static

from tfexplore.core import text
from tfexplore.tui.marks import Marks, is_letter
from tfexplore.tui.widgets.line_view import LineView


class MarkList(LineView):
    """One line a mark: letter, name, what it is."""

    TITLE = "Marks"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "mark--letter",
        "mark--name",
        "mark--kind",
    }

    def __init__(self, marks: Marks, *, id: str) -> None:
        super().__init__(id=id)
        self.marks = marks
        self.line = 0
        self.can_focus = False  # every letter is the screen's

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        return len(self.marks.listed)

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self.line

    def move_cursor(self, line: int) -> None:
        """See `LineView`."""
        self.line = line
        self.show_cursor()
        self.refresh()

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        mark = self.marks.listed[line]
        room = max(2, cells - 6)
        name = text.shorten(mark.title, max(room // 2, room - text.width(mark.kind)))
        kind = text.shorten(mark.kind, max(1, room - text.width(name)))
        return [
            Segment(f"{mark.letter}  ", self.piece_style("mark--letter")),
            Segment(name, self.piece_style("mark--name")),
            Segment(f"  {kind}", self.piece_style("mark--kind")),
        ]

    def act(self) -> None:
        """See `LineView`."""
        screen = self.screen
        if isinstance(screen, MarksScreen):
            screen.action_take()


class MarksScreen(ModalScreen[str | None]):
    """Dismissed with the letter that was pressed or chosen, or None.

    Args:
        marks: those of the model.
        setting: the title of what is to be marked; None where one goes to a mark.
    """

    TITLE = "Marks"
    HELP = "Marks are places of this model under a letter or figure. A letter chooses; Delete forgets a mark."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Down", show=False, id="marks.down", tooltip="The mark below"),
        Binding("up", "move(-1)", "Up", show=False, id="marks.up", tooltip="The mark above"),
        Binding("enter", "take", "Go there", id="marks.take", tooltip="Go to the mark, or set it anew"),
        Binding("delete", "forget", "Forget", id="marks.forget", tooltip="Forget the mark under the cursor"),
        Binding("escape", "leave", "Close", id="marks.close", tooltip="Back to where you were"),
    ]

    def __init__(self, marks: Marks, setting: str | None) -> None:
        super().__init__()
        self.marks = marks
        self.setting = setting

    def compose(self) -> ComposeResult:
        """What is asked, the marks, what the keys do."""
        with Vertical(id="marks"):
            yield Static(Content(self._question()), markup=False)
            yield MarkList(self.marks, id="mark-list")
            yield Static(Content("Enter takes it, Delete forgets it, Escape closes."), id="mark-keys")

    def _question(self) -> str:
        if self.setting is not None:
            return f"Mark {text.shorten(self.setting, 50)}: press a letter or figure."
        if not self.marks.listed:
            return "No marks yet: m, then a letter, marks what the details show."
        return "Go to a mark: press its letter."

    def on_key(self, event: Key) -> None:
        """A letter or figure chooses."""
        letter = event.character
        if letter is None or not is_letter(letter):
            return
        event.stop()
        if self.setting is not None or self.marks.get(letter) is not None:
            self.dismiss(letter)
        else:
            self.notify(f"There is no mark {letter}.", markup=False, timeout=2)

    def action_move(self, by: int) -> None:
        """Moves the cursor."""
        self.query_one(MarkList).action_move(by)

    def action_take(self) -> None:
        """Takes the mark under the cursor."""
        marks, line = self.marks.listed, self.query_one(MarkList).line
        if line < len(marks):
            self.dismiss(marks[line].letter)

    def action_forget(self) -> None:
        """Forgets the mark under the cursor."""
        found = self.query_one(MarkList)
        if found.line < found.line_count:
            self.marks.remove(self.marks.listed[found.line].letter)
            found.line = max(0, min(found.line, found.line_count - 1))
            found.update_lines()

    def action_leave(self) -> None:
        """Closes, and changes nothing."""
        self.dismiss(None)
