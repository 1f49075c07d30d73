"""The way out of the terminal: which it is, which bytes it takes, and the file where there is none."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.core.clipboard import FILE, MAX_BYTES, OSC52, Way, clipboard_file, sequences, way, write_file


@pytest.mark.parametrize(
    ("environ", "setting", "how", "inside"),
    [
        ({"TERM": "xterm-256color"}, "auto", OSC52, ""),
        ({"TERM": "tmux-256color"}, "auto", OSC52, "tmux"),
        ({"TERM": "screen-256color", "TMUX": "/tmp/t,1,0"}, "auto", OSC52, "tmux"),
        ({"TERM": "screen"}, "auto", OSC52, "screen"),
        ({"TERM": "xterm", "STY": "1.pts"}, "auto", OSC52, "screen"),
        ({"TERM": "linux"}, "auto", FILE, ""),
        ({"TERM": "dumb"}, "auto", FILE, ""),
        ({}, "auto", FILE, ""),
        ({"TERM": "linux"}, "osc52", OSC52, ""),
        ({"TERM": "xterm"}, "file", FILE, ""),
    ],
)
def test_the_way(environ: dict[str, str], setting: str, how: str, inside: str) -> None:
    found = way(environ, setting)
    assert (found.how, found.inside) == (how, inside)
    assert bool(found.why) == (how == FILE)


def unwrapped(written: str, inside: str) -> str:
    """What the terminal gets: a program inside tmux or screen writes this."""
    if inside == "tmux":
        plain, wrapped = written.split("\x1bPtmux;")
        inner = wrapped.removesuffix("\x1b\\").replace("\x1b\x1b", "\x1b")
        assert inner == plain
        return plain
    if inside == "screen":
        pieces = re.fullmatch(r"(?:\x1bP[^\x1b]{0,700}\x1b\\|\x1bP\x1b[^\x1b]{0,700}\x1b\\)+", written)
        assert pieces is not None
        return written.replace("\x1b\\", "").replace("\x1bP", "")
    return written


@given(st.text(max_size=3000), st.sampled_from(["", "tmux", "screen"]))
def test_the_terminal_gets_the_text(copied: str, inside: str) -> None:
    got = unwrapped(sequences(copied, Way(OSC52, inside)), inside)
    assert got.startswith("\x1b]52;c;")
    assert got.endswith("\x07")
    assert base64.b64decode(got[7:-1]).decode("utf-8", "surrogateescape") == copied


def test_the_largest_fits() -> None:
    assert len(sequences("x" * MAX_BYTES, Way(OSC52))) < 100_000


def test_the_file(tmp_path: Path) -> None:
    runtime, home = tmp_path / "run", tmp_path / "home"
    runtime.mkdir()
    assert clipboard_file({"XDG_RUNTIME_DIR": str(runtime)}) == str(runtime / "tfexplore-clipboard")
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "gone"), "HOME": str(home)}
    before = os.umask(0)
    try:
        path = Path(write_file("ab\nc\udcff", environ))
    finally:
        os.umask(before)
    assert path == home / ".cache" / "tfexplore" / "clipboard"
    assert path.read_bytes() == b"ab\nc\xff"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    other = tmp_path / "other"
    other.write_text("kept")
    path.unlink()
    path.symlink_to(other)
    write_file("new", environ)
    assert other.read_text() == "kept"
    assert path.read_text() == "new"
    assert [one.name for one in path.parent.iterdir()] == ["clipboard"]
