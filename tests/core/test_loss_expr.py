"""Loss expressions: what is understood, and as what program; what is not, by column. Nothing is ever evaluated."""

from __future__ import annotations

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.core.loss_calls import CALLS
from tfexplore.core.loss_expr import MAX_DEPTH, MAX_STEPS, MAX_TEXT, parse, python
from tfexplore.errors import UsageError

Y, TARGET = ["name", "y"], ["name", "target"]


@pytest.mark.parametrize(
    ("source", "program", "script"),
    [
        (
            "(10. - y) ** 2",
            ["binary", "pow", ["binary", "sub", ["number", 10.0], Y], ["number", 2]],
            "(10.0 - y) ** 2",
        ),
        (
            "tf.reduce_mean(tf.math.abs(target - y))",
            ["call", "reduce_mean", [["call", "abs", [["binary", "sub", TARGET, Y]], {}]], {}],
            "tf.reduce_mean(tf.math.abs(target - y))",
        ),
        ("y['scores']", ["item", Y, "scores"], "y['scores']"),
        ("-y[0]", ["unary", "neg", ["index", Y, [0]]], "-y[0]"),
        ("+y", Y, "y"),
        (
            "y[..., 1:-1, ::2]",
            ["index", Y, ["...", ["slice", 1, -1, None], ["slice", None, None, 2]]],
            "y[..., 1:-1, ::2]",
        ),
        ("y[:, 0]", ["index", Y, [["slice", None, None, None], 0]], "y[:, 0]"),
        (
            "where(y >= 0, y, 0.1 * y)",
            [
                "call",
                "where",
                [["compare", "ge", Y, ["number", 0]], Y, ["binary", "mul", ["number", 0.1], Y]],
                {},
            ],
            "tf.where(y >= 0, y, 0.1 * y)",
        ),
        (
            "reduce_sum(y, [0, -1], keepdims=True)",
            ["call", "reduce_sum", [Y], {"axis": [0, -1], "keepdims": True}],
            "tf.reduce_sum(y, axis=[0, -1], keepdims=True)",
        ),
        (
            "tf.one_hot(tf.cast(target, tf.int32), 3) - y",
            [
                "binary",
                "sub",
                ["call", "one_hot", [["call", "cast", [TARGET], {"dtype": "int32"}]], {"depth": 3}],
                Y,
            ],
            "tf.one_hot(tf.cast(target, dtype=tf.int32), depth=3) - y",
        ),
        (
            "tf.nn.softmax_cross_entropy_with_logits(logits=y, labels=target)",
            ["call", "softmax_cross_entropy_with_logits", [TARGET, Y], {}],
            "tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=y)",
        ),
        (
            "clip_by_value(y, clip_value_max=1., clip_value_min=-1.)",
            ["call", "clip_by_value", [Y, ["unary", "neg", ["number", 1.0]], ["number", 1.0]], {}],
            "tf.clip_by_value(y, -1.0, 1.0)",
        ),
        ("\n y \n % 2 \t", ["binary", "mod", Y, ["number", 2]], "y % 2"),
        (
            "y['größe'] - y // 3",
            ["binary", "sub", ["item", Y, "größe"], ["binary", "floordiv", Y, ["number", 3]]],
            "y['größe'] - y // 3",
        ),
    ],
)
def test_programs(source: str, program: object, script: str) -> None:
    found = parse(source)
    assert found.program == program
    assert found.python == script
    assert json.loads(json.dumps(found.program)) == program
    # What a script writes is itself an expression of the same program.
    assert parse(script).program == program


def test_names_and_kinds_of_numbers() -> None:
    assert parse("y").names == ("y",)
    assert parse("target * y").names == ("target", "y")
    assert parse("x - y", ("y", "x")).names == ("x", "y")
    assert type(parse("y - 1").program[3][1]) is int
    assert type(parse("y - 1.").program[3][1]) is float


@pytest.mark.parametrize(
    ("source", "column", "words"),
    [
        ("__import__('os').system('true')", 1, "only a function by its name"),
        ("y + eval('1')", 5, "there is no function eval"),
        ("y.__class__", 1, "write y['__class__']"),
        ("(y - 1).numpy()", 1, "only a function by its name"),
        ("tf.io.write_file(y, y)", 1, "there is no function tf.io.write_file"),
        ("os.abs(y)", 1, "write tf.math.abs"),
        ("y + tf.math.reduce_men(y)", 5, "did you mean reduce_mean?"),
        ("mean(y)", 1, "write reduce_mean"),
        ("tf.argmax(y)", 1, "no gradient"),
        ("Y - 1", 1, "there is: y, target"),
        ("y - targets", 5, "did you mean target?"),
        ("y - abs", 5, "write abs(…)"),
        ("[y for y in target]", 1, "nothing that a loss may be made of"),
        ("lambda: y", 1, "nothing that a loss may be made of"),
        ("y if y else y", 1, "nothing that a loss may be made of"),
        ("y and y", 1, "nothing that a loss may be made of"),
        ("(y := 3)", 2, "nothing that a loss may be made of"),
        ("f'{y}'", 1, "nothing that a loss may be made of"),
        ("y @ y", 1, "nothing that a loss may be made of"),
        ("y < y < y", 1, "two things at a time"),
        ("1 < 2", 1, "compares two numbers"),
        ("y in y", 1, "only < <= >"),
        ("y - 'a'", 5, "expected a number, got 'a'"),
        ("y - True", 5, "expected a number, got True"),
        ("y - 2j", 5, "expected a number"),
        ("y - 1e999", 5, "too large"),
        ("y - 99999999999999999999", 5, "too large"),
        ("y - 9 ** 9 ** 9", 10, "raised to 387420489, more than 64"),
        ("y - 2 ** 64", 5, "too large"),
        ("y - 1e200 * 1e200", 5, "too large"),
        ("y - 2. ** 99999", 5, "too large"),
        ("y - (-8) ** .5", 5, "complex"),
        ("y - 1 / 0", 5, "divides by zero"),
        ("y - 3[0]", 5, "a number has no parts"),
        ("y[y]", 3, "expected a whole number here"),
        ("y[1.5]", 3, "expected a whole number here"),
        ("y[()]", 3, "expected one to 8 indices"),
        ("reduce_mean()", 1, "lacks its argument input_tensor"),
        ("reduce_mean(y, axes=0)", 16, "did you mean axis?"),
        ("reduce_mean(y, 0, axis=0)", 19, "given twice"),
        ("reduce_mean(y, 0, True, 3)", 25, "takes 3 arguments"),
        ("reduce_mean(y, axis=y)", 21, "expected a whole number here"),
        ("reduce_mean(y, keepdims=1)", 25, "expected True or False"),
        ("reduce_mean(*y)", 13, "a star"),
        ("reduce_mean(y, **y)", 16, "two stars"),
        ("cast(y, 'resource')", 9, "expected a dtype"),
        ("reshape(y, -1)", 12, "expected a list"),
        ("tf.nn.sigmoid_cross_entropy_with_logits(y, y)", 41, "labels=…, logits=…"),
        ("'ä' - y", 1, "expected a number"),
        ("y['ä'] - z", 10, "there is no z"),
        ("   y - z", 8, "there is no z"),
        ("y['a\\x41']", 5, "backslash"),
        ("y -", 4, "invalid syntax"),
        ("y; y", 2, "invalid syntax"),
        ("(y", 1, "never closed"),
    ],
)
def test_what_is_not_understood_is_named_by_its_column(source: str, column: int, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(source)
    said = str(caught.value)
    assert said.startswith(f"the loss expression, column {column}: "), said
    assert words in said
    assert "\n" not in said


def test_bounds() -> None:
    for source, words in (
        ("y" + " " * MAX_TEXT, "characters"),
        ("+".join("y" * (MAX_STEPS // 2 + 2)), "more than|nests deeper"),
        ("-" * (MAX_DEPTH + 2) + "y", "nests deeper"),
        ("-" * 1_900 + "y", "nests deeper|no Python expression"),
        ("(" * 900 + "y" + ")" * 900, "too many nested|no Python expression"),
        ("reduce_sum(" * 150 + "y" + ")" * 150, "nests deeper|too many"),
        ("9" * 1_900 + "-y", "too large"),
        ("", "empty"),
        ("   ", "empty"),
        ("1.0", "does not use y"),
        ("target", "does not use y"),
        ("y\0", "column|no Python"),
        ("y - \ud800", "column|no Python"),
    ):
        with pytest.raises(UsageError, match=words):
            parse(source)


steps = st.recursive(
    st.sampled_from(["y", "target", "y['a']", "1", "0.5", "y[0]", "y[:, 1]"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "<", "!="]), inner).map(lambda part: f"({' '.join(part)})"),
        inner.map(lambda part: f"(-{part})"),
        st.tuples(st.sampled_from(["exp", "tf.math.abs", "tf.nn.softmax", "reduce_max"]), inner).map(
            lambda part: f"{part[0]}({part[1]})"
        ),
        st.tuples(inner, inner).map(lambda part: f"maximum({part[0]}, {part[1]})"),
    ),
    max_leaves=20,
)


@given(steps)
def test_a_programs_script_is_the_same_program(source: str) -> None:
    try:
        found = parse(source)
    except UsageError:
        return
    assert parse(found.python).program == found.program
    assert python(json.loads(json.dumps(found.program))) == found.python


@given(st.one_of(st.text(), st.text(alphabet="y()[]'.,+-*/<=>:1e_ tfabs\n#")))
def test_any_text_is_understood_or_refused_in_one_sentence(source: str) -> None:
    try:
        found = parse(source)
    except UsageError as error:
        said = str(error)
    else:
        said = found.python
        ast.parse(said, mode="eval")
    assert said.isprintable()


def test_each_call_takes_something() -> None:
    for name, call in CALLS.items():
        assert call.values, name
        assert call.python.rpartition(".")[0] == call.homes[0]
