"""The loader on the packaged demo: opening, pages, details and rows, awaited; and that nothing stays open."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from loader.test_tasks import DEADLINE, loader_threads, until
from tfexplore.core.complete import node_names
from tfexplore.core.describe import describe
from tfexplore.core.model import COLLECTION, SAVED_MODEL, TRAINING_DIRECTORY, Model
from tfexplore.core.opener import open_model
from tfexplore.core.query import parse
from tfexplore.core.search import search
from tfexplore.core.sections import Options, section
from tfexplore.core.tensor_source import find_tensor
from tfexplore.core.tree import root_items
from tfexplore.demo import FOLDER
from tfexplore.errors import Cancelled, ModelError, NotFoundError, UsageError
from tfexplore.loader import ENTER, OPEN, Loader, Progress

RANKER = str(FOLDER / "ranker")
TRAINING = str(FOLDER / "training")


def open_under(folder: str) -> list[str]:
    """The files below a folder that this process has open."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if path.startswith(folder):
            found.append(path)
    return sorted(found)


def open_with_data(path: str) -> Model:
    """A model whose first data file is open: an index alone is closed once it is read."""
    model = open_model(path)
    assert model.checkpoint is not None
    model.checkpoint.bundle.shard(0)
    return model


@pytest.fixture
async def loader() -> AsyncIterator[Loader]:
    loader = Loader()
    yield loader
    loader.close()
    await until(lambda: not loader_threads())


async def test_opens_both_parts_of_the_demo(loader: Loader) -> None:
    seen: list[Progress] = []
    with await loader.open(RANKER, seen.append) as model:
        assert model.kind == SAVED_MODEL
        assert model.checkpoint is not None
        model.checkpoint.bundle.shard(0)
        assert open_under(RANKER)
    with await loader.open(TRAINING) as model:
        assert model.kind == TRAINING_DIRECTORY
        assert len(model.checkpoint_files) == 3
    assert seen
    assert all(progress.what for progress in seen)
    assert open_under(str(FOLDER)) == []


async def test_roots_and_pages_are_those_of_the_tree(loader: Loader) -> None:
    with await loader.open(RANKER) as model:
        roots = await loader.roots(model)
        assert [item.label for item in roots.items] == [item.label for item in root_items(model)]
        assert (roots.start, roots.total) == (0, len(roots.items))
        walked = 0
        for item in roots.items:
            if item.children is None:
                continue
            everything = item.children.page(0, item.children.load())
            page = await loader.page(item.children, 0, 10_000)
            assert [child.label for child in page.items] == [child.label for child in everything]
            assert page.total == len(everything)
            part = await loader.page(item.children, 1, 2)
            assert [child.label for child in part.items] == [child.label for child in everything[1:3]]
            assert (part.start, part.total) == (1, page.total)
            assert (await loader.page(item.children, page.total, 5)).items == ()
            walked += 1
        assert walked > 3


async def test_a_detail_is_what_describe_gives(loader: Loader) -> None:
    with await loader.open(RANKER) as model:
        for item in (await loader.roots(model)).items:
            assert await loader.detail(item.subject) == describe(item.subject)


async def test_a_newer_detail_cancels_an_older_one(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, started = threading.Event(), threading.Event()

    def slow(subject: Any, cancel: threading.Event) -> Any:
        if subject is first:
            started.set()
            assert gate.wait(DEADLINE)
        return describe(subject, cancel)

    monkeypatch.setattr("tfexplore.core.describe.describe", slow)
    with await loader.open(RANKER) as model:
        first, second = (item.subject for item in (await loader.roots(model)).items[:2])
        waiting = asyncio.create_task(loader.detail(first))
        await until(started.is_set)
        assert await loader.detail(second) == describe(second)
        with pytest.raises(Cancelled):
            await waiting
        gate.set()


@pytest.mark.parametrize(("name", "batch"), [("nodes", 7), ("variables", 1), ("functions", 500), ("assets", 6)])
async def test_rows_are_those_of_the_section_in_batches(loader: Loader, name: str, batch: int) -> None:
    seen: list[Progress] = []
    with await loader.open(RANKER) as model:
        batches = [rows async for rows in loader.rows(model, name, batch=batch, on_progress=seen.append)]
        expected = list(section(model, name, Options()))
    assert expected
    assert [row for rows in batches for row in rows] == expected
    assert all(len(rows) == batch for rows in batches[:-1])
    assert 0 < len(batches[-1]) <= batch
    if len(expected) >= batch:
        assert seen[-1] == Progress(name, len(expected) // batch * batch)


async def test_rows_of_no_section(loader: Loader) -> None:
    with await loader.open(TRAINING) as model, pytest.raises(UsageError):
        _ = [rows async for rows in loader.rows(model, "nodes")]


async def test_rows_left_early_cancel_their_job(loader: Loader) -> None:
    with await loader.open(RANKER) as model:
        stream = loader.rows(model, "nodes", batch=1)
        assert len(await anext(stream)) == 1
        assert loader.tasks.running == 1
        await stream.aclose()
        assert loader.tasks.running == 0


@pytest.mark.parametrize("what", ["missing", "empty", "garbage", "folder"])
async def test_a_path_that_cannot_be_read(loader: Loader, tmp_path: Path, what: str) -> None:
    path = tmp_path / "model"
    if what == "empty":
        path.mkdir()
        (path / "saved_model.pb").touch()
    elif what == "garbage":
        path.write_bytes(b"\xff" * 100)
    elif what == "folder":
        path.mkdir()
    with pytest.raises(NotFoundError if what == "missing" else ModelError, match="model"):
        await loader.open(str(path))
    assert loader.tasks.running == 0
    assert open_under(str(tmp_path)) == []


async def test_children_that_cannot_be_read(loader: Loader) -> None:
    class Bad:
        def load(self, cancel: Any = None) -> int:
            raise ModelError("damaged")

        def page(self, start: int, stop: int, cancel: Any = None) -> list[Any]:
            raise AssertionError

    with pytest.raises(ModelError, match="damaged"):
        await loader.page(Bad(), 0, 1)


async def test_a_cancelled_open_leaves_nothing_open(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, gate = threading.Event(), threading.Event()
    models: list[Model] = []

    def slow(path: str, **options: Any) -> Model:
        model = open_with_data(path)
        models.append(model)
        opened.set()
        assert gate.wait(DEADLINE)  # it has opened its files, and looks at `cancel` no more
        return model

    monkeypatch.setattr("tfexplore.core.opener.open_model", slow)
    gc.collect()
    assert open_under(str(FOLDER)) == []
    waiting = asyncio.create_task(loader.open(RANKER))
    await until(opened.is_set)
    assert open_under(RANKER)
    assert loader.tasks.cancel_all() == 1
    with pytest.raises(Cancelled):
        await waiting
    gate.set()
    await until(lambda: open_under(RANKER) == [])
    assert models  # closed, not merely collected


async def test_a_newer_open_closes_the_older(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, gate = threading.Event(), threading.Event()
    models: list[Model] = []

    def slow(path: str, **options: Any) -> Model:
        model = open_with_data(path)
        models.append(model)
        if path == RANKER:
            opened.set()
            assert gate.wait(DEADLINE)
        return model

    monkeypatch.setattr("tfexplore.core.opener.open_model", slow)
    waiting = asyncio.create_task(loader.open(RANKER))
    await until(opened.is_set)
    with await loader.open(TRAINING) as model:
        assert model.kind == TRAINING_DIRECTORY
        with pytest.raises(Cancelled):
            await waiting
        gate.set()
        await until(lambda: open_under(RANKER) == [])
        assert open_under(TRAINING)
    assert open_under(TRAINING) == []


async def test_an_open_is_told_to_stop(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    cancels: list[threading.Event] = []

    def endless(path: str, *, cancel: threading.Event, progress: Any, **_: Any) -> Model:
        progress("reading")
        cancels.append(cancel)
        assert cancel.wait(DEADLINE)
        raise Cancelled

    monkeypatch.setattr("tfexplore.core.opener.open_model", endless)
    seen: list[str] = []
    waiting = asyncio.create_task(loader.open(RANKER, lambda progress: seen.append(progress.what)))
    await until(lambda: seen == ["reading"])
    loader.close()
    with pytest.raises(Cancelled):
        await waiting
    assert cancels[0].is_set()


async def test_what_lies_below_a_folder_comes_before_the_answer(loader: Loader) -> None:
    found: list[str] = []

    def take(batch: list[Any]) -> None:
        found.extend(each.path for each in batch)

    model = await loader.open(str(FOLDER), on_found=take)
    assert model.kind == COLLECTION
    assert found == [each.path for each in model.found] == ["ranker", "training"]
    found.clear()
    model = await loader.open(RANKER, on_found=take, as_collection=True)
    assert found == [each.path for each in model.found] == ["."]


async def test_what_is_found_is_told_in_the_context_of_whoever_asked(loader: Loader) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("mine")
    seen: list[str] = []
    await loader.open(str(FOLDER), on_found=lambda _: seen.append(variable.get()))
    assert seen == ["mine"]


async def test_what_was_found_after_a_cancel_is_dropped(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()

    def late(path: str, *, cancel: threading.Event, on_found: Any, **_: Any) -> Model:
        told.set()
        assert cancel.wait(DEADLINE)
        on_found(["late"])
        raise Cancelled

    monkeypatch.setattr("tfexplore.core.opener.open_model", late)
    found: list[Any] = []
    waiting = asyncio.create_task(loader.open(RANKER, on_found=found.extend))
    await until(told.is_set)
    assert loader.tasks.cancel_all(but="another") == 1
    with pytest.raises(Cancelled):
        await waiting
    loader.close()
    await until(lambda: not loader_threads())
    await asyncio.sleep(0)
    assert found == []


async def test_all_but_one_channel_can_be_cancelled(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(path: str, *, cancel: threading.Event, **_: Any) -> Model:
        assert cancel.wait(DEADLINE)
        raise Cancelled

    monkeypatch.setattr("tfexplore.core.opener.open_model", endless)
    kept = asyncio.create_task(loader.open(RANKER))
    other = asyncio.create_task(loader.open(TRAINING, channel=ENTER))
    await until(lambda: loader.tasks.running == 2)
    assert loader.tasks.cancel_all(but=OPEN) == 1
    with pytest.raises(Cancelled):
        await other
    assert loader.tasks.running == 1
    assert loader.tasks.cancel(OPEN)
    with pytest.raises(Cancelled):
        await kept


async def test_a_search_gives_its_hits_and_a_newer_one_cancels_it(loader: Loader) -> None:
    model = await loader.open(RANKER)
    try:
        query = parse("kernel")
        found = [hit async for batch in loader.search(model, query) for hit in batch]
        assert found
        assert found == [hit for batch in search(model, query) for hit in batch]
        older = loader.search(model, parse("e"), what=("node",))
        assert await anext(older)
        assert [batch async for batch in loader.search(model, parse("nothing_such"))] == []
        with pytest.raises(Cancelled):
            [batch async for batch in older]
        graph = model.meta_graph().graph
        assert await loader.complete_name(node_names(graph), graph.sorted_names[0], limit=1) == [graph.sorted_names[0]]
    finally:
        model.close()


async def test_statistics_are_those_of_the_core(loader: Loader) -> None:
    with open_model(RANKER) as model:
        source = find_tensor(model, "dense_1/kernel")
        told: list[Progress] = []
        found = await loader.statistics(source, on_progress=told.append)
        assert (found.elements, found.checksum) == (38 * 32, "good")
        spread = await loader.distribution(source, found)
        assert spread is not None
        assert sum(spread.counts) == found.elements
        measured = [one async for batch in loader.all_statistics(model) for one in batch]
        assert model.checkpoint is not None
        assert sorted(one.name for one in measured) == model.checkpoint.keys
        assert {one.name: one.statistics for one in measured}[source.name] == found


async def test_a_newer_request_for_statistics_cancels_the_older(loader: Loader) -> None:
    with open_model(RANKER) as model:
        sources = [find_tensor(model, name) for name in ("dense_1/kernel", "dense_2/kernel")]
        first = asyncio.ensure_future(loader.statistics(sources[0]))
        await asyncio.sleep(0)
        second = await loader.statistics(sources[1])
        assert second.elements == 32
        with pytest.raises(Cancelled):
            await first
        stream: Any = loader.all_statistics(model)
        await anext(stream)
        await stream.aclose()
        await until(lambda: loader.tasks.running == 0)
