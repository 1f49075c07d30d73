"""Flat lists of all nodes, ops, tensors, variables and checkpoint keys: an order over an index, rows one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.items import Cancel, Deferred, Item
from tfexplore.core.orders import (
    COUNT,
    NAME,
    PLAIN,
    SIZE,
    TensorIndex,
    by_name,
    by_size,
    in_plain_order,
    key_sizes,
    tensor_bytes,
)
from tfexplore.core.rows import key_item, node_item, tensor_item, variable_item
from tfexplore.core.scopes import NATURAL_LIMIT
from tfexplore.core.subjects import ArgumentSubject, KeySubject, NodeSubject, OpSubject, Subject, VariableSubject
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

    Args:
        make: makes the row of the thing at a position.
        name: tells its name, and reads nothing.
        find: the position of what a subject stands for; None where it is none of these.

    Attributes:
        what: one of its rows, in words; decides the glyph too.
        sort: its order.
        sorts: the orders that it can be had in.
    """

    def __init__(
        self,
        what: str,
        order: Sequence[int],
        make: Callable[[int], Item],
        name: Callable[[int], str],
        find: Callable[[Subject], int | None],
        sort: str = NAME,
        sorts: tuple[str, ...] = (NAME,),
    ) -> None:
        self.what = what
        self.sort = sort
        self.sorts = sorts
        self._order = order
        self._make = make
        self._name = name
        self._find = find

    def __len__(self) -> int:
        return len(self._order)

    def name(self, place: int) -> str:
        """The name of the row at a place, as stored; at once."""
        return self._name(self._order[place])

    def row(self, place: int) -> Item:
        """The row at a place.

        Raises:
            ModelError: it cannot be read.
            IndexError: there are not so many rows.
        """
        return self._make(self._order[place])

    def place_of(self, subject: Subject) -> int | None:
        """The place of a subject's row; None where it has none here."""
        position = self._find(subject)
        try:
            return None if position is None else self._order.index(position)
        except ValueError:
            return None

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


def _orders(name: str, sort: str | None, count: int) -> tuple[str, tuple[str, ...]]:
    """The order that is meant, and those that there are.

    The usual order of more than `NATURAL_LIMIT` names is the plain one, which costs little.
    """
    sorts = ORDERS[name]
    if sorts[0] == NAME and count > NATURAL_LIMIT:
        sorts = (PLAIN, *sorts)
    sort = sort or sorts[0]
    if sort not in sorts and sort != PLAIN:
        raise UsageError(f"{name} are sorted by {' or '.join(ORDERS[name])}, not by {text.visible(sort)}")
    return sort, sorts


def _node_order(graph: Graph, sort: str, cancel: Cancel) -> Sequence[int]:
    return graph.order if sort == PLAIN else by_name(graph.names, cancel)


def nodes(owner: MetaGraph, function: str | None = None, *, sort: str | None = None, cancel: Cancel = None) -> FlatList:
    """All nodes of the main graph or of a function's body.

    Raises:
        NotFoundError: (all of these functions) there is no such function.
        UsageError: (all) it has no such order.
        Cancelled: (all) `cancel` was set.
    """
    graph = graph_of(owner, function)
    sort, sorts = _orders("nodes", sort, len(graph))
    graph.load(cancel)
    return _node_list(owner, graph, function, _node_order(graph, sort, cancel), sort, sorts)


def _node_list(
    owner: MetaGraph, graph: Graph, function: str | None, order: Sequence[int], sort: str, sorts: tuple[str, ...]
) -> FlatList:
    return FlatList(
        "node",
        order,
        lambda position: node_item(owner, graph, function, position, graph.names[position]),
        graph.names.__getitem__,
        lambda subject: subject.position if isinstance(subject, NodeSubject) and subject.graph is graph else None,
        sort,
        sorts,
    )


def ops(owner: MetaGraph, function: str | None = None, *, sort: str | None = None, cancel: Cancel = None) -> FlatList:
    """All op types with how many nodes have each; below each its nodes, in file order."""
    graph = graph_of(owner, function)
    sort, sorts = _orders("ops", sort, 0)
    graph.load(cancel)
    counts = graph.op_counts()
    names = [op for op, _ in counts]
    order: Sequence[int] = range(len(counts)) if sort == COUNT else by_name(names, cancel)

    def make(place: int) -> Item:
        op, count = counts[place]
        subject = OpSubject(owner, graph, function, op)
        return Item("op", op, subject, Deferred(lambda _: nodes_of_op(subject)), note=f"{count:,}")

    def find(subject: Subject) -> int | None:
        wanted = isinstance(subject, OpSubject) and subject.graph is graph and subject.op in names
        return names.index(subject.op) if isinstance(subject, OpSubject) and wanted else None

    return FlatList("op", order, make, names.__getitem__, find, sort, sorts)


def nodes_of_op(subject: OpSubject) -> FlatList:
    """The nodes of one op type, in file order."""
    graph = subject.graph
    return _node_list(subject.meta_graph, graph, subject.function, graph.nodes_by_op(subject.op), "file", ("file",))


def tensors(
    owner: MetaGraph,
    function: str | None = None,
    *,
    sort: str | None = None,
    cancel: Cancel = None,
    progress: Callable[[int, int], None] | None = None,
) -> FlatList:
    """All tensors: a function's arguments, then the nodes' outputs; by size every node is decoded first."""
    graph = graph_of(owner, function)
    sort, sorts = _orders("tensors", sort, len(graph))
    graph.load(cancel)
    # Of equal sizes the order of names does not matter so much as to wait for it.
    index = TensorIndex(graph, _node_order(graph, PLAIN if PLAIN in sorts and sort == SIZE else sort, cancel), cancel)
    order: Sequence[int] = index.by_size(cancel, progress) if sort == SIZE else range(len(index))

    def make(number: int) -> Item:
        tensor = index.tensor(number)
        item = tensor_item(owner, graph, function, tensor)
        size = tensor_bytes(tensor)
        return _with_size(item, size) if sort == SIZE and size else item

    def find(subject: Subject) -> int | None:
        if isinstance(subject, NodeSubject) and subject.graph is graph:
            return index.first_of(subject.position)
        if isinstance(subject, ArgumentSubject) and subject.is_input and subject.function == function:
            return index.argument(subject.argument.name)
        return None

    return FlatList("tensor", order, make, index.name, find, sort, sorts)


def variables(owner: MetaGraph, *, sort: str | None = None, cancel: Cancel = None) -> FlatList:
    """All variables of a MetaGraph."""
    found = owner.variables
    sort, sorts = _orders("variables", sort, len(found))
    names = [variable.name for variable in found]
    order: Sequence[int]
    if sort == SIZE:
        order = by_size([variable.nbytes or 0 for variable in found], names, cancel)
    else:
        order = by_name(names, cancel) if sort == NAME else in_plain_order(names, cancel)

    def make(position: int) -> Item:
        variable = found[position]
        item = variable_item(owner, variable, variable.name)
        return item if variable.nbytes is None else _with_size(item, variable.nbytes)

    def find(subject: Subject) -> int | None:
        if not isinstance(subject, VariableSubject) or subject.meta_graph is not owner:
            return None
        return next((place for place, variable in enumerate(found) if variable is subject.variable), None)

    return FlatList("variable", order, make, names.__getitem__, find, sort, sorts)


def keys(
    checkpoint: Checkpoint,
    owner: MetaGraph | None = None,
    *,
    sort: str | None = None,
    cancel: threading.Event | None = None,
) -> FlatList:
    """All keys of a checkpoint.

    Args:
        owner: the MetaGraph whose variables it holds.
    """
    checkpoint.bundle.load(cancel)
    names = checkpoint.keys
    sort, sorts = _orders("keys", sort, len(names))
    order: Sequence[int]
    if sort == SIZE:
        order = by_size(key_sizes(checkpoint, cancel), names, cancel)
    else:  # keys are stored in plain order
        order = by_name(names, cancel) if sort == NAME else range(len(names))

    def make(position: int) -> Item:
        item = key_item(checkpoint, owner, names[position], names[position])
        if item.dtype is None:
            return item
        return _with_size(item, checkpoint.stored(names[position]).nbytes)

    def find(subject: Subject) -> int | None:
        if not isinstance(subject, KeySubject) or subject.checkpoint is not checkpoint:
            return None
        try:
            return names.index(subject.key)
        except ValueError:
            return None

    return FlatList("key", order, make, names.__getitem__, find, sort, sorts)


def _with_size(item: Item, nbytes: int) -> Item:
    return replace(item, columns=(text.size(nbytes),))


def flat_list(
    name: str,
    meta_graph: MetaGraph | None,
    checkpoint: Checkpoint | None = None,
    function: str | None = None,
    *,
    sort: str | None = None,
    cancel: Cancel = None,
    progress: Callable[[int, int], None] | None = None,
) -> FlatList:
    """One of the lists of `ORDERS`, of a MetaGraph, of a function of it, or of a checkpoint; raises as these do."""
    if name == "keys" and checkpoint is not None:
        return keys(checkpoint, meta_graph, sort=sort, cancel=cancel)
    if meta_graph is not None and name == "variables":
        return variables(meta_graph, sort=sort, cancel=cancel)
    if meta_graph is not None and name == "tensors":
        return tensors(meta_graph, function, sort=sort, cancel=cancel, progress=progress)
    make = {"nodes": nodes, "ops": ops}.get(name)
    if make is None or meta_graph is None:
        raise UsageError(f"there are no {text.visible(name)} here")
    return make(meta_graph, function, sort=sort, cancel=cancel)
