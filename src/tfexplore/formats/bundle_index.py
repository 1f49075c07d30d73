"""`PREFIX.index`: from names to serialized entries, block by block; a million names are read when they are asked for.

The file stays open: one that a trainer replaces meanwhile is read on as it was.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from tfexplore.errors import CorruptError, ModelError
from tfexplore.formats import dtypes
from tfexplore.formats.bundle_entry import BundleEntry, decode_entry, named
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.ordered_code import decode_slice_key
from tfexplore.formats.table import BLOCK_ROOM, MAX_ROOM, Table, check_cancel
from tfexplore.formats.table_block import ENTRY_COST, find_in_block

if TYPE_CHECKING:
    from tfexplore.formats.block_scan import ScannedBlock

# A block of an index holds 256 KiB and one entry more, which has a megabyte at most.
_MAX_BLOCK = 16 << 20
# Decoded blocks that are kept, of few entries, and bytes of blocks that are sound: entries are asked for in any order.
_KEPT_BLOCKS = 4
_KEPT_ENTRIES = 200_000
_KEPT_BYTES = 32 << 20
# Fewer bytes than this are decoded faster than numpy is imported.
_SCANNED_FROM = 2 << 20
# Smaller indexes are read when they are opened: there is nothing to wait for.
_READ_AT_ONCE = 2 << 20
_KEPT_HEADS = 1 << 16

Progress = Callable[[int, int], None]


def decode_key(raw: bytes) -> str:
    """A key's stored bytes as `str` (UTF-8, surrogateescape)."""
    return raw.decode("utf-8", "surrogateescape")


def encode_key(key: str) -> bytes:
    """What `decode_key` decoded."""
    return key.encode("utf-8", "surrogateescape")


def is_key(key: object) -> TypeGuard[str]:
    """Whether `decode_key` may have given that: it never gives a surrogate that stands for no byte."""
    if not isinstance(key, str):
        return False
    try:
        encode_key(key)
    except UnicodeEncodeError:
        return False
    return True


class EntryHead(NamedTuple):
    """What many entries have in common.

    Attributes:
        nbytes: what the values take; None for a dtype whose elements differ in size.
    """

    dtype: int
    shape: tuple[int, ...]
    elements: int
    nbytes: int | None


class EntryBatch(NamedTuple):
    """The entries of one block, as columns.

    Attributes:
        keys: names of tensors, without header and slices.
        heads: dtype and shape of each, equal ones as one object; None for an entry that has slices, is damaged,
            or is otherwise unusual: `Bundle.entry` tells about it.
        shards, offsets, sizes: where the values lie; meaningless where there is no head.
        doubtful: whether the block could not be trusted.
    """

    keys: list[str]
    heads: list[EntryHead | None]
    shards: list[int]
    offsets: list[int]
    sizes: list[int]
    doubtful: bool


class _Block(NamedTuple):
    keys: list[bytes]
    values: list[bytes]
    doubtful: bool


class BundleIndex:
    """An open index.

    Args:
        path: the index file.
        cancel: gives up the reading of a small index when set; a large one is read by `load`.

    Raises:
        NotFoundError, RefusedFileError: the file cannot be opened.
        CorruptError: it is no table.
        Cancelled: `cancel` was set.

    Attributes:
        header: the serialized BundleHeaderProto; None where there is none.
        header_doubtful: whether it comes from a block that cannot be trusted.
        slice_count: how many entries are slices of partitioned variables; complete once `loaded`.
        loaded: whether all names have been read.
    """

    def __init__(self, path: str, *, cancel: threading.Event | None = None) -> None:
        self.path = path
        self.file = RandomAccessFile(path)
        try:
            self._open(cancel)
        except BaseException:
            self.file.close()
            raise

    def _open(self, cancel: threading.Event | None) -> None:
        self._table = Table(self.file, max_block=_MAX_BLOCK)
        self._lock = threading.RLock()
        self._blocks: OrderedDict[int, _Block] = OrderedDict()
        self._sound: set[int] = set()
        self._contents: OrderedDict[int, bytes] = OrderedDict()
        self._contents_size = 0
        # By block, -1 for the index block.
        self._damage: dict[int, ModelError] = {}
        if self._table.index_damage is not None:
            self._damage[-1] = self._table.index_damage
        self._keys: list[str] = []
        self._doubtful: set[int] = set()
        self._heads: dict[bytes, EntryHead | None] = {}
        self._equal: dict[EntryHead, EntryHead] = {}
        self.slice_count = 0
        self.loaded = False
        first = self._block(0) if self._table.block_count else _Block([], [], False)
        found = first.keys[:1] == [b""]
        self.header = first.values[0] if found else None
        self.header_doubtful = found and first.doubtful
        if self.file.size <= _READ_AT_ONCE:
            self.load(cancel)

    @property
    def damage(self) -> tuple[ModelError, ...]:
        """What could not be read of the index, as far as it has been looked at."""
        return tuple(self._damage[number] for number in sorted(self._damage))

    @property
    def first_damaged(self) -> bool:
        """Whether the first block is damaged, in which the header lies."""
        return 0 in self._damage

    @property
    def keys(self) -> list[str]:
        """Names of tensors in the order of their bytes, without header and slices."""
        self.load()
        return self._keys

    def load(self, cancel: threading.Event | None = None, progress: Progress | None = None) -> None:
        """Reads all names, if that has not been done.

        Args:
            progress: called with the blocks done and the blocks in all.

        Raises:
            Cancelled: `cancel` was set; what was read so far is forgotten.
        """
        with self._lock:
            if self.loaded:
                return
            keys: list[str] = []
            slices = 0
            room = MAX_ROOM - self._table.cost
            for number in range(self._table.block_count):
                check_cancel(cancel)
                found, skipped = self._names(number)
                slices += skipped
                room -= sum(map(len, found)) + ENTRY_COST * len(found)
                if room < 0:
                    self._damage[number] = CorruptError(
                        "the keys take more memory than is given to them; "
                        f"the last {self._table.block_count - number:,} blocks are not listed",
                        path=self.path,
                    )
                    break
                keys += found
                if progress is not None:
                    progress(number + 1, self._table.block_count)
            self._keys, self.slice_count, self.loaded = keys, slices, True

    def _names(self, number: int) -> tuple[list[str], int]:
        """Names of the tensors in a block, and how many slices come before them."""
        scanned = self._scan(number)
        if scanned is not None:
            return scanned.keys, 0
        block = self._block(number)
        first = _first_tensor(block.keys)
        odd = [key for key in block.keys[:first] if key and not _is_slice_key(key)]
        skipped = first - len(odd) - (block.keys[:1] == [b""])
        return [*map(decode_key, odd), *map(decode_key, block.keys[first:])], skipped

    def _scan(self, number: int) -> ScannedBlock | None:
        """A block's entries in columns; None where the index is small, or something about the block is unusual."""
        if self.file.size < _SCANNED_FROM:
            return None
        from tfexplore.formats import block_scan

        with self._lock:
            try:
                scanned = block_scan.scan_block(self._table.read_contents(number), BLOCK_ROOM)
                if scanned is None or scanned.first <= b"\x01":
                    return None
                self._table.check_bounds(number, scanned.first, scanned.last)
            except ModelError:  # the reading of the block as such tells it
                return None
            self._take_as_sound(number)
            return scanned

    def _take_as_sound(self, number: int) -> None:
        self._sound.add(number)
        damaged_type = self._table.damaged_type(number)
        if damaged_type is not None:
            self._damage[number] = damaged_type

    def _block(self, number: int) -> _Block:
        """A block's entries; those of a damaged one as far as they can be made out."""
        with self._lock:
            block = self._blocks.get(number)
            if block is not None:
                self._blocks.move_to_end(number)
                return block
            try:
                block = _Block(*self._table.read_block(number), False)
                self._take_as_sound(number)
            except ModelError as error:
                block = _Block(*self._table.salvage_block(number), True)
                self._doubtful.add(number)
                self._damage[number] = self._named_damage(number, error, len(block.keys))
            self._blocks[number] = block
            while len(self._blocks) > _KEPT_BLOCKS or (
                len(self._blocks) > 1 and sum(len(kept.keys) for kept in self._blocks.values()) > _KEPT_ENTRIES
            ):
                self._blocks.popitem(last=False)
            return block

    def _named_damage(self, number: int, error: ModelError, count: int) -> ModelError:
        """The error of a damaged block, with what it costs."""
        low, high = self._table.bounds(number)
        where = f"up to {named(decode_key(high))}"
        if low is not None:
            where = f"after {named(decode_key(low))} {where}"
        cost = f"keys {where} may be missing"
        if count:
            cost = f"{count:,} of its entries are listed all the same, unverified, others {where} may be missing"
        return error.without_traceback(hint=cost)

    def get(self, key: bytes) -> bytes | None:
        """The serialized entry of a key, or None; reads the one block where it must be."""
        number = self._table.find_block(key)
        if number >= self._table.block_count:
            return None
        with self._lock:
            if number in self._sound and number not in self._blocks:
                try:
                    return find_in_block(self._sound_contents(number), key)
                except ModelError:
                    self._sound.discard(number)  # the file is no longer what it was
            block = self._block(number)
        at = bisect_left(block.keys, key)
        return block.values[at] if at < len(block.keys) and block.keys[at] == key else None

    def _sound_contents(self, number: int) -> bytes:
        """The bytes of a block that was decoded before without a complaint."""
        data = self._contents.get(number)
        if data is None:
            data = self._contents[number] = self._table.read_contents(number)
            self._contents_size += len(data)
            while self._contents_size > _KEPT_BYTES and len(self._contents) > 1:
                self._contents_size -= len(self._contents.popitem(last=False)[1])
        else:
            self._contents.move_to_end(number)
        return data

    def is_doubtful(self, key: bytes) -> bool:
        """Whether a key's entry comes from a block that cannot be trusted."""
        number = self._table.find_block(key)
        if number >= self._table.block_count or number in self._sound:
            return False
        return number in self._doubtful or self._block(number).doubtful

    def __contains__(self, key: str) -> bool:
        if self.loaded and key.isascii():
            at = bisect_left(self._keys, encode_key(key), key=encode_key)
            return at < len(self._keys) and self._keys[at] == key
        raw = encode_key(key)
        return bool(raw) and self.get(raw) is not None and not _is_slice_key(raw)

    def iter_slices(self) -> Iterator[bytes]:
        """The serialized entries of all slices of partitioned variables: they come before all names."""
        for number in range(self._table.block_count):
            block = self._block(number)
            first = _first_tensor(block.keys)
            for key, value in zip(block.keys[:first], block.values[:first], strict=True):
                if key and _is_slice_key(key):
                    yield value
            if first < len(block.keys):
                return

    def iter_raw(self, cancel: threading.Event | None = None) -> Iterator[tuple[bytes, bytes]]:
        """`Bundle.iter_raw`."""
        return self._table.iter_entries(cancel)

    def iter_batches(self, num_shards: int, cancel: threading.Event | None = None) -> Iterator[EntryBatch]:
        """All entries, block by block.

        Args:
            num_shards: the shards that an entry may name.

        Raises:
            Cancelled: `cancel` was set.
        """
        room = MAX_ROOM - self._table.cost
        for number in range(self._table.block_count):
            check_cancel(cancel)
            scanned = self._scan(number)
            if scanned is not None:
                batch = self._scanned_batch(scanned, num_shards)
            else:
                batch = self._plain_batch(number, num_shards)
            room -= sum(map(len, batch.keys)) + ENTRY_COST * len(batch.keys)
            if room < 0:
                self.load(cancel)  # says so in `damage`
                return
            yield batch

    def _scanned_batch(self, scanned: ScannedBlock, num_shards: int) -> EntryBatch:
        from tfexplore.formats import block_scan

        columns = block_scan.scan_values(scanned)
        data, known = scanned.data, self._heads
        heads: list[EntryHead | None] = []
        add = heads.append
        for start, stop, size, shard, plain in zip(
            scanned.starts.tolist(), columns.heads, columns.sizes, columns.shards, columns.plain, strict=True
        ):
            raw = data[start:stop]
            head = known.get(raw)
            if head is None:
                head = self._head(raw)
            if head is None or not plain or shard >= num_shards or head.nbytes not in (size, None):
                add(None)
            else:
                add(head)
        return EntryBatch(scanned.keys, heads, columns.shards, columns.offsets, columns.sizes, False)

    def _head(self, raw: bytes) -> EntryHead | None:
        """Dtype and shape that the beginning of an entry tells; equal ones are one object."""
        if raw in self._heads:
            return self._heads[raw]
        head = None
        with suppress(CorruptError):
            head = self._head_of(decode_entry(raw, "", 1, self.path, any_size=True))
        if len(self._heads) >= _KEPT_HEADS:
            self._heads.clear()
        self._heads[raw] = head
        return head

    def _head_of(self, entry: BundleEntry) -> EntryHead:
        itemsize = dtypes.itemsize(entry.dtype)
        head = EntryHead(entry.dtype, entry.shape, entry.elements, entry.elements * itemsize if itemsize else None)
        if len(self._equal) >= _KEPT_HEADS:
            self._equal.clear()
        return self._equal.setdefault(head, head)

    def _plain_batch(self, number: int, num_shards: int) -> EntryBatch:
        block = self._block(number)
        batch = EntryBatch([], [], [], [], [], block.doubtful)
        first = _first_tensor(block.keys)
        for place, (raw_key, value) in enumerate(zip(block.keys, block.values, strict=True)):
            if place < first and (not raw_key or _is_slice_key(raw_key)):
                continue
            key = decode_key(raw_key)
            entry = None
            with suppress(CorruptError):  # `Bundle.entry` says what is wrong
                entry = decode_entry(value, key, num_shards, self.path)
            usable = entry is not None and not entry.slices
            batch.keys.append(key)
            batch.heads.append(self._head_of(entry) if entry is not None and usable else None)
            batch.shards.append(entry.shard if entry is not None else 0)
            batch.offsets.append(entry.offset if entry is not None else 0)
            batch.sizes.append(entry.size if entry is not None else 0)
        return batch

    def close(self) -> None:
        """Closes the file, between two reads."""
        with self._lock:
            self._blocks.clear()
            self._contents.clear()
            self.file.close()


def _first_tensor(keys: list[bytes]) -> int:
    """Where the header and the slice keys end, which begin with a zero byte: they come first."""
    return bisect_left(keys, b"\x01")


def _is_slice_key(key: bytes) -> bool:
    try:
        decode_slice_key(key)
    except CorruptError:
        return False
    return True
