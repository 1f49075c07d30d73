"""The state of the Fine-tune tab: runs, and what becomes of the weights: checkpoints, an export. No widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfexplore.core import finetune_made, text
from tfexplore.core.finetune_made import Made, Stretch
from tfexplore.core.form import BY_FUNCTION
from tfexplore.core.plan import target
from tfexplore.errors import Cancelled, TfexploreError, UsageError
from tfexplore.tui.finetune_form import full_path
from tfexplore.tui.finetune_run import BUSY, PLAN, Ask, TuneRun

if TYPE_CHECKING:
    from tfexplore.core.finetune_plan import FinetunePlan
    from tfexplore.core.model import Model


class Finetune(TuneRun):
    """Tuning of one model."""

    # -- weights --

    async def roll_back(self) -> None:
        """The weights as they were loaded, bit by bit; the optimizer as new, the steps forgotten."""
        tuner = self._tuner
        if tuner is None or self._refuse_busy():
            return
        self._do(BUSY, "rolling back")
        try:
            await tuner.roll_back()
            self._took(tuner)
            self.history.clear()
            self.left = 0
            self.say("rolled back: every variable as it was loaded, the optimizer as new")
        except Cancelled:
            self._forget_child("cancelled")
        except TfexploreError as error:
            self._failed(error)
        finally:
            self._end()

    async def save(self, folder: str) -> None:
        """Saves a checkpoint now."""
        tuner = self._tuner
        if tuner is None or self._refuse_busy():
            return
        self._do(BUSY, "saving a checkpoint")
        try:
            keep = self.value("keep").strip()
            stretch = Stretch(0, 0.0, full_path(folder), None, int(keep) if keep.isdigit() else 0)
            saved = await tuner.save(await self._directory(stretch))
            gone = f", and {text.plural(len(saved.removed), 'older one')} removed" if saved.removed else ""
            self.say(f"saved {saved.prefix}{gone}")
        except Cancelled:
            self._forget_child("cancelled: no checkpoint was saved")
        except TfexploreError as error:
            self._failed(error)
        finally:
            self._end()

    async def restore(self, path: str, ask: Ask) -> None:
        """Restores a checkpoint, or the latest one of a folder."""
        if self._refuse_busy():
            return
        try:
            from tfexplore.core.checkpoint_saving import prefix_of

            prefix = await self._loader.tasks.run(lambda _: prefix_of(full_path(path)), channel=PLAN)
            self._fresh = False  # not the latest, but this one
            if await self._prepare(ask) is not None:
                self._do(BUSY, "restoring")
                await self._restore(prefix)
        except Cancelled:
            self._forget_child("cancelled")
        except TfexploreError as error:
            self._failed(error)
        finally:
            self._end()

    async def check_export(self, folder: str) -> str | None:
        """Why a folder cannot be exported to without replacing what is there; None where it can.

        Raises:
            UsageError, ModelError: it cannot at all, and why.
            Cancelled: it was cancelled.
        """
        from tfexplore.core.export import check_export

        path = full_path(folder)

        def job(_: object) -> str | None:
            try:
                check_export(self.model, path)
            except UsageError as error:
                if "exists already" not in str(error):
                    raise
                check_export(self.model, path, overwrite=True)
                return f"{path} exists already"
            return None

        return await self._loader.tasks.run(job, channel=PLAN)

    async def export(self, folder: str, *, overwrite: bool) -> bool:
        """Writes a copy of the model with the weights as they are now; tells whether it is there."""
        tuner, whole = self._tuner, self.form
        if tuner is None or whole is None or self._refuse_busy():
            return False
        self._do(BUSY, "exporting")
        try:
            meta_graph = self._runner_of or whole.choice.meta_graph
            found = await tuner.export(self.model, meta_graph, full_path(folder), overwrite=overwrite)
        except Cancelled:
            self._forget_child("cancelled: nothing was exported")
            return False
        except TfexploreError as error:
            self._failed(error)
            return False
        finally:
            self._end()
        for note in found.notes:
            self.say(note)
        moved = text.plural(len(found.keys), "variable")
        self.say(f"exported {found.path}: {moved} with new values, all else byte for byte; tfexplore opens it")
        return True

    # -- as a script --

    async def scripts(self) -> list[tuple[str, str]]:
        """The run as a command line of ours and as a Python script: name and text of each.

        Raises:
            UsageError: the form holds something wrong; its row says it.
            Cancelled: it was cancelled.
        """
        whole, values, variables = self.form, dict(self.values), self.variables
        if whole is None:
            raise UsageError("there is no form to write a script from")
        traces = None
        if whole.choice.kind == BY_FUNCTION and self._runner is not None and self.state == "idle":
            traces = await self._runner.traces(whole.choice.name, self._options.timeout)

        def job(context: Any) -> tuple[Made, list[tuple[str, str]]]:
            made = finetune_made.make(whole, values, variables, context.cancel)
            if made.wish is None or made.stretch is None:
                return made, []
            plan, errors = made.plan, made.errors
            if plan is None and traces is not None:
                plan, errors = finetune_made.make_function(whole, values, made.wish, traces, context.cancel)
            if errors:
                return Made(None, None, None, errors), []
            return made._replace(plan=plan), _scripts(self.model, whole, values, made, plan)

        made, found = await self._loader.tasks.run(job, channel=PLAN)
        if made.wish is None:
            self._blame(made.errors)
            raise UsageError("the form holds something wrong")
        return found


def _scripts(
    model: Model, whole: Any, values: dict[str, str], made: Made, plan: FinetunePlan | None
) -> list[tuple[str, str]]:
    from tfexplore.core.finetune_script import script

    assert made.wish is not None
    assert made.stretch is not None
    wanted = target(model, whole.choice.meta_graph)
    found = []
    for name in ("tfexplore", "python"):
        try:
            if name == "tfexplore":
                written = finetune_made.command_line(wanted, whole, values, made.wish, made.stretch, None)
            elif plan is None:
                written = "# after the first run: the traces of a function are known once the model is loaded"
            else:
                written = script(wanted, plan, made.stretch.steps)
        except UsageError as error:
            written = f"# not so: {text.visible(str(error))}"
        found.append((name, written))
    return found
