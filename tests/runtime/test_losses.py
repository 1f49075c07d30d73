"""The child's losses beside hand-written TensorFlow and beside Keras, to the last bit."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from tfexplore.core.loss_calls import CALLS
from tfexplore.core.loss_expr import parse


@pytest.fixture(scope="module")
def loss(tf: Any) -> Any:
    from tfexplore.runtime.child import loss as module

    return module


def bits(tensor: Any) -> tuple[str, tuple[int, ...], bytes]:
    array = np.asarray(tensor)
    return array.dtype.name, array.shape, array.tobytes()


EXPRESSIONS = [
    "(10. - y) ** 2",
    "(10 - y) ** 2",
    "1e-3 + y / 3 - -y * 0.1",
    "y ** 0.5 // 0.25 % 0.7",
    "2 ** 3 * y",
    "7 // 2 * y + 1 / 3",
    "tf.reduce_mean(tf.math.abs(target - y))",
    "tf.reduce_mean(tf.square(target - y), axis=[0], keepdims=True)",
    "tf.where(y > target, y, 0.5 * target) + tf.where(y != 1, target * 1.5, y)",
    "-tf.reduce_sum(tf.math.log(tf.clip_by_value(y, 1e-7, 1. - 1e-7)) * target)",
    "tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=y))",
    "tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=y))",
    "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.cast(target[:, 0], tf.int64), logits=y)",
    "tf.math.maximum(y, tf.stop_gradient(target)) + tf.expand_dims(tf.squeeze(y[:, 1:2], axis=-1), axis=-1)",
    "tf.one_hot(tf.cast(target[:, 0] * 3, tf.int32), 4, on_value=0.9, off_value=-.1) - tf.cast(y, tf.float32)",
    "tf.reshape(y, [-1]) + tf.reshape(target, (12,))",
    "tf.nn.log_softmax(y)[..., -1] + tf.math.log1p(y)[::-1, 0]",
    "tf.math.softplus(y) * tf.sigmoid(target) + tf.tanh(y) - tf.sin(y) * tf.cos(y)",
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("source", EXPRESSIONS)
def test_expressions_equal_the_script(tf: Any, loss: Any, source: str, dtype: str) -> None:
    generator = np.random.default_rng(7)
    y = tf.constant(generator.uniform(0.05, 0.95, (3, 4)), dtype)
    target = tf.constant(generator.uniform(0, 1, (3, 4)), dtype)
    found = parse(source)
    by_hand = eval(f"lambda y, target: {source}", {"tf": tf})
    script = eval(f"lambda y, target: {found.python}", {"tf": tf})

    def ours(y: Any, target: Any) -> Any:
        return loss.evaluate(found.program, {"y": y, "target": target})

    def with_gradient(function: Any) -> Any:
        def run(y: Any, target: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(y)
                value = function(y, target)
            return value, tape.gradient(value, y)

        return run

    for wrap in (with_gradient, lambda function: tf.function(with_gradient(function), autograph=False)):
        mine, theirs, scripts = (wrap(function)(y, target) for function in (ours, by_hand, script))
        assert list(map(bits, mine)) == list(map(bits, theirs)) == list(map(bits, scripts))


def test_parts_of_several_outputs(tf: Any, loss: Any) -> None:
    y = {"a": tf.constant([1.0, 2.0]), "b": [tf.constant(3.0), tf.constant(4.0)]}
    program = parse("y['a'] * y['b'][1]").program
    assert loss.evaluate(program, {"y": y}).numpy().tolist() == [4.0, 8.0]


def test_the_table_is_the_same_on_both_sides(tf: Any, loss: Any) -> None:
    assert set(loss.CALLS) == set(CALLS)
    for name, call in CALLS.items():
        function, count, options = loss.CALLS[name]
        assert (count, options) == (len(call.values), tuple(call.options)), name
        for home in call.homes:
            found: Any = eval(f"{home}.{name}", {"tf": tf})
            taken = [part for part in inspect.signature(found).parameters if part != "name"]
            assert taken[: count + len(options)] == [*call.values, *call.options], (name, home)
            kinds = inspect.signature(found).parameters
            for option, what in call.options.items():
                assert (kinds[option].default is inspect.Parameter.empty) == what.required, (name, option)
            if not call.by_name:
                assert found is function, (name, home)


@pytest.mark.parametrize(
    "program",
    [
        [], "y", None, 3, ["number"], ["number", "1"], ["number", True], ["number", 1, 2], ["name", 3],
        ["eval", "1"], ["call", "exec", [["name", "y"]], {}], ["call", "abs", [], {}], ["call", "abs", ["name"], {}],
        ["call", "abs", [["name", "y"]], {"name": "x"}], ["call", "reduce_sum", [["name", "y"]], {"axis": {}}],
        ["call", ["abs"], [["name", "y"]], {}], ["binary", "matmul", ["name", "y"], ["name", "y"]],
        ["binary", [], ["name", "y"], ["name", "y"]], ["unary", "not", ["name", "y"]], ["name", "target"],
        ["item", ["name", "y"], "a"], ["index", ["name", "y"], [["slice", 1]]], ["index", ["name", "y"], ["a"]],
        ["index", ["name", "y"], []], ["binary", "pow", ["number", 9], ["number", 999999]],
    ],
)  # fmt: skip
def test_what_is_no_program_is_refused(tf: Any, loss: Any, program: Any) -> None:
    from tfexplore.runtime.child.serve import Refused

    with pytest.raises(Refused):
        loss.evaluate(program, {"y": tf.constant([1.0])})


def test_a_deep_program_is_refused(tf: Any, loss: Any) -> None:
    from tfexplore.runtime.child.serve import Refused

    program: Any = ["name", "y"]
    for _ in range(5_000):
        program = ["unary", "neg", program]
    with pytest.raises(Refused):
        loss.evaluate(program, {"y": tf.constant([1.0])})


CASES = [
    ("mse", {}, (5, 3), (5, 3)),
    ("mse", {}, (5,), (5, 1)),
    ("mse", {}, (5, 1), (5,)),
    ("mae", {}, (5, 4, 3), (5, 4, 3)),
    ("mae", {}, (7,), (7,)),
    ("mae", {}, (5, 4, 1), (5, 4)),
    ("binary_crossentropy", {"from_logits": False}, (9,), (9, 1)),
    ("binary_crossentropy", {"from_logits": True}, (9, 1), (9, 1)),
    ("binary_crossentropy", {"from_logits": False}, (6, 5), (6, 5)),
    ("binary_crossentropy", {"from_logits": True}, (6, 5), (6, 5)),
    ("categorical_crossentropy", {"from_logits": False}, (8, 5), (8, 5)),
    ("categorical_crossentropy", {"from_logits": True}, (8, 5), (8, 5)),
    ("categorical_crossentropy", {"from_logits": True}, (4, 3, 5), (4, 3, 5)),
    ("sparse_categorical_crossentropy", {"from_logits": False}, (8,), (8, 5)),
    ("sparse_categorical_crossentropy", {"from_logits": True}, (8, 1), (8, 5)),
    ("sparse_categorical_crossentropy", {"from_logits": True}, (4, 3), (4, 3, 5)),
]
KERAS = {
    "mse": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "binary_crossentropy": "BinaryCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
}


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("compiled", [False, True])
def test_standard_losses_equal_keras(tf: Any, loss: Any, case: int, compiled: bool) -> None:
    name, options, target_shape, shape = CASES[case]
    generator = np.random.default_rng(case)
    y = generator.uniform(0, 1, shape)
    y.reshape(-1)[:2] = 0, 1  # past the epsilon on both sides
    if options.get("from_logits"):
        y = generator.standard_normal(shape) * 8
    target: Any = generator.integers(0, 2, target_shape).astype("int64")
    if name == "sparse_categorical_crossentropy":
        target = generator.integers(0, shape[-1], target_shape)
    elif name != "binary_crossentropy":
        target = generator.uniform(0, 1, target_shape).astype("float32")
    keras = getattr(tf.keras.losses, KERAS[name])(**options)

    def ours(target: Any, y: Any) -> Any:
        return loss.LOSSES[name](target, y, **options)

    found = []
    for function in (ours, keras):

        def with_gradient(target: Any, y: Any, function: Any = function) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(y)
                value = function(target, y)
            return value, tape.gradient(value, y)

        run = tf.function(with_gradient) if compiled else with_gradient
        found.append(list(map(bits, run(tf.constant(target), tf.constant(y, tf.float32)))))
    assert found[0] == found[1]
    assert found[0][0][1] == ()


def test_shapes_that_do_not_fit_are_said(tf: Any, loss: Any) -> None:
    from tfexplore.runtime.child.serve import Refused

    for name in loss.CROSSENTROPIES:
        with pytest.raises(Refused, match="the target has the shape"):
            loss.LOSSES[name](tf.zeros([3, 2]), tf.zeros([4, 2]))
