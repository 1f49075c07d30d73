"""What goes to standard output; nothing else writes there.

JSON documents are written item by item. Text is aligned on a terminal and tab-separated
elsewhere. No control character of a model's gets out in either form.
"""

from __future__ import annotations

import base64
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

from tfexplore.core import text

# Rows that decide how wide the columns of a table are.
_SAMPLE = 1000
_MAX_COLUMN = 72


class Column(NamedTuple):
    """One column of a table: its head, how a row's cell is made, and whether it stands right-aligned."""

    head: str
    cell: Callable[[Any], str]
    right: bool = False


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def use_color(no_color: bool) -> bool:
    """Whether colours may be used: on a terminal, without --no-color, NO_COLOR or TERM=dumb."""
    return is_terminal() and not no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def write(line: str) -> None:
    """One line."""
    sys.stdout.write(line + "\n")


# -- JSON --


def json_ready(value: Any) -> Any:
    """Plain data that JSON can hold: bytes that are not UTF-8 as `{"b64": …}`, NaN and infinities as strings."""
    if isinstance(value, str):
        return value if text.is_utf8(value) else {"b64": base64.b64encode(text.encode(value)).decode("ascii")}
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {name if text.is_utf8(name) else text.visible(name): json_ready(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(part) for part in value]
    return value


def json_text(value: Any) -> str:
    """Plain data as JSON in ASCII: every other character escaped, so a terminal can show it safely."""
    return json.dumps(json_ready(value), ensure_ascii=True, allow_nan=False).replace("\x7f", "\\u007f")


def write_document(head: dict[str, Any], items: Iterable[Any], limit: int | None) -> None:
    """One JSON document: the fields of `head`, then `items` as they come, then how many there are.

    Args:
        limit: at most so many items are written; all are counted.
    """
    stream = sys.stdout
    stream.write(json_text(head)[:-1] + ', "items": [')
    shown = total = 0
    refs = iter(items)
    for row in refs if limit is None else islice(refs, limit):
        stream.write((",\n" if shown else "\n") + json_text(row() if callable(row) else row))
        shown += 1
    total = shown + sum(1 for _ in refs)
    stream.write(f'\n], "total": {total}, "shown": {shown}}}\n')


def write_document_lines(head: dict[str, Any], blocks: Iterable[Sequence[str]]) -> None:
    """As `write_document`, for items that are written already, in blocks."""
    stream = sys.stdout
    stream.write(json_text(head)[:-1] + ', "items": [')
    total = 0
    for lines in blocks:
        if lines:
            stream.write((",\n" if total else "\n") + ",\n".join(lines))
            total += len(lines)
    stream.write(f'\n], "total": {total}, "shown": {total}}}\n')


# -- text --


def write_lines(lines: Sequence[str]) -> None:
    """Many lines at once."""
    if lines:
        sys.stdout.write("\n".join(lines) + "\n")


def cell(value: Any) -> str:
    """Any value of a row as one visible cell; nothing is `-`."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return text.label(value)
    return str(value)


def write_table(columns: Sequence[Column], rows: Iterable[Sequence[Any]], *, color: bool, indent: str = "") -> int:
    """Aligned columns with a head on a terminal, else tab-separated lines without one.

    Returns:
        How many rows were written.
    """
    cells = ([column.cell(value) for column, value in zip(columns, row, strict=True)] for row in rows)
    if not is_terminal():
        count = 0
        for line in cells:
            write("\t".join(line))
            count += 1
        return count
    sample = list(islice(cells, _SAMPLE))
    if not sample:
        return 0
    widths = [
        max(len(column.head), *(min(text.width(line[position]), _MAX_COLUMN) for line in sample))
        for position, column in enumerate(columns)
    ]
    head = indent + _aligned([column.head for column in columns], columns, widths)
    write(f"\x1b[2m{head}\x1b[0m" if color else head)
    count = 0
    for lines in (sample, cells):
        for line in lines:
            write(indent + _aligned(line, columns, widths))
            count += 1
    return count


def _aligned(line: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    parts = []
    for value, column, width in zip(line, columns, widths, strict=True):
        pad = " " * max(0, width - text.width(value))
        parts.append(pad + value if column.right else value + pad)
    return "  ".join(parts).rstrip()
