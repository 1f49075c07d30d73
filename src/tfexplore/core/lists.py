"""Flat lists of all nodes, ops, tensors, variables and checkpoint keys: an order over an index, rows one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.items import Cancel, Deferred, Item
from tfexplore.core.orders import (
    COUNT,
    NAME,
    SIZE,
    TensorIndex,
    by_name,
    by_size,
    key_sizes,
    nodes_by_name,
    tensor_bytes,
)
from tfexplore.core.rows import key_item, node_item, tensor_item, variable_item
from tfexplore.core.scopes import NATURAL_LIMIT
from tfexplore.core.subjects import OpSubject
from tfexplore.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from tfexplore.core.checkpoint import Checkpoint
    from tfexplore.core.graph import Graph
    from tfexplore.core.meta_graph import MetaGraph

# The orders that each list has, the usual one first.
ORDERS = {
    "nodes": (NAME,),
    "ops": (COUNT, NAME),
    "tensors": (NAME, SIZE),
    "variables": (NAME, SIZE),
    "keys": (NAME, SIZE),
}


class FlatList:
    """One list in one order. A row is made when it is asked for; it is a `Children` too.

    Attributes:
        what: one of its rows, in words.
        is_natural: whether names stand in natural order: more than `NATURAL_LIMIT` stand in plain order.
    """

    def __init__(self, what: str, order: Sequence[int], make: Callable[[int], Item]) -> None:
        self.what = what
        self.is_natural = len(order) <= NATURAL_LIMIT
        self._order = order
        self._make = make

    def __len__(self) -> int:
        return len(self._order)

    def row(self, place: int) -> Item:
        """The row at a place.

        Raises:
            ModelError: it cannot be read.
            IndexError: there are not so many rows.
        """
        return self._make(self._order[place])

    def load(self, cancel: Cancel = None) -> int:
        """See `Children`."""
        return len(self)

    def page(self, start: int, stop: int, cancel: Cancel = None) -> list[Item]:
        """See `Children`."""
        return [self._make(position) for position in self._order[start:stop]]


def graph_of(owner: MetaGraph, function: str | None) -> Graph:
    """The main graph, or the body of a function.

    Raises:
        NotFoundError: there is no such function.
    """
    if function is None:
        return owner.graph
    found = owner.functions.get(function)
    if found is None:
        raise NotFoundError(f"there is no function {text.label(function)}", path=owner.path)
    return found.graph


def _check_order(name: str, sort: str) -> None:
    if sort not in ORDERS[name]:
        raise UsageError(f"{name} are sorted by {' or '.join(ORDERS[name])}, not by {text.visible(sort)}")


def nodes(owner: MetaGraph, function: str | None = None, *, sort: str = NAME, cancel: Cancel = None) -> FlatList:
    """All nodes of the main graph or of a function's body.

    Raises:
        NotFoundError: (all of these functions) there is no such function.
        UsageError: (all) it has no such order.
        Cancelled: (all) `cancel` was set.
    """
    _check_order("nodes", sort)
    graph = graph_of(owner, function)
    graph.load(cancel)
    return FlatList(
        "node",
        nodes_by_name(graph),
        lambda position: node_item(owner, graph, function, position, graph.names[position]),
    )


def ops(owner: MetaGraph, function: str | None = None, *, sort: str = COUNT, cancel: Cancel = None) -> FlatList:
    """All op types with how many nodes have each; below each its nodes, in file order."""
    _check_order("ops", sort)
    graph = graph_of(owner, function)
    graph.load(cancel)
    counts = graph.op_counts()
    order: Sequence[int] = range(len(counts)) if sort == COUNT else by_name([op for op, _ in counts])

    def make(place: int) -> Item:
        op, count = counts[place]
        subject = OpSubject(owner, graph, function, op)
        return Item("op", op, subject, Deferred(lambda _: nodes_of_op(subject)), note=f"{count:,}")

    return FlatList("op", order, make)


def nodes_of_op(subject: OpSubject) -> FlatList:
    """The nodes of one op type, in file order."""
    graph = subject.graph
    return FlatList(
        "node",
        graph.nodes_by_op(subject.op),
        lambda position: node_item(subject.meta_graph, graph, subject.function, position, graph.names[position]),
    )


def tensors(owner: MetaGraph, function: str | None = None, *, sort: str = NAME, cancel: Cancel = None) -> FlatList:
    """All tensors: a function's arguments, then the nodes' outputs; by size every node is decoded first."""
    _check_order("tensors", sort)
    graph = graph_of(owner, function)
    graph.load(cancel)
    index = TensorIndex(graph, nodes_by_name(graph), cancel)
    order: Sequence[int] = range(len(index)) if sort == NAME else index.by_size(cancel)

    def make(number: int) -> Item:
        tensor = index.tensor(number)
        item = tensor_item(owner, graph, function, tensor)
        size = tensor_bytes(tensor)
        return _with_size(item, size) if sort == SIZE and size else item

    return FlatList("tensor", order, make)


def variables(owner: MetaGraph, *, sort: str = NAME, cancel: Cancel = None) -> FlatList:
    """All variables of a MetaGraph."""
    _check_order("variables", sort)
    found = owner.variables
    names = [variable.name for variable in found]
    order = by_name(names) if sort == NAME else by_size([variable.nbytes or 0 for variable in found], names)

    def make(position: int) -> Item:
        variable = found[position]
        item = variable_item(owner, variable, variable.name)
        return item if variable.nbytes is None else _with_size(item, variable.nbytes)

    return FlatList("variable", order, make)


def keys(
    checkpoint: Checkpoint, owner: MetaGraph | None = None, *, sort: str = NAME, cancel: threading.Event | None = None
) -> FlatList:
    """All keys of a checkpoint.

    Args:
        owner: the MetaGraph whose variables it holds.
    """
    _check_order("keys", sort)
    checkpoint.bundle.load(cancel)
    names = checkpoint.keys
    order: Sequence[int]
    if sort == SIZE:
        order = by_size(key_sizes(checkpoint, cancel), names)
    else:  # keys are stored in plain order
        order = by_name(names) if len(names) <= NATURAL_LIMIT else range(len(names))

    def make(position: int) -> Item:
        item = key_item(checkpoint, owner, names[position], names[position])
        if item.dtype is None:
            return item
        return _with_size(item, checkpoint.stored(names[position]).nbytes)

    return FlatList("key", order, make)


def _with_size(item: Item, nbytes: int) -> Item:
    from dataclasses import replace

    return replace(item, columns=(text.size(nbytes),))
