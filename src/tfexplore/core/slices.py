"""Slices of a tensor as Python writes them: `0:4, :`, `-1`, `..., ::2`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core import text
from tfexplore.core.shapes import format_shape
from tfexplore.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
_MOST_LETTERS = 2000


class Slice(NamedTuple):
    """A part of a tensor: the box that has to be read, and what of the box is meant.

    Attributes:
        starts, counts: the box.
        inside: the part of the box: for each axis a number, which takes the axis away, or begin, end and step.
        words: the slice as Python writes it, with begin and end of each axis.
    """

    starts: tuple[int, ...]
    counts: tuple[int, ...]
    inside: tuple[int | tuple[int, int | None, int], ...]
    words: str

    def of(self, box: np.ndarray) -> np.ndarray:
        """What is meant of the values of the box."""
        found: np.ndarray = box[tuple([part if isinstance(part, int) else slice(*part) for part in self.inside]) or ...]
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what is meant."""
        spans = zip(self.inside, self.counts, strict=True)
        return tuple([len(range(count)[slice(*part)]) for part, count in spans if not isinstance(part, int)])

    def is_box(self) -> bool:
        """Whether all of the box is meant, in its order."""
        spans = zip(self.inside, self.counts, strict=True)
        return all(part == 0 if isinstance(part, int) else part == (0, count, 1) for part, count in spans)


def corner(shape: Sequence[int], rows: int, columns: int) -> Slice:
    """The beginning of a tensor: of its last two axes so many, of those before the first."""
    rank = len(shape)
    most = [1] * max(0, rank - 2) + [rows, columns][max(0, 2 - rank) :]
    counts = tuple([min(count, size) for count, size in zip(most, shape, strict=True)])
    inside = tuple([(0, count, 1) for count in counts])
    words = ", ".join(f"0:{count}" for count in counts)
    return Slice((0,) * rank, counts, inside, words)


def parse(words: str, shape: Sequence[int]) -> Slice:
    """The part of a tensor of that shape that a person asks for.

    Raises:
        UsageError: it is no slice, or does not fit the shape; a sentence.
    """
    shown = text.shorten(text.visible(words), 60)

    def wrong(what: str) -> UsageError:
        return UsageError(f"the slice {shown!r} {what}; write it as for instance '0:4, :' or '-1, ..., ::2'")

    if len(words) > _MOST_LETTERS:
        raise wrong(f"has more than {_MOST_LETTERS:,} letters")
    inner = words.strip()
    if inner.startswith("[") and inner.endswith("]"):
        inner = inner[1:-1]
    parts = [part.strip() for part in inner.split(",")] if inner.strip() else []
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    named = [part for part in parts if part != "..."]
    if len(parts) - len(named) > 1:
        raise wrong("has more than one '...'")
    if len(named) > len(shape):
        raise wrong(
            f"has {text.plural(len(named), 'axis', 'axes')}, but the tensor's shape is {format_shape(tuple(shape))}"
        )
    missing = [":"] * (len(shape) - len(named))
    if "..." in parts:
        place = parts.index("...")
        parts[place : place + 1] = missing
    else:
        parts += missing
    axes = [_axis(part, axis, size, wrong) for axis, (part, size) in enumerate(zip(parts, shape, strict=True))]
    return Slice(
        tuple([axis[0] for axis in axes]),
        tuple([axis[1] for axis in axes]),
        tuple([axis[2] for axis in axes]),
        ", ".join([axis[3] for axis in axes]),
    )


_Axis = tuple[int, int, "int | tuple[int, int | None, int]", str]


def _axis(part: str, axis: int, size: int, wrong: Callable[[str], UsageError]) -> _Axis:
    """First index and length of what is read of an axis, what is meant of that, and its words."""

    def number(word: str) -> int | None:
        if not word:
            return None
        if not _NUMBER.fullmatch(word):
            raise wrong(f"has {text.shorten(text.visible(word), 30)!r} where a whole number is expected")
        return int(word)

    words = [word.strip() for word in part.split(":")]
    if len(words) == 1:
        index = number(words[0])
        if index is None:
            raise wrong(f"says nothing for axis {axis}")
        if not -size <= index < size:
            raise wrong(f"asks for index {index} of axis {axis}, which has {text.plural(size, 'element')}")
        index %= size
        return index, 1, 0, str(index)
    if len(words) > 3:
        raise wrong(f"has more than begin, end and step for axis {axis}")
    begin, end, step = number(words[0]), number(words[1]), number(words[2]) if len(words) > 2 else None
    if step == 0:
        raise wrong(f"has a step of 0 for axis {axis}")
    meant = range(size)[begin:end:step]
    shown = f"{meant.start}:{meant.stop if meant.stop >= 0 else ''}" + (f":{meant.step}" if meant.step != 1 else "")
    if not meant:
        return 0, 0, (0, 0, 1), shown
    first, last = min(meant[0], meant[-1]), max(meant[0], meant[-1])
    count = last - first + 1
    inside = (0, count, meant.step) if meant.step > 0 else (count - 1, None, meant.step)
    return first, count, inside, shown
