"""How a text gets out of the terminal: the escape sequence OSC 52, or a file where no terminal would take it."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Mapping
from typing import NamedTuple

OSC52 = "osc52"
FILE = "file"
# xterm and tmux drop a sequence of over 100,000 bytes; base64 makes four bytes of three.
MAX_BYTES = 74_000
# Terminals without it, or with none that anybody knows of.
_WITHOUT = ("linux", "dumb", "unknown", "vt100", "vt102", "vt220", "cons25", "sun")
# A sequence that screen passes on is at most 768 bytes long.
_SCREEN_PIECE = 600


class Way(NamedTuple):
    """How a copied text leaves.

    Attributes:
        how: `osc52` or `file`.
        inside: `tmux`, `screen`, or empty: what stands between this program and the terminal.
        why: for a file, why it is one, as the end of a sentence.
    """

    how: str
    inside: str = ""
    why: str = ""

    @property
    def name(self) -> str:
        """The way in words."""
        if self.how == FILE:
            return "file"
        return f"OSC 52 through {self.inside}" if self.inside else "OSC 52"


def way(environ: Mapping[str, str], setting: str = "auto") -> Way:
    """The way out of the terminal that the environment tells of.

    Args:
        setting: `auto`, `osc52` or `file`.
    """
    term = environ.get("TERM", "")
    if environ.get("TMUX") or term.startswith("tmux"):
        inside = "tmux"
    else:
        inside = "screen" if environ.get("STY") or term.startswith("screen") else ""
    if setting == FILE:
        return Way(FILE, inside, "the settings say so")
    if setting == "auto" and (not term or term.partition("-")[0] in _WITHOUT):
        return Way(FILE, inside, f"a terminal of the kind {term or 'nobody names'} has no clipboard")
    return Way(OSC52, inside)


def sequences(copied: str, found: Way) -> str:
    """What is written to the terminal to have it keep a text; `copied` has no control characters but newlines.

    tmux takes the plain sequence where `set-clipboard` is on, and hands the wrapped one to the terminal around it
    where `allow-passthrough` is. screen hands on what comes in pieces, each a device control string.
    """
    plain = f"\x1b]52;c;{base64.b64encode(copied.encode('utf-8', 'surrogateescape')).decode('ascii')}\x07"
    if found.inside == "tmux":
        return f"{plain}\x1bPtmux;{plain.replace(chr(27), chr(27) * 2)}\x1b\\"
    if found.inside == "screen":
        pieces = (plain[start : start + _SCREEN_PIECE] for start in range(0, len(plain), _SCREEN_PIECE))
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return plain


def clipboard_file(environ: Mapping[str, str]) -> str:
    """Where a text is written that no terminal takes."""
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and os.path.isdir(runtime):
        return os.path.join(runtime, "tfexplore-clipboard")
    cache = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "tfexplore", "clipboard")


def write_file(copied: str, environ: Mapping[str, str]) -> str:
    """Writes a text to the clipboard's file, which only its owner may read; returns its path.

    Raises:
        OSError: it cannot be written.
    """
    path = clipboard_file(environ)
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    # Of its own (0600), then renamed: never through a link that somebody has laid there, never half of a text.
    fd, temporary = tempfile.mkstemp(prefix=".tfexplore-", dir=folder)
    try:
        with open(fd, "wb") as file:
            file.write(copied.encode("utf-8", "surrogateescape"))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path
