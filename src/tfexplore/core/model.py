"""One shape for whatever was opened: a SavedModel, a training directory, a checkpoint."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core.checkpoint import Checkpoint, CheckpointInfo, checkpoint_info
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.errors import Cancelled, ModelError, UsageError
from tfexplore.formats.table import check_cancel

if TYPE_CHECKING:
    from tfexplore.core.collection import Found

SAVED_MODEL = "saved_model"
TRAINING_DIRECTORY = "training_directory"
CHECKPOINT = "checkpoint"
GRAPH_DEF = "graph_def"
META_GRAPH = "meta_graph"
COLLECTION = "collection"

KIND_NAMES = {
    SAVED_MODEL: "SavedModel",
    TRAINING_DIRECTORY: "training directory",
    CHECKPOINT: "checkpoint",
    GRAPH_DEF: "GraphDef",
    META_GRAPH: "MetaGraph",
    COLLECTION: "folder of models",
}


class CheckpointFile(NamedTuple):
    """A checkpoint of a training directory, by prefix; opened when somebody looks into it."""

    prefix: str
    saved_at: float | None
    latest: bool


class Model:
    """An opened model: its files and indexes. Everything that costs time is read on demand.

    Attributes:
        path: as the person gave it.
        kind: `saved_model`, `training_directory`, `checkpoint`, or `collection` for a folder of models.
        file_bytes: size of the main file (`saved_model.pb`, or the index of the checkpoint).
        meta_graphs: one for each tag-set; empty for checkpoints.
        checkpoint: the variables of a SavedModel, the latest checkpoint of a training directory; None where
            there are none (a SavedModel may have no variables) or where they cannot be read (a note says why).
        checkpoint_files: all checkpoints of a training directory, oldest first.
        found: the models of a collection, in order.
        unread: a sentence for each part of the main file that cannot be read; they are among the notes.
    """

    def __init__(
        self,
        path: str,
        kind: str,
        *,
        file_bytes: int = 0,
        meta_graphs: Sequence[MetaGraph] = (),
        checkpoint: Checkpoint | None = None,
        checkpoint_files: Sequence[CheckpointFile] = (),
        found: Sequence[Found] = (),
        notes: Sequence[str] = (),
        unread: Sequence[Exception] = (),
    ) -> None:
        self.path = path
        self.kind = kind
        self.file_bytes = file_bytes
        self.meta_graphs = tuple(meta_graphs)
        self.checkpoint = checkpoint
        self.checkpoint_files = tuple(checkpoint_files)
        self.found = tuple(found)
        self._notes = tuple(notes)
        self.unread = tuple(map(str, unread))
        self._opened: dict[str, Checkpoint] = {}
        self._lock = threading.Lock()
        self._closed = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what is missing or damaged, as far as the files were looked at."""
        if self.checkpoint is None:
            return self._notes
        return (*self._notes, *self.checkpoint.damage)

    @property
    def loaded(self) -> bool:
        """Whether all that a first look shows has been read; a large checkpoint's names follow."""
        return self.checkpoint is None or self.checkpoint.loaded

    def load(self, cancel: threading.Event | None = None, progress: Callable[[int, int], None] | None = None) -> None:
        """Reads what is missing of a first look; see `Checkpoint.load`."""
        if self.checkpoint is not None:
            self.checkpoint.load(cancel, progress)

    def prepare(self, cancel: threading.Event | None = None) -> None:
        """Makes what the first details of a large graph would wait for: its names in order, its variables.

        Raises:
            Cancelled: `cancel` was set.
        """
        from tfexplore.core.edges import LARGE

        for owner in self.meta_graphs:
            with contextlib.suppress(ModelError):  # whoever looks at it says why
                owner.graph.load(cancel)
                if len(owner.graph) > LARGE:
                    check_cancel(cancel)
                    _ = owner.graph.sorted_names
                    check_cancel(cancel)
                    _ = owner.variables

    @property
    def kind_name(self) -> str:
        """The kind in words: `SavedModel`."""
        return KIND_NAMES[self.kind]

    def meta_graph(self, tags: Sequence[str] | None = None) -> MetaGraph:
        """The MetaGraph of a tag-set; without one the `serve` MetaGraph, else the first.

        Raises:
            UsageError: there is no such tag-set; names those that exist.
        """
        if not self.meta_graphs:
            raise UsageError(f"{self.path}: a {self.kind_name} holds no graph; `keys` and `objects` show what it holds")
        if tags is None:
            return next((found for found in self.meta_graphs if "serve" in found.tags), self.meta_graphs[0])
        wanted = set(tags)
        for found in self.meta_graphs:
            if set(found.tags) == wanted:
                return found
        known = "; ".join(",".join(found.tags) or "(no tags)" for found in self.meta_graphs)
        raise UsageError(f"{self.path}: no MetaGraph has the tag-set {','.join(tags)}; there is: {known}")

    def open_checkpoint(self, prefix: str, cancel: threading.Event | None = None) -> Checkpoint:
        """One checkpoint of the training directory; kept open with the model.

        Raises:
            ModelError: it cannot be read.
            Cancelled: the model was closed meanwhile.
        """
        if self.checkpoint is not None and self.checkpoint.prefix == prefix:
            return self.checkpoint
        with self._lock:
            if self._closed:
                raise Cancelled
            if prefix not in self._opened:
                self._opened[prefix] = Checkpoint(prefix, cancel=cancel)
            return self._opened[prefix]

    @cached_property
    def checkpoints(self) -> tuple[CheckpointInfo, ...]:
        """Facts about each checkpoint, oldest first; damaged ones are described."""
        files = self.checkpoint_files
        if not files and self.checkpoint is not None:
            files = (CheckpointFile(self.checkpoint.prefix, None, True),)
        return tuple(checkpoint_info(file.prefix, latest=file.latest, saved_at=file.saved_at) for file in files)

    def close(self) -> None:
        """Closes all files; a second call does nothing."""
        with self._lock:
            self._closed = True
            opened, self._opened = list(self._opened.values()), {}
        for checkpoint in opened:
            checkpoint.close()
        if self.checkpoint is not None:
            self.checkpoint.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
