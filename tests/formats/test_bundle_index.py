"""The index of a bundle in columns: what the fast way over a large index tells is what the plain way tells."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bounded import MEGABYTE, peak_memory
from formats.table_writer import Partition, TableWriter, encode_block, entry, header, varint, write_bundle
from tfexplore.errors import Cancelled, CorruptError, ModelError, TfexploreError
from tfexplore.formats import block_scan, bundle_index
from tfexplore.formats.bundle import Bundle
from tfexplore.formats.table_block import decode_block, find_in_block, salvage_entries

ROOM = 1 << 24
NAMES = st.one_of(
    st.text("ab/", min_size=1, max_size=9).map(str.encode),
    st.binary(min_size=1, max_size=12),
    st.integers(0, 40).map(lambda number: b"long/" * number + b"k"),
)
BLOCKS = st.dictionaries(NAMES, st.binary(max_size=200), min_size=1, max_size=80)


def fail(what: str, _: int) -> ModelError:
    return CorruptError(what)


@pytest.fixture
def as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every index is treated as a large one: nothing is read at opening, blocks are scanned."""
    monkeypatch.setattr(bundle_index, "_READ_AT_ONCE", 0)
    monkeypatch.setattr(bundle_index, "_SCANNED_FROM", 0)


@given(BLOCKS, st.integers(1, 20))
def test_scanning_and_finding_agree_with_decoding(tree: dict[bytes, bytes], interval: int) -> None:
    data = encode_block(sorted(tree.items()), interval)
    keys, values = decode_block(data, ROOM, fail)
    scanned = block_scan.scan_block(data, ROOM)
    assert scanned is not None
    assert [key.encode("utf-8", "surrogateescape") for key in scanned.keys] == keys
    assert (scanned.first, scanned.last) == (keys[0], keys[-1])
    assert [
        data[start:end] for start, end in zip(scanned.starts.tolist(), scanned.ends.tolist(), strict=True)
    ] == values
    for key in [*tree, b"", b"a", b"\xff" * 13]:
        assert find_in_block(data, key) == tree.get(key)
    assert salvage_entries(data, None, keys[-1], ROOM) == (keys, values)


@given(BLOCKS, st.integers(1, 20), st.data())
def test_nothing_is_scanned_that_is_not_decoded(tree: dict[bytes, bytes], interval: int, data: st.DataObject) -> None:
    block = bytearray(encode_block(sorted(tree.items()), interval))
    for _ in range(data.draw(st.integers(1, 3))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    del block[data.draw(st.integers(0, len(block))) :]
    scanned = block_scan.scan_block(bytes(block), ROOM)
    if scanned is None:
        return
    keys, values = decode_block(bytes(block), ROOM, fail)
    assert [key.encode("utf-8", "surrogateescape") for key in scanned.keys] == keys
    assert [bytes(block[a:b]) for a, b in zip(scanned.starts.tolist(), scanned.ends.tolist(), strict=True)] == values


ENTRIES = st.builds(
    entry,
    st.sampled_from([1, 3, 7, 9, 14, 21, 29, 101, 999]),
    st.lists(st.integers(-1, 300), max_size=4).map(tuple),
    shard_id=st.integers(0, 5),
    offset=st.one_of(st.integers(-5, 500), st.integers(0, 2**62)),
    size=st.one_of(st.integers(-5, 5000), st.integers(0, 2**62)),
    crc32c=st.integers(0, 2**32 - 1),
)


@given(st.lists(st.one_of(ENTRIES, st.binary(max_size=40)), min_size=1, max_size=40), st.integers(1, 4))
def test_batches_tell_what_entries_tell(
    tmp_path_factory: pytest.TempPathFactory, values: list[bytes], num_shards: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "batches"
    folder.mkdir(exist_ok=True)
    extra = {b"key/%03d" % number: value for number, value in enumerate(values)}
    write_bundle(folder / "c", {}, shards=num_shards, extra=extra, block_size=200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle_index, "_READ_AT_ONCE", 0)
        patch.setattr(bundle_index, "_SCANNED_FROM", 0)
        with Bundle(str(folder / "c")) as bundle:
            scanned = list(_facts(bundle))
    with Bundle(str(folder / "c")) as bundle:
        plain = list(_facts(bundle))
        # What is unusual is left to the plain way.
        assert [a if b[1] is not None else b for a, b in zip(plain, scanned, strict=True)] == scanned
        assert [fact[0] for fact in scanned] == bundle.keys
        for key, *told in scanned:
            try:
                found = bundle.entry(key)
            except CorruptError:
                assert told == [None]
                continue
            if told != [None]:
                assert told == [found.dtype, found.shape, found.elements, found.shard, found.offset, found.size]


def _facts(bundle: Bundle) -> Iterator[tuple[Any, ...]]:
    for batch in bundle.iter_batches():
        for key, head, shard, offset, size in zip(
            batch.keys, batch.heads, batch.shards, batch.offsets, batch.sizes, strict=True
        ):
            if head is None:
                yield key, None
            else:
                yield key, head.dtype, head.shape, head.elements, shard, offset, size


def test_usual_entries_are_told_in_columns(tmp_path: Path, as_large: None) -> None:
    tensors = {b"w/%d" % number: np.full((number % 3, 2), number, np.float32) for number in range(50)}
    write_bundle(tmp_path / "c", tensors, block_size=300)
    with Bundle(str(tmp_path / "c")) as bundle:
        batches = list(bundle.iter_batches())
        assert len(batches) > 3
        assert not any(head is None for batch in batches for head in batch.heads)
        # Equal heads are one object: what is made of them is made once.
        assert len({id(head) for batch in batches for head in batch.heads}) == 3


@pytest.mark.usefixtures("as_large")
class TestLarge:
    """A large index is read when it is asked for."""

    TENSORS = {b"w/%02d" % number: np.arange(number, dtype=np.int32) for number in range(60)}
    PARTITION = Partition(np.ones((4, 3)), [[(0, 2), (0, None)], [(2, 2), (0, None)]])

    def write(self, folder: Path) -> str:
        write_bundle(folder / "c", self.TENSORS | {b"p": self.PARTITION}, block_size=200)
        return str(folder / "c")

    def test_entries_without_names(self, tmp_path: Path) -> None:
        with Bundle(self.write(tmp_path)) as bundle:
            assert not bundle.loaded
            assert bundle.read(bundle.entry("w/59")).array.tolist() == list(range(59))
            assert bundle.read(bundle.entry("p")).array.tolist() == np.ones((4, 3)).tolist()
            assert "w/07" in bundle
            assert "w/99" not in bundle
            assert "" not in bundle
            assert not bundle.loaded

    def test_names_follow(self, tmp_path: Path) -> None:
        with Bundle(self.write(tmp_path)) as bundle:
            told: list[tuple[int, int]] = []
            bundle.load(progress=lambda done, total: told.append((done, total)))
            assert bundle.loaded
            assert bundle.keys == ["p", *(key.decode() for key in self.TENSORS)]
            assert bundle.slice_count == 2
            assert [done for done, _ in told] == list(range(1, told[-1][1] + 1))
            assert "w/07" in bundle
            for key, value in self.TENSORS.items():
                assert bundle.read(bundle.entry(key.decode())).array.tolist() == value.tolist()
            assert bundle.nbytes() == 4 * sum(range(60)) + 96

    def test_cancel(self, tmp_path: Path) -> None:
        cancel = threading.Event()
        with Bundle(self.write(tmp_path)) as bundle:
            with pytest.raises(Cancelled):
                bundle.load(cancel, lambda done, _: cancel.set() if done == 2 else None)
            assert not bundle.loaded
            with pytest.raises(Cancelled):
                list(bundle.iter_batches(cancel))
            cancel.clear()
            bundle.load(cancel)
            assert len(bundle) == 61

    def test_every_flip_is_told_or_harmless(self, tmp_path: Path) -> None:
        prefix = self.write(tmp_path)
        path = Path(f"{prefix}.index")
        data = path.read_bytes()
        unnoticed = 0
        for at in range(0, len(data), 3):
            path.write_bytes(data[:at] + bytes((data[at] ^ 0x11,)) + data[at + 1 :])
            try:
                with Bundle(prefix) as bundle:
                    keys = bundle.keys
                    unnoticed += not bundle.damage
                    assert bundle.damage or keys == ["p", *(key.decode() for key in self.TENSORS)]
                    for key in keys:
                        if bundle.is_doubtful(bundle.entry(key)):
                            continue
                        if key != "p":
                            assert bundle.entry(key).shape == self.TENSORS[key.encode()].shape
            except TfexploreError:
                continue
        # The metaindex block with its handle, and the filling of the footer.
        assert unnoticed <= (13 + 40) // 3 + 1


@pytest.mark.parametrize("interval", [1, 16])
def test_a_flipped_bit_of_a_key_hides_few_others(interval: int) -> None:
    entries = [(b"%c%c_w" % (first, second), b"v") for first in range(97, 123) for second in range(97, 123)]
    data = encode_block(entries, interval)
    for position in range(0, len(data) - 4 * (len(entries) // interval + 2), 7):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            keys, values = salvage_entries(bytes(damaged), None, entries[-1][0], ROOM)
            assert keys == sorted(set(keys))
            assert len(keys) == len(values)
            # What follows a restart point may depend on the damaged byte.
            assert len({key for key, _ in entries} - set(keys)) <= interval + 1


@given(st.lists(st.binary(max_size=2), min_size=1, max_size=40))
def test_the_most_keys_that_rise_are_salvaged(keys: list[bytes]) -> None:
    block = b"".join([b"\0" + bytes((len(key), 1)) + key + b"v" for key in keys]) + bytes(4) + b"\1\0\0\0"
    found, values = salvage_entries(block, None, b"\xff" * 3, ROOM)
    assert found == sorted(set(found))
    assert len(values) == len(found)
    rest = iter(keys)
    assert all(key in rest for key in found)
    best: list[int] = []
    for place, key in enumerate(keys):
        best.append(1 + max((best[at] for at in range(place) if keys[at] < key), default=0))
    assert len(found) == max(best, default=0)


def test_a_salvaged_key_lies_within_its_block(tmp_path: Path) -> None:
    data = encode_block([(b"b%02d" % number, b"v") for number in range(20)], 4)
    assert salvage_entries(data, b"b04", b"b11", ROOM)[0] == [b"b%02d" % number for number in range(5, 12)]
    assert salvage_entries(b"", None, b"z", ROOM) == ([], [])
    assert salvage_entries(data, None, b"z", 10) == ([], [])


def _long_keys(snappy: bool) -> bytes:
    """Keys of 4 KB that share all but a few bytes."""
    writer = TableWriter(snappy)
    writer.block([(b"", header())])
    start = b"k" * 4000
    for block in range(25):
        entries, restarts = bytearray(), []
        for number in range(block * 4000, block * 4000 + 4000):
            end = b"%08d" % number
            if number % 50 == 0:
                restarts.append(len(entries))
                entries += b"\0" + varint(4008) + b"\0" + start + end
            else:
                entries += varint(4000) + b"\x08\0" + end
        entries += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
        writer.index.append((start + end, writer.raw_block(bytes(entries))))
    return writer.finish()


def _small_keys(damaged: bool) -> bytes:
    """Blocks of megabytes with entries of a few bytes."""
    writer = TableWriter()
    writer.block([(b"", header())])
    for block in range(5):
        last = b"k%d" % block
        entries = bytearray(b"\0\x02\0" + last)
        for number in range(1 << 18):
            entries += b"\x02\x03\0" + number.to_bytes(3, "big")
        entries += bytes(4) + b"\1\0\0\0"
        entries[-1] ^= damaged
        writer.index.append((last + b"\xff" * 3, writer.raw_block(bytes(entries))))
        if damaged:
            writer.data[-1] ^= 1
    return writer.finish()


def _large_blocks() -> bytes:
    """A few kilobytes that are 16 MB each decompressed, in values of a megabyte."""
    writer = TableWriter(snappy=True)
    writer.block([(b"", header())])
    for block in range(20):
        writer.block([(b"k%02d%02d" % (block, number), bytes(1 << 20)) for number in range(15)])
    return writer.finish()


def _many_blocks() -> bytes:
    """An index block of hundreds of thousands of bad handles."""
    writer = TableWriter()
    writer.block([(b"", header())])
    writer.index += [(number.to_bytes(3, "big"), b"\xff") for number in range(1 << 16, 1 << 19)]
    return writer.finish()


HOSTILE = {
    "long keys": lambda: _long_keys(False),
    "long keys, packed": lambda: _long_keys(True),
    "small keys": lambda: _small_keys(False),
    "small keys, damaged": lambda: _small_keys(True),
    "large blocks": _large_blocks,
    "many blocks": _many_blocks,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_indexes_cannot_fill_memory(tmp_path: Path, what: str) -> None:
    (tmp_path / "c.index").write_bytes(HOSTILE[what]())
    code = """
import numpy
from tfexplore.errors import TfexploreError
from tfexplore.formats.bundle import Bundle
try:
    with Bundle(sys.argv[1]) as bundle:
        keys = bundle.keys
        for batch in bundle.iter_batches():
            pass
        for key in keys[:: len(keys) // 9 + 1]:
            try:
                bundle.entry(key)
            except TfexploreError:
                pass
except TfexploreError as error:
    print(error)
"""
    assert peak_memory(code, tmp_path / "c") < 290 * MEGABYTE
