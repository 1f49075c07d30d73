"""A scalar string of a tensor bundle, read without numpy (whose import takes 70 ms): the object graph is one.

Format: see `bundle_strings`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tfexplore.errors import CorruptError, UnsupportedError
from tfexplore.formats import dtypes
from tfexplore.formats.bundle_entry import BundleEntry, named
from tfexplore.formats.table import crc32c, mask
from tfexplore.formats.table_block import read_varint

if TYPE_CHECKING:
    from tfexplore.formats.bundle import Bundle
    from tfexplore.formats.bundle_values import Checksum

_MAX_VARINT = 10
_CHECKSUM_SIZE = 4


def read_scalar_string(bundle: Bundle, entry: BundleEntry, limit: int) -> tuple[bytes, Checksum]:
    """The bytes of a scalar string that is stored in one piece, and the state of its checksum.

    Args:
        bundle: where it lies.
        entry: its entry; dtype string, shape [], no slices.
        limit: the most bytes that may be read.

    Raises:
        CorruptError: the stored length cannot be right.
        NotFoundError: the data file is missing.
        UnsupportedError: it is no such string, or has more than `limit` bytes.
    """
    if entry.dtype != dtypes.STRING or entry.shape or entry.slices:
        raise UnsupportedError(f"{named(entry.key)} is no scalar string", path=bundle.index_path)
    if entry.size > limit:
        raise UnsupportedError(
            f"{named(entry.key)} takes {entry.size:,} bytes, more than the {limit:,} that are read at once",
            path=bundle.index_path,
        )
    file = bundle.shard(entry.shard)
    data = file.pread(entry.offset, entry.size)

    def corrupt(what: str, position: int) -> CorruptError:
        return CorruptError(f"{named(entry.key)}: {what}", path=file.path, offset=entry.offset + position)

    length, start = read_varint(data, 0, min(len(data), _MAX_VARINT), 64, corrupt)
    if start + _CHECKSUM_SIZE + length != len(data):
        raise corrupt(f"a string of {length:,} bytes was expected to end where its entry does", 0)
    order = ">" if bundle.big_endian else "<"
    lengths_crc = crc32c(struct.pack(order + ("I" if length < 1 << 32 else "Q"), length))
    stored = data[start : start + _CHECKSUM_SIZE]
    value = data[start + _CHECKSUM_SIZE :]
    good = struct.unpack(f"{order}I", stored)[0] == mask(lengths_crc)
    if not (good and mask(crc32c(value, crc32c(stored, lengths_crc))) == entry.crc32c):
        return value, "bad"
    return value, "unverified" if bundle.is_doubtful(entry) else "good"
