"""The explorer's first frame against that of a bare Textual app with an empty tree.

Each runs on a pty of its own (80×24, xterm-256color) that reads what comes and answers nothing. The clock starts before
the fork that leads to the exec. The first frame is there when the bytes have been read that hold the first letter or
digit outside an escape sequence, after the switch to the alternate screen (CSI ? 1049 h). Switches, colours, empty rows
and frames drawn from lines do not count. The same rule holds for both.

A first frame may be drawn before the model is read, so the time until the model's tree is there is told too: until its
entry "Signatures" is on the screen, and for the bare app the label of its tree.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import programs
from measure import Spread, Unmeasured, pairs, reap
from report import Row, Table, seconds, times

RUNS = 15
AT_MOST = 1.5
COLUMNS, ROWS = 80, 24
_DEADLINE_SECONDS = 30.0
_LEAVE_SECONDS = 10.0

_ALTERNATE_SCREEN = b"\x1b[?1049h"
_ESCAPE = re.compile(
    rb"\x1b(?:"
    rb"\[[0-?]*[ -/]*[@-~]"  # CSI
    rb"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC
    rb"|[ -/]*[0-OQ-WYZ\\`-~]"  # the rest, but for the openers above
    rb")"
)


def measure(runs: int, *, quick: bool) -> Table:
    """Measures both, the explorer on the demo's SavedModel; `quick` changes nothing."""
    bare = [sys.executable, str(programs.HERE / "bare_app.py")]
    ours = [*programs.tfexplore(), str(programs.DEMO / "ranker")]
    with tempfile.TemporaryDirectory() as home:
        # No configuration and no state of the user's, on neither side.
        own = {f"XDG_{name}_HOME": os.path.join(home, name.lower()) for name in ("CACHE", "CONFIG", "DATA", "STATE")}
        environment = programs.environment() | own
        found = pairs(
            partial(frames, ours, environment, "Signatures"), partial(frames, bare, environment, "Empty"), runs
        )
    rows = []
    for field, what, most in (("first", "until the first text", AT_MOST), ("tree", "until the tree", None)):
        couples = [(getattr(a, field), getattr(b, field)) for a, b in found]
        compared = Spread.of(a / b for a, b in couples)
        rows.append(
            Row(
                what=what,
                ours=Spread.of(a for a, _ in couples),
                theirs=Spread.of(b for _, b in couples),
                show=seconds,
                compared=compared,
                show_compared=times,
                target=None if most is None else f"at most {most}×",
                met=None if most is None else compared.median <= most,
            )
        )
    return Table(
        sentence=f"From the start of the process to what is drawn on the alternate screen of a {COLUMNS}×{ROWS} pty.",
        runs=runs,
        ours="`tfexplore` on the demo",
        theirs="bare Textual app",
        comparison="ours ÷ theirs",
        rows=rows,
    )


@dataclass(frozen=True, slots=True)
class Frames:
    """Seconds from the start to the first text, and to the text that shows the tree."""

    first: float
    tree: float


def frames(
    command: Sequence[str],
    environment: Mapping[str, str],
    label: str,
    look: Callable[[int], object] | None = None,
) -> Frames:
    """When the first text and when `label` was drawn; the program is ended then.

    Args:
        look: called with the process once `label` stands.

    Raises:
        Unmeasured: it ends before, or takes longer than the deadline.
    """
    started = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        _become(command, environment)
    try:
        found = _watch(terminal, started, label, command)
        if look is not None:
            look(child)
        return found
    finally:
        _end(child, terminal)


def text_drawn(written: bytes) -> str:
    """What was drawn on the alternate screen, without its escape sequences; nothing before the switch to it."""
    _, _, drawn = written.partition(_ALTERNATE_SCREEN)
    text, _, _ = _ESCAPE.sub(b"", drawn).partition(b"\x1b")  # a sequence of which only the beginning has been read
    return text.decode("utf-8", "ignore")


def _become(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """The child, from the fork to its exec."""
    try:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execve(command[0], list(command), environment)
    finally:
        os._exit(127)


def _watch(terminal: int, started: float, label: str, command: Sequence[str]) -> Frames:
    written = b""
    first: float | None = None
    while (left := started + _DEADLINE_SECONDS - time.perf_counter()) > 0:
        if not select.select([terminal], [], [], left)[0]:
            break
        part = _read(terminal)
        now = time.perf_counter() - started
        if not part:
            raise Unmeasured(f"{' '.join(command)} ended before it drew {label!r}: {_last_words(written)}")
        written += part
        text = text_drawn(written)
        if first is None and any(map(str.isalnum, text)):
            first = now
        if first is not None and label in text:
            return Frames(first, now)
    what = "no text" if first is None else f"text, but not {label!r},"
    raise Unmeasured(f"{' '.join(command)} drew {what} within {_DEADLINE_SECONDS:.0f} s")


def _read(terminal: int) -> bytes:
    """What was written since; nothing at the end (Linux says EIO once the last writer is gone)."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def _last_words(written: bytes) -> str:
    lines = _ESCAPE.sub(b"", written).decode("utf-8", "replace").split("\n")
    words = ["".join(c for c in line if c.isprintable()).strip() for line in lines]
    return next((line for line in reversed(words) if line), "it said nothing")


def _end(child: int, terminal: int) -> None:
    """Ends the program and every process of its session's first group, and waits for it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGTERM)
    try:
        # Read on, or a program that draws its last words would wait for us.
        deadline = time.perf_counter() + _LEAVE_SECONDS
        while (left := deadline - time.perf_counter()) > 0 and select.select([terminal], [], [], left)[0]:
            if not _read(terminal):
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    finally:
        os.close(terminal)
        reap(child, _LEAVE_SECONDS)
