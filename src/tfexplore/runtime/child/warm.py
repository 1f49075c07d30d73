"""Imports TensorFlow once outside of the sandbox and without a model, so that Python keeps the compiled modules.

Inside the sandbox nothing can be kept, and an installation that has never been imported would be compiled each time.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys


def main(arguments: list[str]) -> None:
    """Imports it. Arguments: more folders for `sys.path`."""
    sys.path.extend(arguments)
    importlib.import_module("tensorflow")
    sys.stdout.flush()
    os._exit(0)


def is_needed(paths: list[str]) -> bool:
    """Whether this interpreter has a TensorFlow that could be compiled and kept, and is not yet.

    Args:
        paths: more folders for `sys.path`.
    """
    kept = list(sys.path)
    sys.path.extend(paths)
    try:
        spec = importlib.util.find_spec("tensorflow")
    except (ImportError, ValueError):
        return False
    finally:
        sys.path[:] = kept
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return False
    if os.path.exists(importlib.util.cache_from_source(spec.origin)):
        return False
    return os.access(os.path.dirname(spec.origin), os.W_OK)
