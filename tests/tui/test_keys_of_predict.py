"""Keys of the Predict tab, the scripts and the search that no longer scenario presses: each acts, and is seen to."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.saved_model_writer import identity, info, meta_graph, object_graph, placeholder, signature, user_object

from core.saved_model_writer import write_saved_model  # isort: skip
from tfexplore.tui.screens.copy import CopyScreen
from tfexplore.tui.screens.help import HelpScreen
from tfexplore.tui.screens.marks import MarkList, MarksScreen
from tfexplore.tui.screens.script import ScriptScreen
from tfexplore.tui.screens.search import HitList, SearchScreen
from tfexplore.tui.widgets.call_list import CallList
from tfexplore.tui.widgets.detail_pane import DetailPane
from tfexplore.tui.widgets.field_input import FieldInput
from tfexplore.tui.widgets.predict_pane import ResultPane
from tfexplore.tui.widgets.run_list import RunList
from tui.driving import RANKER, explorer
from tui.predicting import predicting
from tui.tuning import tuning, write_tunable


@pytest.fixture
def model(tmp_path: Path) -> Path:
    nodes = [placeholder(b"x"), identity(b"y", b"x")]
    signatures = {b"serving_default": signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")})}
    objects = object_graph([user_object([])])
    return write_saved_model(tmp_path / "m", meta_graph(nodes=nodes, signatures=signatures, objects=objects))


async def test_between_the_calls_and_the_form(model: Path) -> None:
    async with predicting(model) as driver:
        calls = driver.app.query_one(CallList)
        for key in ("enter", "right"):
            calls.focus()
            await driver.until(lambda: calls.has_focus)
            await driver.press(key)
            await driver.until(lambda: driver.form.has_focus)
        await driver.press("backspace")
        await driver.until(lambda: calls.has_focus)


async def test_a_row_is_emptied_and_how_often_it_is_called_is_one_key_away(model: Path) -> None:
    async with predicting(model) as driver:
        await driver.write("x", "[[1, 2, 3]]")
        assert driver.predict.value_of(driver.predict.field) == "[[1, 2, 3]]"  # type: ignore[arg-type]
        await driver.press("delete")
        await driver.until(lambda: driver.predict.value_of(driver.predict.field) != "[[1, 2, 3]]")  # type: ignore[arg-type]
        await driver.press("r")
        await driver.until(lambda: driver.app.query(FieldInput) and driver.app.query_one(FieldInput).has_focus)
        assert driver.predict.field is not None
        assert driver.predict.field.name == "repeat"
        await driver.press("escape")


async def test_from_a_run_to_its_outputs_and_the_script_before(model: Path) -> None:
    async with predicting(model) as driver:
        await driver.write("x", "[[1, 2, 3]]")
        await driver.run()
        driver.app.query_one(RunList).focus()
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.focused, ResultPane))
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.app.screen, ScriptScreen))
        screen = driver.app.screen
        assert isinstance(screen, ScriptScreen)
        await driver.press("left")
        await driver.until(lambda: screen.shown == len(screen.scripts) - 1)
        await driver.press("y")
        await driver.until(lambda: bool(driver.app._notifications) or bool(screen.said))
        await driver.press("escape")


async def test_moving_among_what_was_found() -> None:
    async with explorer(RANKER, (80, 24)) as driver:
        await driver.press("slash", *"e")
        await driver.until(
            lambda: isinstance(driver.app.screen, SearchScreen) and len(driver.app.screen.finding.hits) > 40
        )
        finding = driver.app.screen.finding  # type: ignore[attr-defined]
        page = driver.app.screen.query_one(HitList).scrollable_content_region.height - 1
        await driver.press("pagedown")
        assert finding.cursor == page
        await driver.press("up")
        assert finding.cursor == page - 1
        await driver.press("pageup")
        assert finding.cursor == 0
        await driver.press("ctrl+y")
        await driver.until(lambda: isinstance(driver.app.screen, CopyScreen))
        await driver.press("n")
        await driver.until(lambda: len(driver.app._notifications) > 0)
        await driver.press("escape")
        await driver.until(lambda: driver.app.screen.query(DetailPane))


async def test_choices_go_back_and_a_row_of_a_tuning_is_emptied(tmp_path: Path) -> None:
    async with tuning(write_tunable(tmp_path / "m")) as driver:
        await driver.go("optimizer")
        first = driver.finetune.value("optimizer")
        await driver.press("right")
        await driver.until(lambda: driver.finetune.value("optimizer") != first)
        await driver.press("left")
        await driver.until(lambda: driver.finetune.value("optimizer") == first)
        await driver.idle()
        await driver.write("steps", "7")
        assert driver.finetune.value("steps") == "7"
        await driver.press("delete")
        await driver.until(lambda: driver.finetune.value("steps") != "7")


async def test_a_long_help_scrolls() -> None:
    async with explorer(RANKER, (80, 24)) as driver:
        await driver.press("f1")
        await driver.until(lambda: isinstance(driver.app.screen, HelpScreen))
        box = driver.app.screen.query_one("#help")
        for key, moved in (("j", 1), ("k", -1), ("pagedown", 1), ("pageup", -1)):
            before = box.scroll_target_y
            await driver.press(key)
            await driver.until(lambda before=before, moved=moved: (box.scroll_target_y - before) * moved > 0)


async def test_up_and_down_among_marks() -> None:
    async with explorer(RANKER, (120, 40)) as driver:
        for letter in "ab":
            await driver.press("m")
            await driver.until(lambda: isinstance(driver.app.screen, MarksScreen))
            await driver.press(letter)
            await driver.until(lambda: not isinstance(driver.app.screen, MarksScreen))
            await driver.press("j")
            await driver.settled()
        await driver.press("apostrophe")
        await driver.until(lambda: isinstance(driver.app.screen, MarksScreen))
        marks = driver.app.screen.query_one(MarkList)
        await driver.press("down")
        assert marks.cursor_line == 1
        await driver.press("up")
        assert marks.cursor_line == 0
        await driver.press("escape")
