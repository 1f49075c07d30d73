"""Shapes: a tuple with None for an unknown dimension; None for an unknown rank."""

from __future__ import annotations

import math
from typing import Any

Shape = tuple[int | None, ...] | None


def from_proto(message: Any) -> Shape:
    """The shape that a TensorShapeProto holds (size -1: unknown dimension)."""
    if message.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in message.dim)


def format_shape(shape: Shape) -> str:
    """`[?, 224, 224, 3]`, `[]` for a scalar, `unknown rank`."""
    if shape is None:
        return "unknown rank"
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


# TensorFlow counts elements in signed 64 bits.
_MAX_ELEMENTS = 2**63 - 1


def num_elements(shape: Shape) -> int | None:
    """How many elements a fully known shape has; None for any other, and for one that no tensor can have."""
    if shape is None or None in shape:
        return None
    total = math.prod(size for size in shape if size is not None)
    return total if total <= _MAX_ELEMENTS else None
