"""`tfexplore predict` against `saved_model_cli run`, cold, and a later prediction against a direct call."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import models
import programs
from measure import Spread, Unmeasured, pairs, run
from report import Row, Table, fine_seconds, seconds, times

RUNS = 5
MODEL = "MobileNetV2"
COLD = 1.1
LATER = 1.2
BATCH = 32
LATER_CALLS = 10
DEADLINE_SECONDS = 600


def measure(runs: int, *, quick: bool) -> Table:
    """Measures whole processes with equal inputs from a file, then calls of a model that is loaded already."""
    path = models.export(MODEL)
    with tempfile.TemporaryDirectory() as folder:
        rows = [*_cold(path, Path(folder), runs), _later(path, 3 if quick else LATER_CALLS)]
    return Table(
        sentence=f"What it costs to run {MODEL}: whole processes, files in the page cache; then calls with a batch of "
        f"{BATCH} where the model is loaded, from the array to the array.",
        runs=runs,
        ours="`tfexplore predict`",
        theirs="`saved_model_cli run`, a direct call",
        comparison="ours ÷ theirs",
        rows=rows,
    )


def _cold(path: Path, folder: Path, runs: int) -> list[Row]:
    import numpy as np

    environment = programs.environment()
    values = folder / "x.npy"
    np.save(values, np.random.default_rng(1).standard_normal((1, 224, 224, 3)).astype("float32"))
    ours = [*programs.tfexplore(), "predict", str(path), "--input", f"@{values}"]
    theirs = [*programs.saved_model_cli(), "run", "--dir", str(path), "--tag_set", "serve"]
    theirs += ["--signature_def", "serving_default", "--inputs", f"{_input(path)}={values}"]
    found = pairs(partial(run, ours, environment), partial(run, theirs, environment), runs)
    rows = []
    for field, what, most in (("wall", "cold, wall time", COLD), ("cpu", "cold, processor time", None)):
        couples = [(getattr(a, field), getattr(b, field)) for a, b in found]
        rows.append(_row(what, couples, seconds, most))
    return rows


def _input(path: Path) -> str:
    """The name of the signature's input."""
    words = [*programs.tfexplore(), "show", str(path), "signatures", "--json"]
    shown = subprocess.run(words, env=programs.environment(), stdin=subprocess.DEVNULL, capture_output=True)
    try:
        (name,) = [
            one["name"]
            for signature in json.loads(shown.stdout)["items"]
            if signature["name"] == "serving_default"
            for one in signature["inputs"]
        ]
    except (ValueError, KeyError) as error:
        raise Unmeasured(f"{path} has not the signature that was expected: {error}") from error
    return str(name)


def _later(path: Path, calls: int) -> Row:
    script = Path(__file__).with_name("later_calls.py")
    words = [sys.executable, str(script), str(path), str(BATCH), str(calls)]
    environment = {**programs.environment(), "PYTHONPATH": str(programs.SOURCES)}
    ran = subprocess.run(
        words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unmeasured(f"calls of {path} cannot be measured: {last}")
    couples = [(ours, theirs) for ours, theirs in json.loads(ran.stdout.splitlines()[-1])]
    return _row(f"a later call, batch {BATCH} ({calls} pairs)", couples, fine_seconds, LATER)


def _row(what: str, couples: list[tuple[float, float]], show: object, most: float | None) -> Row:
    # The clock of processor time ticks in steps of up to 10 ms.
    compared = Spread.of(a / max(b, 0.001) for a, b in couples)
    return Row(
        what=f"{MODEL}, {what}",
        ours=Spread.of(a for a, _ in couples),
        theirs=Spread.of(b for _, b in couples),
        show=show,  # type: ignore[arg-type]
        compared=compared,
        show_compared=times,
        target=None if most is None else f"at most {most}×",
        met=None if most is None else compared.median <= most,
    )
