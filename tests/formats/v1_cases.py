"""What the tests of V1 checkpoints have in common: numbers, comparisons, and reading small values as large ones."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tfexplore.formats import slice_table, slice_values

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
NUMBERS = [*INTEGERS, "float16", "float32", "float64", "complex64", "complex128", "bool", ml_dtypes.bfloat16]
FLOATS = np.arange(6, dtype=np.float32).reshape(2, 3)


def some(dtype: Any, *shape: int) -> np.ndarray:
    """Numbers of both signs and all sizes, as far as the dtype has them."""
    kind = np.dtype(dtype).kind
    count = int(np.prod(shape))
    plain = np.arange(count) % 11 - 5 * (kind not in "ub")
    if np.dtype(dtype).name in INTEGERS:
        ends = np.iinfo(dtype)
        plain = np.resize(np.array([ends.min, ends.max, 0, 1, 127], dtype), count)
    return (plain + 1j * plain if kind == "c" else plain).astype(dtype).reshape(shape)


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    """Equal bit for bit."""
    if expected.dtype == object:
        return found.shape == expected.shape and found.ravel().tolist() == expected.ravel().tolist()
    return found.dtype == expected.dtype and found.shape == expected.shape and found.tobytes() == expected.tobytes()


def cut(array: np.ndarray, starts: Any, counts: Any) -> np.ndarray:
    index = tuple(slice(start, start + size) for start, size in zip(starts, counts, strict=True))
    return np.asarray(array[index] if index else array, dtype=array.dtype)


def as_large(patch: pytest.MonkeyPatch) -> None:
    """Small values are read as large ones are: stepped over, and a piece at a time."""
    patch.setattr(slice_values, "PARSED", 0)
    patch.setattr(slice_values, "_PIECE", 16)
    patch.setattr(slice_table, "_CHECKED_AT_ONCE", 0)
    patch.setattr(slice_table, "_WINDOW", 16)
