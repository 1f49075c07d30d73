"""The child's end of the protocol: reads requests, runs them one by one in a thread, and answers.

The main thread only reads, so that `cancel` and the end of the input are seen while TensorFlow works. The first
message is `configure`; `ready` answers it once TensorFlow is imported.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterable
from typing import Any, BinaryIO, Callable, Optional

from . import frames
from .frames import Frame, FrameError, Tensor

Answer = tuple[dict[str, Any], list[Tensor]]


class Cancelled(Exception):
    """The explorer no longer wants the answer."""


class Refused(Exception):
    """A request that cannot be done; becomes a failure of this kind with this sentence."""

    def __init__(self, kind: str, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.detail = detail


class Port:
    """Writes frames; any thread may."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def send(self, header: dict[str, Any], tensors: Iterable[Tensor] = ()) -> None:
        """Writes one frame; ends the process where nobody reads any more.

        Raises:
            FrameError: it is too large; nothing was written.
        """
        pieces = frames.encode(header, tensors)
        try:
            with self._lock:
                for piece in pieces:
                    view = memoryview(piece).cast("B")
                    while view:
                        view = view[os.write(self._fd, view) :]
        except OSError:
            os._exit(0)


class Request:
    """A request while it runs.

    Attributes:
        cancelled: set once the explorer cancels it.
        stopping: set once it shall end early with what it has done; only `tune_run` looks at it.
        on_cancel: what to call then, from the main thread; None for nothing.
    """

    def __init__(self, port: Port, header: dict[str, Any], tensors: tuple[Tensor, ...]) -> None:
        self._port = port
        self.number = header.get("id")
        self.method = header.get("method")
        self.params: dict[str, Any] = header.get("params") or {}
        self.tensors = tensors
        self.cancelled = threading.Event()
        self.stopping = threading.Event()
        self.on_cancel: Optional[Callable[[], None]] = None

    def progress(self, what: str, done: int = 0, total: Optional[int] = None) -> None:
        """Says what is being done.

        Raises:
            Cancelled: it has been cancelled.
        """
        if self.cancelled.is_set():
            raise Cancelled
        self._port.send({"type": "progress", "id": self.number, "what": what, "done": done, "total": total})

    def figures(self, done: int, total: int, figures: list[list[float]], changes: Optional[list[list[Any]]]) -> None:
        """Says what the last steps of `tune_run` gave: [step, loss, norm, seconds] each, and perhaps changes."""
        header = {"type": "progress", "id": self.number, "what": "tuning", "done": done, "total": total}
        self._port.send({**header, "figures": figures, "changes": changes})

    def log(self, text: str) -> None:
        """Tells the person something that is no failure."""
        self._port.send({"type": "log", "id": self.number, "text": text})

    def answer(self, work: Callable[[Request], Answer], failure: Callable[[BaseException], dict[str, Any]]) -> None:
        """Does the work and sends its result or failure."""
        try:
            value, tensors = work(self)
            if self.cancelled.is_set():
                raise Cancelled
            self._port.send({"type": "result", "id": self.number, "value": value}, tensors)
        except Cancelled:
            self._fail({"kind": "cancelled", "message": "cancelled"})
        except Refused as refused:
            self._fail({"kind": refused.kind, "message": refused.message, "detail": refused.detail})
        except FrameError as error:
            self._fail({"kind": "too_large", "message": str(error)})
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            found = failure(error)
            if self.cancelled.is_set():
                found = {"kind": "cancelled", "message": "cancelled"}
            self._fail(found)

    def _fail(self, fields: dict[str, Any]) -> None:
        self._port.send({"type": "failure", "id": self.number, **fields})


def main(arguments: list[str]) -> None:
    """Serves requests until the input ends; see `launcher` for the argument."""
    told: dict[str, Any] = json.loads(arguments[0])
    # The protocol moves to descriptors of its own; whatever prints to 1, prints to 2.
    requests = os.fdopen(os.dup(told["requests"]), "rb", buffering=1 << 20)
    port = Port(os.dup(told["answers"]))
    os.close(told["requests"])
    os.close(told["answers"])
    os.dup2(2, 1)
    # After everything of the standard library and of this interpreter's own.
    sys.path.extend(told["paths"])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    work: queue.SimpleQueue[Optional[Request]] = queue.SimpleQueue()
    current: dict[Any, Request] = {}
    threading.Thread(target=_run, args=(port, work, current), daemon=True, name="requests").start()
    code = 0
    try:
        port.send({"type": "hello", "protocol": frames.VERSION, "python": sys.version.split()[0], "pid": os.getpid()})
        _read(requests, port, work, current)
    except FrameError as error:
        sys.stderr.write(f"the explorer sent what is no frame: {error}\n")
        code = 1
    sys.stderr.flush()
    os._exit(code)


def _read(
    requests: BinaryIO, port: Port, work: queue.SimpleQueue[Optional[Request]], current: dict[Any, Request]
) -> None:
    while True:
        frame = read_frame(requests)
        if frame is None:
            return
        kind = frame.header.get("type")
        if kind == "cancel":
            running = current.get(frame.header.get("id"))
            if running is not None:
                running.cancelled.set()
                on_cancel = running.on_cancel
                if on_cancel is not None:
                    with contextlib.suppress(Exception):
                        on_cancel()
        elif kind == "stop":
            running = current.get(frame.header.get("id"))
            if running is not None:
                running.stopping.set()
        elif kind in ("configure", "request"):
            request = Request(port, frame.header, frame.tensors)
            if kind == "configure":
                request.method = "configure"
                request.number = 0
            current[request.number] = request
            work.put(request)
        else:
            raise FrameError(f"a message of the type {kind!r}")


def read_frame(stream: BinaryIO) -> Optional[Frame]:
    """The next frame; None at the end of the stream.

    Raises:
        FrameError: what comes is no frame.
    """
    prefix = stream.read(frames.PREFIX.size)
    if not prefix:
        return None
    sizes = frames.decode_prefix(prefix)
    header, body = (stream.read(size) for size in sizes)
    if (len(header), len(body)) != sizes:
        raise FrameError("half a frame")
    return frames.decode(header, body)


def _run(port: Port, work: queue.SimpleQueue[Optional[Request]], current: dict[Any, Request]) -> None:
    """Answers requests, for ever. TensorFlow is imported by the first, `configure`."""
    session: Any = None
    while True:
        request = work.get()
        if request is None:
            return
        if request.method == "configure":
            session = _configure(port, request)
        elif session is None:
            request.answer(_not_configured, lambda error: {})
        else:
            from . import faults

            request.answer(session.answer, faults.failure)
        current.pop(request.number, None)


def _not_configured(request: Request) -> Answer:
    raise Refused("protocol", "a request before `configure`")


def _configure(port: Port, request: Request) -> Any:
    found: list[Any] = []

    def work(request: Request) -> Answer:
        if request.params.get("protocol") != frames.VERSION:
            raise Refused("protocol", f"the child speaks version {frames.VERSION} of the protocol")
        request.progress("importing TensorFlow")
        from . import session

        found.append(session.Session(request.params))
        return found[0].about(), []

    request.answer(work, _import_failure)
    return found[0] if found else None


def _import_failure(error: BaseException) -> dict[str, Any]:
    """What kept TensorFlow from being imported; `faults` may not be importable itself."""
    name = getattr(error, "name", None) or ""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, ModuleNotFoundError) and name.split(".")[0] in ("tensorflow", "numpy"):
        return {"kind": "tensorflow_missing", "message": f"{sys.executable} has no {name.split('.')[0]}"}
    if isinstance(error, ModuleNotFoundError):
        return {"kind": "import_failed", "message": f"there is no module {name}"}
    if isinstance(error, MemoryError) or "memory" in text.lower() or "failed to map segment" in text:
        return {"kind": "resource_exhausted", "message": f"there is not enough memory to import TensorFlow: {text}"}
    import traceback

    traceback.print_exception(type(error), error, error.__traceback__)
    return {"kind": "import_failed", "message": f"{type(error).__name__}: {text.splitlines()[0]}"}
