"""Functions of the object graph: which trace takes what was given, and with which nest of arguments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.opening import small_model
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.opener import open_model
from tfexplore.core.plan import Given, Plan
from tfexplore.core.requests import parse_request
from tfexplore.core.traces import Slot, arguments, leaves, plan_function, trace_text
from tfexplore.errors import UsageError


@pytest.fixture
def meta(tmp_path: Path) -> Iterator[MetaGraph]:
    with open_model(str(small_model(tmp_path / "m"))) as model:
        yield model.meta_graph()


def spec(name: str, dtype: str = "float32", shape: list[int | None] | None = None) -> dict[str, Any]:
    return {"tensor": {"name": name, "dtype": dtype, "shape": [None, 2] if shape is None else shape}}


def value(of: Any) -> dict[str, Any]:
    return {"value": of}


def trace(*args: dict[str, Any], **kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"args": list(args), "kwargs": kwargs, "outputs": spec("output")}


def plain(part: Any) -> Any:
    """A nest with the slots written `<name>`."""
    if isinstance(part, Slot):
        return f"<{part.name}>"
    if isinstance(part, (list, tuple)):
        return type(part)(plain(one) for one in part)
    return {name: plain(one) for name, one in part.items()} if isinstance(part, dict) else part


def planned(meta: MetaGraph, traces: list[dict[str, Any]], *words: str, **more: Any) -> Plan:
    return plan_function(meta, "encoder.__call__", traces, Given(words), **more)


def nests(plan: Plan) -> tuple[Any, Any]:
    assert plan.arguments is not None
    args, kwargs = plan.arguments
    return plain(args), plain(kwargs)


NESTED = trace(
    {"dict": {"a": spec("a", shape=[2]), "b": {"list": [spec("inputs/b/0", "int32", []), spec("None", "string", [])]}}},
    {"tuple": [spec("a", shape=[]), value(None), {"list": []}]},
    scale=spec("scale", shape=[]),
    training=value(True),
)


def test_the_tensors_of_a_nest_have_names_of_their_own() -> None:
    assert [(leaf.name, leaf.place) for leaf in leaves(NESTED)] == [
        ("a", ("args", 0, "a")),
        ("inputs/b/0", ("args", 0, "b", 0)),
        ("0/b/1", ("args", 0, "b", 1)),
        ("1/0", ("args", 1, 0)),
        ("scale", ("kwargs", "scale")),
    ]
    same = trace(spec("x"), spec("x"), spec("1"), {"list": [spec("")]})
    names = [leaf.name for leaf in leaves(same)]
    assert len(set(names)) == 4
    assert names[0] == "x"


def test_the_nest_of_arguments(meta: MetaGraph) -> None:
    assert [plain(part) for part in arguments("f", NESTED)] == [
        [{"a": "<a>", "b": ["<inputs/b/0>", "<0/b/1>"]}, ("<1/0>", None, [])],
        {"scale": "<scale>", "training": True},
    ]
    plan = planned(meta, [NESTED], "a=[1, 2]", "inputs/b/0=3", "0/b/1=word", "1/0=4", "scale=zeros")
    assert (plan.signature, plan.function, plan.fetches, plan.body) == (None, "encoder.__call__", (), None)
    assert {name: array.tolist() for name, array in plan.arrays.items()} == {
        "a": [1, 2],
        "inputs/b/0": 3,
        "0/b/1": b"word",
        "1/0": 4,
        "scale": 0,
    }
    assert plan.arrays["inputs/b/0"].dtype == np.int32


def test_inference_comes_before_training(meta: MetaGraph) -> None:
    by_position = [trace(spec("x"), value(True)), trace(spec("x"), value(False))]
    by_name = [trace(spec("x"), training=value(True)), trace(spec("x"), training=value(False))]
    assert nests(planned(meta, by_position, "ones")) == (["<x>", False], {})
    assert nests(planned(meta, by_name, "ones")) == (["<x>"], {"training": False})
    assert nests(planned(meta, by_name, "ones", training=True)) == (["<x>"], {"training": True})
    assert nests(planned(meta, by_position, "ones", training=True)) == (["<x>", True], {})


def test_the_first_trace_that_takes_it(meta: MetaGraph) -> None:
    traces = [trace(spec("x", "string", [])), trace(spec("x")), trace(spec("x"), spec("mask", "bool", [None]))]
    assert planned(meta, traces, "x=[[1, 2]]").arrays["x"].dtype == np.float32
    assert planned(meta, traces, "x=word").arrays["x"].tolist() == b"word"
    assert list(planned(meta, traces, "x=ones", "mask=[true]").arrays) == ["x", "mask"]
    request = parse_request('{"inputs": {"x": [[1, 2]]}}', "r.json")
    assert plan_function(meta, "f", traces, Given(request=request)).arrays["x"].tolist() == [[1, 2]]


def test_a_function_without_tensors(meta: MetaGraph) -> None:
    plan = planned(meta, [trace(value(3), name=value("x"))])
    assert (plan.arrays, plan.arguments) == ({}, ([3], {"name": "x"}))
    with pytest.raises(UsageError, match=r"^the function encoder\.__call__ takes no input$"):
        planned(meta, [trace()], "x=1")


def test_no_trace_takes_it(meta: MetaGraph) -> None:
    traces = [trace(spec("x"), training=value(False)), trace(spec("x", "int64", []), value(True))]
    with pytest.raises(UsageError) as found:
        planned(meta, traces, 'x=["a"]')
    assert str(found.value) == (
        "no trace of encoder.__call__ takes this "
        '(the input x (float32 [?, 2]): expected a number, got the string "a"); '
        "they take: x float32 [?, 2], training=False; x int64 [], True"
    )
    with pytest.raises(UsageError) as found:
        planned(meta, traces[:1])
    assert str(found.value) == "the input x (float32 [?, 2]) is missing: give --input x=VALUE"
    with pytest.raises(UsageError, match=r"^the function encoder\.__call__ has no input y; there is: x$"):
        planned(meta, traces[:1], "y=1")
    with pytest.raises(UsageError, match=r"^encoder\.__call__ has no trace that could be called$"):
        planned(meta, [])
    with pytest.raises(UsageError, match=r"^encoder\.__call__ has no trace with training=True$"):
        planned(meta, traces[:1], "x=ones", training=True)
    many = [trace(spec(f"x{number}")) for number in range(9)]
    with pytest.raises(UsageError, match=r"x5 float32 \[\?, 2\] and 3 more$"):
        planned(meta, many)


@pytest.mark.parametrize(
    ("nest", "what"),
    [
        ({"composite": {"type": "RaggedTensorSpec", "dtype": "int64", "shape": [None, None]}}, "RaggedTensorSpec"),
        ({"other": "_Opaque"}, "_Opaque"),
    ],
)
def test_what_cannot_be_given(meta: MetaGraph, nest: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError) as found:
        planned(meta, [trace(spec("x"), nest)], "x=ones")
    assert str(found.value) == f"encoder.__call__ takes a {what}, which cannot be given here"
    # Another trace does without it.
    assert nests(planned(meta, [trace(spec("x"), nest), trace(spec("x"))], "x=ones")) == (["<x>"], {})


def test_dtypes_that_have_no_values(meta: MetaGraph) -> None:
    for dtype in ("resource", "variant", "new_dtype_9"):
        with pytest.raises(UsageError, match=r"the input x \(.*takes no values that can be given from outside"):
            planned(meta, [trace(spec("x", dtype, []))], "x=1")
    assert planned(meta, [trace(spec("x", "bfloat16", []))], "x=1.5").arrays["x"].dtype.name == "bfloat16"


def test_a_trace_in_words() -> None:
    assert trace_text(trace()) == "nothing"
    assert trace_text(trace({"list": [spec("a", "string", [])]}, {"tensor": {"name": "b", "dtype": "int32"}})) == (
        "a string [], b int32 unknown rank"
    )
    hostile = trace_text(trace(spec("\x1b[31m"), value("\x1b]0;x\x07"), **{"\x1b": value("\x9b")}))
    assert not any(ord(one) < 32 or 127 <= ord(one) < 160 for one in hostile)
