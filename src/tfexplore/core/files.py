"""The files of a SavedModel's folder: which belong to it, what each is, and how large."""

from __future__ import annotations

import os
import stat
import threading
from typing import NamedTuple

from tfexplore.core.natural import natural_key
from tfexplore.errors import Cancelled
from tfexplore.formats import debug_info, fingerprint, keras_metadata, saved_model
from tfexplore.formats.files import os_error

MAX_FILES = 10_000
MAX_DEPTH = 16

STRANGER = "not part of a SavedModel"
_KNOWN = {
    saved_model.FILE_NAME: "the model: graphs, signatures, objects",
    "saved_model.pbtxt": "the model in text form",
    "saved_model.cpb": "the model in chunked form",
    saved_model.VARIABLES_PREFIX + ".index": "index of the variables' values",
    fingerprint.FILE_NAME: "hashes of the model's parts",
    keras_metadata.FILE_NAME: "what Keras knows of the objects",
    debug_info.FILE_NAME: "where each node was defined",
    "assets.extra/saved_model_config.pb": "TensorFlow Serving's settings for this model",
    "assets.extra/tf_serving_warmup_requests": "requests with which TensorFlow Serving warms up",
    "assets.extra/mlmd_uuid": "the model's id in ML Metadata",
}
_FOLDERS = {
    "variables/": "in the variables folder, but not of the checkpoint",
    "assets/": "asset: a file that the graph may read",
    "assets.extra/": "extra asset: TensorFlow does not read it",
    "debug/": "debug info",
}


class File(NamedTuple):
    """One file, or a place where the listing stops.

    Attributes:
        name: relative to the SavedModel's folder.
        path: where it lies.
        what: what it is, in a few words.
        nbytes: None where nothing tells.
        problem: why it was not looked at, if so.
    """

    name: str
    path: str
    what: str
    nbytes: int | None
    problem: str = ""


def what_is(name: str) -> str:
    """What the file of that name in a SavedModel's folder is."""
    known = _KNOWN.get(name)
    if known is not None:
        return known
    if name.startswith(saved_model.VARIABLES_PREFIX + ".data-"):
        return "values of the variables"
    return next((what for folder, what in _FOLDERS.items() if name.startswith(folder)), STRANGER)


def list_files(folder: str, cancel: threading.Event | None = None) -> tuple[File, ...]:
    """Every file below a SavedModel's folder, in natural order; links to elsewhere are named, not followed.

    After `MAX_FILES` entries, and below `MAX_DEPTH` folders, a last record says where the listing stops.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """
    root = os.path.realpath(folder)
    found: list[File] = []
    pending = [("", 0)]
    seen = 0
    while pending:
        inside, depth = pending.pop()
        here = os.path.join(folder, inside)
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if cancel is not None and cancel.is_set():
                        raise Cancelled
                    seen += 1
                    if seen > MAX_FILES:
                        found.sort(key=_order)
                        problem = f"there are more than {MAX_FILES:,} entries: the rest is not listed"
                        return (*found, File(inside or "./", here, "a folder", None, problem))
                    name = inside + entry.name
                    if entry.is_dir(follow_symlinks=False) and depth < MAX_DEPTH:
                        pending.append((name + "/", depth + 1))
                    else:
                        found.append(_file(name, entry, root))
        except OSError as error:
            found.append(File(inside or "./", here, "a folder", None, os_error(here, error).what))
    return tuple(sorted(found, key=_order))


def _order(file: File) -> tuple[bool, object]:
    """What lies at the top first, strangers last."""
    return file.what == STRANGER, ("/" in file.name, natural_key(file.name))


def _file(name: str, entry: os.DirEntry[str], root: str) -> File:
    what = what_is(name)
    try:
        if entry.is_dir(follow_symlinks=False):
            return File(name + "/", entry.path, "a folder", None, f"over {MAX_DEPTH} folders deep: not listed")
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if target != root and not target.startswith(root.rstrip("/") + "/"):
                return File(name, entry.path, what, None, "a link that leads out of the folder")
            if os.path.isdir(target):
                return File(name, entry.path, what, None, "a link to another folder")
        status = entry.stat()
    except OSError as error:
        return File(name, entry.path, what, None, os_error(entry.path, error).what)
    if not stat.S_ISREG(status.st_mode):
        return File(name, entry.path, what, None, "no regular file")
    return File(name, entry.path, what, status.st_size)
