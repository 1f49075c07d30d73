"""Values of one slice of a V1 checkpoint: a TensorProto without dtype and shape, within a SavedTensorSlices.data.

A large one is not parsed as a whole: its repeated field is packed, so numbers of a fixed size lie there as in a tensor
bundle, and varints are decoded a piece at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfexplore.errors import CorruptError, ModelError
from tfexplore.formats import dtypes, tensor_proto
from tfexplore.formats.bundle_entry import BundleEntry, named
from tfexplore.formats.bundle_values import Array, Box, numbers, read_runs
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.ordered_code import WHOLE, SliceKey, decode_slice_key
from tfexplore.formats.proto import DecodeError, lean
from tfexplore.formats.slice_table import Place, SliceTable
from tfexplore.formats.table import check_cancel
from tfexplore.formats.table_block import Fail, read_varint

# A value of up to so many bytes is parsed as a whole; a larger one only where its form leaves no other way.
PARSED = 8 << 20
_MOST_PARSED = 64 << 20
_PIECE = 1 << 18
_MAX_VARINT = 10
_MAX_FIELDS = 64
_MAX_NAME = 1 << 20
_DATA, _NAME, _SLICE, _VALUES = 2, 1, 2, 3  # SavedTensorSlices.data, SavedSlice.name, .slice and .data
# Bytes of a slice, whose extents have 24 bytes at most, and of all messages within a TensorProto: its shape, resources
# and variants, of which a V1 checkpoint has none.
_MAX_SLICE, _MAX_PARTS = 1 << 14, 1 << 20
_MESSAGES = (2, 14, 15)
_LENGTH = 2
_HALVES = ("float16", "bfloat16")
# Fields whose packed form is the numbers themselves.
_FIXED = ("float_val", "double_val", "scomplex_val", "dcomplex_val", "bool_val")


def read_slice(
    table: SliceTable, key: bytes, place: Place, entry: BundleEntry, box: Box, cancel: threading.Event | None
) -> tuple[Array, bool]:
    """A box of a slice's values, and whether they were checked.

    Args:
        key: the slice's key in the table.
        place: where its value lies.
        entry: dtype and shape of the slice.
        box: the part of it; all of it is always checked.

    Raises:
        CorruptError: what is stored cannot be the values of that slice, or the block is damaged.
        UnsupportedError: the values can only be read as a whole, and are too large for that.
        Cancelled: `cancel` was set.
    """
    whole = box.counts == entry.shape
    if place.size > PARSED and not place.compressed:
        if whole:
            table.check(place, cancel)
        array = _read_packed(table.file, key, place, entry, box, cancel)
        if array is not None:
            return array, table.is_checked(place)
    raw = table.read(key, place, _MOST_PARSED, cancel)
    return _parse(raw, table.path, key, place, entry)[box.slices() or ...], True


def _parse(raw: bytes, path: str, key: bytes, place: Place, entry: BundleEntry) -> Array:
    def fail(what: str, _: int) -> ModelError:
        return CorruptError(f"the values of {named(entry.key)} cannot be read: {what}", path=path, offset=place.offset)

    name, slice_proto, tensor = _saved_slice(raw, fail)
    _check_fields(tensor, fail, entry)
    try:
        parsed = lean("TensorSliceProto").FromString(slice_proto)
        message = lean("TensorProto").FromString(tensor)
    except DecodeError as error:
        raise CorruptError(
            f"the values of {named(entry.key)} are no SavedTensorSlices", path=path, offset=place.offset
        ) from error
    _check_owner(name, parsed, key, path, place, entry)
    values = tensor_proto.stored(message, dtypes.base(entry.dtype), path)
    if len(values) != entry.elements:
        raise _wrong_count(len(values), path, place, entry)
    return values.reshape(entry.shape)


def _saved_slice(raw: bytes, fail: Fail) -> tuple[bytes, bytes, bytes]:
    """Name, slice and values of a SavedTensorSlices, whose parts are not decoded: two bytes may be an extent.

    Raises:
        CorruptError: it is none, or its name or its slice take more than they may.
    """
    name = slice_proto = tensor = b""
    for outer, start, end in _fields_of(raw, 0, len(raw), fail):
        for inner, first, last in _fields_of(raw, start, end, fail) if outer == _DATA else ():
            if inner == _VALUES:
                tensor = raw[first:last]
            elif inner in (_NAME, _SLICE):
                most = _MAX_NAME if inner == _NAME else _MAX_SLICE - len(slice_proto)
                if last - first > most:
                    raise fail(f"a {'name' if inner == _NAME else 'slice'} takes {last - first:,} bytes", first)
                if inner == _NAME:
                    name = raw[first:last]
                else:
                    slice_proto += raw[first:last]
    return name, slice_proto, tensor


def _fields_of(raw: bytes, start: int, end: int, fail: Fail) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of each field of a message whose fields all have a length."""
    for _ in range(_MAX_FIELDS):
        if start >= end:
            return
        tag, position = read_varint(raw, start, end, 32, fail)
        length, position = read_varint(raw, position, end, 64, fail)
        if tag & 7 != _LENGTH or length > end - position:
            raise fail("they are no SavedTensorSlices", start)
        yield tag >> 3, position, position + length
        start = position + length
    if start < end:
        raise fail(f"they have more than {_MAX_FIELDS} fields", start)


def _check_fields(tensor: bytes, fail: Fail, entry: BundleEntry) -> None:
    """Refuses a large TensorProto of more fields than its values need: as a message each takes far more memory."""
    left, parts_left = entry.elements + _MAX_FIELDS, _MAX_PARTS
    position, end = 0, len(tensor) if len(tensor) > _MAX_PARTS else 0
    while position < end:
        left -= 1
        if left < 0:
            raise fail(f"more are stored than the {entry.elements:,} of {list(entry.shape)}", position)
        tag, position = read_varint(tensor, position, end, 32, fail)
        if tag & 7 == _LENGTH:
            size, position = read_varint(tensor, position, end, 64, fail)
            position += size
            parts_left -= size if tag >> 3 in _MESSAGES else 0
            if parts_left < 0:
                raise fail("they come with a shape or with messages that take more bytes than they may", position)
        elif tag & 7 == 0:
            _, position = read_varint(tensor, position, end, 64, fail)
        elif tag & 7 in (1, 5):
            position += 8 if tag & 7 == 1 else 4
        else:
            raise fail("a field has a wire type that no such file uses", position)


def _wrong_count(count: int, path: str, place: Place, entry: BundleEntry) -> CorruptError:
    return CorruptError(
        f"{named(entry.key)} has {count:,} values stored, expected the {entry.elements:,} of {list(entry.shape)}",
        path=path,
        offset=place.offset,
    )


def _check_owner(name: bytes, slice_proto: Any, key: bytes, path: str, place: Place, entry: BundleEntry) -> None:
    """Whether values are those of the slice that their key names."""
    starts = tuple([extent.start for extent in slice_proto.extent])
    lengths = tuple([extent.length if extent.HasField("length") else WHOLE for extent in slice_proto.extent])
    if SliceKey(name, starts, lengths) != decode_slice_key(key):
        raise CorruptError(
            f"what is stored for {named(entry.key)} says that it belongs to another tensor or slice",
            path=path,
            offset=place.offset,
        )


# -- large values --


def _read_packed(
    file: RandomAccessFile,
    key: bytes,
    place: Place,
    entry: BundleEntry,
    box: Box,
    cancel: threading.Event | None,
) -> Array | None:
    """A box of values that lie in one packed field; None where they are stored otherwise."""
    base = dtypes.base(entry.dtype)
    field = tensor_proto.FIELDS.get(dtypes.name(base))
    if field is None or field == "string_val":
        return None
    found = _find_field(file, key, place, entry, lean("TensorProto").DESCRIPTOR.fields_by_name[field].number)
    if found is None:
        return None
    start, size = found
    itemsize = dtypes.itemsize(base)
    if field not in _FIXED:
        return _read_varints(file, start, size, place, entry, box, cancel)
    if size != entry.elements * itemsize:
        raise _wrong_count(size // itemsize, file.path, place, entry)
    raw = read_runs(file, entry._replace(dtype=base, offset=start, size=size), box, cancel)
    return numbers(raw, base, False).reshape(box.counts)


def stream_slice(
    table: SliceTable, key: bytes, place: Place, entry: BundleEntry, cancel: threading.Event | None
) -> Iterator[Array]:
    """The values of a slice that lies uncompressed in its file, some at a time, after its block was checked.

    Raises:
        As `read_slice`.
    """
    table.check(place, cancel)
    base = dtypes.base(entry.dtype)
    field = tensor_proto.FIELDS.get(dtypes.name(base), "string_val")
    found = None
    if field != "string_val":
        number = lean("TensorProto").DESCRIPTOR.fields_by_name[field].number
        found = _find_field(table.file, key, place, entry, number)
    if found is None:
        raw = table.read(key, place, _MOST_PARSED, cancel)
        yield _parse(raw, table.path, key, place, entry).reshape(-1)
        return
    start, size = found
    if field not in _FIXED:
        for values in _iter_varints(table.file, start, size, cancel):
            yield _convert(values, base)
        return
    step = _PIECE // dtypes.itemsize(base) * dtypes.itemsize(base)
    if size != entry.elements * dtypes.itemsize(base):
        raise _wrong_count(size // dtypes.itemsize(base), table.path, place, entry)
    for position in range(0, size, step):
        check_cancel(cancel)
        raw_piece = np.empty(min(step, size - position), np.uint8)
        table.file.readinto(start + position, raw_piece.data)
        yield numbers(raw_piece, base, False)


def _find_field(
    file: RandomAccessFile, key: bytes, place: Place, entry: BundleEntry, number: int
) -> tuple[int, int] | None:
    """Where the packed values lie; None where there is more than one such field, or anything unusual around it."""
    outer = _fields(file, place.offset, place.offset + place.size)
    if outer is None or set(outer) != {_DATA}:
        return None
    start, end = outer[_DATA]
    saved = _fields(file, start, end)
    if saved is None or _VALUES not in saved:
        return None
    name = slice_proto = b""
    for wanted in (_NAME, _SLICE):
        begin, stop = saved.get(wanted, (0, 0))
        if stop - begin > _MAX_NAME:
            return None
        raw = file.pread(begin, stop - begin)
        name, slice_proto = (raw, slice_proto) if wanted == _NAME else (name, raw)
    try:
        parsed = lean("TensorSliceProto").FromString(slice_proto)
    except DecodeError:
        return None
    _check_owner(name, parsed, key, file.path, place, entry)
    tensor = _fields(file, *saved[_VALUES])
    if tensor is None or number not in tensor:
        return None
    begin, stop = tensor[number]
    return begin, stop - begin


def _fields(file: RandomAccessFile, start: int, end: int) -> dict[int, tuple[int, int]] | None:
    """Where the fields of a message lie, by number; None where one has no length or comes twice."""
    found: dict[int, tuple[int, int]] = {}

    def fail(what: str, position: int) -> ModelError:
        return CorruptError(what, path=file.path, offset=start + position)

    while start < end:
        head = file.pread(start, min(2 * _MAX_VARINT, end - start))
        try:
            tag, position = read_varint(head, 0, len(head), 32, fail)
            length, position = read_varint(head, position, len(head), 64, fail)
        except CorruptError:
            return None
        begin = start + position
        if tag & 7 != _LENGTH or tag >> 3 in found or length > end - begin or len(found) == _MAX_FIELDS:
            return None
        found[tag >> 3] = (begin, begin + length)
        start = begin + length
    return found


def _read_varints(
    file: RandomAccessFile,
    start: int,
    size: int,
    place: Place,
    entry: BundleEntry,
    box: Box,
    cancel: threading.Event | None,
) -> Array:
    """A box of integers that are stored as varints; reads up to the last that is wanted."""
    array: Array = np.empty(box.counts, dtypes.numpy_dtype(entry.dtype))
    ends = [start_at + count for start_at, count in zip(box.starts, box.counts, strict=True)]
    whole = box.counts == entry.shape
    first, last = 0, -1
    if box.elements and not whole:
        first = int(np.ravel_multi_index(box.starts, entry.shape))
        last = int(np.ravel_multi_index([end - 1 for end in ends], entry.shape))
    done = 0
    for values in _iter_varints(file, start, size, cancel):
        if done + len(values) > entry.elements:
            break
        converted = _convert(values, dtypes.base(entry.dtype))
        if whole:
            array.reshape(-1)[done : done + len(values)] = converted
        elif done + len(values) > first:
            indices = np.unravel_index(np.arange(done, done + len(values)), entry.shape)
            inside = np.ones(len(values), np.bool_)
            for index, start_at, end in zip(indices, box.starts, ends, strict=True):
                inside &= (index >= start_at) & (index < end)
            at = tuple([index[inside] - start_at for index, start_at in zip(indices, box.starts, strict=True)])
            array[at] = converted[inside]
        done += len(values)
        if not whole and done > last:
            return array
    if done != entry.elements:
        raise CorruptError(
            f"{named(entry.key)} does not have the {entry.elements:,} values of {list(entry.shape)} stored",
            path=file.path,
            offset=place.offset,
        )
    return array


def _iter_varints(file: RandomAccessFile, start: int, size: int, cancel: threading.Event | None) -> Iterator[Array]:
    """Varints as uint64, some hundred thousand at a time."""
    position, end = start, start + size
    while position < end:
        check_cancel(cancel)
        raw = np.frombuffer(file.pread(position, min(_PIECE, end - position)), np.uint8)
        stops = np.flatnonzero(raw < 0x80) + 1
        if not stops.size:
            raise CorruptError("a varint does not end where it should", path=file.path, offset=position)
        begins = np.concatenate((np.zeros(1, stops.dtype), stops[:-1]))
        lengths = stops - begins
        longest = int(lengths.max())
        if longest > _MAX_VARINT:
            raise CorruptError("a varint has more than 10 bytes", path=file.path, offset=position)
        values = np.zeros(len(stops), np.uint64)
        for place in range(longest):
            longer = lengths > place
            digits = (raw[begins[longer] + place] & 0x7F).astype(np.uint64)
            values[longer] |= digits << np.uint64(7 * place)
        yield values
        position += int(stops[-1])


def _convert(values: Array, dtype: int) -> Array:
    """Varints as the numbers of a dtype that they stand for."""
    if dtypes.name(dtype) in _HALVES:
        return values.astype(np.uint16).view(dtypes.numpy_dtype(dtype))
    if dtypes.itemsize(dtype) == 8:
        return values.view(dtypes.numpy_dtype(dtype))
    return values.view(np.int64).astype(np.int32).astype(dtypes.numpy_dtype(dtype))
