"""Opening paths that may be anything: what comes out, and that nothing hangs."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from core.saved_model_writer import meta_graph, placeholder, write_saved_model
from formats.table_writer import write_bundle
from tfexplore.core.model import Model
from tfexplore.core.opener import open_model
from tfexplore.errors import ModelError

DEADLINE = 10


def opened(path: object) -> Model | BaseException:
    """What opening gives or raises; fails where it hangs."""
    answer: list[Model | BaseException] = []

    def work() -> None:
        try:
            answer.append(open_model(str(path)))
        except BaseException as error:
            answer.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    assert answer, f"opening {path} hangs"
    return answer[0]


def refused(path: object, kind: type[ModelError]) -> ModelError:
    """The error that opening raises."""
    error = opened(path)
    assert isinstance(error, kind), repr(error)
    assert error.what
    assert "\n" not in str(error)
    return error


def bundle(prefix: Path, *keys: bytes) -> None:
    prefix.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(prefix, {key: np.ones(2, np.float32) for key in keys or (b"w",)})


def small_model(folder: Path) -> Path:
    return write_saved_model(folder, meta_graph(nodes=[placeholder(b"x")]))
