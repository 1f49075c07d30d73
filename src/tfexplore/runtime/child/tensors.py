"""Tensors between frames and TensorFlow, and nests of them between JSON and Python."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from . import frames
from .frames import Tensor
from .serve import Refused

MAX_DEPTH = 50


def to_array(tensor: Tensor) -> Any:
    """A numpy array for feeding.

    Raises:
        Refused: TensorFlow has no such dtype, or numpy no such shape.
    """
    if tensor.dtype == frames.STRING:
        flat = np.empty(frames.elements(tensor.shape), dtype=object)
        flat[:] = frames.unpack_strings(tensor.data, len(flat))
        return flat.reshape(tensor.shape)
    try:
        dtype = np.dtype(tf.dtypes.as_dtype(tensor.dtype).as_numpy_dtype)
    except TypeError:
        raise Refused("wrong_input", f"this TensorFlow has no dtype {tensor.dtype}", tensor=tensor.name) from None
    if dtype.itemsize != frames.ITEM_SIZES[tensor.dtype]:
        raise Refused("wrong_input", f"{tensor.dtype} cannot be fed", tensor=tensor.name)
    return np.frombuffer(tensor.data, dtype=dtype).reshape(tensor.shape)


def to_constant(tensor: Tensor) -> Any:
    """A tensor of TensorFlow 2."""
    return tf.constant(to_array(tensor), dtype=tf.dtypes.as_dtype(tensor.dtype))


def from_array(name: str, dtype: Any, array: Any) -> Tensor:
    """What TensorFlow gave, as a tensor for a frame.

    Args:
        dtype: TensorFlow's, since numpy has no name for some.

    Raises:
        Refused: such values do not travel.
    """
    named = dtype.name
    array = np.asarray(array)
    if named == frames.STRING:
        values = [one if isinstance(one, bytes) else str(one).encode("utf-8") for one in array.reshape(-1).tolist()]
        return Tensor(name, named, array.shape, frames.pack_strings(values))
    if frames.ITEM_SIZES.get(named) != array.dtype.itemsize:
        raise Refused("opaque", f"{name} is of the dtype {named}, which has no values to show", tensor=name)
    if sys.byteorder == "big":
        array = array.byteswap()
    array = np.ascontiguousarray(array).reshape(array.shape)
    return Tensor(name, named, array.shape, memoryview(array.reshape(-1).view(np.uint8)))


def dims(shape: Any) -> Any:
    """A TensorShape as a list with None for what is unknown, or None."""
    return None if shape.rank is None else shape.as_list()


def unnest(nest: Any, tensors: Sequence[Any], depth: int = 0) -> Any:
    """A Python value from its JSON form, see `client.describe`; `{"tensor": n}` is the n-th of `tensors`.

    Raises:
        Refused: it has no such form.
    """
    if depth > MAX_DEPTH:
        raise Refused("wrong_input", f"arguments nested more than {MAX_DEPTH} deep")
    if isinstance(nest, dict) and len(nest) == 1:
        ((kind, value),) = nest.items()
        if kind == "tensor" and type(value) is int and 0 <= value < len(tensors):
            return tensors[value]
        if kind == "value" and (value is None or isinstance(value, (bool, int, float, str))):
            return value
        if kind in ("list", "tuple") and isinstance(value, list):
            parts = [unnest(part, tensors, depth + 1) for part in value]
            return parts if kind == "list" else tuple(parts)
        if kind == "dict" and isinstance(value, dict):
            return {name: unnest(part, tensors, depth + 1) for name, part in value.items()}
    raise Refused("wrong_input", f"no argument is written so: {str(nest)[:200]}")


def nest_of_specs(value: Any, depth: int = 0) -> Any:
    """The JSON form of a nest of TensorSpecs and plain values."""
    if depth > MAX_DEPTH:
        return {"other": "…"}
    if isinstance(value, tf.TensorSpec) or (tf.is_tensor(value) and hasattr(value, "shape")):
        if not hasattr(value, "row_splits") and hasattr(value.shape, "rank"):
            return {"tensor": {"name": str(value.name), "dtype": value.dtype.name, "shape": dims(value.shape)}}
    if isinstance(value, tf.TypeSpec):
        fields: dict[str, Any] = {"type": type(value).__name__}
        for name in ("dtype", "shape"):
            found = getattr(value, name, None)
            if found is not None:
                fields[name] = found.name if name == "dtype" else dims(found)
        return {"composite": fields}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value if value == value and value not in (float("inf"), float("-inf")) else str(value)}
    if isinstance(value, Mapping):
        return {"dict": {str(name): nest_of_specs(part, depth + 1) for name, part in value.items()}}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [nest_of_specs(part, depth + 1) for part in value]}
    return {"other": type(value).__name__}


def flatten(value: Any, prefix: str = "", depth: int = 0) -> list[tuple[str, Any]]:
    """The tensors of a nest, each with a name: `a/0` for the first of what is under `a`, `output` for a lone one.

    The parts of a composite tensor are named `a.values`, `a.row_splits`, and so on.
    """
    if depth > MAX_DEPTH:
        raise Refused("opaque", f"outputs nested more than {MAX_DEPTH} deep")
    if isinstance(value, tf.RaggedTensor):
        nested = value.nested_row_splits
        parts = [(f"row_splits_{at}" if len(nested) > 1 else "row_splits", one) for at, one in enumerate(nested)]
        return _parts(prefix, [("values", value.flat_values), *parts])
    if isinstance(value, tf.SparseTensor):
        return _parts(prefix, [(part, getattr(value, part)) for part in ("indices", "values", "dense_shape")])
    if isinstance(value, tf.IndexedSlices):
        return _parts(prefix, [(part, getattr(value, part)) for part in ("indices", "values")])
    if isinstance(value, Mapping):
        # A restored function has its dicts in no order of their own.
        items = sorted(((str(name), part) for name, part in value.items()), key=lambda item: item[0])
    elif isinstance(value, (list, tuple)):
        fields = getattr(value, "_fields", range(len(value)))
        items = [(str(name), part) for name, part in zip(fields, value)]
    elif value is None:
        return []
    else:
        return [(prefix or "output", value)]
    found = []
    for name, part in items:
        found += flatten(part, f"{prefix}/{name}" if prefix else name, depth + 1)
    return found


def _parts(prefix: str, parts: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(f"{prefix or 'output'}.{name}", part) for name, part in parts]
