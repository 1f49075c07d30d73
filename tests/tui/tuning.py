"""Drives the Fine-tune tab in tests, with a stand-in child."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from core.saved_model_writer import (
    concrete_function,
    identity,
    info,
    meta_graph,
    object_graph,
    placeholder,
    signature,
    trackable_graph,
    user_object,
    variable_object,
    write_saved_model,
)
from formats.table_writer import write_bundle
from tfexplore.formats.proto import lean
from tfexplore.loader.run_options import RunOptions
from tfexplore.tui.finetune import Finetune
from tfexplore.tui.widgets.curve_view import CurveView
from tfexplore.tui.widgets.tune_form import TuneForm, TuneInput
from tfexplore.tui.widgets.variable_list import VariableList
from tui.driving import Driver, explorer
from tui.predicting import STAND_INS, stand_ins

VALUE = b"/.ATTRIBUTES/VARIABLE_VALUE"


def write_tunable(folder: Path, names: tuple[bytes, ...] = (b"kernel", b"bias", b"table")) -> Path:
    """Variables of the shape [2], the last one frozen, a function, and signatures that the stand-in knows by name."""
    refs = [(name, number + 1) for number, name in enumerate(names)]
    variables = [variable_object(name, [2]) for name in names]
    variables[-1].variable.trainable = False
    function = lean("SavedObject")()
    function.function.concrete_functions.append(b"f")
    objects = object_graph(
        [user_object([*refs, (b"__call__", len(names) + 1)]), *variables, function],
        {b"f": concrete_function(range(1, len(names) + 1))},
    )
    one = signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")})
    signatures = dict.fromkeys((b"serving_default", b"nan", b"waits", b"falls", b"refused"), one)
    graph = meta_graph(nodes=[placeholder(b"x"), identity(b"y", b"x")], signatures=signatures, objects=objects)
    write_saved_model(folder, graph)
    (folder / "variables").mkdir()
    keys = [name + VALUE for name in names]
    stored = trackable_graph([(refs, None), *(((), key) for key in keys)])
    values: dict[bytes, Any] = {key: np.ones(2, np.float32) for key in keys}
    values[b"_CHECKPOINTABLE_OBJECT_GRAPH"] = np.array(stored, dtype=object)
    write_bundle(folder / "variables" / "variables", values)
    return folder


class Tuning(Driver):
    """A driver on the Fine-tune tab."""

    @property
    def finetune(self) -> Finetune:
        found = self.session.finetune
        assert found is not None
        return found

    @property
    def form(self) -> TuneForm:
        return self.app.screen_stack[0].query_one(TuneForm)

    @property
    def variables(self) -> VariableList:
        return self.app.screen_stack[0].query_one(VariableList)

    @property
    def curve(self) -> CurveView:
        return self.app.screen_stack[0].query_one(CurveView)

    @property
    def said(self) -> str:
        return "\n".join(one.sentence for one in self.finetune.said)

    async def idle(self) -> None:
        await self.until(lambda: self.session.loader.tasks.running == 0)

    async def go(self, key: str) -> None:
        """Goes to a row of the form."""
        await self.idle()
        assert self.finetune.form is not None
        self.form.focus()
        self.finetune.move_to([row.key for row in self.finetune.form.fields].index(key))
        self.finetune._tell()
        await self.until(lambda: self.form.has_focus)

    async def write(self, key: str, value: str) -> None:
        """Writes a row by keyboard."""
        await self.go(key)
        await self.press("enter")
        await self.until(lambda: self.app.query(TuneInput) and self.app.query_one(TuneInput).has_focus)
        await self.press("backspace", *value, "enter")
        await self.until(lambda: not self.app.query(TuneInput))
        await self.idle()

    async def call(self, label: str) -> None:
        """Chooses what is tuned, with Space."""
        await self.go("function")
        while self.finetune.value("function") != label:
            before = self.finetune.choice
            await self.press("space")
            await self.until(lambda before=before: self.finetune.choice != before)
            await self.idle()

    async def basic(self) -> None:
        """A constant and a loss."""
        await self.write("input:x", "[[1, 2, 3]]")
        await self.write("expression", "(10. - y) ** 2")

    async def ready(self, deadlines: int = 1) -> None:
        """Waits until nothing is under way."""
        for left in range(deadlines, 0, -1):
            try:
                await self.until(lambda: not self.finetune.is_busy)
                break
            except AssertionError:
                if left == 1:
                    raise

    async def run(self, deadlines: int = 1) -> None:
        """Takes steps, to the run's end."""
        before = len(self.finetune.said)
        await self.press("ctrl+r")
        await self.until(lambda: self.finetune.is_busy or len(self.finetune.said) > before or self.finetune.problem)
        await self.ready(deadlines)


@asynccontextmanager
async def tuning(
    path: Path, size: tuple[int, int] = (120, 40), options: RunOptions = STAND_INS, key: str = "3"
) -> AsyncIterator[Tuning]:
    async with explorer(path, size, options) as driver:
        tabbed = Tuning(driver.app, driver.pilot)
        assert tabbed.session.finetune is None  # nothing is made before somebody asks
        await tabbed.press(key)
        await tabbed.until(lambda: tabbed.session.finetune is not None and tabbed.finetune.form is not None)
        await tabbed.until(lambda: bool(tabbed.app.query(TuneForm)) and tabbed.form.line_count)
        yield tabbed
    assert stand_ins() == []
