"""Values of every dtype as text and as plain data."""

from __future__ import annotations

import json
import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.core import values
from tfexplore.formats import dtypes

NUMBERS = [number for number in range(1, 34) if dtypes.itemsize(number)]
INTEGERS = {
    "int2", "uint2", "int4", "uint4", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "qint8", "quint8", "qint16", "quint16", "qint32",
}  # fmt: skip


def objects(*items: Any) -> np.ndarray:
    array = np.empty(len(items), object)
    array[:] = items
    return array


@pytest.mark.parametrize("number", NUMBERS, ids=dtypes.name)
def test_every_dtype_has_text_and_plain_data(number: int) -> None:
    array = np.array([0, 1, 1], dtypes.numpy_dtype(number))
    name = dtypes.name(number)
    if name == "bool":
        wanted, plain = ["false", "true"], [False, True, True]
    elif name.startswith("complex"):
        wanted, plain = ["0+0j", "1+0j"], [[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
    else:
        wanted, plain = ["0", "1"], [0, 1, 1]
    assert [values.format_value(value) for value in array[:2]] == wanted
    assert values.format_flat(array, 2) == f"[{', '.join(wanted)}, … 1 more]"
    found = values.to_plain(array)
    assert found == plain
    assert json.loads(json.dumps(found)) == plain
    if name in INTEGERS:
        assert [type(value) for value in found] == [int] * 3
    assert len(values.format_rows(array.reshape(3, 1))) == 3


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.float32(0.1), "0.1"),
        (np.float64(1) / 3, "0.333333"),
        (np.float32(1e-20), "1e-20"),
        (np.float32(math.nan), "nan"),
        (np.float32(math.inf), "inf"),
        (np.float32(-math.inf), "-inf"),
        (np.int64(-(2**63)), str(-(2**63))),
        (np.uint64(2**64 - 1), str(2**64 - 1)),
        (np.bool_(True), "true"),
        (np.complex64(1 - 2j), "1-2j"),
        (ml_dtypes.int4(-8), "-8"),
        (ml_dtypes.bfloat16(1.5), "1.5"),
        (b"word", '"word"'),
        (b"", '""'),
        (b"\x1b[2J\xff", '"\\x1b[2J\\xff"'),
        (b"x" * 61, f'"{"x" * 60}"… (61 bytes)'),
    ],
)
def test_elements_as_text(value: Any, shown: str) -> None:
    assert values.format_value(value) == shown


def test_a_cut_string_is_cut_between_characters() -> None:
    shown = values.format_value(("é" * 29 + "a" + "é" * 20).encode())
    assert "\\x" not in shown
    assert shown.startswith('"éé')
    assert "(99 bytes)" in shown


@given(st.binary(max_size=100))
def test_strings_are_printable(raw: bytes) -> None:
    assert values.format_value(raw).isprintable()
    assert values.to_plain(objects(raw)) == [raw.decode("utf-8", "surrogateescape")]


@given(st.lists(st.integers(0, 5), max_size=5), st.integers(1, 6), st.integers(1, 6))
def test_rows_are_a_corner_of_any_rank(sizes: list[int], rows: int, columns: int) -> None:
    array = np.arange(math.prod(sizes), dtype=np.int32).reshape(sizes)
    lines = values.format_rows(array, rows=rows, columns=columns)
    if array.size == 0:
        assert lines == ["(no elements)"]
        return
    corner = array[(0,) * max(0, array.ndim - 2)]
    corner = corner.reshape(1, -1) if corner.ndim < 2 else corner
    assert [[int(word) for word in line.replace("…", "").split()] for line in lines if line != "…"] == corner[
        :rows, :columns
    ].tolist()
    assert (lines[-1] == "…") is (corner.shape[0] > rows)
    assert lines[0].endswith("…") is (corner.shape[1] > columns)


def test_rows_line_up() -> None:
    lines = values.format_rows(np.array([[1, -200], [30, 4]], np.int32))
    assert lines == [" 1  -200", "30     4"]
    assert values.format_rows(np.array(3, np.int64)) == ["3"]


def test_flat_text_of_a_scalar_and_of_nothing() -> None:
    assert values.format_flat(np.array(2.5, np.float32), 4) == "2.5"
    assert values.format_flat(np.zeros((0, 3), np.float32), 4) == "[]"
    assert values.format_flat(objects(b"a", b"b"), 4) == '["a", "b"]'


def test_plain_data_has_the_array_s_shape_and_exact_floats() -> None:
    array = np.array([[0.1, -0.0], [math.nan, math.inf]], np.float32)
    plain = values.to_plain(array)
    assert plain[0] == [float(np.float32(0.1)), -0.0]
    assert math.isnan(plain[1][0])
    assert plain[1][1] == math.inf
    assert values.to_plain(np.zeros((2, 0, 3), np.float32)) == [[], []]
    assert values.to_plain(np.array([2**64 - 1], np.uint64)) == [2**64 - 1]
    assert values.to_plain(np.array(-8, ml_dtypes.int4)) == -8
