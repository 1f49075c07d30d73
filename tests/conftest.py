"""What every test may use: the corpus, a folder for made models, TensorFlow as the oracle, hypothesis profiles."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent

# `ci` runs the same examples every time; the others are chosen by --hypothesis-profile.
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60, database=None)
settings.register_profile("random", deadline=None, max_examples=200)
settings.register_profile("thorough", deadline=None, max_examples=5_000)
settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks whatever asks for the `tf` fixture, so that `-m "not tensorflow"` leaves it out."""
    for item in items:
        if "tf" in getattr(item, "fixturenames", ()):
            item.add_marker("tensorflow")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder with `models/` and `hostile/`: `../shared/corpus`, or where TFEXPLORE_CORPUS says. Read only."""
    named = os.environ.get("TFEXPLORE_CORPUS")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "corpus"
    if not (folder / "models").is_dir():
        pytest.skip(f"no corpus of models at {folder} (TFEXPLORE_CORPUS names another place)")
    return folder.resolve()


@pytest.fixture(scope="session")
def made_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the session, for models that tests write once and share."""
    return tmp_path_factory.mktemp("made-models")


@pytest.fixture(scope="session")
def tf() -> Any:
    """The module `tensorflow`, quiet and without a GPU."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("tensorflow", reason="TensorFlow is not installed", exc_type=ImportError)


@pytest.fixture(scope="session")
def small_models(tf: Any, made_models: Path) -> Path:
    """The models of `runtime/models.py`, written by this TensorFlow."""
    from runtime import models

    folder = made_models / "runtime"
    if not folder.exists():
        folder.mkdir()
        models.write_all(tf, folder)
    return folder
