"""The functions that a loss expression may call: how TensorFlow spells them, and what they take."""

from __future__ import annotations

from typing import NamedTuple

# What stands for an option: an int; an int, a list of them or None; a list of ints; a number; True or False; a dtype.
INT, AXIS, INTS, NUMBER, FLAG, DTYPE = "int", "axis", "ints", "number", "flag", "dtype"
DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")


class Option(NamedTuple):
    """An argument that is written out and not computed."""

    kind: str
    required: bool


class Call(NamedTuple):
    """One function.

    Attributes:
        python: how a script writes it: `tf.reduce_mean`.
        homes: what may stand before its name: `tf`, `tf.math`, `tf.nn`.
        values: the arguments that are computed, all of them required, in order; they come before the options.
        options: the others by name, in TensorFlow's order.
        by_name: whether TensorFlow takes the arguments by name only.
    """

    python: str
    homes: tuple[str, ...]
    values: tuple[str, ...]
    options: dict[str, Option]
    by_name: bool


def _calls(table: str) -> dict[str, Call]:
    found = {}
    for line in table.strip().splitlines():
        name, homes, *arguments = line.split()
        by_name = arguments[0] == "*"
        values = tuple(word for word in arguments if word.isidentifier())
        options = {}
        for word in arguments[len(values) + by_name :]:
            option, _, kind = word.partition(":")
            options[option] = Option(kind.rstrip("!"), kind.endswith("!"))
        places = tuple(homes.split(","))
        found[name] = Call(f"{places[0]}.{name}", places, values, options, by_name)
    return found


# Name, homes (a script uses the first), values, options; `!` marks one that must be given, `*` arguments by name only.
CALLS = _calls("""
abs tf.math,tf x
square tf.math,tf x
squared_difference tf.math x y
exp tf.math,tf x
expm1 tf.math x
log tf.math x
log1p tf.math x
sqrt tf.math,tf x
rsqrt tf.math x
sin tf.math,tf x
cos tf.math,tf x
tanh tf.math,tf,tf.nn x
erf tf.math x
sign tf.math,tf x
sigmoid tf.math,tf,tf.nn x
log_sigmoid tf.math x
softplus tf.math,tf.nn features
relu tf.nn features
softmax tf.nn logits axis:axis
log_softmax tf.nn logits axis:axis
maximum tf.math,tf x y
minimum tf.math,tf x y
divide_no_nan tf.math x y
reduce_mean tf,tf.math input_tensor axis:axis keepdims:flag
reduce_sum tf,tf.math input_tensor axis:axis keepdims:flag
reduce_max tf,tf.math input_tensor axis:axis keepdims:flag
reduce_min tf,tf.math input_tensor axis:axis keepdims:flag
reduce_logsumexp tf,tf.math input_tensor axis:axis keepdims:flag
clip_by_value tf t clip_value_min clip_value_max
where tf condition x y
one_hot tf indices depth:int! on_value:number off_value:number axis:int dtype:dtype
cast tf x dtype:dtype!
squeeze tf input axis:axis
expand_dims tf input axis:int!
reshape tf tensor shape:ints!
stop_gradient tf input
l2_loss tf.nn t
l2_normalize tf.math,tf.nn x axis:axis epsilon:number
sigmoid_cross_entropy_with_logits tf.nn * labels logits
softmax_cross_entropy_with_logits tf.nn * labels logits axis:int
sparse_softmax_cross_entropy_with_logits tf.nn * labels logits
""")
# What people write for a function of another name.
MEANT = {
    "mean": "reduce_mean",
    "sum": "reduce_sum",
    "max": "maximum or reduce_max",
    "min": "minimum or reduce_min",
    "logsumexp": "reduce_logsumexp",
    "clip": "clip_by_value",
    "pow": "the operator **",
    "add": "the operator +",
    "subtract": "the operator -",
    "multiply": "the operator *",
    "divide": "the operator /",
    "float": "cast",
    "argmax": "reduce_max (argmax has no gradient)",
    "round": "a smooth function (round has no gradient)",
}
