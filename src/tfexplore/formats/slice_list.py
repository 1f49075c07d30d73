"""What the files of a V1 checkpoint say of its tensors: their lists (SavedTensorSlices.meta), and keys of slices."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from tfexplore.errors import CorruptError, ModelError, UnsupportedError
from tfexplore.formats import wire
from tfexplore.formats.bundle_entry import MAX_ENTRY, TensorSlice, decode_slice, named
from tfexplore.formats.bundle_index import decode_key
from tfexplore.formats.ordered_code import MAX_DIMS, WHOLE, SliceKey, decode_slice_key, encode_slice_key
from tfexplore.formats.proto import lean
from tfexplore.formats.slice_table import MAX_ROOM, SliceTable
from tfexplore.formats.table import check_cancel
from tfexplore.formats.table_block import read_varint

VERSION = 1
# The list of tensors, and what a tensor and a slice of one take in memory beside their names.
_MAX_META = 64 << 20
_TENSOR_COST, _SLICE_COST = 600, 500
# A writer makes one list; protobuf would merge any number of them.
_MAX_LISTS = 1_000_000
_CHECK_EVERY = 1000
# Sentences about one checkpoint: a hostile one could ask for millions.
MAX_DAMAGE = 100
# A VersionDef has two numbers and a few refused versions.
_MAX_VERSION = 1 << 16


class Part(NamedTuple):
    """Where a slice lies: the number of its file, and its key there."""

    shard: int
    key: bytes


class ListedTensor(NamedTuple):
    """What the checkpoint says of a tensor: dtype, shape (None: not said), and the key of each slice."""

    dtype: int
    shape: tuple[int, ...] | None
    problem: str | None
    parts: dict[TensorSlice, Part]


class TensorList:
    """The tensors of a V1 checkpoint, taken in file by file: first the lists of all, then the keys of all.

    Attributes:
        tensors: by name.
        damage: what is wrong with the lists, the first `MAX_DAMAGE`; `num_damaged` counts all.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, ListedTensor] = {}
        self.damage: list[ModelError] = []
        self.num_damaged = 0
        self._room = MAX_ROOM

    def take_meta(self, shard: int, table: SliceTable, cancel: threading.Event | None) -> bool:
        """Takes in the tensors that one file lists; whether its list could be read.

        Raises:
            UnsupportedError: it asks for a newer reader.
        """
        place = table.places.get(b"")
        if place is None:
            if table.problem(b"") is None:
                self._blame(table, 'the entry with the key "" is missing, which lists the tensors')
            return False
        try:
            raw = table.read(b"", place, _MAX_META, cancel)
        except ModelError as error:
            self._tell(error)
            return False
        try:
            listed, version = _listed(raw, table.path, place.offset if not place.compressed else None)
            _check_version(version, table.path)
            for number, (start, end) in enumerate(listed):
                if number % _CHECK_EVERY == 0:
                    check_cancel(cancel)
                if not self._take(shard, table, raw[start:end]):
                    left = len(listed) - number
                    self._blame(table, f"the tensors take more memory than is given to them; {left:,} are not listed")
                    break
        except CorruptError as error:
            self._tell(error)
            return False
        return True

    def _tell(self, error: ModelError) -> None:
        self.num_damaged += 1
        if len(self.damage) < MAX_DAMAGE:
            self.damage.append(error.without_traceback())

    def _blame(self, table: SliceTable, what: str) -> None:
        self._tell(CorruptError(what, path=table.path))

    def _take(self, shard: int, table: SliceTable, raw: bytes) -> bool:
        """Takes in one listed tensor, a serialized SavedSliceMeta; False where there is no room for it."""
        self._room -= _TENSOR_COST
        if self._room < 0:
            return False
        if len(raw) > MAX_ENTRY:
            self._blame(table, f"a listed tensor takes {len(raw):,} bytes, more than the {MAX_ENTRY:,} that it may")
            return True
        try:
            listed = wire.decode(lean("SavedSliceMeta"), raw, path=table.path, what="SavedSliceMeta", offset=None)
        except CorruptError as error:
            self._tell(error)
            return True
        self._room -= 3 * len(listed.name) + (_SLICE_COST + len(listed.name)) * len(listed.slice)
        if self._room < 0:
            return False
        name = decode_key(listed.name)
        shape, problem = _shape(listed.shape)
        parts: dict[TensorSlice, Part] = {}
        for proto in listed.slice if shape is not None else ():
            try:
                part = decode_slice(proto, shape or (), CorruptError)
            except CorruptError as error:
                problem = f"it {error.what}"
                continue
            parts[part] = Part(shard, _key_of(listed.name, part))
        known = self.tensors.get(name)
        if known is None:
            self.tensors[name] = ListedTensor(listed.type, shape, problem, parts)
        elif (known.dtype, known.shape) != (listed.type, shape):
            self._blame(table, f"{named(name)} is listed twice, with different facts")
        elif known.parts.keys() & parts.keys():
            self._blame(table, f"{named(name)} is listed twice, with the same slice")
        else:
            known.parts.update(parts)
            if problem is not None:
                self.tensors[name] = known._replace(problem=problem)
        return True

    def take_keys(self, shard: int, table: SliceTable, lost: bool, cancel: threading.Event | None) -> None:
        """Tells of the values that the list does not name; where that is `lost`, takes in what their keys say."""
        odd: list[str] = []
        for number, raw in enumerate(table.places):
            if number % _CHECK_EVERY == 0:
                check_cancel(cancel)
            if not raw:
                continue
            try:
                key = decode_slice_key(raw)
            except CorruptError:
                odd.append(decode_key(raw))
                continue
            name = decode_key(key.name)
            tensor = self.tensors.get(name)
            part = _part_of(key)
            if tensor is not None and tensor.parts.get(part) == Part(shard, raw):
                continue
            if lost:
                self._take_key(shard, name, part, raw)
            else:
                odd.append(name)
        if odd:
            names = ", ".join(map(named, odd[:3])) + (f" and {len(odd) - 3:,} more" if len(odd) > 3 else "")
            self._blame(table, f"there are values that the list of tensors does not name: {names}")

    def _take_key(self, shard: int, name: str, part: TensorSlice, raw: bytes) -> None:
        tensor = self.tensors.get(name)
        if tensor is None:
            self._room -= _TENSOR_COST + 3 * len(name)
            if self._room >= 0:
                self.tensors[name] = ListedTensor(0, None, "the list of tensors with dtypes and shapes is damaged", {})
        elif tensor.shape is not None and _lies_within(part, tensor.shape):
            tensor.parts.setdefault(part, Part(shard, raw))


def _listed(raw: bytes, path: str, offset: int | None) -> tuple[list[tuple[int, int]], Any]:
    """Where in a serialized SavedTensorSlices the listed tensors lie, and the versions.

    Not decoded as a whole: two bytes of the file would become a message of a hundred.

    Args:
        offset: where it begins in the file, if that is known.
    """

    def fail(what: str, position: int) -> ModelError:
        at = None if offset is None else offset + position
        return CorruptError(f"the list of tensors is no SavedTensorSliceMeta: {what}", path=path, offset=at)

    def fields(position: int, end: int) -> Iterator[tuple[int, int, int]]:
        while position < end:
            begin = position
            tag, position = read_varint(raw, position, end, 32, fail)
            if tag & 7 != 2:
                raise fail("a field has the wrong type", begin)
            length, position = read_varint(raw, position, end, 64, fail)
            if length > end - position:
                raise fail(f"a field claims {length:,} bytes where {end - position:,} are left", begin)
            yield tag >> 3, position, position + length
            position += length

    tensors: list[tuple[int, int]] = []
    version = bytearray()
    for count, (number, start, end) in enumerate(fields(0, len(raw))):
        if count >= _MAX_LISTS:
            raise fail("it is in over a million pieces", start)
        for inner, first, last in fields(start, end) if number == 1 else ():
            if inner == 1:
                if len(tensors) * _TENSOR_COST > MAX_ROOM:
                    raise fail("it lists more tensors than can be shown", first)
                tensors.append((first, last))
            elif inner == 2:
                if len(version) + last - first > _MAX_VERSION:
                    raise fail(f"its versions take more than {_MAX_VERSION:,} bytes", first)
                version += raw[first:last]
    return tensors, wire.decode(lean("VersionDef"), bytes(version), path=path, what="VersionDef", offset=None)


def _check_version(version: Any, path: str) -> None:
    if version.min_consumer > VERSION or VERSION in version.bad_consumers:
        raise UnsupportedError(
            f"the checkpoint asks for a reader of format version {max(version.min_consumer, VERSION + 1)}, "
            f"this one reads version {VERSION}",
            path=path,
            hint="look for a newer tfexplore",
        )


def _key_of(name: bytes, part: TensorSlice) -> bytes:
    return encode_slice_key(name, part.starts, [WHOLE if length is None else length for length in part.lengths])


def _shape(message: Any) -> tuple[tuple[int, ...] | None, str | None]:
    """The shape of a listed tensor, or what is wrong with it."""
    if message.unknown_rank:
        return None, "its rank is unknown"
    if len(message.dim) > MAX_DIMS:
        return None, f"it has {len(message.dim):,} dimensions, more than {MAX_DIMS}"
    shape = tuple(dim.size for dim in message.dim)
    if any(size < 0 for size in shape):
        return None, f"its shape {list(shape)} has a dimension below 0"
    if math.prod(shape) >= 1 << 63:
        return None, f"its shape {list(shape)} has more elements than there can be"
    return shape, None


def _part_of(key: SliceKey) -> TensorSlice:
    return TensorSlice(key.starts, tuple([None if length == WHOLE else length for length in key.lengths]))


def _lies_within(part: TensorSlice, shape: tuple[int, ...]) -> bool:
    if len(part.starts) != len(shape):
        return False
    return all(
        start == 0 if length is None else 0 <= start <= dim and 0 <= length <= dim - start
        for start, length, dim in zip(part.starts, part.lengths, shape, strict=True)
    )
