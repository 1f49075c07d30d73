"""JSON that a person gives: values, rows and requests. What is wrong with it is a UsageError that says where."""

from __future__ import annotations

import base64
import json
from typing import Any

from tfexplore.core import text
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats.files import RandomAccessFile

# Of a file of JSON; parsed it takes some ten times that.
MAX_FILE = 16 << 20
MAX_DIMS = 64
_SHOWN = 40


def parse(source: str | bytes, where: str) -> Any:
    """What a JSON document says.

    Raises:
        UsageError: it is none; `where` is what it is called in the sentence.
    """
    try:
        return json.loads(source)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise UsageError(f"{where} is no JSON: {error.msg} at {place}") from None
    except RecursionError:
        raise UsageError(f"{where} nests too deep") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is no JSON: byte {error.start:,} is not UTF-8") from None
    except ValueError:  # a number of thousands of digits
        raise UsageError(f"{where} holds a number of too many digits") from None


def read_file(path: str, limit: int = MAX_FILE) -> bytes:
    """A file that the person names, at most `limit` bytes.

    Raises:
        UsageError: it is not there, no regular file, too large, or cannot be read.
    """
    try:
        with RandomAccessFile(path) as file:
            if file.size > limit:
                raise UsageError(f"{path}: the file has {file.size:,} bytes, more than the {limit:,} that are read")
            return file.pread(0, file.size)
    except ModelError as error:
        raise UsageError(str(error)) from error


def describe(value: Any) -> str:
    """A JSON value in words: `the string "abc"`, `the number 3`, `a list of 4`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        cut = value[:_SHOWN]
        return f'the string "{text.visible(cut)}{text.ELLIPSIS if len(value) > _SHOWN else ""}"'
    if isinstance(value, (int, float)):
        return f"the number {_number(value)}"
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    return '{"b64": …}' if is_b64(value) else "an object"


def _number(value: int | float) -> str:
    if isinstance(value, int) and abs(value) >= 10**_SHOWN:
        return text.count(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_b64(value: Any) -> bool:
    """Whether it is an object that stands for bytes, as TensorFlow Serving has it."""
    return isinstance(value, dict) and set(value) == {"b64"}


def to_bytes(value: Any, where: str) -> bytes:
    """The bytes of a string or of `{"b64": …}`.

    Raises:
        UsageError: it is something else, or no base64.
    """
    if isinstance(value, str):
        try:
            return text.encode(value)
        except UnicodeEncodeError:
            raise UsageError(f"{where}: {describe(value)} holds half a character (a lone surrogate)") from None
    if not is_b64(value):
        hint = f'; write "{_number(value)}"' if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
        raise UsageError(f'{where}: expected a string or {{"b64": …}}, got {describe(value)}{hint}')
    coded = value["b64"]
    try:
        if not isinstance(coded, str):
            raise ValueError
        return base64.b64decode(coded.replace("-", "+").replace("_", "/").encode("ascii"), validate=True)
    except ValueError:
        raise UsageError(f"{where}: what stands under b64 is no base64: {describe(coded)}") from None


def flatten(value: Any, where: str) -> tuple[tuple[int, ...], list[Any]]:
    """The shape of nested lists, and what they hold, in C order; of anything else ().

    Raises:
        UsageError: the lists at one depth are not all of one length, or nest too deep.
    """
    shape: list[int] = []
    level = [value]
    while level and any(isinstance(part, list) for part in level):
        first = level[0]
        for part in level:
            if not isinstance(part, list) or not isinstance(first, list) or len(part) != len(first):
                if part is first:
                    part = next(other for other in level if isinstance(other, list))
                raise UsageError(
                    f"{where}: the lists at depth {len(shape) + 1} are not alike: "
                    f"{describe(first)} beside {describe(part)}"
                )
        if len(shape) == MAX_DIMS:
            raise UsageError(f"{where}: lists nest deeper than the {MAX_DIMS} dimensions that a tensor may have")
        shape.append(len(first))
        level = [inner for part in level for inner in part]
    return tuple(shape), level


def near(name: str, known: list[str]) -> str:
    """` (did you mean …?)` where a known name is like that one, or what names there are."""
    import difflib

    found = difflib.get_close_matches(name[:200], known[:1000], 1)
    if found:
        return f"; did you mean {text.label(found[0])}?"
    shown = ", ".join(map(text.label, known[:12]))
    return f"; there is: {shown}{f', … {len(known) - 12:,} more' if len(known) > 12 else ''}" if known else ""
