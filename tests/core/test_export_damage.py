"""Damaged models: an export tells what is wrong or writes what is right, and leaves nothing behind."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

from core.exporting import ROWS, WEIGHTS, write_model
from tfexplore.core.export import export
from tfexplore.core.opener import open_model
from tfexplore.errors import TfexploreError
from tfexplore.formats import dtypes

NEW = {"rows": ROWS * 3}


def attempt(source: Path, target: Path, damaged: Path, data: bytes) -> str | None:
    """Exports with one file damaged: None where it was written, with the values that it should have; else the error."""
    damaged.write_bytes(data)
    try:
        with open_model(str(source)) as model:
            export(model, NEW, str(target), overwrite=True)
    except TfexploreError as error:
        assert not [path for path in target.parent.iterdir() if ".tfexplore-" in path.name]
        return str(error)
    with open_model(str(target)) as model:
        assert model.checkpoint is not None
        for key, wanted in (("rows", NEW["rows"]), ("w", WEIGHTS)):
            value = model.checkpoint.read(key)
            assert value.checksum == "good"
            assert value.array.tolist() == wanted.tolist()
    return None


@pytest.mark.parametrize("name", ["variables.index", "variables.data-00000-of-00002", "variables.data-00001-of-00002"])
def test_cut_short_and_with_flipped_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # hundreds of exports
    source = write_model(tmp_path / "model")
    damaged = source / "variables" / name
    whole = damaged.read_bytes()
    cases = [whole[:size] for size in range(len(whole))]
    rng = random.Random(name)
    for _ in range(400):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        cases.append(bytes(flipped))
    found = [attempt(source, tmp_path / "new", damaged, data) for data in cases]
    assert any(found)
    assert not all(found) or name.endswith("index")
    assert attempt(source, tmp_path / "new", damaged, whole) is None


def test_models_of_the_corpus_are_exported(corpus: Path, tmp_path: Path) -> None:
    """Every SavedModel with variables: all float values one higher, all others as they were."""
    done = 0
    for index in sorted((corpus / "models").rglob("variables/variables.index")):
        source = index.parent.parent
        if not any((source / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")):
            continue
        target = tmp_path / str(done)
        with open_model(str(source)) as model:
            checkpoint = model.checkpoint
            assert checkpoint is not None
            before = {key: checkpoint.read(key).array for key in checkpoint.keys}
            new = {key: value + 1 for key, value in before.items() if checkpoint.entry(key).dtype in (1, 2)}
            assert export(model, new, str(target)).keys == tuple(sorted(new))
        with open_model(str(target)) as model:
            checkpoint = model.checkpoint
            assert checkpoint is not None
            assert checkpoint.keys == list(before)
            for key in before:
                value = checkpoint.read(key)
                assert value.checksum == "good"
                if dtypes.itemsize(value.dtype):
                    assert value.array.tobytes() == np.asarray(new.get(key, before[key])).tobytes()
                else:
                    assert value.array.tolist() == before[key].tolist()
            sidecars = model.meta_graph().sidecars
            assert sidecars.fingerprint is None or sidecars.checkpoint_check.matches
        done += 1
    assert done > 30
