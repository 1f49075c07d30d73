"""`tfexplore show GRAPH.pbtxt nodes --json` against TensorFlow with protobuf's own text parser."""

from __future__ import annotations

import sys
from functools import partial

import large_models
import programs
from measure import Spread, pairs, run
from report import Row, Table, seconds, size, times

RUNS = 3


def measure(runs: int, *, quick: bool) -> Table:
    """Measures both on a graph of 50,000 nodes; `quick` changes nothing."""
    environment = programs.environment()
    graph = str(large_models.text_graph())
    ours = [*programs.tfexplore(), "show", graph, "nodes", "--json"]
    theirs = [sys.executable, str(programs.HERE / "list_nodes.py"), graph]
    found = pairs(partial(run, ours, environment), partial(run, theirs, environment), runs)
    rows = []
    for field, what, show in (("wall", "wall time", seconds), ("memory", "peak memory", size)):
        couples = [(getattr(a, field), getattr(b, field)) for a, b in found]
        rows.append(
            Row(
                what=f"50,000 nodes, 19 MB of text, {what}",
                ours=Spread.of(a for a, _ in couples),
                theirs=Spread.of(b for _, b in couples),
                show=show,
                compared=Spread.of(b / a for a, b in couples),
                show_compared=times,
                target=None,
                met=None,
            )
        )
    return Table(
        sentence="A GraphDef in text format, whole processes: nodes with op and inputs.",
        runs=runs,
        ours="`tfexplore show nodes --json`",
        theirs="TensorFlow, text_format",
        comparison="theirs ÷ ours",
        rows=rows,
    )
