"""Checkpoint keys as lines of output, a block of the index at a time: the rows of `show keys`, for a million of them.

What is written is what the row by row way writes; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any

from tfexplore.cli.output import cell, json_text
from tfexplore.core.sections_stored import key_row
from tfexplore.core.shapes import format_shape
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from tfexplore.core.checkpoint import Checkpoint
    from tfexplore.formats.bundle_index import EntryBatch, EntryHead

_MAX_MIDDLES = 1 << 16


def iter_json(checkpoint: Checkpoint) -> Iterator[list[str]]:
    """A JSON object for each key, block by block."""

    def middle(head: EntryHead) -> str:
        facts = json_text({"dtype": dtypes.name(head.dtype), "shape": list(head.shape)})
        return f', {facts[1:-1]}, "bytes": '

    middles = _Middles(middle)
    for batch in checkpoint.iter_batches():
        joined = "".join(batch.keys)
        quote = encode_basestring_ascii if joined.isascii() else json_text
        lines: list[str] = []
        for key, head, shard, offset, size in _columns(batch):
            if head is None:
                lines.append(json_text(key_row(checkpoint, key)))
            else:
                lines.append(f'{{"name": {quote(key)}{middles(head)}{size}, "shard": {shard}, "offset": {offset}}}')
        yield [line.replace("\x7f", "\\u007f") for line in lines] if "\x7f" in joined else lines


def iter_text(checkpoint: Checkpoint, row_line: Callable[[Any], str]) -> Iterator[list[str]]:
    """A tab-separated line for each key, block by block.

    Args:
        row_line: makes the line of a key that needs its row.
    """
    middles = _Middles(lambda head: f"\t{dtypes.name(head.dtype)}\t{format_shape(head.shape)}\t")
    for batch in checkpoint.iter_batches():
        lines: list[str] = []
        for key, head, shard, offset, size in _columns(batch):
            if head is None:
                lines.append(row_line(key_row(checkpoint, key)))
            else:
                lines.append(f"{cell(key)}{middles(head)}{size}\t{shard}\t{offset}")
        yield lines


class _Middles:
    """What is made of a head, once for each: a few hundred serve a million entries."""

    def __init__(self, make: Callable[[EntryHead], str]) -> None:
        self._make = make
        # By identity, which is cheaper than equality; the head is kept, so that no other takes its identity.
        self._made: dict[int, tuple[EntryHead, str]] = {}

    def __call__(self, head: EntryHead) -> str:
        found = self._made.get(id(head))
        if found is None:
            if len(self._made) >= _MAX_MIDDLES:
                self._made.clear()
            found = self._made[id(head)] = (head, self._make(head))
        return found[1]


def _columns(batch: EntryBatch) -> Iterator[tuple[str, EntryHead | None, int, int, int]]:
    heads: Sequence[EntryHead | None] = [None] * len(batch.keys) if batch.doubtful else batch.heads
    return zip(batch.keys, heads, batch.shards, batch.offsets, batch.sizes, strict=True)
