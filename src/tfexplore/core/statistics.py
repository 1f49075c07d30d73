"""Statistics of a tensor, taken piece by piece on the way through all of its values.

First minimum, maximum, mean and standard deviation of the finite values, zeros, NaN and infinities; then, where
somebody wants to know, percentiles and a histogram, which take a second way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tfexplore.core.tensor_source import KeySource, Progress, TensorSource
from tfexplore.errors import ChangedError
from tfexplore.formats import dtypes
from tfexplore.formats.table import check_cancel

if TYPE_CHECKING:
    import numpy as np

    from tfexplore.core.block_statistics import Part, Strings
    from tfexplore.formats.bundle_values import Checksum

T = TypeVar("T")

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
BINS = 64
VALUES, MAGNITUDES, STRINGS = "values", "magnitudes", "strings"
# A distribution is exact for so many elements; of more, percentiles are told from so many equal parts.
EXACT, _PARTS = 1 << 21, 1 << 16
# A tensor of fewer bytes is not worth a second thread, and how often one is read that is rewritten all the time.
_WORTH, _ATTEMPTS = 4 << 20, 100


class StringStatistics(NamedTuple):
    """Statistics of strings; lengths in bytes.

    Attributes:
        distinct: how many different ones there are; None where there are more than are counted.
    """

    empty: int
    shortest: int
    longest: int
    total: int
    distinct: int | None


class Statistics(NamedTuple):
    """What all values of a tensor have in common.

    Attributes:
        of: VALUES; MAGNITUDES of complex numbers; STRINGS; or "" where there is nothing to count (variants).
        checksum: `good` or `bad`, or `unverified` where none is stored or what is stored about it is damaged.
        elements: of the tensor.
        minimum, maximum: of the finite ones, `int` for whole numbers; None where there are none.
        mean, std: of the finite ones, in float64, ddof 0; None where there are none.
        zeros, nan, positive_inf, negative_inf: how many of each. A complex number is infinite where a part of it is,
            and counted as positive.
        strings: for strings, which have none of the numbers.
    """

    of: str
    checksum: Checksum
    elements: int
    minimum: int | float | None = None
    maximum: int | float | None = None
    mean: float | None = None
    std: float | None = None
    zeros: int = 0
    nan: int = 0
    positive_inf: int = 0
    negative_inf: int = 0
    strings: StringStatistics | None = None

    @property
    def inf(self) -> int:
        """How many infinities."""
        return self.positive_inf + self.negative_inf

    @property
    def finite(self) -> int:
        """How many finite values."""
        return self.elements - self.nan - self.inf


class Distribution(NamedTuple):
    """How the finite values of a tensor are spread.

    Attributes:
        percentiles: the value below which so many percent lie, interpolated linearly as numpy does.
        error: how far a percentile may be off; 0 where they are exact.
        low, high: the least and the greatest finite value: the ends of the histogram.
        counts: how many values lie in each of BINS equal parts.
    """

    percentiles: dict[int, float]
    error: float
    low: float
    high: float
    counts: tuple[int, ...]


def statistics(
    source: TensorSource,
    *,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
    threads: int = 1,
) -> Statistics:
    """The statistics of a tensor; kept with its checkpoint, while its files stay what they are.

    Args:
        progress: called with the bytes done and the bytes in all.
        threads: how many may work on a large tensor, the caller's included.

    Raises:
        ModelError: the values cannot be read.
        Cancelled: `cancel` was set.
    """
    return _kept(source, "statistics", lambda: _statistics(source, cancel, progress, threads))


def known_statistics(source: TensorSource) -> Statistics | None:
    """The statistics of a tensor where they have been taken, and its files are still what they were."""
    if not isinstance(source, KeySource):
        return None
    found: Statistics | None = source.checkpoint.kept.get(source.checkpoint.bundle, "statistics", source.key)
    return found


def distribution(
    source: TensorSource,
    known: Statistics,
    *,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
    threads: int = 1,
) -> Distribution | None:
    """Percentiles and histogram of a tensor's finite values; None where there are none. Kept as `statistics`.

    Those of up to EXACT elements are exact; of a larger one the percentiles are told from 65,536 equal parts between
    minimum and maximum, and `error` tells how wide one is.

    Args:
        known: its statistics.

    Raises:
        As `statistics`.
    """
    if known.minimum is None or known.maximum is None:
        return None
    return _kept(source, "distribution", lambda: _distribution(source, known, cancel, progress, threads))


def _kept(source: TensorSource, kind: str, make: Callable[[], T]) -> T:
    """What `make` gives, from files that stayed what they are meanwhile; made once where a checkpoint keeps it."""
    for _ in range(_ATTEMPTS):
        try:
            if not isinstance(source, KeySource):
                return make()
            bundle = source.checkpoint.bundle
            found: T | None = source.checkpoint.kept.get(bundle, kind, source.key)
            if found is None:
                found = make()
                source.checkpoint.kept.put(bundle, kind, source.key, found)
            return found
        except ChangedError:
            continue
    return make()


class _Shared:
    """Pieces of a tensor, taken by several threads in turn; what is made of them is handed over in order."""

    def __init__(self, pieces: Iterator[np.ndarray], take: Callable[[Any], None]) -> None:
        self._pieces = pieces
        self._take = take
        self._reading, self._joining = threading.Lock(), threading.Lock()
        self._begun = self._joined = 0
        self._waiting: dict[int, Any] = {}
        self.error: BaseException | None = None

    def work(self, work: Callable[[np.ndarray], Any]) -> None:
        """Works on pieces until none is left, or another thread failed."""
        try:
            while True:
                with self._reading:
                    piece = None if self.error is not None else next(self._pieces, None)
                    number = self._begun
                    self._begun += 1
                if piece is None:
                    return
                made = work(piece)
                with self._joining:
                    self._waiting[number] = made
                    while self._joined in self._waiting:
                        self._take(self._waiting.pop(self._joined))
                        self._joined += 1
        except BaseException as error:
            self.error = error

    def run(self, maker: Callable[[], Callable[[np.ndarray], Any]], threads: int) -> None:
        """Works in this thread and in others, which have ended when it returns.

        Args:
            maker: makes what works on a piece, once for each thread.

        Raises:
            BaseException: whatever the first failing thread met.
        """
        helpers = [threading.Thread(target=self.work, args=(maker(),), daemon=True) for _ in range(threads - 1)]
        for helper in helpers:
            helper.start()
        self.work(maker())
        for helper in helpers:
            helper.join()
        if self.error is not None:
            raise self.error


def _threads(source: TensorSource, threads: int) -> int:
    return threads if (source.nbytes or 0) > _WORTH else 1


def _elements(source: TensorSource) -> int:
    from math import prod

    return prod(source.shape)


def _statistics(
    source: TensorSource, cancel: threading.Event | None, progress: Progress | None, threads: int
) -> Statistics:
    from tfexplore.core import block_statistics

    check_cancel(cancel)
    base = dtypes.base(source.dtype)
    pieces = source.pieces(cancel, progress, block_statistics.SCRATCH.room)
    elements = _elements(source)
    if base == dtypes.VARIANT:
        for _ in pieces:
            check_cancel(cancel)
        return Statistics("", source.checksum, elements)
    if base == dtypes.STRING:
        return _of_strings(source, pieces, elements)
    total: list[Part] = [block_statistics.EMPTY]

    def take(part: Part) -> None:
        total[0] = block_statistics.joined(total[0], part)

    _Shared(pieces, take).run(lambda: block_statistics.of_block, _threads(source, threads))
    part = total[0]
    of = MAGNITUDES if dtypes.name(base).startswith("complex") else VALUES
    some = part.finite > 0
    return Statistics(
        of,
        source.checksum,
        elements,
        part.low if some else None,
        part.high if some else None,
        part.mean if some else None,
        part.std if some else None,
        part.zeros,
        part.nan,
        part.positive_inf,
        part.negative_inf,
    )


def _of_strings(source: TensorSource, pieces: Iterator[np.ndarray], elements: int) -> Statistics:
    from tfexplore.core import block_statistics

    total: Strings | None = None
    for piece in pieces:
        part = block_statistics.of_strings(piece)
        total = part if total is None else block_statistics.joined_strings(total, part)
    if total is None:
        return Statistics(STRINGS, source.checksum, elements, strings=StringStatistics(0, 0, 0, 0, 0))
    distinct = None if total.distinct is None else len(total.distinct)
    found = StringStatistics(total.empty, total.shortest, total.longest, total.total, distinct)
    return Statistics(STRINGS, source.checksum, elements, strings=found)


def _distribution(
    source: TensorSource,
    known: Statistics,
    cancel: threading.Event | None,
    progress: Progress | None,
    threads: int,
) -> Distribution:
    from tfexplore.core import block_statistics

    low, high = known.minimum, known.maximum
    assert low is not None
    assert high is not None
    check_cancel(cancel)
    if known.elements <= EXACT:
        return _exact(source.pieces(cancel, progress), float(low), float(high))
    pieces = source.pieces(cancel, progress, block_statistics.SCRATCH.room)
    made: list[block_statistics.Bins] = []

    def worker() -> Callable[[np.ndarray], None]:
        made.append(block_statistics.Bins(low, high, _PARTS))
        return made[-1].add

    _Shared(pieces, lambda _: None).run(worker, _threads(source, threads))
    bins = made[0]
    for other in made[1:]:
        bins.counts += other.counts
    count = int(bins.counts.sum())
    percentiles = {percent: bins.value_at((count - 1) * percent / 100) for percent in PERCENTILES}
    counts = tuple(bins.counts.reshape(BINS, -1).sum(axis=1).tolist())
    return Distribution(percentiles, bins.width, float(low), float(high), counts)


def _exact(pieces: Iterator[np.ndarray], low: float, high: float) -> Distribution:
    import numpy as np

    from tfexplore.core import block_statistics

    with np.errstate(all="ignore"):
        parts = [block_statistics.plain(piece).astype(np.float64) for piece in pieces]
        values = np.concatenate(parts)
        values = np.sort(values[np.isfinite(values)])
        percentiles = {}
        for percent in PERCENTILES:
            rank = (len(values) - 1) * percent / 100
            place = int(rank)
            share = rank - place
            before, after = values[place], values[min(place + 1, len(values) - 1)]
            percentiles[percent] = float(before if before == after else before * (1 - share) + after * share)
        bins = block_statistics.Bins(low, high, BINS)
        bins.add(values)
    return Distribution(percentiles, 0.0, low, high, tuple(bins.counts.tolist()))
