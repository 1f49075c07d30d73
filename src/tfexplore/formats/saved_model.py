"""A SavedModel's folder: `saved_model.pb` and what lies beside it.

Layout: tensorflow/cc/saved_model/README.md; field numbers: saved_model.proto, meta_graph.proto.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from tfexplore.errors import CorruptError
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.graph_file import salvaged

FILE_NAME = "saved_model.pb"
VARIABLES_PREFIX = os.path.join("variables", "variables")
ASSETS_FOLDER = "assets"

# protobuf itself refuses messages of 2 GiB and more.
MAX_BYTES = 2**31 - 1


def read_saved_model(path: str, *, cancel: threading.Event | None = None) -> tuple[Any, int, tuple[CorruptError, ...]]:
    """Reads `saved_model.pb`; a damaged one as far as it can be read.

    Returns:
        The lean SavedModel message (main graphs, functions and the object graph as
        serialized bytes inside), the file's size in bytes, and an error for each damaged part.

    Raises:
        NotFoundError, RefusedFileError: the file cannot be opened.
        CorruptError: it is empty, no SavedModel, holds no MetaGraph, or is so damaged
            that no node, function or signature is left.
        Cancelled: `cancel` was set.
    """
    with RandomAccessFile(path) as file:
        if file.size == 0:
            raise CorruptError(
                "the file is empty (0 bytes), expected a SavedModel", path=path, hint="export or copy the model again"
            )
        data = file.read_all(MAX_BYTES)
    message, damage = salvaged("SavedModel", data, path=path, cancel=cancel)
    if not message.meta_graphs:
        raise CorruptError("no SavedModel: it holds no MetaGraph", path=path)
    return message, len(data), damage


def asset_path(folder: str, filename: str) -> str | None:
    """Where an asset lies, or None where its name leads out of the assets folder."""
    root = os.path.join(folder, ASSETS_FOLDER)
    if not filename or "\0" in filename or os.path.isabs(filename):
        return None
    if os.pardir in filename.split("/"):
        return None
    return os.path.join(root, filename)
