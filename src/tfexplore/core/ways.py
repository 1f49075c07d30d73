"""Where in the tree something is: its heading, and the name that leads down from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core.subjects import (
    ArgumentSubject,
    FunctionSubject,
    KeySubject,
    NodeSubject,
    SignatureSubject,
    Subject,
    TensorSubject,
    VariableSubject,
)
from tfexplore.formats.graph_def import called_functions

if TYPE_CHECKING:
    from tfexplore.core.checkpoint import Checkpoint
    from tfexplore.core.meta_graph import MetaGraph


class Way(NamedTuple):
    """The way to a row of the tree.

    Attributes:
        section: the heading that it is below.
        name: what `items.place_of` finds it by, level by level.
        meta_graph, checkpoint: what it belongs to.
        function: the function in whose own tree it is; None for the model's.
    """

    section: str
    name: str
    meta_graph: MetaGraph | None
    checkpoint: Checkpoint | None = None
    function: str | None = None


# Of several functions that a node calls, the one that does its work.
_WORKERS = ("body", "then_branch", "branches", "f")


def function_of(subject: Subject) -> str | None:
    """The function that something is, or that a node calls (of a loop its body); None where there is none."""
    if isinstance(subject, FunctionSubject):
        return subject.name
    if isinstance(subject, NodeSubject):
        node = subject.graph.node_or_blank(subject.position)
        called = called_functions(node, (*_WORKERS, *node.raw_attrs))
        return next((name for name in called if subject.meta_graph.functions.get(name) is not None), None)
    return None


def way_to(subject: Subject) -> Way | None:
    """The way to a node, argument, variable, key, signature or function; None for anything else."""
    if isinstance(subject, NodeSubject | TensorSubject):
        name = subject.graph.names[subject.position]
        section = "Graph" if subject.function is None else "Nodes"
        return Way(section, name, subject.meta_graph, function=subject.function)
    if isinstance(subject, ArgumentSubject):
        return Way("", subject.argument.name, subject.meta_graph, function=subject.function)
    if isinstance(subject, VariableSubject):
        return Way("Variables", subject.variable.name, subject.meta_graph)
    if isinstance(subject, KeySubject):
        return Way("Keys", subject.key, subject.meta_graph, subject.checkpoint)
    if isinstance(subject, SignatureSubject):
        return Way("Signatures", subject.signature.name, subject.meta_graph)
    if isinstance(subject, FunctionSubject):
        return Way("Functions", subject.name, subject.meta_graph)
    return None
