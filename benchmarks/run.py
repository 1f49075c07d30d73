"""Runs the benchmarks and prints a report: `python benchmarks/run.py [NAME ...] [--runs N] [--quick] [--out FILE]`.

Figures of one machine at one time, compared with each other; nothing here is a test. The exit code is 1 where something
could not be measured, never because it was slow.
"""

from __future__ import annotations

import argparse
import sys

import finetune
import first_frame
import grid
import import_time
import keys
import large
import open_all
import predict
import report
import scan
import screen
import search
import show
import stats
import text
from measure import Unmeasured

BENCHMARKS = {
    "show": show,
    "scan": scan,
    "predict": predict,
    "finetune": finetune,
    "screen": screen,
    "search": search,
    "keys": keys,
    "first_frame": first_frame,
    "import": import_time,
    "open_all": open_all,
    "large": large,
    "text": text,
    "grid": grid,
    "stats": stats,
}


def main() -> int:
    """Runs what was asked for; the exit code."""
    options = _options()
    parts = ["# Benchmarks", "", report.machine(), ""]
    failed = False
    for name in options.names or BENCHMARKS:
        benchmark = BENCHMARKS[name]
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            table = benchmark.measure(options.runs or (1 if options.quick else benchmark.RUNS), quick=options.quick)
        except Unmeasured as reason:
            failed = True
            parts += [f"## {name}", "", f"Not measured: {reason}", ""]
        else:
            parts += report.lines(name, table)
    written = "\n".join(parts)
    print(written, end="")
    if options.out is not None:
        with open(options.out, "w", encoding="utf-8") as file:
            file.write(written)
    return int(failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times and memory, as a report in Markdown.")
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"one of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--runs", metavar="N", type=int, help="measured runs of each (default: each its own number)")
    parser.add_argument("--quick", action="store_true", help="one run of each, on the small export only")
    parser.add_argument("--out", metavar="FILE", help="also write the report to FILE")
    options = parser.parse_args()
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark {name}; choose from {', '.join(BENCHMARKS)}")
    if options.runs is not None and options.runs < 1:
        parser.error("--runs takes 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
