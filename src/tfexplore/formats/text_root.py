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


def text_root(head: bytes) -> Root | None:
    """Which message a file is in text format, by the names of its first fields; None where it looks like none.

    Args:
        head: the first bytes of the file, 64 KiB for instance.
    """
    source = TextSource([head], None, None)
    while at_name(source):
        name = source.word()
        colon = source.peek() == b":"
        if colon:
            source.pos += 1
        value = source.peek()
        if name == b"saved_model_schema_version" and colon:
            return "SavedModel"
        if name in _ROOTS and (value in (b"{", b"<") or (colon and value == b"[")):
            return _ROOTS[name]
        if not colon and value not in (b"{", b"<"):
            return None
        if not skip_value(source):
            return None
        if source.peek() in (b",", b";"):
            source.pos += 1
    return None
