"""What is known of the terminal, for `tfexplore doctor`."""

from __future__ import annotations

import os
import shutil
import sys
from typing import NamedTuple

from tfexplore.core.clipboard import FILE, clipboard_file, way
from tfexplore.core.settings import read_settings, settings_path


class Terminal(NamedTuple):
    """The terminal as the environment tells of it.

    Attributes:
        term: the value of TERM, None where it is not set.
        columns, rows: 0 where standard output is no terminal.
        colors: how many; 0 for none, also by NO_COLOR.
        inside: `tmux` or `screen`.
        ssh: whether the session came over SSH.
        encoding: of standard output.
    """

    term: str | None
    columns: int
    rows: int
    colors: int
    inside: str | None
    ssh: bool
    encoding: str


def look() -> Terminal:
    """Looks at standard output and the environment."""
    tty = sys.stdout.isatty()
    size = shutil.get_terminal_size((0, 0)) if tty else os.terminal_size((0, 0))
    inside = "tmux" if os.environ.get("TMUX") else "screen" if os.environ.get("STY") else None
    ssh = any(os.environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"))
    return Terminal(
        os.environ.get("TERM"),
        size.columns,
        size.lines,
        _colors() if tty else 0,
        inside,
        ssh,
        (sys.stdout.encoding or "ascii").lower(),
    )


def _colors() -> int:
    if os.environ.get("NO_COLOR"):
        return 0
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return 1 << 24
    try:
        import curses

        curses.setupterm()
        return max(0, curses.tigetnum("colors"))
    except Exception:  # no terminfo for this TERM, or a Python without curses
        return 256 if "256color" in os.environ.get("TERM", "") else 0


def sentence(found: Terminal) -> str:
    """One line for the person."""
    if not found.columns:
        return "standard output is none"
    colors = {0: "no colours", 1 << 24: "true colour"}.get(found.colors, f"{found.colors} colours")
    parts = [f"{found.columns}×{found.rows}", colors, f"TERM={found.term or ''}", found.encoding]
    parts += [f"in {found.inside}"] if found.inside else []
    parts += ["over SSH"] if found.ssh else []
    return ", ".join(parts)


def clipboard(found: Terminal) -> str:
    """How copying gets out of here; no terminal says whether it takes what it is sent."""
    if not found.columns:
        return "none without a terminal"
    settings = read_settings(os.environ)
    out = way(os.environ, settings.clipboard)
    if out.how == FILE:
        return f"by the file {clipboard_file(os.environ)}: {out.why}"
    if out.inside == "tmux":
        return (
            "by OSC 52, where tmux has `set -g set-clipboard on` (or `allow-passthrough on`) and the terminal around "
            "it allows it"
        )
    inside = " in pieces through screen," if out.inside == "screen" else ","
    return f"by OSC 52{inside} where the terminal allows it; `clipboard = file` in {settings_path(os.environ)} if not"


def settings() -> str:
    """Where the explorer's settings lie, and what is wrong with them."""
    path = settings_path(os.environ)
    if not os.path.exists(path):
        return f"none ({path}; `tfexplore --print-config` prints one)"
    problems = read_settings(os.environ).problems
    return f"{path}, {len(problems)} of its lines left out: {problems[0]}" if problems else path
