"""Says what this interpreter has, without importing any of it: one line of JSON, for `tfexplore doctor`."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from typing import Any

# The package is `tensorflow` under each of these names of its distribution.
DISTRIBUTIONS = (
    "tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tensorflow-gpu", "tensorflow-rocm",
    "tensorflow-cpu-aws", "tf-nightly", "tf-nightly-cpu", "intel-tensorflow",
)  # fmt: skip
ALSO = ("numpy", "keras", "tf-keras", "tensorflow-text", "tensorflow-decision-forests", "tensorflow-addons")


def main(arguments: list[str]) -> None:
    """Writes the line to standard output. Arguments: more folders for `sys.path`."""
    sys.path.extend(arguments)
    found: dict[str, Any] = {
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "distribution": None,
        "tensorflow": None,
        "packages": {},
    }
    for name in DISTRIBUTIONS:
        version = _version(name)
        if version is not None:
            found["distribution"], found["tensorflow"] = name, version
            break
    for name in ALSO:
        version = _version(name)
        if version is not None:
            found["packages"][name] = version
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def _version(name: str) -> Any:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
