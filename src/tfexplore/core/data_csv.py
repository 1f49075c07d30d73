"""Training data from CSV: a header row with the columns' names, then a row a line (RFC 4180; quoted cells may hold
commas and line ends).

A cell is a number, a word (`true`, `nan`), a string as it stands, or a list in JSON, `[1, 2]`, for an input whose rows
have dimensions. Columns named `x[0]`, `x[1]`, … are together the column `x` as well. Files named `.tsv` are separated
by tabs; those whose header has semicolons and no comma by semicolons.
"""

from __future__ import annotations

import csv
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tfexplore.core import json_values, text
from tfexplore.core.data_columns import Budget, Column
from tfexplore.core.data_mapping import Ask, Plan, plan
from tfexplore.core.data_rows import Rows
from tfexplore.core.example_rows import iter_lines
from tfexplore.core.feature_spec import InputSpec
from tfexplore.core.shapes import Shape
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes
from tfexplore.formats.table import check_cancel

if TYPE_CHECKING:
    import numpy as np

_TELL_EVERY = 2_048
# Of one row, which may go over many lines.
_MAX_ROW, _MAX_COLUMNS = 4 << 20, 100_000
_PART = re.compile(r"(.*)\[([0-9]{1,6})\]", re.DOTALL)
_BOOL = 10
_NUMBER = frozenset("0123456789+-.eE")
_WORDS = {
    "nan": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf, "infinity": math.inf,
    "-infinity": -math.inf,
}  # fmt: skip
_TRUTH = {"true": True, "false": False, "1": True, "0": False}


def read_csv(
    path: str, ask: Ask, budget: Budget, cancel: threading.Event | None, progress: Callable[[int], None]
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """The inputs and the target that the rows hold.

    Raises:
        UsageError: there is no header row, a column is missing, or a row does not fit; names the line it begins at.
        ModelError: the file cannot be read.
        Cancelled: `cancel` was set.
    """
    records = iter_records(path, cancel)
    _, names, _ = next(records, (0, [], 0))
    if len(names) > _MAX_COLUMNS:
        file = text.visible(path)
        raise UsageError(
            f"{file}, line 1: there are {len(names):,} columns, more than the {_MAX_COLUMNS:,} that are read"
        )
    header = _Header([name.strip() for name in names], path)
    rows = _CsvRows(header.plan(ask), ask, budget, lambda line: f"{text.visible(path)}, line {line:,}")
    for line, cells, size in records:
        check_cancel(cancel)
        if len(cells) != len(names):
            raise UsageError(
                f"{text.visible(path)}, line {line:,}: the row has {text.plural(len(cells), 'cell')} where the header "
                f"has {len(names):,}"
            )
        rows.add(_Row(header, cells), line, size)
        if rows.count % _TELL_EVERY == 0:
            progress(rows.count)
    if not rows.count:
        raise UsageError(f"{text.visible(path)}: there is no row in it below the header")
    return rows.finish()


def iter_records(path: str, cancel: threading.Event | None) -> Iterator[tuple[int, list[str], int]]:
    """The header and the rows, each with the line that it begins at and its size in bytes."""
    file = text.visible(path)
    read = before = 0
    line = 1

    def lines() -> Iterator[str]:
        nonlocal read
        for number, raw in iter_lines(path, cancel, empty=True, longest=_MAX_ROW):
            read += len(raw) + 1
            if read - before > _MAX_ROW + 1:
                hint = ", perhaps for a quote that does not end" if number > line else ""
                raise UsageError(f"{file}, line {line:,}: the row has over {_MAX_ROW:,} bytes{hint}")
            try:
                yield raw.decode("utf-8-sig" if number == 1 else "utf-8") + "\n"
            except UnicodeDecodeError as error:
                raise UsageError(f"{file}, line {number:,}: byte {error.start:,} of it is not UTF-8") from None

    source = lines()
    first = next(source, "")
    delimiter = "\t" if path.removesuffix(".gz").endswith(".tsv") else ","
    if delimiter == "," and "," not in first and ";" in first:
        delimiter = ";"
    # For the whole process: it only ever grows.
    csv.field_size_limit(max(csv.field_size_limit(), _MAX_ROW + 1))
    reader = csv.reader(_chained(first, source), delimiter=delimiter, strict=True)
    while True:
        line, before = reader.line_num + 1, read
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UsageError(f"{file}, line {line:,}: no readable row of CSV ({error})") from None
        if cells:
            yield line, cells, read - before


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


class _Header:
    """Where the columns are: at one place, or for `x[0]`, `x[1]`, … at several."""

    def __init__(self, names: list[str], path: str) -> None:
        self._path = path
        self.places: dict[str, int | list[int]] = {}
        self._twice: set[str] = set()
        groups: dict[str, dict[int, int]] = {}
        for place, name in enumerate(names):
            if name in self.places:
                self._twice.add(name)
            self.places[name] = place
            part = _PART.fullmatch(name)
            if part is not None:
                groups.setdefault(part[1], {})[int(part[2])] = place
        self._parts: set[str] = set()
        for name, found in groups.items():
            if name not in self.places and sorted(found) == list(range(len(found))):
                self._parts.update(f"{name}[{number}]" for number in found)
                self.places[name] = [found[number] for number in range(len(found))]
        self._unnamed = bool(names) and all(_number(name) is not None for name in names)

    def plan(self, ask: Ask) -> Plan:
        """What feeds what.

        Raises:
            UsageError: a column is not there, or there are two of its name.
        """
        file = text.visible(self._path)
        if not self.places:
            raise UsageError(f"{file}: there is no row in it, expected a header row with the columns' names")
        try:
            found = plan(ask, list(self.places), self._path, parts=self._parts)
        except UsageError as error:
            if not self._unnamed:
                raise
            raise UsageError(f"{error}; the first line must be a header row with the columns' names") from None
        wanted = {column.column for column in (*found.columns.values(), found.target) if column is not None}
        wanted.update(feature.name for info in found.examples for feature in ask.specs[info.name].features)
        for column in sorted(wanted):
            place = self.places.get(column)
            parts = [column] if not isinstance(place, list) else [f"{column}[{number}]" for number in range(len(place))]
            for name in self._twice.intersection(parts):
                raise UsageError(f"{file}: there are several columns {text.label(name)}")
        return found


class _Row(Mapping[str, Any]):
    """The cells of a row by column: one as `str`, several as a list of them."""

    def __init__(self, header: _Header, cells: list[str]) -> None:
        self._header = header
        self._cells = cells

    def __getitem__(self, name: str) -> Any:
        place = self._header.places[name]
        return self._cells[place] if isinstance(place, int) else [self._cells[part] for part in place]

    def __contains__(self, name: object) -> bool:
        return name in self._header.places

    def __iter__(self) -> Iterator[str]:
        return iter(self._header.places)

    def __len__(self) -> int:
        return len(self._header.places)


class _CsvRows(Rows):
    """Rows whose values are cells."""

    def _value(self, value: Any, column: Column, key: Any) -> Any:
        wanted = column.wanted
        return _cell(value, wanted.dtype, wanted.row, wanted.is_target, lambda: column.where(key))

    def _object(self, row: Mapping[str, Any], spec: InputSpec, key: Any) -> Mapping[str, Any]:
        if not spec.features:
            raise UsageError(
                f"{self._place(key)}: which types the model's Examples have is not known, and cells have none; "
                "give the rows as .jsonl"
            )
        found = {}
        for feature in spec.features:
            if feature.name not in row:
                continue
            value = row[feature.name]
            if value == "" and feature.dtype != dtypes.STRING:
                continue

            def where(name: str = feature.name) -> str:
                return f"{self._place(key)}, the column {text.label(name)}"

            found[feature.name] = _cell(value, feature.dtype, feature.shape, False, where)
        return found


def _cell(value: Any, dtype: int | None, row: Shape, is_target: bool, where: Callable[[], str]) -> Any:
    """A cell, or several, as a JSON value for a dtype."""
    if isinstance(value, list):
        return [_cell(part, dtype, (), is_target, where) for part in value]
    if dtype == dtypes.STRING:
        return json_values.parse(value, where()) if row and value.lstrip().startswith("[") else value
    stripped = value.strip()
    if stripped.startswith("["):
        return json_values.parse(stripped, where())
    if dtype == _BOOL or (is_target and stripped.lower() in ("true", "false")):
        found: Any = _TRUTH.get(stripped.lower())
    else:
        found = _number(stripped)
        if isinstance(found, float) and found.is_integer() and abs(found) < 2**53:
            if dtype is not None and "int" in dtypes.name(dtype):  # as pandas writes a column that lacked a value
                found = int(found)
    if found is None:
        wanted = "true or false" if dtype == _BOOL else "a number"
        got = json_values.describe(value) if stripped else "an empty cell"
        raise UsageError(f"{where()}: expected {wanted}, got {got}")
    return found


def _number(cell: str) -> int | float | None:
    if not cell or len(cell) > 400 or not _NUMBER.issuperset(cell):
        return _WORDS.get(cell.lower())
    try:
        found = int(cell) if cell.lstrip("+-").isdigit() else float(cell)
    except ValueError:
        return None
    return None if found in (math.inf, -math.inf) else found
