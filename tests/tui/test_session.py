"""The session by itself: a detail that is asked for twice, and models that leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from core.opening import bundle, small_model
from tfexplore.core import describe
from tfexplore.core.subjects import FoundSubject
from tfexplore.errors import Cancelled
from tfexplore.formats.table import check_cancel
from tfexplore.loader import Loader
from tfexplore.tui.session import Session

DEADLINE = 20.0


async def until(happened: Any) -> None:
    deadline = time.monotonic() + DEADLINE
    while not happened():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)


async def test_a_detail_that_is_asked_for_twice_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle(tmp_path / "c", b"w")
    session = Session(str(tmp_path / "c"), Loader(), lambda topic: None)
    try:
        await session.open()
        go_on, started = threading.Event(), threading.Event()
        original = describe.describe

        def held(subject: Any, cancel: Any) -> Any:
            started.set()
            while not go_on.wait(0.002):
                check_cancel(cancel)
            return original(subject, cancel)

        monkeypatch.setattr(describe, "describe", held)
        subject = session.subject_at(0)
        assert subject is not None
        session.start_detail(subject)
        first = asyncio.create_task(session.read_detail())
        await until(started.is_set)
        second = asyncio.create_task(session.read_detail())  # cancels the first one's reading
        await first
        go_on.set()
        await second
        assert session.shown is not None
        assert session.shown.detail is not None
        assert session.shown.detail.title != "cancelled"
    finally:
        go_on.set()
        session.close()


async def test_a_cancelled_detail_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle(tmp_path / "c", b"w")
    session = Session(str(tmp_path / "c"), Loader(), lambda topic: None)
    try:
        await session.open()

        def cancelled(subject: Any, cancel: Any) -> Any:
            raise Cancelled

        monkeypatch.setattr(describe, "describe", cancelled)
        subject = session.subject_at(0)
        assert subject is not None
        session.start_detail(subject)
        await session.read_detail()
        assert session.shown is not None
        assert session.shown.detail is not None
        assert session.shown.detail.title == "cancelled"
    finally:
        session.close()


async def test_nothing_is_left_of_models_that_were_opened_and_left(tmp_path: Path) -> None:
    for number in range(3):
        small_model(tmp_path / f"m{number}")
    session = Session(str(tmp_path), Loader(), lambda topic: None)
    left: list[weakref.ref[Any]] = []
    gc.disable()  # what is left to Python's own collector may stay for long
    try:
        await session.open()
        for _ in range(2):
            for number in range(3):
                found = next(
                    row
                    for row in range(len(session.outline))
                    if isinstance(subject := session.subject_at(row), FoundSubject)
                    and subject.path.endswith(str(number))
                )
                session.move_to(found)
                chosen = session.subject_at(found)
                assert isinstance(chosen, FoundSubject)
                await session.enter(chosen)
                assert session.model is not None
                left += [weakref.ref(session.model), weakref.ref(session.model.meta_graphs[0])]
                await session.read_detail()
                session.leave()
                del chosen
        await until(lambda: all(one() is None for one in left))
    finally:
        gc.enable()
        session.close()
