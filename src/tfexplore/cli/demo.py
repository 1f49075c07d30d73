"""`tfexplore demo [DIR]`: writes the packaged demo model and opens it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

from tfexplore import demo
from tfexplore.cli import diagnostics, output


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code of the explorer, or 0 where there is no terminal.

    Raises:
        UsageError: DIR holds other files of the same names.
    """
    target = options.directory or os.path.join(tempfile.mkdtemp(prefix="tfexplore-demo-"), "demo")
    demo.copy_to(target)
    model = os.path.join(target, "ranker")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        output.write(f"A ranking model (SavedModel), its training directory and labelled rows lie in {target}")
        output.write(f"Open it in a terminal: tfexplore {model}")
        output.write(f"Its checkpoints:       tfexplore {os.path.join(target, 'training')}")
        output.write(f"Without a terminal:    tfexplore show {model}")
        return diagnostics.DONE
    from tfexplore.cli import explore

    code = explore.open_explorer(model)
    diagnostics.note(f"the demo model lies in {target}", quiet=options.quiet)
    return code
