"""Runs a model in the child process: starts it on first need, sends requests, and starts anew after its end.

runtime = Runtime(Options(reads=(path,)))
loaded = await runtime.load(path)
result = await runtime.call(Call(signature="serving_default", inputs=(…,)))
await runtime.close()
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from tfexplore.errors import Cancelled, ChildDied, RunFailed, RuntimeFailed
from tfexplore.runtime import failures, protocol
from tfexplore.runtime.process import Child, absolute, reading
from tfexplore.runtime.protocol import FrameError, Tensor
from tfexplore.runtime.records import About, Call, Event, Failure, Log, Options, Progress, Result, Sandbox, State

CANCEL_SECONDS: Final = 2.0  # for the child to answer that it has stopped
TERMINATE_SECONDS: Final = 1.0
KILL_SECONDS: Final = 5.0
FINISH_SECONDS: Final = 1.0  # for the child to end once its input has


class _Running:
    """The request under way.

    Attributes:
        stopping: why it is being stopped, `cancelled` or `timed_out`.
    """

    def __init__(self, number: int, timeout: float | None) -> None:
        self.number = number
        self.timeout = timeout
        self.stopping: str | None = None
        self.stop: asyncio.Task[None] | None = None
        self.over = asyncio.Event()


class Runtime:
    """One model's child process, which comes and goes as it is needed. One request runs at a time.

    Args:
        options: how the child is run.
        on_state: called when the state changes.
        script: what to start in place of the child, for tests.

    Attributes:
        state: off, starting, importing, idle, running or dead.
        why: what ended it, where it is dead.
        about: what runs in the child, once it is there.
    """

    def __init__(
        self,
        options: Options | None = None,
        on_state: Callable[[State], None] | None = None,
        *,
        script: str | None = None,
    ) -> None:
        self.options = absolute(options or Options())
        self.state: State = "off"
        self.why: RuntimeFailed | None = None
        self.about: About | None = None
        self._on_state = on_state
        self._script = script
        self._child: Child | None = None
        self._turn = asyncio.Lock()
        self._numbers = 0
        self._running: _Running | None = None
        self._model: dict[str, Any] | None = None
        self._model_is_in: Child | None = None
        self._closed = asyncio.Event()

    @property
    def sandbox(self) -> Sandbox | None:
        """What holds the child; None until it has been started."""
        return self._child.sandbox if self._child is not None else None

    def last_words(self) -> str:
        """The end of what the child wrote to standard error so far."""
        return self._child.last_words() if self._child is not None else ""

    # -- requests --

    async def start(self, on_event: Callable[[Event], None] | None = None) -> About:
        """Starts the child and imports TensorFlow, unless that is done.

        Raises:
            RuntimeFailed: it cannot be.
            Cancelled: it was cancelled.
        """
        async with self._turn:
            await _last(self._started(), on_event)
        assert self.about is not None
        return self.about

    async def load(
        self,
        path: str,
        *,
        form: str = "saved_model",
        tag_set: tuple[str, ...] | None = None,
        loader: str = "auto",
        checkpoint: str | None = None,
        timeout: float | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> dict[str, Any]:
        """Loads the model that later calls are for; another child loads it again by itself.

        Args:
            form: `saved_model`, `graph_def` or `meta_graph`.
            tag_set: of the MetaGraph; None for the only one, else `serve`.
            path: may be read by the child from now on, and what lies below it.
            loader: `auto` takes TensorFlow 2's, and TensorFlow 1's where that one fails; `v2` or `v1`.
            checkpoint: the prefix that a MetaGraph's variables are restored from.

        Returns:
            `loader` (which it was), `because` (why not the other), `tags`, `signatures` (names), `notes`.

        Raises:
            RuntimeFailed: as `request`.
            Cancelled: it was cancelled.
        """
        path, checkpoint = _absolute(path), None if checkpoint is None else _absolute(checkpoint)
        params = {"path": path, "form": form, "tags": tag_set, "loader": loader, "checkpoint": checkpoint}
        await self._open_to(files_of(path, checkpoint))
        self._model, self._model_is_in = params, None
        return (await _last(self.request("load", params, timeout=timeout), on_event)).value

    async def describe(
        self, *, timeout: float | None = None, on_event: Callable[[Event], None] | None = None
    ) -> dict[str, Any]:
        """What can be called.

        Returns:
            `signatures`: {name: {"inputs": {name: {"dtype", "shape"}}, "outputs": …}}; `functions`: [{"path", "traces":
            [{"args", "kwargs", "outputs"}]}], each a nest of `{"tensor": …}`, `{"list": …}`, `{"tuple": …}`,
            `{"dict": …}`, `{"value": …}` and `{"other": …}`.

        Raises:
            RuntimeFailed, Cancelled: as `load`.
        """
        return (await _last(self.request("describe", {}, timeout=timeout), on_event)).value

    async def infer_shapes(
        self,
        path: str,
        *,
        form: str = "saved_model",
        tag_set: tuple[str, ...] | None = None,
        function: str | None = None,
        timeout: float | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Result:
        """The static shapes of all outputs in a graph; the model need not be loaded, and nothing of it is called.

        Args:
            path, form, tag_set: as for `load`; the options' `reads` must name the path.
            function: whose body is meant; None for the main graph.

        Returns:
            `nodes`: how many there are; and a tensor of bytes, JSON: {node: [shape of each output]}, where a shape is a
            list with null for an unknown dimension, or null.

        Raises:
            RuntimeFailed, Cancelled: as `load`.
        """
        params = {"path": _absolute(path), "form": form, "tags": tag_set, "function": function}
        return await _last(self.request("infer_shapes", params, timeout=timeout), on_event)

    async def call(
        self, call: Call, *, timeout: float | None = None, on_event: Callable[[Event], None] | None = None
    ) -> Result:
        """Calls the model.

        Returns:
            The outputs as tensors; `latency_ms`: {"first": float, "repeats": [float]}.

        Raises:
            RuntimeFailed, Cancelled: as `load`.
        """
        params = {
            "signature": call.signature,
            "function": call.function,
            "args": call.args,
            "kwargs": call.kwargs,
            "fetches": list(call.fetches),
            "body": call.body,
            "repeat": call.repeat,
        }
        return await _last(self.request("call", params, call.inputs, timeout=timeout), on_event)

    async def ask(
        self,
        method: str,
        params: dict[str, Any],
        tensors: tuple[Tensor, ...] = (),
        *,
        timeout: float | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Result:
        """Sends a request of any kind; its result.

        Raises:
            RuntimeFailed, Cancelled: as `load`.
        """
        return await _last(self.request(method, params, tensors, timeout=timeout), on_event)

    async def request(
        self, method: str, params: dict[str, Any], tensors: tuple[Tensor, ...] = (), *, timeout: float | None = None
    ) -> AsyncGenerator[Event, None]:
        """Sends a request; yields what happens, last a Result or a Failure. Ending the iteration early cancels it.

        Args:
            timeout: seconds from here on, the child's start apart.
        """
        async with self._turn:
            async for event in self._started():
                if isinstance(event, Failure):
                    yield event
                    return
                if not isinstance(event, Result):
                    yield event
            child = self._child
            assert child is not None
            if method not in ("load", "infer_shapes") and self._model is not None and self._model_is_in is not child:
                async for event in self._exchange(child, "load", self._model, (), timeout):
                    if isinstance(event, Failure):
                        yield event
                        return
                    if not isinstance(event, Result):
                        yield event
                self._model_is_in = child
            async for event in self._exchange(child, method, params, tensors, timeout):
                if method == "load" and isinstance(event, Result):
                    self._model_is_in = child
                yield event

    def cancel(self) -> None:
        """Cancels what runs: the child is asked, then terminated, then killed."""
        if self._running is not None:
            self._stop(self._running, "cancelled")

    async def stop(self) -> None:
        """Asks what runs to end early with what it has done; `tune_run` does."""
        if self._running is not None and self._child is not None:
            await self._child.send({"type": "stop", "id": self._running.number})

    async def close(self) -> None:
        """Ends the child, with all that it left; cancels what runs."""
        self._closed.set()
        self.cancel()
        child = self._child
        if child is None:
            return
        if self._running is not None:
            child.kill()
        await self._end(child)

    # -- one child --

    async def _open_to(self, paths: list[str]) -> None:
        """Lets the child read these paths; one that lives has given that right away, so it ends."""
        options = reading(self.options, paths)
        if options is self.options:
            return
        async with self._turn:
            self.options = options
            if self._child is not None:
                await self._end(self._child)

    async def _end(self, child: Child) -> None:
        self._child = None
        child.finish()
        await child.wait(FINISH_SECONDS)
        child.kill()
        await child.wait(KILL_SECONDS)
        self._set("off")

    def _ended(self, child: Child) -> None:
        """A child has ended; while a request runs, that one tells."""
        if child is self._child and self._running is None:
            self.why = failures.of_end(child.ended, child.last_words(), None, None)
            self._set("dead")

    def _set(self, state: State) -> None:
        if state != self.state and not (self._closed.is_set() and state != "off"):
            self.state = state
            if self._on_state is not None:
                self._on_state(state)

    async def _started(self) -> AsyncGenerator[Event, None]:
        """Brings a child with TensorFlow about; ends with a Result or a Failure."""
        if self._closed.is_set():
            yield Failure(RuntimeFailed("the runtime has been closed", kind="closed"))
            return
        if self._child is not None and self._child.ended is None and self.about is not None:
            yield Result({})
            return
        self.about = self.why = None
        self._set("starting")
        yield Progress("starting the child")
        child = Child(self.options, self._script)
        try:
            await child.start()
        except RuntimeFailed as error:
            self.why = error
            self._set("dead")
            yield Failure(error)
            return
        if self._closed.is_set():
            await self._end(child)
            yield Failure(RuntimeFailed("the runtime has been closed", kind="closed"))
            return
        self._child = child
        child.on_end = lambda: self._ended(child)
        params = {
            "protocol": protocol.VERSION,
            "gpu": self.options.device == "gpu",
            "threads": self.options.threads,
            "imports": self.options.imports,
            "op_libraries": self.options.op_libraries,
        }
        async for event in self._exchange(child, "configure", params, (), self.options.start_seconds):
            if isinstance(event, Failure):
                child.kill()
                await child.wait(KILL_SECONDS)
                self.why = event.error
                self._set("dead")
            elif isinstance(event, Result):
                self.about = _about(event.value, child.sandbox)
            yield event

    async def _exchange(
        self,
        child: Child,
        method: str,
        params: dict[str, Any],
        tensors: tuple[Tensor, ...],
        timeout: float | None,
    ) -> AsyncGenerator[Event, None]:
        """Sends one request to the child and yields what it answers."""
        starting = method == "configure"
        self._numbers += 0 if starting else 1
        running = _Running(0 if starting else self._numbers, timeout)
        self._running = running
        self._set("starting" if starting else "running")
        loop = asyncio.get_running_loop()
        timer = None if timeout is None else loop.call_later(timeout, self._stop, running, "timed_out")
        header = {"type": "configure" if starting else "request", "id": running.number, "method": method}
        # Sent beside the reading: a child that talks while it takes in a large request blocks nobody.
        sending = loop.create_task(child.send({**header, "params": params}, tensors))
        try:
            while True:
                event = await self._next(child, running, sending)
                if event is not None:
                    if isinstance(event, Result | Failure):
                        running.over.set()
                        self._settle(child, event)
                        yield event
                        return
                    yield event
        finally:
            if timer is not None:
                timer.cancel()
            if not running.over.is_set():
                await asyncio.shield(self._abandon(child, running))
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, FrameError):
                await sending
            if self._running is running:
                self._running = None

    def _settle(self, child: Child, event: Event) -> None:
        if child.ended is not None:
            if isinstance(event, Failure):
                self.why = event.error
            self._set("dead")
        else:
            self._set("idle")

    async def _next(self, child: Child, running: _Running, sending: asyncio.Task[None]) -> Event | None:
        """The next event of a request; None for a message that belongs to none."""
        if sending.done() and not sending.cancelled() and (wrong := sending.exception()) is not None:
            return Failure(RunFailed(str(wrong), kind="too_large"))
        getting = asyncio.get_running_loop().create_task(child.messages.get())
        try:
            waited = {getting} if sending.done() else {getting, sending}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                return None
            frame = getting.result()
        finally:
            getting.cancel()
        if frame is None:
            return Failure(failures.of_end(child.ended, child.last_words(), running.stopping, running.timeout))
        header = frame.header
        kind, number = header.get("type"), header.get("id")
        if kind == "hello":
            if header.get("protocol") != protocol.VERSION:
                child.kill()
                return Failure(ChildDied("the child speaks another version of the protocol", kind="protocol"))
            self._set("importing")
            return None
        if number != running.number:  # of a request that was given up
            return None
        if kind == "progress":
            return failures.progress(header)
        if kind == "log":
            return Log(str(header.get("text")))
        if kind == "result" and isinstance(header.get("value"), dict):
            return Result(header["value"], frame.tensors)
        if kind == "failure":
            return Failure(failures.of_answer(header, child.last_words(), running.stopping, running.timeout))
        child.kill()
        await child.wait(KILL_SECONDS)
        return Failure(
            ChildDied(
                f"the child was stopped: it sent a message of the type {kind!r:.100}",
                kind="protocol",
                last_words=child.last_words(),
            )
        )

    def _stop(self, running: _Running, why: str) -> None:
        """Begins to stop a request; its reader sees the end."""
        if running.stopping is None and self._child is not None:
            running.stopping = why
            running.stop = asyncio.get_running_loop().create_task(self._bring_down(self._child, running))

    async def _bring_down(self, child: Child, running: _Running) -> None:
        asking = asyncio.get_running_loop().create_task(child.send({"type": "cancel", "id": running.number}))
        for seconds, harder in ((CANCEL_SECONDS, child.terminate), (TERMINATE_SECONDS, child.kill)):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(running.over.wait(), seconds)
            if running.over.is_set():
                break
            harder()
        asking.cancel()

    async def _abandon(self, child: Child, running: _Running) -> None:
        """Stops a request whose reader went away, and leaves the child idle or dead."""
        self._stop(running, "cancelled")
        while not running.over.is_set():
            frame = await child.messages.get()
            ended = frame is None or frame.header.get("type") in ("result", "failure")
            if ended and (frame is None or frame.header.get("id") == running.number):
                running.over.set()
        if child.ended is not None:
            self.why = failures.of_end(child.ended, child.last_words(), running.stopping, running.timeout)
            self._set("dead")
        else:
            self._set("idle")


def files_of(path: str, checkpoint: str | None) -> list[str]:
    """What the child has to read to load a model."""
    return [path] if checkpoint is None else [path, os.path.dirname(checkpoint)]


def _absolute(path: str) -> str:
    return os.path.abspath(path)


async def _last(events: AsyncGenerator[Event, None], on_event: Callable[[Event], None] | None) -> Result:
    """Runs a request to its end.

    Raises:
        RuntimeFailed: it failed.
        Cancelled: it was cancelled.
    """
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, Failure):
                if event.error.kind == "cancelled":
                    raise Cancelled
                raise event.error
            if isinstance(event, Result):
                return event
            if on_event is not None:
                on_event(event)
    raise AssertionError("a request ends with a Result or a Failure")


def _about(value: dict[str, Any], sandbox: Sandbox | None) -> About:
    gpus = value.get("gpus")
    return About(
        str(value.get("python")),
        str(value.get("tensorflow")),
        sandbox or Sandbox(),
        tuple(str(one) for one in gpus) if isinstance(gpus, list) else (),
    )
