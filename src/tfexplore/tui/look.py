"""What the terminal can show: how many colours, whether more than ASCII; and the theme that goes with it."""

from __future__ import annotations

import locale
import os
from collections.abc import Mapping
from typing import NamedTuple

from tfexplore.core.settings import Settings

TRUE_COLOR = 1 << 24
UNICODE, ASCII, ONLY_ASCII = "unicode", "ascii", "only-ascii"
DARK, LIGHT, SIXTEEN = "tfexplore-dark", "tfexplore-light", "tfexplore-16"


class Look(NamedTuple):
    """How the explorer draws.

    Attributes:
        theme: the name of the first theme.
        colors: 0, 16, 256 or `TRUE_COLOR`.
        glyphs: `unicode`; `ascii`: only names may have other characters; `only-ascii`: not even names.
    """

    theme: str = DARK
    colors: int = TRUE_COLOR
    glyphs: str = UNICODE


def look(settings: Settings, environ: Mapping[str, str], encoding: str) -> Look:
    """The look for a terminal that the environment tells of, as far as the settings leave it open.

    Args:
        encoding: the terminal's, as the locale has it.
    """
    colors = {"none": 0, "16": 16, "256": 256, "true": TRUE_COLOR}.get(settings.colors)
    if environ.get("NO_COLOR"):
        colors = 0
    elif colors is None:
        colors = _colors(environ)
    return Look(_theme(settings.theme, colors, environ), colors, _glyphs(settings.glyphs, encoding))


def _colors(environ: Mapping[str, str]) -> int:
    term = environ.get("TERM", "").lower()
    if term in ("", "dumb", "unknown") or term.endswith(("-mono", "-m")) or term.startswith(("vt1", "vt2")):
        return 0
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or term.endswith("-direct"):
        return TRUE_COLOR
    name = term.removeprefix("xterm-").partition("-")[0]
    if "256color" in term or name in ("kitty", "alacritty", "foot", "ghostty", "wezterm", "contour"):
        return 256
    return 16


def _theme(setting: str, colors: int, environ: Mapping[str, str]) -> str:
    if colors <= 16 and setting in ("auto", "dark", "light"):
        return SIXTEEN  # the terminal's own foreground and background: neither dark nor light
    named = {"dark": DARK, "light": LIGHT}
    if setting != "auto":
        return named.get(setting, setting)
    # rxvt, konsole and others say their colours: `15;0` is white on black.
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT if background in ("7", "15") else DARK


def _glyphs(setting: str, encoding: str) -> str:
    if encoding.lower().replace("-", "").replace("_", "") != "utf8":
        return ONLY_ASCII if setting != "unicode" else UNICODE
    return ASCII if setting == "ascii" else UNICODE


def look_here(settings: Settings) -> Look:
    """The look for this process's terminal."""
    return look(settings, os.environ, locale.getpreferredencoding(False))
