"""What lies beside `saved_model.pb`: fingerprint, Keras metadata, debug info, each read on first need."""

from __future__ import annotations

import os
import threading
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.errors import ModelError, NotFoundError
from tfexplore.formats.saved_model import FILE_NAME, VARIABLES_PREFIX

if TYPE_CHECKING:
    from tfexplore.formats.debug_info import DebugInfo, Frame
    from tfexplore.formats.fingerprint import Fingerprint
    from tfexplore.formats.keras_metadata import KerasMetadata, KerasObject


class Check(NamedTuple):
    """A hash of a fingerprint, held against the file that it is the hash of.

    Attributes:
        matches: None where it was not compared.
        why: why it was not, in a few words.
    """

    matches: bool | None
    why: str = ""


class Sidecars:
    """The files beside one `saved_model.pb`.

    Args:
        folder: the SavedModel's folder; None where there is none, and so nothing beside.
        embedded: a serialized GraphDebugInfo that the graph itself keeps, or nothing.
        path: the file that holds the graph, for errors about `embedded`.
    """

    def __init__(self, folder: str | None, embedded: bytes = b"", *, path: str = "") -> None:
        self.folder = folder
        self._embedded = embedded
        self._path = path
        self._lock = threading.Lock()
        self._debug_info: tuple[DebugInfo | None, tuple[str, ...]] | None = None
        self._keras: KerasMetadata | None = None

    def _file(self, name: str) -> str | None:
        return None if self.folder is None else os.path.join(self.folder, name)

    # -- fingerprint --

    @cached_property
    def _read_fingerprint(self) -> tuple[Fingerprint | None, str]:
        from tfexplore.formats import fingerprint

        path = self._file(fingerprint.FILE_NAME)
        if path is None or not os.path.lexists(path):
            return None, ""
        try:
            return fingerprint.read_fingerprint(path), ""
        except ModelError as error:
            return None, str(error)

    @property
    def fingerprint(self) -> Fingerprint | None:
        """What `fingerprint.pb` says; None where there is none, or it cannot be read (see `fingerprint_problem`)."""
        return self._read_fingerprint[0]

    @property
    def fingerprint_problem(self) -> str:
        """Why `fingerprint.pb` cannot be read; empty where it can, or is not there."""
        return self._read_fingerprint[1]

    @cached_property
    def checkpoint_check(self) -> Check:
        """Whether `checkpoint_hash` is the hash of `variables.index`."""
        found = self.fingerprint
        stored = found.hashes["checkpoint_hash"] if found is not None else 0
        path = self._file(VARIABLES_PREFIX + ".index")
        if not stored and (path is None or not os.path.lexists(path)):
            return Check(None, "the model has no variables")
        return self._check(path, stored)

    @cached_property
    def saved_model_check(self) -> Check:
        """Whether `saved_model_checksum` is the hash of `saved_model.pb`: so it is in fingerprints of version 1."""
        found = self.fingerprint
        stored = found.hashes["saved_model_checksum"] if found is not None else 0
        check = self._check(self._file(FILE_NAME), stored)
        if found is not None and found.producer > 1 and check.matches is False:
            return Check(None, f"version {found.producer} does not hash the file as it is")
        return check

    def _check(self, path: str | None, stored: int) -> Check:
        from tfexplore.formats import fingerprint

        if path is None or not stored:
            return Check(None, "no hash is stored")
        try:
            made = fingerprint.fingerprint64(path)
        except NotFoundError:
            return Check(None, f"{os.path.basename(path)} is missing")
        except ModelError as error:
            return Check(None, str(error))
        if made is None:
            return Check(None, f"the file is larger than {fingerprint.MAX_HASHED >> 20} MiB")
        return Check(made == stored)

    # -- Keras --

    def keras(self, cancel: threading.Event | None = None) -> KerasMetadata:
        """What `keras_metadata.pb` says; nothing where there is none.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        with self._lock:
            if self._keras is None:
                self._keras = self._read_keras(cancel)
            return self._keras

    def _read_keras(self, cancel: threading.Event | None) -> KerasMetadata:
        from tfexplore.formats import keras_metadata

        path = self._file(keras_metadata.FILE_NAME)
        if path is None or not os.path.lexists(path):
            return keras_metadata.KerasMetadata((), ())
        try:
            return keras_metadata.read_keras_metadata(path, cancel)
        except ModelError as error:
            return keras_metadata.KerasMetadata((), (str(error),))

    @cached_property
    def _keras_by_id(self) -> dict[int, KerasObject]:
        return {found.node_id: found for found in self.keras().objects}

    def keras_object(self, node_id: int, cancel: threading.Event | None = None) -> KerasObject | None:
        """What Keras knows of the object with that id, if anything; raises as `keras`."""
        self.keras(cancel)
        return self._keras_by_id.get(node_id)

    # -- debug info --

    def debug_info(self, cancel: threading.Event | None = None) -> tuple[DebugInfo | None, tuple[str, ...]]:
        """Where stacks can be read, None where no debug info is stored; and what of it cannot be read.

        Raises:
            Cancelled: `cancel` was set meanwhile.
        """
        with self._lock:
            if self._debug_info is None:
                self._debug_info = self._find_debug_info(cancel)
            return self._debug_info

    def _find_debug_info(self, cancel: threading.Event | None) -> tuple[DebugInfo | None, tuple[str, ...]]:
        from tfexplore.formats import debug_info
        from tfexplore.formats.fields import Bytes
        from tfexplore.formats.files import RandomAccessFile

        if self._embedded:
            found = debug_info.DebugInfo(Bytes(self._path, self._embedded), cancel)
            return found, found.damaged
        path = self._file(debug_info.FILE_NAME)
        if path is None or not os.path.lexists(path):
            return None, ()
        try:
            with RandomAccessFile(path) as file:
                found = debug_info.DebugInfo(file, cancel)
        except ModelError as error:
            return None, (str(error),)
        return found, found.damaged

    def defined_at(
        self, node: str, function: str | None, cancel: threading.Event | None = None
    ) -> tuple[Frame, ...] | None:
        """The stack under which a node of the main graph (`function` is None) or of a function was made.

        Returns:
            Outermost frame first; None where none is stored.

        Raises:
            ModelError: the file is gone or became shorter.
            Cancelled: `cancel` was set meanwhile.
        """
        from tfexplore.core import text
        from tfexplore.formats.fields import Bytes
        from tfexplore.formats.files import RandomAccessFile

        info, _ = self.debug_info(cancel)
        if info is None:
            return None
        names = [f"{node}@{function}"] if function is not None else [node, f"{node}@"]
        keys = [text.encode(name) for name in names]
        if self._embedded:
            source = Bytes(self._path, self._embedded)
            stacks = [info.trace(source, key, cancel) for key in keys]
        else:
            with RandomAccessFile(info.path) as file:
                stacks = [info.trace(file, key, cancel) for key in keys]
        return next((stack for stack in stacks if stack is not None), None)
