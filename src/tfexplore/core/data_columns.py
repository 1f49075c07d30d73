"""Columns of training data while they grow: rows of one dtype and shape, converted many at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import arrays, json_values, text
from tfexplore.core.arrays import called
from tfexplore.core.shapes import Shape, num_elements
from tfexplore.core.signatures import TensorInfo
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    import numpy as np

_FLOAT32, _INT64, _BOOL = 1, 9, 10
# Rows, and bytes of the file, that wait to be converted together.
_MANY, _MUCH = 2_048, 2 << 20
# What a bytes object takes beside its contents, with the pointer to it.
_OBJECT = 56


class Budget:
    """How many bytes all columns of a file may take together."""

    def __init__(self, limit: int, path: str) -> None:
        self._limit = limit
        self._left = limit
        self._path = path

    def take(self, array: np.ndarray) -> np.ndarray:
        """The array, counted.

        Raises:
            UsageError: it is too much.
        """
        size = array.nbytes
        if array.dtype.kind == "O":
            size = sum(map(len, array.reshape(-1))) + array.size * _OBJECT
        self._left -= size
        if self._left < 0:
            raise UsageError(
                f"{text.visible(self._path)}: its rows take over {self._limit:,} bytes in memory, more than are read; "
                "train on a part of the file"
            )
        return array


class Want(NamedTuple):
    """What one column must hold.

    Attributes:
        info: the input or the target that it feeds, its first dimension being the rows; None for a target of any
            numbers: whole ones become int64, others float32.
        column: its name in the file.
        words: what a sentence calls `info`.
        is_target: whether true and false stand for 1 and 0.
    """

    info: TensorInfo | None
    column: str
    words: str
    is_target: bool = False

    @property
    def row(self) -> Shape:
        """The shape of one row."""
        return row_shape(self.info) if self.info is not None else None

    @property
    def dtype(self) -> int | None:
        """The DataType; None where any number will do."""
        return None if self.info is None else dtypes.base(self.info.dtype)


def row_shape(info: TensorInfo) -> Shape:
    """The shape of one row of an input.

    Raises:
        UsageError: the input takes no rows.
    """
    if info.shape == ():
        raise UsageError(f"{called(info)} takes one value and no rows: give it with --input")
    return None if info.shape is None else info.shape[1:]


def want(info: TensorInfo | None, column: str, *, is_target: bool = False) -> Want:
    """What the column for an input or for the target must hold.

    Raises:
        UsageError: no values can be given for it, or no rows of them.
    """
    if info is not None:
        row_shape(info)
        arrays.numpy_dtype(info)
    words = "the target" if is_target or info is None else called(info)
    return Want(info, column, words, is_target)


class Column:
    """Values of one column, row by row: JSON values, nested lists as they are or flat where their number fits.

    Args:
        place: what a sentence calls the row of a key that `add` was given: `rows.csv, line 3`.
    """

    def __init__(self, wanted: Want, budget: Budget, place: Callable[[Any], str]) -> None:
        self.wanted = wanted
        self._budget = budget
        self._place = place
        self._row: Shape = wanted.row
        self._pending: list[tuple[Any, Any]] = []
        self._bytes = 0
        self._chunks: list[np.ndarray] = []

    def where(self, key: Any) -> str:
        """What a sentence calls the value in a row."""
        wanted = self.wanted
        for_whom = "" if wanted.info is not None and wanted.info.name == wanted.column else f", for {wanted.words}"
        return f"{self._place(key)}, the column {text.label(wanted.column)}{for_whom}"

    def add(self, value: Any, key: Any, size: int) -> None:
        """Takes one row's value; `size` is about how many bytes of the file it comes from.

        Raises:
            UsageError: a value does not fit, in this row or in one before, or all are too much.
        """
        self._pending.append((value, key))
        self._bytes += size
        if len(self._pending) >= _MANY or self._bytes >= _MUCH:
            self._convert()

    def finish(self) -> np.ndarray:
        """All rows.

        Raises:
            UsageError: as `add`.
        """
        import numpy as np

        self._convert()
        chunks, self._chunks = self._chunks, []
        if self.wanted.info is None and len({chunk.dtype for chunk in chunks}) > 1:
            chunks = [chunk.astype("float32") for chunk in chunks]
        return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)

    def _convert(self) -> None:
        import numpy as np

        pending, self._pending, self._bytes = self._pending, [], 0
        if not pending:
            return
        try:
            found = self._together([value for value, _ in pending], None if self._row is None else (None, *self._row))
        except UsageError:  # one of them; or all fit, but not together
            rows = []
            for value, key in pending:
                rows.append(self._alone(value, self.where(key)))
                self._row = rows[-1].shape
            if self.wanted.info is None and len({row.dtype for row in rows}) > 1:
                rows = [row.astype("float32") for row in rows]
            found = np.stack(rows)
        self._row = found.shape[1:]
        self._chunks.append(self._budget.take(found))

    def _info(self, dtype: int, shape: Shape) -> TensorInfo:
        return TensorInfo(self.wanted.column, "", dtype, shape)

    def _together(self, values: list[Any], shape: Shape) -> np.ndarray:
        return self._from_json(values, shape, "")

    def _alone(self, value: Any, where: str) -> np.ndarray:
        shape, leaves = json_values.flatten(value, where)
        row = self._row
        if row is not None and len(shape) <= 1 and shape != row and len(leaves) == num_elements(row):
            return self._from_json(leaves, (len(leaves),), where).reshape([size or 0 for size in row])
        return self._from_json(value, row, where)

    def _from_json(self, value: Any, shape: Shape, where: str) -> np.ndarray:
        dtype = self.wanted.dtype
        if self.wanted.is_target and dtype not in (dtypes.STRING, _BOOL):
            value = _as_numbers(value)
        if dtype is None:
            _, leaves = json_values.flatten(value, where)
            dtype = _INT64 if all(isinstance(leaf, int) for leaf in leaves) else _FLOAT32
        return arrays.from_json(value, self._info(dtype, shape), where)


def _as_numbers(value: Any, depth: int = 0) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list) and depth < json_values.MAX_DIMS:
        return [_as_numbers(part, depth + 1) for part in value]
    return value


class FlatColumn(Column):
    """As `Column`, of values that come as flat numpy arrays of numbers, or lists of bytes, a row each."""

    def _together(self, values: list[Any], shape: Shape) -> np.ndarray:
        import numpy as np

        count, dtype = len(values[0]), getattr(values[0], "dtype", None)
        if any(len(part) != count or getattr(part, "dtype", None) != dtype for part in values):
            raise UsageError("they differ")
        whole = _objects([leaf for part in values for leaf in part]) if dtype is None else np.concatenate(values)
        return self._fitted(whole, (len(values), *self._dims(count, "")), "")

    def _alone(self, value: Any, where: str) -> np.ndarray:
        import numpy as np

        flat = value if isinstance(value, np.ndarray) else _objects(value)
        return self._fitted(flat, self._dims(len(flat), where), where)

    def _dims(self, count: int, where: str) -> tuple[int, ...]:
        """The shape of a row of so many values."""
        row = self._row
        if row is None:
            return () if count == 1 else (count,)
        free = [axis for axis, size in enumerate(row) if size is None]
        known = math.prod(size for size in row if size is not None)
        if not free and count == known:
            return tuple(size or 0 for size in row)
        if len(free) == 1 and known and count % known == 0:
            return tuple(count // known if size is None else size for size in row)
        if len(free) > 1:
            raise UsageError(f"{where}: {text.plural(count, 'value')} do not tell their shape")
        wanted = text.plural(known, "value") if not free else f"a multiple of {known:,} values"
        raise UsageError(f"{where}: expected {wanted}, got {count:,}")

    def _fitted(self, flat: np.ndarray, shape: tuple[int, ...], where: str) -> np.ndarray:
        dtype = self.wanted.dtype
        if dtype is None:
            dtype = _INT64 if flat.dtype.kind == "i" else _FLOAT32
        info = self._info(dtype, shape)
        if (dtype == dtypes.STRING) != (flat.dtype.kind == "O"):
            what = "strings" if flat.dtype.kind == "O" else flat.dtype.name
            raise UsageError(f"{where}: expected {dtypes.name(dtype)}, got {what}")
        if flat.dtype.kind == "O":
            return flat.reshape(shape)
        return arrays.from_array(flat.reshape(shape), info, where)


def _objects(values: list[bytes]) -> np.ndarray:
    import numpy as np

    found = np.empty(len(values), object)
    found[:] = values
    return found
