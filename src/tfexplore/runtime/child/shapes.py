"""What TensorFlow's shape inference tells of a graph: it is imported as it is stored, and nothing of it is called."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import tensorflow as tf

from . import loading, tensors
from .frames import Tensor
from .serve import Answer, Refused, Request

# Nodes whose shapes are told; of more the rest is not.
MAX_NODES = 200_000


def infer(request: Request, kept: dict[Any, Any]) -> Answer:
    """The static shapes of all outputs in the main graph, or in the body of the function named.

    Args:
        kept: the GraphDef that was read last, by its place.

    Raises:
        Refused: there is no such function, or the file holds no graph.
        Exception: whatever TensorFlow raises.
    """
    where = loading.place({**request.params, "loader": "v1"})
    if where not in kept:
        request.progress("reading the graph")
        kept.clear()
        kept[where] = _read(where)
    name = request.params.get("function")
    request.progress("inferring shapes")
    graph = tf.Graph()
    with graph.as_default():
        found = kept[where] if name is None else _body(kept[where], str(name))
        tf.import_graph_def(found, name="")
    request.progress("telling shapes")
    operations = graph.get_operations()
    shapes = {op.name: [tensors.dims(one.shape) for one in op.outputs] for op in operations[:MAX_NODES] if op.outputs}
    data = json.dumps(shapes, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return {"nodes": len(operations)}, [Tensor("shapes", "uint8", (len(data),), data)]


def _read(where: loading.Place) -> Any:
    if where.form == "graph_def":
        return loading.read_message(where.path, tf.compat.v1.GraphDef(), "GraphDef")
    if where.form == "meta_graph":
        return loading.read_message(where.path, tf.compat.v1.MetaGraphDef(), "MetaGraphDef").graph_def
    from tensorflow.python.saved_model import loader_impl

    saved = loader_impl.parse_saved_model(where.path)
    for meta in saved.meta_graphs:
        if where.tags is None or sorted(meta.meta_info_def.tags) == sorted(where.tags):
            return meta.graph_def
    raise Refused("no_tags", f"{where.path} has no MetaGraph with the tags {', '.join(where.tags or ())}")


def _body(whole: Any, name: str) -> Any:
    """A function's body as a GraphDef, its arguments as placeholders, with the functions that it calls."""
    from tensorflow.python.framework import function_def_to_graph

    library = {one.signature.name: one for one in whole.library.function}
    if name not in library:
        raise Refused("no_function", f"there is no function {name}")
    needed = tf.compat.v1.GraphDef()
    needed.versions.CopyFrom(whole.versions)
    for called in _reached(library, name):
        needed.library.function.add().CopyFrom(library[called])
    with tf.Graph().as_default():
        tf.import_graph_def(needed, name="")
        body, _ = function_def_to_graph.function_def_to_graph_def(library[name])
    body.versions.CopyFrom(whole.versions)
    body.library.CopyFrom(needed.library)
    for node in body.node:
        node.attr.pop("_class", None)  # where it lies; that names nodes of the caller
    return body


def _reached(library: dict[str, Any], name: str) -> list[str]:
    """The functions that a function calls, directly or not."""
    seen = {name}
    waiting = deque([name])
    while waiting:
        for node in library[waiting.popleft()].node_def:
            for called in [node.op, *_named(node)]:
                if called in library and called not in seen:
                    seen.add(called)
                    waiting.append(called)
    return sorted(seen - {name})


def _named(node: Any) -> list[str]:
    found = []
    for value in node.attr.values():
        kind = value.WhichOneof("value")
        if kind == "func":
            found.append(value.func.name)
        elif kind == "list":
            found.extend(one.name for one in value.list.func)
    return found
