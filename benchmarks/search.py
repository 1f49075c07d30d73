"""Search, lists and completion over a million names, in this process: what a screen waits for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import islice

import large_models
import programs
from measure import Spread, alone
from report import Row, Table, fine_seconds

RUNS = 5
FIRST_AT_MOST = 0.2
ALL_AT_MOST = 2.0
COMPLETED_AT_MOST = 0.01

QUERIES = (
    ("kernel", "one name in ten"),
    ("layer", "every name"),
    ("block_0777 layer_77 gamma", "three words, one name"),
    ("nothing_such", "no name"),
    ("/layer_[0-9]7\\/k[a-z]+$/", "a regular expression"),
    ("/l[a-z]+_/", "a regular expression, every name"),
    ("/(?i)LAYER_7.\\/(bias|beta)/", "a regular expression with flags"),
    ("op:Tanh", "an op, every third node"),
)


def measure(runs: int, *, quick: bool) -> Table:
    """Measures in process, with the names read before; `quick` changes nothing."""
    sys.path.insert(0, str(programs.HERE.parent / "src"))
    from tfexplore.core.complete import node_names
    from tfexplore.core.lists import nodes
    from tfexplore.core.opener import open_model
    from tfexplore.core.query import parse
    from tfexplore.core.search import KEY, NODE, TENSOR, search

    rows: list[Row] = []
    with open_model(str(large_models.saved_model())) as graph, open_model(str(large_models.checkpoint())) as keys:
        owner = graph.meta_graph()
        owner.graph.load()
        keys.load()
        kinds = [(graph, NODE, QUERIES), (keys, KEY, QUERIES[:6]), (graph, TENSOR, QUERIES[:1])]
        for model, kind, queries in kinds:
            for words, what in queries:
                query = parse(words)

                def once(model=model, kind=kind, query=query) -> tuple[float, float]:
                    start = time.perf_counter()
                    found = search(model, query, what=(kind,))
                    next(found, None)
                    first = time.perf_counter() - start
                    for _ in found:
                        pass
                    return first, time.perf_counter() - start

                pairs = alone(once, runs)
                rows += [
                    _row(f"{kind}s, `{words}` ({what}): first hits", [pair[0] for pair in pairs], FIRST_AT_MOST),
                    _row(f"{kind}s, `{words}` ({what}): all", [pair[1] for pair in pairs], ALL_AT_MOST),
                ]
        _ = owner.graph.sorted_names
        names = node_names(owner.graph)
        for prefix in ("", "model/block_05", "model/block_0500/layer_99/"):
            label = f"completion of `{prefix}`, 20 proposals"
            rows.append(_row(label, alone(_timed(lambda p=prefix: names.complete(p, 20)), runs), COMPLETED_AT_MOST))

        def page() -> object:
            return list(islice(iter(nodes(owner).page(500_000, 500_050)), 50))

        rows.append(_row("the list of all nodes, 50 rows from its middle", alone(_timed(page), runs), FIRST_AT_MOST))
    return Table(
        sentence="A million nodes, a million keys; in this process, files read and names loaded before.",
        runs=runs,
        ours="time",
        rows=rows,
    )


def _timed(work: Callable[[], object]) -> Callable[[], float]:
    def once() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return once


def _row(what: str, found: list[float], at_most: float) -> Row:
    spread = Spread.of(found)
    return Row(
        what=what,
        ours=spread,
        show=fine_seconds,
        target=f"at most {at_most:g} s",
        met=spread.median <= at_most,
    )
