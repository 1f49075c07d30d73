"""Regular expressions over names, in time that grows with the text alone: by RE2, which never tracks back.

They look at what a person sees: visible text (see `text.visible`), in which a byte that is not UTF-8 is `\\xff` and a
newline `\\n`. So visible names joined by newlines are searched as one text, and a name never runs into the next one.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from tfexplore.core import text
from tfexplore.errors import UsageError

# Nobody types a longer one; a compiled one takes up to so many bytes.
_MAX_LENGTH = 2_000
_MAX_MEMORY = 8 << 20
_NOWHERE = (-1, -1)
# An expression of these alone stands for itself.
_LITERAL = frozenset(string.ascii_letters + string.digits + "_/-: ,;=@!~&%#'\"<>")
# With any of these an expression may tell one name from several joined by newlines.
_OF_WHOLE_TEXTS = ("\\A", "\\z", "\\C", "\\Q", "(?")


def joined(names: Sequence[str]) -> str:
    """Names made visible, one a line; as many lines as names, and none where there are none."""
    lines = "\n".join(names)
    if "\\" not in lines and lines.count("\n") == len(names) - 1 and lines.replace("\n", "").isprintable():
        return lines
    return "\n".join(map(text.visible, names))


def typed(word: str) -> str:
    """What a person typed as it stands in visible text: a control character or odd byte is its escape there."""
    return "\\".join(map(text.visible, word.split("\\")))


class Pattern:
    """One regular expression in the syntax of RE2.

    Args:
        expression: as it was typed.
        what: where it was typed, for errors.
        ignore_case: whether it finds letters of either case.

    Raises:
        UsageError: it is none, RE2 has no such thing (look-around, backreferences), or RE2 is not installed.
    """

    def __init__(self, expression: str, *, what: str = "--match", ignore_case: bool = False) -> None:
        self.expression = expression
        self._ignore_case = ignore_case
        # Found without RE2: then it may be missing.
        self._literal = expression if _LITERAL.issuperset(expression) else None
        if self._literal is not None:
            self._literal = expression.casefold() if ignore_case else expression
            return
        if len(expression) > _MAX_LENGTH:
            raise UsageError(f"{what}: a regular expression of over {_MAX_LENGTH:,} characters is not taken")
        engine = _engine(what)
        options = engine.Options()
        options.log_errors = False
        options.max_mem = _MAX_MEMORY
        options.never_capture = True
        options.case_sensitive = not ignore_case
        source = _source(expression)
        self._anchor: Any = engine._re2.RE2.Anchor.UNANCHORED
        self._one: Any = _compiled(engine, source, options, expression, what)
        self._many: Any = None
        if not any(part in source for part in _OF_WHOLE_TEXTS):
            options.never_nl = True
            self._many = _compiled(engine, f"(?m:{source})", options, expression, what)

    def search(self, name: str) -> bool:
        """Whether it finds something in a name, made visible first."""
        return self.finds(text.visible(name))

    def finds(self, line: str) -> bool:
        """Whether it finds something in visible text."""
        if self._literal is not None:
            return self._literal in (line.casefold() if self._ignore_case else line)
        data = line.encode()
        return bool(self._one.Match(self._anchor, data, 0, len(data))[0] != _NOWHERE)

    def lines(self, lines: str) -> list[int]:
        """The numbers of the lines in which it finds something, as `joined` gives them."""
        if self._literal is not None:
            if self._ignore_case:
                lines = lines.casefold()
            if self._literal not in lines:
                return []
            return [number for number, line in enumerate(lines.split("\n")) if self._literal in line]
        if self._many is None:
            return [number for number, line in enumerate(lines.split("\n")) if self.finds(line)]
        data = lines.encode()
        match, anchor, stop = self._many.Match, self._anchor, len(data)
        found: list[int] = []
        number = counted = position = 0
        while True:
            start, end = match(anchor, data, position, stop)[0]
            if start < 0:
                return found
            number += data.count(b"\n", counted, start)
            counted = start
            found.append(number)
            position = data.find(b"\n", end) + 1
            if not position:
                return found


def _engine(what: str) -> Any:
    try:
        import re2
    except ImportError as error:
        raise UsageError(
            f"{what}: regular expressions need the package google-re2, which is not installed here "
            "(pip install google-re2); plain words are found without it"
        ) from error
    return re2


def _source(expression: str) -> str:
    """The expression with what cannot be seen written as visible text has it."""
    if expression.isprintable():
        return expression
    return "\\".join(text.visible(part).replace("\\", "\\\\") for part in expression.split("\\"))


def _compiled(engine: Any, source: str, options: Any, expression: str, what: str) -> Any:
    # Not `engine.compile`, which keeps the last 128 expressions, 8 MiB each.
    found = engine._re2.RE2(source.encode(), options)
    if found.ok():
        return found
    said = found.error()
    reason = text.visible(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said))
    if reason.startswith("invalid perl operator") or _is_backreference(reason):
        reason += " (RE2, whose time does not explode, has no look-around and no backreferences)"
    raise UsageError(f"{what} {text.visible(expression)} is no regular expression: {reason}")


def _is_backreference(reason: str) -> bool:
    return reason.startswith("invalid escape sequence") and reason[-1:].isdigit()
