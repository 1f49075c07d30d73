"""Frames between the explorer and its child: a JSON header and the raw bytes of tensors. Both sides use this file.

A frame is `TFX1`, the header's length (u32), the body's length (u64), both little-endian, then header and body. The
header is a JSON object; its `tensors` say name, dtype (TensorFlow's name), shape and length of each tensor, whose bytes
follow one another in the body: little-endian, row-major, a string tensor as the lengths of all its elements (u64 each)
followed by their bytes. Neither side trusts the other: every length is checked before anything is taken in.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Union

VERSION = 1
MAGIC = b"TFX1"
MAX_HEADER = 16 << 20
MAX_BODY = 1 << 30
MAX_RANK = 64  # numpy's
PREFIX = struct.Struct("<4sIQ")

# Bytes of one element as it travels; 4-bit types travel one to a byte, as numpy holds them.
ITEM_SIZES = {
    "bool": 1, "int4": 1, "uint4": 1, "int2": 1, "uint2": 1, "int8": 1, "uint8": 1, "qint8": 1, "quint8": 1,
    "float8_e5m2": 1, "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e4m3b11fnuz": 1, "float8_e5m2fnuz": 1,
    "float4_e2m1fn": 1,
    "int16": 2, "uint16": 2, "qint16": 2, "quint16": 2, "float16": 2, "bfloat16": 2,
    "int32": 4, "uint32": 4, "qint32": 4, "float32": 4,
    "int64": 8, "uint64": 8, "float64": 8, "complex64": 8, "complex128": 16,
}  # fmt: skip
STRING = "string"

Buffer = Union[bytes, bytearray, memoryview]


class FrameError(Exception):
    """The other side sent what is no frame; one sentence, without a final full stop."""


class Tensor(NamedTuple):
    """A tensor on its way.

    Attributes:
        name: of an input or output.
        dtype: TensorFlow's name.
        shape: dimensions.
        data: its bytes, see the module.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: Buffer


class Frame(NamedTuple):
    """A header without its `tensors`, and the tensors."""

    header: dict[str, Any]
    tensors: tuple[Tensor, ...]


def elements(shape: Sequence[int]) -> int:
    """How many elements a shape has."""
    count = 1
    for size in shape:
        count *= size
    return count


def encode(header: dict[str, Any], tensors: Iterable[Tensor] = ()) -> list[Buffer]:
    """A frame's bytes, in pieces: nothing is copied.

    Raises:
        FrameError: it is larger than a frame may be.
    """
    tensors = list(tensors)
    described = [
        {"name": one.name, "dtype": one.dtype, "shape": list(one.shape), "bytes": len(one.data)} for one in tensors
    ]
    text = json.dumps({**header, "tensors": described}, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    size = sum(len(one.data) for one in tensors)
    if len(text) > MAX_HEADER:
        raise FrameError(f"a message of {len(text):,} bytes is larger than the {MAX_HEADER:,} that a message may have")
    if size > MAX_BODY:
        raise FrameError(f"tensors of {size:,} bytes are more than the {MAX_BODY:,} that one message may carry")
    return [PREFIX.pack(MAGIC, len(text), size), text, *(one.data for one in tensors)]


def decode_prefix(prefix: bytes) -> tuple[int, int]:
    """The lengths of header and body.

    Raises:
        FrameError: this starts no frame, or one that is too large.
    """
    if len(prefix) != PREFIX.size:
        raise FrameError(f"half a frame: {len(prefix)} of {PREFIX.size} bytes of its start")
    magic, header, body = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise FrameError(f"no frame: it starts with {prefix[:4]!r}")
    if header > MAX_HEADER or body > MAX_BODY:
        raise FrameError(f"a frame of {header:,} and {body:,} bytes, more than {MAX_HEADER:,} and {MAX_BODY:,}")
    return header, body


def decode(text: Buffer, body: Buffer) -> Frame:
    """A frame from its header and body; the tensors are views of the body.

    Raises:
        FrameError: they are not what a frame holds.
    """
    try:
        header = json.loads(bytes(text).decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise FrameError(f"the header is no JSON: {str(error)[:200]}") from None
    if not isinstance(header, dict):
        raise FrameError("the header is no JSON object")
    described = header.pop("tensors", [])
    if not isinstance(described, list):
        raise FrameError("the header's tensors are no list")
    view = memoryview(body)
    tensors, offset = [], 0
    for one in described:
        tensor = _tensor(one, view, offset)
        offset += len(tensor.data)
        tensors.append(tensor)
    if offset != len(view):
        raise FrameError(f"{len(view):,} bytes of tensors where the header tells of {offset:,}")
    return Frame(header, tuple(tensors))


def _natural(value: Any) -> bool:
    return type(value) is int and value >= 0


def _tensor(one: Any, view: memoryview, offset: int) -> Tensor:
    if not isinstance(one, dict):
        raise FrameError("a tensor's description is no JSON object")
    name: Any = one.get("name")
    dtype: Any = one.get("dtype")
    shape: Any = one.get("shape")
    size: Any = one.get("bytes")
    if not (isinstance(name, str) and isinstance(dtype, str) and isinstance(shape, list) and _natural(size)):
        raise FrameError("a tensor without name, dtype, shape and length")
    if len(shape) > MAX_RANK or not all(_natural(dim) and dim < 1 << 63 for dim in shape):
        raise FrameError(f"a tensor of the shape {str(shape)[:100]}")
    if size > len(view) - offset:
        raise FrameError(f"a tensor of {size:,} bytes where {len(view) - offset:,} are left")
    data, count = view[offset : offset + size], elements(shape)
    if dtype == STRING:
        unpack_strings(data, count, check=True)
    elif dtype not in ITEM_SIZES:
        raise FrameError(f"a tensor of the dtype {dtype[:100]!r}, which does not travel")
    elif size != count * ITEM_SIZES[dtype]:
        raise FrameError(f"a tensor of {size:,} bytes, not what {dtype} and its shape ask for")
    return Tensor(name, dtype, tuple(shape), data)


def pack_strings(values: Sequence[bytes]) -> bytes:
    """The bytes of a string tensor."""
    return struct.pack(f"<{len(values)}Q", *map(len, values)) + b"".join(values)


def unpack_strings(data: Buffer, count: int, *, check: bool = False) -> list[bytes]:
    """The elements of a string tensor.

    Args:
        check: only looks whether the lengths fit; returns nothing.

    Raises:
        FrameError: the lengths do not fit.
    """
    if count * 8 > len(data):
        raise FrameError(f"{count:,} strings in {len(data):,} bytes")
    lengths = struct.unpack(f"<{count}Q", bytes(data[: count * 8]))
    if sum(lengths) != len(data) - count * 8:
        raise FrameError("strings whose lengths do not add up")
    values: list[bytes] = []
    if not check:
        at = count * 8
        for length in lengths:
            values.append(bytes(data[at : at + length]))
            at += length
    return values
