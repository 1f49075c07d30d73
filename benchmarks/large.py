"""A million checkpoint keys against TensorFlow's own listing and the demo, a million graph nodes against their file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import large_models
import programs
from first_frame import frames
from measure import Spread, Unmeasured, alone, pairs, run
from report import Row, Table, seconds, size, times

RUNS = 5
FASTER = 4
SMALLER = 3
LATER_AT_MOST = 0.25
FIRST_SCREEN_AT_MOST = 2.0
TIMES_THE_FILE = 4


def measure(runs: int, *, quick: bool) -> Table:
    """Measures listing and first screens; `quick` changes nothing."""
    environment = programs.environment()
    checkpoint, saved_model = large_models.checkpoint(), large_models.saved_model()
    rows = _listing(checkpoint, environment, runs)
    with tempfile.TemporaryDirectory() as home:
        # No configuration and no state of the user's.
        own = {f"XDG_{name}_HOME": os.path.join(home, name.lower()) for name in ("CACHE", "CONFIG", "DATA", "STATE")}
        rows += _screens(checkpoint, saved_model, environment | own, runs)
    return Table(
        sentence="Whole processes, files in the page cache; screens on an 80×24 pty until the tree's entry is drawn.",
        runs=runs,
        ours="`tfexplore`",
        theirs="the other",
        comparison="compared",
        rows=rows,
    )


def _listing(checkpoint: Path, environment: dict[str, str], runs: int) -> list[Row]:
    ours = [*programs.tfexplore(), "show", str(checkpoint), "keys", "--json"]
    theirs = [sys.executable, str(programs.HERE / "list_keys.py"), str(checkpoint)]
    found = pairs(partial(run, ours, environment), partial(run, theirs, environment), runs)
    rows = []
    for field, what, show, least in (
        ("wall", "wall time", seconds, FASTER),
        ("memory", "peak memory", size, SMALLER),
    ):
        couples = [(getattr(a, field), getattr(b, field)) for a, b in found]
        compared = Spread.of(b / a for a, b in couples)
        rows.append(
            Row(
                what=f"`show keys --json`, {what}; the other: TensorFlow lists them",
                ours=Spread.of(a for a, _ in couples),
                theirs=Spread.of(b for _, b in couples),
                show=show,
                compared=compared,
                show_compared=times,
                target=f"at least {least}×",
                met=compared.median >= least,
            )
        )
    return rows


@dataclass(frozen=True, slots=True)
class _Screen:
    """Seconds until the tree stands, and the resident memory of the screen process then, in bytes."""

    tree: float
    memory: int


def _screen(path: Path, label: str, environment: dict[str, str]) -> _Screen:
    memory: list[int] = []
    command: Sequence[str] = [*programs.tfexplore(), str(path)]
    found = frames(command, environment, label, lambda process: memory.append(_resident(process)))
    return _Screen(found.tree, memory[0])


def _screens(checkpoint: Path, saved_model: Path, environment: dict[str, str], runs: int) -> list[Row]:
    demo = programs.DEMO / "training"
    couples = pairs(
        partial(_screen, checkpoint, "Keys", environment), partial(_screen, demo, "Keys", environment), runs
    )
    later = Spread.of(a.tree - b.tree for a, b in couples)
    nodes = alone(partial(_screen, saved_model, "1,000,000 nodes", environment), runs)
    tree = Spread.of(screen.tree for screen in nodes)
    file = os.stat(saved_model / "saved_model.pb").st_size
    held = Spread.of(screen.memory for screen in nodes)
    share = Spread.of(screen.memory / file for screen in nodes)
    return [
        Row(
            what="first screen, a million keys; the other: the demo's training directory",
            ours=Spread.of(a.tree for a, _ in couples),
            theirs=Spread.of(b.tree for _, b in couples),
            show=seconds,
            compared=later,
            show_compared=lambda value: f"{value * 1000:+.0f} ms",
            target=f"at most {LATER_AT_MOST * 1000:+.0f} ms",
            met=later.median <= LATER_AT_MOST,
        ),
        Row(
            what="first screen, a million nodes",
            ours=tree,
            show=seconds,
            theirs=tree,
            compared=tree,
            show_compared=seconds,
            target=f"at most {FIRST_SCREEN_AT_MOST:.0f} s",
            met=tree.median <= FIRST_SCREEN_AT_MOST,
        ),
        Row(
            what="resident memory at that screen; the other: the file",
            ours=held,
            theirs=Spread.of([file]),
            show=size,
            compared=share,
            show_compared=times,
            target=f"at most {TIMES_THE_FILE}×",
            met=share.median <= TIMES_THE_FILE,
        ),
    ]


def _resident(process: int) -> int:
    """The peak resident memory so far of a process and those below it, in bytes.

    Raises:
        Unmeasured: this system does not tell.
    """
    total = 0
    waiting = [process]
    try:
        while waiting:
            number = waiting.pop()
            status = Path(f"/proc/{number}/status").read_text(encoding="ascii", errors="replace")
            total += 1024 * int(status.partition("VmHWM:")[2].split()[0])
            waiting += map(int, Path(f"/proc/{number}/task/{number}/children").read_text(encoding="ascii").split())
    except (OSError, ValueError, IndexError) as error:
        raise Unmeasured("this system does not tell a process's memory") from error
    return total
