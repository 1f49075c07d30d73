"""Exports that are killed before the first, the second, … of their calls that change anything; says what is left.

Run by `test_export_killed.py` in a process of its own: it forks.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from core.exporting import ROWS, WEIGHTS, files_of
from tfexplore.core import new_folder
from tfexplore.core.export import export
from tfexplore.core.opener import open_model

CALLS = ("mkdir", "open", "write", "fsync", "rename", "unlink", "rmdir")
OLD, NEW = {"w": WEIGHTS + 1}, {"w": WEIGHTS * 2, "rows": ROWS - 1}


def run(source: Path, target: Path, values: dict[str, Any], overwrite: bool) -> None:
    with open_model(str(source)) as model:
        export(model, values, str(target), overwrite=overwrite)


def kill_before(number: int, exchange: bool) -> None:
    """Lets this process die at its call of that number."""
    left = number

    def counted(real: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return call

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    new_folder._rename = counted(new_folder._rename if exchange else lambda *_: False)


def main(folder: Path, mode: str) -> None:
    """Prints what was found under the target's name after each death, then how often it was asked to die."""
    source, target = folder / "model", folder / "new"
    overwrite, exchange = mode != "fresh", mode != "without exchange"
    run(source, folder / "old", OLD, False)
    run(source, folder / "done", NEW, False)
    old, new, model = files_of(folder / "old"), files_of(folder / "done"), files_of(source)
    for number in range(1000):
        if overwrite:
            shutil.copytree(folder / "old", target)
        child = os.fork()
        if not child:
            kill_before(number, exchange)
            run(source, target, NEW, overwrite)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        assert files_of(source) == model
        aside = [path for path in folder.iterdir() if path.name.endswith("-old")]
        if target.exists():
            found = "old" if files_of(target) == old else "new" if files_of(target) == new else "neither"
        elif aside:
            found = "aside" if files_of(aside[0]) == old else "neither"
        else:
            found = "nothing"
        print(found)
        for path in (target, *folder.glob(".new.tfexplore-*")):
            if path.exists():
                shutil.rmtree(path)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            print("finished")
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
