"""The state of the panel beside the values grid: statistics, histogram, picture, or one whole value."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from tfexplore.core import pictures, text
from tfexplore.core.pictures import HALF, LABEL, LEVELS, Row, Run
from tfexplore.core.value_cells import exact, hexadecimal
from tfexplore.errors import Cancelled, ModelError, UsageError
from tfexplore.loader import Progress
from tfexplore.tui.values import Values

if TYPE_CHECKING:
    from tfexplore.core.pooling import Pooled
    from tfexplore.core.statistics import Distribution, Statistics
    from tfexplore.loader.tasks import Context

STATISTICS_CHANNEL, PICTURE_CHANNEL = "value statistics", "value picture"
FILTERS, MEAN, PEAK = "filters", "mean", "peak"
_MAX_VALUE = 8_000
# What may work on the statistics of one tensor.
_THREADS = 2
_PLAIN = LEVELS - 1


class Kind(Enum):
    """What the panel shows."""

    NONE = "none"
    STATISTICS = "statistics"
    HISTOGRAM = "histogram"
    PICTURE = "picture"
    VALUE = "value"


class Panel:
    """What is shown beside the grid.

    Args:
        values: the tensor.
        tell: called in the event loop after something changed.

    Attributes:
        kind: what is shown.
        how: which picture: FILTERS, MEAN or PEAK.
        mode: how pixels are drawn, see `core.pictures`.
        statistics, spread: of the whole tensor, once they are known.
        progress: how far what is being read is; None where nothing is.
        problem: why something is not shown; empty where it is.
    """

    def __init__(self, values: Values, tell: Callable[[], None]) -> None:
        self.values = values
        self.kind = Kind.NONE
        self.how = MEAN
        self.mode = HALF
        self.statistics: Statistics | None = None
        self.spread: Distribution | None = None
        self.progress: Progress | None = None
        self.problem = ""
        self._tell = tell
        self._drawn: list[Row] = []
        self._key: tuple[Any, ...] | None = None
        self._size = (0, 0)
        self._number = 0
        self._has_spread = False

    @property
    def title(self) -> str:
        """The title of the panel."""
        if self.kind is Kind.PICTURE:
            return {FILTERS: "Filters", MEAN: "Picture: mean", PEAK: "Picture: farthest from zero"}[self.how]
        return {
            Kind.STATISTICS: "Statistics of the whole tensor",
            Kind.HISTOGRAM: "Histogram of the whole tensor",
            Kind.VALUE: "Value",
        }.get(self.kind, "")

    def toggle(self, kind: Kind) -> None:
        """Shows something, or nothing where it is shown already; the picture goes through its ways first."""
        # What is still being read is for what was shown before.
        self.problem, self.progress = "", None
        self._number += 1
        if kind is Kind.PICTURE:
            ways = self._ways()
            at = ways.index(self.how) + 1 if self.kind is kind and self.how in ways else 0
            self.kind = kind if at < len(ways) else Kind.NONE
            self.how = ways[at % len(ways)]
        else:
            self.kind = Kind.NONE if self.kind is kind else kind
        self._key, self._drawn = None, []
        self._tell()

    def _ways(self) -> tuple[str, ...]:
        return (FILTERS, MEAN, PEAK) if self._is_kernel else (MEAN, PEAK)

    @property
    def _is_kernel(self) -> bool:
        shape = self.values.view.shape
        return not self.values.is_text and pictures.kernel_size(shape) is not None

    # -- reading --

    def resize(self, cells: int, lines: int) -> None:
        """Takes how much room there is."""
        self._size = (cells, lines)

    @property
    def is_wanting(self) -> bool:
        """Whether something has to be read for what is shown."""
        if self.problem or min(self._size) < 2:
            return False
        if self.kind in (Kind.STATISTICS, Kind.HISTOGRAM):
            return not self._has_spread and self.progress is None
        return self.kind is Kind.PICTURE and self._key != self._picture_key()

    def _picture_key(self) -> tuple[Any, ...]:
        view = self.values.view
        if self.how == FILTERS and self._is_kernel:
            return (FILTERS, self._size, self.mode, self._corner())
        return (self.how, view.key, self._size, self.mode)

    def _corner(self) -> tuple[int, int]:
        """The first input and output of the filters shown: the screenful of them that the cursor is in."""
        cells, lines = self._size
        found = pictures.tiles(self.values.view.shape, self.mode, cells, lines - 2)
        place = self.values.place
        if found is None or place is None:
            return 0, 0
        return place[-2] - place[-2] % found.inputs, place[-1] - place[-1] % found.outputs

    async def load(self) -> None:
        """Reads what is shown; a newer call cancels an older one."""
        if self.kind is Kind.PICTURE:
            await self._load_picture()
        elif self.kind in (Kind.STATISTICS, Kind.HISTOGRAM):
            await self._load_statistics()

    async def _load_statistics(self) -> None:
        """First the statistics, which the heat uses too, then how the values are spread."""
        source = self.values.source

        def first(context: Context) -> Statistics:
            from tfexplore.core.statistics import statistics

            return statistics(source, cancel=context.cancel, progress=_teller("reading", context), threads=_THREADS)

        if self.statistics is None:
            found: Statistics | None = await self._run(first, STATISTICS_CHANNEL)
            if found is None:
                self._tell()
                return
            self.statistics = found
        known = self.statistics

        def second(context: Context) -> Distribution | None:
            from tfexplore.core.statistics import distribution

            teller = _teller("counting", context)
            return distribution(source, known, cancel=context.cancel, progress=teller, threads=_THREADS)

        self.spread = await self._run(second, STATISTICS_CHANNEL)
        self._has_spread = not self.problem
        if self.spread is not None:
            percentiles = self.spread.percentiles
            self.values.learn_typical(percentiles[1], percentiles[99])
        self._tell()

    async def _load_picture(self) -> None:
        key, view, source, mode = self._picture_key(), self.values.view, self.values.source, self.mode
        cells, lines = self._size
        self._key = key
        if self.how == FILTERS and self._is_kernel:
            corner = self._corner()
            found = await self._run(lambda context: self._filters(corner, context), PICTURE_CHANNEL)
        else:
            height, width = pictures.pixels(mode, cells, max(1, lines - 2))

            def job(context: Context) -> Pooled:
                from tfexplore.core.pooling import pool

                return pool(source, view, height, width, context.cancel, _teller("reading", context))

            pooled = await self._run(job, PICTURE_CHANNEL)
            found = self._heat_map(pooled) if pooled is not None else None
        if found is not None:
            self._drawn = found
        self._tell()

    async def _run(self, job: Callable[[Context], Any], channel: str) -> Any:
        """The answer of a job; None where it has none, or a newer one was asked for."""
        self._number += 1
        number = self._number

        def advance(progress: Progress) -> None:
            if number == self._number:
                self.progress = progress
                self._tell()

        self.progress = Progress("reading")
        self._tell()
        try:
            found = await self.values.loader.tasks.run(job, channel=channel, on_progress=advance)
        except Cancelled:
            problem = "Cancelled: press the key twice to read it."
        except (ModelError, UsageError) as error:
            problem = text.visible(str(error))
        else:
            problem = ""
            if number == self._number:
                return found
        finally:
            if number == self._number:
                self.progress = None
        if number == self._number:
            self.problem = problem
        return None

    def cancel(self) -> bool:
        """Gives up what is being read; tells whether there was anything."""
        tasks = self.values.loader.tasks
        return any([tasks.cancel(STATISTICS_CHANNEL), tasks.cancel(PICTURE_CHANNEL)])

    # -- drawing --

    def rows(self) -> list[Row]:
        """What is drawn in the room there is."""
        cells, lines = self._size
        if self.kind is Kind.VALUE:
            return self._value_rows(cells)
        has_numbers = self.kind in (Kind.STATISTICS, Kind.HISTOGRAM) and self.statistics is not None
        if self.problem and not has_numbers:
            return _wrapped(self.problem, cells)
        if self.progress is not None and not has_numbers:
            if self.kind is Kind.PICTURE and self._drawn and not self.progress.total:
                return self._drawn  # the one before, or it would flicker
            return _wrapped(f"{_share(self.progress)}  Escape cancels", cells)
        if self.kind is Kind.PICTURE:
            return self._drawn
        if self.statistics is None:
            return []
        from tfexplore.tui.value_statistics import statistics_rows

        return statistics_rows(
            self.statistics,
            self.spread,
            cells,
            lines,
            ascii_only=self.mode == pictures.ASCII,
            only_bars=self.kind is Kind.HISTOGRAM,
            waiting=f"{_share(self.progress)}  Escape cancels" if self.progress is not None else self.problem,
        )

    def _value_rows(self, cells: int) -> list[Row]:
        found = self.values.value()
        if found is None:
            return _wrapped(self.values.emptiness or "The value is being read …", cells)
        value = found[0]
        written = exact(value)
        rows = _wrapped(_cut(written), cells)
        if isinstance(value, bytes):
            rows += [[], [Run(text.plural(len(value), "byte"), LABEL)]]
        number = hexadecimal(value)
        if number:
            rows += [[], *_wrapped(_cut(number), cells, LABEL)]
        return rows

    def _heat_map(self, pooled: Pooled) -> list[Row]:
        cells, lines = self._size
        values = pooled.mean if self.how == MEAN else pooled.peak
        rows = pictures.heat_map(values, pooled.bad, self.mode, cells, lines - 1)
        down, right = pooled.block
        total = f"all {text.plural(pooled.elements, 'element')}"
        if down * right == 1:
            said = f"a pixel a value, {total}"
        else:
            said = f"a pixel the {self.how} of {down:,} {self._times} {right:,}, {total}"
        if pooled.bad.any():
            said += f"; ! NaN or Inf in {text.plural(int(pooled.bad.sum()), 'pixel')}"
        return [*rows, [Run(text.take(said, cells), LABEL)]]

    @property
    def _times(self) -> str:
        return "x" if self.mode == pictures.ASCII else "×"

    def _filters(self, corner: tuple[int, int], context: Context) -> list[Row]:
        """Runs in a thread of the loader's."""
        cells, lines = self._size
        shape = self.values.view.shape
        found = pictures.tiles(shape, self.mode, cells, lines - 2)
        if found is None:
            raise UsageError("There is no room for a filter: make the terminal larger.")
        counts = (min(found.inputs, shape[-2] - corner[0]), min(found.outputs, shape[-1] - corner[1]))
        starts = (*[0] * (len(shape) - 2), *corner)
        array = self.values.source.read(starts, (*shape[:-2], *counts), context.cancel).array
        rows = pictures.kernel_picture(array, found, self.mode)
        where = [
            f"{name} {first:,} to {first + count - 1:,} of {size:,}"
            for name, first, count, size in zip(("in", "out"), corner, counts, shape[-2:], strict=True)
        ]
        return [
            *rows,
            [Run(text.take(f"{where[0]} down, {where[1]} right", cells), LABEL)],
            [
                Run(
                    text.take(
                        f"each {found.size[0]} {self._times} {found.size[1]} from its own least to its greatest", cells
                    ),
                    LABEL,
                )
            ],
        ]


def _teller(what: str, context: Context) -> Callable[[int, int], None]:
    return lambda done, total: context.report(Progress(what, done, total))


def _share(progress: Progress) -> str:
    if not progress.total:
        return f"{progress.what} …"
    return f"{progress.what} … {math.floor(100 * progress.done / progress.total)} %"


def _cut(written: str) -> str:
    if len(written) <= _MAX_VALUE:
        return written
    return f"{written[:_MAX_VALUE]}{text.ELLIPSIS} {len(written) - _MAX_VALUE:,} characters more"


def _wrapped(written: str, cells: int, fg: int = _PLAIN) -> list[Row]:
    rows: list[Row] = []
    while written:
        part = text.take(written, max(1, cells)) or written[:1]
        space = part.rfind(" ")
        if len(part) < len(written) and space > len(part) // 2:
            part = part[: space + 1]
        rows.append([Run(part, fg)])
        written = written[len(part) :]
    return rows
