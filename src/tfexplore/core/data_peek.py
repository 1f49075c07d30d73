"""A look at a file of rows before it is read: its columns, and what its first rows hold. For forms, which guess."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from tfexplore.core import json_values
from tfexplore.core.natural import natural_key
from tfexplore.errors import ModelError, TfexploreError

_ROWS = 64
_MAX_FILES = 1_000
# Of a file that has to be read whole to be looked at.
_MAX_WHOLE = 64 << 20
_ENDINGS = (".jsonl", ".ndjson", ".csv", ".tsv", ".npz", ".tfrecord", ".tfrecords")
_NAMES = ("rows", "train", "data", "examples", "samples")
TARGETS = ("label", "labels", "target", "targets", "class", "y", "click")


class Peek(NamedTuple):
    """What was seen.

    Attributes:
        columns: in the file's order; none where it says nothing of them.
        rows: the first rows, as far as they are text: by column a number, a string, or a list.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()

    def values(self, column: str) -> list[Any]:
        """What the first rows hold in a column, numbers as numbers."""
        return [_plain(row[column]) for row in self.rows if column in row]


def peek(path: str, cancel: threading.Event | None = None) -> Peek:
    """The columns of a file and its first rows; nothing where it cannot be read: `open_data` will say why.

    Raises:
        Cancelled: `cancel` was set.
    """
    from tfexplore.core.training_data import CSV, JSONL, NPZ, kind_of

    try:
        kind = kind_of(path)
        if kind == JSONL:
            return _jsonl(path, cancel)
        if kind == CSV:
            return _csv(path, cancel)
        if kind == NPZ and os.path.getsize(path) <= _MAX_WHOLE:
            from tfexplore.formats import npy

            return Peek(tuple(npy.names_in(json_values.read_file(path, npy.MAX_BYTES), path=path)))
    except (ModelError, TfexploreError, OSError):
        pass
    return Peek()


def _jsonl(path: str, cancel: threading.Event | None) -> Peek:
    from tfexplore.core.data_jsonl import iter_objects

    if path.endswith(".json") and os.path.getsize(path) > _MAX_WHOLE:
        return Peek()
    objects = islice(iter_objects(path, str, cancel), _ROWS)
    rows = tuple(row for _, row, _ in objects if isinstance(row, dict))
    return Peek(tuple(rows[0]) if rows else (), rows)


def _csv(path: str, cancel: threading.Event | None) -> Peek:
    from tfexplore.core.data_csv import iter_records

    records = iter_records(path, cancel)
    _, names, _ = next(records, (0, [], 0))
    names = [name.strip() for name in names]
    rows = tuple(dict(zip(names, cells, strict=False)) for _, cells, _ in islice(records, _ROWS))
    return Peek(tuple(names), rows)


def _plain(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return int(value) if value.lstrip("+-").isdigit() else float(value)
    except ValueError:
        return value


def beside(path: str, wanted: Iterable[str]) -> str | None:
    """A file of rows that lies next to a model, has all wanted columns and one more for a target.

    Args:
        path: the model's folder.
    """
    wanted = set(wanted)
    folder = os.path.dirname(os.path.abspath(path))
    try:
        with os.scandir(folder) as entries:
            names = [one.name for one in islice(entries, _MAX_FILES) if one.name.endswith(_ENDINGS) and one.is_file()]
    except OSError:
        return None
    names.sort(key=lambda name: (name.partition(".")[0] not in _NAMES, natural_key(name)))
    for name in names[:5]:
        found = peek(os.path.join(folder, name))
        if wanted and wanted.issubset(found.columns) and target_of(found, wanted):
            return os.path.relpath(os.path.join(folder, name)) if _is_near(folder) else os.path.join(folder, name)
    return None


def _is_near(folder: str) -> bool:
    """Whether the way there from the current folder is short."""
    try:
        return not os.path.relpath(folder).startswith(os.pardir + os.sep + os.pardir)
    except (OSError, ValueError):
        return False


def target_of(found: Peek, fed: Iterable[str]) -> str:
    """The column that is most likely to be compared with; empty where none is."""
    left = [name for name in found.columns if name not in set(fed)]
    named = next((name for name in left if name.casefold() in TARGETS), None)
    return named if named is not None else left[0] if len(left) == 1 else ""


def is_binary(values: Sequence[Any]) -> bool:
    """Whether there are values, all of them 0 or 1."""
    return bool(values) and all(type(value) in (int, float, bool) and value in (0, 1) for value in values)


def is_classes(values: Sequence[Any]) -> bool:
    """Whether there are values, all of them whole numbers of classes."""
    return bool(values) and all(type(value) is int and value >= 0 for value in values)
