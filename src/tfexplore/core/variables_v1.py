"""Variables of a TensorFlow 1 graph: variable nodes, VariableDefs of collections, keys from the saver's SaveV2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfexplore.core import shapes, text
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.shapes import Shape
from tfexplore.core.variables import Variable, value_bytes
from tfexplore.errors import ModelError
from tfexplore.formats.proto import DecodeError, lean

if TYPE_CHECKING:
    from tfexplore.core.graph import Graph
    from tfexplore.core.meta_graph import MetaGraph

VARIABLE_OPS = ("VarHandleOp", "VariableV2", "Variable", "TemporaryVariable", "AutoReloadVariable")
_COLLECTIONS = (
    "variables",
    "trainable_variables",
    "local_variables",
    "model_variables",
    "moving_average_variables",
    "global_step",
)
_READS = ("Identity", "ReadVariableOp", "Enter", "Switch", "RefIdentity")
_MAX_READS = 8


def _variable_defs(meta_graph: MetaGraph) -> dict[str, tuple[Any, bool]]:
    """(VariableDef, trainable) by the variable's node name, from the MetaGraph's collections."""
    found: dict[str, tuple[Any, bool]] = {}
    decode = lean("VariableDef").FromString
    collections = meta_graph.collections
    for collection in _COLLECTIONS:
        message = collections.get(collection)
        if message is None or message.WhichOneof("kind") != "bytes_list":
            continue
        for raw in message.bytes_list.value:
            try:
                definition = decode(raw)
            except DecodeError:
                continue
            name = text.decode(definition.variable_name).partition(":")[0]
            trainable = collection == "trainable_variables" or definition.trainable
            if name in found:
                trainable = trainable or found[name][1]
            found[name] = (definition, trainable)
    return found


def variables_of_graph(meta_graph: MetaGraph, checkpoint: Checkpoint | None) -> Iterator[Variable]:
    """The variable nodes of the main graph in file order, then what only the collections name."""
    graph = meta_graph.graph
    definitions = _variable_defs(meta_graph)
    saved_as = _saver_keys(graph)
    seen = set()
    for position, op in enumerate(graph.ops):
        if op not in VARIABLE_OPS:
            continue
        name = graph.names[position]
        if name in seen:
            continue
        seen.add(name)
        yield _graph_variable(graph, position, definitions.get(name), saved_as.get(name), checkpoint, bool(definitions))
    for name, (definition, trainable) in definitions.items():
        if name not in seen:
            key = _key(name, definition, saved_as.get(name), checkpoint)
            dtype, shape = _stored_facts(key, checkpoint)
            yield Variable(name, dtype, shape, trainable, key, value_bytes(dtype, shape, key, checkpoint))


def _stored_facts(key: str | None, checkpoint: Checkpoint | None) -> tuple[int, Shape]:
    """Dtype and shape of what a key stores; nothing known where there is no such value or it is damaged."""
    if checkpoint is None or key is None:
        return 0, None
    try:
        entry = checkpoint.entry(key)
    except ModelError:
        return 0, None
    return entry.dtype, entry.shape


def _graph_variable(
    graph: Graph,
    position: int,
    definition: tuple[Any, bool] | None,
    saved_as: tuple[str, str] | None,
    checkpoint: Checkpoint | None,
    marked: bool,
) -> Variable:
    node = graph.node_or_blank(position)
    dtype_attr, shape_attr = node.attr("dtype"), node.attr("shape")
    dtype = dtype_attr.type if dtype_attr is not None else 0
    has_shape = shape_attr is not None and shape_attr.WhichOneof("value") == "shape"
    shape = shapes.from_proto(shape_attr.shape) if shape_attr is not None and has_shape else None
    key = _key(node.name, definition[0] if definition else None, saved_as, checkpoint)
    spec = saved_as[1] if saved_as and saved_as[1] else None
    trainable = definition[1] if definition else (False if marked else None)
    nbytes = value_bytes(dtype, shape, key, checkpoint)
    return Variable(node.name, dtype, shape, trainable, key, nbytes, node=node.name, slice_spec=spec)


def _key(
    name: str, definition: Any | None, saved_as: tuple[str, str] | None, checkpoint: Checkpoint | None
) -> str | None:
    candidates = [saved_as[0]] if saved_as else []
    if definition is not None and definition.HasField("save_slice_info_def"):
        candidates.append(text.decode(definition.save_slice_info_def.full_name))
    candidates.append(name)
    if checkpoint is None:
        return None
    return next((candidate for candidate in candidates if checkpoint.has(candidate)), None)


def _saver_keys(graph: Graph) -> dict[str, tuple[str, str]]:
    """(checkpoint key, slice specification) by variable node, as the graph's SaveV2 nodes write them."""
    found: dict[str, tuple[str, str]] = {}
    for position in graph.nodes_by_op("SaveV2"):
        inputs = [name for name in graph.node_or_blank(position).inputs if not name.startswith("^")]
        if len(inputs) < 3:
            continue
        names, specs = graph.const_strings(inputs[1]), graph.const_strings(inputs[2])
        for key, spec, source in zip(names, specs, inputs[3:], strict=False):
            variable = _variable_behind(graph, source)
            if variable is not None:
                found.setdefault(variable, (key, spec.rpartition(" ")[2] if spec else ""))
    return found


def _variable_behind(graph: Graph, name: str) -> str | None:
    """The variable node that a read of it leads back to."""
    for _ in range(_MAX_READS):
        position = graph.resolve(name).producer
        if position is None:
            return None
        if graph.ops[position] in VARIABLE_OPS:
            return graph.names[position]
        if graph.ops[position] not in _READS:
            return None
        inputs = graph.node_or_blank(position).inputs
        if not inputs:
            return None
        name = inputs[0]
    return None
