"""An export that is killed at any moment leaves what was there whole, or the new folder whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from core.exporting import files_of, write_model
from tfexplore.core.export import export
from tfexplore.core.opener import open_model

REPOSITORY = Path(__file__).resolve().parents[2]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{REPOSITORY / 'tests'}"}


@pytest.mark.parametrize(
    ("mode", "stages"),
    [
        ("fresh", ["nothing", "new"]),
        ("overwrite", ["old", "new"]),
        # The file system cannot exchange two names: for one moment the old folder stands aside, whole.
        ("without exchange", ["old", "aside", "new"]),
    ],
)
def test_killed_before_each_of_its_calls(tmp_path: Path, mode: str, stages: list[str]) -> None:
    write_model(tmp_path / "model")
    command = [sys.executable, "-m", "core.killed_exports", str(tmp_path), mode]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    *found, last = done.stdout.split("\n")[:-1]
    assert last == "finished"
    assert [stage for stage, _ in groupby(found)] == stages
    assert len(found) > 40


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """By a signal from outside, each time a little later, while a larger model replaces an older export."""
    source = write_model(tmp_path / "model")
    rng = np.random.default_rng(3)
    for number in range(40):
        (source / "assets" / f"part-{number}").write_bytes(rng.bytes(200_000))
    with open_model(str(source)) as model:
        export(model, {}, str(tmp_path / "new"))
        old = files_of(tmp_path / "new")
        weights = np.full((2, 3), 7, np.float32)
        export(model, {"w": weights}, str(tmp_path / "wanted"))
    new = files_of(tmp_path / "wanted")
    script = (
        "import sys, numpy as np\n"
        "from tfexplore.core.export import export\n"
        "from tfexplore.core.opener import open_model\n"
        "model = open_model(sys.argv[1])\n"
        "print('started', flush=True)\n"
        "export(model, {'w': np.full((2, 3), 7, np.float32)}, sys.argv[2], overwrite=True)\n"
    )
    killed = 0
    for number in range(12):
        command = [sys.executable, "-c", script, str(source), str(tmp_path / "new")]
        with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            timer = threading.Timer(0.004 * number, process.kill)
            timer.start()
            code = process.wait(timeout=60)
            timer.cancel()
        killed += code == -signal.SIGKILL
        assert code in (0, -signal.SIGKILL)
        found = files_of(tmp_path / "new")
        assert found in (old, new)
        if code == 0:
            assert found == new
    assert killed
