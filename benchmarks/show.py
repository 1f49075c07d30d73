"""`tfexplore show MODEL --json` against `saved_model_cli show --dir MODEL --all`."""

from __future__ import annotations

from functools import partial

import models
import programs
from measure import Spread, pairs, run
from report import Row, Table, seconds, size, times

RUNS = 5
FASTER = 50
SMALLER = 6


def measure(runs: int, *, quick: bool) -> Table:
    """Measures both on both exports; on the small one alone where it must be quick."""
    environment = programs.environment()
    rows = []
    for name in models.NAMES[:1] if quick else models.NAMES:
        theirs = [*programs.saved_model_cli(), "show", "--dir", str(models.export(name)), "--all"]
        ours = [*programs.tfexplore(), "show", str(models.export(name)), "--json"]
        found = pairs(partial(run, ours, environment), partial(run, theirs, environment), runs)
        for field, what, show, least in (
            ("wall", "wall time", seconds, FASTER),
            ("cpu", "processor time", seconds, None),
            ("memory", "peak memory", size, SMALLER),
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
        sentence="What it costs to see what is in a SavedModel: whole processes, files in the page cache.",
        runs=runs,
        ours="`tfexplore show --json`",
        theirs="`saved_model_cli show --all`",
        comparison="theirs ÷ ours",
        rows=rows,
    )
