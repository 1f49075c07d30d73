"""Strings and variants of a tensor bundle: elements of different sizes, with checksums of their own.

Strings: a varint64 length for each; the masked checksum of the lengths (each counted as 4 bytes, or as 8
where it does not fit 4); the bytes. Variants: each a varint64 length, a VariantTensorDataProto and the masked
checksum so far. The entry's checksum goes on over all of it but the varints, in whose place it counts fixed bytes.
Source: tensorflow/core/util/tensor_bundle/tensor_bundle.cc.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tfexplore.errors import CorruptError, ModelError, UnsupportedError
from tfexplore.formats.bundle_entry import BundleEntry, named
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.proto import DecodeError, lean
from tfexplore.formats.table import crc32c, mask
from tfexplore.formats.table_block import read_varint

Array = np.ndarray[Any, np.dtype[Any]]
# Told how many more bytes are done; raises where the work is cancelled.
Advance = Callable[[int], None]

# What Python needs for a string beside its bytes, in an array.
OBJECT_COST = 48
_PIECE = 4 << 20
_LENGTHS_PIECE = 1 << 20
_MOST_STRINGS = 1 << 15
_U32_MAX = 0xFFFFFFFF
_CHECKSUM_SIZE = 4


@dataclass(frozen=True, slots=True)
class VariantValue:
    """What a checkpoint stores of a variant, as far as it is shown: its C++ type and how much it holds."""

    type_name: str
    metadata_size: int
    tensor_count: int


def stream_crc(file: RandomAccessFile, offset: int, size: int, crc: int, advance: Advance) -> int:
    """The CRC-32C of a range of a file, read in pieces, going on from `crc`."""
    for start in range(offset, offset + size, _PIECE):
        count = min(_PIECE, offset + size - start)
        crc = crc32c(file.pread(start, count), crc)
        advance(count)
    return crc


def _object_array(items: list[Any]) -> Array:
    array: Array = np.empty(len(items), object)
    array[:] = items
    return array


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the strings of a tensor lie: string i is at bytes [ends[i], ends[i + 1]) of the file."""

    ends: Array
    crc: int
    good: bool


def _read_layout(file: RandomAccessFile, entry: BundleEntry, big_endian: bool, advance: Advance) -> _Layout:
    """Reads and checks the lengths of all strings of a tensor."""
    count = entry.elements
    if count + _CHECKSUM_SIZE > entry.size:
        raise CorruptError(
            f"{named(entry.key)} has {entry.size:,} bytes, too few for {count:,} strings",
            path=file.path,
            offset=entry.offset,
        )
    lengths, start = _read_lengths(file, entry, count, advance)
    order = ">" if big_endian else "<"
    if not count or int(lengths.max()) <= _U32_MAX:
        crc = crc32c(lengths.astype(f"{order}u4").tobytes())
    else:
        small, large = struct.Struct(f"{order}I").pack, struct.Struct(f"{order}Q").pack
        crc = crc32c(b"".join([small(n) if n <= _U32_MAX else large(n) for n in lengths.tolist()]))
    raw = file.pread(start, _CHECKSUM_SIZE)
    good = struct.unpack(f"{order}I", raw)[0] == mask(crc)
    start += _CHECKSUM_SIZE
    left = entry.offset + entry.size - start
    # No single length is above the entry's size, so the sum fits but for tensors of many GiB.
    fits = count * entry.size < 1 << 63
    total = int(lengths.sum()) if fits else sum(lengths.tolist())
    if total != left:
        raise CorruptError(
            f"the strings of {named(entry.key)} should have {total:,} bytes in all, but {left:,} are left for them",
            path=file.path,
            offset=start,
        )
    ends = np.empty(count + 1, np.int64)
    ends[0] = start
    np.cumsum(lengths, out=ends[1:], dtype=np.int64)
    ends[1:] += start
    return _Layout(ends, crc32c(raw, crc), good)


def _read_lengths(file: RandomAccessFile, entry: BundleEntry, count: int, advance: Advance) -> tuple[Array, int]:
    """`count` varints from the start of the tensor (as uint64), and the offset in the file after them."""
    end = entry.offset + entry.size
    position = entry.offset
    lengths = np.empty(count, np.uint64)
    got = 0
    while got < count:
        piece = np.frombuffer(file.pread(position, min(_LENGTHS_PIECE, end - position)), np.uint8)
        lasts = np.flatnonzero(piece < 0x80)[: count - got]
        if not lasts.size:
            raise CorruptError(
                f"the length of a string of {named(entry.key)} does not end", path=file.path, offset=position
            )
        firsts = np.concatenate(([0], lasts[:-1] + 1))
        widths = lasts - firsts + 1
        width = int(widths.max())
        if width > 10 or (width == 10 and (piece[lasts[widths == 10]] > 1).any()):
            raise CorruptError(
                f"the length of a string of {named(entry.key)} does not fit 64 bits", path=file.path, offset=position
            )
        values = np.zeros(lasts.size, np.uint64)
        for byte in range(width):
            has = widths > byte
            values[has] |= (piece[firsts[has] + byte] & 0x7F).astype(np.uint64) << np.uint64(7 * byte)
        if int(values.max()) > entry.size:
            raise CorruptError(
                f"a string of {named(entry.key)} should have {int(values.max()):,} bytes, "
                f"but the tensor has {entry.size:,} in all",
                path=file.path,
                offset=position,
            )
        lengths[got : got + lasts.size] = values
        got += lasts.size
        consumed = int(lasts[-1]) + 1
        position += consumed
        advance(consumed)
    return lengths, position


def read_strings(
    file: RandomAccessFile, entry: BundleEntry, big_endian: bool, advance: Advance, *, keep: bool = True
) -> tuple[Array, bool]:
    """All strings of a tensor in a flat object array of `bytes` (empty without `keep`); whether the checksums match.

    Raises:
        CorruptError: the lengths cannot be right.
    """
    layout = _read_layout(file, entry, big_endian, advance)
    advance(_CHECKSUM_SIZE)
    start = int(layout.ends[0])
    size = entry.offset + entry.size - start
    if keep:
        data = file.pread(start, size)
        crc = crc32c(data, layout.crc)
        array = _object_array([data[a:b] for a, b in pairwise((layout.ends - start).tolist())])
    else:
        crc = stream_crc(file, start, size, layout.crc, advance)
        array = _object_array([])
    return array, layout.good and mask(crc) == entry.crc32c


def stream_strings(
    file: RandomAccessFile, entry: BundleEntry, big_endian: bool, advance: Advance
) -> Generator[Array, None, bool]:
    """All strings of a tensor, some at a time, in flat object arrays of `bytes`; whether the checksums match.

    Raises:
        CorruptError: the lengths cannot be right.
    """
    layout = _read_layout(file, entry, big_endian, advance)
    advance(_CHECKSUM_SIZE)
    crc, first, count = layout.crc, 0, entry.elements
    while first < count:
        start = int(layout.ends[first])
        last = int(np.searchsorted(layout.ends, start + _PIECE, "right")) - 1
        last = min(max(last, first + 1), first + _MOST_STRINGS, count)
        ends = layout.ends[first : last + 1].tolist()
        data = file.pread(start, ends[-1] - start)
        crc = crc32c(data, crc)
        advance(len(data))
        yield _object_array([data[a - start : b - start] for a, b in pairwise(ends)])
        first = last
    return layout.good and mask(crc) == entry.crc32c


def read_string_box(
    file: RandomAccessFile,
    entry: BundleEntry,
    big_endian: bool,
    starts: Sequence[int],
    counts: Sequence[int],
    limit: int | None,
    advance: Advance,
) -> tuple[Array, bool | None]:
    """The strings of a box of a tensor of rank 1 or more; False where the checksum of the lengths does not match.

    Raises:
        CorruptError: the lengths cannot be right.
        UnsupportedError: the strings take more than `limit` bytes.
    """
    layout = _read_layout(file, entry, big_endian, advance)
    strings: list[bytes] = []
    row = counts[-1]
    size = 0
    for index in np.ndindex(*counts[:-1]):
        advance(0)
        first = starts[-1]
        for axis, (start, offset) in enumerate(zip(starts, index, strict=False)):
            first += (start + offset) * math.prod(entry.shape[axis + 1 :])
        ends = layout.ends[first : first + row + 1].tolist()
        size += ends[-1] - ends[0] + OBJECT_COST * row
        if limit is not None and size > limit:
            raise UnsupportedError(
                f"these strings of {named(entry.key)} take more than the {limit:,} bytes that are read at once",
                path=file.path,
                hint="read a smaller slice",
            )
        data = file.pread(ends[0], ends[-1] - ends[0])
        strings += [data[a - ends[0] : b - ends[0]] for a, b in pairwise(ends)]
    return _object_array(strings).reshape(counts), None if layout.good else False


def read_variants(
    file: RandomAccessFile, entry: BundleEntry, advance: Advance, *, keep: bool = True
) -> tuple[Array, bool]:
    """All variants of a tensor in a flat object array of `VariantValue`; whether the checksums match.

    Raises:
        CorruptError: the lengths cannot be right, or an element is no VariantTensorDataProto.
    """
    position, end = entry.offset, entry.offset + entry.size
    if entry.elements * (1 + _CHECKSUM_SIZE) > entry.size:
        raise CorruptError(
            f"{named(entry.key)} has {entry.size:,} bytes, too few for {entry.elements:,} variants",
            path=file.path,
            offset=position,
        )

    def fail(what: str, at: int) -> ModelError:
        return CorruptError(f"a variant of {named(entry.key)} is damaged: {what}", path=file.path, offset=position + at)

    values: list[VariantValue] = []
    crc = 0
    good = True
    message = lean("VariantTensorDataProto")
    for _ in range(entry.elements):
        head = file.pread(position, min(10, end - position))
        size, width = read_varint(head, 0, len(head), 64, fail)
        if size + width + _CHECKSUM_SIZE > end - position:
            raise fail(f"it should have {size:,} bytes, but {end - position - width:,} are left", 0)
        crc = crc32c(struct.pack("<Q", size), crc)
        if keep:
            raw = file.pread(position + width, size)
            crc = crc32c(raw, crc)
            try:
                proto = message.FromString(raw)
            except DecodeError as error:
                raise fail("it is no VariantTensorDataProto", width) from error
            type_name = proto.type_name.decode("utf-8", "surrogateescape")
            values.append(VariantValue(type_name, len(proto.metadata), len(proto.tensors)))
            advance(size)
        else:
            crc = stream_crc(file, position + width, size, crc, advance)
        stored = file.pread(position + width + size, _CHECKSUM_SIZE)
        good = good and struct.unpack("<I", stored)[0] == mask(crc)
        crc = crc32c(stored, crc)
        advance(width + _CHECKSUM_SIZE)
        position += width + size + _CHECKSUM_SIZE
    if position != end:
        raise fail(f"{end - position:,} bytes are left after the last one", 0)
    return _object_array(values), good and mask(crc) == entry.crc32c
