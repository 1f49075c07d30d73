"""Keys of tensor slices: OrderedCode, whose byte order is the order of what it encodes.

A slice key is the number 0, the tensor's name, its rank, and for each dimension the signed start and
length of the slice (a whole dimension is 0, -1). Source: tensorflow/core/lib/strings/ordered_code.cc
and tensorflow/core/util/saved_tensor_slice_util.cc, checked against what TensorFlow 2.21 writes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tfexplore.errors import CorruptError

MAX_DIMS = 254
WHOLE = -1

_STRING_END = b"\x00\x01"
_SPECIAL = re.compile(rb"[\x00\xff]")


class SliceKey(NamedTuple):
    """A decoded slice key: the tensor's name as stored, and start and length (-1: whole) of each dimension."""

    name: bytes
    starts: tuple[int, ...]
    lengths: tuple[int, ...]


def encode_slice_key(name: bytes, starts: Sequence[int], lengths: Sequence[int]) -> bytes:
    """The key of the slice of tensor `name` that begins at `starts`; a length of -1 is the whole dimension.

    Raises:
        ValueError: starts and lengths differ in number, or a number does not fit int64.
    """
    escaped = _SPECIAL.sub(lambda found: b"\x00\xff" if found[0] == b"\x00" else b"\xff\x00", name)
    parts = [b"\x00", escaped, _STRING_END, encode_unsigned(len(starts))]
    for start, length in zip(starts, lengths, strict=True):
        parts += (encode_signed(start), encode_signed(length))
    return b"".join(parts)


def decode_slice_key(key: bytes) -> SliceKey:
    """What `encode_slice_key` encoded.

    Raises:
        CorruptError: `key` is no slice key.
    """
    if key[:1] != b"\x00":
        raise CorruptError("this is no slice key: it does not begin with the number 0")
    name, position = _decode_string(key, 1)
    rank, position = _decode_unsigned(key, position)
    if rank > MAX_DIMS:
        raise CorruptError(f"a slice key has {rank:,} dimensions, more than {MAX_DIMS}")
    starts, lengths = [], []
    for _ in range(rank):
        start, position = _decode_signed(key, position)
        length, position = _decode_signed(key, position)
        starts.append(start)
        lengths.append(length)
    if position != len(key):
        raise CorruptError(f"a slice key has {len(key) - position:,} bytes too many")
    return SliceKey(name, tuple(starts), tuple(lengths))


def encode_unsigned(number: int) -> bytes:
    """A number of at most 64 bits: a length byte and that many bytes, the highest first."""
    if not 0 <= number < 1 << 64:
        raise ValueError(f"{number} does not fit uint64")
    size = (number.bit_length() + 7) // 8
    return bytes((size,)) + number.to_bytes(size, "big")


def encode_signed(number: int) -> bytes:
    """An int64: as many bytes as leading ones (positive) or zeros (negative), then two's complement."""
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{number} does not fit int64")
    size = _signed_size(number)
    return ((number & ((1 << 8 * size) - 1)) ^ _header(size)).to_bytes(size, "big")


def _signed_size(number: int) -> int:
    """Bytes that hold the number: each has 7 bits left beside the unary length, one of all is the sign."""
    bits = (number if number >= 0 else ~number).bit_length()
    return min(bits // 7 + 1, 10)


def _header(size: int) -> int:
    """`size` leading ones in a number of `size` bytes."""
    return ((1 << size) - 1) << (7 * size)


def _decode_string(key: bytes, position: int) -> tuple[bytes, int]:
    parts = []
    while found := _SPECIAL.search(key, position):
        at = found.start()
        parts.append(key[position:at])
        pair = key[at : at + 2]
        position = at + 2
        if pair == _STRING_END:
            return b"".join(parts), position
        if pair not in (b"\x00\xff", b"\xff\x00"):
            break
        parts.append(pair[:1])
    raise CorruptError("a slice key's name does not end as it should")


def _decode_unsigned(key: bytes, position: int) -> tuple[int, int]:
    size = key[position] if position < len(key) else 255
    position += 1
    raw = key[position : position + size]
    if size > 8 or len(raw) < size or raw[:1] == b"\x00":
        raise CorruptError("a number in a slice key is not as it should be")
    return int.from_bytes(raw, "big"), position + size


def _decode_signed(key: bytes, position: int) -> tuple[int, int]:
    head = int.from_bytes(key[position : position + 2].ljust(2, b"\x00"), "big")
    if negative := head < 0x8000:
        head ^= 0xFFFF
    # The number of leading ones of the first two bytes.
    size = 16 - (head ^ 0xFFFF).bit_length()
    raw = key[position : position + size]
    if size > 10 or len(raw) < size:
        raise CorruptError("a signed number in a slice key is not as it should be")
    number = int.from_bytes(raw, "big") ^ _header(size)
    if negative:
        number -= 1 << 8 * size
    if not -(1 << 63) <= number < 1 << 63 or _signed_size(number) != size:
        raise CorruptError("a signed number in a slice key is not as it should be")
    return number, position + size
