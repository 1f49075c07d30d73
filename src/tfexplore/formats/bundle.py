"""The tensor bundle (V2 checkpoint): `PREFIX.index`, a table of entries, and `PREFIX.data-…` shards of values.

Source of the format: tensorflow/core/protobuf/tensor_bundle.proto and
tensorflow/core/util/tensor_bundle, checked against what TensorFlow 2.21 writes and reads.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING

from tfexplore.errors import CorruptError, ModelError, NotFoundError, UnsupportedError
from tfexplore.formats import dtypes
from tfexplore.formats.bundle_entry import BundleEntry, TensorSlice, decode_entry, named
from tfexplore.formats.bundle_index import BundleIndex, EntryBatch, encode_key, is_key
from tfexplore.formats.files import RandomAccessFile, os_error
from tfexplore.formats.ordered_code import WHOLE, encode_slice_key
from tfexplore.formats.proto import DecodeError, lean

if TYPE_CHECKING:
    from tfexplore.formats.bundle_values import Array, Checksum, TensorValue

__all__ = ["Bundle", "BundleEntry", "TensorSlice"]

VERSION = 1
MAX_SHARDS = 100_000
_OPEN_SHARDS = 64


class Bundle:
    """An open tensor bundle. Names of a large index are read by `load` or when they are asked for; an entry is
    decoded and its values read when somebody looks at it.

    A damaged block of the index costs what cannot be made out of it: `damage` says so. A damaged entry
    raises when it is asked for. Index and shards stay open, so that a checkpoint that is replaced meanwhile is
    read on as it was.

    Args:
        prefix: the checkpoint's prefix; its base name may be empty (`dir/` is `dir/.index`).
        cancel: gives up reading the index when set.

    Raises:
        NotFoundError: there is no `PREFIX.index`.
        CorruptError: the index is no table, or its header is damaged.
        UnsupportedError: the header asks for a newer reader.
        Cancelled: `cancel` was set.

    Attributes:
        num_shards: how many data files there should be.
        big_endian: the byte order of the stored values.
        producer: the version of the bundle format that the writer used.
        header_damaged: the header is in a damaged block. What is read of it is believed as far as it can be, else
            little endian is assumed, and the shards that lie beside the index. No value counts as verified.
    """

    def __init__(self, prefix: str, *, cancel: threading.Event | None = None) -> None:
        self.prefix = prefix
        self.index_path = f"{prefix}.index"
        self.num_shards = 0
        self.big_endian = False
        self.producer = 0
        self.header_damaged = False
        self._shards: OrderedDict[int, RandomAccessFile] = OrderedDict()
        self._lock = threading.Lock()
        self._index = BundleIndex(self.index_path, cancel=cancel)
        try:
            self._open_header()
        except BaseException:
            self._index.close()
            raise
        if self.num_shards <= _OPEN_SHARDS:
            self._open_shards()

    def _open_header(self) -> None:
        index = self._index
        if index.header is not None and not index.header_doubtful:
            self._read_header(index.header)
            return
        if not index.first_damaged:
            raise CorruptError('the bundle\'s header (the entry with the key "") is missing', path=self.index_path)
        if index.loaded and not index.keys:
            raise index.damage[0].without_traceback()
        self.header_damaged = True
        try:
            if index.header is not None:
                self._read_header(index.header)
        except ModelError:
            pass
        else:
            if self.num_shards and not self.missing_shards():
                return
        self.big_endian = False
        self.num_shards = self._guess_shards()

    def _open_shards(self) -> None:
        """Opens the shards before anything is read: a trainer may replace them, and then index and shards disagree."""
        for shard in range(self.num_shards):
            try:
                self.shard(shard)
            except ModelError:
                continue  # said when a value in it is asked for

    @property
    def keys(self) -> list[str]:
        """Names of tensors in the order of their bytes (UTF-8, surrogateescape), without header and slices."""
        return self._index.keys

    @property
    def loaded(self) -> bool:
        """Whether all names have been read; until then `keys` has to read them."""
        return self._index.loaded

    def load(self, cancel: threading.Event | None = None, progress: Callable[[int, int], None] | None = None) -> None:
        """Reads all names, if that has not been done: a third of a second for a million.

        Args:
            progress: called with the blocks done and the blocks in all.

        Raises:
            Cancelled: `cancel` was set.
        """
        self._index.load(cancel, progress)

    @property
    def damage(self) -> tuple[ModelError, ...]:
        """What cannot be read of the index, as far as it was looked at."""
        return self._index.damage

    def _read_header(self, raw: bytes) -> None:
        try:
            header = lean("BundleHeaderProto").FromString(raw)
        except DecodeError as error:
            raise CorruptError("the bundle's header is no BundleHeaderProto", path=self.index_path) from error
        if not 0 < header.num_shards <= MAX_SHARDS:
            raise CorruptError(
                f"the bundle's header says {header.num_shards:,} shards, expected 1 to {MAX_SHARDS:,}",
                path=self.index_path,
            )
        if header.endianness not in (0, 1):
            raise CorruptError(
                f"the bundle's header says endianness {header.endianness}, expected 0 (little) or 1 (big)",
                path=self.index_path,
            )
        version = header.version
        if version.min_consumer > VERSION or VERSION in version.bad_consumers:
            raise UnsupportedError(
                f"the bundle asks for a reader of format version {max(version.min_consumer, VERSION + 1)}, "
                f"this one reads version {VERSION}",
                path=self.index_path,
                hint="look for a newer tfexplore",
            )
        self.num_shards = header.num_shards
        self.big_endian = header.endianness == 1
        self.producer = version.producer

    def _guess_shards(self) -> int:
        """The number of shards that the names of the data files agree on, or 0."""
        counts = {name[-5:] for name in self._data_names() if name[-9:-5] == "-of-" and name[-5:].isdecimal()}
        return int(counts.pop()) if len(counts) == 1 else 0

    def _data_names(self) -> set[str]:
        folder, base = os.path.split(self.prefix)
        start = f"{base}.data-"
        try:
            return {name for name in os.listdir(folder or ".") if name.startswith(start)}
        except OSError as error:
            raise os_error(folder or ".", error) from error

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: object) -> bool:
        return is_key(key) and key in self._index

    @property
    def slice_count(self) -> int:
        """How many entries are slices of partitioned variables."""
        self.load()
        return self._index.slice_count

    def is_doubtful(self, entry: BundleEntry) -> bool:
        """Whether what the index says about a tensor cannot be trusted: the header, or a block with an entry of it or
        of one of its slices, is damaged."""
        if self.header_damaged or self._index.is_doubtful(encode_key(entry.key)):
            return True
        return any(self._index.is_doubtful(slice_key(entry, part)) for part in entry.slices)

    def entry(self, key: str) -> BundleEntry:
        """The entry of tensor `key`, checked.

        Raises:
            NotFoundError: the bundle has no such key.
            CorruptError: the entry is not what the format asks for.
        """
        raw = self._index.get(encode_key(key)) if key and is_key(key) else None
        if raw is None:
            raise NotFoundError(f"the checkpoint has no tensor {named(key)}", path=self.index_path)
        return self._decode(key, raw)

    def starts_with(self, key: str, beginning: bytes) -> bool:
        """Whether the bytes of an entry, which are not checked, begin so; False where there is none.

        With dtype and shape, which come first, that costs a third of `entry`.
        """
        raw = self._index.get(encode_key(key)) if key else None
        return raw is not None and raw.startswith(beginning)

    def iter_batches(self, cancel: threading.Event | None = None) -> Iterator[EntryBatch]:
        """All entries in the order of `keys`, block by block, as columns: a million cost half a second.

        Raises:
            Cancelled: `cancel` was set.
        """
        return self._index.iter_batches(self.num_shards or MAX_SHARDS, cancel)

    def iter_raw(self, cancel: threading.Event | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Every key of the index with its serialized entry, in byte order, header and slices included.

        Raises:
            CorruptError: a block of the index is damaged.
            Cancelled: `cancel` was set.
        """
        return self._index.iter_raw(cancel)

    def slice_entry(self, entry: BundleEntry, part: TensorSlice) -> BundleEntry:
        """The entry that holds the values of one slice of a partitioned variable.

        Raises:
            CorruptError: the bundle has no such entry, or its shape or dtype are not the slice's.
        """
        raw = self._index.get(slice_key(entry, part))
        what = f"slice {list(part.starts)} of {named(entry.key)}"
        if raw is None:
            raise CorruptError(f"the entry of {what} is missing", path=self.index_path)
        found = self._decode(entry.key, raw)
        shape = tuple(dim if length is None else length for dim, length in zip(entry.shape, part.lengths, strict=True))
        if found.slices or found.shape != shape or found.dtype != entry.dtype:
            raise CorruptError(
                f"{what} is stored as {dtypes.name(found.dtype)} {list(found.shape)}, "
                f"expected {dtypes.name(entry.dtype)} {list(shape)}",
                path=self.index_path,
            )
        return found

    def _decode(self, key: str, raw: bytes) -> BundleEntry:
        return decode_entry(raw, key, self.num_shards or MAX_SHARDS, self.index_path)

    def nbytes(self, cancel: threading.Event | None = None) -> int:
        """The bytes that all values take in the data files; entries that are damaged are left out.

        Raises:
            Cancelled: `cancel` was set.
        """
        total = 0
        for batch in self.iter_batches(cancel):
            total += sum(size for size, head in zip(batch.sizes, batch.heads, strict=True) if head is not None)
        return total + sum(map(self._stored_size, self._index.iter_slices()))

    def iter_beyond(self, cancel: threading.Event | None = None) -> Iterator[tuple[str, int, int]]:
        """Values that the index places beyond the end of their data file, as (key, shard, end in bytes).

        A slice of a partitioned variable comes with an empty key. Data files that are missing, or that nobody
        may read, hold nothing that could be beyond.

        Raises:
            Cancelled: `cancel` was set.
        """
        sizes: dict[int, float] = {}

        def is_beyond(shard: int, end: int) -> bool:
            size = sizes.get(shard)
            if size is None:
                try:
                    size = os.stat(self.shard_path(shard)).st_size
                except OSError:
                    size = math.inf
                sizes[shard] = size
            return end > size

        for raw in self._index.iter_slices():
            try:
                entry = self._decode("", raw)
            except CorruptError:
                continue
            if is_beyond(entry.shard, entry.offset + entry.size):
                yield "", entry.shard, entry.offset + entry.size
        for batch in self.iter_batches(cancel):
            columns = zip(batch.keys, batch.heads, batch.shards, batch.offsets, batch.sizes, strict=True)
            for key, head, shard, offset, size in columns:
                if head is not None and is_beyond(shard, offset + size):
                    yield key, shard, offset + size

    def _stored_size(self, raw: bytes) -> int:
        try:
            return self._decode("", raw).size
        except CorruptError:
            return 0

    def shard_path(self, shard: int) -> str:
        """The path of data file `shard`."""
        return f"{self.prefix}.data-{shard:05d}-of-{self.num_shards:05d}"

    def missing_shards(self) -> tuple[int, ...]:
        """The shards that are not beside the index."""
        names = self._data_names()
        return tuple(
            [shard for shard in range(self.num_shards) if os.path.basename(self.shard_path(shard)) not in names]
        )

    def shard(self, shard: int) -> RandomAccessFile:
        """Data file `shard`, opened on first need; the bundle keeps some of them open.

        Raises:
            NotFoundError, RefusedFileError: it is not there or is no regular file.
        """
        with self._lock:
            file = self._shards.get(shard)
            if file is None:
                file = self._shards[shard] = RandomAccessFile(self.shard_path(shard))
                if len(self._shards) > _OPEN_SHARDS:
                    # Not closed here: another thread may be reading it. It closes with its last reference.
                    self._shards.popitem(last=False)
            else:
                self._shards.move_to_end(shard)
            return file

    def read(
        self,
        entry: BundleEntry,
        starts: Sequence[int] | None = None,
        counts: Sequence[int] | None = None,
        *,
        limit: int | None = None,
        cancel: threading.Event | None = None,
    ) -> TensorValue:
        """The values of a tensor, or of the box of it that begins at `starts` and has the shape `counts`.

        A box reads the bytes asked for and is marked unverified; the whole tensor is checked against its checksum,
        which the answer tells. Variants are always read as a whole.

        Args:
            limit: the most bytes that may be read and held.

        Raises:
            CorruptError: the stored bytes cannot be what the entry says.
            NotFoundError: the data file is missing.
            UnsupportedError: the tensor is larger than `limit`, or has a dtype or rank that cannot be shown.
            UsageError: the box does not lie within the tensor.
            Cancelled: `cancel` was set.
        """
        from tfexplore.formats import bundle_values

        return bundle_values.read(self, entry, starts, counts, limit, cancel)

    def checksum(
        self,
        entry: BundleEntry,
        cancel: threading.Event | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Checksum:
        """Reads the whole tensor in pieces and says whether it matches its checksum: "good" or "bad".

        Args:
            progress: called with the bytes done and the bytes in all.

        Raises:
            As `read`, without a limit.
        """
        from tfexplore.formats import bundle_values

        return bundle_values.checksum(self, entry, cancel, progress)

    def stream(
        self,
        entry: BundleEntry,
        cancel: threading.Event | None = None,
        progress: Callable[[int, int], None] | None = None,
        room: Callable[[int], Array] | None = None,
    ) -> Generator[Array, None, Checksum]:
        """All values of a tensor in flat pieces of at most 8 MiB, in C order; returns what its checksum says.

        Only a single string of more bytes makes a larger piece. Variants come in one.

        Args:
            progress: called with the bytes done and the bytes in all.
            room: gives memory (uint8) for so many bytes of a piece of numbers, called in the thread that takes it; what
                it gave before may be written over.

        Raises:
            As `read`, without a limit.
        """
        from tfexplore.formats import bundle_stream

        return bundle_stream.stream(self, entry, cancel, progress, room)

    def replaced(self) -> bool:
        """Whether the files under these names are no longer those that were opened, or were written to since."""
        with self._lock:
            files = [self._index.file, *self._shards.values()]
        return any(file.replaced() for file in files)

    def written_within(self, seconds: float) -> bool:
        """Whether a shard that was opened was written less than so many seconds ago."""
        with self._lock:
            return any(file.age < seconds for file in self._shards.values())

    def close(self) -> None:
        """Closes the files; a read that is going on in another thread is cancelled."""
        with self._lock:
            for file in self._shards.values():
                file.close()
            self._shards.clear()
        self._index.close()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def slice_key(entry: BundleEntry, part: TensorSlice) -> bytes:
    """The key of the entry that says where a slice of a partitioned variable lies."""
    lengths = [WHOLE if length is None else length for length in part.lengths]
    return encode_slice_key(encode_key(entry.key), part.starts, lengths)
