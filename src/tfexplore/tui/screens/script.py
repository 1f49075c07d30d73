"""The call of the form as something to take elsewhere: a command line, a request, a program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tfexplore.tui.help_text import first_key, muted

FILE_NAME = "tfexplore-request.txt"
_TITLES = {"tfexplore": "tfexplore", "curl": "curl", "python": "Python", "saved_model_cli": "saved_model_cli"}


class ScriptScreen(ModalScreen[None]):
    """One form at a time; the others a key away.

    Args:
        scripts: name and text of each.
    """

    TITLE = "As a script"
    HELP = "The same call as a command line, a request to TensorFlow Serving, or a Python program that runs as it is."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,tab,l", "turn(1)", "Next form", id="script.next", tooltip="The next form of the call"),
        Binding(
            "left,shift+tab,h", "turn(-1)", "Form before", show=False, id="script.before", tooltip="The one before"
        ),
        Binding("w", "write", "To a file", id="script.write", tooltip=f"Write it to {FILE_NAME} in the current folder"),
        Binding("y", "copy", "Copy", id="script.copy", tooltip="Copy it"),
        Binding("escape,q,e", "dismiss", "Close", id="script.close", tooltip="Back to the form"),
    ]

    def __init__(self, scripts: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.scripts = scripts
        self.shown = 0
        self.said = ""

    def compose(self) -> ComposeResult:
        """A line of forms, the text, and what to do with it."""
        with VerticalScroll(classes="box"):
            yield Static(id="script", markup=False)

    def on_mount(self) -> None:
        """Shows the first."""
        self._draw()

    def _draw(self) -> None:
        names: list[Content | tuple[str, str]] = []
        for number, (name, _) in enumerate(self.scripts):
            title = _TITLES[name]
            is_shown = number == self.shown
            names.append((f"[{title}]" if is_shown else f" {title} ", "bold $accent" if is_shown else muted(self)))
        # The text comes from `repr`, `json.dumps` and `shlex.quote`: what is no printable character is none here.
        written = "".join(one if one.isprintable() or one == "\n" else "?" for one in self.scripts[self.shown][1])
        copies, writes, closes = (
            first_key(self.app, f"script.{name}", key)
            for name, key in (("copy", "y"), ("write", "w"), ("close", "escape"))
        )
        foot = (
            self.said or f"← → other forms   {copies} copies it   {writes} writes it to {FILE_NAME}   {closes} closes"
        )
        lines = [Content.assemble(*names), Content(""), Content(written), Content(""), Content(foot)]
        self.query_one("#script", Static).update(Content("\n").join(lines))

    def action_turn(self, by: int) -> None:
        """Shows another form."""
        self.shown = (self.shown + by) % len(self.scripts)
        self.said = ""
        self._draw()

    def action_copy(self) -> None:
        """Copies the text."""
        from tfexplore.core.copied import LINE, PYTHON, Copy
        from tfexplore.tui.clipboard import copy_out

        app = self.app
        name, written = self.scripts[self.shown]
        setting = getattr(getattr(app, "settings", None), "clipboard", "auto")
        write = app._driver.write if app._driver is not None else lambda _: None
        self.said, _ = copy_out(Copy(PYTHON if name == "python" else LINE, written), setting, write)
        self._draw()

    def action_write(self) -> None:
        """Writes the text to a new file, and says where; a file that is there is never replaced."""
        path = os.path.abspath(FILE_NAME)
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(self.scripts[self.shown][1] + "\n")
        except FileExistsError:
            self.said = "there is such a file already, which stays as it is"
        except (OSError, UnicodeEncodeError) as error:
            self.said = f"not written: {getattr(error, 'strerror', None) or error}"
        else:
            self.said = "written"
        from tfexplore.core import text

        self.said = f"{text.visible(path)}: {self.said}"
        self._draw()
