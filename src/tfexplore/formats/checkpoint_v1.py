"""V1 checkpoints: tables that hold the values themselves, in one file or in shards `PREFIX-00000-of-00002`.

The key "" holds SavedTensorSlices.meta: names, dtypes, shapes and slices. Every slice has an entry of its own under an
OrderedCode key, SavedTensorSlices.data, with its values as a TensorProto without dtype and shape. Source:
tensorflow/core/util/saved_tensor_slice.proto and tensor_slice_writer.cc; TensorFlow 2.21 writes and reads them still,
but refuses to read a tensor in several slices.
"""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.errors import CorruptError, ModelError, NotFoundError, UnsupportedError
from tfexplore.formats import dtypes, wire
from tfexplore.formats.bundle_entry import BundleEntry, TensorSlice, decode_slice, named
from tfexplore.formats.bundle_index import EntryBatch, EntryHead, decode_key, encode_key
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.ordered_code import MAX_DIMS, WHOLE, decode_slice_key, encode_slice_key
from tfexplore.formats.proto import DecodeError, lean
from tfexplore.formats.table import Table, check_cancel, is_table

if TYPE_CHECKING:
    from tfexplore.formats.bundle_values import Checksum, TensorValue

VERSION = 1
MAX_SHARDS = 100_000
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
_BATCH = 1000
# Sentences about one file: a hostile one could ask for millions.
_MAX_DAMAGE = 100


def prefix_of(path: str) -> str:
    """What a shard belongs to: `export` for `export-00000-of-00002`, any other path as it is."""
    return _SHARD.sub("", path)


def shard_files(prefix: str) -> list[str]:
    """The files of the V1 checkpoint of that prefix, by shard; empty where there is none.

    A lone file is one of one shard. Where shards are missing, their names are among the files all the same.
    """
    if os.path.isfile(prefix) and _is_v1(prefix):
        return [prefix]
    folder, base = os.path.split(prefix)
    try:
        names = [name for name in os.listdir(folder or ".") if name.startswith(base) and _SHARD.search(name)]
    except OSError:
        return []
    counts = sorted(
        {int(name[-5:]) for name in names if _SHARD.sub("", name) == base and _is_v1(os.path.join(folder, name))}
    )
    if not counts or not 0 < counts[-1] <= MAX_SHARDS:
        return []
    return [f"{prefix}-{shard:05d}-of-{counts[-1]:05d}" for shard in range(counts[-1])]


def _is_v1(path: str) -> bool:
    try:
        with RandomAccessFile(path) as file:
            return is_v1(file)
    except ModelError:
        return False


def is_v1(file: RandomAccessFile) -> bool:
    """Whether a table is a V1 checkpoint, and not the index of a V2 one.

    Raises:
        ModelError: the file cannot be read.
    """
    if not is_table(file):
        return False
    try:
        keys, values = Table(file).read_block(0)
    except (ModelError, IndexError):
        return False
    # SavedTensorSlices.meta or .data; a BundleHeaderProto begins with a number, a BundleEntryProto with its dtype.
    return bool(values) and values[0][:1] in (b"\x0a", b"\x12") and keys[0][:1] in (b"", b"\x00")


class _Part(NamedTuple):
    shard: int
    key: bytes


class _Tensor(NamedTuple):
    """What the checkpoint says of a tensor: dtype, shape (None: not said), and where each slice lies."""

    dtype: int
    shape: tuple[int, ...] | None
    problem: str | None
    parts: dict[TensorSlice, _Part]


class CheckpointV1:
    """An open V1 checkpoint, with the surface of `Bundle`.

    The values lie in the table's blocks, so an entry's place is that of its block, and what is read has passed the
    block's checksum.

    Args:
        prefix: the checkpoint's prefix, or the path of its only file.
        cancel: gives up the reading when set.

    Raises:
        NotFoundError: there is no such checkpoint.
        CorruptError: no file of it can be read.
        UnsupportedError: it asks for a newer reader.
        Cancelled: `cancel` was set.

    Attributes:
        keys: names of tensors in the order of their bytes.
        damage: what cannot be read.
    """

    header_damaged = False
    big_endian = False
    loaded = True

    def __init__(self, prefix: str, *, cancel: threading.Event | None = None) -> None:
        self.prefix = prefix
        self._paths = shard_files(prefix)
        if not self._paths:
            raise NotFoundError("there is no V1 checkpoint of this name", path=prefix)
        self.index_path = self._paths[0]
        self.num_shards = len(self._paths)
        self._files: dict[int, RandomAccessFile] = {}
        self._tables: dict[int, Table] = {}
        self._tensors: dict[str, _Tensor] = {}
        self._lock = threading.Lock()
        damage: list[ModelError] = []
        for shard, path in enumerate(self._paths):
            check_cancel(cancel)
            try:
                self._files[shard] = file = RandomAccessFile(path)
                self._tables[shard] = Table(file)
            except NotFoundError:
                continue  # among `missing_shards`
            except UnsupportedError:
                raise
            except ModelError as error:
                damage.append(error)
                continue
            damage += list(islice(self._read_shard(shard, cancel), _MAX_DAMAGE))
        if damage and not self._tensors:
            raise damage[0]
        self.damage: tuple[ModelError, ...] = tuple(damage)
        self.keys = [decode_key(key) for key in sorted(map(encode_key, self._tensors))]
        self.slice_count = sum(len(tensor.parts) for tensor in self._tensors.values() if len(tensor.parts) > 1)

    # -- reading what there is --

    def _read_shard(self, shard: int, cancel: threading.Event | None) -> Iterator[ModelError]:
        """Takes in the tensors that one file lists; what is wrong with it."""
        path = self._paths[shard]
        meta: Any = None
        try:
            raw = self._tables[shard].get(b"")
            if raw is None:
                raise CorruptError('the entry with the key "" is missing, which lists the tensors', path=path)
            meta = wire.decode(lean("SavedTensorSlices"), raw, path=path, what="SavedTensorSlices", offset=None).meta
        except CorruptError as error:
            yield error
            yield from self._scan(shard, cancel)
            return
        _check_version(meta.versions, path)
        for number, listed in enumerate(meta.tensor):
            if number % _BATCH == 0:
                check_cancel(cancel)
            name = decode_key(listed.name)
            shape, problem = _shape(listed.shape)
            parts: dict[TensorSlice, _Part] = {}
            for proto in listed.slice if shape is not None else ():
                try:
                    part = decode_slice(proto, shape or (), CorruptError)
                except CorruptError as error:
                    problem = f"it {error.what}"
                    continue
                parts[part] = _Part(shard, _key_of(listed.name, part))
            known = self._tensors.get(name)
            if known is None:
                self._tensors[name] = _Tensor(listed.type, shape, problem, parts)
            elif (known.dtype, known.shape) != (listed.type, shape):
                yield CorruptError(f"{named(name)} is listed twice, with different facts", path=path)
            else:
                known.parts.update(parts)

    def _scan(self, shard: int, cancel: threading.Event | None) -> Iterator[ModelError]:
        """Takes in the names of what a file holds that cannot say itself what it holds."""
        table, path = self._tables[shard], self._paths[shard]
        for number in range(table.block_count):
            check_cancel(cancel)
            try:
                keys, _ = table.read_block(number)
            except ModelError as error:
                yield error
                continue
            for key in filter(None, keys):
                try:
                    name = decode_key(decode_slice_key(key).name)
                except CorruptError:
                    yield CorruptError(f"the key {named(decode_key(key))} is no slice key", path=path)
                    continue
                self._tensors.setdefault(name, _Tensor(0, None, "the list of tensors, with its shape, is damaged", {}))

    # -- the surface of Bundle --

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: object) -> bool:
        return key in self._tensors

    def load(self, cancel: threading.Event | None = None, progress: Callable[[int, int], None] | None = None) -> None:
        """All names have been read at opening."""

    def entry(self, key: str) -> BundleEntry:
        """The entry of tensor `key`, checked; see `Bundle.entry`.

        `size` is what the values take as numbers, or for strings their bytes; `offset` is that of the table's block.

        Raises:
            NotFoundError: there is no such tensor.
            CorruptError: what is stored of it cannot be.
        """
        tensor = self._tensors.get(key)
        if tensor is None:
            raise NotFoundError(f"the checkpoint has no tensor {named(key)}", path=self.index_path)
        if tensor.shape is None or tensor.problem is not None:
            raise CorruptError(f"the entry of {named(key)} cannot be read: {tensor.problem}", path=self.index_path)
        parts = tuple(tensor.parts)
        if not parts:
            raise CorruptError(f"{named(key)} is listed, but no values of it are stored", path=self.index_path)
        whole = BundleEntry(key, tensor.dtype, tensor.shape, 0, 0, 0, 0, parts)
        if len(parts) == 1 and _covers(parts[0], tensor.shape):
            return self.slice_entry(whole, parts[0])
        return whole

    def slice_entry(self, entry: BundleEntry, part: TensorSlice) -> BundleEntry:
        """The entry of one slice, with the slice's own shape.

        Raises:
            CorruptError: there is no such slice.
        """
        tensor = self._tensors.get(entry.key)
        place = tensor.parts.get(part) if tensor is not None else None
        if tensor is None or place is None:
            raise CorruptError(f"a slice of {named(entry.key)} is missing", path=self.index_path)
        shape = _part_shape(part, entry.shape)
        offset = self._tables[place.shard].block_offset(place.key)
        itemsize = dtypes.itemsize(entry.dtype)
        size = math.prod(shape) * itemsize
        if not itemsize:
            message = self._message(entry.key, place)
            size = sum(map(len, message.string_val)) if message is not None else 0
        return BundleEntry(entry.key, entry.dtype, shape, place.shard, offset, size, 0, ())

    def is_doubtful(self, entry: BundleEntry) -> bool:
        """Nothing that is listed is doubtful: damaged blocks are left out."""
        return False

    def iter_batches(self, cancel: threading.Event | None = None) -> Iterator[EntryBatch]:
        """All entries in the order of `keys`; see `Bundle.iter_batches`."""
        for start in range(0, len(self.keys), _BATCH):
            check_cancel(cancel)
            batch = EntryBatch(self.keys[start : start + _BATCH], [], [], [], [], False)
            for key in batch.keys:
                try:
                    entry: BundleEntry | None = self.entry(key)
                except ModelError:
                    entry = None
                head = None
                if entry is not None and not entry.slices:
                    head = EntryHead(entry.dtype, entry.shape, entry.elements, entry.size)
                batch.heads.append(head)
                batch.shards.append(entry.shard if entry is not None else 0)
                batch.offsets.append(entry.offset if entry is not None else 0)
                batch.sizes.append(entry.size if entry is not None else 0)
            yield batch

    def nbytes(self, cancel: threading.Event | None = None) -> int:
        """The bytes that all values take as numbers; damaged entries are left out."""
        total = 0
        for number, key in enumerate(self.keys):
            if number % _BATCH == 0:
                check_cancel(cancel)
            try:
                entry = self.entry(key)
                parts = [self.slice_entry(entry, part) for part in entry.slices] or [entry]
            except ModelError:
                continue
            total += sum(part.size for part in parts)
        return total

    def shard_path(self, shard: int) -> str:
        """The path of file `shard`."""
        return self._paths[shard]

    def missing_shards(self) -> tuple[int, ...]:
        """The files that are not there."""
        return tuple(shard for shard in range(self.num_shards) if shard not in self._files)

    def read(
        self,
        entry: BundleEntry,
        starts: Sequence[int] | None = None,
        counts: Sequence[int] | None = None,
        *,
        limit: int | None = None,
        cancel: threading.Event | None = None,
    ) -> TensorValue:
        """The values of a tensor, or of a box of it, checked by the checksums of the table's blocks.

        Raises:
            As `Bundle.read`.
        """
        import numpy as np

        from tfexplore.formats.bundle_values import Box, TensorValue, box_of, check_readable

        check_readable(entry, self.index_path)
        box = box_of(entry, starts, counts)
        itemsize = dtypes.itemsize(entry.dtype) or 64
        if limit is not None and box.elements * itemsize > limit:
            raise UnsupportedError(
                f"{named(entry.key)} takes {box.elements * itemsize:,} bytes in memory, "
                f"more than the {limit:,} that are read at once",
                path=self.prefix,
                hint="read a slice of it",
            )
        parts = entry.slices or tuple(self._tensors[entry.key].parts)
        boxes = [Box(part.starts, _part_shape(part, entry.shape)) for part in parts]
        if sum(part.elements for part in boxes) != entry.elements:
            raise CorruptError(f"the slices of {named(entry.key)} do not cover it just once", path=self.index_path)
        array: Any = np.empty(box.counts, dtypes.numpy_dtype(entry.dtype))
        filled = np.zeros(box.counts, np.bool_)
        for part, part_box in zip(parts, boxes, strict=True):
            check_cancel(cancel)
            common = part_box.common(box)
            if not common.elements:
                continue
            values = self._values(entry, part, part_box.counts)
            target = common.at(box.starts).slices()
            if filled[target].any():
                raise CorruptError(f"two slices of {named(entry.key)} overlap", path=self.index_path)
            filled[target] = True
            array[target] = values[common.at(part_box.starts).slices()]
        if not filled.all():
            raise CorruptError(f"the slices of {named(entry.key)} do not cover it", path=self.index_path)
        return TensorValue(array, "good", entry.dtype, entry.shape, box.starts)

    def _values(self, entry: BundleEntry, part: TensorSlice, shape: tuple[int, ...]) -> Any:
        from tfexplore.formats import tensor_proto

        place = self._tensors[entry.key].parts[part]
        message = self._message(entry.key, place)
        path = self._paths[place.shard]
        elements = math.prod(shape)
        base = dtypes.base(entry.dtype)
        values = tensor_proto.stored(message, base, path)
        if len(values) != elements:
            raise CorruptError(
                f"{named(entry.key)} has {len(values):,} values stored, expected the {elements:,} of {list(shape)}",
                path=path,
                offset=self._tables[place.shard].block_offset(place.key),
            )
        return values.reshape(shape)

    def _message(self, name: str, place: _Part) -> Any:
        """The TensorProto of one slice.

        Raises:
            CorruptError: it cannot be read.
        """
        path = self._paths[place.shard]
        with self._lock:
            raw = self._tables[place.shard].get(place.key)
        try:
            found = lean("SavedTensorSlices").FromString(raw or b"")
            message = lean("TensorProto").FromString(found.data.data)
        except DecodeError as error:
            raise CorruptError(f"the values of {named(name)} are no SavedTensorSlices", path=path) from error
        if decode_key(found.data.name) != name:
            raise CorruptError(f"what is stored for {named(name)} says that it belongs to another tensor", path=path)
        return message

    def checksum(
        self,
        entry: BundleEntry,
        cancel: threading.Event | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Checksum:
        """Reads the whole tensor, whose blocks are checked on the way: "good", or the error of a bad block."""
        self.read(entry, cancel=cancel)
        if progress is not None:
            progress(1, 1)
        return "good"

    def replaced(self) -> bool:
        """Whether the files under these names are no longer those that were opened, or were written to since."""
        return any(file.replaced() for file in self._files.values())

    def written_within(self, seconds: float) -> bool:
        """Whether a file was written less than so many seconds ago."""
        return any(file.age < seconds for file in self._files.values())

    def close(self) -> None:
        """Closes the files, between two reads."""
        with self._lock:
            for file in self._files.values():
                file.close()

    def __enter__(self) -> CheckpointV1:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_version(version: Any, path: str) -> None:
    if version.min_consumer > VERSION or VERSION in version.bad_consumers:
        raise UnsupportedError(
            f"the checkpoint asks for a reader of format version {max(version.min_consumer, VERSION + 1)}, "
            f"this one reads version {VERSION}",
            path=path,
            hint="look for a newer tfexplore",
        )


def _key_of(name: bytes, part: TensorSlice) -> bytes:
    return encode_slice_key(name, part.starts, [WHOLE if length is None else length for length in part.lengths])


def _shape(message: Any) -> tuple[tuple[int, ...] | None, str | None]:
    """The shape of a listed tensor, or what is wrong with it."""
    if message.unknown_rank:
        return None, "its rank is unknown"
    if len(message.dim) > MAX_DIMS:
        return None, f"it has {len(message.dim):,} dimensions, more than {MAX_DIMS}"
    shape = tuple(dim.size for dim in message.dim)
    if any(size < 0 for size in shape):
        return None, f"its shape {list(shape)} has a dimension below 0"
    if math.prod(shape) >= 1 << 63:
        return None, f"its shape {list(shape)} has more elements than there can be"
    return shape, None


def _part_shape(part: TensorSlice, shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(dim if length is None else length for length, dim in zip(part.lengths, shape, strict=True))


def _covers(part: TensorSlice, shape: tuple[int, ...]) -> bool:
    return _part_shape(part, shape) == shape
