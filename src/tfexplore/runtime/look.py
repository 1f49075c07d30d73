"""What is here to run models with, found without importing TensorFlow: a short child process looks."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from tfexplore.errors import TensorFlowMissing
from tfexplore.runtime.process import INSTALL, RUN, environment, extra_paths, interpreter
from tfexplore.runtime.records import Options, Sandbox

SECONDS = 30.0
_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Here:
    """What an interpreter has.

    Attributes:
        python: its version.
        executable: its path.
        tensorflow: the version that is installed, None where none is.
        distribution: the name that it is installed under.
        packages: versions of what belongs with it.
        gpus: how many NVIDIA devices there are.
        driver: what their driver says of itself.
        sandbox: what would hold the child.
    """

    python: str
    executable: str
    tensorflow: str | None
    distribution: str | None
    packages: dict[str, str]
    gpus: int
    driver: str | None
    sandbox: Sandbox


def look(python: str | None = None) -> Here:
    """Looks at an interpreter, by default this one.

    Raises:
        TensorFlowMissing: it cannot be started, or is no Python 3.9 or later.
    """
    options = Options(python=python)
    path = interpreter(options)
    try:
        done = subprocess.run(
            [path, "-I", "-B", RUN, "look", *extra_paths(options)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            env=environment(options),
            cwd="/",
        )
        if done.returncode == 0:
            return _here(json.loads(done.stdout[:_LIMIT]))
        lines = done.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
        reason = lines[-1][:300] if lines else f"it ended with {done.returncode}"
    except subprocess.TimeoutExpired:
        reason = f"no answer within {SECONDS:g} s"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    except (ValueError, KeyError, TypeError):
        reason = "its answer is not that of a Python"
    raise TensorFlowMissing(f"{path} cannot be used ({reason})", kind="tensorflow_missing", hint=INSTALL)


def _here(told: dict[str, Any]) -> Here:
    held = told.pop("sandbox")
    return Here(**told, sandbox=Sandbox(held["landlock"], tuple(held["network"])))
