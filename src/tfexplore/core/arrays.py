"""Values as arrays of exactly the dtype and shape that an input asks for; what does not fit is a sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tfexplore.core import json_values, text
from tfexplore.core.shapes import format_shape
from tfexplore.core.signatures import TensorInfo
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    import numpy as np

# The most bytes that a made input may take.
MAX_BYTES = 256 << 20
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def called(info: TensorInfo) -> str:
    """What a sentence calls an input: `the input x (float32 [?, 3])`."""
    return f"the input {text.label(info.name)} ({dtypes.name(info.dtype)} {format_shape(info.shape)})"


def numpy_dtype(info: TensorInfo) -> np.dtype:
    """The numpy type of an input's values; object for strings.

    Raises:
        UsageError: it takes something that is no array of values.
    """
    if info.tensor is None and (info.sparse or info.components):
        raise UsageError(f"{called(info)} is made of several tensors: feed its parts by name (--feed TENSOR=VALUE)")
    try:
        if dtypes.base(info.dtype) in (dtypes.RESOURCE, dtypes.VARIANT):
            raise KeyError(info.dtype)
        return dtypes.numpy_dtype(info.dtype)
    except KeyError:
        raise UsageError(f"{called(info)} takes no values that can be given from outside") from None


def from_json(value: Any, info: TensorInfo, where: str | None = None) -> np.ndarray:
    """The array that a JSON value stands for; strings as `bytes`, a complex number as `[real, imaginary]`.

    Raises:
        UsageError: it does not fit the input's dtype or shape.
    """
    import numpy as np

    where = where or called(info)
    dtype = numpy_dtype(info)
    shape, leaves = json_values.flatten(value, where)
    if dtype.kind == "O":
        flat = np.empty(len(leaves), object)
        flat[:] = [json_values.to_bytes(leaf, where) for leaf in leaves]
    elif dtype.kind == "b":
        flat = np.array([_boolean(leaf, where) for leaf in leaves], bool)
    elif _is_integer(dtype):
        flat = _integers(leaves, dtype, where)
    elif dtype.kind == "c":
        pairs = bool(shape) and shape[-1] == 2 and (info.shape is None or len(shape) == len(info.shape) + 1)
        numbers = _floats(leaves, np.dtype(f"float{dtype.itemsize * 4}"), where)
        flat = numbers.view(dtype) if pairs else numbers.astype(dtype)
        shape = shape[:-1] if pairs else shape
    else:
        flat = _floats(leaves, dtype, where)
    return checked(flat.reshape(shape), info, where)


def from_array(array: np.ndarray, info: TensorInfo, where: str | None = None) -> np.ndarray:
    """An array as the input takes it: of another width of the same kind where all values fit; integers become floats.

    Raises:
        UsageError: it does not fit the input's dtype or shape.
    """
    where = where or called(info)
    dtype = numpy_dtype(info)
    found = array.view(dtype) if array.dtype.kind == "V" and array.dtype.itemsize == dtype.itemsize else array
    if dtype.kind == "O":
        found = _byte_strings(found, where)
    elif found.dtype != dtype:
        kind = found.dtype.kind
        if _is_integer(dtype) and kind in "iu":
            found = _narrowed(found, dtype, where)
        elif dtype.kind not in "biu" and not _is_integer(dtype) and (kind in "iuf" or (dtype.kind == kind == "c")):
            found = _rounded(found, dtype, where)
        else:
            raise UsageError(f"{where}: the values are {_dtype_name(array)}")
    return checked(found, info, where)


def checked(array: np.ndarray, info: TensorInfo, where: str | None = None) -> np.ndarray:
    """The array, where its shape is one that the input takes.

    Raises:
        UsageError: it is not.
    """
    if info.shape is None:
        return array
    where = where or called(info)
    got = format_shape(array.shape)
    if array.ndim != len(info.shape):
        wanted = text.plural(len(info.shape), "dimension")
        raise UsageError(f"{where}: expected {wanted}, got {array.ndim} (the shape {got})")
    for axis, (size, wanted_size) in enumerate(zip(array.shape, info.shape, strict=True)):
        if wanted_size is not None and size != wanted_size:
            raise UsageError(f"{where}: dimension {axis} is {size:,}, not {wanted_size:,} (the shape is {got})")
    return array


def _is_integer(dtype: np.dtype) -> bool:
    return dtype.kind in "iu" or dtype.name in ("int4", "uint4", "int2", "uint2")


def _dtype_name(array: np.ndarray) -> str:
    words = {"O": "Python objects", "U": "strings", "S": "strings", "V": "raw bytes"}
    return words.get(array.dtype.kind) or str(array.dtype.name)


def _boolean(leaf: Any, where: str) -> bool:
    if not isinstance(leaf, bool):
        raise UsageError(f"{where}: expected true or false, got {json_values.describe(leaf)}")
    return leaf


def _limits(dtype: np.dtype) -> tuple[int, int]:
    import numpy as np

    if dtype.kind in "iu":
        return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    bits = int(dtype.name[-1])  # int4, uint4, int2, uint2
    return (0, 2**bits - 1) if dtype.name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _integers(leaves: list[Any], dtype: np.dtype, where: str) -> np.ndarray:
    import numpy as np

    low, high = _limits(dtype)
    for leaf in leaves:
        if isinstance(leaf, bool) or not isinstance(leaf, int):
            raise UsageError(f"{where}: expected a whole number, got {json_values.describe(leaf)}")
        if not low <= leaf <= high:
            raise UsageError(f"{where}: {json_values.describe(leaf)} lies outside {low:,} to {high:,}")
    found: np.ndarray = np.array(leaves, "uint64" if high >= 2**63 else "int64").astype(dtype)
    return found


def _floats(leaves: list[Any], dtype: np.dtype, where: str) -> np.ndarray:
    import numpy as np

    numbers = []
    for leaf in leaves:
        if isinstance(leaf, str) and leaf in _NUMBERS:
            numbers.append(_NUMBERS[leaf])
            continue
        if isinstance(leaf, bool) or not isinstance(leaf, (int, float)):
            raise UsageError(f"{where}: expected a number, got {json_values.describe(leaf)}")
        try:
            numbers.append(float(leaf))
        except OverflowError:
            raise UsageError(f"{where}: {json_values.describe(leaf)} does not fit into {dtype.name}") from None
    return _rounded(np.array(numbers, "float64"), dtype, where)


def _narrowed(array: np.ndarray, dtype: np.dtype, where: str) -> np.ndarray:
    low, high = _limits(dtype)
    if array.size:
        for extreme in (int(array.min()), int(array.max())):
            if not low <= extreme <= high:
                raise UsageError(f"{where}: the number {extreme} lies outside {low:,} to {high:,}")
    found: np.ndarray = array.astype(dtype)
    return found


def _rounded(array: np.ndarray, dtype: np.dtype, where: str) -> np.ndarray:
    """The nearest values of the type; one that is finite and has none there is an error."""
    import numpy as np

    with np.errstate(all="ignore"):
        found: np.ndarray = array.astype(dtype)
        if array.dtype.kind in "fc":
            wide = found if found.dtype.kind == "c" else found.astype("float64")
            lost = np.isfinite(array) & ~np.isfinite(wide)
            lost |= np.isnan(array) & ~np.isnan(wide)
            if dtype.name.startswith("float4"):  # it has no infinity to overflow to
                lost |= np.abs(array) > 6
            if lost.any():
                bad = array[lost].reshape(-1)[0]
                raise UsageError(f"{where}: the number {bad:g} does not fit into {dtype.name}")
    return found


def _byte_strings(array: np.ndarray, where: str) -> np.ndarray:
    import numpy as np

    if array.dtype.kind not in "SU":
        raise UsageError(f"{where}: the values are {_dtype_name(array)}, not strings")
    found = np.empty(array.size, object)
    try:
        found[:] = [text.encode(part) if isinstance(part, str) else bytes(part) for part in array.reshape(-1).tolist()]
    except UnicodeEncodeError:
        raise UsageError(f"{where}: a string holds half a character (a lone surrogate)") from None
    return found.reshape(array.shape)
