"""`make oracle`: compares every model of a folder with what TensorFlow says, and prints a table.

    python tests/oracle/report.py [FOLDER] [--out FILE]

Without FOLDER: the models of the corpus, if it is there, and those that made.py writes. A row is a model: `equal`,
`differs` or `in part` (its graphs are in a form that one of the two does not read), and how many facts of each kind
were compared. The exit code is 1 where anything differs.
TensorFlow loads each model in this process, and loading may run what is in it: only for models that one trusts.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(_REPOSITORY / "src"), str(_REPOSITORY / "tests")]

from oracle import made  # noqa: E402
from oracle.compare import compare, find_models  # noqa: E402
from oracle.sheet import Check, first_line  # noqa: E402

KINDS = (
    "keys", "checksums", "values", "MetaGraphs", "tags", "signatures", "objects", "assets", "nodes", "ops",
    "attributes", "constants", "tensors", "edges", "shapes", "functions", "variables", "variable values", "joins",
)  # fmt: skip
_NAME_WIDTH = 60


def corpus_models() -> str:
    """The folder with the corpus's models, which may not be there; never the hostile ones."""
    named = os.environ.get("TFEXPLORE_CORPUS")
    return os.path.join(named or _REPOSITORY.parent / "shared" / "corpus", "models")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the report; the exit code."""
    parser = argparse.ArgumentParser(description="Compares models with what TensorFlow says about them.")
    parser.add_argument("folder", nargs="?", help="default: the corpus, and models made for this")
    parser.add_argument("--out", help="also write the table as Markdown to this file")
    options = parser.parse_args(arguments)
    tf = _import_tensorflow()
    rows: list[tuple[str, list[Check]]] = []
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _print_row("model", "", [kind.replace("variable values", "var.values") for kind in KINDS])
        for name, path in _models(options.folder, scratch, tf):
            checks = _checks(name, path, tf)
            rows.append((name, checks))
            _print_row(name, _verdict(checks), _counts(checks))
    if not rows:
        print(f"no model at {options.folder}")
        return 1
    _print_row("all", "", _totals(rows))
    print("\n" + "\n".join(_notes(rows)))
    if options.out:
        Path(options.out).write_text(_markdown(rows, tf.__version__), encoding="utf-8")
    return 0 if all(check.equal for _, checks in rows for check in checks) else 1


def _import_tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    try:
        import tensorflow
    except ImportError:
        sys.exit("TensorFlow is not installed here: there is nothing to compare with")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return tensorflow


def _models(folder: str | None, scratch: str, tf: Any) -> Iterator[tuple[str, str]]:
    root = folder if folder is not None else corpus_models()
    for path in find_models(root):
        yield os.path.relpath(path, root), path
    if folder is None:
        for name in made.NAMES:
            yield f"made here: {name}", made.make(name, scratch, tf)


def _checks(name: str, path: str, tf: Any) -> list[Check]:
    try:
        return list(compare(path, tf, name=name))
    except Exception as error:
        return [Check(name, "MetaGraphs", 0, False, f"the comparison ends early: {first_line(error)}")]


# -- the table --


def _verdict(checks: list[Check]) -> str:
    """`in part`: the graphs are in a form that one of the two does not read."""
    if not all(check.equal for check in checks):
        return "differs"
    unread = any(check.what == "MetaGraphs" and not check.compared for check in checks)
    return "in part" if unread else "equal"


def _counts(checks: list[Check]) -> list[str]:
    by_kind = {check.what: check for check in checks}
    cells = []
    for kind in KINDS:
        check = by_kind.get(kind)
        count = f"{check.compared:,}" if check else "-"
        marks = "" if check is None else ("!" if not check.equal else "") + ("*" if check.not_compared else "")
        cells.append(count + marks)
    return cells


def _totals(rows: list[tuple[str, list[Check]]]) -> list[str]:
    checks = [check for _, found in rows for check in found]
    return [f"{sum(check.compared for check in checks if check.what == kind):,}" for kind in KINDS]


def _print_row(name: str, verdict: str, cells: list[str]) -> None:
    shown = name if len(name) <= _NAME_WIDTH else f"…{name[1 - _NAME_WIDTH :]}"
    print(f"{shown:<{_NAME_WIDTH}} {verdict:<8}" + "".join(f"{cell:>11}" for cell in cells), flush=True)


def _notes(rows: list[tuple[str, list[Check]]]) -> Iterator[str]:
    """What differs (!), what TensorFlow could not answer (*), and the end result."""
    for name, checks in rows:
        for check in checks:
            if not check.equal:
                yield f"! {name}, {check.what}: {check.detail}"
        reasons = {reason: sorted({check.what for check in checks if reason in dict(check.not_compared)})
                   for check in checks for reason, _ in check.not_compared}  # fmt: skip
        for reason, kinds in reasons.items():
            yield f"* {name}, {', '.join(kinds)}: not compared in part: {reason}"
    verdicts = [_verdict(checks) for _, checks in rows]
    counts = ", ".join(
        f"{verdicts.count(word):,} {word}" for word in ("equal", "in part", "differs") if word in verdicts
    )
    compared = sum(check.compared for _, checks in rows for check in checks)
    yield f"{len(rows):,} model{'s' if len(rows) != 1 else ''}: {counts}; {compared:,} facts compared"


def _markdown(rows: list[tuple[str, list[Check]]], version: str) -> str:
    lines = [
        f"# Compared with TensorFlow {version}",
        "",
        "`!`: something differs. `*`: TensorFlow could not answer for a part; see below.",
        "",
        "| model | | " + " | ".join(KINDS) + " |",
        "|---|---|" + "---:|" * len(KINDS),
    ]
    lines += [f"| {name} | {_verdict(checks)} | " + " | ".join(_counts(checks)) + " |" for name, checks in rows]
    lines.append("| all | | " + " | ".join(_totals(rows)) + " |")
    return "\n".join([*lines, "", *(f"- {note}" for note in _notes(rows)), ""])


if __name__ == "__main__":
    sys.exit(main())
