"""The risky models of the corpus, run in the sandbox: no file changes, nothing is reached, and it is told by name."""

from __future__ import annotations

import hashlib
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.calls import filled
from tfexplore.errors import ChildDied, RunFailed, RuntimeFailed
from tfexplore.runtime.child import sandbox
from tfexplore.runtime.client import Runtime
from tfexplore.runtime.records import Call, Options

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(sandbox.landlock_abi() is None, reason="this kernel has no Landlock"),
]

# Where these models write to and read from, and what they connect to.
CANARY = Path("/tmp/tfexplore-canary")
PORT = 45991
REFUSED = ("call_write", "cond_write", "dstfr", "load_write", "print_write", "read_file", "save_write", "summary")


@pytest.fixture
def canary() -> Iterator[Path]:
    if CANARY.exists():
        pytest.skip(f"{CANARY} is there already, and may be someone else's")
    CANARY.mkdir()
    (CANARY / "secret").write_text("secret")
    yield CANARY
    shutil.rmtree(CANARY)


def contents(*folders: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for folder in folders
        for path in sorted(folder.rglob("*"))
    }


async def run(runtime: Runtime, model: Path) -> list[RuntimeFailed]:
    """Loads a model and calls each signature, with zeros and with ones; what failed."""
    failures: list[RuntimeFailed] = []
    try:
        await runtime.load(str(model), timeout=60)
        signatures = (await runtime.describe())["signatures"]
    except RuntimeFailed as error:
        return [error]
    for name, signature in signatures.items():
        for value in (0, 1):
            inputs = tuple(filled(key, spec, value) for key, spec in signature["inputs"].items())
            try:
                await runtime.call(Call(name, inputs=inputs), timeout=5)
            except RuntimeFailed as error:
                failures.append(error)
    return failures


async def test_every_risky_model(corpus: Path, canary: Path) -> None:
    models = corpus / "hostile" / "risky"
    names = sorted(path.name for path in models.iterdir())
    before = contents(models, canary)
    found: dict[str, list[RuntimeFailed]] = {}
    with socket.create_server(("127.0.0.1", PORT)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", PORT))
        tcp.setblocking(False)
        udp.setblocking(False)
        runtime = Runtime(Options(reads=(str(models),), sandbox="required", memory=8 << 30, threads=1))
        for name in names:
            found[name] = await run(runtime, models / name)
            assert contents(models, canary) == before, name
        await runtime.close()
        with pytest.raises(BlockingIOError):
            tcp.accept()
        with pytest.raises(BlockingIOError):
            udp.recv(1)
    for name in REFUSED:
        kinds = {error.kind for error in found[name]}
        paths = [str(error.detail.get("path")) for error in found[name] if error.kind == "permission_denied"]
        assert "permission_denied" in kinds, (name, found[name])
        assert all(path.startswith(str(canary)) for path in paths), (name, paths)
    assert all(isinstance(error, ChildDied) and "SIGABRT" in str(error) for error in found["abort"])
    assert found["abort"]
    assert all(isinstance(error, RunFailed) for error in found["while_write"])
