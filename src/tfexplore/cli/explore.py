"""`tfexplore [PATH]`: opens the explorer, in a process of its own that the guard watches."""

from __future__ import annotations

import argparse
import os

from tfexplore import guard
from tfexplore.errors import UsageError


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code of the screen.

    Raises:
        UsageError: standard input or output is no terminal, or the current folder is gone.
    """
    if options.path is not None:
        return open_explorer(options.path)
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError("the current folder is no longer there; go to another one, or give a PATH") from error
    return open_explorer(os.curdir, as_collection=True)


def open_explorer(path: str, *, as_collection: bool = False) -> int:
    """Opens the explorer on a path, or on the list of the models below it; returns its exit code."""

    def screen() -> int:
        # The one way from here into the user interface: only the screen process pays for Textual.
        from tfexplore.tui.app import run_app

        return run_app(path, as_collection=as_collection)

    return guard.run(screen)
