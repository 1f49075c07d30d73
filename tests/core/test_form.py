"""The form of a call: its rows, what they come to, and the same call as a command line."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.saved_model_writer import identity, info, meta_graph, placeholder, signature, tensor, write_saved_model
from tfexplore import demo
from tfexplore.cli import predict as predict_command
from tfexplore.cli.parser import parse
from tfexplore.core import form, form_call
from tfexplore.core.completion import NameIndex
from tfexplore.core.detail_run import compared_block, outputs_blocks
from tfexplore.core.form import Form
from tfexplore.core.form_call import Made, make_call
from tfexplore.core.model import Model
from tfexplore.core.opener import open_model
from tfexplore.core.outputs import Output, latency
from tfexplore.core.plan import target
from tfexplore.core.traces import plan_function
from tfexplore.errors import UsageError


@pytest.fixture(scope="module")
def ranker() -> Iterator[Model]:
    with open_model(str(demo.FOLDER / "ranker")) as model:
        yield model


def made_form(model: Model, title: str, values: dict[str, str] | None = None) -> Form:
    choice = next(one for one in form.choices(model) if one.title == title)
    return form.make_form(choice, values or {}, {})


def by_name(whole: Form, **written: str) -> dict[str, str]:
    """What is written, by key."""
    keys = {field.name: field.key for field in whole.fields}
    return {keys[name]: value for name, value in written.items()}


def as_command(model: Model, made: Made, whole: Form, values: dict[str, str]) -> str:
    assert made.plan is not None, made.errors
    return form_call.command_line(model, target(model, whole.choice.meta_graph), whole, values, made.plan)


def by_command(model: Model, line: str) -> dict[str, Any]:
    """The arrays that a command line of ours comes to."""
    words = shlex.split(line)
    assert words[0] == "tfexplore"
    options = parse(words[1:])
    return predict_command._plan(model, model.meta_graph(), options).arrays


def same(made: Made, arrays: dict[str, Any]) -> None:
    assert made.plan is not None, made.errors
    assert made.plan.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(made.plan.arrays[name], array)


VALUE = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


@settings(deadline=None, max_examples=50)
@given(row=st.fixed_dictionaries(dict.fromkeys(("gid", "brand", "cid1"), VALUE)))
def test_the_command_line_gives_the_same_inputs(row: dict[str, str], ranker: Model) -> None:
    whole = made_form(ranker, "serving_default")
    values = by_name(whole, **{name: json.dumps(value) for name, value in row.items()})
    made = make_call(ranker, whole, values)
    line = as_command(ranker, made, whole, values)
    same(made, by_command(ranker, line))
    encoded = made.plan.arrays["examples"][0]  # type: ignore[union-attr]
    assert all(value.encode() in encoded for value in row.values())


@pytest.mark.parametrize(
    "written",
    [
        {"examples": '{"gid": "1"}'},
        {"examples": '[{"gid": "1"}, {"gid": "2"}]'},
        {"examples": f"@{demo.FOLDER / 'rows.jsonl'}"},
        {"examples": '["bytes as they are"]'},
        {"gid": "bare words", "brand": "", "cid1": "null"},
        {"gid": '{"b64": "/w=="}', "repeat": "7"},
        {"gid": "ones", "cid2": "@" + __file__},
    ],
)
def test_ways_to_write_examples(written: dict[str, str], ranker: Model) -> None:
    whole = made_form(ranker, "serving_default")
    values = by_name(whole, **written)
    made = make_call(ranker, whole, values)
    line = as_command(ranker, made, whole, values)
    same(made, by_command(ranker, line))
    assert made.repeat == int(written.get("repeat", 0))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("gid", "[1]", "examples: the feature gid"),
        ("gid", '["a", "b"]', "expected 1 value, got 2 values"),
        ("gid", "{", "gid (string []) is no JSON"),
        ("gid", "@/nowhere", "/nowhere"),
        ("examples", '{"gidd": "1"}', "the model parses no feature gidd; did you mean gid"),
        ("examples", "tfrecord:/nowhere", "/nowhere"),
        ("repeat", "-1", "-1 is no number of calls from 0 to 1,000,000"),
    ],
)
def test_an_error_has_its_row(name: str, value: str, sentence: str, ranker: Model) -> None:
    whole = made_form(ranker, "serving_default")
    values = by_name(whole, **{name: value})
    made = make_call(ranker, whole, values)
    (key,) = values
    assert made.plan is None
    assert list(made.errors) == [key]
    assert sentence in made.errors[key]
    field = next(field for field in whole.fields if field.key == key)
    assert form_call.check(whole, field, values) == made.errors[key]


def test_a_row_of_examples_overrules_its_features(ranker: Model) -> None:
    whole = made_form(ranker, "serving_default")
    values = by_name(whole, gid="[1]", examples='{"gid": "1"}')
    assert make_call(ranker, whole, values).errors == {}


@pytest.fixture
def defaults(tmp_path: Path) -> Iterator[Model]:
    """A signature of two inputs; and a graph that is fed by name."""
    nodes = [placeholder(b"x"), placeholder(b"w", [2]), identity(b"y", b"x"), identity(b"z", b"w")]
    inputs = {b"x": info(b"x:0"), b"w": info(b"w:0", 1, [2])}
    one = signature(inputs, {b"y": info(b"y:0")}, {b"w": tensor(1, [2], float_val=[5, 6])})
    path = write_saved_model(tmp_path / "m", meta_graph(nodes=nodes, signatures={b"serving_default": one}))
    with open_model(str(path)) as model:
        yield model


def test_automatic_values_and_defaults_of_the_model(defaults: Model) -> None:
    whole = made_form(defaults, "serving_default")
    assert [(field.name, field.value) for field in whole.fields] == [("w", ""), ("x", "random"), ("repeat", "")]
    made = make_call(defaults, whole, {})
    assert made.plan is not None
    assert made.plan.arrays["w"].tolist() == [5, 6]
    assert made.plan.arrays["x"].shape == (1, 3)
    missing = make_call(defaults, whole, by_name(whole, x=""))
    assert "the input x (float32 [?, 3]) is missing" in next(iter(missing.errors.values()))


def test_tensors_by_name(defaults: Model) -> None:
    whole = made_form(defaults, "tensors by name")
    assert make_call(defaults, whole, {}).errors == {"": "name at least one tensor to fetch"}
    values = {"fetch:0": "y", "fetch:1": "z:0", "feed:0": "w=[1, 2]"}
    whole = made_form(defaults, "tensors by name", values)
    assert [field.kind for field in whole.fields].count(form.FETCH) == 3
    made = make_call(defaults, whole, values)
    assert made.plan is not None
    assert made.plan.fetches == ("y", "z:0")
    assert made.plan.arrays["w:0"].tolist() == [1, 2]
    assert "w" not in made.plan.arrays  # its tensor is fed, whatever the model has for it
    same(made, by_command(defaults, as_command(defaults, made, whole, values)))
    fed = {**values, "feed:1": "x=[[1, 2, 3]]", **by_name(whole, x="")}
    whole = made_form(defaults, "tensors by name", fed)
    made = make_call(defaults, whole, fed)
    assert made.plan is not None
    assert made.plan.arrays.keys() == {"w:0", "x:0"}
    same(made, by_command(defaults, as_command(defaults, made, whole, fed)))
    twice = make_call(defaults, whole, {**fed, **by_name(whole, x="zeros")})
    assert "are both given" in next(iter(twice.errors.values()))
    values = {"signature": "", "fetch:0": "z", "feed:0": "w=[1, 2]", "fetch:1": "nope", "feed:1": "w"}
    whole = made_form(defaults, "tensors by name", values)
    assert whole.signature is None
    errors = make_call(defaults, whole, values).errors
    assert set(errors) == {"fetch:1", "feed:1"}
    assert "no tensor nope" in errors["fetch:1"]


def test_a_function_has_the_rows_of_its_trace(ranker: Model) -> None:
    x = {"tensor": {"name": "x", "dtype": "float32", "shape": [None]}}
    traces = [{"args": [x, {"value": flag}], "kwargs": {}, "outputs": x} for flag in (True, False)]
    (choice,) = form.function_choices(ranker.meta_graph(), {"call": traces, "none": []})
    whole = form.make_form(choice, {}, {})
    assert whole.fields[0].value == "2"
    made = make_call(ranker, whole, by_name(whole, x="[1]"))
    assert made.plan is not None
    assert made.plan.arguments is not None
    assert made.plan.arguments[0][1] is False
    chosen = form.make_form(choice, {"trace": "1"}, {})
    assert chosen.trace is traces[0]
    wrong = make_call(ranker, whole, {"trace": "3"})
    assert wrong.errors == {"trace": "there are the traces 1 to 2"}


def test_a_function_that_parses_has_a_row_for_each_feature(ranker: Model) -> None:
    examples = {"tensor": {"name": "examples", "dtype": "string", "shape": [None]}}
    trace = {"args": [examples], "kwargs": {}, "outputs": examples}
    (choice,) = form.function_choices(ranker.meta_graph(), {"rank": [trace]})
    whole = form.make_form(choice, {}, {})
    theirs = made_form(ranker, "serving_default")
    assert [field.name for field in whole.fields] == [field.name for field in theirs.fields]
    made = make_call(ranker, whole, by_name(whole, gid="135415"))
    other = make_call(ranker, theirs, by_name(theirs, gid="135415"))
    assert other.plan is not None
    same(made, other.plan.arrays)
    line = as_command(ranker, made, whole, {})
    options = parse(shlex.split(line)[1:])
    plan = plan_function(choice.meta_graph, options.call, choice.traces, predict_command._given(options))
    same(made, plan.arrays)
    again = make_call(ranker, whole, by_name(whole, gid="1"))
    with pytest.raises(AssertionError):
        same(again, plan.arrays)


def test_functions_of_tensorflow_itself_come_last(ranker: Model) -> None:
    x = {"args": [], "kwargs": {}, "outputs": {"value": 1}}
    found = form.function_choices(ranker.meta_graph(), {name: [x] for name in ("a._initialize", "b", "__call__")})
    assert [one.name for one in found] == ["__call__", "b", "a._initialize"]


def test_makers_of_a_row(defaults: Model, ranker: Model) -> None:
    field = next(field for field in made_form(defaults, "serving_default").fields if field.name == "x")
    assert [form.next_maker(field, value) for value in ("[[1]]", "zeros", "ones", "random")] == [
        "zeros", "ones", "random", "zeros",
    ]  # fmt: skip
    gid = next(field for field in made_form(ranker, "serving_default").fields if field.name == "gid")
    value, found = "x", []
    for _ in range(4):
        value = form.next_maker(gid, value)
        found.append(value)
    assert found[:2] == ['""', '"1"']
    assert found[3] == found[0]


def test_a_choice_for_each_meta_graph(tmp_path: Path) -> None:
    nodes = [placeholder(b"x"), identity(b"y", b"x")]
    one = {b"serving_default": signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")})}
    graphs = [meta_graph(nodes=nodes, signatures=one, tags=[tag]) for tag in (b"serve", b"gpu")]
    with open_model(str(write_saved_model(tmp_path / "m", *graphs))) as model:
        found = form.choices(model)
        assert [(choice.kind, choice.note.partition(":")[0]) for choice in found] == [
            (form.BY_SIGNATURE, "serve"), (form.BY_TENSORS, "serve"), (form.BY_SIGNATURE, "gpu"),
            (form.BY_TENSORS, "gpu"),
        ]  # fmt: skip
        whole = form.make_form(found[2], {}, {})
        line = as_command(model, make_call(model, whole, {}), whole, {})
        assert "--tag-set gpu" in line


def test_what_no_command_line_can_show(tmp_path: Path) -> None:
    nodes = [placeholder(b"x"), identity(b"y", b"x")]
    one = {b"a\x1b": signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")})}
    path = write_saved_model(tmp_path / "m", meta_graph(nodes=nodes, signatures=one))
    with open_model(str(path)) as model:
        whole = form.make_form(form.choices(model)[0], {}, {})
        with pytest.raises(UsageError, match="no command line can show"):
            as_command(model, make_call(model, whole, {}), whole, {})


# -- names --


@given(names=st.lists(st.text("ab/\x1b\U0010ffff", max_size=4)), prefix=st.text("ab/", max_size=3))
def test_completions_are_the_names_that_begin_so(names: list[str], prefix: str) -> None:
    found = NameIndex(names).complete(prefix, 3)
    expected = sorted(
        name for name in names if name.startswith(prefix) and "\x1b" not in name and "\U0010ffff" not in name
    )
    assert list(found.names) == expected[:3]
    below = [name for name in names if name.startswith(prefix) and not name.startswith(prefix + "\U0010ffff")]
    assert found.total == len(below)


def test_completions_over_several_pieces() -> None:
    names = [f"node_{number:06}" for number in range(100_000)][::-1]
    found = NameIndex(names).complete("node_00")
    assert found.names == tuple(f"node_{number:06}" for number in range(5))
    assert found.total == 10_000
    assert NameIndex(names).complete("x").names == ()


# -- what a run gave --


def test_outputs_as_blocks() -> None:
    outputs = [
        Output("large", "float32", np.arange(12, dtype="float32").reshape(3, 4)),
        Output("odd", "float32", np.array([np.nan, 1], "float32")),
    ]
    first, second, last = outputs_blocks(outputs, latency([], 2.0))
    assert [(line.label, line.value) for line in first.lines] == [("odd", "[nan, 1]  float32 [2]  ! 1 NaN or infinite")]
    assert second.title == "large"
    assert "float32 [3, 4]" in second.lines[0].value
    assert any("top 4  row 0: 3 (3)" in line.value for line in second.lines)
    assert last.lines[0].value == "first call 2.0 ms"


@pytest.mark.parametrize("count", [4, 300_000])
def test_runs_compared(count: int) -> None:
    before = np.zeros(count, "float32")
    after = before.copy()
    assert compared_block(1, [Output("y", "float32", after)], [Output("y", "float32", before)]).lines[0].value == (
        "The outputs are the same."
    )
    after[2] = 1
    (line,) = compared_block(1, [Output("y", "float32", after)], [Output("y", "float32", before)]).lines
    assert f"y differs in 1 of {count:,} elements" in line.value
    lines = compared_block(1, [Output("z", "float32", after)], [Output("y", "float32", before)]).lines
    assert sorted(line.value for line in lines) == ["y is missing", "z was not there"]
