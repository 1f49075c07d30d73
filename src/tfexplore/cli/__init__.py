"""The command line: `tfexplore [COMMAND] PATH [options]`.

Importing this package costs next to nothing; each command imports what it needs.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code (see `diagnostics`)."""
    from tfexplore.cli import diagnostics

    with diagnostics.exit_codes() as outcome:
        arguments = list(sys.argv[1:] if argv is None else argv)
        outcome.code = _run(arguments)
    return outcome.code


def _run(arguments: list[str]) -> int:
    from tfexplore.cli import parser

    options = parser.parse(arguments)
    if options.command == "help":
        from tfexplore.cli import output

        output.write(parser.OVERVIEW)
        return 0
    if options.command == "show":
        from tfexplore.cli import show

        return show.run(options)
    if options.command == "tensor":
        from tfexplore.cli import tensor

        return tensor.run(options)
    if options.command == "stats":
        from tfexplore.cli import stats

        return stats.run(options)
    if options.command == "scan":
        from tfexplore.cli import scan

        return scan.run(options)
    if options.command == "predict":
        from tfexplore.cli import predict

        return predict.run(options)
    if options.command == "smoke":
        from tfexplore.cli import smoke

        return smoke.run(options)
    if options.command == "finetune":
        from tfexplore.cli import finetune

        return finetune.run(options)
    if options.command == "demo":
        from tfexplore.cli import demo

        return demo.run(options)
    if options.command == "doctor":
        from tfexplore.cli import doctor

        return doctor.run(options)
    from tfexplore.cli import explore

    return explore.run(options)


def script() -> NoReturn:
    """The `tfexplore` command: runs `main` and ends the process.

    Ends it without tearing the interpreter down, which takes as long as reading a small model.
    The screen process leaves by SystemExit and never comes here.
    """
    import os

    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or 1
    os._exit(code)
