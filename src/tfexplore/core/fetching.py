"""Python that fetches a part of a model with TensorFlow: statements that run as they are, one a line.

Names and paths are literals by `repr`, so that nothing in them is code, or is run by being pasted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfexplore.core.copied import literal
from tfexplore.formats.saved_model import FILE_NAME, TEXT_NAME

if TYPE_CHECKING:
    from tfexplore.core.checkpoint import Checkpoint
    from tfexplore.core.meta_graph import MetaGraph

_TF = "import tensorflow as tf"
_STEP = "lambda at, step: at[int(step)] if isinstance(at, (list, tuple)) else getattr(at, step)"


def _script(*lines: str) -> str:
    return "\n".join((_TF, *lines))


def checkpoint(prefix: str) -> str:
    """A reader of a checkpoint."""
    return _script(f"reader = tf.train.load_checkpoint({literal(os.path.abspath(prefix))})")


def value(checkpoint: Checkpoint, key: str) -> str:
    """The value of a checkpoint key."""
    prefix = literal(os.path.abspath(checkpoint.prefix))
    return _script(f"value = tf.train.load_checkpoint({prefix}).get_tensor({literal(key)})")


def _folder(owner: MetaGraph) -> str | None:
    """The SavedModel's folder, from which TensorFlow loads it; None where it is no SavedModel or none that it finds."""
    folder, name = os.path.split(os.path.abspath(owner.path))
    return folder if owner.folder is not None and name in (FILE_NAME, TEXT_NAME) else None


def _load(owner: MetaGraph) -> str | None:
    folder = _folder(owner)
    if folder is None:
        return None
    tags = ", ".join(map(literal, owner.tags))
    return f"tf.saved_model.load({literal(folder)}, tags=[{tags}])"


def model(owner: MetaGraph) -> str | None:
    """The MetaGraph as TensorFlow loads it: a SavedModel's objects and signatures, else its graph."""
    load = _load(owner)
    return _script(*_graph(owner)) if load is None else _script(f"model = {load}")


def saved_model(folder: str) -> str:
    """A SavedModel that has not been opened."""
    return _script(f"model = tf.saved_model.load({literal(os.path.abspath(folder))})")


def signature(owner: MetaGraph, name: str) -> str | None:
    """One signature, as a function."""
    load = _load(owner)
    return None if load is None else _script(f"function = {load}.signatures[{literal(name)}]")


def signature_tensor(owner: MetaGraph, name: str, tensor: str, *, is_input: bool) -> str | None:
    """An input's TensorSpec, or an output's symbolic tensor."""
    load = _load(owner)
    if load is None:
        return None
    where = "structured_input_signature[1]" if is_input else "structured_outputs"
    return _script(f"model = {load}", f"tensor = model.signatures[{literal(name)}].{where}[{literal(tensor)}]")


def object_(owner: MetaGraph, steps: Sequence[str]) -> str | None:
    """An object of the SavedModel, along attributes and places in lists from its root."""
    load = _load(owner)
    if load is None:
        return None
    if not steps:
        return _script(f"model = {load}")
    names = ", ".join(map(literal, steps))
    return "\n".join(
        ("import functools", _TF, f"model = {load}", f"found = functools.reduce({_STEP}, [{names}], model)")
    )


def _graph(owner: MetaGraph) -> list[str]:
    """Statements that make `graph_def` and `graph` without running, or restoring, anything of the model."""
    path = os.path.abspath(owner.path)
    is_text = path.endswith((".pbtxt", ".pbtxt.gz", ".txt", ".txt.gz", ".prototxt"))
    data = _bytes(path)
    lines = ["import pathlib"]
    if path.endswith(".gz"):
        data = f"gzip.decompress({data})"
        lines.append("import gzip")
    if owner.is_lone_graph:
        kind, graph_def = "tf.compat.v1.GraphDef", "message"
    elif owner.folder is None:
        kind, graph_def = "tf.compat.v1.MetaGraphDef", "message.graph_def"
    else:
        lines.append("from tensorflow.core.protobuf import saved_model_pb2")
        tags = ", ".join(sorted(map(literal, owner.tags)))
        kind = "saved_model_pb2.SavedModel"
        graph_def = f"next(m for m in message.meta_graphs if sorted(m.meta_info_def.tags) == [{tags}]).graph_def"
    if is_text:
        lines.append("from google.protobuf import text_format")
    lines.append(
        f"message = text_format.Parse({data}, {kind}())" if is_text else f"message = {kind}.FromString({data})"
    )
    lines.append(f"graph_def = {graph_def}")
    return lines


_MAIN = "graph = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph_def, name=''), []).graph"


def _in_graph(owner: MetaGraph, function: str | None) -> list[str]:
    """Statements that make `graph`: the main graph, or the body of a function."""
    if function is None:
        return [*_graph(owner), _MAIN]
    return [
        *_graph(owner),
        "from tensorflow.python.framework.function_def_to_graph import function_def_to_graph",
        f"body = next(f for f in graph_def.library.function if f.signature.name == {literal(function)})",
        # The functions that it calls are known within the graph that has the library.
        "library = tf.compat.v1.GraphDef(library=graph_def.library, versions=graph_def.versions)",
        "bodies = []",
        "load = lambda: (tf.import_graph_def(library, name=''), bodies.append(function_def_to_graph(body)))[:0]",
        "outer = tf.compat.v1.wrap_function(load, [])",
        "graph = bodies[0]",
    ]


def graph(owner: MetaGraph, function: str | None) -> str:
    """The main graph, or the body of a function."""
    return _script(*_in_graph(owner, function))


def tensor(owner: MetaGraph, function: str | None, name: str) -> str:
    """A tensor by name (`dense/MatMul:0`)."""
    return _script(*_in_graph(owner, function), f"tensor = graph.get_tensor_by_name({literal(name)})")


def operation(owner: MetaGraph, function: str | None, name: str) -> str:
    """A node without outputs."""
    return _script(*_in_graph(owner, function), f"op = graph.get_operation_by_name({literal(name)})")


def operations(owner: MetaGraph, function: str | None, op: str) -> str:
    """All nodes of an op type."""
    return _script(
        *_in_graph(owner, function), f"ops = [op for op in graph.get_operations() if op.type == {literal(op)}]"
    )


def returned(owner: MetaGraph, function: str, number: int) -> str:
    """An output of a function's body."""
    return _script(*_in_graph(owner, function), f"tensor = graph.outputs[{number}]")


def file(path: str) -> str:
    """The bytes of a file."""
    return f"import pathlib\ndata = {_bytes(path)}"


def _bytes(path: str) -> str:
    return f"pathlib.Path({literal(os.path.abspath(path))}).read_bytes()"
