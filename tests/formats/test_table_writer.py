"""The table writer: our reader and TensorFlow's find again what it wrote; TensorFlow's own tables come out equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import table_writer as crafted
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.proto import lean
from tfexplore.formats.table import Table, crc32c, mask
from tfexplore.formats.table_writer import TableWriter

# Long prefixes in common, runs of 0xff, and one key that begins another.
KEYS = st.binary(max_size=8) | st.builds(
    lambda head, tail: head * 40 + tail, st.sampled_from([b"a/b", b"\xff", b"\0"]), st.binary(max_size=3)
)
ENTRIES = st.dictionaries(KEYS, st.binary(max_size=40) | st.binary(min_size=200, max_size=300), max_size=60)


def write(entries: dict[bytes, bytes], **options: int) -> bytes:
    out = bytearray()
    table = TableWriter(out.extend, **options)
    for key in sorted(entries):
        table.add(key, entries[key])
    table.finish()
    return bytes(out)


@given(ENTRIES, st.sampled_from([1, 64, 1000, 262_144]), st.sampled_from([1, 2, 16]))
def test_every_entry_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[bytes, bytes], block_size: int, restart_interval: int
) -> None:
    path = tmp_path_factory.mktemp("table") / "t"
    path.write_bytes(write(entries, block_size=block_size, restart_interval=restart_interval))
    with RandomAccessFile(str(path)) as file:
        table = Table(file)
        assert list(table.iter_entries()) == sorted(entries.items())
        assert all(table.get(key) == value for key, value in entries.items())
        if block_size == 1:
            assert table.block_count == len(entries)


def test_keys_must_rise() -> None:
    table = TableWriter(bytearray().extend)
    table.add(b"b", b"")
    for key in (b"b", b"a", b""):
        with pytest.raises(ValueError, match="does not come after"):
            table.add(key, b"")


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30),
        st.binary(min_size=1, max_size=8),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([100, 262_144]),
)
def test_tensorflow_reads_every_entry(
    tf: Any, tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, bytes], block_size: int
) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    entries = {b"": crafted.header()}
    data = bytearray()
    for key, value in tensors.items():
        entries[key.encode()] = crafted.entry(
            4, [len(value)], offset=len(data), size=len(value), crc32c=mask(crc32c(value))
        )
        data += value
    (folder / "x.index").write_bytes(write(entries, block_size=block_size))
    (folder / "x.data-00000-of-00001").write_bytes(bytes(data))
    reader = tf.train.load_checkpoint(str(folder / "x"))
    assert set(reader.get_variable_to_shape_map()) == set(tensors)
    for key, value in tensors.items():
        assert np.asarray(reader.get_tensor(key)).tobytes() == value


def test_a_table_of_many_blocks_is_tensorflows_byte_for_byte(tf: Any, tmp_path: Path) -> None:
    names = sorted({f"scope_{n % 7}/{'x' * (n % 50)}layer_{n * 7919 % 20_000}" for n in range(12_000)})
    prefix = str(tmp_path / "many")
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=[tf.zeros([1])] * len(names)
    )
    index = Path(f"{prefix}.index")
    with RandomAccessFile(str(index)) as file:
        table = Table(file)
        assert table.block_count > 1
        entries = dict(table.iter_entries())
    assert lean("BundleHeaderProto").FromString(entries[b""]).num_shards == 1
    assert write(entries) == index.read_bytes()
