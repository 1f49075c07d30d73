"""What a model gave: facts about each output, its greatest values, and how it differs from what was expected."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import text
from tfexplore.core.shapes import format_shape
from tfexplore.core.values import format_value, to_plain
from tfexplore.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

TOP = 5
# Classes of a classifier, not the pixels of a picture.
_MAX_CLASSES = 100_000
_MAX_DIFFERENCES = 5


class Output(NamedTuple):
    """One output of a call.

    Attributes:
        name: as the signature has it, or the tensor's name.
        dtype: TensorFlow's name for it.
        array: its values; strings as bytes in an object array.
    """

    name: str
    dtype: str
    array: Array


class Top(NamedTuple):
    """The greatest values along the last axis of a row: `row` is empty for a vector."""

    row: tuple[int, ...]
    indexes: tuple[int, ...]
    values: tuple[float, ...]


class Latency(NamedTuple):
    """How long calls took, in milliseconds: the first one, and median, 90th percentile and maximum of the others."""

    first: float
    p50: float | None
    p90: float | None
    max: float | None


def _is_real(array: Array) -> bool:
    # bfloat16 and the float8 types are of kind V.
    return array.dtype.kind == "f" or (array.dtype.kind == "V" and "float" in array.dtype.name)


def num_nan(array: Array) -> int:
    """How many elements are no number; a complex one is none where either part is none."""
    import numpy as np

    if array.dtype.kind == "c" or _is_real(array):
        return int(np.isnan(array).sum())
    return 0


def num_inf(array: Array) -> int:
    """How many elements are infinite."""
    import numpy as np

    if array.dtype.kind == "c" or _is_real(array):
        try:
            return int(np.isinf(array).sum())
        except TypeError:  # a float8 without infinities
            return 0
    return 0


def tops(array: Array, count: int = TOP, rows: int = 3) -> list[Top]:
    """The greatest values of the first rows of floats; none where the last axis has fewer than three places.

    Args:
        count: how many of each row, the greatest first; equal ones in the order of their places, NaN left out.
        rows: of how many rows.
    """
    import numpy as np

    if not _is_real(array) or array.ndim == 0 or array.ndim > 2 or not 3 <= array.shape[-1] <= _MAX_CLASSES:
        return []
    found = []
    for number, line in enumerate(array.reshape(-1, array.shape[-1])[:rows]):
        values = line.astype(np.float64)
        order = np.argsort(-values, kind="stable")
        order = order[~np.isnan(values[order])][:count]
        row = (number,) if array.ndim == 2 else ()
        found.append(Top(row, tuple(map(int, order)), tuple(float(values[place]) for place in order)))
    return found


def facts(output: Output, *, values: bool = True) -> dict[str, Any]:
    """The fields of an output in JSON: `dtype`, `shape`, `nan`, and with `values` also `values` and `top`."""
    found: dict[str, Any] = {
        "dtype": output.dtype,
        "shape": list(output.array.shape),
        "nan": num_nan(output.array),
        "inf": num_inf(output.array),
    }
    if values:
        found["values"] = to_plain(output.array)
        greatest = tops(output.array)
        if greatest:
            found["top"] = [
                {"row": list(top.row), "indexes": list(top.indexes), "values": list(top.values)} for top in greatest
            ]
    return found


def latency(milliseconds: Sequence[float], first: float) -> Latency:
    """The percentiles of repeated calls; the nearest rank, so that each is a time that was measured."""
    if not milliseconds:
        return Latency(first, None, None, None)
    ordered = sorted(milliseconds)

    def rank(share: float) -> float:
        return ordered[math.ceil(round(share * len(ordered), 6)) - 1]

    return Latency(first, rank(0.5), rank(0.9), ordered[-1])


# -- what was expected --


def expected_outputs(document: Any) -> dict[str, Any]:
    """The outputs of a golden file: the JSON that `predict --json` prints, or `{NAME: values}`.

    Raises:
        UsageError: it is neither.
    """
    found = document.get("outputs", document) if isinstance(document, dict) else None
    if not isinstance(found, dict) or not found:
        raise UsageError("a golden file holds an object of outputs by name, or what `predict --json` prints")
    return {
        name: part["values"] if isinstance(part, dict) and "values" in part else part for name, part in found.items()
    }


def differences(
    outputs: Sequence[Output], expected: Mapping[str, Any], *, rtol: float = 1e-5, atol: float = 1e-8
) -> list[str]:
    """A sentence for each output that is not what was expected; NaN equals NaN, as TensorFlow's tests have it.

    Args:
        expected: plain data as `expected_outputs` gives it.
        rtol, atol: a number may differ by `atol + rtol * |expected|`.
    """
    given = {output.name: output for output in outputs}
    found = [f"{text.label(name)} is missing" for name in expected if name not in given]
    found += [f"{text.label(name)} was not expected" for name in given if name not in expected]
    for name, wanted in expected.items():
        if name in given:
            sentence = _difference(given[name], wanted, rtol, atol)
            if sentence:
                found.append(f"{text.label(name)} {sentence}")
    return found


def _difference(output: Output, wanted: Any, rtol: float, atol: float) -> str:
    import numpy as np

    array = output.array
    flat, shape = _leaves(wanted, pairs=array.dtype.kind == "c")
    if not array.size and not flat and shape == array.shape[: len(shape)]:
        return ""
    if shape != array.shape:
        return f"has the shape {format_shape(array.shape)}, expected {format_shape(shape)}"
    other: Array
    if array.dtype.kind == "O":
        other = _objects([_bytes(part) for part in flat], shape)
        wrong = np.asarray(array != other, bool)
    else:
        try:
            numbers = [complex(*map(_number, part)) if isinstance(part, list) else _number(part) for part in flat]
        except (TypeError, ValueError):
            return "is numbers, expected something else"
        if array.dtype.kind in "biu" or "int" in array.dtype.name:
            other = _objects(numbers, shape)
            wrong = np.asarray(array.astype(object) != other, bool)
        else:
            wide = np.complex128 if array.dtype.kind == "c" else np.float64
            # Compared as what the output is: JSON holds more digits than a float32 has.
            other = np.asarray(numbers, wide).reshape(shape).astype(array.dtype).astype(wide)
            wrong = ~np.isclose(array.astype(wide), other, rtol=rtol, atol=atol, equal_nan=True)
    count = int(np.count_nonzero(wrong))
    if not count:
        return ""
    places = [tuple(map(int, place)) for place in np.argwhere(wrong)[:_MAX_DIFFERENCES]]
    place = places[0]
    where = f" at {list(place)}" if place else ""
    theirs = format_value(other.reshape(array.shape)[place])
    return (
        f"differs in {count:,} of {array.size:,} {'element' if array.size == 1 else 'elements'}; "
        f"the first{where}: {format_value(array[place])}, expected {theirs}"
    )


def _objects(values: list[Any], shape: tuple[int, ...]) -> Array:
    import numpy as np

    found: Array = np.empty(len(values), object)
    found[:] = values
    return found.reshape(shape)


def _leaves(value: Any, *, pairs: bool = False) -> tuple[list[Any], tuple[int, ...]]:
    """The elements of nested lists in order, and their shape; lists of unequal lengths have no shape that matches."""
    shape: list[int] = []
    level = [value]
    while level and all(isinstance(part, list) for part in level):
        if pairs and all(len(part) == 2 and not isinstance(part[0], list) for part in level):
            break
        lengths = {len(part) for part in level}
        if len(lengths) != 1:
            return [], (-1,)
        shape.append(lengths.pop())
        level = [element for part in level for element in part]
    return level, tuple(shape)


def _number(value: Any) -> Any:
    """A number as JSON has it; NaN and infinities are words there."""
    if isinstance(value, str):
        if value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        raise ValueError(value)
    if isinstance(value, (bool, int, float)):
        return value
    raise TypeError(type(value))


def _bytes(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, dict) and isinstance(value.get("b64"), str):
        return base64.b64decode(value["b64"])
    return value
