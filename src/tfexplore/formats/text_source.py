"""The tokens of a protobuf text that comes in pieces.

Strings and comments end on their line (protobuf's own printers never write others), so that a quote
that is missing harms one line and not the rest of the file.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator

from tfexplore.errors import Cancelled
from tfexplore.formats.text_fields import FieldError, shown, unescape

PIECE = 1 << 16
# What is kept of the text before the position: enough to see the beginning of a line.
BEHIND = 256

_BLANK = re.compile(rb"\s*")
_WORD = re.compile(rb"[\w.+-]+")
_TYPE_URL = re.compile(rb"[\w.%~!$&()*+,;=-]+(?:/[\w.%~!$&()*+,;=-]+)*/[\w.]+")
_HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
_LONGEST_ESCAPE = 10
_BACKSLASH = ord("\\")
_MAX_TYPE_URL = 400


class TextSource:
    """The text and a position in it.

    Args:
        chunks: the text in pieces of any size.
        cancel: looked at for every 64 KiB.
        advance: is told how many bytes were taken from `chunks`.

    Attributes:
        text: the part of the text that is in memory: longer than a few pieces only for a single long token.
        pos: the position in it.

    Every method may raise Cancelled, and whatever `chunks` raises.
    """

    def __init__(
        self, chunks: Iterable[bytes], cancel: threading.Event | None, advance: Callable[[int], None] | None
    ) -> None:
        self.text = b""
        self.pos = 0
        self._lines_before = 0
        self._pieces = _pieces(chunks, cancel, advance)

    @property
    def line(self) -> int:
        """The line of the position, counted from 1."""
        return self._lines_before + self.text.count(b"\n", 0, self.pos) + 1

    def refill(self) -> bool:
        """Reads at least as much again as is not used yet (so a long token takes linear time); False at the end."""
        keep = max(self.pos - BEHIND, 0)
        self._lines_before += self.text.count(b"\n", 0, keep)
        wanted = max(len(self.text) - self.pos, 1)
        parts, got = [self.text[keep:]], 0
        while got < wanted and (piece := next(self._pieces, None)) is not None:
            parts.append(piece)
            got += len(piece)
        self.text = b"".join(parts)
        self.pos -= keep
        return got > 0

    def column(self, start: int) -> int:
        """How far the token at `start` is indented; -1 where it is not the first on its line, or far from its start."""
        low = max(start - BEHIND, 0)
        newline = self.text.rfind(b"\n", low, start)
        if (newline < 0 and low) or self.text[newline + 1 : start].strip():
            return -1
        return start - newline - 1

    def peek(self) -> bytes:
        """Goes to the next token, past blanks and comments, and gives its first byte; nothing at the end."""
        while True:
            blank = _BLANK.match(self.text, self.pos)
            self.pos = blank.end() if blank is not None else self.pos
            if self.pos == len(self.text):
                if not self.refill():
                    return b""
            elif self.text[self.pos] == 0x23:  # '#'
                self.skip_line()
            else:
                return self.text[self.pos : self.pos + 1]

    def skip_line(self) -> None:
        """Goes to the line's end."""
        while (newline := self.text.find(b"\n", self.pos)) < 0:
            self.pos = len(self.text)
            if not self.refill():
                return
        self.pos = newline

    def skip_until(self, stop: re.Pattern[bytes]) -> bool:
        """Goes past all that `stop` (a class of single bytes) matches; False at the end."""
        while True:
            match = stop.match(self.text, self.pos)
            self.pos = match.end() if match is not None else self.pos
            if self.pos < len(self.text):
                return True
            if not self.refill():
                return False

    def word(self) -> bytes:
        """The name or number at the position.

        Raises:
            FieldError: there is none; the position stays.
        """
        found = self.peek()
        while True:
            match = _WORD.match(self.text, self.pos)
            if match is None:
                what = f"expected a name or a value, found {shown(found)}" if found else "the text ends too early"
                raise FieldError(what)
            if match.end() < len(self.text) or not self.refill():
                break
        word = match.group()
        self.pos += len(word)
        return word

    def string(self) -> bytes:
        """The string at the position: of one or more literals, with their escapes resolved.

        Raises:
            FieldError: there is none, it is not closed, or has an escape that text format does not have.
        """
        if self.peek() not in (b'"', b"'"):
            raise FieldError("expected a string")
        resolved: list[bytes] = []
        problem: FieldError | None = None
        while self.peek() in (b'"', b"'"):
            for part in self.literal():
                try:
                    resolved.append(unescape(part))
                except FieldError as error:
                    problem = problem or error
        if problem is not None:
            raise problem
        return b"".join(resolved)

    def literal(self) -> Iterator[bytes]:
        """What is between the quotes of the literal at the position, in parts that cut no escape in two.

        Raises:
            FieldError: it is not closed on its line; the position is at the line's end.
        """
        quote = self.text[self.pos : self.pos + 1]
        self.pos += 1
        looked = 0  # how much of what follows was looked at; what is in `text` moves when it is filled
        while True:
            end = self.text.find(quote, self.pos + looked)
            stop = len(self.text) if end < 0 else end
            newline = self.text.find(b"\n", self.pos + looked, stop)
            if newline >= 0:
                self.pos = newline
                raise FieldError("a string is not closed on its line")
            if end < 0:
                cut = self._before_escape()
                if cut > self.pos:
                    part, self.pos = self.text[self.pos : cut], cut
                    yield part
                looked = len(self.text) - self.pos
                if not self.refill():
                    self.pos = len(self.text)
                    raise FieldError("the text ends inside a string")
                continue
            last = end - 1
            while last >= self.pos and self.text[last] == _BACKSLASH:
                last -= 1
            if (end - 1 - last) % 2 == 0:
                part, self.pos = self.text[self.pos : end], end + 1
                yield part
                return
            looked = end - self.pos + 1

    def _before_escape(self) -> int:
        """Where the literal at the position can be cut, near the end of `text`."""
        text = self.text
        cut = text.find(b"\\", max(len(text) - _LONGEST_ESCAPE, self.pos))
        if cut < 0:
            return len(text)
        if _HIGH_SURROGATE.match(text, cut - 6) is not None:
            cut -= 6
        # Of several backslashes in a row only the first surely begins an escape.
        while cut > self.pos and text[cut - 1] == _BACKSLASH:
            cut -= 1
        return max(cut, self.pos)

    def type_url(self) -> bytes:
        """What is between the brackets at the position: the type of an Any that is spelled out.

        Raises:
            FieldError: it is no such type.
        """
        while len(self.text) - self.pos < _MAX_TYPE_URL and self.refill():
            pass
        end = self.text.find(b"]", self.pos, self.pos + _MAX_TYPE_URL)
        url = b"".join(self.text[self.pos + 1 : end].split()) if end > 0 else b""
        if _TYPE_URL.fullmatch(url) is None:
            raise FieldError("expected the type of an Any in brackets")
        self.pos = end + 1
        return url


def _pieces(
    chunks: Iterable[bytes], cancel: threading.Event | None, advance: Callable[[int], None] | None
) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), PIECE):
            if cancel is not None and cancel.is_set():
                raise Cancelled
            piece = chunk[start : start + PIECE]
            yield piece
            if advance is not None:
                advance(len(piece))
