"""Exports of two Keras models with random weights, kept in `benchmarks/.cache`: 29 MB and 520 MB.

Only making them imports TensorFlow, in a process of its own: `python benchmarks/models.py NAME FOLDER`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Unmeasured

NAMES = ("MobileNetV2", "EfficientNetB7")
CACHE = Path(__file__).resolve().parent / ".cache"


def export(name: str) -> Path:
    """The folder of a SavedModel, made where it is missing.

    Raises:
        Unmeasured: it cannot be made.
    """
    target = CACHE / name
    if (target / "saved_model.pb").is_file():
        return target
    print(f"making an export of {name} (once) ...", file=sys.stderr, flush=True)
    CACHE.mkdir(exist_ok=True)
    # Hundreds of megabytes that no commit may take in, whatever the repository's own list says.
    (CACHE / ".gitignore").write_text("*\n", encoding="utf-8")
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="making-") as folder:
        made = os.path.join(folder, name)
        result = subprocess.run(
            [sys.executable, __file__, name, made], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if result.returncode:
            last = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Unmeasured(f"no export of {name} can be made: {last}")
        shutil.rmtree(target, ignore_errors=True)
        os.rename(made, target)
    return target


def _make(name: str, folder: str) -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras  # type: ignore[import-untyped]

    keras.utils.set_random_seed(1)
    getattr(keras.applications, name)(weights=None).export(folder, verbose=False)


if __name__ == "__main__":
    _make(*sys.argv[1:])
