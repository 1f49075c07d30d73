"""Values that are made, not given: `zeros`, `ones`, `random[:seed]`."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.arrays import MAX_BYTES, called, numpy_dtype
from tfexplore.core.shapes import Shape, format_shape
from tfexplore.core.signatures import TensorInfo
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    import numpy as np

MAKERS = ("zeros", "ones", "random")
# Random integers lie below this: classes, tokens and rows of small tables exist.
_BELOW = 10
_OBJECT_BYTES = 64


def split(value: str) -> tuple[str, int] | None:
    """`random:7` as ("random", 7), `zeros` as ("zeros", 0); None where it is no maker.

    Raises:
        UsageError: the seed is no whole number.
    """
    name, colon, seed = value.partition(":")
    if name not in MAKERS:
        return None
    if not colon:
        return name, 0
    if name != "random" or not (seed.isascii() and seed.isdigit() and len(seed) < 19):
        raise UsageError(f"{text.visible(value)}: expected zeros, ones, random or random:SEED")
    return name, int(seed)


def concrete(shape: Shape, unknown: int = 1) -> tuple[int, ...]:
    """A shape with every unknown dimension set; an unknown rank becomes one dimension."""
    return (unknown,) if shape is None else tuple(unknown if size is None else size for size in shape)


def make(maker: str, info: TensorInfo, shape: tuple[int, ...] | None = None, seed: int = 0) -> np.ndarray:
    """A made value for an input.

    Args:
        maker: `zeros` (false, empty strings), `ones` (true, the string 1), or `random`: floats from the normal
            distribution, integers from 0 to 9, booleans, strings of one digit.
        shape: a concrete one; unknown dimensions become 1 without it.
        seed: of `random`; the same seed gives different inputs different values.

    Raises:
        UsageError: the input takes no such values, or too many.
    """
    import numpy as np

    dtype = numpy_dtype(info)
    shape = concrete(info.shape) if shape is None else shape
    elements = math.prod(shape)
    if elements * (dtype.itemsize if dtype.kind != "O" else _OBJECT_BYTES) > MAX_BYTES or len(shape) > 32:
        raise UsageError(f"{called(info)}: the shape {format_shape(shape)} is too large to be made up")
    if maker != "random":
        number = int(maker == "ones")
        if dtype.kind == "O":
            return _strings([b"1" if number else b""] * elements).reshape(shape)
        if dtypes.name(dtypes.base(info.dtype)) in ("int2",):
            return np.full(shape, number, "int8").astype(dtype)
        return np.full(shape, number).astype(dtype)
    generator = np.random.default_rng([seed, zlib.crc32(text.encode(info.name))])
    if dtype.kind == "O":
        return _strings([b"%d" % digit for digit in generator.integers(0, _BELOW, elements)]).reshape(shape)
    if dtype.kind == "b":
        return generator.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu" or "int" in dtype.name:
        return generator.integers(0, 2 if dtype.name.endswith("int2") else min(_BELOW, 8), shape).astype(dtype)
    numbers = generator.standard_normal(shape)
    if dtype.kind == "c":
        numbers = numbers + 1j * generator.standard_normal(shape)
    found: np.ndarray = np.asarray(numbers).astype(dtype)
    return found


def _strings(values: list[bytes]) -> np.ndarray:
    import numpy as np

    found = np.empty(len(values), object)
    found[:] = values
    return found
