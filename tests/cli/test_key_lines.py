"""`show keys` written block by block says what it says row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.conftest import Run
from formats.table_writer import Partition, strings, write_bundle
from tfexplore.formats import bundle_index

NAMES = (
    b'quo"te',
    b"back\\slash",
    b"tab\t",
    b"del\x7f",
    b"\xff\xfe",
    "größe".encode(),
    b"\x1b[31m",
    b"a/b",
    b"w" * 300,
)


@pytest.fixture(params=["plain", "scanned"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tensors: dict[bytes, Any] = {name: np.full((2, number), number, np.float32) for number, name in enumerate(NAMES)}
    tensors |= {b"k/%03d" % number: np.arange(number % 4) for number in range(200)}
    tensors[b"p"] = Partition(np.ones((4, 2)), [[(0, 3), (0, None)], [(3, 1), (0, None)]])
    tensors[b"s"] = strings(b"x", b"yy")
    write_bundle(tmp_path / "c", tensors, shards=3, extra={b"damaged": b"\xff"}, block_size=400)
    index = bytearray((tmp_path / "c.index").read_bytes())
    index[index.index(b"100") + 2] ^= 1  # a block that can be read only in part, and not be trusted
    (tmp_path / "c.index").write_bytes(bytes(index))
    if request.param == "scanned":
        monkeypatch.setattr(bundle_index, "_READ_AT_ONCE", 0)
        monkeypatch.setattr(bundle_index, "_SCANNED_FROM", 0)
    return tmp_path / "c"


def test_json(checkpoint: Path, run: Run) -> None:
    fast = run("show", checkpoint, "keys", "--json")
    slow = run("show", checkpoint, "keys", "--json", "--match", "")
    assert fast.code == slow.code == 0
    assert fast.out == slow.out
    document = json.loads(fast.out)
    assert document["total"] == document["shown"] == len(document["items"])
    assert document["total"] >= 200 + len(NAMES)
    assert sum("problem" in item for item in document["items"]) > 2


def test_text(checkpoint: Path, run: Run) -> None:
    fast = run("show", checkpoint, "keys")
    slow = run("show", checkpoint, "keys", "--match", "")
    assert fast.out == slow.out
    assert len(fast.out.splitlines()) >= 200 + len(NAMES)


def test_damage_is_said_once(checkpoint: Path, run: Run) -> None:
    for words in ([], ["--json"], ["--match", "k"]):
        assert run("show", checkpoint, "keys", *words).err.count("does not match its checksum") == 1


def test_no_keys(tmp_path: Path, run: Run) -> None:
    write_bundle(tmp_path / "c", {})
    assert json.loads(run("show", tmp_path / "c", "keys", "--json").out)["items"] == []
    assert "no keys" in run("show", tmp_path / "c", "keys").err
