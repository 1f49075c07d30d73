"""A checkpoint that is being written is read as one moment: a value is never made of two saves, nor an error."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.rewriter import NAMES, SHAPE, save
from formats.table_writer import write_bundle
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.describe import describe
from tfexplore.core.statistics import statistics
from tfexplore.core.subjects import KeySubject
from tfexplore.core.tensor_source import KeySource
from tfexplore.errors import ModelError

READS, SAVES = 2_000, 100
TESTS = Path(__file__).resolve().parent.parent


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    save(str(tmp_path / "ckpt"), 0)
    return str(tmp_path / "ckpt")


@pytest.fixture
def writer(prefix: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that saves fifty times a second."""
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "core" / "rewriter.py"), prefix, "50"], env={**os.environ, "PYTHONPATH": path}
    )
    deadline = time.monotonic() + 30
    with Checkpoint(prefix).bundle as first:
        while not first.replaced():
            assert time.monotonic() < deadline
            assert process.poll() is None
    yield process
    process.kill()
    process.wait()


def test_values_of_one_moment(prefix: str, writer: subprocess.Popen[bytes]) -> None:
    steps = set()
    checkpoint = Checkpoint(prefix)
    deadline = time.monotonic() + 60
    number = 0
    while number < READS or len(steps) < SAVES:
        assert time.monotonic() < deadline
        number += 1
        if number % 4 == 0:
            checkpoint.close()
            checkpoint = Checkpoint(prefix)
        value = checkpoint.read(NAMES[number % 3].decode())
        assert value.checksum == "good"
        assert value.shape == SHAPE
        assert (value.array == value.array[0, 0]).all()
        steps.add(float(value.array[0, 0]))
    assert writer.poll() is None


def test_statistics_of_one_moment(prefix: str, writer: subprocess.Popen[bytes]) -> None:
    """Read piece by piece, a value that is replaced meanwhile is read again from its beginning."""
    means = set()
    checkpoint = Checkpoint(prefix)
    deadline = time.monotonic() + 60
    number = 0
    while number < 300 or len(means) < 20:
        assert time.monotonic() < deadline
        number += 1
        if number % 4 == 0:
            checkpoint.close()
            checkpoint = Checkpoint(prefix)
        found = statistics(KeySource(checkpoint, NAMES[number % 3].decode()), threads=2)
        assert found.checksum in ("good", "unverified")  # unverified: replaced since
        assert found.minimum == found.maximum == found.mean
        assert found.elements == SHAPE[0] * SHAPE[1]
        means.add(found.mean)
    assert writer.poll() is None


def test_index_and_shards_of_two_saves_are_noticed(prefix: str) -> None:
    """The trainer has put its data in place, and not its index yet: what was opened then is opened anew."""
    old = Path(f"{prefix}.index").read_bytes()
    save(prefix, 1)
    new = Path(f"{prefix}.index").read_bytes()
    Path(f"{prefix}.index").write_bytes(old)
    checkpoint = Checkpoint(prefix)
    assert checkpoint.read("a").checksum == "bad"
    assert checkpoint.restarts == 0  # nothing was replaced since
    os.replace(_written(f"{prefix}.new", new), f"{prefix}.index")
    value = checkpoint.read("a")
    assert (value.checksum, value.array.tolist()) == ("good", np.full(SHAPE, 1.0).tolist())
    assert checkpoint.restarts == 1


def test_what_was_opened_stays_readable(prefix: str) -> None:
    checkpoint = Checkpoint(prefix)
    save(prefix, 7)
    assert checkpoint.read("a").array[0, 0] == 0
    for file in Path(prefix).parent.iterdir():
        file.unlink()
    assert checkpoint.read("b").array[0, 0] == 0
    assert checkpoint.restarts == 0


def test_the_details_say_so(prefix: str) -> None:
    old = Path(f"{prefix}.index").read_bytes()
    save(prefix, 1)
    new = Path(f"{prefix}.index").read_bytes()
    Path(f"{prefix}.index").write_bytes(old)
    checkpoint = Checkpoint(prefix)
    os.replace(_written(f"{prefix}.new", new), f"{prefix}.index")
    lines = [line.value for line in describe(KeySubject(checkpoint, "a")).lines()]
    assert any("rewritten since it was opened" in line for line in lines)
    assert "good" in lines


def test_a_key_that_a_later_save_does_not_have(prefix: str) -> None:
    save(prefix, 5)
    checkpoint = Checkpoint(prefix)
    for shard in range(2):
        path = Path(f"{prefix}.data-{shard:05d}-of-00002")
        path.write_bytes(bytes(path.stat().st_size))
    write_bundle(f"{prefix}.new", {b"other": np.zeros(3)}, shards=2)
    os.replace(f"{prefix}.new.index", f"{prefix}.index")
    with pytest.raises(ModelError, match="no tensor 'a'"):
        checkpoint.read("a")


def _written(path: str, data: bytes) -> str:
    Path(path).write_bytes(data)
    return path
