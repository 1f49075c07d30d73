"""V1 checkpoints of the corpus and of TensorFlow: each has its values or its sentence, as TensorFlow has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from formats.table_writer import strings
from formats.v1_cases import FLOATS, as_large, same, some
from formats.v1_writer import write_v1
from tfexplore.errors import (
    CorruptError,
    ModelError,
)
from tfexplore.formats.checkpoint_v1 import CheckpointV1

# -- the corpus --

TABLES = "hostile/bad-ckpt_v1_fuzz_tables"
FUZZ_TABLES = {
    "extent_end_overflow": (
        "entry",
        "the entry of 'test' cannot be read: it has a slice that does not lie within its shape [0]",
    ),
    "missing_extent_length": ("entry", "the entry of '' cannot be read: its rank is unknown"),
    "missing_tensor_data": ("read", "'test' has 0 values stored, expected the 3 of [3] at byte 43"),
    "missing_tensor_type": ("read", "'' is of the type 'invalid', which cannot be read from a checkpoint"),
    "negative_dimension": (
        "entry",
        "the entry of '' cannot be read: its shape [-216172782113783808] has a dimension below 0",
    ),
    "negative_extent_start": (
        "entry",
        "the entry of '' cannot be read: it has a slice that does not lie within its shape [281474976645120]",
    ),
    "tensor_size_overflow": (
        "read",
        "'test' has 3 dimensions and 147,573,952,589,676,412,928 bytes of extent, more than the 64 dimensions and "
        "2**63 bytes that can be shown",
    ),
    "unsupported_tensor_type": ("read", "'test' is listed, but no values of it are stored"),
    "valid": ("good", ""),
}


def test_every_fuzz_table_has_its_sentence(corpus: Path) -> None:
    assert {path.stem for path in (corpus / TABLES).iterdir()} == set(FUZZ_TABLES)


@pytest.mark.parametrize("name", FUZZ_TABLES)
def test_fuzz_tables_of_the_corpus(corpus: Path, name: str) -> None:
    path = str(corpus / TABLES / f"{name}.v1ckpt")
    where, sentence = FUZZ_TABLES[name]
    with CheckpointV1(path) as checkpoint:
        assert len(checkpoint) == 1
        assert checkpoint.damage == ()
        key = checkpoint.keys[0]
        if where == "entry":
            with pytest.raises(CorruptError) as caught:
                checkpoint.entry(key)
            assert str(caught.value) == f"{path}: {sentence}"
            return
        entry = checkpoint.entry(key)
        if where == "good":
            assert checkpoint.read(entry).array.tolist() == [b"foo", b"bar", b"foobar"]
            return
        with pytest.raises(ModelError) as told:
            checkpoint.read(entry)
        assert str(told.value) == f"{path}: {sentence}"


# -- TensorFlow as the oracle --

REAL = {
    "models/serving-session_bundle_v1ckpt/00000123/export-00000-of-00001": {"a": 0.5, "b": 2.0},
    "hostile/bad-serving_half_plus_two/00000123/export": {"Variable": 0.5, "Variable_1": 2.0},
}


@pytest.mark.parametrize("name", REAL)
def test_tensorflow_reads_the_same_from_the_corpus(tf: Any, corpus: Path, name: str) -> None:
    reader = tf.train.load_checkpoint(str(corpus / name))
    shapes = reader.get_variable_to_shape_map()
    with CheckpointV1(str(corpus / name)) as checkpoint:
        assert checkpoint.keys == sorted(shapes)
        for key in checkpoint.keys:
            value = checkpoint.read(checkpoint.entry(key))
            assert same(value.array, np.asarray(reader.get_tensor(key)))
            assert value.array == REAL[name][key]
            assert list(value.shape) == shapes[key]


def test_tensorflow_reads_what_the_tests_write(tf: Any, tmp_path: Path) -> None:
    readable = ["float32", "float64", "int32", "uint8", "int16", "int8", "int64", "bool"]
    tensors = {name.encode(): some(name, 2, 3) for name in readable}
    tensors[b"text"] = strings(b"", b"\xff\x00", b"z")
    write_v1(tmp_path / "c", tensors)
    reader = tf.train.load_checkpoint(str(tmp_path / "c"))
    assert len(reader.get_variable_to_shape_map()) == len(tensors)
    for name, array in tensors.items():
        assert same(np.asarray(reader.get_tensor(name.decode())), array)


# What TensorFlow 2.21's Save op takes.
SAVED = ["float32", "float64", "int32", "uint8", "int16", "int8", "string", "complex64", "int64", "bool"]
SAVED += ["uint16", "complex128", "float16", "qint8", "quint8", "qint32"]


@pytest.mark.parametrize("is_large", [False, True])
def test_what_tensorflow_writes_is_read(
    tf: Any, tmp_path: Path, is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_large:
        as_large(monkeypatch)
    v1 = tf.compat.v1
    expected: dict[str, np.ndarray] = {}
    with tf.Graph().as_default(), v1.Session() as session:
        made = {}
        for name in SAVED:
            dtype = tf.as_dtype(name)
            if name == "string":
                expected[name] = strings(b"", b"\xff\x00", b"z" * 300)
                made[name] = tf.constant(expected[name])
            elif name.startswith("q"):
                plain = {"qint8": "int8", "quint8": "uint8", "qint32": "int32"}[name]
                expected[name] = some(plain, 4, 3)
                made[name] = tf.bitcast(tf.constant(expected[name]), dtype)
            else:
                expected[name] = some(dtype.as_numpy_dtype, 4, 3)
                made[name] = tf.constant(expected[name])
        names, tensors = list(made), list(made.values())
        session.run(tf.raw_ops.Save(filename=str(tmp_path / "c"), tensor_names=names, data=tensors))
    with CheckpointV1(str(tmp_path / "c")) as checkpoint:
        assert checkpoint.keys == sorted(SAVED)
        assert checkpoint.damage == ()
        for name, array in expected.items():
            entry = checkpoint.entry(name)
            assert entry.dtype == tf.as_dtype(name).as_datatype_enum
            value = checkpoint.read(entry)
            assert same(value.array, array), name
            assert value.checksum == "good"


def test_slices_that_tensorflow_writes_are_joined(tf: Any, tmp_path: Path) -> None:
    """`tf.train.load_checkpoint` refuses them (sliced checkpoints are not supported); RestoreSlice reads them."""
    v1 = tf.compat.v1
    prefix = str(tmp_path / "model")
    with tf.Graph().as_default(), v1.Session() as session:
        with v1.variable_scope("s", partitioner=v1.fixed_size_partitioner(3)):
            part = v1.get_variable("part", [7, 4], initializer=v1.random_normal_initializer(seed=1), use_resource=False)
        whole_one = v1.get_variable("w", initializer=tf.constant(FLOATS), use_resource=False)
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(sharded=True, write_version=v1.train.SaverDef.V1)
        named = saver.save(session, prefix, global_step=3)
        joined, plain = session.run([tf.convert_to_tensor(part), whole_one])
        assert named == f"{prefix}-3-?????-of-00001"
        restored = session.run(
            tf.raw_ops.RestoreSlice(
                file_pattern=named, tensor_name="s/part", shape_and_slice="7 4 0,3:-", dt=tf.float32
            )
        )
    with CheckpointV1(named) as checkpoint:
        assert checkpoint.prefix == f"{prefix}-3"
        assert checkpoint.keys == ["s/part", "w"]
        entry = checkpoint.entry("s/part")
        assert len(entry.slices) == 3
        value = checkpoint.read(entry)
        assert same(value.array, joined)
        assert value.checksum == "good"
        assert same(checkpoint.read(entry, (0, 0), (3, 4)).array, restored)
        assert same(checkpoint.read(checkpoint.entry("w")).array, plain)
