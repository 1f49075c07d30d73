"""Statistics of every tensor of a model, several at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core.statistics import Statistics, statistics
from tfexplore.core.subjects import NodeSubject
from tfexplore.core.tensor_source import KeySource, Progress, TensorSource, const_source
from tfexplore.errors import Cancelled, ChecksumError, ModelError

if TYPE_CHECKING:
    from tfexplore.core.model import Model
    from tfexplore.formats.bundle_values import Checksum

# Tensors of so many bytes come first: one that is begun last would be waited for alone.
_LARGE = 32 << 20
_TELL_EVERY = 1 << 22

Opener = Callable[[], TensorSource]


class Measured(NamedTuple):
    """One tensor and its statistics.

    Attributes:
        place: its place in the order in which the model lists its tensors.
        dtype, shape, nbytes: None where what is stored about it is damaged.
        statistics: None where the values cannot be read.
        problem: why they cannot.
    """

    place: int
    name: str
    dtype: int | None
    shape: tuple[int, ...] | None
    nbytes: int | None
    checksum: Checksum
    statistics: Statistics | None
    problem: str | None

    @property
    def rank(self) -> int:
        """Where it stands in a list that begins with what is wrong: NaN, then infinities, then what is damaged."""
        found = self.statistics
        if found is not None and found.nan:
            return 0
        if found is not None and found.inf:
            return 1
        return 2 if self.checksum == "bad" or self.problem is not None else 3


def tensor_names(model: Model) -> list[str]:
    """What `all_statistics` goes through: the checkpoint's keys, else the constants of the main graph."""
    if model.checkpoint is not None:
        return model.checkpoint.keys
    if not model.meta_graphs:
        return []
    graph = model.meta_graph().graph
    return [graph.names[position] for position in graph.nodes_by_op("Const")]


def all_statistics(
    model: Model,
    *,
    match: Callable[[str], object] | None = None,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
    threads: int = 2,
) -> Iterator[Measured]:
    """The statistics of every checkpoint key, else of every constant of the main graph, as they are found.

    Args:
        match: only names for which this is true.
        progress: called with the bytes done and the bytes in all.
        threads: how many tensors are read at once.

    Raises:
        Cancelled: `cancel` was set.
    """
    work, total = _keys(model, match) if model.checkpoint is not None else _constants(model, match)
    return _Pool(work, total, cancel, progress).run(threads)


class _Pool:
    """Threads that take tensors in turn, and hand over what they find."""

    def __init__(
        self,
        work: Iterable[tuple[int, str, Opener]],
        total: int,
        cancel: threading.Event | None,
        progress: Progress | None,
    ) -> None:
        self._work = iter(work)
        self._total = total
        self._cancel = cancel
        self._progress = progress
        self._stop = threading.Event()
        self._taking, self._telling = threading.Lock(), threading.Lock()
        self._done = self._told = 0
        self._found: queue.SimpleQueue[Measured | BaseException | None] = queue.SimpleQueue()

    def run(self, threads: int) -> Iterator[Measured]:
        """What is found, as it is found; leaving early ends the threads."""
        workers = [threading.Thread(target=self._go, daemon=True) for _ in range(threads)]
        for worker in workers:
            worker.start()
        running = threads
        try:
            while running:
                try:
                    found = self._found.get(timeout=0.1)
                except queue.Empty:
                    if self._cancel is not None and self._cancel.is_set():
                        raise Cancelled from None
                    continue
                if found is None:
                    running -= 1
                elif isinstance(found, BaseException):
                    raise found
                else:
                    yield found
        finally:
            self._stop.set()
            for worker in workers:
                worker.join()

    def _go(self) -> None:
        try:
            while not self._stop.is_set():
                with self._taking:
                    following = next(self._work, None)
                if following is None:
                    break
                self._found.put(self._measure(*following))
        except BaseException as error:
            self._found.put(error)
        self._found.put(None)

    def _measure(self, place: int, name: str, opener: Opener) -> Measured:
        try:
            source = opener()
        except ModelError as error:
            return Measured(place, name, None, None, None, "unverified", None, str(error))
        before = 0

        def advance(done: int, _: int) -> None:
            nonlocal before
            self._advance(done - before)
            before = done

        head = (place, name, source.dtype, source.shape, source.nbytes)
        try:
            found = statistics(source, cancel=self._stop, progress=advance)
        except ModelError as error:
            checksum: Checksum = "bad" if isinstance(error, ChecksumError) else "unverified"
            return Measured(*head, checksum, None, str(error))
        advance(max(source.nbytes or 0, before), 0)
        return Measured(*head, found.checksum, found, None)

    def _advance(self, count: int) -> None:
        with self._telling:
            self._done += count
            tell = self._done - self._told >= _TELL_EVERY
            if tell:
                self._told = self._done
        if tell and self._progress is not None:
            self._progress(min(self._done, self._total), self._total)


def _keys(model: Model, match: Callable[[str], object] | None) -> tuple[Iterable[tuple[int, str, Opener]], int]:
    checkpoint = model.checkpoint
    assert checkpoint is not None
    large: list[tuple[int, str]] = []
    rest: list[tuple[int, str]] = []
    total = place = 0
    for batch in checkpoint.iter_batches():
        for key, size in zip(batch.keys, batch.sizes, strict=True):
            if match is None or match(key):
                (large if size >= _LARGE else rest).append((place, key))
                total += size
            place += 1
    work = ((place, key, lambda key=key: KeySource(checkpoint, key)) for place, key in (*large, *rest))
    return work, total


def _constants(model: Model, match: Callable[[str], object] | None) -> tuple[Iterable[tuple[int, str, Opener]], int]:
    if not model.meta_graphs:
        return [], 0
    owner = model.meta_graph()
    graph = owner.graph

    def opener(position: int) -> Opener:
        def opened() -> TensorSource:
            found = const_source(NodeSubject(owner, graph, None, position))
            if found is None:
                raise ModelError("the node has no value", path=owner.path)
            return found

        return opened

    positions = graph.nodes_by_op("Const")
    named = ((place, graph.names[position], position) for place, position in enumerate(positions))
    work = [(place, name, opener(position)) for place, name, position in named if match is None or match(name)]
    return work, len(work)
