"""Runtimes for tests: with a stand-in child, and one with TensorFlow that the session shares."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tfexplore.runtime.client import Runtime
from tfexplore.runtime.records import Failure, Options, Result

STAND_IN = str(Path(__file__).with_name("stand_in.py"))
REPOSITORY = Path(__file__).resolve().parents[2]

Make = Callable[..., Runtime]


@pytest_asyncio.fixture
async def make() -> AsyncIterator[Make]:
    """Makes runtimes with the stand-in child, and closes them."""
    made: list[Runtime] = []

    def one(options: Options | None = None, **more: Any) -> Runtime:
        made.append(Runtime(options, script=STAND_IN, **more))
        return made[-1]

    yield one
    for runtime in made:
        await runtime.close()


async def ask(runtime: Runtime, method: str, params: dict[str, Any] | None = None, **more: Any) -> Result:
    """Sends a request of the stand-in's; its result.

    Raises:
        RuntimeFailed: what it failed with.
    """
    last = None
    async for event in runtime.request(method, params or {}, **more):
        last = event
    if isinstance(last, Failure):
        raise last.error
    assert isinstance(last, Result)
    return last


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Waits for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


def is_there(pid: int) -> bool:
    """Whether a process lives and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def shared(small_models: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    """One child with TensorFlow for the session; may read the small models and the demo."""
    demo = REPOSITORY / "src" / "tfexplore" / "demo"
    runtime = Runtime(Options(reads=(str(small_models), str(demo)), threads=1))
    yield runtime
    await runtime.close()


@pytest.fixture(scope="session")
def other_python() -> str:
    """Another Python with another TensorFlow: TFEXPLORE_OTHER_PYTHON, or what `make other-environment` made."""
    named = os.environ.get("TFEXPLORE_OTHER_PYTHON") or str(REPOSITORY / ".venv-other" / "bin" / "python")
    if not Path(named).exists() or Path(named).resolve() == Path(sys.executable).resolve():
        pytest.skip(f"no other Python at {named} (`make other-environment` makes one)")
    return named
