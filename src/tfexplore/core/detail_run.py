"""What the detail pane shows of a run: outputs and latency, how it differs from another run, or why it failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.detail import Block, Line
from tfexplore.core.outputs import Latency, Output, differences, num_inf, num_nan, tops
from tfexplore.core.shapes import format_shape
from tfexplore.core.values import format_flat, format_rows, to_plain

if TYPE_CHECKING:
    import threading

# Outputs of more elements are compared without a list of what differs.
_MAX_COMPARED = 200_000
_MAX_OUTPUTS = 200
_LAST_WORDS = 20
_SHORT = 4


def outputs_blocks(
    outputs: Sequence[Output], latency: Latency, cancel: threading.Event | None = None, *, title: str = ""
) -> Iterator[Block]:
    """Each output with its facts, a corner of its values and the greatest of them, then the latency.

    Outputs of a few numbers take a line each, and come first, under the title where something stands before them.
    """
    shown = outputs[:_MAX_OUTPUTS]
    short = [output for output in shown if _is_short(output)]
    if short:
        yield Block(title, tuple(map(_short_line, short)))
    for output in shown:
        if _is_short(output):
            continue
        if cancel is not None and cancel.is_set():
            return
        array = output.array
        lines = [Line("", f"{output.dtype} {format_shape(array.shape)}")]
        for count, what in ((num_nan(array), "NaN"), (num_inf(array), "infinite")):
            if count:
                lines.append(Line("", f"! {count:,} {what} of {array.size:,}"))
        lines += [Line("", line, columns=True) for line in format_rows(array)]
        for top in tops(array):
            row = f"row {top.row[0]}: " if top.row else ""
            places = ", ".join(f"{index} ({value:.6g})" for index, value in zip(top.indexes, top.values, strict=True))
            lines.append(Line("", f"top {len(top.indexes)}  {row}{places}"))
        yield Block(text.label(output.name), tuple(lines))
    if len(outputs) > _MAX_OUTPUTS:
        yield Block("", (Line("", f"… {len(outputs) - _MAX_OUTPUTS:,} outputs more"),))
    if not outputs:
        yield Block("", (Line("", "It gave no outputs."),))
    yield Block("Latency", (Line("", latency_text(latency)),))


def _is_short(output: Output) -> bool:
    return output.array.ndim < 2 and 0 < output.array.size <= _SHORT


def _short_line(output: Output) -> Line:
    array = output.array
    odd = num_nan(array) + num_inf(array)
    warning = f"  ! {odd:,} NaN or infinite" if odd else ""
    about = f"{output.dtype} {format_shape(array.shape)}"
    return Line(text.label(output.name), f"{format_flat(array, _SHORT)}  {about}{warning}")


def latency_text(found: Latency) -> str:
    """How long it took, in words."""
    words = f"first call {found.first:.1f} ms"
    if found.p50 is not None:
        words += f"; the others: p50 {found.p50:.2f} ms, p90 {found.p90:.2f} ms, max {found.max:.2f} ms"
    return words


def compared_block(number: int, outputs: Sequence[Output], before: Sequence[Output]) -> Block:
    """How outputs differ from those of the run `number`, which count as expected."""
    few = {one.name for one in before if one.array.size <= _MAX_COMPARED}
    small = [one for one in outputs if one.name in few and one.array.size <= _MAX_COMPARED]
    expected = {one.name: to_plain(one.array) for one in before if one.name in {one.name for one in small}}
    sentences = differences(small, expected)
    known = {one.name: one for one in before}
    for one in outputs:
        if one.name not in known:
            sentences.append(f"{text.label(one.name)} was not there")
        elif one.name not in expected:
            sentences += _differs(one, known[one.name])
    names = {one.name for one in outputs}
    sentences += [f"{text.label(one.name)} is missing" for one in before if one.name not in names]
    lines = [Line("", sentence) for sentence in sentences]
    title = f"Compared with run {number} (what that gave is called expected)"
    return Block(title, tuple(lines) or (Line("", "The outputs are the same."),))


def _differs(one: Output, other: Output) -> list[str]:
    import numpy as np

    if one.array.shape != other.array.shape:
        shapes = f"{format_shape(one.array.shape)}, expected {format_shape(other.array.shape)}"
        return [f"{text.label(one.name)} has the shape {shapes}"]
    same = one.array == other.array
    if one.array.dtype.kind in "fcV":
        same = same | ((one.array != one.array) & (other.array != other.array))
    count = int(one.array.size - np.count_nonzero(same))
    return [f"{text.label(one.name)} differs in {count:,} of {one.array.size:,} elements"] if count else []


def words_block(last_words: str) -> list[Block]:
    """The end of what the child wrote before it failed."""
    lines = last_words.strip().splitlines()
    if not lines:
        return []
    cut = len(lines) - _LAST_WORDS
    shown = [Line("", f"… {cut:,} lines before these")] if cut > 0 else []
    shown += [Line("", text.visible(line)) for line in lines[-_LAST_WORDS:]]
    return [Block("Its last words", tuple(shown))]


def inputs_block(inputs: Sequence[tuple[str, str]]) -> list[Block]:
    """What the person gave, as it was written."""
    lines = tuple(Line(text.label(name), text.visible(value)) for name, value in inputs)
    return [Block("Inputs", lines)] if lines else []
