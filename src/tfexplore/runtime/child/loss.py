"""Losses: programs that `core/loss_expr.py` made of what a person wrote, and the standard ones.

A program's numbers stay Python's, and its steps are Python's operators and TensorFlow's functions, so that dtypes and
values come out as in a script to the last bit.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, Callable

import tensorflow as tf

from .serve import Refused

_MAX_DEPTH, _MAX_POWER = 100, 64
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "floordiv": operator.floordiv, "mod": operator.mod, "pow": operator.pow,
}  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge, "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip
# Function, how many values it takes, which options.
CALLS: dict[str, tuple[Callable[..., Any], int, tuple[str, ...]]] = {
    "abs": (tf.math.abs, 1, ()),
    "square": (tf.math.square, 1, ()),
    "squared_difference": (tf.math.squared_difference, 2, ()),
    "exp": (tf.math.exp, 1, ()),
    "expm1": (tf.math.expm1, 1, ()),
    "log": (tf.math.log, 1, ()),
    "log1p": (tf.math.log1p, 1, ()),
    "sqrt": (tf.math.sqrt, 1, ()),
    "rsqrt": (tf.math.rsqrt, 1, ()),
    "sin": (tf.math.sin, 1, ()),
    "cos": (tf.math.cos, 1, ()),
    "tanh": (tf.math.tanh, 1, ()),
    "erf": (tf.math.erf, 1, ()),
    "sign": (tf.math.sign, 1, ()),
    "sigmoid": (tf.math.sigmoid, 1, ()),
    "log_sigmoid": (tf.math.log_sigmoid, 1, ()),
    "softplus": (tf.math.softplus, 1, ()),
    "relu": (tf.nn.relu, 1, ()),
    "softmax": (tf.nn.softmax, 1, ("axis",)),
    "log_softmax": (tf.nn.log_softmax, 1, ("axis",)),
    "maximum": (tf.math.maximum, 2, ()),
    "minimum": (tf.math.minimum, 2, ()),
    "divide_no_nan": (tf.math.divide_no_nan, 2, ()),
    "reduce_mean": (tf.reduce_mean, 1, ("axis", "keepdims")),
    "reduce_sum": (tf.reduce_sum, 1, ("axis", "keepdims")),
    "reduce_max": (tf.reduce_max, 1, ("axis", "keepdims")),
    "reduce_min": (tf.reduce_min, 1, ("axis", "keepdims")),
    "reduce_logsumexp": (tf.reduce_logsumexp, 1, ("axis", "keepdims")),
    "clip_by_value": (tf.clip_by_value, 3, ()),
    "where": (tf.where, 3, ()),
    "one_hot": (tf.one_hot, 1, ("depth", "on_value", "off_value", "axis", "dtype")),
    "cast": (tf.cast, 1, ("dtype",)),
    "squeeze": (tf.squeeze, 1, ("axis",)),
    "expand_dims": (tf.expand_dims, 1, ("axis",)),
    "reshape": (tf.reshape, 1, ("shape",)),
    "stop_gradient": (tf.stop_gradient, 1, ()),
    "l2_loss": (tf.nn.l2_loss, 1, ()),
    "l2_normalize": (tf.math.l2_normalize, 1, ("axis", "epsilon")),
    "sigmoid_cross_entropy_with_logits": (
        lambda labels, logits: tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits), 2, (),
    ),
    "softmax_cross_entropy_with_logits": (
        lambda labels, logits, **more: tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits, **more),
        2, ("axis",),
    ),
    "sparse_softmax_cross_entropy_with_logits": (
        lambda labels, logits: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits), 2, (),
    ),
}  # fmt: skip


def evaluate(program: Any, names: Mapping[str, Any]) -> Any:
    """The tensor that a program gives: of any shape, as it was written.

    Args:
        program: see `core/loss_expr.py`.
        names: what `y` and `target` are: tensors, or nests of them that `["item", …]` takes apart.

    Raises:
        Refused: it is no program, or names what is not there; what TensorFlow raises passes.
    """
    try:
        found = _value(program, names, 0)
    except (TypeError, tf.errors.InvalidArgumentError) as error:
        y, target = names.get("y"), names.get("target")
        if isinstance(y, Mapping):
            raise _all_outputs(y) from error
        dtypes = [one.dtype for one in (y, target) if isinstance(one, tf.Tensor)]
        if len(dtypes) == 2 and dtypes[0] != dtypes[1]:
            message = f"y is {dtypes[0].name} in the loss, and target {dtypes[1].name}: {error}"
            hint = f"write tf.cast(target, tf.{dtypes[0].name})"
            raise Refused("wrong_input", message.partition("\n")[0], hint=hint) from error
        raise
    if isinstance(found, Mapping):
        raise _all_outputs(found)
    return tf.convert_to_tensor(found)


def _all_outputs(outputs: Mapping[str, Any]) -> Refused:
    return Refused(
        "wrong_input", f"y is all outputs in the loss: take one, y['name'], of: {', '.join(map(str, outputs))}"
    )


def _value(program: Any, names: Mapping[str, Any], depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise Refused("wrong_input", f"the loss nests deeper than {_MAX_DEPTH}")
    if not isinstance(program, list) or not program:
        raise _unknown(program)
    kind, parts = program[0], program[1:]
    if kind == "number" and len(parts) == 1 and type(parts[0]) in (int, float):
        return parts[0]
    if kind == "name" and len(parts) == 1 and isinstance(parts[0], str):
        if parts[0] not in names:
            raise Refused("wrong_input", f"the loss uses {parts[0]}, which is not given")
        return names[parts[0]]
    if kind == "item" and len(parts) == 2 and isinstance(parts[1], str):
        return _item(_value(parts[0], names, depth + 1), parts[1])
    if kind == "index" and len(parts) == 2 and isinstance(parts[1], list) and parts[1]:
        places = tuple(map(_place, parts[1]))
        whole = _value(parts[0], names, depth + 1)
        try:
            return whole[places[0] if len(places) == 1 else places]
        except (IndexError, KeyError, TypeError) as error:
            raise Refused("wrong_input", f"the loss takes a part that is not there: {error}") from error
    if kind == "unary" and len(parts) == 2 and parts[0] == "neg":
        return -_value(parts[1], names, depth + 1)
    if kind in ("binary", "compare") and len(parts) == 3:
        function = (_BINARY if kind == "binary" else _COMPARE).get(parts[0]) if isinstance(parts[0], str) else None
        if function is not None:
            one, other = _value(parts[1], names, depth + 1), _value(parts[2], names, depth + 1)
            if parts[0] == "pow" and isinstance(one, int) and isinstance(other, int) and abs(other) > _MAX_POWER:
                raise Refused("wrong_input", f"the loss raises a whole number to {other}")
            return function(one, other)
    if kind == "call" and len(parts) == 3 and isinstance(parts[0], str) and parts[0] in CALLS:
        call, count, options = CALLS[parts[0]]
        if isinstance(parts[1], list) and len(parts[1]) == count and isinstance(parts[2], dict):
            if parts[2].keys() <= set(options) and all(map(_is_literal, parts[2].values())):
                return call(*(_value(part, names, depth + 1) for part in parts[1]), **parts[2])
    raise _unknown(program)


def _unknown(program: Any) -> Refused:
    written = program[0] if isinstance(program, list) and program else program
    shown = written[:80] if isinstance(written, str) else type(written).__name__
    return Refused("wrong_input", f"no step of a loss is written so: {shown}")


def _item(whole: Any, name: str) -> Any:
    if not isinstance(whole, Mapping):
        raise Refused("wrong_input", f"the loss takes {name} out of a {type(whole).__name__}, which has no names")
    if name not in whole:
        raise Refused("wrong_input", f"the loss takes {name}, and there is only: {', '.join(map(str, whole))}")
    return whole[name]


def _place(part: Any) -> Any:
    if type(part) is int:
        return part
    if part == "...":
        return Ellipsis
    if isinstance(part, list) and len(part) == 4 and part[0] == "slice":
        if all(end is None or type(end) is int for end in part[1:]):
            return slice(*part[1:])
    raise _unknown(part)


def _is_literal(value: Any) -> bool:
    if isinstance(value, list):
        return all(type(part) is int for part in value)
    return value is None or isinstance(value, (bool, int, float, str))


# -- the standard ones --
# As Keras 3 computes them, with its epsilon and its order of steps: for float32 values and gradients are equal to the
# last bit, eagerly and compiled. The mean is over the whole batch (`sum_over_batch_size`). Other floats stay what they
# are, where Keras makes them float32; the logits behind a softmax are not looked for.

_EPSILON = 1e-7


def _alike(target: Any, y: Any) -> tuple[Any, Any]:
    """Both as tensors of the dtype of y; a last dimension of 1 that only one of them has is taken or given."""
    y = tf.convert_to_tensor(y)
    target = tf.convert_to_tensor(target)
    target = tf.cast(target, y.dtype) if target.dtype != y.dtype else target
    return _same_rank(target, y)


def _same_rank(target: Any, y: Any) -> tuple[Any, Any]:
    one, other = target.shape.rank, y.shape.rank
    if one is None or other is None or one == other:
        return target, y
    if one == other + 1 and target.shape[-1] == 1:
        return (target, tf.expand_dims(y, -1)) if other == 1 else (tf.squeeze(target, -1), y)
    if other == one + 1 and y.shape[-1] == 1:
        return (tf.expand_dims(target, -1), y) if one == 1 else (target, tf.squeeze(y, -1))
    return target, y


def _mean(values: Any) -> Any:
    if values.shape.rank == 0:
        return values
    return tf.math.divide_no_nan(tf.reduce_sum(values), tf.cast(tf.size(values), values.dtype))


def _same_axes(target: Any, y: Any) -> None:
    if target.shape.rank and y.shape.rank and target.shape.rank != y.shape.rank:
        raise Refused("wrong_input", f"the target has the shape {target.shape}, what the model gives {y.shape}")


def _same_shape(target: Any, y: Any) -> None:
    if not target.shape.is_compatible_with(y.shape):
        raise Refused("wrong_input", f"the target has the shape {target.shape}, what the model gives {y.shape}")


def mse(target: Any, y: Any) -> Any:
    """Mean squared error, a scalar. The shapes must be broadcastable, as Keras has it.

    Raises:
        Refused: one has an axis that the other lacks, so that rows would be compared with columns.
    """
    target, y = _alike(target, y)
    _same_axes(target, y)
    return _mean(tf.reduce_mean(tf.square(target - y), axis=-1))


def mae(target: Any, y: Any) -> Any:
    """Mean absolute error, a scalar; as `mse`."""
    target, y = _alike(target, y)
    _same_axes(target, y)
    return _mean(tf.reduce_mean(tf.abs(target - y), axis=-1))


def binary_crossentropy(target: Any, y: Any, from_logits: bool = False) -> Any:
    """Cross-entropy of independent yes-or-no answers, a scalar; `y` and `target` have one shape.

    Raises:
        Refused: the shapes differ.
    """
    target, y = _alike(target, y)
    _same_shape(target, y)
    if from_logits:
        values = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=y)
    else:
        y = tf.clip_by_value(y, _EPSILON, 1.0 - _EPSILON)
        values = target * tf.math.log(y)
        values += (1 - target) * tf.math.log(1 - y)
        values = -values
    return _mean(tf.reduce_mean(values, axis=-1))


def categorical_crossentropy(target: Any, y: Any, from_logits: bool = False) -> Any:
    """Cross-entropy of classes on the last axis, a scalar; `target` holds their probabilities.

    Raises:
        Refused: the shapes differ.
    """
    target, y = _alike(target, y)
    _same_shape(target, y)
    if from_logits:
        return _mean(tf.nn.softmax_cross_entropy_with_logits(labels=target, logits=y, axis=-1))
    y = y / tf.reduce_sum(y, -1, keepdims=True)
    y = tf.clip_by_value(y, _EPSILON, 1.0 - _EPSILON)
    return _mean(-tf.reduce_sum(target * tf.math.log(y), -1))


def sparse_categorical_crossentropy(target: Any, y: Any, from_logits: bool = False) -> Any:
    """Cross-entropy of classes on the last axis of `y`, a scalar; `target` holds their numbers, in one axis less.

    Raises:
        Refused: the shapes do not fit.
    """
    y = tf.convert_to_tensor(y)
    target = tf.cast(tf.convert_to_tensor(target), tf.int64)
    if target.shape.rank is not None and target.shape.rank == y.shape.rank and target.shape[-1] == 1:
        target = tf.squeeze(target, axis=-1)
    _same_shape(target, y[..., 0])
    if not from_logits:
        y = tf.math.log(tf.clip_by_value(y, _EPSILON, 1 - _EPSILON))
    return _mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=y))


LOSSES: dict[str, Callable[..., Any]] = {
    "mse": mse,
    "mae": mae,
    "binary_crossentropy": binary_crossentropy,
    "categorical_crossentropy": categorical_crossentropy,
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
}
# Those that take `from_logits`.
CROSSENTROPIES = ("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy")
