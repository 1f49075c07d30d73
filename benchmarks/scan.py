"""`tfexplore scan MODEL --json` against `saved_model_cli scan --dir MODEL`, which knows three ops."""

from __future__ import annotations

from functools import partial

import models
import programs
from measure import Spread, pairs, run
from report import Row, Table, seconds, size, times

RUNS = 3
FASTER = 20


def measure(runs: int, *, quick: bool) -> Table:
    """Measures both on both exports; on the small one alone where it must be quick."""
    environment = programs.environment()
    rows = []
    for name in models.NAMES[:1] if quick else models.NAMES:
        theirs = [*programs.saved_model_cli(), "scan", "--dir", str(models.export(name))]
        ours = [*programs.tfexplore(), "scan", str(models.export(name)), "--json"]
        found = pairs(partial(run, ours, environment), partial(run, theirs, environment), runs)
        for field, what, show, least in (
            ("wall", "wall time", seconds, FASTER),
            ("cpu", "processor time", seconds, None),
            ("memory", "peak memory", size, None),
        ):
            couples = [(getattr(a, field), getattr(b, field)) for a, b in found]
            # The clock of processor time ticks in steps of up to 10 ms.
            compared = Spread.of(b / max(a, 0.001) for a, b in couples)
            rows.append(
                Row(
                    what=f"{name}, {what}",
                    ours=Spread.of(a for a, _ in couples),
                    theirs=Spread.of(b for _, b in couples),
                    show=show,
                    compared=compared,
                    show_compared=times,
                    target=None if least is None else f"at least {least}×",
                    met=None if least is None else compared.median >= least,
                )
            )
    return Table(
        sentence="What it costs to look for risky ops: whole processes, files in the page cache.",
        runs=runs,
        ours="`tfexplore scan --json`",
        theirs="`saved_model_cli scan`",
        comparison="theirs ÷ ours",
        rows=rows,
    )
