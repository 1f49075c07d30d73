"""The state of a search: what was typed, what has been found, where the cursor stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.model import Model
from tfexplore.core.subjects import Subject
from tfexplore.errors import Cancelled, ModelError, UsageError
from tfexplore.loader import Loader

if TYPE_CHECKING:
    from tfexplore.core.search import Hit

# More are counted and not kept: nobody walks through so many, and a word more narrows them.
MAX_KEPT = 10_000


class Finding:
    """One model's search as one types.

    Args:
        model: what is searched.
        loader: searches for it; a newer search cancels an older one.
        tell: called in the event loop after a change.

    Attributes:
        query: what was typed last.
        hits: what fits, as it was found; at most `MAX_KEPT`.
        count: how many fit so far.
        cursor: the number of the hit that is looked at.
        running: whether more may come.
        problem: why the query cannot be searched for; empty where it can.
    """

    def __init__(self, model: Model, loader: Loader, tell: Callable[[], None]) -> None:
        self.model = model
        self.query = ""
        self.hits: list[Hit] = []
        self.count = 0
        self.cursor = 0
        self.running = False
        self.problem = ""
        self._loader = loader
        self._been_there = False  # whether the hit of the cursor has been gone to
        self._tell = tell
        self._number = 0

    async def search(self, query: str) -> None:
        """Looks for what fits; gives up where something else is typed meanwhile."""
        self._number += 1
        number = self._number
        self.query, self.hits, self.count, self.cursor, self.problem = query, [], 0, 0, ""
        self._been_there = False
        self.running = bool(query.strip())
        self._tell()
        try:
            from tfexplore.core.query import parse

            async for batch in self._loader.search(self.model, parse(query)):
                if number != self._number:
                    return
                self.count += len(batch)
                self.hits += batch[: max(0, MAX_KEPT - len(self.hits))]
                self._tell()
        except Cancelled:
            return
        except (UsageError, ModelError) as error:
            if number == self._number:
                self.problem = text.visible(str(error))
        finally:
            if number == self._number:
                self.running = False
                self._tell()

    @property
    def sentence(self) -> str:
        """How much was found, in words."""
        if self.problem:
            return self.problem
        if not self.query.strip():
            return "words  op:Conv2D  dtype:float32  shape:[?,3]  Conv2D > BiasAdd  /regex/"
        found = text.plural(self.count, "name")
        kept = f", the first {MAX_KEPT:,} are listed" if self.count > MAX_KEPT else ""
        return f"{found} so far …" if self.running else f"{found}{kept}"

    def move_to(self, line: int) -> bool:
        """Moves the cursor; tells whether it moved."""
        line = max(0, min(line, len(self.hits) - 1))
        if line == self.cursor:
            return False
        self.cursor = line
        self._been_there = False
        return True

    def step(self, by: int) -> bool:
        """Moves the cursor to the next hit, or the one before, round at the ends; tells whether there is any.

        One that was looked at in the list only is the next.
        """
        if not self.hits:
            return False
        if self._been_there:
            self.cursor = (self.cursor + by) % len(self.hits)
        self._been_there = True
        return True

    @property
    def place(self) -> str:
        """Which hit the cursor stands on, in words."""
        of = f"{len(self.hits):,}" if self.count == len(self.hits) else f"the first {len(self.hits):,}"
        return f"{self.cursor + 1:,} of {of}: {text.shorten(self.query.strip(), 40)}"

    async def subject(self) -> Subject | None:
        """What the cursor stands on; None where there is nothing, or it cannot be read."""
        if self.cursor >= len(self.hits):
            return None
        hit, model = self.hits[self.cursor], self.model
        self._been_there = True

        def read(_: object) -> Subject:
            from tfexplore.core.hit_items import hit_item

            return hit_item(model, hit).subject

        try:
            return await self._loader.tasks.run(read)
        except (Cancelled, ModelError):
            return None
