"""Drives the Predict tab in tests, with a stand-in child."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from runtime.conftest import STAND_IN
from tfexplore.loader.run_options import RunOptions
from tfexplore.tui.predict import Predict
from tfexplore.tui.widgets.call_list import CallList
from tfexplore.tui.widgets.field_input import FieldInput
from tfexplore.tui.widgets.form_list import FormList
from tui.driving import Driver, explorer

STAND_INS = RunOptions(script=STAND_IN)


def stand_ins() -> list[int]:
    """The processes that run the stand-in child, launchers included."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and STAND_IN.encode() in Path(f"/proc/{entry}/cmdline").read_bytes():
                found.append(int(entry))
        except OSError:
            continue
    return found


class Tabbed(Driver):
    """A driver on the Predict tab."""

    @property
    def predict(self) -> Predict:
        found = self.session.predict
        assert found is not None
        return found

    @property
    def form(self) -> FormList:
        return self.app.query_one(FormList)

    async def call(self, title: str) -> None:
        """Chooses what is called."""
        number = [one.title for one in self.predict.choices].index(title)
        self.app.query_one(CallList)._move(number)
        await self.until(lambda: self.predict.choice == number and self.predict.form is not None)

    async def go_to_model(self, label: str) -> None:
        """Opens a model of the list."""
        await self.go_to(label)
        await self.press("enter")
        await self.until(lambda: self.session.entered is not None and self.title is not None)

    async def go(self, name: str) -> None:
        """Goes to a row of the form."""
        assert self.predict.form is not None
        row = [field.name for field in self.predict.form.fields].index(name)
        self.form.focus()
        self.predict.move_to(row)
        self.predict._tell()
        await self.until(lambda: self.form.has_focus)

    async def write(self, name: str, value: str) -> None:
        """Writes a row by keyboard."""
        await self.go(name)
        await self.press("enter")
        await self.until(lambda: self.app.query(FieldInput) and self.app.query_one(FieldInput).has_focus)
        await self.press("backspace", *value, "enter")
        await self.until(lambda: not self.app.query(FieldInput))
        await self.until(lambda: self.session.loader.tasks.running == 0)

    async def run(self, status: str = "done") -> Any:
        """Runs what the form holds, to its end."""
        number = self.predict.runs[0].number + 1 if self.predict.runs else 1
        await self.press("ctrl+r")
        runs = self.predict.runs
        await self.until(lambda: bool(runs) and runs[0].number == number and runs[0].is_over)
        run = self.predict.runs[0]
        assert run.status == status, run.problem
        await self.until(lambda: self.predict.current is None)
        await self.until(lambda: self.session.loader.tasks.running == 0)
        return run


@asynccontextmanager
async def predicting(
    path: Path, size: tuple[int, int] = (120, 40), options: RunOptions = STAND_INS, key: str = "2"
) -> AsyncIterator[Tabbed]:
    async with explorer(path, size, options) as driver:
        tabbed = Tabbed(driver.app, driver.pilot)
        assert tabbed.session.predict is None  # nothing is made before somebody asks
        await tabbed.press(key)
        await tabbed.until(lambda: tabbed.session.predict is not None and tabbed.predict.form is not None)
        await tabbed.until(lambda: bool(tabbed.app.query(FormList)) and "Inputs of" in tabbed.text)
        yield tabbed
    assert stand_ins() == []
