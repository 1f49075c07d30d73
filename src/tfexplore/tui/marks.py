"""Marks: places of one model under letters, to go back to. No widgets."""

from __future__ import annotations

from typing import NamedTuple

from tfexplore.core.subjects import Subject


class Mark(NamedTuple):
    """One mark.

    Attributes:
        letter: a letter or figure.
        title, kind: of what is marked, visible.
    """

    letter: str
    subject: Subject
    title: str
    kind: str


class Marks:
    """The marks of one model."""

    def __init__(self) -> None:
        self._by_letter: dict[str, Mark] = {}

    @property
    def listed(self) -> list[Mark]:
        """All of them, by letter."""
        return [self._by_letter[letter] for letter in sorted(self._by_letter)]

    def set(self, letter: str, subject: Subject, title: str, kind: str) -> bool:
        """Marks something; tells whether the letter can name a mark."""
        if not is_letter(letter):
            return False
        self._by_letter[letter] = Mark(letter, subject, title, kind)
        return True

    def get(self, letter: str) -> Mark | None:
        """The mark of that letter."""
        return self._by_letter.get(letter)

    def remove(self, letter: str) -> None:
        """Forgets a mark, where there is one."""
        self._by_letter.pop(letter, None)


def is_letter(letter: str) -> bool:
    """Whether a character can name a mark."""
    return len(letter) == 1 and letter.isascii() and letter.isalnum()
