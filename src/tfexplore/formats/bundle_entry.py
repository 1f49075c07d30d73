"""Entries of a tensor bundle: what `PREFIX.index` says about one tensor, checked.

Source of the format: tensorflow/core/protobuf/tensor_bundle.proto.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from tfexplore.errors import CorruptError
from tfexplore.formats import dtypes
from tfexplore.formats.ordered_code import MAX_DIMS
from tfexplore.formats.proto import DecodeError, lean

# An entry takes some tens of bytes, and about 20 more for each slice of a partitioned variable.
MAX_ENTRY = 1 << 20
_SHOWN_NAME = 200


class TensorSlice(NamedTuple):
    """A box of a tensor as a partitioned variable stores it; a length of None is the whole dimension."""

    starts: tuple[int, ...]
    lengths: tuple[int | None, ...]


class BundleEntry(NamedTuple):
    """Where the values of one tensor lie.

    `offset` and `size` are in bytes within shard `shard`; `crc32c` is masked. With `slices` (a partitioned
    variable) the four mean nothing: each slice has an entry of its own, from `Bundle.slice_entry`.
    """

    key: str
    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc32c: int
    slices: tuple[TensorSlice, ...]

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


def named(key: str) -> str:
    """A key as an error sentence shows it: quoted, escaped, and cut where it is very long."""
    return repr(key) if len(key) <= _SHOWN_NAME else f"{key[:_SHOWN_NAME]!r}… ({len(key):,} characters)"


def decode_entry(raw: bytes, key: str, num_shards: int, path: str, *, any_size: bool = False) -> BundleEntry:
    """The entry whose serialized BundleEntryProto is `raw`, checked.

    Args:
        num_shards: the shards that the entry may name.
        path: the index, for errors.
        any_size: takes a size that does not fit dtype and shape.

    Raises:
        CorruptError: `raw` is not what the format asks for.
    """

    def corrupt(what: str) -> CorruptError:
        return CorruptError(f"the entry of {named(key)} {what}", path=path)

    if len(raw) > MAX_ENTRY:
        raise corrupt(f"has {len(raw):,} bytes, more than the {MAX_ENTRY:,} that an entry may have")
    try:
        proto = lean("BundleEntryProto").FromString(raw)
    except DecodeError as error:
        raise corrupt("is no BundleEntryProto") from error
    dims = proto.shape.dim
    if proto.shape.unknown_rank:
        raise corrupt("has an unknown rank")
    if len(dims) > MAX_DIMS:
        raise corrupt(f"has {len(dims):,} dimensions, more than {MAX_DIMS}")
    shape = tuple([dim.size for dim in dims])
    if shape and min(shape) < 0:
        raise corrupt(f"has the shape {list(shape)}, with a dimension below 0")
    elements = math.prod(shape)
    if elements >= 1 << 63:
        raise corrupt(f"has the shape {list(shape)}, more elements than there can be")
    if proto.slices:
        slices = tuple([decode_slice(part, shape, corrupt) for part in proto.slices])
        return BundleEntry(key, proto.dtype, shape, 0, 0, 0, 0, slices)
    if proto.offset < 0 or proto.size < 0:
        raise corrupt(f"says offset {proto.offset:,} and size {proto.size:,}, and neither can be below 0")
    itemsize = dtypes.itemsize(proto.dtype)
    if itemsize and not any_size and proto.size != elements * itemsize:
        raise corrupt(
            f"says {proto.size:,} bytes, but {dtypes.name(proto.dtype)} {list(shape)} takes {elements * itemsize:,}"
        )
    if not 0 <= proto.shard_id < num_shards:
        raise corrupt(f"says shard {proto.shard_id:,}, but there are {num_shards:,}, counted from 0")
    return BundleEntry(key, proto.dtype, shape, proto.shard_id, proto.offset, proto.size, proto.crc32c, ())


def decode_slice(proto: Any, shape: tuple[int, ...], corrupt: Callable[[str], CorruptError]) -> TensorSlice:
    """The slice of a tensor of that shape that a TensorSliceProto tells.

    Args:
        corrupt: makes the error, from what is wrong (`has a slice that …`).
    """
    extents = proto.extent
    if len(extents) != len(shape):
        raise corrupt(f"has a slice of {len(extents):,} dimensions, but the tensor has {len(shape):,}")
    starts: list[int] = []
    lengths: list[int | None] = []
    for extent, dim in zip(extents, shape, strict=True):
        start = extent.start
        length = extent.length if extent.HasField("length") else None
        if start != 0 if length is None else not (0 <= start <= dim and 0 <= length <= dim - start):
            raise corrupt(f"has a slice that does not lie within its shape {list(shape)}")
        starts.append(start)
        lengths.append(length)
    return TensorSlice(tuple(starts), tuple(lengths))
