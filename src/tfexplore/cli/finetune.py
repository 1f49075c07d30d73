"""`tfexplore finetune PATH`: steps of an optimizer on a function of the model, with checkpoints and an export."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfexplore import __version__
from tfexplore.cli import diagnostics, output, running
from tfexplore.cli.target import open_target
from tfexplore.core import finetune_words, text
from tfexplore.core.finetune_plan import (
    DataWish,
    FinetunePlan,
    Wish,
    choose_loss,
    choose_optimizer,
    choose_variables,
    plan_function,
    plan_signature,
)
from tfexplore.core.model import SAVED_MODEL
from tfexplore.core.plan import Given, Target
from tfexplore.core.requests import read_request
from tfexplore.errors import TfexploreError, UsageError

if TYPE_CHECKING:
    import asyncio

    from tfexplore.core.checkpoint_saving import CheckpointDirectory
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.model import Model
    from tfexplore.loader.tuning import Tuner
    from tfexplore.loader.tuning_records import Figures, Prepared, Ran, Reach, Report, Restored

DEFAULT_STEPS = 10
# Rows of the table of steps on a terminal; a pipe and --json get all.
_ROWS = 40
_SETTINGS = ("learning_rate", "momentum", "nesterov", "beta_1", "beta_2", "epsilon", "rho", "weight_decay")


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code.

    Raises:
        UsageError, ModelError, RuntimeFailed: as `diagnostics` turns them into exit codes.
    """
    _refuse_mixed(options)
    loss = choose_loss(
        options.loss,
        options.loss_expr,
        from_logits=options.from_logits,
        output=options.output,
        target=options.target is not None,
    )
    optimizer = choose_optimizer(options.optimizer, {name: getattr(options, name) for name in _SETTINGS})
    if options.restore is not None:
        from tfexplore.core.checkpoint_saving import prefix_of

        options.restore = prefix_of(options.restore)
    with open_target(options.path, quiet=options.quiet) as model:
        meta_graph, target = running.runnable(model, options)
        if model.kind != SAVED_MODEL:
            raise UsageError(
                f"{model.path}: only a SavedModel has functions with gradients; this is a {model.kind_name}"
            )
        for sentence in model.notes:
            diagnostics.note(sentence, quiet=options.quiet)
        variables, notes = choose_variables(meta_graph, options.train, options.freeze)
        data = DataWish(
            options.data,
            _mapping(options.map),
            options.target,
            options.batch_size,
            None if options.no_shuffle else options.seed,
        )
        request = read_request(options.request) if options.request is not None else None
        given = Given(options.input, options.example, options.tfrecord, request)
        wish = Wish(given, data, loss, optimizer, variables, options.eager, tuple(notes))
        plan = plan_signature(meta_graph, options.signature, wish) if options.call is None else None
        if options.form is not None and plan is not None:
            _write_script(target, plan, options)
            return diagnostics.DONE
        if options.export is not None:
            from tfexplore.core.export import check_export

            check_export(model, options.export, overwrite=options.overwrite)
        if options.checkpoint_dir is not None:
            _check_checkpoint_dir(model, options.checkpoint_dir)
        if not running.is_trusted(model, options):
            return running.FOUND
        import asyncio

        try:
            return asyncio.run(_tuned(model, meta_graph, target, plan, wish, options))
        except asyncio.CancelledError:
            return diagnostics.INTERRUPTED


def _refuse_mixed(options: argparse.Namespace) -> None:
    if options.call is not None and options.signature is not None:
        raise UsageError("--call tunes a function by its path, --signature a signature: give one of them")
    if options.data is None:
        for name in ("map", "target", "batch_size", "no_shuffle"):
            if getattr(options, name):
                raise UsageError(f"--{name.replace('_', '-')} goes with --data FILE")
    else:
        for name in ("example", "tfrecord", "request"):
            if getattr(options, name) is not None:
                raise UsageError(f"--{name} gives constants, --data rows: give one of them")
    if options.overwrite and options.export is None:
        raise UsageError("--overwrite goes with --export")
    if options.save_every is not None and options.checkpoint_dir is None:
        raise UsageError("--save-every goes with --checkpoint-dir")
    for name in ("json", "export", "checkpoint_dir", "restore"):
        if options.form is not None and getattr(options, name):
            what = name.replace("_", "-")
            raise UsageError(f"--as prints a script instead of running it, so --{what} would do nothing")


def _check_checkpoint_dir(model: Model, directory: str) -> None:
    import os

    from tfexplore.core.new_folder import lies_within

    folder = model.path if os.path.isdir(model.path) else os.path.dirname(model.path) or "."
    if lies_within(directory, folder):
        raise UsageError(
            f"--checkpoint-dir {text.visible(directory)}: the model itself lies there ({text.visible(folder)}), "
            "and it is never written to"
        )
    if os.path.lexists(directory) and not os.path.isdir(directory):
        raise UsageError(f"--checkpoint-dir {text.visible(directory)} is no folder")


def _mapping(words: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, equals, column = word.partition("=")
        if not equals or not name or not column:
            raise UsageError(f"--map {text.visible(word)}: write INPUT=COLUMN")
        if name in found:
            raise UsageError(f"--map: the input {text.label(name)} is mapped twice")
        found[name] = column
    return found


def _write_script(target: Target, plan: FinetunePlan, options: argparse.Namespace) -> None:
    from tfexplore.core.finetune_script import script

    output.write(script(target, plan, options.steps))


class _Interrupts:
    """The first Ctrl-C stops a run after its step, the second ends all."""

    def __init__(self, quiet: bool) -> None:
        import asyncio

        self._quiet = quiet
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._pending: asyncio.Task[None] | None = None
        self.stopped = False
        self.tuner: Tuner | None = None
        self._loop.add_signal_handler(signal.SIGINT, self._came)

    def _came(self) -> None:
        if self.tuner is None or self.stopped:
            assert self._task is not None
            self._task.cancel()
            return
        self.stopped = True
        diagnostics.note("stopping after this step; Ctrl-C once more ends it at once", quiet=self._quiet)
        self._pending = self._loop.create_task(self.tuner.stop())

    def over(self) -> None:
        """Puts the usual way back."""
        self._loop.remove_signal_handler(signal.SIGINT)


async def _tuned(
    model: Model,
    meta_graph: MetaGraph,
    target: Target,
    plan: FinetunePlan | None,
    wish: Wish,
    options: argparse.Namespace,
) -> int:
    from tfexplore.loader.running import Runner
    from tfexplore.loader.tuning import Tuner

    quiet = options.quiet
    line = running.ProgressLine(quiet=quiet)
    runner = Runner(
        target, running.child_options(options), line, lambda about: running.tell_sandbox(about, quiet=quiet)
    )
    interrupts = _Interrupts(quiet)
    restored, exported, failed = None, None, None
    try:
        if plan is None:
            traces = await runner.traces(options.call, options.timeout)
            plan = plan_function(meta_graph, options.call, traces, wish, training=not options.inference)
            if options.form is not None:
                line.clear()
                _write_script(target, plan, options)
                return diagnostics.DONE
        for sentence in plan.notes:
            diagnostics.note(sentence, quiet=quiet)
        tuner = Tuner(runner, plan, lambda report: _show(line, report), line)
        prepared = await tuner.prepare(options.timeout)
        line.clear()
        _tell_reach(prepared, quiet=quiet)
        directory = _directory(options)
        restored = await _restored(tuner, directory, options)
        line.clear()
        interrupts.tuner = tuner
        ran = await tuner.run(options.steps, directory=directory, save_every=options.save_every)
        interrupts.tuner = None
        line.clear()
        for saved in ran.saved:
            diagnostics.note(f"saved {saved.prefix}", quiet=quiet)
        if options.export is not None and ran.why == "done":
            try:
                exported = await tuner.export(model, meta_graph, options.export, overwrite=options.overwrite)
            except TfexploreError as error:  # what the steps gave is printed all the same
                failed = error
            else:
                for sentence in exported.notes:
                    diagnostics.note(sentence, quiet=quiet)
                diagnostics.note(f"exported {exported.path}", quiet=quiet)
    finally:
        line.clear()
        await runner.close()
        interrupts.over()
    if options.json:
        document = _document(model, plan, prepared, ran)
        document["restored"] = None if restored is None else _restored_document(restored)
        document["checkpoints"] = [saved.prefix for saved in ran.saved]
        document["exported"] = exported.path if exported is not None else None
        output.write(output.json_text(document))
    else:
        _write_text(prepared, ran, options)
    if failed is not None:
        raise failed
    return _outcome(ran, options)


def _outcome(ran: Ran, options: argparse.Namespace) -> int:
    if ran.not_finite is not None:
        found = ran.not_finite
        sentence = finetune_words.not_finite(found.step, found.loss, found.gradients)
        if options.export is not None:
            sentence += "; nothing was exported"
        diagnostics.error(sentence)
        return running.FOUND
    if ran.why == "stopped":
        sentence = f"stopped after {text.plural(ran.done, 'step')} of {options.steps:,}"
        if options.export is not None:
            sentence += "; nothing was exported"
        diagnostics.note(sentence, quiet=options.quiet)
        return diagnostics.INTERRUPTED
    return diagnostics.DONE


def _directory(options: argparse.Namespace) -> CheckpointDirectory | None:
    if options.checkpoint_dir is None:
        return None
    from tfexplore.core.checkpoint_saving import CheckpointDirectory

    return CheckpointDirectory(options.checkpoint_dir, options.max_to_keep)


async def _restored(
    tuner: Tuner, directory: CheckpointDirectory | None, options: argparse.Namespace
) -> Restored | None:
    prefix = options.restore
    if prefix is None and directory is not None:
        prefix = directory.latest()
        if prefix is None:
            diagnostics.note("Initializing from scratch.", quiet=options.quiet)
    if prefix is None:
        return None
    found = await tuner.restore(prefix)
    diagnostics.note(f"Restored from {prefix}", quiet=options.quiet)
    sentence = finetune_words.restored(
        found.step, found.matched, found.missing, found.unused, optimizer=found.optimizer, whole=found.whole
    )
    diagnostics.note(sentence, quiet=options.quiet)
    return found


# -- what is told while it runs --


def _show(line: running.ProgressLine, report: Report) -> None:
    if report.figures:
        last = report.figures[-1]
        seconds = sum(one.seconds for one in report.figures)
        rate = f"{len(report.figures) / seconds:,.1f} steps/s" if seconds else ""
        line.draw(f"step {last.step:,} of {last.step - report.done + report.total:,}  loss {last.loss:.6g}  {rate}")


def _tell_reach(prepared: Prepared, *, quiet: bool) -> None:
    trained = [one for one in prepared.variables if one.trained]
    size = sum(one.tuned.variable.parameters for one in trained)
    parameters = text.plural(size, "parameter")
    rows = f"; {prepared.rows:,} rows in batches of {prepared.batch:,}" if prepared.rows else ""
    diagnostics.note(
        f"tuning {len(trained):,} of {text.plural(len(prepared.variables), 'variable')}, {parameters}; "
        f"loss {prepared.loss:.6g} with the weights as loaded{rows}",
        quiet=quiet,
    )
    reasons: dict[str, list[str]] = {}
    for one in prepared.variables:
        if one.why and (one.tuned.train or one.trained):
            reasons.setdefault(one.why, []).append(one.tuned.label)
    for why, names in reasons.items():
        without = "a gradient of zero" if why.startswith("its") else "no gradient"
        diagnostics.note(f"{without} for {finetune_words.listed(names)}: {why}", quiet=quiet)
    moved = [one.tuned.label for one in prepared.variables if one.moved and not one.tuned.hold]
    if moved:
        diagnostics.note(f"the function itself changes {finetune_words.listed(moved)}", quiet=quiet)


# -- what it prints --


def _write_text(prepared: Prepared, ran: Ran, options: argparse.Namespace) -> None:
    columns = (
        output.Column("step", lambda value: f"{value:,}", True),
        output.Column("loss", _figure, True),
        output.Column("gradient norm", _figure, True),
        output.Column("seconds", lambda value: f"{value:.4f}", True),
    )
    _tell_course(ran, quiet=options.quiet)
    if not output.is_terminal():
        output.write_lines(
            [f"{one.step}\t{one.loss!r}\t{one.gradient_norm!r}\t{one.seconds:.6f}" for one in ran.figures]
        )
        return
    color = output.use_color(options.no_color)
    shown = _sampled(ran.figures)
    output.write_table(columns, shown, color=color)
    if len(shown) < len(ran.figures):
        diagnostics.note(f"{len(shown)} of {len(ran.figures):,} steps; a pipe or --json gets all", quiet=options.quiet)
    if not ran.figures:
        return
    output.write("")
    rows = [
        (one.tuned.label, _state(one), one.gradient, ran.changes.get(one.tuned.key, 0.0)) for one in prepared.variables
    ]
    output.write_table(
        (
            output.Column("variable", text.label),
            output.Column("state", output.cell),
            output.Column("gradient", output.cell),
            output.Column("change (L2)", _figure, True),
        ),
        rows,
        color=color,
    )


def _tell_course(ran: Ran, *, quiet: bool) -> None:
    """Where the loss went, means of a tenth of the steps, since batches differ; and how fast."""
    taken = [one.loss for one in ran.figures][: ran.done]
    if len(taken) < 2:
        return
    share = max(1, len(taken) // 10)
    first, last = sum(taken[:share]) / share, sum(taken[-share:]) / share
    which = "" if share == 1 else f" (means of {share:,} steps)"
    rate = _rate(ran)
    speed = f"; {rate:,.1f} steps a second" if rate is not None else ""
    diagnostics.note(f"the loss went from {first:.6g} to {last:.6g}{which}{speed}", quiet=quiet)


def _rate(ran: Ran) -> float | None:
    """Steps a second, without the first one, which is compiled."""
    seconds = sum(one.seconds for one in ran.figures[1:])
    return (len(ran.figures) - 1) / seconds if seconds > 0 else None


def _state(one: Reach) -> str:
    if one.trained:
        return "trained" if one.trainable else "thawed"
    return "moved by the function" if one.moved and not one.tuned.hold else "frozen" if not one.tuned.train else "-"


def _figure(value: float) -> str:
    return f"{value:.6g}"


def _sampled(figures: Sequence[Figures]) -> Sequence[Figures]:
    """Evenly spread, the first and the last among them."""
    if len(figures) <= _ROWS:
        return figures
    return [figures[round(number * (len(figures) - 1) / (_ROWS - 1))] for number in range(_ROWS)]


def _document(model: Model, plan: FinetunePlan, prepared: Prepared, ran: Ran) -> dict[str, Any]:
    what = {"signature": plan.signature} if plan.function is None else {"call": plan.function}
    nan = ran.not_finite
    return {
        "schema": 1,
        "tfexplore": __version__,
        "path": model.path,
        "kind": model.kind,
        "command": "finetune",
        **what,
        "ended": ran.why,
        "nan": None if nan is None else nan._asdict(),
        "steps": [one._asdict() for one in ran.figures],
        "steps_per_second": _rate(ran),
        "variables": [
            {
                "name": one.tuned.label,
                "key": one.tuned.variable.key,
                "trainable": one.trainable,
                "trained": one.trained,
                "gradient": one.gradient,
                "reason": one.why or None,
                "change": ran.changes.get(one.tuned.key, 0.0),
            }
            for one in prepared.variables
        ],
    }


def _restored_document(found: Restored) -> dict[str, Any]:
    return {
        "prefix": found.prefix,
        "step": found.step,
        "matched": list(found.matched),
        "missing": list(found.missing),
        "unused": list(found.unused),
        "optimizer": found.optimizer,
    }
