"""SavedModel, MetaGraphDef and GraphDef messages that are files: binary or text, packed with gzip or not."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tfexplore.core.checkpoint import Checkpoint, index_file
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import GRAPH_DEF, META_GRAPH, Model
from tfexplore.errors import CorruptError, ModelError
from tfexplore.formats import gzipped, probe
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.graph_file import salvaged
from tfexplore.formats.proto import lean
from tfexplore.formats.saved_model import MAX_BYTES

MESSAGES = {"saved_model": "SavedModel", META_GRAPH: "MetaGraphDef", GRAPH_DEF: "GraphDef"}

Tell = Callable[[str], None]


class ReadMessage(NamedTuple):
    """A message that was read, as far as it could be.

    Attributes:
        message: the lean message.
        damage: an error for each part that cannot be read.
        nbytes: the file's size.
        is_text: whether it was in text format.
    """

    message: Any
    damage: tuple[ModelError, ...]
    nbytes: int
    is_text: bool


def is_message(found: probe.Probed) -> bool:
    """Whether a file is one of the messages that this module reads."""
    return found.kind.removesuffix(probe.TEXT) in MESSAGES


def read_message(
    path: str, found: probe.Probed, cancel: threading.Event | None = None, tell: Tell = lambda _: None
) -> ReadMessage:
    """Reads a file that `probe` has found to be such a message.

    Raises:
        ModelError: it cannot be opened, or nothing of it can be read.
        Cancelled: `cancel` was set.
    """
    what = MESSAGES[found.kind.removesuffix(probe.TEXT)]
    is_text = found.kind.endswith(probe.TEXT)
    name = os.path.basename(path)
    tell(f"reading {name}")
    with RandomAccessFile(path) as file:
        size = file.size
        if is_text:
            data, damage = _from_text(file, what, found.gzipped, cancel, tell)
        else:
            data, damage = _from_binary(file, found.gzipped, cancel)
    message, broken = salvaged(what, data, path=path, cancel=cancel)
    return ReadMessage(message, (*damage, *broken), size, is_text)


def _from_binary(
    file: RandomAccessFile, packed: bool, cancel: threading.Event | None
) -> tuple[bytes, tuple[ModelError, ...]]:
    if not packed:
        return file.read_all(MAX_BYTES), ()
    data = bytearray()
    try:
        for piece in gzipped.iter_unpacked(file, cancel, held=True):
            data += piece
    except CorruptError as error:  # what came before it is whole
        return bytes(data), (error,)
    return bytes(data), ()


def _from_text(
    file: RandomAccessFile, what: Any, packed: bool, cancel: threading.Event | None, tell: Tell
) -> tuple[bytes, tuple[ModelError, ...]]:
    from tfexplore.formats.text_proto import read_text

    name = os.path.basename(file.path)
    broken: list[ModelError] = []

    def pieces() -> Iterator[bytes]:
        done = 0
        try:
            for piece in gzipped.iter_unpacked(file, cancel) if packed else gzipped.iter_pieces(file, cancel):
                yield piece
                done += len(piece)
                share = f"{100 * done // file.size} %" if not packed else f"{done >> 20} MiB"
                tell(f"reading {name} {share}")
        except CorruptError as error:
            broken.append(error)

    read = read_text(pieces(), what, path=file.path, cancel=cancel)
    return read.data, (*broken, *read.damage)


def open_graph(path: str, found: probe.Probed, cancel: threading.Event | None, tell: Tell) -> Model:
    """Opens a GraphDef, or a MetaGraph with the checkpoint beside it.

    Raises:
        As `read_message`.
    """
    read = read_message(path, found, cancel, tell)
    notes = [str(error) for error in read.damage]
    checkpoint = None
    if read.message.DESCRIPTOR.name == "GraphDef":
        kind, message, graph_def = GRAPH_DEF, lean("MetaGraphDef")(), read.message
    else:
        kind, message, graph_def = META_GRAPH, read.message, read.message.graph_def
        prefix = os.path.splitext(path)[0]
        if os.path.lexists(index_file(prefix)):
            tell(f"reading {os.path.basename(index_file(prefix))}")
            try:
                checkpoint = Checkpoint(prefix, cancel=cancel)
            except ModelError as error:
                notes.append(f"the checkpoint beside it cannot be read: {error}")
    broken = bool(read.damage)
    meta_graph = MetaGraph(
        message, path=path, folder=None, checkpoint=checkpoint, graph_def=graph_def, is_broken=broken
    )
    return Model(
        path,
        kind,
        file_bytes=read.nbytes,
        meta_graphs=[meta_graph],
        checkpoint=checkpoint,
        notes=notes,
        unread=read.damage,
    )
