"""How a row of the tree looks: glyph, name, dtype, shape; as styled pieces, never as markup."""

from __future__ import annotations

import locale
from dataclasses import dataclass

from tfexplore.core import text
from tfexplore.core.items import Item
from tfexplore.core.shapes import format_shape
from tfexplore.formats import dtypes

Piece = tuple[str, str]
"""Visible text and the name of its component style."""

_UNICODE = {
    "open": "▾",
    "closed": "▸",
    "model": "◈",
    "section": "",
    "meta_graph": "◆",
    "signature": "ƒ",
    "input": "→",
    "feature": "·",
    "output": "←",
    "scope": "",
    "variable": "▪",
    "frozen": "▫",
    "node": "●",
    "op": "◇",
    "tensor": "◦",
    "function": "λ",
    "object": "○",
    "asset": "≡",
    "file": "≡",
    "key": "▪",
    "checkpoint": "◷",
    "folder": "",
    "found": "◈",
    "note": "!",
}
_ASCII = {
    "open": "v",
    "closed": ">",
    "model": "@",
    "section": "",
    "meta_graph": "#",
    "signature": "S",
    "input": ">",
    "feature": ".",
    "output": "<",
    "scope": "",
    "variable": "=",
    "frozen": "-",
    "node": "*",
    "op": "%",
    "tensor": "~",
    "function": "f",
    "object": "o",
    "asset": "a",
    "file": "a",
    "key": "=",
    "checkpoint": "c",
    "folder": "",
    "found": "@",
    "note": "!",
}

_VALUE, _SHORT_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE", "/…VALUE"


def is_ascii() -> bool:
    """Whether the terminal's encoding is not UTF-8."""
    return locale.getpreferredencoding(False).lower().replace("-", "") != "utf8"


def glyphs() -> dict[str, str]:
    """A glyph for each kind: from Unicode, or ASCII where the terminal's encoding is not UTF-8."""
    return _ASCII if is_ascii() else _UNICODE


@dataclass(frozen=True, slots=True)
class RowLabel:
    """A row's pieces, and how many cells they take."""

    pieces: tuple[Piece, ...]
    cells: int


def facts_of(item: Item) -> str:
    """dtype, shape and note of an item, as one visible text."""
    parts = []
    if item.dtype is not None:
        parts.append(dtypes.name(item.dtype))
    if item.has_shape:
        parts.append(format_shape(item.shape))
    if item.note:
        parts.append(item.note)
    return " ".join(parts)


def row_label(item: Item, *, depth: int, expanded: bool, is_branch: bool, cells: int, problem: str | None) -> RowLabel:
    """An item's row in at most `cells` cells."""
    glyph = glyphs()
    fold = glyph["open" if expanded else "closed"] if is_branch else " "
    mark = glyph.get(item.kind, "")
    # Very deep rows still have to show their names.
    indent = "  " * min(depth, max(0, (cells - 24) // 2))
    lead = f"{indent}{fold} "
    room = cells - text.width(lead) - (text.width(mark) + 1 if mark else 0)
    name = text.label(item.label)
    if item.columns and problem is None:
        return _row_in_columns(item, [(indent, "fold"), (f"{fold} ", "fold"), (f"{mark} ", "mark-plain")], name, cells)
    facts = f"cannot be read: {problem}" if problem is not None else facts_of(item)
    name_cells, facts_cells = text.width(name), text.width(facts)
    if facts and name_cells + 2 + facts_cells > room:
        # The name has up to three fifths of the row before its facts give way, from their end.
        name = text.shorten(name, max(1, min(room, max(room * 3 // 5, room - 2 - facts_cells))))
        facts_room = max(0, room - 2 - text.width(name))
        facts = facts if facts_cells <= facts_room else text.take(facts, max(0, facts_room - 1)) + text.ELLIPSIS
        facts = facts if facts_room > 1 else ""
    elif item.kind == "note" and name_cells > room > 1:
        name = text.take(name, room - 1) + text.ELLIPSIS  # a sentence is read from its beginning
    elif not facts:
        name = text.shorten(name, max(1, room))
    style = {"note": "note", "section": "section", "model": "section", "folder": "section"}.get(item.kind, "name")
    mark_style = "mark-out" if item.kind == "output" else "mark-plain"
    pieces = [(indent, "fold"), (fold, "fold"), (" ", "fold"), (mark, mark_style), (" " if mark else "", "fold")]
    pieces.append((name, style))
    if facts:
        pieces += [("  ", "fold"), (facts, "problem" if problem is not None else "facts")]
    used = sum(text.width(piece[0]) for piece in pieces)
    return RowLabel(tuple(piece for piece in pieces if piece[0]), used)


def list_label(kind: str, name: str, item: Item | None, cells: int, *, one_op: bool = False) -> RowLabel:
    """A row of a flat list: glyph, name, dtype and shape, then op, size or count in a column at the right.

    Args:
        kind: of the rows.
        name: as stored.
        item: None while it is read: only the name is known then.
        cells: how many there are.
        one_op: whether all rows have the same op, which need not be told in each.
    """
    mark = glyphs().get(item.kind if item is not None else kind, "")
    mark_style = "problem" if item is not None and item.kind == "note" else "mark-plain"
    last, wide = _last_column(item) if not one_op else ("", 0)
    wide = min(wide, cells // 5)
    last = last if text.width(last) <= wide else text.take(last, wide - 1) + text.ELLIPSIS
    room = max(1, cells - text.width(mark) - 1 - (wide + 2 if wide else 0))
    shown = text.label(name)
    # The name has up to three quarters of what is there; the rest is for as much of the facts as fits whole.
    left = room - 2 - min(text.width(shown), room * 3 // 4)
    facts = next((facts for facts in _facts_to_choose(item) if text.width(facts) <= left), "")
    name_room = max(1, room - (text.width(facts) + 2 if facts else 0))
    if shown.endswith(_VALUE) and text.width(shown) > name_room > 3 * len(_SHORT_VALUE):
        # What all keys end with tells nothing: what is before it has the room.
        shown = text.shorten(shown.removesuffix(_VALUE), name_room - len(_SHORT_VALUE)) + _SHORT_VALUE
    shown = text.shorten(shown, name_room)
    gap = " " * (room - text.width(shown) - text.width(facts))
    if wide:
        facts += " " * (2 + wide - text.width(last)) + last
    # Blanks go with what is before them: each piece more costs a slow line forty bytes.
    pieces = [(f"{mark} ", mark_style), (shown + gap, "name"), (facts, "facts")]
    used = sum(text.width(piece[0]) for piece in pieces)
    return RowLabel(tuple(piece for piece in pieces if piece[0]), used)


def _last_column(item: Item | None) -> tuple[str, int]:
    """What stands in the last column of a flat list, and how wide that may be."""
    if item is None:
        return "", 0
    if item.kind in ("node", "tensor", "op"):
        return (item.columns[0], 9) if item.columns else (item.note, 16)
    return item.columns[0] if item.columns else "", 9


def _facts_to_choose(item: Item | None) -> list[str]:
    """dtype, shape and note: all that is known, then less of it."""
    if item is None:
        return []
    dtype = dtypes.name(item.dtype) if item.dtype is not None else ""
    shape = format_shape(item.shape) if item.has_shape else ""
    note = item.note if item.kind not in ("node", "tensor", "op") else ""
    both = " ".join(part for part in (dtype, shape) if part)
    return [f"{both} {note}".strip(), note or both, both, shape, dtype]


def _row_in_columns(item: Item, lead: list[Piece], name: str, cells: int) -> RowLabel:
    """A row whose facts stand in columns at its right: below each other, however deep the rows and long the names."""
    columns = list(item.columns)
    cells -= 1  # a blank before the border
    while len(columns) > 1 and sum(map(text.width, columns)) + 2 * len(columns) > cells // 2:
        columns.pop()
    facts = "  ".join(columns)
    room = cells - sum(text.width(piece[0]) for piece in lead)
    name = text.shorten(name, max(1, room - text.width(facts) - 2))
    gap = " " * max(2, room - text.width(name) - text.width(facts))
    pieces = [*lead, (name, "name"), (gap, "fold"), (facts, "facts")]
    return RowLabel(tuple(piece for piece in pieces if piece[0]), sum(text.width(piece[0]) for piece in pieces))
