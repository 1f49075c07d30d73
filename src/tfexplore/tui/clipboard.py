"""Gives what was copied to the terminal, or writes it where it can be found."""

from __future__ import annotations

import os
from collections.abc import Callable

from tfexplore.core import text
from tfexplore.core.clipboard import FILE, MAX_BYTES, Way, sequences, way, write_file
from tfexplore.core.copied import PYTHON, Copy

_SHOWN = 60


def copy_out(copied: Copy, setting: str, write: Callable[[str], None]) -> tuple[str, bool]:
    """Copies; returns a sentence that says what was copied and how, and whether it went well.

    Args:
        setting: of the clipboard, see `core.settings`.
        write: sends bytes to the terminal.
    """
    found = way(os.environ, setting)
    nbytes = len(copied.text.encode("utf-8", "surrogateescape"))
    if found.how != FILE and nbytes > MAX_BYTES:
        found = Way(FILE, found.inside, f"terminals take no more than {MAX_BYTES:,} bytes")
    what = _what(copied)
    if found.how != FILE:
        write(sequences(copied.text, found))
        return f"Copied by {found.name}: {what}", True
    try:
        path = write_file(copied.text, os.environ)
    except OSError as error:
        return f"Not copied: the clipboard's file cannot be written: {(error.strerror or '').lower()}", False
    return f"Written to {text.visible(path)} ({found.why}): {what}", True


def _what(copied: Copy) -> str:
    if copied.kind == PYTHON:
        return f"Python, {text.plural(copied.text.count(chr(10)) + 1, 'line')}"
    shown = text.shorten(text.visible(copied.text[: 4 * _SHOWN]), _SHOWN) if len(copied.text) <= 4 * _SHOWN else ""
    shown = shown or text.take(text.visible(copied.text[:_SHOWN]), _SHOWN - 1) + text.ELLIPSIS
    as_literal = " (as a Python literal: it has characters that cannot be seen)" if copied.escaped else ""
    return f"the {copied.kind} {shown}{as_literal}"
