"""All values of a tensor of a bundle, one piece after the other in C order, with the checksum on the way.

The pieces of numbers are small enough to stay in a processor's cache; what is made of them costs no second way to
memory. A partitioned variable whose slices follow each other is streamed slice by slice; another one is checked first
and then read box by box.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfexplore.errors import CorruptError
from tfexplore.formats import bundle_strings, dtypes
from tfexplore.formats.bundle_entry import BundleEntry, TensorSlice, named
from tfexplore.formats.bundle_values import (
    PIECE,
    Array,
    Box,
    Checksum,
    check_readable,
    locate,
    numbers,
    part_box,
    within_memory,
)
from tfexplore.formats.table import check_cancel, crc32c, mask

if TYPE_CHECKING:
    from tfexplore.formats.bundle import Bundle
    from tfexplore.formats.checkpoint_v1 import CheckpointV1

Progress = Callable[[int, int], None]
# Gives memory for so many bytes of a piece.
Room = Callable[[int], Array]

# Bytes of a piece of numbers.
STREAMED = 1 << 20


def stream(
    bundle: Bundle,
    entry: BundleEntry,
    cancel: threading.Event | None,
    progress: Progress | None,
    room: Room | None,
) -> Generator[Array, None, Checksum]:
    """`Bundle.stream`."""
    check_readable(entry, bundle.index_path)
    parts = [bundle.slice_entry(entry, part) for part in entry.slices] or [entry]
    order = _in_order(entry)
    total = sum(part.size for part in parts)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        check_cancel(cancel)
        done += count
        if progress is not None:
            progress(done, total)

    advance(0)
    with within_memory(entry, bundle.prefix):
        if order is None:
            checksum = bundle.checksum(entry, cancel)
            yield from _boxes(bundle, entry, cancel, advance)
            good = checksum == "good"
        else:
            good = True
            for place in order:
                good &= yield from _part(bundle, parts[place], advance, room)
    if not good:
        return "bad"
    return "unverified" if bundle.is_doubtful(entry) else "good"


def _in_order(entry: BundleEntry) -> list[int] | None:
    """The order in which the slices of a tensor give its values in C order; None where no order does."""
    if not entry.slices:
        return [0]
    boxes = [part_box(part, entry.shape) for part in entry.slices]
    if not entry.shape or any(box.counts[1:] != entry.shape[1:] for box in boxes):
        return None
    order = sorted(range(len(boxes)), key=lambda place: boxes[place].starts[0])
    row = 0
    for place in order:
        if boxes[place].starts[0] != row:
            return None
        row += boxes[place].counts[0]
    return order if row == entry.shape[0] else None


def _new(size: int) -> Array:
    return np.empty(size, np.uint8)


def _part(
    bundle: Bundle, entry: BundleEntry, advance: Callable[[int], None], room: Room | None
) -> Generator[Array, None, bool]:
    """What one entry stores; whether its checksum matches."""
    file = locate(bundle, entry)
    base = dtypes.base(entry.dtype)
    if base == dtypes.STRING:
        return (yield from bundle_strings.stream_strings(file, entry, bundle.big_endian, advance))
    if base == dtypes.VARIANT:
        variants, good = bundle_strings.read_variants(file, entry, advance)
        if variants.size:
            yield variants
        return good
    crc = 0
    take = room or _new
    for start in range(0, entry.size, STREAMED):
        raw = take(min(STREAMED, entry.size - start))
        file.readinto(entry.offset + start, raw.data)
        crc = crc32c(raw, crc)
        advance(raw.size)
        yield numbers(raw, base, bundle.big_endian)
    return mask(crc) == entry.crc32c


def _boxes(
    bundle: Bundle | CheckpointV1,
    entry: BundleEntry,
    cancel: threading.Event | None,
    advance: Callable[[int], None],
) -> Iterator[Array]:
    itemsize = dtypes.itemsize(entry.dtype)
    for box in iter_boxes(entry.shape, max(1, PIECE // (itemsize or 64))):
        value = bundle.read(entry, box.starts, box.counts, cancel=cancel)
        advance(value.array.size * itemsize)
        yield value.array.reshape(-1)


def iter_boxes(shape: Sequence[int], most: int) -> Iterator[Box]:
    """Boxes of at most `most` elements that give a tensor in C order, one after the other."""
    if not math.prod(shape):
        return
    inner, axis = 1, len(shape)
    while axis and inner * shape[axis - 1] <= most:
        axis -= 1
        inner *= shape[axis]
    if not axis:
        yield Box((0,) * len(shape), tuple(shape))
        return
    # Axis `axis - 1` is cut into runs, the axes before it are walked one by one.
    step = max(1, most // inner)
    outer = tuple(shape[: axis - 1])
    rest, zeros = tuple(shape[axis:]), (0,) * (len(shape) - axis)
    length = shape[axis - 1]
    for index in np.ndindex(*outer):
        for start in range(0, length, step):
            yield Box((*index, start, *zeros), (*(1,) * len(outer), min(step, length - start), *rest))


def stream_v1(
    checkpoint: CheckpointV1, entry: BundleEntry, cancel: threading.Event | None, progress: Progress | None
) -> Generator[Array, None, Checksum]:
    """`CheckpointV1.stream`."""
    from tfexplore.formats.slice_values import PARSED, stream_slice

    check_readable(entry, checkpoint.index_path)
    itemsize = dtypes.itemsize(entry.dtype) or 1
    total = entry.elements * itemsize
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        check_cancel(cancel)
        done += count
        if progress is not None:
            progress(done, total)

    advance(0)
    places = checkpoint.places(entry)
    only: TensorSlice | None = next(iter(places)) if len(places) == 1 else None
    with within_memory(entry, checkpoint.prefix):
        if only is not None:
            found = checkpoint.slice_entry(entry, only)
            if found.shape == entry.shape:
                shard, key = places[only]
                table = checkpoint.table(shard)
                place = table.places[key]
                if place.size > PARSED and not place.compressed:
                    count = 0
                    for piece in stream_slice(table, key, place, found, cancel):
                        count += piece.size
                        advance(piece.size * itemsize)
                        yield piece
                    if count != entry.elements:
                        raise CorruptError(
                            f"{named(entry.key)} does not have the {entry.elements:,} values of {list(entry.shape)} "
                            "stored",
                            path=table.path,
                            offset=place.offset,
                        )
                    return "good" if table.is_checked(place) else "unverified"
        if sum(checkpoint.table(shard).places[key].size for shard, key in places.values()) <= PARSED:
            value = checkpoint.read(entry, cancel=cancel)
            advance(value.array.size * itemsize)
            if value.array.size:
                yield value.array.reshape(-1)
            return value.checksum
        checked = checkpoint.checksum(entry, cancel)
        yield from _boxes(checkpoint, entry, cancel, advance)
    return checked
