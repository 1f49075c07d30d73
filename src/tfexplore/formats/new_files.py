"""Files that are written: each under a name that nothing has yet, and on the disk before it counts."""

from __future__ import annotations

import os
from typing import Any

from tfexplore.errors import UsageError


def write_error(path: str, error: OSError) -> UsageError:
    """The error of ours that says why the operating system does not write `path`."""
    reason = (error.strerror or type(error).__name__).lower()
    return UsageError(f"{path}: cannot be written ({reason})")


class NewFile:
    """A file that is being written; nothing may be there under its name.

    Raises:
        UsageError: it cannot be made; `write` and `close` raise it where the disk is full.
    """

    __slots__ = ("_fd", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise write_error(path, error) from error

    def write(self, data: Any) -> None:
        """Appends bytes, or a contiguous array of bytes, all of them."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise write_error(self.path, error) from error

    def close(self) -> None:
        """Brings the file to the disk and closes it."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise write_error(self.path, error) from error

    def __enter__(self) -> NewFile:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        elif self._fd >= 0:  # what was written is thrown away
            os.close(self._fd)
            self._fd = -1


def sync_folder(path: str) -> None:
    """Brings the names in a folder to the disk.

    Raises:
        UsageError: the operating system cannot.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise write_error(path, error) from error
