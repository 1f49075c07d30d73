"""A folder that appears under its name as a whole or not at all.

It is written beside its place, as `.NAME.tfexplore-…`, and takes it in this order:

1. each file is synced when it is closed, then the folders, deepest first, then the folder that will hold the new one;
2. nothing there: one rename, which fails where something has come meanwhile. A folder there that may be replaced: the
   two exchange their names in one step (Linux: renameat2 with RENAME_EXCHANGE). Where the file system cannot do that,
   the old one is renamed to `.NAME.tfexplore-…-old`, then the new one takes its name;
3. the folder that holds it is synced, and only then the old one is removed.

Killed at any moment, what was there is whole under its own name or the new one is; in the short while between the two
renames of a file system that cannot exchange, the old one is whole as `.NAME.tfexplore-…-old`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil

from tfexplore.errors import UsageError
from tfexplore.formats.files import os_error
from tfexplore.formats.new_files import sync_folder, write_error

_MARK = ".tfexplore-"
_OLD = "-old"
_MAX_NAME = 200  # bytes, of the 255 that a name may have
_AT_FDCWD = -100
_NOREPLACE, _EXCHANGE = 1, 2
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


class NewFolder:
    """A folder that is being written; as a context manager it removes what was not committed.

    Args:
        target: its name once it is complete; the folders above it are made where they are missing.

    Raises:
        UsageError: it cannot be made.

    Attributes:
        path: where it is written.
        left_behind: what a killed writer of the same target left beside it.
    """

    def __init__(self, target: str) -> None:
        self._named = target
        self.target = os.path.abspath(target)
        self._parent, self._name = os.path.split(self.target)
        self._made: list[str] = []
        self._done = False
        start = f".{os.fsdecode(os.fsencode(self._name)[:_MAX_NAME])}{_MARK}"
        self.path = os.path.join(self._parent, start + secrets.token_hex(4))
        self._folders = [self.path]
        self._lock = -1
        try:
            self._make_parents()
            beside = [os.path.join(self._parent, name) for name in os.listdir(self._parent) if name.startswith(start)]
            self.left_behind = sorted(path for path in beside if not _is_locked(path))
            os.mkdir(self.path)
        except OSError as error:
            self._remove_parents()
            raise write_error(target, error) from error
        with contextlib.suppress(OSError):  # some file systems have no locks: others take this folder for a left one
            self._lock = _lock(self.path)

    def _make_parents(self) -> None:
        missing = []
        folder = self._parent
        while not os.path.lexists(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        for folder in reversed(missing):
            os.mkdir(folder)
            self._made.append(folder)

    def _remove_parents(self) -> None:
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def add_folder(self, name: str) -> None:
        """Makes a folder in it.

        Raises:
            UsageError: it cannot be made.
        """
        path = os.path.join(self.path, name)
        try:
            os.mkdir(path)
        except OSError as error:
            raise write_error(path, error) from error
        self._folders.append(path)

    def commit(self, *, overwrite: bool) -> str | None:
        """Gives it its name, see the module's docstring.

        Returns:
            Where the folder that it took the place of still lies, for it could not be removed; else None.

        Raises:
            UsageError: something is there that may not be replaced, or the operating system refuses.
        """
        for folder in reversed(self._folders):
            sync_folder(folder)
        for folder in (*reversed(self._made), os.path.dirname(self._made[0]) if self._made else self._parent):
            sync_folder(folder)
        try:
            old = self._take_place(overwrite)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                raise UsageError(f"{self._named} exists already; --overwrite replaces it") from error
            raise write_error(self._named, error) from error
        self._done = True
        # From here on the new folder counts, whatever happens to the rest.
        with contextlib.suppress(UsageError):
            sync_folder(self._parent)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
            if os.path.lexists(old):
                return old
        return None

    def _take_place(self, overwrite: bool) -> str | None:
        """Renames; where the old folder lies now."""
        if not os.path.lexists(self.target) or not overwrite:
            if not _rename(self.path, self.target, _NOREPLACE):
                if os.path.lexists(self.target):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
                os.rename(self.path, self.target)
            return None
        if _rename(self.path, self.target, _EXCHANGE):
            return self.path
        old = self.path + _OLD
        os.rename(self.target, old)
        try:
            os.rename(self.path, self.target)
        except BaseException:
            os.rename(old, self.target)
            raise
        return old

    def __enter__(self) -> NewFolder:
        return self

    def __exit__(self, kind: object, error: object, *_: object) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        if self._done:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        self._remove_parents()
        if isinstance(error, UsageError) and self.path in str(error):
            # The person knows the folder by the name that it was to have.
            raise UsageError(str(error).replace(self.path, self._named)) from error


def _lock(path: str) -> int:
    """Marks a folder as being written, as long as the descriptor is open: a killed process leaves no lock.

    Raises:
        OSError: it cannot, or another has done so.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _is_locked(path: str) -> bool:
    try:
        os.close(_lock(path))
    except OSError:
        return True
    return False


def _rename(source: str, target: str, flags: int) -> bool:
    """renameat2; False where the system or the file system has no such thing.

    Raises:
        OSError: it failed.
    """
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if call(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), ctypes.c_uint(flags)) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_SUPPORTED:
        return False
    raise OSError(code, os.strerror(code))


def check_can_be_made(target: str) -> None:
    """Whether a folder of that name could be made, as far as can be told without making it.

    Raises:
        UsageError: it could not, and why.
    """
    above = os.path.dirname(os.path.abspath(target))
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        raise UsageError(f"{target}: cannot be written ({above} is no folder)")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"{target}: cannot be written (nothing can be made in {above})")


def lies_within(path: str, folder: str) -> bool:
    """Whether `path`, which need not be there, is a folder or lies below it, under whatever name.

    Raises:
        ModelError: `folder` cannot be looked at.
    """
    try:
        wanted = os.stat(folder)
    except OSError as error:
        raise os_error(folder, error) from error
    here = os.path.realpath(path)
    while True:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(here), wanted):
                return True
        above = os.path.dirname(here)
        if above == here:
            return False
        here = above
