"""One line of standard error that is drawn over again, where that is a terminal."""

from __future__ import annotations

import sys
import time

from tfexplore.cli import diagnostics
from tfexplore.core import text

_EVERY = 0.1
_CELLS = 78


class Redrawn:
    """The line. Nothing is drawn with `--quiet`."""

    def __init__(self, *, quiet: bool) -> None:
        self.shown = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._cells = 0

    def draw(self, line: str) -> None:
        """Draws it anew."""
        if not self.shown:
            return
        line = text.shorten(line, _CELLS)
        pad = " " * max(0, self._cells - text.width(line))
        diagnostics.redraw(f"\r{line}{pad}" + ("" if line else "\r"))
        self._cells = text.width(line)

    def clear(self) -> None:
        """Takes it away."""
        if self._cells:
            self.draw("")


class BytesRead(Redrawn):
    """How much has been read, told some times a second.

    Args:
        what: what is being done: `reading`.
    """

    def __init__(self, what: str, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._what = what
        self._next = time.monotonic() + 2 * _EVERY

    def __call__(self, done: int, total: int) -> None:
        """So many bytes of so many are done."""
        now = time.monotonic()
        if self.shown and now >= self._next:
            self._next = now + _EVERY
            share = f" ({min(done, total) * 100 // total} %)" if total else ""
            self.draw(f"{self._what} {text.size(done)} of {text.size(total)}{share} …")
