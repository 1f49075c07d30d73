"""`tfexplore PATH`: opens the explorer, in a process of its own that the guard watches."""

from __future__ import annotations

import argparse

from tfexplore import guard


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code of the screen.

    Raises:
        UsageError: standard input or output is no terminal.
    """
    return open_explorer(options.path)


def open_explorer(path: str) -> int:
    """Opens the explorer on a path; returns its exit code."""

    def screen() -> int:
        # The one way from here into the user interface: only the screen process pays for Textual.
        from tfexplore.tui.app import run_app

        return run_app(path)

    return guard.run(screen)
