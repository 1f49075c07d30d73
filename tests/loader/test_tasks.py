"""Jobs in threads: answers, cancellation, channels, streams; and that the event loop never waits for a thread."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tfexplore.errors import Cancelled, ModelError
from tfexplore.loader import Progress, Tasks
from tfexplore.loader.tasks import Context

DEADLINE = 10


async def until(happened: Callable[[], Any]) -> Any:
    """Waits until a condition holds; the loop goes on meanwhile."""
    async with asyncio.timeout(DEADLINE) if hasattr(asyncio, "timeout") else _Timeout():
        while not (result := happened()):  # noqa: ASYNC110 (conditions of any kind)
            await asyncio.sleep(0.005)
    return result


class _Timeout:
    """`asyncio.timeout` for Python 3.10."""

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handle = asyncio.get_running_loop().call_later(DEADLINE, task.cancel)

    async def __aexit__(self, *_: object) -> None:
        self._handle.cancel()


def loader_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("tfexplore-loader")]


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    """Two workers, closed afterwards; no thread outlives the test."""
    tasks = Tasks(2)
    yield tasks
    tasks.close()
    await until(lambda: not loader_threads())


class Gate:
    """A job that says that it runs, then waits for `open` whatever happens to its context."""

    def __init__(self, answer: Any = "late") -> None:
        self.started = threading.Event()
        self.open = threading.Event()
        self.ended = threading.Event()
        self.answer = answer
        self.context: Context | None = None

    def __call__(self, context: Context) -> Any:
        self.context = context
        self.started.set()
        assert self.open.wait(DEADLINE)
        self.ended.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def started(tasks: Tasks, gate: Gate, **options: Any) -> asyncio.Task[Any]:
    task = asyncio.create_task(tasks.run(gate, **options))
    await until(gate.started.is_set)
    return task


# One answer


async def test_an_answer_comes_from_another_thread(tasks: Tasks) -> None:
    name = await tasks.run(lambda context: threading.current_thread().name)
    assert name.startswith("tfexplore-loader")
    assert tasks.running == 0


@pytest.mark.parametrize("error", [ModelError("bad", path="/x"), KeyError("k"), StopIteration()], ids=repr)
async def test_exceptions_pass_through(tasks: Tasks, error: Exception) -> None:
    def job(context: Context) -> None:
        raise error

    # A StopIteration cannot be set on a future: it comes wrapped, but it comes.
    with pytest.raises(RuntimeError if isinstance(error, StopIteration) else type(error)) as caught:
        async with asyncio.timeout(DEADLINE) if hasattr(asyncio, "timeout") else _Timeout():
            await tasks.run(job)
    assert caught.value is error or caught.value.__cause__ is error
    assert tasks.running == 0


async def test_the_loop_goes_on_while_a_job_blocks(tasks: Tasks) -> None:
    gate = Gate("answer")
    task = await started(tasks, gate)
    turns = 0
    for _ in range(100):
        await asyncio.sleep(0)
        turns += 1
    assert turns == 100
    assert not task.done()
    assert tasks.running == 1
    gate.open.set()  # by the loop's own thread: it would never come here if it waited
    assert await task == "answer"


async def test_at_most_so_many_jobs_run_at_once(tasks: Tasks) -> None:
    gates = [Gate(number) for number in range(5)]
    running = [asyncio.create_task(tasks.run(gate)) for gate in gates]
    await until(lambda: sum(gate.started.is_set() for gate in gates) == 2)
    assert tasks.running == 5
    assert len(loader_threads()) == 2
    assert [gate.started.is_set() for gate in gates] == [True, True, False, False, False]
    for gate in gates:
        gate.open.set()
    assert await asyncio.gather(*running) == [0, 1, 2, 3, 4]


# Channels and cancellation


async def test_a_newer_job_cancels_the_older_of_its_channel(tasks: Tasks) -> None:
    old, late = Gate("old"), []
    waiting = await started(tasks, old, channel="detail", discard=late.append)
    assert await tasks.run(lambda context: "new", channel="detail") == "new"
    with pytest.raises(Cancelled):
        await waiting
    assert old.context is not None
    assert old.context.cancel.is_set()
    assert not old.ended.is_set()  # the wait is over though the thread goes on
    assert late == []
    old.open.set()
    await until(lambda: late == ["old"])


async def test_other_channels_and_jobs_without_one_go_on(tasks: Tasks) -> None:
    one, two = Gate(1), Gate(2)
    first = await started(tasks, one, channel="a")
    second = await started(tasks, two)
    assert not tasks.cancel("b")
    third = asyncio.create_task(tasks.run(lambda context: 3, channel="b"))
    for gate in (one, two):
        gate.open.set()
    assert await asyncio.gather(first, second, third) == [1, 2, 3]


async def test_a_late_exception_is_dropped_in_silence(tasks: Tasks) -> None:
    gate, said = Gate(ModelError("late")), []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: said.append(context))
    late: list[object] = []
    waiting = await started(tasks, gate, channel="a", discard=late.append)
    assert tasks.cancel("a")
    with pytest.raises(Cancelled):
        await waiting
    gate.open.set()
    await until(gate.ended.is_set)
    assert await tasks.run(lambda context: 1) == 1
    assert said == late == []


async def test_an_answer_that_is_taken_is_not_discarded(tasks: Tasks) -> None:
    late: list[str] = []
    assert await tasks.run(lambda context: "kept", discard=late.append) == "kept"
    assert await tasks.run(lambda context: "next", channel="c", discard=late.append) == "next"
    assert late == []


async def test_a_job_cancelled_before_its_turn_never_runs(tasks: Tasks) -> None:
    gates = [Gate(), Gate()]
    busy = [await started(tasks, gate) for gate in gates]
    ran: list[int] = []
    third = asyncio.create_task(tasks.run(lambda context: ran.append(1), channel="a"))
    await until(lambda: tasks.running == 3)
    assert tasks.cancel("a")
    with pytest.raises(Cancelled):
        await third
    for gate in gates:
        gate.open.set()
    await asyncio.gather(*busy)
    assert await tasks.run(lambda context: 4) == 4
    assert ran == []


async def test_cancel_tells_whether_there_was_a_job(tasks: Tasks) -> None:
    assert not tasks.cancel("a")
    assert tasks.cancel_all() == 0
    gates = [Gate(), Gate()]
    waiting = [await started(tasks, gate, channel=channel) for gate, channel in zip(gates, "ab", strict=True)]
    assert tasks.cancel("a")
    assert not tasks.cancel("a")
    assert tasks.cancel_all() == 1
    assert tasks.running == 0
    for task in waiting:
        with pytest.raises(Cancelled):
            await task
    for gate in gates:
        gate.open.set()


async def test_a_cancelled_asyncio_task_cancels_its_job(tasks: Tasks) -> None:
    gate, late = Gate("file"), []
    waiting = await started(tasks, gate, discard=late.append)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert gate.context is not None
    assert gate.context.cancel.is_set()
    assert tasks.running == 0
    gate.open.set()
    await until(lambda: late == ["file"])


async def test_close_cancels_everything_and_takes_no_more() -> None:
    tasks, gates, late = Tasks(2), [Gate("a"), Gate("b"), Gate("c")], []
    waiting = [asyncio.create_task(tasks.run(gate, discard=late.append)) for gate in gates]
    await until(lambda: gates[1].started.is_set())
    tasks.close()
    for task in waiting:
        with pytest.raises(Cancelled):
            await task
    with pytest.raises(Cancelled):
        await tasks.run(lambda context: 1)
    with pytest.raises(Cancelled):
        async for _ in tasks.stream(lambda context: [1]):
            pass
    for gate in gates:
        gate.open.set()
    await until(lambda: not loader_threads())
    await until(lambda: sorted(late) == ["a", "b"])
    assert not gates[2].started.is_set()
    tasks.close()


async def test_closing_without_jobs_leaves_no_thread() -> None:
    tasks = Tasks(3)
    await asyncio.gather(*(tasks.run(lambda context: 1) for _ in range(9)))
    assert loader_threads()
    tasks.close()
    await until(lambda: not loader_threads())


# Progress


async def test_progress_arrives_in_the_loop_and_the_last_one_counts(tasks: Tasks) -> None:
    seen: list[Progress] = []
    threads = set()

    def tell(progress: Progress) -> None:
        threads.add(threading.current_thread())
        seen.append(progress)

    def job(context: Context) -> str:
        for done in range(1, 5_001):
            context.report(Progress("counting", done, 5_000))
        return "done"

    assert await tasks.run(job, on_progress=tell) == "done"
    assert seen[-1] == Progress("counting", 5_000, 5_000)
    assert [progress.done for progress in seen] == sorted({progress.done for progress in seen})
    assert threads == {threading.current_thread()}


async def test_reports_that_come_faster_than_the_loop_takes_them_are_merged(tasks: Tasks) -> None:
    seen: list[int] = []
    reported = threading.Event()

    def job(context: Context) -> None:
        for done in range(1_000):
            context.report(Progress("", done))
        reported.set()

    task = asyncio.create_task(tasks.run(job, on_progress=lambda progress: seen.append(progress.done)))
    await asyncio.sleep(0)
    assert reported.wait(DEADLINE)  # on purpose: the loop takes nothing meanwhile
    await task
    assert seen == [999]


async def test_a_cancelled_job_tells_no_more_progress(tasks: Tasks) -> None:
    seen: list[str] = []
    gate, reported = threading.Event(), threading.Event()

    def job(context: Context) -> None:
        context.report(Progress("before"))
        assert gate.wait(DEADLINE)
        context.report(Progress("after"))
        reported.set()

    waiting = asyncio.create_task(tasks.run(job, channel="a", on_progress=lambda progress: seen.append(progress.what)))
    await until(lambda: seen == ["before"])
    tasks.cancel("a")
    with pytest.raises(Cancelled):
        await waiting
    gate.set()
    await until(reported.is_set)
    await tasks.run(lambda context: None)
    assert seen == ["before"]


async def test_a_job_without_a_listener_may_report(tasks: Tasks) -> None:
    assert await tasks.run(lambda context: context.report(Progress("x"))) is None


# Streams


async def collected(stream: AsyncIterator[Any]) -> list[Any]:
    return [batch async for batch in stream]


async def test_batches_come_in_order(tasks: Tasks) -> None:
    assert await collected(tasks.stream(lambda context: range(1_000))) == list(range(1_000))
    assert await collected(tasks.stream(lambda context: [])) == []
    assert tasks.running == 0


async def test_a_slow_reader_holds_the_producer_back(tasks: Tasks) -> None:
    made = 0

    def job(context: Context) -> Iterator[int]:
        nonlocal made
        for made in itertools.count(1):  # noqa: UP028 (the test looks at `made`)
            yield made

    stream = tasks.stream(job)
    ahead = []
    for expected in range(1, 30):
        assert await anext(stream) == expected
        # Long enough for the producer to come as far as it may.
        for _ in range(5):
            await asyncio.sleep(0.001)
        ahead.append(made - expected)
    assert max(ahead) <= 6
    await until(lambda: made - 29 >= 3)  # it does work ahead
    await stream.aclose()


async def test_closing_a_stream_early_cancels_its_job(tasks: Tasks) -> None:
    contexts: list[Context] = []
    closed = threading.Event()

    def job(context: Context) -> Iterator[int]:
        contexts.append(context)
        try:
            yield from itertools.count()
        finally:
            closed.set()

    stream = tasks.stream(job)
    assert [await anext(stream) for _ in range(3)] == [0, 1, 2]
    await stream.aclose()
    assert contexts[0].cancel.is_set()
    assert tasks.running == 0
    await until(closed.is_set)
    assert await tasks.run(lambda context: "free") == "free"


async def test_a_cancelled_reader_cancels_the_job(tasks: Tasks) -> None:
    ended = threading.Event()

    def job(context: Context) -> Iterator[int]:
        yield 1
        context.cancel.wait(DEADLINE)
        ended.set()

    reader = asyncio.create_task(collected(tasks.stream(job)))
    await until(lambda: tasks.running == 1)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await until(lambda: ended.is_set() or not tasks.running)
    assert tasks.running == 0


async def test_an_error_comes_after_the_batches_before_it(tasks: Tasks) -> None:
    def job(context: Context) -> Iterator[int]:
        yield from range(20)
        raise ModelError("the 21st is bad")

    seen = []
    with pytest.raises(ModelError, match="21st"):  # noqa: PT012 (what comes before the error counts)
        async for batch in tasks.stream(job):
            seen.append(batch)  # noqa: PERF401 (what came before the error counts)
    assert seen == list(range(20))
    assert tasks.running == 0


async def test_an_error_before_the_first_batch(tasks: Tasks) -> None:
    def job(context: Context) -> Iterator[int]:
        raise ModelError("nothing")

    with pytest.raises(ModelError, match="nothing"):
        await collected(tasks.stream(job))


async def test_a_newer_stream_ends_the_older_of_its_channel_at_once(tasks: Tasks) -> None:
    gate = threading.Event()

    def stuck(context: Context) -> Iterator[int]:
        yield 1
        assert gate.wait(DEADLINE)
        yield 2

    old = tasks.stream(stuck, channel="rows")
    assert await anext(old) == 1
    waiting = asyncio.ensure_future(anext(old))
    assert await collected(tasks.stream(lambda context: [7, 8], channel="rows")) == [7, 8]
    with pytest.raises(Cancelled):
        await waiting
    assert not gate.is_set()
    gate.set()


async def test_cancelling_a_stream_drops_what_lies_unread(tasks: Tasks) -> None:
    stream = tasks.stream(lambda context: range(100), channel="rows")
    assert await anext(stream) == 0
    assert tasks.cancel("rows")
    with pytest.raises(Cancelled):
        await anext(stream)


async def test_the_loop_goes_on_while_a_stream_blocks(tasks: Tasks) -> None:
    gate = threading.Event()

    def job(context: Context) -> Iterator[int]:
        yield 1
        assert gate.wait(DEADLINE)
        yield 2

    reader = asyncio.create_task(collected(tasks.stream(job)))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not reader.done()
    gate.set()
    assert await reader == [1, 2]


async def test_a_stream_reports_progress(tasks: Tasks) -> None:
    seen: list[int] = []

    def job(context: Context) -> Iterator[int]:
        for number in range(10):
            context.report(Progress("rows", number))
            yield number

    await collected(tasks.stream(job, on_progress=lambda progress: seen.append(progress.done)))
    assert seen[-1] == 9


async def test_closing_ends_a_stream_and_its_thread() -> None:
    tasks = Tasks(1)
    stream = tasks.stream(lambda context: itertools.count())
    assert await anext(stream) == 0
    tasks.close()
    with pytest.raises(Cancelled):
        await anext(stream)
    await until(lambda: not loader_threads())


def test_an_answer_that_comes_after_the_loop_is_discarded_all_the_same() -> None:
    gate, late = Gate("file"), []
    tasks = Tasks(1)

    async def main() -> None:
        waiting = await started(tasks, gate, discard=late.append)
        tasks.close()
        with pytest.raises(Cancelled):
            await waiting

    asyncio.run(main())
    threads = loader_threads()
    gate.open.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert late == ["file"]
