"""A program on a pty, and what a key press costs on it: the time to the last byte of its answer, and the bytes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from first_frame import text_drawn
from measure import Unmeasured, reap

DEADLINE_SECONDS = 60.0
_LEAVE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What was written after a key: seconds from the key to the last byte (0.0 where nothing came), and bytes."""

    seconds: float
    size: int


class Terminal:
    """One running program; `written` is everything that it has written."""

    def __init__(self, child: int, descriptor: int, command: Sequence[str]) -> None:
        self._child = child
        self._descriptor = descriptor
        self._command = " ".join(command)
        self.written = bytearray()

    def read(self, seconds: float) -> int:
        """Waits so long for bytes; how many came."""
        if not select.select([self._descriptor], [], [], max(0.0, seconds))[0]:
            return 0
        try:
            part = os.read(self._descriptor, 65536)
        except OSError:
            part = b""
        if not part:
            raise Unmeasured(f"{self._command} ended: {text_drawn(bytes(self.written))[-200:]!r}")
        self.written += part
        return len(part)

    def type(self, keys: str) -> None:
        """Writes keys."""
        os.write(self._descriptor, keys.encode())

    def until(self, label: str, *, since: int = 0) -> None:
        """Reads until `label` was drawn among what was written from byte `since` on.

        Raises:
            Unmeasured: it ended, or drew no such text within the deadline.
        """
        deadline = time.perf_counter() + DEADLINE_SECONDS
        while label not in text_drawn(b"\x1b[?1049h" + bytes(self.written[since:])):
            if time.perf_counter() > deadline:
                raise Unmeasured(f"{self._command} drew no {label!r} within {DEADLINE_SECONDS:.0f} s")
            self.read(0.1)

    def until_quiet(self, seconds: float) -> None:
        """Reads until nothing came for so long."""
        deadline = time.perf_counter() + DEADLINE_SECONDS
        while self.read(seconds):
            if time.perf_counter() > deadline:
                raise Unmeasured(f"{self._command} writes without end")

    def answer(self, keys: str, *, quiet: float, at_most: float) -> Answer:
        """Types keys; what came until nothing did for `quiet` seconds, looked at for `at_most` seconds."""
        start = time.perf_counter()
        self.type(keys)
        last, size = start, 0
        while (left := start + at_most - (now := time.perf_counter())) > 0:
            wait = quiet if size else at_most
            count = self.read(min(left, wait - (now - last) if size else wait))
            if count:
                last = time.perf_counter()
                size += count
            elif size and time.perf_counter() - last >= quiet:
                break
        return Answer(last - start if size else 0.0, size)


@contextlib.contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], *, columns: int = 80, rows: int = 24
) -> Iterator[Terminal]:
    """Starts a program on a pty of its own; ends it, and waits for it."""
    child, descriptor = pty.fork()
    if child == 0:
        try:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.execve(command[0], list(command), environment)
        finally:
            os._exit(127)
    terminal = Terminal(child, descriptor, command)
    try:
        yield terminal
    finally:
        _end(child, descriptor)


def _end(child: int, descriptor: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGTERM)
    try:
        # Read on, or a program that draws its last words would wait for us.
        deadline = time.perf_counter() + _LEAVE_SECONDS
        with contextlib.suppress(OSError):
            while (left := deadline - time.perf_counter()) > 0 and select.select([descriptor], [], [], left)[0]:
                if not os.read(descriptor, 65536):
                    break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    finally:
        os.close(descriptor)
        reap(child, _LEAVE_SECONDS)
