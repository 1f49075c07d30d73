"""The path of the functions that were entered, as a title."""

from __future__ import annotations

from collections.abc import Sequence

from tfexplore.core import text

_SEPARATOR = " ▸ "


def place_pieces(path: Sequence[str], cells: int) -> list[tuple[str, str]]:
    """`main ▸ outer ▸ inner`, as (text, style), in at most `cells` cells: the last function shows longest.

    Args:
        path: names as stored.
        cells: at least a few.
    """
    last = text.shorten(text.label(path[-1]), max(1, cells))
    before = ["main", *(text.label(name) for name in path[:-1])]
    room = cells - text.width(last)
    shown: list[str] = []
    for name in reversed(before):
        # Room is kept for what tells that something is left out.
        rest = 0 if len(shown) == len(before) - 1 else text.width(text.ELLIPSIS + _SEPARATOR)
        if room < text.width(name + _SEPARATOR) + rest:
            break
        shown.insert(0, name)
        room -= text.width(name + _SEPARATOR)
    if len(shown) < len(before) and room >= text.width(text.ELLIPSIS + _SEPARATOR):
        shown.insert(0, text.ELLIPSIS)
    return [("".join(name + _SEPARATOR for name in shown), ""), (last, "bold")]
