"""Variables of a MetaGraph, joined with the keys of its checkpoint.

TensorFlow 2: the SavedVariables of the object graph; the key is found along the object's path.
TensorFlow 1: the graph's variable nodes and the VariableDefs of its collections; the key is what
the saver's SaveV2 node names, else the variable's own name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import objects as object_graphs
from tfexplore.core import shapes, text
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.shapes import Shape, num_elements
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph


class Variable(NamedTuple):
    """One variable.

    Attributes:
        trainable: as the model marks it; None where nothing does.
        key: the checkpoint key that holds its value; None where there is none.
        object_id: its place in the object graph (TensorFlow 2).
        node: the name of its node (TensorFlow 1; for TensorFlow 2 see `MetaGraph.node_of`).
        functions: names of the concrete functions that capture it (TensorFlow 2).
        slice_spec: for a part of a partitioned variable, which part of the key's tensor it is.
    """

    name: str
    dtype: int
    shape: Shape
    trainable: bool | None
    key: str | None
    nbytes: int | None
    object_id: int | None = None
    node: str | None = None
    functions: tuple[str, ...] = ()
    slice_spec: str | None = None

    @property
    def parameters(self) -> int:
        """How many elements it has; 0 where its shape is not known."""
        return num_elements(self.shape) or 0


def variables(meta_graph: MetaGraph, checkpoint: Checkpoint | None) -> tuple[Variable, ...]:
    """All variables of a MetaGraph, in the order in which the model stores them."""
    if meta_graph.objects is not None:
        return tuple(_of_objects(meta_graph, checkpoint))
    from tfexplore.core.variables_v1 import variables_of_graph

    return tuple(variables_of_graph(meta_graph, checkpoint))


def value_bytes(dtype: int, shape: Shape, key: str | None, checkpoint: Checkpoint | None) -> int | None:
    """How many bytes a variable's value takes: by dtype and shape, else what its key stores; None where unknown."""
    itemsize = dtypes.itemsize(dtype)
    elements = num_elements(shape)
    if itemsize and elements is not None:
        return itemsize * elements
    if key is None or checkpoint is None:
        return None
    try:
        return checkpoint.stored(key).nbytes
    except ModelError:
        return None


def _of_objects(meta_graph: MetaGraph, checkpoint: Checkpoint | None) -> Iterator[Variable]:
    saved = meta_graph.objects
    assert saved is not None
    stored = _stored_objects(checkpoint)
    matched = object_graphs.match(saved, stored) if stored is not None else {}
    captured_by: dict[int, list[str]] = {}
    for function, bound in saved.concrete_functions.items():
        for node_id in bound:
            captured_by.setdefault(node_id, []).append(function)
    for node_id in range(len(saved)):
        message = saved.message(node_id)
        if message.WhichOneof("kind") != "variable":
            continue
        variable = message.variable
        key = None
        if stored is not None and node_id in matched:
            key = _value_key(stored.message(matched[node_id]), checkpoint)
        shape = shapes.from_proto(variable.shape)
        yield Variable(
            text.decode(variable.name),
            variable.dtype,
            shape,
            variable.trainable,
            key,
            value_bytes(variable.dtype, shape, key, checkpoint),
            object_id=node_id,
            functions=tuple(captured_by.get(node_id, ())),
        )


def _stored_objects(checkpoint: Checkpoint | None) -> object_graphs.ObjectGraph | None:
    if checkpoint is None:
        return None
    try:
        return checkpoint.objects
    except ModelError:
        return None


def _value_key(message: Any, checkpoint: Checkpoint | None) -> str | None:
    for part in message.attributes:
        if text.decode(part.name) == object_graphs.VARIABLE_VALUE:
            key = text.decode(part.checkpoint_key)
            return key if checkpoint is not None and checkpoint.has(key) else None
    return None
