"""What the screens and the streaming commands ask for, awaited.

The core is imported by the first job that needs it, in its thread: the first frame does not wait for it.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfexplore.core.items import Children, Item
from tfexplore.core.subjects import OpSubject, Subject
from tfexplore.errors import Cancelled
from tfexplore.loader.tasks import Context, Progress, Tasks, call_soon

if TYPE_CHECKING:
    from tfexplore.core.all_statistics import Measured
    from tfexplore.core.checkpoint import Checkpoint
    from tfexplore.core.collection import Found
    from tfexplore.core.complete import Names
    from tfexplore.core.detail import Detail
    from tfexplore.core.lists import FlatList
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.model import Model
    from tfexplore.core.narrowing import Options, Row
    from tfexplore.core.query import Query
    from tfexplore.core.scan_finding import Finding
    from tfexplore.core.search import Hit
    from tfexplore.core.statistics import Distribution, Statistics
    from tfexplore.core.tensor_source import TensorSource

DETAIL = "detail"
ENTER = "enter"
LIST = "list"
OPEN = "open"
SEARCH = "search"
COMPLETE = "complete"
STATISTICS = "statistics"
# Of one request for statistics; numpy computes while another thread reads.
_THREADS = 2
# Findings are handed over so often.
_BATCH_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Page:
    """Some of an item's children: those from `start`, out of `total`."""

    items: tuple[Item, ...]
    start: int
    total: int


class Loader:
    """Opens models and reads them, page by page, without ever holding up the event loop.

    Args:
        workers: how many requests run at once.
    """

    def __init__(self, workers: int = 2) -> None:
        self.tasks = Tasks(workers)

    async def open(
        self,
        path: str,
        on_progress: Callable[[Progress], None] | None = None,
        *,
        on_found: Callable[[list[Found]], None] | None = None,
        as_collection: bool = False,
        channel: str = OPEN,
    ) -> Model:
        """Opens a model; a newer call on its channel cancels an older one.

        Args:
            on_found: called in the loop with the models below a folder, batch by batch while they are looked for.
            as_collection: a folder is opened as the list of the models in and below it, whatever it is itself.

        Raises:
            ModelError: it cannot be read.
            Cancelled: it was cancelled; nothing stays open.
        """

        loop, caller = asyncio.get_running_loop(), contextvars.copy_context()

        def job(context: Context) -> Model:
            def deliver(batch: list[Found]) -> None:
                if on_found is not None and not context.cancel.is_set():
                    on_found(batch)

            def report(what: str) -> None:
                context.report(Progress(what))

            def found(batch: list[Found]) -> None:
                call_soon(loop, deliver, batch, context=caller)

            if as_collection:
                from tfexplore.core.collection import open_collection

                return open_collection(path, cancel=context.cancel, progress=report, on_found=found)
            from tfexplore.core.opener import open_model

            return open_model(path, cancel=context.cancel, progress=report, on_found=found)

        return await self.tasks.run(job, channel=channel, on_progress=on_progress, discard=lambda model: model.close())

    async def roots(self, model: Model) -> Page:
        """The first level of a model's tree; raises as `page`."""

        def job(context: Context) -> tuple[Item, ...]:
            from tfexplore.core.tree import root_items

            return tuple(root_items(model))

        items = await self.tasks.run(job)
        return Page(items, 0, len(items))

    async def function_roots(self, meta_graph: MetaGraph, name: str) -> Page:
        """The first level of the tree of a function that is entered; raises as `page`."""

        def job(context: Context) -> tuple[Item, ...]:
            from tfexplore.core.tree import function_items

            return tuple(function_items(meta_graph, name))

        items = await self.tasks.run(job)
        return Page(items, 0, len(items))

    async def complete(self, model: Model, on_progress: Callable[[Progress], None] | None = None) -> None:
        """Reads what a large model left out for its first screen; see `Model.load`.

        Raises:
            Cancelled: it was cancelled.
        """

        def job(context: Context) -> None:
            model.load(context.cancel, lambda done, total: context.report(Progress("reading names", done, total)))

        await self.tasks.run(job, on_progress=on_progress)

    async def prepare(self, model: Model) -> None:
        """Makes what the first details of a large graph would wait for; see `Model.prepare`.

        Raises:
            Cancelled: it was cancelled.
        """

        await self.tasks.run(lambda context: model.prepare(context.cancel))

    async def page(self, children: Children, start: int, count: int) -> Page:
        """Up to `count` children from `start` on.

        Raises:
            ModelError: they cannot be read.
            Cancelled: it was cancelled.
        """

        def job(context: Context) -> Page:
            total = children.load(context.cancel)
            return Page(tuple(children.page(start, start + count, context.cancel)), start, total)

        return await self.tasks.run(job)

    async def place(self, children: Children, name: str) -> int | None:
        """The place of the child that is called so, or that leads there; raises as `page`."""

        def job(context: Context) -> int | None:
            from tfexplore.core.items import place_of

            return place_of(children, name, context.cancel)

        return await self.tasks.run(job)

    async def flat_list(
        self,
        name: str,
        meta_graph: MetaGraph | None,
        checkpoint: Checkpoint | None = None,
        function: str | None = None,
        *,
        sort: str | None = None,
        known: FlatList | None = None,
        at: Subject | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> tuple[FlatList, int | None]:
        """A flat list, and the place of a subject's row in it; a newer call cancels an older one. See `core.lists`.

        Args:
            known: the list, where it has been made already.
            at: the subject.

        Raises:
            ModelError: it cannot be read.
            Cancelled: it was cancelled.
        """

        def job(context: Context) -> tuple[FlatList, int | None]:
            from tfexplore.core import lists

            def report(done: int, total: int) -> None:
                context.report(Progress(name, done, total))

            found = known or lists.flat_list(
                name, meta_graph, checkpoint, function, sort=sort, cancel=context.cancel, progress=report
            )
            return found, None if at is None else found.place_of(at)

        return await self.tasks.run(job, channel=LIST, on_progress=on_progress)

    async def nodes_of_op(self, subject: OpSubject) -> FlatList:
        """The nodes of one op type; raises as `flat_list`."""

        def job(context: Context) -> FlatList:
            from tfexplore.core import lists

            return lists.nodes_of_op(subject)

        return await self.tasks.run(job, channel=LIST)

    async def detail(self, subject: Subject) -> Detail:
        """What the detail pane shows; a newer call cancels an older one.

        Raises:
            ModelError: that part of the model cannot be read.
            Cancelled: a newer detail was asked for.
        """

        def job(context: Context) -> Detail:
            from tfexplore.core.describe import describe

            return describe(subject, context.cancel)

        return await self.tasks.run(job, channel=DETAIL)

    async def rows(
        self,
        model: Model,
        name: str,
        options: Options | None = None,
        *,
        batch: int = 500,
        channel: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> AsyncIterator[list[Row]]:
        """The rows of a section, in batches as they are made.

        Raises:
            UsageError, ModelError: as `core.sections.section`.
            Cancelled: it was cancelled.
        """

        def job(context: Context) -> Iterator[list[Row]]:
            from tfexplore.core.narrowing import Options
            from tfexplore.core.sections import section

            found = section(model, name, (options or Options())._replace(cancel=context.cancel))
            rows: list[Row] = []
            done = 0
            for row in found:
                if context.cancel.is_set():
                    raise Cancelled
                rows.append(row)
                if len(rows) == batch:
                    done += batch
                    context.report(Progress(name, done))
                    yield rows
                    rows = []
            if rows:
                yield rows

        stream: Any = self.tasks.stream(job, channel=channel, on_progress=on_progress)
        try:
            async for rows in stream:
                yield rows
        finally:
            await stream.aclose()

    async def search(
        self,
        model: Model,
        query: Query,
        *,
        what: Collection[str] | None = None,
        tag_set: tuple[str, ...] | None = None,
        function: str | None = None,
        channel: str = SEARCH,
    ) -> AsyncIterator[list[Hit]]:
        """What fits a query, in batches as it is found; a newer search cancels an older one. See `core.search.search`.

        Args:
            what: kinds of things; None for all that one searches for by name.

        Raises:
            UsageError: there is no such tag-set or function.
            Cancelled: it was cancelled.
        """

        def job(context: Context) -> Iterator[list[Hit]]:
            from tfexplore.core import search

            kinds = search.WHAT if what is None else what
            return search.search(model, query, what=kinds, tag_set=tag_set, function=function, cancel=context.cancel)

        stream: Any = self.tasks.stream(job, channel=channel)
        try:
            async for batch in stream:
                yield batch
        finally:
            await stream.aclose()

    async def complete_name(self, names: Names, prefix: str, *, limit: int = 20, channel: str = COMPLETE) -> list[str]:
        """Names to jump to that begin so; a newer call cancels an older one. See `core.complete`.

        Raises:
            Cancelled: it was cancelled.
        """

        def job(context: Context) -> list[str]:
            return names.complete(prefix, limit)

        return await self.tasks.run(job, channel=channel)

    async def findings(
        self,
        model: Model,
        *,
        channel: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> AsyncIterator[list[Finding]]:
        """What a scan of the model finds, in batches as they are found; see `core.scan.scan`.

        Raises:
            Cancelled: it was cancelled.
        """

        def job(context: Context) -> Iterator[list[Finding]]:
            from tfexplore.core.scan import scan

            def report(done: int, total: int) -> None:
                context.report(Progress("scanning", done, total))

            batch: list[Finding] = []
            told = time.monotonic()
            for finding in scan(model, cancel=context.cancel, progress=report):
                batch.append(finding)
                if time.monotonic() - told > _BATCH_SECONDS:
                    yield batch
                    batch, told = [], time.monotonic()
            if batch:
                yield batch

        stream: Any = self.tasks.stream(job, channel=channel, on_progress=on_progress)
        try:
            async for batch in stream:
                yield batch
        finally:
            await stream.aclose()

    async def statistics(
        self,
        source: TensorSource,
        *,
        channel: str = STATISTICS,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Statistics:
        """Statistics of a tensor; a newer call on its channel cancels an older one. See `core.statistics.statistics`.

        Raises:
            ModelError: the values cannot be read.
            Cancelled: it was cancelled.
        """

        def job(context: Context) -> Statistics:
            from tfexplore.core.statistics import statistics

            def report(done: int, total: int) -> None:
                context.report(Progress("reading", done, total))

            return statistics(source, cancel=context.cancel, progress=report, threads=_THREADS)

        return await self.tasks.run(job, channel=channel, on_progress=on_progress)

    async def distribution(
        self,
        source: TensorSource,
        known: Statistics,
        *,
        channel: str = STATISTICS,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Distribution | None:
        """Percentiles and histogram of a tensor whose statistics are known; as `statistics`."""

        def job(context: Context) -> Distribution | None:
            from tfexplore.core.statistics import distribution

            def report(done: int, total: int) -> None:
                context.report(Progress("reading", done, total))

            return distribution(source, known, cancel=context.cancel, progress=report, threads=_THREADS)

        return await self.tasks.run(job, channel=channel, on_progress=on_progress)

    async def all_statistics(
        self,
        model: Model,
        *,
        channel: str = STATISTICS,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> AsyncIterator[list[Measured]]:
        """Statistics of every tensor, in batches as they are found; see `core.all_statistics`.

        Raises:
            Cancelled: it was cancelled.
        """

        def job(context: Context) -> Iterator[list[Measured]]:
            from tfexplore.core.all_statistics import all_statistics

            def report(done: int, total: int) -> None:
                context.report(Progress("reading", done, total))

            batch: list[Measured] = []
            told = time.monotonic()
            for measured in all_statistics(model, cancel=context.cancel, progress=report, threads=_THREADS):
                batch.append(measured)
                if time.monotonic() - told > _BATCH_SECONDS:
                    yield batch
                    batch, told = [], time.monotonic()
            if batch:
                yield batch

        stream: Any = self.tasks.stream(job, channel=channel, on_progress=on_progress)
        try:
            async for batch in stream:
                yield batch
        finally:
            await stream.aclose()

    def close(self) -> None:
        """Cancels everything; see `Tasks.close`."""
        self.tasks.close()
