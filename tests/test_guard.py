"""The terminal comes back, however the screen process ends: on a real pty, as a job of a shell stand-in."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guard_session import DEADLINE, TESTS, Session, environment


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(tmp_path)
    yield session
    session.close()


def logs(session: Session) -> list[Path]:
    return sorted((session.folder / "state" / "tfexplore").glob("*"))


# Ends of its own


@pytest.mark.parametrize(("key", "code"), [(b"q", 0), (b"5", 5), (b"d", 0)], ids=["quit", "code", "left-dirty"])
def test_the_screen_returns(session: Session, key: bytes, code: int) -> None:
    session.open("raw")
    assert not session.is_as_before
    assert {1049, 1003, 2004} <= session.modes.on
    session.type(key)
    session.assert_ended(code)
    assert b"tfexplore:" not in session.output
    assert not logs(session)


def test_a_crash_is_logged_and_said(session: Session) -> None:
    session.open("raw")
    session.type(b"x")
    session.assert_ended(70)
    (log,) = logs(session)
    assert str(log).encode() in session.output.split(b"tfexplore: ")[1]
    assert log.stat().st_mode & 0o777 == 0o600
    text = log.read_text()
    assert "Traceback" in text
    assert r"RuntimeError: boom \x1b[31m \u202e \udcff" in text
    assert "\x1b" not in text


def test_a_log_goes_to_the_temporary_folder_if_it_must(session: Session) -> None:
    session.open("raw", XDG_STATE_HOME="/dev/null/state", TMPDIR=str(session.folder))
    session.type(b"x")
    session.assert_ended(70)
    (log,) = session.folder.glob("tfexplore-crash-*.log")
    assert log.name.encode() in session.output
    assert "RuntimeError: boom" in log.read_text()


def test_a_crash_that_cannot_be_logged_is_shown(session: Session) -> None:
    session.open("no_log", XDG_STATE_HOME="/dev/null/state")
    session.type(b"x")
    session.assert_ended(70)
    assert rb"RuntimeError: boom \x1b[31m" in session.output.split(b"no log could be written")[1]


def test_an_error_of_ours_reaches_the_caller_in_the_screen_process(session: Session) -> None:
    screen = session.open("raw")
    session.type(b"e")
    session.assert_ended(4)
    assert f"in {screen}: there: no model at byte 7".encode() in session.output
    assert not logs(session)


def test_exit_functions_and_output_happen_once_in_the_screen_process(session: Session) -> None:
    session.start(sys.executable, str(TESTS / "guard_screens.py"), "leaves_traces")
    session.assert_ended(0)
    assert session.output.count(b"before the fork;") == 1
    assert session.output.count(b"from the screen") == 1
    (process,) = re.findall(rb"atexit in (\d+)", session.output)
    assert int(process) != session.job


# Ends by signals

ASKED = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]


@pytest.mark.parametrize("target", ["guard", "screen", "group"])
@pytest.mark.parametrize("number", [*ASKED, signal.SIGUSR1], ids=lambda number: number.name)
def test_a_signal_ends_it(session: Session, number: signal.Signals, target: str) -> None:
    screen = session.open("raw")
    os.kill({"guard": session.job, "screen": screen, "group": -session.job}[target], number)
    session.assert_ended(128 + number)
    said = f"killed by {number.name}".encode() in session.output
    assert said == (number not in (signal.SIGINT, signal.SIGHUP))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT], ids=lambda number: number.name)
def test_the_screen_process_dies(session: Session, number: signal.Signals) -> None:
    screen = session.open("raw")
    os.kill(screen, number)
    session.assert_ended(128 + number)
    sentence = f"tfexplore: The screen process was killed by {number.name}; the terminal is as it was."
    assert sentence.encode() in session.output


def test_a_death_before_anything_is_drawn_does_not_move_the_cursor(session: Session) -> None:
    os.kill(session.open("early"), signal.SIGKILL)
    session.assert_ended(128 + signal.SIGKILL)
    assert b"\x1b[?1049l" in session.output


def test_the_interrupt_key_works_before_the_screen_has_begun(session: Session) -> None:
    session.open("early")
    session.type(b"\x07")  # VINTR of this terminal
    session.assert_ended(130)
    assert b"KeyboardInterrupt" not in session.output


def test_a_screen_may_end_gracefully_and_the_code_is_the_signals(session: Session) -> None:
    session.open("graceful")
    os.kill(session.job, signal.SIGTERM)
    session.assert_ended(143)
    assert b"leaving;" in session.output
    assert b"killed" not in session.output


def test_a_screen_that_does_not_end_is_killed(session: Session) -> None:
    session.open("deaf")
    os.kill(session.job, signal.SIGTERM)
    session.assert_ended(143)
    assert b"did not end on SIGTERM and was killed" in session.output


def test_what_was_ignored_stays_ignored(session: Session) -> None:
    command = [sys.executable, str(TESTS / "guard_screens.py"), "raw"]
    session.start("/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command)
    session.until_shown(rb"pid=(\d+);")
    os.killpg(session.job, signal.SIGHUP)
    session.type(b"5")
    session.assert_ended(5)


def test_the_guard_dies(session: Session) -> None:
    session.open("raw")
    os.kill(session.job, signal.SIGKILL)
    assert session.next_change() == {"signal": signal.SIGKILL}
    session.until(lambda: session.gone)
    session.assert_given_back()


def test_the_line_drops(session: Session) -> None:
    session.open("raw")
    session.hang_up()
    session.until(lambda: session.gone)


@pytest.mark.parametrize("screen", ["raw", "textual"])
def test_the_line_drops_and_the_shell_does_not_say_so(session: Session, screen: str) -> None:
    session.open(screen, GUARD_SHELL_IGNORES_HANG_UP="1")
    session.hang_up()
    assert session.next_change() == {"exit": 129}
    session.until(lambda: session.gone)


def test_a_terminal_that_takes_no_more_bytes_holds_nobody(session: Session) -> None:
    session.open("raw")
    session.deaf = True
    session.type(b"f")
    assert session.next_change() == {"exit": 137}
    session.until(lambda: session.gone)
    assert session.is_as_before


# Stops


def state(process: int) -> str:
    """R running, S asleep, T stopped."""
    stat = Path(f"/proc/{process}/stat")
    if not stat.exists():
        pytest.skip("no /proc")
    return stat.read_text().rsplit(")", 1)[1].split()[0]


def stop_and_continue(session: Session) -> None:
    """The job has been told to stop: it does, gives the terminal back, and draws again on `fg`."""
    assert session.next_change() == {"stopped": signal.SIGTSTP}
    session.assert_given_back()
    seen = len(session.output)
    session.tell_shell("fg")
    session.until_shown(rb"\x1b\[\?1049h.*pid=\d+;", seen)
    assert not session.is_as_before
    session.until(lambda: state(session.job) == "S")  # the guard waits for signals again


@pytest.mark.parametrize("way", ["key", "guard", "screen", "group"])
def test_stop_and_continue(session: Session, way: str) -> None:
    screen = session.open("raw")
    for turn in (1, 2):
        if way == "key":
            session.type(b"z")
        else:
            os.kill({"guard": session.job, "screen": screen, "group": -session.job}[way], signal.SIGTSTP)
        stop_and_continue(session)
        session.until_shown(rb"continued=%d;" % turn)
    session.type(b"q")
    session.assert_ended(0)
    assert b"continued=3" not in session.output  # one SIGCONT for each `fg`


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP], ids=lambda number: number.name)
def test_a_screen_that_stops_with_everything_on(session: Session, number: signal.Signals) -> None:
    screen = session.open("plain")
    drawing = termios.tcgetattr(session.slave)
    os.kill(screen, number)
    assert session.next_change() == {"stopped": signal.SIGTSTP}
    session.assert_given_back()
    session.tell_shell("fg")
    session.until(lambda: termios.tcgetattr(session.slave) == drawing)
    session.modes.feed(b"\x1b[?1049h")  # `plain` does not draw again by itself
    session.type(b"d")
    session.assert_ended(0)


def test_signals_to_a_stopped_job(session: Session) -> None:
    session.open("raw")
    session.type(b"z")
    assert session.next_change() == {"stopped": signal.SIGTSTP}
    os.kill(session.job, signal.SIGTERM)
    session.tell_shell("fg")
    session.assert_ended(143)


def test_a_signal_while_only_the_guard_goes_on(session: Session) -> None:
    session.open("raw")
    session.type(b"z")
    assert session.next_change() == {"stopped": signal.SIGTSTP}
    session.tell_shell("wait")
    os.kill(session.job, signal.SIGTERM)
    os.kill(session.job, signal.SIGCONT)
    session.assert_ended(143)
    assert b"did not end" not in session.output


def test_the_shells_state_is_not_touched_from_the_background(session: Session) -> None:
    screen = session.open("raw")
    session.type(b"z")
    assert session.next_change() == {"stopped": signal.SIGTSTP}
    session.settle()
    # As a line editor would have it.
    editing = termios.tcgetattr(session.slave)
    editing[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(session.slave, termios.TCSANOW, editing)
    editing = termios.tcgetattr(session.slave)
    seen = len(session.output)
    os.kill(screen, signal.SIGKILL)
    session.tell_shell("bg")
    assert session.next_change() == {"exit": 137}
    session.settle()
    assert termios.tcgetattr(session.slave) == editing
    assert b"\x1b[" not in session.output[seen:]


def test_without_a_shell_a_stop_goes_on_at_once() -> None:
    """A session leader's group is orphaned: nobody could continue it."""
    leader = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", leader, sys.executable, str(TESTS / "guard_screens.py"), "raw"],
        **dict.fromkeys(("stdin", "stdout", "stderr"), slave),
        start_new_session=True,
        env=environment(),
    )
    os.close(slave)
    output = b""
    keys = {rb"continued=0;": b"z", rb"continued=1;": b"q"}
    deadline = time.monotonic() + DEADLINE
    while True:
        assert select.select([master], [], [], max(0.0, deadline - time.monotonic()))[0], output
        try:
            data = os.read(master, 65536)
        except OSError:  # everybody has gone
            break
        output += data
        for shown in [shown for shown in keys if shown in output]:
            os.write(master, keys.pop(shown))
    os.close(master)
    assert process.wait(DEADLINE) == 0, output
    assert not keys


# Textual itself


@pytest.mark.parametrize(
    ("end", "code"), [("q", 0), ("x", 70), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, 137)], ids=str
)
def test_textual_ends(session: Session, end: str | signal.Signals, code: int) -> None:
    screen = session.open("textual")
    session.until(lambda: {1049, 1016, 2048, 2004} <= session.modes.on)
    if isinstance(end, str):
        session.type(b"\x1b[%du" % ord(end))
    else:
        os.kill(screen if end == signal.SIGKILL else session.job, end)
    session.assert_ended(code)
    assert len(logs(session)) == (code == 70)
    assert b"Traceback" not in session.output


def test_textual_stops_and_continues(session: Session) -> None:
    session.open("textual")
    session.type(b"\x1a")
    stop_and_continue(session)
    session.type(b"\x1a")
    stop_and_continue(session)
    session.type(b"q")
    session.assert_ended(0)


def test_standard_error_may_go_elsewhere(session: Session) -> None:
    errors = session.folder / "errors"
    screen = session.open("raw", GUARD_SHELL_STDERR=str(errors))
    os.kill(screen, signal.SIGKILL)
    session.assert_ended(137)
    assert errors.read_text() == "tfexplore: The screen process was killed by SIGKILL; the terminal is as it was.\n"


# With a real shell


def test_ctrl_z_and_fg_in_bash(session: Session) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    session.start(bash, "--norc", "--noprofile", "--noediting", "-i", PS1="ready> ", PS2="")
    session.until_shown(b"ready> ")
    session.type(f"{sys.executable} {TESTS / 'guard_screens.py'} raw\n".encode())
    session.until_shown(rb"pid=(\d+);")
    session.type(b"z")
    session.until_shown(rb"Stopped.*ready> ")
    session.assert_given_back()
    seen = len(session.output)
    session.type(b"fg\n")
    session.until_shown(rb"continued=1;", seen)
    session.type(b"5")
    session.until_shown(rb"ready> ", seen)
    session.assert_given_back()
    session.type(b"exit $?\n")
    session.assert_ended(5)


def test_in_the_background_it_waits_to_be_called(session: Session) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    session.start(bash, "--norc", "--noprofile", "-i", PS1="ready> ", PS2="")
    session.until_shown(b"ready> ")
    session.type(f"{sys.executable} {TESTS / 'guard_screens.py'} raw &\n".encode())
    # bash's line editor has changed the terminal's state meanwhile: that is not what the guard has to go back to.
    session.until_shown(rb"ready> .*ready> ")
    job = int(session.until_shown(rb"\[1\] (\d+)")[1])
    session.until(lambda: state(job) == "T")
    assert b"pid=" not in session.output
    session.type(b"fg\n")
    session.until_shown(rb"pid=(\d+);")
    session.type(b"q")
    session.until_shown(rb"pid=.*ready> ")
    session.type(b"exit\n")
    session.assert_ended(0)


# Refusals


@pytest.mark.parametrize("stream", ["standard input", "standard output"])
def test_no_terminal(stream: str) -> None:
    master, slave = os.openpty()
    streams: dict[str, Any] = {"stdin": slave, "stdout": subprocess.PIPE}
    if stream == "standard input":
        streams["stdin"] = subprocess.DEVNULL
    done = subprocess.run(
        [sys.executable, str(TESTS / "guard_screens.py"), "raw"],
        **streams,
        stderr=subprocess.STDOUT,
        env=environment(),
        timeout=DEADLINE,
    )
    os.close(master)
    os.close(slave)
    assert done.returncode == 2
    assert f"{stream} is not a terminal" in done.stdout.decode()
    assert "`tfexplore show PATH`" in done.stdout.decode()
