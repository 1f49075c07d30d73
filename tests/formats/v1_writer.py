"""Writes small V1 checkpoints, good or bad on purpose, for the tests of their reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from formats.table_writer import Partition, dtype_number, encode_table
from tfexplore.formats.ordered_code import WHOLE, encode_slice_key
from tfexplore.formats.proto import lean

Slice = Sequence[tuple[int, "int | None"]]


def slice_proto(part: Slice) -> Any:
    proto = lean("TensorSliceProto")()
    for start, length in part:
        extent = proto.extent.add()
        if length is not None:
            extent.start, extent.length = start, length
    return proto


def slice_key(name: bytes, part: Slice) -> bytes:
    return encode_slice_key(name, [a for a, _ in part], [WHOLE if n is None else n for _, n in part])


def values(array: np.ndarray) -> bytes:
    """A TensorProto without dtype and shape, as TensorFlow's TensorSliceWriter fills it."""
    proto = lean("TensorProto")()
    name, flat = array.dtype.name, array.ravel()
    if name in ("float16", "bfloat16"):
        proto.half_val.extend(flat.view(np.uint16).tolist())
    elif name == "complex64":
        proto.scomplex_val.extend(flat.view(np.float32).tolist())
    elif name == "complex128":
        proto.dcomplex_val.extend(flat.view(np.float64).tolist())
    else:
        field = {
            "float32": "float_val", "float64": "double_val", "object": "string_val", "int64": "int64_val",
            "bool": "bool_val", "uint32": "uint32_val", "uint64": "uint64_val",
        }.get(name, "int_val")  # fmt: skip
        getattr(proto, field).extend(flat.tolist())
    return bytes(proto.SerializeToString())


def data(name: bytes, part: Slice, tensor: bytes) -> bytes:
    """The value of a slice key."""
    proto = lean("SavedTensorSlices")()
    proto.data.name = name
    proto.data.slice.CopyFrom(slice_proto(part))
    proto.data.data = tensor
    return bytes(proto.SerializeToString())


def listed(name: bytes, dtype: int, shape: Sequence[int], slices: Sequence[Slice]) -> Any:
    """A SavedSliceMeta."""
    proto = lean("SavedSliceMeta")(name=name, type=dtype)
    for dim in shape:
        proto.shape.dim.add(size=dim)
    for part in slices:
        proto.slice.append(slice_proto(part))
    return proto


def meta(tensors: Sequence[Any], **version: Any) -> bytes:
    """The value of the key ""."""
    proto = lean("SavedTensorSlices")()
    proto.meta.tensor.extend(tensors)
    proto.meta.versions.CopyFrom(lean("VersionDef")(**(version or {"producer": 1})))
    return bytes(proto.SerializeToString())


def whole(rank: int) -> Slice:
    return [(0, None)] * rank


def part_of(array: np.ndarray, part: Slice) -> np.ndarray:
    index = tuple(slice(a, None if n is None else a + n) for a, n in part)
    return np.asarray(array[index] if index else array, dtype=array.dtype)


def entries(tensors: Mapping[bytes, np.ndarray | Partition], shards: int = 1) -> list[dict[bytes, bytes]]:
    """The entries of each file; slices are dealt out to them in turn."""
    files: list[dict[bytes, bytes]] = [{} for _ in range(shards)]
    lists: list[list[Any]] = [[] for _ in range(shards)]
    turn = 0
    for name, value in tensors.items():
        array = value.array if isinstance(value, Partition) else value
        slices = value.slices if isinstance(value, Partition) else [whole(array.ndim)]
        dealt: dict[int, list[Slice]] = {}
        for part in slices:
            dealt.setdefault(turn % shards, []).append(part)
            files[turn % shards][slice_key(name, part)] = data(name, part, values(part_of(array, part)))
            turn += 1
        for shard, parts in dealt.items():
            lists[shard].append(listed(name, dtype_number(array), array.shape, parts))
    for file, tensors_of_it in zip(files, lists, strict=True):
        file[b""] = meta(tensors_of_it)
    return files


def write_v1(
    path: str | Path,
    tensors: Mapping[bytes, np.ndarray | Partition],
    *,
    extra: Mapping[bytes, bytes] | None = None,
    **table: Any,
) -> None:
    """Writes one file; `extra` entries are added or put in place of others."""
    write_entries(path, {**entries(tensors)[0], **(extra or {})}, **table)


def write_sharded(
    prefix: str | Path, tensors: Mapping[bytes, np.ndarray | Partition], shards: int, **table: Any
) -> None:
    """Writes `PREFIX-00000-of-…` and so on."""
    for shard, found in enumerate(entries(tensors, shards)):
        write_entries(f"{prefix}-{shard:05d}-of-{shards:05d}", found, **table)


def write_entries(path: str | Path, found: Mapping[bytes, bytes], **table: Any) -> None:
    Path(path).write_bytes(encode_table(sorted(found.items()), **table))
