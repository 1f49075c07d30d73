"""The header line and the line of keys."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from tfexplore.core import text
from tfexplore.tui.session import Session


class HeaderBar(Widget):
    """Program, model, facts; on the right what is going on."""

    def __init__(self, session: Session, *, id: str) -> None:
        super().__init__(id=id)
        self.session = session

    def render(self) -> Content:
        """One line of text."""
        session, cells = self.session, self.size.width
        status = text.shorten(text.visible(session.status) + " …", max(0, cells // 2)) if session.status else ""
        room = max(0, cells - text.width(status) - (2 if status else 0))
        name, title = "tfexplore", session.title
        facts = f" · {session.facts}" if session.facts else ""
        space = "  "
        if text.width(name + space + title + facts) > room:
            name = space = ""
        # The name comes first; of the facts the last give way.
        title = text.shorten(title, max(8, room // 2 if text.width(title) > room // 2 else room))
        left = max(0, room - text.width(name + space) - text.width(title))
        if text.width(facts) > left:
            facts = text.take(facts, max(0, left - 1)) + text.ELLIPSIS if left > 4 else ""
        gap = " " * max(0, cells - text.width(name + space + title + facts + status))
        model = ((title, "bold"), " ", (facts[1:], "$text-muted"))
        return Content.assemble((name, "bold $accent"), space, *model, gap, (status, "$warning"))


class KeyBar(Widget):
    """The keys of the focused pane."""

    def on_mount(self) -> None:
        """Draws anew when the keys change."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> Content:
        """One line of text: as many keys as fit, the most wanted first."""
        parts: list[Content | tuple[str, str]] = []
        room = self.size.width
        seen = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.show or not active.enabled or binding.action in seen:
                continue
            seen.add(binding.action)
            key = self.app.get_key_display(binding)
            room -= text.width(key) + text.width(binding.description) + 3
            if room < 0:
                break
            parts += [(key, "bold $accent"), (f" {binding.description}  ", "$text-muted")]
        return Content.assemble(*parts)
