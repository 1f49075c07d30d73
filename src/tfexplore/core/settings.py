"""The person's settings: keys, look and clipboard, in a file of sections and `NAME = VALUE` lines (INI)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from tfexplore.core import text

MAX_BYTES = 1 << 20
# Stands for no key at all; no terminal sends such a one.
NO_KEY = "none"
THEMES = ("auto", "dark", "light")
COLORS = ("auto", "none", "16", "256", "true")
GLYPHS = ("auto", "unicode", "ascii")
CLIPBOARDS = ("auto", "osc52", "file")
_CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "look": {"theme": THEMES, "colors": COLORS, "glyphs": GLYPHS},
    "copy": {"clipboard": CLIPBOARDS},
}


class Settings(NamedTuple):
    """What the file says.

    Attributes:
        keys: keys by the id of their binding, as written.
        lines: the line of each id, for what is said about it later.
        theme, colors, glyphs, clipboard: one of the words above, or the name of any theme.
        problems: a sentence for each part that was left out, with file and line.
    """

    keys: Mapping[str, str] = {}
    lines: Mapping[str, int] = {}
    theme: str = "auto"
    colors: str = "auto"
    glyphs: str = "auto"
    clipboard: str = "auto"
    problems: tuple[str, ...] = ()


def settings_path(environ: Mapping[str, str]) -> str:
    """Where the file lies, whether or not it is there: `$XDG_CONFIG_HOME/tfexplore/config.ini`."""
    folder = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):  # empty, unset or relative: the XDG base directory specification says to ignore it
        folder = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".config")
    return os.path.join(folder, "tfexplore", "config.ini")


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The person's settings; the defaults where there is no file. What is wrong in it is among the problems."""
    path = settings_path(environ)
    try:
        # Not a pipe or a device: nothing would answer.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        return Settings(problems=(f"{text.visible(path)}: cannot be read: {(error.strerror or '').lower()}",))
    if len(raw) > MAX_BYTES:
        return Settings(problems=(f"{text.visible(path)}: larger than 1 MiB, which no settings are",))
    return parse_settings(text.decode(raw), path)


def parse_settings(written: str, path: str) -> Settings:
    """The settings in a text; a bad line costs itself alone.

    Args:
        written: sections `[keys]`, `[look]` and `[copy]` of lines `NAME = VALUE`; `#` and `;` begin comments.
        path: names the file in the problems.
    """
    said: list[str] = []
    keys: dict[str, str] = {}
    lines: dict[str, int] = {}
    words: dict[str, str] = {}
    section = ""
    for number, line in enumerate(written.split("\n"), 1):
        line = line.strip()
        at = f"{text.visible(path)}, line {number}"
        if not line or line[0] in "#;":
            continue
        if line[0] == "[":
            section = line[1:-1].strip().lower() if line[-1] == "]" else line
            if section not in ("keys", *_CHOICES):
                said.append(f"{at}: {text.visible(line[:60])} is no section; there are [keys], [look] and [copy]")
                section = "?"
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if section == "?":
            continue
        if not equals or not name:
            said.append(f"{at}: expected NAME = VALUE, found {text.visible(line[:60])}")
        elif not section:
            said.append(f"{at}: {text.visible(name[:60])} stands before any section, such as [keys]")
        elif section == "keys":
            if name in keys:
                said.append(f"{at}: {text.visible(name[:60])} is given a second time, the first on line {lines[name]}")
            keys[name], lines[name] = value, number
        else:
            said += _choice(words, section, name.lower(), value, at)
    return Settings(keys, lines, **words, problems=tuple(said))


def _choice(words: dict[str, str], section: str, name: str, value: str, at: str) -> list[str]:
    choices = _CHOICES[section]
    name = {"colours": "colors"}.get(name, name)
    if name not in choices:
        return [f"{at}: [{section}] has no {text.visible(name[:60])}; it has {', '.join(choices)}"]
    # A theme may be any of Textual's: the explorer says so where there is none of that name.
    if name == "theme" or value.lower() in choices[name]:
        words[name] = value.lower()
        return []
    return [f"{at}: {name} is one of {', '.join(choices[name])}, not {text.visible(value[:60])}"]
