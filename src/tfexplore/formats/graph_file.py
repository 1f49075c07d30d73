"""A GraphDef or a MetaGraphDef that is a file of its own, in binary form; damaged ones as far as they can be read.

Field numbers: graph.proto, meta_graph.proto.
"""

from __future__ import annotations

import threading
from itertools import islice
from typing import Any

from tfexplore.errors import CorruptError
from tfexplore.formats import wire
from tfexplore.formats.proto import DecodeError, lean
from tfexplore.formats.salvage import salvage

# Nodes that are tried before a file counts as none.
_TRIED = 1000


def graph_def(data: bytes, *, path: str, cancel: threading.Event | None = None) -> tuple[Any, tuple[CorruptError, ...]]:
    """A serialized GraphDef.

    Returns:
        The lean GraphDef message, and an error for each damaged part.

    Raises:
        CorruptError: it is no GraphDef, or so damaged that neither a node nor a function is left.
        Cancelled: `cancel` was set.
    """
    return salvaged("GraphDef", data, path=path, cancel=cancel)


def meta_graph_def(
    data: bytes, *, path: str, cancel: threading.Event | None = None
) -> tuple[Any, tuple[CorruptError, ...]]:
    """A serialized MetaGraphDef.

    Returns:
        The lean MetaGraphDef message, and an error for each damaged part.

    Raises:
        CorruptError: it is no MetaGraphDef, or so damaged that no node, function or signature is left.
        Cancelled: `cancel` was set.
    """
    return salvaged("MetaGraphDef", data, path=path, cancel=cancel)


def salvaged(
    what: str, data: bytes, *, path: str, cancel: threading.Event | None = None
) -> tuple[Any, tuple[CorruptError, ...]]:
    """As `salvage`, but what is left of a damaged file has to hold something: else it may be any file.

    Args:
        what: SavedModel, MetaGraphDef or GraphDef.

    Raises:
        CorruptError: it is no such message, or nothing of use is left of it.
        Cancelled: `cancel` was set.
    """
    message, damage = salvage(lean(what), data, path=path, what=what, cancel=cancel)
    if _holds_something(message):
        return message, damage
    if damage:
        wire.decode(lean(what), data, path=path, what=what)
        raise CorruptError(f"no readable {what}: {damage[0].what}", path=path, offset=damage[0].offset)
    if what == "GraphDef" and message.node:
        raise CorruptError(f"no readable {what}: none of its nodes is a NodeDef", path=path)
    return message, damage


def _holds_something(message: Any) -> bool:
    """Whether a node, a function or a signature can be read of it."""
    name = message.DESCRIPTOR.name
    if name == "SavedModel":
        return any(map(_holds_something, message.meta_graphs))
    if name == "MetaGraphDef":
        return bool(message.signature_def) or _holds_something(message.graph_def)
    return bool(message.library.function) or any(map(_is_node, islice(message.node, _TRIED)))


def _is_node(raw: bytes) -> bool:
    try:
        head = lean("NodeHead").FromString(raw)
    except DecodeError:
        return False
    return bool(head.name or head.op)
