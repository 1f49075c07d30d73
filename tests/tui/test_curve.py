"""Curves in characters, and the figures that they are drawn from."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.tui import curve
from tfexplore.tui.finetune_history import _BINS, History

FINITE = st.floats(-1e300, 1e300)


def bodies(found: curve.Curve) -> list[str]:
    return ["".join(piece for piece, _ in body) for _, body in found.lines]


def test_a_curve_that_falls() -> None:
    found = curve.draw("loss", [4.0, 3.0, 2.0, 1.0], curve.LABEL + 2 + 4, 4, ascii_only=False)
    assert bodies(found) == ["█   ", "██  ", "███ ", "████"]
    assert [label.strip() for label, _ in found.lines] == ["4 │", "loss │", "│", "0 │"]  # a quarter of it: from zero
    assert curve.axis(1, 4, 40, ascii_only=True).endswith("step 4 ")


@given(st.lists(FINITE, max_size=50), st.integers(0, 100), st.integers(0, 20), st.booleans())
def test_any_values_fit(values: list[float], cells: int, height: int, ascii_only: bool) -> None:
    found = curve.draw("loss", values, cells, height, ascii_only=ascii_only)
    if found.lines:
        assert len(found.lines) == height
        assert all(len(label) + len(body) <= cells for (label, _), body in zip(found.lines, bodies(found), strict=True))
        assert all(body.isascii() for body in bodies(found)) or not ascii_only
        assert all(any(row[place] != " " for row in bodies(found)) for place in range(len(bodies(found)[0])))
    assert len(curve.axis(1, 10**9, cells, ascii_only=ascii_only)) <= max(cells, curve.LABEL + 2)


@given(st.lists(FINITE, min_size=1, max_size=200), st.integers(1, 60))
def test_columns_lie_within_the_values(values: list[float], cells: int) -> None:
    found = curve.columns(values, cells)
    assert len(found) == cells
    assert all(min(values) - 1e-9 * abs(min(values)) <= one <= max(values) + 1e-9 * abs(max(values)) for one in found)


def filled(steps: int, rows: int = 0, batch: int = 0) -> History:
    history = History()
    history.rows, history.batch = rows, batch
    history.add((step, float(step), 2.0, 0.01) for step in range(1, steps + 1))
    return history


def test_few_steps_are_kept_each() -> None:
    history = filled(3)
    assert history.losses() == [1.0, 2.0, 3.0]
    assert history.rate == pytest.approx(100)
    assert len(history) == 3
    history.clear()
    assert not history.losses()


def test_many_steps_take_bounded_room_and_lose_no_mean() -> None:
    history = filled(100_000)
    assert len(history.bins) <= 2 * _BINS
    assert len(history) == sum(one.steps for one in history.bins) == 100_000
    assert sum(one.loss for one in history.bins) == pytest.approx(100_000 * 100_001 / 2)
    assert [one.step for one in history.bins] == [1 + place * history.size for place in range(len(history.bins))]


def test_a_pass_is_the_mean_of_its_rows() -> None:
    history = filled(6, rows=10, batch=4)  # batches of 4, 4 and 2 rows
    assert history.window == 3
    first, last = (1 * 4 + 2 * 4 + 3 * 2) / 10, (4 * 4 + 5 * 4 + 6 * 2) / 10
    assert history.means == pytest.approx((first, last))
    losses = history.losses(3)
    assert losses[:3] == pytest.approx([first] * 3)
    assert losses[5] == pytest.approx(last)
    long = filled(50_000, rows=10, batch=4)
    assert long.means is not None
    assert long.means[0] == pytest.approx(first)
    assert long.means[1] > 49_000


def test_a_step_that_is_nan_is_told_and_not_drawn() -> None:
    history = filled(2)
    history.add([(3, math.nan, 1.0, 0.1)])
    assert math.isnan(history.last)
    assert history.losses() == [1.0, 2.0]
