"""What is to be called of a model, and with what: checked against the model before anything is run."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core import text
from tfexplore.core.given import given_arrays
from tfexplore.core.inputs import value
from tfexplore.core.json_values import near
from tfexplore.core.model import GRAPH_DEF, META_GRAPH, Model
from tfexplore.core.signature_tensors import as_in_graph
from tfexplore.core.signatures import Signature, TensorInfo
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats import saved_model, tensor_proto

if TYPE_CHECKING:
    import numpy as np

    from tfexplore.core.feature_spec import InputSpec
    from tfexplore.core.graph import Graph
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.requests import Request

SERVING_DEFAULT = "serving_default"
# Kept among the signatures, called by no person.
INIT_OPS = ("__saved_model_init_op", "__saved_model_train_op")


class Target(NamedTuple):
    """What the child loads; see `runtime.client.Runtime.load`."""

    path: str
    form: str
    tag_set: tuple[str, ...] | None
    checkpoint: str | None


class Plan(NamedTuple):
    """One call.

    Attributes:
        signature: its name; with `fetches` the signature whose inputs are fed.
        function: a path in the object graph, in place of a signature.
        fetches: names of tensors to give back, in place of the signature's outputs.
        body: the function that the fetches' names belong to; None for the main graph.
        arrays: the inputs by name: of the signature, of the function's trace, or of tensors that are fed.
        arguments: for a function, the nests of its trace: (args, kwargs).
    """

    signature: str | None
    function: str | None
    fetches: tuple[str, ...]
    body: str | None
    arrays: dict[str, np.ndarray]
    arguments: tuple[list[object], dict[str, object]] | None = None


class Given(NamedTuple):
    """What the person gave for the inputs: the words of `--input`, `--example`, `--tfrecord` and `--request`."""

    words: Sequence[str] = ()
    example: str | None = None
    tfrecord: str | None = None
    request: Request | None = None


def target(model: Model, meta_graph: MetaGraph) -> Target:
    """What the child has to load to run a model.

    Raises:
        UsageError: the model holds nothing that could be run, or lies where TensorFlow does not find it.
    """
    if model.kind == GRAPH_DEF:
        return Target(meta_graph.path, "graph_def", None, None)
    if model.kind == META_GRAPH:
        checkpoint = model.checkpoint.prefix if model.checkpoint is not None else None
        return Target(meta_graph.path, "meta_graph", None, checkpoint)
    folder, name = os.path.split(meta_graph.path)
    if name not in (saved_model.FILE_NAME, saved_model.TEXT_NAME):
        raise UsageError(
            f"{meta_graph.path}: TensorFlow loads a SavedModel only from a folder that holds {saved_model.FILE_NAME}"
        )
    return Target(folder or ".", "saved_model", meta_graph.tags, None)


def callable_signatures(meta_graph: MetaGraph) -> list[Signature]:
    """The signatures that a person may call, with inputs as the graph takes them."""
    return [as_in_graph(meta_graph, one) for one in meta_graph.signatures if one.name not in INIT_OPS]


def choose_signature(meta_graph: MetaGraph, name: str | None) -> Signature:
    """The signature of a name; without one `serving_default`, else the only one.

    Raises:
        UsageError: there is none of that name, or several to choose from.
    """
    known = callable_signatures(meta_graph)
    names = [one.name for one in known]
    if name is not None:
        found = next((one for one in known if one.name == name), None)
        if found is None:
            raise UsageError(f"there is no signature {text.label(name)}{near(name, names) or '; the model has none'}")
        return found
    found = next((one for one in known if one.name == SERVING_DEFAULT), None)
    if found is not None:
        return found
    if len(known) == 1:
        return known[0]
    if not known:
        raise UsageError(
            f"{meta_graph.path} has no signature: call a function of the object graph with --call PATH (__call__, for "
            "instance), or fetch tensors by name with --fetch"
        )
    raise UsageError(f"several signatures: choose one with --signature NAME ({', '.join(map(text.label, names))})")


def plan_signature(
    meta_graph: MetaGraph,
    name: str | None,
    given: Given,
    *,
    specs: Sequence[InputSpec] | None = None,
    cancel: threading.Event | None = None,
) -> Plan:
    """A call of a signature.

    Raises:
        UsageError: an input is missing, unknown, or of another dtype or shape; names it.
        ModelError: a file of inputs cannot be read.
        Cancelled: `cancel` was set.
    """
    asked = given.request.signature_name if given.request is not None else None
    if name is not None and asked is not None and name != asked:
        raise UsageError(f"the request is for the signature {text.label(asked)}, --signature names {text.label(name)}")
    signature = choose_signature(meta_graph, name if name is not None else asked)
    return Plan(signature.name, None, (), None, _arrays(meta_graph, signature, given, specs, cancel))


def _arrays(
    meta_graph: MetaGraph,
    signature: Signature,
    given: Given,
    specs: Sequence[InputSpec] | None = None,
    cancel: threading.Event | None = None,
    fed: Collection[str] = (),
) -> dict[str, np.ndarray]:
    """All inputs of a signature, but for those whose tensors are fed by name."""
    by_name = {info.name: info.tensor for info in signature.inputs if info.tensor in fed}
    found = given_arrays(
        meta_graph,
        signature._replace(defaults={**signature.defaults, **dict.fromkeys(by_name, b"")}),
        given.words,
        example=given.example,
        tfrecord=given.tfrecord,
        request=given.request,
        specs=specs,
        cancel=cancel,
    )
    for name, tensor in by_name.items():
        if name in found:
            raise UsageError(
                f"the input {text.label(name)} and the tensor {text.label(str(tensor))} that it feeds are both given"
            )
    return {**defaults(signature, meta_graph.path, [*found, *by_name]), **found}


def defaults(signature: Signature, path: str, but: Collection[str]) -> dict[str, np.ndarray]:
    """The values that the model itself has for inputs that were not given.

    Raises:
        UsageError: one cannot be read.
    """
    found = {}
    for name, raw in signature.defaults.items():
        if name in but:
            continue
        try:
            found[name] = tensor_proto.to_array(tensor_proto.decode_tensor(raw, path=path), path=path)
        except ModelError as error:
            raise UsageError(f"the default of the input {text.label(name)} cannot be read: {error}") from error
    return found


# -- tensors by name --


def plan_fetches(
    model: Model,
    meta_graph: MetaGraph,
    fetches: Sequence[str],
    feeds: Sequence[str],
    *,
    signature: str | None = None,
    function: str | None = None,
    given: Given | None = None,
    made: dict[str, np.ndarray] | None = None,
) -> Plan:
    """Tensors to give back by name, and values for tensors or for a signature's inputs.

    Args:
        fetches: `x:0`, or `x` for its first output, of the main graph or of `function`.
        feeds: `TENSOR=VALUE`, of the main graph.
        signature: whose inputs `given` are for; needed where the tensors lie in a function.
        function: the FunctionDef whose tensors are meant; without it one that has them is looked for where the main
            graph does not.
        made: arrays for all inputs of the signature, in place of `given`.

    Raises:
        UsageError: a tensor does not exist, or a value does not fit.
        ModelError: a file of inputs cannot be read.
    """
    graph, body = _place(meta_graph, fetches, function)
    for name in fetches:
        find_tensor(graph, name, body)
    arrays: dict[str, np.ndarray] = {}
    for word in feeds:
        name, equals, written = word.partition("=")
        if not equals:
            raise UsageError(f"--feed {text.visible(word)}: write TENSOR=VALUE")
        info = find_tensor(meta_graph.graph, name, None)
        if info.name in arrays:
            raise UsageError(f"{text.label(name)} is fed twice")
        arrays[info.name] = value(written, info)
    if made is not None:
        return Plan(choose_signature(meta_graph, signature).name, None, tuple(fetches), body, {**made, **arrays})
    chosen: Signature | None = None
    wants_signature = given is not None and bool(given.words or given.example or given.tfrecord or given.request)
    if body is not None or wants_signature or signature is not None:
        chosen = choose_signature(meta_graph, signature)
        arrays = {**_arrays(meta_graph, chosen, given or Given(), fed=arrays), **arrays}
    return Plan(chosen.name if chosen is not None else None, None, tuple(fetches), body, arrays)


def find_fetch(meta_graph: MetaGraph, name: str, function: str | None) -> TensorInfo:
    """A tensor to give back, of the main graph or of a function; raises as `plan_fetches`."""
    graph, body = _place(meta_graph, [name], function)
    return find_tensor(graph, name, body)


def _place(meta_graph: MetaGraph, fetches: Sequence[str], function: str | None) -> tuple[Graph, str | None]:
    """The graph that the fetches belong to, and its function's name."""
    functions = meta_graph.functions
    if function is not None:
        found = functions.get(function)
        if found is None:
            raise UsageError(f"there is no function {text.label(function)}{near(function, functions.names)}")
        return found.graph, function
    wanted = [name.partition(":")[0] for name in fetches]
    if meta_graph.graph.find(wanted[0]) is not None:
        return meta_graph.graph, None
    holders: list[str] = []
    whole: list[str] = []
    for name in functions.names:
        one = functions.get(name)
        if one is not None and _has(one.graph, wanted[0]):
            holders.append(name)
            if all(_has(one.graph, node) for node in wanted):
                whole.append(name)
    holders = whole or holders
    if len(holders) == 1:
        found = functions.get(holders[0])
        assert found is not None
        return found.graph, holders[0]
    if holders:
        listed = ", ".join(map(text.label, holders[:5])) + (f" and {len(holders) - 5} more" if len(holders) > 5 else "")
        raise UsageError(
            f"several functions have a node {text.label(wanted[0])}: choose one with --function NAME ({listed})"
        )
    return meta_graph.graph, None


def _has(graph: Graph, name: str) -> bool:
    return graph.find(name) is not None or (graph.is_function and graph.argument(name) is not None)


def find_tensor(graph: Graph, name: str, function: str | None) -> TensorInfo:
    """A tensor of a graph by name; `x` stands for `x:0`.

    Raises:
        UsageError: there is no such tensor.
    """
    where = "the main graph" if function is None else f"the function {text.label(function)}"
    node, colon, output = name.partition(":")
    if colon and not output:
        raise UsageError(f"{text.label(name)} names no tensor: write {text.label(node)} or {text.label(node)}:0")
    position = graph.find(node)
    if position is None:
        if graph.is_function and graph.argument(node) is not None:
            argument = graph.argument(node)
            assert argument is not None
            return TensorInfo(name, None, argument.dtype, argument.shape)
        raise UsageError(f"{where} has no tensor {text.label(name)}{near(node, graph.names[:100_000])}")
    resolved = graph.resolve(name if output or not graph.is_function else f"{node}")
    tensor = resolved.tensor
    outputs = graph.outputs(position)
    if output.isdecimal() or not output:
        number = int(output or "0") if len(output) < 10 else -1
        tensor = outputs[number] if 0 <= number < len(outputs) else None
    if tensor is None:
        known = graph.num_outputs(graph.node_or_blank(position))
        if known is None:  # an op that nobody here knows: TensorFlow has to say
            return TensorInfo(f"{node}:{output or 0}", f"{node}:{output or 0}", 0, None)
        raise UsageError(
            f"{text.label(node)} in {where} has no output {output or 0}: it has {text.plural(known, 'output')}"
        )
    full = tensor.name if function is None else name
    return TensorInfo(full, full, tensor.dtype, tensor.shape if tensor.shape_stored else None)
