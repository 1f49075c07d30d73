"""`make fuzz`: the long campaigns, and a table of how they went.

    python tests/campaign/fuzz.py [--count N] [--seed N] [--only WORD] [--jobs N] [--out FILE]

The exit code is 1 where anything failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(_REPOSITORY / "src"), str(_REPOSITORY / "tests")]

from campaign.running import Result, campaigns, run, table  # noqa: E402


def main() -> int:
    """Runs the campaigns; the exit code."""
    parser = argparse.ArgumentParser(description="Damages small models in every way, and looks at them.")
    parser.add_argument("--count", type=int, default=3000, help="mutants of each campaign that is not exhaustive")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other mutants")
    parser.add_argument("--only", default="", help="only campaigns with this word in their name")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--out", help="also write the table to this file")
    options = parser.parse_args()
    wanted = [found for found in campaigns() if options.only in " ".join(found)]
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(options.jobs) as executor:

        def one(place: int) -> Result:
            target, mutation = wanted[place]
            folder = Path(scratch) / str(place)
            found = run(target, mutation, folder, seed=options.seed, count=options.count)
            print(f"{target}, {mutation}: {found.mutants:,} mutants, {len(found.failures)} failures", flush=True)
            return found

        results = list(executor.map(one, range(len(wanted))))
    report = table(results)
    print(f"\n{report}")
    if options.out:
        Path(options.out).write_text(report + "\n", encoding="utf-8")
    return int(any(found.failures for found in results))


if __name__ == "__main__":
    sys.exit(main())
