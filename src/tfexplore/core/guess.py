"""What a lone file seems to be, from its name and then its content: enough to list it, not enough to open it."""

from __future__ import annotations

import re

from tfexplore.core.model import CHECKPOINT, GRAPH_DEF, META_GRAPH, SAVED_MODEL
from tfexplore.errors import ModelError
from tfexplore.formats import probe
from tfexplore.formats.files import RandomAccessFile

_GRAPH_NAME = re.compile(r"\.(pb|pbtxt|pb\.txt|meta)(\.gz)?$")
# V1 checkpoints: `model.ckpt`, `model.ckpt-300`, `export-00000-of-00001`, or a name without an ending.
_V1_NAME = re.compile(r"^[^.]+$|\.ckpt$|\.v1ckpt$|-\d+$")
_GRAPHS = (GRAPH_DEF, META_GRAPH, SAVED_MODEL)


def guess_kind(path: str, name: str) -> str | None:
    """`graph_def`, `meta_graph`, `saved_model` or `checkpoint` (in the V1 format) for a lone file; None for any other.

    Opens the file only where its name is one that such files have.

    Args:
        path: the file.
        name: the last part of its path.
    """
    is_graph = _GRAPH_NAME.search(name) is not None
    if not is_graph and _V1_NAME.search(name) is None:
        return None
    try:
        with RandomAccessFile(path) as file:
            found = probe.probe(file)
    except ModelError:
        return None
    kind = found.kind.removesuffix(probe.TEXT)
    if is_graph:
        return kind if kind in _GRAPHS else None
    return CHECKPOINT if kind == probe.CHECKPOINT_V1 else None
