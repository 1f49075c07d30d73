"""Runs campaigns in processes of their own, and adds up how they went."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaign.fixtures import TARGETS
from campaign.mutants import MUTATIONS

# The deadline of a hang; what is reported as slow is the longest look.
HANG_SECONDS = 10.0
_START_SECONDS = 60.0
MEMORY = 256 << 20
WORKER = ["-m", "campaign.worker"]
_TESTS = Path(__file__).resolve().parent.parent


@dataclass
class Result:
    """How the mutants of one campaign went.

    Attributes:
        clean, told, refused: how many opened without a word, with one, or were refused in one sentence.
        failures: what must not be: crashes, hangs, exceptions that are not ours, wrong values called good, too much
            memory; each with the number of its mutant.
        slowest: seconds.
        grown: bytes above what the process held before, at most.
    """

    target: str
    mutation: str
    mutants: int = 0
    clean: int = 0
    told: int = 0
    refused: int = 0
    slowest: float = 0.0
    grown: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, number: int, line: dict[str, Any]) -> None:
        """One mutant's outcome."""
        self.mutants += 1
        self.slowest = max(self.slowest, line["seconds"])
        self.grown = max(self.grown, line["grown"])
        if line["wrong"]:
            self.failures.append(f"{number}: {line['wrong']}")
        elif line["grown"] > MEMORY:
            self.failures.append(f"{number}: {line['grown'] >> 20} MiB above the baseline")
        elif line["verdict"] in ("clean", "told", "refused"):
            setattr(self, line["verdict"], getattr(self, line["verdict"]) + 1)


def campaigns() -> Iterator[tuple[str, str]]:
    """Every target with every kind of damage that is done to it."""
    for name, target in TARGETS.items():
        for mutation in target.mutations:
            yield name, mutation


def size_of(target: str, folder: Path) -> int:
    """The bytes of the file that is damaged."""
    TARGETS[target].write(folder)
    return (folder / TARGETS[target].file).stat().st_size


def run(target: str, mutation: str, folder: Path, *, seed: int, count: int, step: int = 1) -> Result:
    """Runs mutants 0, `step`, 2 `step`, … below `count` of one campaign; of an exhaustive one at most each byte."""
    result = Result(target, mutation)
    if MUTATIONS[mutation].exhaustive:
        count = min(count, size_of(target, folder / "size"))
    start = 0
    while start < count:
        start = _process(result, folder, seed, start, count, step)
    return result


def _process(result: Result, folder: Path, seed: int, start: int, stop: int, step: int) -> int:
    """Runs one process as far as it comes; where the next has to begin."""
    command = [sys.executable, *WORKER, str(folder / "model"), result.target, result.mutation]
    path = os.pathsep.join([str(_TESTS.parent / "src"), str(_TESTS)])
    process = subprocess.Popen(
        [*command, *map(str, (seed, start, stop, step))],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
    )
    number: int | None = None
    try:
        for line in _lines(process):
            if "number" in line:
                number = line["number"]
            else:
                assert number is not None
                result.add(number, line)
                start, number = number + step, None
        code = process.wait(HANG_SECONDS)
    except (TimeoutError, subprocess.TimeoutExpired):
        result.failures.append(f"{number}: hangs")
        result.mutants += 1
        return (start if number is None else number) + step
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    if code == 0:
        return stop
    result.failures.append(f"{number}: the process ended with {code}")
    result.mutants += 1
    return (start if number is None else number) + step


def _lines(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """The lines that a worker writes.

    Raises:
        TimeoutError: none came for too long.
    """
    assert process.stdout is not None
    pending = b""
    deadline = time.monotonic() + _START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            part = os.read(process.stdout.fileno(), 65536)
            if not part:
                return
            *whole, pending = (pending + part).split(b"\n")
            yield from map(json.loads, whole)
            deadline = time.monotonic() + HANG_SECONDS


def table(results: list[Result]) -> str:
    """The results as a Markdown table, with what failed below it."""
    head = ("damaged", "how", "mutants", "refused", "told", "clean", "failures", "slowest", "memory")
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * (len(head) - 2)]
    for found in results:
        cells = (found.target, found.mutation, f"{found.mutants:,}", f"{found.refused:,}", f"{found.told:,}",
                 f"{found.clean:,}", str(len(found.failures)), f"{found.slowest:.2f} s",
                 f"{found.grown / 2**20:.0f} MiB")  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    total = (sum(found.mutants for found in results), sum(len(found.failures) for found in results))
    lines += ["", f"{total[0]:,} mutants, {total[1]:,} failures"]
    lines += [f"- {found.target}, {found.mutation}, {failure}" for found in results for failure in found.failures[:20]]
    return "\n".join(lines)
