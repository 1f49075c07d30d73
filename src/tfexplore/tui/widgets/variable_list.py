"""The variables of the Fine-tune tab, each with its tick, whether a gradient reaches it, and how far it has moved."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from tfexplore.core import text
from tfexplore.core.finetune_made import is_marked
from tfexplore.core.shapes import format_shape
from tfexplore.tui.finetune import Finetune
from tfexplore.tui.widgets.line_view import LineView

_CHANGE = 9
_LEAST_NAME = 12


class _Drawn(NamedTuple):
    """A line: of a variable, or a heading or note (`variable` is the one that it stands by)."""

    variable: int
    note: str
    style: str


class VariableList(LineView):
    """Those that the model trains, then those that it froze."""

    TITLE = "The variables"
    HELP = (
        "Which variables are trained: what the model marks as trainable, unless you tick otherwise. A tick on one that "
        "the model froze thaws it; one that it would train and that has no tick is held as it is, whatever the "
        "function does. After the first look: whether the loss gives it a gradient (in brackets: would give it one), "
        "and the L2 norm of its change since the model was loaded."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "tick", "Tick", id="variables.tick", tooltip="Train this variable, or do not"),
        Binding("a", "all", "All", id="variables.all", tooltip="Tick all that the model marks as trainable"),
        Binding("n", "none", "None", id="variables.none", tooltip="Take every tick away"),
        Binding("plus", "find(True)", "Tick by name", id="variables.find", tooltip="Tick what a regex (RE2) finds"),
        Binding(
            "minus,hyphen",
            "find(False)",
            "Untick by name",
            show=False,
            id="variables.leave",
            tooltip="Take the ticks of what a regex (RE2) finds",
        ),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "tune--tick",
        "tune--name",
        "tune--facts",
        "tune--moved",
        "tune--heading",
        "tune--wrong",
    }

    class FindRequested(Message):
        """Variables are to be found by name, and ticked or not."""

        def __init__(self, train: bool) -> None:
            super().__init__()
            self.train = train

    def __init__(self, finetune: Finetune, *, id: str) -> None:
        super().__init__(id=id)
        self.finetune = finetune
        self._drawn: list[_Drawn] = []
        self._lines: dict[int, int] = {}  # of each variable
        self._names = self._shapes = 0
        self._drawn_of: tuple[object, ...] = ()
        self._changes: dict[str, float] = {}

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        return len(self._drawn)

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return self._lines.get(self.finetune.variable, 0)

    @property
    def has_focus_or_marks(self) -> bool:
        """Only the focused pane has a cursor: elsewhere it would look like a choice."""
        return self.has_focus and bool(self._lines)

    def move_cursor(self, line: int) -> None:
        """See `LineView`; headings and notes are stepped over."""
        drawn = self._drawn[line]
        step = 1 if line > self.cursor_line else -1
        while drawn.style and 0 <= line + step < len(self._drawn):
            line += step
            drawn = self._drawn[line]
        if drawn.style:
            return
        self.finetune.variable = drawn.variable
        self.update_lines()
        self.show_cursor()

    def update_lines(self) -> None:
        """See `LineView`; lays the lines out for the pane's width."""
        finetune, cells = self.finetune, max(24, self.scrollable_content_region.width)
        of = (finetune.variables, self._noted, finetune.reach, finetune.no_variables, cells)
        if of != self._drawn_of:
            self._lay_out(cells)
            self._drawn_of = of
        ticked = [one for one in finetune.variables if one.train]
        size = sum(one.variable.parameters for one in ticked)
        parameters = "1 parameter" if size == 1 else f"{text.short_count(size)} parameters"
        self.border_title = "Variables"
        self.border_subtitle = Content(
            f"{len(ticked):,} of {len(finetune.variables):,} ticked · {parameters}" if finetune.variables else ""
        )
        super().update_lines()

    @property
    def _noted(self) -> int | None:
        """The variable below whose line stands why it gets no gradient: the cursor's, where it is worked in."""
        finetune = self.finetune
        if not self.has_focus or finetune.variable >= len(finetune.variables):
            return None
        reach = finetune.reach.get(finetune.variables[finetune.variable].key)
        return finetune.variable if reach is not None and reach.why else None

    def show_changes(self) -> None:
        """Draws the lines of variables that have moved since they were drawn."""
        changes, seen = self.finetune.changes, self._changes
        if changes == seen:
            return
        self._changes = dict(changes)
        top = self.scroll_offset.y
        for y in range(min(self.scrollable_content_region.height, len(self._drawn) - top)):
            drawn = self._drawn[top + y]
            key = self.finetune.variables[drawn.variable].key
            if not drawn.style and changes.get(key) != seen.get(key):
                self.refresh_line(top + y)

    def _lay_out(self, cells: int) -> None:
        finetune = self.finetune
        variables, noted = finetune.variables, self._noted
        drawn: list[_Drawn] = []
        if finetune.no_variables:
            drawn = [_Drawn(0, line, "wrong") for line in _wrapped(finetune.no_variables, cells)]
        marked = [number for number, one in enumerate(variables) if is_marked(one)]
        frozen = [number for number, one in enumerate(variables) if not is_marked(one)]
        if variables and not marked:
            drawn.append(_Drawn(frozen[0], "The model trains none.", "facts"))
        for numbers, heading in ((marked, ""), (frozen, f"Frozen by the model ({len(frozen):,})")):
            if heading and numbers:
                drawn.append(_Drawn(numbers[0], heading, "heading"))
            for number in numbers:
                drawn.append(_Drawn(number, "", ""))
                if number == noted:
                    reach = finetune.reach[variables[number].key]
                    drawn += [_Drawn(number, line, "facts") for line in _wrapped(f"    {reach.why}", cells)]
        self._drawn = drawn
        self._lines = {one.variable: line for line, one in enumerate(drawn) if not one.style}
        shapes = max((len(format_shape(one.variable.shape)) for one in variables), default=0)
        self._shapes = min(shapes, max(8, cells // 5))
        names = max((text.width(text.label(one.label)) for one in variables), default=0)
        room = cells - 4 - self._shapes - _CHANGE - 6 - 9
        self._names = min(names, max(_LEAST_NAME, room))

    def on_focus(self) -> None:
        """What is said of the cursor's line is shown where it is worked in."""
        self.update_lines()

    def on_blur(self) -> None:
        """See `on_focus`."""
        self.update_lines()

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        drawn = self._drawn[line]
        if drawn.style:
            return [Segment(text.take(drawn.note, cells), self.piece_style(f"tune--{drawn.style}"))]
        finetune = self.finetune
        one = finetune.variables[drawn.variable]
        name = text.shorten(text.label(one.label), self._names)
        shape = text.shorten(format_shape(one.variable.shape), self._shapes)
        change = finetune.changes.get(one.key, 0.0)
        moved = f"{change:.3g}" if change else "-" if finetune.changes else ""
        pieces = [
            ("[x] " if one.train else "[ ] ", "tick" if one.train else "facts"),
            (name + " " * (self._names - text.width(name) + 2), "name" if one.train else "facts"),
            (shape + " " * (self._shapes - len(shape) + 2), "facts"),
            (f"{moved:>{_CHANGE}}  ", "moved" if change else "facts"),
        ]
        state, style = self._state(drawn.variable)
        left = cells - sum(text.width(piece) for piece, _ in pieces)
        state = state if text.width(state) <= left else text.take(state, max(0, left - 1)) + text.ELLIPSIS
        pieces.append((state if left > 2 else "", style))
        return [Segment(piece, self.piece_style(f"tune--{style}")) for piece, style in pieces]

    def _state(self, number: int) -> tuple[str, str]:
        """What is known of a variable's gradient, in a few words."""
        one = self.finetune.variables[number]
        reach = self.finetune.reach.get(one.key)
        if reach is None:
            return ("thawed" if one.train and not is_marked(one) else "held" if one.hold else ""), "facts"
        if reach.moved and not one.hold:
            return "moved by the function", "facts"
        if reach.gradient:
            if one.train and reach.why:
                return reach.why, "wrong"
            return "gradient" if one.train else "(gradient)", "facts"
        return f"no gradient: {reach.why}", "wrong" if one.train else "facts"

    def act(self) -> None:
        """See `LineView`."""
        self.action_tick()

    def action_tick(self) -> None:
        """Ticks the cursor's variable, or takes its tick away."""
        finetune = self.finetune
        if finetune.variables:
            finetune.tick([finetune.variable], not finetune.variables[finetune.variable].train)

    def action_all(self) -> None:
        """Ticks all that the model trains."""
        self.finetune.tick_all(True)

    def action_none(self) -> None:
        """Takes every tick away."""
        self.finetune.tick_all(False)

    def action_find(self, train: bool) -> None:
        """Asks for variables by name."""
        self.post_message(self.FindRequested(train))


def _wrapped(sentence: str, cells: int) -> list[str]:
    """A sentence in lines, its indent kept."""
    import textwrap

    indent = " " * (len(sentence) - len(sentence.lstrip()))
    return textwrap.wrap(sentence, max(8, cells), subsequent_indent=indent, drop_whitespace=True) or [sentence]
