"""A folder of checkpoints, with or without the state file that names the latest."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from tfexplore.core import text
from tfexplore.core.checkpoint import Checkpoint, index_file
from tfexplore.core.model import TRAINING_DIRECTORY, CheckpointFile, Model
from tfexplore.core.natural import natural_key
from tfexplore.errors import CorruptError, ModelError, NotAModelError
from tfexplore.formats import checkpoint_state, saved_model
from tfexplore.formats.files import size_of
from tfexplore.formats.table import check_cancel

# Checkpoints that are tried before a folder counts as one without any that can be read.
_TRIED = 20
# Graphs that lie beside checkpoints, by their names; and how many folders are looked into for SavedModels.
_GRAPHS = (".meta", ".pb", ".pbtxt")
_SAVED_MODELS = (saved_model.FILE_NAME, saved_model.TEXT_NAME)
_LOOKED_AT = 200


def open_training_directory(
    path: str, folder: str, cancel: threading.Event | None, tell: Callable[[str], None]
) -> Model:
    """Opens a folder of checkpoints at the latest one, or where that cannot be read at the newest that can.

    Args:
        path: what the person gave, the folder or its state file.
        folder: where the checkpoints lie.
        cancel: gives up the reading when set.
        tell: is told what is being read.

    Raises:
        ModelError: no checkpoint lies there, or the only one cannot be read.
        Cancelled: `cancel` was set.
    """
    tell("listing checkpoints")
    notes: list[str] = []
    state = None
    state_path = os.path.join(folder, checkpoint_state.STATE_FILE)
    if os.path.lexists(state_path):
        try:
            state = checkpoint_state.read_checkpoint_state(state_path)
        except ModelError as error:
            notes.append(f"the checkpoint file cannot be read: {error}")
    prefixes = checkpoint_state.find_checkpoints(folder)
    saved_at: dict[str, float] = {}
    latest: str | None = None
    if state is not None:
        stamps = state.all_model_checkpoint_timestamps
        for position, stored in enumerate(state.all_model_checkpoint_paths):
            found = checkpoint_state.resolve_prefix(folder, stored)
            if position < len(stamps):
                saved_at[found.prefix] = stamps[position]
            # An index so damaged that it no longer looks like one is listed all the same: its row says why.
            if found.prefix not in prefixes and os.path.lexists(index_file(found.prefix)):
                prefixes.append(found.prefix)
        if state.model_checkpoint_path:
            resolved = checkpoint_state.resolve_prefix(folder, state.model_checkpoint_path)
            if resolved.prefix in prefixes:
                latest = resolved.prefix
            else:
                name = state.model_checkpoint_path
                notes.append(f"the checkpoint file names {name} as the latest, which is not here")
    if not prefixes:
        raise _no_checkpoint(path, folder)
    # Times where the state file tells all of them, else steps: a copy's files have times that mean nothing.
    known = all(prefix in saved_at for prefix in prefixes)
    prefixes = sorted(prefixes, key=lambda prefix: (saved_at[prefix] if known else 0.0, natural_key(prefix)))
    if latest is None:
        latest = prefixes[-1]
    files = [CheckpointFile(prefix, saved_at.get(prefix), prefix == latest) for prefix in prefixes]
    checkpoint = None
    # Newest first; the one that the state file names before all.
    for prefix in [latest, *(prefix for prefix in reversed(prefixes) if prefix != latest)][:_TRIED]:
        check_cancel(cancel)
        tell(f"reading {os.path.basename(index_file(prefix))}")
        try:
            checkpoint = Checkpoint(prefix, cancel=cancel)
            break
        except ModelError as error:
            if len(prefixes) == 1:
                raise
            what = "the latest checkpoint" if prefix == latest else "the one before it"
            notes.append(f"{what} cannot be read: {error}")
    notes += _neighbours(folder)
    size = size_of(index_file(latest if checkpoint is None else checkpoint.prefix))
    return Model(path, TRAINING_DIRECTORY, file_bytes=size, checkpoint=checkpoint, checkpoint_files=files, notes=notes)


def _neighbours(folder: str) -> list[str]:
    """A sentence about the other models that lie in the folder, by their names; nothing where there are none."""
    try:
        names = sorted(os.listdir(folder), key=natural_key)
    except OSError:
        return []
    found = [name for name in names if name.endswith(_GRAPHS)]
    found += [
        name for name in names[:_LOOKED_AT] if os.path.isdir(os.path.join(folder, name)) and _has_model(folder, name)
    ]
    if not found:
        return []
    more = f" and {len(found) - 3:,} more" if len(found) > 3 else ""
    verb = "lies" if len(found) == 1 else "lie"
    return [f"beside the checkpoints {verb} {', '.join(map(text.label, found[:3]))}{more}: open one by its path"]


def _has_model(folder: str, name: str) -> bool:
    """Whether a folder is a SavedModel, or holds versions of one."""
    inside = os.path.join(folder, name)
    try:
        with os.scandir(inside) as entries:
            for _, entry in zip(range(_LOOKED_AT), entries, strict=False):
                if entry.name in _SAVED_MODELS:
                    return True
                if any(os.path.lexists(os.path.join(inside, entry.name, one)) for one in _SAVED_MODELS):
                    return True
    except OSError:
        pass
    return False


def _no_checkpoint(path: str, folder: str) -> ModelError:
    """Why a folder that looked like a training directory holds no checkpoint that can be opened."""
    damaged = sorted((name for name in os.listdir(folder) if name.endswith(".index")), key=natural_key)
    if not damaged:
        return NotAModelError("a training directory without a checkpoint: no .index file lies here", path=path)
    return CorruptError(
        "this is no checkpoint index, or it is damaged: the table's magic number is missing at its end",
        path=os.path.join(folder, damaged[0]),
    )
