"""Statistics of a block of values that fits a processor's cache, and how those of two blocks go together.

Sums are taken in float64. A block's mean and standard deviation are kept, not its sums: they are put together as Chan,
Golub and LeVeque do (1979), which neither cancels nor overflows where the values do not.
"""

from __future__ import annotations

import math
import threading
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

# Rows of so many elements are summed by one call of BLAS: below the number from which OpenBLAS starts threads of its
# own, which would fight with those that read.
_ROW = 4096
# Squares of larger and of smaller values are taken of multiples of them.
_LARGE, _SMALL = 1e150, 1e-140
# Where the variance is a smaller part than this of the mean square, it is taken again around the mean.
_CANCELS = 1e-3
# Distinct strings are counted up to so many, of so many bytes together.
MAX_DISTINCT, _MAX_DISTINCT_BYTES = 10_000, 4 << 20


class Part(NamedTuple):
    """Statistics of some values.

    Attributes:
        finite: how many are, on which `low` to `std` stand.
        low, high: the least and the greatest; `int` for whole numbers.
        mean, std: of a population (ddof 0), in float64.
        zeros, nan, positive_inf, negative_inf: how many of each.
    """

    finite: int
    low: int | float
    high: int | float
    mean: float
    std: float
    zeros: int
    nan: int = 0
    positive_inf: int = 0
    negative_inf: int = 0


EMPTY = Part(0, math.inf, -math.inf, 0.0, 0.0, 0)


class Scratch(threading.local):
    """Memory that each thread uses again for every block: fresh memory costs more than what is done with it."""

    def __init__(self) -> None:
        self._room: Array = np.empty(0, np.uint8)
        self._wide: Array = np.empty(0)
        self._flags: Array = np.empty(0, np.bool_)

    def room(self, size: int) -> Array:
        """So many bytes; what was given before is written over."""
        if len(self._room) < size:
            self._room = np.empty(size, np.uint8)
        return self._room[:size]

    def wide(self, values: Array) -> Array:
        """The values in float64."""
        if len(self._wide) < len(values):
            self._wide = np.empty(len(values))
        found = self._wide[: len(values)]
        np.copyto(found, values, casting="unsafe")
        return found

    def zeros(self, values: Array) -> int:
        """How many values are 0."""
        if len(self._flags) < len(values):
            self._flags = np.empty(len(values), np.bool_)
        found = self._flags[: len(values)]
        np.equal(values, 0, out=found)
        return int(np.count_nonzero(found))


SCRATCH = Scratch()


def plain(values: Array) -> Array:
    """Values in a type that numpy computes with fast; complex numbers become their magnitudes."""
    dtype = values.dtype
    if dtype.kind == "b":
        return values.view(np.uint8)
    if dtype.kind == "c":
        return np.abs(values.astype(np.complex128, copy=False))
    if dtype.kind in "iu" or dtype in (np.float32, np.float64):
        return values
    # float16, and what numpy does not know itself: bfloat16, float8, int4
    return values.astype(np.int8 if "int" in dtype.name else np.float32)


def of_block(values: Array) -> Part:
    """Statistics of a flat block of numbers; complex ones by their magnitudes."""
    if not values.size:
        return EMPTY
    with np.errstate(all="ignore"):
        plain_values = plain(values)
        if plain_values.dtype.kind in "iu":
            low, high = int(plain_values.min()), int(plain_values.max())
            return _finite(plain_values, low, high)
        least, most = float(np.minimum.reduce(plain_values)), float(np.maximum.reduce(plain_values))
        # Both pass a NaN on, and an infinity is the least or the greatest.
        if math.isfinite(least) and math.isfinite(most):
            return _finite(plain_values, least, most)
        nan = int(np.count_nonzero(np.isnan(plain_values)))
        positive = int(np.count_nonzero(plain_values == np.inf))
        negative = int(np.count_nonzero(plain_values == -np.inf))
        finite = plain_values[np.isfinite(plain_values)]
        found = EMPTY
        if finite.size:
            found = _finite(finite, float(finite.min()), float(finite.max()))
        return found._replace(nan=nan, positive_inf=positive, negative_inf=negative)


def _finite(values: Array, low: int | float, high: int | float) -> Part:
    count = len(values)
    zeros = SCRATCH.zeros(values) if low <= 0 <= high else 0
    if low == high:
        return Part(count, low, high, float(low), 0.0, zeros)
    wide = SCRATCH.wide(values)
    scale = 1.0
    if not _SMALL <= max(abs(low), abs(high)) <= _LARGE:
        scale = _scale(low, high)
        wide *= scale
    mean, square = _sum(wide) / count, _sum_of_squares(wide) / count
    variance = square - mean * mean
    if variance < _CANCELS * square:
        wide -= mean
        shift = _sum(wide) / count
        variance = _sum_of_squares(wide) / count - shift * shift
        mean += shift
    mean /= scale
    return Part(count, low, high, min(max(mean, float(low)), float(high)), math.sqrt(max(variance, 0)) / scale, zeros)


def _scale(low: int | float, high: int | float) -> float:
    """The power of 2 that brings the larger of both near 1."""
    return 2.0 ** max(-1000, min(1000, -math.frexp(float(max(abs(low), abs(high))))[1]))


def _sum(values: Array) -> float:
    rows = len(values) // _ROW
    if rows < 2:
        return float(np.add.reduce(values))
    whole = rows * _ROW
    # A product with ones: twice as fast as `sum`.
    found = np.matmul(values[:whole].reshape(rows, 1, _ROW), _ONES)
    return float(np.add.reduce(found.reshape(-1))) + float(np.add.reduce(values[whole:]))


def _sum_of_squares(values: Array) -> float:
    rows = len(values) // _ROW
    whole = rows * _ROW
    found = np.matmul(values[:whole].reshape(rows, 1, _ROW), values[:whole].reshape(rows, _ROW, 1))
    rest = values[whole:]
    return float(np.add.reduce(found.reshape(-1))) + float(np.dot(rest, rest))


_ONES = np.ones((_ROW, 1))


def joined(one: Part, other: Part) -> Part:
    """Statistics of the values of both."""
    counts = (
        one.zeros + other.zeros,
        one.nan + other.nan,
        one.positive_inf + other.positive_inf,
        one.negative_inf + other.negative_inf,
    )
    if not one.finite or not other.finite:
        kept = one if one.finite else other
        return Part(kept.finite, kept.low, kept.high, kept.mean, kept.std, *counts)
    count = one.finite + other.finite
    share, rest = other.finite / count, one.finite / count
    if (one.mean < 0) == (other.mean < 0) or max(abs(one.mean), abs(other.mean)) < _LARGE:
        mean = one.mean + (other.mean - one.mean) * share
    else:  # the difference might overflow
        mean = one.mean * rest + other.mean * share
    apart = math.sqrt(share * rest)
    between = (other.mean - one.mean) * apart
    if math.isinf(between):
        between = other.mean * apart - one.mean * apart
    std = math.hypot(one.std * math.sqrt(rest), other.std * math.sqrt(share), between)
    return Part(count, min(one.low, other.low), max(one.high, other.high), mean, std, *counts)


# -- strings --


class Strings(NamedTuple):
    """Statistics of some strings: lengths in bytes.

    Attributes:
        distinct: the different ones; None where they are too many to be kept.
    """

    empty: int
    shortest: int
    longest: int
    total: int
    distinct: frozenset[bytes] | None


def of_strings(values: Array) -> Strings:
    """Statistics of a flat block of `bytes`; at least one."""
    items = values.tolist()
    lengths = [len(item) for item in items]
    found = frozenset(items)
    return Strings(lengths.count(0), min(lengths), max(lengths), sum(lengths), _kept(found))


def _kept(found: frozenset[bytes]) -> frozenset[bytes] | None:
    few = len(found) <= MAX_DISTINCT and sum(map(len, found)) <= _MAX_DISTINCT_BYTES
    return found if few else None


def joined_strings(one: Strings, other: Strings) -> Strings:
    """Statistics of the strings of both."""
    distinct = None
    if one.distinct is not None and other.distinct is not None:
        distinct = _kept(one.distinct | other.distinct)
    return Strings(
        one.empty + other.empty,
        min(one.shortest, other.shortest),
        max(one.longest, other.longest),
        one.total + other.total,
        distinct,
    )


# -- distribution --


class Bins:
    """Counts of values in equal parts of the way from `low` to `high`, which lies within them.

    Args:
        count: how many parts.
    """

    def __init__(self, low: int | float, high: int | float, count: int) -> None:
        self.low, self.high = float(low), float(high)
        self.counts = np.zeros(count, np.int64)
        # Scaled to 1: the way from the least float64 to the greatest is no float64.
        self._scale = _scale(low, high)
        self._first = self.low * self._scale
        span = self.high * self._scale - self._first
        self._factor = count / span if span > 0 else 0.0

    def add(self, values: Array) -> None:
        """Counts a flat block; what is not finite is left out."""
        with np.errstate(all="ignore"):
            numbers = plain(values)
            if numbers.dtype.kind == "f":
                finite = np.isfinite(numbers)
                if not finite.all():
                    numbers = numbers[finite]
            places = SCRATCH.wide(numbers)
            places *= self._scale
            places -= self._first
            places *= self._factor
            indices = places.astype(np.int64)
            last = len(self.counts) - 1
            np.clip(indices, 0, last, out=indices)
            self.counts += np.bincount(indices, minlength=last + 1)

    @property
    def width(self) -> float:
        """How wide each part is."""
        return (self.high / 2 - self.low / 2) / len(self.counts) * 2

    def value_at(self, rank: float) -> float:
        """The value of that rank, counted from 0; off by `width` at most."""
        ends = np.cumsum(self.counts)
        place = int(np.searchsorted(ends, rank, "right"))
        place = min(place, len(self.counts) - 1)
        before = int(ends[place - 1]) if place else 0
        inside = (rank - before + 0.5) / max(int(self.counts[place]), 1)
        share = (place + min(max(inside, 0.0), 1.0)) / len(self.counts)
        return min(max(self.low * (1 - share) + self.high * share, self.low), self.high)
