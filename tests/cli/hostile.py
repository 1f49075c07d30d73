"""A model with hostile names, and what must not come out of a terminal."""

from __future__ import annotations

import re
from pathlib import Path

from core.saved_model_writer import (
    attr,
    identity,
    info,
    meta_graph,
    node,
    placeholder,
    signature,
    tensor,
    write_saved_model,
)

FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
COLOURS = re.compile(r"\x1b\[\d+m")
EVIL = ["\x1b]0;owned\x07", "\x1b[2J", "a\nb\r\x08\x7f", "\u202etxt", "\u009b2J", "[bold red]x[/]", "é日本"]


def write_hostile(folder: Path) -> Path:
    """A model whose signature, inputs and outputs have such names, and whose output holds them."""
    text = tensor(7, (len(EVIL),), string_val=[name.encode() for name in EVIL])
    words = node(b"words", b"Const", value=attr(tensor=text), dtype=attr(type=7))
    names = [name.encode() for name in EVIL]
    outputs = {name: info(b"y:0") for name in names}
    return write_saved_model(
        folder,
        meta_graph(
            nodes=[placeholder(b"x"), identity(b"y", b"x"), words],
            signatures={
                names[0]: signature({names[1]: info(b"x:0")}, {**outputs, b"words": info(b"words:0", 7, (len(EVIL),))})
            },
        ),
    )
