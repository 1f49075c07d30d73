"""The form of the Predict tab: what can be called, and what the person wrote for it. No widgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfexplore.core import form as forms
from tfexplore.core import form_call, text
from tfexplore.core.completion import Completions, NameIndex
from tfexplore.core.form import Choice, Field, Form
from tfexplore.errors import Cancelled, ModelError, TfexploreError, UsageError
from tfexplore.loader import Loader

if TYPE_CHECKING:
    from tfexplore.core.model import Model

_FORM, _CHECK, _COMPLETE = "predict form", "predict check", "predict completion"


class FormState:
    """What of one model is called, with what.

    Args:
        model: what is called.
        loader: reads and checks for it.
        tell: called in the event loop after a change.

    Attributes:
        choices: what can be called.
        choice: the number of what the form is for.
        form: None until it has been read.
        row: the number of the form's row that is looked at.
        values: what the person wrote in the form, by key.
        errors: what is wrong with a row, by key.
        problem: what is wrong where no row is to blame.
        completions: of the name that is being typed.
    """

    def __init__(self, model: Model, loader: Loader, tell: Callable[[], None]) -> None:
        self.model = model
        self.choices: list[Choice] = []
        self.choice = 0
        self.form: Form | None = None
        self.row = 0
        self.values: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self.problem = ""
        self.completions = Completions((), 0)
        self._loader = loader
        self._tell = tell
        self._kept: dict[tuple[str, str, int], tuple[dict[str, str], int]] = {}
        self._indexes: dict[str, NameIndex] = {}
        self._specs: forms.Specs = {}

    async def open(self) -> None:
        """Reads what can be called and the first form, unless that is done."""
        if self.choices:
            return
        try:
            self.choices = await self._loader.tasks.run(lambda _: forms.choices(self.model), channel=_FORM)
        except Cancelled:
            return
        except ModelError as error:
            self.problem = text.visible(str(error))
            self._tell()
            return
        await self._read_form()

    async def choose(self, number: int) -> None:
        """Shows the form of something else; what was written in the old one is kept."""
        number = max(0, min(number, len(self.choices) - 1))
        if number == self.choice or not self.choices:
            return
        self._keep()
        self.choice = number
        self.values, self.row = self._kept.get(key_of(self.choices[number]), ({}, 0))
        self.form, self.errors, self.problem = None, {}, ""
        self._tell()
        await self._read_form()

    def _keep(self) -> None:
        if self.choices:
            self._kept[key_of(self.choices[self.choice])] = (self.values, self.row)

    async def _read_form(self) -> None:
        choice, values = self.choices[self.choice], self.values
        try:
            found = await self._loader.tasks.run(
                lambda context: forms.make_form(choice, dict(values), self._specs, context.cancel), channel=_FORM
            )
        except Cancelled:
            if self.form is None and self.choices[self.choice] is choice:
                self.problem = "reading the form was cancelled: go to another call and back to read it"
                self._tell()
            return
        except TfexploreError as error:
            found, self.problem = None, text.visible(str(error))
        if self.choices[self.choice] is choice:
            at = self.field
            self.form = found
            fields = found.fields if found is not None else ()
            # Rows may have come above it.
            same = (row for row, field in enumerate(fields) if at is not None and field.key == at.key)
            self.row = next(same, max(0, min(self.row, len(fields) - 1)))
            self._tell()

    @property
    def field(self) -> Field | None:
        """The row that is looked at."""
        fields = self.form.fields if self.form is not None else ()
        return fields[self.row] if self.row < len(fields) else None

    def value_of(self, field: Field) -> str:
        """What stands in a row."""
        return form_call.value_of(field, self.values)

    def move_to(self, row: int) -> bool:
        """Moves the form's cursor; tells whether it moved."""
        last = len(self.form.fields) - 1 if self.form is not None else 0
        row = max(0, min(row, last))
        moved, self.row = row != self.row, row
        return moved

    def row_of(self, kind: str) -> int | None:
        """The first row of a kind."""
        fields = self.form.fields if self.form is not None else ()
        return next((number for number, field in enumerate(fields) if field.kind == kind), None)

    async def accept(self, field: Field, value: str) -> None:
        """Takes what was written in a row, and checks it."""
        whole = self.form
        if whole is None:
            return
        self.values[field.key] = value
        self.errors.pop(field.key, None)
        self.problem = ""
        self.completions = Completions((), 0)
        self._tell()
        if field.completes or field.kind == forms.TRACE:  # other rows may come and go with it
            await self._read_form()
        values = dict(self.values)
        try:
            wrong = await self._loader.tasks.run(
                lambda context: form_call.check(whole, field, values, context.cancel), channel=_CHECK
            )
        except Cancelled:
            return
        if wrong is not None and self.values.get(field.key) == value:
            self.errors[field.key] = text.visible(wrong)
            self._tell()

    async def cycle(self) -> None:
        """Fills the row with the next of zeros, ones and random numbers."""
        field = self.field
        if field is None or not field.maker:
            return
        value = self.value_of(field)
        try:
            made = await self._loader.tasks.run(lambda _: forms.next_maker(field, value), channel=_CHECK)
        except Cancelled:
            return
        except UsageError as error:
            self.errors[field.key] = text.visible(str(error))
            self._tell()
            return
        await self.accept(field, made)

    async def complete(self, field: Field, typed: str) -> str | None:
        """What the first name that begins so makes of a row; None where there is none.

        The names stay in `completions`.
        """
        whole = self.form
        if whole is None or not field.completes or "=" in typed:
            return None
        body = self.values.get("body") or None

        def job(context: Any) -> Completions:
            return self._names(whole, field, body, context.cancel).complete(typed)

        try:
            self.completions = await self._loader.tasks.run(job, channel=_COMPLETE)
        except (Cancelled, ModelError):
            return None
        self._tell()
        first = next(iter(self.completions.names), None)
        return None if first is None else first + ("=" if field.kind == forms.FEED else "")

    def _names(self, whole: Form, field: Field, body: str | None, cancel: Any) -> NameIndex:
        """The names that a row takes; sorted once."""
        meta_graph = whole.choice.meta_graph
        if field.kind == forms.SIGNATURE:
            return NameIndex([one.name for one in meta_graph.signatures])
        if field.kind == forms.BODY:
            return NameIndex(meta_graph.functions.names, cancel)
        key = f"{self.model.meta_graphs.index(meta_graph)} {body or ''}"
        function = meta_graph.functions.get(body) if body is not None and field.kind == forms.FETCH else None
        key += " function" if function is not None else ""
        if key not in self._indexes:
            graph = function.graph if function is not None else meta_graph.graph
            graph.load(cancel)
            self._indexes[key] = NameIndex(graph.names, cancel)
        return self._indexes[key]


def key_of(choice: Choice) -> tuple[str, str, int]:
    """What tells a choice from the others, for as long as the model is open."""
    return choice.kind, choice.name, id(choice.meta_graph)
