"""Small screens for the tests of the guard: `guard_screens.py NAME`.

`raw` turns on what Textual does, without its import; `textual` is a real app. Both obey single keys:
q leaves well, d leaves everything on, 5 returns 5, x raises, e raises one of ours, z stops as on Ctrl-Z, f fills the
terminal until it takes no more, then dies.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import sys
import tempfile
import termios
import time
from typing import Any

from tfexplore import guard
from tfexplore.errors import ModelError, TfexploreError, UsageError

ON_FIRST = "\x1b[?1049h\x1b[?1000h\x1b[?1003h\x1b[?1015h\x1b[?1006h"
ON = "\x1b[?25l\x1b[?1004h\x1b[>25u\x1b[?2004h\x1b[?7l\x1b[?2048h\x1b[?1016h"
OFF_FIRST = "\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l"
OFF = "\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"


def draw(text: str) -> None:
    os.write(2, text.encode())  # sys.stderr would not bear a signal's action that writes as well


class RawScreen:
    """What Textual 8.2.8's driver does to a terminal, in order, with its flaw of leaving 1016 on."""

    def __init__(self, *, handles_stop: bool) -> None:
        self.continued = 0
        if handles_stop:
            signal.signal(signal.SIGTSTP, self.stop)
            signal.signal(signal.SIGCONT, self.go_on)

    def start(self) -> None:
        self.before: list[Any] = termios.tcgetattr(0)
        attributes = termios.tcgetattr(0)
        attributes[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
        attributes[0] &= ~(termios.IXON | termios.ICRNL)
        draw(ON_FIRST)
        termios.tcsetattr(0, termios.TCSANOW, attributes)
        draw(f"{ON}pid={os.getpid()};continued={self.continued};")

    def end(self) -> None:
        draw(OFF_FIRST)
        termios.tcsetattr(0, termios.TCSANOW, self.before)
        draw(OFF)

    def stop(self, *_: object) -> None:
        self.end()
        os.kill(os.getpid(), signal.SIGSTOP)

    def go_on(self, *_: object) -> None:
        self.continued += 1
        self.start()

    def run(self) -> int:
        # A signal that comes just before a plain read would wait for the next key.
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        self.start()
        while True:
            ready = select.select([0, woken], [], [])[0]
            if woken in ready:
                os.read(woken, 100)
                continue
            key = os.read(0, 1)
            if key == b"q":
                self.end()
                return 0
            if key == b"5":
                self.end()
                return 5
            if key == b"d":
                return 0
            if key == b"x":
                raise RuntimeError("boom \x1b[31m \u202e \udcff")
            if key == b"e":
                self.end()
                raise ModelError("no model", path="there", offset=7)
            if key == b"z":
                os.kill(os.getpid(), signal.SIGTSTP)
            if key == b"f":
                flood = os.open(os.ttyname(2), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        os.write(flood, b"flood " * 1000)
                os.kill(os.getpid(), signal.SIGKILL)


def raw() -> int:
    return RawScreen(handles_stop=True).run()


def plain() -> int:
    """Stops by SIGTSTP's default action, with everything on."""
    return RawScreen(handles_stop=False).run()


def deaf() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    return raw()


def graceful() -> int:
    """Ends something of its own first, and then with a code of its own."""
    screen = RawScreen(handles_stop=True)

    def leave(*_: object) -> None:
        draw("leaving;")
        screen.end()
        raise SystemExit(3)

    signal.signal(signal.SIGTERM, leave)
    return screen.run()


def early() -> int:
    """Still in its imports: nothing is turned on yet."""
    draw(f"pid={os.getpid()};")
    time.sleep(60)
    return 0


def no_log() -> int:
    tempfile.tempdir = "/dev/null/nowhere"
    return raw()


def leaves_traces() -> int:
    """Standard output and atexit must both work in the screen process, once."""
    print("from the screen")
    atexit.register(print, f"atexit in {os.getpid()}")
    return 0


def textual() -> int:
    from textual.app import App, ComposeResult
    from textual.widgets import Label

    class Screen(App[None]):
        BINDINGS = [("ctrl+z", "suspend_process"), ("q", "quit"), ("x", "fail")]

        def compose(self) -> ComposeResult:
            yield Label(f"pid={os.getpid()};")

        def action_fail(self) -> None:
            raise RuntimeError("boom")

        def _fatal_error(self) -> None:
            self._close_messages_no_wait()

        def on_mount(self) -> None:
            # Textual continues with an empty screen where the terminal's size is still the same.
            self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))

    app = Screen()
    app.run()
    if app._exception is not None:
        raise app._exception
    return app.return_code or 0


def main() -> None:
    name = sys.argv[1]
    guard.STOP_SECONDS = 0.1
    if name == "deaf":
        guard.LEAVE_SECONDS = 0.1
    sys.stdout.write("before the fork;")
    try:
        code = guard.run(globals()[name])
    except UsageError as error:
        print(error)
        code = 2
    except TfexploreError as error:
        print(f"in {os.getpid()}: {error}")
        code = 4
    sys.exit(code)


if __name__ == "__main__":
    main()
