"""The question before a model with findings of level high is run for the first time."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tfexplore.tui.help_text import first_key

_WHAT = (
    "It would run in a process of its own, in a sandbox as far as this kernel has one: it reads its own files, writes "
    "to a scratch folder and has no network. The Safety tab tells all that was found."
)


class TrustScreen(ModalScreen[bool]):
    """Asks whether the model is run all the same; gives True where it is.

    Args:
        found: what the scan found, as a visible sentence.
    """

    TITLE = "Run this model?"
    HELP = "The model could do something that no model needs. y runs it all the same, for this session; n does not."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "trust(True)", "Run it", id="trust.yes", tooltip="Trust this model for this session, and run it"),
        Binding("n,escape,q", "trust(False)", "Do not", id="trust.no", tooltip="Do not run it"),
    ]

    def __init__(self, found: str) -> None:
        super().__init__()
        self._found = found

    def compose(self) -> ComposeResult:
        """A box of text."""
        parts = [
            Content.assemble(("Run this model?", "bold $warning")),
            Content(""),
            Content(f"{self._found[:1].upper()}{self._found[1:]}."),
            Content(""),
            Content(_WHAT),
            Content(""),
            Content.assemble(
                (first_key(self.app, "trust.yes", "y"), "bold"),
                "  run it, and trust it for this session   ",
                (first_key(self.app, "trust.no", "n"), "bold"),
                "  do not",
            ),
        ]
        with VerticalScroll(classes="box"):
            yield Static(Content("\n").join(parts), markup=False)

    def action_trust(self, trusted: bool) -> None:
        """Answers."""
        self.dismiss(trusted)
