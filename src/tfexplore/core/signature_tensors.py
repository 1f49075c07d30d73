"""What the tensors behind a signature really are: a SignatureDef may say another dtype or shape than its graph has.

TensorFlow checks neither when it saves, and feeds the graph's tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfexplore.core.shapes import Shape
from tfexplore.core.signatures import Signature, TensorInfo
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from tfexplore.core.graph import Graph, Tensor
    from tfexplore.core.meta_graph import MetaGraph


def as_in_graph(meta_graph: MetaGraph, signature: Signature) -> Signature:
    """The signature with each input as the main graph has its tensor, where the two contradict each other."""
    infos = tuple(_as_in(meta_graph.graph, info) for info in signature.inputs)
    return signature if infos == signature.inputs else signature._replace(inputs=infos)


def _as_in(graph: Graph, info: TensorInfo) -> TensorInfo:
    tensor = _tensor(graph, info.tensor)
    if tensor is None:
        return info
    dtype = dtypes.base(tensor.dtype) or info.dtype
    shape = info.shape
    # One that is wrong about the dtype says nothing about the shape either.
    if dtype != dtypes.base(info.dtype) or (tensor.shape_stored and not _agree(info.shape, tensor.shape)):
        shape = tensor.shape if tensor.shape_stored else None
    if dtype == dtypes.base(info.dtype) and shape == info.shape:
        return info
    return info._replace(dtype=dtype, shape=shape)


def _tensor(graph: Graph, name: str | None) -> Tensor | None:
    if name is None:
        return None
    node, _, output = name.partition(":")
    position = graph.find(node)
    if position is None or not (output or "0").isdecimal() or len(output) > 9:
        return None
    outputs = graph.outputs(position)
    number = int(output or "0")
    return outputs[number] if number < len(outputs) else None


def _agree(ours: Shape, theirs: Shape) -> bool:
    """Whether some shape is both."""
    if ours is None or theirs is None:
        return True
    return len(ours) == len(theirs) and all(a is None or b is None or a == b for a, b in zip(ours, theirs, strict=True))
