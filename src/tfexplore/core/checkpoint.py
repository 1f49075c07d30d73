"""A checkpoint: keys with dtype, shape and place on disk, and the object graph it keeps."""

from __future__ import annotations

import os
import re
import threading
from functools import cached_property
from typing import NamedTuple

from tfexplore.core import text
from tfexplore.core.objects import ObjectGraph, trackable_object_graph
from tfexplore.core.shapes import num_elements
from tfexplore.errors import ModelError
from tfexplore.formats.bundle import Bundle, BundleEntry
from tfexplore.formats.bundle_scalar import read_scalar_string

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_STEP = re.compile(r"-(\d{1,18})$")
_MAX_KEY_SET = 100_000
# An object graph is a scalar string; a larger one is nobody's.
_MAX_OBJECT_GRAPH = 2**30


def step_of(prefix: str) -> int | None:
    """The step that a checkpoint's name ends with (`ckpt-300`), or None."""
    found = _STEP.search(prefix)
    return int(found.group(1)) if found else None


class StoredValue(NamedTuple):
    """Where a checkpoint key's value lies.

    Attributes:
        nbytes: as stored, all slices of a partitioned variable together.
        elements: how many; None where the shape is damaged.
        parts: (slice specification or "", shard, offset, bytes) for each stored piece.
    """

    key: str
    dtype: int
    shape: tuple[int, ...]
    nbytes: int
    elements: int | None
    parts: tuple[tuple[str, int, int, int], ...]


class Checkpoint:
    """One checkpoint in the V2 format (a tensor bundle).

    Args:
        prefix: what comes before `.index` and `.data-00000-of-00001`.
        cancel: ends the reading of the index early.

    Attributes:
        objects_checksum: `good`, `bad` or `unverified`: of the object graph, once that has been read.

    Raises:
        ModelError: the index cannot be read; says where and why.
    """

    def __init__(self, prefix: str, *, cancel: threading.Event | None = None) -> None:
        self.prefix = prefix
        self.objects_checksum = "unverified"
        self.bundle = Bundle(prefix, cancel=cancel)

    @property
    def index_path(self) -> str:
        """The index file."""
        return self.prefix + ".index"

    @property
    def keys(self) -> list[str]:
        """All keys, sorted; the object graph's own key included, as TensorFlow lists it."""
        return self.bundle.keys

    @cached_property
    def _key_set(self) -> frozenset[str]:
        return frozenset(self.bundle.keys)

    @property
    def step(self) -> int | None:
        """The step from the prefix's name."""
        return step_of(self.prefix)

    def has(self, key: str) -> bool:
        """Whether the checkpoint holds that key."""
        # A set of a million keys would cost as much as the keys themselves.
        return key in (self._key_set if len(self.keys) <= _MAX_KEY_SET else self.bundle)

    def entry(self, key: str) -> BundleEntry:
        """The BundleEntry of a key.

        Raises:
            CorruptError: the entry is damaged, or there is none.
        """
        return self.bundle.entry(key)

    def stored(self, key: str) -> StoredValue:
        """Dtype, shape and place of a key's value.

        Raises:
            CorruptError: the entry, or that of one of its slices, is damaged.
        """
        entry = self.bundle.entry(key)
        if entry.slices:
            parts = []
            for piece in entry.slices:
                found = self.bundle.slice_entry(entry, piece)
                parts.append((slice_spec(piece.starts, piece.lengths), found.shard, found.offset, found.size))
        else:
            parts = [("", entry.shard, entry.offset, entry.size)]
        total = sum(part[3] for part in parts)
        return StoredValue(key, entry.dtype, entry.shape, total, num_elements(entry.shape), tuple(parts))

    @cached_property
    def nbytes(self) -> int:
        """Bytes of all values together; damaged entries count nothing."""
        total = 0
        for key in self.keys:
            try:
                total += self.stored(key).nbytes
            except ModelError:
                continue
        return total

    @cached_property
    def objects(self) -> ObjectGraph | None:
        """The object graph, or None for a checkpoint saved by names (TensorFlow 1).

        Raises:
            ModelError: it is there but cannot be read.
        """
        if not self.has(OBJECT_GRAPH_KEY):
            return None
        value, self.objects_checksum = read_scalar_string(self.bundle, self.entry(OBJECT_GRAPH_KEY), _MAX_OBJECT_GRAPH)
        return trackable_object_graph(value, path=self.index_path)

    @cached_property
    def object_of_key(self) -> dict[str, int]:
        """Ids of the objects that keep each key."""
        found: dict[str, int] = {}
        objects = self.objects
        for node_id in range(len(objects)) if objects is not None else ():
            for part in objects.message(node_id).attributes if objects is not None else ():
                found.setdefault(text.decode(part.checkpoint_key), node_id)
        return found

    def close(self) -> None:
        """Closes the files."""
        self.bundle.close()


def slice_spec(starts: tuple[int, ...], lengths: tuple[int | None, ...]) -> str:
    """A slice as TensorFlow writes it: `0,2:-` (start, length; `-` for a whole dimension)."""
    return ":".join(
        "-" if length is None else f"{start},{length}" for start, length in zip(starts, lengths, strict=True)
    )


class CheckpointInfo(NamedTuple):
    """One checkpoint of a training directory.

    Attributes:
        saved_at: seconds since 1970, from the `checkpoint` file, else when the index was last changed.
        keys, nbytes, shards: None where the index cannot be read; `problem` says why.
    """

    prefix: str
    step: int | None
    saved_at: float | None
    latest: bool
    keys: int | None
    nbytes: int | None
    shards: int | None
    missing_shards: tuple[int, ...]
    problem: str | None = None


def checkpoint_info(prefix: str, *, latest: bool, saved_at: float | None = None) -> CheckpointInfo:
    """Facts about one checkpoint; a damaged one is described, not raised."""
    if saved_at is None:
        try:
            saved_at = os.stat(prefix + ".index").st_mtime
        except OSError:
            saved_at = None
    step = step_of(prefix)
    try:
        checkpoint = Checkpoint(prefix)
    except ModelError as error:
        return CheckpointInfo(prefix, step, saved_at, latest, None, None, None, (), str(error))
    try:
        bundle = checkpoint.bundle
        missing = tuple(bundle.missing_shards())
        return CheckpointInfo(
            prefix, step, saved_at, latest, len(checkpoint.keys), checkpoint.nbytes, bundle.num_shards, missing
        )
    finally:
        checkpoint.close()
