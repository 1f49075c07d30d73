"""What the terminal can show decides the theme, the colours and the characters; on a real terminal, byte by byte."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from guard_session import Session
from tfexplore.core.settings import Settings
from tfexplore.demo import FOLDER
from tfexplore.tui.app import ExplorerApp
from tfexplore.tui.look import ASCII, DARK, LIGHT, ONLY_ASCII, SIXTEEN, TRUE_COLOR, UNICODE, Look, look
from tfexplore.tui.themes import Ascii, NoColors
from tui.driving import RANKER, Driver

XTERM = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("environ", "settings", "wanted"),
    [
        ({**XTERM, "COLORTERM": "truecolor"}, Settings(), Look(DARK, TRUE_COLOR, UNICODE)),
        (XTERM, Settings(), Look(DARK, 256, UNICODE)),
        ({**XTERM, "COLORFGBG": "0;default;15"}, Settings(), Look(LIGHT, 256, UNICODE)),
        ({**XTERM, "COLORFGBG": "15;0"}, Settings(), Look(DARK, 256, UNICODE)),
        (XTERM, Settings(theme="light"), Look(LIGHT, 256, UNICODE)),
        (XTERM, Settings(theme="nord"), Look("nord", 256, UNICODE)),
        ({"TERM": "xterm-16color"}, Settings(theme="light"), Look(SIXTEEN, 16, UNICODE)),
        ({"TERM": "linux"}, Settings(), Look(SIXTEEN, 16, UNICODE)),
        ({"TERM": "screen"}, Settings(colors="true"), Look(DARK, TRUE_COLOR, UNICODE)),
        ({**XTERM, "NO_COLOR": "1"}, Settings(colors="true"), Look(SIXTEEN, 0, UNICODE)),
        ({**XTERM, "NO_COLOR": ""}, Settings(), Look(DARK, 256, UNICODE)),
        ({"TERM": "dumb"}, Settings(), Look(SIXTEEN, 0, UNICODE)),
        ({"TERM": "vt100"}, Settings(glyphs="ascii"), Look(SIXTEEN, 0, ASCII)),
    ],
)
def test_the_look_of_a_terminal(environ: dict[str, str], settings: Settings, wanted: Look) -> None:
    assert look(settings, environ, "UTF-8") == wanted


@pytest.mark.parametrize(("setting", "glyphs"), [("auto", ONLY_ASCII), ("ascii", ONLY_ASCII), ("unicode", UNICODE)])
def test_another_encoding(setting: str, glyphs: str) -> None:
    assert look(Settings(glyphs=setting), XTERM, "ISO-8859-1").glyphs == glyphs


def test_filters_keep_widths() -> None:
    own, name = "╭─ ▸ ● … │ ▁▃█ 12.4 KiB · x ╯", "ラベル é"
    style = Style(color="red", bgcolor="#123456", bold=True, reverse=True)
    for names in (True, False):
        (found, kept) = Ascii(names=names).apply([Segment(own, style), Segment(name, style)], Color(0, 0, 0))
        assert found.text == "+- > * ~ | -.# 12.4 KiB . x +"
        assert kept.text == (name if names else "?????? ?")
        assert (found.style, kept.style) == (style, style)
    (bare,) = NoColors().apply([Segment(own, style)], Color(0, 0, 0))
    assert (bare.text, bare.style) == (own, Style(bold=True, reverse=True))


@pytest.mark.parametrize("theme", [DARK, LIGHT, SIXTEEN, "nord", "no-such"])
async def test_every_theme_draws(theme: str) -> None:
    app = ExplorerApp(str(RANKER), look=Look(theme))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: driver.title is not None)
        assert app.theme == (theme if theme != "no-such" else DARK)
        assert [one.message for one in app._notifications] == (
            ["There is no theme no-such; Ctrl-P shows those that there are."] if theme == "no-such" else []
        )
        await driver.press("f1")
        await driver.press("f1", "y", "escape", "slash", *"kernel")
        await driver.press("escape", "5", "2")
        await driver.until(lambda: driver.session.predict is not None)


async def test_f9_changes_the_theme() -> None:
    app = ExplorerApp(str(RANKER))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: driver.title is not None)
        for theme in (LIGHT, SIXTEEN, DARK):
            await driver.press("f9")
            await driver.until(lambda: app.theme == theme)  # noqa: B023
            assert len(app._notifications) == 0
        await driver.press("f10", *"nord", "down", "enter")
        await driver.until(lambda: app.theme == "nord")


# On a real terminal

SGR = re.compile(rb"\x1b\[([\d;:]*)m")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(tmp_path)
    yield session
    session.close()


def drawn(session: Session, *options: str, **more: str) -> None:
    """Opens the explorer, and goes through its screens."""
    folder = str(session.folder)
    unset = dict.fromkeys(("COLORTERM", "TMUX", "STY", "COLORFGBG", "NO_COLOR"), "")
    environ = {**unset, "XDG_CONFIG_HOME": folder, "XDG_RUNTIME_DIR": folder, **more}
    session.start(sys.executable, "-m", "tfexplore", str(FOLDER / "ranker"), *options, **environ)
    until_seen(session, "Signatures")
    until_seen(session, "written by")


# A row of the tree, which is seen only while nothing lies over the panes.
CLOSED = r"Signatures +3"
TOKEN = re.compile(
    r"\x1b\[(\d*);?(\d*)([HC])|\x1b\[[0-9;?<>=$ ]*[@-~]|\x1b[\]P].*?(?:\x07|\x1b\\)|\x1b.|(.)", re.DOTALL
)


def screen_of(session: Session) -> str:
    """What stands on the terminal: only what changes is sent to it."""
    rows = [[" "] * 80 for _ in range(24)]
    x = y = 0
    for line, column, final, char in TOKEN.findall(session.output.decode("utf-8", "replace")):
        if final == "H":
            y, x = int(line or 1) - 1, int(column or 1) - 1
        elif final == "C":
            x += int(line or 1)
        elif char == "\r":
            x = 0
        elif char == "\n":
            y += 1
        elif char:
            if 0 <= y < 24 and 0 <= x < 80:
                rows[y][x] = char
            x += 1
    return "\n".join(map("".join, rows))


def until_seen(session: Session, pattern: str) -> None:
    session.until(lambda: re.search(pattern, screen_of(session)))


def go_through(session: Session) -> None:
    for keys, shown in (
        (b"\x1bOP", "Here"),
        (b"\x1bOP", CLOSED),
        (b"/kernel", r"\d names"),
        (b"\x1b", CLOSED),
        (b"\x10", "Open branch"),
        (b"\x1b", CLOSED),
        (b"5", "at load|when called|not reached"),
        (b"2", "Inputs"),
    ):
        session.type(keys)
        until_seen(session, shown)
    session.type(b"q")
    session.assert_ended(0)


def codes(output: bytes) -> set[str]:
    """Every number of every SGR sequence; a colour of several numbers as one."""
    found = set()
    for sequence in SGR.findall(output):
        found.update(re.findall(r"[34]8[;:][25](?:[;:]\d+)+?(?=;|$)|\d+", sequence.decode()))
    return found


COLORS = {str(code) for code in (*range(30, 50), *range(90, 108))}


@pytest.mark.parametrize("how", ["NO_COLOR", "--no-color", "dumb"])
def test_no_colours(session: Session, how: str) -> None:
    more = {"NO_COLOR": "1"} if how == "NO_COLOR" else {}
    drawn(session, *(["--no-color"] if how == "--no-color" else []), TERM="dumb" if how == "dumb" else "xterm", **more)
    go_through(session)
    found = codes(session.output)
    assert not any(code in COLORS or code.startswith(("38", "48")) for code in found), found
    assert {"1", "7"} <= found  # bold, and the cursor reversed


@pytest.mark.parametrize("term", ["xterm-16color", "linux", "xterm", "screen"])
def test_sixteen_colours(session: Session, term: str) -> None:
    drawn(session, TERM=term)
    go_through(session)
    found = codes(session.output)
    assert found & {"36", "32", "33"}
    assert not any(code.startswith(("38", "48")) for code in found), found


def test_256_colours(session: Session) -> None:
    drawn(session, TERM="xterm-256color")
    go_through(session)
    found = codes(session.output)
    assert any(code.startswith("38;5;") for code in found), found
    assert not any(code.startswith(("38;2", "48;2")) for code in found), found


def test_ascii(session: Session) -> None:
    folder = session.folder / "tfexplore"
    folder.mkdir()
    (folder / "config.ini").write_text("[look]\nglyphs = ascii\n")
    drawn(session, TERM="xterm-256color")
    go_through(session)
    assert session.output.isascii()


@pytest.mark.parametrize(
    ("more", "before", "after"),
    [
        ({"TERM": "xterm-256color"}, b"\x1b]52;c;", b"\x07"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/t,1,0"}, b"\x1bPtmux;\x1b\x1b]52;c;", b"\x07\x1b\\"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/t,1,0"}, b"m\x1b]52;c;|[^\x1b]\x1b]52;c;", b"\x07"),
        ({"TERM": "screen", "STY": "1.pts"}, b"\x1bP\x1b]52;c;", b"\x07\x1b\\"),
    ],
    ids=["plain", "through tmux", "for tmux", "through screen"],
)
def test_the_clipboard(session: Session, more: dict[str, str], before: bytes, after: bytes) -> None:
    drawn(session, **more)
    session.type(b"yy")
    text = base64.b64encode(b"ranker")
    pattern = before if b"|" in before else re.escape(before)
    session.until_shown(b"(?:" + pattern + b")" + re.escape(text + after))
    until_seen(session, "Copied")
    session.type(b"q")
    session.assert_ended(0)


def test_no_clipboard(session: Session) -> None:
    drawn(session, TERM="linux")
    session.type(b"yy")
    path = session.folder / "tfexplore-clipboard"
    session.until(path.exists)
    until_seen(session, "Written to")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"ranker", 0o600)
    assert b"]52;" not in session.output
    session.type(b"q")
    session.assert_ended(0)


def test_settings_that_are_wrong(session: Session) -> None:
    folder = session.folder / "tfexplore"
    folder.mkdir()
    (folder / "config.ini").write_bytes(b"[keys]\napp.quit = x\napp.kuit = \x1b[31m\nline\xff\x1b]0;pwned\x07\n")
    drawn(session, TERM="xterm-256color")
    until_seen(session, "app.kuit")
    session.type(b"q")
    session.type(b"x")
    session.assert_ended(0)
    assert b"pwned\x07" not in session.output


@pytest.mark.parametrize("keys", [b"", b"\x1bOP", b"/ker", b"y", b"\x10", b"2", b"5"])
def test_ctrl_c_twice_from_anywhere(session: Session, keys: bytes) -> None:
    drawn(session, TERM="xterm-256color")
    before = len(session.output)
    session.type(keys)
    if keys:
        session.until(lambda: len(session.output) > before)
    session.type(b"\x03")
    until_seen(session, "Ctrl-C")
    session.type(b"\x03")
    session.assert_ended(130)
