"""`tfexplore stats PATH`: statistics of every tensor, those with NaN and infinities first."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

from tfexplore import __version__
from tfexplore.cli import diagnostics, output
from tfexplore.cli.output import Column, cell
from tfexplore.cli.progress import BytesRead
from tfexplore.cli.show import TERMINAL_LIMIT, pattern
from tfexplore.cli.statistics_fields import count, fields, number
from tfexplore.cli.target import open_target, tell_checkpoint
from tfexplore.core import text
from tfexplore.core.all_statistics import Measured, all_statistics
from tfexplore.core.model import COLLECTION, Model
from tfexplore.core.shapes import format_shape
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfexplore.core.pattern import Pattern

FOUND = 1
NAN, INF = "nan", "inf"


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code.

    Raises:
        UsageError, ModelError: as `diagnostics` turns them into exit codes.
    """
    wanted = pattern(options.match)
    with open_target(options.path, quiet=options.quiet) as model:
        if model.kind == COLLECTION:
            from tfexplore.core.collection import several

            raise UsageError(several(model))
        for sentence in model.notes:
            diagnostics.note(sentence, quiet=options.quiet)
        tell_checkpoint(model, quiet=options.quiet)
        progress = BytesRead("reading", quiet=options.quiet)
        try:
            variables = _variables(model)
            match = None if wanted is None else partial(_matches, wanted, variables)
            measured = all_statistics(model, match=match, progress=progress)
            found = sorted(measured, key=lambda one: (one.rank, one.place))
        finally:
            progress.clear()
        if options.json:
            output.write_document(
                _head(model, found), ((lambda one=one: _row(one, variables)) for one in found), options.limit
            )
        else:
            _write_text(model, found, variables, options)
    return _outcome(model, found, options)


def _matches(wanted: Pattern, variables: dict[str, str], name: str) -> bool:
    return wanted.search(name) or wanted.search(variables.get(name, name))


def _variables(model: Model) -> dict[str, str]:
    """The name of the variable behind each key of a SavedModel."""
    found: dict[str, str] = {}
    if model.meta_graphs and model.checkpoint is not None:
        try:
            for variable in model.meta_graph().variables:
                if variable.key is not None:
                    found.setdefault(variable.key, variable.name)
        except ModelError:  # a note says so
            pass
    return found


def _outcome(model: Model, found: Sequence[Measured], options: argparse.Namespace) -> int:
    """Says what is wrong with the values, and the exit code."""
    bad = [one for one in found if one.checksum == "bad"]
    unread = [one for one in found if one.problem is not None]
    if bad:
        diagnostics.error(
            f"{model.path}: the stored bytes of {text.plural(len(bad), 'tensor')} do not match their checksum, "
            f"{text.label(bad[0].name)} the first: these are not the values that were written"
        )
    if unread:
        diagnostics.error(f"{text.plural(len(unread), 'tensor')} cannot be read, the first: {unread[0].problem}")
    if bad or unread:
        return diagnostics.CANNOT_READ
    counts = {NAN: _total(found, NAN), INF: _total(found, INF)}
    return FOUND if any(counts[what] for what in options.fail_on) else diagnostics.DONE


def _total(found: Sequence[Measured], what: str) -> int:
    known = (one.statistics for one in found if one.statistics is not None)
    return sum(one.nan if what == NAN else one.inf for one in known)


def _head(model: Model, found: Sequence[Measured]) -> dict[str, Any]:
    return {
        "schema": 1,
        "tfexplore": __version__,
        "path": model.path,
        "kind": model.kind,
        "command": "stats",
        "nan": _total(found, NAN),
        "inf": _total(found, INF),
        "bad": sum(one.checksum == "bad" for one in found),
        "unread": sum(one.problem is not None for one in found),
    }


def _row(one: Measured, variables: dict[str, str]) -> dict[str, Any]:
    return {
        "name": one.name,
        "variable": variables.get(one.name),
        "dtype": None if one.dtype is None else dtypes.name(one.dtype),
        "shape": None if one.shape is None else list(one.shape),
        "bytes": one.nbytes,
        "checksum": one.checksum,
        **fields(one.statistics),
        **({} if one.problem is None else {"problem": one.problem}),
    }


# -- text --


def _columns(exact: bool) -> list[Column]:
    def shown(value: float | None) -> str:
        return number(value, exact=exact)

    counted = cell if exact else count
    return [
        Column("name", cell),
        Column("dtype", cell),
        Column("shape", lambda shape: "-" if shape is None else format_shape(shape)),
        *(Column(name, shown, right=True) for name in ("min", "max", "mean", "std")),
        *(Column(name, counted, right=True) for name in ("zeros", "nan", "inf")),
        Column("checksum", cell),
        Column("variable", cell),
    ]


def _cells(one: Measured, variables: dict[str, str]) -> tuple[Any, ...]:
    known = fields(one.statistics)
    dtype = None if one.dtype is None else dtypes.name(one.dtype)
    checksum: str = "BAD" if one.checksum == "bad" else one.checksum
    if one.problem is not None:
        checksum = f"{checksum}: {one.problem}" if one.checksum == "bad" else f"cannot be read: {one.problem}"
    names = ("min", "max", "mean", "std", "zeros", "nan", "inf")
    return (one.name, dtype, one.shape, *(known[name] for name in names), checksum, variables.get(one.name))


def _write_text(
    model: Model, found: Sequence[Measured], variables: dict[str, str], options: argparse.Namespace
) -> None:
    terminal = output.is_terminal()
    limit = TERMINAL_LIMIT if options.limit is None and terminal else options.limit
    shown = found[:limit]
    output.write_table(
        _columns(not terminal), (_cells(one, variables) for one in shown), color=output.use_color(options.no_color)
    )
    if len(shown) < len(found):
        diagnostics.note(
            f"{text.count(len(shown))} of {text.count(len(found))} shown; --limit {len(found)} shows all",
            quiet=options.quiet,
        )
    elif not found:
        what = "nothing matches" if options.match is not None else f"a {model.kind_name} without variables or constants"
        diagnostics.note(what, quiet=options.quiet)
    totals = [f"{text.count(_total(found, what))} {word}" for what, word in ((NAN, "NaN"), (INF, "infinities"))]
    if found:
        diagnostics.note(f"{text.plural(len(found), 'tensor')}: {', '.join(totals)}", quiet=options.quiet)
