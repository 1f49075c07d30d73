"""Natural order: `layer2` before `layer10`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_DIGITS = re.compile(r"([0-9]+)")
_LONG_RUN = 100
_BATCH = 4096

NaturalKey = tuple[tuple[object, ...], str]


def natural_key(name: str) -> NaturalKey:
    """A sort key under which runs of digits compare as numbers; ties keep plain order.

    A run of over `_LONG_RUN` digits compares as text: nobody counts that far, and converting it costs time.
    """
    parts: list[object] = []
    for position, part in enumerate(_DIGITS.split(name)):
        if position % 2:
            parts.append((int(part), part) if len(part) <= _LONG_RUN else (10**_LONG_RUN, part))
        else:
            parts.append(part)
    return tuple(parts), name


def natural_texts(names: Sequence[str]) -> Iterator[list[str]]:
    """Texts in whose plain order the names stand in natural order, in batches: a second for a million names.

    A run of digits becomes NUL (it sorts before all letters), how many digits its number has, and the number.
    """
    for start in range(0, len(names), _BATCH):
        part = names[start : start + _BATCH]
        joined = "\n".join(part)
        if joined.count("\n") == len(part) - 1:
            yield _coded(joined).split("\n")
        else:  # names with line breaks
            yield [_coded(name) for name in part]


def _coded(names: str) -> str:
    if "\0" in names:
        names = names.replace("\0", "\0\xff")
    pieces = _DIGITS.split(names)
    runs = pieces[1::2]
    code = {run: _coded_run(run) for run in set(runs)}
    pieces[1::2] = map(code.__getitem__, runs)
    return "".join(pieces)


def _coded_run(run: str) -> str:
    if len(run) > _LONG_RUN:
        return f"\0\x85{run}\0"
    number = run.lstrip("0")
    zeros = len(run) - len(number)
    # Of equal numbers the texts decide: `001` before `01`, but `0` before `00`.
    return f"\0{chr(0x20 + len(number))}{number}{chr(0xFF - zeros if number else 0x20 + zeros)}"
