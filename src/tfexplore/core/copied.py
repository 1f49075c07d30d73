"""A text that is copied: what it is, and that it has nothing in it that would act when it is pasted."""

from __future__ import annotations

from typing import NamedTuple

from tfexplore.core import text

NAME, PATH, SHAPE, DTYPE, VALUE, PYTHON, LINE = "name", "path", "shape", "dtype", "value", "Python", "line"
KINDS = (NAME, PATH, SHAPE, DTYPE, VALUE, PYTHON, LINE)


class Copy(NamedTuple):
    """One thing to copy.

    Attributes:
        kind: one of `KINDS`.
        text: what is copied: no control characters but the newlines between statements of Python.
        escaped: whether that is the Python literal of what has characters that a paste would act on or lose.
    """

    kind: str
    text: str
    escaped: bool = False


def of_text(kind: str, raw: str) -> Copy:
    """A text as it is; its Python literal where it holds anything that cannot be seen."""
    if raw.isprintable():
        return Copy(kind, raw)
    return Copy(kind, literal(raw), escaped=True)


def literal(name: str) -> str:
    """A name as a Python literal of printable characters: a `str`, or `bytes` where it is not UTF-8."""
    return repr(name) if text.is_utf8(name) else repr(text.encode(name))
