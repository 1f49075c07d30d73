"""Training data from TFRecord files of tf.train.Examples: whole to an input that parses them, else feature by feature.

A feature's values are a flat list: a row of an input takes as many as its shape has elements.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tfexplore.core import text
from tfexplore.core.data_columns import Budget
from tfexplore.core.data_mapping import Ask, plan
from tfexplore.core.data_rows import Rows
from tfexplore.errors import UsageError
from tfexplore.formats import example
from tfexplore.formats.tfrecord import iter_records

if TYPE_CHECKING:
    import numpy as np

_TELL_EVERY = 2_048
# A record's length, checksum of the length, and checksum of the bytes.
_AROUND, _HEAD = 16, 12
_DTYPES = {example.FLOAT: "float32", example.INT64: "int64"}


def read_records(
    path: str, ask: Ask, budget: Budget, cancel: threading.Event | None, progress: Callable[[int], None]
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """The inputs and the target that the Examples hold; the first one tells the features.

    Raises:
        UsageError: a feature is missing or does not fit; names the record and its byte (of a packed file: of what is
            unpacked).
        ModelError: the file is damaged, or a record is no Example.
        Cancelled: `cancel` was set.
    """
    file = text.visible(path)

    def place(key: Any) -> str:
        number, offset = key
        return f"{file}, record {number:,} (at byte {offset:,})"

    rows: Rows | None = None
    offset = 0
    for number, record in enumerate(iter_records(path, None, cancel), 1):
        # A record that only passes through is not decoded; TensorFlow says what it thinks of it.
        features: Mapping[str, Any] = {}
        if rows is None or rows.reads_columns:
            found = example.features(record, path=path, offset=offset + _HEAD)
            features = _Features({text.decode(name): raw for name, raw in found.items() if raw}, path)
        if rows is None:
            rows = Rows(plan(ask, sorted(features), path), ask, budget, place, flat=True)
        rows.add(features, (number, offset), len(record), message=record)
        offset += len(record) + _AROUND
        if rows.count % _TELL_EVERY == 0:
            progress(rows.count)
    if rows is None:
        raise UsageError(f"{file}: there is no record in it")
    return rows.finish()


class _Features(Mapping[str, Any]):
    """The features of an Example that have values, by name, each decoded when it is asked for."""

    def __init__(self, raw: dict[str, bytes], path: str) -> None:
        self._raw = raw
        self._path = path

    def __getitem__(self, name: str) -> Any:
        import numpy as np

        kind, values = example.values(self._raw[name], path=self._path)
        return np.fromiter(values, _DTYPES[kind], len(values)) if kind in _DTYPES else list(values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)
