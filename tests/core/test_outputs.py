"""Outputs of a call: what is not a number, the greatest values, latencies, and what differs from a golden file."""

from __future__ import annotations

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfexplore.cli.output import json_text
from tfexplore.core.outputs import Output, differences, expected_outputs, facts, latency, num_inf, num_nan, tops
from tfexplore.errors import UsageError


def strings(*values: bytes) -> Any:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def test_nan_and_infinities_are_counted_in_every_dtype_that_has_them() -> None:
    for dtype in (np.float16, np.float32, np.float64, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2):
        array = np.array([1, np.nan, np.inf, -np.inf, np.nan], np.float32).astype(dtype)
        assert (num_nan(array), num_inf(array)) == (2, 2), dtype
    assert num_nan(np.array([1, complex(0, np.nan)], np.complex64)) == 1
    assert num_nan(np.array([1, np.nan]).astype(ml_dtypes.float8_e4m3fn)) == 1
    for array in (np.arange(3), np.array([True]), strings(b"nan")):
        assert (num_nan(array), num_inf(array)) == (0, 0)


def test_top_values_of_a_vector_and_of_rows() -> None:
    (top,) = tops(np.float32([0.25, np.nan, 4, 4, -1]), 3)
    assert (top.row, top.indexes, top.values) == ((), (2, 3, 0), (4.0, 4.0, 0.25))
    rows = tops(np.float32([[1, 2, 3], [9, 8, 7]]), 1)
    assert [(top.row, top.indexes) for top in rows] == [((0,), (2,)), ((1,), (0,))]
    for array in (np.float32(3), np.zeros((2, 2, 4)), np.zeros(2), np.arange(5), np.zeros((0, 5)), strings(b"a")):
        assert tops(array) == []


def test_latencies_are_times_that_were_measured() -> None:
    assert latency([], 7.0) == (7.0, None, None, None)
    assert latency([3.0], 7.0) == (7.0, 3.0, 3.0, 3.0)
    assert latency([float(number) for number in range(10, 0, -1)], 7.0) == (7.0, 5.0, 9.0, 10.0)


@example(np.array(complex(0, np.inf), np.complex64))
@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.int8, np.uint64, np.bool_, np.complex64]),
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    )
)
def test_what_is_printed_is_what_was_expected(array: Any) -> None:
    output = Output("y", array.dtype.name, array)
    printed = json.loads(json_text({"outputs": {"y": facts(output)}}))
    assert differences([output], expected_outputs(printed), rtol=0, atol=0) == []


def test_strings_that_are_no_text_are_what_was_expected() -> None:
    output = Output("y", "string", strings(b"abc", b"\xff\x00", "é".encode()))
    printed = json.loads(json_text({"outputs": {"y": facts(output)}}))
    assert differences([output], expected_outputs(printed)) == []


@pytest.mark.parametrize(
    ("array", "wanted", "sentence"),
    [
        (np.float32([1, 2, 3]), [1, 2.5, 4], "differs in 2 of 3 elements; the first at [1]: 2, expected 2.5"),
        (np.float32([1, 2]), [1, 2, 3], "has the shape [2], expected [3]"),
        (np.float32([[1], [2]]), [[1], [2, 3]], "has the shape [2, 1]"),
        (np.float32(1), "one", "is numbers, expected something else"),
        (np.float32([np.nan]), [0.0], "the first at [0]: nan, expected 0"),
        (np.int64([2**62]), [2**62 + 1], f"the first at [0]: {2**62}, expected {2**62 + 1}"),
        (strings(b"a"), ["b"], 'the first at [0]: "a", expected "b"'),
        (strings(b"a"), [1], 'the first at [0]: "a", expected 1'),
    ],
)
def test_a_difference_is_told_with_its_place(array: Any, wanted: Any, sentence: str) -> None:
    (found,) = differences([Output("y", "", array)], {"y": wanted})
    assert found.startswith("y ")
    assert sentence in found


def test_within_the_tolerance_is_equal() -> None:
    output = Output("y", "float32", np.float32([100.0, 0.0]))
    assert differences([output], {"y": [100.5, 0.05]}, rtol=0.01, atol=0.1) == []
    assert len(differences([output], {"y": [100.5, 0.05]}, rtol=0.01, atol=0.01)) == 1
    assert differences([Output("y", "float32", np.float32([0.1]))], {"y": [0.1]}, rtol=0, atol=0) == []


def test_missing_and_unexpected_outputs_are_named() -> None:
    output = Output("y\x1b", "float32", np.float32([1]))
    assert differences([output], {"z": [1]}) == ["z is missing", "y\\x1b was not expected"]
    for document in ([], 3, {}, {"outputs": []}):
        with pytest.raises(UsageError, match="golden file"):
            expected_outputs(document)
