"""The tensor bundle (V2 checkpoint): `PREFIX.index`, a table of entries, and `PREFIX.data-…` shards of values.

Source of the format: tensorflow/core/protobuf/tensor_bundle.proto and
tensorflow/core/util/tensor_bundle, checked against what TensorFlow 2.21 writes and reads.
"""

from __future__ import annotations

import os
import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tfexplore.errors import CorruptError, ModelError, NotFoundError, UnsupportedError
from tfexplore.formats import dtypes
from tfexplore.formats.bundle_entry import BundleEntry, TensorSlice, decode_entry, named
from tfexplore.formats.files import RandomAccessFile, os_error
from tfexplore.formats.ordered_code import WHOLE, decode_slice_key, encode_slice_key
from tfexplore.formats.proto import DecodeError, lean
from tfexplore.formats.table import ENTRY_COST, Table, check_cancel

if TYPE_CHECKING:
    from tfexplore.formats.bundle_values import Checksum, TensorValue

__all__ = ["Bundle", "BundleEntry", "TensorSlice"]

VERSION = 1
MAX_SHARDS = 100_000
# A block of an index holds 256 KiB and one entry more.
_MAX_BLOCK = 64 << 20
_OPEN_SHARDS = 64


def _encode(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


class Bundle:
    """An open tensor bundle: its keys are in memory, entries are decoded and values read when asked for.

    A damaged block of the index costs the keys in it, no others: `damage` says so. A damaged entry
    raises when it is asked for.

    Args:
        prefix: the checkpoint's prefix; its base name may be empty (`dir/` is `dir/.index`).
        cancel: gives up reading the index when set.

    Raises:
        NotFoundError: there is no `PREFIX.index`.
        CorruptError: the index is no table, or its header is damaged.
        UnsupportedError: the header asks for a newer reader.
        Cancelled: `cancel` was set.

    Attributes:
        keys: names of tensors in the order of their bytes (UTF-8, surrogateescape), without header and slices.
        slice_count: how many entries are slices of partitioned variables.
        num_shards: how many data files there should be.
        big_endian: the byte order of the stored values.
        producer: the version of the bundle format that the writer used.
        damage: what could not be read of the index.
        header_damaged: the header was in a damaged block. Byte order and shards are then assumed: little
            endian, the shards that lie beside the index. Values are read, but count as unverified.
    """

    def __init__(self, prefix: str, *, cancel: threading.Event | None = None) -> None:
        self.prefix = prefix
        self.index_path = f"{prefix}.index"
        self.keys: list[str] = []
        self.num_shards = 0
        self.big_endian = False
        self.producer = 0
        self.damage: tuple[ModelError, ...] = ()
        self.header_damaged = False
        self._values = bytearray()
        self._ends = array("Q")
        self._slices: dict[bytes, bytes] = {}
        self._shards: OrderedDict[int, RandomAccessFile] = OrderedDict()
        self._lock = threading.Lock()
        with RandomAccessFile(self.index_path) as file:
            self._load(Table(file, max_block=_MAX_BLOCK), cancel)

    def _load(self, table: Table, cancel: threading.Event | None) -> None:
        damage: list[ModelError] = []
        header: bytes | None = None
        room = table.room
        for number in range(table.block_count):
            check_cancel(cancel)
            try:
                keys, values = table.read_block(number)
            except (CorruptError, UnsupportedError) as error:
                damage.append(error)
                continue
            room -= sum(map(len, keys)) + ENTRY_COST * len(keys)
            if room < 0:
                damage.append(
                    CorruptError(
                        "the keys take far more memory than a file of this size should ask for; "
                        f"the last {table.block_count - number:,} blocks are not listed",
                        path=self.index_path,
                    )
                )
                break
            # The header's key is empty and slice keys begin with a zero byte: they come first.
            first = 0
            while first < len(keys) and keys[first] < b"\x01":
                if not keys[first]:
                    header = values[first]
                elif _is_slice_key(keys[first]):
                    self._slices[keys[first]] = values[first]
                else:
                    self._add(keys[first : first + 1], values[first : first + 1])
                first += 1
            self._add(keys[first:], values[first:])
        self.damage = tuple(damage)
        if header is not None:
            self._read_header(header)
        elif damage and self.keys:
            self.header_damaged = True
            self.num_shards = self._guess_shards()
        elif damage:
            raise damage[0]
        else:
            raise CorruptError('the bundle\'s header (the entry with the key "") is missing', path=self.index_path)

    def _add(self, keys: list[bytes], values: list[bytes]) -> None:
        self.keys += [key.decode("utf-8", "surrogateescape") for key in keys]
        end = len(self._values)
        self._values += b"".join(values)
        add = self._ends.append
        for value in values:
            end += len(value)
            add(end)

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
        return isinstance(key, str) and self._find(key) is not None

    def _find(self, key: str) -> int | None:
        at = bisect_left(self.keys, _encode(key), key=_encode)
        return at if at < len(self.keys) and self.keys[at] == key else None

    @property
    def slice_count(self) -> int:
        return len(self._slices)

    def entry(self, key: str) -> BundleEntry:
        """The entry of tensor `key`, checked.

        Raises:
            NotFoundError: the bundle has no such key.
            CorruptError: the entry is not what the format asks for.
        """
        at = self._find(key)
        if at is None:
            raise NotFoundError(f"the checkpoint has no tensor {named(key)}", path=self.index_path)
        return self._decode(key, bytes(self._values[self._ends[at - 1] if at else 0 : self._ends[at]]))

    def slice_entry(self, entry: BundleEntry, part: TensorSlice) -> BundleEntry:
        """The entry that holds the values of one slice of a partitioned variable.

        Raises:
            CorruptError: the bundle has no such entry, or its shape or dtype are not the slice's.
        """
        lengths = [WHOLE if length is None else length for length in part.lengths]
        raw = self._slices.get(encode_slice_key(_encode(entry.key), part.starts, lengths))
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

        Decodes every entry: seconds for a million.
        """
        total = start = 0
        for number, end in enumerate(self._ends):
            if number % 4096 == 0:
                check_cancel(cancel)
            total += self._stored_size(bytes(self._values[start:end]))
            start = end
        return total + sum(map(self._stored_size, self._slices.values()))

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

    def close(self) -> None:
        """Lets go of the shards; one that another thread is reading closes when that read ends."""
        with self._lock:
            self._shards.clear()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_slice_key(key: bytes) -> bool:
    try:
        decode_slice_key(key)
    except CorruptError:
        return False
    return True
