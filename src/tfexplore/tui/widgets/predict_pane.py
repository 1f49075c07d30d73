"""The Predict tab: what is called and the form on the left, outputs and runs on the right."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.widget import Widget

from tfexplore.core import text
from tfexplore.core.form import REPEAT, Field
from tfexplore.errors import Cancelled, UsageError
from tfexplore.tui.predict import Predict
from tfexplore.tui.widgets.call_list import CallList
from tfexplore.tui.widgets.detail_pane import DetailPane
from tfexplore.tui.widgets.field_input import FieldInput
from tfexplore.tui.widgets.form_list import FormList
from tfexplore.tui.widgets.line_view import LineView
from tfexplore.tui.widgets.run_list import RunList


class ResultPane(DetailPane):
    """The outputs of the run that is looked at, or why there are none."""

    TITLE = "The outputs"
    HELP = "What the run gave: dtype, shape, values, the greatest of them, latency; or why it failed."

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No line of it leads anywhere."""
        return action != "follow"

    def labels_above(self) -> Iterator[str]:
        """What stands as a title or a label on the cursor's line and on those above, the nearest first."""
        for drawn in reversed(self._drawn[: self.cursor_line + 1]):
            yield from filter(None, (drawn.title, drawn.line.label if drawn.line is not None else ""))


class PredictPane(Container):
    """The tab's four panes and their work."""

    TITLE = "Predict"
    HELP = "Calls the model: what is called and its inputs on the left, what came of it on the right."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run", "Run", id="predict.run", tooltip="Call the model with what the form holds"),
        Binding("e", "scripts", "As a script", id="predict.script", tooltip="The same call as curl, Python, a command"),
        Binding("c", "compare", "Compare", id="predict.compare", tooltip="How the run differs from the one before it"),
        Binding("v", "values", "Values", show=False, id="predict.values", tooltip="The values of an output"),
        Binding("r", "repeat", "Repeat", id="predict.repeat", tooltip="How many more calls, for their latency"),
    ]

    def __init__(self, predict: Predict) -> None:
        super().__init__()
        self.predict = predict
        self._field: Field | None = None

    def compose(self) -> ComposeResult:
        """Two columns, which stand one above the other on a narrow screen."""
        with Vertical(id="predict-left"):
            yield CallList(self.predict, id="calls")
            yield FormList(self.predict, id="form")
        with Vertical(id="predict-right"):
            yield ResultPane(self.predict.result, id="result")
            yield RunList(self.predict, id="runs")

    def on_mount(self) -> None:
        """Reads what can be called."""
        self.open()

    @work(exclusive=True, group="predict form", description="reading what can be called")
    async def open(self) -> None:
        """Reads what can be called, and the first form."""
        await self.predict.open()
        if not self.predict.runs and self._form.has_focus is False and self._calls.has_focus:
            if len(self.predict.choices) <= 2:  # nothing to choose from
                self._form.focus()

    def update(self) -> None:
        """Draws what has changed."""
        if not self.is_mounted or not self._panes:
            return
        for pane in self._panes:
            pane.update_lines()
        if self._field is not None:
            self._form.show_cursor()  # the names that may complete it stand below the row
            self._place()
        self._form.set_class(self._field is not None, "-editing")
        self.refresh_bindings()

    # -- focus --

    @property
    def _panes(self) -> list[LineView]:
        return list(self.query(LineView))

    @property
    def _left_column(self) -> Vertical:
        return self.query_one("#predict-left", Vertical)

    @property
    def _calls(self) -> CallList:
        return self.query_one(CallList)

    @property
    def _form(self) -> FormList:
        return self.query_one(FormList)

    def focus_first(self) -> None:
        """Goes to the form, or to the calls where there are several."""
        panes = self._panes
        if panes:
            (self._form if self.predict.form is not None else self._calls).focus()
        else:
            self.call_after_refresh(self.focus_first)

    def focus_next(self, focused: Widget | None, step: int = 1) -> None:
        """Goes to the pane after, or before, the one that is worked in."""
        panes = self._panes
        at = panes.index(focused) if focused in panes else -1
        panes[(at + step) % len(panes)].focus()

    @on(CallList.Entered)
    def _form_wanted(self) -> None:
        self._form.focus()

    @on(FormList.BackRequested)
    def _calls_wanted(self) -> None:
        self._calls.focus()

    @on(RunList.Entered)
    def _outputs_wanted(self) -> None:
        self.query_one(ResultPane).focus()

    @on(DetailPane.BackRequested)
    def _runs_wanted(self, message: DetailPane.BackRequested) -> None:
        message.stop()
        self.query_one(RunList).focus()

    # -- values --

    @on(DetailPane.ValuesRequested)
    def _values_wanted(self, message: DetailPane.ValuesRequested) -> None:
        message.stop()
        self.action_values()

    @work(exclusive=True, group="values", description="opening the values of an output")
    async def action_values(self) -> None:
        """Shows the values of the output under the cursor, of the run that is looked at."""
        from tfexplore.core.tensor_source import ArraySource
        from tfexplore.tui.screens.values import open_source

        run = self.predict.runs[self.predict.run] if self.predict.runs else None
        outputs = run.answer.outputs if run is not None and run.answer is not None else ()
        if not outputs:
            self.notify("No values: run it first (Ctrl-R).", markup=False, timeout=4)
            return
        by_label = {text.label(output.name): output for output in outputs}
        pane = self.query_one(ResultPane)
        output = next((by_label[label] for label in pane.labels_above() if label in by_label), outputs[0])
        await open_source(self.app, self.predict.result.loader, ArraySource(output.name, output.array))

    # -- what is called --

    @on(CallList.Chosen)
    def _call_chosen(self, message: CallList.Chosen) -> None:
        self.choose(message.number)

    @work(exclusive=True, group="predict form", description="reading a form")
    async def choose(self, number: int) -> None:
        """Shows the form of something else."""
        await self.predict.choose(number)
        self._calls.show_cursor()
        self._form.show_cursor()

    # -- editing --

    @on(FormList.EditRequested)
    async def _edit(self) -> None:
        field = self.predict.field
        if field is None or self._field is not None:
            return
        self._field = field
        self._form.editing = field.key
        self._form.show_cursor()

        async def complete(typed: str) -> str | None:
            return await self.predict.complete(field, typed)

        written = self.predict.value_of(field)
        # What cannot be typed cannot be edited: the row begins empty then.
        value = written if text.visible(written) == written else ""
        written_in = FieldInput(value, complete if field.completes else None, id="field")
        await self._left_column.mount(written_in)
        self._place()
        written_in.focus()
        self.update()

    def _place(self) -> None:
        """Lays the input over the value of its row."""
        found = self.query(FieldInput)
        if found:
            region = self._form.value_region()
            field = found.first()
            origin = self._left_column.content_region
            field.styles.offset = (region.x - origin.x, region.y - origin.y)
            field.styles.width = region.width

    def on_resize(self) -> None:
        """The input stays on its row."""
        self.call_after_refresh(self._place)

    async def _stop_editing(self) -> None:
        self._field = None
        self._form.editing = None
        await self.query(FieldInput).remove()
        self._form.focus()
        self.update()

    @on(FieldInput.Left)
    async def _left(self) -> None:
        await self._stop_editing()

    @on(FieldInput.Submitted)
    async def _submitted(self, message: FieldInput.Submitted) -> None:
        message.stop()
        field = self._field
        await self._stop_editing()
        if field is not None:
            self.accept(field, message.value)

    @on(FieldInput.Changed)
    def _changed(self, message: FieldInput.Changed) -> None:
        message.stop()

    @work(group="predict edit", description="checking a row")
    async def accept(self, field: Field, value: str) -> None:
        """Takes what was written in a row."""
        await self.predict.accept(field, value)
        if self._form.has_focus:
            self._form.show_cursor()

    @on(FormList.MakeRequested)
    @work(exclusive=True, group="predict make", description="making values up")
    async def make(self) -> None:
        """Fills the cursor's row with the next of zeros, ones and random numbers."""
        await self.predict.cycle()

    @on(FormList.ClearRequested)
    def _clear(self) -> None:
        field = self.predict.field
        if field is not None:
            self.accept(field, "")

    async def action_repeat(self) -> None:
        """Edits how many more calls there are."""
        row = self.predict.row_of(REPEAT)
        if row is not None and self._field is None:
            self.predict.move_to(row)
            self._form.focus()
            self.update()
            await self._edit()

    # -- running --

    async def action_run(self) -> None:
        """Calls the model; what is being edited is taken first."""
        field = self._field
        if field is not None:
            value = self.query_one(FieldInput).value
            await self._stop_editing()
            await self.predict.accept(field, value)
        self.start()

    @work(group="predict run", description="running the model")
    async def start(self) -> None:
        """Calls the model with what the form holds."""
        await self.predict.start(self._ask)

    async def _ask(self, found: str) -> bool:
        """Whether the person trusts the model."""
        from tfexplore.tui.screens.trust import TrustScreen

        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def answered(trusted: bool | None) -> None:
            if not answer.done():
                answer.set_result(bool(trusted))

        self.app.push_screen(TrustScreen(found), answered)
        return await answer

    @on(RunList.CursorMoved)
    @work(exclusive=True, group="predict shown", description="reading a run")
    async def show_run(self) -> None:
        """Shows the run that is looked at."""
        await self.predict.show_run()

    def action_compare(self) -> None:
        """Shows, or no longer shows, how the run differs from the one before it."""
        self.predict.comparing = not self.predict.comparing
        self.show_run()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are there only where they do something."""
        if action == "compare":
            return len(self.predict.runs) > 1
        return True

    # -- scripts --

    @work(exclusive=True, group="predict script", description="writing the call as a script")
    async def action_scripts(self) -> None:
        """Shows the call as curl, Python and command lines."""
        from tfexplore.tui.screens.script import ScriptScreen

        try:
            scripts = await self.predict.scripts()
        except (UsageError, Cancelled):
            return
        self.app.push_screen(ScriptScreen(scripts))
