"""The form of the Fine-tune tab: what is tuned with what, and the ticks of the variables. No widgets."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from tfexplore.core import data_peek, finetune_form, finetune_made, text
from tfexplore.core.completion import Completions, NameIndex
from tfexplore.core.data_peek import Peek
from tfexplore.core.finetune_form import CHOICE, COLUMN, CONSTANT, PATH, Row, Seen, TuneForm
from tfexplore.core.finetune_plan import TuneVariable
from tfexplore.core.form import Choice
from tfexplore.core.text import label as label_of
from tfexplore.errors import Cancelled, ModelError, TfexploreError, UsageError
from tfexplore.loader import Loader

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.model import Model

_FORM, _CHECK, _COMPLETE = "tune form", "tune check", "tune completion"
_MAX_FILES = 10_000
# Of rows that belong to one function.
_OWN = ("input:", "given:", "map:", "output", "loss", "logits", "target", "training", "expression")


class TuneFormState:
    """What of one model is tuned, with what.

    Args:
        model: what is tuned.
        loader: reads and checks for it.
        tell: called in the event loop after a change.

    Attributes:
        choices, choice: what can be tuned, and the number of what the form is for.
        form: None until it has been read.
        row: the number of the form's row that is looked at.
        values: what the person wrote in the form, by key.
        errors: what is wrong with a row, by key.
        problem: what is wrong where no row is to blame.
        completions: of the name that is being typed.
        variables: with their ticks; of the MetaGraph of the choice.
        variable: the number of the variable that is looked at.
        no_variables: why there are none.
    """

    def __init__(self, model: Model, loader: Loader, tell: Callable[[], None]) -> None:
        self.model = model
        self.choices: list[Choice] = []
        self.choice = 0
        self.form: TuneForm | None = None
        self.row = 0
        self.values: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self.problem = ""
        self.completions = Completions((), 0)
        self.variables: tuple[TuneVariable, ...] = ()
        self.variable = 0
        self.no_variables = ""
        self._loader = loader
        self._tell = tell
        self._labels: list[str] = []
        self._seen: dict[int, Seen] = {}
        self._kept: dict[int, dict[str, str]] = {}
        self._peeked: tuple[str, Peek] = ("", Peek())
        self._variables_of: MetaGraph | None = None

    async def open(self) -> None:
        """Reads what can be tuned, the first form and the variables, unless that is done."""
        if self.choices:
            return

        def job(_: object) -> tuple[list[Choice], list[str]]:
            found = finetune_form.choices(self.model)
            return found, finetune_form.labels(self.model, found)

        try:
            self.choices, self._labels = await self._loader.tasks.run(job, channel=_FORM)
        except Cancelled:
            return
        except ModelError as error:
            self.problem = text.visible(str(error))
        if not self.choices:
            self.problem = self.problem or "it has neither a signature nor a function: nothing gives a loss"
            self._tell()
            return
        self.choice = finetune_form.first_choice(self.choices)
        await self.read_form()

    async def choose(self, number: int) -> None:
        """Shows the form of another function; what was written for the old one is kept."""
        if not 0 <= number < len(self.choices) or number == self.choice:
            return
        self._kept[self.choice] = {key: value for key, value in self.values.items() if key.startswith(_OWN)}
        for key in self._kept[self.choice]:
            del self.values[key]
        self.values.pop("function", None)
        self.values |= self._kept.get(number, {})
        self.choice = number
        self.errors, self.problem = {}, ""
        await self.read_form()

    async def read_form(self) -> None:
        """Makes the rows anew: which there are depends on what they hold."""
        number, values = self.choice, dict(self.values)
        choice, label = self.choices[number], self._labels[number]

        def job(context: object) -> tuple[TuneForm, Seen, tuple[str, Peek], tuple[TuneVariable, ...] | None, str]:
            cancel: threading.Event = context.cancel  # type: ignore[attr-defined]
            seen = self._seen.get(number) or finetune_form.see(self.model, choice, cancel)
            data = os.path.expanduser(values.get("data", seen.beside or ""))
            peeked = (
                self._peeked if self._peeked[0] == data else (data, data_peek.peek(data, cancel) if data else Peek())
            )
            made = finetune_form.make_form(self._labels, choice, label, seen, values, peeked[1])
            variables, why = None, ""
            if self._variables_of is not choice.meta_graph:
                try:
                    variables = finetune_made.all_variables(choice.meta_graph)
                except (UsageError, ModelError) as error:
                    variables, why = (), text.visible(str(error))
            return made, seen, peeked, variables, why

        try:
            found, seen, peeked, variables, why = await self._loader.tasks.run(job, channel=_FORM)
        except Cancelled:
            if self.form is None and self.choice == number:
                self.problem = "reading the form was cancelled: Space on the first row reads it again"
                self._tell()
            return
        except TfexploreError as error:
            row = Row("function", "tune", "", label, "", CHOICE, tuple(self._labels))
            self.form, self.problem = TuneForm(choice, (row,), None), text.visible(str(error))
            self.row = 0
            self._tell()
            return
        if self.choice != number:
            return
        at = self.field
        self.form, self._seen[number], self._peeked = found, seen, peeked
        if variables is not None:
            self.variables, self.no_variables, self._variables_of = variables, why, choice.meta_graph
            self.variable = next((place for place, one in enumerate(variables) if one.train), 0)
        same = (row for row, field in enumerate(found.fields) if at is not None and field.key == at.key)
        self.row = next(same, max(0, min(self.row, len(found.fields) - 1)))
        self._tell()

    @property
    def field(self) -> Row | None:
        """The row that is looked at."""
        fields = self.form.fields if self.form is not None else ()
        return fields[self.row] if self.row < len(fields) else None

    def value_of(self, field: Row) -> str:
        """What stands in a row."""
        return finetune_form.value_of(field, self.values)

    def value(self, key: str) -> str:
        """What stands in the row of a key; empty where there is none."""
        fields = self.form.fields if self.form is not None else ()
        return next((self.value_of(field) for field in fields if field.key == key), "")

    def move_to(self, row: int) -> bool:
        """Moves the form's cursor; tells whether it moved."""
        last = len(self.form.fields) - 1 if self.form is not None else 0
        row = max(0, min(row, last))
        moved, self.row = row != self.row, row
        return moved

    async def accept(self, field: Row, value: str) -> None:
        """Takes what was written in a row, and checks it."""
        self.errors.pop(field.key, None)
        self.problem = ""
        self.completions = Completions((), 0)
        wrong = finetune_made.check(field, value.strip())
        if field.key == "function":
            if wrong is None:
                await self.choose(self._labels.index(value.strip()))
                return
        else:
            self.values[field.key] = value
        if wrong is not None:
            self.errors[field.key] = text.visible(wrong)
        self._tell()
        await self.read_form()

    async def cycle(self, by: int = 1) -> None:
        """Takes the next of a row's choices."""
        field = self.field
        if field is not None and field.choices:
            await self.accept(field, finetune_form.next_choice(field, self.value_of(field), by))

    # -- names that are being typed --

    async def complete(self, field: Row, typed: str) -> str | None:
        """What the first name that begins so makes of a row; None where there is none."""

        def job(_: object) -> Completions:
            if field.kind == COLUMN:
                names: Sequence[str] = () if typed.startswith(CONSTANT) else self._peeked[1].columns
            elif field.kind == CHOICE:
                names = field.choices
            else:
                names = _paths(typed)
            return NameIndex(list(names)).complete(typed)

        if field.kind not in (COLUMN, CHOICE, PATH):
            return None
        try:
            self.completions = await self._loader.tasks.run(job, channel=_COMPLETE)
        except (Cancelled, ModelError):
            return None
        self._tell()
        return next(iter(self.completions.names), None)

    # -- ticks --

    def tick(self, positions: Sequence[int], train: bool) -> None:
        """Ticks variables, or takes their ticks away; says so where the model froze one of them."""
        before = self.variables
        self.variables = finetune_made.tick(before, positions, train)
        thawed = [
            one.label
            for old, one in zip(before, self.variables, strict=True)
            if one.train and not old.train and not finetune_made.is_marked(one)
        ]
        self.problem = ""
        if thawed:
            named = ", ".join(map(label_of, thawed[:3])) + (f" and {len(thawed) - 3:,} more" if len(thawed) > 3 else "")
            self.say(f"thawed, although the model froze {'it' if len(thawed) == 1 else 'them'}: {named}")
        self._tell()

    def tick_all(self, train: bool) -> None:
        """Ticks all that the model trains; or takes every tick away."""
        positions = [number for number, one in enumerate(self.variables) if not train or finetune_made.is_marked(one)]
        self.tick(positions, train)

    def tick_found(self, expression: str, train: bool) -> None:
        """Ticks the variables that a regular expression finds, or takes their ticks away; says what it found."""
        try:
            found = finetune_made.found_by(self.variables, expression)
        except UsageError as error:
            self.say(text.visible(str(error)))
            return
        self.say(f"{'ticked' if train else 'no longer ticked'}: {text.plural(len(found), 'variable')}")
        self.tick(found, train)

    def say(self, sentence: str) -> None:
        """Tells the person something."""
        raise NotImplementedError


def full_path(written: str) -> str:
    """A path as a person writes it, with ~ for the home folder."""
    return os.path.expanduser(written)


def _paths(typed: str) -> list[str]:
    """The files and folders whose paths begin like what is typed, as far as its last slash."""
    folder, _, _ = typed.rpartition("/")
    start = f"{folder}/" if "/" in typed else ""
    try:
        with os.scandir(full_path(start) or ".") as entries:
            return [
                start + one.name + ("/" if one.is_dir() else "")
                for one in islice(entries, _MAX_FILES)
                if not one.name.startswith(".") or typed[len(start) :].startswith(".")
            ]
    except (OSError, ValueError):
        return []
