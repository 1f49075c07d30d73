"""Levels as colours of the theme: from the background over the accent to the colour of text."""

from __future__ import annotations

from functools import lru_cache

from rich.color import Color as RichColor
from rich.style import Style
from textual.color import Color

from tfexplore.core.pictures import BAD, EMPTY, LABEL, LEVELS, Row
from tfexplore.tui.values import HEAT

# The strongest heat is no stronger than this, or the numbers before it could not be read.
_STRONGEST = 0.62


class Ramp:
    """The colours of one theme.

    Args:
        background, accent, opposite, text, error: its colours; `opposite` is for numbers below zero.
    """

    def __init__(self, background: Color, accent: Color, opposite: Color, text: Color, error: Color) -> None:
        self._background = background
        self._heat = [
            background.blend(accent, _STRONGEST * level / (HEAT - 1)).rich_color if level else None
            for level in range(HEAT)
        ]
        dark = background.blend(accent, 0.12)
        half = LEVELS // 2
        colours = [dark.blend(accent, level / half) for level in range(half)]
        colours += [accent.blend(text, (level + 1) / (LEVELS - half)) for level in range(LEVELS - half)]
        # Of numbers of both signs zero is as calm as the background.
        below = [opposite.blend(background, level / half) for level in range(half)]
        above = [background.blend(accent, (level + 1) / (LEVELS - half)) for level in range(LEVELS - half)]
        self._levels = [colour.rich_color for colour in (*colours, *below, *above)]
        self._named = {LABEL: background.blend(text, 0.6).rich_color, BAD: error.rich_color}
        self.style = lru_cache(maxsize=4096)(self._style)

    def heat(self, level: int | None) -> RichColor | None:
        """What lies behind a cell; None where the pane's own background does."""
        return self._heat[level] if level is not None else None

    def _style(self, fg: int, bg: int) -> Style:
        """The look of a run of a picture."""
        colour = self._named.get(fg) or (self._levels[fg] if fg != EMPTY else None)
        return Style(color=colour, bgcolor=self._levels[bg] if bg >= 0 else None, bold=fg == BAD or None)


def cells_of(row: Row) -> int:
    """How many cells a row of a picture takes."""
    return sum(len(run.text) for run in row)
