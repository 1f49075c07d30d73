"""The values screen: every key on its state, every dtype of a checkpoint, checksums, hostile strings, cancelling."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from textual.widgets import Input

from formats.table_writer import strings, write_bundle
from tfexplore.core.pictures import ASCII, SHADE
from tfexplore.core.tensor_source import ArraySource, find_tensor
from tfexplore.core.value_cells import exact
from tfexplore.formats.bundle_values import TensorValue
from tfexplore.tui.screens.values import PanelView, ValuesScreen, open_source
from tfexplore.tui.value_panel import FILTERS, MEAN, PEAK, Kind
from tfexplore.tui.widgets.value_grid import ValueGrid
from tui.driving import Driver, explorer
from tui.hostile import NAMES

SIZES = [(80, 24), (120, 40)]
RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(300, 90)).astype(np.float32)
DEEP = RNG.normal(size=(3, 4, 50, 20)).astype(np.float32)
KERNEL = RNG.normal(size=(3, 3, 4, 8)).astype(np.float32)
ODD = np.array([[1, np.nan, 3], [np.inf, -np.inf, 0]], np.float32)
TENSORS: dict[bytes, Any] = {
    b"matrix": MATRIX,
    b"deep": DEEP,
    b"kernel": KERNEL,
    b"odd": ODD,
    b"vector": np.arange(1000, dtype=np.int32),
    b"scalar": np.array(2.5, np.float64),
    b"empty": np.zeros((0, 5), np.float32),
    b"strings": strings(*NAMES),
    b"table": strings(*[b"%d-%d" % (row, column) for row in range(40) for column in range(6)]).reshape(40, 6),
    b"bfloat16": RNG.normal(size=(6, 7)).astype(ml_dtypes.bfloat16),
    b"float8": RNG.normal(size=(6, 7)).astype(ml_dtypes.float8_e4m3fn),
    b"float8_e5m2": RNG.normal(size=(6, 7)).astype(ml_dtypes.float8_e5m2),
    b"int4": np.arange(-8, 8).reshape(2, 8).astype(ml_dtypes.int4),
    b"uint4": np.arange(16).reshape(2, 8).astype(ml_dtypes.uint4),
    b"bool": np.array([[True, False], [False, True]]),
    b"complex64": (RNG.normal(size=(4, 5)) + 1j * RNG.normal(size=(4, 5))).astype(np.complex64),
    b"complex128": RNG.normal(size=(4, 5)) + 1j * RNG.normal(size=(4, 5)),
    **{
        name.encode(): RNG.integers(0, 100, (5, 6)).astype(name)
        for name in ("int8", "int16", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float64")
    },
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("values")
    write_bundle(folder / "model", TENSORS)
    return folder / "model.index"


class Looking(Driver):
    """A driver on the values screen."""

    @property
    def screen(self) -> ValuesScreen:
        found = self.app.screen
        assert isinstance(found, ValuesScreen)
        return found

    @property
    def values(self) -> Any:
        return self.screen.values

    @property
    def panel(self) -> Any:
        return self.screen.panel

    @property
    def grid(self) -> ValueGrid:
        return self.screen.query_one(ValueGrid)

    async def read(self) -> None:
        """Waits until all that is on the screen has been read and drawn."""
        await self.pilot.pause()
        await self.until(
            lambda: (
                self.session.loader.tasks.running == 0
                and not self.values.has_wanted
                and not self.panel.is_wanting
                and "…" not in [cell.text for cell in self.cells() if cell.state == "unread"]
            )
        )
        await self.pilot.pause()

    def cells(self) -> Iterator[Any]:
        values = self.values
        for row in range(values.top, values.top + values.rows):
            for column in range(values.left, values.left + values.columns):
                cell = values.cell(row, column)
                if cell is not None:
                    yield cell

    async def keys(self, *keys: str) -> None:
        await self.press(*keys)
        await self.read()

    async def type(self, key: str, written: str) -> None:
        await self.press(key)
        await self.until(lambda: self.screen.query(Input) and self.screen.query_one(Input).has_focus)
        self.screen.query_one(Input).value = written
        await self.keys("enter")

    def panel_lines(self) -> list[str]:
        view = self.screen.query_one(PanelView)
        return [view.render_line(y).text.rstrip() for y in range(view.content_size.height)]


@asynccontextmanager
async def looking(
    bundle: Path, name: str, size: tuple[int, int] = (80, 24), source: Any = None
) -> AsyncIterator[Looking]:
    async with explorer(bundle, size=size) as driver:
        driver.__class__ = Looking
        assert isinstance(driver, Looking)
        assert driver.session.model is not None
        await open_source(driver.app, driver.session.loader, source or find_tensor(driver.session.model, name))
        await driver.until(lambda: isinstance(driver.app.screen, ValuesScreen))
        await driver.pilot.pause()
        if source is None:
            await driver.read()
        yield driver


# -- what is shown --


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [name.decode() for name in TENSORS])
async def test_every_value_on_the_screen_is_numpys(bundle: Path, name: str, size: tuple[int, int]) -> None:
    array = TENSORS[name.encode()]
    async with looking(bundle, name, size) as driver:
        values = driver.values
        view = values.view
        count = 0
        for row in range(values.top, min(values.top + values.rows, view.row_count)):
            line = driver.grid.render_line(row - values.top + 1).text
            for column in range(values.left, min(values.left + values.columns, view.column_count)):
                if not view.exists(row, column):
                    continue
                values.move_to(row, column)
                assert values.exact == exact(array[values.place])
                shown = values.cell(row, column).text
                assert shown in line or "…" in line
                count += 1
        assert count or array.size == 0
        assert all(text.isprintable() for text in driver.lines)
        assert driver.lines[0].rstrip().endswith(("checksum good", "checksum unverified"))
        assert values.facts.split("  ")[0] in driver.lines[0]


async def test_an_empty_tensor_says_so(bundle: Path) -> None:
    async with looking(bundle, "empty") as driver:
        assert "No elements: the shape is [0, 5]." in driver.text
        await driver.keys("down", "right", "pagedown", "end", "ctrl+end", "t", "r", "e", "enter", "enter")
        await driver.keys("p")
        assert "no elements" in driver.text


async def test_nan_and_infinities_are_words(bundle: Path) -> None:
    async with looking(bundle, "odd") as driver:
        line = driver.grid.render_line(2).text
        assert "+Inf" in line
        assert "-Inf" in line
        assert "NaN" in driver.grid.render_line(1).text
        special = driver.grid.get_component_rich_style("grid--special")
        segments = [s for s in driver.grid.render_line(1) if "NaN" in s.text]
        assert segments[0].style is not None
        assert segments[0].style.bold
        assert segments[0].style.color == special.color
        await driver.keys("x")
        assert [line for line in driver.panel_lines() if line.startswith("! NaN")]


async def test_hostile_strings_stay_within_their_cells(bundle: Path) -> None:
    async with looking(bundle, "strings", (120, 40)) as driver:
        for number, name in enumerate(NAMES):
            driver.values.move_to(number, 0)
            assert driver.values.exact == exact(name)
            line = driver.grid.render_line(number + 1)
            assert line.text.isprintable()
            assert line.cell_length == driver.grid.content_size.width
        driver.values.move_to(0, 0)
        await driver.keys("enter")
        assert driver.panel.kind is Kind.VALUE
        assert "\\x1b]0;pwned" in "".join(driver.panel_lines())
        await driver.keys(*["down"] * 20)
        assert "characters more" in "".join(driver.panel_lines()) or "n" * 50 in "".join(driver.panel_lines())
        assert all(text.isprintable() for text in driver.lines)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:12]))
async def test_a_hostile_name(bundle: Path, name: bytes) -> None:
    title = name.decode("utf-8", "surrogateescape")
    async with looking(bundle, "", source=ArraySource(title, MATRIX)) as driver:
        await driver.read()
        assert all(text.isprintable() for text in driver.lines)
        assert "float32" in driver.lines[0]


# -- moving --


@pytest.mark.parametrize("size", SIZES)
async def test_the_cursor_goes_where_the_keys_say(bundle: Path, size: tuple[int, int]) -> None:
    async with looking(bundle, "matrix", size) as driver:
        values = driver.values

        def at() -> tuple[int, int]:
            return values.row, values.column

        await driver.keys("down", "j", "right", "l", "l")
        assert at() == (2, 3)
        await driver.keys("up", "k", "k", "left", "h")
        assert at() == (0, 1)
        await driver.keys("end")
        assert at() == (0, 89)
        assert values.left == 90 - values.columns
        await driver.keys("home")
        assert at() == (0, 0)
        await driver.keys("pagedown")
        assert at() == (values.rows - 1, 0)
        await driver.keys("pageup")
        assert at() == (0, 0)
        await driver.keys("greater_than_sign")
        assert at() == (0, values.columns - 1)
        await driver.keys("less_than_sign")
        await driver.keys("G")
        assert at() == (299, 89)
        assert driver.grid.render_line(values.rows).text.strip().startswith("299")
        assert "rows" in str(driver.grid.border_subtitle)
        await driver.keys("ctrl+home")
        assert at() == (0, 0)
        await driver.type("g", "150, 40")
        assert values.place == (150, 40)
        assert values.exact == exact(MATRIX[150, 40])
        assert f"[150, 40] = {exact(MATRIX[150, 40])}" in driver.text
        await driver.type("g", "-1")
        assert values.place == (150, 89)


async def test_a_vector_goes_on_from_line_to_line(bundle: Path) -> None:
    async with looking(bundle, "vector") as driver:
        values = driver.values
        fold = values.view.fold
        assert fold in (5, 10)
        await driver.keys("down", "right")
        assert values.place == (fold + 1,)
        await driver.keys("left", "left")
        assert values.place == (fold - 1,)
        await driver.keys("G")
        assert values.place == (999,)
        await driver.type("g", "500")
        await driver.pilot.resize_terminal(120, 40)
        await driver.read()
        assert values.view.fold > fold
        assert values.place == (500,)


async def test_the_wheel_and_a_click(bundle: Path) -> None:
    async with looking(bundle, "matrix") as driver:
        values = driver.values
        await driver.pilot.click(ValueGrid, offset=(20, 5))
        await driver.read()
        assert values.row == values.top + 3
        row = values.row
        driver.grid._scroll(3)
        assert values.top == 3
        assert values.row == max(row, 3)


# -- axes --


async def test_axes(bundle: Path) -> None:
    async with looking(bundle, "deep") as driver:
        values = driver.values
        assert values.view.spec == "[0, 0, :, :]"
        await driver.keys("right_square_bracket")
        assert values.view.spec == "[1, 0, :, :]"
        await driver.keys("a", "right_square_bracket", "right_square_bracket")
        assert values.view.spec == "[1, 2, :, :]"
        await driver.keys("left_square_bracket")
        assert values.view.spec == "[1, 1, :, :]"
        await driver.keys("down", "down", "right")
        place = values.place
        assert place == (1, 1, 2, 1)
        await driver.keys("t")
        assert (values.view.rows, values.view.columns) == (3, 2)
        assert values.place == place
        await driver.keys("r")
        assert values.view.rows == 0
        assert values.place == place
        await driver.keys("c")
        assert values.view.columns == 3
        assert values.place == place
        assert values.exact == exact(DEEP[place])
        assert f"[{', '.join(map(str, place))}]" in driver.text


async def test_slices(bundle: Path) -> None:
    async with looking(bundle, "deep") as driver:
        values = driver.values
        await driver.type("s", "0, :, 3:10, 2")
        assert values.view.spec == "[0, :, 3:10, 2]"
        assert values.exact == exact(DEEP[0, 0, 3, 2])
        assert (values.view.row_count, values.view.column_count) == (4, 7)
        await driver.type("s", "2, 3, 4, :")
        assert values.view.is_folded
        await driver.keys("c")
        assert not values.view.is_folded
        await driver.type("s", "1, 2, 3, 4")
        assert values.place == (1, 2, 3, 4)
        before = values.view
        await driver.type("s", "9, [/], :, :")
        assert values.view is before
        assert "asks for index 9 of axis 0" in driver.values.problem
        assert "9, [/], :, :" in driver.text
        await driver.keys("escape")
        assert isinstance(driver.app.screen, ValuesScreen)
        assert not values.problem
        await driver.press("s")
        await driver.press("escape")
        await driver.until(lambda: driver.grid.has_focus)
        assert values.view is before


# -- beside the grid --


@pytest.mark.parametrize("size", SIZES)
async def test_statistics(bundle: Path, size: tuple[int, int]) -> None:
    async with looking(bundle, "matrix", size) as driver:
        await driver.keys("x")
        assert driver.panel.kind is Kind.STATISTICS
        await driver.until(lambda: driver.panel.spread is not None)
        await driver.read()
        found = driver.panel.statistics
        assert found.minimum == pytest.approx(float(MATRIX.min()))
        assert found.mean == pytest.approx(float(MATRIX.mean(dtype=np.float64)), abs=1e-6)
        assert any(line.startswith("min") and f"{MATRIX.min():.6g}" in line for line in driver.panel_lines())
        assert driver.lines[0].rstrip().endswith("checksum good")
        await driver.keys("H")
        assert driver.panel.kind is Kind.HISTOGRAM
        assert sum("█" in line or "#" in line for line in driver.panel_lines()) > 2
        await driver.keys("H")
        assert driver.panel.kind is Kind.NONE
        assert not driver.screen.query_one(PanelView).display


async def test_pictures_go_round(bundle: Path) -> None:
    async with looking(bundle, "kernel", (120, 40)) as driver:
        shown = []
        for _ in range(4):
            await driver.keys("p")
            shown.append(driver.panel.how if driver.panel.kind is Kind.PICTURE else None)
            if driver.panel.kind is Kind.PICTURE:
                assert "".join(driver.panel_lines()).strip()
        assert shown == [FILTERS, MEAN, PEAK, None]
    async with looking(bundle, "matrix", (120, 40)) as driver:
        await driver.keys("p")
        assert f"all {MATRIX.size:,} elements" in "".join(driver.panel_lines())
        await driver.keys("t")
        assert f"all {MATRIX.size:,} elements" in "".join(driver.panel_lines())


async def test_filters_follow_the_cursor(bundle: Path) -> None:
    kernel = RNG.normal(size=(9, 9, 30, 64)).astype(np.float32)
    async with looking(bundle, "", (120, 40), ArraySource("k", kernel)) as driver:
        await driver.read()
        await driver.keys("p")
        assert "in 0 to" in driver.panel_lines()[-2] + "".join(driver.panel_lines())
        await driver.type("g", "29, 63")
        assert "63 of 64" in "".join(driver.panel_lines())


async def test_strings_have_statistics_and_no_picture(bundle: Path) -> None:
    async with looking(bundle, "table") as driver:
        await driver.keys("x")
        assert any(line.startswith("distinct") and "240" in line for line in driver.panel_lines())
        await driver.keys("p", "H")
        assert driver.panel.kind is Kind.STATISTICS


async def test_heat_hex_and_the_whole_value(bundle: Path) -> None:
    async with looking(bundle, "matrix") as driver:
        values = driver.values
        assert values.is_hot
        assert any(cell.heat for cell in driver.cells())
        await driver.keys("e")
        assert not any(cell.heat for cell in driver.cells())
        await driver.keys("number_sign")
        assert float(MATRIX[0, 0]).hex() in driver.text
        await driver.keys("enter")
        lines = "".join(driver.panel_lines())
        assert exact(MATRIX[0, 0]) in lines
        await driver.keys("down")
        assert exact(MATRIX[1, 0]) in "".join(driver.panel_lines())


async def test_copy(bundle: Path) -> None:
    async with looking(bundle, "matrix") as driver:
        await driver.keys("y")
        assert driver.app.clipboard == exact(MATRIX[0, 0])


# -- damage, slowness --


def flipped(tmp_path: Path, tensors: dict[bytes, Any]) -> Path:
    """A bundle whose last byte is another."""
    write_bundle(tmp_path / "model", tensors)
    data = next(tmp_path.glob("model.data*"))
    raw = bytearray(data.read_bytes())
    raw[-1] ^= 1
    data.write_bytes(raw)
    return tmp_path / "model.index"


async def test_a_flipped_byte_is_said_beside_the_value(tmp_path: Path) -> None:
    path = flipped(tmp_path, {b"x": np.arange(12, dtype=np.float32).reshape(3, 4)})
    async with looking(path, "x") as driver:
        assert driver.lines[0].rstrip().endswith("checksum bad")
        assert driver.text.count("checksum bad") == 2


async def test_a_flipped_byte_of_a_large_tensor_is_found_by_its_statistics(tmp_path: Path) -> None:
    large = np.ones((600, 600), np.float32)
    path = flipped(tmp_path, {b"x": large})
    async with looking(path, "x") as driver:
        assert driver.values.checksum == "unverified"
        await driver.keys("x")
        await driver.until(lambda: driver.values.checksum == "bad")
        await driver.read()
        assert driver.text.count("checksum bad") == 3


async def test_a_missing_data_file_is_a_sentence(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model", {b"x": MATRIX})
    next(tmp_path.glob("model.data*")).unlink()
    async with looking(tmp_path / "model.index", "x") as driver:
        assert driver.values.problem
        assert "model.data" in driver.text
        await driver.keys("x", "p", "enter")
        await driver.press("escape", "escape")
        await driver.until(lambda: not isinstance(driver.app.screen, ValuesScreen))


class Slow:
    """A tensor that is read when the test says so."""

    name, dtype, shape, nbytes, checksum = "slow", 1, (1000, 1000), 4_000_000, "unverified"

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.cancelled = False

    def _wait(self, cancel: threading.Event | None) -> None:
        from tfexplore.errors import Cancelled

        while not self.go_on.wait(0.005):
            if cancel is not None and cancel.is_set():
                self.cancelled = True
                raise Cancelled

    def read(self, starts: Any = None, counts: Any = None, cancel: threading.Event | None = None) -> TensorValue:
        self._wait(cancel)
        return TensorValue(np.ones(counts, np.float32), "unverified", 1, self.shape, tuple(starts))

    def pieces(
        self, cancel: threading.Event | None = None, progress: Any = None, room: Any = None
    ) -> Iterator[np.ndarray]:
        for number in range(4):
            if progress is not None:
                progress(number * 1_000_000, 4_000_000)
            self._wait(cancel)
            yield np.ones(250_000, np.float32)


async def test_what_is_being_read_shows_as_such_and_keys_go_on(bundle: Path) -> None:
    slow = Slow()
    async with looking(bundle, "", source=slow) as driver:
        values = driver.values
        await driver.until(lambda: "…" in driver.grid.render_line(1).text)
        await driver.press("down", "pagedown", "end")
        assert values.place == (values.rows, 999)
        assert "…" in driver.grid.render_line(1).text
        slow.go_on.set()
        await driver.read()
        assert values.exact == "1.0"


async def test_statistics_are_cancelled_by_escape(bundle: Path) -> None:
    slow = Slow()
    slow.go_on.set()
    async with looking(bundle, "", source=slow) as driver:
        await driver.read()
        slow.go_on.clear()
        await driver.press("x")
        await driver.until(lambda: driver.panel.progress is not None and driver.panel.progress.total)
        await driver.until(lambda: "0 %" in "".join(driver.panel_lines()))
        await driver.press("escape")
        await driver.until(lambda: slow.cancelled)
        await driver.until(lambda: "Cancelled" in "".join(driver.panel_lines()))
        slow.go_on.set()
        await driver.keys("x")
        await driver.keys("x")
        await driver.until(lambda: driver.panel.statistics is not None)
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, ValuesScreen))


async def test_leaving_cancels_what_is_read(bundle: Path) -> None:
    slow = Slow()
    async with looking(bundle, "", source=slow) as driver:
        await driver.until(lambda: driver.session.loader.tasks.running)
        await driver.press("q")
        await driver.until(lambda: not isinstance(driver.app.screen, ValuesScreen))
        await driver.until(lambda: slow.cancelled)
        assert driver.app.is_running


# -- from where it is opened --


async def test_v_in_the_tree_and_in_the_details(bundle: Path) -> None:
    async with explorer(bundle) as driver:
        await driver.expand("Keys")
        await driver.go_to("matrix")
        for pane in ("tree", "detail"):
            (driver.tree if pane == "tree" else driver.detail).focus()
            await driver.press("v")
            await driver.until(lambda: isinstance(driver.app.screen, ValuesScreen))
            assert driver.app.screen.values.name == "matrix"
            await driver.press("v")
            await driver.until(lambda: not isinstance(driver.app.screen, ValuesScreen))


async def test_what_has_no_values_says_so() -> None:
    async with explorer() as driver:
        driver.tree.focus()
        await driver.press("v")
        await driver.until(lambda: driver.app._notifications)
        assert "It has no values" in next(iter(driver.app._notifications)).message
        assert not isinstance(driver.app.screen, ValuesScreen)


async def test_help_names_every_key(bundle: Path) -> None:
    async with looking(bundle, "deep", (120, 60)) as driver:
        await driver.press("f1")
        await driver.until(lambda: not isinstance(driver.app.screen, ValuesScreen))
        for words in ("The values", "Look at a part", "The next axis as the rows", "A screenful down", "hexadecimal"):
            assert words in driver.text
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, ValuesScreen))


# -- poor terminals --


async def test_without_colours_characters_tell_the_levels(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with looking(bundle, "matrix", (120, 40)) as driver:
        assert driver.panel.mode == SHADE
        await driver.keys("p")
        picture = "".join(driver.panel_lines())
        assert {"░", "▒", "▓"} <= set(picture)
        assert "▀" not in picture
        # The cursor is seen without a colour.
        cell = next(s for s in driver.grid.render_line(1) if driver.values.cell(0, 0).text in s.text)
        assert cell.style is not None
        assert cell.style.reverse


async def test_ascii_pictures(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfexplore.tui.screens.values.is_ascii", lambda: True)
    async with looking(bundle, "matrix", (120, 40)) as driver:
        assert driver.panel.mode == ASCII
        for key in ("p", "H"):
            await driver.keys(key)
            await driver.until(lambda: driver.panel.progress is None)
            await driver.read()
            assert "".join(driver.panel_lines()).strip()
            assert "".join(driver.panel_lines()).isascii()


async def test_another_theme_and_another_size(bundle: Path) -> None:
    async with looking(bundle, "matrix", (120, 40)) as driver:
        await driver.keys("p")
        before = driver.screen.ramp
        driver.app.theme = "textual-light"
        await driver.until(lambda: driver.screen.ramp is not before)
        for size in ((80, 24), (60, 15), (40, 10), (20, 6), (200, 60)):
            await driver.pilot.resize_terminal(*size)
            await driver.read()
            assert driver.values.rows >= 1
        assert driver.values.columns > 5
