"""Values of a tensor bundle: whole tensors with their checksums, and boxes of them.

Numbers lie in C order with a checksum over the bytes as stored. Strings and variants are in
`bundle_strings`. A partitioned variable is put together from its slices.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tfexplore.errors import CorruptError, UnsupportedError, UsageError
from tfexplore.formats import bundle_strings, dtypes
from tfexplore.formats.bundle_entry import BundleEntry, TensorSlice, named
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.table import check_cancel, crc32c, mask

if TYPE_CHECKING:
    from tfexplore.formats.bundle import Bundle

Checksum = Literal["good", "bad", "unverified"]
Array = np.ndarray[Any, np.dtype[Any]]

# Bytes read between two looks at `cancel`.
PIECE = 8 << 20
# Runs of a box that lie closer than this are read at once.
_GAP = 4096
_COMPLEX = (8, 18)
_BOOL = 10


@dataclass(frozen=True, slots=True, eq=False)
class TensorValue:
    """Values that were read, and how far they are known to be what was written.

    Attributes:
        array: the values in this machine's byte order; strings as `bytes` and variants as `VariantValue` in an
            object array.
        checksum: "good" or "bad" where all bytes of the tensor were read, else "unverified".
        dtype: the DataType as stored.
        shape: the shape of the whole tensor.
        starts: where in the tensor the array begins.
    """

    array: Array
    checksum: Checksum
    dtype: int
    shape: tuple[int, ...]
    starts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a tensor: its first index and its shape."""

    starts: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.counts)

    def at(self, origin: Sequence[int]) -> Box:
        """The same part, counted from `origin`."""
        return Box(tuple([a - b for a, b in zip(self.starts, origin, strict=True)]), self.counts)

    def slices(self) -> tuple[slice, ...]:
        return tuple([slice(a, a + n) for a, n in zip(self.starts, self.counts, strict=True)])

    def common(self, other: Box) -> Box:
        """The part that both have; empty in a dimension where they have none."""
        starts = tuple(map(max, self.starts, other.starts))
        ends = [
            min(a + n, b + m) for a, n, b, m in zip(self.starts, self.counts, other.starts, other.counts, strict=True)
        ]
        return Box(starts, tuple([max(end - start, 0) for start, end in zip(starts, ends, strict=True)]))


def read(
    bundle: Bundle,
    entry: BundleEntry,
    starts: Sequence[int] | None,
    counts: Sequence[int] | None,
    limit: int | None,
    cancel: threading.Event | None,
) -> TensorValue:
    """`Bundle.read`."""
    check_readable(entry, bundle.index_path)
    box = box_of(entry, starts, counts)
    _check_limit(bundle, entry, box, limit)
    with within_memory(entry, bundle.prefix):
        array, checksum = _read_box(bundle, entry, box, limit, cancel)
    return TensorValue(array, checksum, entry.dtype, entry.shape, box.starts)


@contextmanager
def within_memory(entry: BundleEntry, prefix: str) -> Iterator[None]:
    """Says UnsupportedError where what is done with a tensor of the checkpoint `prefix` takes too much memory."""
    try:
        yield
    except MemoryError as error:
        raise UnsupportedError(
            f"{named(entry.key)} does not fit into memory", path=prefix, hint="read a slice of it"
        ) from error


def check_limit(entry: BundleEntry, size: int, limit: int | None, prefix: str) -> None:
    """Whether so many bytes of a tensor of the checkpoint `prefix` may be held.

    Raises:
        UnsupportedError: they may not.
    """
    if limit is not None and size > limit:
        raise UnsupportedError(
            f"{named(entry.key)} takes {size:,} bytes in memory, more than the {limit:,} that are read at once",
            path=prefix,
            hint="read a slice of it",
        )


def checksum(
    bundle: Bundle,
    entry: BundleEntry,
    cancel: threading.Event | None,
    progress: Callable[[int, int], None] | None,
) -> Checksum:
    """`Bundle.checksum`."""
    _check_dtype(entry, bundle.index_path)
    stored = [bundle.slice_entry(entry, part) for part in entry.slices] or [entry]
    total = sum(part.size for part in stored)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        check_cancel(cancel)
        done += count
        if progress is not None:
            progress(done, total)

    good = True
    for part in stored:
        file = locate(bundle, part)
        base = dtypes.base(part.dtype)
        if base == dtypes.STRING:
            good &= bundle_strings.read_strings(file, part, bundle.big_endian, advance, keep=False)[1]
        elif base == dtypes.VARIANT:
            good &= bundle_strings.read_variants(file, part, advance, keep=False)[1]
        else:
            crc = bundle_strings.stream_crc(file, part.offset, part.size, 0, advance)
            good &= mask(crc) == part.crc32c
    return "good" if good else "bad"


def _check_dtype(entry: BundleEntry, path: str) -> None:
    base = dtypes.base(entry.dtype)
    if not dtypes.is_known(entry.dtype) or base == dtypes.RESOURCE:
        raise UnsupportedError(
            f"{named(entry.key)} is of the type {dtypes.name(entry.dtype)!r}, which cannot be read from a checkpoint",
            path=path,
        )


def check_readable(entry: BundleEntry, path: str) -> None:
    """Whether numpy can hold the values of a tensor.

    Args:
        path: the file that says what they are, for errors.

    Raises:
        UnsupportedError: it cannot, or no values of this dtype are stored.
    """
    _check_dtype(entry, path)
    most = 64 if int(np.__version__.split(".")[0]) >= 2 else 32
    # numpy counts a dimension of 0 as 1 when it looks whether sizes overflow.
    extent = math.prod([max(dim, 1) for dim in entry.shape]) * max(dtypes.itemsize(entry.dtype), 8)
    if len(entry.shape) > most or extent >= 1 << 63:
        raise UnsupportedError(
            f"{named(entry.key)} has {len(entry.shape)} dimensions and {extent:,} bytes of extent, "
            f"more than the {most} dimensions and 2**63 bytes that can be shown",
            path=path,
        )


def box_of(entry: BundleEntry, starts: Sequence[int] | None, counts: Sequence[int] | None) -> Box:
    """The box of a tensor that begins at `starts` and has the shape `counts`; without them all of it.

    Raises:
        UsageError: it does not lie within the tensor.
    """
    shape = entry.shape
    first = tuple(starts) if starts is not None else (0,) * len(shape)
    if len(first) == len(shape) and counts is None:
        counts = [dim - start for dim, start in zip(shape, first, strict=True)]
    sizes = tuple(counts or ())
    if (
        not len(first) == len(sizes) == len(shape)
        or min((*first, *sizes), default=0) < 0
        or any(a + n > dim for a, n, dim in zip(first, sizes, shape, strict=True))
    ):
        raise UsageError(
            f"the box at {list(first)} of shape {list(sizes)} does not lie within {named(entry.key)}, "
            f"whose shape is {list(shape)}"
        )
    return Box(first, sizes)


def _check_limit(bundle: Bundle, entry: BundleEntry, box: Box, limit: int | None) -> None:
    if limit is None:
        return
    itemsize = dtypes.itemsize(entry.dtype)
    if itemsize:
        size = box.elements * itemsize
    elif dtypes.base(entry.dtype) == dtypes.STRING and box.counts != entry.shape:
        return  # Known when the lengths have been read.
    else:
        parts = [bundle.slice_entry(entry, part) for part in entry.slices] or [entry]
        size = sum(part.size for part in parts) + bundle_strings.OBJECT_COST * entry.elements
    check_limit(entry, size, limit, bundle.prefix)


def locate(bundle: Bundle, entry: BundleEntry) -> RandomAccessFile:
    """The shard with the values of `entry`, which lie within it."""
    file = bundle.shard(entry.shard)
    if entry.offset + entry.size > file.size:
        raise CorruptError(
            f"{named(entry.key)} should have {entry.size:,} bytes there, but the file has {file.size:,} bytes in all",
            path=file.path,
            offset=entry.offset,
        )
    return file


def _read_box(
    bundle: Bundle, entry: BundleEntry, box: Box, limit: int | None, cancel: threading.Event | None
) -> tuple[Array, Checksum]:
    """The values of a box of a tensor, with the checksum where the box is all of it."""
    check_cancel(cancel)
    if entry.slices:
        return _read_partitioned(bundle, entry, box, limit, cancel)
    file = locate(bundle, entry)
    whole = box.counts == entry.shape
    base = dtypes.base(entry.dtype)
    good: bool | None

    def advance(_: int) -> None:
        check_cancel(cancel)

    if base == dtypes.VARIANT:
        variants, good = bundle_strings.read_variants(file, entry, advance)
        array = variants.reshape(entry.shape)[box.slices() or ...]
    elif base == dtypes.STRING and whole:
        strings, good = bundle_strings.read_strings(file, entry, bundle.big_endian, advance)
        array = strings.reshape(entry.shape)
    elif base == dtypes.STRING:
        array, good = bundle_strings.read_string_box(
            file, entry, bundle.big_endian, box.starts, box.counts, limit, advance
        )
    elif whole:
        raw = np.empty(entry.size, np.uint8)
        crc = 0
        for start in range(0, entry.size, PIECE):
            check_cancel(cancel)
            piece = raw[start : start + PIECE]
            file.readinto(entry.offset + start, piece.data)
            crc = crc32c(piece, crc)
        good = mask(crc) == entry.crc32c
        array = numbers(raw, base, bundle.big_endian).reshape(entry.shape)
    else:
        raw = read_runs(file, entry, box, cancel)
        good = None
        array = numbers(raw, base, bundle.big_endian).reshape(box.counts)
    if good is False:
        return array, "bad"
    return array, "good" if good and not bundle.is_doubtful(entry) else "unverified"


def numbers(raw: Array, dtype: int, big_endian: bool) -> Array:
    """Stored bytes as numbers of this machine; may change `raw` in place."""
    itemsize = dtypes.itemsize(dtype)
    unit = itemsize // 2 if dtype in _COMPLEX else itemsize
    if unit > 1 and big_endian != (sys.byteorder == "big"):
        raw.view(f"u{unit}").byteswap(inplace=True)
    if dtype == _BOOL:
        return np.asarray(raw != 0)
    return raw.view(dtypes.numpy_dtype(dtype))


def read_runs(file: RandomAccessFile, entry: BundleEntry, box: Box, cancel: threading.Event | None) -> Array:
    """The stored bytes of a box, one after the other; reads little else than the box."""
    itemsize = dtypes.itemsize(entry.dtype)
    raw = np.empty(box.elements * itemsize, np.uint8)
    if not raw.size:
        return raw
    rank = len(entry.shape)
    strides = [itemsize] * rank
    for axis in range(rank - 1, 0, -1):
        strides[axis - 1] = strides[axis] * entry.shape[axis]
    # A run is what the box has in dimensions `split` and up: from its first byte to its last, gaps included.
    split, span = rank, itemsize
    while split:
        stride, count = strides[split - 1], box.counts[split - 1]
        longer = (count - 1) * stride + span
        gap = stride - span if count > 1 else 0
        if gap > _GAP or (gap and longer > PIECE):
            break
        split, span = split - 1, longer
    inner = box.counts[split:]
    run_size = math.prod(inner) * itemsize
    element = np.dtype(f"V{itemsize}")
    base = entry.offset + sum(start * stride for start, stride in zip(box.starts, strides, strict=True))
    since = position = 0
    for place in _offsets(box.counts[:split], strides[:split]):
        since += span
        if since >= PIECE:
            check_cancel(cancel)
            since = 0
        target = raw[position : position + run_size]
        position += run_size
        if span == run_size:
            for start in range(0, span, PIECE):
                check_cancel(cancel)
                file.readinto(base + place + start, target[start : start + PIECE].data)
        else:
            data = file.pread(base + place, span)
            spread: Array = np.ndarray(inner, element, data, strides=tuple(strides[split:]))
            target.view(element).reshape(inner)[...] = spread
    return raw


def _offsets(counts: Sequence[int], strides: Sequence[int]) -> Iterator[int]:
    """The byte offset of every index of a box, in C order."""
    if not counts:
        yield 0
        return
    for outer in _offsets(counts[:-1], strides[:-1]):
        yield from range(outer, outer + counts[-1] * strides[-1], strides[-1])


def part_box(part: TensorSlice, shape: Sequence[int]) -> Box:
    """The box of a tensor of that shape that a slice is."""
    lengths = [dim if length is None else length for length, dim in zip(part.lengths, shape, strict=True)]
    return Box(part.starts, tuple(lengths))


def _read_partitioned(
    bundle: Bundle, entry: BundleEntry, box: Box, limit: int | None, cancel: threading.Event | None
) -> tuple[Array, Checksum]:
    """A box of a partitioned variable; every element of it must be in exactly one slice."""
    boxes = [part_box(part, entry.shape) for part in entry.slices]
    stored = sum(part.elements for part in boxes)
    if stored != entry.elements:
        raise CorruptError(
            f"the {len(boxes):,} slices of {named(entry.key)} have {stored:,} elements, expected {entry.elements:,}",
            path=bundle.index_path,
        )
    array: Array = np.empty(box.counts, dtypes.numpy_dtype(entry.dtype))
    filled = np.zeros(box.counts, np.bool_)
    checksums: set[Checksum] = set()
    for part, held in zip(entry.slices, boxes, strict=True):
        common = held.common(box)
        if not common.elements:
            continue
        found = bundle.slice_entry(entry, part)
        values, checked = _read_box(bundle, found, common.at(held.starts), limit, cancel)
        target = common.at(box.starts).slices()
        if filled[target].any():
            raise CorruptError(f"two slices of {named(entry.key)} overlap", path=bundle.index_path)
        filled[target] = True
        array[target] = values
        checksums.add(checked)
    if not filled.all():
        raise CorruptError(f"the slices of {named(entry.key)} do not cover it", path=bundle.index_path)
    if "bad" in checksums:
        return array, "bad"
    doubtful = "unverified" in checksums or box.counts != entry.shape or bundle.is_doubtful(entry)
    return array, "unverified" if doubtful else "good"
