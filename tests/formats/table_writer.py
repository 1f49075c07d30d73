"""Writes small tables and tensor bundles, good or bad on purpose, for the tests of their readers."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cramjam
import google_crc32c
import numpy as np

from tfexplore.formats.ordered_code import encode_slice_key
from tfexplore.formats.proto import lean

MAGIC = bytes.fromhex("57fb808b247547db")


def masked(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def encode_block(entries: Sequence[tuple[bytes, bytes]], restart_interval: int) -> bytes:
    out = bytearray()
    restarts = []
    previous = b""
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % restart_interval == 0:
            restarts.append(len(out))
        else:
            limit = min(len(key), len(previous))
            while shared < limit and key[shared] == previous[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    restarts = restarts or [0]
    return bytes(out) + struct.pack(f"<{len(restarts)}I", *restarts) + struct.pack("<I", len(restarts))


@dataclass
class TableWriter:
    """Collects the bytes of a table block by block; `raw_block` takes any bytes and checksums them rightly."""

    snappy: bool = False
    data: bytearray = field(default_factory=bytearray)
    index: list[tuple[bytes, bytes]] = field(default_factory=list)

    def raw_block(self, block: bytes, kind: int | None = None) -> bytes:
        """Appends a block and its trailer; returns its handle."""
        if kind is None:
            kind = int(self.snappy)
            block = bytes(cramjam.snappy.compress_raw(block)) if self.snappy else block
        handle = varint(len(self.data)) + varint(len(block))
        body = block + bytes((kind,))
        self.data += body + struct.pack("<I", masked(google_crc32c.value(body)))
        return handle

    def block(self, entries: Sequence[tuple[bytes, bytes]], restart_interval: int = 16) -> None:
        self.index.append((entries[-1][0], self.raw_block(encode_block(entries, restart_interval))))

    def finish(self) -> bytes:
        metaindex = self.raw_block(encode_block([], 1))
        index = self.raw_block(encode_block(self.index, 1))
        return bytes(self.data) + (metaindex + index).ljust(40, b"\x00") + MAGIC


def encode_table(
    entries: Iterable[tuple[bytes, bytes]],
    *,
    block_size: int = 262_144,
    restart_interval: int = 16,
    snappy: bool = False,
) -> bytes:
    """A table of `entries`, whose keys must rise; a block is closed when its keys and values reach `block_size`."""
    writer = TableWriter(snappy)
    pending: list[tuple[bytes, bytes]] = []
    size = 0
    for key, value in entries:
        pending.append((key, value))
        size += len(key) + len(value)
        if size >= block_size:
            writer.block(pending, restart_interval)
            pending, size = [], 0
    if pending:
        writer.block(pending, restart_interval)
    return writer.finish()


@dataclass(frozen=True)
class Partition:
    """A partitioned tensor: slices as (start, length) for each dimension, a length of None for all of it."""

    array: np.ndarray
    slices: Sequence[Sequence[tuple[int, int | None]]]


def encode_values(array: np.ndarray, big_endian: bool) -> tuple[bytes, int]:
    """The bytes of a tensor as a bundle stores them, and their unmasked checksum."""
    order = ">" if big_endian else "<"
    if array.dtype != object:
        raw = np.ascontiguousarray(array)
        if big_endian and array.dtype.itemsize > 1:
            unit = array.dtype.itemsize // (2 if array.dtype.kind == "c" else 1)
            raw = raw.reshape(-1).view(f"u{unit}").byteswap()
        data = raw.tobytes()
        return data, google_crc32c.value(data)
    strings = list(array.ravel())
    crc = google_crc32c.value(b"".join([struct.pack(f"{order}I", len(string)) for string in strings]))
    checksum = struct.pack(f"{order}I", masked(crc))
    body = b"".join(strings)
    data = b"".join([varint(len(string)) for string in strings]) + checksum + body
    return data, google_crc32c.extend(crc, checksum + body)


def dtype_number(array: np.ndarray) -> int:
    names = {
        "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "object": 7, "complex64": 8,
        "int64": 9, "bool": 10, "bfloat16": 14, "uint16": 17, "complex128": 18, "float16": 19, "uint32": 22,
        "uint64": 23, "float8_e5m2": 24, "float8_e4m3fn": 25, "int4": 29, "uint4": 30,
    }  # fmt: skip
    return names[array.dtype.name]


def header(num_shards: int = 1, *, big_endian: bool = False, min_consumer: int = 0) -> bytes:
    proto = lean("BundleHeaderProto")(num_shards=num_shards, endianness=int(big_endian))
    proto.version.producer = 1
    proto.version.min_consumer = min_consumer
    return bytes(proto.SerializeToString())


def entry(dtype: int, shape: Sequence[int], **fields: Any) -> bytes:
    """A serialized BundleEntryProto; `fields` are its other fields by name."""
    proto = lean("BundleEntryProto")(dtype=dtype, **fields)
    for dim in shape:
        proto.shape.dim.add(size=dim)
    return bytes(proto.SerializeToString())


def partition_entry(dtype: int, shape: Sequence[int], slices: Sequence[Sequence[tuple[int, int | None]]]) -> bytes:
    """The entry of a partitioned variable itself."""
    proto = lean("BundleEntryProto").FromString(entry(dtype, shape))
    for part in slices:
        added = proto.slices.add()
        for start, length in part:
            extent = added.extent.add(start=start)
            if length is not None:
                extent.length = length
    return bytes(proto.SerializeToString())


def write_bundle(
    prefix: str | Path,
    tensors: Mapping[bytes, np.ndarray | Partition],
    *,
    shards: int = 1,
    big_endian: bool = False,
    extra: Mapping[bytes, bytes] | None = None,
    **table: Any,
) -> None:
    """Writes a bundle, the tensors in turn to its shards; `extra` entries are added or put in place of others."""
    files = [bytearray() for _ in range(shards)]
    entries: dict[bytes, bytes] = {b"": header(shards, big_endian=big_endian)}
    turn = 0

    def store(key: bytes, array: np.ndarray) -> None:
        nonlocal turn
        data, crc = encode_values(array, big_endian)
        file = files[turn % shards]
        entries[key] = entry(
            dtype_number(array),
            array.shape,
            shard_id=turn % shards,
            offset=len(file),
            size=len(data),
            crc32c=masked(crc),
        )
        file += data
        turn += 1

    for key, value in tensors.items():
        if not isinstance(value, Partition):
            store(key, value)
            continue
        entries[key] = partition_entry(dtype_number(value.array), value.array.shape, value.slices)
        for part in value.slices:
            starts = [start for start, _ in part]
            lengths = [-1 if length is None else length for _, length in part]
            where = tuple(slice(start, None if length is None else start + length) for start, length in part)
            store(encode_slice_key(key, starts, lengths), value.array[where])
    entries.update(extra or {})
    Path(f"{prefix}.index").write_bytes(encode_table(sorted(entries.items()), **table))
    for number, file in enumerate(files):
        Path(f"{prefix}.data-{number:05d}-of-{shards:05d}").write_bytes(bytes(file))


def strings(*items: bytes) -> np.ndarray:
    """A flat array of strings."""
    array = np.empty(len(items), object)
    array[:] = items
    return array
