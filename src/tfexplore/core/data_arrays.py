"""Training data from NumPy's files: `.npz` with an array for each column, `.npy` with one for the only input."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfexplore.core import arrays, json_values, text
from tfexplore.core.data_columns import Budget, Want
from tfexplore.core.data_mapping import Ask, plan
from tfexplore.core.shapes import num_elements
from tfexplore.core.signatures import TensorInfo
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes, npy
from tfexplore.formats.table import check_cancel

if TYPE_CHECKING:
    import numpy as np

_FLOAT32, _INT64, _BOOL = 1, 9, 10


def read_npy(
    path: str, ask: Ask, budget: Budget, cancel: threading.Event | None, progress: Callable[[int], None]
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """The array of an .npy file, for the one input.

    Raises:
        UsageError: there are several inputs, or a target is asked for; as `read_npz`.
        ModelError: the file is none.
    """
    file = text.visible(path)
    if ask.target is not None or ask.mapping or len(ask.inputs) != 1:
        raise UsageError(
            f"{file}: an .npy file holds one array without a name, for one input and no target; "
            "save all arrays in an .npz file (numpy.savez)"
        )
    found = plan(ask, ["array"], path, rows_are_examples=False)
    ((name, wanted),) = found.columns.items()
    array = npy.read_npy(json_values.read_file(path, npy.MAX_BYTES), path=path)
    return {name: budget.take(_rows(array, wanted, file))}, None


def read_npz(
    path: str, ask: Ask, budget: Budget, cancel: threading.Event | None, progress: Callable[[int], None]
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """The arrays of an .npz file; the first dimension of each is the rows.

    Raises:
        UsageError: an array is not there or does not fit, or they have different numbers of rows.
        ModelError: the file is no readable .npz file, or holds pickles.
    """
    data = json_values.read_file(path, npy.MAX_BYTES)
    names = npy.names_in(data, path=path)
    found = plan(ask, names, path, rows_are_examples=False)
    columns: dict[str, np.ndarray] = {}
    first: tuple[str, int] | None = None
    targets: dict[str | None, Want] = {} if found.target is None else {None: found.target}
    target = None
    for name, wanted in (*found.columns.items(), *targets.items()):
        check_cancel(cancel)
        array = npy.read_npz(data, wanted.column, path=path)
        where = f"{text.visible(path)}, the array {text.label(wanted.column)}"
        array = budget.take(_rows(array, wanted, where))
        if first is None:
            first = wanted.column, len(array)
        elif len(array) != first[1]:
            raise UsageError(
                f"{where} has {text.plural(len(array), 'row')}, and {text.label(first[0])} has {first[1]:,}"
            )
        if name is None:
            target = array
        else:
            columns[name] = array
        progress(len(array))
    return columns, target


def _rows(array: np.ndarray, wanted: Want, where: str) -> np.ndarray:
    """The array as the input or the target takes it."""
    import numpy as np

    if not array.ndim:
        raise UsageError(f"{where} has no dimensions, so no rows")
    if wanted.is_target and array.dtype.kind == "b" and wanted.dtype not in (_BOOL, dtypes.STRING):
        array = array.astype("uint8")
    row, info = wanted.row, wanted.info
    if info is None:
        if array.dtype.kind not in "iuf":
            raise UsageError(f"{where}: expected numbers for the target")
        info = TensorInfo(wanted.column, "", _FLOAT32 if array.dtype.kind == "f" else _INT64, None)
    elif row is not None:
        if array.ndim <= 2 and array.shape[1:] != row and math.prod(array.shape[1:]) == num_elements(row):
            array = array.reshape(len(array), *(size or 0 for size in row))
        info = info._replace(shape=(None, *row))
    where = f"{where}, for {wanted.words}"
    found = np.ascontiguousarray(arrays.from_array(array, info, where))
    if not len(found):
        raise UsageError(f"{where}: there is no row in it")
    return found
