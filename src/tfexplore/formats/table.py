"""The table file: sorted keys with values, in checksummed blocks (LevelDB's layout as TensorFlow writes it).

A checkpoint's `PREFIX.index` is one; a V1 checkpoint is one as a whole. TensorFlow's and LevelDB's own
readers trust lengths that this one checks first: what an entry, a handle or a restart says is
compared with the bytes that are there before anything is allocated or followed.
"""

from __future__ import annotations

import struct
import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any

from tfexplore.errors import Cancelled, ChecksumError, CorruptError, ModelError, UnsupportedError
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.table_block import DECODED_COST, decode_block, read_varint, salvage_entries

MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER_SIZE = 48
TRAILER_SIZE = 5
# A block of a bundle's index has 256 KiB and one entry more; a block of a V1 checkpoint a whole tensor, below 2 GiB.
MAX_BLOCK = 1 << 31
MAX_INDEX_BLOCK = 16 << 20
# Keys share prefixes, so a few bytes of a file can stand for very long keys. What all names of a table take in memory
# is bounded (a million of 40 bytes each take 104 MB), and what the keys of one block take, the index block's too.
MAX_ROOM = 136 << 20
BLOCK_ROOM = 24 << 20
# Handles that cannot all be right are told apart by the blocks' checksums; so many bytes are read for that.
_MAX_COMPARED = 256 << 20
_NO_HANDLE, _PAST_END, _OVERLAP = 1, 2, 3
_KEPT_BLOCK = 1 << 20
_PIECE = 8 << 20

_MASK_DELTA = 0xA282EAD8
_TRAILER = struct.Struct("<BI")


def crc32c(data: Any, crc: int = 0) -> int:
    """The CRC-32C of `data` (bytes, or a contiguous array of bytes), going on from `crc`."""
    import google_crc32c

    if google_crc32c.implementation != "c":
        data = bytes(data)
    return int(google_crc32c.extend(crc, data))


def mask(crc: int) -> int:
    """The checksum as LevelDB and TensorFlow store it: rotated right by 15 bits, plus a constant."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def proven_type(crc: int, kind: int, stored: int) -> int | None:
    """The compression type with which a block of that CRC-32C matches its stored checksum, or None.

    Args:
        kind: the type that is stored; where it does not match, 0 (none) and 1 (snappy) are tried.
    """
    for found in (kind, 0, 1):
        if mask(crc32c(bytes((found,)), crc)) == stored:
            return found
    return None


def _no_handle(what: str, _: int) -> ModelError:
    return CorruptError(what)


def check_cancel(cancel: threading.Event | None) -> None:
    """Raises `Cancelled` where `cancel` is set."""
    if cancel is not None and cancel.is_set():
        raise Cancelled("the work was cancelled")


def is_table(file: RandomAccessFile) -> bool:
    """Whether the file ends as a table does: large enough for a footer, with the table's magic number last."""
    return file.size >= FOOTER_SIZE and file.pread(file.size - len(MAGIC), len(MAGIC)) == MAGIC


class Table:
    """A table whose footer and index block have been read and checked; blocks are read when asked for.

    A handle that cannot be right (past the end of the file, over another block) spoils its own block only.

    Args:
        file: the open file; it stays the caller's to close.
        max_block: the most bytes a data block may have, stored or decompressed.
        room: the bytes that the index block's keys may take: `decode_block`'s measure.

    Raises:
        CorruptError: the footer or the index block is not as the format asks.
        ChecksumError: the index block does not match its checksum.

    Attributes:
        index_damage: what is wrong with the index block, though it can be read.
    """

    __slots__ = (
        "_file",
        "_index_keys",
        "_kept",
        "_max_block",
        "_mended",
        "_offsets",
        "_problems",
        "_sizes",
        "index_damage",
        "path",
    )

    def __init__(self, file: RandomAccessFile, *, max_block: int = MAX_BLOCK, room: int = BLOCK_ROOM) -> None:
        self._file = file
        self.path = file.path
        self._max_block = max_block
        self._kept: tuple[int, tuple[list[bytes], list[bytes]]] | None = None
        self._mended: dict[int, tuple[int, int]] = {}
        if file.size < FOOTER_SIZE:
            raise CorruptError(
                f"the file has {file.size:,} bytes, fewer than the {FOOTER_SIZE} of a table's footer", path=file.path
            )
        base = file.size - FOOTER_SIZE
        footer = file.pread(base, FOOTER_SIZE)
        if not footer.endswith(MAGIC):
            raise CorruptError(
                "the file does not end with the magic number of a table", path=file.path, offset=file.size - len(MAGIC)
            )

        def fail(what: str, position: int) -> ModelError:
            return CorruptError(f"the table's footer is damaged: {what}", path=file.path, offset=base + position)

        position = 0
        numbers = []
        for _ in range(4):
            number, position = read_varint(footer, position, FOOTER_SIZE - len(MAGIC), 64, fail)
            numbers.append(number)
        offset, size = numbers[2:]
        self._index_keys, values = self._decode(offset, size, min(max_block, MAX_INDEX_BLOCK), room)
        self.index_damage = self._mended_type(offset, size)
        self._offsets, self._sizes, self._problems = self._read_handles(values)

    @property
    def block_count(self) -> int:
        """How many data blocks the index block lists."""
        return len(self._offsets)

    @property
    def cost(self) -> int:
        """Bytes that the index block takes in memory."""
        return sum(map(len, self._index_keys)) + DECODED_COST * len(self._index_keys)

    def read_block(self, number: int) -> tuple[list[bytes], list[bytes]]:
        """Keys and values of data block `number`, checked against its checksum and against the index block.

        Raises:
            CorruptError: the block's handle or its contents are not as the format asks.
            ChecksumError: the block does not match its checksum.
        """
        kept = self._kept
        if kept is not None and kept[0] == number:
            return kept[1]
        offset, size = self._handle(number)
        keys, values = self._decode(offset, size, self._max_block, BLOCK_ROOM)
        if keys:
            self.check_bounds(number, keys[0], keys[-1])
        if size <= _KEPT_BLOCK:
            self._kept = (number, (keys, values))
        return keys, values

    def read_contents(self, number: int) -> bytes:
        """The decompressed bytes of data block `number`, which match their checksum; for `block_scan`.

        Raises:
            As `read_block`, but for what lies within the block.
        """
        offset, size = self._handle(number)
        data, _, error = self._contents(offset, size, self._max_block)
        if error is not None:
            raise error.without_traceback()
        return data

    def salvage_block(self, number: int) -> tuple[list[bytes], list[bytes]]:
        """What can still be made out of a data block that `read_block` refuses: nothing of it can be trusted.

        Every key lies where the index block says that the block's keys lie.
        """
        try:
            data, _, _ = self._contents(*self._handle(number), self._max_block)
        except ModelError:
            return [], []
        low = self._index_keys[number - 1] if number else None
        return salvage_entries(data, low, self._index_keys[number], BLOCK_ROOM)

    def damaged_type(self, number: int) -> CorruptError | None:
        """What to say of the type byte of a data block that was read: where its checksum proves the block, but with
        another type than is stored, the block is good."""
        return self._mended_type(self._offsets[number], self._sizes[number])

    def _mended_type(self, offset: int, size: int) -> CorruptError | None:
        found = self._mended.get(offset)
        if found is None:
            return None
        stored, proven = found
        return CorruptError(
            f"a block says that its compression type is {stored}, which is damaged: its checksum is that of a block "
            f"of type {proven}, as which it is read",
            path=self.path,
            offset=offset + size,
        )

    def _handle(self, number: int) -> tuple[int, int]:
        offset, size = self._offsets[number], self._sizes[number]
        problem = self._problems[number]
        if problem == _NO_HANDLE:
            raise CorruptError("an entry of the index block holds no block handle", path=self.path)
        if problem == _PAST_END:
            self._check_handle(offset, size)
        if problem:
            raise CorruptError(
                "a block is listed twice, or lies over the one before or behind it", path=self.path, offset=offset
            )
        return offset, size

    def check_bounds(self, number: int, first: bytes, last: bytes) -> None:
        """Whether a block's first and last key lie where the index block says.

        Raises:
            CorruptError: they do not.
        """
        offset = self._handle(number)[0]
        if last > self._index_keys[number]:
            raise CorruptError(
                "a block's last key comes after its key in the index block", path=self.path, offset=offset
            )
        if number and first <= self._index_keys[number - 1]:
            raise CorruptError(
                "a block's first key does not come after the block before it", path=self.path, offset=offset
            )

    def find_block(self, key: bytes) -> int:
        """The number of the block where `key` must be; `block_count` where it lies past the last."""
        return bisect_left(self._index_keys, key)

    def place(self, number: int) -> tuple[int, int]:
        """Offset and size in the file of data block `number`, as it is stored and without its trailer.

        Raises:
            CorruptError: its handle cannot be right.
        """
        return self._handle(number)

    def is_compressed(self, number: int) -> bool:
        """Whether data block `number` says that it is compressed; it is not checked, but as far as it was read.

        Raises:
            CorruptError: its handle cannot be right.
        """
        offset, size = self._handle(number)
        if offset in self._mended:
            return self._mended[offset][1] != 0
        return self._file.pread(offset + size, 1) != b"\0"

    def check_block(
        self, number: int, cancel: threading.Event | None = None, advance: Callable[[int], None] | None = None
    ) -> None:
        """Compares data block `number` with its checksum, a piece at a time: it may be larger than memory.

        Args:
            advance: called with the bytes of each piece.

        Raises:
            ChecksumError: it does not match.
            CorruptError: its handle cannot be right.
            Cancelled: `cancel` was set.
        """
        self._check_contents(*self._handle(number), cancel, advance)

    def _check_contents(
        self, offset: int, size: int, cancel: threading.Event | None, advance: Callable[[int], None] | None
    ) -> None:
        crc = 0
        for start in range(0, size, _PIECE):
            check_cancel(cancel)
            piece = self._file.pread(offset + start, min(_PIECE, size - start))
            crc = crc32c(piece, crc)
            if advance is not None:
                advance(len(piece))
        kind, stored = _TRAILER.unpack(self._file.pread(offset + size, TRAILER_SIZE))
        if proven_type(crc, kind, stored) is None:
            raise self._mismatch(offset, size, stored, mask(crc32c(bytes((kind,)), crc)))

    def _mismatch(self, offset: int, size: int, stored: int, computed: int) -> ChecksumError:
        return ChecksumError(
            f"a block of {size:,} bytes does not match its checksum (stored {stored:08x}, computed {computed:08x})",
            path=self.path,
            offset=offset,
        )

    def bounds(self, number: int) -> tuple[bytes | None, bytes]:
        """All keys of a block come after the first of the two (None: nothing) and not after the second."""
        return (self._index_keys[number - 1] if number else None), self._index_keys[number]

    def iter_entries(self, cancel: threading.Event | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Every key with its value, in byte order, read block by block.

        Raises:
            CorruptError, ChecksumError: as `read_block`, at the first block that is damaged.
            Cancelled: `cancel` was set.
        """
        for number in range(self.block_count):
            check_cancel(cancel)
            yield from zip(*self.read_block(number), strict=True)

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None; reads the one block where the key must be.

        Raises:
            CorruptError, ChecksumError: that block is damaged.
        """
        number = self.find_block(key)
        if number == self.block_count:
            return None
        keys, values = self.read_block(number)
        at = bisect_left(keys, key)
        return values[at] if at < len(keys) and keys[at] == key else None

    def _read_handles(self, values: list[bytes]) -> tuple[array[int], array[int], bytearray]:
        """Offset and size of every data block, and what is wrong with its handle, 0 for nothing."""
        offsets, sizes, problems = array("Q"), array("Q"), bytearray()
        for value in values:
            offset = size = problem = 0
            try:
                offset, position = read_varint(value, 0, len(value), 64, _no_handle)
                size, _ = read_varint(value, position, len(value), 64, _no_handle)
                if offset + size + TRAILER_SIZE > self._file.size - FOOTER_SIZE:
                    problem = _PAST_END
            except CorruptError:
                problem = _NO_HANDLE
            offsets.append(offset)
            sizes.append(size)
            problems.append(problem)
        left = _MAX_COMPARED
        matches: dict[tuple[int, int], bool] = {}

        def is_good(number: int) -> bool:
            """Whether the handle leads to a block that matches its checksum; False beyond what is read for that."""
            nonlocal left
            place = (offsets[number], sizes[number])
            if place not in matches:
                readable = place[1] + TRAILER_SIZE <= left
                left -= place[1] + TRAILER_SIZE if readable else 0
                matches[place] = readable and self._matches(*place)
            return matches[place]

        taken: list[int] = []
        for number, problem in enumerate(problems):
            if problem:
                continue
            good = True
            while taken and offsets[number] < offsets[taken[-1]] + sizes[taken[-1]] + TRAILER_SIZE:
                good = is_good(number)
                if not good or is_good(taken[-1]):
                    problems[number] = _OVERLAP
                    good = False
                    break
                problems[taken.pop()] = _OVERLAP
            if good:
                taken.append(number)
        return offsets, sizes, problems

    def _matches(self, offset: int, size: int) -> bool:
        try:
            self._check_contents(offset, size, None, None)
        except ModelError:
            return False
        return True

    def _check_handle(self, offset: int, size: int) -> None:
        end = self._file.size - FOOTER_SIZE
        if offset + size + TRAILER_SIZE > end:
            raise CorruptError(
                f"a block of {size:,} bytes and its trailer would end past byte {end:,}, where the footer begins",
                path=self.path,
                offset=offset,
            )

    def _decode(self, offset: int, size: int, limit: int, room: int) -> tuple[list[bytes], list[bytes]]:
        data, kind, error = self._contents(offset, size, limit)
        if error is not None:
            raise error.without_traceback()

        def fail(what: str, position: int) -> ModelError:
            if kind == 0:
                return CorruptError(what, path=self.path, offset=offset + position)
            return CorruptError(f"{what} (byte {position:,} of the decompressed block)", path=self.path, offset=offset)

        return decode_block(data, room, fail)

    def _contents(self, offset: int, size: int, limit: int) -> tuple[bytes, int, ChecksumError | None]:
        """A block's decompressed bytes, its compression type, and what is wrong with its checksum, if anything."""
        self._check_handle(offset, size)
        if size > limit:
            raise UnsupportedError(
                f"a block has {size:,} bytes, more than the {limit:,} that are read", path=self.path, offset=offset
            )
        data = self._file.pread(offset, size)
        kind, stored = _TRAILER.unpack(self._file.pread(offset + size, TRAILER_SIZE))
        crc = crc32c(data)
        proven = proven_type(crc, kind, stored)
        error = None
        if proven is None:
            error = self._mismatch(offset, size, stored, mask(crc32c(bytes((kind,)), crc)))
            if kind != 0:
                raise error.without_traceback()
        elif proven != kind:
            self._mended[offset] = (kind, proven)
            kind = proven
        else:
            self._mended.pop(offset, None)
        if kind == 1:
            data = self._decompress(data, offset, limit)
        elif kind != 0:
            raise CorruptError(
                f"a block has the compression type {kind}, expected 0 (none) or 1 (snappy)",
                path=self.path,
                offset=offset + size,
            )
        return data, kind, error

    def _decompress(self, data: bytes, offset: int, limit: int) -> bytes:
        def fail(what: str, position: int) -> ModelError:
            return CorruptError(f"a snappy block is damaged: {what}", path=self.path, offset=offset + position)

        declared, start = read_varint(data, 0, len(data), 32, fail)
        # The densest element copies 64 bytes with 3.
        if 3 * declared > 64 * (len(data) - start):
            raise fail(f"{len(data):,} bytes cannot hold the {declared:,} bytes that it says", 0)
        if declared > limit:
            raise UnsupportedError(
                f"a block has {declared:,} bytes decompressed, more than the {limit:,} that are read",
                path=self.path,
                offset=offset,
            )
        import cramjam

        try:
            plain = bytes(cramjam.snappy.decompress_raw(data))
        except cramjam.DecompressionError as error:
            raise fail("it cannot be decompressed", 0) from error
        if len(plain) != declared:
            raise fail(f"it has {len(plain):,} bytes decompressed, expected {declared:,}", 0)
        return plain
