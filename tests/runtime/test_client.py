"""The client against a child that misbehaves in every way: the person is told, and the next run starts a new child."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from runtime.conftest import STAND_IN, Make, ask, is_there, until
from tfexplore.errors import Cancelled, ChildDied, RunFailed, RuntimeFailed, TensorFlowMissing, TimedOut
from tfexplore.runtime.child import frames
from tfexplore.runtime.client import Runtime
from tfexplore.runtime.protocol import Tensor
from tfexplore.runtime.records import Event, Failure, Options, Progress, Result

SOURCE = Path(__file__).resolve().parents[2] / "src"


async def test_a_request_and_its_states(make: Make) -> None:
    states: list[str] = []
    runtime = make(on_state=states.append)
    assert runtime.state == "off"
    events = [event async for event in runtime.request("echo", {"a": [1, None]})]
    assert events[:2] == [Progress("starting the child"), Progress("echoing", 1, 2)]
    assert isinstance(events[2], Result)
    assert events[2].value["params"] == {"a": [1, None]}
    assert states == ["starting", "importing", "idle", "running", "idle"]
    pid = events[2].value["pid"]
    assert (await ask(runtime, "echo")).value["pid"] == pid
    await runtime.close()
    assert runtime.state == "off"
    assert not is_there(pid)
    assert not Path(events[2].value["cwd"]).exists()


async def test_nothing_secret_reaches_the_child(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("TF_VAR_password", "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    found = (await ask(make(), "echo")).value
    assert "AWS_SECRET_ACCESS_KEY" not in found["environment"]
    assert "TF_VAR_password" not in found["environment"]
    assert found["environment"]["CUDA_VISIBLE_DEVICES"] == "-1"
    assert found["environment"]["HOME"] == found["cwd"]
    assert (await ask(make(Options(device="gpu")), "echo")).value["environment"]["CUDA_VISIBLE_DEVICES"] == "0"


async def test_tensors_of_megabytes_there_and_back(make: Make) -> None:
    data = os.urandom(1 << 20) * 24
    result = await ask(make(), "body", tensors=(Tensor("x", "uint8", (len(data),), data),))
    assert bytes(result.tensors[0].data) == data


async def test_what_is_too_large_is_not_sent(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = make()
    pid = (await ask(runtime, "echo")).value["pid"]
    monkeypatch.setattr(frames, "MAX_BODY", 1000)
    with pytest.raises(RunFailed, match="tensors of 1,001 bytes are more than the 1,000 that one message may carry"):
        await ask(runtime, "body", tensors=(Tensor("x", "uint8", (1001,), bytes(1001)),))
    assert (await ask(runtime, "echo")).value["pid"] == pid


async def test_a_failure_leaves_the_child(make: Make) -> None:
    runtime = make()
    pid = (await ask(runtime, "echo")).value["pid"]
    with pytest.raises(RunFailed, match=r"^no$") as failed:
        await ask(runtime, "fail")
    assert failed.value.kind == "invalid_argument"
    assert runtime.state == "idle"
    assert (await ask(runtime, "echo")).value["pid"] == pid


@pytest.mark.parametrize(
    ("method", "params", "sentence"),
    [
        ("signal", {"number": signal.SIGSEGV}, "ended by SIGSEGV (a fault in native code); its last words: I am about"),
        ("signal", {"number": signal.SIGABRT}, "ended by SIGABRT (native code gave up); its last words: I am about"),
        ("signal", {"number": signal.SIGKILL}, "ended by SIGKILL (perhaps the system ran out of memory); its last"),
        ("signal", {"number": signal.SIGBUS}, "ended by SIGBUS (a fault in native code); its last words: I am about"),
        ("signal", {"number": signal.SIGTERM}, "ended by SIGTERM; its last words: I am about to fall"),
        ("exit", {"code": 0}, "ended by itself with exit code 0"),
        ("exit", {"code": 3}, "ended by itself with exit code 3"),
        ("garbage", {}, "the child was stopped: it sent no frame: it starts with b'Hell'"),
        ("half", {}, "the child was stopped: it sent half a frame"),
        ("huge", {}, "the child was stopped: it sent a frame of 10 and 1,152,921,504,606,846,976 bytes"),
        ("closes", {}, "the child was stopped: it sent no more, though it lives on"),
        ("stranger", {}, "the child was stopped: it sent a message of the type 'dance'"),
    ],
)
async def test_the_end_of_the_child_is_told_and_another_starts(
    make: Make, method: str, params: dict[str, int], sentence: str
) -> None:
    runtime = make()
    first = (await ask(runtime, "echo")).value
    with pytest.raises(ChildDied) as died:
        await ask(runtime, method, params)
    assert sentence in str(died.value)
    assert runtime.state == "dead"
    assert runtime.why is died.value
    assert not is_there(first["pid"])
    assert not Path(first["cwd"]).exists()
    again = (await ask(runtime, "echo")).value
    assert again["pid"] != first["pid"]
    assert runtime.state == "idle"


@pytest.mark.parametrize(
    ("fault", "found", "sentence"),
    [
        ("falls before hello", ChildDied, "ended by SIGSEGV"),
        ("falls after hello", ChildDied, "ended by SIGABRT"),
        ("half a ready", ChildDied, "ended by SIGKILL"),
        ("speaks another version", ChildDied, "the child speaks another version of the protocol"),
        ("says nothing", TimedOut, "it was stopped after 2 s"),
        ("lets go of its input", TimedOut, "it was stopped after 2 s"),
    ],
)
async def test_a_fault_at_the_start(
    make: Make, monkeypatch: pytest.MonkeyPatch, fault: str, found: type[RuntimeFailed], sentence: str
) -> None:
    monkeypatch.setenv("TF_STAND_IN", fault)
    runtime = make(Options(start_seconds=2))
    with pytest.raises(found, match=sentence):
        await ask(runtime, "echo")
    assert runtime.state == "dead"
    monkeypatch.delenv("TF_STAND_IN")
    assert (await ask(runtime, "echo")).value["pid"]
    assert runtime.state == "idle"


async def test_a_gigabyte_of_output_is_bounded_and_its_end_is_kept(make: Make) -> None:
    runtime = make()
    await ask(runtime, "prints", {"bytes": 1 << 30})
    with pytest.raises(ChildDied) as died:
        await ask(runtime, "prints", {"bytes": 1 << 20, "then": "abort"})
    assert died.value.last_words.endswith("the last line")
    assert len(died.value.last_words) <= 64 << 10


async def test_a_child_that_obeys_is_cancelled_and_lives_on(make: Make) -> None:
    runtime = make()
    pid = (await ask(runtime, "echo")).value["pid"]
    waiting = asyncio.ensure_future(ask(runtime, "silent", {"obedient": True}))
    await until(lambda: runtime.state == "running")
    runtime.cancel()
    with pytest.raises(RuntimeFailed) as failed:
        await waiting
    assert failed.value.kind == "cancelled"
    assert (await ask(runtime, "echo")).value["pid"] == pid


@pytest.mark.parametrize("method", ["silent", "deaf"])
async def test_a_child_that_does_not_obey_is_ended_after_its_time(make: Make, method: str) -> None:
    runtime = make()
    pid = (await ask(runtime, "echo")).value["pid"]
    with pytest.raises(TimedOut, match=r"it was stopped after 0\.2 s; --timeout allows more"):
        await ask(runtime, method, timeout=0.2)
    assert not is_there(pid)
    assert runtime.state == "dead"
    assert (await ask(runtime, "echo")).value["pid"] != pid


async def test_who_stops_listening_cancels(make: Make) -> None:
    runtime = make()
    pid = (await ask(runtime, "echo")).value["pid"]
    listening = asyncio.ensure_future(ask(runtime, "silent", {"obedient": True}))
    await until(lambda: runtime.state == "running")
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert runtime.state == "idle"
    assert (await ask(runtime, "echo")).value["pid"] == pid


async def test_requests_wait_for_their_turn(make: Make) -> None:
    runtime = make()
    results = await asyncio.gather(*(ask(runtime, "echo", {"n": number}) for number in range(20)))
    assert [result.value["params"]["n"] for result in results] == list(range(20))


async def test_what_the_child_started_ends_with_it(make: Make) -> None:
    runtime = make()
    other = (await ask(runtime, "spawns")).value["pid"]
    assert is_there(other)
    await runtime.close()
    assert not is_there(other)


async def test_closing_while_it_runs(make: Make) -> None:
    runtime = make()
    pid = (await ask(runtime, "echo")).value["pid"]
    waiting = asyncio.ensure_future(ask(runtime, "deaf"))
    await until(lambda: runtime.state == "running")
    await runtime.close()
    with pytest.raises(RuntimeFailed):
        await waiting
    assert not is_there(pid)
    with pytest.raises(RuntimeFailed, match="closed"):
        await ask(runtime, "echo")


KILLED = """
import asyncio, sys
from tfexplore.runtime.client import Runtime

async def main():
    runtime = Runtime(script=sys.argv[1])
    async for event in runtime.request("echo", {}):
        last = event
    print(last.value["pid"], last.value["cwd"], flush=True)
    async for event in runtime.request("deaf", {}):
        pass

asyncio.run(main())
"""


async def test_nothing_is_left_of_an_explorer_that_was_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, STAND_IN],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    ) as explorer:
        assert explorer.stdout is not None
        pid, folder = explorer.stdout.readline().split()
        assert is_there(int(pid))
        explorer.kill()
    await until(lambda: not is_there(int(pid)))
    await until(lambda: not Path(folder).exists())


async def test_the_end_of_an_idle_child_is_told(make: Make) -> None:
    states: list[str] = []
    runtime = make(on_state=states.append)
    os.kill((await ask(runtime, "echo")).value["pid"], signal.SIGKILL)
    await until(lambda: runtime.state == "dead")
    assert "ended by SIGKILL" in str(runtime.why)
    await ask(runtime, "echo")
    assert (runtime.state, runtime.why) == ("idle", None)
    await runtime.close()
    assert states[-1] == "off"


async def test_closing_while_it_starts(make: Make) -> None:
    runtime = make()
    starting = asyncio.ensure_future(runtime.start())
    await until(lambda: runtime.state == "starting")
    await runtime.close()
    with pytest.raises((RuntimeFailed, Cancelled)):
        await starting
    assert runtime.state == "off"
    assert runtime._child is None


async def test_a_killed_launcher_takes_the_child_along(make: Make) -> None:
    runtime = make()
    found = (await ask(runtime, "echo")).value
    parent = int(Path(f"/proc/{found['pid']}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    await until(lambda: not is_there(found["pid"]))
    await until(lambda: not Path(found["cwd"]).exists())
    assert (await ask(runtime, "echo")).value["pid"] != found["pid"]


@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        ("/nowhere/python", "there is no interpreter /nowhere/python; install it"),
        ("/bin/false", "/bin/false could not start the child"),
        ("/etc/passwd", "there is no interpreter /etc/passwd; install it"),
    ],
)
async def test_no_interpreter(python: str, sentence: str) -> None:
    runtime = Runtime(Options(python=python))
    with pytest.raises(TensorFlowMissing) as missing:
        await runtime.start()
    assert str(missing.value).startswith(sentence)
    assert runtime.state == "dead"
    await runtime.close()


async def test_a_python_without_tensorflow(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    runtime = Runtime(Options(python=str(tmp_path / "bare")))
    with pytest.raises(TensorFlowMissing) as missing:
        await runtime.start()
    assert str(missing.value) == (
        f"{tmp_path / 'bare' / 'bin' / 'python'} has no tensorflow; install it (pip install 'tfexplore[tf-cpu]'), "
        "or name a Python that has it with --tf-python"
    )
    await runtime.close()


@pytest.mark.parametrize("unwanted", [False, True])
async def test_tensorflow_is_compiled_once_outside_of_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unwanted: bool
) -> None:
    """With a package of that name that only says how it was imported."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "one")], check=True)
    (packages,) = (tmp_path / "one" / "lib").glob("python3*/site-packages")
    package = packages / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text("import sys\nsys.stderr.write('imported\\n')\n")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    if unwanted:
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    told: list[list[str]] = []
    for _ in range(2):
        events: list[Event] = []
        runtime = Runtime(Options(python=str(tmp_path / "one")))
        with pytest.raises(TensorFlowMissing):  # it is not TensorFlow, after all
            await runtime.start(events.append)
        told.append([event.what for event in events if isinstance(event, Progress)])
        await runtime.close()
    once = [] if unwanted else ["compiling TensorFlow for this Python, once"]
    assert told == [
        ["starting the child", *once, "importing TensorFlow"],
        ["starting the child", "importing TensorFlow"],
    ]
    assert len(list(package.glob("__pycache__/*"))) == len(once)


async def test_a_failed_start_ends_the_request(make: Make) -> None:
    runtime = Runtime(Options(python="/nowhere/python"))
    events = [event async for event in runtime.request("echo", {})]
    assert isinstance(events[-1], Failure)
    await runtime.close()


def test_no_scratch_folder_is_left() -> None:
    """After all of the above."""
    mine = [path for path in Path(tempfile.gettempdir()).glob("tfexplore-run-*") if path.stat().st_uid == os.getuid()]
    assert [path for path in mine if not any_process_in(path)] == []


def any_process_in(folder: Path) -> bool:
    """Whether a process has the folder as its current one: a runtime that is still at work, here or elsewhere."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if Path(os.readlink(link)) == folder:
                return True
        except OSError:
            continue
    return False
