"""Walking by keyboard: blocks, history, marks, paths, the picture, inferred shapes; each key acts."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.saved_model_writer import attr, meta_graph, node, placeholder, tensor, write_saved_model
from tfexplore.core.subjects import ArgumentSubject, KeySubject, NodeSubject, PathSubject, VariableSubject
from tfexplore.loader.run_options import RunOptions
from tfexplore.tui.around import CENTRE, CONSUMERS, PRODUCERS
from tfexplore.tui.history import MAX_ENTRIES
from tfexplore.tui.screens.help import HelpScreen
from tfexplore.tui.screens.marks import MarkList, MarksScreen
from tfexplore.tui.screens.neighbourhood import NeighbourhoodScreen, PictureView
from tfexplore.tui.screens.trust import TrustScreen
from tui.driving import Driver, explorer
from tui.predicting import STAND_INS, stand_ins
from tui.walking import line_at_cursor, node_in, show, shown, write_walk

SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["wide", "narrow"])


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    return write_walk(tmp_path / "walk")


def toasts(driver: Driver) -> list[str]:
    return [note.message for note in driver.app._notifications]


def picture(driver: Driver) -> PictureView:
    return driver.app.screen.query_one(PictureView)


# Blocks of the details


@SIZES
async def test_to_the_inputs_and_the_outputs(walk: Path, size: tuple[int, int]) -> None:
    async with explorer(walk, size) as driver:
        await show(driver, "pair")
        await driver.press("i")
        await driver.until(lambda: line_at_cursor(driver).startswith("0"))
        assert "z" in line_at_cursor(driver)
        await driver.press("o")
        await driver.until(lambda: line_at_cursor(driver).startswith("pair:0"))
        await driver.press("down", "enter")
        await shown(driver, "pair:1")
        await driver.press("o", "enter")
        await shown(driver, "second")


async def test_from_the_tree_too(walk: Path) -> None:
    async with explorer(walk) as driver:
        await driver.expand("Graph")
        driver.tree.focus()
        await driver.go_to("z")
        await driver.press("i")
        await driver.until(lambda: driver.detail.has_focus)
        assert line_at_cursor(driver).startswith("0")
        assert "y" in line_at_cursor(driver)
        driver.tree.focus()
        await driver.press("o")
        await driver.until(lambda: driver.detail.has_focus and "use000" in line_at_cursor(driver))


async def test_from_the_tree_before_its_details_were_read(walk: Path) -> None:
    async with explorer(walk) as driver:
        await driver.expand("Graph")
        driver.tree.focus()
        number = driver.session.outline.number(driver.node("second"))
        assert number is not None
        driver.tree._move(number)
        await driver.press("i")
        await driver.until(lambda: driver.title == "second" and driver.detail.has_focus)
        await driver.until(lambda: "pair:1" in line_at_cursor(driver))


async def test_where_nothing_goes_in_it_says_so(walk: Path) -> None:
    async with explorer(walk) as driver:
        await show(driver, "x")
        await driver.press("i")
        await driver.until(lambda: "Nothing goes in here." in toasts(driver))


async def test_from_block_to_block(walk: Path) -> None:
    async with explorer(walk) as driver:
        await show(driver, "pair")
        seen = []
        for _ in range(3):
            await driver.press("right_curly_bracket")
            seen.append(driver.detail._drawn[driver.detail.cursor_line - 1].title)
        assert seen == ["outputs", "inputs", "used by"]
        await driver.press("left_curly_bracket", "left_curly_bracket")
        assert driver.detail._drawn[driver.detail.cursor_line - 1].title == "outputs"
        await driver.press("left_curly_bracket")
        assert driver.detail.cursor_line == 0


async def test_what_was_cut_is_one_line_away(tmp_path: Path) -> None:
    async with explorer(write_walk(tmp_path / "many", 250)) as driver:
        await show(driver, "z")
        await driver.press("o")
        await driver.until(lambda: "use000" in line_at_cursor(driver))
        line = next(at for at, drawn in enumerate(driver.detail._drawn) if "more" in drawn.value)
        driver.detail._move(line)
        await driver.press("enter")
        await driver.until(lambda: driver.title is not None and driver.title.startswith("z: used by from 201"))
        assert "use249" in "\n".join(drawn.value for drawn in driver.detail._drawn)


# The walk itself


@SIZES
async def test_from_a_loop_to_its_kernel_and_on_to_the_key(walk: Path, size: tuple[int, int]) -> None:
    async with explorer(walk, size) as driver:
        await show(driver, "loop", "called")
        await driver.press("i", "down")
        await driver.until(lambda: line_at_cursor(driver).startswith("1"))
        assert "dense/kernel" in line_at_cursor(driver)
        await driver.press("enter")
        await shown(driver, "kernel")
        assert driver.session.shown is not None
        assert isinstance(driver.session.shown.subject, ArgumentSubject)
        await driver.press("backspace")
        await shown(driver, "loop")
        # Into the body, to the product, to its argument, and from there back to the input of the loop.
        await go_to_line(driver, "body")
        await shown(driver, "body")
        await go_to_line(driver, "k ", "dense/kernel")
        await shown(driver, "k")
        await go_to_line(driver, "product  MatMul")
        await shown(driver, "product")
        await go_to_line(driver, "k  float32")
        await shown(driver, "k")
        await driver.press("i")
        await driver.until(lambda: "input 1 of" in line_at_cursor(driver))
        await driver.press("down", "enter")
        await shown(driver, "kernel")
        await go_to_line(driver, "dense/kernel  float32 [3, 3]")
        await shown(driver, "dense/kernel")
        assert isinstance(driver.session.shown.subject, VariableSubject)
        assert len(driver.session.trail) >= 7
        for _ in range(len(driver.session.trail)):
            await driver.press("u")
        await driver.until(lambda: not driver.session.trail)


async def go_to_line(driver: Driver, *words: str) -> None:
    """Follows the first line that holds all of these words."""
    line = next(
        at
        for at, drawn in enumerate(driver.detail._drawn)
        if drawn.line is not None
        and drawn.line.subject is not None
        and all(word in f"{drawn.label} {drawn.value}" for word in words)
    )
    driver.detail._move(line)
    await driver.press("enter")


async def test_a_signature_leads_straight_to_its_node(walk: Path) -> None:
    async with explorer(walk) as driver:
        await driver.go_to("out")
        driver.detail.focus()
        await go_to_line(driver, "made by", "loop")
        await shown(driver, "loop")
        assert driver.session.shown is not None
        assert driver.session.shown.subject == node_in(driver, "loop", "called")


# History


async def test_back_and_forward_in_what_was_shown(walk: Path) -> None:
    async with explorer(walk) as driver:
        for name in ("x", "y", "z"):
            await show(driver, name)
        await driver.press("i")
        await driver.until(lambda: line_at_cursor(driver).startswith("0"))
        line = driver.detail.cursor_line
        await driver.press("left_square_bracket")
        await shown(driver, "y")
        await driver.press("left_square_bracket")
        await shown(driver, "x")
        await driver.press("right_square_bracket", "right_square_bracket")
        await shown(driver, "z")
        assert driver.detail.cursor_line == line
        await driver.press("right_square_bracket")
        await driver.until(lambda: "Nothing was shown after this." in toasts(driver))
        # Backspace is a way back as well, from which one goes forward again.
        await driver.press("backspace")
        await shown(driver, "y")
        await driver.press("right_square_bracket")
        await shown(driver, "z")
        await driver.press("left_square_bracket")
        await shown(driver, "y")
        await show(driver, "pair")  # ends the way forward
        await driver.press("right_square_bracket")
        assert driver.title == "pair"
        await driver.press("left_square_bracket")
        await shown(driver, "y")


async def test_the_trail_comes_back_with_the_history(walk: Path) -> None:
    async with explorer(walk) as driver:
        for name in ("x", "y", "z"):
            await show(driver, name)
        await driver.press("left_square_bracket")
        await shown(driver, "y")
        await driver.press("backspace")
        await shown(driver, "x")


async def test_rows_of_the_tree_are_in_the_history_from_both_panes(walk: Path) -> None:
    async with explorer(walk) as driver:
        await driver.go_to("in")
        await driver.go_to("Variables")
        assert driver.tree.has_focus
        await driver.press("left_square_bracket")
        await shown(driver, "in")
        assert driver.tree.has_focus
        for _ in range(20):
            await driver.press("left_square_bracket")
        await driver.until(lambda: "Nothing was shown before this." in toasts(driver))


async def test_the_history_is_bounded(walk: Path) -> None:
    async with explorer(walk) as driver:
        subjects = [node_in(driver, "x"), node_in(driver, "y")]
        for number in range(MAX_ENTRIES + 20):
            await driver.session.follow(subjects[number % 2])
        assert len(driver.session.history.entries) == MAX_ENTRIES


# Marks


@SIZES
async def test_marks(walk: Path, size: tuple[int, int]) -> None:
    async with explorer(walk, size) as driver:
        subject = await show(driver, "y")
        await driver.press("m")
        await driver.until(lambda: isinstance(driver.app.screen, MarksScreen))
        assert "press a letter" in driver.text
        await driver.press("k")
        await driver.until(lambda: not isinstance(driver.app.screen, MarksScreen))
        assert driver.session.walk.marks.listed[0].subject == subject
        await show(driver, "z")
        await driver.press("m")
        await driver.until(lambda: isinstance(driver.app.screen, MarksScreen))
        await driver.press("exclamation_mark")
        assert isinstance(driver.app.screen, MarksScreen)  # no letter
        await driver.press("a")
        await driver.until(lambda: not isinstance(driver.app.screen, MarksScreen))
        await show(driver, "pair")
        await driver.press("apostrophe")
        await driver.until(lambda: bool(driver.app.screen.query(MarkList)))
        assert [mark.letter for mark in driver.session.walk.marks.listed] == ["a", "k"]
        await driver.press("x")
        assert isinstance(driver.app.screen, MarksScreen)
        await driver.press("k")
        await shown(driver, "y")
        await driver.press("backspace")
        await shown(driver, "pair")
        await driver.press("apostrophe")
        await driver.until(lambda: bool(driver.app.screen.query(MarkList)))
        await driver.press("down", "delete", "enter")
        await shown(driver, "z")
        assert [mark.letter for mark in driver.session.walk.marks.listed] == ["a"]
        await driver.press("apostrophe")
        await driver.until(lambda: isinstance(driver.app.screen, MarksScreen))
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, MarksScreen))
        assert driver.title == "z"


# Paths


async def test_a_path_between_two_nodes(walk: Path) -> None:
    async with explorer(walk) as driver:
        await show(driver, "x")
        await driver.press("p")
        await driver.until(lambda: any("begins at x" in note for note in toasts(driver)))
        await show(driver, "second")
        await driver.press("p")
        await driver.until(lambda: driver.session.shown is not None and driver.title == "x … second")
        assert driver.session.shown is not None
        assert isinstance(driver.session.shown.subject, PathSubject)
        detail = driver.session.shown.detail
        assert detail is not None
        way = [line.value.split()[0] for block in detail.blocks if block.title == "way" for line in block.lines]
        assert way == ["x", "y", "z", "pair", "second"]
        await go_to_line(driver, "pair  Unpack")
        await shown(driver, "pair")
        assert driver.session.walk.first is None


async def test_paths_that_are_none(walk: Path) -> None:
    async with explorer(walk) as driver:
        await driver.press("p")
        await driver.until(lambda: any("from node to node" in note for note in toasts(driver)))
        await show(driver, "apart")
        await driver.press("p")
        await driver.until(lambda: driver.session.walk.first is not None)
        await show(driver, "y")
        await driver.press("p")
        await driver.until(lambda: driver.title == "apart … y")
        await driver.until(lambda: "Neither leads to the other" in driver.text)
        await show(driver, "x")
        await driver.press("p")
        await driver.until(lambda: driver.session.walk.first is not None)
        inside = await show(driver, "product", "body")
        await driver.press("p")
        await driver.until(lambda: any("lies in another graph" in note for note in toasts(driver)))
        assert driver.session.walk.first == inside


# The picture


async def around(driver: Driver) -> PictureView:
    await driver.press("h")
    await driver.until(lambda: isinstance(driver.app.screen, NeighbourhoodScreen))
    await driver.until(lambda: picture(driver).around.rows and picture(driver).has_focus)
    await driver.until(lambda: driver.session.loader.tasks.running == 0)
    return picture(driver)


@SIZES
async def test_the_picture_by_keyboard(walk: Path, size: tuple[int, int]) -> None:
    async with explorer(walk, size) as driver:
        await show(driver, "y")
        view = await around(driver)
        assert view.around.two_levels
        for name in ("x  Placeholder", "z  Identity", "use000  Identity"):
            assert name in driver.text
        await driver.press("left")
        assert view.around.side == PRODUCERS
        assert view.around.at_cursor == node_in(driver, "x")
        await driver.press("right")
        assert view.around.side == CENTRE
        await driver.press("right")
        assert view.around.side == CONSUMERS
        assert view.around.at_cursor == node_in(driver, "z")
        await driver.press("right")
        assert view.around.at_cursor == node_in(driver, "use000")
        await driver.press("down")
        assert view.around.at_cursor == node_in(driver, "use001")
        assert "use001" in driver.lines[-4] + driver.lines[-3] + driver.lines[-2]
        await driver.press("left")
        assert view.around.at_cursor == node_in(driver, "z")
        await driver.press("enter")
        await driver.until(lambda: view.around.found is not None and view.around.found.name == "z")
        assert view.around.side == CENTRE
        await driver.press("backspace")
        await driver.until(lambda: view.around.found is not None and view.around.found.name == "y")
        await driver.until(lambda: driver.session.loader.tasks.running == 0 and view.around.two_levels)
        assert view.around.at_cursor == node_in(driver, "z")
        await driver.press("up", "up")
        assert view.around.side == PRODUCERS
        await driver.press("o")
        await shown(driver, "x")
        await driver.press("backspace")
        await shown(driver, "y")


async def test_out_of_the_picture(walk: Path) -> None:
    async with explorer(walk) as driver:
        await show(driver, "product", "body")
        view = await around(driver)
        await driver.press("left")
        subject = view.around.at_cursor
        assert isinstance(subject, ArgumentSubject)
        await driver.press("enter")  # an argument is no node: its details are shown
        await driver.until(lambda: driver.session.shown is not None and driver.session.shown.subject == subject)
        await driver.press("backspace")
        await shown(driver, "product")
        await around(driver)
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, NeighbourhoodScreen))
        await around(driver)
        await driver.press("backspace")
        await driver.until(lambda: not isinstance(driver.app.screen, NeighbourhoodScreen))
        assert driver.title == "product"


@SIZES
async def test_a_picture_that_is_larger_than_the_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    async with explorer(write_walk(tmp_path / "many", 60), size) as driver:
        await show(driver, "z")
        view = await around(driver)
        # The rest is counted, and every edge that is drawn can be reached.
        seen = set()
        await driver.press("right")
        for _ in range(40):
            subject = view.around.at_cursor
            assert isinstance(subject, NodeSubject)
            seen.add(subject.graph.names[subject.position])
            cursor = view.around.cursor_line - view.scroll_offset.y
            assert 0 <= cursor < view.scrollable_content_region.height
            await driver.press("down")
        assert len([name for name in seen if name.startswith("use")]) >= 12
        assert any("more" in row.text for row in view.around.rows)


async def test_the_picture_of_what_is_no_node(walk: Path) -> None:
    async with explorer(walk) as driver:
        await driver.press("h")
        await driver.until(lambda: any("Neighbours are those of a node" in note for note in toasts(driver)))
        assert not isinstance(driver.app.screen, NeighbourhoodScreen)


async def test_the_mouse_in_the_picture(walk: Path) -> None:
    async with explorer(walk) as driver:
        await show(driver, "y")
        view = await around(driver)
        line = next(at for at, row in enumerate(view.around.rows) if row.left is not None and row.further is None)
        await driver.pilot.click(view, offset=(6, line))
        assert view.around.at_cursor == node_in(driver, "x")
        await driver.pilot.click(view, offset=(6, line))
        await driver.until(lambda: view.around.found is not None and view.around.found.name == "x")


# Shapes


async def test_shapes_are_inferred(walk: Path) -> None:
    async with explorer(walk, options=STAND_INS) as driver:
        await show(driver, "y")
        assert "not stored" in driver.text
        await driver.until(lambda: "S Shapes" in driver.lines[-1])
        await driver.press("S")
        await driver.until(lambda: "[?, 257]  inferred" in driver.text)
        assert driver.title == "y"
        assert not driver.session.status
        await driver.press("backspace")
        await driver.press("right_square_bracket")
        await shown(driver, "y")
        assert "[?, 257]  inferred" in driver.text
    assert stand_ins() == []


async def test_without_a_missing_shape_there_is_no_key(walk: Path) -> None:
    async with explorer(walk, options=STAND_INS) as driver:
        await show(driver, "apart")
        await driver.until(lambda: "h Map" in driver.lines[-1])
        assert "S Shapes" not in driver.lines[-1]
        await driver.press("S")
        assert driver.session.predict is None


async def test_the_key_comes_and_goes_with_the_rows_of_the_tree(walk: Path) -> None:
    async with explorer(walk, options=STAND_INS) as driver:
        await driver.expand("Graph")
        await driver.go_to("apart")
        await driver.until(lambda: "S Shapes" not in driver.lines[-1])
        await driver.go_to("y")
        assert driver.tree.has_focus
        await driver.until(lambda: "S Shapes" in driver.lines[-1])
        await driver.press("S")
        await driver.until(lambda: "[?, 257]  inferred" in driver.text)


async def test_asking_is_cancelled(walk: Path) -> None:
    async with explorer(walk, options=STAND_INS) as driver:
        await show(driver, "quiet", "silent")
        await driver.press("S")
        await driver.until(lambda: "inferring shapes" in driver.session.status)
        await driver.press("escape")
        await driver.until(lambda: any("was cancelled" in note for note in toasts(driver)))
        assert not driver.session.status
        assert "not stored" in driver.text
        await show(driver, "y")
        await driver.press("S")  # and it can be asked again
        await driver.until(lambda: "[?, 257]  inferred" in driver.text)
    assert stand_ins() == []


async def test_a_failure_is_one_sentence(walk: Path) -> None:
    async with explorer(walk, options=STAND_INS) as driver:
        await show(driver, "loud", "fails")
        await driver.press("S")
        await driver.until(lambda: "no" in toasts(driver))
        assert "not stored" in driver.text
        assert not driver.session.status


async def test_a_risky_model_is_asked_about(tmp_path: Path) -> None:
    name = tensor(7, [], string_val=[b"/tmp/x\x1b]0;[/]"])
    nodes = [
        placeholder(b"x"),
        node(b"name", b"Const", dtype=attr(type=7), value=attr(tensor=name)),
        node(b"write", b"WriteFile", [b"name", b"name"]),
        node(b"y", b"Identity", [b"x", b"^write"], T=attr(type=1)),
    ]
    path = write_saved_model(tmp_path / "risky", meta_graph(nodes=nodes))
    async with explorer(path, options=RunOptions(script=STAND_INS.script)) as driver:
        await show(driver, "y")
        await driver.press("S")
        await driver.until(lambda: isinstance(driver.app.screen, TrustScreen))
        await driver.press("n")
        await driver.until(lambda: any("not trusted" in note for note in toasts(driver)))
        assert stand_ins() == []
        await driver.press("S")
        await driver.until(lambda: isinstance(driver.app.screen, TrustScreen))
        await driver.press("y")
        await driver.until(lambda: "[?, 257]  inferred" in driver.text)
    assert stand_ins() == []


# What belongs to one model


async def test_another_model_has_marks_and_a_history_of_its_own(tmp_path: Path) -> None:
    write_walk(tmp_path / "models" / "one")
    write_walk(tmp_path / "models" / "two")
    async with explorer(tmp_path / "models") as driver:
        await driver.go_to("one")
        assert "i In" not in driver.lines[-1]  # a list is nothing to walk through
        await driver.press("enter")
        await driver.until(lambda: driver.session.entered is not None and driver.title == "one")
        await show(driver, "y")
        await driver.press("m")
        await driver.until(lambda: isinstance(driver.app.screen, MarksScreen))
        await driver.press("a")
        await driver.until(lambda: bool(driver.session.walk.marks.listed))
        driver.tree.focus()
        await driver.press("u", "u")
        await driver.until(lambda: driver.session.in_list)
        assert driver.session.walk.marks.listed == []
        assert driver.session.history.entries == [] or driver.session.history.at == 0
        await driver.go_to("two")
        await driver.press("enter")
        await driver.until(lambda: driver.session.entered is not None and driver.title == "two")
        await driver.press("apostrophe")
        await driver.until(lambda: isinstance(driver.app.screen, MarksScreen))
        assert "No marks yet" in driver.text


async def test_walking_keys_are_in_the_help(walk: Path) -> None:
    async with explorer(walk, (120, 60)) as driver:
        await driver.press("f1")
        await driver.until(lambda: isinstance(driver.app.screen, HelpScreen))
        for words in ("Go to the inputs", "Draw the node", "Mark what", "Shown before", "Begin a path"):
            assert words in driver.app.screen._content.plain, words


async def test_the_key_of_a_variable_is_one_line_further() -> None:
    async with explorer() as driver:
        assert driver.session.model is not None
        owner = driver.session.model.meta_graphs[0]
        driver.detail.focus()
        await driver.session.follow(VariableSubject(owner, owner.variables[0]))
        await driver.until(lambda: driver.title == owner.variables[0].name)
        await go_to_line(driver, "key ")
        await driver.until(
            lambda: driver.session.shown is not None and isinstance(driver.session.shown.subject, KeySubject)
        )
