"""Functions of the object graph: which trace takes what was given, and the nest of arguments that it is called with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import text
from tfexplore.core.given import given_arrays
from tfexplore.core.plan import Given, Plan
from tfexplore.core.shapes import format_shape
from tfexplore.core.signatures import Signature, TensorInfo
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph

_NUMBERS = {dtypes.name(number): number for number in range(1, 100) if dtypes.is_known(number)}


class Leaf(NamedTuple):
    """One tensor of a function's arguments: its name, TensorFlow's dtype and shape, and its place in the nest."""

    name: str
    dtype: int
    shape: tuple[int | None, ...] | None
    place: tuple[object, ...]


class Slot:
    """Where a tensor goes in a nest of arguments."""

    def __init__(self, name: str) -> None:
        self.name = name


def leaves(trace: dict[str, Any]) -> list[Leaf]:
    """The tensors of a trace's arguments, in order; names are made unique."""
    found: list[Leaf] = []
    taken: set[str] = set()
    for position, nest in enumerate(trace["args"]):
        _collect(nest, ("args", position), found, taken)
    for name, nest in trace["kwargs"].items():
        _collect(nest, ("kwargs", name), found, taken)
    return found


def _collect(nest: dict[str, Any], place: tuple[object, ...], found: list[Leaf], taken: set[str]) -> None:
    for part, where in _walk(nest, place):
        spec = part["tensor"]
        name = str(spec.get("name") or "")
        if name in ("", "None") or name in taken:
            name = "/".join(str(step) for step in where[1:])
        while name in taken:
            name += "_"
        taken.add(name)
        shape = spec.get("shape")
        found.append(Leaf(name, _NUMBERS.get(str(spec["dtype"]), 0), None if shape is None else tuple(shape), where))


def _walk(nest: dict[str, Any], place: tuple[object, ...]) -> Iterator[tuple[dict[str, Any], tuple[object, ...]]]:
    ((kind, value),) = nest.items()
    if kind == "tensor":
        yield nest, place
    elif kind in ("list", "tuple"):
        for position, part in enumerate(value):
            yield from _walk(part, (*place, position))
    elif kind == "dict":
        for name, part in value.items():
            yield from _walk(part, (*place, name))


def arguments(path: str, trace: dict[str, Any]) -> tuple[list[object], dict[str, object]]:
    """The arguments of a trace of the function at `path` as Python has them, with a `Slot` for each tensor.

    Raises:
        UsageError: one of them is neither a tensor nor a plain value.
    """
    names = {leaf.place: leaf.name for leaf in leaves(trace)}

    def build(nest: dict[str, Any], place: tuple[object, ...]) -> object:
        ((kind, value),) = nest.items()
        if kind == "tensor":
            return Slot(names[place])
        if kind == "list":
            return [build(part, (*place, position)) for position, part in enumerate(value)]
        if kind == "tuple":
            return tuple(build(part, (*place, position)) for position, part in enumerate(value))
        if kind == "dict":
            return {name: build(part, (*place, name)) for name, part in value.items()}
        if kind == "value":
            return value
        what = value.get("type") if isinstance(value, dict) else value
        raise UsageError(f"{text.label(path)} takes a {text.visible(str(what))}, which cannot be given here")

    args = [build(nest, ("args", position)) for position, nest in enumerate(trace["args"])]
    return args, {name: build(nest, ("kwargs", name)) for name, nest in trace["kwargs"].items()}


def trace_signature(path: str, trace: dict[str, Any]) -> Signature:
    """A trace as if it were a signature: its tensors are the inputs."""
    infos = tuple(TensorInfo(leaf.name, leaf.name, leaf.dtype, leaf.shape) for leaf in leaves(trace))
    return Signature(path, "", infos, (), {}, "function")


def trace_text(trace: dict[str, Any]) -> str:
    """What a trace takes, in words: `x float32 [?, 3], training=False`."""
    parts = [f"{text.label(leaf.name)} {dtypes.name(leaf.dtype)} {format_shape(leaf.shape)}" for leaf in leaves(trace)]
    for name, nest in trace["kwargs"].items():
        if "value" in nest:
            parts.append(f"{text.label(name)}={text.visible(str(nest['value']))}")
    parts += [text.visible(str(nest["value"])) for nest in trace["args"] if "value" in nest]
    return ", ".join(parts) or "nothing"


def plan_function(
    meta_graph: MetaGraph,
    path: str,
    traces: Sequence[dict[str, Any]],
    given: Given,
    *,
    training: bool | None = None,
) -> Plan:
    """A call of a function of the object graph by the first trace that takes what was given.

    Args:
        path: `__call__`, `encoder.__call__`.
        traces: as `runtime.client.Runtime.describe` gives them.
        training: of several traces, only those with this value of a `training` argument.

    Raises:
        UsageError: no trace takes it; says why for the first, and what the others take.
        ModelError: a file of inputs cannot be read.
    """
    if training is not None:
        traces = [trace for trace in traces if training_of(trace) in (training, None)]
    first: UsageError | None = None
    # Inference before training, where nothing else decides.
    for trace in sorted(traces, key=lambda trace: training_of(trace) is True):
        try:
            arrays = given_arrays(
                meta_graph,
                trace_signature(path, trace),
                given.words,
                example=given.example,
                tfrecord=given.tfrecord,
                request=given.request,
                specs=(),
            )
            return Plan(None, path, (), None, arrays, arguments(path, trace))
        except UsageError as error:
            first = first or error
    if first is None:
        wanted = "that could be called" if training is None else f"with training={training}"
        raise UsageError(f"{text.label(path)} has no trace {wanted}")
    if len(traces) == 1:
        raise first
    listed = "; ".join(map(trace_text, traces[:6])) + (f" and {len(traces) - 6} more" if len(traces) > 6 else "")
    raise UsageError(f"no trace of {text.label(path)} takes this ({first}); they take: {listed}")


def training_of(trace: dict[str, Any]) -> bool | None:
    """The value of a trace's `training` argument, or of its one boolean; None where it has none."""
    nest = trace["kwargs"].get("training")
    if nest is None:
        nest = next((one for one in trace["args"] if isinstance(one.get("value"), bool)), None)
    value = nest.get("value") if nest is not None else None
    return value if isinstance(value, bool) else None
