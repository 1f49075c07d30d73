"""Writes a tensor bundle that differs from another in the values of some tensors.

A new value has the dtype and shape of the old one and so its number of bytes: it lies where the old one lay, in the
same shard, and only its checksum in the index changes. All other bytes are copied as they are, each tensor checked
against its checksum on the way. What TensorFlow wrote is, without new values, written again byte for byte, but for
indexes that it compressed with snappy: those come out uncompressed, with the same entries.
"""

from __future__ import annotations

import sys
import threading
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.errors import ChecksumError, CorruptError, UsageError
from tfexplore.formats import dtypes
from tfexplore.formats.bundle import Bundle, slice_key
from tfexplore.formats.bundle_entry import BundleEntry, decode_entry, named
from tfexplore.formats.bundle_index import decode_key, encode_key
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.new_files import NewFile
from tfexplore.formats.ordered_code import decode_slice_key
from tfexplore.formats.proto import lean
from tfexplore.formats.table import check_cancel, crc32c, mask
from tfexplore.formats.table_writer import TableWriter

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_PIECE = 4 << 20
_CHECK_EVERY = 1024
_COMPLEX = (8, 18)
_NO_NUMBERS = (dtypes.STRING, dtypes.RESOURCE, dtypes.VARIANT)

Advance = Callable[[int], None]


def check_value(bundle: Bundle, key: str, value: Array) -> BundleEntry:
    """Whether `value` can take the place of what the bundle stores under `key`; the entry of that.

    Raises:
        NotFoundError: there is no such key.
        CorruptError: its entry is damaged.
        UsageError: dtype or shape differ, or what is stored are no numbers.
    """
    entry = bundle.entry(key)
    what = f"{dtypes.name(entry.dtype)} {list(entry.shape)}"
    if dtypes.base(entry.dtype) in _NO_NUMBERS or not dtypes.itemsize(entry.dtype):
        raise UsageError(f"{bundle.prefix}: {named(key)} is {what}, and only numbers can be replaced")
    if value.shape != entry.shape or value.dtype != dtypes.numpy_dtype(entry.dtype):
        given = f"{value.dtype.name} {list(value.shape)}"
        raise UsageError(f"{bundle.prefix}: {named(key)} is {what}, and {given} cannot take its place")
    return entry


def rewrite_bundle(
    bundle: Bundle,
    prefix: str,
    values: Mapping[str, Array],
    *,
    cancel: threading.Event | None = None,
    advance: Advance | None = None,
) -> None:
    """Writes `PREFIX.data-…` and `PREFIX.index`, with the bundle's keys, slices, shards and offsets.

    Args:
        prefix: of the new files, none of which may be there.
        values: the new ones, each a whole tensor, by key.
        advance: told how many bytes more have been written.

    Raises:
        NotFoundError, UsageError: as `check_value`; UsageError also where the files cannot be written.
        ChecksumError: a tensor that is to be copied does not match its checksum.
        CorruptError: the index is damaged, or places two tensors so that one cannot be changed.
        UnsupportedError: as `bundle_strings` has it.
        Cancelled: `cancel` was set.
    """
    if bundle.damage:
        raise bundle.damage[0].without_traceback(hint="a bundle whose index is damaged cannot be written anew")
    if bundle.header_damaged:
        raise CorruptError("the bundle's header is damaged, so it cannot be written anew", path=bundle.index_path)
    _Rewriting(bundle, prefix, values, cancel, advance or (lambda _: None)).run()


class _Piece(NamedTuple):
    """Bytes of a shard: where a tensor lies.

    Attributes:
        number: the entry's place in the index.
    """

    number: int
    offset: int
    size: int
    crc32c: int


class _Rewriting:
    def __init__(
        self,
        bundle: Bundle,
        prefix: str,
        values: Mapping[str, Array],
        cancel: threading.Event | None,
        advance: Advance,
    ) -> None:
        self._bundle = bundle
        self._prefix = prefix
        self._cancel = cancel
        self._advance = advance
        # By the key of the entry that says where they lie: its own, or that of a slice.
        self._new: dict[bytes, Array] = {}
        for key, value in values.items():
            entry = check_value(bundle, key, value)
            if not entry.slices:
                self._new[encode_key(key)] = value
            for part in entry.slices:
                bundle.slice_entry(entry, part)
                ends = zip(part.starts, part.lengths, strict=True)
                box = tuple([slice(start, None if size is None else start + size) for start, size in ends])
                self._new[slice_key(entry, part)] = value[box]
        self._columns = tuple(array("q") for _ in range(4))  # shard, offset, size, checksum; by number
        self._numbers: array[int] = array("q")
        # By number: entries whose checksum is no plain one, and new values; a new checksum once it was written.
        self._odd: dict[int, BundleEntry] = {}
        self._changed: dict[int, tuple[Array, int]] = {}
        self._checksums: dict[int, int] = {}

    def run(self) -> None:
        self._read_index()
        for shard in range(self._bundle.num_shards):
            self._write_shard(shard)
        self._write_index()

    def _entries(self) -> Iterator[tuple[int, bytes, bytes]]:
        for number, (key, raw) in enumerate(self._bundle.iter_raw(self._cancel)):
            if number % _CHECK_EVERY == 0:
                check_cancel(self._cancel)
            yield number, key, raw

    def _read_index(self) -> None:
        bundle = self._bundle
        left = set(self._new)
        for number, key, raw in self._entries():
            if not key:
                continue
            entry = decode_entry(raw, _name(key), bundle.num_shards, bundle.index_path)
            if entry.slices:
                continue
            self._numbers.append(number)
            for column, value in zip(self._columns, (entry.shard, entry.offset, entry.size, entry.crc32c), strict=True):
                column.append(value)
            if dtypes.base(entry.dtype) in (dtypes.STRING, dtypes.VARIANT):
                self._odd[number] = entry
            if key in left:
                left.discard(key)
                self._changed[number] = (self._new[key], dtypes.base(entry.dtype))
        assert not left, left

    def _pieces(self, shard: int) -> list[_Piece]:
        shards, offsets, sizes, checksums = self._columns
        found = [
            _Piece(self._numbers[row], offsets[row], sizes[row], checksums[row])
            for row, of in enumerate(shards)
            if of == shard
        ]
        return sorted(found, key=lambda piece: (piece.offset, piece.size))

    def _write_shard(self, shard: int) -> None:
        source = self._bundle.shard(shard)
        name = f"{self._prefix}.data-{shard:05d}-of-{self._bundle.num_shards:05d}"
        done = changed_to = 0
        with NewFile(name) as target:
            for piece in self._pieces(shard):
                end = piece.offset + piece.size
                if end > source.size:
                    raise CorruptError(
                        f"{self._named(piece)} should have {piece.size:,} bytes there, "
                        f"but the file has {source.size:,} bytes in all",
                        path=source.path,
                        offset=piece.offset,
                    )
                changed = self._changed.get(piece.number)
                overlaps = piece.size and piece.offset < (done if changed is not None else changed_to)
                if overlaps:
                    raise CorruptError(
                        f"{self._named(piece)} lies over another tensor, so one cannot be changed without the other",
                        path=source.path,
                        offset=piece.offset,
                    )
                if piece.offset > done:
                    self._copy(source, target, done, piece.offset)
                    done = piece.offset
                if changed is not None:
                    self._checksums[piece.number] = self._write_values(target, *changed)
                    changed_to = max(changed_to, end)
                    done = max(done, end)
                    continue
                self._copy_checked(source, target, piece, done)
                done = max(done, end)
            self._copy(source, target, done, source.size)

    def _copy_checked(self, source: RandomAccessFile, target: NewFile, piece: _Piece, done: int) -> None:
        """Copies a tensor as far as it is not yet written, and checks it."""
        end = piece.offset + piece.size
        entry = self._odd.get(piece.number)
        if entry is not None:
            good = self._is_good(source, entry)
            self._copy(source, target, done, end)
        elif done > piece.offset:
            good = mask(self._copy(source, None, piece.offset, end)) == piece.crc32c
            self._copy(source, target, done, end)
        else:
            good = mask(self._copy(source, target, done, end)) == piece.crc32c
        if not good:
            raise ChecksumError(
                f"the {piece.size:,} bytes of {self._named(piece)} do not match their checksum",
                path=source.path,
                offset=piece.offset,
                hint="a damaged value is not copied: get the model's files anew, or give it a new value",
            )

    def _is_good(self, source: RandomAccessFile, entry: BundleEntry) -> bool:
        """Whether strings or variants match their checksum."""
        from tfexplore.formats import bundle_strings

        def check(_: int) -> None:
            check_cancel(self._cancel)

        if dtypes.base(entry.dtype) == dtypes.STRING:
            return bundle_strings.read_strings(source, entry, self._bundle.big_endian, check, keep=False)[1]
        return bundle_strings.read_variants(source, entry, check, keep=False)[1]

    def _copy(self, source: RandomAccessFile, target: NewFile | None, start: int, end: int) -> int:
        """Copies a range of a shard; its CRC-32C."""
        crc = 0
        for position in range(start, end, _PIECE):
            check_cancel(self._cancel)
            data = source.pread(position, min(_PIECE, end - position))
            crc = crc32c(data, crc)
            if target is not None:
                target.write(data)
                self._advance(len(data))
        return crc

    def _write_values(self, target: NewFile, values: Array, dtype: int) -> int:
        """Writes numbers as the bundle stores them; their masked checksum."""
        import numpy as np

        flat = np.ascontiguousarray(values).reshape(-1)
        itemsize = dtypes.itemsize(dtype)
        unit = itemsize // 2 if dtype in _COMPLEX else itemsize
        swapped = unit > 1 and self._bundle.big_endian != (sys.byteorder == "big")
        raw = flat.view(f"u{unit}") if swapped else flat.view(np.uint8)
        step = _PIECE // raw.itemsize
        crc = 0
        for start in range(0, len(raw), step):
            check_cancel(self._cancel)
            part = raw[start : start + step]
            data = (part.byteswap() if swapped else part).view(np.uint8)
            crc = crc32c(data, crc)
            target.write(data)
            self._advance(len(data))
        return mask(crc)

    def _write_index(self) -> None:
        with NewFile(f"{self._prefix}.index") as file:
            written = 0

            def write(data: bytes) -> None:
                nonlocal written
                file.write(data)
                written += len(data)

            table = TableWriter(write)
            for number, key, raw in self._entries():
                checksum = self._checksums.get(number)
                table.add(key, raw if checksum is None else _with_checksum(raw, checksum))
            table.finish()
            self._advance(written)

    def _named(self, piece: _Piece) -> str:
        key = next(key for number, key, _ in self._entries() if number == piece.number)
        return named(_name(key)) if not _is_slice(key) else f"a slice of {named(_name(key))}"


def _is_slice(key: bytes) -> bool:
    if not key.startswith(b"\0"):
        return False
    try:
        decode_slice_key(key)
    except CorruptError:
        return False
    return True


def _name(key: bytes) -> str:
    """The tensor's name, of a slice's key too."""
    return decode_key(decode_slice_key(key).name if _is_slice(key) else key)


def _with_checksum(raw: bytes, checksum: int) -> bytes:
    """A serialized BundleEntryProto with another checksum; fields that nobody knows stay."""
    message = lean("BundleEntryProto").FromString(raw)
    message.crc32c = checksum
    return bytes(message.SerializeToString())
