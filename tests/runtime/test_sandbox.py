"""What the child may do: read the model, write its scratch folder and what was named, and nothing else."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from runtime.conftest import Make, ask
from tfexplore.errors import SandboxMissing
from tfexplore.runtime import process
from tfexplore.runtime.child import sandbox
from tfexplore.runtime.client import Runtime
from tfexplore.runtime.records import Options, Sandbox

needs_landlock = pytest.mark.skipif(sandbox.landlock_abi() is None, reason="this kernel has no Landlock")


@needs_landlock
async def test_files(make: Make, tmp_path: Path) -> None:
    model, out, other = (tmp_path / name for name in ("model", "out", "other"))
    for folder in (model, out, other):
        folder.mkdir()
        (folder / "file").write_text("content")
    (model / "link").symlink_to(other / "file")
    runtime = make(Options(reads=(str(model),), writes=(str(out),)))
    scratch = (await ask(runtime, "echo")).value["cwd"]
    targets = [model / "file", model / "new", out / "file", out / "new", other / "file", Path(scratch) / "new"]
    sources = [model, model / "file", model / "link", out / "file", other, other / "file", "/etc/shadow", "/root"]
    outside = Path(tempfile.gettempdir()) / f"tfexplore-test-{os.getpid()}"
    params = {"writes": [str(path) for path in (*targets, outside)], "reads": [str(path) for path in sources]}
    found = (await ask(runtime, "try", params)).value
    refused = {path for path, how in found.items() if how != "done"}
    kept = (model / "new", model / "link", other, other / "file", outside, "/etc/shadow", "/root")
    assert refused == {str(path) for path in kept}
    assert (model / "file").read_text() == "content"  # read, but not written
    assert (other / "file").read_text() == "content"
    assert (out / "new").read_text() == "x"
    assert not outside.exists()


async def test_without_it_the_same_is_done(make: Make, tmp_path: Path) -> None:
    """So that the tests above look at the sandbox and not at something else."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        runtime = make(Options(sandbox="off"))
        params = {"writes": [str(tmp_path / "new")], "ports": [("tcp", port)], "kills": [os.getpid()]}
        found = (await ask(runtime, "try", params)).value
    assert found == {str(tmp_path / "new"): "done", "tcp": "done", str(os.getpid()): "done"}
    assert runtime.sandbox is not None
    assert runtime.sandbox.sentence() == "The model runs without a sandbox, with your rights."


async def test_network(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        tcp.setblocking(False)
        udp.setblocking(False)
        runtime = make()
        await ask(runtime, "echo")
        held = runtime.sandbox
        assert held is not None
        if not held.whole:
            pytest.skip(f"here: {held.sentence()}")
        params = {"ports": [("tcp", tcp.getsockname()[1]), ("udp", udp.getsockname()[1])], "kills": [os.getpid()]}
        found = (await ask(runtime, "try", params)).value
        assert set(found) == {"tcp", "udp", str(os.getpid())}
        assert "done" not in (found["tcp"], found["udp"])
        assert (found[str(os.getpid())] != "done") == ((held.landlock or 0) >= 6)
        with pytest.raises(BlockingIOError):
            tcp.accept()
        with pytest.raises(BlockingIOError):
            udp.recv(10)


async def test_memory(make: Make) -> None:
    runtime = make(Options(memory=1 << 30))
    assert (await ask(runtime, "try", {"memory": 2 << 30})).value == {"memory": "MemoryError"}
    assert (await ask(runtime, "try", {"memory": 1 << 20})).value == {"memory": "done"}


def without(monkeypatch: pytest.MonkeyPatch, folder: Path, *parts: str) -> None:
    """Has the launcher run from a copy, in which the kernel lacks some parts of the sandbox."""
    lines = {
        "landlock": (
            "_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446",
            "_CREATE_RULESET, _ADD_RULE = 9998, 9999",
        ),
        "landlock tcp": ("_NET_BIND_CONNECT = 3", "_NET_BIND_CONNECT = 0"),
        "namespace": ("0x10000000, 0x40000000", "0x10000000, -1"),
        "seccomp": ('{"x86_64":', '{"none":'),
    }
    copy = folder / "child"
    copy.mkdir()
    for file in Path(process.RUN).parent.glob("*.py"):
        text = file.read_text()
        if file.name == "sandbox.py":
            for part in parts:
                old, new = lines[part]
                assert old in text, part
                text = text.replace(old, new)
        (copy / file.name).write_text(text)
    monkeypatch.setattr(process, "RUN", str(copy / "run.py"))


@pytest.mark.parametrize(
    ("missing", "udp_too"),
    [
        (("namespace", "landlock tcp"), True),  # seccomp alone
        (("seccomp", "landlock tcp"), True),  # the namespace alone
        (("namespace", "seccomp"), False),  # Landlock alone
    ],
)
async def test_each_part_holds_the_network_by_itself(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: tuple[str, ...], udp_too: bool
) -> None:
    without(monkeypatch, tmp_path, *missing)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        runtime = make()
        params = {"ports": [("tcp", tcp.getsockname()[1]), ("udp", udp.getsockname()[1])]}
        found = (await ask(runtime, "try", params)).value
    held = runtime.sandbox
    assert held is not None
    if not held.network or (udp_too and not {"namespace", "seccomp"}.intersection(held.network)):
        pytest.skip(f"here: {held.sentence()}")
    assert found["tcp"] != "done"
    assert (found["udp"] != "done") is udp_too


async def test_required_where_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without(monkeypatch, tmp_path, "landlock")
    runtime = Runtime(Options(sandbox="required"))
    with pytest.raises(SandboxMissing, match="this kernel has no Landlock, so the model would run with your rights"):
        await runtime.start()
    await runtime.close()


async def test_the_best_where_there_is_none_is_told(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without(monkeypatch, tmp_path, "landlock", "namespace", "seccomp")
    runtime = make()
    await ask(runtime, "echo")
    assert runtime.sandbox == Sandbox(None, ())


@pytest.mark.parametrize(
    ("held", "whole", "sentence"),
    [
        (
            Sandbox(7, ("namespace", "seccomp")),
            True,
            "The model may only read its own files and write to a scratch folder (Landlock 7); it has no network "
            "(namespace, seccomp).",
        ),
        (
            Sandbox(4, ("landlock tcp",)),
            False,
            "The model may only read its own files and write to a scratch folder (Landlock 4); TCP is held back but "
            "UDP is not.",
        ),
        (
            Sandbox(None, ()),
            False,
            "This kernel has no Landlock: the model runs with your rights to read and write files; the network is "
            "open to it.",
        ),
    ],
)
def test_it_is_told_in_a_sentence(held: Sandbox, whole: bool, sentence: str) -> None:
    assert held.whole is whole
    assert held.sentence() == sentence
