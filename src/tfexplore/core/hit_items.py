"""The row of what a search has found, and where it leads."""

from __future__ import annotations

from tfexplore.core.items import Item
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import Model
from tfexplore.core.rows import key_item, node_item, tensor_item, variable_item
from tfexplore.core.search import FUNCTION, KEY, NODE, OBJECT, SIGNATURE, TENSOR, VARIABLE, Hit
from tfexplore.core.subjects import FunctionSubject, ObjectSubject, SignatureSubject
from tfexplore.errors import NotFoundError


def hit_item(model: Model, hit: Hit, tag_set: tuple[str, ...] | None = None) -> Item:
    """The row of a hit: its whole name, with what its kind shows elsewhere, and no children.

    Args:
        tag_set: the MetaGraph that was searched.

    Raises:
        ModelError: that part of the model cannot be read, or is not there any more.
    """
    if hit.kind == KEY:
        owner = model.meta_graph(tag_set) if model.meta_graphs else None
        if model.checkpoint is not None:
            return key_item(model.checkpoint, owner, hit.name, hit.name)
    elif hit.kind == OBJECT:
        return _object(model, hit, tag_set)
    elif hit.kind in _OF_META_GRAPH:
        return _OF_META_GRAPH[hit.kind](model.meta_graph(tag_set), hit)
    raise NotFoundError(f"a {hit.kind} of that name is not there any more", path=model.path)


def _object(model: Model, hit: Hit, tag_set: tuple[str, ...] | None) -> Item:
    owner = model.meta_graph(tag_set) if model.meta_graphs else None
    checkpoint = model.checkpoint if owner is None else None
    objects = owner.objects if owner is not None else checkpoint.objects if checkpoint is not None else None
    if objects is None or hit.ref >= len(objects):
        raise NotFoundError("an object of that name is not there any more", path=model.path)
    kind = objects.head(hit.ref)[0].replace("_", " ")
    return Item("object", hit.name, ObjectSubject(objects, hit.ref, owner, checkpoint), note=kind)


def _signature(owner: MetaGraph, hit: Hit) -> Item:
    return Item("signature", hit.name, SignatureSubject(owner, owner.signatures[hit.ref]))


def _variable(owner: MetaGraph, hit: Hit) -> Item:
    return variable_item(owner, owner.variables[hit.ref], hit.name)


def _function(owner: MetaGraph, hit: Hit) -> Item:
    return Item("function", hit.name, FunctionSubject(owner, hit.name))


def _node(owner: MetaGraph, hit: Hit) -> Item:
    graph = owner.graph
    if hit.function is not None:
        function = owner.functions.get(hit.function)
        if function is None:
            raise NotFoundError("its function is not there any more", path=owner.path)
        graph = function.graph
    if hit.kind == NODE:
        return node_item(owner, graph, hit.function, hit.ref, hit.name)
    name, _, number = hit.name.rpartition(":")
    tensor = graph.argument(name) if hit.ref < 0 else graph.output(hit.ref, int(number))
    if tensor is None:
        raise NotFoundError("an argument of that name is not there any more", path=owner.path)
    return tensor_item(owner, graph, hit.function, tensor)


_OF_META_GRAPH = {SIGNATURE: _signature, VARIABLE: _variable, FUNCTION: _function, NODE: _node, TENSOR: _node}
