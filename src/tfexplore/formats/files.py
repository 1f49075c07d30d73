"""Regular files, read by position; the only place that opens a model's file.

Files are never memory-mapped: a file that its writer cuts short would turn a read
into SIGBUS. Every read is checked against the size that the file had when opened.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time

from tfexplore.errors import Cancelled, CorruptError, ModelError, NotFoundError, RefusedFileError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def os_error(path: str, error: OSError) -> ModelError:
    """The error of ours that says what the operating system said about `path`."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFoundError("there is no such file", path=path)
    if error.errno == errno.ELOOP:
        return RefusedFileError("the link leads to itself", path=path)
    if error.errno == errno.EACCES:
        return RefusedFileError("reading it is not permitted", path=path)
    reason = (error.strerror or type(error).__name__).lower()
    return ModelError(f"cannot be read ({reason})", path=path)


class RandomAccessFile:
    """A regular file opened for reading at any place, by any number of threads.

    Raises:
        NotFoundError: there is no such file.
        RefusedFileError: it is not a regular file, or may not be read.
    """

    __slots__ = ("_changed_at", "_closing", "_fd", "_lock", "_readers", "path", "size")

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._lock = threading.Lock()
        self._readers = 0
        self._closing = False
        try:
            # O_NONBLOCK: opening a FIFO that nobody writes to must not wait.
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except UnicodeEncodeError as error:
            raise NotFoundError("there is no such file: no name has such a character", path=path) from error
        except ValueError as error:
            raise RefusedFileError("the path holds a NUL byte", path=path) from error
        except OSError as error:
            raise os_error(path, error) from error
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            kind = next((name for test, name in _KINDS if test(status.st_mode)), "no regular file")
            raise RefusedFileError(f"this is {kind}, expected a regular file", path=path)
        self._fd = fd
        self.size = status.st_size
        self._changed_at = status.st_mtime_ns

    def _begin_reading(self) -> int:
        """The descriptor, which is not closed until `_end_reading`: another file could get its number."""
        with self._lock:
            if self._closing:
                raise Cancelled("the file was closed")
            self._readers += 1
            return self._fd

    def _end_reading(self) -> None:
        with self._lock:
            self._readers -= 1
            if self._closing:
                self._close()

    def pread(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes at `offset`.

        Raises:
            CorruptError: the range does not lie within the file, or the file became shorter.
            ModelError: the operating system cannot read it.
            Cancelled: the file was closed.
        """
        if offset < 0 or length < 0 or offset + length > self.size:
            raise CorruptError(
                f"{length:,} bytes were expected there but the file has {self.size:,} bytes in all",
                path=self.path,
                offset=offset,
            )
        fd = self._begin_reading()
        try:
            data = os.pread(fd, length, offset)
            if len(data) < length:
                parts = [data]
                got = len(data)
                while got < length:
                    more = os.pread(fd, length - got, offset + got)
                    if not more:
                        raise CorruptError("the file became shorter while it was read", path=self.path, offset=offset)
                    parts.append(more)
                    got += len(more)
                data = b"".join(parts)
        except OSError as error:
            raise os_error(self.path, error) from error
        finally:
            self._end_reading()
        return data

    def readinto(self, offset: int, target: memoryview) -> None:
        """Fills `target` with the bytes at `offset`, without a copy.

        Raises:
            CorruptError: the range does not lie within the file, or the file became shorter.
            ModelError: the operating system cannot read it.
            Cancelled: the file was closed.
        """
        length = len(target)
        if offset < 0 or offset + length > self.size:
            raise CorruptError(
                f"{length:,} bytes were expected there but the file has {self.size:,} bytes in all",
                path=self.path,
                offset=offset,
            )
        done = 0
        fd = self._begin_reading()
        try:
            while done < length:
                got = os.preadv(fd, [target[done:]], offset + done)
                if not got:
                    raise CorruptError("the file became shorter while it was read", path=self.path, offset=offset)
                done += got
        except OSError as error:
            raise os_error(self.path, error) from error
        finally:
            self._end_reading()

    def read_all(self, limit: int) -> bytes:
        """The whole file, where it has at most `limit` bytes.

        Raises:
            CorruptError: the file is larger than `limit`.
        """
        if self.size > limit:
            raise CorruptError(
                f"the file has {self.size:,} bytes, more than the {limit:,} that such a file may have", path=self.path
            )
        return self.pread(0, self.size)

    def replaced(self) -> bool:
        """Whether the path now names another file, or none, or this one was written to since it was opened."""
        try:
            fd = self._begin_reading()
        except Cancelled:
            return True
        try:
            now, then = os.stat(self.path), os.fstat(fd)
        except OSError:
            return True
        finally:
            self._end_reading()
        same = (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino)
        return not same or (then.st_size, then.st_mtime_ns) != (self.size, self._changed_at)

    @property
    def age(self) -> float:
        """Seconds since the last write that lies before the opening."""
        return time.time() - self._changed_at / 1e9

    def close(self) -> None:
        """Closes the file, or lets the last read that is going on do so; a second call does nothing."""
        with self._lock:
            self._closing = True
            self._close()

    def _close(self) -> None:
        if self._fd >= 0 and not self._readers:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> RandomAccessFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def size_of(path: str) -> int:
    """The bytes of a file; 0 where nobody can tell."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
