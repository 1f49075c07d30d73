"""Examples that are built parse with TensorFlow to what was given; what does not fit is named in a sentence."""

from __future__ import annotations

import base64
import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfexplore import demo
from tfexplore.core import examples
from tfexplore.core.example_rows import build_rows, iter_rows, read_records
from tfexplore.core.examples import build, decode
from tfexplore.core.feature_ops import Feature
from tfexplore.core.feature_spec import InputSpec, feature_specs
from tfexplore.core.opener import open_model
from tfexplore.errors import ModelError, UsageError

FLOAT, STRING, INT = 1, 7, 9


def feature(
    name: str,
    kind: str = "fixed",
    dtype: int = FLOAT,
    shape: tuple[int | None, ...] = (),
    *,
    part: str = "example",
    required: bool = True,
) -> Feature:
    return Feature(name, part, kind, dtype, shape, None if required else b"", required)


def spec(*features: Feature) -> InputSpec:
    sequence = any(found.part != "example" for found in features)
    return InputSpec("serving_default", None, "examples", sequence, True, False, features, ())


ALL = spec(
    feature("f", shape=()),
    feature("m", shape=(2, 2), dtype=INT),
    feature("s", dtype=STRING, shape=(2,)),
    feature("o", dtype=INT, required=False),
    feature("v", "variable", STRING, (None,), required=False),
    feature("r", "ragged", FLOAT, (None,), required=False),
    feature("q", "sequence", FLOAT, (None, 2), required=False),
)


def parse_all(tf: Any, serialized: bytes) -> dict[str, Any]:
    parsed = tf.io.parse_single_example(
        serialized,
        {
            "f": tf.io.FixedLenFeature([], tf.float32),
            "m": tf.io.FixedLenFeature([2, 2], tf.int64),
            "s": tf.io.FixedLenFeature([2], tf.string),
            "o": tf.io.FixedLenFeature([], tf.int64, default_value=-7),
            "v": tf.io.VarLenFeature(tf.string),
            "r": tf.io.RaggedFeature(tf.float32),
            "q": tf.io.FixedLenSequenceFeature([2], tf.float32, allow_missing=True),
        },
    )
    return {
        name: (value.values if isinstance(value, tf.sparse.SparseTensor) else value).numpy().tolist()
        for name, value in parsed.items()
    }


def as_b64(raw: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(raw).decode()}


def test_each_kind_parses_to_what_was_given(tf: Any) -> None:
    row = {
        "f": 3,
        "m": [[1, -2], [2**63 - 1, -(2**63)]],
        "s": ["caf\xe9", as_b64(b"\xff\x00")],
        "v": ["a", "", "b"],
        "r": [1.5, "Infinity"],
        "q": [[1, 2], [3, 4]],
    }
    assert parse_all(tf, build(row, ALL)) == {
        "f": 3.0,
        "m": row["m"],
        "s": ["caf\xe9".encode(), b"\xff\x00"],
        "o": -7,
        "v": [b"a", b"", b"b"],
        "r": [1.5, math.inf],
        "q": [[1.0, 2.0], [3.0, 4.0]],
    }


INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(width=32, allow_nan=False)


@settings(max_examples=40)
@given(
    f=FLOATS,
    m=st.lists(INTS, min_size=4, max_size=4),
    s=st.lists(st.binary(max_size=9), min_size=2, max_size=2),
    v=st.lists(st.text(max_size=5, alphabet=st.characters(codec="utf-8")), max_size=4),
    r=st.lists(FLOATS, max_size=3),
    q=st.lists(st.lists(FLOATS, min_size=2, max_size=2), max_size=3),
)
def test_any_values_parse_back(tf: Any, f: float, m: Any, s: Any, v: Any, r: Any, q: Any) -> None:
    row = {"f": f, "m": m, "s": list(map(as_b64, s)), "v": v, "r": r, "q": q}
    again = json.loads(json.dumps(row))
    found = parse_all(tf, build(again, ALL))
    assert found["f"] == np.float32(f)
    assert found["m"] == [m[:2], m[2:]]
    assert (found["s"], found["v"]) == (s, [part.encode() for part in v])
    assert (found["r"], found["q"]) == (r, q)


def test_the_same_row_gives_the_same_bytes_in_any_order(tf: Any) -> None:
    one = build({"f": 1, "m": [1, 2, 3, 4], "s": ["a", "b"]}, ALL)
    other = build({"s": ["a", "b"], "m": [1, 2, 3, 4], "f": 1.0}, ALL)
    assert one == other == tf.train.Example.FromString(one).SerializeToString(deterministic=True)


SEQUENCE = spec(
    feature("c", dtype=INT, part="context"),
    feature("v", "variable", STRING, (None,), part="context", required=False),
    feature("steps", "sequence", FLOAT, (None, 2), part="feature_lists"),
    feature("words", "variable", STRING, (None, None), part="feature_lists", required=False),
)


@pytest.mark.parametrize("explicit", [False, True])
def test_sequence_examples(tf: Any, explicit: bool) -> None:
    context = {"c": 4, "v": "one"}
    lists = {"steps": [[1, 2], [3, 4]], "words": [["a"], [], ["b", "c"]]}
    row = {"context": context, "feature_lists": lists} if explicit else context | lists
    first, second = tf.io.parse_single_sequence_example(
        build(row, SEQUENCE),
        {"c": tf.io.FixedLenFeature([], tf.int64), "v": tf.io.VarLenFeature(tf.string)},
        {"steps": tf.io.FixedLenSequenceFeature([2], tf.float32), "words": tf.io.VarLenFeature(tf.string)},
    )
    assert (first["c"].numpy(), first["v"].values.numpy().tolist()) == (4, [b"one"])
    assert second["steps"].numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert second["words"].indices.numpy().tolist() == [[0, 0], [2, 0], [2, 1]]


GOOD = {"f": 1, "m": [1, 2, 3, 4], "s": ["a", "b"]}
BAD = [
    ({"f": None}, "--example: the feature f (float32 []) is missing, and the model has no default for it"),
    ({"f": "x"}, '--example: the feature f (float32 []): expected a number, got the string "x"'),
    ({"f": True}, "--example: the feature f (float32 []): expected a number, got true"),
    ({"f": [1, 2]}, "--example: the feature f (float32 []): expected 1 value, got 2 values"),
    ({"f": 1e39}, "--example: the feature f (float32 []): the number 1e+39 does not fit into float32"),
    ({"f": 10**400}, "--example: the feature f (float32 []): the number over 10^30 does not fit into float32"),
    ({"m": [1, 2, 3]}, "--example: the feature m (int64 [2, 2]): expected 4 values, got 3 values"),
    (
        {"m": [[1, 2, 3, 4]]},
        "--example: the feature m (int64 [2, 2]): expected 4 values, got 4 values in the shape [1, 4]",
    ),
    (
        {"m": [[1, 2], [3]]},
        "--example: the feature m (int64 [2, 2]): the lists at depth 2 are not alike: a list of 2 beside a list of 1",
    ),
    ({"m": [1, 2, 3, 4.5]}, "--example: the feature m (int64 [2, 2]): expected a whole number, got the number 4.5"),
    (
        {"m": [1, 2, 3, 2**63]},
        "--example: the feature m (int64 [2, 2]): the number 9223372036854775808 does not fit into int64",
    ),
    (
        {"s": ["a", 135415]},
        '--example: the feature s (string [2]): expected a string or {"b64": …}, got the number 135415; write "135415"',
    ),
    (
        {"s": ["a", {"b64": "%"}]},
        '--example: the feature s (string [2]): what stands under b64 is no base64: the string "%"',
    ),
    ({"v": [["a"]]}, "--example: the feature v (string [?]): expected a flat list, got 1 value in the shape [1, 1]"),
    ({"q": [1, 2, 3]}, "--example: the feature q (float32 [?, 2]): expected steps of 2 values, got 3 values"),
    ({"qq": 1}, "--example: the model parses no feature qq; did you mean q?"),
    ({"other": 1}, "--example: the model parses no feature other; there is: o, q, r, v"),
]


@pytest.mark.parametrize(
    ("change", "sentence"), BAD, ids=[str(list(change)) + str(i) for i, (change, _) in enumerate(BAD)]
)
def test_what_does_not_fit_is_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(GOOD | change, ALL)
    assert str(caught.value) == sentence


def test_steps_are_named() -> None:
    with pytest.raises(UsageError, match=r"the feature list steps \(float32 \[\?, 2\]\), step 1: expected 2 values"):
        build({"c": 1, "steps": [[1, 2], [3]]}, SEQUENCE)
    with pytest.raises(UsageError, match=r"the feature list steps .* is missing"):
        build({"c": 1}, SEQUENCE)
    with pytest.raises(UsageError, match="expected a list of steps, got the number 3"):
        build({"c": 1, "steps": 3}, SEQUENCE)


def test_without_a_spec_the_types_are_those_of_the_values(tf: Any) -> None:
    found = tf.train.Example.FromString(build({"i": [1, 2], "f": [1, 2.5], "s": "x", "none": [], "null": None}, None))
    features = found.features.feature
    assert features["i"].int64_list.value == [1, 2]
    assert features["f"].float_list.value == [1.0, 2.5]
    assert features["s"].bytes_list.value == [b"x"]
    assert features["none"].WhichOneof("kind") is None
    assert set(features) == {"i", "f", "s", "none"}


def test_rows_that_are_no_objects() -> None:
    for value, what in (("3", "the number 3"), ('"a"', 'the string "a"'), ("null", "null")):
        with pytest.raises(UsageError, match=f"expected a JSON object with a value for each feature, got {what}"):
            build_rows(value, ALL)


# -- back --


def test_what_was_built_is_read_back() -> None:
    found = decode(build(GOOD | {"s": ["caf\xe9", as_b64(b"\xff")]}, ALL))
    assert found == {
        "features": {
            "f": {"dtype": "float32", "values": [1.0], "count": 1},
            "m": {"dtype": "int64", "values": [1, 2, 3, 4], "count": 4},
            "s": {"dtype": "string", "values": ["caf\xe9", "\udcff"], "count": 2},
        }
    }
    again = decode(build({"c": 4, "steps": [[1, 2], [3, 4]]}, SEQUENCE), sequence=True)
    assert again["context"] == {"c": {"dtype": "int64", "values": [4], "count": 1}}
    assert again["feature_lists"]["steps"]["steps"] == 2


def test_what_is_shown_is_bounded() -> None:
    many = {f"n{number:05d}": 1 for number in range(2_000)} | {"a": list(range(1_000)), "b": "x" * (2 << 20)}
    found = decode(build(many, None))["features"]
    assert len(found) == examples.MAX_FEATURES + 1
    assert found["…"] == {"more": 2_002 - examples.MAX_FEATURES}
    assert found["a"]["count"] == 1_000
    assert len(found["a"]["values"]) == examples.MAX_VALUES
    assert found["b"]["values"] == []


@pytest.mark.parametrize("sequence", [False, True])
def test_cut_and_flipped_bytes_give_our_errors_only(sequence: bool) -> None:
    row = (
        {"c": 4, "v": ["x"], "steps": [[1, 2], [3, 4]], "words": [["a"], []]} if sequence else GOOD | {"v": ["x", "y"]}
    )
    whole = build(row, SEQUENCE if sequence else ALL)
    damaged = [whole[:end] for end in range(len(whole))]
    damaged += [
        whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (1, 64, 255)
    ]
    refused = 0
    for raw in damaged:
        try:
            decode(raw, sequence=sequence)
        except ModelError:
            refused += 1
    assert refused > len(damaged) // 4


def test_empty_lists_parse_without_a_spec_as_well(tf: Any) -> None:
    raw = build({"a": 1, "v": []}, None)
    features = {"a": tf.io.FixedLenFeature([], tf.int64), "v": tf.io.VarLenFeature(tf.int64)}
    assert tf.io.parse_example([raw], features)["a"].numpy().tolist() == [1]
    raw = build({"context": {"a": 1}, "feature_lists": {"steps": []}}, None)
    steps = {"steps": tf.io.FixedLenSequenceFeature([], tf.int64)}
    assert tf.io.parse_sequence_example([raw], None, steps)[1]["steps"].shape == [1, 0]


# -- rows --


@pytest.fixture(scope="module")
def ranker() -> InputSpec:
    with open_model(str(demo.FOLDER / "ranker")) as model:
        return next(found for found in feature_specs(model.meta_graph()) if found.signature == "serving_default")


def test_the_demos_row(tf: Any, ranker: InputSpec) -> None:
    row = '{"gid": "135415", "cid1": "11", "cid2": "11", "cid3": "2860", "brand": "11", "merchant": "11"}'
    (serialized,) = build_rows(row, ranker)
    message = tf.train.Example.FromString(serialized)
    assert {name: value.bytes_list.value[0].decode() for name, value in message.features.feature.items()} == json.loads(
        row
    )


def test_rows_of_a_file_may_have_more_columns_where_all_is_there(ranker: InputSpec) -> None:
    found = build_rows(f"@{demo.FOLDER / 'rows.jsonl'}", ranker)
    assert len(found) == 300
    assert set(decode(found[0])["features"]) == {"gid", "cid1", "cid2", "cid3", "brand", "merchant"}
    assert build_rows(f"@{demo.FOLDER / 'rows.jsonl'}", ranker, limit=3) == found[:3]


def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, ranker: InputSpec) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"gid": "1"}\n\n{"gid": 5}\n')
    with pytest.raises(UsageError, match=r"rows\.jsonl, line 3: the feature gid \(string \[\]\): .*got the number 5"):
        build_rows(f"@{path}", ranker)
    path.write_text('{"gid": "1"}\n{"gid": \n')
    with pytest.raises(UsageError, match=r"rows\.jsonl, line 2 is no JSON: Expecting value at"):
        build_rows(f"@{path}", ranker)
    path.write_text('{"gid": "1", "gidd": "2"}\n')
    with pytest.raises(UsageError, match=r"line 1: the model parses no feature gidd; "):
        build_rows(f"@{path}", ranker)


def test_forms_of_rows(tmp_path: Path) -> None:
    rows = [{"a": 1}, {"a": 2}]
    listed, packed, lines = tmp_path / "l.json", tmp_path / "r.jsonl.gz", tmp_path / "r.jsonl"
    listed.write_text(json.dumps(rows, indent=1))
    text = "\n".join(map(json.dumps, rows))
    packed.write_bytes(gzip.compress(text.encode()))
    lines.write_text(text)
    for value in (json.dumps(rows), f"@{listed}", f"@{packed}", f"@{lines}"):
        assert [row.value for row in iter_rows(value)] == rows


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "there is no row in it"),
        (b"\xff\n", "line 1 is no JSON: byte 0 is not UTF-8"),
        (b"[" * 100_000, "nests too deep|is no JSON"),
        (b"1" * 10_000, "number of too many digits|expected a JSON object"),
        (b"\x1f\x8bnothing", "the gzip file is damaged"),
        (b"x" * (9 << 20), "has over 8,388,608 bytes"),
    ],
    ids=["empty", "bytes", "deep", "digits", "gzip", "line"],
)
def test_files_that_hold_no_rows(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "rows"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=sentence) as caught:
        build_rows(f"@{path}", None)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        build_rows(f"@{tmp_path / 'none'}", None)
    with pytest.raises(UsageError, match="this is a folder"):
        build_rows(f"@{tmp_path}", None)


def test_records_are_taken_from_the_first(tf: Any, tmp_path: Path) -> None:
    path = tmp_path / "r.tfrecord"
    wanted = [b"one", b"", b"three"]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in wanted:
            writer.write(record)
    assert read_records(str(path)) == wanted
    assert read_records(f"{path}:2") == wanted[:2]
    with pytest.raises(UsageError, match="expected FILE or FILE:N"):
        read_records(f"{path}:0")
    with pytest.raises(UsageError, match="expected FILE or FILE:N"):
        read_records(f"{path}:x")
