"""Slices mean what they mean in Python, and what does not is said in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.core.slices import corner, parse
from tfexplore.errors import UsageError

BOUND = st.one_of(st.none(), st.integers(-9, 9))
RANGE = st.builds(slice, BOUND, BOUND, st.one_of(st.none(), st.integers(1, 4), st.integers(-4, -1)))


def words(part: Any) -> str:
    if part is Ellipsis:
        return "..."
    if isinstance(part, int):
        return str(part)
    ends = ["" if end is None else str(end) for end in (part.start, part.stop)]
    return ":".join(ends if part.step is None else [*ends, str(part.step)])


@st.composite
def cases(draw: Any) -> tuple[tuple[int, ...], list[Any]]:
    shape = tuple(draw(st.lists(st.integers(0, 6), max_size=4)))
    named = shape[: draw(st.integers(0, len(shape)))]
    parts: list[Any] = [draw(st.one_of(RANGE, st.integers(-n, n - 1)) if n else RANGE) for n in named]
    if draw(st.booleans()):
        parts.insert(0, ...) if len(parts) == len(shape) else parts.append(...)
    return shape, parts


@given(cases(), st.booleans())
def test_as_numpy_takes_them(case: tuple[tuple[int, ...], list[Any]], brackets: bool) -> None:
    shape, parts = case
    array = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
    said = ", ".join(map(words, parts))
    part = parse(f"[{said}]" if brackets else said, shape)
    box = array[tuple(slice(a, a + n) for a, n in zip(part.starts, part.counts, strict=True)) or ...]
    found = part.of(box)
    wanted = array[tuple(parts) or ...]
    assert part.shape == found.shape == wanted.shape
    assert found.tolist() == wanted.tolist()
    assert not part.is_box() or found.tolist() == box.reshape(found.shape).tolist()
    again = parse(part.words, shape)
    assert again.shape == part.shape


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("0:x", "'x' where a whole number is expected"),
        ("1.5", "'1.5' where a whole number is expected"),
        ("::0", "a step of 0 for axis 0"),
        ("0:1:2:3", "more than begin, end and step for axis 0"),
        ("4", "index 4 of axis 0, which has 4 elements"),
        (":, -6", "index -6 of axis 1, which has 5 elements"),
        ("0, 0, 0", "3 axes, but the tensor's shape is [4, 5]"),
        ("..., ...", "more than one '...'"),
        (", 1", "says nothing for axis 0"),
        ("9" * 30, "where a whole number is expected"),
        ("0, " * 2000, "more than 2,000 letters"),
        ("\x1b[31m", "where a whole number is expected"),
    ],
)
def test_what_is_no_slice_is_said(said: str, why: str) -> None:
    with pytest.raises(UsageError) as found:
        parse(said, (4, 5))
    assert why in str(found.value)
    assert str(found.value).isprintable()


def test_the_corner_of_any_rank() -> None:
    assert corner((), 8, 5).words == ""
    assert corner((3,), 8, 2).words == "0:2"
    assert corner((100, 100), 8, 5).counts == (8, 5)
    assert corner((7, 0, 100, 100), 8, 5).counts == (1, 0, 8, 5)
