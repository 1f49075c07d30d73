"""Runs plans in the child: what `predict`, `smoke` and the Predict tab await."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core.natural import natural_key
from tfexplore.core.outputs import Latency, Output, latency
from tfexplore.core.shapes import Shape
from tfexplore.errors import RunFailed, UsageError
from tfexplore.runtime.arrays import pack, to_array, to_tensor
from tfexplore.runtime.client import Runtime, files_of
from tfexplore.runtime.process import absolute, reading
from tfexplore.runtime.protocol import MAX_RANK
from tfexplore.runtime.records import About, Call, Event, Options, Result

if TYPE_CHECKING:
    from tfexplore.core.plan import Plan, Target
    from tfexplore.runtime.protocol import Tensor


class Answer(NamedTuple):
    """What a call gave.

    Attributes:
        outputs: by name, in the model's order.
        latency: of the first call and the others, in milliseconds.
    """

    outputs: tuple[Output, ...]
    latency: Latency


class Runner:
    """One model in the child.

    Args:
        target: what is loaded on first need.
        options: how the child is run.
        on_event: told of progress and logs.
        on_ready: told what runs in the child, sandbox included, before the model is loaded.
        client: more arguments of the client's.

    Attributes:
        runtime: the child's client.
        loaded: what loading told: `loader`, `because`, `signatures`, `notes`; None before.
    """

    def __init__(
        self,
        target: Target,
        options: Options,
        on_event: Callable[[Event], None] | None = None,
        on_ready: Callable[[About], None] | None = None,
        **client: Any,
    ) -> None:
        self.target = target
        # It may read the model from the start: a child that gets another right is another child.
        paths = files_of(os.path.abspath(target.path), target.checkpoint and os.path.abspath(target.checkpoint))
        self.runtime = Runtime(reading(absolute(options), paths), **client)
        self.loaded: dict[str, Any] | None = None
        self._on_event = on_event
        self._on_ready = on_ready
        self._functions: dict[str, list[dict[str, Any]]] | None = None

    async def load(self, timeout: float | None = None, *, loader: str = "auto") -> dict[str, Any]:
        """Starts the child and loads the model, unless that is done.

        Raises:
            RuntimeFailed: it cannot be.
            Cancelled: it was cancelled.
        """
        if self.loaded is None:
            about = await self.runtime.start(self._on_event)
            if self._on_ready is not None:
                self._on_ready(about)
            target = self.target
            self.loaded = await self.runtime.load(
                target.path,
                form=target.form,
                tag_set=target.tag_set,
                loader=loader,
                checkpoint=target.checkpoint,
                timeout=timeout,
                on_event=self._on_event,
            )
        return self.loaded

    async def infer_shapes(
        self, function: str | None, on_event: Callable[[Event], None] | None = None, timeout: float | None = None
    ) -> dict[str, tuple[Shape, ...]]:
        """The shapes of the outputs of all nodes of the main graph, or of a function's body, by node name.

        Raises:
            RuntimeFailed: they cannot be inferred, or the answer is none.
            Cancelled: it was cancelled.
        """
        about = await self.runtime.start(on_event)
        if self._on_ready is not None:
            self._on_ready(about)
        target = self.target
        result = await self.runtime.infer_shapes(
            target.path,
            form=target.form,
            tag_set=target.tag_set,
            function=function,
            timeout=timeout,
            on_event=on_event,
        )
        return await asyncio.get_running_loop().run_in_executor(None, _shapes, result)

    async def functions(self, timeout: float | None = None) -> dict[str, list[dict[str, Any]]]:
        """The traces of the functions of the object graph, by path; raises as `load`."""
        await self.load(timeout)
        if self._functions is None:
            found = await self.runtime.describe(timeout=timeout, on_event=self._on_event)
            self._functions = {one["path"]: one["traces"] for one in found.get("functions", ())}
        return self._functions

    async def traces(self, path: str, timeout: float | None = None) -> list[dict[str, Any]]:
        """The traces of one function.

        Raises:
            UsageError: there is no such function.
            RuntimeFailed, Cancelled: as `load`.
        """
        from tfexplore.core import text
        from tfexplore.core.json_values import near

        known = await self.functions(timeout)
        if path not in known:
            others = near(path, sorted(known)) or "; the model has none"
            raise UsageError(f"there is no function {text.label(path)} to call{others}")
        return known[path]

    async def call(self, plan: Plan, *, repeat: int = 0, timeout: float | None = None) -> Answer:
        """Calls the model as planned.

        Args:
            repeat: further calls after the first.

        Raises:
            UsageError: an input has a dtype that does not travel.
            RuntimeFailed, Cancelled: as `load`.
        """
        call = _call(plan, repeat)
        await self.load(timeout)
        result = await self.runtime.call(call, timeout=timeout, on_event=self._on_event)
        outputs = [Output(tensor.name, tensor.dtype, to_array(tensor)) for tensor in result.tensors]
        if plan.function is None and not plan.fetches:
            # TensorFlow gives a signature's outputs in another order each time that it loads it.
            outputs.sort(key=lambda output: natural_key(output.name))
        measured = result.value.get("latency_ms", {})
        return Answer(tuple(outputs), latency(measured.get("repeats", []), float(measured.get("first", 0.0))))

    def cancel(self) -> None:
        """Cancels what runs."""
        self.runtime.cancel()

    async def close(self) -> None:
        """Ends the child."""
        await self.runtime.close()


def _shapes(result: Result) -> dict[str, tuple[Shape, ...]]:
    """The child is not trusted: what is no shape is an unknown one.

    Raises:
        RunFailed: it is no answer at all.
    """
    try:
        found = json.loads(bytes(result.tensors[0].data)) if result.tensors else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RunFailed("the child told no shapes", kind="protocol")
    return {name: tuple(map(_shape, listed)) for name, listed in found.items() if isinstance(listed, list)}


def _shape(found: Any) -> Shape:
    if not isinstance(found, list) or len(found) > MAX_RANK:
        return None
    return tuple(size if type(size) is int and size >= 0 else None for size in found)


def _call(plan: Plan, repeat: int) -> Call:
    tensors = {name: to_tensor(name, array) for name, array in plan.arrays.items()}
    if plan.arguments is not None:
        packed: list[Tensor] = []
        args, kwargs = plan.arguments
        filled = [pack(_filled(part, tensors), packed) for part in args]
        named = {name: pack(_filled(part, tensors), packed) for name, part in kwargs.items()}
        return Call(function=plan.function, inputs=tuple(packed), args=filled, kwargs=named, repeat=repeat)
    return Call(
        signature=plan.signature,
        inputs=tuple(tensors.values()),
        fetches=plan.fetches,
        body=plan.body,
        repeat=repeat,
    )


def _filled(part: Any, tensors: dict[str, Tensor]) -> Any:
    """A nest of arguments with the tensors in their slots."""
    from tfexplore.core.traces import Slot

    if isinstance(part, Slot):
        return tensors[part.name]
    if isinstance(part, list):
        return [_filled(one, tensors) for one in part]
    if isinstance(part, tuple):
        return tuple(_filled(one, tensors) for one in part)
    if isinstance(part, dict):
        return {name: _filled(one, tensors) for name, one in part.items()}
    return part
