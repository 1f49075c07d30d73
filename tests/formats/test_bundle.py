"""The index of a tensor bundle: keys, entries, header and shards; one damaged part never hides the others."""

from __future__ import annotations

import errno
import gc
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.table_writer import (
    Partition,
    TableWriter,
    encode_table,
    entry,
    header,
    partition_entry,
    strings,
    varint,
    write_bundle,
)
from tfexplore.errors import (
    Cancelled,
    ChecksumError,
    CorruptError,
    NotFoundError,
    RefusedFileError,
    TfexploreError,
    UnsupportedError,
)
from tfexplore.formats import bundle_index
from tfexplore.formats.bundle import Bundle, TensorSlice
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.ordered_code import encode_slice_key
from tfexplore.formats.proto import lean
from tfexplore.formats.table import Table

FLOATS = np.arange(6, dtype=np.float32).reshape(2, 3)


def write_index(prefix: Path, entries: dict[bytes, bytes]) -> None:
    Path(f"{prefix}.index").write_bytes(encode_table(sorted(entries.items())))


def test_keys_and_entries(tmp_path: Path) -> None:
    prefix = tmp_path / "ckpt"
    write_bundle(
        prefix, {b"w": FLOATS, b"a/b": np.int64(7) * np.ones((), np.int64), b"s": strings(b"x", b"yy")}, shards=2
    )
    with Bundle(str(prefix)) as bundle:
        assert bundle.keys == ["a/b", "s", "w"]
        assert len(bundle) == 3
        assert (bundle.num_shards, bundle.big_endian, bundle.producer) == (2, False, 1)
        assert bundle.damage == ()
        found = bundle.entry("w")
        assert (found.key, found.dtype, found.shape, found.shard) == ("w", 1, (2, 3), 0)
        assert (found.offset, found.size, found.elements, found.slices) == (0, 24, 6, ())
        assert bundle.entry("a/b").shard == 1
        assert "s" in bundle
        assert "t" not in bundle
        assert bundle.nbytes() == 24 + 8 + (2 + 4 + 3)
        assert bundle.shard_path(1) == f"{prefix}.data-00001-of-00002"
        assert bundle.missing_shards() == ()
        with pytest.raises(NotFoundError, match="no tensor 'nope'"):
            bundle.entry("nope")
        os.remove(bundle.shard_path(1))
        assert bundle.missing_shards() == (1,)
        assert bundle.read(bundle.entry("a/b")).checksum == "good"  # still the files that were opened
    with Bundle(str(prefix)) as bundle:
        assert bundle.read(found).checksum == "good"
        with pytest.raises(NotFoundError, match="00001-of-00002"):
            bundle.read(bundle.entry("a/b"))


HOSTILE = [
    b"\x01\x1b[31m",
    b"\xff\xfe",
    b"caf\xc3\xa9",
    b"\xed\xa0\x80",
    "\u202egnp.exe".encode(),
    b"n" * 10_000,
    b"\x00",
]


def test_names_are_data(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", dict.fromkeys(HOSTILE, FLOATS))
    with Bundle(str(tmp_path / "c")) as bundle:
        assert [key.encode("utf-8", "surrogateescape") for key in bundle.keys] == sorted(HOSTILE)
        for key in bundle.keys:
            assert bundle.read(bundle.entry(key)).checksum == "good"
            with pytest.raises(NotFoundError) as caught:
                bundle.entry(f"{key}?")
            assert str(caught.value).isprintable()
            assert len(str(caught.value)) < 600


def test_a_damaged_type_of_a_block_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path / "b", {b"a": FLOATS, b"b": FLOATS}, block_size=1)
    data = (tmp_path / "b.index").read_bytes()
    with RandomAccessFile(str(tmp_path / "b.index")) as file:
        table = Table(file)
        places = [sum(table.place(number)) for number in range(table.block_count)]
    for scanned_from in (2 << 20, 0):
        monkeypatch.setattr(bundle_index, "_SCANNED_FROM", scanned_from)
        for place in [*places, len(data) - 53]:
            (tmp_path / "b.index").write_bytes(data[:place] + b"\4" + data[place + 1 :])
            with Bundle(str(tmp_path / "b")) as bundle:
                assert (bundle.keys, bundle.header_damaged) == (["a", "b"], False)
                assert [bundle.read(bundle.entry(key)).checksum for key in "ab"] == ["good", "good"]
                assert not bundle.is_doubtful(bundle.entry("a"))
                assert [error.offset for error in bundle.damage] == [place]
                assert "compression type is 4" in bundle.damage[0].what


def test_no_file_stays_open_where_opening_fails(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", {b"a": FLOATS})
    data = bytearray((tmp_path / "b.index").read_bytes())
    data[-56] ^= 1
    (tmp_path / "b.index").write_bytes(data)
    (tmp_path / "c.index").write_bytes(encode_table([(b"a", b"")]))
    before = len(os.listdir("/proc/self/fd"))
    gc.disable()
    try:
        kept = []
        for name in ("b", "c"):
            with pytest.raises(CorruptError) as caught:
                Bundle(str(tmp_path / name))
            kept.append(caught.value)
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        gc.enable()
    del kept


def test_a_sector_that_cannot_be_read_ends_no_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path / "b", {b"%d" % number: FLOATS for number in range(9)}, block_size=1)
    with RandomAccessFile(str(tmp_path / "b.index")) as file:
        bad = Table(file).place(4)[0]
    original = os.pread

    def pread(fd: int, length: int, offset: int) -> bytes:
        if offset == bad and length > 20:
            raise OSError(errno.EIO, "Input/output error")
        return original(fd, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    with Bundle(str(tmp_path / "b")) as bundle:
        assert bundle.keys == [str(number) for number in range(9) if number != 3]
        assert ["input/output error" in str(error) for error in bundle.damage] == [True]


def test_a_name_with_a_lone_surrogate_is_no_key_and_no_path(tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", {b"\xed\xa0\x80": np.arange(3)})
    with Bundle(str(tmp_path / "b")) as bundle:
        assert bundle.keys == ["\udced\udca0\udc80"]
        assert "\ud800" not in bundle
        with pytest.raises(NotFoundError, match="has no tensor"):
            bundle.entry("\ud800")
    with pytest.raises(NotFoundError, match="no name has such a character"):
        Bundle(str(tmp_path / "\ud800"))


@given(
    st.dictionaries(st.binary(min_size=1, max_size=6), st.integers(0, 9), max_size=30), st.sampled_from([20, 262_144])
)
def test_any_names_are_found(
    tmp_path_factory: pytest.TempPathFactory, sizes: dict[bytes, int], block_size: int
) -> None:
    prefix = tmp_path_factory.getbasetemp() / "names"
    write_bundle(prefix, {name: np.full(size, size, np.uint8) for name, size in sizes.items()}, block_size=block_size)
    with Bundle(str(prefix)) as bundle:
        assert bundle.keys == [name.decode("utf-8", "surrogateescape") for name in sorted(sizes)]
        for name, size in sizes.items():
            key = name.decode("utf-8", "surrogateescape")
            assert bundle.entry(key).shape == (size,)
            assert bundle.read(bundle.entry(key)).array.tolist() == [size] * size


def test_an_empty_base_name(tmp_path: Path) -> None:
    write_bundle(f"{tmp_path}/", {b"w": FLOATS})
    assert (tmp_path / ".index").exists()
    with Bundle(f"{tmp_path}/") as bundle:
        assert bundle.read(bundle.entry("w")).checksum == "good"
        assert bundle.missing_shards() == ()


@pytest.mark.parametrize(
    ("raw", "error", "sentence"),
    [
        (header(0), CorruptError, "0 shards"),
        (header(-1), CorruptError, "-1 shards"),
        (header(2**31 - 1), CorruptError, "2,147,483,647 shards"),
        (header(min_consumer=2), UnsupportedError, "format version 2"),
        (lean("BundleHeaderProto")(num_shards=1, endianness=2).SerializeToString(), CorruptError, "endianness 2"),
        (
            lean("BundleHeaderProto")(num_shards=1, version={"bad_consumers": [1]}).SerializeToString(),
            UnsupportedError,
            "format version",
        ),
        (b"\xff\xff", CorruptError, "no BundleHeaderProto"),
    ],
)
def test_a_header_that_cannot_be_is_refused(
    tmp_path: Path, raw: bytes, error: type[TfexploreError], sentence: str
) -> None:
    write_index(tmp_path / "c", {b"": raw, b"w": entry(1, [])})
    with pytest.raises(error, match=sentence) as caught:
        Bundle(str(tmp_path / "c"))
    assert str(tmp_path / "c.index") in str(caught.value)


def test_no_header_is_refused(tmp_path: Path) -> None:
    write_index(tmp_path / "c", {b"w": entry(1, [], size=4)})
    with pytest.raises(CorruptError, match="header"):
        Bundle(str(tmp_path / "c"))


BAD_ENTRIES = {
    "no proto": (b"\xff\xff", "no BundleEntryProto"),
    "negative dim": (entry(1, [-1, 3], size=24), "dimension below 0"),
    "negative offset": (entry(1, [2], offset=-5, size=8), "offset -5"),
    "negative size": (entry(7, [2], size=-1), "size -1"),
    "size of another shape": (entry(1, [2], size=12), r"float32 \[2\] takes 8"),
    "overflow": (entry(1, [1 << 40, 1 << 40], size=0), "more elements"),
    "shard": (entry(1, [2], size=8, shard_id=1), "shard 1"),
    "negative shard": (entry(1, [2], size=8, shard_id=-1), "shard -1"),
    "rank": (entry(1, [1] * 255, size=4), "255 dimensions"),
    "unknown rank": (
        lean("BundleEntryProto")(dtype=1, shape={"unknown_rank": True}).SerializeToString(),
        "unknown rank",
    ),
    "slice of another rank": (partition_entry(1, [4], [[(0, 2), (0, 2)]]), "slice of 2 dimensions"),
    "slice outside": (partition_entry(1, [4], [[(3, 2)]]), "does not lie within"),
    "slice before": (partition_entry(1, [4], [[(-1, 2)]]), "does not lie within"),
    "slice of less than nothing": (partition_entry(1, [4], [[(2, -1)]]), "does not lie within"),
    "slice far outside": (partition_entry(1, [4], [[((1 << 63) - 1, (1 << 63) - 1)]]), "does not lie within"),
    "whole slice with a start": (partition_entry(1, [4], [[(1, None)]]), "does not lie within"),
    "many slices": (partition_entry(1, [4], [[(0, 4)]] * 300_000), "more than the 1,048,576"),
}


@pytest.mark.parametrize("what", BAD_ENTRIES)
def test_a_bad_entry_hides_no_other(tmp_path: Path, what: str) -> None:
    raw, sentence = BAD_ENTRIES[what]
    write_bundle(tmp_path / "c", {b"a": FLOATS, b"z": FLOATS}, extra={b"bad": raw})
    with Bundle(str(tmp_path / "c")) as bundle:
        assert bundle.keys == ["a", "bad", "z"]
        with pytest.raises(CorruptError, match=sentence) as caught:
            bundle.entry("bad")
        assert "'bad'" in str(caught.value)
        assert bundle.nbytes() == 48
        for key in ("a", "z"):
            assert bundle.read(bundle.entry(key)).array.tolist() == FLOATS.tolist()


@pytest.mark.parametrize("number", [0, 20, 120, 999])
def test_an_unknown_dtype_is_listed_but_not_read(tmp_path: Path, number: int) -> None:
    write_bundle(tmp_path / "c", {b"a": FLOATS}, extra={b"x": entry(number, [2], size=8)})
    with Bundle(str(tmp_path / "c")) as bundle:
        assert bundle.entry("x").shape == (2,)
        with pytest.raises(UnsupportedError, match="of the type"):
            bundle.read(bundle.entry("x"))
        with pytest.raises(UnsupportedError, match="of the type"):
            bundle.checksum(bundle.entry("x"))


def damage_block_of(index: Path, key: bytes) -> None:
    data = bytearray(index.read_bytes())
    data[data.index(key)] ^= 1
    index.write_bytes(bytes(data))


def test_a_damaged_block_hides_its_own_keys_only(tmp_path: Path) -> None:
    names = [b"%03d" % number for number in range(60)]
    write_bundle(tmp_path / "c", dict.fromkeys(names, FLOATS), block_size=100, restart_interval=1)
    damage_block_of(tmp_path / "c.index", b"030")
    with Bundle(str(tmp_path / "c")) as bundle:
        assert [type(error) for error in bundle.damage] == [ChecksumError]
        assert not bundle.header_damaged
        assert 50 < len(bundle) < 60
        assert "030" not in bundle
        assert {"000", "020", "040", "059"}.issubset(bundle.keys)
        assert bundle.read(bundle.entry("059")).checksum == "good"


def test_without_its_header_a_bundle_is_read_as_unverified(tmp_path: Path) -> None:
    names = [b"%03d" % number for number in range(60)]
    write_bundle(tmp_path / "c", dict.fromkeys(names, FLOATS), block_size=100, restart_interval=1, shards=3)
    damage_block_of(tmp_path / "c.index", b"000")
    with Bundle(str(tmp_path / "c")) as bundle:
        assert bundle.header_damaged
        assert bundle.num_shards == 3
        value = bundle.read(bundle.entry("059"))
        assert value.array.tolist() == FLOATS.tolist()
        assert value.checksum == "unverified"
    # The header's own bytes: the first value of the block, behind an entry of three bytes without a key.
    data = bytearray((tmp_path / "c.index").read_bytes())
    data[3] ^= 0xFF
    (tmp_path / "c.index").write_bytes(bytes(data))
    with Bundle(str(tmp_path / "c")) as bundle:
        assert (bundle.header_damaged, bundle.num_shards) == (True, 3)
        (tmp_path / "c.data-00000-of-00004").touch()
    with Bundle(str(tmp_path / "c")) as bundle, pytest.raises(NotFoundError):
        bundle.read(bundle.entry("059"))


def test_entries_of_a_damaged_block_are_listed_as_doubtful(tmp_path: Path) -> None:
    names = [b"%03d" % number for number in range(60)]
    write_bundle(tmp_path / "c", dict.fromkeys(names, FLOATS), block_size=100, restart_interval=1)
    damage_block_of(tmp_path / "c.index", b"030")
    with Bundle(str(tmp_path / "c")) as bundle:
        assert len(bundle) == 59
        doubtful = [key for key in bundle.keys if bundle.is_doubtful(bundle.entry(key))]
        assert 0 < len(doubtful) < 10
        assert {bundle.read(bundle.entry(key)).checksum for key in doubtful} == {"unverified"}
        assert f"{len(doubtful)} of its entries are listed all the same" in str(bundle.damage[0])


def test_keys_that_share_a_long_prefix_cannot_fill_memory(tmp_path: Path) -> None:
    """Every block stays below the bound of one block; the sum of them is bounded too."""
    writer = TableWriter()
    writer.block([(b"", header())])
    size = 50_000
    for block in range(8):
        first = b"%d" % block + b"k" * (size - 1)
        entries = [varint(0) + varint(size) + varint(0) + first]
        entries += [varint(size) + b"\x03\x00%03d" % number for number in range(400)]
        handle = writer.raw_block(b"".join(entries) + struct.pack("<II", 0, 1))
        writer.index.append((first + b"399", handle))
    (tmp_path / "c.index").write_bytes(writer.finish())
    with Bundle(str(tmp_path / "c")) as bundle:
        assert 0 < len(bundle) < 8 * 401
        assert "more memory" in bundle.damage[-1].what


def test_slices_are_no_keys(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.int32).reshape(4, 3)
    parts = [[(0, 3), (0, None)], [(3, 1), (0, None)]]
    write_bundle(tmp_path / "c", {b"p": Partition(array, parts), b"w": FLOATS})
    with Bundle(str(tmp_path / "c")) as bundle:
        assert bundle.keys == ["p", "w"]
        assert bundle.slice_count == 2
        found = bundle.entry("p")
        assert found.slices == (TensorSlice((0, 0), (3, None)), TensorSlice((3, 0), (1, None)))
        assert bundle.slice_entry(found, found.slices[1]).shape == (1, 3)
        assert bundle.nbytes() == 48 + 24
        with pytest.raises(CorruptError, match=r"slice \[2, 0\] of 'p' is missing"):
            bundle.slice_entry(found, TensorSlice((2, 0), (1, None)))


@pytest.mark.parametrize(
    "stored", [entry(3, [2, 3], size=24), entry(1, [1, 3], size=12), partition_entry(3, [1], [[(0, 1)]])]
)
def test_a_slice_that_is_not_what_it_should_be(tmp_path: Path, stored: bytes) -> None:
    array = np.arange(3, dtype=np.int32).reshape(1, 3)
    key = encode_slice_key(b"p", [0, 0], [1, -1])
    write_bundle(tmp_path / "c", {b"p": Partition(array, [[(0, 1), (0, None)]])}, extra={key: stored})
    with Bundle(str(tmp_path / "c")) as bundle, pytest.raises(CorruptError, match="is stored as"):
        bundle.read(bundle.entry("p"))


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Bundle(str(tmp_path / "missing"))
    os.mkfifo(tmp_path / "fifo.index")
    with pytest.raises(RefusedFileError):
        Bundle(str(tmp_path / "fifo"))
    (tmp_path / "text.index").write_text("# An index of sorts\n" * 9)
    with pytest.raises(CorruptError, match="magic number"):
        Bundle(str(tmp_path / "text"))


def test_a_shard_that_is_no_file_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", {b"w": FLOATS})
    os.remove(tmp_path / "c.data-00000-of-00001")
    os.mkfifo(tmp_path / "c.data-00000-of-00001")
    with Bundle(str(tmp_path / "c")) as bundle, pytest.raises(RefusedFileError, match="FIFO"):
        bundle.read(bundle.entry("w"))


def test_many_shards_need_few_open_files(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", {b"%03d" % number: FLOATS + number for number in range(200)}, shards=200)
    before = len(os.listdir("/dev/fd"))
    with Bundle(str(tmp_path / "c")) as bundle:
        for number, key in enumerate(bundle.keys):
            assert bundle.read(bundle.entry(key)).array[0, 0] == number
        assert before < len(os.listdir("/dev/fd")) < before + 100
    assert len(os.listdir("/dev/fd")) == before


def test_cancel_ends_the_opening(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", {b"w": FLOATS})
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        Bundle(str(tmp_path / "c"), cancel=cancel)


HOSTILE_ANSWERS = {
    "bad_shard_id": "the entry of 'x' says shard 9",
    "crc_wrong": "bad",
    "empty_bundle": None,
    "huge_size": "the entry of 'x' says 9,223,372,036,854,775,807 bytes",
    "negative_dim": "the entry of 'x' has the shape [-1, 3]",
    "negative_offset": "the entry of 'x' says offset -5",
    "no_header": 'header (the entry with the key "") is missing',
    "string_len_lies": "a string of 's' should have 1,099,511,627,776 bytes",
    "unknown_dtype": "'x' is of the type 'dtype 999'",
    "zero_index": "the file has 0 bytes",
}


@pytest.mark.parametrize("name", HOSTILE_ANSWERS)
def test_broken_bundles_of_the_corpus(corpus: Path, name: str) -> None:
    prefix = str(corpus / "hostile" / "bad-ckpt_v2_made" / name)
    answers: list[str] = []
    try:
        with Bundle(prefix) as bundle:
            for key in bundle.keys:
                try:
                    answers.append(bundle.read(bundle.entry(key)).checksum)
                except TfexploreError as error:
                    answers.append(str(error))
    except TfexploreError as error:
        answers.append(str(error))
    expected = HOSTILE_ANSWERS[name]
    assert len(answers) == (expected is not None)
    assert all(expected in answer for answer in answers if expected)


@pytest.mark.parametrize(("name", "good", "bad", "broken"), [("flipped_data", 20, 1, 0), ("truncated_data", 1, 0, 20)])
def test_damaged_data_of_the_corpus(corpus: Path, name: str, good: int, bad: int, broken: int) -> None:
    answers = []
    with Bundle(str(corpus / "hostile" / "bad-ckpt_v2_made" / name)) as bundle:
        for key in bundle.keys:
            try:
                answers.append(str(bundle.read(bundle.entry(key)).checksum))
            except CorruptError as error:
                answers.append("broken" if error.offset is not None else "?")
    assert (answers.count("good"), answers.count("bad"), answers.count("broken")) == (good, bad, broken)
