"""The same call in other words: what is written can be read back to the bit. What it prints, tests/cli runs."""

from __future__ import annotations

import ast
import base64
import json
import re
import shlex
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfexplore.core.plan import Plan, Target
from tfexplore.core.requests import parse_request, request_arrays
from tfexplore.core.scripts import FORMS, expression, script
from tfexplore.core.signatures import Signature, TensorInfo
from tfexplore.core.traces import Slot
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes

TARGET = Target("/models/a b/0003", "saved_model", ("serve",), None)


def strings(values: Any, shape: tuple[int, ...]) -> Any:
    found = np.empty(len(values), object)
    found[:] = values
    return found.reshape(shape)


def called(**inputs: Any) -> Plan:
    return Plan("serving_default", None, (), None, inputs)


class TensorFlow:
    """What an expression asks of the module."""

    @staticmethod
    def as_dtype(name: str) -> Any:
        found = TensorFlow()
        found.as_numpy_dtype = getattr(ml_dtypes, name)  # type: ignore[attr-defined]
        return found


def evaluated(array: Any) -> Any:
    return eval(expression(array), {"np": np, "base64": base64, "tf": TensorFlow})


def assert_same(found: Any, array: Any) -> None:
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    if array.dtype.kind == "O":
        assert found.tolist() == array.tolist()
    else:
        assert found.tobytes() == array.tobytes()


SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
KINDS = ("bool", "int8", "uint64", "int64", "float16", "float32", "float64", "complex64", "complex128")


@given(st.sampled_from(KINDS).flatmap(lambda kind: arrays.arrays(kind, SHAPES)))
def test_an_expression_is_exact(array: Any) -> None:
    # Which of the many NaN it was is not told.
    if array.dtype.kind in "fc":
        array = np.where(np.isnan(array), array.dtype.type(np.nan), array)
    found = evaluated(array)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    if array.dtype.kind in "fc":
        parts = (lambda one: (one.real, one.imag)) if array.dtype.kind == "c" else (lambda one: (one,))
        for ours, theirs in zip(parts(found), parts(array), strict=True):
            assert np.array_equal(ours, theirs, equal_nan=True)
            assert np.array_equal(np.signbit(ours[ours == 0]), np.signbit(theirs[theirs == 0]))
    else:
        assert np.array_equal(found, array)


@given(st.lists(st.binary(max_size=9), max_size=6))
def test_strings_are_exact(values: list[bytes]) -> None:
    assert_same(evaluated(strings(values, (len(values),))), strings(values, (len(values),)))


@pytest.mark.parametrize(
    "array",
    [
        strings([], (0, 3)),
        strings([b"x"], ()),
        np.zeros((50, 50), "float32"),
        np.full((2000,), -0.0),
        np.where(np.arange(2000) % 2, 0.0, -0.0),
        np.full((1001,), np.nan, "float32"),
        np.arange(5000, dtype="int16").reshape(50, 100),
        np.full((2000,), 1j, "complex64"),
        np.array([1.5, -2], ml_dtypes.bfloat16),
        np.array([1.5, -2], ml_dtypes.float8_e5m2),
        np.array([[1, -2]], ml_dtypes.int4),
        np.asfortranarray(np.arange(6000.0).reshape(60, 100)),
    ],
    ids=range(12),
)
def test_expressions_of_every_kind(array: Any) -> None:
    assert_same(evaluated(array), array)


def test_a_large_equal_array_is_short() -> None:
    assert expression(np.zeros((1, 224, 224, 3), "float32")) == "np.full((1, 224, 224, 3), 0.0, 'float32')"


def test_what_is_too_large_is_refused() -> None:
    for form in FORMS:
        with pytest.raises(UsageError, match=r"^x has 8,000,000 bytes, too many for a script: save it as \.npy$"):
            script(form, TARGET, called(x=np.zeros(1_000_000)))


# -- curl --


def body_of(line: str) -> Any:
    words = shlex.split(line)
    assert words[:4] == ["curl", "-X", "POST", "http://localhost:8501/v1/models/a%20b:predict"]
    assert words[4] == "-d"
    return words[5]


def info(name: str, dtype: str, shape: tuple[int | None, ...] | None) -> TensorInfo:
    number = next(number for number in range(1, 30) if dtypes.is_known(number) and dtypes.name(number) == dtype)
    return TensorInfo(name, f"{name}:0", number, shape)


@pytest.mark.parametrize(
    ("dtype", "array"),
    [
        ("float32", np.array([[1.1, -0.0, 3e38], [np.inf, -np.inf, np.nan]], "float32")),
        ("int64", np.array(-(2**63), "int64")),
        ("bool", np.array([True, False])),
        ("bfloat16", np.array([1.5], ml_dtypes.bfloat16)),
        ("string", strings([b"a'b", b"\xff\x00", b""], (3, 1))),
        ("string", strings(["é".encode()], ())),
        ("float32", np.zeros((2, 0), "float32")),
    ],
    ids=range(7),
)
def test_the_body_of_curl_is_a_request_that_is_taken_back(dtype: str, array: Any) -> None:
    body = body_of(script("curl", TARGET, called(x=array)))
    request = parse_request(body, "r.json")
    assert request.signature_name == "serving_default"
    signature = Signature("serving_default", "", (info("x", dtype, None),), (), {})
    assert_same(request_arrays(request, signature)["x"], array)


def test_curl_names_the_model_and_quotes_what_a_shell_would_read() -> None:
    for path, name in (("/m/ranker", "ranker"), ("/m/ranker/7", "ranker"), ("/m/a?b/1", "a%3Fb"), ("/m/'$(id)'", None)):
        line = script("curl", TARGET._replace(path=path), called())
        address = shlex.split(line)[3]
        assert address.endswith(":predict")
        assert name is None or address == f"http://localhost:8501/v1/models/{name}:predict"
        assert not re.search(r"[$ '`]", address)
    evil = Plan("'; rm -rf $HOME; '\x1b", None, (), None, {"\udcff'": np.array(1)})
    line = script("curl", TARGET, evil)
    assert line.isascii()
    assert "\x1b" not in line
    assert len(shlex.split(line)) == 6
    assert json.loads(shlex.split(line)[5])["signature_name"] == evil.signature


def test_a_large_body_goes_by_standard_input() -> None:
    line = script("curl", TARGET, called(x=np.arange(50_000, dtype="float32")))
    first, body, last = line.split("\n")
    assert first.endswith(":predict -d @- <<'EOF'")
    assert last == "EOF"
    assert json.loads(body)["inputs"]["x"][-1] == 49_999


# -- saved_model_cli --


def values_of(line: str) -> dict[str, Any]:
    """The values as the tool reads them."""
    words = shlex.split(line)
    assert words[:4] == ["saved_model_cli", "run", "--dir", "/models/a b/0003"]
    assert words[4:8] == ["--tag_set", "serve", "--signature_def", "serving_default"]
    if len(words) == 8:
        return {}
    assert words[8] == "--input_exprs"
    parts = [part.split("=", 1) for part in words[9].split(";")]
    return {name: ast.literal_eval(value) for name, value in parts}


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.1, -0.0, np.inf, -np.inf]], "float32"),
        np.array(7, "int32"),
        np.array([True]),
        np.array([1 + 2j], "complex64"),
        np.array([1.5], ml_dtypes.bfloat16),
        strings([b"a;b=c'\"\\x3b", b"\xff;"], (2,)),
    ],
    ids=range(6),
)
def test_values_for_saved_model_cli_are_literals(array: Any) -> None:
    found = values_of(script("saved_model_cli", TARGET, called(x=array, y=array)))
    for value in found.values():
        assert_same(np.array(value, array.dtype), array)
    assert list(found) == ["x", "y"]


def test_what_saved_model_cli_cannot_do() -> None:
    assert values_of(script("saved_model_cli", TARGET, called())) == {}
    for plan, sentence in (
        (called(x=np.array([np.nan])), "x holds NaN, which saved_model_cli has no way to write"),
        (called(x=np.zeros((0, 3))), r"x has the shape \[0, 3\], which no list tells"),
        (called(**{"a=b": np.array(1)}), "takes no input whose name holds ; or ="),
        (called(**{"a\x1b": np.array(1)}), "a name holds what no command line can show"),
        (called(x=np.arange(100_000)), "the inputs are too large for a command line"),
    ):
        with pytest.raises(UsageError, match=f"{sentence}.*--as python writes"):
            script("saved_model_cli", TARGET, plan)
    with pytest.raises(UsageError, match="saved_model_cli runs SavedModels only"):
        script("saved_model_cli", Target("g.pb", "graph_def", None, None), called())


@pytest.mark.parametrize("form", ["curl", "saved_model_cli"])
def test_only_signatures_have_a_short_form(form: str) -> None:
    fetched = Plan(None, None, ("x:0",), None, {})
    function = Plan(None, "__call__", (), None, {}, ([], {}))
    for plan in (fetched, function):
        with pytest.raises(UsageError, match=f"^--as {form} calls signatures; --as python writes any call$"):
            script(form, TARGET, plan)


# -- Python --

HOSTILE = "x'\"\\\n\x1b\udcff"
PLANS = {
    "signature": called(x=np.array([1.5], "float32"), big=np.arange(2000.0), **{HOSTILE: strings([b"\n'"], (1,))}),
    "function": Plan(
        None,
        f"encoder.{HOSTILE}",
        (),
        None,
        {HOSTILE: np.array(1), "y": np.array(2)},
        ([[Slot(HOSTILE), (Slot("y"),)], None, ()], {"training": True, HOSTILE: {"a": [Slot("y")]}, "words": "a'b"}),
    ),
    "fetches": Plan(None, None, ("y", "z:1"), None, {"x:0": np.array(1)}),
    "signature and fetches": Plan("serving_default", None, ("y",), None, {"x": np.array(1), "w:0": np.array(2)}),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize(
    "target",
    [
        TARGET,
        Target(f"/m/{HOSTILE}", "saved_model", (), None),
        Target("g.pb", "graph_def", None, None),
        Target("m.meta", "meta_graph", None, "m"),
        Target("m.meta", "meta_graph", None, None),
    ],
    ids=["saved_model", "hostile path", "graph_def", "meta_graph", "meta_graph without checkpoint"],
)
def test_a_script_is_python_and_shows_nothing_hostile(plan: Plan, target: Target) -> None:
    written = script("python", target, plan)
    tree = ast.parse(written)
    assert not [one for one in written if one != "\n" and not one.isprintable()]
    assert not written.endswith("\n")
    imported = {alias.name for one in ast.walk(tree) if isinstance(one, ast.Import) for alias in one.names}
    assert {"numpy", "tensorflow"} <= imported
    assert ("base64" in imported) == ("b64decode" in written)


def test_tensors_that_are_fed_keep_their_names_beside_a_signature() -> None:
    written = script("python", TARGET, PLANS["signature and fetches"])
    assert "signature.inputs['x'].name: np.array(1, 'int64')," in written
    assert "'w:0': np.array(2, 'int64')," in written


def test_a_tensor_in_a_function_has_no_script() -> None:
    with pytest.raises(UsageError, match="a tensor inside a function has no short script"):
        script("python", TARGET, Plan("serving_default", None, ("x",), "f", {}))
