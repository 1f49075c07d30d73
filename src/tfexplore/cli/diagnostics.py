"""What goes to standard error, and the exit codes; nothing else writes there.

0 done · 1 the check found something · 2 wrong usage · 3 the model cannot be read ·
4 TensorFlow failed · 70 tfexplore itself failed · 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tfexplore.core import text
from tfexplore.errors import Cancelled, ModelError, RuntimeFailed, TfexploreError, UsageError

DONE = 0
WRONG_USAGE = 2
CANNOT_READ = 3
RUN_FAILED = 4
FAILED = 70
INTERRUPTED = 130


class Outcome:
    """The exit code of the command that runs."""

    def __init__(self) -> None:
        self.code = DONE


def note(message: str, *, quiet: bool = False) -> None:
    """A sentence for the person, made visible; nothing with `--quiet`."""
    if not quiet:
        _write(f"tfexplore: {text.visible(message)}")


def error(message: str) -> None:
    """An error's one sentence."""
    _write(f"tfexplore: error: {text.visible(message)}")


def _write(line: str) -> None:
    # A standard error that is closed or full changes nothing about the exit code.
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass


def redraw(line: str) -> None:
    """A line that is drawn over again, without an end."""
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass


@contextmanager
def exit_codes() -> Iterator[Outcome]:
    """Turns the errors of a command into a sentence and an exit code."""
    outcome = Outcome()
    if sys.stdout is None:  # closed by the caller (`1>&-`)
        error("standard output is closed")
        outcome.code = WRONG_USAGE
        sys.exit(outcome.code)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal whose encoding has no `·`
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield outcome
        sys.stdout.flush()
    except UsageError as found:
        error(str(found))
        outcome.code = WRONG_USAGE
    except ModelError as found:
        error(str(found))
        outcome.code = CANNOT_READ
    except RuntimeFailed as found:
        error(str(found))
        outcome.code = RUN_FAILED
    except (Cancelled, KeyboardInterrupt):
        outcome.code = INTERRUPTED
    except TfexploreError as found:
        error(str(found))
        outcome.code = FAILED
    except BrokenPipeError:
        # The reader of a pipe went away (`| head`): what follows has nowhere to go, also at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as found:
        what = "the output cannot be written" if found.filename is None else f"{found.filename} cannot be used"
        error(f"{what}: {(found.strerror or type(found).__name__).lower()}")
        outcome.code = FAILED
    except MemoryError:
        error("there is not enough memory for this")
        outcome.code = FAILED
    except Exception as found:
        if os.environ.get("TFEXPLORE_DEBUG"):
            raise
        error(f"tfexplore itself failed, {type(found).__name__}: {found}; TFEXPLORE_DEBUG=1 shows where")
        outcome.code = FAILED
