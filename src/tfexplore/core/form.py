"""The form of a call: a row for each thing that can be given, filled with defaults or automatic values."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import auto_inputs, makers, text
from tfexplore.core.feature_ops import FEATURE_LISTS, FIXED, Feature
from tfexplore.core.feature_spec import InputSpec, default_of, input_specs, path_specs
from tfexplore.core.plan import SERVING_DEFAULT, callable_signatures, choose_signature
from tfexplore.core.shapes import Shape, format_shape, num_elements
from tfexplore.core.signatures import Signature, TensorInfo
from tfexplore.core.traces import leaves, trace_signature, trace_text
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.model import Model

# What may be called.
BY_SIGNATURE, BY_TENSORS, BY_FUNCTION = "signature", "tensors", "function"
# What a row is for.
INPUT, EXAMPLES, FEATURE, SIGNATURE, BODY, FETCH, FEED, TRACE, REPEAT = (
    "input", "examples", "feature", "signature", "body", "fetch", "feed", "trace", "repeat",
)  # fmt: skip
MAX_REPEAT = 1_000_000
# An automatic value of more elements is not written out.
_MAX_WRITTEN = 64


class Choice(NamedTuple):
    """Something that can be called.

    Attributes:
        kind: `BY_SIGNATURE`, `BY_TENSORS` or `BY_FUNCTION`.
        name: the signature's, or the function's path in the object graph.
        note: what it takes and gives, in visible words.
        traces: of a function, as `runtime.client.Runtime.describe` gives them.
    """

    kind: str
    name: str
    meta_graph: MetaGraph
    note: str
    traces: tuple[dict[str, Any], ...] = ()

    @property
    def title(self) -> str:
        """Visible, for a list of calls."""
        return "tensors by name" if self.kind == BY_TENSORS else text.label(self.name)


class Field(NamedTuple):
    """One row.

    Attributes:
        key: tells it from the other rows, and stays the same as long as the row means the same.
        facts: dtype and shape, or what is wanted, visible.
        value: the automatic one, as the person would write it.
        empty: what the row means where it is empty, visible.
        owner: of a feature, the key of its input's row.
    """

    key: str
    kind: str
    name: str
    facts: str
    value: str
    empty: str
    info: TensorInfo | None = None
    feature: Feature | None = None
    spec: InputSpec | None = None
    owner: str = ""

    @property
    def maker(self) -> bool:
        """Whether zeros, ones and random numbers can fill it."""
        return self.kind in (INPUT, FEATURE)

    @property
    def completes(self) -> bool:
        """Whether it takes a name out of the graph."""
        return self.kind in (FETCH, FEED, BODY, SIGNATURE)


class Form(NamedTuple):
    """The rows for one call.

    Attributes:
        signature: whose inputs the rows are for; of a function its trace as if it were one.
        trace: of a function, the one that is called.
    """

    choice: Choice
    fields: tuple[Field, ...]
    signature: Signature | None
    trace: dict[str, Any] | None = None


def choices(model: Model) -> list[Choice]:
    """What can be called without having loaded the model: signatures, then tensors by name, of every MetaGraph.

    Raises:
        ModelError: a MetaGraph cannot be read.
    """
    found = []
    for meta_graph in model.meta_graphs:
        tags = f"{text.visible(','.join(meta_graph.tags)) or '(no tags)'}: " if len(model.meta_graphs) > 1 else ""
        for one in callable_signatures(meta_graph):
            note = f"{tags}{text.plural(len(one.inputs), 'input')}, {text.plural(len(one.outputs), 'output')}"
            found.append(Choice(BY_SIGNATURE, one.name, meta_graph, note))
        found.append(Choice(BY_TENSORS, "", meta_graph, f"{tags}feeds and fetches"))
    return found


def function_choices(meta_graph: MetaGraph, functions: Mapping[str, Sequence[dict[str, Any]]]) -> list[Choice]:
    """The functions of the object graph, once the child has told them; those of TensorFlow's own come last."""
    return [
        Choice(
            BY_FUNCTION,
            path,
            meta_graph,
            text.plural(len(traces), "trace") if len(traces) != 1 else f"takes {trace_text(traces[0])}",
            tuple(traces),
        )
        for path, traces in sorted(functions.items(), key=lambda one: (_is_private(one[0]), one[0]))
        if traces
    ]


def _is_private(path: str) -> bool:
    """Whether it is TensorFlow's own: what sets up a table, for instance."""
    last = path.rpartition(".")[2]
    return last.startswith("_") and last != "__call__"


Specs = dict[tuple[int, str], tuple[InputSpec, ...]]
"""What was recovered already, by the MetaGraph's identity and what is called."""


def make_form(choice: Choice, values: Mapping[str, str], specs: Specs, cancel: threading.Event | None = None) -> Form:
    """The rows of a call; which there are may depend on what the others hold.

    Args:
        values: what the person has written so far, by key.
        specs: of the signatures that were asked for before; grows.

    Raises:
        UsageError: it cannot be called from here.
        ModelError: the model cannot be read that far.
        Cancelled: `cancel` was set.
    """
    meta_graph = choice.meta_graph
    fields: list[Field] = []
    signature: Signature | None = None
    trace = None

    def inputs_of(one: Signature) -> Iterator[Field]:
        key = id(meta_graph), f"signature {one.name}"
        if key not in specs:
            specs[key] = input_specs(meta_graph, one, cancel)
        return _input_fields(one, specs[key])

    if choice.kind == BY_SIGNATURE:
        signature = choose_signature(meta_graph, choice.name)
        fields += inputs_of(signature)
    elif choice.kind == BY_FUNCTION:
        if len(choice.traces) > 1:
            facts = f"1 to {len(choice.traces)}"
            fields.append(Field("trace", TRACE, "trace", facts, str(first_trace(choice.traces) + 1), ""))
        trace = choice.traces[_trace_number(choice, values)]
        signature = trace_signature(choice.name, trace)
        key = id(meta_graph), f"function {choice.name}"
        if key not in specs:
            specs[key] = path_specs(meta_graph, choice.name, cancel)
        fields += _input_fields(signature, specs[key], " ".join(leaf.name for leaf in leaves(trace)))
    else:
        fields += _growing(FETCH, "fetch", "tensor", "(a tensor to give back: NODE or NODE:OUTPUT)", values)
        fields += _growing(FEED, "feed", "TENSOR=VALUE", "(a value for a tensor of the main graph)", values)
        if len(meta_graph.functions.names):
            fields.append(Field("body", BODY, "function", "that has them", "", "(the one that has the tensors)"))
        asked = values.get("signature", _fed_signature(meta_graph))
        names = [one.name for one in callable_signatures(meta_graph)]
        if names:
            empty = "(none: tensors are fed by name)"
            fields.append(Field("signature", SIGNATURE, "signature", "whose inputs", _fed_signature(meta_graph), empty))
        if asked in names:
            signature = choose_signature(meta_graph, asked)
            fields += inputs_of(signature)
    fields.append(Field("repeat", REPEAT, "repeat", "more calls", "", "(one call)"))
    return Form(choice, tuple(fields), signature, trace)


def _fed_signature(meta_graph: MetaGraph) -> str:
    """The signature whose inputs tensors are fetched with, unless the person says otherwise."""
    names = [one.name for one in callable_signatures(meta_graph) if one.inputs]
    return SERVING_DEFAULT if SERVING_DEFAULT in names else next(iter(names), "")


def _growing(kind: str, name: str, facts: str, empty: str, values: Mapping[str, str]) -> Iterator[Field]:
    """Rows of one kind: those that are filled, and one more."""
    filled = [int(key.partition(":")[2]) for key, value in values.items() if key.startswith(f"{kind}:") and value]
    for number in range(max(filled, default=-1) + 2):
        yield Field(f"{kind}:{number}", kind, name, facts, "", empty)


def first_trace(traces: Sequence[dict[str, Any]]) -> int:
    """The number of the trace that is called unless the person says otherwise: inference before training."""
    for number, trace in enumerate(traces):
        plain = [nest["value"] for nest in (*trace["args"], *trace["kwargs"].values()) if "value" in nest]
        if True not in plain:
            return number
    return 0


def _trace_number(choice: Choice, values: Mapping[str, str]) -> int:
    written = values.get("trace", "").strip()
    number = int(written) - 1 if written.isascii() and written.isdigit() and len(written) < 9 else -1
    return number if 0 <= number < len(choice.traces) else first_trace(choice.traces)


# -- the rows of inputs --


def _input_fields(signature: Signature, specs: Sequence[InputSpec], owner: str = "") -> Iterator[Field]:
    by_input = {spec.input: spec for spec in specs}
    for info in signature.inputs:
        spec = by_input.get(info.name)
        facts = f"{dtypes.name(info.dtype)} {format_shape(info.shape)}"
        key = f"input:{owner}:{info.name}"
        if spec is not None and spec.is_parsed and spec.features:
            message = "SequenceExample" if spec.sequence else "Example"
            empty = f"(one {message} of the features below)"
            yield Field(key, EXAMPLES, info.name, facts, "", empty, info, None, spec)
            for feature in spec.features:
                yield _feature_field(key, feature, info, spec)
            continue
        empty = "(the model's default)" if info.name in signature.defaults else "(missing)"
        value = "" if info.name in signature.defaults else _automatic(info, spec)
        yield Field(key, INPUT, info.name, facts, value, empty, info, None, spec)


def _automatic(info: TensorInfo, spec: InputSpec | None) -> str:
    """What `smoke` would try first, as the person would write it."""
    if spec is not None and spec.image_ops and not spec.is_parsed:
        shape = makers.concrete(info.shape)
        if (num_elements(shape) or 0) <= _MAX_WRITTEN and len(shape) <= 8:
            value, _ = auto_inputs.picture(spec.image_ops)
            value = base64.urlsafe_b64encode(value) if spec.base64 else value
            return json.dumps(_nested({"b64": base64.b64encode(value).decode("ascii")}, shape))
    name = dtypes.name(dtypes.base(info.dtype))
    return "random" if name.startswith(("float", "bfloat", "complex", "half")) else "zeros"


def _nested(value: Any, shape: Sequence[int]) -> Any:
    for size in reversed(shape):
        value = [value] * size
    return value


def _feature_field(key: str, feature: Feature, info: TensorInfo, spec: InputSpec) -> Field:
    part = "" if feature.part == "example" else f" in {feature.part}"
    facts = f"{dtypes.name(feature.dtype)} {format_shape(feature.shape)}{part}"
    empty = "(missing)" if feature.required else "(left out)"
    value = ""
    if feature.required:
        value = feature_text(feature, "zeros")
    elif feature.default is not None and feature.kind == FIXED:
        default = default_of(feature)
        if isinstance(default, (str, int, float, list)):
            value = json.dumps(_single(default))
        else:
            empty = "(left out: the model's default)"
    return Field(
        f"{key}/{feature.part}/{feature.name}", FEATURE, feature.name, facts, value, empty, info, feature, spec, key
    )


def _single(value: Any) -> Any:
    """One value instead of a list that holds nothing else: shorter, and as good."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def feature_text(feature: Feature, maker: str) -> str:
    """A made value of a feature as JSON; the maker's name where that would be long."""
    from tfexplore.core.values import to_plain

    shape: Shape = feature.shape
    if (num_elements(makers.concrete(shape)) or 0) > _MAX_WRITTEN:
        return maker
    array = makers.make(maker, feature_info(feature), makers.concrete(shape))
    plain = to_plain(array)
    return json.dumps(plain if feature.part == FEATURE_LISTS else _single(plain))


def feature_info(feature: Feature) -> TensorInfo:
    """A feature as if it were an input."""
    return TensorInfo(feature.name, None, feature.dtype, feature.shape)


def next_maker(field: Field, value: str) -> str:
    """What follows a row's value when its makers are cycled.

    Raises:
        UsageError: it takes no such values.
    """
    if field.feature is None:
        at = makers.MAKERS.index(value) + 1 if value in makers.MAKERS else 0
        return makers.MAKERS[at % len(makers.MAKERS)]
    made = [feature_text(field.feature, maker) for maker in makers.MAKERS]
    return made[(made.index(value) + 1) % len(made)] if value in made else made[0]


def repeats(value: str) -> int:
    """The number of the row `repeat`.

    Raises:
        UsageError: it is none.
    """
    value = value.strip() or "0"
    if not (value.isascii() and value.isdigit()) or len(value) > 9 or int(value) > MAX_REPEAT:
        raise UsageError(f"{text.visible(value)} is no number of calls from 0 to {MAX_REPEAT:,}")
    return int(value)
