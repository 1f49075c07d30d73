"""The programs that are measured, and the environment that they get."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from measure import Unmeasured

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent / "src"
DEMO = SOURCES / "tfexplore" / "demo"

# Beside the interpreter, not beside what its link leads to: an environment's scripts lie there.
_SCRIPTS = Path(sys.executable).parent
_DROPPED = ("PYTHON", "TEXTUAL", "TF_", "XDG_", "LC_", "LANG")
_DROPPED_NAMES = {"COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM_PROGRAM"}


def environment() -> dict[str, str]:
    """This process's environment without what changes how Python, Textual or TensorFlow behave."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_DROPPED) and name not in _DROPPED_NAMES
    }
    kept |= {"LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
    if not installed():
        kept["PYTHONPATH"] = str(SOURCES)
    return kept


def installed() -> bool:
    """Whether tfexplore's console script lies beside this interpreter; else `python -m tfexplore` stands in."""
    return (_SCRIPTS / "tfexplore").is_file()


def tfexplore() -> list[str]:
    """The command that starts tfexplore."""
    return [str(_SCRIPTS / "tfexplore")] if installed() else [sys.executable, "-m", "tfexplore"]


def saved_model_cli() -> list[str]:
    """The command that starts TensorFlow's own tool.

    Raises:
        Unmeasured: TensorFlow is not installed here.
    """
    script = _SCRIPTS / "saved_model_cli"
    if not script.is_file():
        raise Unmeasured("there is no saved_model_cli beside this Python: install TensorFlow here")
    return [str(script)]
