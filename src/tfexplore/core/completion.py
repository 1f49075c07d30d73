"""Names that begin like what is being typed, out of as many as a graph has.

Sorted in pieces: one sort of a million names would hold up every other thread for as long as it takes.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence
from heapq import nsmallest
from typing import NamedTuple

from tfexplore.core import text
from tfexplore.errors import Cancelled

_PIECE = 16_384
# Above every character that may follow a prefix.
_AFTER = chr(0x10FFFF)


class Completions(NamedTuple):
    """The first names that begin so, in order, and how many there are in all."""

    names: tuple[str, ...]
    total: int


class NameIndex:
    """Sorted pieces of a list of names.

    Raises:
        Cancelled: `cancel` was set while they were sorted.
    """

    def __init__(self, names: Sequence[str], cancel: threading.Event | None = None) -> None:
        self._pieces: list[list[str]] = []
        for start in range(0, len(names), _PIECE):
            if cancel is not None and cancel.is_set():
                raise Cancelled
            self._pieces.append(sorted(names[start : start + _PIECE]))

    def complete(self, prefix: str, limit: int = 5) -> Completions:
        """The names that begin with `prefix`; one that cannot be typed (see `text.visible`) is counted alone."""
        found: list[str] = []
        total = 0
        for piece in self._pieces:
            start = bisect_left(piece, prefix)
            end = bisect_left(piece, prefix + _AFTER)
            total += end - start
            taken = 0
            for place in range(start, min(end, start + 50 * limit)):
                name = piece[place]
                if text.visible(name) == name:
                    found.append(name)
                    taken += 1
                    if taken == limit:
                        break
        return Completions(tuple(nsmallest(limit, found)), total)
