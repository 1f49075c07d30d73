"""Pictures: all elements are in them, levels follow the values, and they fit the room."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfexplore.core import pictures, pooling
from tfexplore.core.pictures import ASCII, BAD, EMPTY, HALF, LEVELS, SHADE, Row
from tfexplore.core.pooling import pool
from tfexplore.core.tensor_source import ArraySource
from tfexplore.core.value_grid import whole
from tfexplore.errors import Cancelled, UsageError

MODES = [HALF, SHADE, ASCII]


def width(row: Row) -> int:
    return sum(len(run.text) for run in row)


def text_of(rows: list[Row]) -> list[str]:
    return ["".join(run.text for run in row) for row in rows]


def blocks(array: np.ndarray, height: int, wide: int) -> list[list[np.ndarray]]:
    """The blocks of a matrix by numpy's own splitting at the same edges."""
    down = [at * array.shape[0] // height for at in range(1, height)]
    right = [at * array.shape[1] // wide for at in range(1, wide)]
    return [np.split(part, right, axis=1) for part in np.split(array, down, axis=0)]


@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.floats(width=32, min_value=-1000, max_value=1000) | st.sampled_from([np.nan, np.inf, -np.inf]),
    ),
    st.integers(1, 14),
    st.integers(1, 14),
    st.sampled_from([1, 5, 1 << 20]),
    st.booleans(),
)
def test_a_pixel_stands_for_its_block(array: Any, height: int, wide: int, piece: int, turned: bool) -> None:
    view = whole(array.shape)
    if view.columns is None:
        view = view.sliced(":, :") if 1 not in array.shape else view.turned("columns")
    if view.rows == 1:
        view = view.transposed()
    view = view.transposed() if turned else view
    before, pooling._PIECE = pooling._PIECE, piece
    try:
        found = pool(ArraySource("x", array), view, height, wide)
    finally:
        pooling._PIECE = before
    shown = array.T if turned else array
    assert found.elements == array.size
    assert found.mean.shape == (min(height, shown.shape[0]), min(wide, shown.shape[1]))
    with np.errstate(all="ignore"):
        for r, line in enumerate(blocks(shown, *found.mean.shape)):
            for c, block in enumerate(line):
                finite = block[np.isfinite(block)].astype(np.float64)
                assert block.size
                assert found.bad[r, c] == (finite.size < block.size)
                if finite.size:
                    assert found.mean[r, c] == pytest.approx(finite.mean(), rel=1e-6, abs=1e-9)
                    assert abs(found.peak[r, c]) == np.abs(finite).max()
                    assert found.peak[r, c] in finite
                else:
                    assert np.isnan(found.mean[r, c])
                    assert np.isnan(found.peak[r, c])
    finite = shown[np.isfinite(shown)]
    if finite.size:
        assert (found.low, found.high) == (finite.min(), finite.max())


@pytest.mark.parametrize("shape", [(1000,), (3, 1000), (2, 3, 40, 50), ()])
def test_any_rank_is_pooled(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(2).normal(size=shape)
    view = whole(shape)
    done: list[tuple[int, int]] = []
    found = pool(ArraySource("x", np.asarray(array)), view, 4, 10, None, lambda a, b: done.append((a, b)))
    assert found.elements == view.elements
    assert done[-1] == (view.elements, view.elements)
    assert found.mean.mean() == pytest.approx(array[tuple(view.index[a] if a in view.others else slice(None)
        for a in range(len(shape)))].mean())  # fmt: skip


def test_the_greatest_doubles_have_a_finite_mean() -> None:
    array = np.full((4, 4), np.finfo(np.float64).max)
    assert np.isfinite(pool(ArraySource("x", array), whole((4, 4)), 1, 1).mean).all()


def test_what_has_no_picture_says_why() -> None:
    with pytest.raises(UsageError):
        pool(ArraySource("x", np.zeros((0, 3))), whole((0, 3)), 4, 4)
    with pytest.raises(UsageError):
        pool(ArraySource("x", np.array([[b"a", b"b"], [b"c", b"d"]], object)), whole((2, 2)), 4, 4)


def test_it_can_be_cancelled() -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        pool(ArraySource("x", np.zeros((4, 4))), whole((4, 4)), 2, 2, cancel)


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(1, 20)), elements=st.floats()),
    st.sampled_from(MODES),
    st.integers(1, 40),
    st.integers(2, 20),
)
def test_a_heat_map_fits_its_room(values: Any, mode: str, cells: int, lines: int) -> None:
    height, wide = pictures.pixels(mode, cells, lines - 1)
    values = values[:height, :wide]
    rows = pictures.heat_map(values, ~np.isfinite(values), mode, cells, lines)
    assert len(rows) <= lines
    assert all(width(row) <= cells for row in rows[:-1])
    if mode == ASCII:
        assert all(line.isascii() for line in text_of(rows))
    for run in (run for row in rows for run in row):
        assert run.text.isprintable()
        assert run.fg < 2 * LEVELS
        assert run.bg < 2 * LEVELS


def test_two_pixels_share_a_cell() -> None:
    canvas = np.array([[0, 5, EMPTY, BAD], [7, EMPTY, 9, 3], [1, 2, 3, 4]], np.int16)
    rows = pictures.canvas_rows(canvas, HALF)
    assert text_of(rows) == ["▀▀▄!", "▀▀▀▀"]
    assert rows[0][0][1:] == (0, 7)
    assert rows[0][1][1:] == (5, EMPTY)
    assert rows[0][2].fg == 9
    assert rows[0][3].fg == BAD


def test_levels_are_seen_without_colours() -> None:
    ramp = np.linspace(0, 1, 100)[None, :]
    for mode, shades in ((ASCII, " .:-=+*#%@"), (SHADE, " ░▒▓█")):
        line = text_of(pictures.canvas_rows(pictures.levels_of(ramp, 0.0, 1.0), mode))[0]
        assert [*dict.fromkeys(line)] == list(shades)
    assert "!" in text_of(pictures.canvas_rows(pictures.levels_of(np.array([[np.nan]]), 0, 1), ASCII))[0]


def test_a_few_far_values_leave_the_others_their_shades() -> None:
    values = np.random.default_rng(0).normal(size=(20, 20))
    values[3, 3] = 1e6
    rows = pictures.heat_map(values, np.zeros((20, 20), bool), ASCII, 40, 21)
    assert len(set("".join(text_of(rows[:-1])))) > 5
    assert "and more" in text_of(rows)[-1]


def test_filters() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 5)).astype(np.float32)
    kernel[..., 1, 4] *= 1e-6
    found = pictures.tiles(kernel.shape, ASCII, 80, 40)
    assert found is not None
    assert (found.size, found.inputs, found.across, found.bands) == ((3, 3), 2, 4, 2)
    lines = text_of(pictures.kernel_picture(kernel, found, ASCII))
    # Each from its least to its greatest: the faint one too.
    tall, wide = 3 * found.scale, 6 * found.scale
    for i in range(2):
        for o in range(5):
            left, top = o % 4 * (wide + 1), o // 4 * (2 * (tall + 1) + 1) + i * (tall + 1)
            tile = [line[left : left + wide] for line in lines[top : top + tall]]
            flat = [tile[y * found.scale][x * 2 * found.scale] for y in range(3) for x in range(3)]
            values = kernel[:, :, i, o].reshape(-1)
            assert flat[int(values.argmin())] == " "
            assert flat[int(values.argmax())] == "@"


@given(
    st.one_of(
        st.tuples(st.integers(1, 33), st.integers(1, 33), st.integers(0, 40), st.integers(0, 40)),
        st.tuples(st.integers(1, 33), st.integers(0, 40), st.integers(0, 40)),
    ),
    st.sampled_from(MODES),
    st.integers(1, 120),
    st.integers(1, 50),
)
def test_filters_fit_their_room(shape: tuple[int, ...], mode: str, cells: int, lines: int) -> None:
    found = pictures.tiles(shape, mode, cells, lines)
    if found is None:
        return
    inputs, outputs = min(found.inputs, shape[-2]), min(found.outputs, shape[-1])
    assert inputs
    assert outputs
    rows = pictures.kernel_picture(np.ones((*shape[:-2], inputs, outputs), np.float32), found, mode)
    assert len(rows) <= lines
    assert all(width(row) <= cells for row in rows)


def test_what_does_not_look_like_filters() -> None:
    for shape in ((3,), (3, 4), (1, 1, 5, 5), (100, 3, 5, 5), (3, 3, 0, 5), (2, 3, 4, 5, 6), (1, 5, 5)):
        assert pictures.kernel_size(shape) is None
    assert pictures.kernel_size((1, 4, 5, 5)) == (1, 4)
    assert pictures.kernel_size((5, 5, 5)) == (1, 5)


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=100),
    st.integers(8, 120),
    st.integers(2, 12),
    st.booleans(),
)
def test_a_histogram_fits_and_no_bin_vanishes(counts: list[int], cells: int, lines: int, plain: bool) -> None:
    rows = pictures.histogram(counts, -1.0, 2.0, cells, lines, ascii_only=plain)
    assert len(rows) == lines
    assert all(width(row) <= cells for row in rows[:-1])
    assert "-1" in text_of(rows)[-1]
    bars = [run.text for row in rows for run in row if run.fg == LEVELS - 1]
    assert len(bars) == lines - 1
    if plain:
        assert "".join(bars).isascii()
    # The bottom line has a mark wherever there is something.
    each = -(-len(counts) // len(bars[-1])) if len(bars[-1]) < len(counts) else 1
    merged = [sum(counts[at : at + each]) for at in range(0, len(counts), each)]
    times = len(bars[-1]) // len(merged)
    if times * len(merged) == len(bars[-1]):
        assert [bars[-1][at * times] != " " for at in range(len(merged))] == [count > 0 for count in merged]
