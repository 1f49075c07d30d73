"""One line that is asked for, and a question with yes and no; both lie over the tab."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tfexplore.tui.widgets.field_input import Complete, FieldInput


class PromptScreen(ModalScreen[str | None]):
    """Asks for one line; gives None where it is left.

    Args:
        title: what is asked for, visible.
        note: a sentence about it, visible.
        value: what stands there at first.
        complete: what the first name that begins so makes of it.
    """

    TITLE = "Write"
    HELP = "Enter takes what is written, Tab completes a path, Escape leaves."

    def __init__(self, title: str, note: str, value: str, complete: Complete | None = None) -> None:
        super().__init__()
        self._title, self._note, self._value = title, note, value
        self._complete = complete

    def compose(self) -> ComposeResult:
        """Title, input, note."""
        with VerticalScroll(classes="box"):
            yield Static(Content.assemble((self._title, "bold $accent")), markup=False)
            yield FieldInput(self._value, self._complete, id="prompt")
            yield Static(Content.assemble((self._note, "$text-muted")), markup=False)

    def on_mount(self) -> None:
        """The line is written at once."""
        self.query_one(FieldInput).focus()

    @on(FieldInput.Submitted)
    def _taken(self, message: FieldInput.Submitted) -> None:
        message.stop()
        self.dismiss(message.value.strip() or None)

    @on(FieldInput.Left)
    def _left(self) -> None:
        self.dismiss(None)


class ConfirmScreen(ModalScreen[bool]):
    """Asks before something that cannot be undone; gives True where it is to be done.

    Args:
        question: visible.
        sentence: what would be lost, visible.
        yes: what `y` does.
    """

    TITLE = "Sure?"
    HELP = "y does it, n or Escape does not."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="confirm.yes", tooltip="Do it"),
        Binding("n,escape,q", "answer(False)", "No", id="confirm.no", tooltip="Leave it as it is"),
    ]

    def __init__(self, question: str, sentence: str, yes: str) -> None:
        super().__init__()
        self._question, self._sentence, self._yes = question, sentence, yes

    def compose(self) -> ComposeResult:
        """A box of text."""
        parts = [
            Content.assemble((self._question, "bold $warning")),
            Content(""),
            Content(self._sentence),
            Content(""),
            Content.assemble(("y", "bold"), f"  {self._yes}   ", ("n", "bold"), "  do not"),
        ]
        with VerticalScroll(classes="box"):
            yield Static(Content("\n").join(parts), markup=False)

    def action_answer(self, answer: bool) -> None:
        """Answers."""
        self.dismiss(answer)
