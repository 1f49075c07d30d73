"""From the rows of a form to the call: each checked by itself, so that an error has its row."""

from __future__ import annotations

import contextlib
import json
import shlex
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import examples, form, inputs, json_values, makers, text
from tfexplore.core.arrays import called
from tfexplore.core.example_rows import build_rows, read_records
from tfexplore.core.feature_ops import EXAMPLE, Feature
from tfexplore.core.feature_spec import InputSpec
from tfexplore.core.form import Field, Form
from tfexplore.core.plan import Plan, Target, callable_signatures, defaults, find_fetch, find_tensor, plan_fetches
from tfexplore.core.shapes import format_shape
from tfexplore.core.signatures import TensorInfo
from tfexplore.core.traces import arguments
from tfexplore.errors import Cancelled, ModelError, UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    import numpy as np

    from tfexplore.core.model import Model

RECORDS = "tfrecord:"
Cancel = threading.Event | None


class Made(NamedTuple):
    """What a form came to.

    Attributes:
        plan: None where a row is wrong.
        errors: a sentence by the row's key; the key is empty where no row is to blame.
    """

    plan: Plan | None
    errors: dict[str, str]
    repeat: int = 0


def value_of(field: Field, values: Mapping[str, str]) -> str:
    """What stands in a row."""
    return values.get(field.key, field.value)


def check(whole: Form, field: Field, values: Mapping[str, str], cancel: Cancel = None) -> str | None:
    """What is wrong with one row by itself; None where nothing is.

    Raises:
        Cancelled: `cancel` was set.
    """
    try:
        _checked(whole, field, values, cancel)
    except (UsageError, ModelError) as error:
        return str(error)
    return None


def make_call(model: Model, whole: Form, values: Mapping[str, str], cancel: Cancel = None) -> Made:
    """The call that the rows describe.

    Raises:
        Cancelled: `cancel` was set.
    """
    errors: dict[str, str] = {}
    parts: dict[str, Any] = {}
    for field in whole.fields:
        if cancel is not None and cancel.is_set():
            raise Cancelled
        try:
            parts[field.key] = _checked(whole, field, values, cancel)
        except (UsageError, ModelError) as error:
            errors[field.key] = str(error)
    if errors:
        return Made(None, errors)
    try:
        plan = _plan(model, whole, values, parts)
    except (UsageError, ModelError) as error:
        return Made(None, {_blamed(whole, str(error)): str(error)})
    return Made(plan, {}, parts.get("repeat", 0))


def _blamed(whole: Form, sentence: str) -> str:
    """The row that a sentence about the whole begins with, if it does."""
    for field in whole.fields:
        if field.info is not None and field.feature is None and sentence.startswith(called(field.info)):
            return field.key
    return ""


def _checked(whole: Form, field: Field, values: Mapping[str, str], cancel: Cancel) -> Any:
    """What a row stands for: an array, the message of a feature, a name, a number; None where it says nothing."""
    given = value_of(field, values)
    if field.kind == form.INPUT:
        assert field.info is not None
        if not given and whole.signature is not None and field.info.name in whole.signature.defaults:
            return None
        if not given and field.info.tensor in _fed(whole, values):
            return None
        if not given:
            raise UsageError(f"{called(field.info)} is missing: write JSON, @FILE, zeros, ones or random")
        return inputs.value(given, field.info)
    if field.kind == form.EXAMPLES:
        return _messages(field, given, cancel) if given else None
    if field.kind == form.FEATURE:
        assert field.feature is not None
        assert field.spec is not None
        if values.get(field.owner):  # the row of its input says it all
            return None
        value = feature_value(field.feature, given)
        where = f"{text.label(field.spec.input)}"
        if value is None:
            if field.feature.required:
                raise UsageError(f"the feature {_feature_facts(field.feature)} is missing, and it has no default")
            return None
        return examples.message(value, field.feature, where)
    if field.kind == form.REPEAT:
        return form.repeats(given)
    return _checked_name(whole, field, values, given)


def _checked_name(whole: Form, field: Field, values: Mapping[str, str], given: str) -> Any:
    meta_graph = whole.choice.meta_graph
    if field.kind == form.TRACE:
        if given.strip() not in map(str, range(1, len(whole.choice.traces) + 1)):
            raise UsageError(f"there are the traces 1 to {len(whole.choice.traces)}")
        return None
    if not given:
        return None
    if field.kind == form.SIGNATURE:
        names = [one.name for one in callable_signatures(meta_graph)]
        if given not in names:
            raise UsageError(f"there is no signature {text.label(given)}{json_values.near(given, names)}")
    elif field.kind == form.BODY:
        if meta_graph.functions.get(given) is None:
            near = json_values.near(given, meta_graph.functions.names)
            raise UsageError(f"there is no function {text.label(given)}{near}")
    elif field.kind == form.FETCH:
        find_fetch(meta_graph, given, values.get("body") or None)
    elif field.kind == form.FEED:
        name, equals, written = given.partition("=")
        if not equals:
            raise UsageError(f"{text.visible(given)}: write TENSOR=VALUE")
        inputs.value(written, find_tensor(meta_graph.graph, name, None))
    return given


def _feature_facts(feature: Feature) -> str:
    return f"{text.label(feature.name)} ({dtypes.name(feature.dtype)} {format_shape(feature.shape)})"


def feature_value(feature: Feature, given: str) -> Any:
    """A feature's value as JSON has it; None where it is left out. Bare words are a string where strings are taken.

    Raises:
        UsageError: it is neither JSON nor a file nor a maker.
    """
    given = given.strip()
    if given in ("", "null"):
        return None
    if given.startswith("@") or makers.split(given) is not None:
        return _plain(inputs.value(given, form.feature_info(feature)))
    if dtypes.base(feature.dtype) == dtypes.STRING and given[:1] not in ('"', "[", "{"):
        return given
    return json_values.parse(given, _feature_facts(feature))


def _plain(array: np.ndarray) -> Any:
    from tfexplore.core.values import to_plain

    if array.dtype.kind != "O":
        return to_plain(array)
    import base64

    if array.ndim == 0:
        value: Any = array[()]
        return {"b64": base64.b64encode(value).decode("ascii")}
    return [_plain(array[index, ...]) for index in range(array.shape[0])]


def _messages(field: Field, given: str, cancel: Cancel) -> np.ndarray:
    """What stands in the row of an input that is parsed: rows of Examples, records, or a value of the input itself."""
    assert field.info is not None
    if given.startswith(RECORDS):
        return inputs.messages(read_records(given[len(RECORDS) :], cancel), field.info, field.spec)
    if _is_rows(given):
        return inputs.messages(build_rows(given, field.spec, cancel=cancel), field.info, field.spec)
    return inputs.value(given, field.info)


def _is_rows(given: str) -> bool:
    return given.startswith(("@", "{")) or given.replace(" ", "").startswith("[{")


# -- the call --


def _fed(whole: Form, values: Mapping[str, str]) -> set[str | None]:
    """The full names of the tensors that are fed by name, of those that there are."""
    found: set[str | None] = set()
    for field in whole.fields:
        name = values.get(field.key, "").partition("=")[0] if field.kind == form.FEED else ""
        if name:
            with contextlib.suppress(UsageError):
                found.add(find_tensor(whole.choice.meta_graph.graph, name, None).name)
    return found


def _arrays(whole: Form, values: Mapping[str, str], parts: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of the signature's inputs, complete but for those whose tensors are fed by name."""
    assert whole.signature is not None
    found: dict[str, np.ndarray] = {}
    fed = _fed(whole, values)
    left_out: set[str] = set()
    for field in whole.fields:
        if field.info is None or field.kind == form.FEATURE:
            continue
        if field.info.tensor in fed:
            if values.get(field.key):
                raise UsageError(f"{called(field.info)} and the tensor that it feeds are both given: empty one of them")
            left_out.add(field.info.name)
            continue
        array = parts[field.key]
        if array is None and field.kind == form.EXAMPLES:
            assert field.spec is not None
            array = _example(whole, field, parts, field.info, field.spec)
        if array is not None:
            found[field.info.name] = array
    known = {**whole.signature.defaults, **dict.fromkeys(left_out, b"")}
    found = inputs.complete(whole.signature._replace(defaults=known), found)
    return {**defaults(whole.signature, whole.choice.meta_graph.path, [*found, *left_out]), **found}


def _example(whole: Form, field: Field, parts: Mapping[str, Any], info: TensorInfo, spec: InputSpec) -> np.ndarray:
    """One Example of the features, as often as the input's shape asks for."""
    message = examples.serialized(
        {
            (one.feature.part, one.feature.name): parts[one.key]
            for one in whole.fields
            if one.feature is not None and one.owner == field.key and parts[one.key] is not None
        },
        sequence=spec.sequence,
    )
    count = 1
    for size in makers.concrete(info.shape):
        count *= size
    return inputs.messages([message] * max(1, min(count, 65_536)), info, spec)


def _plan(model: Model, whole: Form, values: Mapping[str, str], parts: Mapping[str, Any]) -> Plan:
    choice = whole.choice
    meta_graph = choice.meta_graph
    if choice.kind == form.BY_FUNCTION:
        assert whole.trace is not None
        return Plan(None, choice.name, (), None, _arrays(whole, values, parts), arguments(choice.name, whole.trace))
    made = _arrays(whole, values, parts) if whole.signature is not None else None
    if choice.kind == form.BY_SIGNATURE:
        return Plan(choice.name, None, (), None, made or {})
    fetches = [parts[field.key] for field in whole.fields if field.kind == form.FETCH and parts[field.key]]
    if not fetches:
        raise UsageError("name at least one tensor to fetch")
    feeds = [parts[field.key] for field in whole.fields if field.kind == form.FEED and parts[field.key]]
    body = values.get("body") or None
    name = whole.signature.name if whole.signature is not None else None
    return plan_fetches(model, meta_graph, fetches, feeds, signature=name, function=body, made=made)


# -- as a command line --


def command_line(model: Model, target: Target, whole: Form, values: Mapping[str, str], plan: Plan) -> str:
    """The same call by `tfexplore predict`.

    Args:
        plan: what the form came to.

    Raises:
        UsageError: it has no short command line; says why.
    """
    choice = whole.choice
    words = ["tfexplore", "predict", model.path]
    if len(model.meta_graphs) > 1:
        words += ["--tag-set", ",".join(target.tag_set or ())]
    if choice.kind == form.BY_FUNCTION:
        if whole.trace is not choice.traces[form.first_trace(choice.traces)]:
            raise UsageError("a command line takes the first trace that fits, and this is another")
        words += ["--call", choice.name]
    elif choice.kind == form.BY_SIGNATURE:
        words += ["--signature", choice.name]
    parsed = [field for field in whole.fields if field.kind == form.EXAMPLES]
    for field in whole.fields:
        given = value_of(field, values)
        if field.kind in (form.INPUT, form.EXAMPLES) and field.name not in plan.arrays:  # its tensor is fed by name
            continue
        if field.kind == form.EXAMPLES and (not given or _is_rows(given) or given.startswith(RECORDS)):
            if len(parsed) > 1 or choice.kind == form.BY_FUNCTION:  # --example knows one input, of a signature
                words += ["--input", f"{field.name}={json.dumps(_plain(plan.arrays[field.name]))}"]
            elif given.startswith(RECORDS):
                words += ["--tfrecord", given[len(RECORDS) :]]
            else:
                words += ["--example", given or json.dumps(_row(whole, field, values))]
        elif field.kind in (form.INPUT, form.EXAMPLES) and given:
            words += ["--input", f"{field.name}={given}"]
        elif field.kind in _FLAGS and given and (field.kind != form.REPEAT or form.repeats(given)):
            words += [_FLAGS[field.kind], given]
    if not all(map(str.isprintable, words)):
        raise UsageError("a name holds what no command line can show")
    return " ".join(map(shlex.quote, words))


_FLAGS = {
    form.SIGNATURE: "--signature",
    form.BODY: "--function",
    form.FETCH: "--fetch",
    form.FEED: "--feed",
    form.REPEAT: "--repeat",
}


def _row(whole: Form, owner: Field, values: Mapping[str, str]) -> dict[str, Any]:
    """The features as `--example` takes them."""
    parts: dict[str, dict[str, Any]] = {}
    for field in whole.fields:
        if field.feature is None or field.owner != owner.key:
            continue
        value = feature_value(field.feature, value_of(field, values))
        if value is not None:
            parts.setdefault(field.feature.part, {})[field.feature.name] = value
    if EXAMPLE not in parts:
        return dict(parts)
    return {name: value for part in parts.values() for name, value in part.items()}
