"""The same child under another Python with another TensorFlow; the models are written by that one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from runtime import models
from runtime.calls import floats, outputs, strings
from tfexplore.core.opener import open_model
from tfexplore.core.sections import section
from tfexplore.errors import RunFailed, TimedOut
from tfexplore.runtime import look
from tfexplore.runtime.client import Runtime
from tfexplore.runtime.records import Call, Options

pytestmark = [pytest.mark.tensorflow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def other_models(other_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other")
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([other_python, models.__file__, str(folder)], check=True, capture_output=True, env=quiet)
    return folder


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def other(other_python: str, other_models: Path) -> AsyncIterator[Runtime]:
    runtime = Runtime(Options(python=other_python, reads=(str(other_models),)))
    yield runtime
    await runtime.close()


async def test_it_is_another(other: Runtime, other_python: str) -> None:
    about = await other.start()
    here = look.look(other_python)
    assert (about.python, about.tensorflow) == (here.python, here.tensorflow)
    assert about.python != sys.version.split()[0]
    assert about.sandbox == here.sandbox


@pytest.mark.parametrize(
    ("model", "more", "call", "expected"),
    [
        ("functions", {}, Call("serving_default", inputs=(floats("x", [[1, 2]]),)), {"y": [[7, 10]]}),
        (
            "functions",
            {},
            Call(function="encoder.__call__", inputs=(floats("x", [[1, 2]]),), args=[{"tensor": 0}, {"value": True}]),
            {"output": [[8, 11]]},
        ),
        (
            "functions",
            {},
            Call(inputs=(floats("serving_default_x", [[1, 2]]),), fetches=("StatefulPartitionedCall",)),
            {"StatefulPartitionedCall": [[7, 10]]},
        ),
        ("session", {"loader": "v1"}, Call("serving_default", inputs=(floats("x", [1, 2]),)), {"y": [3, 5]}),
        ("session", {}, Call("serving_default", inputs=(floats("x", [1, 2]),)), {"y": [3, 5]}),
        ("graph.pb", {"form": "graph_def"}, Call(inputs=(floats("x", [1]),), fetches=("y",)), {"y": [3]}),
    ],
)
async def test_calls(
    other: Runtime, other_models: Path, model: str, more: dict[str, Any], call: Call, expected: dict[str, Any]
) -> None:
    await other.load(str(other_models / model), **more)
    assert outputs(await other.call(call)) == expected


async def test_inner_tensors(other: Runtime, other_models: Path) -> None:
    await other.load(str(other_models / "functions"))
    with open_model(str(other_models / "functions")) as model:
        (body,) = [row["name"] for row in section(model, "functions") if row["name"].startswith("__inference_serve_")]
    result = await other.call(
        Call("serving_default", inputs=(floats("x", [[1, -9]]),), fetches=("head/relu:0",), body=body)
    )
    assert outputs(result) == {"head/relu:0": [[0, 0]]}


async def test_inferred_shapes(other: Runtime, other_models: Path) -> None:
    with open_model(str(other_models / "functions")) as model:
        (body,) = [row["name"] for row in section(model, "functions") if row["name"].startswith("__inference_serve_")]
    folder = other_models / "functions"
    found = json.loads(bytes((await other.infer_shapes(str(folder), function=body)).tensors[0].data))
    assert found["head/relu"] == [[None, 2]]
    main = json.loads(bytes((await other.infer_shapes(str(other_models / "session"))).tensors[0].data))
    assert main["x"] == main["y"] == [[None]]


async def test_failures(other: Runtime, other_models: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="has no op Sentencepiece4Tokens, which comes with tensorflow-text"):
        await other.load(str(other_models / "unregistered.pb"), form="graph_def")
    await other.load(str(other_models / "files"))
    with pytest.raises(RunFailed, match=f"the sandbox refused {tmp_path}/new to the model"):
        await other.call(Call("write", inputs=(strings("path", f"{tmp_path}/new".encode()),)))
    await other.load(str(other_models / "loops"))
    with pytest.raises(TimedOut):
        await other.call(Call("forever", inputs=(floats("x", 1),)), timeout=0.5)


async def test_a_model_is_tuned_there(other: Runtime, other_models: Path, tmp_path: Path) -> None:
    from runtime.tuning import bits, tuned
    from tfexplore.core.checkpoint_saving import CheckpointDirectory

    wish = {"call": "encoder.__call__", "inputs": ["x=[[1, 2]]"], "expression": "tf.reduce_mean((10. - y) ** 2)"}
    wish |= {"optimizer": "adam", "train": ["encoder/kernel"], "settings": {"learning_rate": 0.1}}
    found = await tuned(other, other_models / "functions", **wish)
    assert "training=True" in found.plan.notes[-1]
    before = bits(await found.values())
    directory = CheckpointDirectory(str(tmp_path), 2)
    first = await found.tuner.run(6, directory=directory, save_every=3)
    assert first.figures[-1].loss < first.figures[0].loss
    after = bits(await found.values())
    rest = await found.tuner.run(3)
    await found.tuner.roll_back()
    assert bits(await found.values()) == before
    restored = await found.tuner.restore(first.saved[-1].prefix)
    assert (restored.step, restored.optimizer, restored.missing) == (6, True, ())
    assert bits(await found.values()) == after
    again = await found.tuner.run(3)
    assert [one.loss for one in again.figures] == [one.loss for one in rest.figures]
