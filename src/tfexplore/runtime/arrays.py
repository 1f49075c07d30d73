"""Tensors of the protocol from numpy arrays and back, and nests of arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfexplore.errors import UsageError
from tfexplore.formats import dtypes
from tfexplore.runtime.protocol import ITEM_SIZES, MAX_RANK, STRING, Tensor, pack_strings, unpack_strings

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_NUMBERS = {dtypes.name(number): number for number in range(1, 100) if dtypes.is_known(number)}


def to_tensor(name: str, array: Array, dtype: str | None = None) -> Tensor:
    """An array as an input.

    Args:
        array: numbers, or objects and numpy strings that hold bytes or text.
        dtype: TensorFlow's name; None for what the array is. Nothing is converted.

    Raises:
        UsageError: it is no array of that dtype, or of one that travels.
    """
    import numpy as np

    kind = array.dtype.kind
    named = dtype or (STRING if kind in "OSU" else array.dtype.name)
    if array.ndim > MAX_RANK:
        raise UsageError(f"{name} has {array.ndim} dimensions, more than {MAX_RANK}")
    if named == STRING:
        if kind not in "OSU":
            raise UsageError(f"{name} holds {array.dtype.name}, not strings")
        values = [_bytes(name, one) for one in array.reshape(-1).tolist()]
        return Tensor(name, STRING, array.shape, pack_strings(values))
    if named not in ITEM_SIZES or array.dtype != dtypes.numpy_dtype(_NUMBERS[named]):
        raise UsageError(f"{name} holds {array.dtype.name}, not {named}" if dtype else f"{name} holds {named}")
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return Tensor(name, named, array.shape, little.reshape(-1).view(np.uint8).data)


def _bytes(name: str, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    raise UsageError(f"{name} holds {type(value).__name__}, not strings")


def to_array(tensor: Tensor) -> Array:
    """An output as an array that cannot be written to; strings are objects of bytes."""
    import numpy as np

    if tensor.dtype == STRING:
        count = 1
        for size in tensor.shape:
            count *= size
        flat: Array = np.empty(count, dtype=object)
        flat[:] = unpack_strings(tensor.data, count)
        return flat.reshape(tensor.shape)
    dtype = dtypes.numpy_dtype(_NUMBERS[tensor.dtype])
    if dtype.kind in "iufc":
        dtype = dtype.newbyteorder("<")
    return np.frombuffer(tensor.data, dtype=dtype).reshape(tensor.shape)


def pack(arguments: Any, tensors: list[Tensor]) -> Any:
    """A nest of arguments in the form that `Call.args` takes; the tensors in it are appended to `tensors`.

    Args:
        arguments: lists, tuples and dicts of tensors and plain values.

    Raises:
        UsageError: something else is in it.
    """
    if isinstance(arguments, Tensor):
        tensors.append(arguments)
        return {"tensor": len(tensors) - 1}
    if isinstance(arguments, list | tuple):
        kind = "list" if isinstance(arguments, list) else "tuple"
        return {kind: [pack(part, tensors) for part in arguments]}
    if isinstance(arguments, dict):
        return {"dict": {str(name): pack(part, tensors) for name, part in arguments.items()}}
    if arguments is None or isinstance(arguments, bool | int | float | str):
        return {"value": arguments}
    raise UsageError(f"a {type(arguments).__name__} is no argument of a model's function")
