"""Natural order: `layer2` before `layer10`."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"([0-9]+)")

NaturalKey = tuple[tuple[object, ...], str]


def natural_key(name: str) -> NaturalKey:
    """A sort key under which runs of digits compare as numbers; ties keep plain order.

    A run of over 100 digits compares as text: nobody counts that far, and converting it costs time.
    """
    parts: list[object] = []
    for position, part in enumerate(_DIGITS.split(name)):
        if position % 2:
            parts.append((int(part), part) if len(part) <= 100 else (10**100, part))
        else:
            parts.append(part)
    return tuple(parts), name
