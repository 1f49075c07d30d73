"""Going past what cannot be read in a protobuf text: braces, lists and strings, whatever is in them."""

from __future__ import annotations

import re
from collections.abc import Callable

from tfexplore.formats.text_fields import FieldError
from tfexplore.formats.text_source import BEHIND, TextSource

_NAME = re.compile(rb"[A-Za-z_]")
_NO_BRACE = re.compile(rb"[^\"'#{}<>]*")
_NO_BRACE_IN_LINE = re.compile(rb"[^\"'#{}<>\n]*")
_CLOSING = {b"}": re.compile(rb"[}\s]*"), b">": re.compile(rb"[>\s]*")}
_BLANK_IN_LINE = re.compile(rb"[ \t\r]*")
_WORD = b"0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# A colon outside of braces is in no list: it was not closed.
_NO_LIST_END = re.compile(rb"[^\"'#{}<>\]:]*")


def skip_braces(source: TextSource, opened: int, is_landmark: Callable[[], bool] | None = None) -> None:
    """Goes past `opened` closing braces more than opening ones, or to the text's end.

    Args:
        is_landmark: asked at each opening brace whether to stop there; it may move the position.
    """
    while opened and source.skip_until(_NO_BRACE):
        char = source.text[source.pos : source.pos + 1]
        if char in (b"{", b"<"):
            if is_landmark is not None and is_landmark():
                return
            opened += 1
            source.pos += 1
        elif char in (b"}", b">"):
            opened -= 1
            source.pos += 1
        else:
            _skip_quoted(source, char)


def skip_value(source: TextSource, is_landmark: Callable[[], bool] | None = None) -> bool:
    """Goes past one value: a number or name, strings, a list, a message in braces; False where there is none."""
    char = source.peek()
    if char in (b"{", b"<"):
        if is_landmark is None or not is_landmark():
            source.pos += 1
            skip_braces(source, 1, is_landmark)
    elif char == b"[":
        source.pos += 1
        skip_list(source)
    elif char in (b'"', b"'"):
        while (char := source.peek()) in (b'"', b"'"):
            _skip_quoted(source, char)
    else:
        try:
            source.word()
        except FieldError:
            return False
    return True


def skip_field(source: TextSource, is_landmark: Callable[[], bool] | None = None) -> None:
    """Goes past a field, from its name on; past the rest of the line where no value follows."""
    source.word()
    if source.skip_until(_BLANK_IN_LINE) and source.text[source.pos : source.pos + 1] in (b"\n", b"#"):
        return
    char = source.peek()
    if char == b":":
        source.pos += 1
    if char not in (b":", b"{", b"<") or not skip_value(source, is_landmark):
        skip_garbage(source)


def skip_list(source: TextSource) -> None:
    """Goes past the `]` that ends a list, or to what shows that none does."""
    while source.skip_until(_NO_LIST_END):
        char = source.text[source.pos : source.pos + 1]
        if char in (b"{", b"<"):
            if source.text[max(source.pos - BEHIND, 0) : source.pos].rstrip()[-1:] not in (b"[", b","):
                # A field of the message around, so the list was not closed.
                _back_to_name(source)
                return
            source.pos += 1
            skip_braces(source, 1)
        elif char in (b"}", b">", b":"):
            return
        elif char == b"]":
            source.pos += 1
            return
        else:
            _skip_quoted(source, char)


def skip_garbage(source: TextSource) -> None:
    """Goes past what begins no field: to the line's end, or to the next bracket or string, but past those at hand."""
    char = source.peek()
    if char in (b"{", b"<"):
        source.pos += 1
        skip_braces(source, 1)
    elif char in (b"}", b">"):
        source.skip_until(_CLOSING[char])
    elif char in (b'"', b"'"):
        _skip_quoted(source, char)
    elif char:
        if not at_name(source):
            source.pos += 1
        if source.skip_until(_NO_BRACE_IN_LINE) and source.text[source.pos : source.pos + 1] in (b"{", b"<"):
            _back_to_name(source)


def _back_to_name(source: TextSource) -> None:
    """Goes from an opening brace back to the name before it, if there is one."""
    before = source.text[max(source.pos - BEHIND, 0) : source.pos]
    name = before.rstrip().removesuffix(b":").rstrip()
    name = name[len(name.rstrip(_WORD)) :].lstrip(_WORD[:10])
    if name:
        source.pos -= len(before) - before.rindex(name)


def at_name(source: TextSource) -> bool:
    """Whether a name is next."""
    return _NAME.match(source.peek()) is not None


def _skip_quoted(source: TextSource, char: bytes) -> None:
    """Goes past a comment or a literal, or to the end of the line where the literal is not closed."""
    if char == b"#":
        source.skip_line()
        return
    try:
        for _ in source.literal():
            pass
    except FieldError:
        return
