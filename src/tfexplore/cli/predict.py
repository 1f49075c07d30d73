"""`tfexplore predict PATH`: calls a signature, a function, or feeds and fetches tensors by name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tfexplore import __version__
from tfexplore.cli import diagnostics, output, running
from tfexplore.cli.target import open_target
from tfexplore.core import json_values, text
from tfexplore.core.outputs import Output, differences, expected_outputs, facts, num_inf, num_nan, tops
from tfexplore.core.plan import Given, Plan, Target, choose_signature, plan_fetches, plan_signature
from tfexplore.core.requests import read_request
from tfexplore.core.scripts import script
from tfexplore.core.shapes import format_shape
from tfexplore.core.values import format_flat, format_rows
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.model import Model
    from tfexplore.loader.running import Answer, Runner

_LINE_VALUES = 50


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code.

    Raises:
        UsageError, ModelError, RuntimeFailed: as `diagnostics` turns them into exit codes.
    """
    _refuse_mixed(options)
    expected = None
    if options.expect is not None:
        expected = expected_outputs(json_values.parse(json_values.read_file(options.expect), options.expect))
    with open_target(options.path, quiet=options.quiet) as model:
        meta_graph, target = running.runnable(model, options)
        for sentence in model.notes:
            diagnostics.note(sentence, quiet=options.quiet)
        plan = None if options.call is not None else _plan(model, meta_graph, options)
        if options.form is not None and plan is not None:
            output.write(script(options.form, target, plan))
            return diagnostics.DONE
        if options.outdir is not None:
            _check_outdir(meta_graph, plan, options)
        if not running.is_trusted(model, options):
            return running.FOUND
        import asyncio

        return asyncio.run(_called(model, meta_graph, target, plan, options, expected))


def _refuse_mixed(options: argparse.Namespace) -> None:
    """Options that belong to different kinds of calls."""
    if options.call is not None:
        for name in ("signature", "fetch", "feed", "function"):
            if getattr(options, name):
                raise UsageError(f"--call calls a function by its path, and --{name} belongs to another kind of call")
    if not options.fetch:
        for name in ("feed", "function"):
            if getattr(options, name):
                raise UsageError(f"--{name} goes with --fetch TENSOR, which says what to give back")
    if options.overwrite and options.outdir is None:
        raise UsageError("--overwrite goes with --outdir")
    for name in ("repeat", "outdir", "expect", "json"):
        if options.form is not None and getattr(options, name):
            raise UsageError(f"--as prints the call instead of running it, so --{name} would do nothing")


def _given(options: argparse.Namespace) -> Given:
    request = read_request(options.request) if options.request is not None else None
    return Given(options.input, options.example, options.tfrecord, request)


def _plan(model: Model, meta_graph: MetaGraph, options: argparse.Namespace) -> Plan:
    if options.fetch:
        return plan_fetches(
            model,
            meta_graph,
            options.fetch,
            options.feed,
            signature=options.signature,
            function=options.function,
            given=_given(options),
        )
    return plan_signature(meta_graph, options.signature, _given(options))


def _check_outdir(meta_graph: MetaGraph, plan: Plan | None, options: argparse.Namespace) -> None:
    """Before the run, so that nothing is calculated for nothing; what a function gives is not known yet."""
    from tfexplore.core.saving import check_free

    named: list[tuple[str, bool]] = []
    if plan is not None and not options.overwrite:
        named = [(name, False) for name in plan.fetches]
        if not plan.fetches:
            outputs = choose_signature(meta_graph, plan.signature).outputs
            named = [(info.name, dtypes.base(info.dtype) == dtypes.STRING) for info in outputs if info.tensor]
    check_free(named, options.outdir)


async def _called(
    model: Model,
    meta_graph: MetaGraph,
    target: Target,
    plan: Plan | None,
    options: argparse.Namespace,
    expected: dict[str, Any] | None,
) -> int:
    from tfexplore.core.traces import plan_function
    from tfexplore.loader.running import Runner

    line = running.ProgressLine(quiet=options.quiet)
    runner = Runner(
        target,
        running.child_options(options),
        line,
        lambda about: running.tell_sandbox(about, quiet=options.quiet),
    )
    try:
        if plan is None:
            traces = await runner.traces(options.call, options.timeout)
            plan = plan_function(meta_graph, options.call, traces, _given(options))
            if options.form is not None:
                line.clear()
                output.write(script(options.form, target, plan))
                return diagnostics.DONE
        answer = await runner.call(plan, repeat=options.repeat or 0, timeout=options.timeout)
        line.clear()
        _tell_loading(runner, options)
    finally:
        line.clear()
        await runner.close()
    if options.outdir is not None:
        from tfexplore.core.saving import save_outputs

        for path in save_outputs(answer.outputs, options.outdir, overwrite=options.overwrite):
            diagnostics.note(f"saved {path}", quiet=options.quiet)
    if options.json:
        output.write(output.json_text(_document(model, plan, answer)))
    else:
        _write_text(answer, options)
    if expected is None:
        return diagnostics.DONE
    wrong = differences(answer.outputs, expected, rtol=options.rtol, atol=options.atol)
    for sentence in wrong:
        diagnostics.note(sentence)
    return running.FOUND if wrong else diagnostics.DONE


def _tell_loading(runner: Runner, options: argparse.Namespace) -> None:
    for sentence in (runner.loaded or {}).get("notes", ()):
        diagnostics.note(sentence, quiet=options.quiet)


def _document(model: Model, plan: Plan, answer: Answer) -> dict[str, Any]:
    what: dict[str, Any] = {"signature": plan.signature}
    if plan.function is not None:
        what = {"call": plan.function}
    elif plan.fetches:
        what = {"fetches": list(plan.fetches), "function": plan.body, "signature": plan.signature}
    return {
        "schema": 1,
        "tfexplore": __version__,
        "path": model.path,
        "kind": model.kind,
        "command": "predict",
        **what,
        "outputs": {found.name: facts(found) for found in answer.outputs},
        "latency_ms": answer.latency._asdict(),
    }


# -- text --


def _write_text(answer: Answer, options: argparse.Namespace) -> None:
    if not output.is_terminal():
        output.write_lines([_line(found) for found in answer.outputs])
    else:
        color = output.use_color(options.no_color)
        for number, found in enumerate(answer.outputs):
            if number:
                output.write("")
            _write_block(found, color)
    if not answer.outputs:
        diagnostics.note("it gave no outputs", quiet=options.quiet)
    diagnostics.note(latency_text(answer), quiet=options.quiet)


def latency_text(answer: Answer) -> str:
    """How long it took, in words."""
    found = answer.latency
    words = f"first call {found.first:.1f} ms"
    if found.p50 is not None:
        words += f"; the others: p50 {found.p50:.2f} ms, p90 {found.p90:.2f} ms, max {found.max:.2f} ms"
    return words


def _line(found: Output) -> str:
    """One output, tab-separated: name, dtype, shape, how many are NaN, values."""
    cells = (
        text.label(found.name),
        found.dtype,
        format_shape(found.array.shape),
        str(num_nan(found.array)),
        format_flat(found.array, _LINE_VALUES),
    )
    return "\t".join(cells)


def _write_block(found: Output, color: bool) -> None:
    name = text.label(found.name)
    head = f"{found.dtype} {format_shape(found.array.shape)}"
    output.write(f"\x1b[1m{name}\x1b[0m  {head}" if color else f"{name}  {head}")
    odd = [
        f"{count:,} {what}"
        for count, what in ((num_nan(found.array), "NaN"), (num_inf(found.array), "infinite"))
        if count
    ]
    if odd:
        words = f"  {' and '.join(odd)} of {found.array.size:,}"
        output.write(f"\x1b[31m{words}\x1b[0m" if color else words)
    for line in format_rows(found.array):
        output.write(f"  {line}")
    for top in tops(found.array):
        row = f"row {top.row[0]}: " if top.row else ""
        places = ", ".join(f"{index} ({value:.6g})" for index, value in zip(top.indexes, top.values, strict=True))
        output.write(f"  top {len(top.indexes)}  {row}{places}")
