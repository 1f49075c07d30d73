"""Outputs as files: `.npy`, strings as `.json`; nothing is replaced unless the person says so."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from tfexplore.core.outputs import Output
from tfexplore.core.values import to_plain
from tfexplore.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

_PLAIN = re.compile(r"[^\w.-]+")
_MAX_STEM = 100  # bytes


def save_outputs(outputs: Sequence[Output], folder: str, *, overwrite: bool = False) -> list[str]:
    """Writes each output into `folder`, which is made where it is missing.

    A file is written under another name, synced and renamed. A dtype that NumPy cannot store (bfloat16, float8, int4)
    is written as float32, int8 or uint8.

    Args:
        overwrite: files that are there already may be replaced.

    Returns:
        The paths, in the order of the outputs.

    Raises:
        UsageError: a file exists already, or cannot be written.
    """
    paths = [
        os.path.join(folder, name) for name in _names([(one.name, one.array.dtype.kind == "O") for one in outputs])
    ]
    try:
        os.makedirs(folder, exist_ok=True)
        if not overwrite:
            _refuse(paths)
        for output, path in zip(outputs, paths, strict=True):
            _write(output, path)
    except OSError as error:
        raise UsageError(f"{folder}: the outputs cannot be saved: {(error.strerror or str(error)).lower()}") from error
    return paths


def check_free(named: Sequence[tuple[str, bool]], folder: str) -> None:
    """Looks before a run whether its outputs would meet files that are there.

    Args:
        named: the outputs' names, and whether each is of strings.

    Raises:
        UsageError: one exists already, or `folder` is something else.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UsageError(f"{folder}: the outputs cannot be saved: it is no folder")
    _refuse([os.path.join(folder, name) for name in _names(named)])


def _refuse(paths: Sequence[str]) -> None:
    there = next(filter(os.path.lexists, paths), None)
    if there is not None:
        raise UsageError(f"{there} exists already; --overwrite replaces it")


def _names(named: Sequence[tuple[str, bool]]) -> list[str]:
    """A file name for each: no separators, of a length that file systems take, no two alike but for case."""
    found: dict[str, str] = {}
    for of, is_strings in named:
        plain = _PLAIN.sub("_", of).encode()[:_MAX_STEM].decode(errors="ignore")
        stem = plain.lstrip(".-").rstrip(".") or "output"
        ending = ".json" if is_strings else ".npy"
        name, number = stem + ending, 1
        while name.casefold() in found:
            number += 1
            name = f"{stem}-{number}{ending}"
        found[name.casefold()] = name
    return list(found.values())


def _write(output: Output, path: str) -> None:
    import numpy as np

    array = output.array
    with replacing(path) as file:
        if array.dtype.kind == "O":
            file.write(json.dumps(_json(to_plain(array)), ensure_ascii=True).encode("ascii"))
        else:
            np.save(file, np.asarray(array.astype(storable(array.dtype), copy=False)), allow_pickle=False)


def storable(dtype: np.dtype) -> np.dtype:
    """The type in which NumPy stores such numbers: bfloat16 and float8 as float32, int4 as int8 or uint8."""
    import numpy as np

    if dtype.isbuiltin != 2:  # 2: of ml_dtypes
        return dtype
    return np.dtype("float32" if "float" in dtype.name else "uint8" if "uint" in dtype.name else "int8")


@contextmanager
def replacing(path: str) -> Iterator[IO[bytes]]:
    """A file under another name, that takes the name `path` when it is whole and synced; else it is taken away."""
    handle, scratch = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".tfexplore-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(scratch, 0o666 & ~_umask())
        os.replace(scratch, path)
    except BaseException:
        if os.path.lexists(scratch):
            os.unlink(scratch)
        raise


def _json(value: object) -> object:
    """Strings that are not UTF-8 as `{"b64": …}`."""
    if isinstance(value, list):
        return [_json(part) for part in value]
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogateescape")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            import base64

            return {"b64": base64.b64encode(raw).decode("ascii")}
    return value


def _umask() -> int:
    """The mask of new files; there is no way to ask but to set it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
