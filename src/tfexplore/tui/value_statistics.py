"""Statistics as rows of text beside the values: what is wrong first, then the numbers, then how they are spread."""

from __future__ import annotations

from tfexplore.core import pictures, text
from tfexplore.core.pictures import BAD, LABEL, LEVELS, Row, Run
from tfexplore.core.statistics import MAGNITUDES, STRINGS, Distribution, Statistics

_PLAIN = LEVELS - 1
# Lines from which on each figure has one of its own, and the cells that a column takes where it has not.
_HIGH, _COLUMN = 20, 36
_LEAST_BARS = 3
_MOST_BARS = 12


def statistics_rows(
    found: Statistics,
    spread: Distribution | None,
    cells: int,
    lines: int,
    *,
    ascii_only: bool,
    only_bars: bool,
    waiting: str,
) -> list[Row]:
    """The rows of the panel.

    Args:
        spread: percentiles and histogram, once they are known.
        only_bars: the histogram has all the room.
        waiting: what is said where `spread` is still to come; empty where it never will.
    """
    if only_bars:
        if spread is None:
            return [_said(waiting or "No finite values to count.")]
        return pictures.histogram(spread.counts, spread.low, spread.high, cells, lines, ascii_only=ascii_only)
    numbers = _strings(found) if found.of == STRINGS else _numbers(found)
    rows = [*_odd(found), *_beside(numbers, cells, lines)]
    if spread is None:
        return [*rows, [], _said(waiting)] if waiting else rows
    percentiles = _percentiles(spread, cells, lines)
    room = lines - len(rows) - len(percentiles)
    blank: list[Row] = [[]] if room > _LEAST_BARS + 1 else []
    height = min(room - len(blank), _MOST_BARS)
    if height >= _LEAST_BARS:
        bars = pictures.histogram(spread.counts, spread.low, spread.high, cells, height, ascii_only=ascii_only)
        rows += [*blank, *bars]
    return [*rows, *percentiles]


def _beside(rows: list[Row], cells: int, lines: int) -> list[Row]:
    """Pairs below each other, or where there is little height two beside each other."""
    if lines >= _HIGH or cells < 2 * _COLUMN:
        return rows
    half = -(-len(rows) // 2)
    joined = []
    for number, row in enumerate(rows[:half]):
        used = sum(text.width(run.text) for run in row)
        other = rows[half + number] if half + number < len(rows) else []
        joined.append([*row, Run(" " * max(1, _COLUMN - used)), *other])
    return joined


def _said(sentence: str) -> Row:
    return [Run(sentence, LABEL)]


def _pair(label: str, value: str, fg: int = _PLAIN) -> Row:
    return [Run(f"{label:<9}", LABEL), Run(f"{value:>14}", fg)]


def _odd(found: Statistics) -> list[Row]:
    """What should not be there."""
    rows = []
    for count, what in (
        (found.nan, "NaN"),
        (found.positive_inf, "Inf" if found.of == MAGNITUDES else "+Inf"),
        (found.negative_inf, "-Inf"),
    ):
        if count:
            rows.append(_pair(f"! {what}", f"{count:,} of {found.elements:,}", BAD))
    if found.checksum == "bad":
        rows.append([Run("! checksum bad: these are not the values that were written", BAD)])
    return rows


def _number(value: int | float | None) -> str:
    if value is None:
        return "none"
    return text.count(value) if isinstance(value, int) else f"{value:.6g}"


def _numbers(found: Statistics) -> list[Row]:
    rows = [_pair("elements", f"{found.elements:,}")]
    if not found.of:
        return rows
    if found.of == MAGNITUDES:
        rows.append(_said("of the magnitudes:"))
    rows += [
        _pair(label, _number(value))
        for label, value in (
            ("min", found.minimum),
            ("max", found.maximum),
            ("mean", found.mean),
            ("std", found.std),
        )
    ]
    zeros = _pair("zeros", f"{found.zeros:,}")
    if found.zeros:
        zeros.append(Run(f"  {100 * found.zeros / found.elements:.1f} %", LABEL))
    return [*rows, zeros]


def _strings(found: Statistics) -> list[Row]:
    rows = [_pair("elements", f"{found.elements:,}")]
    strings = found.strings
    if strings is not None:
        distinct = f"{strings.distinct:,}" if strings.distinct is not None else "too many to count"
        rows += [
            _pair("distinct", distinct),
            _pair("empty", f"{strings.empty:,}"),
            _pair("shortest", text.plural(strings.shortest, "byte")),
            _pair("longest", text.plural(strings.longest, "byte")),
            _pair("together", text.size(strings.total)),
        ]
    return rows


def _percentiles(spread: Distribution, cells: int, lines: int) -> list[Row]:
    """Each on a line of its own where there is room, else the middle ones beside each other."""
    about = f"each ± {spread.error:.2g}" if spread.error else ""
    if lines >= _HIGH:
        rows = [_pair(f"{percent} %", f"{value:.6g}") for percent, value in spread.percentiles.items()]
        return [[], *rows, *([_said(about)] if about else [])]
    shown = "  ".join(f"{percent}% {value:.3g}" for percent, value in spread.percentiles.items())
    return [_said(text.take(f"{shown}  {about}", cells))]
