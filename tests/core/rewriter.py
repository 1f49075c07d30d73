"""Rewrites one checkpoint over and over, as a trainer does: data first, index last, each by a rename.

python rewriter.py PREFIX SAVES_PER_SECOND
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np

from formats.table_writer import write_bundle

NAMES = (b"a", b"b", b"c")
SHAPE = (64, 8)


def save(prefix: str, step: int) -> None:
    scratch = f"{prefix}.tempstate{step}"
    write_bundle(scratch, {name: np.full(SHAPE, step, np.float64) for name in NAMES}, shards=2)
    for shard in ("data-00000-of-00002", "data-00001-of-00002"):
        os.replace(f"{scratch}.{shard}", f"{prefix}.{shard}")
    os.replace(f"{scratch}.index", f"{prefix}.index")


if __name__ == "__main__":
    step = 1
    while True:
        started = time.monotonic()
        save(sys.argv[1], step)
        step += 1
        time.sleep(max(0.0, started + 1 / float(sys.argv[2]) - time.monotonic()))
