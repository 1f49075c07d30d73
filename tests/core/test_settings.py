"""The settings file: what it says is taken, what is wrong is named with its line, and costs nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.core.settings import MAX_BYTES, Settings, parse_settings, read_settings, settings_path

GOOD = """\
# mine
[look]
theme = light
COLORS=256
; glyphs = ascii
glyphs = unicode

[copy]
clipboard = file
[keys]
tree.act = enter, space
app.quit = =
"""


def test_a_good_file() -> None:
    found = parse_settings(GOOD, "there")
    assert found.problems == ()
    assert found.keys == {"tree.act": "enter, space", "app.quit": "="}
    assert (found.theme, found.colors, found.glyphs, found.clipboard) == ("light", "256", "unicode", "file")
    assert found.lines == {"tree.act": 11, "app.quit": 12}


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("[looks]\na = b", "there, line 1: [looks] is no section; there are [keys], [look] and [copy]"),
        ("[keys", "there, line 1: [keys is no section; there are [keys], [look] and [copy]"),
        ("x = 1", "there, line 1: x stands before any section, such as [keys]"),
        ("[keys]\ntree.act", "there, line 2: expected NAME = VALUE, found tree.act"),
        ("[keys]\n= q", "there, line 2: expected NAME = VALUE, found = q"),
        ("[keys]\na = b\na = c", "there, line 3: a is given a second time, the first on line 2"),
        ("[look]\nfont = x", "there, line 2: [look] has no font; it has theme, colors, glyphs"),
        ("[look]\ncolors = pink", "there, line 2: colors is one of auto, none, 16, 256, true, not pink"),
        ("[copy]\nclipboard = \x1b", r"there, line 2: clipboard is one of auto, osc52, file, not \x1b"),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_is_taken(written: str, problem: str) -> None:
    found = parse_settings(f"{written}\n[look]\ntheme = dark", "there")
    assert found.problems == (problem,)
    assert found.theme == "dark"


@given(st.text(max_size=200))
def test_anything_is_read(written: str) -> None:
    for problem in parse_settings(written, "a\nb").problems:
        assert problem.isprintable()
        assert r"a\nb, line " in problem


IDS, WRITTEN = st.from_regex(r"\A[a-z]{1,9}\.[a-z_]{1,9}\Z"), st.from_regex(r"\A[a-z0-9+,]{1,20}\Z")


@given(st.dictionaries(IDS, WRITTEN, max_size=5))
def test_keys_come_back(keys: dict[str, str]) -> None:
    written = "\n".join(["[keys]", *(f"{name} = {value}" for name, value in keys.items())])
    assert parse_settings(written, "").keys == keys


def test_where_it_lies(tmp_path: Path) -> None:
    assert settings_path({"XDG_CONFIG_HOME": "/c"}) == "/c/tfexplore/config.ini"
    assert settings_path({"XDG_CONFIG_HOME": "c", "HOME": "/h"}) == "/h/.config/tfexplore/config.ini"
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert read_settings(environ) == Settings()
    path = Path(settings_path(environ))
    path.parent.mkdir()
    path.write_text(GOOD)
    assert read_settings(environ).theme == "light"
    path.write_bytes(b"[look]\ntheme = \xff")
    assert read_settings(environ).theme == "\udcff"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert read_settings(environ).problems == (f"{path}: larger than 1 MiB, which no settings are",)
    path.unlink()
    path.mkdir()
    assert read_settings(environ).problems == (f"{path}: cannot be read: is a directory",)
    path.rmdir()
    os.mkfifo(path)
    assert read_settings(environ) == Settings()  # nobody writes to it: empty, at once
