"""`import tfexplore.cli` against an interpreter that does nothing."""

from __future__ import annotations

import sys
from functools import partial

import programs
from measure import Spread, pairs, run
from report import Row, Table, fine_seconds

RUNS = 30
ALLOWED_SECONDS = 0.030
_IMPORTS = (
    ("`import tfexplore.cli`", "import tfexplore.cli", ALLOWED_SECONDS),
    ("what `show` needs before it opens a model", "import tfexplore.cli.parser, tfexplore.cli.show", None),
)


def measure(runs: int, *, quick: bool) -> Table:
    """Measures both, with the same options and the same search path; `quick` changes nothing."""
    environment = programs.environment()
    # Isolated, so the folder is named in the program: it works whether tfexplore is installed here or not.
    start = [sys.executable, "-I", "-X", "frozen_modules=on", "-c"]
    path = f"import sys; sys.path.insert(0, {str(programs.SOURCES)!r})"
    bare = [*start, f"{path}; pass"]
    rows = []
    for what, statement, allowed in _IMPORTS:
        quiet = partial(run, environment=environment, silent=True)
        ours = [*start, f"{path}; {statement}"]
        found = pairs(partial(quiet, ours), partial(quiet, bare), runs)
        compared = Spread.of(a.wall - b.wall for a, b in found)
        rows.append(
            Row(
                what=what,
                ours=Spread.of(a.wall for a, _ in found),
                theirs=Spread.of(b.wall for _, b in found),
                show=fine_seconds,
                compared=compared,
                show_compared=fine_seconds,
                target=None if allowed is None else f"at most {fine_seconds(allowed)} more",
                met=None if allowed is None else compared.median <= allowed,
            )
        )
    return Table(
        sentence="What importing costs beyond Python itself: wall time of `python -I -X frozen_modules=on -c …`.",
        runs=runs,
        ours="with the import",
        theirs="`pass`",
        comparison="ours − theirs",
        rows=rows,
    )
