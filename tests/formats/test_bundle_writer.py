"""Bundles written anew: without new values byte for byte as they were, with some only those differ."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from formats.table_writer import Partition, entry, strings, write_bundle
from oracle import made
from tfexplore.errors import Cancelled, ChecksumError, CorruptError, NotFoundError, UsageError
from tfexplore.formats import dtypes
from tfexplore.formats.bundle import Bundle
from tfexplore.formats.bundle_writer import rewrite_bundle
from tfexplore.formats.table import Table, mask

NUMBERS = {
    b"float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    b"bool": np.array([True, False, True]),
    b"complex": np.array([1 + 2j, -3j], np.complex64),
    b"double": np.array(1e-300),
    b"empty": np.zeros([0, 4], np.int64),
    b"half": np.array([1.5, -0.25], ml_dtypes.bfloat16),
    b"int4": np.array([-8, 7, 3], ml_dtypes.int4),
    b"int16": np.array([[300], [-2]], np.int16),
}
ROWS = np.arange(20, dtype=np.float32).reshape(5, 4)
EVERYTHING = {
    **NUMBERS,
    b"words": strings(b"", b"abc", b"x" * 300),
    b"rows": Partition(ROWS, [[(0, 2), (0, None)], [(2, 3), (0, None)]]),
}


def names_of(prefix: str | Path) -> list[str]:
    return sorted(path.name for path in Path(prefix).parent.glob(f"{Path(prefix).name}.*"))


def rewritten(source: str | Path, target: str | Path, values: dict[str, np.ndarray] | None = None) -> None:
    with Bundle(str(source)) as bundle:
        rewrite_bundle(bundle, str(target), values or {})


def all_values(prefix: str | Path) -> dict[str, tuple[bytes, str]]:
    found = {}
    with Bundle(str(prefix)) as bundle:
        for key in bundle.keys:
            value = bundle.read(bundle.entry(key))
            assert value.checksum == "good"
            raw = repr(value.array.tolist()).encode() if value.array.dtype == object else value.array.tobytes()
            found[key] = (raw, str(value.array.shape))
    return found


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("shards", [1, 3])
def test_new_values_are_read_again_and_the_others_stay(tmp_path: Path, shards: int, big_endian: bool) -> None:
    write_bundle(tmp_path / "a", EVERYTHING, shards=shards, big_endian=big_endian)
    before = all_values(tmp_path / "a")
    values = {key.decode(): value[..., ::-1] if value.ndim else value + 1 for key, value in NUMBERS.items()}
    values["rows"] = ROWS * -2
    rewritten(tmp_path / "a", tmp_path / "b", values)
    after = all_values(tmp_path / "b")
    assert after["words"] == before["words"]
    for key, value in values.items():
        assert after[key] == (np.ascontiguousarray(value).tobytes(), str(value.shape))
    rewritten(tmp_path / "b", tmp_path / "c", {**{k.decode(): v for k, v in NUMBERS.items()}, "rows": ROWS})
    for one, other in zip(names_of(tmp_path / "a"), names_of(tmp_path / "c"), strict=True):
        assert one[1:] == other[1:]
        if ".data-" in one:
            assert (tmp_path / one).read_bytes() == (tmp_path / other).read_bytes()


def test_one_value_moves_nothing_but_its_bytes_and_its_checksum(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", EVERYTHING)
    rewritten(tmp_path / "a", tmp_path / "b", {"int16": np.array([[1], [2]], np.int16)})
    old, new = ((tmp_path / f"{name}.data-00000-of-00001").read_bytes() for name in "ab")
    with Bundle(str(tmp_path / "a")) as one, Bundle(str(tmp_path / "b")) as other:
        place = one.entry("int16")
        assert old[: place.offset] == new[: place.offset]
        assert old[place.offset + place.size :] == new[place.offset + place.size :]
        assert new[place.offset : place.offset + place.size] == b"\1\0\2\0"
        for key in one.keys:
            mine, theirs = one.entry(key), other.entry(key)
            assert mine == (theirs if key != "int16" else theirs._replace(crc32c=mine.crc32c))


@pytest.mark.parametrize("name", ["checkpoint-objects", "checkpoint-shards", "checkpoint-dtypes", "module"])
def test_what_tensorflow_wrote_is_written_again_byte_for_byte(
    tf: Any, made_models: Path, tmp_path: Path, name: str
) -> None:
    prefix = Path(made.make(name, str(made_models), tf))
    if prefix.is_dir():
        prefix = prefix / "variables" / "variables"
    rewritten(prefix, tmp_path / prefix.name)
    with Bundle(str(prefix)) as bundle:
        values = {
            key: bundle.read(bundle.entry(key)).array
            for key in bundle.keys
            if dtypes.itemsize(bundle.entry(key).dtype) and not bundle.entry(key).slices
        }
    (tmp_path / "again").mkdir()
    rewritten(prefix, tmp_path / "again" / prefix.name, values)
    for file in names_of(prefix):
        assert (tmp_path / file).read_bytes() == (prefix.parent / file).read_bytes()
        assert (tmp_path / "again" / file).read_bytes() == (prefix.parent / file).read_bytes()


def test_bundles_of_the_corpus_are_written_again(corpus: Path, tmp_path: Path) -> None:
    """All data files byte for byte; the index too, but where it was compressed with snappy: then entry for entry."""
    equal, compressed = 0, 0
    for number, index in enumerate(sorted((corpus / "models").rglob("*.index"))):
        prefix = str(index)[: -len(".index")]
        target = tmp_path / str(number)
        target.mkdir()
        rewritten(prefix, target / index.stem)
        for file in names_of(prefix):
            if ".data-" in file:
                assert (index.parent / file).read_bytes() == (target / file).read_bytes()
        with Bundle(prefix) as one, Bundle(str(target / index.stem)) as other:
            assert list(one.iter_raw()) == list(other.iter_raw())
            table: Table = one._index._table
            if any(table.is_compressed(number) for number in range(table.block_count)):
                compressed += 1
                continue
        if "/odd-" not in prefix:  # TensorFlow did not write those
            assert index.read_bytes() == (target / index.name).read_bytes(), prefix
            equal += 1
    assert equal > 40, (equal, compressed)


@pytest.mark.parametrize("key", ["float32", "words"])
def test_a_damaged_value_stops_it_and_says_which(tmp_path: Path, key: str) -> None:
    write_bundle(tmp_path / "a", EVERYTHING)
    with Bundle(str(tmp_path / "a")) as bundle:
        place = bundle.entry(key)
    data = tmp_path / "a.data-00000-of-00001"
    raw = bytearray(data.read_bytes())
    raw[place.offset + place.size - 1] ^= 1
    data.write_bytes(bytes(raw))
    with pytest.raises(ChecksumError, match=f"of '{key}' do not match their checksum at byte {place.offset}"):
        rewritten(tmp_path / "a", tmp_path / "b")
    if key == "float32":  # what it was does not matter where it is replaced
        rewritten(tmp_path / "a", tmp_path / "c", {key: NUMBERS[b"float32"]})
        assert all_values(tmp_path / "c")[key][0] == NUMBERS[b"float32"].tobytes()


def test_a_damaged_slice_is_named(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", {b"rows": EVERYTHING[b"rows"]})
    data = tmp_path / "a.data-00000-of-00001"
    data.write_bytes(b"\1" + data.read_bytes()[1:])
    with pytest.raises(ChecksumError, match="of a slice of 'rows' do not match"):
        rewritten(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    ("key", "value", "error", "sentence"),
    [
        ("nothing", np.zeros(1), NotFoundError, "has no tensor 'nothing'"),
        ("float32", np.zeros([2, 3]), UsageError, r"is float32 \[2, 3\], and float64 \[2, 3\] cannot take its place"),
        ("float32", np.zeros([3, 2], np.float32), UsageError, r"and float32 \[3, 2\] cannot"),
        ("words", np.zeros(3), UsageError, "only numbers can be replaced"),
    ],
)
def test_values_that_do_not_fit(tmp_path: Path, key: str, value: Any, error: type[Exception], sentence: str) -> None:
    write_bundle(tmp_path / "a", EVERYTHING)
    with pytest.raises(error, match=sentence):
        rewritten(tmp_path / "a", tmp_path / "b", {key: value})
    assert names_of(tmp_path / "b") == []


def test_a_value_that_shares_its_bytes_is_not_changed(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", {b"one": NUMBERS[b"float32"]})
    with Bundle(str(tmp_path / "a")) as bundle:
        raw = dict(bundle.iter_raw())[b"one"]
    write_bundle(tmp_path / "a", {b"one": NUMBERS[b"float32"]}, extra={b"other": raw})
    rewritten(tmp_path / "a", tmp_path / "b")
    assert all_values(tmp_path / "b") == all_values(tmp_path / "a")
    for key in ("one", "other"):
        with pytest.raises(CorruptError, match="lies over another tensor"):
            rewritten(tmp_path / "a", tmp_path / key, {key: NUMBERS[b"float32"] + 1})


def test_gaps_and_what_lies_behind_the_last_value_are_copied(tmp_path: Path) -> None:
    nothing = entry(1, [0], offset=3, crc32c=mask(0))
    write_bundle(tmp_path / "a", NUMBERS, extra={b"bool": nothing, b"float32": nothing})
    data = tmp_path / "a.data-00000-of-00001"
    data.write_bytes(data.read_bytes() + b"behind")
    rewritten(tmp_path / "a", tmp_path / "b", {"float32": np.zeros(0, np.float32)})
    assert (tmp_path / "b.data-00000-of-00001").read_bytes() == data.read_bytes()


def test_damage_of_the_index_stops_it(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", EVERYTHING, block_size=64)
    index = tmp_path / "a.index"
    raw = bytearray(index.read_bytes())
    raw[70] ^= 0xFF
    index.write_bytes(bytes(raw))
    with pytest.raises(CorruptError, match="cannot be written anew"):
        rewritten(tmp_path / "a", tmp_path / "b")


def test_it_is_cancelled(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", EVERYTHING)
    cancel = threading.Event()
    cancel.set()
    with Bundle(str(tmp_path / "a")) as bundle, pytest.raises(Cancelled):
        rewrite_bundle(bundle, str(tmp_path / "b"), {}, cancel=cancel)


def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", EVERYTHING)
    shutil.copy(tmp_path / "a.index", tmp_path / "b.index")
    with pytest.raises(UsageError, match="cannot be written"):
        rewritten(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b.index").read_bytes() == (tmp_path / "a.index").read_bytes()
