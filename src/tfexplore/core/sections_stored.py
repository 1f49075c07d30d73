"""The sections of `show` about what a checkpoint stores: its keys and variables, and the list of checkpoints."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tfexplore.core import text
from tfexplore.core.checkpoint import OBJECT_GRAPH_KEY, Checkpoint
from tfexplore.core.model import Model
from tfexplore.core.narrowing import Options, Row, Section, narrowed
from tfexplore.core.natural import natural_key
from tfexplore.core.objects import VARIABLE_VALUE
from tfexplore.core.summary import timestamp
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from tfexplore.core.query import Facts

_DOUBTFUL = "its entry lies in a block of the index that is damaged: name, dtype, shape and place may be wrong"


def key_row(checkpoint: Checkpoint, key: str) -> Row:
    """The row of one checkpoint key; a damaged entry has a `problem` in place of facts, a doubtful one beside them."""
    try:
        stored = checkpoint.stored(key)
    except ModelError as error:
        nothing = dict.fromkeys(("dtype", "shape", "bytes", "shard", "offset"))
        return {"name": key, **nothing, "problem": str(error)}
    is_sliced = len(stored.parts) != 1 or bool(stored.parts[0][0])
    row: Row = {
        "name": key,
        "dtype": dtypes.name(stored.dtype),
        "shape": list(stored.shape),
        "bytes": stored.nbytes,
        "shard": None if is_sliced else stored.parts[0][1],
        "offset": None if is_sliced else stored.parts[0][2],
    }
    if is_sliced:
        row["slices"] = [
            {"slice": spec, "shard": shard, "offset": offset, "bytes": nbytes}
            for spec, shard, offset, nbytes in stored.parts
        ]
    if checkpoint.is_doubtful(key):
        row["problem"] = _DOUBTFUL
    return row


def keys(checkpoint: Checkpoint, options: Options) -> Section:
    """All keys; a million are not kept to be counted."""

    def names() -> Iterator[str]:
        # By batches: names that are written need not be kept.
        for batch in checkpoint.iter_batches(options.cancel):
            yield from batch.keys

    def facts(key: str) -> Facts:
        from tfexplore.core.search import key_facts

        return key_facts(checkpoint, key)

    if options.sort is not None:
        found = narrowed(_sorted_keys(checkpoint, options), options, lambda key: key, facts, sorts=False)
    else:
        found = narrowed(checkpoint.keys if checkpoint.loaded else names(), options, lambda key: key, facts)
    return Section(found, lambda key: key_row(checkpoint, key))


def _sorted_keys(checkpoint: Checkpoint, options: Options) -> Iterator[str]:
    from tfexplore.core import orders

    checkpoint.bundle.load(options.cancel)
    names = checkpoint.keys
    if options.sort == orders.NAME:
        return map(names.__getitem__, orders.by_name(names))
    return map(names.__getitem__, orders.by_size(orders.key_sizes(checkpoint, options.cancel), names))


def checkpoint_variables(checkpoint: Checkpoint, options: Options) -> Section:
    """The variables of a checkpoint: what objects keep as VARIABLE_VALUE, or every key of one saved by names."""
    try:
        objects = checkpoint.objects
    except ModelError:  # a note says so
        objects = None
    if objects is None:
        named = [(key, key) for key in checkpoint.keys if key != OBJECT_GRAPH_KEY]
    else:
        named = [
            (text.decode(part.full_name) or text.decode(part.checkpoint_key), text.decode(part.checkpoint_key))
            for node_id in range(len(objects))
            for part in objects.message(node_id).attributes
            if text.decode(part.name) == VARIABLE_VALUE
        ]
    named.sort(key=lambda item: natural_key(item[0]))

    def row(item: tuple[str, str]) -> Row:
        facts = key_row(checkpoint, item[1]) if checkpoint.has(item[1]) else {}
        found: Row = {
            "name": item[0],
            "dtype": facts.get("dtype"),
            "shape": facts.get("shape"),
            "trainable": None,
            "used": None,
            "key": item[1] if facts else None,
            "bytes": facts.get("bytes"),
        }
        return {**found, "problem": facts["problem"]} if "problem" in facts else found

    def facts(item: tuple[str, str]) -> Facts:
        from tfexplore.core.search import key_facts

        return key_facts(checkpoint, item[1])

    def size(item: tuple[str, str]) -> int:
        try:
            return checkpoint.stored(item[1]).nbytes
        except ModelError:
            return 0

    return Section(narrowed(named, options, lambda item: item[0], facts, size=size), row)


def checkpoints(model: Model) -> Section:
    """The checkpoints of a training directory, oldest first.

    Raises:
        UsageError: the model is none.
    """
    if model.meta_graphs:
        raise UsageError(f"{model.path}: a {model.kind_name} has no list of checkpoints; a training directory has")
    return Section(
        model.checkpoints,
        lambda info: {
            "prefix": os.path.basename(info.prefix),
            "step": info.step,
            "saved_at": timestamp(info.saved_at),
            "latest": info.latest,
            "keys": info.keys,
            "bytes": info.nbytes,
            "shards": info.shards,
            "missing_shards": list(info.missing_shards),
            **({"problem": info.problem} if info.problem else {}),
        },
    )
