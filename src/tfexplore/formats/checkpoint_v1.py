"""V1 checkpoints: tables that hold the values themselves, in one file or in shards `PREFIX-00000-of-00002`.

The key "" holds SavedTensorSlices.meta: names, dtypes, shapes and slices. Every slice has an entry of its own under an
OrderedCode key, SavedTensorSlices.data, with its values as a TensorProto without dtype and shape. Source:
tensorflow/core/util/saved_tensor_slice.proto and tensor_slice_writer.cc; TensorFlow 2.21 writes and reads them still,
but refuses to read a tensor in several slices.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfexplore.errors import Cancelled, ChecksumError, CorruptError, ModelError, NotFoundError, UnsupportedError
from tfexplore.formats import dtypes
from tfexplore.formats.bundle_entry import BundleEntry, TensorSlice, named
from tfexplore.formats.bundle_index import EntryBatch, EntryHead, decode_key, encode_key
from tfexplore.formats.slice_list import MAX_DAMAGE, Part, TensorList
from tfexplore.formats.slice_table import MAX_ROOM, SliceTable
from tfexplore.formats.table import check_cancel
from tfexplore.formats.v1_files import is_v1, prefix_of, shard_files

if TYPE_CHECKING:
    from tfexplore.formats.bundle_values import Array, Box, Checksum, TensorValue

__all__ = ["CheckpointV1", "is_v1", "prefix_of", "shard_files"]

# All files stay open.
_MAX_FILES = 500
_BATCH = 1000
# An element of a string takes 48 bytes beside its characters.
_STRING_COST = 48


class CheckpointV1:
    """An open V1 checkpoint, with the surface of `Bundle`.

    Names, dtypes, shapes and places are read when it is opened; the values lie in the table's blocks and are read and
    checked when they are asked for. A damaged block costs the tensors in it, a damaged list of tensors their shapes.

    Args:
        prefix: the checkpoint's prefix, or the path of one of its files.
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
        self._paths = shard_files(prefix)
        if not self._paths:
            raise NotFoundError("there is no V1 checkpoint of this name", path=prefix)
        self.prefix = prefix_of(prefix)
        self.index_path = self._paths[0]
        self.num_shards = len(self._paths)
        self._tables: dict[int, SliceTable] = {}
        self._unreadable: set[int] = set()
        try:
            self._open(cancel)
        except BaseException:
            self.close()
            raise

    def _open(self, cancel: threading.Event | None) -> None:
        """Opens the files and takes in what they list."""
        present = [shard for shard, path in enumerate(self._paths) if os.path.lexists(path)]
        if len(present) > _MAX_FILES:
            raise UnsupportedError(
                f"the checkpoint has {len(present):,} files, more than the {_MAX_FILES} that are opened at once",
                path=self.prefix,
            )
        damage: list[ModelError] = []
        room = MAX_ROOM
        for shard in present:
            try:
                table = self._tables[shard] = SliceTable(self._paths[shard], room=room, cancel=cancel)
            except ModelError as error:
                damage.append(error.without_traceback())
                self._unreadable.add(shard)
                continue
            damage += table.damage.values()
            room = max(room - table.cost, 0)
        found = TensorList()
        lost = set()
        for shard, table in [*self._tables.items()]:
            try:
                if not found.take_meta(shard, table, cancel):
                    lost.add(shard)
            except UnsupportedError as error:  # what it holds may mean something else
                damage.append(error.without_traceback())
                self._unreadable.add(shard)
                del self._tables[shard]
                table.file.close()
        for shard, table in self._tables.items():
            found.take_keys(shard, table, shard in lost, cancel)
        self._tensors = found.tensors
        num_damaged = len(damage) + found.num_damaged
        damage += found.damage
        if damage and not self._tensors:
            raise damage[0].without_traceback()
        if num_damaged > MAX_DAMAGE:
            more = num_damaged - MAX_DAMAGE
            damage[MAX_DAMAGE:] = [CorruptError(f"{more:,} more parts of it are damaged", path=self.prefix)]
        self.damage: tuple[ModelError, ...] = tuple(damage)
        self.keys = [decode_key(key) for key in sorted(map(encode_key, self._tensors))]
        self.slice_count = sum(len(tensor.parts) for tensor in self._tensors.values() if len(tensor.parts) > 1)

    def table(self, shard: int) -> SliceTable:
        """File `shard`."""
        table = self._tables.get(shard)
        if table is None:
            raise Cancelled("the checkpoint was closed")
        return table

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: object) -> bool:
        return key in self._tensors

    def load(self, cancel: threading.Event | None = None, progress: Callable[[int, int], None] | None = None) -> None:
        """All names have been read at opening."""

    def entry(self, key: str) -> BundleEntry:
        """The entry of tensor `key`, checked; see `Bundle.entry`.

        `size` is what the values take as numbers, or for strings as they are stored; both are 0 where none are stored.
        `offset` is where the value begins in the file, or where its block does if that is compressed.

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
            return BundleEntry(key, tensor.dtype, tensor.shape, 0, 0, 0, 0, ())
        whole = BundleEntry(key, tensor.dtype, tensor.shape, 0, 0, 0, 0, parts)
        if len(parts) == 1 and _part_shape(parts[0], tensor.shape) == tensor.shape:
            return self.slice_entry(whole, parts[0])
        return whole

    def slice_entry(self, entry: BundleEntry, part: TensorSlice) -> BundleEntry:
        """The entry of one slice, with the slice's own shape.

        Raises:
            CorruptError: there is no such slice, or it has more elements than bytes are stored.
        """
        tensor = self._tensors.get(entry.key)
        at = tensor.parts.get(part) if tensor is not None else None
        if at is None:
            raise CorruptError(f"a slice of {named(entry.key)} is missing", path=self.index_path)
        shape = _part_shape(part, entry.shape)
        table = self.table(at.shard)
        place = table.places.get(at.key)
        if place is None:
            return BundleEntry(entry.key, entry.dtype, shape, at.shard, 0, 0, 0, ())
        elements = math.prod(shape)
        if elements > place.size:
            raise CorruptError(
                f"{named(entry.key)} should have {elements:,} elements of {list(shape)}, "
                f"but {place.size:,} bytes are stored",
                path=table.path,
                offset=place.offset,
            )
        size = elements * dtypes.itemsize(entry.dtype) or place.size
        return BundleEntry(entry.key, entry.dtype, shape, at.shard, place.offset, size if elements else 0, 0, ())

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
                    nbytes = entry.size if dtypes.itemsize(entry.dtype) else None
                    head = EntryHead(entry.dtype, entry.shape, entry.elements, nbytes)
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
        known = self._tables.keys() | self._unreadable
        return tuple(shard for shard in range(self.num_shards) if shard not in known)

    def read(
        self,
        entry: BundleEntry,
        starts: Sequence[int] | None = None,
        counts: Sequence[int] | None = None,
        *,
        limit: int | None = None,
        cancel: threading.Event | None = None,
    ) -> TensorValue:
        """The values of a tensor, or of a box of it; see `Bundle.read`.

        They are checked by the checksums of the table's blocks; a box of a large tensor may be unverified.

        Raises:
            As `Bundle.read`; a block that does not match its checksum is an error.
        """
        import numpy as np

        from tfexplore.formats.bundle_values import (
            Box,
            TensorValue,
            box_of,
            check_limit,
            check_readable,
            within_memory,
        )
        from tfexplore.formats.slice_values import read_slice

        check_readable(entry, self.index_path)
        box = box_of(entry, starts, counts)
        places = self.places(entry)
        check_limit(entry, self._size(entry, box.elements, places), limit, self.prefix)
        boxes = {part: Box(part.starts, _part_shape(part, entry.shape)) for part in places}
        self._check_covered(entry, box, boxes)
        with within_memory(entry, self.prefix):
            array: Any = np.empty(box.counts, dtypes.numpy_dtype(entry.dtype))
            filled = np.zeros(box.counts, np.bool_)
            checked = True
            for part, (shard, key) in places.items():
                check_cancel(cancel)
                common = boxes[part].common(box)
                if not common.elements:
                    continue
                found = self.slice_entry(entry, part)
                table = self.table(shard)
                inner = common.at(boxes[part].starts)
                values, good = read_slice(table, key, table.places[key], found, inner, cancel)
                target = common.at(box.starts).slices()
                if filled[target].any():
                    raise CorruptError(f"two slices of {named(entry.key)} overlap", path=self.index_path)
                filled[target] = True
                array[target] = values
                checked &= good
        return TensorValue(array, "good" if checked else "unverified", entry.dtype, entry.shape, box.starts)

    def places(self, entry: BundleEntry) -> dict[TensorSlice, Part]:
        """The slices of a tensor, of which each has values stored.

        Raises:
            CorruptError: a slice has none, or they lie in a damaged block.
        """
        tensor = self._tensors.get(entry.key)
        if tensor is None or not tensor.parts:
            raise CorruptError(f"{named(entry.key)} is listed, but no values of it are stored", path=self.index_path)
        for part, (shard, key) in tensor.parts.items():
            table = self.table(shard)
            if key not in table.places:
                what = f"slice {list(part.starts)} of " if len(tensor.parts) > 1 else ""
                raise table.problem(key) or CorruptError(
                    f"{what}{named(entry.key)} is listed, but no values of it are stored", path=table.path
                )
            self.slice_entry(entry, part)
        return tensor.parts

    def _check_covered(self, entry: BundleEntry, box: Box, boxes: dict[TensorSlice, Box]) -> None:
        """Counts the elements of `box` that the slices hold which are here.

        Raises:
            NotFoundError: a file of the checkpoint is missing, which must hold the rest.
            CorruptError: there is none that could.
        """
        covered = sum(part.common(box).elements for part in boxes.values())
        if covered == box.elements:
            return
        missing = self.missing_shards()
        if covered < box.elements and missing:
            names = ", ".join(os.path.basename(self.shard_path(shard)) for shard in missing[:3])
            more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
            raise NotFoundError(
                f"{box.elements - covered:,} of {box.elements:,} elements of {named(entry.key)} must lie in files "
                f"that are missing: {names}{more}",
                path=self.prefix,
                hint="copy all files of the checkpoint, or read a slice that is there",
            )
        raise CorruptError(f"the slices of {named(entry.key)} do not cover it just once", path=self.index_path)

    def _size(self, entry: BundleEntry, elements: int, places: dict[TensorSlice, Part]) -> int:
        """The bytes that so many elements of a tensor take in memory."""
        size = elements * dtypes.itemsize(entry.dtype)
        if not dtypes.itemsize(entry.dtype):
            stored = sum(self.table(shard).places[key].size for shard, key in places.values())
            size = stored + _STRING_COST * entry.elements
        return size

    def checksum(
        self,
        entry: BundleEntry,
        cancel: threading.Event | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Checksum:
        """Reads the blocks in which a tensor lies and says whether they match their checksums: "good" or "bad".

        Args:
            progress: called with the bytes done and the bytes in all.

        Raises:
            As `read`, without a limit.
        """
        try:
            places = self.places(entry)
        except ChecksumError:
            return "bad"
        from tfexplore.formats.bundle_values import Box, box_of

        whole = box_of(entry, None, None)
        boxes = {part: Box(part.starts, _part_shape(part, entry.shape)) for part in places}
        self._check_covered(entry, whole, boxes)
        blocks = {(shard, self.table(shard).places[key].block) for shard, key in places.values()}
        total = sum(self.table(shard).table.place(block)[1] for shard, block in blocks)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, total)

        for shard, block in sorted(blocks):
            try:
                self.table(shard).table.check_block(block, cancel, advance)
            except ChecksumError:
                return "bad"
        return "good"

    def stream(
        self,
        entry: BundleEntry,
        cancel: threading.Event | None = None,
        progress: Callable[[int, int], None] | None = None,
        room: Callable[[int], Array] | None = None,
    ) -> Generator[Array, None, Checksum]:
        """All values of a tensor piece by piece; see `Bundle.stream`. Needs no `room`."""
        from tfexplore.formats import bundle_stream

        return bundle_stream.stream_v1(self, entry, cancel, progress)

    def replaced(self) -> bool:
        """Whether the files under these names are no longer those that were opened, or were written to since."""
        return any(table.file.replaced() for table in self._tables.values())

    def written_within(self, seconds: float) -> bool:
        """Whether a file was written less than so many seconds ago."""
        return any(table.file.age < seconds for table in self._tables.values())

    def close(self) -> None:
        """Closes the files; a read that is going on in another thread is cancelled."""
        tables, self._tables = self._tables, {}
        for table in tables.values():
            table.file.close()

    def __enter__(self) -> CheckpointV1:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _part_shape(part: TensorSlice, shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(dim if length is None else length for length, dim in zip(part.lengths, shape, strict=True))
