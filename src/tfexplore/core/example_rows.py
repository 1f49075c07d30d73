"""Rows for Examples: a JSON object, a list of them, or a file with one a line (`--example`, `--tfrecord`)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from tfexplore.core import examples, json_values, text
from tfexplore.core.feature_spec import InputSpec
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.gzipped import iter_pieces, iter_unpacked
from tfexplore.formats.tfrecord import iter_records

_MAX_LINE = 8 << 20
# What one call may be fed with; a bytes object takes so much more than its contents.
_MAX_TOTAL, _OVERHEAD = 96 << 20, 48


class Row(NamedTuple):
    """One row.

    Attributes:
        where: what an error calls it: `rows.jsonl, line 3`.
        value: what stands there: a JSON value, an object if all is well.
        from_file: whether it came from a file, whose rows may have more columns than the model has features.
    """

    where: str
    value: Any
    from_file: bool


def iter_rows(value: str, cancel: threading.Event | None = None) -> Iterator[Row]:
    """The rows that `--example VALUE` names: `{…}`, `[{…}, …]`, or `@FILE`: one object a line, or
    such a document where its name ends with `.json`.

    A file with one a line may be packed with gzip. Empty lines are passed over.

    Raises:
        UsageError: no JSON, or a file that cannot be read; names the line.
        Cancelled: `cancel` was set.
    """
    if not value.startswith("@"):
        document = json_values.parse(value, "--example")
        listed = document if isinstance(document, list) else [document]
        for number, row in enumerate(listed, 1):
            yield Row("--example" if len(listed) == 1 else f"--example, row {number:,}", row, False)
        return
    path = value[1:]
    if path.endswith(".json"):
        document = json_values.parse(json_values.read_file(path), text.visible(path))
        for number, row in enumerate(document if isinstance(document, list) else [document], 1):
            yield Row(f"{text.visible(path)}, row {number:,}", row, True)
        return
    try:
        for number, line in iter_lines(path, cancel):
            row = json_values.parse(line, f"{text.visible(path)}, line {number:,}")
            for place, part in enumerate(row if isinstance(row, list) else [row], 1):
                inner = f", row {place:,}" if isinstance(row, list) else ""
                yield Row(f"{text.visible(path)}, line {number:,}{inner}", part, True)
    except ModelError as error:
        raise UsageError(str(error)) from error


def iter_lines(
    path: str, cancel: threading.Event | None = None, *, empty: bool = False, longest: int = _MAX_LINE
) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, each with its number, counted from 1; the file may be packed with gzip.

    Args:
        empty: whether empty lines come as well.
        longest: bytes that a line may have.

    Raises:
        UsageError: a line has more than `longest` bytes.
        ModelError: the file cannot be read.
        Cancelled: `cancel` was set.
    """
    with RandomAccessFile(path) as file:
        packed = file.size >= 2 and file.pread(0, 2) == b"\x1f\x8b"
        rest = bytearray()
        number = 0
        for piece in (iter_unpacked if packed else iter_pieces)(file, cancel):
            rest += piece
            *lines, last = rest.split(b"\n")
            for line in lines:
                number += 1
                if empty or line.strip():
                    yield number, bytes(line)
            rest = last
            if len(rest) > longest:
                raise UsageError(f"{text.visible(path)}, line {number + 1:,} has over {longest:,} bytes")
        if rest.strip():
            yield number + 1, bytes(rest)


def build_rows(
    value: str, spec: InputSpec | None, limit: int | None = None, cancel: threading.Event | None = None
) -> list[bytes]:
    """The serialized Examples that `--example VALUE` names, the first `limit` of them.

    A row of a file may have more columns than the model parses, where all that the model parses is there.

    Raises:
        UsageError: a row does not fit the spec, or there is none.
        Cancelled: `cancel` was set.
    """
    made = (examples.build(row.value, spec, row.where, extra=row.from_file) for row in iter_rows(value, cancel))
    found = _held(islice(made, limit), value, "rows")
    if not found and limit != 0:
        raise UsageError(f"{text.visible(value)}: there is no row in it")
    return found


def _held(messages: Iterable[bytes], value: str, what: str) -> list[bytes]:
    """All of them, where they are not too many to be held and fed at once."""
    found: list[bytes] = []
    total = 0
    for message in messages:
        total += len(message) + _OVERHEAD
        if total > _MAX_TOTAL:
            raise UsageError(
                f"{text.visible(value)}: its {what} take over {_MAX_TOTAL:,} bytes, too many for one call; "
                "take fewer (--tfrecord FILE:N takes the first N)"
            )
        found.append(message)
    return found


def read_records(value: str, cancel: threading.Event | None = None) -> list[bytes]:
    """The records that `--tfrecord FILE[:N]` names: all of them, or the first N.

    Raises:
        UsageError: N is no number above 0, or the file has no record.
        ModelError: the file cannot be read, or is no TFRecord file.
        Cancelled: `cancel` was set.
    """
    path, limit = value, None
    head, colon, digits = value.rpartition(":")
    if colon and not os.path.lexists(value):
        if not (digits.isascii() and digits.isdigit()) or not 0 < int(digits[:19]) < 10**18 or len(digits) > 18:
            raise UsageError(f"--tfrecord {text.visible(value)}: expected FILE or FILE:N with N records to take")
        path, limit = head, int(digits)
    found = _held(iter_records(path, limit, cancel), value, "records")
    if not found:
        raise UsageError(f"{text.visible(path)}: there is no record in it")
    return found
