"""Histograms in characters: a line of blocks, or several rows of them; ASCII where a terminal has no blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:-=+*#@"


def rebinned(counts: Sequence[int], width: int) -> list[int]:
    """The counts in at most `width` parts: neighbours are added up, an equal number to each part but for one."""
    width = max(1, min(width, len(counts)))
    ends = [len(counts) * place // width for place in range(width + 1)]
    return [sum(counts[start:end]) for start, end in pairwise(ends)]


def line(counts: Sequence[int], width: int, *, ascii_only: bool = False) -> str:
    """A histogram as one line of at most `width` cells; a part that holds anything is never blank.

    Heights are shares of the fullest part, as they are per element of equally wide parts.
    """
    return rows(counts, width, 1, ascii_only=ascii_only)[0]


def rows(counts: Sequence[int], width: int, height: int, *, ascii_only: bool = False) -> list[str]:
    """A histogram of `height` lines, the top one first."""
    if not counts:
        return [""] * height
    marks = ASCII if ascii_only else BLOCKS
    steps = len(marks) - 1
    parts = rebinned(counts, width)
    # Parts may differ by one in how many counts they hold: what counts is the mean of each.
    sizes = rebinned([1] * len(counts), width)
    means = [part / size for part, size in zip(parts, sizes, strict=True)]
    most = max(means)
    if not most:
        return [" " * len(parts)] * height
    levels = [max(1, round(mean / most * steps * height)) if mean else 0 for mean in means]
    return [
        "".join(marks[min(max(level - steps * row, 0), steps)] for level in levels) for row in reversed(range(height))
    ]
