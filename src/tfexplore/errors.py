"""The whole error tree.

Every message is one sentence that says what is wrong, where (file, and offset in
it where there is one) and, where something helps, what to do.
"""

from __future__ import annotations

from typing import TypeVar

_Error = TypeVar("_Error", bound="ModelError")


class TfexploreError(Exception):
    """Base of all errors that tfexplore raises on purpose."""


class UsageError(TfexploreError):
    """The command line or a request asks for something that cannot be (exit code 2)."""


class Cancelled(TfexploreError):
    """The person, or a newer request, cancelled the work."""


class ModelError(TfexploreError):
    """A model's file cannot be read (exit code 3).

    Args:
        what: what is wrong and what was expected, without a final full stop.
        path: the file or folder, as the person would name it.
        offset: the byte in the file where it was noticed, if there is one.
        hint: what to do about it, if anything helps.
    """

    def __init__(
        self, what: str, *, path: str | None = None, offset: int | None = None, hint: str | None = None
    ) -> None:
        self.what = what
        self.path = path
        self.offset = offset
        self.hint = hint
        super().__init__(what)

    def without_traceback(self: _Error, *, hint: str | None = None) -> _Error:
        """The same error, to be stored: a traceback would keep alive what its frames hold, open files and all.

        Args:
            hint: in place of its own.
        """
        return type(self)(self.what, path=self.path, offset=self.offset, hint=hint or self.hint)

    def __str__(self) -> str:
        where = "" if self.path is None else f"{self.path or '(an empty path)'}: "
        at = "" if self.offset is None else f" at byte {self.offset:,}"
        hint = "" if self.hint is None else f"; {self.hint}"
        return f"{where}{self.what}{at}{hint}"


class NotFoundError(ModelError):
    """There is nothing at that path, or a part that the model names is missing."""


class RefusedFileError(ModelError):
    """The path is no regular file (a FIFO, a device, a socket, an endless link) or may not be read."""


class NotAModelError(ModelError):
    """The file or folder is readable but holds no model that tfexplore reads; the message says what it is."""


class CorruptError(ModelError):
    """Bytes are not what the format asks for."""


class ChecksumError(CorruptError):
    """The bytes were read but their stored checksum does not match."""


class ChangedError(ModelError):
    """The files were replaced or written to while they were read; reading them again helps."""


class UnsupportedError(ModelError):
    """The file is what it claims to be, but uses something that tfexplore does not read."""


class RuntimeFailed(TfexploreError):
    """TensorFlow could not be started, failed, died or timed out (exit code 4).

    Args:
        what: one sentence without a final full stop.
        kind: what happened, in a word that programs compare.
        hint: what to do about it, if anything helps.
        detail: what belongs to the kind: `op`, `package`, `path`, `node`, `tensor`.
        last_words: the end of what the child wrote to standard error.
    """

    def __init__(
        self,
        what: str,
        *,
        kind: str,
        hint: str | None = None,
        detail: dict[str, object] | None = None,
        last_words: str = "",
    ) -> None:
        self.what = what
        self.kind = kind
        self.hint = hint
        self.detail = detail or {}
        self.last_words = last_words
        super().__init__(what)

    def __str__(self) -> str:
        return self.what if self.hint is None else f"{self.what}; {self.hint}"


class TensorFlowMissing(RuntimeFailed):
    """The interpreter is not there, or has no TensorFlow that can be imported."""


class SandboxMissing(RuntimeFailed):
    """The sandbox was asked for and cannot be had."""


class ChildDied(RuntimeFailed):
    """The process that runs TensorFlow ended by itself, by a signal, or because it broke the protocol."""


class TimedOut(RuntimeFailed):
    """It took longer than was allowed, and was stopped."""


class RunFailed(RuntimeFailed):
    """TensorFlow answered with an error: the model cannot be loaded, or not called so."""
