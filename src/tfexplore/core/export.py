"""A copy of a SavedModel with other values of its variables; all else stays byte for byte.

The values take their place in a new `variables/` bundle under the original keys and slices. The fingerprint's
`checkpoint_hash` becomes that of the new index, also where it did not match before (a note says so); its other
fields, the UUID too, stay.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.files import MAX_DEPTH, STRANGER, what_is
from tfexplore.core.model import SAVED_MODEL, Model
from tfexplore.core.new_folder import NewFolder, check_can_be_made, lies_within
from tfexplore.errors import CorruptError, ModelError, RefusedFileError, UnsupportedError, UsageError
from tfexplore.formats import fingerprint, saved_model
from tfexplore.formats.bundle import Bundle
from tfexplore.formats.bundle_writer import check_value, rewrite_bundle
from tfexplore.formats.files import RandomAccessFile, os_error
from tfexplore.formats.new_files import NewFile
from tfexplore.formats.table import check_cancel

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MAX_ENTRIES = 1_000_000
_PIECE = 4 << 20
Progress = Callable[[int, int], None]


class Exported(NamedTuple):
    """What an export wrote.

    Attributes:
        path: the folder.
        keys: the checkpoint keys that have new values, sorted.
        files: how many.
        nbytes: of all files together.
        notes: sentences about what a person should know.
    """

    path: str
    keys: tuple[str, ...]
    files: int
    nbytes: int
    notes: tuple[str, ...]


class _Found(NamedTuple):
    """A file or folder of the model: its name below the model's folder, where it lies, and its bytes."""

    name: str
    path: str
    is_folder: bool
    nbytes: int


def export(
    model: Model,
    values: Mapping[str, Array],
    directory: str,
    *,
    overwrite: bool = False,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Writes a copy of the model's folder, with new values for some of its variables.

    It is written under another name and takes its own when it is complete and on the disk: see `new_folder`. Its
    files have the permissions of new files.

    Args:
        values: by checkpoint key, each of the dtype and shape that the checkpoint stores; a partitioned variable as a
            whole. `export_keys` finds the keys.
        directory: the new folder.
        overwrite: a SavedModel that is there may be replaced.
        progress: called with the bytes written and the bytes in all.

    Raises:
        UsageError: the model cannot be exported, and why; the folder may not be written, or cannot be; a value does
            not fit.
        ModelError: a file of the model cannot be read, is damaged, or was changed since the model was opened.
        Cancelled: `cancel` was set. Nothing of what was written is left then, nor after any other error.
    """
    folder, bundle = _source(model)
    for key, value in values.items():
        check_value(bundle, key, value)
    found = list(_walk(folder, cancel))
    _check_target(folder, directory, overwrite, {one.name for one in found})
    done, total = 0, sum(one.nbytes for one in found)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(min(done, total), total)

    own = _bundle_files(bundle)
    notes: list[str] = []
    with NewFolder(directory) as new:
        for one in found:
            check_cancel(cancel)
            if one.is_folder:
                new.add_folder(one.name)
            elif one.name not in own and one.name != fingerprint.FILE_NAME:
                _copy(one.path, os.path.join(new.path, one.name), cancel, advance)
        prefix = os.path.join(new.path, saved_model.VARIABLES_PREFIX)
        rewrite_bundle(bundle, prefix, values, cancel=cancel, advance=advance)
        if any(one.name == fingerprint.FILE_NAME for one in found):
            notes += _bring_into_line(folder, new.path, prefix + ".index", advance)
        if bundle.replaced():
            raise ModelError(
                "the variables were written anew since the model was opened", path=bundle.prefix, hint="open it again"
            )
        files, nbytes = _measure(new.path)
        check_cancel(cancel)
        _check_target(folder, directory, overwrite, {one.name for one in found})  # all this may have taken long
        left = new.commit(overwrite=overwrite)
    if left is not None:
        notes.append(f"{left}: the folder that was replaced could not be removed")
    notes += [f"{path} is left of an export that was stopped; it can be deleted" for path in new.left_behind]
    return Exported(directory, tuple(sorted(values)), files, nbytes, tuple(notes))


def check_export(model: Model, directory: str, *, overwrite: bool = False) -> None:
    """Looks before a run whether its result could be exported.

    Raises:
        UsageError, ModelError: it could not, and why.
    """
    folder, bundle = _source(model)
    if bundle.damage:
        raise bundle.damage[0].without_traceback()
    _check_target(folder, directory, overwrite, {one.name for one in _walk(folder, None)})
    check_can_be_made(directory)


def _source(model: Model) -> tuple[str, Bundle]:
    """The model's folder and its bundle.

    Raises:
        UsageError, ModelError: it has none, or none that can be written anew.
    """

    def refused(why: str) -> UsageError:
        return UsageError(f"{model.path}: it cannot be exported with new values: {why}")

    if model.kind != SAVED_MODEL:
        raise refused(f"only a SavedModel's variables have a place to go, and this is a {model.kind_name}")
    checkpoint = model.checkpoint
    if checkpoint is None:
        raise _no_variables(model, refused)
    bundle = checkpoint.bundle
    if not isinstance(bundle, Bundle):
        raise refused("its variables are a V1 checkpoint, which is only read")
    missing = bundle.missing_shards()
    if missing:
        raise refused(f"{os.path.basename(bundle.shard_path(missing[0]))} is missing")
    return bundle.prefix.removesuffix(saved_model.VARIABLES_PREFIX) or ".", bundle


def _no_variables(model: Model, refused: Callable[[str], UsageError]) -> UsageError | ModelError:
    folder = model.path if os.path.isdir(model.path) else os.path.dirname(model.path) or "."
    prefix = os.path.join(folder, saved_model.VARIABLES_PREFIX)
    if os.path.lexists(prefix + ".index"):
        try:
            Checkpoint(prefix).close()
        except ModelError as error:
            return error.without_traceback()
        return refused(f"TensorFlow finds a SavedModel only under the name {saved_model.FILE_NAME}")
    from tfexplore.formats import checkpoint_v1

    if checkpoint_v1.shard_files(prefix):
        return refused("its variables are a V1 checkpoint, which is only read")
    return refused("it has no variables (there is no variables/variables.index)")


def _check_target(folder: str, directory: str, overwrite: bool, names: Collection[str]) -> None:
    """Whether the new folder may take that place.

    Args:
        names: what the model's folder holds: the same in the old folder is no stranger.
    """
    try:
        possible = bool(directory) and b"\0" not in os.fsencode(directory)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise UsageError(f"no folder can be named {directory!r}")
    if lies_within(directory, folder):
        raise UsageError(f"{directory}: the model itself lies there ({folder}), and it is never written to")
    if not os.path.lexists(directory):
        return
    if os.path.islink(directory) or not os.path.isdir(directory):
        raise UsageError(f"{directory} is no folder, and only a folder is replaced")
    if not overwrite:
        raise UsageError(f"{directory} exists already; --overwrite replaces it")
    if lies_within(folder, directory):
        raise UsageError(f"{directory}: the model that is exported lies in it ({folder})")
    try:
        there = os.listdir(directory)
        if there and saved_model.FILE_NAME not in there and saved_model.TEXT_NAME not in there:
            raise UsageError(f"{directory} holds no SavedModel, and --overwrite replaces nothing else")
        for one in _iter_below(directory):
            name = os.path.relpath(one.path, directory)
            strange = what_is(name) == STRANGER and name not in names
            if strange and not one.is_dir(follow_symlinks=False):
                raise UsageError(
                    f"{directory} also holds {name}, which is not part of a SavedModel and would be lost; "
                    "move it away first"
                )
    except OSError as error:
        raise os_error(directory, error) from error


def _iter_below(folder: str) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder, a folder before what it holds; links are not followed."""
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for one in sorted(entries, key=lambda one: one.name):
                yield one
                if one.is_dir(follow_symlinks=False):
                    pending.append(one.path)


def _walk(folder: str, cancel: threading.Event | None) -> Iterator[_Found]:
    """What the model's folder holds, a folder before what it holds; a link to a file of the folder is that file.

    Raises:
        RefusedFileError: something is neither file nor folder, or a link that leads elsewhere.
        UnsupportedError: there are too many files, or they lie too deep.
    """
    root = os.path.realpath(folder)
    try:
        for count, one in enumerate(_iter_below(folder)):
            check_cancel(cancel)
            name = os.path.relpath(one.path, folder)
            if count >= MAX_ENTRIES:
                raise UnsupportedError(f"there are more than {MAX_ENTRIES:,} files", path=folder)
            if name.count(os.sep) > MAX_DEPTH:
                raise UnsupportedError(f"this lies over {MAX_DEPTH} folders deep", path=one.path)
            if one.is_dir(follow_symlinks=False):
                yield _Found(name, one.path, True, 0)
                continue
            if one.is_symlink() and not os.path.realpath(one.path).startswith(root.rstrip(os.sep) + os.sep):
                raise RefusedFileError(
                    "this is a link that leads out of the model's folder",
                    path=one.path,
                    hint="put a copy of the file in its place",
                )
            with RandomAccessFile(one.path) as file:
                yield _Found(name, one.path, False, file.size)
    except OSError as error:
        raise os_error(folder, error) from error


def _bundle_files(bundle: Bundle) -> frozenset[str]:
    """The names, below the model's folder, of the files that are the bundle."""
    folder = os.path.dirname(saved_model.VARIABLES_PREFIX)
    paths = (bundle.index_path, *(bundle.shard_path(shard) for shard in range(bundle.num_shards)))
    return frozenset(os.path.join(folder, os.path.basename(path)) for path in paths)


def _copy(source: str, target: str, cancel: threading.Event | None, advance: Callable[[int], None]) -> None:
    with RandomAccessFile(source) as file, NewFile(target) as new:
        for start in range(0, file.size, _PIECE):
            check_cancel(cancel)
            data = file.pread(start, min(_PIECE, file.size - start))
            new.write(data)
            advance(len(data))
        if file.replaced():
            raise ModelError("the file was changed while it was copied", path=source, hint="export again")


def _bring_into_line(folder: str, new_folder: str, index: str, advance: Callable[[int], None]) -> list[str]:
    """Writes the fingerprint of the new folder; sentences about what was wrong with the old one."""
    path = os.path.join(folder, fingerprint.FILE_NAME)
    notes = []
    with RandomAccessFile(path) as file:
        data = file.read_all(fingerprint.MAX_BYTES)
    made = fingerprint.fingerprint64(index)
    if made is None:
        limit = fingerprint.MAX_HASHED >> 20
        raise UnsupportedError(f"the new index has more than {limit} MiB, and so no fingerprint can be made", path=path)
    try:
        stored = fingerprint.read_fingerprint(path).hashes["checkpoint_hash"]
        data = fingerprint.with_checkpoint_hash(data, made, path=path)
    except CorruptError as error:
        notes.append(f"the fingerprint is copied as it is, for it cannot be read: {error}")
    else:
        if stored != fingerprint.fingerprint64(os.path.join(folder, saved_model.VARIABLES_PREFIX + ".index")):
            notes.append(f"{path}: its checkpoint_hash did not match the model's variables; the export's matches")
    with NewFile(os.path.join(new_folder, fingerprint.FILE_NAME)) as new:
        new.write(data)
    advance(len(data))
    return notes


def _measure(folder: str) -> tuple[int, int]:
    """How many files lie below a folder, and their bytes."""
    sizes = [one.stat().st_size for one in _iter_below(folder) if not one.is_dir(follow_symlinks=False)]
    return len(sizes), sum(sizes)
