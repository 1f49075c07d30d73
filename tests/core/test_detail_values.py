"""What the detail pane tells of a tensor's values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.saved_model_writer import attr, meta_graph, node, tensor, write_saved_model
from formats.table_writer import strings, write_bundle
from tfexplore.core import detail_values
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.describe import describe
from tfexplore.core.opener import open_model
from tfexplore.core.statistics import statistics
from tfexplore.core.subjects import KeySubject, NodeSubject
from tfexplore.core.tensor_source import KeySource


@pytest.fixture
def checkpoint(tmp_path: Path) -> Any:
    wild = np.array([np.nan, np.inf, -np.inf, 0, 1, 2, 3, 4], np.float32)
    write_bundle(
        tmp_path / "ckpt",
        {
            b"wild": wild,
            b"nan": np.full(3, np.nan),
            b"same": np.ones(5),
            b"one": np.array(3),
            b"words": strings(b"", b"abc", b"abc"),
            b"complex": np.array([3 + 4j, 0j]),
        },
    )
    return Checkpoint(str(tmp_path / "ckpt"))


def told(checkpoint: Checkpoint, key: str) -> list[tuple[str, str]]:
    detail = describe(KeySubject(checkpoint, key))
    return [(line.label, line.value) for block in detail.blocks if block.title == "statistics" for line in block.lines]


def test_numbers(checkpoint: Checkpoint) -> None:
    assert told(checkpoint, "wild") == [
        ("min", "0  max 4  mean 2  std 1.414"),
        ("NaN", "1  Inf 2 (1 negative)  zeros 12.5 %"),
        ("spread", "█       █       █       █      █  0 … 4"),
    ]
    assert told(checkpoint, "nan") == [("NaN", "3  Inf 0  zeros 0.0 %")]
    assert told(checkpoint, "same") == [("min", "1  max 1  mean 1  std 0"), ("NaN", "0  Inf 0  zeros 0.0 %")]
    assert told(checkpoint, "one") == []
    assert told(checkpoint, "complex")[0] == ("min", "0  max 5  mean 2.5  std 2.5 (of the magnitudes)")


def test_strings(checkpoint: Checkpoint) -> None:
    assert told(checkpoint, "words") == [("lengths", "0 to 3, 6 bytes in all"), ("empty", "1"), ("distinct", "2")]


def test_a_large_tensor_is_read_when_somebody_asks(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detail_values, "AT_ONCE", 7)
    assert told(checkpoint, "wild") == [("", "not taken yet: v takes them, 32 B are read")]
    statistics(KeySource(checkpoint, "wild"))
    assert [label for label, _ in told(checkpoint, "wild")] == ["min", "NaN"]


def test_a_constant(tmp_path: Path) -> None:
    value = attr(tensor=tensor(1, [4], float_val=[1.0, 2.0, 3.0]))
    folder = write_saved_model(tmp_path / "m", meta_graph(nodes=[node(b"c", b"Const", value=value)]))
    with open_model(str(folder)) as model:
        owner = model.meta_graph()
        detail = describe(NodeSubject(owner, owner.graph, None, 0))
        lines = {
            line.label: line.value for block in detail.blocks if block.title == "statistics" for line in block.lines
        }
        assert lines["min"] == "1  max 3  mean 2.25  std 0.8292"
