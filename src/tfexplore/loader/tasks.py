"""Runs synchronous work in threads of its own, for an event loop that must never wait.

A job is a function of a `Context`: it looks at `context.cancel` now and then, and may report
progress. A channel holds one job at a time: a newer one cancels the older, whose answer is dropped.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tfexplore.errors import Cancelled

T = TypeVar("T")

# Batches that may wait for a slow reader before the thread that makes them waits too.
_QUEUED_BATCHES = 4
_WAIT = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        what: what is being done, in a few words.
        done, total: in units of the job's own; total is None where nobody knows.
    """

    what: str
    done: int = 0
    total: int | None = None


@dataclass(slots=True)
class Context:
    """What a job is given.

    Attributes:
        cancel: set when nobody wants the answer any more.
        report: tells progress; may be called from the job's thread, as often as it likes.
    """

    cancel: threading.Event = field(default_factory=threading.Event)
    report: Callable[[Progress], None] = lambda progress: None


class _Latest:
    """Hands progress to the loop; of reports that come faster than the loop takes them the last one counts."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tell: Callable[[Progress], None], cancel: threading.Event
    ) -> None:
        self._loop = loop
        self._tell = tell
        self._cancel = cancel
        self._lock = threading.Lock()
        self._waiting: Progress | None = None

    def report(self, progress: Progress) -> None:
        with self._lock:
            scheduled = self._waiting is not None
            self._waiting = progress
        if not scheduled:
            call_soon(self._loop, self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            progress, self._waiting = self._waiting, None
        if progress is not None and not self._cancel.is_set():
            self._tell(progress)


def call_soon(
    loop: asyncio.AbstractEventLoop,
    callback: Callable[..., None],
    *arguments: Any,
    context: contextvars.Context | None = None,
) -> bool:
    """Calls back in the loop's thread; tells whether there is still a loop.

    Args:
        context: of whoever asked; without one the callback finds the context variables of this thread.
    """
    try:
        loop.call_soon_threadsafe(callback, *arguments, context=context)
    except RuntimeError:  # the loop has been closed: nobody is left to tell
        return False
    return True


class _HandOver(Generic[T]):
    """An answer on its way from a thread to the loop; one that nobody takes is discarded, on whichever side it is."""

    def __init__(self, discard: Callable[[T], None] | None) -> None:
        self._discard = discard
        self._lock = threading.Lock()
        self._answers: list[T] = []
        self._closed = False

    def give(self, answer: T) -> None:
        with self._lock:
            if not self._closed:
                self._answers.append(answer)
                return
        if self._discard is not None:
            self._discard(answer)

    def take(self) -> T:
        with self._lock:
            return self._answers.pop()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            late, self._answers = self._answers, []
        if self._discard is not None:
            for answer in late:
                self._discard(answer)


def _ignore(done: asyncio.Future[None]) -> None:
    """Looks at the outcome of a job that nobody waits for, so that asyncio does not report it as lost."""
    if not done.cancelled():
        done.exception()


@dataclass(slots=True)
class _Job:
    """A job under way: its context, and the future that ends every wait for it when it is cancelled."""

    context: Context
    channel: str | None
    cancelled: asyncio.Future[None]


class Tasks:
    """An executor for jobs, with cancellation and channels. Its methods belong to the event loop's thread.

    Args:
        workers: how many jobs run at once; others wait for their turn.
    """

    def __init__(self, workers: int = 2) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="tfexplore-loader")
        self._jobs: list[_Job] = []
        self._closed = False

    @property
    def running(self) -> int:
        """How many jobs are under way or waiting for their turn."""
        return len(self._jobs)

    def _start(self, channel: str | None, on_progress: Callable[[Progress], None] | None) -> _Job:
        if self._closed:
            raise Cancelled
        loop = asyncio.get_running_loop()
        context = Context()
        if on_progress is not None:
            context.report = _Latest(loop, on_progress, context.cancel).report
        if channel is not None:
            self.cancel(channel)
        job = _Job(context, channel, loop.create_future())
        self._jobs.append(job)
        return job

    def _end(self, job: _Job) -> None:
        job.context.cancel.set()
        if job in self._jobs:
            self._jobs.remove(job)

    async def run(
        self,
        work: Callable[[Context], T],
        *,
        channel: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        discard: Callable[[T], None] | None = None,
    ) -> T:
        """Runs a job in a thread and gives its answer.

        Args:
            work: called with a `Context`.
            channel: a name; an older job of the same channel is cancelled first.
            on_progress: called in the loop with the job's reports.
            discard: called with an answer that came too late, to release what it holds.

        Raises:
            Cancelled: a newer job took the channel, `cancel` was called, or this was closed; at once,
                whatever the thread still does.
            Exception: what the job raised.
        """
        job = self._start(channel, on_progress)
        hand_over = _HandOver(discard)

        def begin() -> None:
            if job.context.cancel.is_set():
                raise Cancelled
            try:
                hand_over.give(work(job.context))
            except StopIteration as error:  # no future can carry one
                raise RuntimeError("a job raised StopIteration") from error

        done = asyncio.get_running_loop().run_in_executor(self._executor, begin)
        try:
            await asyncio.wait({done, job.cancelled}, return_when=asyncio.FIRST_COMPLETED)
            if job.context.cancel.is_set():
                raise Cancelled
            done.result()
            return hand_over.take()
        finally:
            self._end(job)
            hand_over.close()
            done.add_done_callback(_ignore)

    async def stream(
        self,
        work: Callable[[Context], Iterable[T]],
        *,
        channel: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> AsyncIterator[T]:
        """Runs a job that yields batches; gives each as it comes.

        The thread waits while too many batches lie unread. Ending the iteration early
        (`aclose`, or a cancelled task) cancels the job.

        Raises:
            Cancelled: as `run`.
            Exception: what the job raised, after the batches before it.
        """
        loop = asyncio.get_running_loop()
        job = self._start(channel, on_progress)
        cancel = job.context.cancel
        queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        room = threading.Semaphore(_QUEUED_BATCHES)

        def begin() -> None:
            try:
                for batch in () if cancel.is_set() else work(job.context):
                    while not room.acquire(timeout=_WAIT):
                        if cancel.is_set():
                            return
                    if cancel.is_set() or not call_soon(loop, queue.put_nowait, ("batch", batch)):
                        return
            except Exception as error:
                call_soon(loop, queue.put_nowait, ("error", error))
            else:
                call_soon(loop, queue.put_nowait, ("end", None))

        job.cancelled.add_done_callback(lambda _: queue.put_nowait(("error", Cancelled())))
        try:
            self._executor.submit(begin)
            while True:
                kind, value = await queue.get()
                if cancel.is_set():
                    raise Cancelled
                if kind == "end":
                    return
                if kind == "error":
                    raise value
                room.release()
                yield value
        finally:
            self._end(job)

    def cancel(self, channel: str) -> bool:
        """Cancels the job of a channel; tells whether there was one."""
        return self._cancel([job for job in self._jobs if job.channel == channel]) > 0

    def cancel_all(self, *, but: str | None = None) -> int:
        """Cancels every job, except those of the channel `but`; tells how many there were."""
        return self._cancel([job for job in self._jobs if but is None or job.channel != but])

    def _cancel(self, jobs: list[_Job]) -> int:
        for job in jobs:
            job.context.cancel.set()
            if not job.cancelled.done():
                job.cancelled.set_result(None)
            self._jobs.remove(job)
        return len(jobs)

    def close(self) -> None:
        """Cancels every job and takes no more; does not wait for the threads."""
        self._closed = True
        self.cancel_all()
        self._executor.shutdown(wait=False, cancel_futures=True)
