"""Headless modules stay light: what a fresh interpreter has loaded after importing them.

The import linter reads the source; this looks at what really happened.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src"

UI = ("rich", "textual")
# Heavy, and needed only once there is work for them.
LATE = ("asyncio", "ml_dtypes", "numpy")
# Modules that are themselves imported inside functions, on first need, and so may start with `import numpy`.
# No other headless module may load them on import: numpy would come with them.
WITH_NUMPY = {
    f"tfexplore.formats.{name}"
    for name in ("block_scan", "bundle_stream", "bundle_strings", "bundle_values", "slice_values")
} | {"tfexplore.core.block_statistics"}

# Imports the modules that it is told on standard input, and prints which of them brought what in.
PROBE = """
import importlib, json, sys

modules, forbidden = json.load(sys.stdin)
found = {}
for module in modules:
    importlib.import_module(module)
    brought = [name for name in forbidden if name in sys.modules]
    if brought:
        found[module] = brought
        forbidden = [name for name in forbidden if name not in brought]
json.dump(found, sys.stdout)
"""


def modules_below(top: str) -> list[str]:
    """Every module of `tfexplore.<top>`, by walking its files; parents before children."""
    file = SOURCE / "tfexplore" / f"{top}.py"
    files = [file] if file.exists() else sorted((SOURCE / "tfexplore" / top).rglob("*.py"))
    names = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in files]
    return sorted(name.removesuffix(".__init__") for name in names)


def brought_in(modules: list[str], forbidden: tuple[str, ...]) -> dict[str, list[str]]:
    """Which of `modules`, imported in this order in a fresh interpreter, first loaded which of `forbidden`."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=json.dumps([modules, forbidden]),
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("top", ["errors", "formats", "core", "cli", "guard", "demo"])
def test_headless_modules_load_nothing_heavy(top: str) -> None:
    modules = modules_below(top)
    assert modules, f"tfexplore.{top} is gone: this test looks at nothing"
    light = [module for module in modules if module not in WITH_NUMPY]
    assert brought_in(light, (*UI, *LATE, "tensorflow")) == {}


def test_modules_with_numpy_load_nothing_else_heavy() -> None:
    assert brought_in(sorted(WITH_NUMPY), (*UI, "asyncio", "ml_dtypes", "tensorflow")) == {}


def test_the_loader_may_use_asyncio_and_nothing_else_heavy() -> None:
    modules = modules_below("loader")
    assert modules
    assert brought_in(modules, (*UI, "ml_dtypes", "numpy", "tensorflow")) == {}


# In the child's folder, those that run before TensorFlow is asked for.
CHILD = tuple(f"tfexplore.runtime.child{name}" for name in ("", ".frames", ".launcher", ".look", ".sandbox", ".serve"))


def test_the_runtime_uses_asyncio_and_nothing_else_heavy() -> None:
    modules = [name for name in modules_below("runtime") if not name.startswith("tfexplore.runtime.child")]
    assert modules
    assert brought_in([*modules, *CHILD], (*UI, "ml_dtypes", "numpy", "tensorflow")) == {}


def test_the_child_is_written_in_the_syntax_of_python_3_9() -> None:
    files = sorted((SOURCE / "tfexplore" / "runtime" / "child").glob("*.py"))
    assert files
    for file in files:
        ast.parse(file.read_text(), str(file), feature_version=(3, 9))


def test_the_entry_point_starts_with_the_standard_library_alone() -> None:
    decoders = ("cramjam", "google.protobuf", "google_crc32c")
    assert brought_in(["tfexplore.cli"], (*UI, *LATE, *decoders, "tensorflow")) == {}


def test_the_ui_never_loads_tensorflow() -> None:
    modules = modules_below("tui")
    assert modules
    assert brought_in(modules, ("tensorflow",)) == {}


def test_the_probe_names_the_culprit() -> None:
    found = brought_in(["json", "asyncio.locks", "asyncio.queues"], ("asyncio", "numpy"))
    assert found == {"asyncio.locks": ["asyncio"]}
