"""Values that an index promises and that its data files cannot hold: a download that stopped, a disk that was full."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

from tfexplore.core import text
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.formats.bundle import Bundle


def value_notes(checkpoint: Checkpoint, cancel: threading.Event | None = None) -> Iterator[str]:
    """A sentence for each data file that is shorter than the index says, with how many values that costs.

    Reads the index once, and of the data files only their sizes.

    Raises:
        Cancelled: `cancel` was set.
    """
    bundle = checkpoint.bundle
    if not isinstance(bundle, Bundle):
        return  # a V1 checkpoint has index and values in one file
    counts: dict[int, int] = {}
    firsts: dict[int, str] = {}
    ends: dict[int, int] = {}
    for key, shard, end in bundle.iter_beyond(cancel):
        counts[shard] = counts.get(shard, 0) + 1
        firsts.setdefault(shard, text.label(key) if key else "a slice of a partitioned variable")
        ends[shard] = max(ends.get(shard, 0), end)
    for shard, count in sorted(counts.items()):
        path = bundle.shard_path(shard)
        try:
            size = os.stat(path).st_size
        except OSError:
            continue  # it is gone meanwhile
        verb = "lies" if count == 1 else "lie"
        more = f", the first of them {firsts[shard]}" if count > 1 else f": {firsts[shard]}"
        yield (
            f"{os.path.basename(path)} has {size:,} bytes where the index needs {ends[shard]:,}: "
            f"{text.plural(count, 'value')} {verb} beyond its end and cannot be read{more}"
        )
