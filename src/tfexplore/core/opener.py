"""Opens what a person has in hand: decides by content what it is, and says what a wrong file is."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable

from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.collection import DEPTH, OnFound, open_collection
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import CHECKPOINT, SAVED_MODEL, TRAINING_DIRECTORY, CheckpointFile, Model
from tfexplore.core.natural import natural_key
from tfexplore.errors import Cancelled, CorruptError, ModelError, NotAModelError, NotFoundError, UnsupportedError
from tfexplore.formats import checkpoint_state, saved_model
from tfexplore.formats.files import RandomAccessFile, os_error
from tfexplore.formats.table import is_table

_DATA_FILE = re.compile(r"\.data-\d{5}-of-\d{5}$")
Progress = Callable[[str], None]


def open_model(
    path: str,
    *,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
    on_found: OnFound | None = None,
) -> Model:
    """Opens a SavedModel's folder or `saved_model.pb`, a training directory, a checkpoint's prefix,
    index, data or `checkpoint` state file; or any other folder with models below, as a collection.

    Args:
        path: what the person gave.
        cancel: ends the reading early.
        progress: told what is being read, in a few words.
        on_found: told which models lie below a folder, while they are looked for.

    Raises:
        NotFoundError: there is nothing.
        NotAModelError: there is something else; the message says what.
        ModelError: it cannot be read; says where and why.
        Cancelled: `cancel` was set.
    """
    tell = progress or (lambda _: None)
    if "\0" in path:
        raise NotFoundError("a path cannot hold a NUL byte", path=path)
    if os.path.isdir(path):
        return _open_folder(path, cancel, tell, on_found)
    if os.path.exists(path.removesuffix("/") + ".index"):
        return _open_checkpoint(path, path, cancel, tell)
    if not os.path.lexists(path):
        raise NotFoundError("there is no such file, folder or checkpoint prefix", path=path)
    return _open_file(path, cancel, tell)


def _open_folder(path: str, cancel: threading.Event | None, tell: Progress, on_found: OnFound | None) -> Model:
    names = _list(path)
    if saved_model.FILE_NAME in names:
        return _open_saved_model(path, path, cancel, tell)
    if "saved_model.pbtxt" in names or "saved_model.cpb" in names:
        form = "text" if "saved_model.pbtxt" in names else "chunked"
        raise UnsupportedError(f"this SavedModel is in {form} form, which tfexplore does not read yet", path=path)
    has_state = checkpoint_state.STATE_FILE in names and os.path.isfile(os.path.join(path, checkpoint_state.STATE_FILE))
    if has_state or any(name.endswith(".index") for name in names):
        return _open_training_directory(path, path, cancel, tell)
    variables = os.path.join(path, saved_model.VARIABLES_PREFIX)
    if os.path.exists(variables + ".index"):
        hint = f"open {variables} to look at the variables alone"
        raise NotAModelError(
            "no model lies here: there is a variables folder, but saved_model.pb is missing", path=path, hint=hint
        )
    found = open_collection(path, cancel=cancel, progress=tell, on_found=on_found)
    if found.found:
        return found
    here = "is an empty folder" if not names else "holds no saved_model.pb, no checkpoint file and no .index file"
    remarks = "".join(f"; {note}" for note in found.notes)
    raise NotAModelError(f"this {here}, and no model lies up to {DEPTH} levels below{remarks}", path=path)


def _list(path: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(path))
    except OSError as error:
        raise os_error(path, error) from error


# -- SavedModel --


def _open_saved_model(path: str, folder: str, cancel: threading.Event | None, tell: Progress) -> Model:
    file_name = os.path.join(folder, saved_model.FILE_NAME)
    tell("reading saved_model.pb")
    message, size, damage = saved_model.read_saved_model(file_name, cancel=cancel)
    if cancel is not None and cancel.is_set():
        raise Cancelled
    notes = list(map(str, damage))
    checkpoint: Checkpoint | None = None
    prefix = os.path.join(folder, saved_model.VARIABLES_PREFIX)
    if os.path.exists(prefix + ".index"):
        tell("reading variables.index")
        try:
            checkpoint = Checkpoint(prefix, cancel=cancel)
        except ModelError as error:
            notes.append(f"the variables cannot be read: {error}")
    graphs = [MetaGraph(found, path=file_name, folder=folder, checkpoint=checkpoint) for found in message.meta_graphs]
    return Model(path, SAVED_MODEL, file_bytes=size, meta_graphs=graphs, checkpoint=checkpoint, notes=notes)


# -- checkpoints --


def _open_training_directory(path: str, folder: str, cancel: threading.Event | None, tell: Progress) -> Model:
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
            if found.prefix not in prefixes and os.path.lexists(found.prefix + ".index"):
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
    tell(f"reading {os.path.basename(latest)}.index")
    checkpoint = None
    try:
        checkpoint = Checkpoint(latest, cancel=cancel)
    except ModelError as error:
        if len(prefixes) == 1:
            raise
        notes.append(f"the latest checkpoint cannot be read: {error}")
    size = _size(latest + ".index")
    return Model(path, TRAINING_DIRECTORY, file_bytes=size, checkpoint=checkpoint, checkpoint_files=files, notes=notes)


def _no_checkpoint(path: str, folder: str) -> ModelError:
    """Why a folder that looked like a training directory holds no checkpoint that can be opened."""
    damaged = sorted((name for name in _list(folder) if name.endswith(".index")), key=natural_key)
    if not damaged:
        return NotAModelError("a training directory without a checkpoint: no .index file lies here", path=path)
    return CorruptError(
        "this is no checkpoint index, or it is damaged: the table's magic number is missing at its end",
        path=os.path.join(folder, damaged[0]),
    )


def _open_checkpoint(path: str, prefix: str, cancel: threading.Event | None, tell: Progress) -> Model:
    tell(f"reading {os.path.basename(prefix)}.index")
    checkpoint = Checkpoint(prefix, cancel=cancel)
    return Model(path, CHECKPOINT, file_bytes=_size(prefix + ".index"), checkpoint=checkpoint)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


# -- single files --


def _open_file(path: str, cancel: threading.Event | None, tell: Progress) -> Model:
    folder, name = os.path.split(path)
    with RandomAccessFile(path) as file:
        table = is_table(file)
        size = file.size
        head = file.pread(0, min(size, 4096))
    if table:
        if name.endswith(".index"):
            return _open_checkpoint(path, path.removesuffix(".index"), cancel, tell)
        raise UnsupportedError("this is a checkpoint in the V1 format, which tfexplore does not read yet", path=path)
    if _DATA_FILE.search(name):
        prefix = _DATA_FILE.sub("", path)
        if not os.path.exists(prefix + ".index"):
            raise NotFoundError(
                "this is a checkpoint's data, but its index is missing", path=path, hint=f"put {prefix}.index beside it"
            )
        return _open_checkpoint(path, prefix, cancel, tell)
    if name == checkpoint_state.STATE_FILE:
        return _open_training_directory(path, folder or ".", cancel, tell)
    if name.endswith(".index"):
        raise CorruptError("this is no checkpoint index: the table's magic number is missing at its end", path=path)
    if name == saved_model.FILE_NAME:
        return _open_saved_model(path, folder or ".", cancel, tell)
    raise NotAModelError(_what_is(head, size), path=path)


def _what_is(head: bytes, size: int) -> str:
    if size == 0:
        return "the file is empty"
    return (
        "this is no checkpoint, no checkpoint state file and no saved_model.pb; tfexplore does not read other files yet"
    )
