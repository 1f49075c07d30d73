"""The prompt that goes to a thing by its name, the hits of the last search, and the cursor that follows."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input

from core.saved_model_writer import function, identity, meta_graph, placeholder, write_saved_model
from formats.table_writer import write_bundle
from tfexplore.core import jump as core_jump
from tfexplore.core import text
from tfexplore.core.subjects import ArgumentSubject, KeySubject, NodeSubject, VariableSubject
from tfexplore.formats.table import check_cancel
from tfexplore.loader import Loader
from tfexplore.tui.screens.jump import CandidateList, JumpScreen
from tfexplore.tui.screens.search import SearchScreen
from tfexplore.tui.session import Session
from tfexplore.tui.topics import Tab
from tui.driving import RANKER, TRAINING, Driver, explorer, pane_lines
from tui.hostile import NAMES, write_hostile_model

SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["wide", "narrow"])


async def prompt(driver: Driver) -> JumpScreen:
    await driver.press("colon")
    await driver.until(lambda: isinstance(driver.app.screen, JumpScreen) and not driver.app.screen.jumping.reading)
    screen = driver.app.screen
    assert isinstance(screen, JumpScreen)
    return screen


async def typed(driver: Driver, name: str) -> JumpScreen:
    """Opens the prompt where it is not, puts a name in, and waits for the ways to go on."""
    screen = driver.app.screen if isinstance(driver.app.screen, JumpScreen) else await prompt(driver)
    assert isinstance(screen, JumpScreen)
    screen.query_one(Input).value = name
    await driver.until(lambda: screen.jumping.shown == name and not screen.jumping.reading)
    await driver.pilot.pause()
    return screen


async def gone(driver: Driver, title: str) -> None:
    """Waits until something is shown, and the left cursor has followed."""
    await driver.until(lambda: not isinstance(driver.app.screen, JumpScreen))
    await driver.until(lambda: driver.title == title)
    await driver.until(lambda: driver.session.loader.tasks.running == 0)
    await driver.pilot.pause()


def model(folder: Path) -> Path:
    inner = function(b"inner", [b"p"], {b"out": b"s/r:output:0"}, [identity(b"s/r", b"p"), identity(b"s/q", b"p")])
    nodes = [
        placeholder(b"a/x", [2]),
        identity(b"a/b/y", b"a/x"),
        identity(b"a/b/z", b"a/x"),
        identity(b"last", b"a/x"),
    ]
    nodes += [identity(b"many/n%d" % number, b"a/x") for number in range(600)]
    return write_saved_model(folder / "m", meta_graph(nodes=nodes, functions=[inner]))


@SIZES
async def test_a_name_leads_to_the_details_and_the_tree_follows(tmp_path: Path, size: tuple[int, int]) -> None:
    async with explorer(model(tmp_path), size) as driver:
        screen = await typed(driver, "a/b/y:0")
        assert [candidate.kind for candidate in screen.jumping.candidates] == ["tensor"]
        await driver.press("enter")
        await gone(driver, "a/b/y")
        assert driver.detail.has_focus
        shown = driver.session.shown
        assert shown is not None
        assert isinstance(shown.subject, NodeSubject)
        assert driver.session.subject_at(driver.session.cursor) == shown.subject
        assert driver.node("Graph").expanded
        assert driver.node("b").expanded
        top = driver.tree.scroll_offset.y
        assert top <= driver.session.cursor < top + driver.tree.scrollable_content_region.height
        await driver.press("backspace")  # back to what was shown before
        await driver.until(lambda: driver.title == "m")


async def test_a_row_of_another_page_is_found(tmp_path: Path) -> None:
    async with explorer(model(tmp_path)) as driver:
        for name in ("many/n599", "many/n7"):
            await typed(driver, name)
            await driver.press("enter")
            await gone(driver, name)
            row = driver.session.row_at_cursor()
            assert row is not None
            assert row.node is not None
            assert row.node.item is not None
            assert row.node.item.label == name.rpartition("/")[2]
            assert name.rpartition("/")[2] in driver.text


async def test_completion_and_choice() -> None:
    async with explorer() as driver:
        screen = await typed(driver, "dense_1/ker")
        kinds = [candidate.kind for candidate in screen.jumping.candidates]
        assert kinds
        await driver.press("tab")
        await driver.until(lambda: screen.query_one(Input).value.startswith("dense_1/kernel"))
        screen = await typed(driver, "de")
        field = screen.query_one(Input)
        await driver.press("down", "down", "up")
        assert screen.jumping.cursor == 0
        assert screen.query_one(CandidateList).cursor_line == 0
        await driver.press("up", "up")
        assert screen.jumping.cursor == -1
        await driver.press("pagedown")
        assert screen.jumping.cursor == min(8, len(screen.jumping.candidates) - 1)
        await driver.press("pageup")
        assert screen.jumping.cursor == -1
        scope = next(n for n, candidate in enumerate(screen.jumping.candidates) if candidate.kind == "scope")
        screen.jumping.move(scope + 1)
        name = screen.jumping.candidates[scope].name
        await driver.press("enter")  # a scope is gone into
        await driver.until(lambda: field.value == name)
        assert driver.app.screen is screen


async def test_a_candidate_of_a_kind_is_gone_to() -> None:
    async with explorer() as driver:
        screen = await typed(driver, "dense_1/kernel")
        kinds = [candidate.kind for candidate in screen.jumping.candidates]
        assert "variable" in kinds
        await driver.press(*["down"] * (kinds.index("variable") + 1), "enter")
        await gone(driver, "dense_1/kernel")
        shown = driver.session.shown
        assert shown is not None
        assert isinstance(shown.subject, VariableSubject)
        assert driver.session.subject_at(driver.session.cursor) == shown.subject


async def test_what_is_called_by_no_name_says_so_and_stays() -> None:
    async with explorer() as driver:
        before = driver.title
        screen = await typed(driver, "dense_1/kernle")
        await driver.press("enter")
        await driver.until(lambda: screen.jumping.problem)
        await driver.until(lambda: "nothing is called dense_1/kernle; the nearest is dense_1/kernel" in driver.text)
        assert driver.app.screen is screen
        await typed(driver, "dense_1/kernl")  # typing on takes the sentence away
        assert "nothing is called" not in driver.text
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, JumpScreen))
        assert driver.title == before
        assert driver.tree.has_focus


async def test_a_node_of_a_function_is_shown_in_its_own_graph(tmp_path: Path) -> None:
    async with explorer(model(tmp_path)) as driver:
        await typed(driver, "s/q")
        await driver.press("enter")
        await gone(driver, "s/q")
        assert driver.session.function_path == ["inner"]
        assert driver.labels() == ["inner", "p", "out", "Nodes", "s", "q", "r"]
        row = driver.session.row_at_cursor()
        assert row is not None
        assert driver.session.subject_at(driver.session.cursor) == driver.session.shown.subject  # type: ignore[union-attr]
        await typed(driver, "p")  # the function's own names come first
        await driver.press("enter")
        await gone(driver, "p")
        assert isinstance(driver.session.subject_at(driver.session.cursor), ArgumentSubject)
        await typed(driver, "last")  # in the main graph: the function is left
        await driver.press("enter")
        await gone(driver, "last")
        assert driver.session.function_path == []
        assert driver.session.subject_at(driver.session.cursor) == driver.session.shown.subject  # type: ignore[union-attr]


async def test_in_the_lists_their_cursor_follows(tmp_path: Path) -> None:
    async with explorer(model(tmp_path)) as driver:
        await driver.press("t")
        await driver.until(lambda: driver.session.lists is not None and driver.session.lists.subject is not None)
        await driver.press("right")
        found = driver.session.lists
        assert found is not None
        await driver.until(lambda: found.name == "ops" and found.subject is not None)
        await typed(driver, "many/n599")
        await driver.press("enter")
        await gone(driver, "many/n599")
        assert driver.session.lists is found
        assert found.name == "nodes"
        await driver.until(lambda: found.subject == driver.session.shown.subject)  # type: ignore[union-attr]
        assert driver.title == "many/n599"
        assert len(driver.session.trail) == 1
        await driver.press("backspace")  # the way back is still there
        await driver.until(lambda: driver.title != "many/n599")


async def test_from_another_tab_it_leads_to_the_explorer() -> None:
    async with explorer() as driver:
        await driver.press("5")
        await driver.until(lambda: driver.session.tab is Tab.SAFETY)
        await typed(driver, "dense_1/kernel")
        await driver.press("enter")
        await driver.until(lambda: driver.session.tab is Tab.EXPLORE)
        await gone(driver, "dense_1/kernel")
        assert driver.detail.has_focus


async def test_the_line_of_an_output_gets_the_cursor(tmp_path: Path) -> None:
    from core.saved_model_writer import attr, node

    nodes = [placeholder(b"x", [6]), node(b"split", b"Split", [b"x", b"x"], T=attr(type=1), num_split=attr(i=3))]
    async with explorer(write_saved_model(tmp_path / "m", meta_graph(nodes=nodes))) as driver:
        await typed(driver, "split:2")
        await driver.press("enter")
        await gone(driver, "split")
        await driver.until(lambda: driver.detail.cursor_line > 0)
        drawn = driver.detail._drawn[driver.detail.cursor_line]
        assert drawn.label.strip() == "split:2"


async def test_there_is_no_prompt_for_a_list_of_models(tmp_path: Path) -> None:
    for name in ("a", "b"):
        model(tmp_path / name)
    async with explorer(tmp_path) as driver:
        await driver.until(lambda: driver.session.in_list)
        await driver.press("colon", "n")
        assert not isinstance(driver.app.screen, JumpScreen)


@SIZES
async def test_hostile_names_in_the_prompt(tmp_path: Path, size: tuple[int, int]) -> None:
    async with explorer(write_hostile_model(tmp_path / "m"), size) as driver:
        screen = await prompt(driver)
        names = [candidate.name for candidate in screen.jumping.candidates]
        assert text.decode(NAMES[0]) in names
        for number, name in enumerate(names):
            screen.jumping.move(number - screen.jumping.cursor)
            await driver.pilot.pause()
            assert all(line.isprintable() for line in driver.lines)
            listed = screen.query_one(CandidateList)
            for y in range(listed.scrollable_content_region.height):
                strip = listed.render_line(y)
                assert strip.text.isprintable()
                assert strip.cell_length == listed.scrollable_content_region.width
            if len(name) < 20:
                assert any(text.label(name) in line for line in pane_lines(listed))
        for name in (text.decode(NAMES[0]), "[/]", "[None]", text.decode(b"not-utf8-\xff\xfe\xc0\x80")):
            screen = await typed(driver, text.visible(name))
            assert name in [candidate.name for candidate in screen.jumping.candidates]
            await driver.press("tab")
            assert text.stored(screen.query_one(Input).value).startswith(name)
            await typed(driver, text.visible(name))
            await driver.press("enter")
            await gone(driver, text.visible(name))
            assert all(line.isprintable() for line in driver.lines)
        screen = await prompt(driver)
        screen.query_one(Input).value = "evil\x1b]0;x\x07"  # pasted
        await driver.until(lambda: screen.query_one(Input).value == r"evil\x1b]0;x\x07")
        await driver.press("enter")
        await driver.until(lambda: r"nothing is called evil\x1b]0;x\x07" in driver.text)
        assert all(line.isprintable() for line in driver.lines)


async def test_reading_names_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    original = core_jump.Jump

    def held(*arguments: Any, **options: Any) -> Any:
        cancel = arguments[2]
        while not go_on.wait(0.002):
            check_cancel(cancel)
        return original(*arguments, **options)

    monkeypatch.setattr(core_jump, "Jump", held)
    async with explorer() as driver:
        await driver.press("colon", "d")
        await driver.until(lambda: isinstance(driver.app.screen, JumpScreen))
        screen: Any = driver.app.screen
        await driver.until(lambda: screen.jumping.shown == "d")
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, JumpScreen))
        assert screen.jumping.candidates == []
        go_on.set()


# n and N


async def searched(driver: Driver, query: str) -> None:
    await driver.press("slash")
    await driver.until(lambda: isinstance(driver.app.screen, SearchScreen))
    await driver.press(*query)
    screen: Any = driver.app.screen
    await driver.until(lambda: screen.finding.query == query and not screen.finding.running)


async def test_n_goes_through_the_hits_of_the_last_search() -> None:
    async with explorer() as driver:
        await driver.press("n")
        await driver.until(lambda: "Nothing has been searched for" in driver.text)
        await searched(driver, "kernel")
        finding = driver.session.last_finding
        assert finding is not None
        names = [hit.name for hit in finding.hits]
        assert len(names) > 3
        await driver.press("enter")
        await driver.until(lambda: not isinstance(driver.app.screen, SearchScreen))
        await driver.until(lambda: driver.title == names[0])
        for key, number in (("n", 1), ("n", 2), ("N", 1), ("N", 0), ("N", len(names) - 1), ("n", 0)):
            await driver.press(key)
            await driver.until(lambda: finding.cursor == number)  # noqa: B023
            await driver.until(lambda: f"{number + 1} of {len(names)}: kernel" in driver.text)  # noqa: B023
            await driver.until(lambda: driver.title == names[number])  # noqa: B023
        await driver.until(lambda: driver.session.loader.tasks.running == 0)


async def test_a_hit_that_was_only_looked_at_is_the_next() -> None:
    async with explorer() as driver:
        await searched(driver, "kernel")
        await driver.press("down", "escape")
        await driver.until(lambda: not isinstance(driver.app.screen, SearchScreen))
        finding = driver.session.last_finding
        assert finding is not None
        await driver.press("n")
        await driver.until(lambda: driver.title == finding.hits[1].name)
        assert finding.cursor == 1
        assert driver.tree.has_focus  # where one was
        await driver.press("slash")
        await driver.until(lambda: isinstance(driver.app.screen, SearchScreen))
        await driver.press(*["backspace"] * 6, "q", "q", "q", "q")
        screen: Any = driver.app.screen
        await driver.until(lambda: screen.finding.query == "qqqq" and not screen.finding.running)
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, SearchScreen))
        await driver.press("n")
        await driver.until(lambda: "The search found nothing" in driver.text)


# the session without widgets


async def test_the_session_reveals_what_is_in_the_tree() -> None:
    session = Session(str(RANKER), Loader(), lambda topic: None)
    try:
        await session.open()
        assert session.model is not None
        owner = session.model.meta_graphs[0]
        checkpoint = session.model.checkpoint
        assert checkpoint is not None
        jump = core_jump.Jump(session.model)
        names = [
            owner.variables[-1].name,
            owner.graph.names[-1],
            owner.functions.names[-1],
            owner.signatures[0].name,
        ]
        for name in names:
            subject = jump.find(name).subject
            assert await session.reveal(subject)
            assert session.subject_at(session.cursor) == subject
        key = jump.find(checkpoint.keys[-1], "key").subject
        assert await session.reveal(key)
        assert isinstance(session.subject_at(session.cursor), KeySubject)
        before = session.cursor
        assert not await session.reveal(session.subject_at(0))  # type: ignore[arg-type]
        assert session.cursor == before
    finally:
        session.close()


async def test_keys_of_another_checkpoint_are_not_revealed(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", {b"a": np.ones(1)})
    one, other = (Session(str(path), Loader(), lambda topic: None) for path in (TRAINING, tmp_path / "c.index"))
    try:
        await one.open()
        await other.open()
        assert other.model is not None
        subject = core_jump.Jump(other.model).find("a").subject
        assert not await one.reveal(subject)
        assert await other.reveal(subject)
    finally:
        one.close()
        other.close()
