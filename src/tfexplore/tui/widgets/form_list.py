"""The form of a call: one line an input or feature, what is wrong with it below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region
from textual.message import Message

from tfexplore.core import text
from tfexplore.core.completion import Completions
from tfexplore.core.copied import NAME, VALUE, Copy, of_text
from tfexplore.core.form import FEATURE
from tfexplore.tui.widgets.line_view import LineView

_LEAST_VALUE = 16
_MAX_NOTE_LINES = 6


class _Drawn(NamedTuple):
    """A line: of a row (`note` empty), or a note below it."""

    row: int
    note: str
    style: str


class Shown(Protocol):
    """A form and where its cursor stands: see `tui.predict_form.FormState`."""

    form: Any
    row: int
    errors: dict[str, str]
    problem: str
    completions: Completions

    @property
    def choices(self) -> list[Any]: ...

    @property
    def choice(self) -> int: ...

    def value_of(self, field: Any) -> str: ...

    def move_to(self, row: int) -> bool: ...


class FormList(LineView):
    """The rows; Enter edits the one under the cursor."""

    TITLE = "The form"
    HELP = (
        "One row an input; of an input that takes Examples, one a feature. A value is JSON, @FILE (.json, .npy, .npz, "
        "a picture), zeros, ones or random[:SEED]; for strings also bare words. The row of an input that takes "
        "Examples may hold rows itself: {…}, [{…}], @rows.jsonl or tfrecord:FILE[:N]. Tensors are named NODE or "
        "NODE:OUTPUT."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "act", "Edit", id="form.edit", tooltip="Write the value of this row"),
        Binding("m", "make", "Make up", id="form.make", tooltip="Fill this row with zeros, ones, random numbers"),
        Binding("delete", "clear", "Empty", show=False, id="form.clear", tooltip="Empty this row"),
        Binding("backspace", "back", "Back", show=False, id="form.back", tooltip="Back to what can be called"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "predict--name",
        "predict--facts",
        "predict--value",
        "predict--wrong",
    }

    class EditRequested(Message):
        """The cursor's row is to be edited."""

    class MakeRequested(Message):
        """The cursor's row is to be filled with made-up values."""

    class ClearRequested(Message):
        """The cursor's row is to be emptied."""

    class BackRequested(Message):
        """The list of calls is wanted."""

    def __init__(self, predict: Shown, *, id: str) -> None:
        super().__init__(id=id)
        self.predict = predict
        self.editing: str | None = None  # the key of the row that an input lies over
        self._drawn: list[_Drawn] = []
        self._lines: list[int] = []  # of each row
        self._drawn_of: tuple[object, ...] = ()
        self._columns = (0, 0)

    @property
    def fields(self) -> tuple[Any, ...]:
        """The form's rows."""
        return self.predict.form.fields if self.predict.form is not None else ()

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        return len(self._drawn)

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self.line_of(self.predict.row)

    def line_of(self, row: int) -> int:
        """The line of a row."""
        return self._lines[row] if row < len(self._lines) else 0

    def show_cursor(self) -> None:
        """See `LineView`; what is said below the row is shown with it."""
        row = self.predict.row
        if row < len(self._lines):
            start = self._lines[row]
            end = self._lines[row + 1] if row + 1 < len(self._lines) else len(self._drawn)
            height = max(1, min(end - start, self.scrollable_content_region.height))
            self.scroll_to_region(Region(0, start, 1, height), animate=False, force=True, immediate=True)

    def move_cursor(self, line: int) -> None:
        """See `LineView`; notes are stepped over."""
        drawn = self._drawn[line]
        row = drawn.row
        if drawn.style and line == self.cursor_line + 1:
            row += 1
        if self.predict.move_to(row):
            self.update_lines()
            self.show_cursor()

    def update_lines(self) -> None:
        """See `LineView`; lays the rows out for the pane's width."""
        cells = max(20, self.scrollable_content_region.width)
        predict = self.predict
        # An input may have thousands of features: they are laid out anew only where something is another.
        of = (
            predict.form,
            cells,
            predict.problem,
            tuple(predict.errors.items()),
            self.editing,
            predict.completions,
        )
        if of != self._drawn_of:
            self._lay_out(cells)
            self._drawn_of = of
        # Content, never str: a name may look like markup.
        self.border_title = Content(text.shorten(self.heading, max(8, cells - 8)))
        if predict.form is None:
            self.border_subtitle = Content("" if predict.problem else "being read …")
        else:
            self.border_subtitle = Content(f"{predict.row + 1} of {len(self.fields)}")
        super().update_lines()

    @property
    def heading(self) -> str:
        """What stands above the rows, visible."""
        predict = self.predict
        title = predict.choices[predict.choice].title if predict.choices else ""
        return f"Inputs of {title}" if title else "Inputs"

    def _lay_out(self, cells: int) -> None:
        predict = self.predict
        names = max(
            (text.width(text.label(field.name)) + 2 * (field.kind == FEATURE) for field in self.fields), default=0
        )
        facts = max((text.width(field.facts) for field in self.fields), default=0)
        names = min(names, max(8, cells * 3 // 10))
        facts = min(facts, max(0, cells - names - 4 - max(_LEAST_VALUE, cells * 2 // 5)))
        self._columns = names, facts
        drawn: list[_Drawn] = []
        if predict.problem:
            drawn += [_Drawn(0, line, "predict--wrong") for line in _wrapped(f"! {predict.problem}", cells)]
        for row, field in enumerate(self.fields):
            drawn.append(_Drawn(row, "", ""))
            if field.key == self.editing:
                drawn += [_Drawn(row, line, "predict--facts") for line in self._completions(cells)]
            wrong = predict.errors.get(field.key)
            if wrong:
                drawn += [_Drawn(row, line, "predict--wrong") for line in _wrapped(f"  ! {wrong}", cells)]
        self._drawn = drawn
        self._lines = [line for line, one in enumerate(drawn) if not one.style]

    def _completions(self, cells: int) -> list[str]:
        found = self.predict.completions
        if not found.total:
            return []
        names = [f"  {text.shorten(text.label(name), cells - 4)}" for name in found.names]
        if found.total > len(found.names):
            names.append(f"  … {text.count(found.total - len(found.names))} more begin so")
        return names

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        drawn = self._drawn[line]
        if drawn.style:
            return [Segment(text.take(drawn.note, cells), self.piece_style(drawn.style))]
        field = self.fields[drawn.row]
        names, facts = self._columns
        indent = "  " if field.kind == FEATURE else ""
        name = indent + text.shorten(text.label(field.name), max(1, names - len(indent)))
        about = field.facts if text.width(field.facts) <= facts else text.take(field.facts, max(0, facts - 1)) + "…"
        written = self.predict.value_of(field)
        value = text.visible(written[: 4 * cells]) or field.empty
        room = max(1, cells - names - facts - 4)
        if text.width(value) > room:
            value = text.take(value, max(0, room - 1)) + text.ELLIPSIS
        return [
            Segment(name + " " * (names - text.width(name) + 2), self.piece_style("predict--name")),
            Segment(
                (about if facts else "") + " " * (facts - text.width(about) + 2), self.piece_style("predict--facts")
            ),
            Segment(value, self.piece_style("predict--value" if written else "predict--facts")),
        ]

    def value_region(self) -> Region:
        """Where the value of the cursor's row is on the screen."""
        content = self.scrollable_content_region
        x = sum(self._columns) + 4
        y = self.cursor_line - self.scroll_offset.y
        return Region(content.x + x, content.y + y, max(8, content.width - x), 1)

    @property
    def has_focus_or_marks(self) -> bool:
        """See `LineView`; marked while its row is edited."""
        return bool(self.fields)

    def copies_here(self) -> Sequence[Copy]:
        """See `LineView`: the row's value as it is written, then its name."""
        if self.predict.row >= len(self.fields):
            return ()
        field = self.fields[self.predict.row]
        pairs = ((VALUE, self.predict.value_of(field)), (NAME, field.name))
        return [of_text(kind, raw) for kind, raw in pairs if raw]

    def act(self) -> None:
        """See `LineView`."""
        self.action_act()

    def action_act(self) -> None:
        """Asks for an input on the row."""
        if self.fields:
            self.post_message(self.EditRequested())

    def action_make(self) -> None:
        """Asks for made-up values."""
        self.post_message(self.MakeRequested())

    def action_clear(self) -> None:
        """Asks for an empty row."""
        self.post_message(self.ClearRequested())

    def action_back(self) -> None:
        """Asks for the list of calls."""
        self.post_message(self.BackRequested())


def _wrapped(sentence: str, cells: int) -> list[str]:
    """A sentence in lines of at most `cells` cells, broken at spaces where there are any."""
    lines: list[str] = []
    indent = "    "
    while sentence and len(lines) < _MAX_NOTE_LINES:
        if text.width(sentence) <= cells:
            return [*lines, sentence]
        cut = text.take(sentence, cells) or sentence[:1]
        space = cut.rfind(" ")
        cut = cut[: space + 1] if space > len(cut) // 2 else cut
        lines.append(cut)
        sentence = indent + sentence[len(cut) :]
    return [*lines[:-1], text.take(lines[-1], cells - 1) + text.ELLIPSIS]
