"""Steps a second of `tfexplore finetune` against loops that a person writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import models
import programs
from measure import Spread, Unmeasured
from report import Row, Table, times

RUNS = 5
MODEL = "MobileNetV2"
DEADLINE_SECONDS = 1200
CASES = (
    ("dense", "a dense model of 4.9 M parameters, batch 32, against tf.function", 0.95),
    (MODEL, f"{MODEL}, batch 8, against tf.function", 0.95),
    ("eager", "one variable, against the plain eager loop", 2.0),
    ("basic", "one variable, against tf.function", None),
)
REPORTING = 0.02


def measure(runs: int, *, quick: bool) -> Table:
    """Measures runs of steps in the child, reports to the screen included, and by hand, in turn."""
    rows = []
    for case, what, least in CASES:
        if quick and case == MODEL:
            continue
        path = models.export(MODEL) if case == MODEL else Path("-")
        found = _measured(case, path, runs)
        pairs = [(ours, theirs) for ours, theirs in found["pairs"]]
        compared = Spread.of(ours / theirs for ours, theirs in pairs)
        rows.append(
            Row(
                what=what,
                ours=Spread.of(ours for ours, _ in pairs),
                theirs=Spread.of(theirs for _, theirs in pairs),
                show=_rate,
                compared=compared,
                show_compared=times,
                target=None if least is None else f"at least {least}×",
                met=None if least is None else compared.median >= least,
            )
        )
        share = float(found["reporting"])
        rows.append(
            Row(
                what=f"{what.partition(',')[0]}: the time that telling the screen takes",
                ours=Spread.of([share]),
                show=lambda value: f"{value * 100:.2f} %",
                target="under 2 %",
                met=share < REPORTING,
            )
        )
    return Table(
        sentence="Steps of gradient descent on an imported model, each loss fetched: in the child, with its figures "
        "sent to the explorer ten times a second, and in a loop written by hand.",
        runs=runs,
        ours="`tfexplore finetune`",
        theirs="by hand",
        comparison="ours ÷ theirs",
        rows=rows,
    )


def _rate(value: float) -> str:
    return f"{value:,.1f} steps/s"


def _measured(case: str, path: Path, pairs: int) -> dict[str, list[list[float]]]:
    script = Path(__file__).with_name("tuning_steps.py")
    environment = {**programs.environment(), "PYTHONPATH": str(programs.SOURCES)}
    ran = subprocess.run(
        [sys.executable, str(script), case, str(path), str(pairs)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unmeasured(f"steps of {case} cannot be measured: {last}")
    found: dict[str, list[list[float]]] = json.loads(ran.stdout.splitlines()[-1])
    return found
