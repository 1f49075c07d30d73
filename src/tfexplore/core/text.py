"""Text that comes from a model, made safe to look at.

Inside, a name is a `str` that holds the stored bytes losslessly (UTF-8, other bytes as
surrogate escapes). On its way to a terminal it goes through `visible`, whose output has no
control characters, no bidi or zero-width characters and no markup meaning of its own.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
_LONG = {escape: character for character, escape in _SHORT.items()}
_ESCAPES = re.compile(r"\\(?:[nrt\\]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
ELLIPSIS = "…"


def decode(raw: bytes) -> str:
    """The stored bytes of a name as `str`; bytes that are not UTF-8 become surrogate escapes."""
    return raw.decode("utf-8", "surrogateescape")


def encode(name: str) -> bytes:
    """The stored bytes of a name that `decode` made."""
    return name.encode("utf-8", "surrogateescape")


def is_utf8(name: str) -> bool:
    """Whether the stored bytes are valid UTF-8."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def _escape(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(name: str) -> str:
    """The name with everything that cannot be seen written as an escape.

    Control, format (bidi, zero-width), unassigned and private characters, separators other than
    the space, and bytes that are not UTF-8 become `\\x1b`, `\\u202e` and so on; a backslash is
    doubled, so that no two names look alike and each can be read back.
    """
    if "\\" not in name and name.isprintable():
        return name
    return "".join(
        character if character != "\\" and character.isprintable() else _escape(character) for character in name
    )


def stored(shown: str) -> str:
    """The name that `visible` shows so; what is no escape of its stands for itself."""
    return _ESCAPES.sub(_unescape, shown) if "\\" in shown else shown


def _unescape(found: re.Match[str]) -> str:
    escape = found[0]
    if escape in _LONG:
        return _LONG[escape]
    code = int(escape[2:], 16)
    if escape[1] == "x" and code >= 0x80:  # a byte that is not UTF-8
        code += 0xDC00
    return chr(code) if code <= sys.maxunicode else escape


def label(name: str) -> str:
    """As `visible`, but an empty name is shown as `""`: a row must never look empty."""
    return visible(name) if name else '""'


def width(text: str) -> int:
    """How many terminal cells visible text takes."""
    return len(text) if text.isascii() else sum(_each_cells(text))


def _each_cells(text: str) -> Iterator[int]:
    """The cells of each character; a variation selector that makes a narrow one an emoji adds one."""
    before = 0
    for character in text:
        cells = _cells(character)
        yield int(before == 1) if character == "\ufe0f" else cells
        before = cells


@lru_cache(maxsize=4096)
def _cells(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shorten(text: str, cells: int) -> str:
    """Visible text in at most `cells` cells: the middle goes, never the end."""
    if width(text) <= cells:
        return text
    if cells <= 1:
        return ELLIPSIS[: max(0, cells)]
    tail_cells = max(1, (cells - 1) * 2 // 3)
    head_cells = cells - 1 - tail_cells
    return take(text, head_cells) + ELLIPSIS + take(text[::-1], tail_cells)[::-1]


def take(text: str, cells: int) -> str:
    """The beginning of visible text, at most `cells` cells wide."""
    if text.isascii():
        return text[:cells]
    used = 0
    for position, found in enumerate(_each_cells(text)):
        used += found
        if used > cells:
            return text[:position]
    return text


# Sizes that a file claims may have thousands of digits, which Python refuses to write out.
_HUGE = 10**30


def count(number: int) -> str:
    """A whole number with its thousands separated: `1,043`; `over 10^30` past what anything can have."""
    if abs(number) < _HUGE:
        return f"{number:,}"
    return "over 10^30" if number > 0 else "under -10^30"


def plural(number: int, one: str, many: str | None = None) -> str:
    """`1 node`, `1,043 nodes`."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def short_count(number: int) -> str:
    """A count in few characters: `964`, `12.3 K`, `5.1 M`."""
    if number < 10_000:
        return f"{number:,}"
    if number >= _HUGE:
        return count(number)
    for scale, unit in ((10**3, "K"), (10**6, "M"), (10**9, "G"), (10**12, "T")):
        if number / scale < 999.95:
            return f"{number / scale:,.1f} {unit}"
    return count(number)


def size(number: int) -> str:
    """A number of bytes: `964 B`, `5.0 KiB`, `12.4 MiB`."""
    if number < 1024:
        return f"{number} B"
    if number >= _HUGE:
        return f"{count(number)} B"
    value = float(number)
    units = iter(("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"))
    unit = ""
    while value >= 1023.95 and (larger := next(units, "")):
        value /= 1024
        unit = larger
    return f"{value:,.1f} {unit}"


def age(seconds: float) -> str:
    """How long ago something was, in one unit: `now`, `5 min`, `3 h`, `12 d`, `4 mo`, `2 y`."""
    for span, unit in ((365 * 86400, "y"), (30 * 86400, "mo"), (86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= span:
            return f"{int(seconds // span):,} {unit}"
    return "now"
