"""Values for inputs: exact dtype and shape, and a sentence for whatever does not fit."""

from __future__ import annotations

import base64
import io
import json
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.core import makers
from tfexplore.core.feature_spec import InputSpec
from tfexplore.core.inputs import complete, example_input, given_inputs, messages, value
from tfexplore.core.requests import parse_request, read_request, request_arrays
from tfexplore.core.signatures import Signature, TensorInfo
from tfexplore.core.values import to_plain
from tfexplore.errors import ModelError, UsageError
from tfexplore.formats import dtypes, npy, png

NUMBER = {dtypes.name(number): number for number in range(1, 34)}


def takes(dtype: str = "float32", shape: Sequence[int | None] | None = (None,), name: str = "x") -> TensorInfo:
    return TensorInfo(name, f"{name}:0", NUMBER[dtype], None if shape is None else tuple(shape))


def signature(*infos: TensorInfo, **defaults: bytes) -> Signature:
    return Signature("serving_default", "", infos, (), defaults)


def sentence(given: str, info: TensorInfo) -> str:
    with pytest.raises(UsageError) as caught:
        value(given, info)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- JSON --

GOOD = [
    ("[[1, 2.5]]", takes("float32", [None, 2]), [[1.0, 2.5]]),
    ('["NaN", "Infinity", "-Infinity"]', takes("float16"), [math.nan, math.inf, -math.inf]),
    ("[NaN, 0.5]", takes("bfloat16"), [math.nan, 0.5]),
    ("[0.5, 448]", takes("float8_e4m3fn"), [0.5, 448.0]),
    ("3", takes("int64", []), 3),
    ("[-128, 127]", takes("int8"), [-128, 127]),
    ("[18446744073709551615]", takes("uint64"), [2**64 - 1]),
    ("[-8, 7]", takes("int4"), [-8, 7]),
    ("[0, 3]", takes("uint2"), [0, 3]),
    ("[1, 2]", takes("qint8"), [1, 2]),
    ("[true, false]", takes("bool"), [True, False]),
    ('["a", {"b64": "/w=="}]', takes("string"), ["a", "\udcff"]),
    ("[[1, 2], [3, -4]]", takes("complex64", [None]), [[1.0, 2.0], [3.0, -4.0]]),
    ("[1, 2]", takes("complex128", [None]), [[1.0, 0.0], [2.0, 0.0]]),
    ("[[], []]", takes("float64", None), [[], []]),
    ("[1, 2]", takes("float64", None), [1.0, 2.0]),
]


@pytest.mark.parametrize(
    ("given_text", "info", "expected"), GOOD, ids=[f"{i}-{dtypes.name(g[1].dtype)}" for i, g in enumerate(GOOD)]
)
def test_json(given_text: str, info: TensorInfo, expected: Any) -> None:
    found = value(given_text, info)
    assert found.dtype == dtypes.numpy_dtype(info.dtype)
    plain = to_plain(found)
    np.testing.assert_equal(plain, expected)


BAD = [
    ("[1.5]", takes("int32"), "the input x (int32 [?]): expected a whole number, got the number 1.5"),
    ("[300]", takes("int8"), "the input x (int8 [?]): the number 300 lies outside -128 to 127"),
    ("[-1]", takes("uint64"), "the input x (uint64 [?]): the number -1 lies outside 0 to 18,446,744,073,709,551,615"),
    ("[8]", takes("int4"), "the input x (int4 [?]): the number 8 lies outside -8 to 7"),
    ("[1]", takes("bool"), "the input x (bool [?]): expected true or false, got the number 1"),
    ("[true]", takes("float32"), "the input x (float32 [?]): expected a number, got true"),
    ('["1"]', takes("int64"), 'the input x (int64 [?]): expected a whole number, got the string "1"'),
    ("[70000]", takes("float16"), "the input x (float16 [?]): the number 70000 does not fit into float16"),
    (
        "[1000]",
        takes("float8_e4m3fn"),
        "the input x (float8_e4m3fn [?]): the number 1000 does not fit into float8_e4m3fn",
    ),
    ("[7]", takes("float4_e2m1fn"), "the input x (float4_e2m1fn [?]): the number 7 does not fit into float4_e2m1fn"),
    ("[1e999]", takes("float64", [2]), "the input x (float64 [2]): dimension 0 is 1, not 2 (the shape is [1])"),
    ("[1]", takes("string"), 'the input x (string [?]): expected a string or {"b64": …}, got the number 1; write "1"'),
    ("[[1, 2]]", takes(), "the input x (float32 [?]): expected 1 dimension, got 2 (the shape [1, 2])"),
    ("3", takes("float32", [None, 3]), "the input x (float32 [?, 3]): expected 2 dimensions, got 0 (the shape [])"),
    (
        "[[1, 2]]",
        takes("float32", [None, 3]),
        "the input x (float32 [?, 3]): dimension 1 is 2, not 3 (the shape is [1, 2])",
    ),
    (
        "[[1], [2, 3]]",
        takes("float32", None),
        "the input x (float32 unknown rank): the lists at depth 2 are not alike: a list of 1 beside a list of 2",
    ),
    ("[null]", takes(), "the input x (float32 [?]): expected a number, got null"),
    ("[1", takes(), "the input x (float32 [?]): [1 is neither JSON nor @FILE nor one of zeros, ones, random"),
    ("", takes(), "the input x (float32 [?]): nothing is neither JSON nor @FILE nor one of zeros, ones, random"),
    ("1", takes("resource", []), "the input x (resource []) takes no values that can be given from outside"),
    ("random:x", takes(), "random:x: expected zeros, ones, random or random:SEED"),
    ("zeros:1", takes(), "zeros:1: expected zeros, ones, random or random:SEED"),
    (
        "zeros",
        takes("float32", [10**6, 10**6]),
        "the input x (float32 [1000000, 1000000]): the shape [1000000, 1000000] is too large to be made up",
    ),
]


@pytest.mark.parametrize(("given_text", "info", "expected"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_what_does_not_fit_is_named(given_text: str, info: TensorInfo, expected: str) -> None:
    assert sentence(given_text, info) == expected


def test_hostile_json() -> None:
    assert "nest" in sentence("[" * 70 + "1" + "]" * 70, takes("float32", None))
    assert "neither JSON" in sentence("[" * 100_000, takes())
    sentence("[" + "9" * 5_000 + "]", takes("int32"))


@given(st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=2, max_size=2), min_size=1, max_size=5))
def test_any_integers(rows: list[list[int]]) -> None:
    found = value(json.dumps(rows), takes("int32", [None, 2]))
    assert found.dtype == np.int32
    assert found.tolist() == rows


def test_plain_text_is_a_string_where_one_is_taken() -> None:
    assert value("good day", takes("string", [])).tolist() == b"good day"
    assert value("good day", takes("string", [None])).tolist() == [b"good day"]


# -- makers --


@pytest.mark.parametrize("dtype", [name for name in NUMBER if name not in ("resource", "variant")])
@pytest.mark.parametrize("maker", ["zeros", "ones", "random:5"])
def test_makers_make_every_dtype(maker: str, dtype: str) -> None:
    info = takes(dtype, [None, 3])
    found = value(maker, info)
    assert (found.shape, found.dtype) == ((1, 3), dtypes.numpy_dtype(info.dtype))
    if dtype == "string":
        assert {"zeros": {b""}, "ones": {b"1"}}.get(maker, set(found.flat)) == set(found.flat)
    elif maker != "random:5":
        assert set(found.astype("complex64").flat) == {0 if maker == "zeros" else 1}
    np.testing.assert_array_equal(found, value(maker, info))


def test_random_depends_on_the_seed_and_the_name() -> None:
    one = value("random:1", takes("float32", [4]))
    assert one.tolist() != value("random:2", takes("float32", [4])).tolist()
    assert one.tolist() != value("random:1", takes("float32", [4], "y")).tolist()
    whole = makers.make("random", takes("int32", [1000]))
    assert (whole.min(), whole.max()) >= (0, 1)


# -- files --


def saved(path: Path, array: Any, **options: Any) -> str:
    np.save(path, array, **options)
    return f"@{path}"


@pytest.mark.parametrize("source", ["int16", "uint8", "int64", ">i4", "float32", "float64", "float16", ">f8"])
@pytest.mark.parametrize("target", ["float32", "float64", "bfloat16", "complex64"])
def test_npy_becomes_the_inputs_type(tmp_path: Path, source: str, target: str) -> None:
    found = value(saved(tmp_path / "a.npy", np.arange(6).reshape(2, 3).astype(source)), takes(target, [None, 3]))
    assert found.dtype == dtypes.numpy_dtype(NUMBER[target])
    assert found.astype("float64" if target != "complex64" else target).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_npy_of_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    assert value(saved(path, np.asfortranarray([[1, 2], [3, 4]])), takes("int8", [2, 2])).tolist() == [[1, 2], [3, 4]]
    assert value(saved(path, np.array(["a", "b\xe9"])), takes("string")).tolist() == [b"a", "b\xe9".encode()]
    assert value(saved(path, np.array([b"a", b"\xff"])), takes("string")).tolist() == [b"a", b"\xff"]
    half = np.array([1.5, -2], dtypes.numpy_dtype(NUMBER["bfloat16"]))
    assert value(saved(path, half), takes("bfloat16")).astype("float32").tolist() == [1.5, -2.0]
    assert value(saved(path, np.zeros((0, 3))), takes("float32", [None, 3])).shape == (0, 3)


def test_npy_that_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    assert sentence(saved(path, np.ones(2)), takes("int32")).endswith("the values are float64")
    assert sentence(saved(path, np.array(["a"])), takes("int32")).endswith("the values are strings")
    assert sentence(saved(path, np.ones(2, bool)), takes("float32")).endswith("the values are bool")
    assert sentence(saved(path, np.array([1e300])), takes()).endswith("the number 1e+300 does not fit into float32")
    assert sentence(saved(path, np.array([300])), takes("uint8")).endswith("the number 300 lies outside 0 to 255")
    assert sentence(saved(path, np.ones((1, 2))), takes()).endswith("got 2 (the shape [1, 2])")


class Trap:
    def __reduce__(self) -> Any:
        return pytest.fail, ("a pickle was opened",)


def test_pickles_are_refused(tmp_path: Path) -> None:
    given_text = saved(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    assert "holds Python objects (a pickle), which could run any code" in sentence(given_text, takes())
    np.savez(tmp_path / "b.npz", a=np.array([Trap()], dtype=object))
    assert "holds Python objects (a pickle)" in sentence(f"@{tmp_path / 'b.npz'}", takes())
    (tmp_path / "c.npy").write_bytes(b"\x80\x04K\x01.")
    assert "holds Python objects (a pickle)" in sentence(f"@{tmp_path / 'c.npy'}", takes())
    (tmp_path / "d.pkl").write_bytes(b"\x80\x04K\x01.")
    assert "is a pickle" in sentence(f"@{tmp_path / 'd.pkl'}", takes())


def test_npz(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, one=np.ones(2), two=np.zeros(2))
    assert value(f"@{path}:two", takes()).tolist() == [0, 0]
    assert "which array is not said; there is: one, two" in sentence(f"@{path}", takes())
    assert "there is no array 'three'; there is: one, two" in sentence(f"@{path}:three", takes())
    np.savez(path, one=np.ones(2))
    assert value(f"@{path}", takes()).tolist() == [1, 1]


def damaged(whole: bytes) -> list[bytes]:
    cut = [whole[:end] for end in range(len(whole))]
    return cut + [
        whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (1, 0x80)
    ]


def test_damaged_arrays_give_our_errors_only() -> None:
    one, several = io.BytesIO(), io.BytesIO()
    np.save(one, np.arange(3))
    np.savez(several, a=np.arange(3))
    refused = 0
    for raw in damaged(one.getvalue()):
        try:
            npy.read_npy(raw, path="a")
        except ModelError:
            refused += 1
    assert refused > len(one.getvalue())
    for raw in damaged(several.getvalue()):
        try:
            npy.read_npz(raw, None, path="a")
        except ModelError:
            refused += 1
    assert refused > len(one.getvalue()) + len(several.getvalue())


@pytest.mark.parametrize(
    "descr", ["'|O'", "'T'", "'<M8[s]'", "[('a', '<f8')]", "'<f8,<f8'", "'(2,)<f8'", "'nothing'", "3"]
)
def test_dtypes_that_are_no_numbers_or_strings(descr: str) -> None:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}".ljust(117).encode() + b"\n"
    raw = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(16)
    with pytest.raises(ModelError) as caught:
        npy.read_npy(raw, path="a")
    assert "\n" not in str(caught.value)


def test_a_shape_that_is_not_there_is_not_believed() -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2**10)})
    with pytest.raises(ModelError, match="claims 9,007,199,254,740,992 bytes of values where 0 are left"):
        npy.read_npy(stream.getvalue(), path="a")


# -- pictures --


def picture(kind: int, channels: int, pixels: np.ndarray, filters: Sequence[int]) -> bytes:
    """A PNG file whose rows go through these filters, by the specification's own words."""
    height, width = pixels.shape[:2]
    raw = b""
    flat = pixels.reshape(height, width * channels).astype(int)
    for y in range(height):
        up = flat[y - 1] if y else np.zeros_like(flat[0])
        left = np.concatenate([np.zeros(channels, int), flat[y][:-channels]])
        corner = np.concatenate([np.zeros(channels, int), up[:-channels]])
        estimate = left + up - corner
        distance = np.abs(estimate - np.stack([left, up, corner]))
        paeth = np.choose(distance.argmin(axis=0), [left, up, corner])
        guess = [np.zeros_like(left), left, up, (left + up) // 2, paeth][filters[y % len(filters)]]
        raw += bytes([filters[y % len(filters)]]) + ((flat[y] - guess) % 256).astype("uint8").tobytes()

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    packed = zlib.compress(raw)
    body = chunk(b"IDAT", packed[:10]) + chunk(b"IDAT", packed[10:])
    return png.MAGIC + chunk(b"IHDR", head) + chunk(b"tEXt", b"a\0b") + body + chunk(b"IEND", b"")


KINDS = [(0, 1), (4, 2), (2, 3), (6, 4)]


@pytest.mark.parametrize(("kind", "channels"), KINDS)
def test_pictures_as_tensorflow_decodes_them(tf: Any, kind: int, channels: int) -> None:
    pixels = np.random.default_rng(kind).integers(0, 256, (7, 5, channels)).astype("uint8")
    data = picture(kind, channels, pixels, [0, 1, 2, 3, 4])
    theirs = tf.io.decode_png(data, channels={2: 4}.get(channels, channels)).numpy()
    assert (theirs[..., ::3] if channels == 2 else theirs).tolist() == pixels.tolist()
    found = png.decode(data, path="p.png")
    assert (found.height, found.width, found.channels) == (7, 5, channels)
    assert found.pixels == pixels.tobytes()


def test_what_we_encode_tensorflow_decodes(tf: Any) -> None:
    assert tf.io.decode_png(png.encode_rgb(3, 5)).numpy().tolist() == np.zeros((3, 5, 3)).tolist()


def test_damaged_pictures_give_our_errors_only() -> None:
    data = picture(2, 3, np.arange(60).reshape(4, 5, 3), [4])
    for raw in damaged(data):
        with pytest.raises(ModelError):
            png.decode(raw, path="p.png")


def test_pictures_as_inputs(tmp_path: Path) -> None:
    pixels = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype("uint8")
    path = tmp_path / "p.png"
    path.write_bytes(picture(6, 4, pixels, [0]))
    given_text = f"@{path}"
    assert value(given_text, takes("string", [])).tolist() == path.read_bytes()
    assert value(given_text, takes("string", [None])).tolist() == [path.read_bytes()]
    assert value(given_text, takes("uint8", [None, None, 4])).tolist() == pixels.tolist()
    assert value(given_text, takes("uint8", [None, 2, 3, 3])).tolist() == [pixels[..., :3].tolist()]
    np.testing.assert_allclose(value(given_text, takes("float32", [1, 2, 3, 3]))[0], pixels[..., :3] / 255, rtol=1e-6)
    assert "dimension 1 is 2, not 4" in sentence(given_text, takes("float32", [1, 4, 3, 3]))
    assert "the picture is RGB, and the input takes 1 channel" in sentence(given_text, takes("float32", [1, 2, 3, 1]))
    other = tmp_path / "p.jpg"
    other.write_bytes(b"\xff\xd8")
    assert value(f"@{other}", takes("string", [])).tolist() == b"\xff\xd8"
    assert "goes to an input of strings" in sentence(f"@{other}", takes())
    assert "is none of .json, .npy, .npz and .png" in sentence(f"@{tmp_path / 'a.txt'}", takes())
    assert "there is no such file" in sentence(f"@{tmp_path / 'a.npy'}", takes())


# -- names --


def test_named_inputs() -> None:
    ours = signature(takes("int32", [None], "a"), takes("int32", [None], "a=b"), takes("string", [], "c"))
    found = given_inputs(ours, ["a=[1]", "a=b=[2]", "c=x=y"])
    assert {name: array.tolist() for name, array in found.items()} == {"a": [1], "a=b": [2], "c": b"x=y"}
    assert list(complete(ours, dict(reversed(found.items())))) == ["a", "a=b", "c"]
    only = signature(takes("float32", [None], "only"))
    assert given_inputs(only, ["[1, 2]"])["only"].tolist() == [1, 2]
    assert given_inputs(only, ["zeros"])["only"].tolist() == [0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["aa=1"], "the signature serving_default has no input aa; did you mean a?"),
        (["zzz=1"], "the signature serving_default has no input zzz; there is: a, b"),
        (["1"], "the signature serving_default has 2 inputs: write NAME=VALUE for each (a, b)"),
        (["a=[1]", "a=[2]"], "the input a (int32 [?]) is given twice"),
        (["a=[1]"], "the input b (float32 [2]) is missing: give --input b=VALUE"),
    ],
)
def test_names_that_do_not_fit(words: list[str], expected: str) -> None:
    ours = signature(takes("int32", [None], "a"), takes("float32", [2], "b"))
    with pytest.raises(UsageError) as caught:
        complete(ours, given_inputs(ours, words))
    assert str(caught.value) == expected


def test_an_input_with_a_default_may_be_left_out() -> None:
    ours = signature(takes("int32", [None], "a"), takes("float32", [2], "b"), b=b"")
    assert list(complete(ours, given_inputs(ours, ["a=[1]"]))) == ["a"]


def test_inputs_of_several_tensors_are_refused() -> None:
    sparse = TensorInfo("s", None, 1, (None, 3), sparse=("v:0", "i:0", "d:0"))
    with pytest.raises(UsageError, match="is made of several tensors: feed its parts by name"):
        given_inputs(signature(sparse), ["[[1, 2, 3]]"])


# -- Examples --


def test_serialized_messages_take_the_inputs_shape() -> None:
    spec = InputSpec("serving_default", None, "x", False, True, True, (), ("?",))
    assert messages([b"a", b"b"], takes("string", [None])).tolist() == [b"a", b"b"]
    assert messages([b"a", b"b"], takes("string", [None, 1])).tolist() == [[b"a"], [b"b"]]
    assert messages([b"a"], takes("string", [])).tolist() == b"a"
    assert messages([b"\xff\xfe"], takes("string", [None]), spec).tolist() == [b"__4="]
    with pytest.raises(UsageError, match="it takes one string, and 2 are given"):
        messages([b"a", b"b"], takes("string", []))
    with pytest.raises(UsageError, match="dimension 0 is 2, not 1"):
        messages([b"a", b"b"], takes("string", [1]))
    with pytest.raises(UsageError, match="takes no serialized Examples"):
        messages([b"a"], takes("float32"))


def test_which_input_takes_the_examples() -> None:
    spec = InputSpec("serving_default", None, "b", False, True, False, (), ("?",))
    a, b, c = takes("string", [None], "a"), takes("string", [None], "b"), takes("float32", [None], "c")
    assert example_input(signature(a, b, c), [spec]) == b
    assert example_input(signature(a, c), []) == a
    with pytest.raises(UsageError, match=r"several inputs that may take Examples \(a, b\)"):
        example_input(signature(a, b), [])
    with pytest.raises(UsageError, match="has no input of strings"):
        example_input(signature(c), [])


# -- requests --

TWO = signature(takes("float32", [None, 2], "a"), takes("string", [None], "b"))
ONE = signature(takes("float32", [None, 2], "a"))


def asked(document: Any, ours: Signature) -> dict[str, Any]:
    request = parse_request(json.dumps(document), "r.json")
    return {name: array.tolist() for name, array in request_arrays(request, ours).items()}


def test_requests_of_both_forms(tmp_path: Path) -> None:
    expected = {"a": [[1.0, 2.0], [3.0, 4.0]], "b": [b"x", b"\xff"]}
    coded = {"b64": base64.b64encode(b"\xff").decode()}
    rows = {"instances": [{"a": [1, 2], "b": "x"}, {"a": [3, 4], "b": coded}]}
    columns = {"inputs": {"a": [[1, 2], [3, 4]], "b": ["x", coded]}, "signature_name": "other"}
    assert asked(rows, TWO) == asked(columns, TWO) == expected
    assert (
        asked({"instances": [[1, 2], [3, 4]]}, ONE) == asked({"inputs": [[1, 2], [3, 4]]}, ONE) == {"a": expected["a"]}
    )
    strings = signature(takes("string", [None], "b"))
    assert asked({"instances": [coded, "x"]}, strings) == {"b": [b"\xff", b"x"]}
    path = tmp_path / "r.json"
    path.write_text(json.dumps(columns))
    assert read_request(str(path)).signature_name == "other"


BAD_REQUESTS = [
    ([1], 'r.json: expected {"instances": […]} or {"inputs": …}, got a list of 1'),
    ({}, "r.json: a request has one of instances and inputs, this one has neither instances nor inputs"),
    (
        {"inputs": 1, "instances": [1]},
        "r.json: a request has one of instances and inputs, this one has both instances and inputs",
    ),
    ({"inputs": 1, "signature": "a"}, "r.json: a request has no signature; did you mean signature_name?"),
    ({"inputs": 1, "signature_name": 3}, "r.json: signature_name is the number 3, expected a string"),
    ({"instances": []}, "r.json: instances are a list of 0, expected a list of at least one"),
    ({"instances": [{"a": [1, 2]}, 3]}, "r.json: instance 1 does not have the inputs of instance 0: a"),
    ({"instances": [[1, 2], {"a": 3}]}, "r.json: instance 1 names its inputs, and instance 0 does not"),
    (
        {"instances": [[1, 2]]},
        "r.json: the values have no names, and the signature serving_default has 2 inputs (a, b)",
    ),
    ({"inputs": {"aa": 1}}, "r.json: the signature serving_default has no input aa; did you mean a?"),
    (
        {"inputs": {"a": [[1, 2, 3]]}},
        "r.json: the input a (float32 [?, 2]): dimension 1 is 3, not 2 (the shape is [1, 3])",
    ),
]


@pytest.mark.parametrize(
    ("document", "expected"), BAD_REQUESTS, ids=[str(number) for number in range(len(BAD_REQUESTS))]
)
def test_requests_that_do_not_fit(document: Any, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked(document, TWO)
    assert str(caught.value) == expected
