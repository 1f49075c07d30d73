"""`tfexplore show` on the demo's SavedModel and training directory, for the record."""

from __future__ import annotations

from functools import partial

import programs
from measure import Spread, alone, run
from report import Row, Table, seconds, size

RUNS = 15
_MODELS = (("SavedModel", "ranker"), ("training directory", "training"))


def measure(runs: int, *, quick: bool) -> Table:
    """Measures each on its own; nothing is compared, and `quick` changes nothing."""
    environment = programs.environment()
    rows = []
    for what, folder in _MODELS:
        command = [*programs.tfexplore(), "show", str(programs.DEMO / folder)]
        costs = alone(partial(run, command, environment), runs)
        rows.append(Row(f"{what}, wall time", Spread.of(cost.wall for cost in costs), seconds))
        # At most: these processes are so small that this one's own memory may be what was counted before the exec.
        rows.append(Row(f"{what}, peak memory, at most", Spread.of(cost.peak for cost in costs), size))
    return Table(
        sentence="The summary of the demo's SavedModel and of its training directory, as text.",
        runs=runs,
        ours="`tfexplore show`",
        rows=rows,
    )
