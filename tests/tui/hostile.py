"""Models whose every name is an attack on a terminal or on markup."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.saved_model_writer import (
    function,
    identity,
    info,
    meta_graph,
    object_graph,
    placeholder,
    signature,
    user_object,
    variable_object,
    write_saved_model,
)  # fmt: skip
from formats.table_writer import write_bundle

# What must never reach a terminal: sequences that Textual itself does not write.
OSC, CSI, DCS = b"\x1b]0;pwned\x07", b"\x1b[31;7;5mEVIL\x1b[0;0;0m", b"\x1bP+q544e\x1b\\"
NAMES = [
    OSC + b"title",
    CSI + b"red",
    DCS + b"dcs",
    b"\x9b31mc1-is-not-utf8",
    b"\xc2\x9b31;7;5mc1",
    b"\xc2\x9d0;pwned\xc2\x9cosc8",
    b"new\nline\r\nand\ttab\x00\x07\x08\x0b\x0c\x0e\x0f\x1b\x7fend",
    "bidi\u202egnp.exe\u202c\u2066x\u2069\u200e\u200f\u061cend".encode(),
    "zero\u200bwidth\u200d\ufeffend".encode(),
    b"[/]",
    b"[None]",
    b"[float32]",
    b"[bold red]x[/bold red]",
    b"[@click=app.quit]x[/]",
    b"\\[escaped\\]",
    b"$accent ${x} {y} %s",
    b"not-utf8-\xff\xfe\xc0\x80",
    "宽字符-ラベル-한글".encode(),
    "e\u0301\u0308combining".encode(),
    "👩\u200d👩\u200d👧emoji🏳\ufe0f".encode(),
    b"long-" + b"n" * 10_000 + b"-end",
    b"long-" + b"\x1b[31m" * 2_000 + b"-end",
    b" ",
    b"",
]
KEYS = [*(name for name in NAMES if name), b"a//b", b"/", b"//", b"/lead", b"trail/"]
LEVELS = 3_000
# A key at each level, or a chain of scopes would be one row.
DEEP = [b"/".join([b"d"] * level) for level in range(1, LEVELS + 1)]
FOLDER_NAME = "ev\x1b]0;pwned\x07[None]il\u202e"


def write_hostile_bundle(folder: Path, *, deep: bool = False) -> Path:
    folder.mkdir()
    keys = DEEP if deep else KEYS
    write_bundle(folder / "model", {key: np.ones(2, np.float32) for key in keys})
    return folder / "model.index"


def write_hostile_model(folder: Path, names: list[bytes] = NAMES) -> Path:
    nodes = [placeholder(name) for name in names]
    nodes += [identity(b"of-%d" % number, name) for number, name in enumerate(names)]
    graph = meta_graph(
        tags=[b"[@click=app.quit]", b"\x1b[31mEVIL"],
        nodes=nodes,
        functions=[function(name, [name], {name: name}, [identity(name + b"i", name)]) for name in names],
        signatures={
            name: signature({name: info(name + b":0")}, {b"out" + name: info(b"of-%d:0" % number)})
            for number, name in enumerate(names)
        },
        assets=names,
        objects=object_graph(
            [
                user_object((name, number + 1) for number, name in enumerate(names)),
                *(variable_object(name, [2]) for name in names),
            ]
        ),
    )
    return write_saved_model(folder, graph)
