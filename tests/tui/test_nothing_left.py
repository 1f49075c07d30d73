"""After twenty models were opened, looked at and left, nothing of them is left: no object, no open file, no widget."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from formats.table_writer import write_bundle
from tfexplore.core.subjects import FoundSubject
from tfexplore.tui.app import ExplorerApp
from tfexplore.tui.screens.search import SearchScreen
from tfexplore.tui.screens.values import ValuesScreen
from tfexplore.tui.topics import Tab
from tui.driving import Driver, open_under
from tui.walking import write_walk

MODELS = 20


def write_models(folder: Path) -> None:
    for number in range(MODELS):
        if number % 2:
            (folder / f"m{number:02}").mkdir()
            write_bundle(
                folder / f"m{number:02}" / "ckpt", {b"a/kernel": np.ones((3, 4), np.float32), b"b": np.ones(2)}
            )
        else:
            write_walk(folder / f"m{number:02}")


async def look_around(driver: Driver) -> list[weakref.ref[Any]]:
    """Goes through what an open model has; weak references to what it is made of."""
    session = driver.session
    model = session.model
    assert model is not None
    left: list[Any] = [model, *model.meta_graphs]
    if model.checkpoint is not None:
        left += [model.checkpoint, model.checkpoint.bundle]
    await driver.press("t")
    await driver.until(lambda: session.lists is not None)
    left.append(session.lists)
    await driver.press("m", "a", "i", "left_square_bracket")
    await driver.press("slash", *"ker")
    await driver.until(lambda: isinstance(driver.app.screen, SearchScreen) and driver.app.screen.finding.hits)
    left.append(driver.app.screen.finding)  # type: ignore[attr-defined]
    await driver.press("enter")
    await driver.until(lambda: len(driver.app.screen_stack) == 1 and driver.title)
    if model.meta_graphs:
        left.append(model.meta_graphs[0].graph)
        await driver.press("h")
        await driver.press("escape", "5")
        await driver.until(lambda: session.safety is not None and session.tab is Tab.SAFETY)
        left.append(session.safety)
        await driver.press("1")
    else:
        await driver.press("v")
        await driver.until(lambda: isinstance(driver.app.screen, ValuesScreen))
        left.append(driver.app.screen.values)  # type: ignore[attr-defined]
        await driver.press("x", "v")
    await driver.until(lambda: len(driver.app.screen_stack) == 1)
    assert left[-1] is not None
    return [weakref.ref(one) for one in left]


def count_widgets(app: ExplorerApp) -> int:
    """But for messages, which go by themselves."""
    return sum("Toast" not in type(widget).__name__ for widget in app.screen.query("*"))


async def test_nothing_is_left_of_twenty_models(tmp_path: Path) -> None:
    write_models(tmp_path)
    app = ExplorerApp(str(tmp_path))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        driver = Driver(app, pilot)
        session = app.session
        await driver.until(lambda: session.listing is not None and not session.listing.searching)
        rows = [row for row in range(len(session.outline)) if isinstance(session.subject_at(row), FoundSubject)]
        assert len(rows) == MODELS
        left: list[weakref.ref[Any]] = []
        widgets = threads = 0
        for number, row in enumerate(rows):
            driver.tree.focus()
            driver.tree._move(row)
            await driver.press("enter")
            await driver.until(lambda: session.entered is not None and driver.title and not session.status)
            assert bool(open_under(tmp_path)) == bool(number % 2)  # shards stay open, a SavedModel's graph is read
            left += await look_around(driver)
            app.action_leave_model()
            await driver.until(lambda: session.in_list)
            if number == 0:
                widgets, threads = count_widgets(app), threading.active_count()
        assert session.lists is None

        def is_gone() -> bool:
            gc.collect()
            return all(one() is None for one in left)

        # The details of the last model go with the first of the list.
        await driver.press("home")
        await driver.until(lambda: driver.title is not None)
        await driver.until(is_gone)
        assert open_under(tmp_path) == []
        assert count_widgets(app) == widgets
        assert threading.active_count() <= threads + 1
