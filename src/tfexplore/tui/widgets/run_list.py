"""The runs of the Predict tab, the newest first."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from tfexplore.core import text
from tfexplore.tui.predict import Predict
from tfexplore.tui.predict_run import CANCELLED, CANCELLING, DONE, RUNNING
from tfexplore.tui.widgets.line_view import LineView

_STYLES = {DONE: "done", RUNNING: "running", CANCELLING: "running", CANCELLED: "facts"}


class RunList(LineView):
    """One line a run; its outputs stand in the pane above."""

    TITLE = "The runs"
    HELP = "What was run, the newest first: number, what was called, how it ended, latency, inputs."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "act", "Outputs", id="runs.outputs", tooltip="Go to the outputs of this run"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "predict--name",
        "predict--facts",
        "predict--value",
        "predict--done",
        "predict--running",
        "predict--wrong",
    }

    class CursorMoved(Message):
        """Another run is looked at."""

    class Entered(Message):
        """The outputs are wanted."""

    def __init__(self, predict: Predict, *, id: str) -> None:
        super().__init__(id=id)
        self.predict = predict

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        return len(self.predict.runs)

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self.predict.run

    def move_cursor(self, line: int) -> None:
        """See `LineView`."""
        if self.predict.look_at(line):
            self.show_cursor()
            self.refresh()
            self.post_message(self.CursorMoved())

    def update_lines(self) -> None:
        """See `LineView`."""
        self.border_title = "Runs"
        self.border_subtitle = Content(f"runtime: {self.predict.state}")
        super().update_lines()

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        run = self.predict.runs[line]
        inputs = ", ".join(f"{text.label(name)}={text.visible(value[:60])}" for name, value in run.inputs)
        pieces = [
            (f"{run.number:>2} ", "facts"),
            (f"{run.status} ", _STYLES.get(run.status, "wrong")),
            (f"{run.outcome}  ", "value"),
            (f"{run.title}  ", "name"),
            (inputs, "facts"),
        ]
        segments = []
        for piece, style in pieces:
            piece = piece if text.width(piece) <= cells else text.take(piece, max(0, cells - 1)) + text.ELLIPSIS
            cells -= text.width(piece)
            segments.append(Segment(piece, self.piece_style(f"predict--{style}")))
            if cells <= 0:
                break
        return segments

    def act(self) -> None:
        """See `LineView`."""
        self.action_act()

    def action_act(self) -> None:
        """Asks for the outputs."""
        if self.line_count:
            self.post_message(self.Entered())
