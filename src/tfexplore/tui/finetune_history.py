"""The figures of all steps since the weights were loaded, in bounded room: of many steps their means."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

# Bins are halved to as many when there are twice as many.
_BINS = 1_024
_LATEST = 10
_TIMED = 200


class Bin(NamedTuple):
    """Some steps in a row: the first, how many, and the sums of what they gave."""

    step: int
    steps: int
    loss: float
    gradient_norm: float


class History:
    """What the curve is drawn from.

    Attributes:
        bins: each of `size` steps, but for the last.
        size: steps of a bin.
        first: the loss of the first step; None before.
        last: the loss of the last step.
        gradient_norm: of the last step.
        rate: steps a second, by the median of the last ones: those that were compiled meanwhile do not count.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets all."""
        self.bins: list[Bin] = []
        self.size = 1
        self.first: float | None = None
        self.last = self.gradient_norm = math.nan
        self.rate = 0.0
        self._seconds: deque[float] = deque(maxlen=_TIMED)
        self._latest: deque[float] = deque(maxlen=_LATEST)
        self._earliest: list[float] = []

    def __len__(self) -> int:
        return sum(one.steps for one in self.bins)

    def add(self, figures: Iterable[tuple[int, float, float, float]]) -> None:
        """Takes steps in: number, loss, gradient norm and seconds of each."""
        for step, loss, norm, took in figures:
            self._seconds.append(took)
            self.first = loss if self.first is None else self.first
            self.last, self.gradient_norm = loss, norm
            self._latest.append(loss)
            if len(self._earliest) < _LATEST:
                self._earliest.append(loss)
            if not math.isfinite(loss) or not math.isfinite(norm):
                continue
            if self.bins and self.bins[-1].steps < self.size:
                old = self.bins[-1]
                self.bins[-1] = Bin(old.step, old.steps + 1, old.loss + loss, old.gradient_norm + norm)
            else:
                self.bins.append(Bin(step, 1, loss, norm))
            if len(self.bins) > 2 * _BINS:
                self._halve()
        if self._seconds:
            middle = median(self._seconds)
            self.rate = 1 / middle if middle > 0 else 0.0

    def _halve(self) -> None:
        pairs = [self.bins[place : place + 2] for place in range(0, len(self.bins), 2)]
        self.bins = [
            Bin(
                pair[0].step,
                sum(one.steps for one in pair),
                sum(one.loss for one in pair),
                sum(one.gradient_norm for one in pair),
            )
            for pair in pairs
        ]
        self.size *= 2

    def losses(self, window: int = 1) -> list[float]:
        """The losses by bin; with a window the mean of as many steps up to each."""
        values = [one.loss / one.steps for one in self.bins]
        wide = max(1, window // self.size)
        if wide == 1:
            return values
        found, total = [], 0.0
        for place, value in enumerate(values):
            total += value - (values[place - wide] if place >= wide else 0.0)
            found.append(total / min(place + 1, wide))
        # The first ones are means of fewer: as the first whole window is, for they would only show its noise.
        return [found[wide - 1]] * (wide - 1) + found[wide - 1 :] if len(found) >= wide else found

    @property
    def means(self) -> tuple[float, float] | None:
        """The mean loss of the first steps and of the last ones; None while they are the same."""
        if len(self) < 2 * _LATEST:
            return None
        return sum(self._earliest) / _LATEST, sum(self._latest) / _LATEST
