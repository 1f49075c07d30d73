"""The values grid of a tensor of 1 GiB on a pty: from a key to the last byte of what it draws.

The explorer runs on a pty of its own (80×24, xterm-256color). A key's time is from its writing to the last byte that
is read before the terminal stays silent for a while. The grid is there when no cell is being read any more.
"""

from __future__ import annotations

import os
import pty
import select
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import first_frame
import programs
from measure import Spread, Unmeasured
from report import Row, Table, fine_seconds, seconds

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
    found: dict[str, list[tuple[float, int]]] = {}
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
    rows.append(Row("bytes written for a row down", Spread.of(float(count) for _, count in found["j"]), _bytes))
    return Table(
        sentence=f"float32 [{side:,}, {side:,}], {side * side * 4 >> 20:,} MiB, in the page cache; "
        f"{first_frame.COLUMNS}×{first_frame.ROWS} pty.",
        runs=runs,
        ours="`tfexplore`",
        rows=rows,
    )


def _bytes(value: float) -> str:
    return f"{value:,.0f} B"


def _row(what: str, found: list[tuple[float, int]], at_most: float) -> Row:
    spread = Spread.of(taken for taken, _ in found)
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


def _one(prefix: str, environment: Mapping[str, str], found: dict[str, list[tuple[float, int]]]) -> None:
    child, terminal = pty.fork()
    if child == 0:
        first_frame._become([*programs.tfexplore(), prefix], environment)
    try:
        _quiet(terminal, "Keys")
        # From the model over its keys to the only one.
        for key in ("j", "\r", "j"):
            _press(terminal, key)
        for what in ("open", "again"):
            taken, count, drawn = _press(terminal, "v")
            if "rows 0 to" not in drawn:
                raise Unmeasured(f"no grid after v, but {drawn[-300:]!r}")
            found.setdefault(what, []).append((taken, count))
            if what == "open":
                _press(terminal, "v")
        for key in _NAMES:
            taken, count, _ = _press(terminal, key)
            found.setdefault(key, []).append((taken, count))
    finally:
        first_frame._end(child, terminal)


def _quiet(terminal: int, label: str) -> None:
    """Waits until something stands on the screen, and the terminal is silent."""
    deadline = time.perf_counter() + _DEADLINE
    written = b""
    while time.perf_counter() < deadline:
        if select.select([terminal], [], [], _SILENCE)[0]:
            part = first_frame._read(terminal)
            if not part:
                break
            written += part
        elif label in first_frame.text_drawn(written):
            return
    raise Unmeasured(f"the explorer did not draw {label!r}")


def _press(terminal: int, key: str) -> tuple[float, int, str]:
    """Seconds to the last byte after a key, how many bytes there were, and what they drew."""
    start = last = time.perf_counter()
    os.write(terminal, key.encode())
    written = b""
    while select.select([terminal], [], [], _SILENCE)[0]:
        part = first_frame._read(terminal)
        if not part:
            raise Unmeasured(f"the explorer ended after {key!r}")
        written += part
        last = time.perf_counter()
        if last - start > _DEADLINE:
            raise Unmeasured(f"the explorer did not come to rest after {key!r}")
    return last - start, len(written), first_frame._ESCAPE.sub(b"", written).decode("utf-8", "replace")
