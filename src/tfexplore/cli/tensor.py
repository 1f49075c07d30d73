"""`tfexplore tensor PATH NAME`: one tensor's shape, dtype, place on disk, statistics and values."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfexplore import __version__
from tfexplore.cli import diagnostics, output
from tfexplore.cli.progress import BytesRead
from tfexplore.cli.statistics_fields import count, distribution_fields, fields, number
from tfexplore.cli.target import open_target, tell_checkpoint
from tfexplore.core import text
from tfexplore.core.checkpoint import StoredValue
from tfexplore.core.histogram_text import line
from tfexplore.core.model import Model
from tfexplore.core.shapes import format_shape
from tfexplore.core.slices import Slice, corner, parse
from tfexplore.core.statistics import Distribution, Statistics, distribution, statistics
from tfexplore.core.tensor_source import KeySource, TensorSource, find_tensor
from tfexplore.core.values import format_value, to_plain
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    import numpy as np

# Statistics of a tensor of up to so many bytes are told unasked, values of up to so many elements whole.
_SMALL, _WHOLE = 1 << 20, 1000
_ROWS = _COLUMNS = 8
# On a terminal; standard error says what was left out.
_MOST_ROWS, _MOST_COLUMNS, _HISTOGRAM = 200, 16, 60
THREADS = 2


def run(options: argparse.Namespace) -> int:
    """Runs the command; returns the exit code.

    Raises:
        UsageError, ModelError: as `diagnostics` turns them into exit codes.
    """
    if options.overwrite and options.npy is None:
        raise UsageError("--overwrite goes with --npy FILE")
    tags = None if options.tag_set is None else tuple(filter(None, options.tag_set.split(",")))
    with open_target(options.path, quiet=options.quiet) as model:
        source = find_tensor(model, options.name, tags=tags, function=options.function)
        for sentence in model.notes:
            diagnostics.note(sentence, quiet=options.quiet)
        if isinstance(source, KeySource):
            tell_checkpoint(model, quiet=options.quiet)
        part = None if options.slice is None else parse(options.slice, source.shape)
        found = _Found(source, part)
        problem = None
        if options.npy is not None:
            _save(source, part, options)
        try:
            found.read(options)
        except ModelError as error:
            problem = error
        if options.json:
            output.write(output.json_text(_document(model, found, problem)))
        else:
            _write_text(found, options)
    if problem is not None:
        raise problem
    if found.checksum == "bad":
        diagnostics.error(
            f"{model.path}: the stored bytes of {text.label(source.name)} do not match their checksum: these are not "
            "the values that were written"
        )
        return diagnostics.CANNOT_READ
    return diagnostics.DONE


class _Found:
    """What is told of a tensor."""

    def __init__(self, source: TensorSource, part: Slice | None) -> None:
        self.source = source
        self.elements = math.prod(source.shape)
        # Without --slice all of a small tensor, or its beginning.
        self.part = part
        if part is None and self.elements > _WHOLE:
            self.part = corner(source.shape, _ROWS, _COLUMNS)
        self.checksum = source.checksum
        self.statistics: Statistics | None = None
        self.distribution: Distribution | None = None
        self.values: np.ndarray | None = None

    def read(self, options: argparse.Namespace) -> None:
        """Reads statistics, where they are asked for or cost nothing, and the values that are shown."""
        source, part = self.source, self.part
        nbytes = source.nbytes
        if options.stats or (nbytes is not None and max(nbytes, self.elements) <= _SMALL):
            progress = BytesRead("reading", quiet=options.quiet)
            try:
                self.statistics = statistics(source, progress=progress, threads=THREADS)
                self.checksum = self.statistics.checksum
                self.distribution = distribution(source, self.statistics, progress=progress, threads=THREADS)
            finally:
                progress.clear()
        if part is None:
            value = source.read()
            self.values = value.array
        else:
            value = source.read(part.starts, part.counts)
            self.values = part.of(value.array)
        if self.checksum == "unverified":
            self.checksum = value.checksum


def _save(source: TensorSource, part: Slice | None, options: argparse.Namespace) -> None:
    from tfexplore.core import npy

    progress = BytesRead("saving", quiet=options.quiet)
    try:
        npy.save(source, options.npy, part, overwrite=options.overwrite, progress=progress)
    finally:
        progress.clear()
    diagnostics.note(f"saved {options.npy}", quiet=options.quiet)


def _document(model: Model, found: _Found, problem: ModelError | None) -> dict[str, Any]:
    source = found.source
    return {
        "schema": 1,
        "tfexplore": __version__,
        "path": model.path,
        "kind": model.kind,
        "command": "tensor",
        "name": source.name,
        "dtype": dtypes.name(source.dtype),
        "shape": list(source.shape),
        "bytes": source.nbytes,
        "stored": [
            {"slice": spec or None, "shard": shard, "offset": offset, "bytes": nbytes}
            for spec, shard, offset, nbytes in _stored(source).parts
        ]
        if isinstance(source, KeySource)
        else None,
        "checksum": found.checksum,
        **fields(found.statistics),
        **distribution_fields(found.distribution),
        "slice": None if found.part is None else found.part.words,
        "values": None if found.values is None else to_plain(found.values),
        **({} if problem is None else {"problem": str(problem)}),
    }


def _stored(source: KeySource) -> StoredValue:
    return source.checkpoint.stored(source.key)


# -- text --


def _write_text(found: _Found, options: argparse.Namespace) -> None:
    source, terminal = found.source, output.is_terminal()
    facts = [("name", text.label(source.name)), ("dtype", dtypes.name(source.dtype))]
    facts.append(("shape", format_shape(source.shape)))
    if source.nbytes is not None:
        facts.append(("bytes", text.size(source.nbytes) if terminal else str(source.nbytes)))
    if isinstance(source, KeySource):
        num_shards = source.checkpoint.bundle.num_shards
        for spec, shard, offset, nbytes in _stored(source).parts:
            slice_of = f", slice {spec}" if spec else ""
            facts.append(("on disk", f"shard {shard} of {num_shards}, {nbytes:,} bytes at byte {offset:,}{slice_of}"))
        facts.append(("checksum", "BAD" if found.checksum == "bad" else found.checksum))
    else:
        facts.append(("checksum", "none is stored for constants"))
    facts += _statistics_facts(found, exact=not terminal)
    if found.distribution is not None:
        facts += _distribution_facts(found.distribution, terminal)
    for name, value in facts:
        output.write(f"{name:<12}{value}" if terminal else f"{name}\t{value}")
    if found.statistics is None and source.nbytes is not None:
        diagnostics.note(
            f"no statistics: {text.size(source.nbytes)} would have to be read; --stats does", quiet=options.quiet
        )
    if found.values is not None:
        _write_values(found, found.values, options)


def _statistics_facts(found: _Found, *, exact: bool) -> list[tuple[str, str]]:
    known = found.statistics
    if known is None or not known.of:
        return []
    if known.strings is not None:
        strings = known.strings
        lines = [("empty", text.count(strings.empty))]
        if known.elements:
            lines.append(("lengths", f"{strings.shortest:,} to {strings.longest:,}, {strings.total:,} bytes in all"))
        distinct = "more than are counted" if strings.distinct is None else text.count(strings.distinct)
        return [*lines, ("distinct", distinct)]
    of = "" if known.of == "values" else f" (of the {known.of})"
    lines = [
        (name, number(value, exact=exact) + of)
        for name, value in (("min", known.minimum), ("max", known.maximum), ("mean", known.mean), ("std", known.std))
        if value is not None
    ]
    inf = f"{known.inf:,}" + (f", {known.negative_inf:,} of them negative" if known.negative_inf else "")
    return [*lines, ("zeros", count(known.zeros)), ("nan", count(known.nan)), ("inf", inf)]


def _distribution_facts(found: Distribution, terminal: bool) -> list[tuple[str, str]]:
    if found.low == found.high:
        return []
    off = f" (off by {number(found.error, exact=False)} at most)" if found.error else ""
    if not terminal:
        lines = [(f"percentile {percent}", number(value, exact=True)) for percent, value in found.percentiles.items()]
        return [*lines, ("percentile error", number(found.error, exact=True)), ("histogram", _tabbed(found.counts))]
    percentiles = " · ".join(
        f"{percent} % {number(value, exact=False)}" for percent, value in found.percentiles.items()
    )
    ends = f"{number(found.low, exact=False)} … {number(found.high, exact=False)}"
    return [("percentiles", percentiles + off), ("histogram", f"{line(found.counts, _HISTOGRAM)}  {ends}")]


def _tabbed(counts: Sequence[int]) -> str:
    return "\t".join(map(str, counts))


def _write_values(found: _Found, values: np.ndarray, options: argparse.Namespace) -> None:
    words = "" if found.part is None else f"[{found.part.words}]"
    if not values.size:
        output.write(f"values      {words} (no elements)" if output.is_terminal() else f"values\t{words}")
        return
    if not output.is_terminal():
        for index, row in _rows(values):
            output.write("\t".join(["values", index, *(_exact(value) for value in row)]))
    else:
        output.write(f"values      {words}".rstrip())
        shown = _write_grid(values)
        if shown < values.size:
            diagnostics.note(
                f"{text.count(shown)} of {text.plural(values.size, 'value')} shown; --slice chooses, --json gives all",
                quiet=options.quiet,
            )
    if options.slice is None and found.part is not None:
        diagnostics.note(
            f"{text.count(values.size)} of {text.plural(found.elements, 'value')} read; --slice '0:20, :' takes others",
            quiet=options.quiet,
        )


def _rows(values: np.ndarray) -> Iterator[tuple[str, list[Any]]]:
    """The rows of the last axis, each with its index in what was read."""
    import numpy as np

    if not values.ndim:
        yield "[]", [values[()]]
        return
    for index in np.ndindex(*values.shape[:-1]):
        yield f"[{', '.join([*map(str, index), ':'])}]", list(values[index])


def _exact(value: Any) -> str:
    """One element with all its digits, or all its bytes."""
    if isinstance(value, bytes):
        return text.label(text.decode(value))
    return format_value(value) if hasattr(value, "type_name") else str(value)


def _write_grid(values: np.ndarray) -> int:
    """Aligned rows; of a higher rank the matrices one after the other. Returns how many values were written."""
    import numpy as np

    matrices = values.reshape((1,) * (2 - values.ndim) + values.shape) if values.ndim < 2 else values
    shown = left = 0
    left = _MOST_ROWS
    for index in np.ndindex(*matrices.shape[:-2]):
        if left <= 0:
            break
        if index:
            output.write(f"  [{', '.join(map(str, index))}, :, :]")
        matrix = matrices[index][:left, :_MOST_COLUMNS]
        cells = [[format_value(value) for value in row] for row in matrix]
        widths = [max(text.width(row[column]) for row in cells) for column in range(matrix.shape[1])]
        more = " …" if matrices.shape[-1] > _MOST_COLUMNS else ""
        for row in cells:
            aligned = (" " * (width - text.width(cell)) + cell for width, cell in zip(widths, row, strict=True))
            output.write("  " + "  ".join(aligned) + more)
        left -= matrix.shape[0]
        shown += matrix.size
    return shown
