"""A directory of checkpoints that a run writes to, as tf.train.CheckpointManager keeps one: the newest n, and which.

Bytes arrive piece by piece and go to files under names that nothing has; each is synced, then the shards take their
names, the index last (without it there is no checkpoint), then the `checkpoint` file names the new one, and only then
the oldest go. Killed at any moment, what was there before is whole. A file that is there is never replaced.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tfexplore.core import text
from tfexplore.core.checkpoint import Checkpoint, index_file
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats import checkpoint_state
from tfexplore.formats.files import RandomAccessFile
from tfexplore.formats.new_files import NewFile, sync_folder, write_error

# What a child writes its checkpoint as.
WRITTEN_AS = "ckpt"
_PART = re.compile(r"ckpt(\.index|\.data-[0-9]{5}-of-[0-9]{5})")
_TEMPORARY = ".tfexplore-"
# A key that only checkpoints of such runs have.
_MARK = "data/row/.ATTRIBUTES/VARIABLE_VALUE"
_MAX_FILES = 1_000


class CheckpointDirectory:
    """Where checkpoints go.

    Args:
        path: made where it is missing.
        max_to_keep: of the checkpoints of such runs that lie in it; others are left alone. 0 keeps all.

    Raises:
        UsageError: it cannot be made, or is no folder.
    """

    def __init__(self, path: str, max_to_keep: int) -> None:
        self.path = path
        self._max_to_keep = max_to_keep
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise write_error(path, error) from error
        if not os.access(path, os.W_OK | os.X_OK):
            raise UsageError(f"{path}: checkpoints cannot be written there")

    def latest(self) -> str | None:
        """The prefix of the newest checkpoint; None where there is none; raises as `latest_of`."""
        return latest_of(self.path)

    def begin(self, step: int, files: Sequence[str]) -> NewCheckpoint:
        """A checkpoint that is being written.

        Args:
            files: their names, `ckpt.index` and `ckpt.data-…`.

        Raises:
            UsageError: they are no checkpoint's, or cannot be made.
        """
        if len(files) > _MAX_FILES or not all(map(_PART.fullmatch, files)) or f"{WRITTEN_AS}.index" not in files:
            raise UsageError(f"{self.path}: what was to be saved is no checkpoint")
        name, number = f"ckpt-{step}", 1
        while any(os.path.lexists(os.path.join(self.path, name + file[len(WRITTEN_AS) :])) for file in files):
            number += 1
            name = f"ckpt-r{number}-{step}"
        return NewCheckpoint(self, name, files)

    def committed(self, prefix: str) -> list[str]:
        """Names a new checkpoint as the latest, and removes the oldest; the prefixes that went."""
        now = time.time()
        entries: list[tuple[str, float]] = []
        with contextlib.suppress(ModelError):
            state = _state(self.path)
            if state is not None:
                stamps = [*state.all_model_checkpoint_timestamps, *[0.0] * len(state.all_model_checkpoint_paths)]
                for stored, stamp in zip(state.all_model_checkpoint_paths, stamps, strict=False):
                    found = checkpoint_state.resolve_prefix(self.path, stored).prefix
                    if found != prefix and os.path.lexists(index_file(found)):
                        entries.append((found, stamp))
        entries.append((prefix, now))
        old: list[str] = []
        if self._max_to_keep:
            here = [one for one, _ in entries if os.sep not in os.path.relpath(one, self.path)]
            ours = [one for one in here if one == prefix or _is_of_a_run(one)]
            old = ours[: -self._max_to_keep]
        entries = [(one, stamp) for one, stamp in entries if one not in old]
        self._write_state(entries)
        for one in old:
            _remove(one)
        return old

    def _write_state(self, entries: Sequence[tuple[str, float]]) -> None:
        names = [os.path.relpath(prefix, self.path) for prefix, _ in entries]
        lines = [f'model_checkpoint_path: "{_escaped(names[-1])}"']
        lines += [f'all_model_checkpoint_paths: "{_escaped(name)}"' for name in names]
        lines += [f"all_model_checkpoint_timestamps: {stamp!r}" for _, stamp in entries]
        lines.append(f"last_preserved_timestamp: {entries[0][1]!r}")
        scratch = os.path.join(self.path, _TEMPORARY + secrets.token_hex(8))
        try:
            with NewFile(scratch) as file:
                file.write(("\n".join(lines) + "\n").encode())
            _rename(scratch, os.path.join(self.path, checkpoint_state.STATE_FILE))
        except BaseException:
            _unlink(scratch)
            raise
        sync_folder(self.path)


class NewCheckpoint:
    """A checkpoint that is being written; as a context manager it removes what was not committed.

    Raises:
        UsageError: it cannot be written.
    """

    def __init__(self, directory: CheckpointDirectory, name: str, files: Sequence[str]) -> None:
        self._directory = directory
        self._name = name
        start = os.path.join(directory.path, _TEMPORARY + secrets.token_hex(8))
        # The index takes its name last.
        self._files = sorted(files, key=lambda file: file.endswith(".index"))
        self._scratch = {file: start + file[len(WRITTEN_AS) :] for file in self._files}
        self._open: dict[str, NewFile] = {}

    def write(self, file: str, data: Any) -> None:
        """Appends bytes to one of the files."""
        if file not in self._open:
            self._open[file] = NewFile(self._scratch[file])
        self._open[file].write(data)

    def commit(self) -> tuple[str, list[str]]:
        """Gives it its name, and the directory its newest; its prefix, and those that went."""
        for file in self._files:
            self.write(file, b"")
            self._open[file].close()
        prefix = os.path.join(self._directory.path, self._name)
        for file in self._files:
            if file.endswith(".index"):
                sync_folder(self._directory.path)
            _rename(self._scratch[file], prefix + file[len(WRITTEN_AS) :])
        sync_folder(self._directory.path)
        return prefix, self._directory.committed(prefix)

    def __enter__(self) -> NewCheckpoint:
        return self

    def __exit__(self, *_: object) -> None:
        for file, one in self._open.items():
            one.__exit__(Exception)
            _unlink(self._scratch[file])


def latest_of(folder: str) -> str | None:
    """The prefix of the newest checkpoint in a folder; None where there is none.

    Raises:
        ModelError: the folder or its `checkpoint` file cannot be read.
    """
    known = checkpoint_state.find_checkpoints(folder)
    state = _state(folder)
    if state is not None and state.model_checkpoint_path:
        prefix = checkpoint_state.resolve_prefix(folder, state.model_checkpoint_path).prefix
        if prefix in known:
            return prefix
    return max(known, key=lambda prefix: os.path.getmtime(index_file(prefix)), default=None)


def prefix_of(path: str) -> str:
    """The prefix of a checkpoint that a person named: itself, its index file, or a folder whose latest is meant.

    Raises:
        UsageError, ModelError: there is none.
    """
    prefix = path.removesuffix(".index")
    if os.path.isdir(path):
        found = latest_of(path)
        if found is None:
            raise UsageError(f"{text.visible(path)}: no checkpoint lies there")
        prefix = found
    files_of(prefix)
    return prefix


def _state(folder: str) -> checkpoint_state.CheckpointState | None:
    path = os.path.join(folder, checkpoint_state.STATE_FILE)
    return checkpoint_state.read_checkpoint_state(path) if os.path.lexists(path) else None


def files_of(prefix: str) -> list[tuple[str, str, int]]:
    """The files of a checkpoint in TensorFlow's format: the name that the child knows each by, its path, its bytes.

    Raises:
        ModelError: it cannot be read.
    """
    checkpoint = Checkpoint(prefix)
    try:
        if checkpoint.is_v1:
            raise UsageError(f"{prefix}: a V1 checkpoint cannot be restored into a model that is tuned")
    finally:
        checkpoint.close()
    folder, base = os.path.split(prefix)
    found = []
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(folder or ".")):
            part = WRITTEN_AS + name[len(base) :]
            if name.startswith(base) and _PART.fullmatch(part):
                path = os.path.join(folder, name)
                with RandomAccessFile(path) as file:
                    found.append((part, path, file.size))
    return found


def iter_pieces(path: str, size: int) -> Iterator[bytes]:
    """A file's bytes in pieces of at most `size`; one empty piece where it has none.

    Raises:
        ModelError: it cannot be read.
    """
    with RandomAccessFile(path) as file:
        for offset in range(0, max(file.size, 1), size):
            yield file.pread(offset, min(size, file.size - offset))


def _is_of_a_run(prefix: str) -> bool:
    try:
        checkpoint = Checkpoint(prefix)
    except ModelError:
        return False
    try:
        return checkpoint.has(_MARK)
    except ModelError:
        return False
    finally:
        checkpoint.close()


def _remove(prefix: str) -> None:
    folder, base = os.path.split(prefix)
    _unlink(index_file(prefix))
    for name in os.listdir(folder or "."):
        if name.startswith(base) and _PART.fullmatch(WRITTEN_AS + name[len(base) :]):
            _unlink(os.path.join(folder, name))


def _rename(scratch: str, path: str) -> None:
    try:
        os.replace(scratch, path)
    except OSError as error:
        raise write_error(path, error) from error


def _unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _escaped(name: str) -> str:
    """A string of protobuf's text format."""
    plain = os.fsencode(name)
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in plain)
