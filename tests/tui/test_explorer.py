"""The explorer under Textual's pilot: every key does what its line in the help says."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from tfexplore.core.describe import describe
from tfexplore.core.detail import Detail
from tfexplore.core.opener import open_model
from tfexplore.errors import Cancelled, ModelError
from tfexplore.tui import app as app_module
from tfexplore.tui.app import ExplorerApp, run_app
from tfexplore.tui.commands import commands
from tfexplore.tui.help_text import key_word
from tfexplore.tui.screens.help import HelpScreen
from tfexplore.tui.widgets.detail_pane import DetailPane
from tfexplore.tui.widgets.line_view import LineView
from tfexplore.tui.widgets.model_tree import ModelTree
from tui.driving import DEADLINE, RANKER, TRAINING, Driver, explorer, open_under, pane_lines, screen_text, until

SIZES = [(120, 40), (80, 24)]
sizes = pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])


# Opening


@sizes
async def test_a_saved_model_opens(size: tuple[int, int]) -> None:
    async with explorer(RANKER, size) as driver:
        assert driver.labels()[:4] == ["ranker", "Signatures", "serving_default", "examples"]
        assert driver.node("serving_default").expanded
        assert driver.title == "ranker"
        assert driver.tree.has_focus
        header = driver.lines[0]
        for part in ("ranker", "SavedModel", "serve"):
            assert part in header
        assert "tfexplore" in header or size[0] < 100
        rows = pane_lines(driver.tree)
        assert rows[0].split()[:2] == ["◈", "ranker"]
        assert rows[1].split()[:2] == ["▾", "Signatures"]
        assert rows[3].split()[:5] == ["▸", "→", "examples", "string", "[?]"]
        assert "q Quit" in driver.lines[-1]
        assert driver.tree.border_title == "Model"
        assert any("written by" in line and "TensorFlow" in line for line in driver.lines)


@sizes
async def test_a_training_directory_opens(size: tuple[int, int]) -> None:
    async with explorer(TRAINING, size) as driver:
        assert driver.labels() == ["training", "Keys", "Objects", "Checkpoints", "Notes"]
        assert "training directory" in driver.lines[0]
        assert "3 checkpoints" in driver.lines[0]


async def test_older_checkpoints_of_a_training_directory_open() -> None:
    async with explorer(TRAINING) as driver:
        await driver.expand("Checkpoints")
        below = [row for row in driver.rows() if row.node.depth == 1]
        assert [row.node.item.kind for row in below] == ["checkpoint"] * 3
        (oldest,) = [row.node for row in below if "100" in row.node.item.label]
        await driver.expand(oldest.item.label)
        assert "100" in (driver.title or "")
        assert oldest.total
        assert driver.detail.border_subtitle is not None
        assert str(driver.detail.border_subtitle).lower() == "checkpoint"
        key = oldest.child(0)
        assert key is not None
        await driver.go_to(key.item.label)
        # Its keys lie below it, read from its own files.
        model = driver.session.model
        assert model is not None
        assert [prefix.rpartition("/")[2] for prefix in model._opened] == ["ckpt-100"]


async def test_the_first_frame_comes_before_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def slow(path: str, **options: Any) -> Any:
        options["progress"]("reading \x1b[31mthings")
        assert gate.wait(DEADLINE)
        return open_model(path)

    monkeypatch.setattr("tfexplore.core.opener.open_model", slow)
    app = ExplorerApp(str(RANKER))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "reading" in screen_text(app))
        assert "\x1b" not in screen_text(app)
        await pilot.press("j", "enter", "right", "left", "tab", "enter", "backspace", "G")  # nothing there yet
        assert app.session.model is None
        gate.set()
        await until(pilot, lambda: app.session.shown is not None and app.session.shown.detail is not None)
        assert "reading" not in app.screen_stack[0].query_one("#header").render().plain


@pytest.mark.parametrize("what", ["empty", "missing", "garbage"])
async def test_a_path_that_cannot_be_opened_ends_the_explorer(tmp_path: Path, what: str) -> None:
    path = tmp_path / "model"
    if what == "empty":
        path.mkdir()
        (path / "saved_model.pb").touch()
    elif what == "garbage":
        path.write_bytes(b"\xff" * 99)
    app = ExplorerApp(str(path))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.failure is not None)
    assert isinstance(app.failure, ModelError)
    assert str(path) in str(app.failure)
    assert app.return_code == 3
    assert app.crash is None


async def test_a_crash_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(subject: Any, cancel: Any) -> Detail:
        raise RuntimeError("boom")

    monkeypatch.setattr("tfexplore.core.describe.describe", broken)
    app = ExplorerApp(str(RANKER))
    with pytest.raises(Exception, match="boom"):
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: app.crash is not None)
    assert app.crash is not None


def test_run_app_raises_what_ended_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(app: ExplorerApp) -> None:
        async def main() -> None:
            async with app.run_test(size=(80, 24)) as pilot:
                await until(pilot, lambda: app.failure or app.session.model)
                if app.failure is None:
                    await pilot.press("q")

        asyncio.run(main())

    monkeypatch.setattr(app_module.ExplorerApp, "run", run)
    with pytest.raises(ModelError):
        run_app(str(tmp_path))
    assert run_app(str(RANKER)) == 0


async def test_a_detail_that_cannot_be_read_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(subject: Any, cancel: Any) -> Detail:
        raise ModelError("the detail is \x1b[31m damaged", path="there")

    async with explorer() as driver:
        monkeypatch.setattr("tfexplore.core.describe.describe", broken)
        await driver.press("down")
        await driver.settled()
        assert driver.title == "cannot be shown"
        await driver.until(lambda: r"there: the detail is \x1b[31m damaged" in driver.text)


async def test_a_branch_that_cannot_be_read_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with explorer() as driver:

        async def broken(*_: Any) -> Any:
            raise ModelError("bad \x1b[31m", path="there")

        monkeypatch.setattr(driver.session.loader, "page", broken)
        node = await driver.go_to("Graph")
        await driver.press("enter")
        await driver.until(lambda: node.problem)
        await driver.pilot.pause()
        assert not node.expanded
        assert r"cannot be read: there: bad \x1b[31m" in driver.text
        assert driver.session.status == ""


# The tree


async def test_enter_opens_and_closes_a_branch() -> None:
    async with explorer() as driver:
        before = driver.labels()
        for key in ("enter", "space"):
            node = await driver.go_to("Assets")
            assert not node.expanded
            await driver.press(key)
            await driver.until(lambda: node.expanded)  # noqa: B023
            assert len(driver.session.outline) == len(before) + 6
            assert any("vocab" in label or label.endswith(".txt") for label in driver.labels())
            await driver.press(key)
            await driver.until(lambda: not node.expanded)  # noqa: B023
            assert driver.labels() == before


async def test_right_opens_and_goes_in_left_closes_and_goes_out() -> None:
    async with explorer() as driver:
        node = await driver.go_to("Variables")
        at = driver.session.cursor
        await driver.press("right")
        await driver.until(lambda: node.expanded)
        assert driver.session.cursor == at
        await driver.press("right")
        assert driver.session.cursor == at + 1
        await driver.press("left")
        assert driver.session.cursor == at
        assert node.expanded
        await driver.press("left")
        await driver.until(lambda: not node.expanded)
        assert driver.session.cursor == at
        await driver.press("left")  # nothing above the first level
        assert driver.session.cursor == at


async def test_right_on_a_leaf_does_nothing_and_enter_goes_to_its_details() -> None:
    async with explorer() as driver:
        await driver.go_to("scores")
        at = driver.session.cursor
        await driver.press("right")
        assert driver.session.cursor == at
        assert driver.tree.has_focus
        await driver.press("enter")
        await driver.until(lambda: driver.detail.has_focus)
        assert driver.title == "scores"


async def test_closing_a_branch_takes_the_cursor_with_it() -> None:
    async with explorer() as driver:
        signatures = driver.node("Signatures")
        await driver.go_to("scores")
        driver.session.collapse(signatures)
        assert driver.session.cursor == 1


async def test_the_cursor_stays_on_its_row_when_rows_appear_above() -> None:
    async with explorer() as driver:
        await driver.go_to("Keys")
        at = driver.session.cursor
        graph = driver.node("Variables")
        await driver.session.expand(graph)
        assert driver.session.cursor == at + (graph.total or 0) > at
        assert driver.session.row_at_cursor().node.item.label == "Keys"


async def opened_wide(driver: Driver) -> int:
    """Opens enough of the tree that it does not fit; the number of its last row."""
    for label in ("Functions", "Graph", "Variables"):
        await driver.expand(label)
    await driver.press("home")
    assert len(driver.session.outline) > driver.tree.scrollable_content_region.height + 3
    return len(driver.session.outline) - 1


@sizes
async def test_keys_move_the_cursor(size: tuple[int, int]) -> None:
    async with explorer(RANKER, size) as driver:
        last = await opened_wide(driver)
        page = driver.tree.scrollable_content_region.height - 1
        at = 0
        for key, expected in [
            ("down", 1), ("j", 2), ("up", 1), ("k", 0), ("k", 0), ("G", last), ("down", last), ("g", 0), ("end", last),
            ("home", 0), ("pagedown", page), ("pageup", 0), ("ctrl+f", page), ("ctrl+b", 0), ("pageup", 0), ("j", 1),
        ]:  # fmt: skip
            await driver.press(key)
            assert driver.session.cursor == expected, (key, at)
            at = expected
            top = driver.tree.scroll_offset.y
            assert top <= at < top + driver.tree.scrollable_content_region.height, key
        await driver.settled()
        assert driver.title == "Signatures"


async def test_the_detail_follows_the_cursor() -> None:
    async with explorer() as driver:
        for label in ("Signatures", "serving_default", "examples", "Variables", "ranker"):
            await driver.go_to(label)
            assert driver.title == label
            await driver.pilot.pause()
            assert str(driver.detail.border_title) == label
        assert driver.session.trail == []


async def test_a_branch_of_many_pages_is_read_as_it_is_seen(tmp_path: Path) -> None:
    import numpy as np

    from formats.table_writer import write_bundle

    write_bundle(tmp_path / "many", {b"key%05d" % number: np.ones(1, np.float32) for number in range(2_000)})
    async with explorer(tmp_path / "many.index") as driver:
        node = await driver.expand("Keys")
        assert node.total == 2_000
        assert len(node.pages) < 4
        await driver.press("end")
        await driver.until(lambda: "key01999" in driver.text)
        while driver.session.row_at_cursor().node.item.label != "key01999":
            await driver.press("up")
        await driver.settled()
        assert driver.title == "key01999"
        assert len(node.pages) < 5
        # Into the middle of nowhere: a row that has not been read, then the one that is.
        driver.tree.move_cursor(driver.session.outline.number(node) + 1 + 1_234)
        await driver.until(lambda: driver.title == "key01234")


async def test_pages_that_arrive_leave_the_view_where_it_was_scrolled_to(tmp_path: Path) -> None:
    import numpy as np

    from formats.table_writer import write_bundle

    write_bundle(tmp_path / "many", {b"key%05d" % number: np.ones(1, np.float32) for number in range(2_000)})
    async with explorer(tmp_path / "many.index") as driver:
        await driver.expand("Keys")
        driver.tree.scroll_to(y=1_000, animate=False)
        await driver.until(lambda: "key01005" in driver.text)
        assert driver.tree.scroll_offset.y == 1_000
        assert driver.session.cursor < 10


async def test_a_cancelled_detail_says_so() -> None:
    import threading

    from tfexplore.core import describe as module

    started, original = threading.Event(), module.describe

    def endless(subject: object, cancel: threading.Event) -> object:
        started.set()
        cancel.wait(10)
        return original(subject, None)  # type: ignore[arg-type]

    async with explorer() as driver:
        module.describe = endless  # type: ignore[assignment]
        try:
            await driver.press("end")
            await driver.until(started.is_set)
            await driver.until(lambda: "reading the details" in driver.text)
            await driver.press("escape")
            await driver.until(lambda: "cancelled" in driver.text)
        finally:
            module.describe = original
        assert "reading the details" not in driver.text


async def test_clicks_move_the_cursor_and_act() -> None:
    async with explorer() as driver:
        node = driver.node("Assets")
        number = driver.session.outline.number(node)
        assert number is not None
        await driver.pilot.click(ModelTree, offset=(6, number + 1))
        assert driver.session.cursor == number
        assert not node.expanded
        await driver.settled()
        assert driver.title == "Assets"
        await driver.pilot.click(ModelTree, offset=(6, number + 1))
        await driver.until(lambda: node.expanded)
        await driver.pilot.click(ModelTree, offset=(6, 37))  # below the last row


# The detail pane


async def test_tab_changes_panes() -> None:
    async with explorer() as driver:
        for key in ("tab", "shift+tab", "tab", "tab"):
            was_tree = driver.tree.has_focus
            await driver.press(key)
            assert driver.tree.has_focus is not was_tree
            assert driver.detail.has_focus is was_tree


@sizes
async def test_keys_move_the_detail_cursor(size: tuple[int, int]) -> None:
    async with explorer(RANKER, size) as driver:
        await driver.expand("Functions")
        tall = max((row.node for row in driver.rows() if row.node.depth == 1), key=lambda node: node.item.note)
        await driver.go_to(tall.item.label)
        await driver.press("tab")
        last = driver.detail.line_count - 1
        page = driver.detail.scrollable_content_region.height - 1
        for key, expected in [
            ("j", 1), ("down", 2), ("k", 1), ("up", 0), ("G", last), ("g", 0), ("end", last), ("home", 0),
            ("pagedown", min(page, last)), ("pageup", 0), ("ctrl+f", min(page, last)), ("ctrl+b", 0), ("up", 0),
        ]:  # fmt: skip
            await driver.press(key)
            assert driver.detail.cursor_line == expected, key
            assert driver.session.shown is not None
            assert driver.session.shown.line == expected
            top = driver.detail.scroll_offset.y
            assert top <= expected < top + driver.detail.scrollable_content_region.height
        assert driver.tree.cursor_line == driver.session.outline.number(tall)


@pytest.mark.parametrize("key", ["enter", "right"])
async def test_a_link_is_followed_and_backspace_returns(key: str) -> None:
    async with explorer() as driver:
        await driver.go_to("examples")
        start = driver.session.shown
        await driver.press("tab")
        subject = await driver.detail_cursor_on_link()
        line = driver.detail.cursor_line
        await driver.press(key)
        await driver.until(lambda: driver.session.shown.subject == subject and driver.title)
        assert len(driver.session.trail) == 1
        assert driver.session.shown.line == 0
        assert driver.detail.has_focus
        await driver.until(lambda: str(driver.detail.border_title) == driver.title)
        followed = driver.title
        await driver.press("backspace")
        await driver.until(lambda: not driver.session.trail)
        assert driver.session.shown.subject is start.subject
        assert driver.detail.cursor_line == line
        await driver.until(lambda: str(driver.detail.border_title) == "examples")
        assert followed is not None
        assert driver.detail.has_focus
        await driver.press("backspace")
        await driver.until(lambda: driver.tree.has_focus)


async def test_following_many_links_and_going_all_the_way_back() -> None:
    async with explorer() as driver:
        await driver.go_to("scores")
        await driver.press("tab")
        titles = []
        for depth in range(1, 6):
            titles.append(driver.title)
            subject = await driver.detail_cursor_on_link()
            await driver.press("enter")
            await driver.until(lambda: len(driver.session.trail) == depth and driver.title)  # noqa: B023
            await driver.until(lambda: driver.detail._drawn_of[0] is driver.session.shown.detail)
            assert driver.session.shown.subject == subject
        for title in reversed(titles):
            await driver.press("backspace")
            await driver.until(lambda: driver.title == title)  # noqa: B023
        assert driver.session.trail == []
        assert driver.title == "scores"


async def test_a_line_without_a_link_leads_nowhere() -> None:
    async with explorer() as driver:
        await driver.press("tab", "enter", "right")
        assert driver.session.trail == []
        assert driver.title == "ranker"


async def test_moving_in_the_tree_forgets_the_trail() -> None:
    async with explorer() as driver:
        await driver.go_to("examples")
        await driver.press("tab")
        await driver.detail_cursor_on_link()
        await driver.press("enter")
        await driver.until(lambda: driver.session.trail and driver.title)
        await driver.press("tab", "down")
        await driver.settled()
        assert driver.session.trail == []
        assert driver.title == "probabilities"


# Help, palette, manners


@sizes
@pytest.mark.parametrize("key", ["f1", "question_mark"])
async def test_help_lists_the_keys_of_the_focused_pane(key: str, size: tuple[int, int]) -> None:
    async with explorer(RANKER, size) as driver:
        await driver.press(key)
        await driver.until(lambda: isinstance(driver.app.screen, HelpScreen))
        await driver.pilot.pause()
        listed = help_text(driver)
        assert "The tree" in listed
        assert ModelTree.HELP in listed
        for words in ("enter, space", "Open or close a branch", "shift+tab", "Go to the other pane", "f1", "q "):
            assert words in listed
        assert "Go to what the line names" not in listed
        await driver.press("tab")  # the panes below are out of reach
        assert isinstance(driver.app.screen, HelpScreen)
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, HelpScreen))
        assert driver.tree.has_focus
        assert driver.app.is_running
        await driver.press("tab", key)
        await driver.until(lambda: isinstance(driver.app.screen, HelpScreen))
        await driver.pilot.pause()
        listed = help_text(driver)
        assert "The details" in listed
        assert "Go to what the line names" in listed
        assert "backspace" in listed
        assert "Open or close a branch" not in listed


def help_text(driver: Driver) -> str:
    content = driver.app.screen._content
    return str(content.plain)


@pytest.mark.parametrize("key", ["escape", "f1", "q", "question_mark"])
async def test_help_closes(key: str) -> None:
    async with explorer() as driver:
        await driver.press("f1")
        await driver.until(lambda: isinstance(driver.app.screen, HelpScreen))
        await driver.press(key)
        await driver.until(lambda: len(driver.app.screen_stack) == 1)
        assert driver.app.return_code is None
        assert driver.tree.has_focus


async def test_every_key_of_a_pane_has_words_in_its_help() -> None:
    async with explorer() as driver:
        for pane in (driver.tree, driver.detail):
            pane.focus()
            await driver.pilot.pause()
            keys = set(driver.app.screen.active_bindings)
            await driver.press("f1")
            await driver.until(lambda: isinstance(driver.app.screen, HelpScreen))
            listed = help_text(driver)
            rows = [line.split("  ")[0].split(", ") for line in listed.splitlines()]
            named = {key for row in rows for key in row}
            for cls in (ExplorerApp, LineView, type(pane)):
                for binding in cls.BINDINGS:
                    if not pane.check_action(binding.action, ()):  # keys of the list of models
                        continue
                    for key in binding.key.split(","):
                        assert key.strip() in keys
                        assert key_word(driver.app, key.strip()) in named, (key, listed)
                    assert (binding.tooltip or binding.description) in " ".join(listed.split())
            await driver.press("escape")
            await driver.until(lambda: len(driver.app.screen_stack) == 1)


async def test_ctrl_c_says_how_to_quit_and_a_second_one_quits() -> None:
    async with explorer() as driver:
        await driver.press("ctrl+c")
        await driver.until(lambda: "Press q to quit" in driver.text)
        assert driver.app.return_code is None
        await driver.press("ctrl+c")
        await driver.until(lambda: driver.app.return_code is not None)
        assert driver.app.return_code == 130


async def test_ctrl_c_much_later_only_says_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with explorer() as driver:
        await driver.press("ctrl+c")
        driver.app._interrupted_at -= 100
        await driver.press("ctrl+c")
        await driver.pilot.pause()
        assert driver.app.return_code is None
        assert driver.app.is_running


async def test_ctrl_c_works_over_the_help_and_the_palette() -> None:
    for key in ("f1", "ctrl+p"):
        async with explorer() as driver:
            await driver.press(key)
            await driver.until(lambda: len(driver.app.screen_stack) == 2)
            await driver.press("ctrl+c", "ctrl+c")
            await driver.until(lambda: driver.app.return_code is not None)
            assert driver.app.return_code == 130


async def test_q_quits() -> None:
    async with explorer() as driver:
        await driver.press("q")
        await driver.until(lambda: driver.app.return_code is not None)
        assert driver.app.return_code == 0


async def test_ctrl_z_suspends(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(ExplorerApp, "action_suspend_process", lambda app: called.append(app))
    async with explorer() as driver:
        await driver.press("ctrl+z")
        await driver.until(lambda: called == [driver.app])


class Stuck:
    """Holds up every `describe` until `gate` opens or its job is cancelled and it looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, deaf: bool) -> None:
        self.started = threading.Event()
        self.gate = threading.Event()
        self.deaf = deaf
        monkeypatch.setattr("tfexplore.core.describe.describe", self)

    def __call__(self, subject: Any, cancel: threading.Event) -> Detail:
        self.started.set()
        assert (self.gate if self.deaf else cancel).wait(DEADLINE)
        if cancel.is_set():
            raise Cancelled
        return describe(subject, cancel)


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_what_is_being_read_is_cancelled(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with explorer() as driver:
        stuck = Stuck(monkeypatch, deaf=False)
        await driver.press("down")
        await driver.until(stuck.started.is_set)
        assert driver.session.loader.tasks.running == 1
        await driver.press(key)
        await driver.until(lambda: driver.session.loader.tasks.running == 0)
        assert driver.app.is_running
        assert driver.app.return_code is None
        if key == "ctrl+c":
            await driver.until(lambda: "Cancelled. Ctrl-C again quits." in driver.text)
        monkeypatch.undo()
        await driver.press("down")
        await driver.settled()
        assert driver.title == "serving_default"


async def test_escape_while_the_model_opens_quits(monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Event()

    def endless(path: str, *, cancel: threading.Event, **_: Any) -> Any:
        started.set()
        assert cancel.wait(DEADLINE)
        raise Cancelled

    monkeypatch.setattr("tfexplore.core.opener.open_model", endless)
    app = ExplorerApp(str(RANKER))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, started.is_set)
        await pilot.press("escape")
        await until(pilot, lambda: app.return_code is not None)
    assert app.return_code == 130


async def test_keys_are_answered_while_a_detail_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    async with explorer() as driver:
        stuck = Stuck(monkeypatch, deaf=True)
        await driver.press("down")
        await driver.until(stuck.started.is_set)
        await driver.press("down", "down")
        assert driver.session.cursor == 3
        await driver.press("tab")
        assert driver.detail.has_focus
        stuck.gate.set()
        await driver.settled()
        assert driver.title == "examples"


async def test_the_command_palette_opens_and_runs_a_command() -> None:
    from textual.command import CommandPalette

    async with explorer() as driver:
        await driver.press("ctrl+p")
        await driver.until(lambda: isinstance(driver.app.screen, CommandPalette))
        await driver.press("escape")
        await driver.until(lambda: len(driver.app.screen_stack) == 1)
        names = [command.name for command in commands(driver.app.screen)]
        assert {"Help", "Cancel", "Quit", "Open · The tree", "Back · The details"} <= set(names)
        assert len(names) == len(set(names))
        await driver.press("ctrl+p")
        await driver.until(lambda: isinstance(driver.app.screen, CommandPalette))
        await driver.press(*"other pane")
        await driver.until(lambda: "Go to the other pane" in driver.text)
        await driver.press("down", "enter")
        await driver.until(lambda: driver.detail.has_focus)
        assert len(driver.app.screen_stack) == 1


# Layout


def regions(driver: Driver) -> tuple[Any, Any]:
    return driver.tree.region, driver.detail.region


@pytest.mark.parametrize(
    ("size", "columns"), [((120, 40), 2), ((100, 30), 2), ((99, 30), 1), ((80, 24), 1), ((60, 15), 1)]
)
async def test_one_column_below_a_hundred_columns(size: tuple[int, int], columns: int) -> None:
    async with explorer(RANKER, size) as driver:
        tree, detail = regions(driver)
        if columns == 2:
            assert tree.y == detail.y
            assert tree.height == detail.height == size[1] - 3
            assert tree.right == detail.x
            assert detail.right == size[0]
        else:
            assert tree.x == detail.x
            assert tree.width == detail.width == size[0]
            assert tree.bottom == detail.y
            assert tree.height + detail.height == size[1] - 3
            assert tree.height > detail.height  # the focused one is the larger
            await driver.press("tab")
            await driver.until(lambda: regions(driver)[0].height < regions(driver)[1].height)
        assert all(len(line) <= size[0] for line in driver.lines)
        assert "needs 60" not in driver.text


@pytest.mark.parametrize("size", [(59, 15), (60, 14), (20, 5), (120, 10)])
async def test_too_small_a_terminal_says_so(size: tuple[int, int]) -> None:
    async with explorer(RANKER, size) as driver:
        told = " ".join(driver.text.split())
        assert told == f"tfexplore needs 60 × 15. This terminal has {size[0]} × {size[1]}. q quits."
        assert "Signatures" not in driver.text
        await driver.press("j")
        await driver.pilot.resize_terminal(120, 40)
        await driver.until(lambda: "Signatures" in driver.text)
        assert "needs 60" not in driver.text
        await driver.pilot.resize_terminal(59, 40)
        await driver.until(lambda: "This terminal has 59 × 40." in driver.text)


async def test_a_resize_lays_the_details_out_again() -> None:
    async with explorer() as driver:
        await driver.pilot.resize_terminal(80, 24)
        await driver.until(lambda: driver.detail.region.width == 80)
        await driver.until(lambda: driver.detail._drawn_of[1] == driver.detail.scrollable_content_region.width)
        assert "written by" in " ".join(line.label for line in driver.detail._drawn)


# Ending


@pytest.mark.parametrize("path", [RANKER, TRAINING], ids=lambda path: path.name)
async def test_closing_leaves_no_file_open(path: Path) -> None:
    async with explorer(path) as driver:
        await driver.expand("Keys")
        for _ in range(3):
            await driver.press("down", "right", "right")
            await driver.settled()
        if path == TRAINING:
            await driver.expand("Checkpoints")
            await driver.press("down", "right")
        model = driver.session.model
        assert model is not None
        assert model.checkpoint is not None
        model.checkpoint.bundle.shard(0)
        assert open_under(path)
        await driver.press("q")
    assert open_under(path) == []
    driver.session.close()  # a second time does nothing


def test_every_bound_action_exists() -> None:
    for cls in (ExplorerApp, LineView, ModelTree, DetailPane, HelpScreen):
        for binding in cls.BINDINGS:
            name = binding.action.partition("(")[0]
            assert hasattr(cls, f"action_{name}"), binding
