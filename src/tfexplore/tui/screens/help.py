"""The help: what is shown, and every key, over whatever it is about."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tfexplore.tui.help_text import keys_of, muted


class HelpScreen(ModalScreen[None]):
    """Help for what had the focus."""

    TITLE = "Help"
    HELP = "What is shown, and its keys."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Close", id="help.close", tooltip="Back to where you were"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="help.up", tooltip="Scroll up"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="help.down", tooltip="Scroll down"),
        Binding("pageup,ctrl+b", "scroll(-10)", "Page up", show=False, id="help.page_up", tooltip="Scroll up far"),
        Binding(
            "pagedown,ctrl+f,space",
            "scroll(10)",
            "Page down",
            show=False,
            id="help.page_down",
            tooltip="Scroll down far",
        ),
    ]

    def __init__(self, content: Content) -> None:
        super().__init__()
        self._content = content

    def compose(self) -> ComposeResult:
        """A box of text that scrolls."""
        closes = ", ".join(keys_of(self.app, "help.close", "escape"))
        foot = Content.assemble((f"{closes} closes this.", muted(self)))
        with VerticalScroll(id="help", can_focus=False):
            yield Static(Content("\n").join([self._content, Content(""), foot]), markup=False)

    def action_scroll(self, lines: int) -> None:
        """Scrolls."""
        self.query_one("#help").scroll_relative(y=lines, animate=False)
