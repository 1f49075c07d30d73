"""The options of the commands that run a model."""

from __future__ import annotations

import argparse
import re

from tfexplore.core import text

_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def seconds(value: str) -> float:
    """A time in seconds, more than zero."""
    try:
        found = float(value)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e9:
        raise argparse.ArgumentTypeError(f"{text.visible(value)!r} is no time in seconds")
    return found


def nbytes(value: str) -> int:
    """A size: bytes, or with K, M, G or T."""
    found = re.fullmatch(r"(\d{1,12})(?:\.(\d{1,3}))?([kmgt]?)i?b?", value.lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text.visible(value)!r} is no size; write 4G or 500M")
    return int(float(f"{found[1]}.{found[2] or 0}") * _SIZES[found[3]])


def count(value: str) -> int:
    """A whole number from 1 on."""
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text.visible(value)!r} is no number from 1 on")
    return number


def tolerance(value: str) -> float:
    """A tolerance: zero or more."""
    try:
        found = float(value)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise argparse.ArgumentTypeError(f"{text.visible(value)!r} is no tolerance")
    return found


def rate(value: str) -> float:
    """A number from 0 on that is not infinite."""
    try:
        found = float(value)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise argparse.ArgumentTypeError(f"{text.visible(value)!r} is no number from 0 on")
    return found


def natural(value: str) -> int:
    """A whole number from 0 on."""
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text.visible(value)!r} is no number from 0 on")
    return number


def add_child_options(parser: argparse.ArgumentParser) -> None:
    """How the child is run."""
    group = parser.add_argument_group("how it is run")
    group.add_argument(
        "--trust", action="store_true", help="run it although `tfexplore scan` has findings of level high"
    )
    group.add_argument("--timeout", metavar="SECONDS", type=seconds, help="give up loading, or a call, after so long")
    group.add_argument("--tf-python", metavar="PYTHON", help="the interpreter that has TensorFlow (default: this one)")
    group.add_argument(
        "--device", choices=("cpu", "gpu"), default="cpu", help="GPUs are hidden unless gpu is asked for"
    )
    group.add_argument("--threads", metavar="N", type=count, help="threads of each of TensorFlow's two pools")
    group.add_argument("--memory", metavar="SIZE", type=nbytes, help="address space of the process, for instance 8G")
    group.add_argument(
        "--import", metavar="MODULE", dest="imports", action="append", default=[], help="a module with custom ops"
    )
    group.add_argument(
        "--op-library", metavar="FILE.so", dest="op_libraries", action="append", default=[], help="a library with ops"
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What every command that starts the child takes."""
    parser.add_argument("--tag-set", metavar="TAGS", help="the MetaGraph with these tags, for instance serve,gpu")
    add_child_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quiet", action="store_true", help="no notes and no progress on standard error")
    parser.add_argument("--no-color", action="store_true", help="no colours; NO_COLOR does the same")


def add_predict(parser: argparse.ArgumentParser) -> None:
    """The options of `predict`."""
    from tfexplore.core.scripts import FORMS

    parser.add_argument("path", metavar="PATH", help="a SavedModel, GraphDef or MetaGraph")
    what = parser.add_argument_group("what is called")
    what.add_argument("--signature", metavar="NAME", help="a signature (default: serving_default, else the only one)")
    what.add_argument("--call", metavar="PATH", help="a function of the object graph: __call__, encoder.__call__")
    what.add_argument(
        "--fetch",
        metavar="TENSOR",
        action="append",
        default=[],
        help="a tensor by name, in place of a signature's outputs",
    )
    what.add_argument(
        "--feed", metavar="TENSOR=VALUE", action="append", default=[], help="a value for a tensor of the main graph"
    )
    what.add_argument("--function", metavar="NAME", help="the function that the fetched tensors are in")
    given = parser.add_argument_group("inputs")
    given.add_argument(
        "--input",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="JSON, @FILE (.json, .npy, .npz:NAME, a picture), zeros, ones or random[:SEED]; VALUE alone for one input",
    )
    given.add_argument("--request", metavar="FILE", help="a request as TensorFlow Serving takes it")
    given.add_argument("--example", metavar="JSON", help="a tf.Example from its features, or @rows.jsonl")
    given.add_argument("--tfrecord", metavar="FILE[:N]", help="the (first N) records of a TFRecord file")
    out = parser.add_argument_group("outputs")
    out.add_argument("--repeat", metavar="N", type=count, help="call it N more times and report latencies")
    out.add_argument("--outdir", metavar="DIR", help="save each output there (.npy, strings as .json)")
    out.add_argument("--overwrite", action="store_true", help="let --outdir replace files")
    out.add_argument("--expect", metavar="FILE", help="compare with this golden JSON; exit code 1 where it differs")
    out.add_argument("--rtol", type=tolerance, default=1e-5, metavar="X", help="relative tolerance (default: 1e-5)")
    out.add_argument("--atol", type=tolerance, default=1e-8, metavar="X", help="absolute tolerance (default: 1e-8)")
    out.add_argument("--as", dest="form", choices=FORMS, help="print the equivalent instead of running")
    add_run_options(parser)


def add_smoke(parser: argparse.ArgumentParser) -> None:
    """The options of `smoke`."""
    parser.add_argument("path", metavar="PATH", help="a SavedModel or MetaGraph")
    parser.add_argument("--signature", metavar="NAME", help="only this one (default: all)")
    parser.add_argument("--repeat", metavar="N", type=count, help="call each N more times for its latency")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of the made-up floats (default: 0)")
    add_run_options(parser)


def add_finetune(parser: argparse.ArgumentParser) -> None:
    """The options of `finetune`."""
    from tfexplore.core.finetune_plan import LOSSES, OPTIMIZERS

    parser.add_argument("path", metavar="PATH", help="a SavedModel")
    what = parser.add_argument_group("what is tuned")
    what.add_argument("--signature", metavar="NAME", help="a signature (default: serving_default, else the only one)")
    what.add_argument("--call", metavar="PATH", help="a function of the object graph: __call__, encoder.__call__")
    what.add_argument("--output", metavar="NAME", help="the output that the loss is about, where there are several")
    what.add_argument("--inference", action="store_true", help="take a trace with training=False, not training=True")
    what.add_argument(
        "--train",
        metavar="REGEX",
        action="append",
        default=[],
        help="only variables whose name or path this finds (RE2), also such as the model froze; may be repeated",
    )
    what.add_argument(
        "--freeze", metavar="REGEX", action="append", default=[], help="not the variables that this finds"
    )
    rows = parser.add_argument_group("inputs")
    rows.add_argument("--input", metavar="NAME=VALUE", action="append", default=[], help="a constant, as for predict")
    rows.add_argument("--example", metavar="JSON", help="a constant tf.Example, as for predict")
    rows.add_argument("--tfrecord", metavar="FILE[:N]", help="constant records, as for predict")
    rows.add_argument("--request", metavar="FILE", help="constants in a request of TensorFlow Serving")
    rows.add_argument("--data", metavar="FILE", help="rows: .npz, .npy, .csv, .jsonl or .tfrecord")
    rows.add_argument(
        "--map", metavar="INPUT=COLUMN", action="append", default=[], help="the column that feeds an input"
    )
    rows.add_argument("--target", metavar="COLUMN", help="the column that the loss compares with")
    rows.add_argument(
        "--batch-size", metavar="N", type=count, help="rows in a step (default: 32, or what the model takes)"
    )
    rows.add_argument("--seed", metavar="N", type=natural, default=0, help="of the rows' order (default: 0)")
    rows.add_argument("--no-shuffle", action="store_true", help="take the rows in the file's order")
    how = parser.add_argument_group("how")
    how.add_argument("--loss", choices=LOSSES, help="what is made small")
    how.add_argument("--from-logits", action="store_true", help="the output is logits, for a cross-entropy")
    how.add_argument("--loss-expr", metavar="EXPR", help='arithmetic of y and target, for instance "(10. - y) ** 2"')
    how.add_argument("--optimizer", choices=tuple(OPTIMIZERS), default="sgd", help="(default: sgd)")
    how.add_argument("--learning-rate", metavar="X", type=rate, help="(default: 0.01 for sgd, else 0.001)")
    for name, of in (
        ("momentum", "sgd, rmsprop"),
        ("beta-1", "adam and its kin"),
        ("beta-2", "adam and its kin"),
        ("epsilon", "all but sgd, ftrl"),
        ("rho", "rmsprop, adadelta"),
        ("weight-decay", "adamw"),
    ):
        how.add_argument(f"--{name}", metavar="X", type=rate, help=f"of {of}")
    how.add_argument("--nesterov", action="store_const", const=True, help="of sgd with momentum")
    how.add_argument("--steps", metavar="N", type=count, default=10, help="how many (default: 10)")
    how.add_argument("--eager", action="store_true", help="do not compile the step with tf.function")
    out = parser.add_argument_group("what is kept")
    out.add_argument(
        "--checkpoint-dir", metavar="DIR", help="save checkpoints there, and go on from the latest that is there"
    )
    out.add_argument("--save-every", metavar="N", type=count, help="steps between checkpoints (default: only the last)")
    out.add_argument(
        "--max-to-keep", metavar="N", type=natural, default=3, help="newest checkpoints to keep, 0 for all (default: 3)"
    )
    out.add_argument("--restore", metavar="PREFIX", help="begin with this checkpoint's values, or a folder's latest")
    out.add_argument("--export", metavar="DIR", help="a copy of the model with the new values")
    out.add_argument("--overwrite", action="store_true", help="let --export replace a SavedModel")
    out.add_argument("--as", dest="form", choices=("python",), help="print the equivalent script instead of running")
    add_run_options(parser)
