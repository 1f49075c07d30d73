"""What was shown, one after the other, to walk back and forward in as in a browser. No widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tfexplore.core.detail import Detail
from tfexplore.core.subjects import Subject

MAX_ENTRIES = 200


@dataclass(frozen=True, slots=True)
class Shown:
    """What the detail pane shows: a subject, its detail once it is read, and the line of the cursor."""

    subject: Subject
    detail: Detail | None = None
    line: int = 0


class Entry(NamedTuple):
    """One thing that was shown, its detail to be read again, and the trail that led to it."""

    shown: Shown
    trail: tuple[Shown, ...]


class History:
    """At most `MAX_ENTRIES` of what was shown; whatever is shown after a way back ends the way forward.

    Attributes:
        entries: oldest first.
        at: the number of the one that is shown; -1 where there is none.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.at = -1

    def visit(self, shown: Shown, trail: Sequence[Shown], *, returning: bool = False) -> None:
        """Something is shown: a new entry, unless it is shown already, or was just before where one is `returning`."""
        entry = Entry(_without_detail(shown), tuple(map(_without_detail, trail)))
        for at in (self.at, self.at - 1) if returning else (self.at,):
            if 0 <= at < len(self.entries) and self.entries[at].shown.subject == shown.subject:
                self.entries[at] = entry
                self.at = at
                return
        del self.entries[self.at + 1 :]
        self.entries.append(entry)
        del self.entries[:-MAX_ENTRIES]
        self.at = len(self.entries) - 1

    def keep(self, shown: Shown | None) -> None:
        """Remembers the line of the cursor of what is shown, before it is left."""
        if shown is not None and 0 <= self.at < len(self.entries):
            entry = self.entries[self.at]
            if entry.shown.subject == shown.subject:
                self.entries[self.at] = entry._replace(shown=_without_detail(shown))

    def step(self, by: int) -> Entry | None:
        """Goes back (-1) or forward (1); None where there is nothing."""
        if not 0 <= self.at + by < len(self.entries):
            return None
        self.at += by
        return self.entries[self.at]

    def clear(self) -> None:
        """Forgets all: another model is looked at."""
        self.entries.clear()
        self.at = -1


def _without_detail(shown: Shown) -> Shown:
    return Shown(shown.subject, None, shown.line)
