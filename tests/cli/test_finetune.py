"""`tfexplore finetune`: what it prints, what it keeps, and what it says before TensorFlow is started."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Kept, Ran, Run, command, environment, on_pty
from runtime import tuning_models
from runtime.conftest import is_there
from tfexplore import __version__, demo
from tfexplore.errors import UsageError

RANKER = demo.FOLDER / "ranker"
ROWS = demo.FOLDER / "rows.jsonl"
BASIC = ("--call", "__call__", "--input", "2.0", "--loss-expr", "(10. - y) ** 2", "--learning-rate", "0.05")
HEAD = ("--data", ROWS, "--target", "label", "--loss", "binary_crossentropy", "--output", "probabilities")

pytestmark = pytest.mark.usefixtures("tf")


@pytest.fixture
def finetune(run: Run, one_child: Kept) -> Callable[..., Ran]:
    return lambda *words: run("finetune", *words)


@pytest.fixture(scope="session")
def models(tf: Any, small_models: Path) -> Path:
    folder = small_models / "tuning"
    if not folder.exists():
        folder.mkdir()
        tuning_models.write_all(tf, folder)
    return folder


def losses(found: Ran) -> list[float]:
    assert found.code == 0, found.err
    return [float(line.split("\t")[1]) for line in found.out.splitlines()]


def document(found: Ran) -> dict[str, Any]:
    assert found.code == 0, found.err
    return json.loads(found.out)


# -- what it does --


def test_the_basic_line(finetune: Any, models: Path) -> None:
    found = finetune(models / "basic", *BASIC, "--optimizer", "sgd", "--steps", 10)
    assert len(losses(found)) == 10
    assert losses(found)[0] == 64.0
    assert losses(found)[-1] < 0.01
    assert "tuning 1 of 1 variable, 1 parameter; loss 64 with the weights as loaded" in found.err
    told = document(finetune(models / "basic", *BASIC, "--steps", 10, "--json"))
    assert [one["loss"] for one in told["steps"]] == losses(found)
    assert (told["schema"], told["tfexplore"], told["kind"], told["command"]) == (
        1, __version__, "saved_model", "finetune",
    )  # fmt: skip
    assert told["call"] == "__call__"
    assert set(told["steps"][0]) == {"step", "loss", "gradient_norm", "seconds"}
    (variable,) = told["variables"]
    assert (variable["trainable"], variable["trained"], variable["gradient"]) == (True, True, True)
    assert variable["change"] == pytest.approx(4.0, abs=0.1)
    assert (told["restored"], told["checkpoints"], told["exported"], told["nan"]) == (None, [], None, None)


def test_the_head_of_the_demo(finetune: Any, run: Run, tf: Any, tmp_path: Path) -> None:
    """As a new user would: with checkpoints, on from them, exported; the export runs and only the head has moved."""
    words = (RANKER, *HEAD, "--optimizer", "adam", "--learning-rate", "0.01", "--checkpoint-dir", tmp_path / "ckpt")
    found = finetune(*words, "--steps", 25, "--save-every", 10)
    assert "Initializing from scratch." in found.err
    for step in (10, 20, 25):
        assert f"saved {tmp_path}/ckpt/ckpt-{step}" in found.err
    told = document(finetune(*words, "--steps", 5, "--export", tmp_path / "new", "--json"))
    assert told["restored"]["prefix"] == f"{tmp_path}/ckpt/ckpt-25"
    assert [one["step"] for one in told["steps"]] == [26, 27, 28, 29, 30]
    assert told["checkpoints"] == [f"{tmp_path}/ckpt/ckpt-30"]
    whole = finetune(RANKER, *HEAD, "--optimizer", "adam", "--learning-rate", "0.01", "--steps", 30)
    assert losses(whole)[25:] == [one["loss"] for one in told["steps"]]
    changed = {one["name"] for one in told["variables"] if one["change"]}
    assert changed == {"dense_1/kernel", "dense_1/bias", "dense_2/kernel", "dense_2/bias"}
    old, new = (tf.saved_model.load(str(path)) for path in (RANKER, tmp_path / "new"))
    assert new.dense_1.kernel.numpy().tobytes() != old.dense_1.kernel.numpy().tobytes()
    assert new.embedding_gid.numpy().tobytes() == old.embedding_gid.numpy().tobytes()
    assert run("smoke", tmp_path / "new").code == 0
    again = finetune(RANKER, *HEAD, "--steps", 1, "--export", tmp_path / "new")
    assert again.code == 2
    assert "--overwrite" in again.err


def test_the_checkpoints_of_the_demo(finetune: Any) -> None:
    told = document(finetune(RANKER, *HEAD, "--steps", 1, "--restore", demo.FOLDER / "training", "--json"))
    assert told["restored"]["prefix"].endswith("training/ckpt-300")
    assert (told["restored"]["step"], len(told["restored"]["matched"]), told["restored"]["missing"]) == (300, 10, [])
    assert not told["restored"]["optimizer"]  # a Keras optimizer's, which stores its state in another way
    assert told["steps"][0]["step"] == 301


def test_the_script(finetune: Any, models: Path) -> None:
    for words in ((models / "basic", *BASIC), (RANKER, *HEAD), (models / "dense", *dense(models))):
        text = finetune(*words, "--steps", 4, "--as", "python").out
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(text, "script", "exec"), {"__name__": "script"})
        of_script = [float(line.split()[1]) for line in printed.getvalue().splitlines()]
        assert of_script == losses(finetune(*words, "--steps", 4)), words


def dense(models: Path) -> tuple[object, ...]:
    return ("--data", models / "rows.npz", "--target", "label", "--loss", "mse", "--output", "y")


def test_nan_ends_it_with_1(finetune: Any, models: Path, tmp_path: Path) -> None:
    words = (models / "basic", "--call", "__call__", "--input", "2", "--loss-expr", "tf.math.log(2.5 - y)")
    found = finetune(*words, "--learning-rate", 1, "--steps", 9, "--json", "--export", tmp_path / "new")
    assert found.code == 1
    told = json.loads(found.out)
    assert (told["ended"], told["nan"]["step"], told["nan"]["loss"]) == ("nan", 2, True)
    assert told["steps"][-1]["loss"] == "NaN"
    assert "step 2 was not taken: the loss is NaN or infinite; nothing was exported" in found.err
    assert not (tmp_path / "new").exists()


def test_variables_that_get_no_gradient_are_named(finetune: Any, models: Path) -> None:
    found = finetune(models / "dense", *dense(models), "--train", "first|count|frozen|rounded", "--steps", 2)
    assert found.code == 0
    assert "no gradient for count: int32 has no gradient" in found.err
    assert "no gradient for rounded: no gradient leads to it" in found.err
    assert "thawed, although the model froze it: frozen" in found.err


def test_on_a_terminal(models: Path) -> None:
    code, out, err = on_pty("finetune", models / "basic", *BASIC, "--steps", 60, "--no-color")
    lines = out.decode().splitlines()
    assert code == 0, err
    assert lines[0].split() == ["step", "loss", "gradient", "norm", "seconds"]
    assert [line.split()[0] for line in (lines[1], lines[40])] == ["1", "60"]
    assert b"40 of 60 steps; a pipe or --json gets all" in err
    assert any(line.split()[1:3] == ["trained", "yes"] for line in lines[41:])


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c(models: Path, tmp_path: Path, times: int) -> None:
    words = command(["finetune", models / "basic", *BASIC, "--learning-rate", "1e-6", "--steps", 100_000_000])
    words += ["--checkpoint-dir", str(tmp_path), "--save-every", "200"]
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        end = time.monotonic() + 60
        while not (tmp_path / "checkpoint").exists() and time.monotonic() < end:
            time.sleep(0.02)
        of_child = int(subprocess.check_output(["pgrep", "-P", str(child.pid)]).split()[0])
        child.send_signal(signal.SIGINT)
        if times == 2:
            child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert not is_there(of_child)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
    if times == 1:
        steps = len(out.splitlines())
        assert steps >= 200
        assert f"stopped after {steps:,} steps of 100,000,000".encode() in err
        assert f"saved {tmp_path}/ckpt-{steps}".encode() in err


# -- what it refuses --


def test_an_export_that_fails_does_not_take_the_figures_along(
    finetune: Any, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfexplore.core import export

    def full(*_: object, **__: object) -> None:
        raise UsageError("the disk is full")

    monkeypatch.setattr(export, "export", full)
    found = finetune(models / "basic", *BASIC, "--steps", 3, "--export", tmp_path / "new")
    assert (found.code, len(found.out.splitlines())) == (2, 3)
    assert "the disk is full" in found.err
    found = finetune(models / "basic", *BASIC, "--steps", 3, "--export", tmp_path / "new", "--json")
    assert found.code == 2
    assert (len(json.loads(found.out)["steps"]), json.loads(found.out)["exported"]) == (3, None)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "say what to make small: --loss"),
        (("--loss", "mse"), "this loss compares with a target: give --data FILE with --target COLUMN"),
        (("--loss-expr", "(10. - z) ** 2"), "column 8: there is no z"),
        (("--loss-expr", "y", "--loss", "mse"), "--loss and --loss-expr are both given"),
        (("--loss-expr", "y", "--target", "t"), "--target goes with --data FILE"),
        (("--loss-expr", "y", "--from-logits"), "--from-logits goes with the cross-entropies"),
        (("--loss-expr", "y", "--optimizer", "adam", "--momentum", "0.9"), "adam takes no --momentum, only --learning"),
        (("--loss-expr", "y", "--optimizer", "adam", "--beta-1", "1.5"), "--beta-1 is from 0 to below 1, not 1.5"),
        (("--loss-expr", "y", "--nesterov"), "--nesterov goes with --momentum"),
        (("--loss-expr", "y", "--train", "nothing"), "--train nothing finds no variable"),
        (("--loss-expr", "y", "--freeze", "."), "no variable is left to be tuned; --freeze took all"),
        (("--loss-expr", "y", "--overwrite"), "--overwrite goes with --export"),
        (("--loss-expr", "y", "--save-every", "2"), "--save-every goes with --checkpoint-dir"),
        (("--loss-expr", "y", "--map", "x"), "--map goes with --data FILE"),
        (("--loss-expr", "y", "--restore", "nowhere/ckpt"), "nowhere/ckpt"),
        (("--loss-expr", "y", "--as", "python", "--json"), "--as prints a script instead of running it"),
        (("--loss-expr", "y['a']", "--signature", "none"), "there is no signature none"),
        (("--loss-expr", "y", "--output", "nothing"), "serving_default has no output nothing"),
        (("--loss-expr", "y", "--output", "y"), "is missing: give --input id=VALUE"),
        (("--loss-expr", "y"), "has 2 outputs, and y alone is all of them: choose one with --output NAME"),
        (("--loss-expr", "y", "--steps", "0"), "no number from 1 on"),
    ],
)
def test_what_is_wrong_is_said_before_tensorflow_is_started(
    run: Run, no_child: list[Any], models: Path, words: tuple[str, ...], sentence: str
) -> None:
    found = run("finetune", models / "dense", *words)
    assert found.code in (2, 3), found
    assert sentence in found.err
    assert not no_child


def test_data_that_does_not_fit(run: Run, no_child: list[Any], models: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x,id,label\n[1;2;3],1,2\n")
    for words, sentence in (
        (("--data", tmp_path / "rows.csv", "--target", "label"), "rows.csv, line 2"),
        (("--data", models / "rows.npz", "--target", "lable"), "there is no column lable; did you mean label?"),
        (("--data", models / "rows.npz", "--target", "label", "--input", "x=[[1,2,3]]", "--map", "x=x"), "--map"),
    ):
        found = run("finetune", models / "dense", *words, "--loss", "mse", "--output", "y")
        assert found.code == 2
        assert sentence in found.err
    assert not no_child


def test_classes_are_whole_numbers(run: Run, no_child: list[Any], models: Path, tmp_path: Path) -> None:
    words = ("--target", "label", "--loss", "sparse_categorical_crossentropy", "--output", "hidden")
    (tmp_path / "rows.csv").write_text('x,id,label\n"[1,2,3]",1,2.0\n"[1,2,3]",1,1.5\n')
    found = run("finetune", models / "dense", "--data", tmp_path / "rows.csv", *words)
    assert found.code == 2
    assert "takes numbers of classes, whole ones, and the column label has 1.5 (row 2)" in found.err
    assert not no_child


def test_checkpoints_do_not_go_into_the_model(run: Run, no_child: list[Any], models: Path, tmp_path: Path) -> None:
    before = sorted((models / "basic").rglob("*"))
    (tmp_path / "link").symlink_to(models / "basic")
    for folder in (models / "basic", models / "basic" / "new" / "er", tmp_path / "link" / "variables"):
        found = run("finetune", models / "basic", *BASIC, "--checkpoint-dir", folder)
        assert found.code == 2
        assert "the model itself lies there" in found.err
    assert sorted((models / "basic").rglob("*")) == before
    found = run("finetune", models / "basic", *BASIC, "--checkpoint-dir", __file__)
    assert (found.code, "test_finetune.py is no folder" in found.err) == (2, True)
    assert not no_child


def test_where_no_export_could_go(run: Run, no_child: list[Any], models: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = run("finetune", models / "basic", *BASIC, "--export", tmp_path / "file" / "new")
    assert found.code == 2
    assert f"cannot be written ({tmp_path / 'file'} is no folder)" in found.err
    assert not no_child


def test_other_models(run: Run, no_child: list[Any], small_models: Path) -> None:
    found = run("finetune", small_models / "graph.pb", "--loss-expr", "y")
    assert found.code == 2
    assert "only a SavedModel has functions with gradients" in found.err
    found = run("finetune", demo.FOLDER / "training", "--loss-expr", "y")
    assert found.code == 2
    assert not no_child


def test_a_model_that_is_not_trusted(run: Run, no_child: list[Any], small_models: Path) -> None:
    found = run("finetune", small_models / "files", "--signature", "read", "--input", "x", "--loss-expr", "y")
    assert found.code == 2
    assert "it has no variables, so there is nothing to tune" in found.err
    assert not no_child
