"""One file of a V1 checkpoint: a table, and where in it the value of each key lies.

A block holds whole tensors, so it may have any size: its entries are stepped over, and a value is read when it is asked
for. Files of a few megabytes are checked as a whole when they are opened.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple

from tfexplore.errors import CorruptError, ModelError, UnsupportedError
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.table import BLOCK_ROOM, Table, check_cancel
from tfexplore.formats.table_block import ENTRY_COST, read_varint

# Bytes that the keys of one file may take in memory, and what each costs beside its characters.
MAX_ROOM = 64 << 20
_KEY_COST, _DAMAGE_COST = 4 * ENTRY_COST, 800
# Decompressed, or looked at as a whole.
_MAX_BLOCK = 64 << 20
_CHECKED_AT_ONCE = 8 << 20
_WINDOW = 1 << 16
_MAX_HEAD = 15  # three varint32


class Place(NamedTuple):
    """Where the value of a key lies.

    Attributes:
        block: the number of its block.
        offset: the byte in the file where the value begins; in a compressed block where the block does.
        size: the bytes of the value.
        compressed: whether the block is.
    """

    block: int
    offset: int
    size: int
    compressed: bool


class _NoRoomError(UnsupportedError):
    """The keys take more memory than is given to them."""


class SliceTable:
    """An open file of a V1 checkpoint.

    Args:
        path: the file.
        room: the bytes that the index block, the keys and what is told of damage may take in memory.
        cancel: gives up the reading when set.

    Raises:
        NotFoundError, RefusedFileError: the file cannot be opened.
        CorruptError: it is no table.
        Cancelled: `cancel` was set.

    Attributes:
        places: where the value of each key lies; keys of damaged blocks are missing.
        damage: what is wrong with each block, most of which cannot be used.
        cost: what was used of `room`.
    """

    def __init__(self, path: str, *, room: int = MAX_ROOM, cancel: threading.Event | None = None) -> None:
        self.path = path
        self.file = RandomAccessFile(path)
        try:
            self._open(room, cancel)
        except BaseException:
            self.file.close()
            raise

    def _open(self, room: int, cancel: threading.Event | None) -> None:
        self.table = Table(self.file, max_block=_MAX_BLOCK, room=min(room, BLOCK_ROOM))
        self.places: dict[bytes, Place] = {}
        # By block, -1 for the index block.
        self.damage: dict[int, ModelError] = {}
        if self.table.index_damage is not None:
            self.damage[-1] = self.table.index_damage
        self.cost = self.table.cost
        self._checked: set[int] = set()
        self._lock = threading.Lock()
        for number in range(self.table.block_count):
            check_cancel(cancel)
            try:
                if self.cost > room:
                    raise self._too_many(None)
                found, cost = self._places(number, room - self.cost, cancel)
            except _NoRoomError as error:
                self.damage[number] = error.without_traceback()
                break
            except ModelError as error:
                self.damage[number] = error.without_traceback()
                self.cost += _DAMAGE_COST
                continue
            self.cost += cost
            self.places.update(found)
            damaged_type = self.table.damaged_type(number)
            if damaged_type is not None:
                self.damage[number] = damaged_type

    def _places(self, number: int, room: int, cancel: threading.Event | None) -> tuple[dict[bytes, Place], int]:
        """The entries of a block, and what their keys cost."""
        table = self.table
        offset, size = table.place(number)
        compressed = table.is_compressed(number)
        if not compressed and self.file.size <= _CHECKED_AT_ONCE:
            table.read_block(number)
            self._checked.add(number)
            compressed = table.is_compressed(number)  # where its type is damaged, it is known now
        if compressed:
            keys, values = table.read_block(number)
            self._checked.add(number)
            cost = sum(map(len, keys)) + _KEY_COST * len(keys)
            if cost > room:
                raise self._too_many(offset)
            sizes = zip(keys, map(len, values), strict=True)
            return {key: Place(number, offset, length, True) for key, length in sizes}, cost
        found: dict[bytes, Place] = {}
        left = room
        last: bytes | None = None
        try:
            for key, start, length in self._entries(offset, size):
                left -= len(key) + _KEY_COST
                if left < 0:
                    raise self._too_many(offset)
                if last is None:
                    table.check_bounds(number, key, key)
                elif key <= last:
                    raise CorruptError("a key does not come after the one before it", path=self.path, offset=start)
                found[key] = Place(number, start, length, False)
                last = key
            if last is not None:
                table.check_bounds(number, last, last)
        except CorruptError:
            table.check_block(number, cancel)  # where it does not match, that is the better sentence
            raise
        return found, room - left

    def _too_many(self, offset: int | None) -> _NoRoomError:
        return _NoRoomError(
            "the keys take more memory than is given to them; those from this block on are not listed",
            path=self.path,
            offset=offset,
        )

    def _entries(self, offset: int, size: int) -> Iterator[tuple[bytes, int, int]]:
        """Key, place and length of the value of each entry of an uncompressed block; values are not read."""

        def fail(what: str, position: int) -> ModelError:
            return CorruptError(what, path=self.path, offset=offset + position)

        if size < 4:
            raise fail(f"a block has {size} bytes, fewer than the 4 of its restart count", 0)
        restart_count = int.from_bytes(self.file.pread(offset + size - 4, 4), "little")
        end = size - 4 - 4 * restart_count
        if restart_count < 1 or end < 0:
            raise fail(f"a block of {size:,} bytes says that it has {restart_count:,} restart points", size - 4)
        window, base = b"", 0

        def fail_here(what: str, position: int) -> ModelError:
            return fail(what, base + position)

        position = 0
        key = b""
        while position < end:
            if position - base + _MAX_HEAD > len(window) and base + len(window) < end:
                window, base = self.file.pread(offset + position, min(_WINDOW, end - position)), position
            entry = at = position - base
            shared, at = read_varint(window, at, len(window), 32, fail_here)
            suffix, at = read_varint(window, at, len(window), 32, fail_here)
            length, at = read_varint(window, at, len(window), 32, fail_here)
            start = base + at
            if shared > len(key) or start + suffix + length > end or shared + suffix > MAX_ROOM:
                raise fail_here(
                    f"an entry says {shared:,} shared, {suffix:,} key and {length:,} value bytes, "
                    f"but the key before has {len(key):,} and {end - start:,} are left",
                    entry,
                )
            if at + suffix <= len(window):
                key = key[:shared] + window[at : at + suffix]
            else:
                key = key[:shared] + self.file.pread(offset + start, suffix)
            position = start + suffix + length
            yield key, offset + start + suffix, length

    def problem(self, key: bytes) -> ModelError | None:
        """What is wrong with the block where a key must be that has no place."""
        error = self.damage.get(self.table.find_block(key))
        return None if error is None else error.without_traceback()

    def is_checked(self, place: Place) -> bool:
        """Whether the block of a value matched its checksum, and the file is still what it was then."""
        return place.block in self._checked and not self.file.replaced()

    def check(self, place: Place, cancel: threading.Event | None = None) -> None:
        """Compares the block of a value with its checksum, where that has not been done.

        Raises:
            ChecksumError: it does not match.
            Cancelled: `cancel` was set.
        """
        if not self.is_checked(place):
            self.table.check_block(place.block, cancel)
            self._checked.add(place.block)

    def read(self, key: bytes, place: Place, limit: int, cancel: threading.Event | None = None) -> bytes:
        """A value's bytes, whose block was checked.

        Raises:
            CorruptError: the block is damaged.
            UnsupportedError: the value has more than `limit` bytes, or the file is written to and its block is too
                large to be read as a whole.
        """
        if place.size > limit:
            raise UnsupportedError(
                f"a value of {place.size:,} bytes is larger than the {limit:,} that are read at once",
                path=self.path,
                offset=place.offset,
            )
        if place.compressed:
            with self._lock:
                return self.table.get(key) or b""
        self.check(place, cancel)
        raw = self.file.pread(place.offset, place.size)
        if not self.is_checked(place):
            # It was written to meanwhile: only bytes that are checked themselves can be believed.
            start = place.offset - self.table.place(place.block)[0]
            return self.table.read_contents(place.block)[start : start + place.size]
        return raw
