"""Search as one types: results, moving while typing, going there and back, queries that are none, hostile names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.saved_model_writer import identity, meta_graph, placeholder, write_saved_model
from tfexplore.core.subjects import NodeSubject, VariableSubject
from tfexplore.tui.screens.search import HitList, SearchScreen
from tfexplore.tui.topics import Tab
from tui.driving import Driver, explorer


def names(driver: Driver) -> list[str]:
    screen = driver.app.screen
    assert isinstance(screen, SearchScreen)
    return [hit.name for hit in screen.finding.hits]


async def typed(driver: Driver, query: str) -> None:
    """Opens the search, types, and waits for the end of the search."""
    if not isinstance(driver.app.screen, SearchScreen):
        await driver.press("slash")
        await driver.until(lambda: isinstance(driver.app.screen, SearchScreen))
    await driver.press(*("space" if letter == " " else letter for letter in query))
    screen: Any = driver.app.screen
    await driver.until(lambda: screen.finding.query.endswith(query) and not screen.finding.running)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_name_is_found_and_shown(size: tuple[int, int]) -> None:
    async with explorer(size=size) as driver:
        await typed(driver, "dense_1 kernel")
        assert names(driver)
        assert all("dense_1" in name.lower() and "kernel" in name.lower() for name in names(driver))
        screen: Any = driver.app.screen
        kinds = [hit.kind for hit in screen.finding.hits]
        await driver.press(*["down"] * kinds.index("variable"), "enter")
        await driver.until(lambda: not isinstance(driver.app.screen, SearchScreen))
        await driver.until(lambda: driver.title is not None and "dense_1" in driver.title)
        assert driver.session.shown is not None
        assert isinstance(driver.session.shown.subject, VariableSubject)
        assert driver.detail.has_focus
        await driver.press("backspace")  # back to what was shown before
        await driver.until(lambda: driver.title == "ranker")


async def test_the_cursor_moves_while_the_typing_has_the_focus() -> None:
    async with explorer() as driver:
        await typed(driver, "op:MatMul")
        assert len(names(driver)) > 1
        await driver.press("down")
        screen: Any = driver.app.screen
        assert screen.finding.cursor == 1
        chosen = screen.finding.hits[1].name
        await driver.press("enter")
        await driver.until(lambda: not isinstance(driver.app.screen, SearchScreen))
        await driver.until(lambda: driver.title == chosen)
        assert driver.session.shown is not None
        assert isinstance(driver.session.shown.subject, NodeSubject)


async def test_escape_leaves_everything_as_it_was_and_the_search_is_kept() -> None:
    async with explorer() as driver:
        before = driver.title
        await typed(driver, "gid")
        found = names(driver)
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, SearchScreen))
        assert driver.title == before
        await driver.press("slash")
        await driver.until(lambda: isinstance(driver.app.screen, SearchScreen))
        assert names(driver) == found


async def test_what_is_no_query_says_why() -> None:
    async with explorer() as driver:
        await typed(driver, "/(/")
        screen: Any = driver.app.screen
        assert screen.finding.problem
        assert names(driver) == []
        await driver.press("enter")  # nothing to go to
        assert isinstance(driver.app.screen, SearchScreen)


async def test_hostile_names_are_visible(tmp_path: Path) -> None:
    name = b"evil\x1b[31m[/]\n"
    model = write_saved_model(tmp_path / "m", meta_graph(nodes=[placeholder(b"x"), identity(name, b"x")]))
    async with explorer(model) as driver:
        await typed(driver, "evil")
        hits = driver.app.screen.query_one(HitList)
        line = hits.render_line(0).text
        assert "evil\\x1b[31m[/]\\n" in line
        assert line.isprintable()


async def test_from_another_tab_it_leads_to_the_details() -> None:
    async with explorer() as driver:
        await driver.press("2")
        await driver.until(lambda: driver.session.tab is Tab.PREDICT)
        await typed(driver, "embedding_brand")
        await driver.press("enter")
        await driver.until(lambda: driver.session.tab is Tab.EXPLORE)
        await driver.until(lambda: driver.title is not None and "embedding_brand" in driver.title)
