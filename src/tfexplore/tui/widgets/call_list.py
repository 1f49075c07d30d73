"""What can be called of a model: one line a signature, tensors by name, functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from tfexplore.core import text
from tfexplore.core.copied import NAME, Copy, of_text
from tfexplore.core.form import BY_FUNCTION, BY_SIGNATURE
from tfexplore.tui.labels import glyphs
from tfexplore.tui.predict import Predict
from tfexplore.tui.widgets.line_view import LineView

_KINDS = {BY_SIGNATURE: "signature", BY_FUNCTION: "function"}


class CallList(LineView):
    """The list; the form below is for the line of the cursor."""

    TITLE = "What is called"
    HELP = (
        "What can be called: signatures, tensors by name, and the functions of the object graph once the model has "
        "been loaded, which the first run does."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "act", "To the form", id="calls.form", tooltip="Go to the form of this call"),
        Binding("right", "act", "To the form", show=False, id="calls.form_too", tooltip="Go to the form of this call"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "predict--mark",
        "predict--name",
        "predict--facts",
    }

    class Chosen(Message):
        """Something else is to be called."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class Entered(Message):
        """The form is wanted."""

    def __init__(self, predict: Predict, *, id: str) -> None:
        super().__init__(id=id)
        self.predict = predict

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        return len(self.predict.choices)

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self.predict.choice

    def move_cursor(self, line: int) -> None:
        """See `LineView`."""
        self.post_message(self.Chosen(line))

    def update_lines(self) -> None:
        """See `LineView`."""
        self.border_title = "Call"
        self.border_subtitle = Content(f"{self.predict.choice + 1} of {self.line_count}") if self.line_count else None
        super().update_lines()

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        choice = self.predict.choices[line]
        mark = glyphs().get(_KINDS.get(choice.kind, "node"), "") + " "
        name = text.shorten(choice.title, max(8, cells * 3 // 5))
        room = cells - text.width(mark) - text.width(name) - 2
        note = choice.note if text.width(choice.note) <= room else text.take(choice.note, max(0, room - 1)) + "…"
        return [
            Segment(mark, self.piece_style("predict--mark")),
            Segment(name, self.piece_style("predict--name")),
            Segment(f"  {note}" if room > 3 else "", self.piece_style("predict--facts")),
        ]

    def copies_here(self) -> Sequence[Copy]:
        """See `LineView`: the name of what can be called."""
        choice = self.predict.choices[self.predict.choice] if self.predict.choices else None
        return [*([of_text(NAME, choice.name)] if choice is not None and choice.name else []), *super().copies_here()]

    def act(self) -> None:
        """See `LineView`."""
        self.action_act()

    def action_act(self) -> None:
        """Asks for the form."""
        self.post_message(self.Entered())
