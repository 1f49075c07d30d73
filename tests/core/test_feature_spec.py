"""The recovered feature spec equals what `tf.io` was given: TensorFlow 1 and 2, functions, loops, datasets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from core.saved_model_writer import (
    attr,
    function,
    function_name,
    info,
    meta_graph,
    node,
    shape,
    signature,
    write_saved_model,
)
from tfexplore import demo
from tfexplore.core.describe import describe
from tfexplore.core.feature_spec import InputSpec, default_of, default_text, feature_specs, input_specs
from tfexplore.core.opener import open_model
from tfexplore.core.tree import root_items
from tfexplore.errors import Cancelled
from tfexplore.formats import dtypes
from tfexplore.formats.proto import lean


class Told(NamedTuple):
    """A feature as a test compares it."""

    part: str
    kind: str
    dtype: str
    shape: tuple[int | None, ...]
    default: Any
    required: bool


def told(spec: InputSpec) -> dict[str, Told]:
    return {
        feature.name: Told(
            feature.part,
            feature.kind,
            dtypes.name(feature.dtype),
            tuple(feature.shape or ()),
            default_of(feature),
            feature.required,
        )
        for feature in spec.features
    }


def specs_of(path: Path) -> list[InputSpec]:
    with open_model(str(path)) as model:
        return feature_specs(model.meta_graph())


def only(path: Path) -> InputSpec:
    found = specs_of(path)
    assert [spec.signature for spec in found] == ["serving_default"]
    assert found[0].problems == ()
    return found[0]


def fixed(dtype: str, sizes: tuple[int, ...], default: Any = None, *, part: str = "example") -> Told:
    return Told(part, "fixed", dtype, sizes, default, default is None)


def variable(dtype: str, *, part: str = "example") -> Told:
    return Told(part, "variable", dtype, (None, None) if part == "feature_lists" else (None,), None, False)


def all_kinds(tf: Any) -> dict[str, Any]:
    """One of each class of feature, as `tf.io.parse_example` takes them."""
    return {
        "f": tf.io.FixedLenFeature([], tf.float32),
        "g": tf.io.FixedLenFeature([2, 2], tf.int64, default_value=[[1, 2], [3, -4]]),
        "s": tf.io.FixedLenFeature([3], tf.string, default_value=["a", "", "c\xe9"]),
        "v": tf.io.VarLenFeature(tf.string),
        "q": tf.io.FixedLenSequenceFeature([2], tf.float32, allow_missing=True),
        "p": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True, default_value=-1),
        "sparse": tf.io.SparseFeature(["row", "column"], "value", tf.float32, [9, 9]),
        "r": tf.io.RaggedFeature(tf.int64),
        "rr": tf.io.RaggedFeature(tf.float32, "flat", partitions=[tf.io.RaggedFeature.RowLengths("lengths")]),
    }


ALL_KINDS = {
    "f": fixed("float32", ()),
    "g": fixed("int64", (2, 2), [[1, 2], [3, -4]]),
    "s": fixed("string", (3,), ["a", "", "c\xe9"]),
    "v": variable("string"),
    "q": Told("example", "sequence", "float32", (None, 2), 0.0, False),
    "p": Told("example", "sequence", "int64", (None,), -1, False),
    "row": variable("int64"),
    "column": variable("int64"),
    "value": variable("float32"),
    "r": Told("example", "ragged", "int64", (None,), None, False),
    "flat": Told("example", "ragged", "float32", (None,), None, False),
    "lengths": Told("example", "ragged", "int64", (None,), None, False),
}


def numbers(tf: Any, parsed: dict[str, Any]) -> dict[str, Any]:
    """Dense outputs of whatever was parsed: what a signature may return."""
    found = {}
    for name, value in parsed.items():
        if isinstance(value, tf.sparse.SparseTensor):
            found[name] = value.values
        elif isinstance(value, tf.RaggedTensor):
            found[name] = value.flat_values
        else:
            found[name] = value
    return found


def save(tf: Any, folder: Path, call: Callable[[Any], Any], sizes: list[int | None]) -> Path:
    """A TensorFlow 2 export whose only signature is `call` on a string tensor called `examples`."""
    module = tf.Module()
    module.call = tf.function(call, input_signature=[tf.TensorSpec(sizes, tf.string, "examples")])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call})
    return folder


def test_parse_example_in_a_function(tf: Any, tmp_path: Path) -> None:
    spec = only(save(tf, tmp_path, lambda x: numbers(tf, tf.io.parse_example(x, all_kinds(tf))), [None]))
    assert told(spec) == ALL_KINDS
    assert (spec.input, spec.batch, spec.sequence, spec.base64) == ("examples", True, False, False)


def test_parse_single_example(tf: Any, tmp_path: Path) -> None:
    features = all_kinds(tf)
    spec = only(save(tf, tmp_path, lambda x: numbers(tf, tf.io.parse_single_example(x, features)), []))
    assert told(spec) == ALL_KINDS
    assert spec.batch is False


def test_map_fn_over_single_examples(tf: Any, tmp_path: Path) -> None:
    features = {
        "f": tf.io.FixedLenFeature([2], tf.float32, default_value=[0.5, float("inf")]),
        "i": tf.io.FixedLenFeature([], tf.int64),
    }
    dtypes_of = {"f": tf.float32, "i": tf.int64}
    path = save(
        tf, tmp_path, lambda x: tf.map_fn(lambda e: tf.io.parse_single_example(e, features), x, dtypes_of), [None]
    )
    spec = only(path)
    assert told(spec) == {"f": fixed("float32", (2,), [0.5, float("inf")]), "i": fixed("int64", ())}
    assert spec.batch is True


def test_the_raw_op_for_single_examples(tf: Any, tmp_path: Path) -> None:
    def call(x: Any) -> Any:
        parsed = tf.raw_ops.ParseSingleExample(
            serialized=x,
            dense_defaults=[tf.constant([7], tf.int64), tf.constant([], tf.string)],
            num_sparse=1,
            sparse_keys=["v"],
            dense_keys=["d", "e"],
            sparse_types=[tf.float32],
            dense_shapes=[[1], [2]],
        )
        return {"d": parsed.dense_values[0], "v": parsed.sparse_values[0]}

    spec = only(save(tf, tmp_path, call, []))
    assert told(spec) == {"d": fixed("int64", (1,), [7]), "e": fixed("string", (2,)), "v": variable("float32")}
    assert spec.batch is False


CONTEXT = {
    "c": fixed("int64", (), part="context"),
    "d": fixed("float32", (2,), [1.0, 2.0], part="context"),
    "v": variable("string", part="context"),
}
LISTS = {
    "steps": Told("feature_lists", "sequence", "float32", (None, 3), None, True),
    "maybe": Told("feature_lists", "sequence", "int64", (None,), None, False),
    "words": variable("string", part="feature_lists"),
}


def sequence_features(tf: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    context = {
        "c": tf.io.FixedLenFeature([], tf.int64),
        "d": tf.io.FixedLenFeature([2], tf.float32, default_value=[1.0, 2.0]),
        "v": tf.io.VarLenFeature(tf.string),
    }
    lists = {
        "steps": tf.io.FixedLenSequenceFeature([3], tf.float32),
        "maybe": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
        "words": tf.io.VarLenFeature(tf.string),
    }
    return context, lists


@pytest.mark.parametrize("ragged", [False, True])
def test_sequence_examples(tf: Any, tmp_path: Path, ragged: bool) -> None:
    context, lists = sequence_features(tf)
    expected = CONTEXT | LISTS
    if ragged:
        context["rc"], lists["rl"] = tf.io.RaggedFeature(tf.float32), tf.io.RaggedFeature(tf.int64)
        expected = expected | {
            "rc": Told("context", "ragged", "float32", (None,), None, False),
            "rl": Told("feature_lists", "ragged", "int64", (None, None), None, False),
        }

    def call(x: Any) -> Any:
        first, second, _ = tf.io.parse_sequence_example(x, context, lists)
        return numbers(tf, first | second)

    spec = only(save(tf, tmp_path, call, [None]))
    assert told(spec) == expected
    assert (spec.sequence, spec.batch) == (True, True)


def test_single_sequence_examples(tf: Any, tmp_path: Path) -> None:
    def call(x: Any) -> Any:
        first, second = tf.io.parse_single_sequence_example(x, *sequence_features(tf))
        return numbers(tf, first | second)

    spec = only(save(tf, tmp_path, call, []))
    assert told(spec) == CONTEXT | LISTS
    assert (spec.sequence, spec.batch) == (True, False)


def test_the_first_sequence_op(tf: Any, tmp_path: Path) -> None:
    def call(x: Any) -> Any:
        parsed = tf.raw_ops.ParseSequenceExample(
            serialized=x,
            debug_name=tf.constant([], tf.string),
            context_dense_defaults=[tf.constant([], tf.int64), tf.constant([1.0, 2.0])],
            feature_list_dense_missing_assumed_empty=["maybe"],
            context_sparse_keys=["v"],
            context_dense_keys=["c", "d"],
            feature_list_sparse_keys=["words"],
            feature_list_dense_keys=["steps", "maybe"],
            Ncontext_sparse=1,
            Ncontext_dense=2,
            Nfeature_list_sparse=1,
            Nfeature_list_dense=2,
            context_sparse_types=[tf.string],
            feature_list_dense_types=[tf.float32, tf.int64],
            context_dense_shapes=[[], [2]],
            feature_list_sparse_types=[tf.string],
            feature_list_dense_shapes=[[3], []],
        )
        return {"c": parsed.context_dense_values[0]}

    assert told(only(save(tf, tmp_path, call, [None]))) == CONTEXT | LISTS


# -- ways to the op --


def small(tf: Any) -> dict[str, Any]:
    return {"n": tf.io.FixedLenFeature([], tf.int64, default_value=5), "t": tf.io.VarLenFeature(tf.string)}


SMALL = {"n": fixed("int64", (), 5), "t": variable("string")}


def nested(tf: Any, x: Any) -> Any:
    inner = tf.function(lambda e: numbers(tf, tf.io.parse_example(e, small(tf))))
    middle = tf.function(lambda e: inner(tf.reshape(tf.identity(e), [-1])))
    return middle(x)


def branched(tf: Any, x: Any) -> Any:
    def parse() -> Any:
        return tf.io.parse_example(x, small(tf))["n"]

    return {"n": tf.cond(tf.size(x) > 3, parse, lambda: tf.zeros([1], tf.int64))}


def switched(tf: Any, x: Any) -> Any:
    def parse() -> Any:
        return tf.io.parse_example(x, small(tf))["n"]

    return {"n": tf.switch_case(tf.size(x), [lambda: tf.zeros([1], tf.int64), parse, parse])}


def looped(tf: Any, x: Any) -> Any:
    def body(i: Any, total: Any) -> Any:
        return i + 1, total + tf.reduce_sum(tf.io.parse_example(x[i : i + 1], small(tf))["n"])

    return {"n": tf.while_loop(lambda i, _: i < tf.size(x), body, [tf.constant(0), tf.constant(0, tf.int64)])[1]}


def carried(tf: Any, x: Any) -> Any:
    """The strings leave a function and a loop before they are parsed."""
    pick = tf.function(lambda e: (tf.size(e), e[:1]))
    _, kept = tf.while_loop(lambda i, _: i < 1, lambda i, e: (i + 1, tf.identity(e)), [tf.constant(0), pick(x)[1]])
    return numbers(tf, tf.io.parse_example(kept, small(tf)))


def keys_as_arguments(tf: Any, x: Any) -> Any:
    """What a function parses is what it is called with: names and defaults arrive as arguments."""

    @tf.function
    def parse(serialized: Any, sparse: Any, dense: Any, default: Any) -> Any:
        parsed = tf.raw_ops.ParseExampleV2(
            serialized=serialized,
            names=tf.constant([], tf.string),
            sparse_keys=sparse,
            dense_keys=dense,
            ragged_keys=tf.constant([], tf.string),
            dense_defaults=[default],
            num_sparse=1,
            sparse_types=[tf.string],
            ragged_value_types=[],
            ragged_split_types=[],
            dense_shapes=[[]],
        )
        return parsed.dense_values[0], parsed.sparse_values[0]

    n, t = parse(x, tf.constant(["t"]), tf.identity(tf.constant(["n"])), tf.constant(5, tf.int64))
    return {"n": n, "t": t}


def dataset(tf: Any, x: Any) -> Any:
    found = tf.data.Dataset.from_tensor_slices(x).map(lambda e: tf.io.parse_single_example(e, small(tf))["n"])
    return {"n": found.reduce(tf.constant(0, tf.int64), lambda total, n: total + n)}


WAYS = [nested, branched, switched, looped, carried, keys_as_arguments, dataset]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_way_to_the_op(tf: Any, tmp_path: Path, way: Callable[[Any, Any], Any]) -> None:
    spec = only(save(tf, tmp_path, lambda x: way(tf, x), [None]))
    assert told(spec) == SMALL
    assert spec.batch is True


def test_base64_is_told(tf: Any, tmp_path: Path) -> None:
    spec = only(save(tf, tmp_path, lambda x: nested(tf, tf.io.decode_base64(x)), [None]))
    assert told(spec) == SMALL
    assert spec.base64 is True


def test_computed_names_are_told_in_a_sentence(tf: Any, tmp_path: Path) -> None:
    def call(x: Any) -> Any:
        parsed = tf.raw_ops.ParseExampleV2(
            serialized=x,
            names=tf.constant([], tf.string),
            sparse_keys=tf.constant([], tf.string),
            dense_keys=tf.strings.lower(tf.constant(["N", "M"])),
            ragged_keys=tf.constant([], tf.string),
            dense_defaults=[tf.constant(5, tf.int64), tf.constant(5, tf.int64)],
            num_sparse=0,
            sparse_types=[],
            ragged_value_types=[],
            ragged_split_types=[],
            dense_shapes=[[], []],
        )
        return {"n": parsed.dense_values[0]}

    (spec,) = specs_of(save(tf, tmp_path, call, [None]))
    assert spec.features == ()
    assert [problem.partition(": ")[2] for problem in spec.problems] == [
        "the names of 2 dense features are computed by the graph"
    ]


def test_a_computed_default_is_told_in_a_sentence(tf: Any, tmp_path: Path) -> None:
    def call(x: Any) -> Any:
        default = tf.cast(tf.size(x), tf.int64)
        return tf.io.parse_example(x, {"n": tf.io.FixedLenFeature([], tf.int64, default_value=default)})

    (spec,) = specs_of(save(tf, tmp_path, call, [None]))
    assert told(spec) == {"n": Told("example", "fixed", "int64", (), None, False)}
    assert spec.problems == ("the default of the feature n is computed by the graph",)


def test_each_signature_has_its_own(tf: Any, tmp_path: Path) -> None:
    """Two signatures, two inputs, one of them not parsed at all, and one function that both call."""
    parse = tf.function(lambda e: tf.io.parse_example(e, small(tf))["n"])
    other = {"o": tf.io.FixedLenFeature([1], tf.float32)}
    module = tf.Module()
    strings = tf.TensorSpec([None], tf.string)
    module.one = tf.function(
        lambda a, b: {"n": parse(a), "b": tf.strings.length(b)}, input_signature=[strings, strings]
    )
    module.two = tf.function(
        lambda c: {"n": parse(c), "o": tf.io.parse_example(c, other)["o"]}, input_signature=[strings]
    )
    tf.saved_model.save(module, str(tmp_path), signatures={"one": module.one, "two": module.two})
    found = {(spec.signature, spec.input): told(spec) for spec in specs_of(tmp_path)}
    assert found == {("one", "a"): SMALL, ("two", "c"): SMALL | {"o": fixed("float32", (1,))}}


def test_a_function_that_no_signature_reaches(tf: Any, tmp_path: Path) -> None:
    module = tf.Module()
    module.part = tf.Module()
    module.part.parse = tf.function(
        lambda e: tf.io.parse_example(e, small(tf))["n"], input_signature=[tf.TensorSpec([None], tf.string, "rows")]
    )
    tf.saved_model.save(module, str(tmp_path))
    (spec,) = specs_of(tmp_path)
    assert (spec.signature, spec.call, spec.input, spec.batch) == (None, "part.parse", "rows", True)
    assert told(spec) == SMALL


def test_a_keras_model_with_parsing_before_it(tf: Any, tmp_path: Path) -> None:
    inputs = {name: tf.keras.Input([1], name=name) for name in ("a", "b")}
    outputs = tf.keras.layers.Dense(1)(tf.keras.layers.Concatenate()(list(inputs.values())))
    model = tf.keras.Model(inputs, outputs)
    features = {name: tf.io.FixedLenFeature([1], tf.float32, default_value=0.0) for name in inputs}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(examples: Any) -> Any:
        return {"y": model(tf.io.parse_example(examples, features))}

    tf.saved_model.save(model, str(tmp_path), signatures={"serving_default": serve})
    assert told(only(tmp_path)) == {name: fixed("float32", (1,), [0.0]) for name in "ab"}


# -- TensorFlow 1 --


def save_v1(tf: Any, folder: Path, build: Callable[[Any], Any], sizes: list[int | None]) -> Path:
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        received = v1.placeholder(tf.string, sizes, "input_example_tensor")
        outputs = build(received)
        builder = v1.saved_model.builder.SavedModelBuilder(str(folder))
        definition = v1.saved_model.signature_def_utils.predict_signature_def({"examples": received}, outputs)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": definition})
        builder.save()
    return folder


@pytest.mark.filterwarnings("ignore")
def test_a_tensorflow_1_export(tf: Any, tmp_path: Path) -> None:
    features = {name: feature for name, feature in all_kinds(tf).items() if name not in ("r", "rr")}
    path = save_v1(tf, tmp_path / "m", lambda x: numbers(tf, tf.compat.v1.parse_example(x, features)), [None])
    expected = {name: feature for name, feature in ALL_KINDS.items() if name not in ("r", "flat", "lengths")}
    assert told(only(path)) == expected


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("control_flow_v2", [False, True])
def test_a_tensorflow_1_loop(tf: Any, tmp_path: Path, control_flow_v2: bool) -> None:
    """Enter, TensorArrays, Switch and Merge; or While in the main graph."""
    v1 = tf.compat.v1
    was_on = v1.control_flow_v2_enabled()
    (v1.enable_control_flow_v2 if control_flow_v2 else v1.disable_control_flow_v2)()
    try:
        path = save_v1(
            tf,
            tmp_path / "m",
            lambda x: {"n": v1.map_fn(lambda e: v1.parse_single_example(e, small(tf))["n"], x, dtype=tf.int64)},
            [None],
        )
    finally:
        (v1.enable_control_flow_v2 if was_on else v1.disable_control_flow_v2)()
    with open_model(str(path)) as model:
        assert any("While" in op for op in model.meta_graph().graph.ops) == control_flow_v2
    spec = only(path)
    assert told(spec) == SMALL
    assert spec.batch is True


@pytest.mark.filterwarnings("ignore")
def test_the_first_parse_example_op(tf: Any, tmp_path: Path) -> None:
    """Names that come one by one, as in exports before 2.0."""

    def build(x: Any) -> Any:
        parsed = tf.raw_ops.ParseExample(
            serialized=x,
            names=tf.constant([], tf.string),
            sparse_keys=[tf.constant("t"), tf.constant("u")],
            dense_keys=[tf.constant("n")],
            dense_defaults=[tf.constant([1, 2], tf.int64)],
            sparse_types=[tf.string, tf.float32],
            dense_shapes=[[2]],
        )
        return {"n": parsed.dense_values[0]}

    assert told(only(save_v1(tf, tmp_path / "m", build, [None]))) == {
        "n": fixed("int64", (2,), [1, 2]),
        "t": variable("string"),
        "u": variable("float32"),
    }


def test_a_bare_graph_has_placeholders(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with v1.Graph().as_default() as graph:
        tf.io.parse_example(v1.placeholder(tf.string, [None], "rows"), small(tf))
    path = tmp_path / "graph.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    (spec,) = specs_of(path)
    assert (spec.signature, spec.call, spec.input) == (None, None, "rows:0")
    assert told(spec) == SMALL


# -- images --


@pytest.mark.parametrize("op", ["decode_jpeg", "decode_png", "decode_image", "decode_bmp", "decode_gif"])
def test_images_are_told_from_examples(tf: Any, tmp_path: Path, op: str) -> None:
    decode = getattr(tf.io, op)
    path = save(tf, tmp_path, lambda x: {"i": tf.map_fn(decode, tf.io.decode_base64(x), tf.uint8)}, [None])
    assert specs_of(path) == []
    with open_model(str(path)) as model:
        meta = model.meta_graph()
        (spec,) = input_specs(meta, meta.signatures[0])
    kernels = {"decode_jpeg": "DecodeJpeg", "decode_png": "DecodePng", "decode_image": "DecodeImage"}
    kernels |= {"decode_bmp": "DecodeBmp", "decode_gif": "DecodeGif"}
    assert (spec.image_ops, spec.base64, spec.is_parsed) == ((kernels[op],), True, False)


# -- without TensorFlow --


def test_the_demo() -> None:
    found = {spec.signature: spec for spec in specs_of(demo.FOLDER / "ranker")}
    names = ("brand", "cid1", "cid2", "cid3", "gid", "merchant")
    assert set(found) == {"serving_default", "embed"}
    for spec in found.values():
        assert told(spec) == {name: fixed("string", (), "") for name in names}
        assert [default_text(feature) for feature in spec.features] == ['""'] * 6


CORPUS = {
    "tf-half_plus_two/00000123": ({"x", "x2"}, "regress_x_to_y"),
    "tf-half_plus_two_pbtxt/00000123": ({"x", "x2"}, "regress_x_to_y"),
    "tfx-keras": (
        {"body_mass_g", "culmen_depth_mm", "culmen_length_mm", "flipper_length_mm"},
        "serving_default",
    ),
}


@pytest.mark.parametrize("name", CORPUS)
def test_models_that_others_wrote(corpus: Path, name: str) -> None:
    expected, wanted = CORPUS[name]
    found = {spec.signature: spec for spec in specs_of(corpus / "models" / name)}
    assert {feature.name for feature in found[wanted].features} == expected
    assert found[wanted].problems == ()


def test_an_estimator_that_others_wrote(corpus: Path) -> None:
    (folder,) = (corpus / "models" / "tfx-chicago_taxi_pushed").iterdir()
    found = {spec.signature: spec for spec in specs_of(folder)}
    features = told(found["serving_default"])
    assert len(features) == 17
    assert features["fare"] == variable("float32")
    assert features["payment_type"] == variable("string")


def strings_const(name: bytes, values: list[bytes], count: int) -> bytes:
    value = lean("TensorProto")(dtype=7, tensor_shape=shape([count]), string_val=values)
    return node(name, b"Const", dtype=attr(type=7), value=attr(tensor=value.SerializeToString()))


def types(*numbers: int) -> bytes:
    return attr(list=lean("AttrValue").ListValue(type=list(numbers)))


def shapes(*found: list[int | None]) -> bytes:
    return attr(list=lean("AttrValue").ListValue(shape=[shape(sizes) for sizes in found]))


def hostile(tmp_path: Path, nodes: list[bytes], functions: Sequence[bytes] = ()) -> list[InputSpec]:
    ours = meta_graph(
        nodes=[node(b"x", b"Placeholder", dtype=attr(type=7), shape=attr(shape=shape([None]))), *nodes],
        functions=functions,
        signatures={b"serving_default": signature({b"x": info(b"x:0", 7, [None])}, {})},
    )
    return specs_of(write_saved_model(tmp_path, ours))


def parsing(*inputs: bytes, **attrs: bytes) -> bytes:
    return node(b"parse", b"ParseExampleV2", [b"x", b"none", *inputs], **attrs)


def test_a_claim_of_very_many_names_is_not_believed(tmp_path: Path) -> None:
    nodes = [
        strings_const(b"none", [], 0),
        strings_const(b"many", [b"a"], 2**50),
        parsing(b"none", b"many", b"none", b"none", Tdense=types(7), dense_shapes=shapes([])),
    ]
    (spec,) = hostile(tmp_path, nodes)
    assert spec.features == ()
    assert len(spec.problems) == 1


def test_lists_that_do_not_fit_each_other(tmp_path: Path) -> None:
    nodes = [
        strings_const(b"none", [], 0),
        strings_const(b"two", [b"a", b"b"], 2),
        parsing(b"two", b"two", b"none", Tdense=types(7, 7), sparse_types=types(1, 9), dense_shapes=shapes([1])),
    ]
    (spec,) = hostile(tmp_path, nodes)
    assert {name: found.kind for name, found in told(spec).items()} == {"a": "variable", "b": "variable"}
    assert any("not as many" in problem for problem in spec.problems)


def test_functions_that_call_each_other_without_end(tmp_path: Path) -> None:
    def call(to: bytes) -> bytes:
        return node(b"call", b"PartitionedCall", [b"x"], f=attr(func=function_name(to)), Tin=types(7), Tout=types(7))

    def body(name: bytes, to: bytes) -> bytes:
        message = lean("FunctionDef").FromString(function(name, [b"x"], {b"y": b"call:output:0"}, [call(to)]))
        message.signature.input_arg[0].type = 7
        return bytes(message.SerializeToString())

    nodes = [
        call(b"f"),
        strings_const(b"none", [], 0),
        node(b"parse", b"ParseExampleV2", [b"call", b"none", b"call", b"none", b"none"], sparse_types=types(7)),
    ]
    found = hostile(tmp_path, nodes, [body(b"f", b"g"), body(b"g", b"f")])
    # Nothing ever leaves them, so nothing is parsed.
    assert found == []


def test_a_search_that_was_given_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfexplore.core.wiring._MAX_STEPS", 100)
    nodes = [*iter_chains(200), node(b"parse", b"ParseExampleV2", [b"n199"], sparse_types=types(7))]
    (spec,) = hostile(tmp_path, nodes)
    assert spec.features == ()
    assert spec.problems == ("the graph could not be followed to its end: there may be more features",)


def test_a_node_that_claims_very_many_features(tmp_path: Path) -> None:
    nodes = [
        strings_const(b"none", [], 0),
        strings_const(b"many", [b"a"], 2**20),
        node(b"parse", b"ParseExampleV2", [b"x", b"none", b"many", b"none", b"none"], sparse_types=types(*[7] * 2**20)),
    ]
    (spec,) = hostile(tmp_path, nodes)
    assert spec.problems == ("ParseExampleV2 parse: 1,048,576 variable features are too many",)


def test_a_search_can_be_cancelled(tmp_path: Path) -> None:
    nodes = [*iter_chains(2_000), node(b"parse", b"ParseExampleV2", [b"n1999"], sparse_types=types(7))]
    ours = meta_graph(
        nodes=[node(b"x", b"Placeholder", dtype=attr(type=7)), *nodes],
        signatures={b"serving_default": signature({b"x": info(b"x:0", 7, [None])}, {})},
    )
    cancel = threading.Event()
    cancel.set()
    with open_model(str(write_saved_model(tmp_path, ours))) as model, pytest.raises(Cancelled):
        feature_specs(model.meta_graph(), cancel)


def test_damaged_nodes_harm_nothing(tmp_path: Path) -> None:
    """Every byte of a parsing node flipped, and the node cut at every byte."""
    whole = parsing(b"one", b"one", b"none", b"one", sparse_types=types(7), Tdense=types(7), dense_shapes=shapes([]))
    consts = [strings_const(b"none", [], 0), strings_const(b"one", [b"a"], 1)]
    damaged = [whole[:end] for end in range(len(whole))]
    damaged += [
        whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (1, 0x80)
    ]
    found = [hostile(tmp_path, [*consts, raw]) for raw in damaged]
    names = {feature.name for specs in found for spec in specs for feature in spec.features}
    assert names == {"a"}
    assert any(spec.problems for specs in found for spec in specs)
    assert all("\n" not in problem for specs in found for spec in specs for problem in spec.problems)


def iter_chains(length: int) -> Iterator[bytes]:
    yield node(b"n0", b"Identity", [b"x"], T=attr(type=7))
    for number in range(1, length):
        yield node(b"n%d" % number, b"Identity", [b"n%d" % (number - 1)], T=attr(type=7))


def test_a_long_chain_is_followed_without_recursion(tmp_path: Path) -> None:
    nodes = [
        *iter_chains(20_000),
        strings_const(b"none", [], 0),
        strings_const(b"one", [b"a"], 1),
        node(b"parse", b"ParseExampleV2", [b"n19999", b"none", b"one", b"none", b"none"], sparse_types=types(7)),
    ]
    (spec,) = hostile(tmp_path, nodes)
    assert list(told(spec)) == ["a"]


def test_the_tree_and_the_details_show_the_features() -> None:
    with open_model(str(demo.FOLDER / "ranker")) as model:
        signatures_item = next(item for item in root_items(model) if item.label == "Signatures")
        assert signatures_item.children is not None
        (serving,) = signatures_item.children.page(0, 1)
        assert serving.children is not None
        examples, *outputs = serving.children.page(0, 10)
        assert examples.children is not None
        assert all(item.children is None for item in outputs)
        features = examples.children.page(0, 10)
        assert [(item.kind, item.label, item.note) for item in features[:2]] == [
            ("feature", "brand", "fixed"),
            ("feature", "cid1", "fixed"),
        ]
        assert describe(features[0].subject).blocks[0].lines[0].value == (
            'A fixed feature of the tf.train.Examples that examples takes: string []; without it it is "".'
        )
        block = describe(examples.subject).blocks[-1]
        assert block.title == "features of its Examples"
        assert [(line.label, line.value) for line in block.lines[:1]] == [("brand", 'fixed string [] · ""')]
