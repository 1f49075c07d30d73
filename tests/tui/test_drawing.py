"""What the terminal shows is what Textual would have drawn, with fewer bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from tfexplore.tui.drawing import Difference, Picture
from tui.driving import RANKER, explorer
from tui.terminal_grid import Grid

WIDTH, HEIGHT = 24, 5
CONSOLE = Console(color_system="truecolor", force_terminal=True, width=WIDTH, file=open("/dev/null", "w"))  # noqa: SIM115

colours = st.sampled_from([None, "#102030", "#f0e0d0", "red", "bright_blue", "default"])
styles = st.builds(
    Style, color=colours, bgcolor=colours, bold=st.booleans(), underline=st.booleans(), reverse=st.booleans()
)
# No combining mark at the beginning: it would belong to the cell before.
words = st.text(st.sampled_from("ab c─▾…宽字"), max_size=6) | st.sampled_from(["e\u0301x", "y\u0308"])
segments = st.tuples(words, st.none() | styles).map(lambda pair: Segment(*pair))


@st.composite
def strips(draw: st.DrawFn, cells: int) -> Strip:
    return Strip(draw(st.lists(segments, max_size=5))).adjust_cell_length(cells)


@st.composite
def updates(draw: st.DrawFn) -> LayoutUpdate | ChopsUpdate:
    cut = draw(st.integers(1, WIDTH - 1))
    if draw(st.booleans()):
        lines = [[draw(strips(cut)), draw(strips(WIDTH - cut))] for _ in range(HEIGHT)]
        return LayoutUpdate(lines, Region(0, 0, WIDTH, HEIGHT))
    chops: list[dict[int, Strip | None]] = [
        {0: draw(st.none() | strips(cut)), cut: draw(st.none() | strips(WIDTH - cut))} for _ in range(HEIGHT)
    ]
    rows = draw(st.lists(st.integers(0, HEIGHT - 1), min_size=1, unique=True).map(sorted))
    spans = []
    for y in rows:
        start = draw(st.integers(0, WIDTH - 1))
        spans.append((y, start, draw(st.integers(start + 1, WIDTH))))
    return ChopsUpdate(chops, spans, [[cut, WIDTH] for _ in range(HEIGHT)])


@given(st.lists(updates(), min_size=1, max_size=6))
@settings(deadline=None, max_examples=150)
def test_the_terminal_shows_what_textual_draws(drawn: list[LayoutUpdate | ChopsUpdate]) -> None:
    plain, ours, picture = Grid(WIDTH, HEIGHT), Grid(WIDTH, HEIGHT), Picture()
    for update in drawn:
        plain.feed(update.render_segments(CONSOLE))
        ours.feed(Difference(update, picture, (WIDTH, HEIGHT)).render_segments(CONSOLE))
        assert ours.seen() == plain.seen()
        assert ours.look == ((), "", "")


@given(updates())
@settings(deadline=None, max_examples=50)
def test_what_is_shown_already_is_not_sent(update: LayoutUpdate | ChopsUpdate) -> None:
    picture = Picture()
    Difference(update, picture, (WIDTH, HEIGHT)).render_segments(CONSOLE)
    assert Difference(update, picture, (WIDTH, HEIGHT)).render_segments(CONSOLE) == ""


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT + 1), None])
def test_a_terminal_that_may_show_anything_gets_everything(size: tuple[int, int] | None) -> None:
    lines = [[Strip([Segment("x" * WIDTH, Style(bold=True))])] for _ in range(HEIGHT)]
    update, picture = LayoutUpdate(lines, Region(0, 0, WIDTH, HEIGHT)), Picture()
    first = Difference(update, picture, (WIDTH, HEIGHT)).render_segments(CONSOLE)
    if size is None:
        picture.forget()
    assert Difference(update, picture, size or (WIDTH, HEIGHT)).render_segments(CONSOLE) == first


def test_a_row_that_moves_by_one_costs_what_is_another() -> None:
    def rows(first: int) -> LayoutUpdate:
        lines = [
            [Strip([Segment(f"layer_{first + y:03}/kernel", Style(color="#aabbcc")), Segment("  float32  ")])]
            for y in range(HEIGHT)
        ]
        return LayoutUpdate(lines, Region(0, 0, WIDTH, HEIGHT))

    picture = Picture()
    whole = Difference(rows(10), picture, (40, HEIGHT)).render_segments(CONSOLE)
    moved = Difference(rows(11), picture, (40, HEIGHT)).render_segments(CONSOLE)
    assert len(moved) < len(whole) / 2
    assert moved.count("layer") == 0


async def test_the_explorer_draws_through_it(tmp_path: Path) -> None:
    async with explorer(RANKER) as driver:
        picture, shown = Picture(), Grid(*driver.app.size)
        screen = driver.app.screen
        for key in ("j", "j", "right", "tab", "j", "f1", "escape"):
            await driver.press(key)
            await driver.settled()
            full = driver.app.screen._compositor.render_full_update()
            shown.feed(Difference(full, picture, tuple(driver.app.size)).render_segments(driver.app.console))
            text = ["".join(cell for cell, _ in row).rstrip() for row in shown.cells]
            assert text == driver.lines
        assert screen is driver.app.screen
        await driver.press("ctrl+l")
        assert driver.app._picture._size == (0, 0)
