"""The Fine-tune tab: the form on the left, the variables and the curve on the right, and the work of its keys."""

from __future__ import annotations

import asyncio
import os
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

from tfexplore.core import text
from tfexplore.core.finetune_form import PATH, Row
from tfexplore.errors import Cancelled, TfexploreError, UsageError
from tfexplore.tui.finetune import Finetune
from tfexplore.tui.finetune_run import RUNNING
from tfexplore.tui.widgets.curve_view import CurveView
from tfexplore.tui.widgets.line_view import LineView
from tfexplore.tui.widgets.tune_form import TuneColumn, TuneForm
from tfexplore.tui.widgets.variable_list import VariableList

# As in the application's breakpoints.
_WIDE = 100
_PATH = Row("path", "path", "", kind=PATH)


class FinetunePane(Container):
    """The tab's three panes and their work."""

    TITLE = "Fine-tune"
    HELP = "What is tuned and how on the left; the variables with their ticks, and the run, beside it."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run", "Run", id="tune.run", tooltip="Take steps; after a pause, those that are left"),
        Binding("p", "pause", "Pause", id="tune.pause", tooltip="Stop between two steps; Ctrl-R or p goes on"),
        Binding("s", "stop", "Stop", id="tune.stop", tooltip="Stop between two steps, and leave the rest of the run"),
        Binding("l", "look", "Gradients", id="tune.look", tooltip="Look which variables get a gradient; takes no step"),
        Binding("r", "roll_back", "Roll back", id="tune.roll_back", tooltip="Back to the weights as loaded, exactly"),
        Binding("x", "export", "Export", id="tune.export", tooltip="Write a copy of the model with the new weights"),
        Binding("w", "save", "Save", id="tune.save", tooltip="Save a checkpoint now"),
        Binding("o", "restore", "Restore", id="tune.restore", tooltip="Go on from a checkpoint"),
        Binding("e", "scripts", "As a script", id="tune.script", tooltip="The same run as a command, and in Python"),
    ]

    def __init__(self, finetune: Finetune) -> None:
        super().__init__()
        self.finetune = finetune

    def compose(self) -> ComposeResult:
        """Two columns, which stand one above the other on a narrow screen."""
        yield TuneColumn(self.finetune, id="tune-left")
        with Vertical(id="tune-right"):
            yield VariableList(self.finetune, id="variables")
            yield CurveView(self.finetune, id="curve")

    def on_mount(self) -> None:
        """Reads what can be tuned."""
        self.open()

    @work(exclusive=True, group="tune form", description="reading what can be tuned")
    async def open(self) -> None:
        """Reads what can be tuned, the first form and the variables."""
        await self.finetune.open()

    def update(self) -> None:
        """Draws what has changed."""
        if not self.is_mounted or not self._panes:
            return
        variables, curve = self.query_one(VariableList), self.query_one(CurveView)
        if self.finetune.only_figures:
            variables.show_changes()
            curve.update_figures()
            return
        self.query_one(TuneColumn).update()
        variables.update_lines()
        curve.update_lines()
        self.refresh_bindings()

    # -- focus --

    def on_descendant_focus(self) -> None:
        """On a narrow screen the pane that is worked in has the most room."""
        focused = self.screen.focused
        self.set_class(not isinstance(focused, VariableList | CurveView), "-at-form")
        self.set_class(isinstance(focused, VariableList), "-at-variables")

    @property
    def _panes(self) -> list[LineView]:
        return list(self.query(LineView))

    def focus_first(self) -> None:
        """Goes to the form."""
        if self._panes:
            self.query_one(TuneForm).focus()
        else:
            self.call_after_refresh(self.focus_first)

    def focus_next(self, focused: Widget | None, step: int = 1) -> None:
        """Goes to the pane after, or before, the one that is worked in."""
        panes = self._panes
        at = panes.index(focused) if focused in panes else -1
        panes[(at + step) % len(panes)].focus()

    # -- running --

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are there only where they do something."""
        finetune = self.finetune
        if action == "pause":
            return finetune.phase == RUNNING or bool(finetune.left)
        if action == "stop":
            return finetune.phase == RUNNING or bool(finetune.left)
        if action in ("run", "look", "restore"):
            return not finetune.is_busy
        if action in ("roll_back", "save", "export"):
            return finetune.has_tuned
        return True

    async def action_run(self) -> None:
        """Takes steps; what is being edited is taken first."""
        await self.query_one(TuneColumn).take()
        self.start()

    @work(group="tune run", description="tuning the model")
    async def start(self) -> None:
        """Takes steps; on a narrow screen the curve is what one looks at then."""
        if self.app.size.width < _WIDE:
            self.query_one(CurveView).focus()
        await self.finetune.start(self._ask_trust)
        if self.finetune.errors:
            self.query_one(TuneForm).focus()

    @work(group="tune run", description="looking for gradients")
    async def action_look(self) -> None:
        """Looks which variables get a gradient."""
        await self.query_one(TuneColumn).take()
        await self.finetune.look(self._ask_trust)

    async def action_pause(self) -> None:
        """Stops between two steps, or goes on."""
        if not await self.finetune.stop(pause=True) and self.finetune.left:
            self.start()

    async def action_stop(self) -> None:
        """Stops between two steps, and leaves the rest of the run."""
        await self.finetune.stop()

    # -- what is asked --

    async def _answer(self, screen: ModalScreen[bool]) -> bool:
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def answered(given: bool | None) -> None:
            if not answer.done():
                answer.set_result(bool(given))

        self.app.push_screen(screen, answered)
        return await answer

    async def _ask_trust(self, found: str) -> bool:
        """Whether the person trusts the model."""
        from tfexplore.tui.screens.trust import TrustScreen

        return await self._answer(TrustScreen(found))

    async def _confirm(self, question: str, sentence: str, yes: str) -> bool:
        from tfexplore.tui.screens.prompt import ConfirmScreen

        return await self._answer(ConfirmScreen(question, sentence, yes))

    async def _line(self, title: str, note: str, value: str, *, path: bool = True) -> str | None:
        """One line from the person; None where it is left."""
        from tfexplore.tui.screens.prompt import PromptScreen

        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

        def answered(given: str | None) -> None:
            if not answer.done():
                answer.set_result(given)

        async def complete(typed: str) -> str | None:
            return await self.finetune.complete(_PATH, typed)

        self.app.push_screen(PromptScreen(title, note, value, complete if path else None), answered)
        return await answer

    # -- variables --

    @on(VariableList.FindRequested)
    @work(exclusive=True, group="tune find", description="asking for variables by name")
    async def find(self, message: VariableList.FindRequested) -> None:
        """Ticks variables by name."""
        title = "Tick variables by name" if message.train else "Take ticks away by name"
        word = await self._line(title, "A regular expression (RE2) that their names hold.", "", path=False)
        if word is not None:
            self.finetune.tick_found(word, message.train)

    # -- weights --

    @work(exclusive=True, group="tune weights", description="rolling back")
    async def action_roll_back(self) -> None:
        """Goes back to the weights as loaded, where the person is sure."""
        steps = text.plural(self.finetune.step, "step")
        lost = f"{steps} would be undone: every variable as it was loaded, the optimizer as new."
        if await self._confirm("Roll back?", lost, "roll back"):
            await self.finetune.roll_back()

    @work(exclusive=True, group="tune weights", description="saving a checkpoint")
    async def action_save(self) -> None:
        """Saves a checkpoint, where no folder is named asks for one."""
        folder = self.finetune.value("directory") or await self._line(
            "Save a checkpoint in",
            "A folder; it is made where it is missing. tf.train.Checkpoint(step, optimizer, net, data).",
            f"{self._beside()}-checkpoints",
        )
        if folder is not None:
            await self.finetune.save(folder)

    @work(exclusive=True, group="tune weights", description="restoring a checkpoint")
    async def action_restore(self) -> None:
        """Restores a checkpoint."""
        path = await self._line(
            "Restore",
            "A checkpoint's prefix or .index file, or a folder, whose latest is meant.",
            self.finetune.value("directory"),
        )
        if path is not None:
            await self.finetune.restore(path, self._ask_trust)

    @work(exclusive=True, group="tune weights", description="exporting the model")
    async def action_export(self) -> None:
        """Writes a copy of the model, where one is there already only on the person's word."""
        note = "A new folder: the model's files with the weights as they are now. The model itself stays as it is."
        folder = await self._line("Export to", note, self._free(f"{self._beside()}-tuned"))
        if folder is None:
            return
        try:
            there = await self.finetune.check_export(folder)
        except Cancelled:
            return
        except TfexploreError as error:
            self.finetune.say(str(error), bad=True)
            return
        if there is not None:
            sentence = f"{text.visible(there)}. The SavedModel in it would be replaced."
            if not await self._confirm("Replace it?", sentence, "replace it"):
                return
        if await self.finetune.export(folder, overwrite=there is not None):
            shown = text.visible(folder)
            self.app.notify(
                f"Exported. `tfexplore {shown}` opens it, `tfexplore smoke {shown}` runs it.", markup=False, timeout=10
            )

    def _beside(self) -> str:
        """The model's path as it is written shortest."""
        path = os.path.abspath(self.finetune.model.path)
        path = os.path.dirname(path) if os.path.isfile(path) else path
        near = os.path.relpath(path)
        return path if near.startswith(os.pardir) or near == os.curdir else near

    @staticmethod
    def _free(path: str) -> str:
        """The path, with a number where something lies there."""
        found, number = path, 1
        while os.path.lexists(found) and number < 100:
            number += 1
            found = f"{path}-{number}"
        return found

    # -- scripts --

    @work(exclusive=True, group="tune script", description="writing the run as a script")
    async def action_scripts(self) -> None:
        """Shows the run as a command line and as a Python program."""
        from tfexplore.tui.screens.script import ScriptScreen

        try:
            scripts = await self.finetune.scripts()
        except (UsageError, Cancelled):
            return
        except TfexploreError as error:
            self.finetune.say(str(error), bad=True)
            return
        self.app.push_screen(ScriptScreen(scripts))
