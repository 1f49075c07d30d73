"""Cells and exact values: what is written is the value, whatever its dtype."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.core import text, value_cells
from tfexplore.core.value_cells import (
    INF,
    NAN,
    PLAIN,
    ZERO,
    Look,
    cell,
    exact,
    extremes,
    heat,
    hexadecimal,
    look_for,
    state,
    typical,
    widest_cell,
)  # fmt: skip
from tfexplore.formats import dtypes

FLOATS = [1, 2, 14, 19, 24, 25, 26, 27, 28, 33]
INTEGERS = [3, 4, 5, 6, 9, 11, 12, 13, 15, 16, 17, 22, 23, 29, 30, 31, 32]


def all_bits(dtype: np.dtype) -> np.ndarray:
    """Every value of a type of one byte, or many of a wider one."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, 4096 * dtype.itemsize, np.uint8).view(dtype)


@pytest.mark.parametrize("number", FLOATS)
def test_exact_floats_read_back(number: int) -> None:
    dtype = dtypes.numpy_dtype(number)
    array = all_bits(dtype) if number != 33 else np.arange(16, dtype=np.uint8).view(dtype)
    for value in array:
        written = exact(value)
        if math.isfinite(float(value)):
            again = np.asarray(float(written)).astype(dtype)
            assert float(again) == float(value), written
            assert float.fromhex(hexadecimal(value)) == float(value)
        else:
            assert written in ("NaN", "+Inf", "-Inf")
            assert state(value) in (NAN, INF)


@pytest.mark.parametrize("number", INTEGERS)
def test_integers_are_exact_in_their_cell(number: int) -> None:
    dtype = dtypes.numpy_dtype(number)
    array = np.arange(16).astype(dtype) if "int4" in dtype.name or "int2" in dtype.name else all_bits(dtype)
    look = look_for(number, extremes(array))
    widest = widest_cell(array, extremes(array), look)
    for value in array:
        assert cell(value, look) == exact(value) == str(int(value))
        assert len(cell(value, look)) <= widest
        assert int(hexadecimal(value), 16) == int(value)


@given(st.lists(st.floats(width=32), min_size=1, max_size=40), st.sampled_from([1, 14, 19]))
def test_a_cell_says_what_the_number_is(numbers: list[float], number: int) -> None:
    with np.errstate(all="ignore"):
        array = np.asarray(numbers).astype(dtypes.numpy_dtype(number))
    seen = extremes(array)
    look = look_for(number, seen)
    widest = widest_cell(array, seen, look)
    for value in array:
        written = cell(value, look)
        assert len(written) <= widest
        double = float(value)
        if math.isnan(double):
            assert written == "NaN"
        elif math.isinf(double):
            assert written == ("+Inf" if double > 0 else "-Inf")
        else:
            assert (float(written) == 0) == (double == 0), "a number that is not zero looks like it"
            assert (written[0] == "-") == (math.copysign(1, double) < 0)
            # Half of the last place that is written: relative where it has an exponent.
            digits = written.lower().split("e")[0]
            places = len(digits.split(".")[1]) if "." in digits else 0
            scale = float("1e" + written.split("e")[1]) if "e" in written else 1.0
            assert abs(float(written) - double) <= 0.51 * 10.0**-places * scale


@given(st.lists(st.floats(), min_size=1, max_size=40))
def test_numbers_of_other_pages_fit_or_have_an_exponent(numbers: list[float]) -> None:
    look = look_for(2, (-0.5, 0.5))
    for number in numbers:
        written = cell(np.float64(number), look)
        assert len(written) <= len("-1234.12345"), written


@given(st.complex_numbers())
def test_complex_numbers(number: complex) -> None:
    for value in (np.complex128(number), number):
        written = exact(value)
        parts = written.replace("Inf", "inf").replace("NaN", "nan")
        again = complex(parts.replace("+-", "-"))
        assert again.real == number.real or math.isnan(number.real)
        assert again.imag == number.imag or math.isnan(number.imag)
        assert cell(value, Look()).endswith("j")
    array = np.asarray([number])
    assert len(cell(array[0], look_for(18, extremes(array)))) <= widest_cell(
        array, extremes(array), look_for(18, extremes(array))
    )


@given(st.binary(max_size=400))
def test_strings_are_whole_and_visible(value: bytes) -> None:
    written = exact(value)
    assert written.isprintable()
    assert cell(value, Look()).isprintable()
    assert state(value) == PLAIN
    assert heat(value, 0, 1, 8) is None
    assert bytes.fromhex(hexadecimal(value)) == value
    # No two values look alike.
    assert written == f'"{text.visible(text.decode(value))}"'


def test_a_long_string_is_cut_in_its_cell_which_shows() -> None:
    assert cell(b"x" * 10_000, Look()).endswith("…")
    assert len(cell(b"x" * 10_000, Look())) < 300
    assert exact(b"x" * 10_000) == '"' + "x" * 10_000 + '"'


def test_states() -> None:
    assert state(np.float32("nan")) == NAN
    assert state(np.float32("-inf")) == INF
    assert state(ml_dtypes.bfloat16("nan")) == NAN
    assert state(np.complex64(complex(0, math.nan))) == NAN
    assert state(np.float32(0)) == state(np.float32(-0.0)) == state(np.int8(0)) == ZERO
    assert state(np.float32(1e-30)) == PLAIN
    assert cell(np.float32(-0.0), Look()) == "-0"
    assert cell(np.bool_(True), Look()) == exact(np.bool_(True)) == "true"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=20))
def test_heat_grows_with_the_distance_from_the_calm_end(numbers: list[float]) -> None:
    array = np.asarray(numbers)
    seen = extremes(array)
    assert seen == (min(numbers), max(numbers))
    low, high = seen
    signed = low < 0 < high
    ordered = sorted(numbers, key=abs if signed else float)
    levels = [heat(np.float64(number), low, high, 8) for number in ordered]
    assert all(level is not None and 0 <= level < 8 for level in levels)
    assert levels == sorted(levels)
    if low != high:
        assert levels[-1] == 7
    often = typical(array)
    assert often is not None
    assert low <= often[0] * (1 + 1e-9) or often[0] >= low - abs(low) * 1e-9
    assert heat(np.float64("nan"), low, high, 8) is None


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, -math.inf]])
def test_nothing_finite_has_no_extremes(values: list[float]) -> None:
    array = np.asarray(values, np.float32)
    assert extremes(array) is None
    assert typical(array) is None
    assert widest_cell(array, None, look_for(1, None)) >= 4


def test_extreme_doubles_have_levels() -> None:
    most = np.finfo(np.float64).max
    assert value_cells.level(0.0, -most, most, 8) == 4
    assert value_cells.level(most, -most, most, 8) == 7
    assert heat(np.int8(-128), -128, 127, 8) == 7


def test_every_dtype_has_a_cell() -> None:
    for number in [*FLOATS, *INTEGERS, 8, 10, 18]:
        array: Any = np.zeros(3, dtypes.numpy_dtype(number))
        assert cell(array[0], look_for(number, extremes(array)))
        assert extremes(array) == (0.0, 0.0)
