"""The explorer's themes, and what is left of a line where the terminal has no colours or no glyphs."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.filter import ANSIToTruecolor, LineFilter
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.theme import Theme

from tfexplore.core import text
from tfexplore.tui.look import ASCII, DARK, LIGHT, SIXTEEN, TRUE_COLOR, UNICODE, Look

# Greys without a tint and colours of the 6×6×6 cube: a terminal of 256 colours shows them as they are.
THEMES = (
    Theme(
        name=DARK,
        primary="#5fafd7",
        accent="#5fafd7",
        secondary="#87afd7",
        success="#87af5f",
        warning="#d7af5f",
        error="#d7875f",
        foreground="#d0d0d0",
        background="#121212",
        surface="#1c1c1c",
        panel="#262626",
        dark=True,
        variables={
            "surface-lighten-2": "#3a3a3a",
            "text-muted": "#9e9e9e",
            "text-accent": "#87afd7",
            "block-cursor-background": "#005f87",
            "block-cursor-foreground": "#eeeeee",
            "input-selection-background": "#005f87",
        },
    ),
    Theme(
        name=LIGHT,
        primary="#005f87",
        accent="#005f87",
        secondary="#5f5faf",
        success="#005f00",
        warning="#875f00",
        error="#af0000",
        foreground="#262626",
        background="#f8f8f8",
        surface="#eeeeee",
        panel="#e4e4e4",
        dark=False,
        variables={
            "surface-lighten-2": "#c6c6c6",
            "text-muted": "#626262",
            "text-accent": "#005faf",
            "block-cursor-background": "#005f87",
            "block-cursor-foreground": "#ffffff",
            "input-selection-background": "#afd7ff",
        },
    ),
    Theme(
        name=SIXTEEN,
        primary="ansi_cyan",
        accent="ansi_cyan",
        secondary="ansi_cyan",
        success="ansi_green",
        warning="ansi_yellow",
        error="ansi_red",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        dark=True,
        ansi=True,
        variables={
            "block-cursor-foreground": "ansi_default",
            "block-cursor-background": "ansi_default",
            "block-cursor-text-style": "reverse",
            "border": "ansi_cyan",
            "border-blurred": "ansi_default",
            "scrollbar": "ansi_cyan",
            "scrollbar-hover": "ansi_cyan",
            "scrollbar-active": "ansi_cyan",
            "scrollbar-background": "ansi_default",
            "scrollbar-background-hover": "ansi_default",
            "scrollbar-background-active": "ansi_default",
            "input-cursor-text-style": "reverse",
            "input-selection-background": "ansi_cyan",
            "input-selection-foreground": "ansi_black",
            "text-muted": "ansi_default",
            "ansi-background": "ansi_default",
            "ansi-foreground": "ansi_default",
        },
    ),
)


class NoColors(LineFilter):
    """Leaves bold, dim, underlined and reversed, and no colour."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """See `LineFilter`."""
        return [Segment(part, _plain(style) if style is not None else None, None) for part, style, _ in segments]


@lru_cache(1024)
def _plain(style: Style) -> Style:
    return Style(
        bold=style.bold,
        dim=style.dim,
        italic=style.italic,
        underline=style.underline,
        reverse=style.reverse,
        meta=style.meta or None,
    )


# What the explorer draws itself, each as wide as what stands for it.
_OWN = {
    **dict.fromkeys("─━═╌┄╶╴╼╾╺╸▔▁", "-"),
    **dict.fromkeys("│┃║╎┆╵╷▏▎▍▌▋▊▉▕▐", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯╔╗╚╝╠╣╦╩╬┏┓┗┛┣┫┳┻╋╞╡╪", "+"),
    **dict(zip("▂▃▄▅▆▇█", "..:-=##", strict=True)),
    **dict(zip("░▒▓■□▪▫●○◆◈◷◉•·…×−–—›‹→←↑↓▸▾▶▼▴◂⏎⌫≡λƒ✓✗⚠", ".:##-=-*o#@c@*.~x---><><^v>v>v^<<<afS+x!", strict=True)),
}


class Ascii(LineFilter):
    """Draws in ASCII.

    Args:
        names: whether names keep their other characters; else each is shown as `?`.
    """

    def __init__(self, *, names: bool) -> None:
        super().__init__()
        self._names = names
        self._map = lru_cache(4096)(self._part)

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """See `LineFilter`."""
        return [
            Segment(part if part.isascii() else self._map(part), style, control) for part, style, control in segments
        ]

    def _part(self, part: str) -> str:
        return "".join(map(self._character, part))

    def _character(self, one: str) -> str:
        if one.isascii():
            return one
        return _OWN.get(one) or (one if self._names else "?" * text.width(one))


class PlainScrollBar(ScrollBarRender):
    """A scroll bar of characters, where there are no backgrounds to draw it with."""

    VERTICAL_BARS = [" "] * 8
    HORIZONTAL_BARS = [" "] * 8


_SYSTEMS = {16: ColorSystem.STANDARD, 256: ColorSystem.EIGHT_BIT, TRUE_COLOR: ColorSystem.TRUECOLOR}


def draw_with(app: App[Any], look: Look) -> None:
    """Has an application draw with the colours and characters that there are."""
    filters: list[LineFilter] = [one for one in app._filters if isinstance(one, ANSIToTruecolor)]
    if not look.colors:
        filters.append(NoColors())
    if look.glyphs != UNICODE:
        filters.append(Ascii(names=look.glyphs == ASCII))
    app._filters = filters
    app.console._color_system = _SYSTEMS.get(look.colors, ColorSystem.STANDARD)
    plain = look.colors <= 16 or look.glyphs != UNICODE
    ScrollBar.renderer = PlainScrollBar if plain else ScrollBarRender
