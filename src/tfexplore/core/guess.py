"""What a file seems to be, from its name and its first bytes: enough to list it, not enough to open it."""

from __future__ import annotations

import re
import zlib

from tfexplore.core.model import CHECKPOINT, GRAPH_DEF, META_GRAPH
from tfexplore.errors import ModelError
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.table import FOOTER_SIZE, is_table

_HEAD = 4096
_GRAPH_NAME = re.compile(r"\.(pb|pbtxt|pb\.txt|meta)(\.gz)?$")
# V1 checkpoints: `model.ckpt`, `model.ckpt-300`, `export-00000-of-00001`, or a name without an ending.
_V1_NAME = re.compile(r"^[^.]+$|\.ckpt$|-\d+$")
_WORD = re.compile(rb"[a-z_]+(?=\s*[{<:])")
_WORDS = {
    b"node": GRAPH_DEF,
    b"library": GRAPH_DEF,
    b"versions": GRAPH_DEF,
    b"meta_info_def": META_GRAPH,
    b"graph_def": META_GRAPH,
}


def guess_kind(path: str, name: str) -> str | None:
    """`graph_def`, `meta_graph` or `checkpoint` (in the V1 format) for a lone file; None for any other.

    Opens the file only where its name is one that such files have.

    Args:
        path: the file.
        name: the last part of its path.
    """
    graph = _GRAPH_NAME.search(name)
    if graph is None and _V1_NAME.search(name) is None:
        return None
    try:
        with RandomAccessFile(path) as file:
            if graph is None:
                return CHECKPOINT if file.size >= FOOTER_SIZE and is_table(file) else None
            head = file.pread(0, min(file.size, _HEAD))
            size = file.size
    except ModelError:
        return None
    if graph.group(2):
        try:
            head = zlib.decompressobj(31).decompress(head, _HEAD)
        except zlib.error:
            return None
        size = 1 << 62  # the length unpacked is not known before all is
    return _of_text(head) or _of_message(head, size, META_GRAPH if graph.group(1) == "meta" else GRAPH_DEF)


def _of_text(head: bytes) -> str | None:
    """The first field's name tells a text-format message."""
    for line in head.split(b"\n"):
        words = line.strip()
        if words and not words.startswith(b"#"):
            found = _WORD.match(words)
            return None if found is None else _WORDS.get(found.group())
    return None


def _of_message(head: bytes, size: int, likely: str) -> str | None:
    """The first field tells a message: a NodeDef begins with its name, a MetaInfoDef seldom with field 1."""
    if len(head) < 3 or head[0] not in (0x0A, 0x12, 0x22):
        return None
    length, shift, position = 0, 0, 1
    while position < min(len(head), 6):
        byte = head[position]
        length |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            break
    if not 0 < length <= size - position or position >= len(head):
        return None
    first = head[position]
    if head[0] == 0x22:  # the versions of a graph without nodes
        return likely if first == 0x08 else None
    if first == 0x0A:
        return likely
    # MetaInfoDef: stripped_op_list, any_info, tags, tensorflow_version.
    return META_GRAPH if head[0] == 0x0A and first in (0x12, 0x1A, 0x22, 0x2A) else None
