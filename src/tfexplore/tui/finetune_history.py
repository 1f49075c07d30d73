"""The figures of all steps since the weights were loaded, in bounded room: of many steps their means."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

# Bins are halved to as many when there are twice as many.
_BINS = 1_024
_TIMED = 200


class Bin(NamedTuple):
    """Some steps in a row: the first, how many, the rows that they took, and sums: of loss by row, of norms by step."""

    step: int
    steps: int
    rows: int
    loss: float
    gradient_norm: float


class History:
    """What the curve is drawn from.

    Attributes:
        rows, batch: of the data and of a full batch; 0 for constants.
        bins: each of `size` steps, but for the last.
        size: steps of a bin.
        first: the loss of the first step; None before.
        last: the loss of the last step.
        gradient_norm: of the last step.
        rate: steps a second, by the median of the last ones: those that were compiled meanwhile do not count.
    """

    def __init__(self) -> None:
        self.rows = self.batch = 0
        self.clear()

    def clear(self) -> None:
        """Forgets all."""
        self.bins: list[Bin] = []
        self.size = 1
        self.first: float | None = None
        self.last = self.gradient_norm = math.nan
        self.rate = 0.0
        self._count = 0
        self._first_pass: float | None = None
        self._seconds: deque[float] = deque(maxlen=_TIMED)

    def __len__(self) -> int:
        return self._count

    def add(self, figures: Iterable[tuple[int, float, float, float]]) -> None:
        """Takes steps in: number, loss, gradient norm and seconds of each."""
        for step, loss, norm, took in figures:
            self._seconds.append(took)
            self.first = loss if self.first is None else self.first
            self.last, self.gradient_norm = loss, norm
            if not math.isfinite(loss) or not math.isfinite(norm):
                continue
            self._count += 1
            rows = self._rows_of(step)
            if self.bins and self.bins[-1].steps < self.size:
                old = self.bins[-1]
                total = old.loss + rows * loss
                self.bins[-1] = Bin(old.step, old.steps + 1, old.rows + rows, total, old.gradient_norm + norm)
            else:
                self.bins.append(Bin(step, 1, rows, rows * loss, norm))
            if len(self.bins) > 2 * _BINS:
                self._halve()
        if self._seconds:
            middle = median(self._seconds)
            self.rate = 1 / middle if middle > 0 else 0.0

    def _halve(self) -> None:
        _ = self.means  # while the first pass has bins of its own
        pairs = [self.bins[place : place + 2] for place in range(0, len(self.bins), 2)]
        self.bins = [
            Bin(
                pair[0].step,
                sum(one.steps for one in pair),
                sum(one.rows for one in pair),
                sum(one.loss for one in pair),
                sum(one.gradient_norm for one in pair),
            )
            for pair in pairs
        ]
        self.size *= 2

    @property
    def window(self) -> int:
        """How many steps one pass over the rows takes."""
        return -(-self.rows // self.batch) if self.batch else 1

    def _rows_of(self, step: int) -> int:
        """The rows of a step's batch: the last one of a pass may be short."""
        last = self.rows - (self.window - 1) * self.batch
        return max(1, last if step % self.window == 0 else self.batch)

    def losses(self, window: int = 1) -> list[float]:
        """The losses by bin; with a window the mean of the rows of as many steps up to each."""
        wide = max(1, window // self.size)
        if wide == 1:
            return [one.loss / one.rows for one in self.bins]
        found, loss, rows = [], 0.0, 0
        for place, one in enumerate(self.bins):
            old = self.bins[place - wide] if place >= wide else None
            loss += one.loss - (old.loss if old is not None else 0.0)
            rows += one.rows - (old.rows if old is not None else 0)
            found.append(loss / rows)
        # The first ones are means of fewer: as the first whole window is, for they would only show its noise.
        return [found[wide - 1]] * (wide - 1) + found[wide - 1 :] if len(found) >= wide else found

    @property
    def means(self) -> tuple[float, float] | None:
        """The mean loss of the first pass over the rows, and of the last or more; None while they overlap."""
        wide = max(1, self.window // self.size)
        if self.window < 2 or len(self.bins) < 2 * wide:
            return None
        if self._first_pass is None:
            self._first_pass = _mean(self.bins[:wide])
        return self._first_pass, _mean(self.bins[-wide:])


def _mean(bins: list[Bin]) -> float:
    return sum(one.loss for one in bins) / sum(one.rows for one in bins)
