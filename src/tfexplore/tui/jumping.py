"""The state of the prompt that goes to a thing by its name: what is typed, how it may go on, why it leads nowhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.model import Model
from tfexplore.errors import Cancelled, ModelError
from tfexplore.loader import Loader
from tfexplore.loader.loader import COMPLETE

if TYPE_CHECKING:
    from tfexplore.core.jump import Candidate, Jump, Target
    from tfexplore.core.meta_graph import MetaGraph

_TYPED = -1
_TAKE = "jump"


class Jumping:
    """One prompt.

    Args:
        model: whose names.
        loader: reads for it; a newer completion cancels an older one.
        inside: the function that is looked at; its names come first.

    Attributes:
        tell: called in the event loop after a change; set by whoever draws it.
        shown: what is typed, or was put there: names as they are shown (see `text.visible`).
        candidates: how it may go on.
        cursor: the candidate that is chosen; -1 where it is what is typed.
        problem: why it leads nowhere; empty where nobody knows of one.
        reading: whether names are being read.
    """

    def __init__(self, model: Model, loader: Loader, inside: tuple[MetaGraph, str] | None = None) -> None:
        self.tell: Callable[[], None] = lambda: None
        self.shown = ""
        self.candidates: list[Candidate] = []
        self.cursor = _TYPED
        self.problem = ""
        self.reading = False
        self._model = model
        self._loader = loader
        self._inside = inside
        self._jump: Jump | None = None
        self._number = 0

    async def type(self, shown: str) -> None:
        """Looks for ways to go on; gives up where something else is typed meanwhile."""
        self._number += 1
        number = self._number
        self.shown, self.cursor, self.problem, self.reading = shown, _TYPED, "", True
        name = text.stored(shown)
        try:
            jump = self._jump
            candidates = await self._loader.tasks.run(
                lambda context: (jump or self._open(context.cancel)).complete(name), channel=COMPLETE
            )
        except Cancelled:
            candidates = []
        except ModelError as error:
            candidates = []
            if number == self._number:
                self.problem = self._sentence(error)
        if number == self._number:
            self.candidates, self.reading = candidates, False
            self.tell()

    def _open(self, cancel: threading.Event) -> Jump:
        from tfexplore.core.jump import Jump

        self._jump = Jump(self._model, self._inside, cancel)
        return self._jump

    def move(self, by: int) -> None:
        """Chooses another candidate; before the first is what was typed."""
        self.cursor = max(_TYPED, min(self.cursor + by, len(self.candidates) - 1))
        self.tell()

    def longer(self) -> str:
        """What Tab makes of it: the candidate that is chosen, or what all have in common, or the first."""
        if not self.candidates:
            return self.shown
        if self.cursor != _TYPED:
            return text.visible(self.candidates[self.cursor].name)
        names = [candidate.name for candidate in self.candidates]
        first, last = min(names), max(names)
        common = text.visible(first[: next((n for n, c in enumerate(first) if last[n : n + 1] != c), len(first))])
        return common if len(common) > len(self.shown) else text.visible(self.candidates[0].name)

    async def take(self, shown: str) -> Target | None:
        """What is chosen or typed stands for; None where that is nothing, which `problem` tells.

        Args:
            shown: what is typed by now: keys may come faster than ways to go on are found.
        """
        if shown != self.shown:
            await self.type(shown)
        chosen = self.candidates[self.cursor] if 0 <= self.cursor < len(self.candidates) else None
        name, kind = (chosen.name, chosen.kind) if chosen is not None else (text.stored(self.shown), None)
        number, jump = self._number, self._jump
        try:
            return await self._loader.tasks.run(
                lambda context: (jump or self._open(context.cancel)).find(name, kind, context.cancel), channel=_TAKE
            )
        except Cancelled:
            return None
        except ModelError as error:
            if number == self._number:
                self.problem = self._sentence(error)
                self.tell()
            return None

    @property
    def chosen_scope(self) -> str | None:
        """The scope that is chosen, as it is shown: one goes on in it."""
        chosen = self.candidates[self.cursor] if 0 <= self.cursor < len(self.candidates) else None
        return text.visible(chosen.name) if chosen is not None and chosen.kind == "scope" else None

    @staticmethod
    def _sentence(error: ModelError) -> str:
        shown = str(error)
        return shown if shown.isprintable() else text.visible(shown)
