"""`tfexplore [PATH]`: opens the explorer, in a process of its own that the guard watches."""

from __future__ import annotations

import argparse
import os

from tfexplore import guard
from tfexplore.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tfexplore.loader.run_options import RunOptions


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code of the screen. With --print-config, prints and opens nothing.

    Raises:
        UsageError: standard input or output is no terminal, or the current folder is gone.
    """
    if options.print_config:
        from tfexplore.cli import output
        from tfexplore.tui.app import print_config

        output.write(print_config())
        return 0
    if options.path is not None:
        return open_explorer(options.path, options)
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError("the current folder is no longer there; go to another one, or give a PATH") from error
    return open_explorer(os.curdir, options, as_collection=True)


def open_explorer(path: str, options: argparse.Namespace | None = None, *, as_collection: bool = False) -> int:
    """Opens the explorer on a path, or on the list of the models below it; returns its exit code.

    Args:
        path: what is opened.
        options: how models are run, as `run_parsers.add_child_options` has them; None for the defaults.
        as_collection: shows the models in and below the path.
    """

    def screen() -> int:
        # The one way from here into the user interface: only the screen process pays for Textual.
        from tfexplore.tui.app import run_app

        no_color = getattr(options, "no_color", False)
        return run_app(path, as_collection=as_collection, options=_run_options(options), no_color=no_color)

    return guard.run(screen)


def _run_options(options: argparse.Namespace | None) -> RunOptions | None:
    """How models are run; what that needs is not imported before the first run where nobody said anything."""
    if options is None:
        return None
    from tfexplore.loader.run_options import RunOptions

    said = (options.tf_python, options.threads, options.memory, *options.imports, *options.op_libraries)
    child = None
    if options.device != "cpu" or any(said):
        from tfexplore.cli.running import child_options

        child = child_options(options)
    return RunOptions(child, options.trust, options.timeout)
