"""Training data from JSON lines: an object a line, by column a number, a string, `{"b64": …}`, or nested lists.

A file whose name ends with `.json` holds a list of such objects. An input that parses Examples takes each object as an
Example with the types that the model asks for; the object may have more columns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tfexplore.core import json_values, text
from tfexplore.core.data_columns import Budget
from tfexplore.core.data_mapping import Ask, plan
from tfexplore.core.data_rows import Rows
from tfexplore.core.example_rows import iter_lines
from tfexplore.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

_TELL_EVERY = 2_048
_SIZE = 64
# Of one row; parsed it takes some thirty times that.
_MAX_ROW = 4 << 20


def read_jsonl(
    path: str, ask: Ask, budget: Budget, cancel: threading.Event | None, progress: Callable[[int], None]
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """The inputs and the target that the objects hold; the first object tells the columns.

    Raises:
        UsageError: a line is no JSON object, lacks a column, or has a value that does not fit.
        ModelError: the file cannot be read.
        Cancelled: `cancel` was set.
    """
    word = "row" if path.endswith(".json") else "line"

    def place(number: Any) -> str:
        return f"{text.visible(path)}, {word} {number:,}"

    rows: Rows | None = None
    for number, row, size in iter_objects(path, place, cancel):
        if not isinstance(row, dict):
            raise UsageError(
                f"{place(number)}: expected a JSON object with a value for each column, got {json_values.describe(row)}"
            )
        if rows is None:
            rows = Rows(plan(ask, list(row), path), ask, budget, place)
        rows.add(row, number, size)
        if rows.count % _TELL_EVERY == 0:
            progress(rows.count)
    if rows is None:
        raise UsageError(f"{text.visible(path)}: there is no row in it")
    return rows.finish()


def iter_objects(
    path: str, place: Callable[[Any], str], cancel: threading.Event | None
) -> Iterator[tuple[int, Any, int]]:
    """Each row with its number and its size in bytes."""
    if path.endswith(".json"):
        document = json_values.parse(json_values.read_file(path), text.visible(path))
        for number, row in enumerate(document if isinstance(document, list) else [document], 1):
            yield number, row, _SIZE
        return
    for number, line in iter_lines(path, cancel, longest=_MAX_ROW):
        yield number, json_values.parse(line, place(number)), len(line)
