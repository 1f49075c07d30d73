"""Fine-tuning in the child against loops written by hand: to the last bit, in both modes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import tuning_models
from runtime.tuning import batches, bits, scripted, tuned
from tfexplore.core.checkpoint_saving import CheckpointDirectory, NewCheckpoint
from tfexplore.core.finetune_plan import LOSSES, OPTIMIZERS
from tfexplore.errors import ChildDied, RunFailed, UsageError
from tfexplore.runtime.client import Runtime
from tfexplore.runtime.records import Options

pytestmark = [pytest.mark.tensorflow, pytest.mark.asyncio(loop_scope="session")]
BASIC = {"call": "__call__", "inputs": ["2.0"], "expression": "(10. - y) ** 2", "settings": {"learning_rate": 0.005}}


@pytest.fixture(scope="session")
def models(tf: Any, small_models: Path) -> Path:
    folder = small_models / "tuning"
    if not folder.exists():
        folder.mkdir()
        tuning_models.write_all(tf, folder)
    return folder


def dense(models: Path, **more: Any) -> dict[str, Any]:
    wish = {"data": models / "rows.npz", "target": "label", "batch": 16, "loss": "mse", "output": "y"}
    return {**wish, "settings": {"learning_rate": 0.01}, **more}


def losses(ran: Any) -> list[float]:
    return [one.loss for one in ran.figures]


def by_hand(tf: Any, eager: bool, step: Callable[..., Any]) -> Callable[..., Any]:
    return step if eager else tf.function(step)


# -- to the last bit --


@pytest.mark.parametrize("eager", [False, True])
async def test_the_basic_case(shared: Runtime, models: Path, tf: Any, eager: bool) -> None:
    imported = tf.saved_model.load(str(models / "basic"))

    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = (10.0 - imported(tf.constant(2.0))) ** 2
        watched = tape.watched_variables()
        for gradient, variable in zip(tape.gradient(loss, watched), watched, strict=True):
            variable.assign_sub(0.005 * gradient)
        return loss

    step = by_hand(tf, eager, step)
    expected = [float(step()) for _ in range(20)]
    found = await tuned(shared, models / "basic", **BASIC, eager=eager)
    ran = await found.tuner.run(20)
    assert (ran.why, ran.done, ran.step, [one.step for one in ran.figures]) == ("done", 20, 20, list(range(1, 21)))
    assert losses(ran) == expected
    assert (await found.values())["Variable"].tobytes() == imported.v.numpy().tobytes()
    assert ran.changes == {found.plan.variables[0].key: pytest.approx(abs(float(imported.v) - 1.0))}
    assert ran.figures[0].gradient_norm == 32.0 + 0.0


@pytest.mark.parametrize("eager", [False, True])
async def test_batches_and_frozen_variables(shared: Runtime, models: Path, tf: Any, eager: bool) -> None:
    imported = tf.saved_model.load(str(models / "dense"))
    with np.load(models / "rows.npz") as file:
        rows = {name: tf.constant(file[name]) for name in ("x", "id", "label")}
    trained = [imported.first, imported.second]
    before = {name: getattr(imported, name).numpy().tobytes() for name in ("table", "bias", "frozen", "rounded")}

    def step(places: Any) -> Any:
        x, id_, label = (tf.gather(rows[name], places) for name in ("x", "id", "label"))
        with tf.GradientTape() as tape:
            y = imported.signatures["serving_default"](x=x, id=id_)["y"]
            loss = tf.keras.losses.MeanSquaredError()(label, y)
        for gradient, variable in zip(tape.gradient(loss, trained), trained, strict=True):
            variable.assign_sub(0.01 * gradient)
        return loss

    step = by_hand(tf, eager, step)
    drawn = batches(tuning_models.ROWS, 16)
    expected = [float(step(tf.constant(next(drawn)))) for _ in range(20)]
    found = await tuned(shared, models / "dense", **dense(models, eager=eager, freeze=["bias", "table"]))
    ran = await found.tuner.run(20)
    assert losses(ran) == expected
    values = await found.values()
    assert {name: values[name].tobytes() for name in before} == before
    assert [values[name].tobytes() for name in ("first", "second")] == [one.numpy().tobytes() for one in trained]
    changes = {one.label: ran.changes[one.key] for one in found.plan.variables}
    assert {name for name, change in changes.items() if change} == {"first", "second"}


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        *((kind, {"learning_rate": 0.02}) for kind in OPTIMIZERS),
        ("sgd", {"learning_rate": 0.02, "momentum": 0.9}),
        ("sgd", {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True}),
        ("rmsprop", {"learning_rate": 0.02, "momentum": 0.5}),
    ],
)
async def test_the_script_gives_the_same_losses(
    shared: Runtime, models: Path, tf: Any, optimizer: str, settings: dict[str, Any]
) -> None:
    found = await tuned(shared, models / "dense", **dense(models, optimizer=optimizer, settings=settings))
    ran = await found.tuner.run(9)
    assert losses(ran) == scripted(found, models / "dense", 9)
    assert losses(ran)[-1] < losses(ran)[0]


@pytest.mark.parametrize("wish", [BASIC, {**BASIC, "eager": True}])
async def test_the_script_of_the_basic_case(shared: Runtime, models: Path, tf: Any, wish: dict[str, Any]) -> None:
    found = await tuned(shared, models / "basic", **wish)
    assert losses(await found.tuner.run(5)) == scripted(found, models / "basic", 5)


async def test_optimizers_do_what_those_of_keras_do(shared: Runtime, models: Path, tf: Any) -> None:
    """Other kernels, so only nearly; adagrad and adadelta differ in where epsilon stands."""
    of_keras = {
        "sgd": tf.keras.optimizers.SGD, "adam": tf.keras.optimizers.Adam, "adamw": tf.keras.optimizers.AdamW,
        "adamax": tf.keras.optimizers.Adamax, "nadam": tf.keras.optimizers.Nadam,
        "adagrad": tf.keras.optimizers.Adagrad, "adadelta": tf.keras.optimizers.Adadelta,
        "rmsprop": tf.keras.optimizers.RMSprop, "ftrl": tf.keras.optimizers.Ftrl,
    }  # fmt: skip
    assert set(of_keras) == set(OPTIMIZERS)
    for kind, make in of_keras.items():
        imported = tf.saved_model.load(str(models / "basic"))
        optimizer = make(learning_rate=0.05)
        expected = []
        for _ in range(8):
            with tf.GradientTape() as tape:
                loss = (10.0 - imported(tf.constant(2.0))) ** 2
            optimizer.apply_gradients([(tape.gradient(loss, imported.v), imported.v)])
            expected.append(float(loss))
        wish = {**BASIC, "optimizer": kind, "settings": {"learning_rate": 0.05}}
        found = await tuned(shared, models / "basic", **wish)
        assert losses(await found.tuner.run(8)) == pytest.approx(expected, rel=1e-4), kind


# -- what moves --


async def test_reach_is_told_before_the_first_step(shared: Runtime, models: Path) -> None:
    found = await tuned(shared, models / "dense", **dense(models, train=["first|rounded|count|frozen"]))
    assert found.tuner.prepared is not None
    reached = {one.tuned.label: one for one in found.tuner.prepared.variables}
    assert {name for name, one in reached.items() if one.trained} == {"first", "frozen"}
    assert {name for name, one in reached.items() if one.gradient} == {
        "first", "second", "bias", "table", "frozen",
    }  # fmt: skip
    assert reached["count"].why == "int32 has no gradient"
    assert reached["rounded"].why == "no gradient leads to it"
    assert reached["first"].gradient_norm > 0
    assert any("thawed" in note and "frozen" in note for note in found.plan.notes)
    with pytest.raises(RunFailed, match="none of the 1 chosen variables gets a gradient from this loss: int32"):
        await tuned(shared, models / "dense", **dense(models, train=["count"]))
    with pytest.raises(UsageError, match="finds no variable; did you mean"):
        await tuned(shared, models / "dense", **dense(models, train=["frist"]))


async def test_a_function_that_changes_variables_itself(shared: Runtime, models: Path) -> None:
    wish = {"call": "__call__", "data": models / "rows.npz", "mapping": {"x": "x"}, "target": "label", "loss": "mse"}
    found = await tuned(shared, models / "normed", **wish)
    assert "training=True" in found.plan.notes[-1]
    assert found.tuner.prepared is not None
    assert [one.tuned.label for one in found.tuner.prepared.variables if one.moved] == ["mean"]
    assert (await found.values())["mean"].tolist() == [0, 0, 0]  # the look changed nothing
    await found.tuner.run(3)
    assert (await found.values())["mean"].any()
    await found.tuner.roll_back()
    assert not (await found.values())["mean"].any()
    held = await tuned(shared, models / "normed", **wish, freeze=["mean"])
    await held.tuner.run(3)
    values = await held.values()
    assert not values["mean"].any()
    assert (values["w"] != 1).all()
    inference = await tuned(shared, models / "normed", **wish, training=False)
    assert "training=False" in inference.plan.notes[-1]
    await inference.tuner.run(3)
    assert not (await inference.values())["mean"].any()


async def test_nothing_is_applied_where_a_figure_is_not_finite(shared: Runtime, models: Path) -> None:
    for eager in (False, True):
        wish = {**BASIC, "expression": "tf.math.log(3. - y)", "settings": {"learning_rate": 0.2}, "eager": eager}
        found = await tuned(shared, models / "basic", **wish)
        ran = await found.tuner.run(20)
        assert ran.why == "nan"
        assert ran.not_finite is not None
        assert ran.not_finite.step == ran.done + 1 == len(ran.figures)
        assert ran.not_finite.loss
        value = float((await found.values())["Variable"])
        assert value >= 1.5  # it was the last step that was taken that led there
        again = await found.tuner.run(5)
        assert (again.why, again.done, again.step) == ("nan", 0, ran.step)
        assert float((await found.values())["Variable"]) == value
    gradients = await tuned(shared, models / "basic", **{**BASIC, "expression": "tf.math.sqrt(y - 2.)"})
    ran = await gradients.tuner.run(3)
    assert (ran.why, ran.done, ran.figures[0].loss) == ("nan", 0, 0.0)
    assert ran.not_finite is not None
    assert (ran.not_finite.loss, ran.not_finite.gradients) == (False, ("Variable",))


# -- on and back --


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "nadam", "ftrl"])
async def test_roll_back_restores_every_bit(shared: Runtime, models: Path, optimizer: str) -> None:
    found = await tuned(shared, models / "dense", **dense(models, optimizer=optimizer))
    before = bits(await found.values())
    first = await found.tuner.run(7)
    assert bits(await found.values()) != before
    await found.tuner.roll_back()
    assert bits(await found.values()) == before
    assert set(found.tuner.changes.values()) == {0.0}
    again = await found.tuner.run(7)
    assert losses(again) == losses(first)
    assert [one.gradient_norm for one in again.figures] == [one.gradient_norm for one in first.figures]


async def test_a_run_goes_on_from_the_last_and_stops_between_two_steps(shared: Runtime, models: Path) -> None:
    whole = await tuned(shared, models / "dense", **dense(models, optimizer="adam"))
    expected = losses(await whole.tuner.run(12))
    found = await tuned(shared, models / "dense", **dense(models, optimizer="adam"))
    parts = losses(await found.tuner.run(5)) + losses(await found.tuner.run(7))
    assert parts == expected
    heard = asyncio.Event()
    found.on_report = lambda report: heard.set() if report.done > 5 else None
    running = asyncio.ensure_future(found.tuner.run(10_000_000))
    await asyncio.wait_for(heard.wait(), 60)
    await found.tuner.stop()
    ran = await running
    assert ran.why == "stopped"
    assert 5 < ran.done == len(ran.figures) < 10_000_000
    assert ran.step == 12 + ran.done
    assert (await found.tuner.run(2)).step == ran.step + 2
    # Another plan for what is loaded goes on too, with the same optimizer where it is the same.
    other = await tuned(shared, models / "dense", again=True, **dense(models, optimizer="adam", batch=8))
    assert other.tuner.step == ran.step + 2


async def test_a_restored_run_goes_on_as_if_it_had_never_ended(
    shared: Runtime, models: Path, tf: Any, tmp_path: Path
) -> None:
    wish = dense(models, optimizer="adam", seed=3)
    whole = await tuned(shared, models / "dense", **wish)
    expected = losses(await whole.tuner.run(12))
    final = bits(await whole.values())
    directory = CheckpointDirectory(str(tmp_path / "checkpoints"), 2)
    found = await tuned(shared, models / "dense", **wish)
    ran = await found.tuner.run(7, directory=directory, save_every=2)
    assert [saved.step for saved in ran.saved] == [2, 4, 6, 7]
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert [name for name in names if name.endswith(".index")] == ["ckpt-6.index", "ckpt-7.index"]
    assert not [name for name in names if name.startswith(".")]
    later = await tuned(shared, models / "dense", **wish)
    latest = directory.latest()
    assert latest == str(tmp_path / "checkpoints" / "ckpt-7") == tf.train.latest_checkpoint(directory.path)
    restored = await later.tuner.restore(latest)
    assert (restored.step, restored.row, restored.whole, restored.optimizer) == (
        7,
        16 + 16 + 16 + 2 + 16 * 3,
        True,
        True,
    )
    assert (restored.missing, restored.unused) == ((), ())
    assert losses(await later.tuner.run(5)) == expected[7:]
    assert bits(await later.values()) == final


async def test_tensorflow_restores_a_checkpoint_in_a_plain_script(
    shared: Runtime, models: Path, tf: Any, tmp_path: Path
) -> None:
    directory = CheckpointDirectory(str(tmp_path), 3)
    found = await tuned(shared, models / "dense", **dense(models, optimizer="adam"))
    await found.tuner.run(4, directory=directory)
    values = await found.values()
    imported = tf.saved_model.load(str(models / "dense"))
    step = tf.Variable(0, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(step=step, net=imported)
    manager = tf.train.CheckpointManager(checkpoint, str(tmp_path), max_to_keep=3)
    checkpoint.restore(manager.latest_checkpoint).expect_partial().assert_existing_objects_matched()
    assert int(step) == 4
    for name in ("first", "second", "bias", "table", "frozen", "rounded", "count"):
        assert getattr(imported, name).numpy().tobytes() == values[name].tobytes()


async def test_weights_of_other_checkpoints(shared: Runtime, models: Path, tf: Any, tmp_path: Path) -> None:
    weights = {"first": tf.Variable(np.full((7, 8), 0.25, "float32")), "other": tf.Variable(1.0)}
    tf.train.Checkpoint(**weights).write(str(tmp_path / "flat"))
    tf.train.Checkpoint(model=tf.train.Checkpoint(**weights)).write(str(tmp_path / "nested"))
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "named"), tensor_names=["first"], shape_and_slices=[""], tensors=[weights["first"]]
    )
    tf.train.Checkpoint(first=tf.Variable(np.zeros((2, 2), "float32"))).write(str(tmp_path / "shape"))
    tf.train.Checkpoint(nothing=tf.Variable(1.0)).write(str(tmp_path / "none"))
    for name in ("flat", "nested", "named"):
        found = await tuned(shared, models / "dense", **dense(models))
        restored = await found.tuner.restore(str(tmp_path / name))
        assert restored.matched == ("first/.ATTRIBUTES/VARIABLE_VALUE",), name
        assert len(restored.missing) == 6
        assert [key.endswith("other/.ATTRIBUTES/VARIABLE_VALUE") for key in restored.unused] == [True] * (
            name != "named"
        )
        assert not restored.whole
        assert (await found.values())["first"].tolist() == np.full((7, 8), 0.25).tolist()
        assert (await found.tuner.run(2)).step == 2
    for name, sentence in (
        ("shape", r"first/\S+ is float32 \[2, 2\] in .* float32 \[7, 8\]"),
        ("none", "no variable of the model has a value"),
    ):
        found = await tuned(shared, models / "dense", **dense(models))
        before = bits(await found.values())
        with pytest.raises(RunFailed, match=sentence):
            await found.tuner.restore(str(tmp_path / name))
        assert bits(await found.values()) == before


async def test_the_child_dies_in_a_run_and_in_a_save(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(Options(reads=(str(models),), threads=1))
    found = await tuned(runtime, models / "basic", **BASIC)
    directory = CheckpointDirectory(str(tmp_path), 1)
    await found.tuner.run(3, directory=directory)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"checkpoint", "ckpt-3.index", "ckpt-3.data-00000-of-00001"}
    write = NewCheckpoint.write
    child = runtime._child
    assert child is not None

    def killing(self: NewCheckpoint, file: str, data: Any) -> None:
        write(self, file, data)
        child.kill()

    monkeypatch.setattr(NewCheckpoint, "write", killing)
    with pytest.raises(ChildDied):
        await found.tuner.run(2, directory=directory)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    with pytest.raises(ChildDied):
        await found.tuner.run(1)
    assert (await found.tuner.prepare()).step == 0
    assert (await found.tuner.restore(str(tmp_path / "ckpt-3"))).step == 3
    assert (await found.tuner.run(1)).step == 4
    heard = asyncio.Event()
    found.on_report = lambda report: heard.set()
    running = asyncio.ensure_future(found.tuner.run(10_000_000))
    await asyncio.wait_for(heard.wait(), 60)
    assert runtime._child is not None
    runtime._child.kill()
    with pytest.raises(ChildDied):
        await running
    await runtime.close()


# -- models of every kind --


async def test_a_model_with_tables(shared: Runtime, models: Path, tf: Any) -> None:
    wish = {"data": models / "words.csv", "target": "label", "loss": "mae", "settings": {"learning_rate": 0.1}}
    found = await tuned(shared, models / "tables", **wish)
    ran = await found.tuner.run(10)
    assert losses(ran) == scripted(found, models / "tables", 10)
    assert losses(ran)[-1] < losses(ran)[0]


async def test_a_model_of_tensorflow_1(shared: Runtime, models: Path) -> None:
    wish = {"inputs": ["[1, 2]"], "expression": "tf.reduce_mean((10. - y) ** 2)"}
    found = await tuned(shared, models / "session", **wish)
    ran = await found.tuner.run(5)
    assert losses(ran)[-1] < losses(ran)[0]


async def test_an_export_of_keras(shared: Runtime, models: Path, tf: Any, tmp_path: Path) -> None:
    from tfexplore.core.opener import open_model

    keras = tf.keras
    inputs = keras.Input([3], name="x")
    normed = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(4, name="hidden")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, name="head", activation="sigmoid")(normed))
    path = models / "keras"
    model.export(str(path), verbose=False)
    wish = {"data": models / "rows.npz", "target": "up", "loss": "binary_crossentropy", "optimizer": "adam"}
    wish |= {"mapping": {"x": "x"}, "batch": tuning_models.ROWS}
    found = await tuned(shared, path, **wish, train=["head"])
    assert found.tuner.prepared is not None
    labels = [one.tuned.label for one in found.tuner.prepared.variables]
    assert len(labels) == len(set(labels)) == 8  # not the copies that Keras stores
    before = bits(await found.values())
    ran = await found.tuner.run(30)
    assert ran.figures[-1].loss < ran.figures[0].loss
    after = bits(await found.values())
    assert {name for name in labels if before[name] != after[name]} == {one for one in labels if "head" in one}
    exported = await found.tuner.export(found.model, found.model.meta_graph(), str(tmp_path / "new"))
    x = np.ones((2, 3), "float32")
    expected = tf.saved_model.load(str(path)).signatures["serving_default"](x=tf.constant(x))
    tuned_here = tf.saved_model.load(exported.path).signatures["serving_default"](x=tf.constant(x))
    assert next(iter(expected.values())).numpy().tolist() != next(iter(tuned_here.values())).numpy().tolist()
    with open_model(exported.path) as model_:
        meta_graph = model_.meta_graph()
        for one in found.plan.variables:
            stored = meta_graph.checkpoint.read(one.variable.key)
            assert stored.array.tobytes() == after[one.label]


async def test_a_trained_model_of_the_corpus(corpus: Path, tf: Any) -> None:
    """LSTMs that keep their states, exported years ago; TensorFlow gives the cells inside no gradient."""
    path = corpus / "models" / "dtln-dtln"
    runtime = Runtime(Options(reads=(str(path),)))
    wish = {"inputs": ["ones"], "expression": "tf.reduce_mean(y ** 2)", "settings": {"learning_rate": 0.001}}
    found = await tuned(runtime, path, **wish, freeze=["dense_1"])
    assert found.tuner.prepared is not None
    imported = tf.saved_model.load(str(path))
    function = imported.signatures["serving_default"]
    (name,) = function.structured_input_signature[1]
    x = {name: tf.ones([1, 512])}

    def loss_and_gradients() -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            (y,) = function(**x).values()
            loss = tf.reduce_mean(y**2)
        return loss, tape.gradient(loss, function.trainable_variables)

    states = {one.ref(): one.numpy() for one in function.variables if not one.trainable}
    _, gradients = loss_and_gradients()
    for one in function.variables:
        if one.ref() in states:
            one.assign(states[one.ref()])
    reached = [one for one in found.tuner.prepared.variables if one.trainable]
    assert sum(one.gradient for one in reached) == sum(one is not None for one in gradients) > 10
    before = bits(await found.values())
    ran = await found.tuner.run(6)
    assert ran.figures[-1].loss < ran.figures[0].loss
    after = bits(await found.values())
    for one in found.tuner.prepared.variables:
        if one.tuned.hold or not (one.trained or one.moved):
            assert before[one.tuned.label] == after[one.tuned.label], one.tuned.label
    await found.tuner.roll_back()
    assert bits(await found.values()) == before
    again = await found.tuner.run(6)
    assert losses(again) == losses(ran)
    await runtime.close()


async def test_every_loss(shared: Runtime, models: Path, tf: Any) -> None:
    targets = dict.fromkeys(LOSSES, "label") | {"binary_crossentropy": "up", "sparse_categorical_crossentropy": "id"}
    for loss in ("mse", "mae", "binary_crossentropy", "sparse_categorical_crossentropy"):
        output = "hidden" if loss.startswith("sparse") else "y"
        logits = "crossentropy" in loss
        if loss.startswith("sparse"):
            targets[loss] = "up"
        wish = dense(models, loss=loss, target=targets[loss], output=output, from_logits=logits)
        found = await tuned(shared, models / "dense", **wish)
        assert losses(await found.tuner.run(4)) == scripted(found, models / "dense", 4), loss


async def test_the_child_has_the_same_optimizers_and_losses(tf: Any) -> None:
    from tfexplore.core import finetune_plan
    from tfexplore.runtime.child import loss, tuning_optimizers

    assert tuning_optimizers.SETTINGS == OPTIMIZERS
    assert tuple(loss.LOSSES) == LOSSES
    assert tuple(loss.CROSSENTROPIES) == finetune_plan.CROSSENTROPIES
