"""The state of the Predict tab: its runs, on top of the form. No widgets.

The model's runner is made for the first run, kept until the model is left, and ended then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tfexplore.core import form as forms
from tfexplore.core import form_call, text
from tfexplore.core.form import Form
from tfexplore.core.plan import Target, target
from tfexplore.core.subjects import SectionSubject
from tfexplore.core.trust import distrusted, sentence
from tfexplore.errors import Cancelled, ChildDied, RuntimeFailed, TfexploreError, TimedOut, UsageError
from tfexplore.loader import Loader
from tfexplore.loader.run_options import RunOptions
from tfexplore.loader.running import Runner
from tfexplore.runtime.client import CANCEL_SECONDS, TERMINATE_SECONDS
from tfexplore.runtime.records import About, Event, Log, Options, Progress
from tfexplore.tui.details import Details
from tfexplore.tui.history import Shown
from tfexplore.tui.predict_form import FormState, key_of
from tfexplore.tui.predict_run import (
    CANCELLED,
    CANCELLING,
    DIED,
    DONE,
    FAILED,
    NOTHING_RUN,
    RUNNING,
    TIMED_OUT,
    Run,
)

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.model import Model
    from tfexplore.core.scan_finding import Finding
    from tfexplore.tui.topics import Topic

MAX_RUNS = 50
# Outputs that are kept, in bytes; of older runs they are let go.
_MAX_HELD = 128 << 20
_CALL, _SHOWN = "predict call", "predict run"

Ask = Callable[[str], Awaitable[bool]]


class Predict(FormState):
    """Calls of one model: the form, and its runs.

    Args:
        model: what is called.
        loader: reads and checks for it.
        options: how the model is run.
        tell: called in the event loop after a change.

    Attributes:
        runs: the newest first.
        run: the number of the run that is looked at, in that list.
        comparing: whether the run is compared with the one before it.
        result: what the pane of outputs shows.
        state: of the child.
        sandbox: a sentence where it does not hold everything back.
        current: the run that is under way.
    """

    def __init__(self, model: Model, loader: Loader, options: RunOptions, tell: Callable[[], None]) -> None:
        super().__init__(model, loader, tell)
        self.runs: list[Run] = []
        self.run = 0
        self.comparing = False
        self.result = Details(loader, self._result_changed)
        self.result.shown = Shown(SectionSubject("Predict", ""), NOTHING_RUN)
        self.state = "off"
        self.sandbox = ""
        self.trusted = options.trust
        self.current: Run | None = None
        self._preparing = False
        self._options = options
        self._runner: Runner | None = None
        self._runner_of: MetaGraph | None = None
        self._numbers = 0
        self._closed = False
        self._endings: set[asyncio.Task[None]] = set()

    def _result_changed(self, topic: Topic) -> None:
        self._tell()

    # -- running --

    async def start(self, ask: Ask) -> None:
        """Calls the model with what the form holds.

        Args:
            ask: shows a sentence about what makes the model risky, and tells whether the person trusts it.
        """
        if self.current is not None or self._preparing:
            self.problem = "a call is under way: Escape cancels it"
            self._tell()
            return
        whole, values = self.form, dict(self.values)
        if whole is None:
            self.problem = self.problem or "the form is still being read"
            self._tell()
            return
        self._preparing, self.problem, self.errors = True, "", {}
        self._tell()
        try:
            made = await self._loader.tasks.run(
                lambda context: form_call.make_call(self.model, whole, values, context.cancel), channel=_CALL
            )
            if made.plan is None:
                self._blame(made.errors)
                return
            wanted = target(self.model, whole.choice.meta_graph)
            if not await self._may_run(ask) or self._closed:
                return
        except Cancelled:
            self.problem = "" if self._closed else "cancelled before anything was run"
            return
        except TfexploreError as error:
            self.problem = text.visible(str(error))
            return
        finally:
            self._preparing = False
            self._tell()
        run = self._add(whole, values)
        try:
            await self._call(run, wanted, whole, made)
        finally:
            if not run.is_over:  # the task itself was cancelled
                run.status = CANCELLED
            self.current = None
            self._let_go()
            self._tell()
        await self.show_run()
        if run.status == DONE:
            await self._list_functions(whole.choice.meta_graph)

    async def lend(self, meta_graph: MetaGraph, ask: Ask) -> Runner | None:
        """The model's runner, for something that is no call; None where the person does not trust the model.

        Raises:
            UsageError: TensorFlow does not find the model, or a call of another MetaGraph is under way.
            Cancelled: it was cancelled.
        """
        wanted = target(self.model, meta_graph)
        if self.current is not None and self._runner_of is not meta_graph:
            raise UsageError("a call of another MetaGraph is under way")
        if not await self._may_run(ask) or self._closed:
            return None
        return await self._runner_for(meta_graph, wanted)

    def _blame(self, errors: dict[str, str]) -> None:
        """Shows errors at their rows, the cursor on the first."""
        self.problem = text.visible(errors.pop("", ""))
        self.errors = {key: text.visible(wrong) for key, wrong in errors.items()}
        fields = self.form.fields if self.form is not None else ()
        self.row = next((number for number, field in enumerate(fields) if field.key in errors), self.row)

    async def _may_run(self, ask: Ask) -> bool:
        """Whether the person trusts the model, where that is asked for."""
        if not self.trusted:

            def job(context: Any) -> list[Finding]:
                return distrusted(self.model, context.cancel)

            found = await self._loader.tasks.run(job, channel=_CALL)
            if found and not await ask(sentence(found)):
                self.problem = "not run: the model is not trusted"
                return False
            self.trusted = True
        return True

    def _add(self, whole: Form, values: dict[str, str]) -> Run:
        inputs = [(field.name, form_call.value_of(field, values)) for field in whole.fields]
        self._numbers += 1
        given = tuple(pair for pair in inputs if pair[1])
        run = Run(self._numbers, key_of(whole.choice), whole.choice.title, given, step="starting")
        self.runs.insert(0, run)
        del self.runs[MAX_RUNS:]
        self.run, self.current = 0, run
        self._show_plain(run)
        return run

    async def _call(self, run: Run, wanted: Target, whole: Form, made: form_call.Made) -> None:
        assert made.plan is not None
        timeout = self._options.timeout
        try:
            runner = await self._runner_for(whole.choice.meta_graph, wanted)
            loaded = await runner.load(timeout)
            run.notes += [str(note) for note in loaded.get("notes", ())]
            if run.status == CANCELLING:
                raise Cancelled
            answer = await runner.call(made.plan, repeat=made.repeat, timeout=timeout)
            if run.status == CANCELLING:  # it came too late to be wanted
                raise Cancelled
            run.answer, run.status = answer, DONE
        except Cancelled:
            run.status = CANCELLED
            alive = self._runner is not None and self._runner.runtime.state == "idle"
            after = "the model stays loaded" if alive else "the process was ended: the next run starts another"
            run.problem = f"cancelled; {after}"
        except UsageError as error:
            run.status, run.problem = FAILED, str(error)
        except RuntimeFailed as error:
            run.status = TIMED_OUT if isinstance(error, TimedOut) else DIED if isinstance(error, ChildDied) else FAILED
            run.problem, run.last_words = str(error), error.last_words if run.status != FAILED else ""

    async def _runner_for(self, meta_graph: MetaGraph, wanted: Target) -> Runner:
        """The model's runner; another MetaGraph has another."""
        if self._runner is not None and self._runner_of is not meta_graph:
            old, self._runner = self._runner, None
            await old.close()
        if self._closed:
            raise Cancelled
        if self._runner is None:
            options = self._options.child or Options()
            more = {"on_state": self._state_changed, "script": self._options.script}
            self._runner = Runner(wanted, options, self._happened, self._ready, **more)
            self._runner_of = meta_graph
        return self._runner

    def _state_changed(self, state: str) -> None:
        self.state = state
        self._tell()

    def _ready(self, about: About) -> None:
        self.sandbox = "" if about.sandbox.whole else about.sandbox.sentence()
        if self.sandbox and self.current is not None:
            self.current.notes.append(self.sandbox)
        self._tell()

    def _happened(self, event: Event) -> None:
        run = self.current
        if run is None:
            return
        if isinstance(event, Log):
            run.notes.append(event.text)
        elif isinstance(event, Progress) and run.status == RUNNING:
            share = f" {event.done:,} of {event.total:,}" if event.total and event.total > 1 else ""
            run.step = text.visible(event.what) + share
        if run.status == CANCELLING and self._runner is not None:  # cancelled before there was a request
            self._runner.cancel()
        self._show_plain(run)

    def _let_go(self) -> None:
        """Lets outputs of old runs go where all together take too much."""
        held = 0
        for run in self.runs:
            held += run.nbytes
            if held > _MAX_HELD and run.answer is not None and run is not self.runs[0]:
                run.answer, run.problem = None, "its outputs were let go to make room for newer ones"

    async def _list_functions(self, meta_graph: MetaGraph) -> None:
        """Adds the functions of the object graph to what can be called, once."""
        runner = self._runner
        known = any(one.kind == forms.BY_FUNCTION and one.meta_graph is meta_graph for one in self.choices)
        if runner is None or known or meta_graph.objects is None or self.current is not None:
            return
        try:
            functions = await runner.functions(self._options.timeout)
        except TfexploreError:  # what was called works; the list is an extra
            return
        if self._runner is runner and not self._closed:
            place = max(number for number, one in enumerate(self.choices) if one.meta_graph is meta_graph) + 1
            self.choices[place:place] = found = forms.function_choices(meta_graph, functions)
            if place <= self.choice:
                self.choice += len(found)
            self._tell()

    def cancel(self) -> bool:
        """Cancels the run; tells whether there was one."""
        run = self.current
        if run is None or run.status != RUNNING:
            return run is not None
        run.status, run.step = CANCELLING, "asked to stop"
        if self._runner is not None:
            self._runner.cancel()
        loop = asyncio.get_running_loop()
        loop.call_later(CANCEL_SECONDS, self._say, run, "it does not stop: told to end")
        loop.call_later(CANCEL_SECONDS + TERMINATE_SECONDS, self._say, run, "it does not end: killed")
        self._show_plain(run)
        return True

    def _say(self, run: Run, step: str) -> None:
        if run.status == CANCELLING and not self._closed:
            run.step = step
            self._show_plain(run)

    # -- what a run gave --

    def _show_plain(self, run: Run) -> None:
        """Shows a run that has no outputs, where it is the one that is looked at."""
        if self.runs and self.runs[self.run] is run:
            self.result.shown = Shown(SectionSubject(run.title, ""), run.detail(None))
        self._tell()

    async def show_run(self) -> None:
        """Shows the run that is looked at."""
        if not self.runs:
            return
        run = self.runs[self.run]
        before = self.before(run) if self.comparing else None
        if run.answer is None:
            self._show_plain(run)
            return
        try:
            found = await self._loader.tasks.run(lambda context: run.detail(before, context.cancel), channel=_SHOWN)
        except Cancelled:
            return
        if self.runs[self.run] is run:
            self.result.shown = Shown(SectionSubject(run.title, ""), found)
            self._tell()

    def before(self, run: Run) -> Run | None:
        """The run before it that gave outputs, of the same call."""
        older = self.runs[self.runs.index(run) + 1 :]
        return next((one for one in older if one.answer is not None and one.call == run.call), None)

    def look_at(self, number: int) -> bool:
        """Moves the cursor of the list of runs; tells whether it moved."""
        number = max(0, min(number, len(self.runs) - 1))
        moved, self.run = number != self.run, number
        return moved

    # -- as a script --

    async def scripts(self) -> list[tuple[str, str]]:
        """The call as a command line of ours, as curl, Python and saved_model_cli: name and text of each.

        Raises:
            UsageError: the form holds something wrong; its row says it.
            Cancelled: it was cancelled.
        """
        whole, values = self.form, dict(self.values)
        if whole is None:
            raise UsageError("there is no form to write a script from")

        def job(context: Any) -> tuple[form_call.Made, list[tuple[str, str]]]:
            made = form_call.make_call(self.model, whole, values, context.cancel)
            return made, _scripts(self.model, whole, values, made) if made.plan is not None else []

        made, found = await self._loader.tasks.run(job, channel=_CALL)
        if made.plan is None:
            self._blame(dict(made.errors))
            self._tell()
            raise UsageError("the form holds something wrong")
        return found

    # -- ending --

    def close(self) -> None:
        """Ends the child, whatever it does; `ended` waits for that."""
        self._closed = True
        runner, self._runner = self._runner, None
        if runner is not None:
            self._endings.add(asyncio.get_running_loop().create_task(runner.close()))

    async def ended(self) -> None:
        """Waits until the child has ended."""
        if self._endings:
            await asyncio.wait(self._endings)


def _scripts(model: Model, whole: Form, values: dict[str, str], made: form_call.Made) -> list[tuple[str, str]]:
    from tfexplore.core.scripts import script

    assert made.plan is not None
    plan, wanted = made.plan, target(model, whole.choice.meta_graph)
    found = []
    for name in ("tfexplore", "curl", "python", "saved_model_cli"):
        try:
            if name == "tfexplore":
                written = form_call.command_line(model, wanted, whole, values, plan)
            else:
                written = script(name, wanted, plan)
        except UsageError as error:
            written = f"# not so: {text.visible(str(error))}"
        found.append((name, written))
    return found
