"""Which files are a V1 checkpoint: a lone one, or shards `PREFIX-00000-of-00002`, told by content."""

from __future__ import annotations

import os
import re

from tfexplore.errors import CorruptError, ModelError
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.table import Table, is_table
from tfexplore.formats.table_block import read_varint

MAX_SHARDS = 100_000
_SHARD = re.compile(r"-([0-9]{5})-of-([0-9]{5})\Z")
# A `checkpoint` file names the shards of one by a pattern: `export-?????-of-00002`.
_ANY_SHARD = re.compile(r"-(?:[0-9]{5}|\?{5})-of-([0-9]{5})\Z")
# A compressed block of more bytes is not looked into.
_MAX_BLOCK = 64 << 20
# How much of a block is looked at to tell what a file is.
_PROBED = 64


def prefix_of(path: str) -> str:
    """What a shard or a pattern of shards belongs to: `export` for `export-00000-of-00002`; any other path as it is."""
    return _ANY_SHARD.sub("", path)


def shard_files(prefix: str) -> list[str]:
    """The files of the V1 checkpoint of that prefix, by shard; empty where there is none.

    A lone file is one of one shard. Where shards are missing, their names are among the files all the same. Of several
    sets of shards that is meant to which `prefix` belongs, else the largest.
    """
    if prefix_of(prefix) == prefix and is_v1_file(prefix):
        return [prefix]
    given = _ANY_SHARD.search(prefix)
    meant = int(given[1]) if given is not None else None
    prefix = prefix_of(prefix)
    folder, base = os.path.split(prefix)
    try:
        names = os.listdir(folder or ".")
    except (OSError, ValueError):
        return []
    sets: dict[int, list[str]] = {}
    for name in sorted(names):
        match = _SHARD.search(name)
        if match is not None and name[: match.start()] == base:
            ours = sets.setdefault(int(match[2]), [])
            if int(match[1]) < int(match[2]):
                ours.append(name)
    for count, ours in sorted(sets.items(), key=lambda found: (found[0] != meant, -found[0])):
        if count <= MAX_SHARDS and any(is_v1_file(os.path.join(folder, name)) for name in ours):
            return [f"{prefix}-{shard:05d}-of-{count:05d}" for shard in range(count)]
    return []


def is_v1_file(path: str) -> bool:
    """Whether a file can be opened and is a V1 checkpoint; see `is_v1`."""
    try:
        with RandomAccessFile(path) as file:
            return is_v1(file)
    except ModelError:
        return False


def is_v1(file: RandomAccessFile) -> bool:
    """Whether a table is a V1 checkpoint, and not the index of a V2 one; looks at its first entry, unverified.

    Raises:
        ModelError: the file cannot be read.
    """
    if not is_table(file):
        return False
    try:
        table = Table(file, max_block=_MAX_BLOCK)
    except ModelError:
        # What it was cannot be told any more but by its name; whoever opens it says what is damaged.
        return not file.path.endswith(".index")
    # Where the first block is spoilt, the second still tells.
    return any(_begins_as_v1(file, table, number) for number in range(min(table.block_count, 2)))


def _begins_as_v1(file: RandomAccessFile, table: Table, number: int) -> bool:
    """Whether a block's first entry is one of a V1 checkpoint."""
    try:
        if table.is_compressed(number):
            keys, values = table.read_block(number)
            return bool(values) and _looks_v1(keys[0], values[0])
        offset, size = table.place(number)
        head = file.pread(offset, min(size, _PROBED))
        shared, position = read_varint(head, 0, len(head), 32, _no_entry)
        suffix, position = read_varint(head, position, len(head), 32, _no_entry)
        _, position = read_varint(head, position, len(head), 32, _no_entry)
        if shared:
            return False
        value = file.pread(offset + position + suffix, 1) if position + suffix < size else b""
        return _looks_v1(head[position : position + suffix], value)
    except ModelError:
        return False


def _no_entry(what: str, _: int) -> ModelError:
    return CorruptError(what)


def _looks_v1(key: bytes, value: bytes) -> bool:
    # SavedTensorSlices.meta or .data; a BundleHeaderProto begins with a number, a BundleEntryProto with its dtype.
    return value[:1] == b"\x0a" if not key else key[:1] == b"\0" and value[:1] == b"\x12"
