"""Shapes that the child infers are those of TensorFlow's own tensors; what the child answers is checked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runtime.conftest import STAND_IN, until
from tfexplore.core.opener import open_model
from tfexplore.core.plan import Target, target
from tfexplore.errors import Cancelled, RunFailed, RuntimeFailed
from tfexplore.loader.running import Runner
from tfexplore.runtime.records import Event, Options, Progress

STOOD_IN = Target("/", "saved_model", None, None)


def stood_in() -> Runner:
    return Runner(STOOD_IN, Options(sandbox="off"), script=STAND_IN)


async def test_what_the_child_says_is_checked() -> None:
    runner = stood_in()
    events: list[Event] = []
    try:
        found = await runner.infer_shapes(None, events.append)
        assert found == {"y": ((None, 257),), "z": (None,), "pair": ((2,), None)}
        assert Progress("inferring shapes") in events
        with pytest.raises(RunFailed, match="told no shapes"):
            await runner.infer_shapes("odd")
        with pytest.raises(RuntimeFailed):
            await runner.infer_shapes("fails")
        assert await runner.infer_shapes("f") == found  # and goes on
    finally:
        await runner.close()


async def test_cancelled() -> None:
    runner = stood_in()
    try:
        asking = asyncio.get_running_loop().create_task(runner.infer_shapes("silent"))
        await until(lambda: runner.runtime.state == "running")
        runner.runtime.cancel()
        with pytest.raises(Cancelled):
            await asking
        assert runner.runtime.state == "idle"
    finally:
        await runner.close()


async def infer(folder: Path, *functions: str | None) -> list[dict[str, Any]]:
    model = open_model(str(folder))
    runner = Runner(target(model, model.meta_graphs[0]), Options(threads=1))
    try:
        return [await runner.infer_shapes(function) for function in functions]
    finally:
        await runner.close()
        model.close()


async def test_shapes_of_a_graph_of_tensorflow_1(small_models: Path, tf: Any) -> None:
    (found,) = await infer(small_models / "session", None)
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(small_models / "session"))
    compared = 0
    for name, shapes in found.items():
        outputs = graph.get_operation_by_name(name).outputs
        assert len(outputs) == len(shapes)
        for output, shape in zip(outputs, shapes, strict=True):
            assert shape == (None if output.shape.rank is None else tuple(output.shape.as_list())), name
            compared += 1
    assert compared > 10


async def test_shapes_inside_functions(small_models: Path, tf: Any) -> None:
    model = open_model(str(small_models / "functions"))
    library = model.meta_graphs[0].functions
    names = [name for name in library.names if "serve" in name or "several" in name or "product" in str(name)]
    model.close()
    loaded = tf.saved_model.load(str(small_models / "functions"))
    by_nodes = {}
    for concrete in (*loaded.encoder.several.concrete_functions, loaded.signatures["serving_default"]):
        graph = concrete.graph
        by_nodes[frozenset(op.name for op in graph.get_operations() if op.type != "Placeholder")] = graph
    compared = 0
    for name, found in zip(names, await infer(small_models / "functions", *names), strict=True):
        function = library.get(name)
        assert function is not None
        graph = by_nodes.get(frozenset(function.graph.names))
        if graph is None:
            continue
        for node in function.graph.names:
            for output, shape in zip(graph.get_operation_by_name(node).outputs, found.get(node, ()), strict=True):
                expected = None if output.shape.rank is None else tuple(output.shape.as_list())
                assert shape == expected, (name, node)
                compared += 1
    assert compared > 5


async def test_graph_files_and_what_is_missing(small_models: Path) -> None:
    (found,) = await infer(small_models / "graph.pb", None)
    assert found["y"] == ((None,),)
    with pytest.raises(RuntimeFailed, match="there is no function gone"):
        await infer(small_models / "graph.pb", "gone")
