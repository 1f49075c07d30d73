"""The grammar of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from tfexplore import __version__
from tfexplore.core import text
from tfexplore.errors import UsageError

COMMANDS = ("show", "tensor", "stats", "scan", "predict", "smoke", "finetune", "demo", "doctor")

OVERVIEW = """\
usage: tfexplore [PATH]                   open the explorer; without PATH, on the
                                          models found below the current folder
       tfexplore show PATH [SECTION]      print a section of a model
       tfexplore tensor PATH NAME         print one tensor: statistics and values
       tfexplore stats PATH               statistics of every tensor, NaN first
       tfexplore scan PATH                tell what a model could do to the machine
       tfexplore predict PATH             call a signature, a function or tensors
       tfexplore smoke PATH               try every signature with made-up inputs
       tfexplore finetune PATH            tune a function of the model, step by step
       tfexplore demo [DIR]               write the demo model and open it
       tfexplore doctor                   tell what is here to run models with

PATH is a SavedModel's folder, a training directory, a checkpoint's prefix, its
.index or .data file, or the checkpoint state file. Of a serving base directory
the newest version is shown, of another folder the models that lie below it.
Only predict, smoke, finetune and the explorer's Predict tab start TensorFlow, in
a process of its own. How it is run is told to the explorer as to predict: --tf-python,
--device, --threads, --memory, --import, --op-library, --trust, --timeout.

The explorer's keys and look: `tfexplore --print-config` prints a settings file
with all there is to set. --no-color, or NO_COLOR: no colours.

`tfexplore show --help` tells a command's options; ./show opens a folder called show."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; `{self.prog} --help` tells how it is used")


def _positive(value: str) -> int:
    number = int(value) if value.isascii() and value.isdigit() else -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text.visible(value)!r} is no number of rows")
    return number


def _show_parser() -> argparse.ArgumentParser:
    from tfexplore.core.sections import SECTIONS

    parser = _Parser(
        prog="tfexplore show",
        description="Prints a section of a model: one line an item, tab-separated where this is no terminal.",
        allow_abbrev=False,
    )
    parser.add_argument("path", metavar="PATH", help="the model: a folder, a checkpoint prefix or a file")
    parser.add_argument(
        "section",
        metavar="SECTION",
        nargs="?",
        default="summary",
        help=f"one of {', '.join(SECTIONS)} (default: summary)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--tag-set", metavar="TAGS", help="the MetaGraph with these tags, for instance serve,gpu")
    parser.add_argument("--function", metavar="NAME", help="a function's body in place of the main graph")
    parser.add_argument(
        "--match",
        metavar="REGEX",
        help="only items whose name, as it is printed, this finds; in the syntax of RE2: linear time, no look-around, "
        "no backreferences",
    )
    parser.add_argument(
        "--search",
        metavar="QUERY",
        help="only what fits: words of a name (any case, unless one has a capital), /regex/, op:Conv2D, "
        "dtype:float32, shape:[?,3], attr:padding=SAME",
    )
    parser.add_argument(
        "--sort", choices=("name", "size", "count"), help="an order: the largest first, names naturally"
    )
    parser.add_argument(
        "--limit", metavar="N", type=_positive, help="at most N items (default: 200 on a terminal, else all)"
    )
    parser.add_argument("--attrs", action="store_true", help="nodes with their attributes")
    parser.add_argument("--quiet", action="store_true", help="no notes on standard error")
    parser.add_argument("--no-color", action="store_true", help="no colours; NO_COLOR does the same")
    return parser


def _tensor_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tfexplore tensor",
        description="Prints one tensor: dtype, shape, place on disk, checksum, statistics and values. NAME is a "
        "checkpoint key, a variable or a constant of the graph.",
        epilog="Without --slice all values of a tensor of up to 1,000 elements, else its beginning; statistics of a "
        "tensor of up to 1 MiB. Percentiles of more than 2 million elements are told with how far they may be off. "
        "Exit code 3 where the bytes do not match their checksum: they are shown, and never saved.",
        allow_abbrev=False,
    )
    parser.add_argument("path", metavar="PATH", help="the model: a folder, a checkpoint prefix or a file")
    parser.add_argument("name", metavar="NAME", help="a checkpoint key, a variable, or a constant as x or x:0")
    parser.add_argument(
        "--slice", metavar="SLICE", help="the values to print or to save, as Python writes it: '0:4, :', --slice=-1,::2"
    )
    parser.add_argument("--stats", action="store_true", help="statistics of all values, however many there are")
    parser.add_argument("--npy", metavar="FILE", help="save the values, or the slice, for NumPy")
    parser.add_argument("--overwrite", action="store_true", help="--npy may replace a file")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--tag-set", metavar="TAGS", help="the MetaGraph with these tags, for instance serve,gpu")
    parser.add_argument("--function", metavar="NAME", help="a constant of this function's body")
    parser.add_argument("--quiet", action="store_true", help="no notes and no progress on standard error")
    return parser


def _stats_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tfexplore stats",
        description="Statistics of every checkpoint key, or of every constant of a frozen graph: least, greatest, mean "
        "and standard deviation of the finite values, zeros, NaN, infinities, checksum. Tensors with NaN come "
        "first, then those with infinities, then what is damaged.",
        epilog="Of complex numbers the magnitudes are measured; strings have no numbers (--json tells their lengths). "
        "Exit code 1 where --fail-on says so, 3 where a tensor is damaged or cannot be read.",
        allow_abbrev=False,
    )
    parser.add_argument("path", metavar="PATH", help="the model: a folder, a checkpoint prefix or a file")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--fail-on",
        metavar="WHAT",
        choices=("nan", "inf"),
        action="append",
        default=[],
        help="exit with 1 where any value is NaN (nan) or infinite (inf); may be given twice",
    )
    parser.add_argument("--match", metavar="REGEX", help="only tensors whose name this finds (RE2)")
    parser.add_argument(
        "--limit", metavar="N", type=_positive, help="print at most N tensors (default: 200 on a terminal, else all)"
    )
    parser.add_argument("--quiet", action="store_true", help="no notes and no progress on standard error")
    parser.add_argument("--no-color", action="store_true", help="no colours; NO_COLOR does the same")
    return parser


def _scan_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tfexplore scan",
        description="Tells what a model could do when it is loaded, called or saved: write and read files, reach the "
        "network, run other code, end the process. Nothing of the model is run.",
        epilog="Levels: high (writes files, network, other code, reads what the model itself names), medium (reads "
        "what an input names, foreign ops, what could not be scanned), note. Exit code 1 where --fail-on says so, "
        "else 0 whatever is found.",
        allow_abbrev=False,
    )
    parser.add_argument("path", metavar="PATH", help="the model: a folder or a file")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--fail-on",
        metavar="LEVEL",
        choices=("high", "medium", "note"),
        help="exit with 1 where something of this level (high, medium, note) or a higher one is found",
    )
    parser.add_argument("--tag-set", metavar="TAGS", help="only the MetaGraph with these tags, for instance serve,gpu")
    parser.add_argument("--match", metavar="REGEX", help="only findings whose op, path or argument this finds (RE2)")
    parser.add_argument(
        "--limit", metavar="N", type=_positive, help="at most N findings (default: 200 on a terminal, else all)"
    )
    parser.add_argument("--quiet", action="store_true", help="no notes on standard error")
    parser.add_argument("--no-color", action="store_true", help="no colours; NO_COLOR does the same")
    return parser


def _demo_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tfexplore demo",
        description="Writes the packaged demo model and its checkpoints to DIR and opens the explorer on the model.",
        allow_abbrev=False,
    )
    parser.add_argument("directory", metavar="DIR", nargs="?", help="where to (default: a temporary folder)")
    parser.add_argument("--quiet", action="store_true", help="no notes on standard error")
    return parser


def _doctor_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tfexplore doctor",
        description="Tells what is here: TensorFlow, its interpreter, the sandbox, GPUs, the terminal, the clipboard.",
        allow_abbrev=False,
    )
    parser.add_argument("--tf-python", metavar="PYTHON", help="the interpreter that has TensorFlow (default: this one)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _predict_parser() -> argparse.ArgumentParser:
    from tfexplore.cli.run_parsers import add_predict

    parser = _Parser(
        prog="tfexplore predict",
        description="Calls a signature, a function of the object graph, or tensors by name. The model "
        "runs in a process of its own, in a sandbox: it reads its own files, writes nothing and has no network.",
        epilog="Exit codes: 1 where --expect differs or the model is not trusted, 2 wrong usage, 3 the model cannot be "
        "read, 4 TensorFlow failed.",
        allow_abbrev=False,
    )
    add_predict(parser)
    return parser


def _smoke_parser() -> argparse.ArgumentParser:
    from tfexplore.cli.run_parsers import add_smoke

    parser = _Parser(
        prog="tfexplore smoke",
        description="Makes inputs for every signature by itself, calls each, and tells which ran: status, latency, "
        "outputs, NaN. One line a signature.",
        epilog="Exit code 1 where a signature failed or gave NaN.",
        allow_abbrev=False,
    )
    add_smoke(parser)
    return parser


def _finetune_parser() -> argparse.ArgumentParser:
    from tfexplore.cli.run_parsers import add_finetune

    parser = _Parser(
        prog="tfexplore finetune",
        description="Takes steps of an optimizer on a function of the model and prints loss and gradient norm of each. "
        "The model's own files stay as they are; the model runs in a process of its own, in a sandbox.",
        epilog="Exit codes: 1 where a loss or gradient is NaN or the model is not trusted, 2 wrong usage, 3 the model "
        "cannot be read, 4 TensorFlow failed, 130 stopped by Ctrl-C.",
        allow_abbrev=False,
    )
    add_finetune(parser)
    return parser


def _explore_parser() -> argparse.ArgumentParser:
    from tfexplore.cli.run_parsers import add_child_options

    parser = _Parser(prog="tfexplore", add_help=False, allow_abbrev=False)
    parser.add_argument("path", metavar="PATH", nargs="?")
    add_child_options(parser)
    parser.add_argument("--no-color", action="store_true")
    parser.add_argument("--print-config", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", action="version", version=f"tfexplore {__version__}")
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of one command; `command` names it.

    Raises:
        UsageError: the words fit no command.
        SystemExit: for `--help` and `--version`, after printing.
    """
    if arguments and arguments[0] in COMMANDS:
        command = arguments[0]
        makers = {
            "show": _show_parser,
            "tensor": _tensor_parser,
            "stats": _stats_parser,
            "scan": _scan_parser,
            "predict": _predict_parser,
            "smoke": _smoke_parser,
            "finetune": _finetune_parser,
            "demo": _demo_parser,
            "doctor": _doctor_parser,
        }
        options = makers[command]().parse_args(arguments[1:])
        options.command = command
        return options
    options = _explore_parser().parse_args(arguments)
    if options.help:
        options.command = "help"
        return options
    options.command = "explore"
    return options
