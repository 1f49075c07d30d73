"""A tensor piece by piece is what it is read as a whole, with the same word about its checksum."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.table_writer import Partition, strings, write_bundle
from formats.v1_writer import write_v1
from tfexplore.errors import Cancelled, ChecksumError, CorruptError, ModelError, NotFoundError
from tfexplore.formats import bundle_stream, bundle_strings, bundle_values, slice_values
from tfexplore.formats.bundle import Bundle
from tfexplore.formats.bundle_stream import iter_boxes
from tfexplore.formats.checkpoint_v1 import CheckpointV1

GRID = np.arange(20, dtype=np.int32).reshape(4, 5)
TENSORS: dict[bytes, Any] = {
    b"f32": np.linspace(-1, 1, 77, dtype=np.float32).reshape(7, 11),
    b"f64": np.linspace(-1, 1, 5),
    b"c64": np.arange(6).astype(np.complex64) * 1j,
    b"bool": np.array([True, False, True]),
    b"bf16": np.arange(9, dtype=np.float32).astype(ml_dtypes.bfloat16),
    b"i4": np.array([1, -3], ml_dtypes.int4),
    b"scalar": np.array(7),
    b"empty": np.zeros((0, 3), np.float32),
    b"strings": strings(b"", b"ab", b"cde" * 9).reshape(3, 1),
    b"no-strings": strings(),
    b"rows": Partition(GRID, [[(2, 2), (0, None)], [(0, 2), (0, None)]]),
    b"columns": Partition(GRID, [[(0, None), (0, 2)], [(0, None), (2, 3)]]),
    b"one": Partition(GRID, [[(0, None), (0, None)]]),
}


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_stream, "STREAMED", 32)
    monkeypatch.setattr(bundle_stream, "PIECE", 32)
    monkeypatch.setattr(bundle_strings, "_PIECE", 4)
    monkeypatch.setattr(slice_values, "_PIECE", 32)


def gathered(stream: Any) -> tuple[list[np.ndarray], Any]:
    pieces = []
    while True:
        try:
            pieces.append(next(stream).copy())
        except StopIteration as end:
            return pieces, end.value


def checked(bundle: Any, key: str) -> str:
    entry = bundle.entry(key)
    told: list[tuple[int, int]] = []
    pieces, checksum = gathered(bundle.stream(entry, progress=lambda *pair: told.append(pair)))
    value = bundle.read(entry)
    joined = np.concatenate(pieces) if pieces else value.array.reshape(-1)[:0]
    assert joined.dtype == value.array.dtype
    assert joined.tolist() == value.array.reshape(-1).tolist()
    assert all(piece.ndim == 1 and piece.size for piece in pieces)
    if value.array.size:
        assert told == sorted(told)
        assert told[-1][0] == told[-1][1]
    assert checksum == value.checksum
    return str(checksum)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("key", [key.decode() for key in TENSORS])
def test_the_same_values(tmp_path: Path, key: str, big_endian: bool) -> None:
    write_bundle(tmp_path / "ckpt", TENSORS, shards=2, big_endian=big_endian)
    with Bundle(str(tmp_path / "ckpt")) as bundle:
        assert checked(bundle, key) == "good"


def test_room_is_used_again(tmp_path: Path) -> None:
    write_bundle(tmp_path / "ckpt", TENSORS)
    room = np.empty(64, np.uint8)
    with Bundle(str(tmp_path / "ckpt")) as bundle:
        stream = bundle.stream(bundle.entry("f32"), room=lambda size: room[:size])
        first = next(stream)
        kept = first.copy()
        second = next(stream)
        assert np.shares_memory(first, second)
        assert first.tolist() != kept.tolist()


def test_every_flipped_byte_is_told(tmp_path: Path) -> None:
    write_bundle(tmp_path / "ckpt", TENSORS)
    path = tmp_path / "ckpt.data-00000-of-00001"
    good = path.read_bytes()
    for place in range(0, len(good), 3):
        path.write_bytes(good[:place] + bytes((good[place] ^ 0x10,)) + good[place + 1 :])
        told = set()
        with Bundle(str(tmp_path / "ckpt")) as bundle:
            for key in bundle.keys:
                try:
                    told.add(gathered(bundle.stream(bundle.entry(key)))[1])
                except CorruptError:  # lengths of strings that cannot be
                    told.add("bad")
        assert told == {"good", "bad"}


def test_data_cut_anywhere(tmp_path: Path) -> None:
    write_bundle(tmp_path / "ckpt", {b"f32": TENSORS[b"f32"], b"strings": TENSORS[b"strings"]})
    path = tmp_path / "ckpt.data-00000-of-00001"
    good = path.read_bytes()
    for size in range(len(good)):
        path.write_bytes(good[:size])
        with Bundle(str(tmp_path / "ckpt")) as bundle:
            if size < 7 * 11 * 4:
                with pytest.raises(CorruptError):
                    gathered(bundle.stream(bundle.entry("f32")))
            with pytest.raises(CorruptError):
                gathered(bundle.stream(bundle.entry("strings")))


def test_a_missing_shard_and_slices_that_overlap(tmp_path: Path) -> None:
    overlapping = Partition(GRID, [[(0, 3), (0, None)], [(1, 2), (0, None)]])
    write_bundle(tmp_path / "ckpt", {b"a": GRID, b"b": overlapping})
    with Bundle(str(tmp_path / "ckpt")) as bundle, pytest.raises(CorruptError):
        gathered(bundle.stream(bundle.entry("b")))
    (tmp_path / "ckpt.data-00000-of-00001").unlink()
    with Bundle(str(tmp_path / "ckpt")) as bundle, pytest.raises(NotFoundError):
        gathered(bundle.stream(bundle.entry("a")))


def test_cancelled_between_pieces(tmp_path: Path) -> None:
    write_bundle(tmp_path / "ckpt", TENSORS)
    cancel = threading.Event()
    with Bundle(str(tmp_path / "ckpt")) as bundle:
        for key in ("f32", "columns", "strings"):
            cancel.clear()
            stream = bundle.stream(bundle.entry(key), cancel)
            next(stream)
            cancel.set()
            with pytest.raises(Cancelled):
                gathered(stream)


V1_TENSORS: dict[bytes, Any] = {
    key: value for key, value in TENSORS.items() if key not in (b"i4", b"no-strings", b"empty")
}


@pytest.fixture(params=[0, 1 << 20], ids=["large", "small"])
def v1(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CheckpointV1]:
    """A V1 checkpoint, whose values are taken as large ones or as small ones."""
    monkeypatch.setattr(slice_values, "PARSED", request.param)
    write_v1(tmp_path / "model.ckpt", V1_TENSORS)
    with CheckpointV1(str(tmp_path / "model.ckpt")) as checkpoint:
        yield checkpoint


@pytest.mark.parametrize("key", [key.decode() for key in V1_TENSORS])
def test_v1_checkpoints(v1: CheckpointV1, key: str) -> None:
    assert checked(v1, key) == "good"


def test_a_flipped_byte_of_a_v1_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slice_values, "PARSED", 0)
    monkeypatch.setattr("tfexplore.formats.slice_table._CHECKED_AT_ONCE", 0)
    write_v1(tmp_path / "model.ckpt", {b"f32": TENSORS[b"f32"]})
    path = tmp_path / "model.ckpt"
    raw = bytearray(path.read_bytes())
    place = raw.index(TENSORS[b"f32"].tobytes()[:40])
    raw[place + 20] ^= 1
    path.write_bytes(raw)
    with CheckpointV1(str(path)) as checkpoint, pytest.raises((ChecksumError, ModelError)):
        gathered(checkpoint.stream(checkpoint.entry("f32")))


@given(st.lists(st.integers(0, 7), max_size=4), st.integers(1, 60))
def test_boxes_give_the_tensor_in_order(shape: list[int], most: int) -> None:
    array = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
    found: list[int] = []
    for box in iter_boxes(shape, most):
        assert 0 < box.elements <= most
        found += array[box.slices() or ...].reshape(-1).tolist()
    assert found == array.reshape(-1).tolist()


def test_pieces_are_small_enough() -> None:
    assert bundle_values.PIECE <= 8 << 20
