"""Axes, ranges and pages of a tensor: what stands at a row and a column is what numpy says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.core import value_page
from tfexplore.core.tensor_source import ArraySource
from tfexplore.core.value_grid import FOLDED_PAGE, PAGE_COLUMNS, PAGE_ROWS, Page, View, parse_place, whole
from tfexplore.core.value_page import read_page
from tfexplore.errors import UnsupportedError, UsageError

SHAPES = st.lists(st.integers(0, 4), max_size=6).map(tuple)


@st.composite
def views(draw: Any) -> View:
    """Any view: of a shape, after any keys."""
    view = whole(draw(SHAPES))
    rank = len(view.shape)
    for _ in range(draw(st.integers(0, 5))):
        what = draw(st.sampled_from(["rows", "columns", "transpose", "step", "slice", "fold"]))
        if what in ("rows", "columns"):
            view = view.turned(what)
        elif what == "transpose":
            view = view.transposed()
        elif what == "fold":
            view = view.folded(draw(st.integers(1, 5)))
        elif what == "step" and view.others:
            view = view.stepped(draw(st.sampled_from(view.others)), draw(st.integers(-3, 3)))
        elif what == "slice" and rank and 0 not in view.shape:
            parts = []
            for size in view.shape:
                start = draw(st.integers(0, size - 1))
                stop = draw(st.integers(start + 1, size))
                parts.append(draw(st.sampled_from([":", f"{start}:{stop}", str(start), f"{start}:", f":{stop}"])))
            view = view.sliced(", ".join(parts))
    return view


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)


@given(views())
def test_every_cell_is_the_element_at_its_place(view: View) -> None:
    array = numbered(view.shape)
    source = ArraySource("x", array)
    seen = set()
    pages: dict[Any, np.ndarray] = {}
    for row in range(view.row_count):
        for column in range(view.column_count):
            if not view.exists(row, column):
                assert view.is_folded
                assert row == view.row_count - 1
                continue
            place = view.place(row, column)
            page, down, right = view.page(row, column)
            if page not in pages:
                pages[page] = view.arrange(source.read(*view.box(page)).array)
            assert pages[page][down, right] == array[place]
            seen.add(place)
    assert len(seen) == view.elements
    # What is looked at is what the slice says, for numpy too.
    if not view.is_empty:
        wanted = eval(f"array{view.spec}", {"array": array}) if view.shape else array
        assert sorted(int(array[place]) for place in seen) == sorted(np.asarray(wanted).reshape(-1).tolist())


@given(views(), st.data())
def test_an_element_is_found_again(view: View, data: Any) -> None:
    if 0 in view.shape:
        return
    place = tuple(data.draw(st.integers(0, size - 1)) for size in view.shape)
    found, row, column = view.find(place)
    assert found.exists(row, column)
    assert found.place(row, column) == place
    assert (found.rows, found.columns) == (view.rows, view.columns)


@given(views())
def test_its_own_slice_gives_the_same_elements(view: View) -> None:
    if view.is_empty or not view.shape:
        return
    again = whole(view.shape).sliced(view.spec)
    assert again.spec == view.spec
    assert again.elements == view.elements


@pytest.mark.parametrize(
    "shape", [(300, 70), (70, 300), (1, 9000), (9000, 1), (9000,), (3, 150, 40), (PAGE_ROWS, PAGE_COLUMNS)]
)
@pytest.mark.parametrize("turn", ["", "transpose", "rows"])
def test_pages_cover_a_large_tensor(shape: tuple[int, ...], turn: str) -> None:
    view = whole(shape)
    view = view.transposed() if turn == "transpose" else view.turned("rows") if turn else view
    array = numbered(shape)
    source = ArraySource("x", array)
    rng = np.random.default_rng(0)
    view = view.folded(10)
    for _ in range(200):
        row, column = int(rng.integers(view.row_count)), int(rng.integers(view.column_count))
        if view.exists(row, column):
            page, down, right = view.page(row, column)
            starts, counts = view.box(page)
            assert np.prod(counts) <= FOLDED_PAGE
            assert view.arrange(source.read(starts, counts).array)[down, right] == array[view.place(row, column)]


def test_pages_of_a_folded_axis_do_not_depend_on_the_fold() -> None:
    view = whole((10_000,))
    for fold in (1, 7, 10):
        folded = view.folded(fold)
        assert folded.key == view.key
        row, column = divmod(5_000, fold)
        assert folded.page(row, column) == ((1, 0), 5_000 - FOLDED_PAGE, 0)


def test_the_last_two_axes_come_first() -> None:
    assert (whole((2, 3, 4)).rows, whole((2, 3, 4)).columns) == (1, 2)
    assert whole((2, 3, 4)).spec == "[0, :, :]"
    assert whole((7, 7, 1, 32)).spec == "[0, 0, 0, :]"
    assert whole((5, 1)).spec == "[:, 0]"
    assert whole(()).spec == "[]"


def test_turning() -> None:
    view = whole((2, 3, 4))
    assert (view.turned("rows").rows, view.turned("rows").columns) == (2, 1)
    assert (view.turned("columns").rows, view.turned("columns").columns) == (1, 0)
    assert view.turned("columns").turned("columns").spec == "[:, :, 0]"
    assert view.transposed().transposed() == view
    assert whole((5,)).turned("rows") == whole((5,))


def test_steps_stay_within_the_range() -> None:
    view = whole((9, 3, 4)).sliced("2:5, :, :")
    assert view.rows == 1
    assert view.spec == "[2, :, :]"
    assert view.stepped(0, 1).spec == "[3, :, :]"
    assert view.stepped(0, 100).spec == "[4, :, :]"
    assert view.stepped(0, -100).spec == "[2, :, :]"


@pytest.mark.parametrize(
    ("spec", "gives"),
    [
        ("0, :, 3:10, :", "[0, 0, 3:10, :]"),
        ("...", "[0, 0, :, :]"),
        ("..., 1", "[0, :, :, 1]"),
        ("1, ...", "[1, 0, :, :]"),
        ("[1, 2, :, -1]", "[1, 2, :, 4]"),
        ("-1", "[2, 0, :, :]"),
        ("", "[0, 0, :, :]"),
        (":, 1, 1, :", "[:, 1, 1, :]"),
        ("0:99, 2, -3:, 1", "[:, 2, 9:12, 1]"),
    ],
)
def test_slices(spec: str, gives: str) -> None:
    assert whole((3, 4, 12, 5)).sliced(spec).spec == gives


@pytest.mark.parametrize(
    "spec",
    ["5", "0, 0, 0, 0, 0", "x", "::2", "1:2:3", "..., ...", "3:1", "1.5", "-4", "0 0", "9" * 30, "٣", "1" * 20_000],
)
def test_what_is_no_slice_says_why(spec: str) -> None:
    with pytest.raises(UsageError):
        whole((3, 4, 12, 5)).sliced(spec)


def test_places() -> None:
    assert parse_place("3", (5, 6), (1, 2)) == (1, 3)
    assert parse_place("-1, 0", (5, 6), (1, 2)) == (4, 0)
    for written in ("", "6", "1,2,3", "a", "1:2"):
        with pytest.raises(UsageError):
            parse_place(written, (5, 6), (0, 0))
    with pytest.raises(UsageError):
        parse_place("0", (), ())


class Limited(ArraySource):
    """Strings of which so many bytes can be read at once."""

    most = 1000

    def read(self, starts: Any = None, counts: Any = None, cancel: Any = None) -> Any:
        found = super().read(starts, counts, cancel)
        if sum(map(len, found.array.flat)) > self.most:
            raise UnsupportedError("too large")
        return found


@given(st.lists(st.sampled_from([0, 3, 200, 999, 1001, 5000]), min_size=1, max_size=60), st.integers(1, 3))
def test_strings_that_are_too_much_together_are_read_one_by_one(lengths: list[int], columns: int) -> None:
    lengths = lengths[: len(lengths) // columns * columns] or lengths[:1] * columns
    array = np.empty(len(lengths), object)
    array[:] = [b"x" * length for length in lengths]
    array = array.reshape(-1, columns) if columns > 1 else array
    view = whole(array.shape)
    try:
        page = read_page(Limited("s", array), view, Page(0, 0))
    except UnsupportedError:
        assert lengths == [lengths[0]]
        assert lengths[0] > 1000
        return
    for value, length in zip(page.flat, view.arrange(array).flat, strict=True):
        if len(length) > 1000:
            assert isinstance(value, UnsupportedError)
        else:
            assert value == length


def test_strings_of_a_page_have_a_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_page, "MAX_READ", 3000)
    array = np.empty(64, object)
    array[:] = [b"x" * 900] * 64
    page = read_page(Limited("s", array), whole((64,)), Page(0, 0))
    got = [value for value in page.flat if isinstance(value, bytes)]
    assert 0 < len(got) < 6
    assert isinstance(page[-1, 0], UnsupportedError)
