"""Calls: signatures and functions of TensorFlow 2, and feeds and fetches in a session."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Callable, Optional

import numpy as np
import tensorflow as tf

from . import frames, tensors
from .frames import Tensor
from .loading import InSession
from .serve import Answer, Refused, Request
from .signatures import parts

MAX_REPEAT = 100_000  # latencies that one message holds

Named = list[tuple[str, Any, Any]]  # name, TensorFlow's dtype, array


def _measure(request: Request, once: Callable[[], Named]) -> Answer:
    """Calls once, then as often as `repeat` says; latencies end when the values are here."""
    repeat = min(int(request.params.get("repeat") or 0), MAX_REPEAT)
    request.progress("first call", 0, repeat + 1)
    started = time.perf_counter()
    found = once()
    first = (time.perf_counter() - started) * 1e3
    repeats = []
    told = started
    for number in range(repeat):
        if time.perf_counter() - told > 0.1 or request.cancelled.is_set():
            request.progress("calling", number + 1, repeat + 1)
            told = time.perf_counter()
        started = time.perf_counter()
        found = once()
        repeats.append((time.perf_counter() - started) * 1e3)
    size = sum(array.nbytes for _, _, array in found if isinstance(array, np.ndarray))
    if size > frames.MAX_BODY:
        raise Refused(
            "too_large", f"the outputs have {size:,} bytes, more than the {frames.MAX_BODY:,} that are passed on"
        )
    sent = [tensors.from_array(*one) for one in found]
    return {"latency_ms": {"first": first, "repeats": repeats}}, sent


# -- TensorFlow 2 --


def call_signature(request: Request, function: Any) -> Answer:
    """Calls a signature with the request's tensors, by name.

    Raises:
        Refused: an input is missing, unknown, or of the wrong dtype or shape.
    """
    wanted = function.structured_input_signature[1]
    given = {tensor.name: tensor for tensor in request.tensors}
    _compare(given, {name: (spec.dtype.name, spec.shape) for name, spec in wanted.items()})
    inputs = {name: tensors.to_constant(tensor) for name, tensor in given.items()}
    return _measure(request, lambda: _values(_cancellable(request, lambda: function(**inputs))))


def _compare(given: dict[str, Tensor], wanted: dict[str, tuple[Optional[str], Any]]) -> None:
    for name in given:
        if name not in wanted:
            raise Refused("wrong_input", f"there is no input {name}, only: {', '.join(wanted) or 'none'}", tensor=name)
    for name, (dtype, shape) in wanted.items():
        tensor = given.get(name)
        if tensor is None:
            raise Refused("wrong_input", f"the input {name} is missing", tensor=name)
        if dtype is not None and tensor.dtype != dtype:
            raise Refused("wrong_input", f"the input {name} is {tensor.dtype}, not {dtype}", tensor=name)
        if not shape.is_compatible_with(tensor.shape):
            text = "[" + ", ".join("?" if dim is None else str(dim) for dim in tensors.dims(shape) or ()) + "]"
            raise Refused(
                "wrong_input", f"the input {name} has the shape {list(tensor.shape)}, not {text}", tensor=name
            )


def call_function(request: Request, function: Any, params: dict[str, Any]) -> Answer:
    """Calls a function of the object graph with a nest of arguments.

    Raises:
        Refused: no trace takes such arguments.
    """
    constants = [tensors.to_constant(tensor) for tensor in request.tensors]
    args = [tensors.unnest(part, constants) for part in params.get("args") or ()]
    kwargs = {str(name): tensors.unnest(part, constants) for name, part in (params.get("kwargs") or {}).items()}

    def once() -> Named:
        try:
            return _values(_cancellable(request, lambda: function(*args, **kwargs)))
        except (TypeError, ValueError) as error:
            if "matching concrete function" not in str(error) and "argument" not in str(error):
                raise
            raise Refused("wrong_input", "no trace of this function takes such arguments", reason=str(error)) from error

    return _measure(request, once)


def _cancellable(request: Request, work: Callable[[], Any]) -> Any:
    """Runs a function so that the kernels in it end when the request is cancelled, where TensorFlow can do that."""
    try:
        from tensorflow.python.eager import cancellation, context

        manager = cancellation.CancellationManager()
        around = cancellation.CancellationManagerContext(manager)
        del context
    except (ImportError, AttributeError):  # an older TensorFlow: the process is ended instead
        return work()
    request.on_cancel = manager.start_cancel
    try:
        with around:
            return work()
    finally:
        request.on_cancel = None


def _values(outputs: Any) -> Named:
    found = []
    for name, value in tensors.flatten(outputs):
        if not hasattr(value, "numpy"):
            value = tf.constant(value)
        if value.dtype in (tf.resource, tf.variant):
            raise Refused("opaque", f"the output {name} is a {value.dtype.name}, which has no values", tensor=name)
        array = value.numpy()
        found.append((name, value.dtype, np.asarray(array, dtype=object) if value.dtype == tf.string else array))
    return found


# -- sessions --


def run_signature(request: Request, graph: InSession, signature: Any) -> Answer:
    """Calls a SignatureDef in its session; raises as `call_signature`."""
    given = {tensor.name: tensor for tensor in request.tensors}
    wanted = {name: tensor for name, tensor, _ in parts(signature.inputs)}
    found = {name: _tensor(graph, tensor) for name, tensor in wanted.items()}
    _compare(given, {name: (one.dtype.base_dtype.name, one.shape) for name, one in found.items()})
    feed = {found[name]: tensors.to_array(tensor) for name, tensor in given.items()}
    fetch = [(name, _tensor(graph, tensor)) for name, tensor, _ in parts(signature.outputs)]
    return run_session(request, graph.session, feed, fetch)


def feeds(graph: InSession, given: Sequence[Tensor], signature: Any) -> dict[Any, Any]:
    """What a session is fed: tensors by their names, or by the names of a signature's inputs.

    Raises:
        Refused: the graph has no such tensor, or it is of another dtype or shape.
    """
    named: dict[str, str] = {}
    if signature is not None and signature in graph.signatures:
        named = {name: tensor for name, tensor, _ in parts(graph.signatures[signature].inputs)}
    fed: dict[Any, Any] = {}
    for tensor in given:
        target = _tensor(graph, named.get(tensor.name, tensor.name))
        _compare({tensor.name: tensor}, {tensor.name: (target.dtype.base_dtype.name, target.shape)})
        fed[target] = tensors.to_array(tensor)
    return fed


def _tensor(graph: InSession, name: str) -> Any:
    """The tensor of a name, `x` standing for `x:0`.

    Raises:
        Refused: the graph has none.
    """
    try:
        return graph.session.graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
    except (KeyError, ValueError):
        raise Refused("missing_tensor", f"the graph has no tensor {name}", tensor=name) from None


def run_session(request: Request, session: Any, feed: dict[Any, Any], fetch: Sequence[tuple[str, Any]]) -> Answer:
    """Runs fetches in a session, which is closed where the request is cancelled meanwhile."""
    for name, tensor in fetch:
        if tensor.dtype.base_dtype in (tf.resource, tf.variant):
            raise Refused("opaque", f"{name} is a {tensor.dtype.base_dtype.name}, which has no values", tensor=name)
    run = session.make_callable([tensor for _, tensor in fetch], feed_list=list(feed), accept_options=False)
    values = list(feed.values())

    def once() -> Named:
        found = run(*values)
        return [(name, one.dtype.base_dtype, np.asarray(array)) for (name, one), array in zip(fetch, found)]

    request.on_cancel = session.close
    try:
        return _measure(request, once)
    finally:
        request.on_cancel = None
