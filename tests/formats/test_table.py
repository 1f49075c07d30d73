"""The table file: what is written is read, and no damage passes or escapes as anything but an error of ours."""

from __future__ import annotations

import itertools
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bounded import MEGABYTE, peak_memory
from formats.table_writer import MAGIC, TableWriter, encode_block, encode_table, varint
from tfexplore.errors import Cancelled, ChecksumError, CorruptError, TfexploreError, UnsupportedError
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.table import Table, is_table

Entries = list[tuple[bytes, bytes]]
ENTRIES: Entries = [(f"key/{number:03d}".encode(), b"v" * number) for number in range(40)]
TREES = st.dictionaries(
    st.one_of(st.binary(max_size=12), st.text("ab/", max_size=9).map(str.encode)), st.binary(max_size=300), max_size=60
)


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[bytes], Table]:
    """Opens a table with the given bytes."""
    numbers = itertools.count()

    def open_(data: bytes) -> Table:
        path = tmp_path / f"{next(numbers)}.index"
        path.write_bytes(data)
        return Table(RandomAccessFile(str(path)))

    return open_


@given(
    TREES,
    st.sampled_from([1, 64, 1000, 262_144]),
    st.sampled_from([1, 2, 16]),
    st.booleans(),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[bytes, bytes], block_size: int, interval: int, snappy: bool
) -> None:
    entries = sorted(tree.items())
    path = tmp_path_factory.getbasetemp() / "round-trip.index"
    path.write_bytes(encode_table(entries, block_size=block_size, restart_interval=interval, snappy=snappy))
    with RandomAccessFile(str(path)) as file:
        assert is_table(file)
        table = Table(file)
        assert list(table.iter_entries()) == entries
        for key, value in entries:
            assert table.get(key) == value
            assert table.get(key + b"\x00") == tree.get(key + b"\x00")
        assert table.get(b"\xff" * 13) is None


def test_a_shortened_index_key_is_followed(opened: Callable[[bytes], Table]) -> None:
    writer = TableWriter()
    writer.block([(b"abcd", b"1")])
    writer.block([(b"xy", b"2")])
    writer.index = [(b"b", writer.index[0][1] + b"more"), (b"z", writer.index[1][1])]
    table = opened(writer.finish())
    assert [table.get(key) for key in (b"abcd", b"xy", b"aa", b"bb", b"yy", b"zz")] == [b"1", b"2"] + [None] * 4


def test_get_reads_one_block(opened: Callable[[bytes], Table], monkeypatch: pytest.MonkeyPatch) -> None:
    table = opened(encode_table(ENTRIES, block_size=100))
    read: list[int] = []
    original = RandomAccessFile.pread

    def pread(self: RandomAccessFile, offset: int, length: int) -> bytes:
        read.append(length)
        return original(self, offset, length)

    monkeypatch.setattr(RandomAccessFile, "pread", pread)
    assert table.block_count > 3
    assert table.get(ENTRIES[20][0]) == ENTRIES[20][1]
    assert len(read) == 2
    assert read[1] == 5


@pytest.mark.parametrize("snappy", [False, True])
def test_a_table_cut_anywhere_is_refused(opened: Callable[[bytes], Table], snappy: bool) -> None:
    data = encode_table(ENTRIES[:12], block_size=100, snappy=snappy)
    for size in range(len(data)):
        with pytest.raises(CorruptError):
            opened(data[:size])


@pytest.mark.parametrize("snappy", [False, True])
def test_no_flipped_byte_passes(opened: Callable[[bytes], Table], snappy: bool) -> None:
    data = encode_table(ENTRIES[:12], block_size=100, snappy=snappy)
    silent = []
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 0x41
        try:
            table = opened(bytes(flipped))
            found = list(table.iter_entries())
        except TfexploreError:
            continue
        assert found == ENTRIES[:12]
        types = [table.index_damage, *map(table.damaged_type, range(table.block_count))]
        if not any(types):
            silent.append(position)
    # Nobody reads the metaindex block, its handle, and the zeros that fill the footer.
    metaindex = data.rindex(encode_block([], 1))
    if not snappy:
        unread = {*range(metaindex, metaindex + 13), *range(len(data) - 48, len(data) - 8)}
        assert unread.issuperset(silent)
    assert all(position >= len(data) - 200 for position in silent)


def test_a_damaged_block_costs_no_other(opened: Callable[[bytes], Table]) -> None:
    data = bytearray(encode_table(ENTRIES, block_size=100))
    data[data.index(b"v" * 20)] ^= 1
    table = opened(bytes(data))
    found: Entries = []
    broken: list[ChecksumError] = []
    for number in range(table.block_count):
        try:
            found += zip(*table.read_block(number), strict=True)
        except ChecksumError as error:
            broken.append(error)
    assert len(broken) == 1
    assert "does not match its checksum" in broken[0].what
    assert broken[0].offset is not None
    assert len(ENTRIES) - 8 < len(found) < len(ENTRIES)
    assert table.get(ENTRIES[-1][0]) == ENTRIES[-1][1]
    with pytest.raises(ChecksumError):
        list(table.iter_entries())


def one_block(block: bytes, kind: int | None = None, *, snappy: bool = False) -> bytes:
    """A table of one data block with these bytes, its checksum right."""
    writer = TableWriter(snappy)
    writer.index.append((b"\xff", writer.raw_block(block, kind)))
    return writer.finish()


def tail(*restarts: int) -> bytes:
    return struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        (b"", "0 bytes, fewer than the 4"),
        (b"\x00\x00\x00", "3 bytes, fewer than the 4"),
        (tail(), "0 restart points"),
        (struct.pack("<II", 0, 2), "2 restart points"),
        (struct.pack("<I", 0xFFFFFFFF), "4,294,967,295 restart points"),
        (b"\x00\x01\x01kv" + tail(3), "first restart point of a block is 3"),
        (b"\x00\x01\x01kv" + tail(0, 2), "2 restart points but 1 entries"),
        (b"\x00\x01\x01kv\x00\x01\x01lv" + tail(0, 2), "not at the start of an entry"),
        (b"\x00\x01\x01kv\x00\x01\x01lv" + tail(0, 0), "not at the start of an entry"),
        (b"\x01\x01\x01kv" + tail(0), "1 shared"),
        (b"\x00\x02\x01kv" + tail(0), "2 key and 1 value bytes"),
        (b"\x00\x01\x7fkv" + tail(0), "127 value bytes"),
        (b"\x00\x01\xff\xff\xff\xff\x0fkv" + tail(0), "4,294,967,295 value bytes"),
        (b"\x00\x01\xff\xff\xff\xff\x1fkv" + tail(0), "more than 32 bits"),
        (b"\x00\x01\xff\xff\xff\xff" + tail(0), "does not end"),
        (b"\x00\x01\x01kv\x00\x01\x01kv" + tail(0), "does not come after"),
        (b"\x00\x01\x01kv\x01\x00\x01v" + tail(0), "does not come after"),
        (b"\x00\x01\x01kv\x00\x01\x01jv" + tail(0), "does not come after"),
        (b"\x00\x01\x01kv\x00\x00\x01v" + tail(0), "does not come after"),
        (b"\x00\x02\x01\xff\xffv" + tail(0), "after its key in the index block"),
    ],
)
def test_a_block_that_lies_is_refused(opened: Callable[[bytes], Table], block: bytes, sentence: str) -> None:
    for data in (one_block(block), one_block(block, snappy=True)):
        with pytest.raises(CorruptError, match=sentence) as caught:
            opened(data).read_block(0)
        assert caught.value.path is not None
        assert caught.value.offset is not None


def test_an_unknown_compression_is_named(opened: Callable[[bytes], Table]) -> None:
    with pytest.raises(CorruptError, match="compression type 2"):
        opened(one_block(encode_block(ENTRIES, 16), kind=2)).read_block(0)


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        (varint(1 << 31) + b"\x00a", "cannot hold the 2,147,483,648 bytes"),
        (varint(1 << 32) + b"\x00a", "more than 32 bits"),
        (b"\xff", "does not end"),
        (varint(9) + b"\x00a", "cannot be decompressed"),
        (b"", "does not end"),
    ],
)
def test_damaged_snappy_is_refused_before_it_takes_memory(
    opened: Callable[[bytes], Table], block: bytes, sentence: str
) -> None:
    with pytest.raises(CorruptError, match=sentence):
        opened(one_block(block, kind=1)).read_block(0)


def test_a_block_above_the_cap_is_not_read(tmp_path: Path) -> None:
    for name, snappy in (("plain", False), ("snappy", True)):
        path = tmp_path / name
        path.write_bytes(encode_table([(b"k", b"v" * 100_000)], snappy=snappy))
        with RandomAccessFile(str(path)) as file, pytest.raises(UnsupportedError, match="more than the 50,000"):
            Table(file, max_block=50_000).read_block(0)


def test_keys_that_share_a_long_prefix_cannot_fill_memory(opened: Callable[[bytes], Table]) -> None:
    """Each key of 4 bytes in the file would take 1 MB in memory: 65 GB in all."""
    first = varint(0) + varint(1 << 20) + varint(0) + b"k" * (1 << 20)
    shared = varint(1 << 20)
    rest = b"".join(
        [shared + b"\x02\x00" + number.to_bytes(2, "big") for number in range(65_536)],
    )
    with pytest.raises(CorruptError, match="more memory"):
        opened(one_block(first + rest + tail(0))).read_block(0)


def footer(*handles: int) -> bytes:
    return b"".join(map(varint, handles)).ljust(40, b"\x00") + MAGIC


@pytest.mark.parametrize(
    "end",
    [
        footer(0, 0, 1 << 63, 8),
        footer(0, 0, 0, (1 << 64) - 1),
        footer(0, 0, (1 << 64) - 1, (1 << 64) - 1),
        footer(0, 0, 4, 8),
        b"\xff" * 40 + MAGIC,
        b"\x00" * 48,
        footer(0, 0, 0, 0)[8:],
    ],
)
def test_a_footer_that_lies_is_refused(opened: Callable[[bytes], Table], end: bytes) -> None:
    with pytest.raises(CorruptError):
        opened(encode_block([], 1) + end)


def test_a_handle_that_lies_spoils_its_own_block_only(opened: Callable[[bytes], Table]) -> None:
    writer = TableWriter()
    for key in (b"a", b"c", b"e", b"g"):
        writer.block([(key, b"value of " + key)])
    good = [handle for _, handle in writer.index]
    writer.index = [
        (b"a", good[0]),
        (b"b", good[0]),  # listed twice
        (b"c", good[1]),
        (b"d", varint(1 << 40) + varint(8)),  # past the end
        (b"e", good[2]),
        (b"f", b"\xff"),  # no handle
        (b"fa", varint(3) + varint(9)),  # over another block
        (b"g", good[3]),
    ]
    table = opened(writer.finish())
    bad = []
    for number in range(table.block_count):
        try:
            table.read_block(number)
        except CorruptError as error:
            bad.append((number, error.what))
    assert [number for number, _ in bad] == [1, 3, 5, 6]
    assert "twice" in bad[0][1]
    assert "past byte" in bad[1][1]
    assert "no block handle" in bad[2][1]
    assert [table.get(key) for key in (b"a", b"c", b"e", b"g")] == [
        b"value of " + key for key in (b"a", b"c", b"e", b"g")
    ]


@pytest.mark.parametrize("swollen", [1, 9, 30, -3])
def test_a_handle_with_a_wrong_size_spoils_no_good_block(opened: Callable[[bytes], Table], swollen: int) -> None:
    for which in range(3):
        writer = TableWriter()
        for key in (b"a", b"c", b"e", b"g"):
            writer.block([(key, b"value of " + key)])
        key, handle = writer.index[which]
        offset, size = handle  # one byte each
        writer.index[which] = (key, varint(offset) + varint(size + swollen))
        table = opened(writer.finish())
        for number in range(4):
            if number != which:
                assert table.read_block(number)[1][0].startswith(b"value of ")
        with pytest.raises(CorruptError):
            table.read_block(which)


@pytest.mark.parametrize("elsewhere", [0, 3, 60])
def test_a_handle_that_leads_elsewhere_spoils_no_good_block(opened: Callable[[bytes], Table], elsewhere: int) -> None:
    for which in range(4):
        writer = TableWriter()
        for key in (b"a", b"c", b"e", b"g"):
            writer.block([(key, b"value of " + key)])
        key, handle = writer.index[which]
        if handle[0] == elsewhere:
            continue
        writer.index[which] = (key, varint(elsewhere) + handle[1:])
        table = opened(writer.finish())
        assert [table.get(good) for good, _ in writer.index if good != key] == [
            b"value of " + good for good, _ in writer.index if good != key
        ]


def test_handles_that_all_overlap_cost_a_bounded_effort(tmp_path: Path) -> None:
    """Each block would be read as a whole to tell which is good: 60 GB."""
    code = """
from formats.table_writer import TableWriter, varint
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.table import Table
writer = TableWriter()
writer.raw_block(bytes(3 << 20))
writer.index = [(b"%06d" % n, varint(n) + varint((3 << 20) - n)) for n in range(20_000)]
open(sys.argv[1], "wb").write(writer.finish())
table = Table(RandomAccessFile(sys.argv[1]))
bad = 0
for number in range(20_000):
    try:
        table.place(number)
    except Exception:
        bad += 1
assert bad >= 19_998
"""
    assert peak_memory(code, tmp_path / "t") < 128 * MEGABYTE


@pytest.mark.parametrize("snappy", [False, True])
@pytest.mark.parametrize("bit", range(8))
def test_a_damaged_type_is_proven_by_the_checksum(opened: Callable[[bytes], Table], snappy: bool, bit: int) -> None:
    data = bytearray(encode_table(ENTRIES, block_size=100, snappy=snappy))
    table = opened(bytes(data))
    for number in range(table.block_count):
        offset, size = table.place(number)
        flipped = bytearray(data)
        flipped[offset + size] ^= 1 << bit
        damaged = opened(bytes(flipped))
        assert damaged.damaged_type(number) is None
        assert list(damaged.iter_entries()) == ENTRIES
        damaged.check_block(number)
        assert damaged.is_compressed(number) == snappy
        told = [damaged.damaged_type(other) for other in range(table.block_count)]
        assert [error is not None for error in told] == [other == number for other in range(table.block_count)]
        assert told[number].offset == offset + size  # type: ignore[union-attr]
    flipped = bytearray(data)
    flipped[len(data) - 48 - 5] ^= 1 << bit
    damaged = opened(bytes(flipped))
    assert damaged.index_damage is not None
    assert list(damaged.iter_entries()) == ENTRIES


def test_keys_must_rise_from_block_to_block(opened: Callable[[bytes], Table]) -> None:
    writer = TableWriter()
    writer.block([(b"b", b"")])
    writer.block([(b"a", b""), (b"c", b"")])
    table = opened(writer.finish())
    assert table.read_block(0) == ([b"b"], [b""])
    with pytest.raises(CorruptError, match="first key"):
        table.read_block(1)
    writer.index.reverse()
    with pytest.raises(CorruptError, match="does not come after"):
        opened(writer.finish())


def test_cancel_ends_the_listing(opened: Callable[[bytes], Table]) -> None:
    cancel = threading.Event()
    entries = opened(encode_table(ENTRIES, block_size=100)).iter_entries(cancel)
    assert next(entries) == ENTRIES[0]
    cancel.set()
    with pytest.raises(Cancelled):
        list(entries)


def test_other_files_are_no_tables(tmp_path: Path) -> None:
    for number, data in enumerate((b"", b"x" * 47, b"x" * 500, MAGIC, b"version https://git-lfs\n" * 9)):
        path = tmp_path / str(number)
        path.write_bytes(data)
        with RandomAccessFile(str(path)) as file:
            assert not is_table(file)
            with pytest.raises(CorruptError):
                Table(file)
