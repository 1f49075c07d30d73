"""Runs a few lines of Python in a process of its own, which may neither hang nor grow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tfexplore import __file__ as package

# The deadline of a hang: what is asked for here takes far below a second.
DEADLINE = 20
MEGABYTE = 1 << 20

_MEASURE = """
# Not ru_maxrss: that goes on from the parent's, which may hold TensorFlow.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) * 1024)
"""


def peak_memory(code: str, *arguments: object) -> int:
    """The most memory in bytes that `code` ever held; its `sys.argv[1:]` are the arguments.

    Raises:
        subprocess.TimeoutExpired: it took longer than the deadline.
        AssertionError: it failed; the message is its standard error.
    """
    source = Path(package).resolve().parent.parent
    tests = Path(__file__).resolve().parent.parent
    found = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{_MEASURE}", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{tests}", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    return int(found.stdout.split()[-1])
