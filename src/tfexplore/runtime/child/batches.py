"""Which rows come in which batch, so that a run goes on where another one stopped.

The place in the data is a count of rows since the beginning (`epoch * rows + row of the epoch`) and the seed. The order
of an epoch is the stable argsort of what `numpy.random.PCG64([seed, epoch])` gives as raw 64-bit numbers, one a row: a
bit generator's stream is the same in every version of NumPy (NEP 19), which a shuffle by `Generator` is not. This is
the one home of that order: a script takes it over as text.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np


def order(rows: int, seed: Optional[int], epoch: int) -> Any:
    """The rows of an epoch in the order that they are used, as int64; without a seed the file's order."""
    if seed is None:
        return np.arange(rows)
    return np.argsort(np.random.PCG64([seed, epoch]).random_raw(rows), kind="stable")


class Batches:
    """Batches without end, over and over the same rows.

    Args:
        rows: how many there are, at least 1.
        size: rows in a batch, at least 1. The last batch of an epoch has what is left.
        seed: from 0 on; None for the file's order in every epoch.
        drop_short: whether an epoch ends before a batch of fewer rows.
        place: where to go on: rows since the beginning, see `place`. Another size of batches may be taken up there.

    Raises:
        ValueError: a number is out of its range, or `drop_short` leaves no batch.
    """

    def __init__(
        self, rows: int, size: int, seed: Optional[int] = None, *, drop_short: bool = False, place: int = 0
    ) -> None:
        if rows < 1 or size < 1 or place < 0 or (seed is not None and seed < 0):
            raise ValueError(f"no batches of {size} of {rows} rows from row {place} with seed {seed}")
        if drop_short and size > rows:
            raise ValueError(f"a batch of {size} is never full with {rows} rows")
        self.rows = rows
        self.size = size
        self.seed = seed
        self.drop_short = drop_short
        self.place = place
        self._order: Any = None
        self._epoch = -1

    @property
    def epoch(self) -> int:
        """The epoch that the next row belongs to, from 0 on."""
        return self.place // self.rows

    def next(self) -> Any:
        """The numbers of the rows of the next batch, as int64; `place` goes on by what it took."""
        epoch, first = divmod(self.place, self.rows)
        if self.drop_short and self.rows - first < self.size:
            epoch, first = epoch + 1, 0
        if epoch != self._epoch:
            self._order, self._epoch = order(self.rows, self.seed, epoch), epoch
        found = self._order[first : first + self.size]
        self.place = epoch * self.rows + first + len(found)
        return found
