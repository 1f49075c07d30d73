"""The row of one thing, the same wherever it is listed: in the tree, in a flat list, among what a search finds."""

from __future__ import annotations

from tfexplore.core import text
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.graph import Graph, Tensor
from tfexplore.core.items import Children, Item
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.subjects import ArgumentSubject, KeySubject, NodeSubject, NoteSubject, Subject, VariableSubject
from tfexplore.core.variables import Variable
from tfexplore.errors import ModelError


def node_item(
    meta_graph: MetaGraph,
    graph: Graph,
    function: str | None,
    position: int,
    label: str,
    below: Children | None = None,
) -> Item:
    """A node, with its output's dtype and shape where it has just one."""
    only = graph.output(position, 0) if graph.output_count(position) == 1 else None
    return Item(
        "node",
        label,
        NodeSubject(meta_graph, graph, function, position),
        below,
        dtype=only.dtype if only and only.dtype else None,
        shape=only.shape if only else None,
        has_shape=only.shape_stored if only else False,
        note=text.label(graph.ops[position]),
    )


def tensor_item(meta_graph: MetaGraph, graph: Graph, function: str | None, tensor: Tensor) -> Item:
    """A tensor; it leads to the node that puts it out, or to the function's argument."""
    subject: Subject
    if tensor.node is not None:
        subject = NodeSubject(meta_graph, graph, function, tensor.node)
    else:
        name = tensor.arg or ""
        subject = argument_subject(meta_graph, function or "", name) or NoteSubject("a function's argument")
    return Item(
        "tensor",
        tensor.name,
        subject,
        dtype=tensor.dtype or None,
        shape=tensor.shape,
        has_shape=tensor.shape_stored,
        note=text.label(tensor.op) if tensor.node is not None else "argument",
    )


def argument_subject(owner: MetaGraph, function: str, name: str) -> ArgumentSubject | None:
    """A function's input argument by name; None where it has none of that name."""
    found = owner.functions.get(function)
    for argument in found.inputs if found is not None else ():
        if argument.name == name:
            return ArgumentSubject(owner, function, argument, True)
    return None


def variable_item(meta_graph: MetaGraph, variable: Variable, label: str, below: Children | None = None) -> Item:
    """A variable of a MetaGraph."""
    return Item(
        "frozen" if variable.trainable is False else "variable",
        label,
        VariableSubject(meta_graph, variable),
        below,
        dtype=variable.dtype,
        shape=variable.shape,
        has_shape=True,
        note="not used by any function" if meta_graph.is_used(variable) is False else "",
    )


def key_item(
    checkpoint: Checkpoint, meta_graph: MetaGraph | None, key: str, label: str, below: Children | None = None
) -> Item:
    """A checkpoint key; one whose entry is damaged says so."""
    subject = KeySubject(checkpoint, key, meta_graph)
    try:
        stored = checkpoint.stored(key)
    except ModelError:
        return Item("key", label, subject, below, note="damaged")
    note = "unverified: its entry is in a damaged block" if checkpoint.is_doubtful(key) else ""
    return Item("key", label, subject, below, dtype=stored.dtype, shape=stored.shape, has_shape=True, note=note)
