"""The same call as a curl command, a line of saved_model_cli, or a Python script that runs as it stands."""

from __future__ import annotations

import base64
import json
import math
import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfexplore.core import text
from tfexplore.core.plan import Plan, Target
from tfexplore.core.shapes import format_shape
from tfexplore.core.values import to_plain
from tfexplore.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

FORMS = ("curl", "python", "saved_model_cli")
# An input of more elements is written as base64; one of more bytes is not written at all.
_MAX_ELEMENTS = 1000
_MAX_BYTES = 4 << 20
# Linux takes no word of a command line of more than 128 KiB.
_MAX_WORD = 120_000


def script(form: str, target: Target, plan: Plan, *, loader: str | None = None) -> str:
    """The call in another form, without a final newline.

    Args:
        form: one of `FORMS`.
        loader: `v1` where the model is of TensorFlow 1.

    Raises:
        UsageError: the call cannot be written so; says why.
    """
    for name, array in plan.arrays.items():
        if array.nbytes > _MAX_BYTES:
            raise UsageError(f"{text.label(name)} has {array.nbytes:,} bytes, too many for a script: save it as .npy")
    if form == "python":
        return _python(target, plan, loader)
    if plan.signature is None or plan.fetches:
        raise UsageError(f"--as {form} calls signatures; --as python writes any call")
    return _curl(target, plan) if form == "curl" else _saved_model_cli(target, plan)


def _curl(target: Target, plan: Plan) -> str:
    """A request to TensorFlow Serving's RESTful API, whose predict requests have column format."""
    from urllib.parse import quote

    folder = os.path.basename(os.path.abspath(target.path))
    parent = os.path.basename(os.path.dirname(os.path.abspath(target.path)))
    name = quote(os.fsencode(parent if folder.isdigit() and parent else folder), safe="")
    inputs = {one: _json(_written(one, array)) for one, array in plan.arrays.items()}
    body = json.dumps({"signature_name": plan.signature, "inputs": inputs}, ensure_ascii=True)
    start = f"curl -X POST http://localhost:8501/v1/models/{name}:predict -d"
    if len(body) > _MAX_WORD:
        return f"{start} @- <<'EOF'\n{body}\nEOF"
    return f"{start} {shlex.quote(body)}"


def _written(name: str, array: Array) -> Array:
    """An array whose shape nested lists can tell.

    Raises:
        UsageError: they cannot.
    """
    if not array.size and 0 in array.shape[:-1]:
        raise UsageError(
            f"{text.label(name)} has the shape {format_shape(array.shape)}, which no list tells; --as python writes it"
        )
    return array


def _json(array: Array) -> Any:
    if array.dtype.kind == "O":
        if array.ndim == 0:
            value: Any = array[()]
            return {"b64": base64.b64encode(value).decode("ascii")}
        return [_json(array[index, ...]) for index in range(array.shape[0])]
    return to_plain(array)


def _saved_model_cli(target: Target, plan: Plan) -> str:
    if target.form != "saved_model":
        raise UsageError("saved_model_cli runs SavedModels only; --as python writes this call")
    if any(character in name for name in plan.arrays for character in ";="):
        raise UsageError("saved_model_cli takes no input whose name holds ; or =; --as python writes this call")
    expressions = ";".join(f"{name}={_literal(name, array)}" for name, array in plan.arrays.items())
    words = ["saved_model_cli", "run", "--dir", target.path, "--tag_set", ",".join(target.tag_set or ())]
    words += ["--signature_def", str(plan.signature)]
    if plan.arrays:
        words += ["--input_exprs", expressions]
    if not all(map(str.isprintable, words)):
        raise UsageError("a name holds what no command line can show; --as python writes this call")
    if len(expressions) > _MAX_WORD:
        raise UsageError("the inputs are too large for a command line; --as python writes this call")
    return " ".join(map(shlex.quote, words))


def _literal(name: str, array: Array) -> str:
    """An array as what `ast.literal_eval` takes, which is what saved_model_cli reads values with."""
    array = _written(name, array)
    if array.dtype.kind == "O":
        # The tool splits at semicolons before it looks at the values.
        return repr(array.tolist()).replace(";", "\\x3b")
    found = repr(array.tolist() if array.dtype.kind in "biufc" else to_plain(array))
    if "nan" in found:
        raise UsageError(
            f"{text.label(name)} holds NaN, which saved_model_cli has no way to write; --as python writes it"
        )
    return found.replace("inf", "1e999")


# -- Python --


def expression(array: Array) -> str:
    """An array as a Python expression, exact to the bit; `np` is numpy."""
    if array.dtype.kind == "O":
        return f"np.array({array.tolist()!r}, dtype=object)" + ("" if array.size else f".reshape({array.shape!r})")
    name = array.dtype.name
    raw = array.tobytes()
    is_builtin = array.dtype.isbuiltin == 1
    if is_builtin and array.size <= _MAX_ELEMENTS:
        return f"np.array({_nested(array)}, {name!r})" + ("" if array.size else f".reshape({array.shape!r})")
    if is_builtin and raw == raw[: array.itemsize] * array.size:
        return f"np.full({array.shape!r}, {_number(array.flat[0])}, {name!r})"
    packed = base64.b64encode(raw).decode("ascii")
    dtype = repr(name) if is_builtin else f"tf.as_dtype({name!r}).as_numpy_dtype"
    return f"np.frombuffer(base64.b64decode({packed!r}), {dtype}).reshape({array.shape!r})"


def _nested(array: Array) -> str:
    if array.ndim == 0:
        return _number(array[()])
    return "[" + ", ".join(_nested(array[index, ...]) for index in range(array.shape[0])) + "]"


def _number(value: Any) -> str:
    plain = value.item()
    if isinstance(plain, complex):
        return f"complex({_float(plain.real)}, {_float(plain.imag)})"
    return _float(plain) if isinstance(plain, float) else repr(plain)


def _float(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'


_PRINT = """
for name, value in {pairs}:
    print(name, value.dtype.name if hasattr(value.dtype, "name") else value.dtype, list(value.shape))
    print(value)"""


CHILD = """
def child(value, name):
    if isinstance(value, (list, tuple)):
        return value[int(name)]
    return value[name] if isinstance(value, dict) else getattr(value, name)
"""


def _python(target: Target, plan: Plan, loader: str | None) -> str:
    inputs = {name: expression(array) for name, array in plan.arrays.items()}
    head = ["import base64"] if any("base64." in one for one in inputs.values()) else []
    lines = [*head, *([""] if head else []), "import numpy as np", "import tensorflow as tf", ""]
    if plan.function is not None:
        lines += _function(target, plan, inputs)
    elif plan.fetches or target.form != "saved_model" or loader == "v1":
        if plan.body is not None:
            raise UsageError("a tensor inside a function has no short script: fetch one of the main graph")
        lines += _session(target, plan, inputs)
    else:
        lines += _signature(target, plan, inputs)
    return "\n".join(lines)


def load(target: Target) -> str:
    """The line that loads a SavedModel as `model`."""
    tags = "" if target.tag_set is None else f", tags={list(target.tag_set)!r}"
    return f"model = tf.saved_model.load({target.path!r}{tags})"


def _signature(target: Target, plan: Plan, inputs: dict[str, str]) -> list[str]:
    lines = [load(target), f"function = model.signatures[{plan.signature!r}]", "inputs = {"]
    lines += [f"    {name!r}: tf.constant({expression})," for name, expression in inputs.items()]
    lines += ["}", "outputs = function(**inputs)"]
    return [*lines, _PRINT.format(pairs="((name, value.numpy()) for name, value in outputs.items())").lstrip("\n")]


def _function(target: Target, plan: Plan, inputs: dict[str, str]) -> list[str]:
    from tfexplore.core.traces import Slot

    def written(part: object) -> str:
        if isinstance(part, Slot):
            return f"tf.constant({inputs[part.name]})"
        if isinstance(part, list):
            return "[" + ", ".join(map(written, part)) + "]"
        if isinstance(part, tuple):
            return "(" + "".join(f"{written(one)}, " for one in part) + ")"
        if isinstance(part, dict):
            return "{" + ", ".join(f"{name!r}: {written(one)}" for name, one in part.items()) + "}"
        return repr(part)

    assert plan.arguments is not None
    args, kwargs = plan.arguments
    arguments = [*map(written, args), *([f"**{written(kwargs)}"] if kwargs else [])]
    steps = str(plan.function).split(".")
    lines = [load(target)]
    if len(steps) == 1:
        lines.append(f"function = getattr(model, {steps[0]!r})")
    else:
        lines += [CHILD, "function = model", f"for step in {steps!r}:"]
        lines += ["    function = child(function, step)"]
    lines += ["outputs = function(", *(f"    {argument}," for argument in arguments), ")"]
    return [*lines, "tf.nest.map_structure(lambda value: print(value.numpy()), outputs)"]


def _session(target: Target, plan: Plan, inputs: dict[str, str]) -> list[str]:
    lines = [] if target.form != "graph_def" else ["from google.protobuf import message, text_format", ""]
    lines += ["graph = tf.Graph()", "with graph.as_default(), tf.compat.v1.Session() as session:"]
    names: Sequence[str] = plan.fetches
    fed = {name: repr(name if ":" in name else f"{name}:0") for name in inputs}
    fetch = "{" + ", ".join(f"{name!r}: {(name if ':' in name else f'{name}:0')!r}" for name in names) + "}"
    if target.form == "saved_model":
        lines.append(
            f"    meta = tf.compat.v1.saved_model.load(session, {list(target.tag_set or ())!r}, {target.path!r})"
        )
        if plan.signature is not None:
            lines.append(f"    signature = meta.signature_def[{plan.signature!r}]")
            # Tensors that are fed by name are there with their output's number.
            fed |= {name: f"signature.inputs[{name!r}].name" for name in inputs if ":" not in name}
            if not names:
                fetch = "{name: info.name for name, info in signature.outputs.items()}"
    elif target.form == "meta_graph":
        lines.append(f"    saver = tf.compat.v1.train.import_meta_graph({target.path!r}, clear_devices=True)")
        if target.checkpoint is not None:
            lines.append(f"    saver.restore(session, {target.checkpoint!r})")
    else:
        lines += [
            "    graph_def = tf.compat.v1.GraphDef()",
            f"    with open({target.path!r}, 'rb') as file:",
            "        data = file.read()",
            "    try:",
            "        graph_def.ParseFromString(data)",
            "    except message.DecodeError:",
            "        text_format.Parse(data.decode(), graph_def)",
            "    tf.import_graph_def(graph_def, name='')",
        ]
    lines.append("    inputs = {")
    lines += [f"        {fed[name]}: {expression}," for name, expression in inputs.items()]
    lines += ["    }", f"    outputs = session.run({fetch}, inputs)"]
    return [
        *lines,
        "for name, value in outputs.items():",
        "    print(name, np.asarray(value).dtype.name)",
        "    print(value)",
    ]
