"""What a step that is not taken leaves, what an optimizer takes over, and what is held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import tuning_models
from runtime.tuning import bits, scripted, tuned
from tfexplore.core.checkpoint_saving import CheckpointDirectory
from tfexplore.errors import RunFailed, UsageError
from tfexplore.runtime.client import Runtime

pytestmark = [pytest.mark.tensorflow, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(scope="session")
def models(tf: Any, small_models: Path) -> Path:
    folder = small_models / "tuning"
    if not folder.exists():
        folder.mkdir()
        tuning_models.write_all(tf, folder)
    return folder


@pytest.mark.parametrize("eager", [False, True])
async def test_a_step_that_is_not_taken_leaves_moving_averages_too(
    shared: Runtime, models: Path, tmp_path: Path, eager: bool
) -> None:
    x = np.random.default_rng(1).normal(size=(12, 3)).astype("float32")
    x[9, 1] = np.nan
    np.savez(tmp_path / "rows.npz", x=x, label=np.ones(12, "float32"))
    wish = {"call": "__call__", "data": tmp_path / "rows.npz", "target": "label", "loss": "mse", "batch": 4}
    found = await tuned(shared, models / "normed", **wish, seed=None, eager=eager)
    assert (await found.tuner.run(2)).why == "done"
    before = bits(await found.values())
    assert np.frombuffer(before["mean"], "float32").all()
    ran = await found.tuner.run(5)
    assert (ran.why, ran.done, ran.step) == ("nan", 0, 2)
    assert bits(await found.values()) == before


@pytest.mark.parametrize("optimizer", ["adam", "nadam", "rmsprop"])
async def test_an_optimizer_does_not_count_the_steps_of_another(
    shared: Runtime, models: Path, tmp_path: Path, optimizer: str
) -> None:
    wish = {"data": models / "rows.npz", "target": "label", "batch": 50, "loss": "mse", "output": "y"}
    directory = CheckpointDirectory(str(tmp_path), 3)
    other = "adam" if optimizer == "nadam" else "sgd"
    one = await tuned(shared, models / "dense", **wish, optimizer=other, settings={"learning_rate": 0.0})
    await one.tuner.run(6, directory=directory)
    found = await tuned(shared, models / "dense", **wish, optimizer=optimizer)
    expected = [one.loss for one in (await found.tuner.run(4)).figures]
    again = await tuned(shared, models / "dense", **wish, optimizer=optimizer)
    restored = await again.tuner.restore(str(tmp_path / "ckpt-6"))
    assert (restored.step, restored.optimizer) == (6, False)
    losses = [one.loss for one in (await again.tuner.run(4)).figures]
    # The weights are those that were loaded, the order of the rows is another epoch's.
    assert losses == pytest.approx(expected, rel=1e-5)


async def test_a_damaged_checkpoint_leaves_every_bit(shared: Runtime, models: Path, tmp_path: Path) -> None:
    wish = {"data": models / "rows.npz", "target": "label", "batch": 16, "loss": "mse", "output": "y"}
    wish |= {"optimizer": "adam"}
    directory = CheckpointDirectory(str(tmp_path), 3)
    one = await tuned(shared, models / "dense", **wish)
    await one.tuner.run(3, directory=directory)
    data = tmp_path / "ckpt-3.data-00000-of-00001"
    whole = data.read_bytes()
    found = await tuned(shared, models / "dense", **wish)
    await found.tuner.run(5)
    before = bits(await found.values())
    expected = [one.loss for one in (await (await tuned(shared, models / "dense", **wish)).tuner.run(8)).figures][5:]
    found = await tuned(shared, models / "dense", **wish)
    await found.tuner.run(5)
    for place in range(0, len(whole), len(whole) // 12):
        data.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        with pytest.raises(RunFailed):
            await found.tuner.restore(str(tmp_path / "ckpt-3"))
        assert bits(await found.values()) == before
    assert [one.loss for one in (await found.tuner.run(3)).figures] == expected


async def test_the_script_holds_what_is_frozen(shared: Runtime, models: Path) -> None:
    wish = {"call": "__call__", "data": models / "rows.npz", "target": "label", "loss": "mse"}
    wish |= {"mapping": {"x": "x"}, "settings": {"learning_rate": 0.001}}
    found = await tuned(shared, models / "states", **wish, freeze=["state"])
    losses = [one.loss for one in (await found.tuner.run(6)).figures]
    assert losses == scripted(found, models / "states", 6)
    free = await tuned(shared, models / "states", **wish)
    assert losses != [one.loss for one in (await free.tuner.run(6)).figures]


async def test_the_script_gives_the_same_figures_whatever_the_batch(shared: Runtime, models: Path) -> None:
    # A mean over 20 or 10 rows is rounded, unlike one over 16.
    wish = {"data": models / "rows.npz", "target": "up", "batch": 20, "output": "hidden"}
    wish |= {"loss": "sparse_categorical_crossentropy", "from_logits": True}
    found = await tuned(shared, models / "dense", **wish)
    figures = (await found.tuner.run(30)).figures
    assert scripted(found, models / "dense", 30) == [one.loss for one in figures]
    assert scripted(found, models / "dense", 30, column=2) == [one.gradient_norm for one in figures]


async def test_several_outputs_are_chosen_from(shared: Runtime, models: Path) -> None:
    for expression, sentence in (
        ("tf.reduce_mean(y)", r"has 2 outputs, and y alone is all of them: .* --output NAME, or write y\['hidden'\]"),
        ("y['hiden'] ** 2", "has no output hiden; did you mean hidden"),
    ):
        with pytest.raises(UsageError, match=sentence):
            await tuned(shared, models / "dense", inputs=["x=[[1, 2, 3]]", "id=[1]"], expression=expression)
    with pytest.raises(UsageError, match=r"has one output, so write y alone for it, not y\['y'\]"):
        await tuned(shared, models / "session", inputs=["[1, 2]"], expression="y['y'] ** 2")
    for expression in ("y", "y * 2", "tf.reduce_mean(y)"):
        given = {"inputs": ["x=[[1, 2, 3]]", "id=[1]"], "expression": expression}
        with pytest.raises(RunFailed, match=r"y is all outputs in the loss: take one, y\['name'\], of: (y|hidden), "):
            await tuned(shared, models / "dense", call="serve", **given)


@pytest.mark.parametrize("batch", [1, 8, 20])
async def test_rows_are_never_compared_with_columns(shared: Runtime, models: Path, batch: int) -> None:
    """Eight units and a batch of eight, or of one, would fit each other by chance."""
    wish = {"data": models / "rows.npz", "target": "label", "batch": batch, "output": "hidden"}
    for loss in ("mse", "mae"):
        with pytest.raises(
            RunFailed, match=rf"the target has the shape \({batch},\), what the model gives \({batch}, 8"
        ):
            await tuned(shared, models / "dense", **wish, loss=loss)


@pytest.mark.parametrize("eager", [False, True])
async def test_a_target_of_whole_numbers_in_an_expression(shared: Runtime, models: Path, eager: bool) -> None:
    wish = {"data": models / "rows.npz", "target": "up", "batch": 16, "output": "y", "eager": eager}
    with pytest.raises(RunFailed, match=r"y is float32 .* target int64.*; write tf.cast\(target, tf.float32\)"):
        await tuned(shared, models / "dense", **wish, expression="(y[:, 0] - target) ** 2")
    found = await tuned(shared, models / "dense", **wish, expression="(y[:, 0] - tf.cast(target, tf.float32)) ** 2")
    assert (await found.tuner.run(2)).why == "done"
