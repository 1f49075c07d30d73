"""The feature spec of a model: which Examples its string inputs must hold, recovered from its parsing ops."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import text
from tfexplore.core.feature_ops import EXAMPLE, PARSING_OPS, SEQUENCE, SINGLE_OPS, Feature, read
from tfexplore.core.reach import Reach, Use
from tfexplore.core.shapes import Shape, format_shape, num_elements
from tfexplore.core.wiring import Wiring
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes, tensor_proto
from tfexplore.formats.graph_def import split_input

if TYPE_CHECKING:
    import numpy as np

    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.objects import ObjectGraph
    from tfexplore.core.signatures import Signature

IMAGE_OPS = frozenset({
    "DecodeJpeg", "DecodePng", "DecodeImage", "DecodeBmp", "DecodeGif", "DecodeAndCropJpeg", "DecodeWebP",
    "ExtractJpegShape",
})  # fmt: skip
# Elements of a default that are shown.
_MAX_SHOWN = 16


class InputSpec(NamedTuple):
    """What one string input must hold.

    Attributes:
        signature: whose input it is; None for a function of the object graph or an input of a bare graph.
        call: the function's path in the object graph (`--call`); None for any other.
        input: the input's name.
        sequence: whether it is a SequenceExample (in part or always); else an Example. False for images.
        batch: whether the input takes a list of serialized messages; False where it takes one.
        base64: whether each must be in web-safe base64.
        features: empty where none could be recovered (see `problems`), and for images.
        problems: a sentence for each thing that cannot be told.
        image_ops: the decoding ops that the input feeds, sorted; empty where it feeds none.
    """

    signature: str | None
    call: str | None
    input: str
    sequence: bool
    batch: bool
    base64: bool
    features: tuple[Feature, ...]
    problems: tuple[str, ...]
    image_ops: tuple[str, ...] = ()

    @property
    def is_parsed(self) -> bool:
        """Whether the input feeds parsing ops."""
        return bool(self.features or self.problems)


def input_specs(
    meta_graph: MetaGraph, signature: Signature, cancel: threading.Event | None = None
) -> tuple[InputSpec, ...]:
    """What each string input of a signature that feeds parsing or image-decoding ops must hold.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """
    if not any(_is_string(info.dtype) for info in signature.inputs) or not _has_any(meta_graph, cancel):
        return ()
    return tuple(spec for spec, _ in _of_signature(Wiring(meta_graph, cancel), signature))


def feature_specs(meta_graph: MetaGraph, cancel: threading.Event | None = None) -> list[InputSpec]:
    """What all inputs that feed parsing ops must hold: those of the signatures, then those of functions of the object
    graph whose parsing ops no signature reaches; of a graph without signatures the placeholders.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """
    if not _has_any(meta_graph, cancel):
        return []
    wiring = Wiring(meta_graph, cancel)
    found: list[InputSpec] = []
    reached: set[tuple[str | None, int]] = set()
    for signature in meta_graph.signatures:
        for spec, uses in _of_signature(wiring, signature):
            found.append(spec)
            reached.update((use.function, use.position) for use in uses)
    for spec, uses in _of_functions(wiring, meta_graph.objects):
        places = {(use.function, use.position) for use in uses}
        if not places <= reached:
            found.append(spec)
            reached |= places
    if not meta_graph.signatures:
        found += _of_placeholders(wiring, meta_graph)
    return [spec for spec in found if spec.is_parsed]


def call_specs(
    meta_graph: MetaGraph, function: str, call: str, cancel: threading.Event | None = None
) -> list[InputSpec]:
    """As `input_specs`, for the arguments of a concrete function; `call` is what the person calls it."""
    return [spec for spec, _ in _of_function(Wiring(meta_graph, cancel), function, call)]


def path_specs(meta_graph: MetaGraph, call: str, cancel: threading.Event | None = None) -> tuple[InputSpec, ...]:
    """As `input_specs`, for a function of the object graph; of its concrete functions the first that parses an input.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """
    if not _has_any(meta_graph, cancel):
        return ()
    wiring = Wiring(meta_graph, cancel)
    found: dict[str, InputSpec] = {}
    for name, path in _concrete_functions(meta_graph.objects):
        if path == call:
            for spec, _ in _of_function(wiring, name, call):
                found.setdefault(spec.input, spec)
    return tuple(found.values())


def default_of(feature: Feature) -> Any:
    """The default as plain data (see `values.to_plain`), in the feature's shape; None where there is none.

    One of over 16 elements, or one that is damaged, is `{"dtype", "shape"}`.
    """
    if feature.default is None:
        return None
    from tfexplore.core.attrs import plain_tensor
    from tfexplore.core.values import to_plain

    found = _array(feature, _MAX_SHOWN)
    return plain_tensor(feature.default, "") if found is None else to_plain(found)


def default_text(feature: Feature) -> str:
    """The default as one line of visible text; `required` where parsing fails without the feature."""
    if feature.required:
        return "required"
    if feature.default is None:
        return "-"
    from tfexplore.core.values import format_flat

    found = _array(feature, 2**16)
    if found is None:
        return f"(of {format_shape(feature.shape)})"
    return format_flat(found, _MAX_SHOWN)


def feature_sentence(spec: InputSpec, feature: Feature) -> str:
    """What one feature is, in visible text."""
    message = "SequenceExample" if spec.sequence else "Example"
    where = "" if feature.part == EXAMPLE else f" in {feature.part}"
    without = "parsing fails without it"
    if feature.kind == SEQUENCE and not feature.required:
        without = "it may be missing" + ("" if feature.default is None else f", {default_text(feature)} pads it")
    elif not feature.required:
        without = "it may be missing" if feature.default is None else f"without it it is {default_text(feature)}"
    whose = text.label(spec.input)
    return (
        f"A {feature.kind} feature{where} of the tf.train.{message}s that {whose} takes: "
        f"{dtypes.name(feature.dtype)} {format_shape(feature.shape)}; {without}."
    )


def _array(feature: Feature, limit: int) -> np.ndarray | None:
    """The default in the feature's shape; None where it has more than `limit` elements or is damaged."""
    assert feature.default is not None
    try:
        message = tensor_proto.decode_tensor(feature.default, path="")
        dims = tensor_proto.dims(message)
        elements = num_elements(dims)
        if elements is None or elements > limit:
            return None
        found = tensor_proto.to_array(message, path="")
    except ModelError:
        return None
    # TensorFlow reshapes what was given to the feature's shape.
    shape = feature.shape
    if shape is None or num_elements(shape) != elements or len(shape) > tensor_proto.MAX_DIMS:
        return found
    return found.reshape([size or 0 for size in shape])


# -- where the search starts --

_Found = tuple[InputSpec, list[Use]]


def _is_string(dtype: int) -> bool:
    return dtypes.base(dtype) == dtypes.STRING


def _has_any(meta_graph: MetaGraph, cancel: threading.Event | None) -> bool:
    """Whether any graph has an op that is looked for; most models end here."""
    wanted = PARSING_OPS | IMAGE_OPS
    meta_graph.graph.load(cancel)
    if not wanted.isdisjoint(meta_graph.graph.ops):
        return True
    functions = meta_graph.functions
    for name in functions.names:
        function = functions.get(name)
        try:
            if function is not None:
                function.graph.load(cancel)
                if not wanted.isdisjoint(function.graph.ops):
                    return True
        except ModelError:
            continue
    return False


def _of_signature(wiring: Wiring, signature: Signature) -> Iterator[_Found]:
    for info in signature.inputs:
        if not _is_string(info.dtype) or not info.tensor:
            continue
        name, output, _ = split_input(info.tensor)
        number = int(output) if output.isdecimal() and len(output) < 10 else 0
        found = _search(wiring, (signature.name, None, info.name), (None, name, number), info.shape)
        if found is not None:
            yield found


def _concrete_functions(objects: ObjectGraph | None) -> Iterator[tuple[str, str]]:
    """The concrete functions of the object graph, each with the path that it is called by."""
    for node_id in objects.walk if objects is not None else ():
        assert objects is not None
        message = objects.message(node_id)
        kind = message.WhichOneof("kind")
        if kind == "function":
            names = message.function.concrete_functions
        elif kind == "bare_concrete_function":
            names = [message.bare_concrete_function.concrete_function_name]
        else:
            continue
        call = objects.path(node_id) or f"object {node_id}"
        for name in map(text.decode, names):
            yield name, call


def _of_functions(wiring: Wiring, objects: ObjectGraph | None) -> Iterator[_Found]:
    seen: set[str] = set()
    for name, call in _concrete_functions(objects):
        if name not in seen:  # of a function with several names the first counts
            seen.add(name)
            yield from _of_function(wiring, name, call)


def _of_function(wiring: Wiring, name: str, call: str) -> Iterator[_Found]:
    function = wiring.function(name)
    if function is None:
        return
    for argument in function.inputs:
        if _is_string(argument.dtype):
            shape = argument.shape if argument.shape_stored else None
            found = _search(wiring, (None, call, argument.name), (name, argument.name, 0), shape)
            if found is not None:
                yield found


def _of_placeholders(wiring: Wiring, meta_graph: MetaGraph) -> Iterator[InputSpec]:
    graph = meta_graph.graph
    for position in [*graph.nodes_by_op("Placeholder"), *graph.nodes_by_op("PlaceholderWithDefault")]:
        outputs = graph.outputs(position)
        if len(outputs) == 1 and _is_string(outputs[0].dtype):
            tensor = outputs[0]
            shape = tensor.shape if tensor.shape_stored else None
            start = (None, graph.names[position], 0)
            found = _search(wiring, (None, None, tensor.name), start, shape)
            if found is not None:
                yield found[0]


# -- one search --


def _search(
    wiring: Wiring,
    owner: tuple[str | None, str | None, str],
    start: tuple[str | None, str, int],
    shape: Shape,
) -> _Found | None:
    """What one input must hold; None where it feeds no such op."""
    reach = Reach(wiring, PARSING_OPS | IMAGE_OPS)
    reach.follow(*start)
    if not reach.uses and reach.complete:
        return None
    asked: list[Feature] = []
    problems: list[str] = []
    image_ops = set()
    parsing = []
    for use in reach.uses:
        op = reach.node(use).op
        if op in IMAGE_OPS:
            image_ops.add(op)
            continue
        parsing.append(op)
        parsed = read(reach, use)
        asked += parsed.features
        problems += parsed.problems
    if not reach.complete:
        problems.append("the graph could not be followed to its end: there may be more features")
    features = tuple(_merged(asked, problems))
    if parsing and not features and not problems:
        problems.append("the parsing ops ask for no feature")
    single = bool(parsing) and all(op in SINGLE_OPS for op in parsing)
    batch = bool(shape) if shape is not None else not single
    spec = InputSpec(
        *owner,
        any(feature.part != EXAMPLE for feature in features) or (bool(parsing) and all("Seq" in op for op in parsing)),
        batch,
        any(use.base64 for use in reach.uses),
        features,
        tuple(dict.fromkeys(problems)),
        tuple(sorted(image_ops)),
    )
    return spec, [use for use in reach.uses if reach.node(use).op in PARSING_OPS]


def _merged(asked: Iterable[Feature], problems: list[str]) -> list[Feature]:
    """Each feature once, sorted by part and name: several ops may ask for the same one."""
    found: dict[tuple[str, str], Feature] = {}
    for feature in asked:
        key = feature.part, feature.name
        first = found.setdefault(key, feature)
        if (first.dtype, first.kind, first.shape) != (feature.dtype, feature.kind, feature.shape):
            problems.append(
                f"the feature {text.label(feature.name)} is parsed twice: as {_words(first)} and as {_words(feature)}"
            )
        if feature.required and not first.required:
            found[key] = first._replace(required=True, default=None)
    return [found[key] for key in sorted(found)]


def _words(feature: Feature) -> str:
    return f"{feature.kind} {dtypes.name(feature.dtype)} {format_shape(feature.shape)}"
