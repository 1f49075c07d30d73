"""Says what this interpreter has, without importing any of it, and what the sandbox can take away here.

One line of JSON, for `tfexplore doctor` and for what is said before the first run.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from typing import Any

from . import sandbox

# The package is `tensorflow` under each of these names of its distribution.
DISTRIBUTIONS = (
    "tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tensorflow-gpu", "tensorflow-rocm",
    "tensorflow-cpu-aws", "tf-nightly", "tf-nightly-cpu", "intel-tensorflow",
)  # fmt: skip
ALSO = ("numpy", "keras", "tf-keras", "tensorflow-text", "tensorflow-decision-forests", "tensorflow-addons")


def main(arguments: list[str]) -> None:
    """Writes the line to standard output. Arguments: more folders for `sys.path`."""
    sys.path.extend(arguments)
    name = next((one for one in DISTRIBUTIONS if _version(one) is not None), None)
    found: dict[str, Any] = {
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "distribution": name,
        "tensorflow": None if name is None else _version(name),
        "packages": {one: _version(one) for one in ALSO if _version(one) is not None},
        "gpus": len([path for path in sandbox.gpu_devices() if path[-1].isdigit()]),
        "driver": _first_line("/proc/driver/nvidia/version"),
    }
    # Last, since nothing more can be read afterwards.
    landlock, network = sandbox.apply([], [])
    os.write(1, json.dumps({**found, "sandbox": {"landlock": landlock, "network": network}}).encode("ascii") + b"\n")


def _version(name: str) -> Any:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _first_line(path: str) -> Any:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()[:200]
    except OSError:
        return None
