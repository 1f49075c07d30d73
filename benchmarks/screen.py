"""What the Fine-tune tab's screen costs a training: the same run in the tab on a terminal, and without a screen."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import programs
from measure import Spread, Unmeasured, pairs
from report import Row, Table
from terminal import DEADLINE_SECONDS, Terminal, running

from tfexplore.demo import FOLDER

RUNS = 5
LEAST, MOST = 0.98, 0.02
DENSE, DEMO = "a dense model of 4.9 M parameters, batch 32", "the demo's head, batch 32"
STEPS = {DENSE: 1_500, DEMO: 30_000}
_START_SECONDS = 300.0


def measure(runs: int, *, quick: bool) -> Table:
    """Measures second runs, when all is compiled, in turn."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what in (DEMO,) if quick else (DENSE, DEMO):
            model = FOLDER / "ranker" if what == DEMO else folder / "dense"
            if what == DENSE:
                _ran([sys.executable, str(_beside("screen_steps.py")), "write", str(folder)])
            steps = STEPS[what]
            found = pairs(partial(_in_tab, model, steps, folder), partial(_without, model, steps), runs)
            compared = Spread.of(ours / theirs for (ours, _), theirs in found)
            rows.append(
                Row(
                    what=what,
                    ours=Spread.of(ours for (ours, _), _ in found),
                    theirs=Spread.of(theirs for _, theirs in found),
                    show=lambda value: f"{value:,.1f} steps/s",
                    compared=compared,
                    show_compared=lambda value: f"{value:.3f}×",
                    target=f"at least {LEAST}×",
                    met=compared.median >= LEAST,
                )
            )
            shares = Spread.of(share for (_, share), _ in found)
            rows.append(
                Row(
                    what=f"{what}: the explorer's processor time by the run's time",
                    ours=shares,
                    show=lambda value: f"{100 * value:.2f} %",
                    target=f"under {100 * MOST:.0f} %",
                    met=shares.median < MOST,
                )
            )
    return Table(
        sentence="Steps a second of what the Fine-tune tab's form holds at first: in the tab, on a terminal of 120 "
        "columns and 40 rows that is read at once, and by the same loader without a screen.",
        runs=runs,
        ours="in the tab",
        theirs="without a screen",
        comparison="ours ÷ theirs",
        rows=rows,
    )


def _beside(name: str) -> Path:
    return Path(__file__).with_name(name)


def _environment() -> dict[str, str]:
    return {**programs.environment(), "PYTHONPATH": str(programs.SOURCES), "TERM": "xterm-256color"}


def _ran(words: list[str]) -> str:
    ran = subprocess.run(words, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Unmeasured(f"{' '.join(words[1:3])}: {last}")
    return ran.stdout


def _without(model: Path, steps: int) -> float:
    words = [sys.executable, str(_beside("screen_steps.py")), "run", str(model), str(steps)]
    return steps / float(_ran(words).split()[-1])


def _in_tab(model: Path, steps: int, folder: Path) -> tuple[float, float]:
    """Steps a second, and the explorer's processor time as a part of the run's time."""
    notes = folder / "notes"
    notes.write_text("")
    words = [sys.executable, str(_beside("screen_app.py")), str(model), str(steps), str(notes)]
    with running(words, _environment(), columns=120, rows=40) as terminal:
        terminal.until("Explore")
        terminal.type("3")
        terminal.until("optimizer")
        for count in (1, 2):
            terminal.type("\x12")
            _until(terminal, lambda count=count: len(notes.read_text().splitlines()) == count)
        terminal.type("q")
    done, seconds, processor = notes.read_text().splitlines()[-1].split()
    if int(done) != steps:
        raise Unmeasured(f"{done} steps were taken, not {steps}")
    return steps / float(seconds), float(processor) / float(seconds)


def _until(terminal: Terminal, happened: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + DEADLINE_SECONDS + _START_SECONDS
    while not happened():
        if time.perf_counter() > deadline:
            raise Unmeasured("the run does not end")
        terminal.read(0.1)


if __name__ == "__main__":
    import report

    print("\n".join(report.lines("screen", measure(RUNS, quick="--quick" in sys.argv))))
