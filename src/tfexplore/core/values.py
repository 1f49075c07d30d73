"""Values as text and as plain data: numbers, strings, and what has no number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfexplore.core import text

if TYPE_CHECKING:
    import numpy as np

_MAX_STRING = 60


def format_value(value: Any) -> str:
    """One element as visible text: six significant digits, strings quoted and cut at 60 characters."""
    import numpy as np

    if isinstance(value, bytes):
        cut = f"{text.ELLIPSIS} ({len(value):,} bytes)" if len(value) > _MAX_STRING else ""
        return f'"{text.visible(text.decode(_cut(value)))}"{cut}'
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (complex, np.complexfloating)):
        return f"{value.real:.6g}{value.imag:+.6g}j"
    if hasattr(value, "type_name"):
        return f"variant {text.visible(value.type_name)}"
    try:
        return f"{float(value):.6g}"
    except (TypeError, ValueError):
        return text.visible(str(value))


def _cut(value: bytes) -> bytes:
    """The beginning of a string, not cut within a character of UTF-8."""
    if len(value) <= _MAX_STRING:
        return value
    end = _MAX_STRING
    while end > _MAX_STRING - 4 and value[end] & 0xC0 == 0x80:
        end -= 1
    return value[:end]


def format_flat(array: np.ndarray, limit: int) -> str:
    """The first `limit` elements in C order, and how many more there are."""
    if array.ndim == 0:
        return format_value(array[()])
    flat = array.reshape(-1)
    shown = ", ".join(format_value(value) for value in flat[:limit])
    rest = flat.size - limit
    return f"[{shown}{f', … {rest:,} more' if rest > 0 else ''}]"


def format_rows(array: np.ndarray, *, rows: int = 8, columns: int = 5) -> list[str]:
    """A corner of an array of any rank as lines of right-aligned columns; higher axes stand at index 0."""
    if array.ndim == 0:
        return [format_value(array[()])]
    while array.ndim > 2:
        if array.shape[0] == 0:
            return ["(no elements)"]
        array = array[0]
    if array.ndim == 1:
        array = array[None, :]
    if array.size == 0:
        return ["(no elements)"]
    cells = [[format_value(value) for value in line[:columns]] for line in array[:rows]]
    widths = [max(text.width(line[column]) for line in cells) for column in range(len(cells[0]))]
    more = " …" if array.shape[1] > columns else ""
    lines = [
        "  ".join(" " * (widths[column] - text.width(cell)) + cell for column, cell in enumerate(line)) + more
        for line in cells
    ]
    return [*lines, "…"] if array.shape[0] > rows else lines


def to_plain(array: np.ndarray) -> Any:
    """Nested lists for JSON: strings as `str` (see `text.decode`), complex numbers as [real, imaginary]."""
    if array.ndim:
        # Not by iteration: an object array of one dimension gives bare bytes, which have no dimensions.
        return [to_plain(array[index, ...]) for index in range(array.shape[0])]
    value: Any = array[()]
    if isinstance(value, bytes):
        return text.decode(value)
    if array.dtype.kind in "biu":
        return value.item()
    if array.dtype.kind == "c":
        return [float(value.real), float(value.imag)]
    if array.dtype.kind == "O":
        return format_value(value)
    return int(value) if "int" in array.dtype.name else float(value)
