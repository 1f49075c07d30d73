"""The small parent process that gives the terminal back however the screen process ends.

`run` forks. The child goes on as the screen process and may import what it likes; the guard keeps the terminal's
state, passes signals on and waits. Both stay in one process group, so that a shell sees one job.

Signals. The screen process starts with the default action for SIGINT, SIGTERM, SIGHUP and SIGQUIT: each ends it at
once, and the guard cleans up. A screen that has something to end first installs its own action for them; it gets
LEAVE_SECONDS from the first one on, then SIGKILL. A signal to the whole group arrives there twice, so that action must
bear a second call.

Exit codes: what `screen` returned; CRASHED where it raised; 128 + number for a signal that ended it, or that the guard
was told to pass on (SIGINT 130, SIGTERM 143, SIGHUP 129, SIGQUIT 131), whatever the screen process made of it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios

from tfexplore.errors import TfexploreError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

CRASHED = 70  # EX_SOFTWARE
LEAVE_SECONDS = 3.0  # from a fatal signal to SIGKILL
STOP_SECONDS = 1.0  # a SIGTSTP to the group needs no passing on; Textual takes up to 0.3 s to stop
CONTINUE_SECONDS = 0.2  # `fg` continues the whole group; a second SIGCONT would start Textual's input twice
WRITE_SECONDS = 0.5  # a terminal that takes no bytes for this long gets no more

_FATAL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_FORWARDED = (*_FATAL, signal.SIGUSR1, signal.SIGUSR2)
_LFLAG = 3  # index in termios attributes

# Everything that Textual's drivers turn on (and the other mouse formats), each turned off. First a string terminator,
# for a sequence that was cut in the middle, and the end of a synchronized update, so that the rest is seen at once.
_MODES_OFF = b"\x1b\\\x1b[?2026l" + b"".join(
    b"\x1b[?%dl" % mode for mode in (1000, 1002, 1003, 1005, 1006, 1015, 1016, 1004, 2004, 2048)
)
# Textual leaves 1016 (mouse in pixels) on even when it ends well.
_LEFT_BY_TEXTUAL = b"\x1b[?1016l"
_POINTER_BACK = b"\x1b]22;default\x1b\\"
# The kitty keyboard's stack belongs to the alternate screen, so it goes first.
_KEYBOARD_BACK = b"\x1b[<u"
_SAVE_CURSOR = b"\x1b7"
_SCREEN_BACK = b"\x1b[?1049l"
_LOOK_BACK = b"\x1b[0m\x1b[?7h\x1b[?25h"


def run(screen: Callable[[], int]) -> int:
    """Runs `screen` in a child process; the exit code, with the terminal as it was before.

    In the child this raises SystemExit once `screen` is done, so `atexit` and the caller's `finally` run there too.
    A TfexploreError from `screen` passes through, there, to the caller's own error handling. Any other exception is
    written to a log, and the guard says where it is.

    Call it before anything heavy is imported and before any thread is started. Main thread only.

    Raises:
        UsageError: standard input or output is no terminal, or standard error is closed.
        TfexploreError: no process can be started.
    """
    _refuse_without_terminal()
    terminal = _Terminal()
    lifeline, guard_lives = os.pipe()
    report, child_report = os.pipe()
    watched = {signal.SIGCHLD, signal.SIGALRM}
    for number in (*_FORWARDED, signal.SIGTSTP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, `trap '' INT`: stays ignored, in both processes
            watched.add(number)
    sys.stdout.flush()
    sys.stderr.flush()
    # From here on a signal waits for the guard; the child is born with none pending.
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    # A SIGCHLD ignored since before would let the kernel drop the child's end.
    actions = {signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None)}
    actions[signal.SIGALRM] = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    try:
        child = os.fork()
    except OSError as error:
        _restore_signals(watched, actions)
        raise TfexploreError(f"the screen's process cannot be started: {error.strerror}") from error
    if child == 0:
        os.close(guard_lives)
        os.close(report)
        _be_the_screen(screen, watched, terminal, lifeline, child_report)
    # Else setting the terminal's state from the background would stop the guard.
    actions[signal.SIGTTOU] = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.close(lifeline)
    os.close(child_report)
    try:
        return _Watch(child, terminal, watched, report).until_the_end()
    finally:
        for fd in (guard_lives, report, terminal.fd):
            os.close(fd)
        _restore_signals(watched, actions)


def _refuse_without_terminal() -> None:
    for fd, name in ((0, "standard input"), (1, "standard output")):
        if not os.isatty(fd):
            raise UsageError(
                f"{name} is not a terminal, which the explorer needs; `tfexplore show PATH` prints instead"
            )
    if sys.__stderr__ is None:
        raise UsageError("standard error is closed, and the explorer draws on it; `tfexplore show PATH` prints instead")


def _restore_signals(watched: set[signal.Signals], actions: dict[signal.Signals, Any]) -> None:
    """Drops what is still pending (the same signal once more), then lets signals through again."""
    while waiting := signal.sigpending() & watched:
        signal.sigwait(waiting)
    for number, action in actions.items():
        signal.signal(number, signal.SIG_DFL if action is None else action)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)


class _Terminal:
    """The terminal and the state that it was found in."""

    __slots__ = ("fd", "saved")

    def __init__(self) -> None:
        # In the background this stops the job here, until it is brought to the foreground: what a shell has set for its
        # own line editor must not be taken for the state to go back to.
        with contextlib.suppress(termios.error):
            termios.tcdrain(0)
        self.fd = _open_terminal()
        self.saved = termios.tcgetattr(self.fd)

    def is_ours(self) -> bool:
        """Are we in the foreground? A shell that has stopped us, or let us run behind it, has its own state there."""
        try:
            return os.tcgetpgrp(self.fd) == os.getpgrp()
        except OSError:  # not the controlling terminal: nobody competes; or hung up: nothing can be done wrong
            return True

    def put_back(self, *, ended_well: bool, guard_lives: bool = True) -> list[Any] | None:
        """Puts the terminal into the saved state; returns the attributes that were found if they differed.

        Nothing is written to a terminal that is not ours, but for an orphaned screen: its own modes are still on.
        """
        ours = self.is_ours()
        try:
            found = termios.tcgetattr(self.fd)
        except termios.error:  # hung up
            return None
        if not (ours or not guard_lives):
            return None
        changed = found != self.saved
        if changed or not ended_well:
            # Unchanged: the screen had not begun, or was gone already. Then leaving the alternate screen must not move
            # the cursor. One pop too many does no harm: a shell has nothing on the stack while a job runs.
            stay = b"" if changed else _SAVE_CURSOR
            self.write(_MODES_OFF + _POINTER_BACK + _KEYBOARD_BACK + stay + _SCREEN_BACK + _LOOK_BACK)
        else:
            self.write(_LEFT_BY_TEXTUAL)
        # A line editor keeps ISIG on and a screen turns it off: behind a shell this tells whose state it is.
        if changed and (ours or not found[_LFLAG] & termios.ISIG):
            self.set(self.saved, flush=True)
        return found if changed else None

    def set(self, attributes: list[Any], *, flush: bool = False) -> None:
        """Sets attributes at once: waiting for output (TCSADRAIN) could last forever on a terminal that is stuck."""
        with contextlib.suppress(termios.error):  # hung up
            if flush:  # mouse reports and the like on their way in are not for the shell
                termios.tcflush(self.fd, termios.TCIFLUSH)
            termios.tcsetattr(self.fd, termios.TCSANOW, attributes)

    def write(self, data: bytes) -> None:
        """Writes what the terminal takes within WRITE_SECONDS."""
        import select
        import time

        deadline = time.monotonic() + WRITE_SECONDS
        with contextlib.suppress(OSError):  # hung up
            while data and (left := deadline - time.monotonic()) > 0:
                if select.select([], [self.fd], [], left)[1]:
                    data = data[os.write(self.fd, data) :]


def _open_terminal() -> int:
    """A descriptor of the terminal that does not block; the flag would reach the shell if it were set on ours."""
    flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK
    with contextlib.suppress(OSError):  # a container may not see the terminal's name
        return os.open(os.ttyname(0), flags)
    with contextlib.suppress(OSError):
        return os.open("/dev/tty", flags)
    return os.dup(0)


class _Watch:
    """The guard's wait for the screen process, with one alarm at a time."""

    def __init__(self, child: int, terminal: _Terminal, watched: set[signal.Signals], report: int) -> None:
        self._child = child
        self._terminal = terminal
        self._watched = watched
        self._report = report
        self._stopped = False
        self._fatal = 0
        self._killed = False
        self._at_alarm: Callable[[], None] | None = None

    def until_the_end(self) -> int:
        """Waits, puts the terminal back, says what went wrong; the exit code."""
        status = self._wait()
        signal.setitimer(signal.ITIMER_REAL, 0)
        code = os.waitstatus_to_exitcode(status)  # below 0: minus the signal's number
        self._terminal.put_back(ended_well=code >= 0 and code != CRASHED)
        self._say_what_happened(code)
        if self._fatal:
            return 128 + self._fatal
        return code if code >= 0 else 128 - code

    def _wait(self) -> int:
        while True:
            number = signal.sigwait(self._watched)
            due = None
            if number == signal.SIGALRM:
                due, self._at_alarm = self._at_alarm, None
            elif number == signal.SIGTSTP:
                if not self._fatal:
                    self._set_alarm(STOP_SECONDS, self._pass_stop_on)
            elif number != signal.SIGCHLD:
                self._pass_on(number)
            status = self._collect()
            if status is not None:
                return status
            if due is not None and self._at_alarm is None:
                due()

    def _collect(self) -> int | None:
        """Takes in what happened to the child; its wait status if that was the end."""
        while True:
            pid, status = os.waitpid(self._child, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid == 0:
                return None
            if os.WIFSTOPPED(status):
                self._stopped = True
                if not self._fatal:
                    self._stop_with_it()
            elif os.WIFCONTINUED(status):
                self._stopped = False
            else:
                return status

    def _pass_on(self, number: int) -> None:
        os.kill(self._child, number)
        if number not in _FATAL:
            return
        if self._stopped:
            os.kill(self._child, signal.SIGCONT)
        if not self._fatal:
            self._fatal = number
            self._set_alarm(LEAVE_SECONDS, self._kill)

    def _kill(self) -> None:
        self._killed = True
        os.kill(self._child, signal.SIGKILL)

    def _pass_stop_on(self) -> None:
        if not self._stopped:
            os.kill(self._child, signal.SIGTSTP)

    def _stop_with_it(self) -> None:
        """Stops the whole group, the guard too, until the shell continues the job."""
        found = self._terminal.put_back(ended_well=True)
        # Sent while blocked, so it is one with a SIGTSTP that already waits. Without a shell it does nothing.
        os.kill(0, signal.SIGTSTP)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})  # here it stops
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})
        if found is not None and self._terminal.is_ours():
            self._terminal.set(found)
        self._set_alarm(CONTINUE_SECONDS, self._continue)

    def _continue(self) -> None:
        if self._stopped:
            os.kill(self._child, signal.SIGCONT)

    def _set_alarm(self, seconds: float, action: Callable[[], None]) -> None:
        self._at_alarm = action
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def _say_what_happened(self, code: int) -> None:
        os.set_blocking(self._report, False)
        try:
            told = os.read(self._report, 65536)
        except BlockingIOError:
            told = b""
        if told:
            self._say(told)
        elif self._killed:
            name = signal.Signals(self._fatal).name
            self._say(
                b"The screen process did not end on %s and was killed; the terminal is as it was." % name.encode()
            )
        elif code < 0 and -code not in (signal.SIGINT, signal.SIGHUP):  # asked for, or nobody there to read
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            self._say(b"The screen process was killed by %s; the terminal is as it was." % name.encode())

    def _say(self, sentence: bytes) -> None:
        line = b"tfexplore: " + sentence + b"\n"
        if os.isatty(2):
            self._terminal.write(line)  # never blocks
            return
        with contextlib.suppress(OSError):
            os.write(2, line)


def _be_the_screen(
    screen: Callable[[], int], watched: set[signal.Signals], terminal: _Terminal, lifeline: int, report: int
) -> NoReturn:
    """The screen process, from the fork to its end."""
    import threading

    for number in watched:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)
    if not os.isatty(2):
        os.dup2(1, 2)  # Textual draws on standard error
    threading.Thread(target=_end_with_guard_or_terminal, args=(lifeline, terminal), daemon=True).start()
    try:
        code = screen()
    except TfexploreError:
        raise
    except Exception as error:
        with contextlib.suppress(OSError):  # the guard has gone
            os.write(report, _crash_report(error))
        code = CRASHED
    raise SystemExit(code)


def _end_with_guard_or_terminal(lifeline: int, terminal: _Terminal) -> None:
    """Ends the screen process once the guard is gone or the terminal hangs up; a thread of the screen process.

    Only the guard holds the other end of `lifeline`. A hang-up is not always told by SIGHUP (the shell may ignore it),
    and Textual would then read the end of its input for ever.
    """
    import select
    import time

    ends = select.poll()
    ends.register(lifeline, select.POLLIN)
    ends.register(terminal.fd, 0)  # POLLHUP and POLLERR come unasked
    number = signal.SIGHUP
    if lifeline in dict(ends.poll()):
        number = signal.SIGTERM
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        # First nothing more may be drawn.
        nowhere = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nowhere, fd)
        terminal.put_back(ended_well=False, guard_lives=False)
    os.kill(os.getpid(), number)
    time.sleep(LEAVE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def _crash_report(error: Exception) -> bytes:
    """Writes the log of a crash; the sentence for the person, or the traceback's end where no log can be written."""
    import traceback

    text = _visible("".join(traceback.format_exception(error))[-1_000_000:])
    try:
        path = _write_crash_log(text)
    except OSError as problem:
        return f"The explorer crashed, and no log could be written ({problem.strerror}).\n{text[-8000:]}".encode()
    return f"The explorer crashed; the terminal is as it was, and what happened is in {_visible(path)}".encode()


def _write_crash_log(text: str) -> str:
    """Writes a log that only its owner may read into the state folder, else the temporary folder; its path.

    Raises:
        OSError: neither folder takes it.
    """
    import tempfile
    import time

    from tfexplore import __version__

    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # empty, unset or relative: the XDG base directory specification says to ignore it
        state = os.path.expanduser("~/.local/state")
    name = time.strftime(f"crash-%Y%m%dT%H%M%SZ-{os.getpid()}.log", time.gmtime())
    text = f"tfexplore {__version__}, Python {sys.version}\n{_visible(repr(sys.argv))}\n\n{text}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        folder = os.path.join(state, "tfexplore")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = os.path.join(folder, name)
        fd = os.open(path, flags, 0o600)
    except OSError:
        path = os.path.join(tempfile.gettempdir(), f"tfexplore-{name}")
        fd = os.open(path, flags, 0o600)
    with open(fd, "w", encoding="utf-8") as log:
        log.write(text)
    return path


def _visible(text: str) -> str:
    """`text` with control characters (but newline and tab), bidi controls and surrogates as escapes."""
    hidden = (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), 0x061C, *range(0x200E, 0x2010))
    hidden += (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    escapes = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in hidden}
    return text.translate(escapes).encode("utf-8", "backslashreplace").decode()
