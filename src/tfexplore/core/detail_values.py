"""The statistics of a tensor as lines of the detail pane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.detail import Block, Line
from tfexplore.core.histogram_text import line
from tfexplore.core.items import Cancel
from tfexplore.core.statistics import Distribution, Statistics, distribution, known_statistics, statistics
from tfexplore.core.values import format_value
from tfexplore.errors import ChecksumError, ModelError

if TYPE_CHECKING:
    from tfexplore.core.tensor_source import TensorSource

# Statistics of a tensor of up to so many bytes are taken when somebody looks at it.
AT_ONCE = 1 << 20
_CELLS = 32


def statistics_block(source: TensorSource, cancel: Cancel) -> list[Block]:
    """Statistics of a small tensor, or of one whose statistics are known; of another how to get them."""
    if _elements(source) <= 1:
        return []  # its value says it all
    found = known_statistics(source)
    if found is None and max(source.nbytes or 0, _elements(source)) > AT_ONCE:
        nbytes = source.nbytes or 0
        return [Block("statistics", (Line("", f"not taken yet: v takes them, {text.size(nbytes)} are read"),))]
    try:
        if found is None:
            found = statistics(source, cancel=cancel)
        small = max(source.nbytes or 0, _elements(source)) <= AT_ONCE
        spread = distribution(source, found, cancel=cancel) if small else None
    except ChecksumError:
        return []  # the block with the values says so
    except ModelError as error:
        return [Block("statistics", (Line("", text.visible(str(error))),))]
    lines = tuple(statistics_lines(found, spread))
    return [Block("statistics", lines)] if lines else []


def _elements(source: TensorSource) -> int:
    from math import prod

    return prod(source.shape)


def statistics_lines(found: Statistics, spread: Distribution | None) -> list[Line]:
    """Least, greatest, mean and deviation; NaN, infinities and zeros; a histogram of one line."""
    if found.strings is not None:
        strings = found.strings
        distinct = "more than are counted" if strings.distinct is None else text.count(strings.distinct)
        return [
            Line("lengths", f"{strings.shortest:,} to {strings.longest:,}, {strings.total:,} bytes in all"),
            Line("empty", f"{strings.empty:,}"),
            Line("distinct", distinct),
        ]
    if not found.of:
        return []
    of = " (of the magnitudes)" if found.of == "magnitudes" else ""
    lines: list[Line] = []
    if found.minimum is not None:
        low, high = format_value(found.minimum), format_value(found.maximum)
        lines.append(Line("min", f"{low}  max {high}  mean {_short(found.mean)}  std {_short(found.std)}{of}"))
    zeros = f"{found.zeros * 100 / found.elements:.1f} %" if found.elements else "0"
    infinities = f"{found.inf:,}"
    if found.negative_inf:
        infinities += f" ({found.negative_inf:,} negative)"
    lines.append(Line("NaN", f"{found.nan:,}  Inf {infinities}  zeros {zeros}"))
    if spread is not None and spread.high > spread.low:
        ends = f"{format_value(spread.low)} … {format_value(spread.high)}"
        lines.append(Line("spread", f"{line(spread.counts, _CELLS)}  {ends}", columns=True))
    return lines


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
