"""The Predict tab: the form by keyboard, runs against a stand-in child, what is said of failures, no leftovers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.opening import bundle, small_model
from core.saved_model_writer import (
    attr,
    identity,
    info,
    meta_graph,
    node,
    object_graph,
    placeholder,
    signature,
    tensor,
    user_object,
    write_saved_model,
)
from tfexplore.core.value_cells import exact
from tfexplore.loader.run_options import RunOptions
from tfexplore.runtime import client
from tfexplore.runtime.records import Sandbox
from tfexplore.tui import predict as predict_module
from tfexplore.tui.commands import commands
from tfexplore.tui.predict import Predict
from tfexplore.tui.screens.script import FILE_NAME, ScriptScreen
from tfexplore.tui.screens.trust import TrustScreen
from tfexplore.tui.screens.values import ValuesScreen
from tfexplore.tui.topics import Tab
from tfexplore.tui.widgets.call_list import CallList
from tfexplore.tui.widgets.field_input import FieldInput
from tfexplore.tui.widgets.run_list import RunList
from tui.driving import RANKER, explorer
from tui.hostile import write_hostile_model
from tui.predicting import STAND_INS, Tabbed, predicting, stand_ins


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Signatures that the stand-in child answers, or does not, as they are called."""
    nodes = [placeholder(b"x"), identity(b"y", b"x"), identity(b"y_too", b"y"), identity(b"z", b"x")]
    one = signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")})
    signatures = dict.fromkeys((b"serving_default", b"deaf", b"fail", b"falls", b"late", b"silent"), one)
    objects = object_graph([user_object([])])
    return write_saved_model(tmp_path / "m", meta_graph(nodes=nodes, signatures=signatures, objects=objects))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_run_by_keyboard(model: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    happened = Predict._happened

    def listening(self: Predict, event: Any) -> None:
        happened(self, event)
        steps.append(self.current.step if self.current is not None else "")

    monkeypatch.setattr(Predict, "_happened", listening)
    async with predicting(model, size) as driver:
        assert driver.session.tab is Tab.PREDICT
        assert driver.predict.state == "off"
        assert "Nothing run yet" in driver.text
        assert "runtime: off" in driver.text
        await driver.write("x", "[[1, 2, 3]]")
        await driver.write("repeat", "3")
        run = await driver.run()
        (output,) = run.answer.outputs
        assert output.array.tolist() == [[1, 2, 3]]
        assert run.answer.latency == (1.5, 0.5, 0.5, 0.5)
        await driver.until(lambda: "run 1: serving_default" in driver.text)
        assert "1 done 1.5 ms, p50 0.50 ms" in driver.text
        await driver.until(lambda: "runtime: idle" in driver.text)  # the functions are asked for behind it
        assert steps[0] == "starting the child"
        assert steps[-1] == "first call"
        assert "the stand-in loads nothing" in run.notes
        pids = stand_ins()
        assert pids
        await driver.run()
        assert stand_ins() == pids  # the same child
        await driver.press("tab")
        await driver.until(lambda: "[[1, 2, 3]]" in driver.text)


async def test_what_holds_no_graph_has_no_such_tab(tmp_path: Path) -> None:
    bundle(tmp_path / "c", b"w")
    async with explorer(tmp_path / "c") as driver:
        await driver.press("2")
        assert driver.session.tab is Tab.EXPLORE
        assert "Predict" not in driver.text


async def test_an_input_has_the_figures_and_the_way_back(model: Path) -> None:
    async with predicting(model, key="f3") as driver:
        await driver.go("x")
        assert driver.predict.value_of(driver.predict.field) == "random"  # type: ignore[arg-type]
        await driver.press("enter", "backspace")
        await driver.until(lambda: bool(driver.app.query(FieldInput)))
        field = driver.app.query_one(FieldInput)
        await driver.press("1", "2", "5", "q", "backspace")
        await driver.until(lambda: field.value == "125")
        assert driver.session.tab is Tab.PREDICT
        await driver.press("escape")
        await driver.until(lambda: not driver.app.query(FieldInput))
        assert driver.predict.value_of(driver.predict.field) == "random"  # type: ignore[arg-type]
        assert driver.form.has_focus


async def test_a_wrong_row_says_so_and_is_not_run(model: Path) -> None:
    async with predicting(model) as driver:
        await driver.write("x", "[[1, 2]]")
        key = driver.predict.field.key  # type: ignore[union-attr]
        await driver.until(lambda: key in driver.predict.errors)
        assert "x (float32 [?, 3])" in driver.predict.errors[key]
        await driver.until(lambda: "! the input x" in driver.text.replace("  ! ", "! "))
        await driver.go("repeat")
        await driver.press("ctrl+r")
        await driver.until(lambda: driver.predict.field is not None and driver.predict.field.name == "x")
        assert driver.predict.runs == []
        await driver.write("x", "nonsense")
        await driver.until(lambda: "neither JSON" in driver.predict.errors.get(key, ""))
        await driver.press("m")
        await driver.until(lambda: driver.predict.values[key] == "zeros" and not driver.predict.errors)
        run = await driver.run()
        assert run.answer.outputs[0].array.tolist() == [[0, 0, 0]]


async def test_the_maker_is_cycled(model: Path) -> None:
    async with predicting(model) as driver:
        await driver.go("x")
        found = []
        for _ in range(4):
            before = driver.predict.value_of(driver.predict.field)  # type: ignore[arg-type]
            await driver.press("m")
            await driver.until(lambda before=before: driver.predict.value_of(driver.predict.field) != before)
            found.append(driver.predict.value_of(driver.predict.field))  # type: ignore[arg-type]
        assert found == ["zeros", "ones", "random", "zeros"]


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_a_run_is_cancelled_and_the_model_stays(key: str, model: Path) -> None:
    async with predicting(model) as driver:
        await driver.call("silent")
        await driver.press("ctrl+r")
        await driver.until(lambda: driver.predict.runs and driver.predict.runs[0].step == "first call")
        pids = stand_ins()
        await driver.press("ctrl+r")  # one at a time
        await driver.until(lambda: "under way" in driver.text)
        await driver.press(key)
        await driver.until(lambda: driver.predict.runs[0].status == "cancelled")
        assert "the model stays loaded" in driver.predict.runs[0].problem
        await driver.call("serving_default")
        await driver.run()
        assert stand_ins() == pids


async def test_an_answer_that_comes_after_cancelling_is_dropped(model: Path) -> None:
    async with predicting(model) as driver:
        await driver.call("late")
        await driver.press("ctrl+r")
        await driver.until(lambda: driver.predict.runs and driver.predict.runs[0].step == "first call")
        await driver.press("escape")
        await driver.until(lambda: driver.predict.runs[0].is_over)
        assert driver.predict.runs[0].status == "cancelled"
        assert driver.predict.runs[0].answer is None


async def test_a_run_that_takes_too_long(model: Path) -> None:
    async with predicting(model, options=STAND_INS._replace(timeout=0.3)) as driver:
        await driver.call("silent")
        await driver.run("timed out")


async def test_a_child_that_does_not_stop_is_killed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (client, predict_module):
        monkeypatch.setattr(module, "CANCEL_SECONDS", 0.1)
        monkeypatch.setattr(module, "TERMINATE_SECONDS", 0.1)
    said: list[str] = []
    say = Predict._say
    monkeypatch.setattr(Predict, "_say", lambda self, run, step: (said.append(step), say(self, run, step)))
    async with predicting(model) as driver:
        await driver.call("deaf")
        await driver.press("ctrl+r")
        await driver.until(lambda: driver.predict.runs and driver.predict.runs[0].step == "first call")
        await driver.press("escape")
        await driver.until(lambda: driver.predict.runs[0].status == "cancelled")
        await driver.until(lambda: len(said) == 2)
        assert said == ["it does not stop: told to end", "it does not end: killed"]
        assert "the next run starts another" in driver.predict.runs[0].problem
        await driver.call("serving_default")
        await driver.run()


async def test_a_child_that_dies_says_its_last_words(model: Path) -> None:
    async with predicting(model) as driver:
        await driver.run()
        pids = set(stand_ins())
        await driver.call("falls")
        run = await driver.run("died")
        assert "SIGSEGV" in run.problem
        await driver.until(lambda: "I am about to fall" in driver.text)
        await driver.until(lambda: "runtime: dead" in driver.text)
        await driver.call("serving_default")
        await driver.run()
        assert stand_ins()
        assert not pids & set(stand_ins())


async def test_a_call_that_fails(model: Path) -> None:
    async with predicting(model) as driver:
        await driver.call("fail")
        run = await driver.run("failed")
        assert run.problem == "no"
        await driver.until(lambda: "failed" in driver.text)


async def test_runs_are_compared(model: Path) -> None:
    async with predicting(model) as driver:
        await driver.write("x", "[[1, 2, 3]]")
        await driver.run()
        await driver.press("c")
        assert not driver.predict.comparing  # nothing to compare with yet
        await driver.write("x", "[[1, 2, 4]]")
        await driver.run()
        await driver.press("c")
        await driver.until(lambda: "Compared with run 1" in driver.text)
        assert "differs in 1 of 3 elements" in " ".join(driver.text.split())
        driver.app.query_one(RunList).focus()
        await driver.press("down")
        await driver.until(lambda: driver.predict.run == 1)
        await driver.until(lambda: "run 1:" in driver.text and "Compared" not in driver.text)
        await driver.press("up", "c")
        await driver.until(lambda: "run 2:" in driver.text and "Compared" not in driver.text)


async def test_old_outputs_make_room(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_module, "_MAX_HELD", 1)
    monkeypatch.setattr(predict_module, "MAX_RUNS", 2)
    async with predicting(model) as driver:
        for _ in range(3):
            await driver.run()
        assert [run.number for run in driver.predict.runs] == [3, 2]
        assert driver.predict.runs[0].answer is not None
        assert "let go" in driver.predict.runs[1].problem


async def test_tensors_by_name_with_completion(model: Path) -> None:
    async with predicting(model) as driver:
        await driver.call("tensors by name")
        await driver.press("ctrl+r")
        await driver.until(lambda: "name at least one tensor" in driver.text)
        await driver.go("fetch")
        await driver.press("enter", "y", "_")
        await driver.until(lambda: driver.predict.completions.names == ("y_too",))
        await driver.until(lambda: driver.app.query_one(FieldInput)._suggestion == "y_too")
        await driver.press("tab")
        await driver.until(lambda: driver.app.query_one(FieldInput).value == "y_too")
        await driver.press("enter")
        assert driver.predict.form is not None
        names = lambda: [field.name for field in driver.predict.form.fields]  # noqa: E731
        await driver.until(lambda: names().count("fetch") == 2)  # a row more, to be filled
        await driver.write("signature", "")
        await driver.until(lambda: "x" not in names())
        await driver.write("feed", "x=[[1, 2, 3]]")
        run = await driver.run()
        assert run.answer.outputs[0].array.tolist() == [[1, 2, 3]]
        await driver.write("feed", "nope=1")
        await driver.until(lambda: any("no tensor nope" in wrong for wrong in driver.predict.errors.values()))


async def test_functions_come_with_the_loaded_model(model: Path) -> None:
    async with predicting(model) as driver:
        assert "__call__" not in [one.title for one in driver.predict.choices]
        await driver.run()
        await driver.until(lambda: "__call__" in [one.title for one in driver.predict.choices])
        await driver.call("__call__")
        assert driver.predict.form is not None
        assert driver.predict.value_of(driver.predict.form.fields[0]) == "2"  # inference before training
        await driver.write("x", "[7]")
        run = await driver.run()
        assert run.answer.outputs[0].array.tolist() == [7]
        await driver.call("serving_default")  # keeps what was written
        await driver.call("__call__")
        await driver.until(lambda: driver.predict.form is not None and "[7]" in driver.text)


async def test_the_call_as_scripts(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with predicting(model) as driver:
        await driver.write("x", "[[1,2,3]]")
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.app.screen, ScriptScreen))
        screen = driver.app.screen
        assert isinstance(screen, ScriptScreen)
        found = dict(screen.scripts)
        assert found["tfexplore"] == f"tfexplore predict {model} --signature serving_default --input 'x=[[1,2,3]]'"
        assert '"inputs": {"x": [[1.0, 2.0, 3.0]]}' in found["curl"]
        assert "tf.saved_model.load" in found["python"]
        assert found["saved_model_cli"].startswith("saved_model_cli run")
        assert not (tmp_path / FILE_NAME).exists()  # nothing is written unasked
        await driver.press("right", "w")
        await driver.until(lambda: (tmp_path / FILE_NAME).exists())
        assert (tmp_path / FILE_NAME).read_text() == found["curl"] + "\n"
        await driver.press("right", "w")
        await driver.until(lambda: "stays as it is" in screen.said)
        await driver.press("escape")
        await driver.until(lambda: not isinstance(driver.app.screen, ScriptScreen))
        assert driver.form.has_focus


@pytest.fixture
def writer(tmp_path: Path) -> Path:
    """A model that writes a file when it is called."""
    name = tensor(7, [], string_val=[b"/tmp/x[/]"])
    nodes = [
        placeholder(b"x"),
        node(b"name", b"Const", dtype=attr(type=7), value=attr(tensor=name)),
        node(b"write", b"WriteFile", [b"name", b"name"]),
        node(b"y", b"Identity", [b"x", b"^write"], T=attr(type=1)),
    ]
    signatures = {b"serving_default": signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")})}
    return write_saved_model(tmp_path / "writer", meta_graph(nodes=nodes, signatures=signatures))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_risky_model_is_run_only_on_the_persons_word(writer: Path, size: tuple[int, int]) -> None:
    async with predicting(writer, size) as driver:
        await driver.press("ctrl+r")
        await driver.until(lambda: isinstance(driver.app.screen, TrustScreen) and "Run this model?" in driver.text)
        assert "WriteFile" in driver.text
        await driver.press("n")
        await driver.until(lambda: driver.predict.problem == "not run: the model is not trusted")
        assert driver.predict.runs == []
        assert stand_ins() == []
        await driver.press("ctrl+r")
        await driver.until(lambda: isinstance(driver.app.screen, TrustScreen) and "Run this model?" in driver.text)
        await driver.press("y")
        await driver.until(lambda: driver.predict.runs and driver.predict.runs[0].status == "done")
        await driver.until(lambda: driver.predict.current is None)
        await driver.run()  # not asked again


async def test_trust_from_the_command_line(writer: Path) -> None:
    async with predicting(writer, options=STAND_INS._replace(trust=True)) as driver:
        await driver.run()


async def test_a_sandbox_that_is_not_whole_is_told(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sandbox, "whole", property(lambda self: False))
    async with predicting(model) as driver:
        run = await driver.run()
        assert driver.predict.sandbox
        assert driver.predict.sandbox in run.notes


async def test_leaving_the_model_ends_its_child(model: Path) -> None:
    small_model(model.parent / "other")
    async with explorer(model.parent, options=STAND_INS) as found:
        driver = Tabbed(found.app, found.pilot)
        await driver.go_to_model("m")
        await driver.press("2")
        await driver.until(lambda: driver.session.predict is not None and driver.predict.form is not None)
        await driver.call("silent")
        await driver.press("ctrl+r")
        await driver.until(lambda: driver.predict.runs and driver.predict.runs[0].step == "first call")
        assert stand_ins()
        await driver.press("1")
        await driver.until(lambda: driver.tree.has_focus)
        await driver.press("u")
        await driver.until(lambda: driver.session.entered is None)
        assert driver.session.predict is None
        await driver.until(lambda: not stand_ins())
        assert "Predict" not in driver.text
        await driver.go_to_model("m")
        await driver.press("2")
        await driver.until(lambda: driver.session.predict is not None and driver.predict.form is not None)
        assert driver.predict.runs == []


async def test_quitting_while_it_runs(model: Path) -> None:
    async with predicting(model) as driver:
        await driver.call("deaf")
        await driver.press("ctrl+r")
        await driver.until(lambda: driver.predict.runs and driver.predict.runs[0].step == "first call")
        assert stand_ins()


async def test_the_features_of_an_example(tmp_path: Path) -> None:
    async with predicting(RANKER) as driver:
        await driver.write("gid", "135415")  # bare words are a string
        await driver.write("brand", '"11"')
        run = await driver.run()
        (output,) = run.answer.outputs
        message = output.array[0]
        assert b"135415" in message
        assert ("gid", "135415") in run.inputs
        await driver.write("gid", "[1]")
        await driver.until(lambda: any("gid" in wrong for wrong in driver.predict.errors.values()))
        await driver.go("gid")
        await driver.press("m")
        await driver.until(lambda: not driver.predict.errors)
        await driver.write("examples", '[{"gid": "1"}, {"gid": "2"}]')
        run = await driver.run()
        assert run.answer.outputs[0].array.shape == (2,)
        await driver.write("examples", "tfrecord:/nowhere")
        await driver.until(lambda: any("nowhere" in wrong for wrong in driver.predict.errors.values()))


async def test_hostile_names(tmp_path: Path) -> None:
    async with predicting(write_hostile_model(tmp_path / "hostile"), (80, 24)) as driver:
        for number in range(len(driver.predict.choices)):
            driver.app.query_one(CallList)._move(number)
            await driver.until(lambda number=number: driver.predict.choice == number)
            await driver.until(lambda: driver.predict.form is not None or driver.predict.problem)
            assert not [one for one in driver.text if one != "\n" and not one.isprintable()]
            await driver.press("e")
            await driver.until(lambda: driver.session.loader.tasks.running == 0)
            await driver.pilot.pause()
            assert not [one for one in driver.text if one != "\n" and not one.isprintable()]
            if isinstance(driver.app.screen, ScriptScreen):
                await driver.press("escape")
                await driver.until(lambda: not isinstance(driver.app.screen, ScriptScreen))


async def test_help_and_commands(model: Path) -> None:
    async with predicting(model) as driver:
        await driver.go("x")
        await driver.press("f1")
        await driver.until(lambda: "The form" in driver.text)
        assert "ctrl+r" in driver.text
        await driver.press("escape")
        await driver.until(lambda: len(driver.app.screen_stack) == 1)
        titles = [command.name for command in commands(driver.app.screen)]
        assert {"Run · Predict", "As a script · Predict", "Make up · The form", "Predict"} <= set(titles)
        assert "Compare · Predict" not in titles  # there is nothing to compare
        await driver.press("1")
        titles = [command.name for command in commands(driver.app.screen)]
        assert "Run · Predict" not in titles


async def test_the_demo_with_tensorflow(tf: Any) -> None:
    async with predicting(RANKER, options=RunOptions()) as driver:
        given = {"gid": "135415", "cid1": "11", "cid2": "11", "cid3": "2860", "brand": "11", "merchant": "11"}
        for name, value in given.items():
            await driver.write(name, value)
        await driver.press("ctrl+r")
        deadline: Callable[[], bool] = lambda: bool(driver.predict.runs) and driver.predict.runs[0].is_over  # noqa: E731
        for _ in range(6):  # TensorFlow's import takes longer than one deadline on a busy machine
            try:
                await driver.until(deadline)
                break
            except AssertionError:
                continue
        run = driver.predict.runs[0]
        assert run.status == "done", run.problem
        features = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
            for name, value in given.items()
        }
        example = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
        expected = tf.saved_model.load(str(RANKER)).signatures["serving_default"](examples=tf.constant([example]))
        assert {output.name for output in run.answer.outputs} == set(expected)
        for output in run.answer.outputs:
            np.testing.assert_array_equal(output.array, expected[output.name].numpy())
        await driver.until(lambda: "rank" in [one.title for one in driver.predict.choices])


async def test_outputs_open_in_the_values_grid(model: Path) -> None:
    async with predicting(model) as tab:
        await tab.press("v")
        await tab.until(lambda: tab.app._notifications)
        assert not isinstance(tab.app.screen, ValuesScreen)
        await tab.write("x", "[[1.5, 2.5, 4]]")
        run = await tab.run()
        output = run.answer.outputs[0]
        tab.app.query_one("#result").focus()
        await tab.press("v")
        await tab.until(lambda: isinstance(tab.app.screen, ValuesScreen))
        screen: Any = tab.app.screen
        await tab.until(lambda: screen.values.exact)
        assert screen.values.name == output.name
        assert screen.values.source.shape == output.array.shape
        assert screen.values.exact == exact(output.array[screen.values.place])
        await tab.press("escape")
        await tab.until(lambda: not isinstance(tab.app.screen, ValuesScreen))
