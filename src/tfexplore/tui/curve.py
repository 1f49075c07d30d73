"""Curves in characters: filled columns in eighths of a cell, or in ASCII, with figures at their left."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_ASCII = " .:#"
LABEL = 9


class Curve(NamedTuple):
    """A drawn curve, the highest line first: of each the figure at its left, and pieces.

    A piece is a text, and whether it is what lies below the curve.
    """

    lines: tuple[tuple[str, tuple[tuple[str, bool], ...]], ...]


def columns(values: Sequence[float], cells: int) -> list[float]:
    """As many values as cells: of many their means, of few each several times."""
    if not values or cells <= 0:
        return []
    if len(values) <= cells:
        return [values[place * len(values) // cells] for place in range(cells)]
    found = []
    for place in range(cells):
        part = values[place * len(values) // cells : (place + 1) * len(values) // cells]
        found.append(sum(part) / len(part))
    return found


def draw(name: str, values: Sequence[float], cells: int, height: int, *, ascii_only: bool) -> Curve:
    """Finite values as a curve.

    Args:
        name: of what they are; stands at the left where there is room.
        cells: its width, the figures at its left included.
    """
    room = cells - LABEL - 2
    drawn = columns(values, room)
    if not drawn or height <= 0:
        return Curve(())
    low, high = min(drawn), max(drawn)
    if low > 0 and low < high / 3:
        low = 0.0
    span = high - low
    glyphs = _ASCII if ascii_only else _EIGHTHS
    steps = len(glyphs) - 1
    axis = "|" if ascii_only else "│"
    # The lowest value still shows: an empty column would look like no value.
    filled = [max(1, round((value - low) / span * height * steps)) if span else height * steps // 2 for value in drawn]
    lines = []
    for row in range(height):
        below = (height - 1 - row) * steps
        cells_of = [(glyphs[max(0, min(steps, one - below))], one > below + steps) for one in filled]
        body = tuple(("".join(glyph for glyph, _ in part), low) for low, part in groupby(cells_of, lambda one: one[1]))
        label = figure(high) if row == 0 else figure(low) if row == height - 1 else name if row == 1 else ""
        lines.append((f"{label:>{LABEL}} {axis}", body))
    return Curve(tuple(lines))


def axis(first: int, last: int, cells: int, *, ascii_only: bool) -> str:
    """The line below a curve, with the numbers of its first and last steps."""
    corner, line = ("+", "-") if ascii_only else ("└", "─")
    room = cells - LABEL - 2
    left, right = f" {first:,} ", f" step {last:,} "
    if room < len(left) + len(right) + 4:
        return " " * (LABEL + 1) + corner + line * max(0, room)
    return " " * (LABEL + 1) + corner + left + line * (room - len(left) - len(right)) + right


def figure(value: float) -> str:
    """A number in at most `LABEL` cells."""
    found = f"{value:.4g}"
    return found if len(found) <= LABEL else f"{value:.1e}"
