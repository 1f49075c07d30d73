"""The whole explorer on a real terminal: however it ends, the terminal is as before and the exit code is right."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guard_session import SEQUENCE, Session
from tfexplore.demo import FOLDER


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(tmp_path)
    yield session
    session.close()


def open_explorer(session: Session, path: Path = FOLDER / "ranker") -> int:
    """Starts the explorer, waits until the model is drawn; the process id of its screen."""
    session.start(sys.executable, "-m", "tfexplore", str(path), XDG_CONFIG_HOME=str(session.folder))
    session.until_shown(b"Signatures|Checkpoints")
    session.until_shown(b"written by|parameters")
    assert 1049 in session.modes.on
    (screen,) = Path(f"/proc/{session.job}/task/{session.job}/children").read_text().split()
    return int(screen)


@pytest.mark.parametrize(
    ("keys", "code"), [(b"q", 0), (b"\x11", 0), (b"\x03\x03", 130)], ids=["q", "ctrl-q", "ctrl-c-twice"]
)
def test_keys_that_quit(session: Session, keys: bytes, code: int) -> None:
    open_explorer(session)
    session.type(keys)
    session.assert_ended(code)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)],
    ids=lambda value: str(value),
)
def test_signals_to_the_guard(session: Session, number: int, code: int) -> None:
    open_explorer(session, FOLDER / "training")
    os.kill(session.job, number)
    session.assert_ended(code)


def test_the_screen_process_is_killed(session: Session) -> None:
    screen = open_explorer(session)
    assert screen != session.job
    os.kill(screen, signal.SIGKILL)
    session.assert_ended(137)


def test_a_model_that_cannot_be_read(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.mkdir()
    (path / "saved_model.pb").touch()
    session.start(sys.executable, "-m", "tfexplore", str(path), XDG_CONFIG_HOME=str(tmp_path))
    session.assert_ended(3)
    assert b"\x1b[?1049h" in session.output
    said = SEQUENCE.sub(b"", session.output.rpartition(b"\x1b[?1049l")[2]).decode()
    assert said.startswith("tfexplore: ")
    assert str(path) in said
    assert said.count("\n") == 1
    assert said.endswith("\n")
    assert "Traceback" not in said


def test_stopped_and_continued(session: Session) -> None:
    open_explorer(session)
    for _ in range(2):
        session.type(b"\x1a")
        assert session.next_change() == {"stopped": signal.SIGTSTP}
        session.assert_given_back()
        before = len(session.output)
        session.tell_shell("fg")
        session.until_shown(b"Signatures", before)
        session.until(lambda: 1049 in session.modes.on)
        before = len(session.output)
        session.type(b"j")  # and it answers
        session.until(lambda: len(session.output) > before)  # noqa: B023
    session.type(b"q")
    session.assert_ended(0)
