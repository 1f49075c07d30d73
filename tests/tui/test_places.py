"""Functions that are entered: the path, the way back, and what the tree shows on each step."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from core.saved_model_writer import function, identity, meta_graph, placeholder, write_saved_model
from tfexplore.core.jump import Jump
from tfexplore.core.subjects import FoundSubject, FunctionSubject, SectionSubject
from tfexplore.errors import ModelError
from tfexplore.loader import Loader
from tfexplore.tui import places
from tfexplore.tui.screens.jump import JumpScreen
from tfexplore.tui.session import Session
from tui.driving import explorer


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Session]:
    session = Session(str(path), Loader(), lambda topic: None)
    try:
        await session.open()
        yield session
    finally:
        session.close()


def model(folder: Path) -> Path:
    bodies = [function(name, [b"a"], {b"r": b"y:output:0"}, [identity(b"y", b"a")]) for name in (b"outer", b"inner")]
    return write_saved_model(
        folder / "m", meta_graph(nodes=[placeholder(b"x"), identity(b"y", b"x")], functions=bodies)
    )


def labels(session: Session) -> list[str]:
    rows = session.outline.rows(0, len(session.outline))
    return [row.node.item.label for row in rows if row.node is not None and row.node.item is not None]


async def test_a_function_is_entered_and_left(tmp_path: Path) -> None:
    async with opened(model(tmp_path)) as session:
        assert session.model is not None
        owner = session.model.meta_graphs[0]
        session.move_to(2)
        before = labels(session)
        assert session.function_path == []
        assert await session.enter_function(owner, "outer")
        assert session.function_path == ["outer"]
        assert session.inside == (owner, "outer")
        assert labels(session) == ["outer", "a", "r", "Nodes", "y"]
        assert session.subject_at(session.cursor) == FunctionSubject(owner, "outer")
        session.move_to(3)
        assert not await session.enter_function(owner, "outer")  # it is shown already
        assert await session.enter_function(owner, "inner")
        assert session.function_path == ["outer", "inner"]
        assert session.leave_function()
        assert session.function_path == ["outer"]
        assert session.cursor == 3
        assert session.leave_function()
        assert labels(session) == before
        assert session.cursor == 2
        assert not session.leave_function()


async def test_what_is_no_function_says_so_and_changes_nothing(tmp_path: Path) -> None:
    async with opened(model(tmp_path)) as session:
        assert session.model is not None
        before = labels(session)
        with pytest.raises(ModelError, match="there is no function nothing"):
            await session.enter_function(session.model.meta_graphs[0], "nothing")
        assert labels(session) == before
        assert session.function_path == []
        assert session.status == ""


async def test_the_path_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_DEPTH", 2)
    async with opened(model(tmp_path)) as session:
        assert session.model is not None
        owner = session.model.meta_graphs[0]
        await session.enter_function(owner, "outer")
        await session.enter_function(owner, "inner")
        with pytest.raises(ModelError, match="after 2 steps"):
            await session.enter_function(owner, "outer")


async def test_the_left_keeps_to_the_graph_of_what_is_shown(tmp_path: Path) -> None:
    async with opened(model(tmp_path)) as session:
        assert session.model is not None
        owner = session.model.meta_graphs[0]
        graphs = {name: Jump(session.model, (owner, name)).find("y").subject for name in ("outer", "inner")}
        main = Jump(session.model).find("y").subject
        assert not await session.accompany(main)
        assert await session.accompany(FunctionSubject(owner, "outer"))
        assert not await session.accompany(graphs["outer"])
        assert await session.accompany(graphs["inner"])
        assert session.function_path == ["outer", "inner"]
        assert not await session.accompany(SectionSubject("Graph", ""))
        assert await session.accompany(graphs["outer"])  # out again, not into it once more
        assert session.function_path == ["outer"]
        assert await session.accompany(graphs["inner"])
        assert await session.accompany(main)
        assert session.function_path == []


async def test_a_line_that_leads_to_a_function_enters_it_and_the_way_back_leaves_it() -> None:
    async with explorer() as driver:
        await driver.press("colon")
        await driver.until(lambda: isinstance(driver.app.screen, JumpScreen))
        driver.app.screen.query_one(Input).value = "StatefulPartitionedCall"
        await driver.press("enter")
        await driver.until(lambda: driver.title == "StatefulPartitionedCall" and driver.detail.has_focus)
        await driver.until(lambda: driver.session.loader.tasks.running == 0)
        for number, drawn in enumerate(driver.detail._drawn):
            if drawn.line is not None and isinstance(drawn.line.subject, FunctionSubject):
                driver.detail._move(number)
                name = drawn.line.subject.name
                break
        await driver.press("enter")
        await driver.until(lambda: driver.session.function_path == [name])
        assert driver.detail.has_focus
        assert driver.labels()[0] == driver.title == name
        await driver.press("backspace")
        await driver.until(lambda: driver.title == "StatefulPartitionedCall")
        await driver.until(lambda: driver.session.function_path == [])
        assert driver.session.subject_at(driver.session.cursor) == driver.session.shown.subject  # type: ignore[union-attr]


async def test_nothing_is_left_of_a_model_whose_lists_and_functions_were_looked_at(tmp_path: Path) -> None:
    for name in ("a", "b"):
        model(tmp_path / name)
    session = Session(str(tmp_path), Loader(), lambda topic: None)
    left: list[weakref.ref[Any]] = []
    gc.disable()  # what is left to Python's own collector may stay for long
    try:
        await session.open()
        for _ in range(3):
            row = next(row for row in range(len(session.outline)) if isinstance(session.subject_at(row), FoundSubject))
            chosen = session.subject_at(row)
            assert isinstance(chosen, FoundSubject)
            await session.enter(chosen)
            assert session.model is not None
            owner = session.model.meta_graphs[0]
            left += [weakref.ref(session.model), weakref.ref(owner), weakref.ref(owner.graph)]
            await session.show_lists()
            assert session.lists is not None
            for name in session.lists.names:
                await session.lists.show(name)
                await session.lists.read_rows(0, 10)
            await session.enter_function(owner, "outer")
            await session.enter_function(owner, "inner")
            jumping = session.jumping()
            assert jumping is not None
            await jumping.type("y")
            target = await jumping.take("y")
            assert target is not None
            assert await session.reveal(target.subject)
            left.append(weakref.ref(session.lists))
            session.leave()
            assert session.lists is None
            assert session.function_path == []
            del chosen, owner, jumping, target
        deadline = time.monotonic() + 20
        while any(one() is not None for one in left):
            assert time.monotonic() < deadline, [one() for one in left]
            await asyncio.sleep(0.002)
    finally:
        gc.enable()
        session.close()
