"""What a whole process costs: wall time, processor time and peak memory, and how two of them compare.

Two programs are run in turn, A B A B, so that a machine that gets slower or faster meets both. One pair before the
measured ones warms the page cache and the byte code caches; it does not count. Ratios are taken pair by pair.
"""

from __future__ import annotations

import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeVar

DEADLINE_SECONDS = 600
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes

T = TypeVar("T")


class Unmeasured(Exception):
    """Something could not be measured; the message says why."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One process with the children that it waited for, from before it was started to its end.

    `wall` and `cpu` (user and system together) in seconds, `peak` is the peak resident set in bytes.
    """

    wall: float
    cpu: float
    peak: int

    @property
    def memory(self) -> int:
        """The peak resident set, in bytes.

        Raises:
            Unmeasured: it is not above this process's own. Between its start and its exec a child counts its parent's
                memory as its own, so a smaller figure cannot be seen.
        """
        if self.peak <= own_memory():
            raise Unmeasured(f"a peak memory of {self.peak} bytes may be the benchmark's own")
        return self.peak


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, least and greatest of some figures."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of at least one figure."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])


def run(command: Sequence[str], environment: Mapping[str, str], *, silent: bool = False) -> Cost:
    """Runs one process to its end, with its output in temporary files.

    Args:
        silent: this program prints nothing; any other must print something.

    Raises:
        Unmeasured: it cannot be started, fails, prints nothing, or takes longer than DEADLINE_SECONDS.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        try:
            child = os.posix_spawn(
                command[0],
                list(command),
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, err.fileno(), 2),
                ],
                setsigdef=[signal.SIGPIPE],
            )
        except OSError as error:
            raise Unmeasured(f"{command[0]} cannot be started: {error.strerror}") from error
        status, usage = reap(child, DEADLINE_SECONDS)
        wall = time.perf_counter() - started
        code = os.waitstatus_to_exitcode(status)
        name = " ".join(command)
        if code:
            raise Unmeasured(f"{name} ended with {code}: {_tail(err)}")
        if not silent and not os.fstat(out.fileno()).st_size:
            raise Unmeasured(f"{name} printed nothing")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _RSS_UNIT)


def own_memory() -> int:
    """The peak resident set of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def reap(child: int, seconds: float) -> tuple[int, resource.struct_rusage]:
    """Waits for a child; its wait status and what it used. Whatever ends the wait early also ends the child.

    Raises:
        Unmeasured: it did not end within `seconds`.
    """

    def overdue(*_: Any) -> None:
        raise Unmeasured(f"process {child} did not end within {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, overdue)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        _, status, usage = os.wait4(child, 0)
    except BaseException:
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return status, usage


def pairs(first: Callable[[], T], second: Callable[[], T], runs: int) -> list[tuple[T, T]]:
    """What `runs` measured pairs gave, after one that warms up."""
    measured = [(first(), second()) for _ in range(runs + 1)]
    return measured[1:]


def alone(only: Callable[[], T], runs: int) -> list[T]:
    """What `runs` measured runs gave, after one that warms up."""
    return [only() for _ in range(runs + 1)][1:]


def _tail(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
    lines = file.read().decode("utf-8", "backslashreplace").strip().splitlines()
    return lines[-1] if lines else "(nothing on standard error)"
