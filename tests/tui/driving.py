"""Drives the explorer in tests: waits for conditions, and reads what stands on the screen."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from tfexplore.demo import FOLDER
from tfexplore.loader.run_options import RunOptions
from tfexplore.tui.app import ExplorerApp
from tfexplore.tui.outline import Node
from tfexplore.tui.widgets.detail_pane import DetailPane
from tfexplore.tui.widgets.line_view import LineView
from tfexplore.tui.widgets.model_tree import ModelTree

RANKER = FOLDER / "ranker"
TRAINING = FOLDER / "training"
DEADLINE = 20.0
# What the tests have had done: the class that an action was done by, its name, its parameters.
DONE: set[tuple[type[Any], str, tuple[Any, ...]]] = set()


async def until(pilot: Pilot[Any], happened: Callable[[], Any]) -> Any:
    """Lets the application work until a condition holds."""
    deadline = time.monotonic() + DEADLINE
    while not (result := happened()):
        assert time.monotonic() < deadline, "\n".join(screen_lines(pilot.app))
        await pilot.pause(0.005)
    return result


def screen_lines(app: Any) -> list[str]:
    """The text on the screen, line by line, without colours."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def screen_text(app: Any) -> str:
    return "\n".join(screen_lines(app))


def pane_lines(pane: LineView) -> list[str]:
    """What a pane draws of its own, without its border."""
    return [pane.render_line(y).text.rstrip() for y in range(pane.scrollable_content_region.height)]


class Driver:
    """One application under a pilot."""

    def __init__(self, app: ExplorerApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot
        self.session = app.session

    @property
    def tree(self) -> ModelTree:
        return self.app.screen_stack[0].query_one(ModelTree)

    @property
    def detail(self) -> DetailPane:
        return self.app.screen_stack[0].query_one(DetailPane)

    @property
    def lines(self) -> list[str]:
        return screen_lines(self.app)

    @property
    def text(self) -> str:
        return screen_text(self.app)

    @property
    def title(self) -> str | None:
        """The title of the detail that is shown, once it is read."""
        shown = self.session.shown
        return shown.detail.title if shown is not None and shown.detail is not None else None

    async def until(self, happened: Callable[[], Any]) -> Any:
        return await until(self.pilot, happened)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    def labels(self) -> list[str]:
        """The labels of every row of the tree."""
        return [row.node.item.label for row in self.rows() if row.node is not None and row.node.item is not None]

    def rows(self) -> list[Any]:
        return list(self.session.outline.rows(0, len(self.session.outline)))

    def node(self, label: str) -> Node:
        """The first row with a label."""
        for row in self.rows():
            if row.node is not None and row.node.item.label == label:
                return row.node
        raise AssertionError(f"no row {label!r} in {self.labels()}")

    async def go_to(self, label: str) -> Node:
        """Moves the tree's cursor to a row, and waits for its detail."""
        node = self.node(label)
        number = self.session.outline.number(node)
        assert number is not None
        self.tree._move(number)
        assert self.session.cursor == number
        await self.settled()
        return node

    async def settled(self) -> None:
        """Waits until the detail of the row under the cursor is shown."""

        def shown() -> bool:
            now = self.session.shown
            at = self.session.subject_at(self.session.cursor)
            if now is None or now.detail is None or now.subject is not at:
                return False
            return self.detail._drawn_of[0] is now.detail

        await self.until(shown)

    async def expand(self, label: str) -> Node:
        node = await self.go_to(label)
        if not node.expanded:
            await self.press("enter")
            await self.until(lambda: node.expanded)
        return node

    async def detail_cursor_on_link(self) -> Any:
        """Moves the detail pane's cursor to the first line that leads somewhere; its subject."""
        assert self.detail.has_focus
        line = next(
            number
            for number, drawn in enumerate(self.detail._drawn)
            if drawn.line is not None and drawn.line.subject is not None
        )
        self.detail._move(line)
        assert self.detail.cursor_line == line
        found = self.detail._drawn[line].line
        assert found is not None
        return found.subject


@asynccontextmanager
async def explorer(
    path: str | Path = RANKER, size: tuple[int, int] = (120, 40), options: RunOptions | None = None
) -> AsyncIterator[Driver]:
    """The explorer on a path, opened and drawn."""
    app = ExplorerApp(str(path), options=options)
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: app.session.model is not None and driver.title is not None)
        await driver.until(lambda: app.session.loader.tasks.running == 0 and not app.session.status)
        await pilot.pause()
        yield driver


def open_under(folder: str | Path) -> list[str]:
    """The files below a folder that this process has open."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if path.startswith(str(folder)):
            found.append(path)
    return sorted(found)
