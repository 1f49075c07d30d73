"""Many entries of a bundle's index at once: what `table.decode_block` and `bundle_entry.decode_entry` do, in columns.

A million keys one by one cost two seconds, so 0.3. Whatever is unusual about a block is left to those two:
`scan_block` then says None, `scan_values` leaves the entry out, and nothing is accepted that they would refuse.
"""

from __future__ import annotations

import struct
from itertools import islice
from operator import lt
from typing import Any, NamedTuple

import numpy as np

from tfexplore.formats.table_block import ENTRY_COST

Array = np.ndarray[Any, np.dtype[Any]]

# Blocks have 256 KiB and one entry more. The columns take many times the bytes of a block of the smallest entries.
_MAX_SIZE = 2 << 20
_MAX_INTERVAL = 64
_U32 = struct.Struct("<I")
# Tags of a BundleEntryProto: dtype, shape, shard_id, offset, size, crc32c.
_DTYPE, _SHAPE, _SHARD, _OFFSET, _SIZE, _CRC = 0x08, 0x12, 0x18, 0x20, 0x28, 0x35


class ScannedBlock(NamedTuple):
    """The entries of one block.

    Attributes:
        keys: as `str` (UTF-8, surrogateescape), rising.
        first, last: the same keys' first and last as bytes.
        data: the block's bytes.
        starts, ends: where in `data` each key's value begins and ends.
    """

    keys: list[str]
    first: bytes
    last: bytes
    data: bytes
    starts: Array
    ends: Array


class ScannedValues(NamedTuple):
    """Columns of entries; an entry where `plain` is False has to be decoded by itself.

    Attributes:
        heads: where in the block dtype and shape end; they begin where the value does.
        shards, offsets, sizes: as the entry says.
    """

    heads: list[int]
    shards: list[int]
    offsets: list[int]
    sizes: list[int]
    plain: list[bool]


def scan_block(data: bytes, room: int) -> ScannedBlock | None:
    """The entries of a block, or None where it is not as TensorFlow writes one.

    Args:
        data: the block's bytes without the trailer.
        room: as for `table.decode_block`.
    """
    size = len(data)
    count = _U32.unpack_from(data, size - 4)[0] if size >= 4 else 0
    end = size - 4 - 4 * count
    if count < 1 or end < 1 or size > _MAX_SIZE:
        return None
    raw = np.frombuffer(data, np.uint8)
    restarts = np.frombuffer(data, "<u4", count, end).astype(np.int64)
    if restarts[0] != 0 or restarts[-1] >= end or (np.diff(restarts) <= 0).any():
        return None
    columns = _entries(raw, restarts, end)
    if columns is None:
        return None
    shared, starts, stops, ends = columns
    if int((shared + stops - starts).sum()) + ENTRY_COST * len(shared) > room:
        return None
    keys = _text_keys(data, shared, starts, stops)
    first, last = data[starts[0] : stops[0]], b""
    if keys is None:
        raw_keys = _raw_keys(data, shared, starts, stops)
        if not all(map(lt, raw_keys, islice(raw_keys, 1, None))):
            return None
        last = raw_keys[-1]
        keys = [key.decode("utf-8", "surrogateescape") for key in raw_keys]
    elif not all(map(lt, keys, islice(keys, 1, None))):
        return None
    else:
        last = keys[-1].encode("ascii")
    return ScannedBlock(keys, first, last, data, stops, ends)


def _entries(raw: Array, restarts: Array, end: int) -> tuple[Array, Array, Array, Array] | None:
    """Of each entry: shared bytes, begin and end of the rest of the key, end of the value; in order."""
    count = len(restarts)
    limits = np.append(restarts[1:], end)
    position, rows = restarts, np.arange(count)
    key_size = np.zeros(count, np.int64)
    found: list[tuple[Array, Array, Array, Array, Array]] = []
    # Step n takes the n-th entry after every restart point at once.
    for step in range(_MAX_INTERVAL):
        # An entry takes three bytes, and the restart array follows: those can be looked at.
        fields = []
        for _ in range(3):
            read = _varints(raw, position, end)
            if read is None:
                return None
            fields.append(read[0])
            position = read[1]
        shared, suffix, value_size = fields
        stops = position + suffix
        ends = stops + value_size
        if (ends > limits).any() or (shared > key_size).any():
            return None
        found.append((rows * _MAX_INTERVAL + step, shared, position, stops, ends))
        more = ends < limits
        if not more.any():
            break
        rows, position, limits, key_size = rows[more], ends[more], limits[more], (shared + suffix)[more]
    else:
        return None
    order = np.argsort(np.concatenate([part[0] for part in found]), kind="stable")
    shared, starts, stops, ends = (np.concatenate([part[place] for part in found])[order] for place in range(1, 5))
    return shared, starts, stops, ends


def _varints(raw: Array, position: Array, end: int) -> tuple[Array, Array] | None:
    """The varints at many positions, below 2**32, and the positions after them; None where one is not."""
    if (position >= end).any():
        return None
    first = raw[position]
    values = (first & 0x7F).astype(np.int64)
    after = position + 1
    longer = np.nonzero(first >= 128)[0]
    shift = 7
    while len(longer):
        if shift > 28 or (after[longer] >= end).any():
            return None
        byte = raw[after[longer]]
        values[longer] |= (byte & 0x7F).astype(np.int64) << shift
        after[longer] += 1
        longer = longer[byte >= 128]
        shift += 7
    return (values, after) if (values < 1 << 32).all() else None


def _text_keys(data: bytes, shared: Array, starts: Array, stops: Array) -> list[str] | None:
    """The keys, where all are ASCII: slices of one string make no bytes on the way."""
    text = data.decode("latin-1")
    keys: list[str] = []
    add = keys.append
    key = ""
    for common, start, stop in zip(shared.tolist(), starts.tolist(), stops.tolist(), strict=True):
        key = key[:common] + text[start:stop]
        add(key)
    return keys if "".join(keys).isascii() else None


def _raw_keys(data: bytes, shared: Array, starts: Array, stops: Array) -> list[bytes]:
    keys: list[bytes] = []
    key = b""
    for common, start, stop in zip(shared.tolist(), starts.tolist(), stops.tolist(), strict=True):
        key = key[:common] + data[start:stop]
        keys.append(key)
    return keys


def scan_values(block: ScannedBlock) -> ScannedValues:
    """The entries of a block's values: a BundleEntryProto each, as TensorFlow writes it, without slices."""
    raw = np.frombuffer(block.data, np.uint8)
    top = len(raw) - 1

    def at(position: Array) -> Array:
        return raw[np.minimum(position, top)]

    position, ends = block.starts, block.ends
    plain = (at(position) == _DTYPE) & (at(position + 1) < 128)
    plain &= (at(position + 2) == _SHAPE) & (at(position + 3) < 128)
    heads = position + 4 + at(position + 3)
    plain &= heads <= ends
    heads = np.where(plain, heads, position)
    columns = []
    position = heads
    for tag in (_SHARD, _OFFSET, _SIZE):
        values, position, good = _optional(at, position, ends, tag)
        columns.append(values)
        plain &= good
    # TensorFlow writes the checksum always, though a checksum of 0 need not be.
    plain &= (at(position) == _CRC) & (position + 5 == ends)
    shards, offsets, sizes = (column.tolist() for column in columns)
    return ScannedValues(heads.tolist(), shards, offsets, sizes, plain.tolist())


def _optional(at: Any, position: Array, ends: Array, tag: int) -> tuple[Array, Array, Array]:
    """The values of a varint field below 2**62 that may be missing (0), the positions after it, where it could be."""
    present = np.nonzero((position < ends) & (at(position) == tag))[0]
    values = np.zeros(len(position), np.int64)
    good = np.ones(len(position), bool)
    after = position.copy()
    after[present] += 1
    rest, shift = present, 0
    while len(rest):
        inside = after[rest] < ends[rest]
        good[rest[~inside]] = False
        rest = rest[inside]
        if shift > 55:
            good[rest] = False
            break
        byte = at(after[rest])
        values[rest] |= (byte & 0x7F).astype(np.int64) << shift
        after[rest] += 1
        rest = rest[byte >= 128]
        shift += 7
    return values, after, good
