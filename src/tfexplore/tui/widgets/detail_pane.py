"""The detail pane: everything about what the cursor stands on; lines that lead somewhere can be entered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from tfexplore.core import text
from tfexplore.core.copied import LINE, Copy, of_text
from tfexplore.core.detail import Detail, Line
from tfexplore.core.subjects import Subject
from tfexplore.tui.details import Details
from tfexplore.tui.widgets.line_view import LineView

_LEAST_LABEL = 10  # blocks of short labels stand below each other
_MAX_LABEL = 24
# A value is wrapped, not cut; one of more lines than this is cut, which it says.
_MAX_WRAPPED = 40


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One line of the screen: a title, or a part of a line of the detail."""

    title: str
    label: str
    value: str
    line: Line | None


class DetailPane(LineView):
    """The details of one subject."""

    TITLE = "The details"
    HELP = "What is known about the row of the tree. Lines with an arrow lead on."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,right", "follow", "Follow", id="detail.follow", tooltip="Go to what the line names"),
        Binding("v", "values", "Values", id="detail.values", tooltip="The values of what is shown"),
        Binding("backspace,u", "back", "Back", id="detail.back", tooltip="Go back to what was shown before"),
        Binding(
            "right_curly_bracket", "block(1)", "Next block", show=False, id="detail.block", tooltip="To the next block"
        ),
        Binding(
            "left_curly_bracket",
            "block(-1)",
            "Block before",
            show=False,
            id="detail.block_before",
            tooltip="To the block before",
        ),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "detail--title",
        "detail--label",
        "detail--value",
        "detail--link",
    }

    class FollowRequested(Message):
        """A line that leads somewhere was entered."""

        def __init__(self, subject: Subject) -> None:
            super().__init__()
            self.subject = subject

    class ValuesRequested(Message):
        """The values of what is shown are wanted, else of what the cursor's line leads to."""

        def __init__(self, *subjects: Subject) -> None:
            super().__init__()
            self.subjects = subjects

    class BackRequested(Message):
        """The person wants to go back."""

    def __init__(self, session: Details, *, id: str) -> None:
        super().__init__(id=id)
        self.session = session
        self._drawn: list[_Drawn] = []
        self._drawn_of: tuple[Detail | None, int] = (None, 0)

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        return len(self._drawn)

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self.session.shown.line if self.session.shown is not None else 0

    @property
    def has_focus_or_marks(self) -> bool:
        """Only the focused pane has a cursor: elsewhere it would look like a choice."""
        return self.has_focus

    def move_cursor(self, line: int) -> None:
        """See `LineView`."""
        self.session.move_line(line)
        self.show_cursor()
        self.refresh()

    def update_lines(self) -> None:
        """See `LineView`; lays the detail out for the pane's width."""
        shown = self.session.shown
        detail = shown.detail if shown is not None else None
        cells = max(8, self.scrollable_content_region.width)
        # While a new detail is read the old one stays: a flicker at each key tells nobody anything.
        if detail is None and self._drawn:
            return
        if (detail, cells) != self._drawn_of:
            self._drawn = list(_lay_out(detail, cells)) if detail is not None else []
            self._drawn_of = (detail, cells)
            # Content, never str: Textual reads a str as markup, and a name may look like it.
            self.border_title = Content(text.shorten(detail.title, max(8, cells - 20))) if detail is not None else None
            self.border_subtitle = Content(detail.kind) if detail is not None else None
        super().update_lines()

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        drawn = self._drawn[line]
        if drawn.title:
            return [Segment(drawn.title, self.piece_style("detail--title"))]
        leads = drawn.line is not None and drawn.line.subject is not None
        style = "detail--link" if leads else "detail--value"
        return [
            Segment(drawn.label, self.piece_style("detail--label")),
            Segment(drawn.value, self.piece_style(style)),
        ]

    def go_to_block(self, titles: Sequence[str]) -> bool:
        """Moves the cursor to the first line of the first of these blocks; tells whether there is one."""
        self.update_lines()
        places = {drawn.title: line for line, drawn in reversed([*enumerate(self._drawn)]) if drawn.title}
        title = next((title for title in titles if title in places), None)
        if title is not None:
            self._go_below(places[title])
        return title is not None

    def action_block(self, by: int) -> None:
        """Moves the cursor to the first line of the next block, or of the one before."""
        titles = [line for line, drawn in enumerate(self._drawn) if drawn.title]
        if by > 0:
            wanted = next((line for line in titles if line > self.cursor_line), None)
        else:
            wanted = next((line for line in reversed(titles) if line + 1 < self.cursor_line), -1)
        if wanted is not None and self._drawn:
            self._go_below(wanted)

    def _go_below(self, title: int) -> None:
        """Moves the cursor to the line below a title, which is to be seen as well."""
        self.session.move_line(title + 1)
        self.scroll_to(y=max(0, title - 1), animate=False, force=True, immediate=True)
        self.show_cursor()
        self.refresh()

    @property
    def _line(self) -> Line | None:
        return self._drawn[self.cursor_line].line if self.cursor_line < len(self._drawn) else None

    @property
    def leads_on(self) -> bool:
        """Whether the cursor's line can be followed; the title stands for the subject as well."""
        line = self._line
        return line is None or line.subject is not None

    @property
    def subject_here(self) -> Subject | None:
        """See `LineView`: what the line names, else what is shown."""
        line, shown = self._line, self.session.shown
        if line is not None and line.subject is not None:
            return line.subject
        return shown.subject if shown is not None else None

    def copies_here(self) -> Sequence[Copy]:
        """See `LineView`: the whole value of the line, however many lines of the screen it takes."""
        line = self._line
        return (of_text(LINE, line.value),) if line is not None and line.value else ()

    def act(self) -> None:
        """See `LineView`."""
        self.action_follow()

    def action_follow(self) -> None:
        """Goes to what the cursor's line names."""
        if self.cursor_line < len(self._drawn):
            line = self._drawn[self.cursor_line].line
            if line is not None and line.subject is not None:
                self.post_message(self.FollowRequested(line.subject))

    def go_to_line(self, title: str, number: int) -> bool:
        """Moves the cursor to line `number` of the block of that title; tells whether there is one."""
        detail = self._drawn_of[0]
        lines = [line for block in (detail.blocks if detail else ()) if block.title == title for line in block.lines]
        for place, drawn in enumerate(self._drawn):
            if drawn.line is not None and number < len(lines) and drawn.line is lines[number]:
                self._move(place)
                return True
        return False

    def action_values(self) -> None:
        """Asks for the values of what is shown."""
        if self.session.shown is not None:
            line = self._drawn[self.cursor_line].line if self.cursor_line < len(self._drawn) else None
            ahead = (line.subject,) if line is not None and line.subject is not None else ()
            self.post_message(self.ValuesRequested(self.session.shown.subject, *ahead))

    def action_back(self) -> None:
        """Goes back to what was shown before."""
        self.post_message(self.BackRequested())


def _lay_out(detail: Detail, cells: int) -> list[_Drawn]:
    drawn: list[_Drawn] = []
    for block in detail.blocks:
        widest = max((text.width(line.label) for line in block.lines), default=0)
        label_cells = min(max(widest, _LEAST_LABEL), _MAX_LABEL, cells // 3)
        if block.title:
            if drawn:
                drawn.append(_Drawn("", "", "", None))
            drawn.append(_Drawn(block.title, "", "", None))
        for line in block.lines:
            drawn.extend(_wrap(line, label_cells, cells))
    return drawn


def _wrap(line: Line, label_cells: int, cells: int) -> list[_Drawn]:
    # A line without a label has the whole width: a sentence, or values in columns.
    gap = label_cells + 2 if line.label else 0
    label = text.shorten(line.label, label_cells)
    label += " " * (gap - text.width(label))
    value = ("→ " if line.subject is not None else "") + line.value
    if line.columns:
        return [
            _Drawn("", "", value if text.width(value) <= cells else text.take(value, cells - 1) + text.ELLIPSIS, line)
        ]
    rows: list[_Drawn] = []
    room = max(4, cells - gap)
    while True:
        part = _first_cells(value, room)
        value = value[len(part) :]
        if len(rows) == _MAX_WRAPPED - 1 and value:
            return [*rows, _Drawn("", " " * gap, f"… {len(value):,} characters more", line)]
        rows.append(_Drawn("", label if not rows else " " * gap, part, line))
        if not value:
            return rows


def _first_cells(value: str, room: int) -> str:
    """As much of a value as fits on a line; sentences break at a space where there is one late enough."""
    if text.width(value) <= room:
        return value
    cut = text.take(value, room) or value[:1]
    space = cut.rfind(" ")
    return cut[: space + 1] if space > len(cut) // 2 else cut
