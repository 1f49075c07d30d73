"""A terminal for the tests of the guard: a pty, the shell stand-in on it, and what was written to it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent
SOURCE = TESTS.parent / "src"
DEADLINE = 20.0

SEQUENCE = re.compile(rb"\x1b(?:\[([?<>=]?)([\d;]*)([$ ]?)([@-~])|([78])|\].*?(?:\x07|\x1b\\))", re.DOTALL)
AT_FIRST = {7, 25}  # autowrap, cursor shown


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONUNBUFFERED", "NO_COLOR")}
    return {**kept, "PYTHONPATH": str(SOURCE), "TERM": "xterm-256color", **more}


class Modes:
    """What the bytes written to a terminal have turned on."""

    def __init__(self) -> None:
        self.on = set(AT_FIRST)
        self.keyboard = {"main": 0, "alternate": 0}
        self.cursor_jumps = 0  # 1049 left without having been entered, and no cursor saved
        self.questions: list[int] = []
        self._saved = False
        self._rest = b""

    def feed(self, data: bytes) -> None:
        data = self._rest + data
        end = 0
        for match in SEQUENCE.finditer(data):
            end = match.end()
            private, numbers, between, final, short = match.groups()
            if short:
                self._saved = short == b"7"
            elif private == b"?" and between == b"$" and final == b"p":
                self.questions.append(int(numbers))
            elif private == b"?" and final in b"hl":
                for mode in map(int, numbers.split(b";")):
                    self._set(mode, final == b"h")
            elif private in (b"<", b">") and final == b"u":
                screen = "alternate" if 1049 in self.on else "main"
                # A pop from an empty stack does nothing.
                self.keyboard[screen] = max(0, self.keyboard[screen] + (1 if private == b">" else -1))
        self._rest = data[max(end, data.rfind(b"\x1b")) :] if b"\x1b" in data[end:] else b""

    def _set(self, mode: int, on: bool) -> None:
        if mode == 1049 and not on and 1049 not in self.on:
            self.cursor_jumps += not self._saved
        (self.on.add if on else self.on.discard)(mode)

    @property
    def clean(self) -> bool:
        return self.on == AT_FIRST and self.keyboard == {"main": 0, "alternate": 0} and not self.cursor_jumps

    def __repr__(self) -> str:
        return f"Modes({self.on=}, {self.keyboard=}, {self.cursor_jumps=})"


class Session:
    """A terminal, the shell stand-in on it, and its one job: `guard_screens.py NAME`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modes = Modes()
        self.output = b""
        self.changes: list[dict[str, int]] = []
        self.gone = True  # no process has the job's pipe
        self.deaf = False  # reads nothing from the terminal
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        # Not the state that any program would choose for itself.
        attributes = termios.tcgetattr(self.slave)
        attributes[0] |= termios.IXANY
        attributes[3] &= ~termios.ECHOK
        attributes[6][termios.VINTR] = b"\x07"
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)
        self.before = termios.tcgetattr(self.slave)

    def start(self, *command: str, **more: str) -> None:
        self._control, control = socket.socketpair()
        self._alive, alive = os.pipe()
        self.gone = False
        self.job = 0
        self.shell = subprocess.Popen(
            [
                *(sys.executable, "-S", str(TESTS / "guard_shell.py")),
                *(str(control.fileno()), str(alive), os.ttyname(self.slave)),
                *command,
            ],
            pass_fds=(control.fileno(), alive),
            start_new_session=True,
            env=environment(**{"XDG_STATE_HOME": str(self.folder / "state"), **more}),
        )
        control.close()
        os.close(alive)
        self._lines = b""
        self.job = self.next_change()["job"]

    def open(self, screen: str, *, shown: bytes = rb"pid=(\d+);", **more: str) -> int:
        """Starts a screen, waits until it shows its process id; that id."""
        self.start(sys.executable, str(TESTS / "guard_screens.py"), screen, **more)
        return int(self.until_shown(shown)[1])

    def until(self, happened: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + DEADLINE
        while not (result := happened()):
            left = deadline - time.monotonic()
            assert left > 0, f"{self.modes}, {self.changes}, {self.output[-3000:]!r}"
            self._pump(min(left, 0.05))  # some conditions are not seen on a descriptor
        return result

    def _pump(self, timeout: float) -> None:
        wanted = [self._control] + ([] if self.deaf else [self.master]) + ([] if self.gone else [self._alive])
        ready = select.select(wanted, [], [], timeout)[0]
        if self._control in ready:
            self._lines += self._control.recv(4096)
            *lines, self._lines = self._lines.split(b"\n")
            self.changes += map(json.loads, lines)
        if self._alive in ready:
            self.gone = True
        if self.master in ready:
            data = os.read(self.master, 65536)
            self.output += data
            self.modes.feed(data)
            for mode in self.modes.questions:
                self.type(b"\x1b[?%d;2$y" % mode)  # known, and off
            self.modes.questions.clear()

    def settle(self) -> None:
        """Reads what is still on its way."""
        while select.select([self.master], [], [], 0)[0]:
            self._pump(0)

    def until_shown(self, pattern: bytes, start: int = 0) -> re.Match[bytes]:
        return self.until(lambda: re.compile(pattern, re.DOTALL).search(self.output, start))

    def next_change(self) -> dict[str, int]:
        self.until(lambda: self.changes)
        return self.changes.pop(0)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def tell_shell(self, command: str) -> None:
        self._control.sendall(command.encode() + b"\n")

    def hang_up(self) -> None:
        self.deaf = True
        os.close(self.master)
        os.close(self.slave)
        self.master = self.slave = -1

    @property
    def is_as_before(self) -> bool:
        return termios.tcgetattr(self.slave) == self.before

    def assert_given_back(self) -> None:
        self.settle()
        assert self.is_as_before
        assert self.modes.clean, (self.modes, self.output)

    def assert_ended(self, code: int) -> None:
        """The job has ended with `code`, nothing of it lives on, and the terminal is as it was."""
        assert self.next_change() == {"exit": code}, self.output
        self.until(lambda: self.gone)
        self.assert_given_back()

    def close(self) -> None:
        if hasattr(self, "shell"):
            self._control.close()  # the stand-in ends, and the kernel hangs up on what is left of the job
            if self.job and not self.gone:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.job, signal.SIGKILL)
            self.shell.wait(DEADLINE)
            os.close(self._alive)
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)
