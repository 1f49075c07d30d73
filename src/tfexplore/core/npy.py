"""A tensor as an `.npy` file, written piece by piece."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfexplore.core.saving import replacing, storable
from tfexplore.core.slices import Slice
from tfexplore.core.tensor_source import MAX_READ, Progress, TensorSource
from tfexplore.errors import ChangedError, ChecksumError, UsageError
from tfexplore.formats import dtypes
from tfexplore.formats.bundle_entry import named

if TYPE_CHECKING:
    import numpy as np

    from tfexplore.formats.bundle_values import Checksum

_ATTEMPTS = 100


def save(
    source: TensorSource,
    path: str,
    part: Slice | None = None,
    *,
    overwrite: bool = False,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
) -> Checksum:
    """Writes a tensor, or a part of it, under another name, syncs it and renames it to `path`.

    A dtype that NumPy cannot store (bfloat16, float8, int4) is written as float32, int8 or uint8.

    Args:
        overwrite: a file that is there already may be replaced.
        progress: called with the bytes done and the bytes in all.

    Returns:
        What the checksum says: never `bad`.

    Raises:
        ChecksumError: the stored bytes are not what was written; nothing is saved.
        ModelError: the values cannot be read.
        UsageError: the file exists already or cannot be written, or the values are no numbers.
        Cancelled: `cancel` was set; nothing is saved.
    """
    if dtypes.base(source.dtype) in (dtypes.STRING, dtypes.VARIANT, dtypes.RESOURCE):
        what = dtypes.name(source.dtype)
        raise UsageError(f"{named(source.name)} is of the dtype {what}, which no .npy file holds; --json prints it")
    if os.path.lexists(path) and not overwrite:
        raise UsageError(f"{path} exists already; --overwrite replaces it")
    for _ in range(_ATTEMPTS):
        try:
            return _save(source, path, part, cancel, progress)
        except ChangedError:
            continue
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from error
    return _save(source, path, part, cancel, progress)


def _save(
    source: TensorSource,
    path: str,
    part: Slice | None,
    cancel: threading.Event | None,
    progress: Progress | None,
) -> Checksum:
    import numpy as np

    dtype = storable(dtypes.numpy_dtype(source.dtype))
    shape = source.shape if part is None else part.shape
    checksums: set[Checksum] = set()
    pieces = source.pieces(cancel, progress) if part is None else _pieces(source, part, checksums, cancel, progress)
    with replacing(path) as file:
        head = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, head)
        for piece in pieces:
            file.write(np.ascontiguousarray(piece.astype(dtype, copy=False)).data)
        checksum = source.checksum
        if checksum == "bad" or "bad" in checksums:
            raise ChecksumError(
                f"the bytes of {named(source.name)} do not match their checksum, nothing was saved",
                path=path,
                hint="without --npy what is stored can be looked at",
            )
    return checksum


def _pieces(
    source: TensorSource,
    part: Slice,
    checksums: set[Checksum],
    cancel: threading.Event | None,
    progress: Progress | None,
) -> Iterator[np.ndarray]:
    """The values of a part of a tensor in C order; a box is read piece by piece, any other part at once."""
    from tfexplore.formats.bundle_stream import iter_boxes

    if not part.is_box():
        value = source.read(part.starts, part.counts, cancel)
        checksums.add(value.checksum)
        yield part.of(value.array)
        return
    itemsize = dtypes.itemsize(source.dtype)
    done, total = 0, itemsize
    for count in part.counts:
        total *= count
    for box in iter_boxes(part.counts, MAX_READ // 8 // itemsize):
        starts = [first + start for first, start in zip(part.starts, box.starts, strict=True)]
        value = source.read(starts, box.counts, cancel)
        checksums.add(value.checksum)
        done += value.array.nbytes
        yield value.array
        if progress is not None:
            progress(done, total)
