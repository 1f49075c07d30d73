"""The report: what was measured, as Markdown tables."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from measure import Spread

_PACKAGES = ("tfexplore", "textual", "protobuf", "numpy", "tensorflow-cpu", "tensorflow", "keras")


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: ours and theirs, and how they compare pair by pair.

    `show` writes a figure of ours or theirs, `show_compared` one of the comparison. `met` tells whether the median
    reaches the target; both are None where there is none.
    """

    what: str
    ours: Spread
    show: Callable[[float], str]
    theirs: Spread | None = None
    compared: Spread | None = None
    show_compared: Callable[[float], str] = str
    target: str | None = None
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """What one benchmark found: a sentence that says what was measured, the two sides, how they are compared."""

    sentence: str
    runs: int
    ours: str
    rows: list[Row]
    theirs: str | None = None
    comparison: str = ""


def seconds(value: float) -> str:
    """Seconds, in milliseconds below one."""
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def fine_seconds(value: float) -> str:
    """A short time or a small difference of times, in milliseconds with one decimal."""
    return f"{value * 1000:.1f} ms"


def count(value: float) -> str:
    """A number of bytes."""
    return f"{value:,.0f} B"


def size(value: float) -> str:
    """Bytes, in MiB."""
    return f"{value / 2**20:.1f} MiB"


def times(value: float) -> str:
    """A ratio."""
    return f"{value:.1f}×" if value >= 10 else f"{value:.2f}×"


def machine() -> str:
    """One line about the machine and the versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = [_processor(), f"{cores} cores", f"{platform.system()} {platform.release()}"]
    facts.append(f"{platform.python_implementation()} {platform.python_version()}")
    for name in _PACKAGES:
        try:
            facts.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    facts.append(f"load {os.getloadavg()[0]:.1f}")
    return " · ".join(facts)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def lines(name: str, table: Table) -> Iterator[str]:
    """A benchmark's part of the report."""
    yield f"## {name}"
    yield ""
    runs = "One run." if table.runs == 1 else f"Medians of {table.runs} runs, in brackets the least and the greatest."
    yield f"{table.sentence} {runs}"
    yield ""
    head = ["", table.ours]
    if table.theirs is not None:
        head += [table.theirs, f"{table.comparison}, pair by pair"]
    has_targets = table.theirs is not None or any(row.target for row in table.rows)
    if has_targets:
        head += ["target", ""]
    yield _line(head)
    yield _line(["---"] + ["---:"] * (len(head) - 1))
    for row in table.rows:
        cells = [row.what, _spread(row.ours, row.show)]
        if table.theirs is not None:
            cells += [_spread(row.theirs, row.show), _spread(row.compared, row.show_compared)]
        if has_targets:
            cells += [row.target or "–", "" if row.met is None else ("met" if row.met else "**missed**")]
        yield _line(cells)
    yield ""


def _spread(spread: Spread | None, show: Callable[[float], str]) -> str:
    if spread is None:
        return "–"
    if spread.least == spread.greatest:
        return show(spread.median)
    return f"{show(spread.median)} [{show(spread.least)} … {show(spread.greatest)}]"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
