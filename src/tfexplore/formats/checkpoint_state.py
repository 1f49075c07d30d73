"""The `checkpoint` file of a training folder (CheckpointState in text format), and the checkpoints beside it.

Source: tensorflow/python/training/checkpoint_state.proto and checkpoint_management.py.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from tfexplore.errors import CorruptError, ModelError
from tfexplore.formats.files import RandomAccessFile, os_error
from tfexplore.formats.proto import full
from tfexplore.formats.table import is_table
from tfexplore.formats.v1_files import is_v1_file

STATE_FILE = "checkpoint"
MAX_SIZE = 1 << 20

_INDEX = ".index"
# A path of Windows, or of a file system with a scheme (gs://…): absolute, though it does not begin with a slash.
_FOREIGN = re.compile(r"[A-Za-z]:[\\/]|\\\\|[A-Za-z][A-Za-z0-9+.-]*://")
# A shard of a V1 checkpoint, and how the state file names all of them.
_DATA = re.compile(r"(.*)\.data-[0-9]{5}-of-[0-9]{5}", re.DOTALL)
_V1_SHARD = re.compile(r"(?<!\.data)-[0-9]{5}-of-[0-9]{5}\Z")
_V1_PATTERN = re.compile(r"-\?{5}-of-[0-9]{5}\Z")
# A running save: a sharded one writes to PREFIX_temp_<uuid> first, every writer to NAME.tempstate<number>.
_TEMPORARY = re.compile(r"_temp_[0-9a-f]{32}|\.tempstate[0-9]")


class CheckpointState(NamedTuple):
    """What a `checkpoint` file says; paths as stored, timestamps in seconds since 1970."""

    path: str
    model_checkpoint_path: str
    all_model_checkpoint_paths: tuple[str, ...]
    all_model_checkpoint_timestamps: tuple[float, ...]
    last_preserved_timestamp: float


class ResolvedPrefix(NamedTuple):
    """A checkpoint's prefix within the folder of the state file; `outside` where the stored path led elsewhere."""

    prefix: str
    outside: bool


def read_checkpoint_state(path: str) -> CheckpointState:
    """Reads the `checkpoint` file at `path`.

    Raises:
        NotFoundError, RefusedFileError: it cannot be opened.
        CorruptError: it is too large, not UTF-8, or no CheckpointState; the sentence names the line.
    """
    with RandomAccessFile(path) as file:
        raw = file.read_all(MAX_SIZE)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CorruptError(f"line {line:,} is not UTF-8", path=path, offset=error.start) from error
    from google.protobuf import text_format

    try:
        # No `allow_unknown_field`: protobuf passes over unknown numbers in quadratic time, minutes for 1 MiB.
        state = text_format.Parse(text, full("CheckpointState")())
    except text_format.ParseError as error:
        at = error.GetLine()
        where = "it" if at is None else f"line {at:,}"
        raise CorruptError(f"{where} is not as a CheckpointState in text format should be", path=path) from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise CorruptError("it is no CheckpointState in text format", path=path) from error
    return CheckpointState(
        path,
        state.model_checkpoint_path,
        tuple(state.all_model_checkpoint_paths),
        tuple(state.all_model_checkpoint_timestamps),
        state.last_preserved_timestamp,
    )


def resolve_prefix(folder: str, stored_path: str) -> ResolvedPrefix:
    """Where the checkpoint that a state file in `folder` names as `stored_path` must be looked for.

    The answer always lies in the folder, whether or not anything is there: a path that leads out of it (an
    absolute one of the machine that trained, one with `..`) stands for the same base name beside the state file.
    """
    stored_path = _V1_PATTERN.sub("", stored_path)
    foreign = _FOREIGN.match(stored_path) is not None
    parts = re.split(r"[\\/]" if foreign else "/", stored_path)
    if not foreign:
        inside = stored_path
        if os.path.isabs(stored_path):
            inside = os.path.relpath(stored_path, os.path.abspath(folder)) if "\0" not in stored_path else ".."
            if stored_path.endswith("/"):
                inside += "/"
        tail = os.path.normpath(inside)
        if not os.path.isabs(inside) and tail != ".." and not tail.startswith("../"):
            # An empty base name (`dir/`) is legal: normpath must not take the slash.
            empty_base = parts[-1] in ("", ".")
            tail = "" if tail == "." else f"{tail}/" if empty_base else tail
            return ResolvedPrefix(os.path.join(folder, tail), outside=False)
    base = parts[-1] if parts[-1] not in (".", "..") else ""
    return ResolvedPrefix(os.path.join(folder, base), outside=True)


def find_checkpoints(folder: str) -> list[str]:
    """The prefixes of the checkpoints in `folder`, in plain order: `.index` files that are tables or have data beside
    them, and V1 shards.

    What a running save has not finished is left out. Looks at names first, and opens `.index` files only.

    Raises:
        NotFoundError, RefusedFileError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            files = [entry.name for entry in entries if not _TEMPORARY.search(entry.name) and entry.is_file()]
    except OSError as error:
        raise os_error(folder, error) from error
    names = [name for name in files if name.endswith(_INDEX) or _V1_SHARD.search(name)]
    # An index that no longer looks like one is damaged where data lies beside it; else it is some other file.
    with_data = {match[1] for name in files if (match := _DATA.fullmatch(name)) is not None}
    found = {
        name[: -len(_INDEX)]
        for name in names
        if name.endswith(_INDEX) and (name[: -len(_INDEX)] in with_data or _is_index(os.path.join(folder, name)))
    }
    for name in sorted(names):
        base = _V1_SHARD.sub("", name)
        if base != name and base not in found and is_v1_file(os.path.join(folder, name)):
            found.add(base)
    return [os.path.join(folder, base) for base in sorted(found)]


def _is_index(path: str) -> bool:
    try:
        with RandomAccessFile(path) as file:
            return is_table(file)
    except ModelError:
        return False
