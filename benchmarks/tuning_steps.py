"""Steps a second of `finetune` and of loops by hand, in turn: `python benchmarks/tuning_steps.py CASE PATH PAIRS`.

Prints JSON: [[ours, theirs], …] in steps a second, and which part of our time went into telling the screen.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np
import tensorflow as tf

from tfexplore.core.finetune_plan import (
    DataWish,
    Wish,
    choose_loss,
    choose_optimizer,
    choose_variables,
    plan_function,
    plan_signature,
)
from tfexplore.core.opener import open_model
from tfexplore.core.plan import Given, target
from tfexplore.loader.running import Runner
from tfexplore.loader.tuning import Tuner
from tfexplore.runtime.child.batches import Batches
from tfexplore.runtime.records import Options

STEPS = {"basic": 3000, "eager": 3000, "dense": 40, "MobileNetV2": 15}
BATCH = {"dense": 32, "MobileNetV2": 8}
RATE = 1e-3
WIDTHS = (1024, 2048, 1024, 768)


def write_basic(folder: Path) -> Path:
    class Basic(tf.Module):
        def __init__(self) -> None:
            self.v = tf.Variable(1.0)

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return x * self.v

    tf.saved_model.save(Basic(), str(folder / "basic"))
    return folder / "basic"


def write_dense(folder: Path) -> Path:
    class Dense(tf.Module):
        def __init__(self) -> None:
            rng = np.random.default_rng(1)
            self.kernels = [
                tf.Variable((rng.normal(size=shape) / np.sqrt(shape[0])).astype("float32"), name=f"kernel_{number}")
                for number, shape in enumerate(pairwise(WIDTHS))
            ]

        @tf.function(input_signature=[tf.TensorSpec([None, WIDTHS[0]], tf.float32, name="x")])
        def serve(self, x: Any) -> Any:
            for kernel in self.kernels:
                x = tf.nn.relu(tf.matmul(x, kernel))
            return {"y": x}

    model = Dense()
    tf.saved_model.save(model, str(folder / "dense"), signatures=model.serve)
    return folder / "dense"


def write_rows(case: str, folder: Path) -> Path:
    rng = np.random.default_rng(2)
    if case == "dense":
        x, label = rng.normal(size=(512, WIDTHS[0])), rng.normal(size=(512, WIDTHS[-1])).astype("float32")
    else:
        x, label = rng.normal(size=(64, 224, 224, 3)), rng.integers(0, 1000, 64)
    np.savez(folder / "rows.npz", x=x.astype("float32"), label=label)
    return folder / "rows.npz"


def by_hand(case: str, path: Path, rows: Path | None) -> Callable[[int], None]:
    """Takes so many steps as a person would write them, each loss fetched."""
    imported = tf.saved_model.load(str(path))
    if rows is None:

        def basic() -> Any:
            with tf.GradientTape() as tape:
                loss = (10.0 - imported(tf.constant(2.0))) ** 2
            imported.v.assign_sub(1e-9 * tape.gradient(loss, imported.v))
            return loss

        step = basic if case == "eager" else tf.function(basic)

        def take(steps: int) -> None:
            for _ in range(steps):
                float(step())

        return take
    with np.load(rows) as file:
        x, label = tf.constant(file["x"]), tf.constant(file["label"])
    function = imported.signatures["serving_default"]
    (name,) = function.structured_input_signature[1]
    variables = function.trainable_variables
    losses = {
        "dense": tf.keras.losses.MeanSquaredError(),
        "MobileNetV2": tf.keras.losses.SparseCategoricalCrossentropy(),
    }
    loss_of = losses[case]

    @tf.function
    def general(places: Any) -> Any:
        with tf.GradientTape() as tape:
            (y,) = function(**{name: tf.gather(x, places)}).values()
            loss = loss_of(tf.gather(label, places), y)
        for gradient, variable in zip(tape.gradient(loss, variables), variables, strict=True):
            variable.assign_sub(RATE * gradient)
        return loss

    batches = Batches(len(x), BATCH[case], 0)

    def take(steps: int, _imported: Any = imported) -> None:  # whose variables would go with it
        for _ in range(steps):
            float(general(tf.constant(batches.next())))

    return take


async def prepared(case: str, path: Path, rows: Path | None, model: Any) -> tuple[Runner, Tuner]:
    meta_graph = model.meta_graph()
    runner = Runner(target(model, meta_graph), Options())
    variables, _ = choose_variables(meta_graph)
    if rows is None:
        loss = choose_loss(None, "(10. - y) ** 2", from_logits=False, output=None, target=False)
        wish = Wish(
            Given(["2.0"]), DataWish(), loss, choose_optimizer("sgd", {"learning_rate": 1e-9}), variables, False, ()
        )
        plan = plan_function(meta_graph, "__call__", await runner.traces("__call__"), wish)
    else:
        kind = "mse" if case == "dense" else "sparse_categorical_crossentropy"
        loss = choose_loss(kind, None, from_logits=False, output=None, target=True)
        (name,) = (info.name for info in next(s for s in meta_graph.signatures if s.name == "serving_default").inputs)
        data = DataWish(str(rows), {name: "x"}, "label", BATCH[case])
        wish = Wish(Given(), data, loss, choose_optimizer("sgd", {"learning_rate": RATE}), variables, False, ())
        plan = plan_signature(meta_graph, "serving_default", wish)
    tuner = Tuner(runner, plan, lambda report: None)
    await tuner.prepare()
    return runner, tuner


async def measured(case: str, path: Path, rows: Path | None, pairs: int) -> dict[str, Any]:
    steps = STEPS[case]
    take = by_hand(case, path, rows)
    take(2)
    found, reporting, seconds = [], 0.0, 0.0
    with open_model(str(path)) as model:
        runner, tuner = await prepared(case, path, rows, model)
        await tuner.run(2)
        for _ in range(pairs):
            started = time.perf_counter()
            ran = await tuner.run(steps)
            ours = steps / (time.perf_counter() - started)
            reporting += ran.reporting
            seconds += ran.seconds
            started = time.perf_counter()
            take(steps)
            found.append([ours, steps / (time.perf_counter() - started)])
        await runner.close()
    return {"pairs": found, "reporting": reporting / seconds}


def main() -> None:
    case, path, pairs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        makers = {"basic": write_basic, "eager": write_basic, "dense": write_dense}
        model = makers[case](folder) if case in makers else Path(path)
        rows = None if case in ("basic", "eager") else write_rows(case, folder)
        print(json.dumps(asyncio.run(measured(case, model, rows, pairs))))


if __name__ == "__main__":
    main()
