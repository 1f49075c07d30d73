"""What the detail pane shows, the way back from it, and the word in the header about what is going on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tfexplore.core import text
from tfexplore.core.detail import Block, Detail, Line
from tfexplore.core.subjects import Subject
from tfexplore.errors import Cancelled, ModelError
from tfexplore.loader import Loader
from tfexplore.tui.history import History, Shown
from tfexplore.tui.topics import Topic

# From asking for a detail to saying so, in seconds.
_SLOW = 0.3


class Details:
    """The detail that is shown, read through the loader.

    Attributes:
        shown: what the pane shows; None before there was anything.
        trail: what Backspace goes back to, oldest first.
        history: what was shown, to go back and forward in.
        status: a few words about what is going on, empty when nothing is.
    """

    def __init__(self, loader: Loader, tell: Callable[[Topic], None]) -> None:
        self.loader = loader
        self._tell = tell
        self.shown: Shown | None = None
        self.trail: list[Shown] = []
        self.history = History()
        self.status = ""
        self._reading = 0  # how often a detail was asked for

    def _say(self, status: str) -> None:
        self.status = status
        self._tell(Topic.HEADER)

    def start_detail(self, subject: Subject) -> None:
        """Shows a subject of the tree: nothing to go back to."""
        self.history.keep(self.shown)
        self.trail.clear()
        self.shown = Shown(subject)

    async def read_detail(self) -> None:
        """Reads the detail of what is shown, where that has not been done; a newer call makes an older one stale."""
        shown = self.shown
        if shown is None or shown.detail is not None:
            return
        self._reading += 1
        number = self._reading
        loop = asyncio.get_running_loop()
        # Most details are there at once; a word about each would only flicker.
        slow = loop.call_later(_SLOW, self._say, "reading the details (Escape cancels)")
        try:
            detail = await self.loader.detail(shown.subject)
        except Cancelled:
            if self.shown is not shown or self._reading != number:  # a newer call reads it
                return
            detail = _message(
                "cancelled", "Reading the details was cancelled. Go to another row and back to read them."
            )
        except ModelError as error:
            detail = _message("cannot be shown", text.visible(str(error)))
        finally:
            slow.cancel()
            if loop.time() >= slow.when():
                self._say("")
        if self.shown is shown:
            self.shown = Shown(shown.subject, detail, shown.line)
            self.history.visit(self.shown, self.trail)
            self._tell(Topic.DETAIL)

    def move_line(self, line: int) -> None:
        """Moves the detail pane's cursor."""
        if self.shown is not None:
            self.shown = Shown(self.shown.subject, self.shown.detail, line)

    async def follow(self, subject: Subject) -> None:
        """Goes from the shown subject to another; `back` returns."""
        if self.shown is not None:
            self.history.keep(self.shown)
            self.trail.append(self.shown)
        self.shown = Shown(subject)
        await self.read_detail()

    def back(self) -> bool:
        """Goes back to what was shown before; tells whether there was anything."""
        if not self.trail:
            return False
        self.history.keep(self.shown)
        self.shown = self.trail.pop()
        self.history.visit(self.shown, self.trail, returning=True)
        self._tell(Topic.DETAIL)
        return True

    async def step(self, by: int) -> bool:
        """Goes back (-1) or forward (1) in the history; tells whether there was anything."""
        self.history.keep(self.shown)
        found = self.history.step(by)
        if found is None:
            return False
        self.shown, self.trail = found.shown, list(found.trail)
        self._tell(Topic.DETAIL)
        await self.read_detail()
        return True

    async def read_again(self) -> None:
        """Reads the detail of what is shown once more: something about it is known now that was not."""
        self.trail = [Shown(one.subject, None, one.line) for one in self.trail]
        if self.shown is not None:
            self.shown = Shown(self.shown.subject, None, self.shown.line)
            await self.read_detail()


def _message(title: str, sentence: str) -> Detail:
    return Detail(title, "Note", (Block("", (Line("", sentence),)),))
