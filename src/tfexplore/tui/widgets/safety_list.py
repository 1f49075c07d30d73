"""The list of the Safety tab: one line a finding."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from tfexplore.core import text
from tfexplore.core.scan_finding import CALL, LOAD, SAVE, UNREACHED
from tfexplore.core.subjects import Subject
from tfexplore.tui.session import Session
from tfexplore.tui.widgets.line_view import LineView

_WHEN = {LOAD: "at load", CALL: "when called", SAVE: "when saved", UNREACHED: "not reached"}


class SafetyList(LineView):
    """What a scan has found; the details of the cursor's finding stand in the other pane."""

    TITLE = "Safety"
    HELP = (
        "What the model could do to this machine: files, network, other code. Level, when, op and what it does. "
        "Enter goes to the node."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "act", "To the node", id="safety.node", tooltip="Show the node that the finding is about"),
        Binding("r", "scan_again", "Scan again", id="safety.scan", tooltip="Scan the model once more"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "safety--high",
        "safety--medium",
        "safety--note",
        "safety--when",
        "safety--op",
        "safety--what",
    }

    class CursorMoved(Message):
        """The cursor stands on another finding."""

    class NodeRequested(Message):
        """The node of the cursor's finding is to be shown."""

    class ScanRequested(Message):
        """The model is to be scanned again."""

    def __init__(self, session: Session, *, id: str) -> None:
        super().__init__(id=id)
        self.session = session

    @property
    def subject_here(self) -> Subject | None:
        """See `LineView`."""
        safety = self.session.safety
        return safety.subject if safety is not None else None

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        safety = self.session.safety
        return len(safety.findings) if safety is not None else 0

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self.session.safety.cursor if self.session.safety is not None else 0

    def move_cursor(self, line: int) -> None:
        """See `LineView`."""
        if self.session.safety is not None and self.session.safety.move_to(line):
            self.show_cursor()
            self.refresh()
            self.post_message(self.CursorMoved())

    def update_lines(self) -> None:
        """See `LineView`."""
        safety = self.session.safety
        self.border_title = "Safety"
        self.border_subtitle = Content(safety.sentence) if safety is not None else None
        super().update_lines()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are there only where they do something."""
        safety = self.session.safety
        if action == "scan_again":
            return safety is not None and safety.state in ("cancelled", "failed")
        return True

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        safety = self.session.safety
        assert safety is not None
        found = safety.findings[line]
        op = text.label(found.op) if found.op is not None else ""
        literal = next((value for argument in found.arguments for value in argument.values or ()), None)
        what = text.visible(found.what) + (f': "{text.visible(literal)}"' if literal is not None else "")
        pieces = [
            (f"{found.level:<7}", f"safety--{found.level}"),
            (f"{_WHEN[found.phase]:<12}", "safety--when"),
            (f"{op}  " if op else "", "safety--op"),
            (what, "safety--what"),
        ]
        segments = []
        for piece, style in pieces:
            piece = piece if text.width(piece) <= cells else text.take(piece, max(0, cells - 1)) + text.ELLIPSIS
            cells -= text.width(piece)
            segments.append(Segment(piece, self.piece_style(style)))
            if cells <= 0:
                break
        return segments

    def act(self) -> None:
        """See `LineView`."""
        self.action_act()

    def action_act(self) -> None:
        """Asks for the node of the finding."""
        if self.line_count:
            self.post_message(self.NodeRequested())

    def action_scan_again(self) -> None:
        """Asks for another scan."""
        self.post_message(self.ScanRequested())
