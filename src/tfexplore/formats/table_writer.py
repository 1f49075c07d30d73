"""Writes a table file: sorted keys with values, byte for byte as TensorFlow's own writer lays them out.

Blocks are not compressed. Source of the layout: tensorflow/core/lib/io/table_builder.cc, block_builder.cc and
format.cc (LevelDB's), checked against what TensorFlow 2.21 writes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from tfexplore.formats.table import FOOTER_SIZE, MAGIC, crc32c, mask

BLOCK_SIZE = 262_144
RESTART_INTERVAL = 16
_NO_COMPRESSION = b"\0"


def encode_varint(number: int) -> bytes:
    """A number below 2**64 in groups of seven bits, the lowest first."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class _Block:
    """Entries of one block: keys without what they share with the one before, whole at each restart point."""

    def __init__(self, restart_interval: int) -> None:
        self._interval = restart_interval
        self._data = bytearray()
        self._restarts = [0]
        self._since_restart = 0
        self._last = b""

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self._since_restart < self._interval:
            shared = _common(self._last, key)
        else:
            self._restarts.append(len(self._data))
            self._since_restart = 0
        self._data += encode_varint(shared) + encode_varint(len(key) - shared) + encode_varint(len(value))
        self._data += key[shared:]
        self._data += value
        self._last = key
        self._since_restart += 1

    @property
    def size(self) -> int:
        """How many bytes `encode` gives."""
        return len(self._data) + 4 * len(self._restarts) + 4

    def encode(self) -> bytes:
        return bytes(self._data) + struct.pack(f"<{len(self._restarts) + 1}I", *self._restarts, len(self._restarts))


class TableWriter:
    """Writes a table key by key; no more than a block is held in memory, and a key for each block.

    Args:
        write: takes the next bytes of the file.
        block_size: a block is closed once it has so many bytes.
        restart_interval: after so many keys one stands whole.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        *,
        block_size: int = BLOCK_SIZE,
        restart_interval: int = RESTART_INTERVAL,
    ) -> None:
        self._write = write
        self._block_size = block_size
        self._interval = restart_interval
        self._offset = 0
        self._block: _Block | None = None
        self._index = _Block(1)
        self._last: bytes | None = None
        self._pending = b""  # the handle of the last block, whose key in the index the next key tells

    def add(self, key: bytes, value: bytes) -> None:
        """Adds an entry.

        Raises:
            ValueError: the key does not come after the one before.
        """
        if self._last is not None and key <= self._last:
            raise ValueError(f"the key {key!r} does not come after {self._last!r}")
        if self._pending:
            assert self._last is not None
            self._index.add(_separator(self._last, key), self._pending)
            self._pending = b""
        if self._block is None:
            self._block = _Block(self._interval)
        self._last = key
        self._block.add(key, value)
        if self._block.size >= self._block_size:
            self._flush()

    def _flush(self) -> None:
        if self._block is not None:
            self._pending = self._write_block(self._block)
            self._block = None

    def _write_block(self, block: _Block) -> bytes:
        """Writes a block with its trailer; its handle."""
        data = block.encode()
        handle = encode_varint(self._offset) + encode_varint(len(data))
        checksum = mask(crc32c(_NO_COMPRESSION, crc32c(data)))
        self._put(data)
        self._put(_NO_COMPRESSION + struct.pack("<I", checksum))
        return handle

    def _put(self, data: bytes) -> None:
        self._write(data)
        self._offset += len(data)

    def finish(self) -> None:
        """Writes what is left: the last block, an empty metaindex block, the index block and the footer."""
        self._flush()
        metaindex = self._write_block(_Block(self._interval))
        if self._pending:
            assert self._last is not None
            self._index.add(_successor(self._last), self._pending)
        index = self._write_block(self._index)
        self._put((metaindex + index).ljust(FOOTER_SIZE - len(MAGIC), b"\0") + MAGIC)


def _common(first: bytes, second: bytes) -> int:
    """How many bytes two keys have in common at their beginning."""
    limit = min(len(first), len(second))
    if first[:limit] == second[:limit]:
        return limit
    low, high = 0, limit  # the first `low` bytes are equal, the first `high` are not
    while high - low > 1:
        middle = (low + high) // 2
        if first[:middle] == second[:middle]:
            low = middle
        else:
            high = middle
    return low


def _separator(last: bytes, following: bytes) -> bytes:
    """A short key that is not before `last` and before `following` (LevelDB's FindShortestSeparator)."""
    at = _common(last, following)
    if at < min(len(last), len(following)) and last[at] < 0xFF and last[at] + 1 < following[at]:
        return last[:at] + bytes((last[at] + 1,))
    return last


def _successor(last: bytes) -> bytes:
    """A short key that is not before `last` (LevelDB's FindShortSuccessor)."""
    for at, byte in enumerate(last):
        if byte != 0xFF:
            return last[:at] + bytes((byte + 1,))
    return last
