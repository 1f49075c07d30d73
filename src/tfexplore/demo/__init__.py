"""The packaged demo: a small trained model with its checkpoints and some rows to try it on.

`ranker/` is a SavedModel that ranks goods of a made-up shop by how likely a click is: serialized `tf.train.Example`s
with the string features gid, cid1, cid2, cid3, brand and merchant go through vocabularies to frozen embeddings, and
two trainable dense layers give the score. `training/` holds the checkpoints of that head's training at the steps
100, 200 and 300. `rows.jsonl` holds labelled rows that no training saw. `scripts/make_demo.py` makes all of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tfexplore.errors import UsageError

FOLDER: Final = Path(__file__).resolve().parent
PARTS: Final = ("ranker", "training", "rows.jsonl")


def iter_files() -> Iterator[str]:
    """The packaged files, as paths relative to `FOLDER`, sorted within each part."""
    for part in PARTS:
        top = FOLDER / part
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                yield str(path.relative_to(FOLDER))


def copy_to(target: str) -> None:
    """Writes the packaged files to the folder `target`, which is made where it is missing.

    Files that are there already with the same content stay as they are. Nothing is written where one differs.

    Raises:
        UsageError: a file there differs from the packaged one, or `target` cannot be written to.
    """
    missing = []
    for name in iter_files():
        path = os.path.join(target, name)
        data = (FOLDER / name).read_bytes()
        try:
            if not _holds(path, data):
                missing.append((path, data))
        except (OSError, ValueError) as error:
            raise _cannot_write(path, error) from error
    for path, data in missing:
        folder = os.path.dirname(path)
        try:
            os.makedirs(folder, exist_ok=True)
        except (OSError, ValueError) as error:
            raise _cannot_write(folder, error) from error
        try:
            _create(path, data)
        except FileExistsError as error:
            raise _exists(path) from error
        except OSError as error:
            raise _cannot_write(path, error) from error


def _holds(path: str, data: bytes) -> bool:
    """Whether `path` is a file with exactly this content; False where nothing is there.

    Raises:
        UsageError: something else is there.
    """
    if not os.path.lexists(path):
        return False
    # Looked at before it is opened: opening a FIFO would wait.
    try:
        status = os.stat(path)
    except FileNotFoundError:  # a link that leads nowhere
        raise _exists(path) from None
    if stat.S_ISREG(status.st_mode) and status.st_size == len(data) and Path(path).read_bytes() == data:
        return True
    raise _exists(path)


def _create(path: str, data: bytes) -> None:
    """Writes a file that must not exist yet; a half-written one is taken away again."""
    with open(path, "xb") as file:
        try:
            file.write(data)
            file.flush()
        except BaseException:
            os.unlink(path)
            raise


def _exists(path: str) -> UsageError:
    return UsageError(
        f"{path}: it exists and differs from the demo's file; give a folder that is empty or not there yet"
    )


def _cannot_write(path: str, error: Exception) -> UsageError:
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    return UsageError(f"{path}: the demo cannot be written there ({reason}); give another folder")
