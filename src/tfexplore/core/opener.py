"""Opens what a person has in hand: decides by content what it is, and says what a wrong file is."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfexplore.core import graph_files
from tfexplore.core.checkpoint import Checkpoint, index_file
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import CHECKPOINT, SAVED_MODEL, Model
from tfexplore.core.natural import natural_key
from tfexplore.core.training_directory import open_training_directory
from tfexplore.errors import Cancelled, CorruptError, ModelError, NotAModelError, NotFoundError
from tfexplore.formats import checkpoint_state, checkpoint_v1, probe, saved_model
from tfexplore.formats.files import RandomAccessFile, os_error, size_of

_DATA_FILE = re.compile(r"\.data-\d{5}-of-\d{5}$")
if TYPE_CHECKING:
    from tfexplore.core.collection import OnFound

# Files of a folder without models that are looked at for a word about it, and how the names of such files end.
_LOOKED_AT = 50
_OTHER_MODELS = (
    *(".keras", ".h5", ".hdf5", ".tflite", ".tfl", ".onnx", ".json", ".cpb", ".pt", ".safetensors", ".gguf"),
    *(".zip", ".7z", ".rar", ".tar", ".tgz"),
)
Progress = Callable[[str], None]


def open_model(
    path: str,
    *,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
    on_found: OnFound | None = None,
) -> Model:
    """Opens a SavedModel's folder or file, a training directory, a checkpoint's prefix, index, data or `checkpoint`
    state file, a V1 checkpoint, a GraphDef or a MetaGraph; or any other folder with models below, as a collection.

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
    if not os.path.lexists(path):
        probe.check_address(path)
    if os.path.isdir(path):
        return _open_folder(path, cancel, tell, on_found)
    if os.path.exists(path.removesuffix("/") + ".index"):
        return _open_checkpoint(path, path, cancel, tell)
    if not os.path.lexists(path):
        if checkpoint_v1.shard_files(path):
            return _open_checkpoint(path, path, cancel, tell)
        raise NotFoundError("there is no such file, folder or checkpoint prefix", path=path)
    return _open_file(path, cancel, tell)


def _open_folder(path: str, cancel: threading.Event | None, tell: Progress, on_found: OnFound | None) -> Model:
    names = _list(path)
    for name in (saved_model.FILE_NAME, saved_model.TEXT_NAME):
        if name in names:
            return _open_saved_model(path, os.path.join(path, name), cancel, tell)
    if saved_model.CHUNKED_NAME in names:
        _refuse(os.path.join(path, saved_model.CHUNKED_NAME))
    has_state = checkpoint_state.STATE_FILE in names and os.path.isfile(os.path.join(path, checkpoint_state.STATE_FILE))
    if has_state or any(name.endswith(".index") for name in names):
        return open_training_directory(path, path, cancel, tell)
    variables = os.path.join(path, saved_model.VARIABLES_PREFIX)
    if os.path.exists(variables + ".index"):
        hint = f"open {variables} to look at the variables alone"
        raise NotAModelError(
            "no model lies here: there is a variables folder, but saved_model.pb is missing", path=path, hint=hint
        )
    from tfexplore.core.collection import DEPTH, open_collection

    found = open_collection(path, cancel=cancel, progress=tell, on_found=on_found)
    if found.found:
        return found
    here = "is an empty folder" if not names else "holds no saved_model.pb, no checkpoint file and no .index file"
    remarks = "".join(f"; {note}" for note in found.notes)
    raise NotAModelError(
        f"this {here}, and no model lies up to {DEPTH} levels below{remarks}",
        path=path,
        hint=_what_lies_in(path, names),
    )


def _refuse(path: str) -> None:
    """Says what a file is that is not ours.

    Raises:
        ModelError: always, where it is foreign or cannot be opened.
    """
    with RandomAccessFile(path) as file:
        found = probe.probe(file)
    if found.kind == probe.FOREIGN:
        raise probe.refusal(found, path)


def _what_lies_in(path: str, names: frozenset[str]) -> str | None:
    """A word about the first file of a folder without models that is a model of another kind."""
    for name in sorted(names, key=natural_key)[:_LOOKED_AT]:
        if not name.endswith(_OTHER_MODELS):
            continue
        try:
            with RandomAccessFile(os.path.join(path, name)) as file:
                found = probe.probe(file)
        except ModelError:
            continue
        if found.kind == probe.FOREIGN:
            return f"{name} is {found.sentence}" + (f": {found.hint}" if found.hint else "")
    return None


def _list(path: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(path))
    except OSError as error:
        raise os_error(path, error) from error


# -- SavedModel --


def _open_saved_model(path: str, file_name: str, cancel: threading.Event | None, tell: Progress) -> Model:
    with RandomAccessFile(file_name) as file:
        found = probe.probe(file)
        if file.size == 0:
            raise CorruptError(
                "the file is empty (0 bytes), expected a SavedModel",
                path=file_name,
                hint="export or copy the model again",
            )
    if found.kind.removesuffix(probe.TEXT) == SAVED_MODEL:
        read = graph_files.read_message(file_name, found, cancel, tell)
    else:
        try:  # its first bytes may be what is damaged
            read = graph_files.read_message(file_name, probe.Probed(SAVED_MODEL), cancel, tell)
        except CorruptError:
            if found.kind != probe.FOREIGN or found.sentence.startswith(probe.UNKNOWN):
                raise
            raise probe.refusal(found, file_name) from None
    if not read.message.meta_graphs:
        raise CorruptError("no SavedModel: it holds no MetaGraph", path=file_name)
    if cancel is not None and cancel.is_set():
        raise Cancelled
    notes = list(map(str, read.damage))
    folder, name = os.path.split(file_name)
    folder = folder or "."
    named_rightly = name in (saved_model.FILE_NAME, saved_model.TEXT_NAME)
    if read.is_text != (name == saved_model.TEXT_NAME) or not named_rightly:
        form, wanted = ("text", saved_model.TEXT_NAME) if read.is_text else ("binary", saved_model.FILE_NAME)
        notes.append(f"{name} is a SavedModel in {form} form: TensorFlow finds it only under the name {wanted}")
    checkpoint: Checkpoint | None = None
    prefix = os.path.join(folder, saved_model.VARIABLES_PREFIX)
    if named_rightly and os.path.exists(prefix + ".index"):
        tell("reading variables.index")
        try:
            checkpoint = Checkpoint(prefix, cancel=cancel)
        except ModelError as error:
            notes.append(f"the variables cannot be read: {error}")
    of = folder if named_rightly else None
    broken = bool(read.damage)
    graphs = [
        MetaGraph(found, path=file_name, folder=of, checkpoint=checkpoint, is_broken=broken)
        for found in read.message.meta_graphs
    ]
    return Model(
        path,
        SAVED_MODEL,
        file_bytes=read.nbytes,
        meta_graphs=graphs,
        checkpoint=checkpoint,
        notes=notes,
        unread=read.damage,
    )


# -- checkpoints --


def _open_checkpoint(path: str, prefix: str, cancel: threading.Event | None, tell: Progress) -> Model:
    tell(f"reading {os.path.basename(index_file(prefix))}")
    checkpoint = Checkpoint(prefix, cancel=cancel)
    return Model(path, CHECKPOINT, file_bytes=size_of(checkpoint.index_path), checkpoint=checkpoint)


# -- single files --


def _open_file(path: str, cancel: threading.Event | None, tell: Progress) -> Model:
    folder, name = os.path.split(path)
    with RandomAccessFile(path) as file:
        found = probe.probe(file)
    if found.kind == probe.CHECKPOINT_V1:
        prefix = checkpoint_v1.prefix_of(path)
        return _open_checkpoint(path, prefix if path in checkpoint_v1.shard_files(prefix) else path, cancel, tell)
    if found.kind == probe.INDEX:
        if name.endswith(".index"):
            return _open_checkpoint(path, path.removesuffix(".index"), cancel, tell)
        raise NotAModelError(
            "this is a checkpoint's index under another name", path=path, hint="name it PREFIX.index, beside its data"
        )
    if _DATA_FILE.search(name):
        prefix = _DATA_FILE.sub("", path)
        if not os.path.exists(prefix + ".index"):
            raise NotFoundError(
                "this is a checkpoint's data, but its index is missing", path=path, hint=f"put {prefix}.index beside it"
            )
        return _open_checkpoint(path, prefix, cancel, tell)
    if name == checkpoint_state.STATE_FILE or found.kind == probe.CHECKPOINT_STATE:
        return open_training_directory(path, folder or ".", cancel, tell)
    if name.endswith(".index"):
        if not size_of(path):
            what = "the file is empty (0 bytes), expected a checkpoint index"
            raise CorruptError(what, path=path, hint="save or copy the checkpoint again")
        raise CorruptError("this is no checkpoint index: the table's magic number is missing at its end", path=path)
    if name == saved_model.FILE_NAME or found.kind.removesuffix(probe.TEXT) == SAVED_MODEL:
        return _open_saved_model(path, path, cancel, tell)
    if graph_files.is_message(found):
        return graph_files.open_graph(path, found, cancel, tell)
    raise probe.refusal(found, path)
