"""Which message a file is in text format."""

from __future__ import annotations

from typing import Literal

from tfexplore.formats.text_skip import at_name, skip_value
from tfexplore.formats.text_source import TextSource

Root = Literal["SavedModel", "MetaGraphDef", "GraphDef"]

_GRAPH = (b"node", b"versions", b"library", b"debug_info")
_META_GRAPH = (
    b"meta_info_def",
    b"graph_def",
    b"saver_def",
    b"collection_def",
    b"signature_def",
    b"asset_file_def",
    b"object_graph_def",
)
# Fields that are messages, by their names.
_ROOTS: dict[bytes, Root] = {
    **dict.fromkeys(_GRAPH, "GraphDef"),
    **dict.fromkeys(_META_GRAPH, "MetaGraphDef"),
    b"meta_graphs": "SavedModel",
}


# As many fields tell what a message is.
_MAX_FIELDS = 1_000


def text_root(head: bytes) -> Root | None:
    """Which message a file is in text format, by the names of its first fields; None where it looks like none.

    Args:
        head: the first bytes of the file, 64 KiB for instance.
    """
    source = TextSource([head], None, None)
    for _ in range(_MAX_FIELDS):
        if not at_name(source):
            return None
        name = source.word()
        colon = source.peek() == b":"
        if colon:
            source.pos += 1
        if name == b"saved_model_schema_version" and colon:
            return "SavedModel"
        value = source.peek()
        if name in _ROOTS and _is_message(source):
            return _ROOTS[name]
        if not colon and value not in (b"{", b"<", b"["):
            return None
        if not skip_value(source):
            return None
        if source.peek() in (b",", b";"):
            source.pos += 1
    return None


def _is_message(source: TextSource) -> bool:
    """Whether a message is next, or a list of such; where it is a list, goes into it."""
    if source.peek() == b"[":
        start = source.pos
        source.pos += 1
        found = source.peek() in (b"{", b"<", b"]")
        source.pos = start
        return found
    return source.peek() in (b"{", b"<")
