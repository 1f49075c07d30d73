"""The same run as a Python script that needs TensorFlow alone and prints the same losses and gradient norms."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfexplore.core import text
from tfexplore.core.finetune_plan import OPTIMIZERS, FinetunePlan, TuneVariable
from tfexplore.core.plan import Target
from tfexplore.core.scripts import CHILD, expression, load
from tfexplore.core.traces import Slot
from tfexplore.errors import ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

# Rows that are written into the script, where they are not in a file that NumPy reads.
_MAX_BYTES = 4 << 20
_KERAS = {
    "mse": "MeanSquaredError()",
    "mae": "MeanAbsoluteError()",
    "binary_crossentropy": "BinaryCrossentropy(from_logits={0})",
    "categorical_crossentropy": "CategoricalCrossentropy(from_logits={0})",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy(from_logits={0})",
}
_SLOTS = {
    "sgd": (), "adam": ("m", "v"), "adamw": ("m", "v"), "adamax": ("m", "v"), "nadam": ("m", "v"),
    "adagrad": ("accumulator",), "adadelta": ("accum_grad", "accum_var"), "rmsprop": ("rms", "momentum"),
    "ftrl": ("accumulator", "linear"),
}  # fmt: skip
_ADAM = """\
tf.raw_ops.ResourceApplyAdam(
    var=variable.handle, m=slot["m"].handle, v=slot["v"].handle, beta1_power=power({beta_1}, variable),
    beta2_power=power({beta_2}, variable), lr=rate, beta1=constant({beta_1}, variable),
    beta2=constant({beta_2}, variable), epsilon=constant({epsilon}, variable), grad=gradient)"""
_UPDATES = {
    "sgd": """\
if isinstance(gradient, tf.IndexedSlices):
    variable.scatter_sub(tf.IndexedSlices(gradient.values * rate, gradient.indices))
else:
    variable.assign_sub(rate * gradient)""",
    "momentum": """\
tf.raw_ops.ResourceApplyKerasMomentum(
    var=variable.handle, accum=slot["momentum"].handle, lr=rate, grad=gradient,
    momentum=constant({momentum}, variable), use_nesterov={nesterov})""",
    "adam": _ADAM,
    "adamw": "variable.assign_sub(variable * (rate * constant({weight_decay}, variable)))\n" + _ADAM,
    "adamax": """\
tf.raw_ops.ResourceApplyAdaMax(
    var=variable.handle, m=slot["m"].handle, v=slot["v"].handle, beta1_power=power({beta_1}, variable),
    lr=rate, beta1=constant({beta_1}, variable), beta2=constant({beta_2}, variable),
    epsilon=constant({epsilon}, variable), grad=gradient)""",
    "nadam": """\
beta_1, beta_2 = constant({beta_1}, variable), constant({beta_2}, variable)
slot["m"].assign(beta_1 * slot["m"] + (1 - beta_1) * gradient)
slot["v"].assign(beta_2 * slot["v"] + (1 - beta_2) * tf.square(gradient))
step = tf.cast(iteration + 1, tf.float64)
now, after = momentum_at(step), momentum_at(step + 1.0)
first = tf.cast(after / (1.0 - momentum_cache * after), variable.dtype) * slot["m"]
first += tf.cast((1.0 - now) / (1.0 - momentum_cache), variable.dtype) * gradient
second = slot["v"] / (1 - power({beta_2}, variable))
variable.assign_sub(rate * first / (tf.sqrt(second) + constant({epsilon}, variable)))""",
    "adagrad": """\
tf.raw_ops.ResourceApplyAdagradV2(
    var=variable.handle, accum=slot["accumulator"].handle, lr=rate, epsilon=constant({epsilon}, variable),
    grad=gradient)""",
    "adadelta": """\
tf.raw_ops.ResourceApplyAdadelta(
    var=variable.handle, accum=slot["accum_grad"].handle, accum_update=slot["accum_var"].handle, lr=rate,
    rho=constant({rho}, variable), epsilon=constant({epsilon}, variable), grad=gradient)""",
    "rmsprop": """\
tf.raw_ops.ResourceApplyRMSProp(
    var=variable.handle, ms=slot["rms"].handle, mom=slot["momentum"].handle, lr=rate, rho=constant({rho}, variable),
    momentum=constant({momentum}, variable), epsilon=constant({epsilon}, variable), grad=gradient)""",
    "ftrl": """\
tf.raw_ops.ResourceApplyFtrl(
    var=variable.handle, accum=slot["accumulator"].handle, linear=slot["linear"].handle, grad=gradient, lr=rate,
    l1=constant(0.0, variable), l2=constant(0.0, variable), lr_power=constant({learning_rate_power}, variable))""",
}


def script(target: Target, plan: FinetunePlan, steps: int) -> str:
    """The run as a script, without a final newline.

    Raises:
        UsageError: its rows or constants are too many to be written, and in no file that NumPy reads.
    """
    lines = ["import base64", "", "import numpy as np", "import tensorflow as tf", CHILD, load(target)]
    if plan.function is None:
        lines.append(f"function = model.signatures[{plan.signature!r}]")
    else:
        lines += [
            "function = model",
            f"for name in {plan.function.split('.')!r}:",
            "    function = child(function, name)",
        ]
    lines += _variables(plan)
    lines += _inputs(plan)
    lines += _optimizer(plan)
    lines += _step(plan)
    lines += _loop(plan, steps)
    found = "\n".join(lines)
    return found if "base64." in found else found.removeprefix("import base64\n\n")


def _variables(plan: FinetunePlan) -> list[str]:
    lines = ["", "variables = []", "for path in [", *_paths([one for one in plan.variables if one.train])]
    lines += [
        "]:",
        "    variable = model",
        "    for name in path:",
        "        variable = child(variable, name)",
        "    if variable.dtype.is_floating or variable.dtype.is_complex:",
        "        variables.append(variable)",
    ]
    held = [one for one in plan.variables if one.hold]
    if held:
        # The function may change them itself.
        lines += ["", "frozen = []", "for path in [", *_paths(held), "]:", "    variable = model"]
        lines += ["    for name in path:", "        variable = child(variable, name)"]
        lines.append("    frozen.append((variable, tf.Variable(variable)))")
    return lines


def _paths(variables: Sequence[TuneVariable]) -> list[str]:
    lines = []
    for one in variables:
        path, cut, _ = one.key.partition("/.ATTRIBUTES/")
        if not cut:
            raise UsageError("a script for variables of TensorFlow 1 is not written")
        lines.append(f"    {[_unescaped(part) for part in path.split('/')]!r},")
    return lines


def _unescaped(part: str) -> str:
    """A child's name from its form in a checkpoint key."""
    return part.replace("..", "\0").replace(".S", "/").replace("\0", ".")


def _inputs(plan: FinetunePlan) -> list[str]:
    lines = ["", "constants = {"]
    for name, array in plan.constants.items():
        if array.nbytes > _MAX_BYTES:
            raise UsageError(f"{text.label(name)} has {array.nbytes:,} bytes, too many for a script")
        lines.append(f"    {name!r}: tf.constant({expression(array)}),")
    lines.append("}")
    if plan.data is None:
        return lines
    lines += _rows(plan)
    return lines


def _rows(plan: FinetunePlan) -> list[str]:
    data, source = plan.data, plan.source
    assert data is not None
    known = _names_in(data.path)
    lines = [f"file = np.load({os.path.abspath(data.path)!r})"] if known else []
    lines.append("columns = {")
    wanted = {name: (source.mapping.get(name, name), array) for name, array in data.columns.items()}
    for name, (column, array) in wanted.items():
        lines.append(f"    {name!r}: tf.constant({_column(name, column, array, known)}),")
    lines.append("}")
    if data.target is not None and source.target is not None:
        lines.append(f"targets = tf.constant({_column('the target', source.target, data.target, known)})")
    return lines


def _names_in(path: str) -> frozenset[str]:
    """The arrays of an .npz file; none where it is another."""
    from tfexplore.core.json_values import read_file
    from tfexplore.formats import npy

    if not path.endswith(".npz"):
        return frozenset()
    try:
        return frozenset(npy.names_in(read_file(path, npy.MAX_BYTES), path=path))
    except (ModelError, UsageError):
        return frozenset()


def _column(name: str, column: str, array: Array, known: frozenset[str]) -> str:
    if column in known and array.dtype.kind in "biuf":
        return f"file[{column!r}].astype({array.dtype.name!r})"
    size = array.nbytes if array.dtype.kind != "O" else sum(len(one) for one in array.reshape(-1).tolist())
    if size > _MAX_BYTES:
        raise UsageError(
            f"the rows of {text.label(name)} have {size:,} bytes, too many for a script: give them as .npz"
        )
    return expression(array)


def _optimizer(plan: FinetunePlan) -> list[str]:
    kind = plan.optimizer.kind
    settings = {**OPTIMIZERS[kind], **plan.optimizer.settings}
    update, slots = kind, _SLOTS[kind]
    if kind == "sgd" and settings["momentum"]:
        update, slots = "momentum", ("momentum",)
    lines = ["", "iteration = tf.Variable(0, dtype=tf.int64)"]
    lines.append(f"learning_rate = tf.Variable({plan.optimizer.learning_rate!r}, dtype=tf.float64)")
    if slots:
        starts = {name: settings.get("initial_accumulator_value", 0.0) for name in slots if name == "accumulator"}
        lines += [
            f"starts = {starts!r}",
            "slots = [",
            "    {name: tf.Variable(tf.fill(tf.shape(one), tf.cast(starts.get(name, 0.0), one.dtype)))",
            f"     for name in {list(slots)!r}}}",
            "    for one in variables",
            "]",
        ]
    else:
        lines.append("slots = [{} for _ in variables]")
    lines += [
        "",
        "",
        "def constant(value, variable):",
        "    return tf.cast(value, variable.dtype)",
        "",
        "",
        "def power(value, variable):",
        "    step = tf.cast(iteration + 1, tf.float64)",
        "    return tf.cast(tf.pow(tf.constant(value, tf.float64), step), variable.dtype)",
    ]
    if kind == "nadam":
        lines += [
            "",
            "",
            "momentum_cache = tf.Variable(1.0, dtype=tf.float64)",
            "",
            "",
            "def momentum_at(step):",
            f"    return {settings['beta_1']!r} * (1.0 - 0.5 * tf.pow(tf.constant(0.96, tf.float64), step))",
        ]
    sparse = update != "sgd"
    lines += [
        "",
        "",
        "def update(gradient, variable, slot):",
        "    rate = tf.cast(learning_rate, variable.dtype)",
        *(["    gradient = tf.convert_to_tensor(gradient)"] if sparse else []),
        *("    " + line for line in _UPDATES[update].format(**settings).split("\n")),
    ]
    return lines


def _written(part: object, names: dict[str, str]) -> str:
    if isinstance(part, Slot):
        return names[part.name]
    if isinstance(part, list):
        return "[" + ", ".join(_written(one, names) for one in part) + "]"
    if isinstance(part, tuple):
        return "(" + "".join(f"{_written(one, names)}, " for one in part) + ")"
    if isinstance(part, dict):
        return "{" + ", ".join(f"{name!r}: {_written(one, names)}" for name, one in part.items()) + "}"
    return repr(part)


# As the child has it. Without the norms TensorFlow's optimizer of graphs makes another program of the same step, whose
# loss differs in the last bit now and then.
_NORM = """

def norm(gradient):
    if isinstance(gradient, tf.IndexedSlices):
        unique, places = tf.unique(gradient.indices)
        gradient = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(unique))
    if gradient.dtype.is_complex:
        gradient = tf.abs(gradient)
    if gradient.dtype in (tf.float16, tf.bfloat16):
        gradient = tf.cast(gradient, tf.float32)
    return tf.sqrt(2.0 * tf.cast(tf.nn.l2_loss(gradient), tf.float64))
"""


def _step(plan: FinetunePlan) -> list[str]:
    names = {name: f"constants[{name!r}]" for name in plan.constants}
    names |= {name: f"tf.gather(columns[{name!r}], rows)" for name in plan.columns}
    args, kwargs = plan.arguments
    given = [_written(part, names) for part in args] + ([f"**{_written(kwargs, names)}"] if kwargs else [])
    lines = [_NORM, ""]
    if not plan.eager:
        lines.append("@tf.function")
    lines += [
        "def step(rows):",
        "    with tf.GradientTape(watch_accessed_variables=False) as tape:",
        "        for variable in variables:",
        "            tape.watch(variable)",
        "        outputs = function(",
        *(f"            {one}," for one in given),
        "        )",
    ]
    loss = plan.loss
    if loss.output is None:
        lines += [
            "        leaves = tf.nest.flatten(outputs)",
            "        y = leaves[0] if len(leaves) == 1 else outputs",
        ]
    else:
        parts = loss.output.split("/") if plan.function is not None else [loss.output]
        lines += ["        y = outputs", f"        for name in {parts!r}:", "            y = child(y, name)"]
    if plan.data is not None and plan.data.target is not None:
        lines.append("        target = tf.gather(targets, rows)")
    if loss.expression is not None:
        lines += [f"        loss = tf.convert_to_tensor({loss.expression.python})"]
        lines += ["        if loss.shape.rank != 0:", "            loss = tf.reduce_mean(loss)"]
    else:
        lines.append(f"        loss = tf.keras.losses.{_KERAS[loss.kind].format(loss.from_logits)}(target, y)")
    lines.append("    gradients = tape.gradient(loss, variables)")
    if plan.optimizer.kind == "nadam":
        lines.append("    momentum_cache.assign(momentum_cache * momentum_at(tf.cast(iteration + 1, tf.float64)))")
    lines += [
        "    for gradient, variable, slot in zip(gradients, variables, slots):",
        "        if gradient is not None:",
        "            update(gradient, variable, slot)",
        "    iteration.assign_add(1)",
    ]
    if any(one.hold for one in plan.variables):
        lines += ["    for variable, value in frozen:", "        variable.assign(value)"]
    lines += [
        "    norms = [norm(gradient) for gradient in gradients if gradient is not None]",
        "    return tf.stack([tf.cast(tf.math.real(loss), tf.float64), *norms])",
    ]
    return lines


def _loop(plan: FinetunePlan, steps: int) -> list[str]:
    lines = ["", ""]
    if plan.data is None:
        lines += [f"for number in range({steps}):", "    rows = tf.zeros([0], tf.int64)"]
    else:
        order = "np.arange(count)"
        if plan.seed is not None:
            order = f'np.argsort(np.random.PCG64([{plan.seed}, epoch]).random_raw(count), kind="stable")'
        lines += [
            "def batches(count, size):",
            "    epoch = 0",
            "    while True:",
            f"        order = {order}",
            "        for start in range(0, count, size):",
            *(["            if start + size > count:", "                break"] if plan.drop_short else []),
            "            yield order[start : start + size]",
            "        epoch += 1",
            "",
            "",
            f"tf.random.set_seed({plan.seed})" if plan.seed is not None else "",
            f"drawn = batches({plan.data.rows}, {plan.batch})",
            f"for number in range({steps}):",
            "    rows = tf.constant(next(drawn))",
        ]
    return [
        *lines,
        "    loss, *norms = step(rows).numpy().tolist()",
        "    print(number + 1, loss, float(np.sqrt(np.dot(norms, norms))))",
    ]
