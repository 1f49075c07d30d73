"""Names are data: nothing of a model's controls the terminal, is read as markup, or makes a row vanish."""

from __future__ import annotations

import fcntl
import re
import select
import string
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from guard_session import DEADLINE, Session
from tfexplore.core import text
from tfexplore.core.subjects import KeySubject, NodeSubject, PathSubject
from tfexplore.tui.labels import facts_of
from tfexplore.tui.screens.marks import MarksScreen
from tfexplore.tui.screens.neighbourhood import NeighbourhoodScreen, PictureView
from tui.driving import Driver, explorer, pane_lines
from tui.hostile import FOLDER_NAME, KEYS, LEVELS, NAMES, write_hostile_bundle, write_hostile_model

MAX_ROWS = 120
BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def check_screen(driver: Driver) -> None:
    """What is drawn is printable, and each line as wide as the screen."""
    for pane in (driver.tree, driver.detail):
        cells = pane.scrollable_content_region.width
        for y in range(pane.scrollable_content_region.height):
            strip = pane.render_line(y)
            assert strip.text.isprintable(), strip.text
            assert cell_len(strip.text) == strip.cell_length == cells, strip.text
    assert all(line.isprintable() for line in driver.lines)


def check_row(driver: Driver, number: int) -> None:
    """The row shows its name: whole where it fits, else at least its end, or of a sentence its beginning."""
    row = driver.session.outline.row(number)
    assert row is not None
    assert row.node is not None
    assert row.node.item is not None
    item = row.node.item
    name = text.label(item.label)
    pane = driver.tree
    drawn = pane.render_line(number - pane.scroll_offset.y).text
    needed = 2 * row.node.depth + 4 + max(text.width(name), cell_len(name)) + 2 + text.width(facts_of(item))
    if needed <= pane.scrollable_content_region.width:
        assert name in drawn
        assert facts_of(item) in drawn
    elif item.kind == "note":  # a sentence of ours: its beginning says what it is about
        assert name[:20] in drawn, (name, drawn)
    else:
        assert name[-3:] in drawn, (name[-40:], drawn)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:12]))
def test_names_are_as_wide_as_the_screen_counts_them(name: bytes) -> None:
    shown = text.label(text.decode(name))
    assert text.width(shown) == cell_len(shown)


async def walk(driver: Driver) -> int:
    """Opens every branch and looks at every row and its detail; how many rows there were."""
    number = 0
    while number < min(len(driver.session.outline), MAX_ROWS):
        driver.tree._move(number)
        assert driver.session.cursor == number
        row = driver.session.outline.row(number)
        assert row is not None
        if row.node is None:
            await driver.session.read_rows(number, 1)
            row = driver.session.outline.row(number)
            assert row is not None
        assert row.node is not None
        await driver.session.expand(row.node)
        subject = driver.session.subject_at(number)
        assert subject is not None
        driver.session.start_detail(subject)
        await driver.session.read_detail()
        await driver.pilot.pause()
        assert driver.app.crash is None
        assert row.node.problem is None
        await driver.until(lambda: driver.title)
        check_row(driver, number)
        check_screen(driver)
        if text.width(driver.title) < 30 and driver.detail.scrollable_content_region.width > 60:
            assert driver.title.strip() in driver.text
        driver.detail.scroll_end(animate=False)
        number += 1
    return number


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["wide", "narrow"])
async def test_a_bundle_with_hostile_keys(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_hostile_bundle(tmp_path / FOLDER_NAME)
    async with explorer(path, size) as driver:
        assert await walk(driver) >= len(KEYS)
        shown = {
            row.node.item.subject.key
            for row in driver.rows()
            if row.node is not None and isinstance(row.node.item.subject, KeySubject)
        }
        assert shown == {text.decode(key) for key in KEYS}
        await driver.press("q")
        await driver.until(lambda: driver.app.return_code == 0)


async def test_a_saved_model_with_hostile_names(tmp_path: Path) -> None:
    path = write_hostile_model(tmp_path / FOLDER_NAME)
    async with explorer(path) as driver:
        header = driver.lines[0]
        assert r"[None]il\u202e · SavedModel" in header
        assert "[@click=app.quit]" in header
        rows = await walk(driver)
        assert rows == min(MAX_ROWS, len(driver.session.outline))
        assert rows > 4 * len(NAMES)


async def test_hostile_names_one_at_a_time(tmp_path: Path) -> None:
    """Each name alone, so that every section of its model is walked."""
    for number, name in enumerate((b"\x1b[31mEVIL", b"", b"[@click=app.quit]x[/]")):
        async with explorer(write_hostile_model(tmp_path / str(number), [name])) as driver:
            rows = await walk(driver)
            assert rows == len(driver.session.outline) < MAX_ROWS
            assert driver.labels().count(text.decode(name)) >= 5


async def test_links_between_hostile_names_can_be_followed(tmp_path: Path) -> None:
    async with explorer(write_hostile_model(tmp_path / "m", [b"[/]\x1b[31mEVIL", b"[None]"])) as driver:
        await driver.go_to(text.decode(b"[/]\x1b[31mEVIL"))
        await driver.press("down")
        await driver.settled()
        await driver.press("tab")
        for depth in range(1, 4):
            await driver.detail_cursor_on_link()
            await driver.press("enter")
            await driver.until(lambda: len(driver.session.trail) == depth and driver.title)  # noqa: B023
            await driver.until(lambda: driver.detail._drawn_of[0] is driver.session.shown.detail)
            check_screen(driver)


async def test_three_thousand_levels(tmp_path: Path) -> None:
    async with explorer(write_hostile_bundle(tmp_path / "deep", deep=True)) as driver:
        node = await driver.expand("Keys")
        for _ in range(LEVELS - 1):
            child = node.child(0)
            assert child is not None
            node = child
            await driver.session.expand(node)
            assert node.expanded
        leaf = node.child(0)
        assert leaf is not None
        assert leaf.depth == LEVELS
        assert not leaf.is_branch
        number = driver.session.outline.number(leaf)
        assert number is not None
        for row in (number, number // 2, 0):
            driver.tree._move(row)
            await driver.settled()
            check_screen(driver)
            if row:
                assert pane_lines(driver.tree)[row - driver.tree.scroll_offset.y].split()[:2] in (
                    ["▪", "d"],
                    ["▾", "▪"],
                )


# On a real terminal

# Exactly what drawing, asking the terminal and copying write.
OWN = re.compile(
    rb"\x1b(?:\[[0-9;]*[HCmcnt]|\[[?<>=][0-9;]*[$a-zA-Z]+|\](?:22;[a-z-]*|52;c;[A-Za-z0-9+/=]*)(?:\x07|\x1b\\))"
)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(tmp_path)
    fcntl.ioctl(session.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    yield session
    session.close()


def until_quiet(session: Session) -> None:
    """Reads until the screen says nothing for longer than it waits before it reads a detail."""
    deadline = time.monotonic() + DEADLINE
    while select.select([session.master], [], [], 0.13)[0]:
        assert time.monotonic() < deadline
        session._pump(0)


def plain(output: bytes) -> str:
    """What was written, without the sequences that a screen may write."""
    return OWN.sub(b"", output).decode("utf-8")


@pytest.mark.parametrize("what", ["bundle", "saved_model"])
def test_nothing_of_the_model_controls_a_real_terminal(session: Session, tmp_path: Path, what: str) -> None:
    folder = tmp_path / FOLDER_NAME
    short = [name for name in NAMES if len(name) < 100]
    path = write_hostile_bundle(folder) if what == "bundle" else write_hostile_model(folder, short)
    session.start(sys.executable, "-m", "tfexplore", str(path), XDG_CONFIG_HOME=str(tmp_path))
    session.until_shown(b"Model")
    session.until_shown(b"Objects")
    until_quiet(session)
    for _ in range(28):
        session.type(b"\x1b[C")  # opens a branch, or goes into one that is open
        session.type(b"j")
        until_quiet(session)
    session.type(b"t")  # the flat lists
    until_quiet(session)
    for _ in range(5):
        for keys in (b"j", b"G", b"\x1b[C"):
            session.type(keys)
            until_quiet(session)
    for keys in (b"t", b":", b"\x1b[B", b"\t", b"\r"):  # the prompt, and there
        session.type(keys)
        until_quiet(session)
    for _ in range(2):  # on a busy machine the first may be read together with what follows it
        session.type(b"\x1b")
        until_quiet(session)
    for keys in (b"\t", b"j", b"j", b"\r", b"\x7f", b"\t", b"\x1bOP"):
        session.type(keys)
        until_quiet(session)
    session.type(b"\x1b")  # the help
    until_quiet(session)
    around = [b"/", b"e", b"\x1b[B", b"\r", b"h", b"\x1b[D", b"\x1b", b"ma", b"'", b"\x1b", b"[", b"]"]
    around += [b"y", b"\x1b", b"\x10", b"op", b"\x1b", b"v", b"x", b"v"]
    tabs = [b"5", b"j", b"\t", b"\t", b"2", b"\t", b"j", b"\r", b"\x1b", b"3", b"\t", b"j", b" ", b"1"]
    for keys in (*around, *(tabs if what == "saved_model" else ())):
        session.type(keys)
        until_quiet(session)
    session.type(b"\x1b")
    until_quiet(session)
    session.type(b"q")
    session.assert_ended(0)
    seen = plain(session.output)
    assert "\x1b" not in seen
    bad = {ord(c) for c in seen if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or ord(c) in BIDI} - {8, 10, 13}
    assert not bad, [hex(code) for code in bad]
    for own in (
        b"\x1b]0;",
        b"\x1b]2;",
        b"\x1b[31;7;5m",
        b"\x1b[31mEVIL",
        b"\x1bP+q",
        b"\xc2\x9b",
        b"pwned\x07",
        b"\x1b[0;0;0m",
    ):
        assert own not in session.output, own
    assert r"\x1b]0;pwned\x07" in seen  # and yet it was shown
    assert r"\x1b[31;7;5mEVIL" in seen


async def test_walking_among_hostile_names(tmp_path: Path) -> None:
    path = write_hostile_model(tmp_path / FOLDER_NAME)
    async with explorer(path, (80, 24)) as driver:
        model = driver.session.model
        assert model is not None
        owner = model.meta_graphs[0]
        owner.graph.load()
        driver.detail.focus()
        for number, position in enumerate(range(0, len(owner.graph), 2)):
            subject = NodeSubject(owner, owner.graph, None, position)
            await driver.session.follow(subject)
            await driver.until(lambda shown=subject: driver.session.shown.subject == shown)
            for key in ("i", "o"):
                await driver.press(key)
                check_screen(driver)
            await driver.press("p")
            if number % 2:  # the second end: the path is shown
                await driver.until(lambda: isinstance(driver.session.shown.subject, PathSubject) and driver.title)
                check_screen(driver)
                await driver.press("backspace")
            else:
                await driver.until(lambda subject=subject: driver.session.walk.first == subject)
            await driver.press("h")
            await driver.until(lambda: isinstance(driver.app.screen, NeighbourhoodScreen))
            view = driver.app.screen.query_one(PictureView)
            await driver.until(lambda view=view: view.around.rows)
            for key in ("left", "right", "right"):
                await driver.press(key)
                assert all(line.isprintable() for line in driver.lines), driver.lines
            for y in range(view.scrollable_content_region.height):
                strip = view.render_line(y)
                assert cell_len(strip.text) == strip.cell_length, strip.text
            await driver.press("escape")
            await driver.until(lambda: not isinstance(driver.app.screen, NeighbourhoodScreen))
            await driver.press("m")
            await driver.until(lambda: isinstance(driver.app.screen, MarksScreen))
            await driver.press(string.ascii_letters[number])
            await driver.until(lambda: not isinstance(driver.app.screen, MarksScreen))
        await driver.press("apostrophe")
        await driver.until(lambda: isinstance(driver.app.screen, MarksScreen))
        listed = driver.session.walk.marks.listed
        assert len(listed) == len(range(0, len(owner.graph), 2))
        seen: set[str] = set()
        for _ in listed:
            assert all(line.isprintable() for line in driver.lines), driver.lines
            seen.update(line for line in driver.lines)
            await driver.press("down")
        for mark in listed:
            assert any(f"{mark.letter}  {mark.title[:3]}".rstrip() in line for line in seen), mark.title
        assert driver.app.crash is None
