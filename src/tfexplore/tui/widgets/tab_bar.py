"""The line of tabs: what there is to do with the model, and by which key."""

from __future__ import annotations

from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from tfexplore.core import text
from tfexplore.tui.help_text import first_key, muted
from tfexplore.tui.session import Session
from tfexplore.tui.topics import Tab

# Figures belong to a focused input; the function keys work everywhere.
KEYS = {Tab.EXPLORE: ("1", "f2"), Tab.PREDICT: ("2", "f3"), Tab.FINETUNE: ("3", "f4"), Tab.SAFETY: ("5", "f6")}
NAMES = {Tab.EXPLORE: "Explore", Tab.PREDICT: "Predict", Tab.FINETUNE: "Fine-tune", Tab.SAFETY: "Safety"}


class TabBar(Widget):
    """One line: each tab with its key, the shown one marked."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, tab: Tab) -> None:
            super().__init__()
            self.tab = tab

    def __init__(self, session: Session, *, id: str) -> None:
        super().__init__(id=id)
        self.session = session

    def _labels(self) -> list[tuple[Tab, str]]:
        return [
            (tab, f" {first_key(self.app, f'app.tab_{tab.value}', KEYS[tab][0])} {NAMES[tab]} ")
            for tab in self.session.tabs
        ]

    def render(self) -> Content:
        """One line of text."""
        parts = []
        is_plain = self.app.native_ansi_color
        for tab, label in self._labels():
            style = ("bold" if is_plain else "bold $text on $accent 40%") if tab is self.session.tab else muted(self)
            parts.append((f"[{label.strip()}]" if tab is self.session.tab else label, style))
        return Content.assemble(*parts)

    def on_click(self, event: Click) -> None:
        """Goes to the tab that was clicked."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        start = 0
        for tab, label in self._labels():
            start += text.width(label)
            if offset.x < start:
                self.post_message(self.Chosen(tab))
                return
