"""A process that damages a model again and again, and looks at it: `python -m campaign.worker FOLDER TARGET ...`.

    python worker.py FOLDER TARGET MUTATION SEED START STOP STEP

One line of JSON for each mutant, before (its number) and after (how it went). It may be killed at any of them: what it
said last tells which.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
import traceback
from pathlib import Path

from campaign.fixtures import TARGETS
from campaign.looking import look, values
from campaign.mutants import BLIND, MUTATIONS
from tfexplore.core.opener import open_model

# More than any look may take, less than the machine has.
_ADDRESS_SPACE = 6 << 30


def _memory(field: str) -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(field))


def _reset_peak() -> None:
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def main() -> None:
    """Runs one range of one campaign."""
    folder, target_name, mutation_name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    seed, start, stop, step = map(int, sys.argv[4:8])
    target, mutation = TARGETS[target_name], MUTATIONS[mutation_name]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target.write(folder)
    path = str(folder / target.opened) if target.opened else str(folder)
    good = (folder / target.file).read_bytes()
    with open_model(path) as model:
        whole = values(model) if target.values and mutation_name in BLIND else None
    if look(path, whole).verdict != "clean":  # also imports what a look needs
        sys.exit(f"{target_name} is not whole before it is damaged")
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    for number in range(start, stop, step):
        print(json.dumps({"number": number}), flush=True)
        (folder / target.file).write_bytes(mutation.make(good, number, seed))
        for file in folder.rglob("*"):
            os.utime(file, (0, 0))  # what is new may be rewritten any moment, and a value that is bad is waited for
        _reset_peak()
        before = _memory("VmRSS")
        started = time.monotonic()
        try:
            verdict, wrong = look(path, whole)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            verdict, wrong = "foreign", f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        took = time.monotonic() - started
        grown = max(0, _memory("VmHWM") - before)
        print(json.dumps({"verdict": verdict, "wrong": wrong[:300], "seconds": took, "grown": grown}), flush=True)


if __name__ == "__main__":
    main()
