"""Tuning models in tests, and the same by hand."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tfexplore.core.finetune_plan import (
    DataWish,
    FinetunePlan,
    Wish,
    choose_loss,
    choose_optimizer,
    choose_variables,
    plan_function,
    plan_signature,
)
from tfexplore.core.finetune_script import script
from tfexplore.core.opener import open_model
from tfexplore.core.plan import Given, target
from tfexplore.loader.running import Runner
from tfexplore.loader.tuning import Tuner
from tfexplore.loader.tuning_records import Report
from tfexplore.runtime.child.batches import order
from tfexplore.runtime.client import Runtime
from tfexplore.runtime.records import Options


class Tuned:
    """A tuner of a model, with what it is made of."""

    tuner: Tuner

    def __init__(self, plan: FinetunePlan, model: Any) -> None:
        self.plan = plan
        self.model = model
        self.on_report: Callable[[Report], None] = lambda report: None

    async def values(self) -> dict[str, Any]:
        return {one.label: array.copy() for one, array in await self.tuner.values()}


def make_plan(meta_graph: Any, traces: Any = None, **wish: Any) -> FinetunePlan:
    variables, notes = choose_variables(meta_graph, wish.get("train", ()), wish.get("freeze", ()))
    loss = choose_loss(
        wish.get("loss"),
        wish.get("expression"),
        from_logits=wish.get("from_logits", False),
        output=wish.get("output"),
        target=wish.get("target") is not None,
    )
    optimizer = choose_optimizer(wish.get("optimizer", "sgd"), wish.get("settings", {}))
    data = DataWish(
        None if wish.get("data") is None else str(wish["data"]),
        wish.get("mapping", {}),
        wish.get("target"),
        wish.get("batch"),
        wish.get("seed", 0),
    )
    given = Given(wish.get("inputs", ()), wish.get("example"))
    found = Wish(given, data, loss, optimizer, variables, wish.get("eager", False), tuple(notes))
    if traces is not None:
        return plan_function(meta_graph, wish["call"], traces, found, training=wish.get("training", True))
    return plan_signature(meta_graph, wish.get("signature"), found)


async def tuned(runtime: Runtime, path: Path, *, again: bool = False, **wish: Any) -> Tuned:
    """Loads a model anew, and prepares it; with `again` goes on with what is loaded."""
    model = open_model(str(path))
    meta_graph = model.meta_graph()
    runner = Runner(target(model, meta_graph), Options())
    runner.runtime = runtime
    if again:
        runner.loaded = {}
    traces = await runner.traces(wish["call"]) if "call" in wish else None
    plan = make_plan(meta_graph, traces, **wish)
    found = Tuned(plan, model)
    found.tuner = Tuner(runner, plan, lambda report: found.on_report(report))
    await found.tuner.prepare()
    return found


def bits(values: dict[str, Any]) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in values.items()}


def batches(rows: int, size: int, seed: int | None = 0) -> Iterator[Any]:
    """The batches of a run."""
    epoch = 0
    while True:
        of_epoch = order(rows, seed, epoch)
        for start in range(0, rows, size):
            yield of_epoch[start : start + size]
        epoch += 1


def scripted(found: Tuned, path: Path, steps: int, *, column: int = 1) -> list[float]:
    """The losses that the script prints (column 2: the gradient norms), which runs here."""
    with open_model(str(path)) as model:
        text = script(target(model, model.meta_graph()), found.plan, steps)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(text, "script", "exec"), {"__name__": "script"})
    return [float(line.split()[column]) for line in printed.getvalue().splitlines()]


@contextmanager
def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    with np.load(path) as file:
        yield dict(file)
