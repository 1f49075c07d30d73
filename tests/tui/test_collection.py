"""The list of models under Textual's pilot: it fills, opens a model, takes one back, and survives bad ones."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.opening import bundle, small_model
from tfexplore.core.collection import Found, Search
from tfexplore.core.model import COLLECTION, SAVED_MODEL
from tfexplore.core.opener import open_model
from tfexplore.core.subjects import FolderSubject, FoundSubject
from tfexplore.demo import FOLDER
from tfexplore.errors import Cancelled
from tfexplore.tui.app import ExplorerApp
from tfexplore.tui.commands import commands, perform
from tfexplore.tui.screens.help import HelpScreen
from tui.driving import DEADLINE, Driver, explorer, open_under, pane_lines, until

SIZES = [(120, 40), (80, 24)]
sizes = pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A serving base directory, two runs, a broken model and a graph."""
    top = tmp_path / "models"
    for version in ("8", "9", "10"):
        small_model(top / "base" / version)
    small_model(top / "broken")
    (top / "broken" / "saved_model.pb").write_bytes(b"\xff" * 50)
    bundle(top / "runs" / "a" / "ckpt-1", b"first")
    bundle(top / "runs" / "b" / "ckpt-2", b"second")
    return top


LABELS = ["models", "base", "10", "9", "8", "broken", "runs", "a/ckpt-1", "b/ckpt-2"]


@asynccontextmanager
async def listed(path: Path, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Driver]:
    """The explorer on a folder, as `tfexplore` without PATH opens it."""
    app = ExplorerApp(str(path), as_collection=True)
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: app.session.model is not None and driver.title is not None)
        await driver.until(lambda: not app.session.loader.tasks.running and not app.session.status)
        await driver.settled()
        yield driver


async def entered(driver: Driver, label: str, key: str = "enter") -> None:
    """Opens a model of the list."""
    await driver.go_to(label)
    await driver.press(key)
    await driver.until(lambda: driver.session.entered is not None)
    await driver.settled()
    await driver.until(lambda: driver.session.loader.tasks.running == 0)


def keys(driver: Driver) -> str:
    return driver.lines[-1]


# -- the list --


@sizes
async def test_a_folder_of_models_opens_as_a_list(folder: Path, size: tuple[int, int]) -> None:
    async with explorer(folder, size) as driver:
        await driver.settled()
        assert driver.labels() == LABELS
        assert driver.session.in_list
        assert driver.session.model is not None
        assert driver.session.model.kind == COLLECTION
        # The cursor stands on the first model, so that Enter opens the newest version.
        assert driver.title == "10"
        assert driver.tree.border_title == "Models"
        assert "models · folder with 6 models" in driver.lines[0]
        rows = pane_lines(driver.tree)
        assert rows[1].split() == ["▾", "base", "3", "versions"]
        found = [row for row in rows if "SavedModel" in row or "checkpoint" in row]
        assert len(found) == 6
        for words in ("SavedModel", "checkpoint"):
            (column,) = {row.index(words) for row in found if words in row}
        assert all(column == row.index("SavedModel") for row in found if "SavedModel" in row)
        assert all(row.endswith(" now") for row in found)
        assert "Open" in keys(driver)
        assert "Search again" in keys(driver)
        assert "Models" not in keys(driver)
        text = " ".join(driver.text.split())
        for part in ("kind SavedModel", "version 10, the newest of 3", "modified"):
            assert part in text


async def test_the_list_opens_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with explorer(folder) as driver:
        monkeypatch.setattr("tfexplore.core.opener.open_model", lambda *_, **__: pytest.fail("a model was opened"))
        for label in LABELS:
            await driver.go_to(label)
        assert open_under(folder) == []


async def test_a_long_name_loses_its_middle(tmp_path: Path) -> None:
    for end in ("one", "two"):
        small_model(tmp_path / ("x" * 120 + end))
    async with explorer(tmp_path, (80, 24)) as driver:
        rows = pane_lines(driver.tree)
        assert "…" in rows[1]
        assert "xone  " in rows[1]
        assert "SavedModel" in rows[1]
        assert all(len(row) <= 78 for row in rows)


async def test_folders_close_and_stay_closed_in_a_new_list(folder: Path) -> None:
    async with explorer(folder) as driver:
        await driver.go_to("base")
        await driver.press("left")
        await driver.until(lambda: "9" not in driver.labels())
        await driver.press("r")
        await driver.until(lambda: driver.session.listing is not None and not driver.session.listing.searching)
        await entered(driver, "a/ckpt-1")
        await driver.press("backspace")
        await driver.settled()
        assert driver.session.row_at_cursor().node.item.label == "a/ckpt-1"


async def test_a_new_search_finds_what_has_come(folder: Path) -> None:
    async with explorer(folder) as driver:
        await driver.go_to("9")
        small_model(folder / "base" / "11")
        await driver.press("r")
        await driver.until(lambda: "11" in driver.labels())
        await driver.settled()
        assert driver.title == "9"
        assert driver.labels()[2:4] == ["11", "10"]


async def test_details_of_the_folders(folder: Path) -> None:
    async with explorer(folder) as driver:
        await driver.go_to("base")
        await driver.until(lambda: "a serving base directory" in driver.text)
        await driver.go_to("models")
        await driver.until(lambda: "kinds" in driver.text)
        assert isinstance(driver.session.subject_at(0), FolderSubject)


async def test_help_and_palette_know_the_keys(folder: Path) -> None:
    async with explorer(folder) as driver:
        await driver.press("f1")
        await driver.until(lambda: isinstance(driver.app.screen, HelpScreen))
        assert "up to four levels below" in " ".join(driver.text.split())
        await driver.press("G")
        await driver.press("escape")
        await driver.until(lambda: len(driver.app.screen_stack) == 1)
        assert "Models · The tree" not in [command.name for command in commands(driver.app.screen)]
        await entered(driver, "10")
        assert "Models" in keys(driver)
        assert "Search again" not in keys(driver)
        (back,) = [command for command in commands(driver.app.screen) if command.name == "Models · The tree"]
        await perform(back)
        await driver.until(lambda: driver.session.in_list)


# -- a model of the list --


@sizes
@pytest.mark.parametrize(("open_key", "back_key"), [("enter", "backspace"), ("right", "u"), ("space", "u")])
async def test_a_model_opens_and_the_list_comes_back(
    folder: Path, size: tuple[int, int], open_key: str, back_key: str
) -> None:
    async with explorer(folder, size) as driver:
        await entered(driver, "9", open_key)
        assert driver.labels()[0] == "9"
        assert "Signatures" in driver.labels()
        assert driver.session.model is not None
        assert driver.session.model.kind == SAVED_MODEL
        assert "models › base/9" in driver.lines[0]
        assert driver.tree.border_title == "Model"
        assert driver.tree.has_focus
        await driver.press(back_key)
        await driver.settled()
        assert driver.labels() == LABELS
        assert driver.title == "9"
        assert "›" not in driver.lines[0]
        assert driver.tree.border_title == "Models"
        assert "Models" not in keys(driver)


async def test_models_are_closed_when_they_are_left(folder: Path) -> None:
    async with explorer(folder) as driver:
        for label, key in (("a/ckpt-1", "first"), ("b/ckpt-2", "second")):
            await entered(driver, label)
            await driver.expand("Keys")
            model = driver.session.model
            assert model is not None
            assert model.checkpoint is not None
            model.checkpoint.bundle.shard(0)
            assert open_under(folder)
            assert key in driver.labels()
            await driver.press("backspace")
            await driver.until(lambda: driver.session.in_list)
            assert open_under(folder) == []


async def test_backspace_goes_back_along_the_trail_first(folder: Path) -> None:
    async with explorer(FOLDER) as driver:
        await entered(driver, "ranker")
        await driver.go_to("examples")
        await driver.press("tab")
        first = driver.session.shown
        await driver.detail_cursor_on_link()
        await driver.press("enter")
        await driver.until(lambda: driver.session.trail)
        await driver.press("tab")
        assert driver.tree.has_focus
        await driver.press("backspace")
        await driver.until(lambda: not driver.session.trail)
        assert driver.session.shown is not None
        assert first is not None
        assert driver.session.shown.subject is first.subject
        assert not driver.session.in_list
        await driver.press("backspace")
        await driver.until(lambda: driver.session.in_list)


async def test_backspace_in_the_list_does_nothing(folder: Path) -> None:
    async with explorer(folder) as driver:
        await driver.press("backspace", "u")
        await driver.pilot.pause()
        assert driver.labels() == LABELS
        assert driver.app.is_running


async def test_backspace_in_a_model_that_was_given_does_nothing() -> None:
    async with explorer() as driver:
        before = driver.labels()
        await driver.press("backspace", "u", "r")
        await driver.pilot.pause()
        assert driver.labels() == before
        assert "Models" not in keys(driver)


async def test_a_model_that_cannot_be_read_stays_in_the_list(folder: Path) -> None:
    async with explorer(folder) as driver:
        await driver.go_to("broken")
        await driver.press("enter")
        await driver.until(lambda: "cannot be read" in driver.text)
        await driver.settled()
        assert driver.session.in_list
        assert driver.app.return_code is None
        assert driver.labels() == LABELS
        subject = driver.session.subject_at(driver.session.cursor)
        assert isinstance(subject, FoundSubject)
        assert subject.problem is not None
        assert "saved_model.pb" in subject.problem
        await driver.until(lambda: "it could not be opened" in driver.text)
        assert driver.session.status == ""
        # Its details say it; others open as before, and it is still marked afterwards.
        await entered(driver, "8")
        await driver.press("backspace")
        await driver.settled()
        assert "cannot be read" in driver.text


async def test_a_failure_behind_the_cursor_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def slow(path: str, **options: Any) -> Any:
        assert gate.wait(DEADLINE)
        return open_model(path, **options)

    async with explorer(folder) as driver:
        await driver.go_to("broken")
        monkeypatch.setattr("tfexplore.core.opener.open_model", slow)
        await driver.press("enter")
        await driver.until(lambda: "opening broken" in driver.lines[0])
        await driver.press("up")
        gate.set()
        await driver.until(lambda: driver.app._notifications)
        (told,) = driver.app._notifications
        assert "broken/saved_model.pb" in told.message


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_cancelling_an_opening_returns_to_the_list(
    folder: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    started = threading.Event()

    def endless(path: str, *, cancel: threading.Event, **_: Any) -> Any:
        started.set()
        assert cancel.wait(DEADLINE)
        raise Cancelled

    async with explorer(folder) as driver:
        await driver.go_to("9")
        monkeypatch.setattr("tfexplore.core.opener.open_model", endless)
        await driver.press("enter")
        await driver.until(started.is_set)
        await driver.until(lambda: "opening 9 (Escape cancels)" in driver.lines[0])
        await driver.press(key)
        await driver.until(lambda: driver.session.entering is None)
        assert driver.session.in_list
        assert driver.app.return_code is None
        assert driver.labels() == LABELS
        assert driver.title == "9"
        assert driver.session.status == ""
        monkeypatch.undo()
        await entered(driver, "9")


async def test_another_model_can_be_chosen_while_one_opens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def first_is_slow(path: str, *, cancel: threading.Event, **options: Any) -> Any:
        if path.endswith("10"):
            assert cancel.wait(DEADLINE)
            raise Cancelled
        return open_model(path, cancel=cancel, **options)

    monkeypatch.setattr("tfexplore.core.opener.open_model", first_is_slow)
    async with explorer(folder) as driver:
        await driver.go_to("10")
        await driver.press("enter")
        await driver.until(lambda: driver.session.entering is not None)
        await entered(driver, "8")
        assert driver.labels()[0] == "8"
        assert driver.session.status == ""


async def test_a_model_given_itself_fails_as_ever(folder: Path) -> None:
    app = ExplorerApp(str(folder / "broken"))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.failure is not None)
    assert app.return_code == 3


# -- the search --


class Steps:
    """A search that gives one model at a time, when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = threading.Semaphore(0)
        real = Search.batches

        def batches(search: Search, seconds: float = 0) -> Any:
            for batch in real(search, 0):
                for found in batch:
                    while not self.room.acquire(timeout=0.01):
                        search._check()
                    yield [found]
            while not self.room.acquire(timeout=0.01):
                search._check()

        monkeypatch.setattr(Search, "batches", batches)

    def go(self, count: int = 1) -> None:
        for _ in range(count):
            self.room.release()


@asynccontextmanager
async def searching(path: Path, *, as_collection: bool = False) -> AsyncIterator[Driver]:
    app = ExplorerApp(str(path), as_collection=as_collection)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        yield Driver(app, pilot)


async def test_the_list_fills_while_the_search_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    async with searching(folder) as driver:
        steps.go()
        await driver.until(lambda: driver.labels() == ["models", "base/10"])
        assert "1 model so far" in driver.lines[0]
        await driver.until(lambda: "looking for models" in driver.lines[0])
        steps.go()
        await driver.until(lambda: driver.labels() == ["models", "base", "10", "9"])
        await driver.settled()
        assert driver.title == "10"
        # The cursor stays on its model when rows come above it.
        await driver.go_to("9")
        steps.go(4)
        await driver.until(lambda: driver.labels() == LABELS)
        assert driver.session.model is None
        steps.go()
        await driver.until(lambda: driver.session.model is not None)
        await driver.settled()
        assert driver.title == "9"
        assert driver.session.status == ""
        assert "so far" not in driver.lines[0]


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_cancelling_the_search_keeps_what_was_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    steps = Steps(monkeypatch)
    async with searching(folder) as driver:
        steps.go(2)
        await driver.until(lambda: "9" in driver.labels())
        await driver.press(key)
        await driver.until(lambda: driver.session.model is not None)
        await driver.settled()
        assert driver.app.return_code is None
        assert [label for label in driver.labels() if "cancelled" not in label] == ["models", "base", "10", "9"]
        assert any("the search was cancelled" in label for label in driver.labels())
        assert driver.session.status == ""
        assert driver.session.loader.tasks.running == 0
        monkeypatch.undo()
        await driver.press("r")
        await driver.until(lambda: driver.labels() == LABELS)


async def test_cancelling_before_anything_is_found_leaves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Steps(monkeypatch)
    async with searching(folder) as driver:
        await driver.until(lambda: driver.session.loader.tasks.running)
        await driver.press("escape")
        await driver.until(lambda: driver.app.return_code is not None)
        assert driver.app.return_code == 130


async def test_a_model_opens_while_the_search_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    async with searching(folder) as driver:
        steps.go(2)
        await driver.until(lambda: "9" in driver.labels())
        await driver.settled()
        await driver.press("enter")
        await driver.until(lambda: driver.session.entered is not None)
        await driver.settled()
        assert driver.labels()[0] == "10"
        steps.go(2)
        await driver.until(lambda: driver.session.listing is not None and len(driver.session.listing.found) == 4)
        assert driver.labels()[0] == "10"
        assert driver.session.status == ""
        await driver.press("escape")  # the search is none of this model's
        steps.go(3)
        await driver.until(lambda: driver.session.listing is not None and not driver.session.listing.searching)
        assert driver.labels()[0] == "10"
        assert driver.session.model is not None
        assert driver.session.model.kind == SAVED_MODEL
        await driver.press("backspace")
        await driver.settled()
        assert driver.labels() == LABELS
        assert driver.title == "10"


async def test_a_very_long_list_is_drawn_now_and_then(folder: Path) -> None:
    async with explorer(folder) as driver:
        listing = driver.session.listing
        assert listing is not None
        listing.add([Found(f"m{number}", "saved_model", 1, None) for number in range(3000)])
        assert listing.wants_drawing()
        outline, _ = listing.outline()
        assert len(outline) >= 3000
        listing.add([Found("one more", "saved_model", 1, None)])
        assert not listing.wants_drawing()


# -- the current folder --


@pytest.mark.parametrize("size", [*SIZES, (60, 15)])
async def test_an_empty_folder_says_what_was_looked_for(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    async with listed(tmp_path, size) as driver:
        assert driver.labels() == [tmp_path.name, "no model here or up to 4 levels below"]
        assert "folder without models" in driver.lines[0]
        assert driver.app.return_code is None
        assert driver.session.cursor == 0
        lines = driver.session.shown.detail.lines()  # type: ignore[union-attr]
        said = " ".join(line.value for line in lines)
        for part in ("SavedModel", "up to 4 levels below", "tfexplore PATH", "tfexplore demo"):
            assert part in said
        await driver.press("down", "enter", "backspace", "q")
        await driver.until(lambda: driver.app.return_code is not None)
        assert driver.app.return_code == 0


async def test_without_a_path_one_model_is_a_list_too(folder: Path) -> None:
    async with listed(folder / "runs" / "a") as driver:
        assert driver.labels() == ["a", "ckpt-1"]
        await entered(driver, "ckpt-1")
        assert "a › ckpt-1" in driver.lines[0]


async def test_the_current_folder_may_be_a_model_itself(folder: Path) -> None:
    async with listed(folder / "base" / "9") as driver:
        assert driver.labels() == ["9", "9 (this folder)"]
        await entered(driver, "9 (this folder)")
        assert "Signatures" in driver.labels()
        await driver.press("u")
        await driver.settled()
        assert driver.labels() == ["9", "9 (this folder)"]


async def test_the_current_folder_by_its_dot(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    async with listed(Path(".")) as driver:
        assert driver.labels() == LABELS
        assert "models · folder with 6 models" in driver.lines[0]
        subject = driver.session.subject_at(driver.session.cursor)
        assert isinstance(subject, FoundSubject)
        assert subject.path == str(folder / "base" / "10")


async def test_hostile_names_in_a_list(tmp_path: Path) -> None:
    names = ["\x1b[31mred", "[/]", "[None]", "bidi\u202e", "new\nline"]
    for name in names:
        small_model(tmp_path / name)
    (tmp_path / "[/]" / "saved_model.pb").write_bytes(b"\xff" * 50)
    async with listed(tmp_path) as driver:
        for name in names:
            await driver.go_to(name)
            await driver.press("enter")
            if name == "[/]":
                await driver.until(lambda: "cannot be read" in driver.text)
                continue
            await driver.until(lambda: not driver.session.in_list)
            await driver.settled()
            assert all(line.isprintable() for line in driver.lines)
            await driver.press("backspace")
            await driver.until(lambda: driver.session.in_list)
            await driver.settled()
        assert all(line.isprintable() for line in driver.lines)
