"""The Fine-tune tab: form and ticks by keyboard, runs against a stand-in child, what is said of failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfexplore.core.opener import open_model
from tfexplore.loader.run_options import RunOptions
from tfexplore.runtime.records import Options
from tfexplore.tui.commands import commands
from tfexplore.tui.finetune_run import RUNNING
from tfexplore.tui.screens.prompt import ConfirmScreen, PromptScreen
from tfexplore.tui.screens.script import ScriptScreen
from tfexplore.tui.screens.trust import TrustScreen
from tfexplore.tui.topics import Tab
from tfexplore.tui.widgets.field_input import FieldInput
from tui.driving import RANKER, TRAINING, explorer
from tui.hostile import NAMES
from tui.predicting import STAND_INS, stand_ins
from tui.test_predict import writer  # noqa: F401 (a fixture)
from tui.tuning import Tuning, tuning, write_tunable


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tunable(tmp_path / "m")


async def confirm(driver: Tuning, key: str) -> None:
    await driver.until(lambda: isinstance(driver.app.screen, ConfirmScreen))
    await driver.press(key)
    await driver.until(lambda: len(driver.app.screen_stack) == 1)


async def prompt(driver: Tuning, value: str) -> None:
    """Writes the line that is asked for."""
    await driver.until(lambda: isinstance(driver.app.screen, PromptScreen))
    field = driver.app.screen.query_one(FieldInput)
    await driver.until(lambda: field.has_focus)
    field.value = value
    await driver.press("enter")
    await driver.until(lambda: not isinstance(driver.app.screen, PromptScreen))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_run_by_keyboard(model: Path, size: tuple[int, int]) -> None:
    async with tuning(model, size) as driver:
        assert driver.session.tab is Tab.FINETUNE
        assert "[3 Fine-tune]" in driver.text
        assert "runtime: off" in driver.text
        assert not stand_ins()
        await driver.basic()
        await driver.write("steps", "20")
        await driver.run()
        finetune = driver.finetune
        assert (finetune.step, len(finetune.history), finetune.history.last) == (20, 20, 8.0 / 20)
        assert "20 steps done" in driver.said
        await driver.until(lambda: "step 20 · loss 0.4" in driver.text)
        assert "█" in driver.text
        driver.variables.focus()
        await driver.until(lambda: "[x] kernel" in driver.text and " 20  gradient" in driver.text)
        pids = stand_ins()
        await driver.run()  # goes on
        assert finetune.step == 40
        assert stand_ins() == pids


async def test_only_a_saved_model_has_the_tab(model: Path) -> None:
    async with explorer(TRAINING) as driver:
        await driver.press("3")
        assert driver.session.tab is Tab.EXPLORE
        assert "Fine-tune" not in driver.text
    async with explorer(model / "saved_model.pb") as driver:
        assert Tab.FINETUNE in driver.session.tabs


async def test_what_is_wrong_stands_at_its_row_and_nothing_is_run(model: Path) -> None:
    async with tuning(model) as driver:
        finetune = driver.finetune
        await driver.press("ctrl+r")
        await driver.until(lambda: "expression" in finetune.errors)
        assert finetune.field is not None
        assert finetune.field.key == "expression"
        await driver.write("expression", "10 - z")
        await driver.until(lambda: "z" in finetune.errors["expression"])
        await driver.until(lambda: "! " + finetune.errors["expression"][:20] in driver.text)
        await driver.write("expression", "(10. - y) ** 2")
        assert not finetune.errors
        await driver.write("input:x", "[[1, 2]]")
        await driver.press("ctrl+r")
        await driver.until(lambda: "input:x" in finetune.errors)
        await driver.write("input:x", "[[1, 2, 3]]")
        await driver.write("steps", "many")
        await driver.until(lambda: "whole number" in finetune.errors["steps"])
        await driver.write("steps", "5")
        await driver.write("set:learning_rate", "-1")
        await driver.until(lambda: "not negative" in finetune.errors["set:learning_rate"])
        await driver.write("set:learning_rate", "0.1")
        await driver.go("loss")
        await driver.press("space")  # the first of the losses
        await driver.until(lambda: finetune.value("loss") == "mse")
        await driver.press("ctrl+r")
        await driver.until(lambda: "give a file of rows" in finetune.errors.get("data", ""))
        assert not stand_ins()


async def test_ticks(model: Path) -> None:
    async with tuning(model) as driver:
        finetune, variables = driver.finetune, driver.variables
        ticks = lambda: [one.train for one in finetune.variables]  # noqa: E731
        await driver.until(lambda: "Frozen by the model (1)" in driver.text)
        assert ticks() == [True, True, False]
        variables.focus()
        await driver.press("space")
        assert ticks() == [False, True, False]
        assert finetune.variables[0].hold
        await driver.press("n")
        assert ticks() == [False, False, False]
        await driver.basic()
        await driver.press("ctrl+r")
        await driver.until(lambda: "no variable is ticked" in finetune.problem)
        variables.focus()
        await driver.press("a")
        assert ticks() == [True, True, False]
        assert not any(one.hold for one in finetune.variables)
        await driver.press("end", "space")
        assert ticks() == [True, True, True]
        assert "thawed, although the model froze it: table" in driver.said
        await driver.press("minus")
        await prompt(driver, "^b|table")
        await driver.until(lambda: ticks() == [True, False, False])
        await driver.press("plus")
        await prompt(driver, "bia")
        await driver.until(lambda: ticks() == [True, True, False])
        await driver.press("plus")
        await prompt(driver, "nowhere")
        await driver.until(lambda: "nowhere finds no variable" in driver.said)
        await driver.press("minus")
        await prompt(driver, "(")
        await driver.until(lambda: driver.said.count("ticked") == 2 and "(" in driver.finetune.said[-1].sentence)


async def test_a_look_takes_no_step(model: Path) -> None:
    async with tuning(model) as driver:
        await driver.basic()
        await driver.press("l")
        await driver.until(lambda: "2 variables would move; the loss is 8" in driver.said)
        assert driver.finetune.step == 0
        assert not driver.finetune.history.bins
        driver.variables.focus()
        await driver.press("end")
        await driver.until(lambda: "the function does not use it" in driver.text)


async def test_pause_run_on_and_stop(model: Path) -> None:
    async with tuning(model) as driver:
        finetune = driver.finetune
        await driver.call("signature waits")
        await driver.basic()
        await driver.write("steps", "5")
        driver.curve.focus()
        await driver.press("ctrl+r")
        await driver.until(lambda: finetune.phase == RUNNING and finetune.step == 3)
        await driver.until(lambda: "step 3 of 5" in driver.text)
        await driver.press("p")
        await driver.ready()
        assert (finetune.step, finetune.left) == (3, 2)
        await driver.until(lambda: "paused at step 3 of 5" in driver.text)
        await driver.press("p")  # runs on
        await driver.until(lambda: finetune.step == 5)
        await driver.ready()
        assert finetune.left == 0
        await driver.press("ctrl+r")
        await driver.until(lambda: finetune.step == 8)
        await driver.press("escape")  # as s, while it runs
        await driver.ready()
        assert (finetune.step, finetune.left) == (8, 0)
        assert "stopped at step 8" in driver.said
        await driver.press("ctrl+r")
        await driver.until(lambda: finetune.step == 11)
        await driver.press("p")
        await driver.ready()
        await driver.press("s")
        await driver.until(lambda: finetune.left == 0)


async def test_roll_back_asks_first(model: Path) -> None:
    async with tuning(model) as driver:
        finetune = driver.finetune
        await driver.press("r")  # nothing to roll back
        assert len(driver.app.screen_stack) == 1
        await driver.basic()
        await driver.run()
        assert finetune.changes
        await driver.press("r")
        await driver.until(lambda: "50 steps would be undone" in driver.text)
        await confirm(driver, "n")
        assert finetune.step == 50
        await driver.press("r")
        await confirm(driver, "y")
        await driver.until(lambda: "rolled back" in driver.said)
        assert finetune.step == 0
        assert not finetune.history.bins
        assert set(finetune.changes.values()) == {0.0}
        await driver.run()
        assert finetune.step == 50


async def test_checkpoints(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ckpts"
    async with tuning(model) as driver:
        finetune = driver.finetune
        await driver.basic()
        await driver.write("directory", str(folder))
        await driver.write("every", "20")
        await driver.write("keep", "")
        await driver.run()
        assert "Initializing from scratch." in driver.said
        names = sorted(path.name for path in folder.iterdir() if path.name.endswith(".index"))
        assert names == ["ckpt-20.index", "ckpt-40.index", "ckpt-50.index"]
        assert f"saved {folder}/ckpt-40" in driver.said
        await driver.press("w")
        await driver.until(lambda: f"saved {folder}/ckpt-r2-50" in driver.said)
        await driver.ready()
        await driver.press("o")
        await prompt(driver, str(model / "variables" / "variables"))
        await driver.until(lambda: f"Restored from {model}" in driver.said)
        await driver.ready()
        assert finetune.step == 7
        assert "1 of 3 variables matched" in driver.said
        await driver.press("o")
        await prompt(driver, str(tmp_path / "none"))
        await driver.until(lambda: finetune.said[-1].bad)
        await driver.ready()
        assert finetune.step == 7


async def test_where_checkpoints_lie_already_a_run_goes_on_from_the_latest(model: Path) -> None:
    async with tuning(model) as driver:
        await driver.basic()
        await driver.write("directory", str(model / "variables"))  # a bundle is a checkpoint
        await driver.write("steps", "1")
        await driver.press("l")
        await driver.until(lambda: f"Restored from {model}/variables/variables" in driver.said)
        await driver.ready()
        assert driver.finetune.step == 7


async def test_export(model: Path, tmp_path: Path) -> None:
    async with tuning(model) as driver:
        await driver.basic()
        await driver.run()
        await driver.press("x")
        await driver.until(lambda: isinstance(driver.app.screen, PromptScreen))
        assert driver.app.screen.query_one(FieldInput).value.endswith("m-tuned")
        await prompt(driver, str(tmp_path / "out"))
        await driver.until(
            lambda: f"exported {tmp_path}/out: 3 variables" in driver.said or "2 variables" in driver.said
        )
        await driver.until(lambda: "tfexplore smoke" in driver.text)
        stamp = (tmp_path / "out" / "saved_model.pb").stat().st_ino
        await driver.press("x")
        await prompt(driver, str(tmp_path / "out"))
        await confirm(driver, "n")
        assert (tmp_path / "out" / "saved_model.pb").stat().st_ino == stamp
        await driver.press("x")
        await prompt(driver, str(tmp_path / "out"))
        await confirm(driver, "y")
        await driver.until(lambda: (tmp_path / "out" / "saved_model.pb").stat().st_ino != stamp)
        await driver.ready()
        await driver.press("x")
        await prompt(driver, str(model / "in"))
        await driver.until(lambda: "is never written to" in driver.said)
    with open_model(str(tmp_path / "out")) as exported:
        checkpoint = exported.checkpoint
        assert checkpoint is not None
        assert checkpoint.read("kernel/.ATTRIBUTES/VARIABLE_VALUE").array.tolist() == [51.0, 1.0]
    async with explorer(tmp_path / "out") as driver:
        await driver.expand("Variables (3)") if "Variables (3)" in driver.labels() else None


async def test_nan_stops_and_says_where(model: Path) -> None:
    async with tuning(model) as driver:
        await driver.call("signature nan")
        await driver.basic()
        await driver.run()
        said = driver.finetune.said[-1]
        assert said.bad
        assert "step 3 was not taken: the loss and the gradient of kernel is NaN or infinite" in said.sentence
        assert driver.finetune.step == 2
        await driver.until(lambda: "step 3 was not taken" in driver.text)


async def test_a_child_that_dies_is_told_and_another_is_started(model: Path) -> None:
    async with tuning(model) as driver:
        await driver.call("signature falls")
        await driver.basic()
        await driver.run()
        assert driver.finetune.said[-1].bad
        assert "Its steps are lost. Ctrl-R starts another process" in driver.said
        assert driver.finetune.step == 0
        assert not driver.finetune.has_tuned
        await driver.call("signature serving_default")
        await driver.basic()
        await driver.run()
        assert driver.finetune.step == 50


async def test_a_child_that_is_killed_while_nothing_runs(model: Path) -> None:
    async with tuning(model) as driver:
        await driver.basic()
        await driver.run()
        runner = driver.finetune._runner
        assert runner is not None
        child = runner.runtime._child
        assert child is not None
        child.kill()
        await driver.until(lambda: "the process that held the tuned weights has ended" in driver.said)
        assert not driver.finetune.has_tuned
        await driver.run()
        assert driver.finetune.step == 50


async def test_without_tensorflow_one_sentence_says_so(model: Path, tmp_path: Path) -> None:
    options = RunOptions(child=Options(python=str(tmp_path / "python")))
    async with tuning(model, options=options) as driver:
        await driver.basic()
        await driver.run()
        assert driver.finetune.said[-1].bad
        assert str(tmp_path / "python") in driver.finetune.said[-1].sentence


async def test_what_is_refused_is_one_sentence(model: Path) -> None:
    async with tuning(model) as driver:
        await driver.call("signature refused")
        await driver.basic()
        await driver.run()
        assert "none of the 1 chosen variables gets a gradient" in driver.finetune.said[-1].sentence
        assert driver.finetune.state == "idle"
        await driver.call("signature serving_default")
        await driver.basic()
        await driver.run()
        assert driver.finetune.step == 50


async def test_a_function_of_the_object_graph(model: Path) -> None:
    async with tuning(model) as driver:
        await driver.call("function __call__")
        await driver.write("expression", "y")
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.app.screen, ScriptScreen))
        assert "--call __call__" in driver.app.screen.scripts[0][1]
        await driver.press("right")
        await driver.until(lambda: "after the first run" in driver.text)
        await driver.press("escape")
        await driver.press("ctrl+r")
        await driver.until(lambda: "is missing" in driver.finetune.errors.get("given:0", ""))
        await driver.ready()
        await driver.write("given:0", "[1.0, 2.0]")
        await driver.run()
        assert driver.finetune.step == 50
        assert "with training=True is tuned" in driver.said
        await driver.go("training")
        await driver.press("space")
        await driver.until(lambda: driver.finetune.value("training") == "no")
        await driver.run()
        assert "with training=False is tuned" in driver.said


async def test_rows_of_a_file_and_what_is_guessed_of_them(model: Path) -> None:
    rows = [{"x": [number, 2, 3], "label": number % 2} for number in range(10)]
    (model.parent / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    async with tuning(model) as driver:
        finetune = driver.finetune
        assert finetune.value("data").endswith("rows.jsonl")
        assert finetune.value("target") == "label"
        assert finetune.value("loss") == "sparse_categorical_crossentropy"  # y has three columns
        assert finetune.value("optimizer") == "adam"
        await driver.write("batch", "4")
        await driver.run()
        assert finetune.prepared is not None
        assert (finetune.prepared.rows, finetune.prepared.batch, finetune.history.window) == (10, 4, 3)
        await driver.until(lambda: "Loss, mean of 3 steps" in driver.text)
        driver.curve.focus()
        await driver.press("m")
        await driver.until(lambda: "Loss, mean" not in driver.text)
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.app.screen, ScriptScreen))
        assert "--target label --batch-size 4" in driver.app.screen.scripts[0][1]
        await driver.press("right")
        await driver.until(lambda: "import tensorflow as tf" in driver.text)
        await driver.press("escape")
        await driver.write("target", "nothing")
        await driver.press("ctrl+r")
        await driver.until(lambda: "no column" in finetune.errors.get("target", ""))
        # Names are completed from the file.
        await driver.go("target")
        await driver.press("enter", "backspace", "l")
        await driver.until(lambda: "  label" in driver.text)
        await driver.press("tab", "enter")
        await driver.until(lambda: finetune.value("target") == "label")
        await driver.write("data", str(model.parent / "none.csv"))
        await driver.until(lambda: "no such file" in finetune.errors.get("data", ""))


async def test_the_form_keeps_what_was_written_for_another_function(model: Path) -> None:
    async with tuning(model) as driver:
        await driver.basic()
        await driver.write("steps", "7")
        await driver.call("signature nan")
        assert driver.finetune.value("expression") == ""
        assert driver.finetune.value("steps") == "7"
        await driver.call("signature serving_default")
        assert driver.finetune.value("expression") == "(10. - y) ** 2"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_risky_model_is_tuned_only_on_the_persons_word(writer: Path, size: tuple[int, int]) -> None:  # noqa: F811
    async with tuning(writer, size) as driver:
        assert "has no variables" in driver.finetune.no_variables
        await driver.press("ctrl+r")
        await driver.until(lambda: "has no variables" in driver.finetune.problem)
    async with tuning(write_tunable(writer.parent / "m"), size) as driver:
        await driver.basic()
        driver.finetune._may_run = lambda ask: ask("it writes a file")  # type: ignore[method-assign, assignment]
        await driver.press("ctrl+r")
        await driver.until(lambda: isinstance(driver.app.screen, TrustScreen))
        await driver.press("n")
        await driver.ready()
        assert not stand_ins()
        await driver.press("ctrl+r")
        await driver.until(lambda: isinstance(driver.app.screen, TrustScreen))
        await driver.press("y")
        await driver.until(lambda: driver.finetune.step == 50)
        await driver.ready()


async def test_hostile_names(tmp_path: Path) -> None:
    names = tuple(name for name in NAMES if name)
    for size in ((80, 24), (120, 40)):
        async with tuning(write_tunable(tmp_path / f"m{size[0]}", names), size) as driver:
            driver.variables.focus()
            await driver.basic()
            await driver.press("l")
            await driver.until(lambda driver=driver: "would move" in driver.said)
            await driver.ready()
            driver.variables.focus()
            for _ in range(len(names)):
                await driver.press("space", "down")
                assert not [one for one in driver.text if one != "\n" and not one.isprintable()]
            assert "thawed" in driver.said
            await driver.press("e")
            await driver.until(lambda driver=driver: isinstance(driver.app.screen, ScriptScreen))
            assert not [one for one in driver.text if one != "\n" and not one.isprintable()]
            await driver.press("escape")


async def test_leaving_the_model_and_quitting_end_the_child(model: Path) -> None:
    write_tunable(model.parent / "other")
    async with explorer(model.parent, options=STAND_INS) as found:
        driver = Tuning(found.app, found.pilot)
        await driver.go_to("m")
        await driver.press("enter")
        await driver.until(lambda: driver.session.entered is not None and driver.title is not None)
        await driver.press("f4")
        await driver.until(lambda: driver.session.finetune is not None and driver.finetune.form is not None)
        await driver.call("signature waits")
        await driver.basic()
        await driver.press("ctrl+r")
        await driver.until(lambda: driver.finetune.step == 3)
        await driver.press("1")
        await driver.until(lambda: driver.tree.has_focus)
        await driver.press("u")
        await driver.until(lambda: driver.session.entered is None)
        assert driver.session.finetune is None
        await driver.until(lambda: not stand_ins())
    async with tuning(model) as driver:
        await driver.call("signature waits")
        await driver.basic()
        await driver.press("ctrl+r")
        await driver.until(lambda: driver.finetune.step == 3)
        assert stand_ins()


async def test_a_pane_that_is_not_shown_is_not_drawn(model: Path) -> None:
    async with tuning(model) as driver:
        await driver.basic()
        await driver.press("1")
        drawn = driver.curve._drawn
        driver.finetune.say("something")
        assert driver.curve._drawn is drawn
        await driver.press("3")
        await driver.until(lambda: "something" in driver.text)


async def test_panes_help_and_commands(model: Path) -> None:
    async with tuning(model, (80, 24)) as driver:
        driver.form.focus()
        await driver.press("tab")
        assert driver.variables.has_focus
        await driver.press("tab")
        assert driver.curve.has_focus
        await driver.press("shift+tab")
        await driver.press("f1")
        await driver.until(lambda: "The variables" in driver.text)
        await driver.press("escape")
        await driver.until(lambda: len(driver.app.screen_stack) == 1)
        titles = [command.name for command in commands(driver.app.screen)]
        assert {
            "Run · Fine-tune",
            "Gradients · Fine-tune",
            "Restore · Fine-tune",
            "As a script · Fine-tune",
            "Fine-tune",
        } <= set(titles)
        assert "Roll back · Fine-tune" not in titles  # nothing was tuned
        await driver.basic()
        await driver.run()
        titles = [command.name for command in commands(driver.app.screen)]
        assert {"Roll back · Fine-tune", "Export · Fine-tune", "Save · Fine-tune"} <= set(titles)
        await driver.pilot.resize_terminal(120, 40)
        await driver.until(lambda: "step 50" in driver.text and "Frozen by the model" in driver.text)


async def test_the_demo_with_tensorflow(tf: Any, tmp_path: Path) -> None:
    out = tmp_path / "tuned"
    async with tuning(RANKER, options=RunOptions()) as driver:
        finetune = driver.finetune
        await driver.write("directory", str(tmp_path / "ckpts"))
        await driver.run(deadlines=6)  # TensorFlow's import takes longer than one deadline on a busy machine
        assert finetune.step == 50, driver.said
        means = finetune.history.means
        assert means is not None
        assert means[1] < means[0]
        first = finetune.history.losses()
        moved = {one.label: finetune.changes[one.key] for one in finetune.variables}
        assert all((change > 0) == name.startswith("dense") for name, change in moved.items())
        await driver.press("r")
        await confirm(driver, "y")
        await driver.until(lambda: "rolled back" in driver.said)
        await driver.ready(3)
        assert set(finetune.changes.values()) == {0.0}
        await driver.run(deadlines=3)
        assert finetune.history.losses() == first  # to the last bit
        await driver.press("x")
        await prompt(driver, str(out))
        await driver.until(lambda: "exported" in driver.said)
    before, after = (tf.train.load_checkpoint(str(path / "variables" / "variables")) for path in (RANKER, out))
    for key in before.get_variable_to_shape_map():
        same = np.array_equal(before.get_tensor(key), after.get_tensor(key))
        assert same != key.startswith("dense"), key
    assert (out / "saved_model.pb").read_bytes() == (RANKER / "saved_model.pb").read_bytes()
    async with explorer(out) as driver:  # type: ignore[assignment]
        assert driver.session.model is not None
