"""`tfexplore scan PATH`: what a model could do to the machine that loads or calls it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tfexplore import __version__
from tfexplore.cli import diagnostics, output
from tfexplore.cli.show import TERMINAL_LIMIT, pattern
from tfexplore.cli.target import open_target
from tfexplore.core import text
from tfexplore.core.detail_scan import WHEN
from tfexplore.core.model import COLLECTION, Model
from tfexplore.core.risky_ops import at_least, highest
from tfexplore.core.scan import scan
from tfexplore.core.scan_finding import Argument, Finding
from tfexplore.errors import UsageError

if TYPE_CHECKING:
    from tfexplore.core.pattern import Pattern

FOUND = 1

_COLORS = {"high": "31", "medium": "33", "note": "2"}
_MAX_ARGUMENT = 200


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code.

    Raises:
        UsageError, ModelError: as `diagnostics` turns them into exit codes.
    """
    wanted = pattern(options.match)
    tags = None if options.tag_set is None else tuple(filter(None, options.tag_set.split(",")))
    with open_target(options.path, quiet=options.quiet) as model:
        if model.kind == COLLECTION:
            from tfexplore.core.collection import several

            raise UsageError(several(model))
        if tags is not None:
            tags = model.meta_graph(tags).tags
        found = [
            finding
            for finding in scan(model)
            if (tags is None or finding.tag_set in ((), tags)) and (wanted is None or _matches(finding, wanted))
        ]
        for sentence in model.notes:
            if sentence not in model.unread:
                diagnostics.note(sentence, quiet=options.quiet)
        if not model.meta_graphs:
            diagnostics.note(f"a {model.kind_name} holds values, nothing that could run", quiet=options.quiet)
        level = highest([finding.level for finding in found])
        if options.json:
            output.write_document(_head(model, level), map(_row, found), options.limit)
        else:
            _write_text(found, options)
    return FOUND if options.fail_on and level is not None and at_least(level, options.fail_on) else diagnostics.DONE


def _matches(finding: Finding, wanted: Pattern) -> bool:
    strings = (value for argument in finding.arguments for value in argument.values or ())
    return any(map(wanted.search, (finding.op or "", finding.kind, *finding.path, *strings)))


def _head(model: Model, level: str | None) -> dict[str, Any]:
    return {
        "schema": 1,
        "tfexplore": __version__,
        "path": model.path,
        "kind": model.kind,
        "command": "scan",
        "level": level,
    }


def _row(finding: Finding) -> dict[str, Any]:
    return {
        "level": finding.level,
        "op": finding.op,
        "class": finding.kind,
        "what": finding.what,
        "phase": finding.phase,
        "path": list(finding.path),
        "node": finding.node,
        "function": finding.function,
        "tag_set": list(finding.tag_set),
        "arguments": {argument.name: _plain(argument.values) for argument in finding.arguments},
    }


def _plain(values: tuple[str, ...] | None) -> str | list[str] | None:
    """An argument: null where it is no constant, a list where it is several strings."""
    if values is None:
        return None
    return values[0] if len(values) == 1 else list(values)


# -- text --


def _write_text(found: Sequence[Finding], options: argparse.Namespace) -> None:
    limit = options.limit
    if limit is None and output.is_terminal():
        limit = TERMINAL_LIMIT
    shown = found[:limit]
    if output.is_terminal():
        _write_blocks(shown, output.use_color(options.no_color))
    else:
        output.write_lines([_line(finding) for finding in shown])
    if len(shown) < len(found):
        diagnostics.note(
            f"{text.count(len(shown))} of {text.count(len(found))} shown; --limit {len(found)} shows all",
            quiet=options.quiet,
        )
    elif not found:
        diagnostics.note("nothing was found", quiet=options.quiet)


def _line(finding: Finding) -> str:
    """One finding, tab-separated."""
    cells = (
        finding.level,
        finding.phase,
        output.cell(finding.op),
        finding.kind,
        text.visible(finding.what),
        _way(finding.path),
        ", ".join(f"{argument.name}={_argument(argument, None)}" for argument in finding.arguments) or "-",
    )
    return "\t".join(cells)


def _write_blocks(found: Iterable[Finding], color: bool) -> None:
    for number, finding in enumerate(found):
        if number:
            output.write("")
        level = f"{finding.level:<6}"
        if color:
            level = f"\x1b[{_COLORS[finding.level]}m{level}\x1b[0m"
        op = "" if finding.op is None else f"{text.label(finding.op)}: "
        when = "" if finding.node is None else f", {WHEN[finding.phase]}"
        output.write(f"{level}  {op}{text.visible(finding.what)}{when}")
        if finding.path:
            output.write(f"        {_way(finding.path)}")
        for argument in finding.arguments:
            output.write(f"        {text.visible(argument.name)}: {_argument(argument, _MAX_ARGUMENT)}")


def _way(path: Sequence[str]) -> str:
    return " > ".join(map(text.visible, path)) or "-"


def _argument(argument: Argument, cells: int | None) -> str:
    if argument.values is None:
        return "(no constant)"
    shown = " ".join(f'"{text.visible(value)}"' for value in argument.values)
    return shown if cells is None else text.shorten(shown, cells)
