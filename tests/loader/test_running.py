"""The runner and its child, with a stand-in for TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.conftest import STAND_IN
from tfexplore.core.plan import Plan, Target
from tfexplore.errors import UsageError
from tfexplore.loader.running import Runner
from tfexplore.runtime.client import Runtime
from tfexplore.runtime.records import Event, Options, Progress

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("checkpoint", [None, "elsewhere/ckpt-1"])
async def test_one_child_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: str | None) -> None:
    """Another right to read would be another child, and another import of TensorFlow."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "elsewhere").mkdir()
    events: list[Event] = []
    runner = Runner(Target("model", "meta_graph", None, checkpoint), Options(), events.append, script=STAND_IN)
    loaded = await runner.load()
    assert (await runner.load()) is loaded
    await runner.close()
    assert loaded["params"]["path"] == str(tmp_path / "model")
    started = [event for event in events if isinstance(event, Progress) and event.what == "starting the child"]
    assert len(started) == 1
    folders = {str(tmp_path / "model"), *([str(tmp_path / "elsewhere")] if checkpoint else [])}
    assert set(runner.runtime.options.reads) == folders


async def test_an_input_that_does_not_travel_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    async def never(self: Any, *_: Any) -> None:
        raise AssertionError("a child was started")

    monkeypatch.setattr(Runtime, "start", never)
    runner = Runner(Target("model", "saved_model", None, None), Options(), script=STAND_IN)
    with pytest.raises(UsageError):
        await runner.call(Plan("f", None, (), None, {"x": np.array(["2024-01-01"], "datetime64[D]")}))
    await runner.close()
