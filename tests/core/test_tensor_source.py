"""Tensors as sources: keys, constants and arrays answer alike, and are found by the names that people use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.saved_model_writer import attr, meta_graph, node, tensor, write_saved_model
from formats.table_writer import strings, write_bundle
from tfexplore import demo
from tfexplore.core import npy
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.model import Model
from tfexplore.core.opener import open_model
from tfexplore.core.slices import parse
from tfexplore.core.statistics import statistics
from tfexplore.core.subjects import KeySubject, NodeSubject, VariableSubject
from tfexplore.core.tensor_source import ArraySource, ConstSource, KeySource, TensorSource, find_tensor, source_of
from tfexplore.errors import ChangedError, ChecksumError, CorruptError, UnsupportedError, UsageError
from tfexplore.formats import dtypes, tensor_proto
from tfexplore.formats.proto import lean


def whole(source: TensorSource) -> np.ndarray:
    pieces = list(source.pieces())
    return np.concatenate(pieces) if pieces else source.read().array.reshape(-1)


def const(dtype: int, shape: list[int], **values: Any) -> ConstSource:
    message = lean("TensorProto").FromString(tensor(dtype, shape, **values))
    return ConstSource("c", message, path="graph.pb")


# -- constants --


@given(st.lists(st.integers(0, 4), max_size=3), st.integers(0, 5), st.data())
def test_a_constant_is_expanded_where_it_is_looked_at(shape: list[int], few: int, data: Any) -> None:
    total = math.prod(shape)
    values = [float(number) for number in range(min(few, total))]
    source = const(1, shape, float_val=values)
    message = lean("TensorProto").FromString(tensor(1, shape, float_val=values))
    wanted = tensor_proto.to_array(message, path="")
    assert whole(source).tolist() == wanted.reshape(-1).tolist()
    starts = [data.draw(st.integers(0, size)) for size in shape]
    counts = [data.draw(st.integers(0, size - start)) for size, start in zip(shape, starts, strict=True)]
    found = source.read(starts, counts).array
    box = tuple(slice(start, start + count) for start, count in zip(starts, counts, strict=True))
    assert found.shape == tuple(counts)
    assert found.tolist() == wanted[box or ...].tolist()


def test_a_constant_of_strings_and_one_of_raw_bytes() -> None:
    assert whole(const(7, [3], string_val=[b"a", b"\xff"])).tolist() == [b"a", b"\xff", b"\xff"]
    raw = const(14, [2], tensor_content=np.array([1, -2], ml_dtypes.bfloat16).tobytes())
    assert whole(raw).tolist() == [1, -2]
    assert raw.nbytes == 4


def test_a_constant_that_claims_too_much() -> None:
    source = const(1, [10**9, 10**8], float_val=[2.0])
    assert source.read([5, 7], [2, 2]).array.tolist() == [[2, 2], [2, 2]]
    with pytest.raises(UnsupportedError):
        source.read()
    with pytest.raises(UnsupportedError):
        next(iter(source.pieces()))
    with pytest.raises(UnsupportedError):
        const(1, [2**40, 2**40], float_val=[2.0])
    with pytest.raises(CorruptError):
        const(1, [2], float_val=[1.0, 2.0, 3.0])
    with pytest.raises(CorruptError):
        const(1, [-1], float_val=[1.0])
    with pytest.raises(UnsupportedError):
        const(20, [])


def test_an_array_answers_as_a_key_does() -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    source = ArraySource("y", array)
    assert (source.dtype, source.shape, source.nbytes) == (5, (2, 3, 4), 48)
    assert source.read([1, 0, 2], [1, 3, 2]).array.tolist() == array[1:, :, 2:].tolist()
    assert whole(source).tolist() == list(range(24))
    with pytest.raises(UsageError):
        source.read([0, 0, 0], [3, 3, 4])
    assert ArraySource("s", strings(b"x")).dtype == dtypes.STRING


# -- keys --


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    write_bundle(tmp_path / "ckpt", {b"x": np.arange(100.0).reshape(10, 10), b"y": strings(b"one", b"two")})
    return str(tmp_path / "ckpt")


def test_a_slice_is_verified_when_the_whole_was(prefix: str) -> None:
    checkpoint = Checkpoint(prefix)
    source = KeySource(checkpoint, "x")
    assert source.checksum == source.read([0, 0], [2, 2]).checksum == "unverified"
    assert whole(source).tolist() == list(range(100))
    assert source.checksum == source.read([0, 0], [2, 2]).checksum == "good"
    data = f"{prefix}.data-00000-of-00001"
    later = os.stat(data).st_mtime_ns + 10**9
    os.utime(data, ns=(later, later))
    assert source.checksum == source.read([0, 0], [2, 2]).checksum == "unverified"
    checkpoint.close()


def test_a_slice_of_a_bad_tensor_is_bad_when_the_whole_was_read(prefix: str) -> None:
    data = Path(f"{prefix}.data-00000-of-00001")
    raw = bytearray(data.read_bytes())
    raw[500] ^= 1
    data.write_bytes(raw)
    checkpoint = Checkpoint(prefix)
    source = KeySource(checkpoint, "x")
    assert source.read([0, 0], [2, 2]).checksum == "unverified"
    assert len(whole(source)) == 100
    assert source.checksum == source.read([0, 0], [2, 2]).checksum == "bad"
    checkpoint.close()


def test_files_that_are_replaced_while_they_are_read(prefix: str) -> None:
    checkpoint = Checkpoint(prefix)
    source = KeySource(checkpoint, "x")
    other = os.path.join(os.path.dirname(prefix), "other")
    write_bundle(other, {b"x": np.full((10, 10), 3.0), b"y": strings(b"one", b"two")})
    # Index and data of two moments: what is read matches no checksum, and the files are others by now.
    Path(f"{prefix}.data-00000-of-00001").write_bytes(Path(f"{other}.data-00000-of-00001").read_bytes())
    os.replace(f"{other}.index", f"{prefix}.index")
    with pytest.raises(ChangedError):
        whole(source)
    assert set(whole(source).tolist()) == {3.0}
    assert (checkpoint.restarts, source.checksum) == (1, "good")
    assert statistics(source).mean == 3
    checkpoint.close()


# -- names --


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Model]:
    value = attr(tensor=tensor(1, [2], float_val=[1.0, 2.0]))
    nodes = [node(b"scale/c", b"Const", value=value), node(b"scale/x", b"Placeholder")]
    with open_model(str(write_saved_model(tmp_path / "m", meta_graph(nodes=nodes)))) as model:
        yield model


def test_constants_by_name(graph: Model) -> None:
    for name in ("scale/c", "scale/c:0"):
        assert whole(find_tensor(graph, name)).tolist() == [1, 2]
    owner = graph.meta_graph()
    assert whole(source_of(NodeSubject(owner, owner.graph, None, 0))).tolist() == [1, 2]  # type: ignore[arg-type]
    assert source_of(NodeSubject(owner, owner.graph, None, 1)) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("scale/x", "a node of the op Placeholder, whose value is not stored"),
        ("scale/c:1", "has only the output 0"),
        ("scale/d", "the nearest: scale/c"),
        ("", "no checkpoint key, variable or constant"),
        ("^scale/c", "no checkpoint key, variable or constant"),
        ("\x1b[0m", "no checkpoint key, variable or constant"),
    ],
)
def test_names_of_nothing(graph: Model, name: str, why: str) -> None:
    with pytest.raises(UsageError) as found:
        find_tensor(graph, name)
    assert why in str(found.value)
    assert str(found.value).isprintable()


def test_a_function_that_is_not_there(graph: Model) -> None:
    with pytest.raises(UsageError, match="no function 'f'"):
        find_tensor(graph, "c", function="f")


def test_keys_and_variables_of_the_demo() -> None:
    with open_model(str(demo.FOLDER / "ranker")) as model:
        key = "dense_1/kernel/.ATTRIBUTES/VARIABLE_VALUE"
        names = (key, "dense_1/kernel", "dense_1/kernel:0")
        assert [find_tensor(model, name).name for name in names] == [key] * 3
        owner = model.meta_graph()
        variable = next(found for found in owner.variables if found.name == "dense_1/kernel")
        found = source_of(VariableSubject(owner, variable))
        assert found is not None
        assert found.name == key
        assert model.checkpoint is not None
        assert whole(source_of(KeySubject(model.checkpoint, key))).size == 38 * 32  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="the nearest: dense_1/kernel"):
            find_tensor(model, "dense_1/kernl")


# -- .npy --


@pytest.mark.parametrize("said", [None, "1:3, :", "::-2, 3", "-1", "5:5"])
def test_npy_files(prefix: str, tmp_path: Path, said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy, "MAX_READ", 8 * 8 * 7)  # boxes of seven values
    source = KeySource(Checkpoint(prefix), "x")
    part = None if said is None else parse(said, source.shape)
    path = tmp_path / "x.npy"
    assert npy.save(source, str(path), part) == ("good" if said is None else "unverified")
    wanted = np.arange(100.0).reshape(10, 10)
    index: Any = eval(f"np.s_[{said}]") if said is not None else ...
    found = np.load(path, allow_pickle=False)
    assert (found.shape, found.tolist()) == (wanted[index].shape, wanted[index].tolist())
    with pytest.raises(UsageError, match="exists already; --overwrite"):
        npy.save(source, str(path), part)
    npy.save(source, str(path), part, overwrite=True)
    assert sorted(entry for entry in os.listdir(tmp_path) if not entry.startswith("ckpt")) == ["x.npy"]


def test_no_npy_file_of_wrong_bytes_or_of_strings(prefix: str, tmp_path: Path) -> None:
    checkpoint = Checkpoint(prefix)
    path = tmp_path / "x.npy"
    with pytest.raises(UsageError, match="is of the dtype string"):
        npy.save(KeySource(checkpoint, "y"), str(path))
    data = Path(f"{prefix}.data-00000-of-00001")
    raw = bytearray(data.read_bytes())
    raw[500] ^= 1
    data.write_bytes(raw)
    with pytest.raises(ChecksumError, match="nothing was saved"):
        npy.save(KeySource(checkpoint, "x"), str(path))
    with pytest.raises(UsageError, match="cannot be written"):
        npy.save(KeySource(checkpoint, "x"), str(tmp_path / "missing" / "x.npy"))
    assert not [entry for entry in os.listdir(tmp_path) if "npy" in entry or entry.startswith(".")]


def test_small_floats_are_saved_as_float32(tmp_path: Path) -> None:
    array = np.array([1.5, -2, np.inf], ml_dtypes.bfloat16)
    npy.save(ArraySource("b", array), str(tmp_path / "b.npy"))
    found = np.load(tmp_path / "b.npy", allow_pickle=False)
    assert (found.dtype, found.tolist()) == (np.float32, [1.5, -2, np.inf])
