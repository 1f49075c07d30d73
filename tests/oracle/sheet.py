"""What a comparison counts and finds: one Check for each kind of fact of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_SHOWN = 6
_WIDTH = 240


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of fact of one model.

    Attributes:
        what: `values`, `nodes`, `edges` and so on.
        compared: how many facts were compared.
        equal: whether all of them were.
        detail: the first differences, ours beside TensorFlow's.
        not_compared: why TensorFlow could not answer for a part, and how often.
    """

    model: str
    what: str
    compared: int
    equal: bool
    detail: str = ""
    not_compared: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class Tally:
    """Counts the facts of one kind."""

    compared: int = 0
    differences: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    def same(self, where: str, ours: Any, theirs: Any) -> bool:
        """One fact, equal or not."""
        self.compared += 1
        equal = bool(ours == theirs)
        if not equal:
            self.differences.append(f"{where}: {_short(ours)}, TensorFlow: {_short(theirs)}")
        return equal

    def holds(self, where: str, truth: bool, otherwise: str) -> bool:
        """One fact that is no equality."""
        self.compared += 1
        if not truth:
            self.differences.append(f"{where}: {otherwise}")
        return truth

    def same_items(self, where: str, ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
        """Two lists, item by item."""
        equal = True
        if len(ours) != len(theirs):
            equal = self.same(f"{where}, how many", len(ours), len(theirs))
        for number, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
            equal &= self.same(f"{where}[{number}]", mine, other)
        return equal

    def same_mapping(self, where: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
        """Two mappings, key by key; a key that one side does not have is a difference."""
        missing = "(nothing)"
        equal = True
        for key in theirs:
            equal &= self.same(f"{where} {key!r}", ours.get(key, missing), theirs[key])
        for key in ours:
            if key not in theirs:
                equal &= self.same(f"{where} {key!r}", ours[key], missing)
        return equal

    def skip(self, reason: str, count: int = 1) -> None:
        """Facts for which TensorFlow has no answer."""
        self.skipped[reason] = self.skipped.get(reason, 0) + count


class Sheet:
    """The tallies of one model, by kind of fact, in the order of first use."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._tallies: dict[str, Tally] = {}

    def __getitem__(self, what: str) -> Tally:
        return self._tallies.setdefault(what, Tally())

    def checks(self) -> list[Check]:
        """One Check for each kind of fact."""
        return [
            Check(
                self.model,
                what,
                tally.compared,
                not tally.differences,
                _listed(tally.differences),
                tuple(tally.skipped.items()),
            )
            for what, tally in self._tallies.items()
        ]


def first_line(error: BaseException) -> str:
    """An error in one line, for a reason: its type and the beginning of its message."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0][:_WIDTH]}" if said else type(error).__name__


def _short(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= _WIDTH else f"{said[:_WIDTH]}…"


def _listed(differences: list[str]) -> str:
    more = len(differences) - _SHOWN
    return "; ".join(differences[:_SHOWN]) + (f"; and {more:,} more" if more > 0 else "")
