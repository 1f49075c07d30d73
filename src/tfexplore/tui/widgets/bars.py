"""The header line, the line of keys, and what stands in the place of all where there is no room."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import App
from textual.binding import ActiveBinding
from textual.content import Content
from textual.events import Click
from textual.widget import Widget

from tfexplore.core import text
from tfexplore.core.settings import NO_KEY
from tfexplore.tui.help_text import first_key, key_name, muted
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
        model = ((title, "bold"), " ", (facts[1:], muted(self)))
        return Content.assemble((name, "bold $accent"), space, *model, gap, (status, "$warning"))


class KeyBar(Widget):
    """The keys of the focused pane; a click on one does what it does."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._drawn: list[tuple[int, ActiveBinding]] = []  # where each ends

    def on_mount(self) -> None:
        """Draws anew when the keys change."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def _shown(self) -> Iterator[ActiveBinding]:
        """Each action once: those of the pane first, then the application's."""
        seen = set()
        active = [one for one in self.screen.active_bindings.values() if one.binding.show and one.enabled]
        for one in sorted(active, key=lambda one: isinstance(one.node, App)):
            if one.binding.action not in seen and one.binding.key != NO_KEY:
                seen.add(one.binding.action)
                yield one

    def render(self) -> Content:
        """One line of text: as many keys as fit, the most wanted first."""
        parts: list[Content | tuple[str, str]] = []
        self._drawn = []
        # How to get help and out is always there.
        shown = list(self._shown())
        last = [one for one in shown if one.binding.id in ("app.help", "app.quit")]
        room = self.size.width - sum(map(self._cells, last))
        chosen = []
        for one in shown:
            if one not in last:
                room -= self._cells(one)
                if room < 0:
                    break
                chosen.append(one)
        end = 0
        for one in (*chosen, *last):
            end += self._cells(one)
            self._drawn.append((end, one))
            key, description = key_name(self.app, one.binding.key), one.binding.description
            parts += [(key, "bold $accent"), (f" {description}  ", muted(self))]
        return Content.assemble(*parts)

    def _cells(self, one: ActiveBinding) -> int:
        return text.width(key_name(self.app, one.binding.key)) + text.width(one.binding.description) + 3

    async def on_click(self, event: Click) -> None:
        """Does what the key does that was clicked."""
        offset = event.get_content_offset(self)
        if offset is not None:
            for end, one in self._drawn:
                if offset.x < end:
                    await self.app.run_action(one.binding.action, one.node)
                    return


class TooSmall(Widget):
    """Stands in the place of everything where there is no room for it."""

    def render(self) -> Content:
        """How much room there is, and how much is needed."""
        size = self.app.size
        leave = first_key(self.app, "app.quit", "q")
        lines = ("tfexplore needs 60 × 15.", f"This terminal has {size.width} × {size.height}.", f"{leave} quits.")
        return Content("\n").join(map(Content, lines))
