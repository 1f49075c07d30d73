"""Pictures made of characters: histograms, heat maps, filters. Levels, not colours: who draws knows the theme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core.value_cells import real

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

LEVELS = 32
# Added to a level whose middle is zero.
SIGNED = LEVELS
# Instead of a level: no pixel there, a value that is no finite number, and text.
EMPTY, BAD, LABEL = -1, -2, -3
# How a pixel is drawn: two in a cell by colours, or one in a cell by its character.
HALF, SHADE, ASCII = "half", "shade", "ascii"
_SHADES = {SHADE: " ░▒▓█", ASCII: " .:-=+*#%@"}
_BAD_MARK = "!"
_BARS = {True: " .:#", False: " ▁▂▃▄▅▆▇█"}
_MAX_SCALE = 8
_MAX_KERNEL = 32
# Filters are drawn smaller until all of them fit, or so many.
_ENOUGH = 40


class Run(NamedTuple):
    """Characters that look alike: the level of the characters and that of what lies behind them."""

    text: str
    fg: int = LABEL
    bg: int = EMPTY


Row = list[Run]


def levels_of(values: Array, low: float, high: float) -> Array:
    """The level of each number between two others, as int16; BAD for what is not finite."""
    import numpy as np

    span = high / 2 - low / 2
    finite = np.isfinite(values)
    with np.errstate(all="ignore"):
        share = (np.where(finite, values, low) / 2 - low / 2) / span if span > 0 else np.zeros(values.shape)
    found = np.clip(share * LEVELS, 0, LEVELS - 1).astype(np.int16)
    return np.where(finite, found, np.int16(BAD))


def balanced(low: float, high: float) -> tuple[float, float]:
    """The range that the levels stand for: of numbers of both signs as far to either side of zero."""
    if low < 0 < high:
        most = max(-low, high)
        return -most, most
    return low, high


def canvas_rows(canvas: Array, mode: str) -> list[Row]:
    """A canvas of levels, [height, width], as rows of characters; two pixels high each with `mode` HALF."""
    return _half_rows(canvas) if mode == HALF else _shade_rows(canvas, _SHADES[mode])


def _half_rows(canvas: Array) -> list[Row]:
    rows = []
    lines = canvas.tolist()
    for top in range(0, len(lines), 2):
        upper = lines[top]
        lower = lines[top + 1] if top + 1 < len(lines) else [EMPTY] * len(upper)
        row: Row = []
        for above, below in zip(upper, lower, strict=True):
            if BAD in (above, below):
                run = Run(_BAD_MARK, BAD)
            elif above == EMPTY:
                run = Run(" ") if below == EMPTY else Run("▄", below)
            else:
                run = Run("▀", above, below)
            _add(row, run)
        rows.append(row)
    return rows


def _shade_rows(canvas: Array, shades: str) -> list[Row]:
    rows = []
    for line in canvas.tolist():
        row: Row = []
        for level in line:
            if level == BAD:
                _add(row, Run(_BAD_MARK, BAD))
            else:
                _add(row, Run(" " if level == EMPTY else shades[level % LEVELS * len(shades) // LEVELS], LABEL))
        rows.append(row)
    return rows


def _add(row: Row, run: Run) -> None:
    if row and row[-1][1:] == run[1:]:
        row[-1] = row[-1]._replace(text=row[-1].text + run.text)
    else:
        row.append(run)


def pixels(mode: str, cells: int, lines: int) -> tuple[int, int]:
    """The height and width in pixels of a canvas that fills so many cells and lines."""
    return (2 * lines if mode == HALF else lines), cells


def heat_map(values: Array, bad: Array, mode: str, cells: int, lines: int) -> list[Row]:
    """A matrix as a picture, with what its levels mean below; a small one is made larger by whole pixels.

    Args:
        values: [height, width], no larger than `pixels` says for one line less.
        bad: where there is NaN or an infinity.
    """
    import numpy as np

    low, high, is_cut = _range(values)
    levels = levels_of(values, low, high) + (SIGNED if low < 0 < high else 0)
    levels = np.where(bad | ~np.isfinite(values), np.int16(BAD), levels)
    height, width = pixels(mode, cells, lines - 1)
    # A cell is about twice as high as it is wide.
    wide = 1 if mode == HALF else 2
    scale = max(1, min(height // levels.shape[0], width // (levels.shape[1] * wide), _MAX_SCALE))
    wide = wide if levels.shape[1] * wide * scale <= width else 1
    canvas = np.repeat(np.repeat(levels, scale, axis=0), scale * wide, axis=1)
    return [*canvas_rows(canvas, mode), legend(low, high, mode, is_cut=is_cut)]


def _range(values: Array) -> tuple[float, float, bool]:
    """What the levels stand for, and whether a few values lie farther out: they would leave no shades to the others."""
    import numpy as np

    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 0.0, False
    low, high = balanced(float(finite.min()), float(finite.max()))
    if low < 0 < high:
        most = float(np.percentile(np.abs(finite), 99))
        return (-most, most, True) if 0 < most < high / 2 else (low, high, False)
    most = float(np.percentile(finite / 2, 99)) * 2
    return (low, most, True) if most / 2 - low / 2 < (high / 2 - low / 2) / 2 and most > low else (low, high, False)


def legend(low: float, high: float, mode: str, *, is_cut: bool = False) -> Row:
    """What the levels mean, in one line."""
    row: Row = [Run(f"{'≤ ' if is_cut and low < 0 and mode != ASCII else ''}{low:.3g} ")]
    steps = 16 if mode == HALF else len(_SHADES[mode])
    for step in range(steps):
        level = step * LEVELS // steps + (SIGNED if low < 0 < high else 0)
        run = Run("█", level) if mode == HALF else Run(_SHADES[mode][step])
        _add(row, run)
    row.append(Run(f" {high:.3g}{(' and more' if mode == ASCII else ' ≤') if is_cut else ''}"))
    return row


# -- filters --


class Tiles(NamedTuple):
    """Which filters of a kernel fit.

    Attributes:
        size: height and width of a filter.
        scale: pixels along each side of a value.
        inputs: how many filters below each other, of as many inputs.
        across: how many outputs beside each other.
        bands: how often that goes on below with the next outputs.
    """

    size: tuple[int, int]
    scale: int
    inputs: int
    across: int
    bands: int

    @property
    def outputs(self) -> int:
        """How many outputs are shown."""
        return self.across * self.bands


def kernel_size(shape: Sequence[int]) -> tuple[int, int] | None:
    """Height and width of the filters of [h, w, in, out] or [k, in, out]; None where it does not look like filters."""
    if len(shape) not in (3, 4) or 0 in shape:
        return None
    size = (shape[0], shape[1]) if len(shape) == 4 else (1, shape[0])
    return size if max(size) <= _MAX_KERNEL and max(size) > 1 else None


def tiles(shape: Sequence[int], mode: str, cells: int, lines: int) -> Tiles | None:
    """How many filters fit into so many cells and lines, at least one; None where not even one does."""
    size = kernel_size(shape)
    if size is None:
        return None
    height, width = pixels(mode, cells, lines)
    wide = 1 if mode == HALF else 2

    def fitting(scale: int) -> Tiles:
        down, right = size[0] * scale + 1, size[1] * scale * wide + 1
        fit_down, fit_right = (height + 1) // down, (width + 1) // right
        inputs, across = min(fit_down, shape[-2]), min(fit_right, shape[-1])
        bands = 1
        if inputs == shape[-2] and across:
            bands = max(1, min((height + 2) // (inputs * down + 1), -(-shape[-1] // across)))
        return Tiles(size, scale, inputs, across, bands)

    for scale in (3, 2, 1):
        found = fitting(scale)
        shown = found.inputs * min(found.outputs, shape[-1])
        if shown and (scale == 1 or shown == shape[-2] * shape[-1] or shown >= _ENOUGH):
            return found
    return None


def kernel_picture(array: Array, found: Tiles, mode: str) -> list[Row]:
    """Filters as small pictures, inputs below and outputs beside each other, each from its own least to its greatest.

    Args:
        array: [h, w, inputs, outputs] or [k, inputs, outputs], as many as `found` shows or fewer.
    """
    import numpy as np

    numbers = real(array)
    if numbers is None:
        return []
    numbers = numbers.reshape(*found.size, *array.shape[-2:])
    tall, wide = found.scale, found.scale * (1 if mode == HALF else 2)
    down, right = found.size[0] * tall + 1, found.size[1] * wide + 1
    inputs, outputs = array.shape[-2:]
    bands = -(-outputs // found.across)
    canvas = np.full((bands * (inputs * down + 1) - 2, right * min(outputs, found.across) - 1), EMPTY, np.int16)
    for i in range(inputs):
        for o in range(outputs):
            one = numbers[:, :, i, o]
            finite = one[np.isfinite(one)]
            low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
            tile = np.repeat(np.repeat(levels_of(one, low, high), tall, axis=0), wide, axis=1)
            band, across = divmod(o, found.across)
            top, left = band * (inputs * down + 1) + i * down, across * right
            canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return canvas_rows(canvas, mode)


# -- histograms --


def histogram(
    counts: Sequence[int], low: float, high: float, cells: int, lines: int, *, ascii_only: bool = False
) -> list[Row]:
    """Bars over equal bins from `low` to `high`, with the greatest count beside and the range below.

    Args:
        lines: of the whole picture, labels included; at least 2.
        ascii_only: no block characters.
    """
    if not counts or cells < 8 or lines < 2:
        return []
    bars = _BARS[ascii_only]
    steps = len(bars) - 1
    top = f"{max(counts):,}"
    margin = len(top) + 1 if len(top) + 1 <= cells // 3 else 0
    room = cells - margin
    width = max(1, room // len(counts)) if len(counts) <= room else 1
    heights = _merged(counts, room // width)
    most = max(heights) or 1
    height = lines - 1
    rows: list[Row] = []
    # Bins that hold something never look empty.
    filled = [max(1, round(count / most * height * steps)) if count else 0 for count in heights]
    if len(heights) != len(counts):
        top = f"{max(heights):,}"
        margin = len(top) + 1 if margin else 0
    for line in range(height - 1, -1, -1):
        label = top if line == height - 1 else ""
        row: Row = [Run(f"{label:>{margin - 1}} ")] if margin else []
        text = "".join(bars[max(0, min(steps, full - line * steps))] * width for full in filled)
        row.append(Run(text, LEVELS - 1))
        rows.append(row)
    rows.append([Run(_axis(low, high, len(heights) * width, margin))])
    return rows


def _merged(counts: Sequence[int], most: int) -> list[int]:
    """The counts in at most so many bins: whole neighbours together, the same number in each but the last."""
    each = -(-len(counts) // max(1, most))
    return [sum(counts[at : at + each]) for at in range(0, len(counts), each)]


def _axis(low: float, high: float, width: int, margin: int) -> str:
    """The range below the bars, with zero where it lies within."""
    left, right = f"{low:.4g}", f"{high:.4g}"
    line = list(" " * margin + left.ljust(max(width - len(right), len(left) + 1)) + right)
    if low < 0 < high:
        at = margin + int(-low / (high - low) * width)
        if all(0 <= near < len(line) and line[near] == " " for near in (at - 1, at, at + 1)):
            line[at] = "0"
    return "".join(line)
