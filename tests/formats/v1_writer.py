"""Writes small V1 checkpoints, good or bad on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from formats.table_writer import Partition, dtype_number, encode_table
from tfexplore.formats.ordered_code import encode_slice_key
from tfexplore.formats.proto import lean

# numpy kind or name: the field of a TensorProto that holds such values.
_FIELDS = {"float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val",
           "complex64": "scomplex_val", "complex128": "dcomplex_val", "uint32": "uint32_val", "uint64": "uint64_val",
           "object": "string_val", "float16": "half_val", "bfloat16": "half_val"}  # fmt: skip


def tensor_proto(array: np.ndarray) -> Any:
    """A TensorProto with values only, as V1 checkpoints have it: no dtype and no shape."""
    message = lean("TensorProto")()
    name = array.dtype.name
    flat = array.reshape(-1)
    if name in ("complex64", "complex128"):
        flat = flat.view("float32" if name == "complex64" else "float64")
    elif name in ("float16", "bfloat16"):
        flat = flat.view(np.uint16)
    getattr(message, _FIELDS.get(name, "int_val")).extend(flat.tolist())
    return message


def extents(proto: Any, part: Sequence[tuple[int, int | None]]) -> None:
    """Fills a TensorSliceProto; a length of None is all of a dimension."""
    for start, length in part:
        extent = proto.extent.add(start=start)
        if length is not None:
            extent.length = length


def write_v1(
    path: str | Path,
    tensors: Mapping[bytes, np.ndarray | Partition],
    *,
    shards: int = 1,
    dtypes: Mapping[bytes, int] | None = None,
    extra: Mapping[bytes, bytes] | None = None,
    versions: Mapping[str, Any] | None = None,
    **table: Any,
) -> list[Path]:
    """Writes a V1 checkpoint: the file `path`, or with several shards `path-00000-of-00002` and so on.

    Args:
        shards: slices go to the files in turn.
        dtypes: DataTypes that are listed in place of the arrays' own.
        extra: entries of the first file that are added or put in place of others; an empty one leaves it out.

    Returns:
        The files.
    """
    metas = [lean("SavedTensorSlices")() for _ in range(shards)]
    entries: list[dict[bytes, bytes]] = [{} for _ in range(shards)]
    turn = 0
    for meta in metas:
        for field, value in ({"producer": 1} | dict(versions or {})).items():
            setattr(meta.meta.versions, field, value)
    for name, value in tensors.items():
        array = value.array if isinstance(value, Partition) else value
        parts = value.slices if isinstance(value, Partition) else [[(0, None)] * array.ndim]
        listed: dict[int, Any] = {}
        for part in parts:
            shard = turn % shards
            turn += 1
            if shard not in listed:
                listed[shard] = metas[shard].meta.tensor.add(
                    name=name, type=(dtypes or {}).get(name) or dtype_number(array)
                )
                for size in array.shape:
                    listed[shard].shape.dim.add(size=size)
            extents(listed[shard].slice.add(), part)
            where = tuple(slice(start, None if length is None else start + length) for start, length in part)
            data = lean("SavedTensorSlices")()
            data.data.name = name
            extents(data.data.slice, part)
            data.data.data = tensor_proto(np.ascontiguousarray(array[where])).SerializeToString()
            starts = [start for start, _ in part]
            lengths = [-1 if length is None else length for _, length in part]
            entries[shard][encode_slice_key(name, starts, lengths)] = data.SerializeToString()
    files = []
    for shard in range(shards):
        found = {b"": metas[shard].SerializeToString(), **entries[shard], **(extra if extra and not shard else {})}
        kept = sorted((key, value) for key, value in found.items() if value)
        file = Path(path) if shards == 1 else Path(f"{path}-{shard:05d}-of-{shards:05d}")
        file.write_bytes(encode_table(kept, **table))
        files.append(file)
    return files
