"""The values grid of a tensor of 1 GiB on a pty: from a key to the last byte of what it draws.

The explorer runs on a pty of its own (80×24, xterm-256color). A key's time is from its writing to the last byte that
is read before the terminal stays silent for a while. The grid is there when no cell is being read any more.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import programs
from measure import Spread
from report import Row, Table, fine_seconds, seconds
from terminal import Answer, running

RUNS = 5
OPENED_AT_MOST = 0.1
KEY_AT_MOST = 0.05
_SIDE = 16_384
_SILENCE = 0.25
_DEADLINE = 30.0
_NAMES = {
    "\x1b[6~": "a page down",
    "j": "a row down",
    "l": "a column to the right",
    ">": "a page to the right",
    "G": "to the last value",
    "k": "a row up",
    "t": "transposed (columns of the file become rows)",
}


def measure(runs: int, *, quick: bool) -> Table:
    """Measures one process after the other; with `quick` a tensor of a sixteenth of the size."""
    side = _SIDE // 4 if quick else _SIDE
    found: dict[str, list[Answer]] = {}
    with tempfile.TemporaryDirectory() as home:
        own = {f"XDG_{name}_HOME": os.path.join(home, name.lower()) for name in ("CACHE", "CONFIG", "DATA", "STATE")}
        prefix = _written(Path(home) / "large", side)
        for _ in range(runs):
            _one(str(prefix), programs.environment() | own, found)
    rows = [
        _row("from `v` to the grid, the first time", found["open"], OPENED_AT_MOST),
        _row("from `v` to the grid, again", found["again"], OPENED_AT_MOST),
    ]
    rows += [_row(f"{_NAMES[key]}", found[key], KEY_AT_MOST) for key in _NAMES]
    rows.append(Row("bytes written for a row down", Spread.of(float(answer.size) for answer in found["j"]), _bytes))
    return Table(
        sentence=f"float32 [{side:,}, {side:,}], {side * side * 4 >> 20:,} MiB, in the page cache; 80×24 pty.",
        runs=runs,
        ours="`tfexplore`",
        rows=rows,
    )


def _bytes(value: float) -> str:
    return f"{value:,.0f} B"


def _row(what: str, found: list[Answer], at_most: float) -> Row:
    spread = Spread.of(answer.seconds for answer in found)
    show = fine_seconds if spread.median < 1 else seconds
    return Row(what, spread, show, target=f"at most {at_most:g} s", met=spread.median <= at_most)


def _written(folder: Path, side: int) -> Path:
    """The prefix of a checkpoint with one tensor: the same 16 MiB of normal numbers again and again."""
    import numpy as np

    sys.path.insert(0, str(programs.HERE.parent / "tests"))
    from formats.table_writer import encode_table, entry, header

    folder.mkdir()
    block = np.random.default_rng(0).normal(0, 0.1, 1 << 22).astype(np.float32).tobytes()
    total = side * side * 4
    with open(folder / "ckpt.data-00000-of-00001", "wb") as file:
        for start in range(0, total, len(block)):
            file.write(block[: total - start])
    # Its checksum is never looked at: only boxes of the values are read.
    value = entry(1, [side, side], size=total, crc32c=1)
    (folder / "ckpt.index").write_bytes(encode_table([(b"", header()), (b"kernel", value)]))
    return folder / "ckpt"


def _one(prefix: str, environment: Mapping[str, str], found: dict[str, list[Answer]]) -> None:
    with running([*programs.tfexplore(), prefix], environment) as terminal:
        terminal.until("Keys")
        terminal.until_quiet(_SILENCE)
        # From the model over its keys to the only one.
        for key in ("j", "\r", "j"):
            terminal.answer(key, quiet=_SILENCE, at_most=_DEADLINE)
        for what in ("open", "again"):
            before = len(terminal.written)
            answer = terminal.answer("v", quiet=_SILENCE, at_most=_DEADLINE)
            terminal.until("rows 0 to", since=before)
            found.setdefault(what, []).append(answer)
            if what == "open":
                terminal.answer("v", quiet=_SILENCE, at_most=_DEADLINE)
        for key in _NAMES:
            found.setdefault(key, []).append(terminal.answer(key, quiet=_SILENCE, at_most=_DEADLINE))
