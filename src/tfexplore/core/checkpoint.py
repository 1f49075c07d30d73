"""A checkpoint: keys with dtype, shape and place on disk, and the object graph it keeps."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tfexplore.core import text
from tfexplore.core.kept import Kept
from tfexplore.core.objects import ObjectGraph, trackable_object_graph
from tfexplore.core.shapes import num_elements
from tfexplore.errors import Cancelled, ChangedError, CorruptError, ModelError, NotFoundError
from tfexplore.formats.bundle import Bundle, BundleEntry
from tfexplore.formats.bundle_scalar import read_scalar_string
from tfexplore.formats.table import check_cancel

if TYPE_CHECKING:
    from tfexplore.formats.bundle_index import EntryBatch
    from tfexplore.formats.bundle_values import Array, Checksum, TensorValue
    from tfexplore.formats.checkpoint_v1 import CheckpointV1

T = TypeVar("T")

OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_STEP = re.compile(r"-(\d{1,18})$")
_MAX_KEY_SET = 100_000
# An object graph is a scalar string; a larger one is nobody's.
_MAX_OBJECT_GRAPH = 2**30
# One of more bytes takes a quarter of a second and more to read: nobody waits for it before the first screen.
_LARGE_OBJECT_GRAPH = 8 << 20
# How often a value is looked for anew while a trainer rewrites the checkpoint.
_MAX_RESTARTS = 1000
# Checksums and statistics that are kept.
_MAX_KEPT = 10_000
# What is kept of the files, and is read anew where others have taken their place.
_OF_THE_FILES = ("_key_set", "nbytes", "objects", "object_of_key")
# A trainer puts the shards in place, then the index: how long that may take, and for how old shards it is waited for.
_INDEX_FOLLOWS, _NEW, _LOOK_EVERY = 0.25, 2.0, 0.002


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
    """One checkpoint: in the V2 format (a tensor bundle), or in the V1 format where there is no `PREFIX.index`.

    Args:
        prefix: what comes before `.index` and `.data-00000-of-00001`; of a V1 checkpoint what comes before
            `-00000-of-00001`, or its only file.
        cancel: ends the reading of the index early.

    Attributes:
        kept: what was found out by reading all values of a key.
        objects_checksum: `good`, `bad` or `unverified`: of the object graph, once that has been read.
        restarts: how often it was opened anew because a trainer had rewritten it.

    Raises:
        ModelError: the index cannot be read; says where and why.
    """

    def __init__(self, prefix: str, *, cancel: threading.Event | None = None) -> None:
        self.prefix = prefix
        self.objects_checksum: Checksum = "unverified"
        self.restarts = 0
        self._patient = True
        self._reopening = threading.Lock()
        self.kept = Kept(_MAX_KEPT)
        self.bundle = self._open(cancel)

    def _open(self, cancel: threading.Event | None) -> Bundle | CheckpointV1:
        """Opens the files; once more where somebody wrote to them meanwhile and they cannot be read so."""
        index = self.prefix + ".index"
        if not os.path.lexists(index):
            from tfexplore.formats import checkpoint_v1

            if checkpoint_v1.shard_files(self.prefix):
                return checkpoint_v1.CheckpointV1(self.prefix, cancel=cancel)
        for _ in range(_MAX_RESTARTS):
            before = _identity(index)
            try:
                bundle = Bundle(self.prefix, cancel=cancel)
            except CorruptError:
                if _identity(index) == before:
                    raise
                continue
            if not bundle.damage or not bundle.replaced():
                return bundle
            bundle.close()
        raise self._restless()

    def _restless(self) -> ModelError:
        return ModelError("it is rewritten faster than it can be read", path=self.prefix, hint="try again later")

    @property
    def index_path(self) -> str:
        """The index file; of a V1 checkpoint its first file."""
        return self.bundle.index_path

    @property
    def is_v1(self) -> bool:
        """Whether it is in the V1 format."""
        return not isinstance(self.bundle, Bundle)

    @property
    def keys(self) -> list[str]:
        """All keys, sorted; the object graph's own key included, as TensorFlow lists it."""
        return self.bundle.keys

    @property
    def loaded(self) -> bool:
        """Whether all that a first look shows has been read: the names, and the object graph."""
        return self.bundle.loaded and not self.objects_pending

    def load(self, cancel: threading.Event | None = None, progress: Callable[[int, int], None] | None = None) -> None:
        """Reads all names and the object graph, where that has not been done.

        Args:
            progress: called with the blocks of names done and all of them.

        Raises:
            Cancelled: `cancel` was set.
        """
        self.bundle.load(cancel, progress)
        with suppress(ModelError):  # the headings say so
            _ = self.objects

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
        few = self.bundle.loaded and len(self.bundle) <= _MAX_KEY_SET
        return key in (self._key_set if few else self.bundle)

    def read(
        self,
        key: str,
        starts: Sequence[int] | None = None,
        counts: Sequence[int] | None = None,
        *,
        limit: int | None = None,
        cancel: threading.Event | None = None,
    ) -> TensorValue:
        """The values of a key, or a box of them; see `Bundle.read`.

        Index and shards are those of one moment: where a trainer has put others in their place and what was read
        does not match its checksum, the files are opened anew and the value is read again.

        Raises:
            As `Bundle.read` and `entry`.
        """

        def from_(bundle: Bundle | CheckpointV1) -> tuple[TensorValue, Checksum]:
            value = bundle.read(bundle.entry(key), starts, counts, limit=limit, cancel=cancel)
            if value.array.shape == value.shape:
                self._remember(key, bundle, value.checksum)
            return value, value.checksum

        value = self._at_one_moment(from_, cancel)[0]
        known = self.checksum_of(key) if value.checksum == "unverified" else value.checksum
        if known == value.checksum:
            return value
        return type(value)(value.array, known, value.dtype, value.shape, value.starts)

    def stream(
        self,
        key: str,
        cancel: threading.Event | None = None,
        progress: Callable[[int, int], None] | None = None,
        room: Callable[[int], Array] | None = None,
    ) -> Generator[Array, None, Checksum]:
        """All values of a key in flat pieces, in C order; see `Bundle.stream`. Returns what its checksum says.

        Raises:
            ChangedError: the files were replaced meanwhile; they are opened anew, and the value can be read again.
            As `read`, without a limit.
        """
        bundle = self.bundle
        try:
            checksum = yield from bundle.stream(bundle.entry(key), cancel, progress, room)
        except (CorruptError, NotFoundError) as error:
            if not self._was_replaced(cancel):
                raise
            self._reopen(bundle, cancel)
            raise ChangedError("it was rewritten while it was read", path=self.prefix, hint="try again") from error
        except Cancelled as error:
            if self.bundle is bundle or (cancel is not None and cancel.is_set()):
                raise
            raise ChangedError("it was rewritten while it was read", path=self.prefix, hint="try again") from error
        if checksum == "bad" and self._was_replaced(cancel):
            self._reopen(bundle, cancel)
            raise ChangedError("it was rewritten while it was read", path=self.prefix, hint="try again")
        self._remember(key, bundle, checksum)
        return checksum

    def checksum_of(self, key: str) -> Checksum:
        """What the checksum of a key said when all of it was last read; `unverified` where the files changed since."""
        found: Checksum | None = self.kept.get(self.bundle, "checksum", key)
        return found or "unverified"

    def _remember(self, key: str, bundle: Bundle | CheckpointV1, checksum: Checksum) -> None:
        if checksum != "unverified":
            self.kept.put(bundle, "checksum", key, checksum)

    def _at_one_moment(
        self, read: Callable[[Bundle | CheckpointV1], tuple[T, Checksum]], cancel: threading.Event | None
    ) -> tuple[T, Checksum]:
        """What `read` gives and the state of its checksum, from files that belong together.

        Raises:
            ModelError: as `read`, or the files change faster than they can be read.
            Cancelled: `cancel` was set, or the checkpoint was closed.
        """
        while True:
            bundle = self.bundle
            try:
                found = read(bundle)
                if found[1] != "bad":
                    return found
            except (CorruptError, NotFoundError):
                if not self._was_replaced(cancel):
                    raise
            except Cancelled:
                # Another reader has opened the files anew, which closed the ones in hand.
                if self.bundle is bundle or (cancel is not None and cancel.is_set()):
                    raise
                continue
            else:
                if not self._was_replaced(cancel):
                    return found
            self._reopen(bundle, cancel)

    def _reopen(self, bundle: Bundle | CheckpointV1, cancel: threading.Event | None) -> None:
        """Opens the files anew in place of `bundle`, unless another reader has done so."""
        with self._reopening:
            if self.bundle is not bundle:
                return
            if self.restarts >= _MAX_RESTARTS:
                raise self._restless()
            self.restarts += 1
            self.bundle = self._open(cancel)
        self._patient = True
        self.kept.clear()
        for name in _OF_THE_FILES:
            self.__dict__.pop(name, None)
        bundle.close()

    def _was_replaced(self, cancel: threading.Event | None) -> bool:
        """Whether the files are others by now. Where the shards are new, the index may follow in a moment."""
        deadline = time.monotonic() + (_INDEX_FOLLOWS if self._patient and self.bundle.written_within(_NEW) else 0)
        while not self.bundle.replaced():
            if time.monotonic() >= deadline:
                self._patient = False
                return False
            check_cancel(cancel)
            time.sleep(_LOOK_EVERY)
        return True

    def entry(self, key: str) -> BundleEntry:
        """The BundleEntry of a key.

        Raises:
            CorruptError: the entry is damaged, or there is none.
        """
        return self.bundle.entry(key)

    def iter_batches(self, cancel: threading.Event | None = None) -> Iterator[EntryBatch]:
        """All entries in the order of `keys`, as columns.

        Raises:
            Cancelled: `cancel` was set.
        """
        return self.bundle.iter_batches(cancel)

    def is_doubtful(self, key: str) -> bool:
        """Whether what the index says about a key cannot be trusted, for its block is damaged."""
        return self.bundle.is_doubtful(self.entry(key))

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

    @property
    def damage(self) -> list[str]:
        """Sentences about what is damaged or missing, as far as it was looked at."""
        bundle = self.bundle
        found = [f"the index is damaged: {damage}" for damage in bundle.damage]
        if bundle.header_damaged:
            order = "big" if bundle.big_endian else "little"
            found.append(f"the header is damaged: {order} endian is assumed, and no value counts as checked")
        missing = bundle.missing_shards()
        if missing:
            names = ", ".join(os.path.basename(bundle.shard_path(shard)) for shard in missing[:3])
            more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
            found.append(f"data files are missing, so the values in them cannot be shown: {names}{more}")
        return found

    @cached_property
    def nbytes(self) -> int:
        """Bytes of all values together; damaged entries count nothing."""
        return self.bundle.nbytes()

    @property
    def objects_pending(self) -> bool:
        """Whether there is an object graph so large that it is not read before it is asked for."""
        if "objects" in self.__dict__ or self.is_v1 or not self.has(OBJECT_GRAPH_KEY):
            return False
        try:
            return self.entry(OBJECT_GRAPH_KEY).size > _LARGE_OBJECT_GRAPH
        except ModelError:
            return False

    @cached_property
    def objects(self) -> ObjectGraph | None:
        """The object graph, or None for a checkpoint saved by names (TensorFlow 1).

        Raises:
            ModelError: it is there but cannot be read.
        """
        if not isinstance(self.bundle, Bundle) or not self.has(OBJECT_GRAPH_KEY):
            return None

        def from_(bundle: Bundle | CheckpointV1) -> tuple[bytes, Checksum]:
            assert isinstance(bundle, Bundle)
            return read_scalar_string(bundle, bundle.entry(OBJECT_GRAPH_KEY), _MAX_OBJECT_GRAPH)

        value, self.objects_checksum = self._at_one_moment(from_, None)
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


def index_file(prefix: str) -> str:
    """The file that stands for a checkpoint: `PREFIX.index`, or the first of a V1 checkpoint."""
    path = prefix + ".index"
    if os.path.lexists(path):
        return path
    from tfexplore.formats import checkpoint_v1

    return next(iter(checkpoint_v1.shard_files(prefix)), path)


def _identity(path: str) -> tuple[int, int, int] | None:
    """What tells whether a path names the same file with the same contents."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


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
        problem: what of the index cannot be read.
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
            saved_at = os.stat(index_file(prefix)).st_mtime
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
        keys, nbytes = len(checkpoint.keys), checkpoint.nbytes
        problem = str(bundle.damage[0]) if bundle.damage else None
        return CheckpointInfo(prefix, step, saved_at, latest, keys, nbytes, bundle.num_shards, missing, problem)
    finally:
        checkpoint.close()
