"""Rows to train with, from a file: `.npz`, `.npy`, `.csv`, `.tsv`, `.jsonl`, `.json`, or TFRecords of Examples.

What the file is is told by its content where that is sure (NumPy's files, TFRecords), else by the ending of its name.
Text files and TFRecords may be packed with gzip. All rows are held in memory.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core import data_arrays, data_csv, data_jsonl, data_records, text
from tfexplore.core.data_columns import Budget
from tfexplore.core.data_mapping import Ask
from tfexplore.core.feature_spec import InputSpec
from tfexplore.core.signatures import TensorInfo
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.gzipped import iter_unpacked
from tfexplore.formats.table import crc32c, mask

if TYPE_CHECKING:
    import numpy as np

# What all columns may take in memory.
MAX_BYTES = 256 << 20
NPZ, NPY, CSV, JSONL, RECORDS = "npz", "npy", "csv", "jsonl", "tfrecord"
_ENDINGS = {
    ".csv": CSV, ".tsv": CSV, ".jsonl": JSONL, ".ndjson": JSONL, ".json": JSONL, ".tfrecord": RECORDS,
    ".tfrecords": RECORDS, ".npz": NPZ, ".npy": NPY,
}  # fmt: skip
_PICKLES = (".pkl", ".pickle", ".pt", ".joblib")


class Dataset(NamedTuple):
    """Rows that fit a model.

    Attributes:
        columns: by input, in the order that the inputs were given in; the first dimension is the rows. Strings and
            serialized Examples are `bytes` objects.
        target: of the rows as well; None where no target was asked for.
        rows: how many, at least 1.
        path: the file.
    """

    columns: dict[str, np.ndarray]
    target: np.ndarray | None
    rows: int
    path: str


def open_data(
    path: str,
    inputs: Sequence[TensorInfo],
    *,
    mapping: Mapping[str, str] | None = None,
    target: str | None = None,
    target_info: TensorInfo | None = None,
    specs: Iterable[InputSpec] = (),
    limit: int = MAX_BYTES,
    cancel: threading.Event | None = None,
    progress: Callable[[int], None] | None = None,
) -> Dataset:
    """The rows of a file as the inputs and the target take them, each checked.

    Args:
        inputs: what the model takes. The first dimension of each is the rows, whatever size it names; a dimension
            that is unknown beyond it has one size in all rows.
        mapping: column by input (`--map INPUT=COLUMN`); the others are fed by the column of their name, an input that
            parses Examples by the whole row, one input that is left by the one column that is left.
        target: the target's column (`--target COLUMN`).
        target_info: what the target must be, its first dimension for the rows; without it any numbers, of which whole
            ones become int64 and others float32. True and false become 1 and 0.
        specs: what inputs with parsing ops ask for, from `feature_spec.input_specs`.
        limit: bytes that all columns may take.
        progress: told how many rows are read, now and then.

    Raises:
        UsageError: the file cannot be read, a column is missing, or a value does not fit; names line, record or array.
        Cancelled: `cancel` was set.
    """
    ask = Ask(inputs, mapping or {}, target, target_info, {spec.input: spec for spec in specs})
    if not inputs:
        raise UsageError("the model takes no input, so it takes no data")
    try:
        columns, found = _READERS[kind_of(path)](path, ask, Budget(limit, path), cancel, progress or _quiet)
    except ModelError as error:
        raise UsageError(str(error)) from error
    return Dataset(columns, found, len(next(iter(columns.values()))), path)


def _quiet(_: int) -> None:
    pass


def kind_of(path: str) -> str:
    """`npz`, `npy`, `csv`, `jsonl` or `tfrecord`.

    Raises:
        UsageError: it is none of them.
        ModelError: it cannot be read.
    """
    with RandomAccessFile(path) as file:
        head = file.pread(0, min(file.size, 64))
        if head.startswith(b"\x1f\x8b"):
            head = next(iter_unpacked(file), b"")[:64]
    if head.startswith(b"\x93NUMPY"):
        return NPY
    if head.startswith(b"PK\x03\x04"):
        return NPZ
    if len(head) >= 12 and mask(crc32c(head[:8])) == struct.unpack("<I", head[8:12])[0]:
        return RECORDS
    name = path.lower().removesuffix(".gz")
    for ending, kind in _ENDINGS.items():
        if name.endswith(ending):
            return kind
    if head.lstrip()[:1] == b"{":
        return JSONL
    hint = "; a pickle could run any code: save the arrays with numpy.savez" if name.endswith(_PICKLES) else ""
    raise UsageError(f"{text.visible(path)}: expected rows as .npz, .npy, .csv, .tsv, .jsonl, .json or .tfrecord{hint}")


_READERS = {
    NPZ: data_arrays.read_npz,
    NPY: data_arrays.read_npy,
    CSV: data_csv.read_csv,
    JSONL: data_jsonl.read_jsonl,
    RECORDS: data_records.read_records,
}
