"""Running the command line: in this process, as a process of its own, and on a pty; golden files."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.hostile import write_hostile
from tfexplore import __file__ as package
from tfexplore.cli import main
from tfexplore.loader import running
from tfexplore.runtime import process as child_process
from tfexplore.runtime.client import Runtime
from tfexplore.runtime.records import Options

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
DEADLINE = 60


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden files anew: pytest tests/cli --update-golden"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-golden", default=False) and os.environ.get("CI"):
        raise pytest.UsageError(
            "--update-golden: golden files are not written in CI; do it at home and look at the diff"
        )


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `tfexplore WORDS…` in this process; standard output is no terminal."""

    def in_process(*words: object) -> Ran:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:  # argparse ends so after --help and --version
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        found = capsys.readouterr()
        return Ran(code, found.out, found.err)

    return in_process


def environment(**more: str) -> dict[str, str]:
    source = Path(package).resolve().parent.parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHON", "NO_COLOR"))}
    return {**kept, "PYTHONPATH": str(source), "LANG": "C.UTF-8", "TERM": "xterm-256color", **more}


def command(words: Sequence[object]) -> list[str]:
    return [sys.executable, "-m", "tfexplore", *map(str, words)]


def process(*words: object, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Runs `tfexplore WORDS…` as a process of its own, with no terminal."""
    return subprocess.run(
        command(words),
        env=environment(**variables),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )


def on_pty(*words: object, cwd: Path | None = None, columns: int = 80, **variables: str) -> tuple[int, bytes, bytes]:
    """Runs `tfexplore WORDS…` with standard output on a pty: exit code, what came out of the pty, standard error."""
    import fcntl
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        command(words),
        env=environment(**variables),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=subprocess.PIPE,
    ) as child:
        os.close(slave)
        parts = []
        end = time.monotonic() + DEADLINE
        try:
            while time.monotonic() < end:
                if not select.select([master], [], [], 1)[0]:
                    continue
                try:
                    part = os.read(master, 65536)
                except OSError:  # the other side is closed
                    break
                if not part:
                    break
                parts.append(part)
            else:
                child.kill()
                pytest.fail(f"{words} did not end in {DEADLINE} s")
        finally:
            os.close(master)
        assert child.stderr is not None
        said = child.stderr.read()
        return child.wait(DEADLINE), b"".join(parts), said


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares text with a golden file, or writes that file anew where `--update-golden` asks for it."""

    def compare(name: str, found: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden", default=False):
            path.parent.mkdir(exist_ok=True)
            path.write_text(found, encoding="utf-8")
            return
        assert path.is_file(), f"{path} is missing; pytest tests/cli --update-golden writes it"
        assert found == path.read_text(encoding="utf-8"), "pytest tests/cli --update-golden, then look at the diff"

    return compare


# -- the child with TensorFlow --


class Kept(Runtime):
    """A runtime that stays when a command closes it."""

    async def close(self) -> None:
        """Nothing: `end` ends it."""

    async def end(self) -> None:
        await super().close()


@pytest.fixture(scope="session")
def kept(small_models: Path) -> Iterator[tuple[asyncio.AbstractEventLoop, Kept]]:
    """A child for the session, and the loop that it is bound to."""
    loop = asyncio.new_event_loop()
    runtime = Kept(Options(reads=(str(small_models.parent), str(Path(package).parent / "demo")), threads=1))
    yield loop, runtime
    loop.run_until_complete(runtime.end())
    loop.close()


@pytest.fixture
def one_child(kept: tuple[asyncio.AbstractEventLoop, Kept], monkeypatch: pytest.MonkeyPatch) -> Kept:
    """Commands that `run` runs share one child, so that TensorFlow is imported once."""
    loop, runtime = kept
    monkeypatch.setattr(asyncio, "run", loop.run_until_complete)
    monkeypatch.setattr(running, "Runtime", lambda options=None, **more: runtime)
    return runtime


@pytest.fixture
def no_child(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """No child may be started; gives the list of those that were asked for."""
    asked: list[Any] = []

    async def start(self: Any) -> None:
        asked.append(self)
        raise AssertionError("a child was started")

    monkeypatch.setattr(child_process.Child, "start", start)
    return asked


@pytest.fixture(scope="session")
def hostile(made_models: Path) -> Path:
    """A model whose signature, inputs and outputs have hostile names, and whose output holds them."""
    folder = made_models / "hostile-outputs"
    return folder if folder.exists() else write_hostile(folder)
