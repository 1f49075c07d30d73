"""The form of the Fine-tune tab, and the column that holds it with the input that lies over a row."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message

from tfexplore.core import text
from tfexplore.core.finetune_form import CHOICE, WORD, Row
from tfexplore.tui.finetune import Finetune
from tfexplore.tui.widgets.field_input import FieldInput
from tfexplore.tui.widgets.form_list import FormList

# A row with more choices is written, with completion.
_FEW = 12


class TuneForm(FormList):
    """The rows; Enter edits the one under the cursor, or takes its next choice."""

    TITLE = "The run"
    HELP = (
        "What is tuned with what. Data: a file of rows (.npz, .npy, .csv, .jsonl, .tfrecord); without one the inputs "
        "are constants (JSON, @FILE, ones, random). With rows, an input is fed by the column of its name, by the "
        "column that its row names, or by a constant that is written after =. A loss of your own is arithmetic of y "
        "and target: (10. - y) ** 2. What is wrong is said below its row."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "act", "Edit", id="tune.edit", tooltip="Write this row, or take its next choice"),
        Binding("space,right", "cycle(1)", "Next choice", id="tune.next", tooltip="Take the next choice of this row"),
        Binding("left", "cycle(-1)", "Choice before", show=False, id="tune.before", tooltip="Take the choice before"),
        Binding("delete", "clear", "Empty", show=False, id="tune.clear", tooltip="Empty this row"),
    ]

    class CycleRequested(Message):
        """Another choice of the cursor's row is wanted."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self, finetune: Finetune, *, id: str) -> None:
        super().__init__(finetune, id=id)
        self.finetune = finetune

    @property
    def heading(self) -> str:
        """See `FormList`."""
        return "Run"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are there only where they do something."""
        if action == "cycle":
            field = self.finetune.field
            return field is not None and bool(field.choices)
        return action not in ("make", "back")

    def action_act(self) -> None:
        """Edits the row; of one with a few choices takes the next."""
        field = self.finetune.field
        if field is not None and 0 < len(field.choices) <= _FEW:
            self.action_cycle(1)
        else:
            super().action_act()

    def action_cycle(self, by: int) -> None:
        """Asks for another choice of the row."""
        self.post_message(self.CycleRequested(by))


class TuneInput(FieldInput):
    """One line of the form."""

    HELP = "Write the row's value; Tab completes paths, columns and names. Enter takes it, Escape leaves it as it was."


class TuneColumn(Vertical):
    """The form, and the input over the row that is edited."""

    class Accepted(Message):
        """A row was written."""

    def __init__(self, finetune: Finetune, *, id: str) -> None:
        super().__init__(id=id)
        self.finetune = finetune
        self._field: Row | None = None

    def compose(self) -> ComposeResult:
        """The form."""
        yield TuneForm(self.finetune, id="tune-form")

    @property
    def form(self) -> TuneForm:
        """The rows."""
        return self.query_one(TuneForm)

    def update(self) -> None:
        """Draws what has changed."""
        self.form.update_lines()
        if self._field is not None:
            self.form.show_cursor()  # the names that may complete it stand below the row
            self._place()
        self.form.set_class(self._field is not None, "-editing")

    @on(TuneForm.EditRequested)
    async def _edit(self) -> None:
        field = self.finetune.field
        if field is None or self._field is not None:
            return
        self._field = field
        self.form.editing = field.key
        self.form.show_cursor()

        async def complete(typed: str) -> str | None:
            return await self.finetune.complete(field, typed)

        written = self.finetune.value_of(field)
        # What cannot be typed cannot be edited: the row begins empty then.
        value = written if text.visible(written) == written or field.kind == CHOICE else ""
        written_in = TuneInput(value, complete if field.kind != WORD else None, id="tune-field")
        await self.mount(written_in)
        self._place()
        written_in.focus()
        self.update()

    def _place(self) -> None:
        """Lays the input over the value of its row."""
        found = self.query(TuneInput)
        if found:
            region = self.form.value_region()
            field = found.first()
            origin = self.content_region
            field.styles.offset = (region.x - origin.x, region.y - origin.y)
            field.styles.width = region.width

    def on_resize(self) -> None:
        """The input stays on its row."""
        self.call_after_refresh(self._place)

    async def take(self) -> None:
        """Ends an edit, and takes what is written."""
        field = self._field
        if field is not None:
            value = self.query_one(TuneInput).value
            await self._stop_editing()
            await self.finetune.accept(field, value)

    async def _stop_editing(self) -> None:
        self._field = None
        self.form.editing = None
        await self.query(TuneInput).remove()
        self.form.focus()
        self.update()

    @on(TuneInput.Left)
    async def _left(self) -> None:
        await self._stop_editing()

    @on(TuneInput.Submitted)
    async def _submitted(self, message: FieldInput.Submitted) -> None:
        message.stop()
        field = self._field
        await self._stop_editing()
        if field is not None:
            self.accept(field, message.value)

    @on(TuneInput.Changed)
    def _changed(self, message: FieldInput.Changed) -> None:
        message.stop()

    @work(group="tune edit", description="checking a row")
    async def accept(self, field: Row, value: str) -> None:
        """Takes what was written in a row."""
        await self.finetune.accept(field, value)
        if self.form.has_focus:
            self.form.show_cursor()

    @on(TuneForm.CycleRequested)
    @work(exclusive=True, group="tune cycle", description="taking another choice")
    async def _cycle(self, message: TuneForm.CycleRequested) -> None:
        await self.finetune.cycle(message.by)
        self.form.refresh_bindings()

    @on(TuneForm.ClearRequested)
    def _clear(self) -> None:
        field = self.finetune.field
        if field is not None and not field.choices:
            self.accept(field, "")
