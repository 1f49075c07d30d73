"""Inputs for calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfexplore.runtime import arrays
from tfexplore.runtime.protocol import Tensor
from tfexplore.runtime.records import Result


def floats(name: str, values: Any) -> Tensor:
    return arrays.to_tensor(name, np.array(values, dtype=np.float32))


def strings(name: str, values: Any) -> Tensor:
    return arrays.to_tensor(name, np.array(values, dtype=object))


def outputs(result: Result) -> dict[str, Any]:
    """Outputs by name, as lists."""
    return {tensor.name: arrays.to_array(tensor).tolist() for tensor in result.tensors}


def filled(name: str, spec: dict[str, Any], value: int) -> Tensor:
    """An input of a signature that holds one value all over, empty strings for 0; 1 for each unknown dimension."""
    shape = [1 if size is None else size for size in spec["shape"] or []]
    if spec["dtype"] == "string":
        return strings(name, np.full(shape, b"x" * value, dtype=object))
    return arrays.to_tensor(name, np.full(shape, value, dtype=spec["dtype"]))
