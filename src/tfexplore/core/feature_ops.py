"""The parsing ops: what one node of theirs asks of an Example, read from its attributes and constants.

Inputs and attributes: tensorflow/core/ops/parsing_ops.cc. What `tf.io` makes of its feature classes:
FixedLenFeature is dense; FixedLenSequenceFeature is dense with an unknown first dimension; VarLenFeature is
sparse; SparseFeature is one sparse feature for each index key and one for the values; RaggedFeature is ragged,
and so is each key that it is partitioned by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tfexplore.core import shapes, text
from tfexplore.core.reach import Reach, Use
from tfexplore.core.shapes import Shape
from tfexplore.core.wiring import Constant
from tfexplore.errors import ModelError
from tfexplore.formats import tensor_proto

EXAMPLE, CONTEXT, FEATURE_LISTS = "example", "context", "feature_lists"
FIXED, VARIABLE, RAGGED, SEQUENCE = "fixed", "variable", "ragged", "sequence"
PARSING_OPS = frozenset({
    "ParseExample", "ParseExampleV2", "ParseSingleExample", "ParseExampleDataset", "ParseExampleDatasetV2",
    "ParseSequenceExample", "ParseSequenceExampleV2", "ParseSingleSequenceExample",
})  # fmt: skip
# Of one parsing op; a node of a few bytes can claim very many.
MAX_FEATURES = 20_000
# These take one serialized message; the others take any number, or say nothing about it.
SINGLE_OPS = frozenset(("ParseSingleExample", "ParseSingleSequenceExample"))


class Feature(NamedTuple):
    """One feature of the Examples that a parsing op takes.

    Attributes:
        part: `example`, or of a SequenceExample `context` or `feature_lists`.
        kind: `fixed`, `variable`, `ragged` or `sequence`.
        shape: of its values in one Example; None is a dimension that the Example decides.
        default: a serialized TensorProto, taken where the feature is missing; of a `sequence` what pads it.
        required: whether parsing fails where it is missing.
    """

    name: str
    part: str
    kind: str
    dtype: int
    shape: Shape
    default: bytes | None
    required: bool


class Parsed(NamedTuple):
    """What one parsing op asks for, and a sentence for each part that cannot be told."""

    features: tuple[Feature, ...]
    problems: tuple[str, ...]


def read(reach: Reach, use: Use) -> Parsed:
    """What the parsing op at a use asks for."""
    reader = _Reader(reach, use)
    _LAYOUTS[reader.node.op](reader)
    return Parsed(tuple(reader.features), tuple(dict.fromkeys(reader.problems)))


class _Reader:
    def __init__(self, reach: Reach, use: Use) -> None:
        self._reach = reach
        self._function = use.function
        self.node = reach.node(use)
        self._inputs = [name for name in self.node.inputs if not name.startswith("^")]
        self.features: list[Feature] = []
        self.problems: list[str] = []

    # -- what the node says --

    def _list(self, attr: str, field: str) -> Sequence[Any]:
        value = self.node.attr(attr)
        return getattr(value.list, field) if value is not None and value.WhichOneof("value") == "list" else ()

    def types(self, attr: str) -> Sequence[int]:
        """A list of dtypes."""
        return self._list(attr, "type")

    def shapes(self, attr: str) -> list[Shape]:
        """A list of shapes."""
        return [shapes.from_proto(shape) for shape in self._list(attr, "shape")]

    def names(self, attr: str) -> list[str]:
        """A list of names."""
        return [text.decode(name) for name in self._list(attr, "s")]

    def number(self, attr: str) -> int:
        """A count, at most the number of inputs."""
        value = self.node.attr(attr)
        return min(max(value.i, 0), len(self._inputs)) if value is not None else 0

    def constant(self, place: int) -> Constant | None:
        """The constant behind an input; None where it is computed."""
        return self._reach.constant(self._function, self._inputs[place]) if place < len(self._inputs) else None

    def scalars(self, start: int, count: int) -> list[str] | None:
        """Names that come as `count` inputs with one string each."""
        found: list[str] = []
        for place in range(start, start + count):
            names = self.vector(place, 1)
            if names is None:
                return None
            found += names
        return found

    def vector(self, place: int, count: int) -> list[str] | None:
        """Names that come as one input with `count` strings; None where they are computed."""
        if not count:
            return []
        found = self.constant(place)
        if found is None or _elements(found) != count or count > MAX_FEATURES:
            return None
        try:
            return [text.decode(name) for name in tensor_proto.strings(found.message, path="")]
        except ModelError:
            return None

    # -- features --

    def _named(self, names: list[str] | None, count: int, what: str) -> list[str]:
        if count > MAX_FEATURES:
            self.problems.append(f"{self.node.op} {text.label(self.node.name)}: {count:,} {what} features are too many")
            return []
        if names is None or len(names) != count:
            if count:
                whose = (
                    f"the name of a {what} feature is" if count == 1 else f"the names of {count:,} {what} features are"
                )
                self.problems.append(f"{self.node.op} {text.label(self.node.name)}: {whose} computed by the graph")
            return []
        return names

    def dense(
        self, part: str, names: list[str] | None, types: Sequence[int], dims: Sequence[Shape], defaults: int
    ) -> None:
        """Features of fixed shape; their defaults are the inputs from `defaults` on."""
        if len(dims) != len(types):
            self.problems.append(
                f"{self.node.op} {text.label(self.node.name)}: its shapes are not as many as its types"
            )
            return
        for number, name in enumerate(self._named(names, len(types), "dense")):
            shape = dims[number]
            sequence = shape is not None and len(shape) > 0 and shape[0] is None
            found = self.constant(defaults + number)
            raw = None if found is None else found.raw
            required = False
            if found is None:
                self.problems.append(f"the default of the feature {text.label(name)} is computed by the graph")
            elif _elements(found) == 0 and not sequence:
                raw, required = None, True
            kind = SEQUENCE if sequence else FIXED
            self.features.append(Feature(name, part, kind, types[number], shape, raw, required))

    def lists(self, names: list[str] | None, types: Sequence[int], dims: Sequence[Shape], optional: Any) -> None:
        """Feature lists with steps of fixed shape; `optional` tells by name and place which may be missing."""
        if len(dims) != len(types):
            self.problems.append(
                f"{self.node.op} {text.label(self.node.name)}: its shapes are not as many as its types"
            )
            return
        for number, name in enumerate(self._named(names, len(types), "sequence")):
            step = dims[number]
            shape = None if step is None else (None, *step)
            required = not optional(name, number)
            self.features.append(Feature(name, FEATURE_LISTS, SEQUENCE, types[number], shape, None, required))

    def free(self, part: str, kind: str, names: list[str] | None, types: Sequence[int]) -> None:
        """Features of any number of values."""
        shape: Shape = (None, None) if part == FEATURE_LISTS else (None,)
        for number, name in enumerate(self._named(names, len(types), kind)):
            self.features.append(Feature(name, part, kind, types[number], shape, None, False))


def _elements(found: Constant) -> int | None:
    return shapes.num_elements(tensor_proto.dims(found.message))


def _parse_example(reader: _Reader) -> None:
    sparse, dense = reader.number("Nsparse"), reader.number("Ndense")
    types = reader.types("Tdense")
    reader.dense(EXAMPLE, reader.scalars(2 + sparse, dense), types, reader.shapes("dense_shapes"), 2 + sparse + dense)
    reader.free(EXAMPLE, VARIABLE, reader.scalars(2, sparse), reader.types("sparse_types"))


def _parse_example_v2(reader: _Reader) -> None:
    sparse, dense, ragged = (reader.types(name) for name in ("sparse_types", "Tdense", "ragged_value_types"))
    reader.dense(EXAMPLE, reader.vector(3, len(dense)), dense, reader.shapes("dense_shapes"), 5)
    reader.free(EXAMPLE, VARIABLE, reader.vector(2, len(sparse)), sparse)
    reader.free(EXAMPLE, RAGGED, reader.vector(4, len(ragged)), ragged)


def _parse_by_attributes(reader: _Reader) -> None:
    """ParseSingleExample and the datasets, whose names are attributes."""
    first = 1 if reader.node.op == "ParseSingleExample" else 2
    reader.dense(EXAMPLE, reader.names("dense_keys"), reader.types("Tdense"), reader.shapes("dense_shapes"), first)
    reader.free(EXAMPLE, VARIABLE, reader.names("sparse_keys"), reader.types("sparse_types"))
    reader.free(EXAMPLE, RAGGED, reader.names("ragged_keys"), reader.types("ragged_value_types"))


def _parse_sequence_example(reader: _Reader) -> None:
    optional = set(reader.names("feature_list_dense_missing_assumed_empty"))
    types, dims = reader.types("Tcontext_dense"), reader.shapes("context_dense_shapes")
    reader.dense(CONTEXT, reader.names("context_dense_keys"), types, dims, 2)
    reader.free(CONTEXT, VARIABLE, reader.names("context_sparse_keys"), reader.types("context_sparse_types"))
    reader.lists(
        reader.names("feature_list_dense_keys"),
        reader.types("feature_list_dense_types"),
        reader.shapes("feature_list_dense_shapes"),
        lambda name, _: name in optional,
    )
    types = reader.types("feature_list_sparse_types")
    reader.free(FEATURE_LISTS, VARIABLE, reader.names("feature_list_sparse_keys"), types)


def _parse_sequence_example_v2(reader: _Reader) -> None:
    dense = reader.types("Tcontext_dense")
    reader.dense(CONTEXT, reader.vector(3, len(dense)), dense, reader.shapes("context_dense_shapes"), 9)
    for place, kind, attr in ((2, VARIABLE, "context_sparse_types"), (4, RAGGED, "context_ragged_value_types")):
        types = reader.types(attr)
        reader.free(CONTEXT, kind, reader.vector(place, len(types)), types)
    types = reader.types("feature_list_dense_types")
    found = reader.constant(8)
    empty = _booleans(found, len(types)) if found is not None else None
    if empty is None and types:
        reader.problems.append(
            f"whether the feature lists of {text.label(reader.node.name)} may be missing is computed"
        )
    reader.lists(
        reader.vector(6, len(types)),
        types,
        reader.shapes("feature_list_dense_shapes"),
        lambda _, number: empty is None or empty[number],
    )
    for place, kind, attr in (
        (5, VARIABLE, "feature_list_sparse_types"),
        (7, RAGGED, "feature_list_ragged_value_types"),
    ):
        types = reader.types(attr)
        reader.free(FEATURE_LISTS, kind, reader.vector(place, len(types)), types)


def _booleans(found: Constant, count: int) -> list[bool] | None:
    if _elements(found) != count:
        return None
    stored: Iterable[Any] = found.message.tensor_content or found.message.bool_val
    values = list(map(bool, stored))[:count]
    return values + (values[-1:] or [False]) * (count - len(values))


def _parse_single_sequence_example(reader: _Reader) -> None:
    counts = [
        reader.number(name)
        for name in ("Ncontext_sparse", "Ncontext_dense", "Nfeature_list_sparse", "Nfeature_list_dense")
    ]
    starts = [2 + sum(counts[:number]) for number in range(5)]
    names = [reader.scalars(start, count) for start, count in zip(starts, counts, strict=False)]
    found = reader.constant(1)
    optional: set[str] = set()
    if found is not None and (_elements(found) or 0) <= counts[3]:
        optional = set(reader.vector(1, _elements(found) or 0) or ())
    elif found is None and counts[3]:
        reader.problems.append(f"which feature lists of {text.label(reader.node.name)} may be missing is computed")
    types, dims = reader.types("Tcontext_dense"), reader.shapes("context_dense_shapes")
    reader.dense(CONTEXT, names[1], types, dims, starts[4])
    reader.free(CONTEXT, VARIABLE, names[0], reader.types("context_sparse_types"))
    types, dims = reader.types("feature_list_dense_types"), reader.shapes("feature_list_dense_shapes")
    reader.lists(names[3], types, dims, lambda name, _: name in optional)
    reader.free(FEATURE_LISTS, VARIABLE, names[2], reader.types("feature_list_sparse_types"))


_LAYOUTS = {
    "ParseExample": _parse_example,
    "ParseExampleV2": _parse_example_v2,
    "ParseSingleExample": _parse_by_attributes,
    "ParseExampleDataset": _parse_by_attributes,
    "ParseExampleDatasetV2": _parse_by_attributes,
    "ParseSequenceExample": _parse_sequence_example,
    "ParseSequenceExampleV2": _parse_sequence_example_v2,
    "ParseSingleSequenceExample": _parse_single_sequence_example,
}
