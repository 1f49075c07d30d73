"""Key presses on a graph and a checkpoint of a million names: until the pane has answered, until the details have.

The explorer waits a little after the last key before it reads details. Keys that follow each other faster therefore
have only the pane's answer; the details are measured after the last of them. A pane that answered more slowly than
keys are typed here would have its bytes, and its time, counted all the same.
"""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import large_models
import programs
from measure import Spread
from report import Row, Table, count, fine_seconds
from terminal import Answer, Terminal, running

RUNS = 3
KEYS_A_RUN = 200
PANE_AT_MOST, PANE_BYTES = 0.050, 2_000
DETAIL_AT_MOST, DETAIL_BYTES = 0.250, 10_000
SIZES = ((80, 24), (120, 40))
_QUIET = 0.02
# Below what the explorer waits before it reads details.
_NEXT_KEY = 0.075
_SETTLED = 0.5
_RIGHT, _LEFT = "\x1b[C", "\x1b[D"
_MOVES = ("j", "k", "\x1b[A", "\x1b[B", "\x1b[5~", "\x1b[6~", "\x1b[6~")
_BRANCHES = ("j", "j", "j", _RIGHT, _RIGHT, _LEFT)
_HITS = ("\x1b[A", "\x1b[B", "\x1b[B", "\x1b[5~", "\x1b[6~", "\x1b[6~")
# A search that has to decode every node, and so runs on while keys are typed.
_LONG_SEARCH = "attr:dtype=nothing_such"
# How often `j` leads from the first row to the section.
_GRAPH, _KEYS = 3, 1


def measure(runs: int, *, quick: bool) -> Table:
    """Measures on a pty; `quick` takes one size."""
    rows: list[Row] = []
    models = (("graph", large_models.saved_model(), _GRAPH), ("checkpoint", large_models.checkpoint(), _KEYS))
    with tempfile.TemporaryDirectory() as home:
        # No configuration and no state of the user's.
        own = {f"XDG_{name}_HOME": os.path.join(home, name.lower()) for name in ("CACHE", "CONFIG", "DATA", "STATE")}
        environment = programs.environment() | own
        for columns, lines in SIZES[: 1 if quick else 2]:
            for name, path, downs in models:
                for what, prepare, keys in _PANES:
                    panes, details = list[Answer](), list[Answer]()
                    for seed in range(runs):
                        with _explorer(path, environment, columns, lines) as terminal:
                            prepare(terminal, downs)
                            panes += _storm(terminal, keys, seed)
                            details += [_detail(terminal, keys) for _ in range(0 if keys is _HITS else 20)]
                    rows += _rows(f"{columns}×{lines}, {name}, {what}", panes, details)
    return Table(
        sentence=f"{KEYS_A_RUN} key presses a run among a million names; from the key to the last byte on a pty. "
        "Each figure is the 99th percentile of all runs.",
        runs=runs,
        ours="99th percentile",
        rows=rows,
    )


def _explorer(
    path: Path, environment: Mapping[str, str], columns: int, lines: int
) -> contextlib.AbstractContextManager[Terminal]:
    return running([*programs.tfexplore(), str(path)], environment, columns=columns, rows=lines)


def _type(terminal: Terminal, *keys: str) -> None:
    for key in keys:
        terminal.type(key)
        terminal.until_quiet(_SETTLED)


def _tree(terminal: Terminal, downs: int) -> None:
    terminal.until("1,000,000")
    _type(terminal, *("j",) * downs)
    _type(terminal, *(_RIGHT,) * 8)  # down to a layer's names


def _list(terminal: Terminal, downs: int) -> None:
    terminal.until("1,000,000")
    _type(terminal, *("j",) * downs, "t")


def _search(terminal: Terminal, downs: int) -> None:
    terminal.until("1,000,000")
    _type(terminal, *("j",) * downs, "/", "layer_77")
    terminal.until_quiet(3.0)


def _running_search(terminal: Terminal, downs: int) -> None:
    """The tree while a search behind it goes on."""
    _tree(terminal, downs)
    terminal.type("/")
    terminal.until_quiet(_SETTLED)
    terminal.type(_LONG_SEARCH)
    terminal.until_quiet(0.1)


_PANES: tuple[tuple[str, Callable[[Terminal, int], None], tuple[str, ...]], ...] = (
    ("the tree", _tree, _MOVES),
    ("the tree, branches opened and closed", _tree, _BRANCHES),
    ("the flat list", _list, _MOVES),
    ("what a search found", _search, _HITS),
    ("typing while a search runs", _running_search, tuple("abc") + ("\x7f",) * 3),
)


def _storm(terminal: Terminal, keys: tuple[str, ...], seed: int) -> list[Answer]:
    """Key after key, each when the pane has answered."""
    chosen = random.Random(seed)
    return [terminal.answer(chosen.choice(keys), quiet=_QUIET, at_most=_NEXT_KEY) for _ in range(KEYS_A_RUN)]


def _detail(terminal: Terminal, keys: tuple[str, ...]) -> Answer:
    """One key, and all that it leads to."""
    terminal.until_quiet(_SETTLED)
    return terminal.answer("j", quiet=_SETTLED, at_most=10.0)


def _rows(what: str, panes: list[Answer], details: list[Answer]) -> Iterator[Row]:
    yield _row(f"{what}: the pane", [a.seconds for a in panes], fine_seconds, PANE_AT_MOST)
    yield _row(f"{what}: its bytes", [a.size for a in panes], count, PANE_BYTES)
    if details:
        yield _row(f"{what}: the details too", [a.seconds for a in details], fine_seconds, DETAIL_AT_MOST)
        yield _row(f"{what}: all bytes", [a.size for a in details], count, DETAIL_BYTES)


def _row(what: str, found: Sequence[float], show: Callable[[float], str], at_most: float) -> Row:
    ordered = sorted(found)
    worst = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return Row(
        what=what,
        ours=Spread(worst, ordered[0], ordered[-1]),
        show=show,
        target=f"at most {show(at_most)}",
        met=worst <= at_most,
    )
