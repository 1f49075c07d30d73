"""`tfexplore smoke PATH`: tries every signature with made-up inputs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfexplore import __version__
from tfexplore.cli import diagnostics, output, running
from tfexplore.cli.target import open_target
from tfexplore.core import text
from tfexplore.core.outputs import facts
from tfexplore.core.plan import Target, callable_signatures, choose_signature
from tfexplore.core.shapes import format_shape
from tfexplore.core.smoke import FAILED, NAN, PASSED, SKIPPED, Smoke
from tfexplore.errors import UsageError

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.model import Model
    from tfexplore.core.signatures import Signature

_COLORS = {PASSED: "32", FAILED: "31", NAN: "31", SKIPPED: "33"}


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code.

    Raises:
        UsageError, ModelError, RuntimeFailed: as `diagnostics` turns them into exit codes.
    """
    with open_target(options.path, quiet=options.quiet) as model:
        meta_graph, target = running.runnable(model, options)
        for sentence in model.notes:
            diagnostics.note(sentence, quiet=options.quiet)
        signatures = callable_signatures(meta_graph)
        if options.signature is not None:
            signatures = [choose_signature(meta_graph, options.signature)]
        if not signatures:
            raise UsageError(f"{meta_graph.path} has no signature to try; `tfexplore predict --fetch` runs tensors")
        if not running.is_trusted(model, options):
            return running.FOUND
        import asyncio

        found = asyncio.run(_tried(meta_graph, target, signatures, options))
        if options.json:
            output.write_document(_head(model), map(_row, found), None)
    counts = {status: sum(one.status == status for one in found) for status in (PASSED, FAILED, NAN, SKIPPED)}
    counted = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    diagnostics.note(f"{text.plural(len(found), 'signature')}: {counted}", quiet=options.quiet)
    return running.FOUND if counts[FAILED] or counts[NAN] else diagnostics.DONE


async def _tried(
    meta_graph: MetaGraph, target: Target, signatures: Sequence[Signature], options: argparse.Namespace
) -> list[Smoke]:
    from tfexplore.loader.running import Runner
    from tfexplore.loader.smoking import smoke

    line = running.ProgressLine(quiet=options.quiet)
    runner = Runner(
        target, running.child_options(options), line, lambda about: running.tell_sandbox(about, quiet=options.quiet)
    )
    found: list[Smoke] = []
    try:
        tried = smoke(
            runner,
            meta_graph,
            signatures,
            repeat=options.repeat or 0,
            seed=options.seed,
            timeout=options.timeout,
        )
        async for one in tried:
            found.append(one)
            line.clear()
            if not options.json:
                _write(one, options)
    finally:
        line.clear()
        await runner.close()
    return found


def _head(model: Model) -> dict[str, Any]:
    return {
        "schema": 1,
        "tfexplore": __version__,
        "path": model.path,
        "kind": model.kind,
        "command": "smoke",
    }


def _row(found: Smoke) -> dict[str, Any]:
    return {
        "signature": found.signature,
        "status": found.status,
        "reason": found.reason,
        "inputs": found.inputs,
        "latency_ms": None if found.latency is None else found.latency._asdict(),
        "outputs": {one.name: facts(one, values=False) for one in found.outputs},
    }


def _write(found: Smoke, options: argparse.Namespace) -> None:
    """One line: the signature, its status, how long it took, its outputs or why it did not run."""
    took = "-" if found.latency is None else f"{found.latency.p50 or found.latency.first:.1f} ms"
    gave = ", ".join(f"{text.label(one.name)} {one.dtype} {format_shape(one.array.shape)}" for one in found.outputs)
    says = text.visible(found.reason) if found.reason else gave or "no outputs"
    name = text.label(found.signature)
    if not output.is_terminal():
        output.write("\t".join((name, found.status, took, says)))
    else:
        status = f"{found.status:<8}"
        if output.use_color(options.no_color):
            status = f"\x1b[{_COLORS[found.status]}m{status}\x1b[0m"
        output.write(f"{status} {took:>10}  {name}  {says}")
    if found.status in (FAILED, NAN):
        diagnostics.note(f"{found.signature} was called with {found.inputs}", quiet=options.quiet)
