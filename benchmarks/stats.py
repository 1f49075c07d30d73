"""Statistics of values: one tensor of 1 GiB against numpy on the same values in memory, 4 GiB against `cat`."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import programs
import value_models
from measure import Spread, Unmeasured, pairs, run
from report import Row, Table, seconds, size, times

RUNS = 3
TIMES_NUMPY = 2
MORE_MEMORY = 200 << 20
SHARE_OF_CAT = 0.5
_LARGE, _TENSORS, _EACH = 1 << 28, 1000, (4 << 30) // 1000 // 4
_SPARE = 8 << 30


def measure(runs: int, *, quick: bool) -> Table:
    """Measures all three; with `quick` tensors of a sixteenth of the size."""
    sys.path.insert(0, str(programs.HERE.parent / "src"))
    smaller = 16 if quick else 1
    if shutil.disk_usage(tempfile.gettempdir()).free < _SPARE // smaller:
        raise Unmeasured("the temporary folder has too little room")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        many = value_models.written(Path(folder) / "many", _TENSORS, _EACH // smaller)
        rows.append(_all_tensors(many, runs))
        shutil.rmtree(many.parent)
        one = value_models.written(Path(folder) / "one", 1, _LARGE // smaller)
        small = value_models.written(Path(folder) / "small", 1, 1000)
        # Before this process holds an array of that size, which would hide what others take.
        rows.append(_memory(one, small, runs))
        rows += _one_tensor(one, runs)
    return Table(
        sentence=f"float32, normally distributed; one tensor of {_LARGE * 4 // smaller >> 20:,} MiB, and {_TENSORS:,} "
        f"tensors of {_TENSORS * _EACH * 4 // smaller >> 20:,} MiB together; files in the page cache, checksums "
        "compared.",
        runs=runs,
        ours="`tfexplore`",
        theirs="the other",
        comparison="compared",
        rows=rows,
    )


def _one_tensor(prefix: Path, runs: int) -> list[Row]:
    """In this process: numpy's four passes over the array in memory, ours over the file."""
    import numpy as np

    from tfexplore.core.checkpoint import Checkpoint
    from tfexplore.core.statistics import distribution, statistics
    from tfexplore.core.tensor_source import KeySource

    array = np.fromfile(f"{prefix}.data-00000-of-00001", np.float32)

    def ours() -> tuple[float, float, object]:
        checkpoint = Checkpoint(str(prefix))
        try:
            source = KeySource(checkpoint, checkpoint.keys[0])
            start = time.perf_counter()
            found = statistics(source, threads=2)
            first = time.perf_counter() - start
            distribution(source, found, threads=2)
            second = time.perf_counter() - start - first
        finally:
            checkpoint.close()
        if found.checksum != "good":
            raise Unmeasured("the checksum does not match")
        return first, second, (found.minimum, found.maximum)

    def theirs() -> tuple[float, object]:
        start = time.perf_counter()
        found = float(array.min()), float(array.max())
        array.mean()
        array.std()
        return time.perf_counter() - start, found

    measured = pairs(ours, theirs, runs)
    if any(mine[2] != other[1] for mine, other in measured):
        raise Unmeasured("numpy finds another minimum or maximum")
    rows = []
    for place, what, target in (
        (0, "1 GiB: min, max, mean, std, zeros, NaN, infinities, checksum", TIMES_NUMPY),
        (1, "percentiles and histogram of the same", None),
    ):
        compared = Spread.of(mine[place] / other[0] for mine, other in measured)
        rows.append(
            Row(
                what=f"{what}; the other: numpy's min, max, mean and std in memory",
                ours=Spread.of(mine[place] for mine, _ in measured),
                theirs=Spread.of(other[0] for _, other in measured),
                show=seconds,
                compared=compared,
                show_compared=times,
                target=None if target is None else f"at most {target}×",
                met=None if target is None else compared.median <= target,
            )
        )
    return rows


def _memory(prefix: Path, small: Path, runs: int) -> Row:
    environment = programs.environment()
    commands = [[*programs.tfexplore(), "tensor", str(path), "tensor_0000", "--stats"] for path in (prefix, small)]
    found = pairs(partial(run, commands[0], environment), partial(run, commands[1], environment), runs)
    couples = [(large.memory, little.memory) for large, little in found]
    more = Spread.of(large - little for large, little in couples)
    return Row(
        what="peak memory of `tensor --stats`; the other: a tensor of 4 kB",
        ours=Spread.of(large for large, _ in couples),
        theirs=Spread.of(little for _, little in couples),
        show=size,
        compared=more,
        show_compared=lambda value: f"+{size(value)}",
        target=f"at most +{size(MORE_MEMORY)}",
        met=more.median <= MORE_MEMORY,
    )


def _all_tensors(prefix: Path, runs: int) -> Row:
    environment = programs.environment()
    cat = shutil.which("cat")
    if cat is None:
        raise Unmeasured("there is no cat")
    ours = [*programs.tfexplore(), "stats", str(prefix), "--json"]
    theirs = ["/bin/sh", "-c", f'exec {cat} "$1" > /dev/null', "sh", f"{prefix}.data-00000-of-00001"]
    found = pairs(partial(run, ours, environment), partial(run, theirs, environment, silent=True), runs)
    couples = [(a.wall, b.wall) for a, b in found]
    share = Spread.of(b / a for a, b in couples)
    return Row(
        what="`stats --json` of 1,000 tensors; the other: `cat FILE > /dev/null`",
        ours=Spread.of(a for a, _ in couples),
        theirs=Spread.of(b for _, b in couples),
        show=seconds,
        compared=share,
        show_compared=lambda value: f"{value:.2f} of its rate",
        target=f"at least {SHARE_OF_CAT}",
        met=share.median >= SHARE_OF_CAT,
    )
