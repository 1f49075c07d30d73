"""A large checkpoint: the tree stands before its names are read, and the totals follow."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from formats.table_writer import write_bundle
from tfexplore.formats import bundle_index
from tfexplore.formats.bundle import Bundle
from tfexplore.formats.table import check_cancel
from tfexplore.tui.app import ExplorerApp
from tui.driving import Driver


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bundle_index, "_READ_AT_ONCE", 0)
    monkeypatch.setattr(bundle_index, "_SCANNED_FROM", 0)
    write_bundle(tmp_path / "c", {b"w/%03d" % number: np.zeros(2) for number in range(600)}, block_size=400)
    return tmp_path / "c"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Names are not read before this is set."""
    go_on = threading.Event()

    def wait(cancel: threading.Event | None) -> None:
        while not go_on.wait(0.002):
            check_cancel(cancel)

    def held_back(method: Any) -> Any:
        def waiting(self: Any, cancel: threading.Event | None = None, *arguments: Any) -> Any:
            wait(cancel)
            return method(self, cancel, *arguments)

        return waiting

    monkeypatch.setattr(Bundle, "load", held_back(Bundle.load))
    monkeypatch.setattr(Bundle, "iter_batches", held_back(Bundle.iter_batches))
    return go_on


@asynccontextmanager
async def opening(path: Path) -> AsyncIterator[Driver]:
    """The explorer on a path whose details may take a while."""
    app = ExplorerApp(str(path))
    async with app.run_test(size=(120, 40)) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: "Keys" in driver.labels())
        yield driver


def note(driver: Driver, label: str) -> str:
    item = driver.node(label).item
    assert item is not None
    return item.note


async def test_totals_follow(prefix: Path, held: threading.Event) -> None:
    async with opening(prefix) as driver:
        assert note(driver, "Keys") == "counting …"
        assert "600" not in driver.session.facts
        held.set()
        await driver.until(lambda: note(driver, "Keys") == "600")
        await driver.until(lambda: "600 keys" in driver.session.facts)
        assert "600" in driver.text


async def test_a_branch_that_was_opened_before_stays_open(prefix: Path, held: threading.Event) -> None:
    async with opening(prefix) as driver:
        number = driver.session.outline.number(driver.node("Keys"))
        assert number is not None
        driver.session.move_to(number)
        await driver.press("enter")
        held.set()
        await driver.until(lambda: "w" in driver.labels())
        await driver.until(lambda: note(driver, "Keys") == "600")
        assert driver.labels()[number : number + 2] == ["Keys", "w"]
        assert driver.session.cursor == number


async def test_escape_leaves_the_rows_as_they_are(prefix: Path, held: threading.Event) -> None:
    async with opening(prefix) as driver:
        await driver.until(lambda: driver.session.loader.tasks.running)
        await driver.press("escape")
        await driver.until(lambda: not driver.session.loader.tasks.running)
        assert note(driver, "Keys") == "counting …"
        assert driver.session.status == ""
        held.set()
        await driver.press("down", "enter")
        await driver.until(lambda: "w" in driver.labels())
        # Opening the branch has read all names: the totals follow.
        await driver.until(lambda: note(driver, "Keys") == "600")
        await driver.until(lambda: "600 keys" in driver.session.facts)
