"""How a run goes: where it is, the curve of its loss, the gradient norm, and what happened."""

from __future__ import annotations

import math
import textwrap
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.strip import Strip

from tfexplore.core import text
from tfexplore.tui import curve
from tfexplore.tui.finetune import Finetune
from tfexplore.tui.finetune_run import READY, RUNNING, STOPPING
from tfexplore.tui.labels import is_ascii
from tfexplore.tui.widgets.line_view import LineView

_Line = list[tuple[str, str]]
_MAX_NEWEST, _HIGH = 3, 8
_LEAST_LOSS, _GRADIENT = 3, 3
_NOTHING = (
    "Ctrl-R takes steps of the optimizer on what the form describes, l first looks which variables get a gradient. "
    "TensorFlow is started then, in a process and a sandbox of its own; the model's files stay as they are. "
    "x exports a copy with the new weights, r goes back to the weights as loaded."
)


class CurveView(LineView):
    """Status, loss, gradient norm, and the sentences of what happened, the newest first."""

    TITLE = "The loss"
    HELP = (
        "The loss before each step, as the mean of a pass over the rows (m: each step by itself), and the L2 norm of "
        "the gradient; of many steps the means. The figures at the left are the highest and the lowest. Below, what "
        "happened, the newest first."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "m", "smooth", "Mean or each", id="curve.mean", tooltip="The mean of a pass over the rows, or each step"
        ),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--cursor",
        "line--cursor-blurred",
        "tune--status",
        "tune--facts",
        "tune--name",
        "tune--loss",
        "tune--gradient",
        "tune--below",
        "tune--wrong",
    }

    def __init__(self, finetune: Finetune, *, id: str) -> None:
        super().__init__(id=id)
        self.finetune = finetune
        self._drawn: list[_Line] = []
        self._line = self._news = 0
        self._smooth = True
        self._base = Style()

    @property
    def line_count(self) -> int:
        """See `LineView`."""
        return len(self._drawn)

    @property
    def cursor_line(self) -> int:
        """See `LineView`."""
        return min(self._line, max(0, len(self._drawn) - 1))

    @property
    def has_focus_or_marks(self) -> bool:
        """Nothing is chosen here: arrows scroll."""
        return False

    def action_move(self, lines: int) -> None:
        """Scrolls."""
        self._line = max(0, min(self.scroll_offset.y + lines, len(self._drawn) - 1))
        self.scroll_to(y=self._line, animate=False, immediate=True)

    def move_cursor(self, line: int) -> None:
        """See `LineView`."""
        self._line = line
        self.scroll_to(y=line, animate=False, immediate=True)

    def show_cursor(self) -> None:
        """See `LineView`; it stays where it was scrolled to."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """See `Widget`; the style of the pane is the same for all lines, and costs as much as drawing one."""
        self._base = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """See `LineView`."""
        cells, line = self.scrollable_content_region.width, self.scroll_offset.y + y
        if line >= len(self._drawn):
            return Strip.blank(cells, self._base)
        return Strip(self.draw_line(line, cells)).adjust_cell_length(cells).apply_style(self._base)

    def update_figures(self) -> None:
        """Draws the lines that are no longer the same."""
        old, region = self._drawn, self.scrollable_content_region
        self._drawn = self._lay_out(max(20, region.width), max(1, region.height))
        if len(old) != len(self._drawn):
            self.update_lines()
            return
        top = self.scroll_offset.y
        for y in range(min(region.height, len(old) - top)):
            if old[top + y] != self._drawn[top + y]:
                self.refresh_line(top + y)

    def update_lines(self) -> None:
        """See `LineView`; draws the curves for the pane's size."""
        region = self.scrollable_content_region
        self._drawn = self._lay_out(max(20, region.width), max(1, region.height))
        if self.finetune.news != self._news:  # the newest stands at the top
            self._news, self._line = self.finetune.news, 0
            self.scroll_to(y=0, animate=False, immediate=True)
        window = max(self._window, self.finetune.history.size)
        self.border_title = f"Loss, mean of {window:,} steps" if window > 1 else "Loss"
        self.border_subtitle = f"runtime: {self.finetune.state}"
        super().update_lines()

    @property
    def _window(self) -> int:
        """Over how many steps the loss is averaged: a pass over the rows, as long as there were several passes."""
        window = self.finetune.history.window
        return window if self._smooth and len(self.finetune.history) >= 2 * window else 1

    def action_smooth(self) -> None:
        """Shows the loss of each step, or of many together."""
        self._smooth = not self._smooth
        self.update_lines()

    def _lay_out(self, cells: int, height: int) -> list[_Line]:
        finetune = self.finetune
        lines: list[_Line] = [self._status()]
        said = list(reversed(finetune.said))
        newest = _wrapped(said[0].sentence, cells) if said else []
        style = "wrong" if said and said[0].bad else "name"
        shown = newest[: _MAX_NEWEST if height >= _HIGH else 1]
        if len(shown) < len(newest):
            shown[-1] = text.take(shown[-1], cells - 2) + " …"
        lines += [[(line, style)] for line in shown]
        if len(finetune.history):
            lines += self._curves(cells, height - len(lines), len(said) - 1)
        elif not said and finetune.phase != READY:
            lines.append([("Escape stops this.", "facts")])
        elif not said:
            lines += [[(line, "facts")] for line in _wrapped(_NOTHING, cells)]
        for one in said if len(shown) < len(newest) else said[1:]:
            lines += [[(line, "wrong" if one.bad else "facts")] for line in _wrapped(one.sentence, cells)]
        return lines

    def _status(self) -> _Line:
        """One line: what is being done, and the last figures."""
        finetune, history = self.finetune, self.finetune.history
        if finetune.phase == RUNNING and not finetune.doing:
            where = f"step {finetune.step:,} of {finetune.total:,}"
        elif finetune.phase != READY:
            doing = finetune.doing or finetune.phase
            where = f"{'stopping ' if finetune.phase == STOPPING else ''}{doing} …"
        elif finetune.left:
            where = f"paused at step {finetune.step:,} of {finetune.step + finetune.left:,}"
        else:
            where = f"step {finetune.step:,}" if finetune.has_tuned else "ready"
        figures = []
        arrow = "->" if is_ascii() else "→"
        if len(history) and math.isfinite(history.last):
            figures.append(f"loss {history.last:.4g}")
            means = history.means
            if means is not None:
                figures[-1] += f" (mean {means[0]:.4g} {arrow} {means[1]:.4g})"
            figures.append(f"gradient {history.gradient_norm:.3g}")
            if finetune.phase == RUNNING and history.rate:
                figures.insert(0, f"{history.rate:,.0f} steps/s")
        elif finetune.prepared is not None and math.isfinite(finetune.prepared.loss):
            figures.append(f"loss {finetune.prepared.loss:.5g} on the first batch")
        return [(where, "status"), ("".join(f" · {one}" for one in figures), "facts")]

    def _curves(self, cells: int, height: int, older: int) -> list[_Line]:
        """The loss, and below it the gradient norm where there is room."""
        bins = self.finetune.history.bins
        ascii_only = is_ascii()
        room = height - 1 - max(0, min(older, 3 if height > 14 else 0))
        gradient = _GRADIENT if room >= _LEAST_LOSS + _GRADIENT + 1 else 0
        loss = max(1, room - gradient)
        found = curve.draw("loss", self.finetune.history.losses(self._window), cells, loss, ascii_only=ascii_only)
        lines = [_drawn(label, body, "loss", "below") for label, body in found.lines]
        if gradient:
            norms = [one.gradient_norm / one.steps for one in bins]
            found = curve.draw("gradient", norms, cells, gradient, ascii_only=ascii_only)
            lines += [_drawn(label, body, "gradient", "below") for label, body in found.lines]
        last = bins[-1].step + bins[-1].steps - 1
        lines.append([(curve.axis(bins[0].step, last, cells, ascii_only=ascii_only), "facts")])
        return lines

    def draw_line(self, line: int, cells: int) -> list[Segment]:
        """See `LineView`."""
        segments = []
        for piece, style in self._drawn[line]:
            piece = piece if text.width(piece) <= cells else text.take(piece, max(0, cells - 1)) + text.ELLIPSIS
            cells -= text.width(piece)
            segments.append(Segment(piece, self.piece_style(f"tune--{style}")))
        return segments


def _drawn(label: str, body: tuple[tuple[str, bool], ...], curve: str, below: str) -> _Line:
    return [(label, "facts"), *((piece, below if is_below else curve) for piece, is_below in body)]


def _wrapped(sentence: str, cells: int) -> list[str]:
    return textwrap.wrap(sentence, max(8, cells)) or [""]
