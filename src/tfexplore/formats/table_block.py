"""One block of a table: entries with prefix-compressed keys, then the restart points at which a key stands whole.

Source of the format: LevelDB's table_format.md, checked against what TensorFlow 2.21 writes.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise

from tfexplore.errors import CorruptError, ModelError

# What Python needs for a name beside its characters, and for a key with its value, both of bytes.
ENTRY_COST = 64
DECODED_COST = 144

_U32 = struct.Struct("<I")

Fail = Callable[[str, int], ModelError]


def read_varint(data: bytes, position: int, end: int, bits: int, fail: Fail) -> tuple[int, int]:
    """The varint at `position`, which must end before `end` and be below 2**bits; and the position after it."""
    value = shift = 0
    start = position
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> bits:
                raise fail(f"the number {value:,} has more than {bits} bits", start)
            return value, position
        shift += 7
    raise fail("a varint does not end where it should", start)


def decode_block(data: bytes, room: int, fail: Fail) -> tuple[list[bytes], list[bytes]]:
    """Keys and values of one decompressed block, the keys strictly rising.

    Args:
        data: the block's bytes without the trailer.
        room: how many bytes the decoded keys may take, at `DECODED_COST` each beside their characters.
        fail: makes the error to raise, from what is wrong and a position in `data`.
    """
    size = len(data)
    if size < 4:
        raise fail(f"a block has {size} bytes, fewer than the 4 of its restart count", 0)
    restart_count = _U32.unpack_from(data, size - 4)[0]
    end = size - 4 - 4 * restart_count
    if restart_count < 1 or end < 0:
        raise fail(f"a block of {size:,} bytes says that it has {restart_count:,} restart points", size - 4)
    keys: list[bytes] = []
    values: list[bytes] = []
    unshared: list[int] = []
    add_key, add_value, add_unshared = keys.append, values.append, unshared.append
    position = key_size = 0
    key = b""
    while position < end:
        entry = position
        # The restart array (8 bytes at least) follows the entries: three bytes can always be looked at.
        shared = data[position]
        suffix = data[position + 1]
        value_size = data[position + 2]
        if shared | suffix | value_size < 128:
            position += 3
        else:
            shared, position = read_varint(data, position, end, 32, fail)
            suffix, position = read_varint(data, position, end, 32, fail)
            value_size, position = read_varint(data, position, end, 32, fail)
        key_end = position + suffix
        after = key_end + value_size
        room -= shared + suffix + DECODED_COST
        if shared > key_size or after > end or room < 0:
            if room < 0 and shared <= key_size and after <= end:
                raise fail("the keys of a block take more memory than is given to them", entry)
            raise fail(
                f"an entry says {shared:,} shared, {suffix:,} key and {value_size:,} value bytes, "
                f"but the key before has {key_size:,} and {max(end - position, 0):,} are left",
                entry,
            )
        if shared:
            previous = key
            key = key[:shared] + data[position:key_end]
            if key <= previous:
                raise fail("a key does not come after the one before it", entry)
        else:
            add_unshared(entry)
            previous = key
            key = data[position:key_end]
            if key <= previous and keys:
                raise fail("a key does not come after the one before it", entry)
        key_size = shared + suffix
        add_key(key)
        add_value(data[key_end:after])
        position = after
    _check_restarts(data, end, restart_count, unshared, fail)
    return keys, values


def _check_restarts(data: bytes, end: int, count: int, unshared: list[int], fail: Fail) -> None:
    if count > max(len(unshared), 1):
        raise fail(f"a block has {count:,} restart points but {len(unshared):,} entries to start at", end)
    restarts = array("I", data[end : end + 4 * count])
    if sys.byteorder == "big":
        restarts.byteswap()
    if restarts[0] != 0:
        raise fail(f"the first restart point of a block is {restarts[0]:,}, expected 0", end)
    if not unshared or (len(unshared) == count and array("I", unshared) == restarts):
        return
    if not set(unshared).issuperset(restarts) or any(a >= b for a, b in pairwise(restarts)):
        raise fail("a restart point of a block is not at the start of an entry", end)


def salvage_entries(data: bytes, low: bytes | None, high: bytes, room: int) -> tuple[list[bytes], list[bytes]]:
    """What can be read of a damaged block's entries: from each restart point on, up to the first that cannot be.

    Keys must rise: of those that do not, the fewest are left out.

    Args:
        data: the block's bytes without the trailer.
        low, high: every key must come after the one and not after the other.
        room: as for `decode_block`.
    """
    size = len(data)
    count = _U32.unpack_from(data, size - 4)[0] if size >= 4 else 0
    end = size - 4 - 4 * count
    starts = [0]
    if count and end > 0:
        found = struct.unpack_from(f"<{count}I", data, end)
        starts = sorted({start for start in found if start < end} | {0})
    else:
        end = size
    keys: list[bytes] = []
    values: list[bytes] = []

    def fail(what: str, _: int) -> ModelError:
        return CorruptError(what)

    for start, stop in pairwise([*starts, end]):
        position, key = start, b""
        try:
            while position < stop:
                shared, position = read_varint(data, position, stop, 32, fail)
                suffix, position = read_varint(data, position, stop, 32, fail)
                value_size, position = read_varint(data, position, stop, 32, fail)
                room -= shared + suffix + DECODED_COST
                if shared > len(key) or position + suffix + value_size > stop or room < 0:
                    break
                key = key[:shared] + data[position : position + suffix]
                position += suffix
                if (low is None or key > low) and key <= high:
                    keys.append(key)
                    values.append(data[position : position + value_size])
                position += value_size
        except CorruptError:
            continue
    rising = _longest_rising(keys)
    return [keys[place] for place in rising], [values[place] for place in rising]


def _longest_rising(keys: list[bytes]) -> list[int]:
    """Places of the most keys that rise strictly, in n log n."""
    lasts: list[bytes] = []  # by length, the smallest key that ends a rising row
    ends: list[int] = []  # where that key is
    before: list[int] = []  # the place before each key in its row, or -1
    for place, key in enumerate(keys):
        at = len(lasts) if not lasts or key > lasts[-1] else bisect_left(lasts, key)
        before.append(ends[at - 1] if at else -1)
        lasts[at : at + 1] = [key]
        ends[at : at + 1] = [place]
    row = []
    place = ends[-1] if ends else -1
    while place >= 0:
        row.append(place)
        place = before[place]
    return row[::-1]


def find_in_block(data: bytes, key: bytes) -> bytes | None:
    """The value of `key` in a block that `decode_block` accepts, or None: from the last restart point before it on."""
    size = len(data)
    count = _U32.unpack_from(data, size - 4)[0]
    end = size - 4 - 4 * count

    def fail(what: str, _: int) -> ModelError:
        return CorruptError(what)

    def entry(position: int) -> tuple[int, int, int, int]:
        shared, position = read_varint(data, position, end, 32, fail)
        suffix, position = read_varint(data, position, end, 32, fail)
        value_size, position = read_varint(data, position, end, 32, fail)
        return shared, position, position + suffix, position + suffix + value_size

    low, high = 0, count  # the key of restart point `low` is not after `key`, that of `high` is
    while high - low > 1:
        middle = (low + high) // 2
        _, start, stop, _ = entry(_U32.unpack_from(data, end + 4 * middle)[0])
        if data[start:stop] <= key:
            low = middle
        else:
            high = middle
    position = _U32.unpack_from(data, end + 4 * low)[0]
    found = b""
    while position < end:
        shared, start, stop, position = entry(position)
        found = found[:shared] + data[start:stop]
        if found >= key:
            return data[stop:position] if found == key else None
    return None
