"""Runs of the Fine-tune tab: steps that are taken, stopped between two and gone on with; and what goes wrong.

The model has a process of its own here, apart from the Predict tab's: predictions there are of the model as it lies on
the disk. It is started for the first run and ends with the model.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfexplore.core import finetune_made, finetune_words, text
from tfexplore.core.finetune_made import Made, Stretch
from tfexplore.core.form import BY_FUNCTION
from tfexplore.core.plan import target
from tfexplore.core.trust import distrusted, sentence
from tfexplore.errors import (
    Cancelled,
    ChildDied,
    RuntimeFailed,
    SandboxMissing,
    TensorFlowMissing,
    TfexploreError,
    TimedOut,
)
from tfexplore.loader import Loader
from tfexplore.loader.run_options import RunOptions
from tfexplore.loader.running import Runner
from tfexplore.loader.tuning import Tuner
from tfexplore.loader.tuning_records import Prepared, Ran, Reach, Report, Restored
from tfexplore.runtime.records import About, Event, Log, Options, Progress
from tfexplore.tui.finetune_form import TuneFormState
from tfexplore.tui.finetune_history import History

if TYPE_CHECKING:
    from tfexplore.core.checkpoint_saving import CheckpointDirectory
    from tfexplore.core.finetune_plan import FinetunePlan
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.model import Model
    from tfexplore.core.scan_finding import Finding

# What it is doing.
READY, PREPARING, RUNNING, STOPPING, BUSY = "ready", "preparing", "running", "stopping", "busy"
# Between two drawings of a run's news, in seconds; where drawing takes long it is done more rarely, so that all of the
# explorer takes less than a fiftieth of the time.
_TELL_SECONDS, _MOST_TELL_SECONDS, _SHARE = 0.2, 1.0, 75.0
_MAX_SAID = 100
PLAN = "tune plan"

Ask = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Said:
    """Something that happened: a sentence, and whether it is bad news."""

    sentence: str
    bad: bool = False


class TuneRun(TuneFormState):
    """Steps on one model.

    Args:
        model: what is tuned.
        loader: reads and checks for it.
        options: how the model is run.
        tell: called in the event loop after a change.

    Attributes:
        phase: one of the words above.
        doing: what is being done, in words.
        step: how many steps were taken since the weights were loaded.
        left: steps of a run that was paused; 0 where none was.
        total: steps of the run, from the first one on.
        history: the figures of all steps since loading.
        reach: by key, what the first gradient said of a variable.
        changes: by key, the L2 norm of a variable's change since loading.
        said: what happened, the newest last.
        news: how much was said since the beginning.
        state: of the child.
        only_figures: whether what is told of are figures alone: form, ticks and keys are as they were.
    """

    def __init__(self, model: Model, loader: Loader, options: RunOptions, tell: Callable[[], None]) -> None:
        super().__init__(model, loader, tell)
        self.phase = READY
        self.doing = ""
        self.step = self.left = self.total = 0
        self.history = History()
        self.prepared: Prepared | None = None
        self.reach: dict[str, Reach] = {}
        self.changes: dict[str, float] = {}
        self.said: list[Said] = []
        self.news = 0
        self.state = "off"
        self.only_figures = False
        self.trusted = options.trust
        self._options = options
        self._runner: Runner | None = None
        self._runner_of: MetaGraph | None = None
        self._tuner: Tuner | None = None
        self._tuner_of: object = None  # what was prepared
        self._fresh = True  # whether nothing was tuned, restored or rolled back since the weights were loaded
        self._pausing = False
        self._closed = False
        self._used = 0.0  # processor time of the explorer when news were told last
        self._telling: asyncio.TimerHandle | None = None
        self._endings: set[asyncio.Task[None]] = set()

    # -- what is told --

    def say(self, sentence: str, *, bad: bool = False) -> None:
        """Tells the person something."""
        self.news += 1
        self.said.append(Said(text.visible(sentence), bad))
        del self.said[:-_MAX_SAID]
        self._tell()

    def _do(self, phase: str, doing: str = "") -> None:
        self.phase, self.doing = phase, doing
        self._tell()

    def _tell_soon(self) -> None:
        """Tells of news now and then: the screen must not cost the training its time."""
        if self._telling is None:
            used = time.process_time()
            seconds = min(_MOST_TELL_SECONDS, max(_TELL_SECONDS, (used - self._used) * _SHARE))
            self._used = used
            self._telling = asyncio.get_running_loop().call_later(seconds, self._tell_now)

    def _tell_now(self) -> None:
        self._telling = None
        if not self._closed:
            self.only_figures = True
            try:
                self._tell()
            finally:
                self.only_figures = False

    def _reported(self, report: Report) -> None:
        self.history.add(report.figures)
        if report.figures:
            self.step = report.figures[-1].step
        if report.changes is not None:
            self.changes |= report.changes
        self.doing = ""
        self._tell_soon()

    def _happened(self, event: Event) -> None:
        if isinstance(event, Log):
            self.say(event.text)
        elif isinstance(event, Progress):
            share = f" {event.done:,} of {event.total:,}" if event.total and event.total > 1 else ""
            self.doing = text.visible(event.what) + share
            self._tell_soon()

    def _state_changed(self, state: str) -> None:
        self.state = state
        if self._closed:
            return
        if state == "dead" and self.phase == READY and self._tuner is not None:
            self._forget_child("the process that held the tuned weights has ended")
        self._tell_soon()

    def _ready(self, about: About) -> None:
        if not about.sandbox.whole:
            self.say(about.sandbox.sentence())

    # -- running --

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return self.phase != READY

    @property
    def has_tuned(self) -> bool:
        """Whether there are tuned weights in the child."""
        return self._tuner is not None and self.phase == READY

    async def start(self, ask: Ask) -> None:
        """Takes steps: those that are left of a run that was paused, else as many as the form says."""
        if self._refuse_busy():
            return
        try:
            stretch = await self._prepare(ask)
            if stretch is None:
                return
            await self._steps(stretch)
        finally:
            self._end()

    async def look(self, ask: Ask) -> None:
        """Looks which variables get a gradient, and takes no step."""
        if self._refuse_busy():
            return
        try:
            if await self._prepare(ask) is not None and self.prepared is not None:
                trained = sum(one.trained for one in self.prepared.variables)
                self.say(f"{text.plural(trained, 'variable')} would move; the loss is {self.prepared.loss:.6g}")
        finally:
            self._end()

    def _refuse_busy(self) -> bool:
        if self.is_busy:
            self.say("something is under way: p pauses, Escape stops")
        return self.is_busy

    def _end(self) -> None:
        self.phase, self.doing = READY, ""
        if not self._closed:
            self._tell()

    async def _prepare(self, ask: Ask) -> Stretch | None:
        """Checks the form, loads the model and prepares the run, as far as that is not done; None where it is not."""
        whole, values, variables = self.form, dict(self.values), self.variables
        if whole is None or self.no_variables:
            self.problem = self.problem or self.no_variables or "the form is still being read"
            self._tell()
            return None
        self.problem, self.errors = "", {}
        self._do(PREPARING, "checking")
        try:
            made = await self._loader.tasks.run(
                lambda context: finetune_made.make(whole, values, variables, context.cancel), channel=PLAN
            )
            if made.wish is None or made.stretch is None:
                self._blame(made.errors)
                return None
            if not await self._may_run(ask) or self._closed:
                return None
            if not await self._make_tuner(made):
                return None
            return made.stretch
        except Cancelled:
            self._forget_child("cancelled before a step was taken")
        except TfexploreError as error:
            self._failed(error)
        return None

    async def _make_tuner(self, made: Made) -> bool:
        """Prepares the child for the plan, unless it is prepared for the same; tells whether it is."""
        assert made.wish is not None
        assert made.stretch is not None
        whole, wish = self.form, made.wish
        assert whole is not None
        settings = {name: value for name, value in wish.optimizer.settings.items() if name != "learning_rate"}
        of = (whole.choice, self.value("training"), wish._replace(optimizer=wish.optimizer._replace(settings=settings)))
        if self._tuner is not None and self._tuner_of == of:
            return True
        runner = await self._runner_for(whole.choice.meta_graph)
        plan = made.plan
        if plan is None:
            plan = await self._plan_function(runner, made)
            if plan is None:
                return False
        for note in plan.notes:
            self.say(note)
        tuner = Tuner(runner, plan, self._reported, self._happened)
        self.prepared = await tuner.prepare(self._options.timeout)
        self._tuner, self._tuner_of = tuner, of
        self.step = self.prepared.step
        self.history.rows, self.history.batch = self.prepared.rows, self.prepared.batch
        self.reach = {one.tuned.key: one for one in self.prepared.variables}
        if self._fresh and made.stretch.directory:
            await self._restore_latest(made.stretch)
        self._fresh = False
        return True

    async def _plan_function(self, runner: Runner, made: Made) -> FinetunePlan | None:
        whole, values, wish = self.form, dict(self.values), made.wish
        assert whole is not None
        assert wish is not None
        assert whole.choice.kind == BY_FUNCTION
        traces = await runner.traces(whole.choice.name, self._options.timeout)

        def job(context: Any) -> tuple[FinetunePlan | None, dict[str, str]]:
            return finetune_made.make_function(whole, values, wish, traces, context.cancel)

        plan, errors = await self._loader.tasks.run(job, channel=PLAN)
        if plan is None:
            self._blame(errors)
        return plan

    async def _restore_latest(self, stretch: Stretch) -> None:
        directory = await self._directory(stretch)
        prefix = await asyncio.to_thread(directory.latest)
        if prefix is None:
            self.say("Initializing from scratch.")
        else:
            await self._restore(prefix)

    async def _steps(self, stretch: Stretch) -> None:
        tuner = self._tuner
        assert tuner is not None
        steps, self.left = self.left or stretch.steps, 0
        self.total = tuner.step + steps
        self._pausing = False
        self._do(RUNNING, "compiling the step")
        try:
            directory = await self._directory(stretch) if stretch.directory else None
            ran = await tuner.run(
                steps, learning_rate=stretch.learning_rate, directory=directory, save_every=stretch.every
            )
        except Cancelled:
            self._forget_child("cancelled within a step")
            return
        except TfexploreError as error:
            self._failed(error)
            return
        self._ran(ran, steps)

    def _ran(self, ran: Ran, steps: int) -> None:
        self.step, self.changes = ran.step, dict(ran.changes)
        for saved in ran.saved:
            self.say(f"saved {saved.prefix}")
        if ran.not_finite is not None:
            found = ran.not_finite
            self.say(
                finetune_words.not_finite(found.step, found.loss, found.gradients)
                + "; r rolls back, a smaller learning rate may help",
                bad=True,
            )
        elif ran.why == "stopped":
            self.left = steps - ran.done if self._pausing else 0
            more = f": Ctrl-R takes the other {self.left:,}, s gives them up" if self.left else ""
            self.say(f"{'paused' if self.left else 'stopped'} at step {ran.step:,}{more}")
        else:
            took = f"{ran.seconds:,.1f} s" if ran.seconds >= 1 else f"{1000 * ran.seconds:.0f} ms"
            rate = f" in {took} ({self.history.rate:,.0f}/s)" if self.history.rate else ""
            self.say(f"{text.plural(ran.done, 'step')} done{rate}: Ctrl-R takes more, x exports, r rolls back")

    async def stop(self, *, pause: bool = False) -> bool:
        """Ends a run after the step under way; tells whether there was one. A paused one can be gone on with."""
        if self.phase == RUNNING and self._tuner is not None:
            self._pausing = pause
            self._do(STOPPING, "after this step")
            await self._tuner.stop()
            return True
        if self.phase == READY and self.left and not pause:
            self.left = 0
            self.say(f"stopped at step {self.step:,}")
            return True
        return False

    def cancel(self) -> bool:
        """Stops what is under way: a run after its step, all else and a second time at once."""
        if self.phase == RUNNING:
            self._endings.add(asyncio.get_running_loop().create_task(self._stop_quietly()))
            return True
        if self.phase == READY:
            return False
        self.doing = "asked to stop"
        if self._runner is not None:
            self._runner.cancel()
        self._loader.tasks.cancel(PLAN)
        self._tell()
        return True

    async def _stop_quietly(self) -> None:
        await self.stop()

    def _took(self, tuner: Tuner) -> None:
        self.step, self.changes = tuner.step, dict(tuner.changes)

    async def _restore(self, prefix: str) -> Restored:
        tuner = self._tuner
        assert tuner is not None
        found = await tuner.restore(prefix)
        self._took(tuner)
        self.history.clear()
        self.left = 0
        self.say(f"Restored from {prefix}")
        words = finetune_words.restored(
            found.step, found.matched, found.missing, found.unused, optimizer=found.optimizer, whole=found.whole
        )
        self.say(words)
        return found

    async def _directory(self, stretch: Stretch) -> CheckpointDirectory:
        from tfexplore.core.checkpoint_saving import CheckpointDirectory

        return await asyncio.to_thread(CheckpointDirectory, stretch.directory, stretch.keep)

    # -- what goes wrong --

    def _blame(self, errors: dict[str, str]) -> None:
        """Shows errors at their rows, the cursor on the first."""
        errors = dict(errors)
        self.problem = text.visible(errors.pop("", ""))
        self.errors = {key: text.visible(wrong) for key, wrong in errors.items()}
        fields = self.form.fields if self.form is not None else ()
        self.row = next((number for number, field in enumerate(fields) if field.key in errors), self.row)
        self._tell()

    def _failed(self, error: TfexploreError) -> None:
        if isinstance(error, (TensorFlowMissing, SandboxMissing)):
            self._tuner = self._tuner_of = None
            self.say(str(error), bad=True)
        elif isinstance(error, (ChildDied, TimedOut)) or self._child_is_gone:
            self._forget_child(str(error), bad=True)
        else:
            if isinstance(error, RuntimeFailed):
                self._tuner_of = None  # it may be half done
            self.say(str(error), bad=True)

    @property
    def _child_is_gone(self) -> bool:
        return self._runner is not None and self._runner.runtime.state in ("dead", "off")

    def _forget_child(self, why: str, *, bad: bool = False) -> None:
        """The next run prepares anew; where the process has ended, what it had learnt is gone."""
        self._tuner_of = None
        if self._closed:
            return
        if not self._child_is_gone:
            self.say(why, bad=bad)
            return
        learnt = self.step > 0
        self._tuner, self.prepared, self._fresh = None, None, True
        self.step = self.left = 0
        self.changes = {}
        self.history.clear()
        directory = self.value("directory")
        again = "the latest checkpoint" if directory and learnt else "the model as it was loaded"
        lost = " The steps since then are lost." if learnt and directory else " Its steps are lost." if learnt else ""
        self.say(f"{why}.{lost} Ctrl-R starts another process with {again}", bad=True)

    # -- the child --

    async def _may_run(self, ask: Ask) -> bool:
        """Whether the person trusts the model, where that is asked for."""
        if not self.trusted:

            def job(context: Any) -> list[Finding]:
                return distrusted(self.model, context.cancel)

            found = await self._loader.tasks.run(job, channel=PLAN)
            if found and not await ask(sentence(found)):
                self.problem = "not run: the model is not trusted"
                return False
            self.trusted = True
        return True

    async def _runner_for(self, meta_graph: MetaGraph) -> Runner:
        """The model's runner; another MetaGraph has another."""
        if self._runner is not None and self._runner_of is not meta_graph:
            old, self._runner, self._tuner = self._runner, None, None
            await old.close()
            self.step, self.changes, self.reach, self._fresh = 0, {}, {}, True
            self.history.clear()
        if self._closed:
            raise Cancelled
        if self._runner is None:
            more = {"on_state": self._state_changed, "script": self._options.script}
            options = self._options.child or Options()
            self._runner = Runner(target(self.model, meta_graph), options, self._happened, self._ready, **more)
            self._runner_of = meta_graph
        return self._runner

    def close(self) -> None:
        """Ends the child, whatever it does; `ended` waits for that."""
        self._closed = True
        if self._telling is not None:
            self._telling.cancel()
        runner, self._runner = self._runner, None
        if runner is not None:
            self._endings.add(asyncio.get_running_loop().create_task(runner.close()))

    async def ended(self) -> None:
        """Waits until the child has ended."""
        if self._endings:
            await asyncio.wait(self._endings)
