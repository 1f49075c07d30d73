"""Finds the models below a folder, and tells which of them a command means.

Names are looked at first; a file is opened only to tell a graph or a checkpoint from other files of such a name.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tfexplore.core import text
from tfexplore.core.guess import guess_kind
from tfexplore.core.model import CHECKPOINT, COLLECTION, SAVED_MODEL, TRAINING_DIRECTORY, Model
from tfexplore.core.natural import natural_key
from tfexplore.errors import Cancelled, ModelError
from tfexplore.formats.checkpoint_state import STATE_FILE
from tfexplore.formats.files import RandomAccessFile, os_error
from tfexplore.formats.table import is_table

DEPTH = 4
MAX_ENTRIES = 100_000
MAX_IN_FOLDER = 20_000

_SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")
_OF_SAVED_MODEL = frozenset((*_SAVED_MODEL_FILES, "fingerprint.pb", "keras_metadata.pb"))
# What lies in these belongs to the SavedModel.
_PARTS = frozenset(("variables", "assets", "assets.extra", "debug"))
_SKIPPED = frozenset(("venv", "node_modules", "__pycache__", "site-packages"))
_DATA = re.compile(r"\.data-\d{5}-of-\d{5}$")
_RUNNING_SAVE = re.compile(r"_temp_[0-9a-f]{32}|\.tempstate[0-9]")
_VERSION = re.compile(r"[0-9]{1,18}")
# The system's own folders: no files on a disk.
_SYSTEM = frozenset(("/dev", "/proc", "/sys"))
_BATCH_SECONDS = 0.1
_LISTED = 5

Progress = Callable[[str], None]
OnFound = Callable[[list["Found"]], None]


class Found(NamedTuple):
    """A model that was found, as its names tell; nothing of it has been read.

    Attributes:
        path: within the folder that was searched; `.` for that folder itself.
        kind: as `Model.kind`.
        nbytes: of its files together (those of all checkpoints for a training directory).
        modified: seconds since 1970, of its newest file; None where nobody knows.
        version: of a SavedModel in a folder whose name is a number, as a serving base directory has.
    """

    path: str
    kind: str
    nbytes: int
    modified: float | None
    version: int | None = None


Entries = dict[str, "os.DirEntry[str]"]


class Search:
    """A search for models below a folder; iterate over it, or over its `batches`.

    Folders come in natural order, except that those with a number for a name (versions) come first and the
    largest leads. Hidden folders, environments and the parts of a SavedModel are left out. A link to a folder
    is followed only where it stays inside and its target would not be found under its own name.

    Attributes:
        folders, entries: how many have been looked at.
        notes: sentences about what was left out.

    Raises (while it goes on):
        ModelError: the folder itself cannot be listed.
        Cancelled: `cancel` was set.
    """

    def __init__(
        self,
        folder: str,
        *,
        depth: int = DEPTH,
        cancel: threading.Event | None = None,
        progress: Progress | None = None,
        max_entries: int = MAX_ENTRIES,
        max_in_folder: int = MAX_IN_FOLDER,
    ) -> None:
        self.folder = folder
        self.folders = self.entries = self.found = 0
        self._depth = depth
        self._cancel = cancel
        self._progress = progress or (lambda _: None)
        self._max_entries, self._max_in_folder = max_entries, max_in_folder
        self._root = os.path.realpath(folder)
        self._followed: set[str] = set()
        self._refused: list[str] = []
        self._cut: list[str] = []
        self._ended_at: str | None = None

    def __iter__(self) -> Iterator[Found]:
        for batch in self.batches():
            yield from batch

    @property
    def notes(self) -> list[str]:
        """See the class."""
        found = []
        if self._ended_at is not None:
            found.append(
                f"the search ended after {self.entries:,} entries, in {self._ended_at}: "
                "models further on are not listed; open a folder further down"
            )
        if self._cut:
            found.append(f"only the first {self._max_in_folder:,} entries were looked at in {_some(self._cut)}")
        if self._refused:
            found.append(f"{text.plural(len(self._refused), 'folder')} cannot be listed: {_some(self._refused)}")
        return found

    def batches(self, seconds: float = _BATCH_SECONDS) -> Iterator[list[Found]]:
        """What is found, in lists that are handed out every `seconds`; see the class for errors."""
        batch: list[Found] = []
        due = time.monotonic() + seconds
        pending = [("", 0)]
        while pending and self._ended_at is None:
            relative, level = pending.pop()
            entries = self._list(relative)
            if entries is None:
                continue
            here, is_saved_model = self._models(relative, entries)
            self.found += len(here)
            batch += here
            if level < self._depth:
                below = self._below(relative, entries, is_saved_model)
                pending.extend((path, level + 1) for path in reversed(below))
            if time.monotonic() >= due:
                self._progress(f"looking for models: {text.count(self.found)} in {text.plural(self.folders, 'folder')}")
                if batch:
                    yield batch
                    batch = []
                due = time.monotonic() + seconds
        if batch:
            yield batch

    # -- one folder --

    def _check(self) -> None:
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled

    def _path(self, relative: str) -> str:
        return os.path.join(self.folder, relative) if relative else self.folder

    def _list(self, relative: str) -> Entries | None:
        """The entries of a folder by name, as far as the bounds allow; None where it is not to be looked at."""
        self._check()
        found: Entries = {}
        try:
            with os.scandir(self._path(relative)) as entries:
                for entry in entries:
                    if len(found) == self._max_in_folder:
                        self._cut.append(relative or ".")
                        break
                    if self.entries == self._max_entries:
                        self._ended_at = relative or "."
                        break
                    self.entries += 1
                    found[entry.name] = entry
                    if not len(found) % 1000:
                        self._check()
        except OSError as error:
            if not relative:
                raise os_error(self.folder, error) from error
            self._refused.append(relative)
            return None
        self.folders += 1
        return None if relative and "pyvenv.cfg" in found else found

    def _below(self, relative: str, entries: Entries, is_saved_model: bool) -> list[str]:
        """The folders below that are to be looked into, in order."""
        names = [name for name in entries if not _left_out(name) and not (is_saved_model and name in _PARTS)]
        names.sort(key=lambda name: (0, -int(name), name) if _VERSION.fullmatch(name) else (1, natural_key(name)))
        # In order: of two links to one folder the first is followed.
        names = [
            name
            for name in names
            if self._leads_on(entries[name]) and os.path.join(self._root, relative, name) not in _SYSTEM
        ]
        return [os.path.join(relative, name) for name in names]

    def _leads_on(self, entry: os.DirEntry[str]) -> bool:
        try:
            if entry.is_dir(follow_symlinks=False):
                return True
            if not entry.is_symlink() or not entry.is_dir():
                return False
            target = os.path.realpath(entry.path)
        except OSError:
            return False
        inside = os.path.relpath(target, self._root).split(os.sep)
        if inside[0] in (os.pardir, os.curdir) or target in self._followed:
            return False
        if len(inside) <= self._depth and not any(map(_left_out, inside)):
            return False
        self._followed.add(target)
        return True

    def _models(self, relative: str, entries: Entries) -> tuple[list[Found], bool]:
        """The models that lie in a folder itself, and whether it is a SavedModel."""
        found = []
        main = next((name for name in _SAVED_MODEL_FILES if name in entries and _is_file(entries[name])), None)
        if main is not None:
            name = os.path.basename(relative)
            version = int(name) if _VERSION.fullmatch(name) else None
            parts = [entries[main], *self._parts_of_variables(relative, entries)]
            found.append(Found(relative or ".", SAVED_MODEL, *_measure(parts), version))
        checkpoints = self._checkpoints(entries)
        state = STATE_FILE in entries and _is_state_file(entries[STATE_FILE])
        if state or len(checkpoints) > 1 or "" in checkpoints:
            parts = [entry for files in checkpoints.values() for entry in files]
            measured = _measure(parts or [entries[STATE_FILE]])
            found.append(Found(relative or ".", TRAINING_DIRECTORY, *measured))
        else:
            found += [
                Found(os.path.join(relative, prefix), CHECKPOINT, *_measure(files))
                for prefix, files in checkpoints.items()
            ]
        for name in sorted(entries, key=natural_key):
            # What a checkpoint's MetaGraph shows, its checkpoint needs: they are one thing to choose.
            if name in _OF_SAVED_MODEL or name.startswith(".") or name.removesuffix(".meta") in checkpoints:
                continue
            self._check()
            entry = entries[name]
            kind = guess_kind(entry.path, name) if _is_file(entry) else None
            if kind is not None and not (kind == CHECKPOINT and state):
                found.append(Found(os.path.join(relative, name), kind, *_measure([entry])))
        return found, main is not None

    def _parts_of_variables(self, relative: str, entries: Entries) -> list[os.DirEntry[str]]:
        if "variables" not in entries:
            return []
        try:
            with os.scandir(os.path.join(self._path(relative), "variables")) as parts:
                found = [part for part, _ in zip(parts, range(self._max_in_folder), strict=False)]
        except OSError:
            return []
        self.entries = min(self._max_entries, self.entries + len(found))
        return found

    @staticmethod
    def _checkpoints(entries: Entries) -> dict[str, list[os.DirEntry[str]]]:
        """The files of each V2 checkpoint by prefix, in natural order."""
        data: dict[str, list[os.DirEntry[str]]] = {}
        for name, entry in entries.items():
            shard = _DATA.search(name)
            if shard is not None:
                data.setdefault(name[: shard.start()], []).append(entry)
        found = {}
        for name in sorted(entries, key=natural_key):
            prefix = name.removesuffix(".index")
            if prefix == name or _RUNNING_SAVE.search(name) or not _is_file(entries[name]):
                continue
            # With its data beside it even a damaged index is one.
            if prefix in data or _is_index(entries[name].path):
                found[prefix] = [entries[name], *data.get(prefix, ())]
        return found


def find_models(
    folder: str,
    *,
    depth: int = DEPTH,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
) -> Search:
    """The models in a folder and in those below it, `depth` levels down; see `Search` for order and errors."""
    return Search(folder, depth=depth, cancel=cancel, progress=progress)


def open_collection(
    folder: str,
    *,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
    on_found: OnFound | None = None,
) -> Model:
    """A folder as the list of the models below it, which may be empty.

    Args:
        on_found: told what is found while the search goes on.

    Raises:
        ModelError: the folder cannot be listed.
        Cancelled: `cancel` was set.
    """
    search = find_models(folder, cancel=cancel, progress=progress)
    found: list[Found] = []
    for batch in search.batches():
        found += batch
        if on_found is not None:
            on_found(batch)
    return Model(folder, COLLECTION, found=found, notes=search.notes)


def _left_out(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED or _RUNNING_SAVE.search(name) is not None


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def _measure(entries: Sequence[os.DirEntry[str]]) -> tuple[int, float | None]:
    """Bytes of some files together, and when the newest was changed."""
    total, newest = 0, None
    for entry in entries:
        try:
            if not entry.is_file():
                continue
            status = entry.stat()
        except OSError:
            continue
        total += status.st_size
        newest = status.st_mtime if newest is None else max(newest, status.st_mtime)
    return total, newest


def _is_index(path: str) -> bool:
    try:
        with RandomAccessFile(path) as file:
            return is_table(file)
    except ModelError:
        return False


def _is_state_file(entry: os.DirEntry[str]) -> bool:
    try:
        with RandomAccessFile(entry.path) as file:
            return b"model_checkpoint_path" in file.pread(0, min(file.size, 4096))
    except ModelError:
        return False


def _some(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")


# -- choosing --


class Choice(NamedTuple):
    """The model of a folder that a command takes, and the sentence that says so."""

    path: str
    sentence: str


def base_of_versions(found: Sequence[Found]) -> str | None:
    """The serving base directory whose versions these are; None where they are not all versions of one."""
    bases = {os.path.dirname(each.path) if each.version is not None else None for each in found}
    base = bases.pop() if len(bases) == 1 else None
    return None if base is None else base or "."


def choose(model: Model) -> Choice | None:
    """The newest version of a serving base directory, or the only model below a folder; None where there are more."""
    found = model.found
    if not found:
        return None
    newest = found[0]
    path = os.path.normpath(os.path.join(model.path, newest.path))
    if len(found) == 1:
        return Choice(path, f"showing the only model below {model.path}: {path}")
    if base_of_versions(found) is None:
        return None
    newest = max(found, key=lambda each: each.version or 0)
    path = os.path.normpath(os.path.join(model.path, newest.path))
    versions = sorted({each.version or 0 for each in found})
    listed = ", ".join(map(str, versions[-_LISTED:]))
    listed = listed if len(versions) <= _LISTED else f"… {listed}"
    return Choice(path, f"showing version {newest.version}, the newest of {len(found):,} ({listed}): {path}")


def several(model: Model) -> str:
    """That a folder holds more than one model, and which."""
    names = [each.path for each in model.found]
    if not names:
        return f"{model.path}: no model lies here or up to {DEPTH} levels below"
    return f"{model.path}: {text.plural(len(names), 'model')} lie here, name one of them: {_some(names)}"
