"""The form of a fine-tuning without a screen: what is guessed, which row is to blame, the same as a command line."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfexplore.cli.parser import parse
from tfexplore.core import data_peek, finetune_form, finetune_made
from tfexplore.core.data_peek import Peek, peek
from tfexplore.core.finetune_form import TuneForm
from tfexplore.core.finetune_made import Made
from tfexplore.core.model import Model
from tfexplore.core.opener import open_model
from tfexplore.core.plan import target
from tfexplore.demo import FOLDER


@pytest.fixture
def ranker() -> Iterator[Model]:
    with open_model(str(FOLDER / "ranker")) as model:
        yield model


def form(model: Model, values: dict[str, str], number: int | None = None) -> TuneForm:
    found = finetune_form.choices(model)
    number = finetune_form.first_choice(found) if number is None else number
    seen = finetune_form.see(model, found[number])
    data = values.get("data", seen.beside or "")
    labels = finetune_form.labels(model, found)
    peeked = peek(data) if data else Peek()
    return finetune_form.make_form(labels, found[number], labels[number], seen, values, peeked)


def made(model: Model, values: dict[str, str], **ticks: bool) -> Made:
    whole = form(model, values)
    variables = finetune_made.all_variables(whole.choice.meta_graph)
    for name, train in ticks.items():
        places = [place for place, one in enumerate(variables) if one.label.replace("/", "_") == name]
        variables = finetune_made.tick(variables, places, train)
    return finetune_made.make(whole, values, variables)


def test_the_demo_needs_nothing_written(ranker: Model) -> None:
    found = made(ranker, {})
    assert not found.errors
    assert found.plan is not None
    assert found.plan.data is not None
    assert (found.plan.data.rows, found.plan.batch) == (300, 32)
    assert found.plan.loss.kind == "binary_crossentropy"
    assert found.plan.loss.output == "probabilities"
    assert [one.label for one in found.plan.variables if one.train] == [
        "dense_1/kernel", "dense_1/bias", "dense_2/kernel", "dense_2/bias",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "key", "says"),
    [
        ({"steps": "0"}, "steps", "whole number"),
        ({"batch": "x"}, "batch", "whole number"),
        ({"set:learning_rate": "nan"}, "set:learning_rate", "not negative"),
        ({"optimizer": "best"}, "optimizer", "expected one of"),
        ({"loss": "expression"}, "expression", "say what to make small"),
        ({"loss": "expression", "expression": "z"}, "expression", "z"),
        ({"target": "", "loss": "mse"}, "target", "compares with a target"),
        ({"target": "nothing"}, "target", "no column"),
        ({"data": "/nowhere.csv"}, "data", "no such file"),
        ({"data": ""}, "input:examples", "examples"),
        ({"optimizer": "sgd", "set:nesterov": "yes"}, "optimizer", "momentum"),
    ],
)
def test_what_is_wrong_is_said_of_its_row(ranker: Model, values: dict[str, str], key: str, says: str) -> None:
    if values == {"data": ""}:
        values = {"data": "", "loss": "expression", "expression": "y"}
    found = made(ranker, values)
    assert found.plan is None
    assert list(found.errors) == [key], found.errors
    assert says in found.errors[key]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ({}, {}),
        ({"seed": "", "batch": "7", "steps": "3"}, {"dense_1_kernel": False}),
        ({"optimizer": "sgd", "set:momentum": "0.5", "set:nesterov": "yes"}, {"embedding_gid": True}),
        ({"loss": "expression", "expression": "(y - target) ** 2", "output": "scores", "compiled": "no"}, {}),
        ({"directory": "d", "every": "", "keep": "", "input:examples": ""}, {}),
    ],
)
def test_the_command_line_comes_to_the_same_plan(
    ranker: Model, values: dict[str, str], ticks: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = made(ranker, values, **ticks)
    assert found.wish is not None
    assert found.stretch is not None
    whole = form(ranker, values)
    wanted = target(ranker, whole.choice.meta_graph)
    line = finetune_made.command_line(wanted, whole, values, found.wish, found.stretch, None)
    again: dict[str, Any] = {}

    from tfexplore.cli import finetune as command

    async def tuned(*given: Any) -> int:
        again.update(plan=given[3], options=given[5])
        return 0

    monkeypatch.setattr(command, "_tuned", tuned)
    options = parse(shlex.split(line)[1:])
    assert command.run(options) == 0
    plan, other = found.plan, again["plan"]
    assert plan is not None
    for name in ("signature", "batch", "seed", "loss", "eager", "source"):
        assert getattr(plan, name) == getattr(other, name), name
    assert plan.optimizer.kind == other.optimizer.kind
    assert [(one.key, one.train) for one in plan.variables] == [(one.key, one.train) for one in other.variables]
    assert again["options"].steps == found.stretch.steps
    assert (again["options"].checkpoint_dir or "") == found.stretch.directory
    assert again["options"].save_every == found.stretch.every


def test_peeks(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x, label\n1,0\n2.5,1\n")
    found = peek(str(tmp_path / "a.csv"))
    assert found.columns == ("x", "label")
    assert found.values("x") == [1, 2.5]
    assert data_peek.is_binary(found.values("label"))
    np.savez(tmp_path / "a.npz", x=np.zeros(3), y=np.zeros(3))
    assert peek(str(tmp_path / "a.npz")).columns == ("x", "y")
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"x": 1, "n": number}) for number in range(1000)))
    assert len(peek(str(tmp_path / "a.jsonl")).rows) == 64
    for data in (b"", b"{", b"\x93NUMPY", b"PK\x03\x04", b"\x1f\x8b", b"\xff" * 100):
        (tmp_path / "b.jsonl").write_bytes(data)
        assert peek(str(tmp_path / "b.jsonl")) == Peek()
    assert peek(str(tmp_path / "none")) == Peek()
    assert peek(str(tmp_path)) == Peek()


def test_a_file_beside_the_model_that_does_not_fit_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "rows.jsonl").write_text('{"a": 1, "label": 1}')
    (tmp_path / "later.jsonl").write_text('{"x": 1, "label": 1}')
    assert data_peek.beside(str(tmp_path / "model"), ["x"]) == str(tmp_path / "later.jsonl")
    assert data_peek.beside(str(tmp_path / "model"), ["z"]) is None
    assert data_peek.beside(str(tmp_path / "model"), []) is None


def test_ticks_say_what_is_held_and_what_is_thawed(ranker: Model) -> None:
    variables = finetune_made.all_variables(ranker.meta_graph())
    gid = finetune_made.found_by(variables, "gid$")
    ticked = finetune_made.tick(variables, [*gid], True)
    assert ticked[gid[0]].train
    held = finetune_made.tick(ticked, range(len(variables)), False)
    assert [one.hold for one in held] == [finetune_made.is_marked(one) for one in variables]
