"""tf.train.Example and SequenceExample: made from JSON objects by a feature spec, and read back to be looked at.

Entries are written in sorted order, so that the same object gives the same bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Mapping
from typing import Any

from tfexplore.core import json_values, text
from tfexplore.core.feature_ops import CONTEXT, EXAMPLE, FEATURE_LISTS, FIXED, SEQUENCE, Feature
from tfexplore.core.feature_spec import InputSpec
from tfexplore.core.shapes import format_shape, num_elements
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes, parts, wire
from tfexplore.formats.proto import lean

_FLOAT32, _INT64 = 1, 9
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
# What of an Example is shown.
MAX_FEATURES, MAX_VALUES, _MAX_DECODED = 1_000, 64, 1 << 20


def build(row: Mapping[str, Any], spec: InputSpec | None, where: str = "--example", *, extra: bool = False) -> bytes:
    """The serialized Example (or SequenceExample) that a JSON object stands for.

    A value is a number, a string, `{"b64": …}`, or a list of them; null is a missing feature. The feature lists of
    a SequenceExample are lists of steps; its object may be flat, or be `{"context": {…}, "feature_lists": {…}}`.

    Args:
        row: the JSON object.
        spec: what the model asks for; without one, or with one of which no feature is known, whole numbers become
            int64, other numbers float, strings bytes.
        where: what the object is called in an error: `rows.jsonl, line 3`.
        extra: whether names beyond the spec are left out, where every feature of it is there.

    Raises:
        UsageError: a feature is missing, unknown, of the wrong type, or has the wrong number of values.
    """
    if not isinstance(row, Mapping):
        raise UsageError(
            f"{where}: expected a JSON object with a value for each feature, got {json_values.describe(row)}"
        )
    given = _by_part(row, spec, where)
    if spec is not None and spec.features:
        _check_names(given, spec, where, extra)
        found = {
            (feature.part, feature.name): message(given[feature.part][feature.name], feature, where)
            for feature in spec.features
            if given.get(feature.part, {}).get(feature.name) is not None
        }
    else:
        found = {
            (part, name): _guessed(value, part, f"{where}: the feature {text.label(name)}")
            for part, values in given.items()
            for name, value in values.items()
            if value is not None
        }
    return serialized(found, sequence=bool(given.keys() - {EXAMPLE}) or (spec is not None and spec.sequence))


def _by_part(row: Mapping[str, Any], spec: InputSpec | None, where: str) -> dict[str, Mapping[str, Any]]:
    """The object's values by the part of the message that they belong to."""
    names = {CONTEXT, FEATURE_LISTS}
    explicit = bool(row) and row.keys() <= names and all(isinstance(part, Mapping) for part in row.values())
    if spec is None or not spec.features:
        return {part: row[part] for part in row} if explicit else {EXAMPLE: row}
    by_name: dict[str, list[str]] = {}
    for feature in spec.features:
        by_name.setdefault(feature.name, []).append(feature.part)
    if explicit and spec.sequence and not names & by_name.keys():
        found = {part: row[part] for part in row}
        # A model that parses Examples as well takes them from the context.
        return found | ({EXAMPLE: row[CONTEXT]} if CONTEXT in row and _has_part(spec, EXAMPLE) else {})
    parts_of: dict[str, dict[str, Any]] = {}
    first = CONTEXT if spec.sequence else EXAMPLE
    for name, value in row.items():
        homes = by_name.get(name, [first])
        if FEATURE_LISTS in homes and len(homes) > 1:
            raise UsageError(
                f"{where}: {text.label(name)} is in the context and in the feature lists; "
                'write {"context": {…}, "feature_lists": {…}}'
            )
        for home in homes:
            parts_of.setdefault(home, {})[name] = value
    return dict(parts_of)


def _has_part(spec: InputSpec, part: str) -> bool:
    return any(feature.part == part for feature in spec.features)


def _check_names(given: Mapping[str, Mapping[str, Any]], spec: InputSpec, where: str, extra: bool) -> None:
    known = {(feature.part, feature.name) for feature in spec.features}
    for feature in spec.features:
        if feature.required and given.get(feature.part, {}).get(feature.name) is None:
            raise UsageError(f"{where}: {_called(feature)} is missing, and the model has no default for it")
    if extra and all(name in given.get(part, ()) for part, name in known):
        return
    names = {name for _, name in known}
    for part, values in given.items():
        for name in values:
            if (part, name) in known or (part in (CONTEXT, EXAMPLE) and _is_twin(name, known)):
                continue
            raise UsageError(
                f"{where}: the model parses no feature {text.label(name)}"
                f"{json_values.near(name, sorted(names - set(values)) or sorted(names))}"
            )


def _is_twin(name: str, known: Collection[tuple[str, str]]) -> bool:
    """The context of a SequenceExample lies where an Example has its features."""
    return (CONTEXT, name) in known or (EXAMPLE, name) in known


def _called(feature: Feature) -> str:
    kind = "feature list" if feature.part == FEATURE_LISTS else "feature"
    return f"the {kind} {text.label(feature.name)} ({dtypes.name(feature.dtype)} {format_shape(feature.shape)})"


def message(value: Any, feature: Feature, where: str = "an Example") -> Any:
    """The lean Feature message of a JSON value, or the FeatureList message where the feature is one of lists.

    Raises:
        UsageError: it does not fit.
    """
    where = f"{where}: {_called(feature)}"
    if feature.part != FEATURE_LISTS:
        return _feature(_values(value, feature.kind, feature.shape, where), feature.dtype, where)
    if not isinstance(value, list):
        raise UsageError(f"{where}: expected a list of steps, got {json_values.describe(value)}")
    step = feature.shape[1:] if feature.shape is not None else None
    kind = FIXED if feature.kind == SEQUENCE else feature.kind
    return lean("FeatureList")(
        feature=[
            _feature(_values(part, kind, step, f"{where}, step {number}"), feature.dtype, where)
            for number, part in enumerate(value)
        ]
    )


def _values(value: Any, kind: str, shape: Any, where: str) -> list[Any]:
    """A value's elements, where they are as many as the feature takes."""
    given, leaves = json_values.flatten(value, where)
    if kind == FIXED and shape is not None:
        wanted = num_elements(shape)
        if given != shape and (len(given) > 1 or len(leaves) != wanted):
            raise UsageError(f"{where}: expected {_many(wanted)}, got {_shaped(given, leaves)}")
    elif kind == SEQUENCE and shape is not None:
        step = num_elements(shape[1:]) or 1
        if (len(given) > 1 and given[1:] != shape[1:]) or len(leaves) % step:
            raise UsageError(f"{where}: expected steps of {_many(step)}, got {_shaped(given, leaves)}")
    elif len(given) > 1:
        raise UsageError(f"{where}: expected a flat list, got {_shaped(given, leaves)}")
    return leaves


def _many(count: int | None) -> str:
    return "another number of values" if count is None else text.plural(count, "value")


def _shaped(given: tuple[int, ...], leaves: list[Any]) -> str:
    return (
        f"{text.plural(len(leaves), 'value')} in the shape {format_shape(given)}"
        if len(given) > 1
        else (text.plural(len(leaves), "value"))
    )


def _feature(leaves: list[Any], dtype: int, where: str) -> Any:
    found = lean("Feature")()
    if dtype == dtypes.STRING:
        found.bytes_list.value.extend(json_values.to_bytes(leaf, where) for leaf in leaves)
        found.bytes_list.SetInParent()
    elif dtype == _INT64:
        found.int64_list.value.extend(_whole(leaf, where) for leaf in leaves)
        found.int64_list.SetInParent()
    elif dtype == _FLOAT32:
        found.float_list.value.extend(_float(leaf, where) for leaf in leaves)
        found.float_list.SetInParent()
    else:
        raise UsageError(f"{where}: an Example holds int64, float32 and string, no {dtypes.name(dtype)}")
    return found


def _whole(leaf: Any, where: str) -> int:
    if isinstance(leaf, bool) or not isinstance(leaf, int):
        raise UsageError(f"{where}: expected a whole number, got {json_values.describe(leaf)}")
    if not -(2**63) <= leaf < 2**63:
        raise UsageError(f"{where}: {json_values.describe(leaf)} does not fit into int64")
    return leaf


def _float(leaf: Any, where: str) -> float:
    if isinstance(leaf, str) and leaf in _NUMBERS:
        return _NUMBERS[leaf]
    if isinstance(leaf, bool) or not isinstance(leaf, (int, float)):
        raise UsageError(f"{where}: expected a number, got {json_values.describe(leaf)}")
    try:
        number = float(leaf)
        struct.pack("<f", number)
        return number
    except OverflowError:
        raise UsageError(f"{where}: {json_values.describe(leaf)} does not fit into float32") from None


def _guessed(value: Any, part: str, where: str) -> Any:
    """A Feature message by the JSON types, or a FeatureList message."""
    if part == FEATURE_LISTS:
        if not isinstance(value, list):
            raise UsageError(f"{where}: expected a list of steps, got {json_values.describe(value)}")
        return lean("FeatureList")(feature=[_guessed(step, EXAMPLE, where) for step in value])
    leaves = json_values.flatten(value, where)[1]
    if not leaves:  # of no type at all, as if it were not there
        return lean("Feature")()
    if all(isinstance(leaf, str) or json_values.is_b64(leaf) for leaf in leaves):
        return _feature(leaves, dtypes.STRING, where)
    if all(isinstance(leaf, int) and not isinstance(leaf, bool) for leaf in leaves):
        return _feature(leaves, _INT64, where)
    return _feature(leaves, _FLOAT32, where)


def serialized(found: Mapping[tuple[str, str], Any], *, sequence: bool) -> bytes:
    """The bytes of an Example or SequenceExample of such messages, by (part, name)."""
    whole = lean("SequenceExample" if sequence else "Example")()
    if not sequence:
        whole.features.SetInParent()
    entries = {(part == FEATURE_LISTS, text.encode(name)): value for (part, name), value in found.items()}
    for listed, name in sorted(entries):
        if listed:
            target = whole.feature_lists.feature_list
        else:
            target = (whole.context if sequence else whole.features).feature
        target.add(key=name, value=entries[listed, name].SerializeToString())
    return bytes(whole.SerializeToString())


# -- back --


def decode(raw: bytes, *, sequence: bool = False, path: str = "a record") -> dict[str, Any]:
    """An Example's bytes as plain data, to be looked at: at most 1,000 features of 64 values each.

    Returns:
        `{"features": {NAME: {"dtype", "values", "count"}}}`, for a SequenceExample `{"context": {…}, "feature_lists":
        {NAME: {"steps", "values"}}}` with such a feature for each step; strings as `text.decode` gives them. What was
        left out is counted: `"count"`, `"steps"`, and `"more"` features.

    Raises:
        CorruptError: the bytes are none.
    """
    what = "SequenceExample" if sequence else "Example"
    message = parts.decode(lean(what), raw, path=path, what=what)
    if not sequence:
        return {"features": _decoded_map(message.features.feature, "Feature", path)}
    return {
        "context": _decoded_map(message.context.feature, "Feature", path),
        "feature_lists": _decoded_map(message.feature_lists.feature_list, "FeatureList", path),
    }


def _decoded_map(entries: Any, kind: str, path: str) -> dict[str, Any]:
    found = {text.decode(entry.key): entry.value for entry in entries}
    shown = {name: _decoded(found[name], kind, path) for name in sorted(found)[:MAX_FEATURES]}
    return shown | ({"…": {"more": len(found) - MAX_FEATURES}} if len(found) > MAX_FEATURES else {})


def _decoded(raw: bytes, kind: str, path: str) -> dict[str, Any]:
    if len(raw) > _MAX_DECODED:
        return {"dtype": None, "values": [], "bytes": len(raw)}
    message = wire.decode(lean(kind), raw, path=path, what=kind, offset=None)
    if kind == "Feature":
        return _decoded_feature(message)
    steps = [_decoded_feature(step) for step in message.feature[:MAX_VALUES]]
    return {"steps": len(message.feature), "values": steps}


def _decoded_feature(message: Any) -> dict[str, Any]:
    kind = message.WhichOneof("kind")
    if kind is None:
        return {"dtype": None, "values": [], "count": 0}
    values = getattr(message, kind).value
    shown = list(values[:MAX_VALUES])
    if kind == "bytes_list":
        return {"dtype": "string", "values": list(map(text.decode, shown)), "count": len(values)}
    return {"dtype": "int64" if kind == "int64_list" else "float32", "values": shown, "count": len(values)}
