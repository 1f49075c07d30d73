"""Opens, walks, scans and measures every model below some folders: what `test_system_calls` traces.

    python touring.py FOLDER ...

Writes one line to standard output before it begins, and one with how much it saw.
"""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path

from tfexplore.core.all_statistics import all_statistics
from tfexplore.core.describe import describe
from tfexplore.core.opener import open_model
from tfexplore.core.scan import scan
from tfexplore.core.sections import SECTIONS, Options, section
from tfexplore.core.tree import root_items
from tfexplore.errors import TfexploreError

MAX_ITEMS, MAX_PAGE, MAX_ROWS = 120, 12, 40


def tour(path: str) -> int:
    """Walks one model; how many details were read."""
    seen = 0
    with open_model(path) as model:
        pending = deque(root_items(model))
        while pending and seen < MAX_ITEMS:
            item = pending.popleft()
            try:
                describe(item.subject)
                if item.children is not None:
                    item.children.load()
                    pending.extend(item.children.page(0, MAX_PAGE))
            except TfexploreError:
                pass
            seen += 1
        for name in SECTIONS:
            try:
                found = section(model, name, Options(attrs=True))
                for number, ref in enumerate(found.refs):
                    if number >= MAX_ROWS:
                        break
                    found.row(ref)
            except TfexploreError:
                continue
        for _ in scan(model):
            seen += 1
        for _ in all_statistics(model):
            seen += 1
    return seen


def main() -> None:
    """Walks all there is."""
    print("begins", flush=True)
    models = details = refused = 0
    for folder in map(Path, sys.argv[1:]):
        for path in [*sorted(folder.glob("*")), *sorted(folder.rglob("*"))]:
            try:
                details += tour(str(path))
                models += 1
            except TfexploreError:
                refused += 1
    print(f"{models} {details} {refused} {'tensorflow' in sys.modules}", flush=True)


if __name__ == "__main__":
    main()
