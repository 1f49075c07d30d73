"""One life of the child: its launcher, pipes, standard error and end. `client` decides when to begin another.

Its methods belong to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tfexplore.errors import TensorFlowMissing
from tfexplore.runtime import protocol
from tfexplore.runtime.protocol import Frame, FrameError, Tensor
from tfexplore.runtime.records import Options, Sandbox

RUN = str(Path(__file__).resolve().parent / "child" / "run.py")
INSTALL = "install it (pip install 'tfexplore[tf-cpu]'), or name a Python that has it with --tf-python"

LAST_WORDS = 64 << 10  # bytes of standard error that are kept
_PIPE = 1 << 20
_READ_LIMIT = 4 << 20
_QUEUED = 64
_STATUS_LIMIT = 64 << 10
_LEAVE_SECONDS = 1.0  # for a child that closed its answers to end
_DRAIN_SECONDS = 2.0  # for standard error, which something that the child started may hold open

# Nothing of the environment goes to the child but this: the rest may hold secrets.
_ENVIRONMENT = (
    "CUDA_HOME", "CUDA_PATH", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "PATH", "TZ", "XLA_FLAGS",
)  # fmt: skip
_ENVIRONMENT_STARTS = ("LC_", "TF_", "KMP_", "MKL_", "ONEDNN_", "OPENBLAS_")
# Terraform's variables begin with TF_ too, and hold credentials.
_NOT_TENSORFLOWS = ("TF_VAR_", "TF_TOKEN_", "TF_CLI_", "TF_HTTP_", "TF_CLOUD_", "TF_API_", "TF_WORKSPACE")

_SIGNALS = {
    signal.SIGSEGV: "a fault in native code",
    signal.SIGBUS: "a fault in native code",
    signal.SIGILL: "this processor lacks an instruction that TensorFlow uses",
    signal.SIGABRT: "native code gave up",
    signal.SIGKILL: "perhaps the system ran out of memory",
    signal.SIGXCPU: "its limit of processor time",
}


class Ended(NamedTuple):
    """How the child ended.

    Attributes:
        sentence: what happened, without a final full stop.
        kind: `died`, `protocol`, `not_started` or `no_sandbox`.
        last_words: the end of its standard error.
    """

    sentence: str
    kind: str
    last_words: str


class _Ring(asyncio.Protocol):
    """Keeps the end of what a pipe brings, however much that is."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self.closed = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._kept += data[-LAST_WORDS:]
        if len(self._kept) > 2 * LAST_WORDS:
            del self._kept[:-LAST_WORDS]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def text(self) -> str:
        return bytes(self._kept[-LAST_WORDS:]).decode("utf-8", "backslashreplace").strip()


class Child:
    """A child process with its launcher.

    Attributes:
        messages: what it sent, in order; None once it has ended.
        ended: how, once it has.
        sandbox: what holds it; None until the launcher has told.
        on_end: called once it has ended.
    """

    def __init__(self, options: Options, script: str | None = None) -> None:
        self.messages: asyncio.Queue[Frame | None] = asyncio.Queue(_QUEUED)
        self.ended: Ended | None = None
        self.sandbox: Sandbox | None = None
        self.on_end: Callable[[], None] | None = None
        self._options = options
        self._script = script
        self._broken: str | None = None
        self._refused: str | None = None
        self._status: int | None = None
        self._transports: list[asyncio.BaseTransport] = []
        self._gone = asyncio.Event()
        self._over = asyncio.Event()
        self._sending = asyncio.Lock()

    async def start(self) -> None:
        """Starts the launcher and listens.

        Raises:
            TensorFlowMissing: the interpreter cannot be started.
        """
        self._scratch = tempfile.mkdtemp(prefix="tfexplore-run-")
        requests, answers, status, errors, lifeline = (os.pipe() for _ in range(5))
        theirs = (requests[0], answers[1], status[1], lifeline[0], errors[1])
        ours = (requests[1], answers[0], status[0], lifeline[1], errors[0])
        for pipe in (requests[1], answers[0]):
            with contextlib.suppress(OSError):
                fcntl.fcntl(pipe, getattr(fcntl, "F_SETPIPE_SZ", 1031), _PIPE)
        try:
            self._launcher = _spawn(self._options, self._script, self._scratch, theirs)
        except BaseException:
            for fd in (*ours, errors[0]):
                with contextlib.suppress(OSError):
                    os.close(fd)
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        self._lifeline: int | None = lifeline[1]
        loop = asyncio.get_running_loop()
        self._ring = _Ring()
        await self._listen(lambda: self._ring, errors[0])
        answers_reader = await self._reader(answers[0], _READ_LIMIT)
        status_reader = await self._reader(status[0], _STATUS_LIMIT)
        transport, flow = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(requests[1], "wb", buffering=0)
        )
        self._transports.append(transport)
        self._writer = asyncio.StreamWriter(transport, flow, None, loop)
        self._watch = loop.create_task(self._live(answers_reader, status_reader))

    async def _listen(self, factory: Callable[[], asyncio.BaseProtocol], fd: int) -> None:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(factory, os.fdopen(fd, "rb", buffering=0))
        self._transports.append(transport)

    async def _reader(self, fd: int, limit: int) -> asyncio.StreamReader:
        reader = asyncio.StreamReader(limit)
        await self._listen(lambda: asyncio.StreamReaderProtocol(reader), fd)
        return reader

    # -- what we send --

    async def send(self, header: dict[str, Any], tensors: tuple[Tensor, ...] = ()) -> None:
        """Sends a frame; one that no longer has a reader is lost, which its end tells.

        Raises:
            FrameError: it is too large.
        """
        pieces = protocol.encode(header, tensors)
        with contextlib.suppress(OSError):
            async with self._sending:  # frames come one after the other
                for piece in pieces:
                    if self._writer.is_closing():
                        return
                    self._writer.write(piece)
                    await self._writer.drain()

    def terminate(self) -> None:
        """Asks the child to end, by SIGTERM."""
        with contextlib.suppress(OSError):
            self._launcher.terminate()  # which passes it on

    def kill(self) -> None:
        """Lets go: the launcher kills the child and all that it started, and cleans up."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def finish(self) -> None:
        """Ends the child's input, upon which it ends by itself."""
        self._writer.close()

    async def wait(self, seconds: float) -> bool:
        """Waits for the end; tells whether it came."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)
        return self._over.is_set()

    def last_words(self) -> str:
        """The end of what it wrote to standard error so far."""
        return self._ring.text()

    # -- what we hear --

    async def _live(self, answers: asyncio.StreamReader, status: asyncio.StreamReader) -> None:
        """From the start to the end of the child."""
        reading = asyncio.get_running_loop().create_task(self._read_frames(answers))
        await self._read_status(status)
        self._gone.set()
        # The pipes may still hold what it sent last; whoever does not take it does not hold up the end.
        await asyncio.wait({reading}, timeout=_DRAIN_SECONDS)
        reading.cancel()
        await asyncio.wait({self._ring.closed}, timeout=_DRAIN_SECONDS)
        code = await asyncio.get_running_loop().run_in_executor(None, self._reap)
        self.kill()
        for transport in self._transports:
            transport.close()
        self.ended = self._how(code)
        self._over.set()
        if self.on_end is not None:
            self.on_end()
        while self.messages.full():
            self.messages.get_nowait()
        self.messages.put_nowait(None)

    async def _read_frames(self, reader: asyncio.StreamReader) -> None:
        inside = False
        try:
            while True:
                inside = False
                prefix = await reader.readexactly(protocol.PREFIX.size)
                inside = True
                header, body = protocol.decode_prefix(prefix)
                text = await reader.readexactly(header)
                await self.messages.put(protocol.decode(text, await reader.readexactly(body)))
        except FrameError as error:
            self._broken = f"{error}"
            self.kill()
        except asyncio.IncompleteReadError as error:
            half = inside or bool(error.partial)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._gone.wait(), _LEAVE_SECONDS)
            if not self._gone.is_set():  # it lives on but says no more
                self._broken = "half a frame" if half else "no more, though it lives on"
                self.kill()
            elif half and self._status == 0:
                self._broken = "half a frame"

    async def _read_status(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ValueError, OSError):
            while line := await reader.readline():
                told = json.loads(line)
                if "progress" in told:
                    await self.messages.put(Frame({"type": "progress", "id": 0, "what": told["progress"]}, ()))
                elif "sandbox" in told:
                    held = told["sandbox"]
                    self.sandbox = Sandbox(held["landlock"], tuple(held["network"]), self._options.sandbox == "off")
                elif "failed" in told:
                    self._refused = told["failed"]
                elif "ended" in told:
                    self._status = told["ended"]

    def _reap(self) -> int:
        """Waits for the launcher, which ends with its status pipe; takes away what it could not."""
        try:
            code = self._launcher.wait(_DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._launcher.kill()
            code = self._launcher.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)
        return code

    def _how(self, launcher: int) -> Ended:
        words = self._ring.text()
        if self._broken is not None:
            return Ended(f"the child was stopped: it sent {self._broken}", "protocol", words)
        if self._refused is not None:
            kind = (
                "no_sandbox" if self._options.sandbox == "required" and "Landlock" in self._refused else "not_started"
            )
            return Ended(f"the child could not be started: {self._refused}", kind, words)
        if self._status is None and launcher > 0:
            return Ended(f"{interpreter(self._options)} could not start the child", "not_started", words)
        status = launcher if self._status is None else self._status
        return Ended(_death(status), "died", words)


def _death(status: int) -> str:
    if status >= 0:
        return f"the process that runs TensorFlow ended by itself with exit code {status}"
    try:
        number = signal.Signals(-status)
    except ValueError:
        return f"the process that runs TensorFlow was ended by signal {-status}"
    why = f" ({_SIGNALS[number]})" if number in _SIGNALS else ""
    return f"the process that runs TensorFlow was ended by {number.name}{why}"


def absolute(options: Options) -> Options:
    """The same options with absolute paths: the child has another current folder."""
    return replace(
        options,
        reads=tuple(os.path.abspath(path) for path in options.reads),
        writes=tuple(os.path.abspath(path) for path in options.writes),
        imports=tuple(os.path.abspath(one) if one.endswith(".py") else one for one in options.imports),
        op_libraries=tuple(os.path.abspath(path) for path in options.op_libraries),
    )


def reading(options: Options, paths: list[str]) -> Options:
    """Options with which the child may read these paths too; the same object where it may already."""
    known = [os.path.join(os.path.realpath(path), "") for path in options.reads]
    new = [
        os.path.abspath(path)
        for path in paths
        if not any(os.path.join(os.path.realpath(path), "").startswith(folder) for folder in known)
    ]
    return replace(options, reads=(*options.reads, *new)) if new else options


def interpreter(options: Options) -> str:
    """The path of the interpreter to start; a folder stands for the environment in it.

    Raises:
        TensorFlowMissing: there is none.
    """
    named = options.python
    if named is None:
        return sys.executable
    if os.path.isdir(named):
        named = os.path.join(named, "bin", "python")
    found = shutil.which(named)
    if found is None:
        raise TensorFlowMissing(f"there is no interpreter {named}", kind="tensorflow_missing", hint=INSTALL)
    return os.path.abspath(found)


def environment(options: Options) -> dict[str, str]:
    """What the child sees of ours."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _ENVIRONMENT or (name.startswith(_ENVIRONMENT_STARTS) and not name.startswith(_NOT_TENSORFLOWS))
    }
    kept.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    if options.device == "gpu":
        for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
            if name in os.environ:
                kept[name] = os.environ[name]
    else:
        kept["CUDA_VISIBLE_DEVICES"] = "-1"
    return kept


def _files(options: Options) -> list[str]:
    """The folders of modules that are named by their file."""
    return [os.path.dirname(one) for one in options.imports if one.endswith(".py")]


def extra_paths(options: Options) -> list[str]:
    """PYTHONPATH, as far as it is absolute and lies outside of what the model could have brought."""
    reads = [os.path.realpath(path) + os.sep for path in options.reads]
    folders = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(one)]
    return [one for one in folders if not any((os.path.realpath(one) + os.sep).startswith(read) for read in reads)]


def _spawn(options: Options, script: str | None, scratch: str, fds: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """Starts the launcher.

    Raises:
        TensorFlowMissing: the interpreter cannot be started.
    """
    requests, answers, status, lifeline, errors = fds
    python = interpreter(options)
    plan = {
        "requests": requests,
        "answers": answers,
        "status": status,
        "lifeline": lifeline,
        "scratch": scratch,
        "reads": [*options.reads, *options.op_libraries, *_files(options)],
        "writes": options.writes,
        "paths": extra_paths(options),
        "home": os.path.expanduser("~"),
        "memory": options.memory,
        "gpu": options.device == "gpu",
        "sandbox": options.sandbox,
        "dont_compile": bool(os.environ.get("PYTHONDONTWRITEBYTECODE")),
        "script": script,
    }
    try:
        return subprocess.Popen(
            [python, "-I", "-B", RUN, "launcher", json.dumps(plan)],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            pass_fds=(requests, answers, status, lifeline),
            cwd=scratch,
            env=environment(options),
            start_new_session=True,
        )
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TensorFlowMissing(
            f"{python} cannot be started ({reason})", kind="tensorflow_missing", hint=INSTALL
        ) from error
