"""The help: what the focused pane is for, and every key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static


def help_content(title: str, purpose: str, bindings: Iterable[tuple[str, ActiveBinding]]) -> Content:
    """The help's text: the purpose of a pane, then its keys, keys of one action together."""
    rows: dict[str, tuple[list[str], str]] = {}
    for key, active in bindings:
        binding = active.binding
        if not binding.description or binding.action.startswith("screen."):
            continue
        keys, _ = rows.setdefault(binding.action, ([], binding.tooltip or binding.description))
        keys.append(key)
    widest = max((len(", ".join(keys)) for keys, _ in rows.values()), default=0)
    lines = [Content.assemble((title, "bold $accent")), Content(purpose), Content("")]
    for keys, tooltip in rows.values():
        lines.append(Content.assemble((", ".join(keys).ljust(widest), "bold"), "  ", tooltip))
    lines += [Content(""), Content.assemble(("Escape closes this.", "$text-muted"))]
    return Content("\n").join(lines)


class HelpScreen(ModalScreen[None]):
    """Help for one pane."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q,question_mark", "dismiss", "Close", id="help.close")]

    def __init__(self, content: Content) -> None:
        super().__init__()
        self._content = content

    def compose(self) -> ComposeResult:
        """A box of text that scrolls."""
        with VerticalScroll(id="help"):
            yield Static(self._content, markup=False)
