"""Rows of a text file as the arrays to train with: what CSV and JSON lines have in common."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tfexplore.core import examples, text
from tfexplore.core.data_columns import Budget, Column, FlatColumn, want
from tfexplore.core.data_mapping import Ask, Plan
from tfexplore.core.feature_spec import InputSpec
from tfexplore.core.json_values import near
from tfexplore.errors import UsageError

if TYPE_CHECKING:
    import numpy as np


class Rows:
    """The columns that a plan asks for, while rows are added to them.

    Args:
        place: what a sentence calls the row of a key: `rows.csv, line 3`.
        flat: whether values come as flat arrays (`FlatColumn`), else as JSON values.
    """

    def __init__(
        self, plan: Plan, ask: Ask, budget: Budget, place: Callable[[Any], str], *, flat: bool = False
    ) -> None:
        kind = FlatColumn if flat else Column
        self._place = place
        self._ask = ask
        self.count = 0
        self._columns = {name: kind(wanted, budget, place) for name, wanted in plan.columns.items()}
        self._target = None if plan.target is None else kind(plan.target, budget, place)
        # Whether anything but the whole row is read.
        self.reads_columns = bool(self._columns) or self._target is not None
        self._messages = {info.name: FlatColumn(want(info, info.name), budget, place) for info in plan.examples}

    def add(self, row: Mapping[str, Any], key: Any, size: int, message: bytes | None = None) -> None:
        """Takes one row.

        Args:
            row: by column.
            size: about how many bytes of the file it comes from.
            message: the row as a serialized Example; made from it where there is none.

        Raises:
            UsageError: a column is missing, a value does not fit, or all are too much.
        """
        for column in (*self._columns.values(), *(() if self._target is None else (self._target,))):
            name = column.wanted.column
            if name not in row:
                whose = "" if name == getattr(column.wanted.info, "name", None) else f", for {column.wanted.words}"
                raise UsageError(
                    f"{self._place(key)}: the column {text.label(name)}{whose} is missing{near(name, list(row))}"
                )
            column.add(self._value(row[name], column, key), key, size)
        for name, messages in self._messages.items():
            spec = self._ask.specs[name]
            found = message
            if found is None:
                found = examples.build(self._object(row, spec, key), spec, self._place(key), extra=True)
            messages.add([base64.urlsafe_b64encode(found) if spec.base64 else found], key, size)
        self.count += 1

    def _value(self, value: Any, column: Column, key: Any) -> Any:
        """A value of the file as one that the column takes."""
        return value

    def _object(self, row: Mapping[str, Any], spec: InputSpec, key: Any) -> Mapping[str, Any]:
        """A row of the file as the object that an Example is made from."""
        return row

    def finish(self) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """The arrays of the inputs, in their order, and of the target.

        Raises:
            UsageError: as `add`.
        """
        columns = {**self._columns, **self._messages}
        found = {info.name: columns[info.name].finish() for info in self._ask.inputs}
        return found, None if self._target is None else self._target.finish()
