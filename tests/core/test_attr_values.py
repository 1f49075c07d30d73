"""AttrValues of every kind, well made and hostile, as plain data and as one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bounded import MEGABYTE, peak_memory
from core.saved_model_writer import DAMAGED, attr, shape, tensor
from tfexplore.core import attrs
from tfexplore.formats.proto import lean

LINE_LIMIT = 500


def value(**fields: Any) -> Any:
    return lean("AttrValue").FromString(attr(**fields))


def listed(**fields: Any) -> Any:
    return value(list=lean("AttrValue").ListValue(**fields))


def func(name: bytes) -> Any:
    return lean("NameAttrList")(name=name)


def holds(dtype: str, sizes: list[int], values: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": sizes, "values": values}


WORDS = 'string [2] ["a", "\\xff"]'


@pytest.mark.parametrize(
    ("found", "plain", "line"),
    [
        (value(s=b"SAME"), "SAME", '"SAME"'),
        (value(s=b""), "", '""'),
        (value(s=b"\x1b\xff"), "\x1b\udcff", '"\\x1b\\xff"'),
        (value(i=-(2**63)), -(2**63), str(-(2**63))),
        (value(f=0.5), 0.5, "0.5"),
        (value(b=False), False, "false"),
        (value(b=True), True, "true"),
        (value(type=1), "float32", "float32"),
        (value(type=101), "float32_ref", "float32_ref"),
        (value(type=999), "dtype 999", "dtype 999"),
        (value(type=0), "invalid", "invalid"),
        (value(shape=shape([None, 3])), [None, 3], "[?, 3]"),
        (value(shape=lean("TensorShapeProto")(unknown_rank=True)), None, "unknown rank"),
        (value(func=func(b"f\n")), {"func": "f\n"}, "f\\n"),
        (value(placeholder=b"T"), "T", '"T"'),
        (lean("AttrValue")(), None, "(not set)"),
        (value(tensor=tensor(3, [2], int_val=[1, 2])), holds("int32", [2], [1, 2]), "int32 [2] [1, 2]"),
        (value(tensor=tensor(7, [], string_val=[b"a"])), holds("string", [], "a"), 'string [] "a"'),
        (value(tensor=tensor(7, [2], string_val=[b"a", b"\xff"])), holds("string", [2], ["a", "\udcff"]), WORDS),
        (value(tensor=tensor(3, [2, 1], int_val=[5])), holds("int32", [2, 1], [[5], [5]]), "int32 [2, 1] [5, 5]"),
        (listed(), [], "[]"),
        (listed(i=[1, 2]), [1, 2], "[1, 2]"),
        (listed(s=[b"a", b"\t"]), ["a", "\t"], '["a", "\\t"]'),
        (listed(b=[False]), [False], "[false]"),
        (listed(type=[1, 9]), ["float32", "int64"], "[float32, int64]"),
        (listed(shape=[shape([1])]), [[1]], "[[1]]"),
        (listed(func=[func(b"g")]), [{"func": "g"}], "[g]"),
        (listed(f=[0.25]), [0.25], "[0.25]"),
        (listed(tensor=[tensor(10, [1], bool_val=[True])]), [holds("bool", [1], [True])], "[bool [1] [true]]"),
    ],
)  # fmt: skip
def test_every_kind(found: Any, plain: Any, line: str) -> None:
    assert attrs.plain(found) == plain
    assert attrs.line(found) == line


@pytest.mark.parametrize(
    "found",
    [
        value(tensor=DAMAGED),
        value(tensor=b""),
        value(tensor=tensor(1, [10**18], float_val=[1.0])),
        value(tensor=tensor(1, [10**9, 10**9], tensor_content=b"abcd")),
        value(tensor=tensor(1, [3], tensor_content=b"abc")),
        value(tensor=tensor(1, [None], float_val=[1.0])),
        value(tensor=tensor(7, [10**18], string_val=[b"x"])),
        value(tensor=tensor(8, [1], scomplex_val=[1.0])),
        value(tensor=tensor(1, [1] * 300, float_val=[1.0])),
        value(tensor=tensor(20, [], resource_handle_val=[b"x"])),
        value(tensor=tensor(21, [], variant_val=[b"x"])),
        value(tensor=tensor(999, [2])),
        value(tensor=tensor(1, [1], float_val=[1.0, 2.0])),
        value(tensor=tensor(1, [2**40, 2**40, 0])),
        value(tensor=tensor(24, [2], float8_val=b"\x01\x02\x03")),
        value(tensor=tensor(8, [1], tensor_content=b"x" * 7)),
        value(shape=shape([2**62] * 400)),
        value(s=b"\x1b" * (10 * MEGABYTE)),
        value(placeholder=b"p" * MEGABYTE),
        value(func=func(b"n" * MEGABYTE)),
        listed(i=range(1_000_000)),
        listed(s=[b"y" * MEGABYTE] * 20),
        listed(tensor=[DAMAGED] * 100),
        listed(func=[func(b"\x9b" * 100_000)] * 30),
        listed(shape=[shape(range(1000))] * 50),
    ],
    ids=range(25),
)
def test_a_hostile_one_is_a_short_printable_line_and_json(found: Any) -> None:
    line = attrs.line(found, path="m.pb")
    assert line
    assert line.isprintable()
    assert len(line) < LINE_LIMIT
    json.dumps(attrs.plain(found, path="m.pb"))


def test_what_was_cut_is_said() -> None:
    assert attrs.line(listed(i=range(1_000_000))).endswith("… 999,984 more]")
    assert "characters" in attrs.line(value(s=b"a" * 1000)) or "(1,000 bytes)" in attrs.line(value(s=b"a" * 1000))
    assert len(attrs.plain(listed(i=range(1_000_000)))) == 1_000_000


def test_a_tensor_that_is_too_large_is_described_without_its_values() -> None:
    found = attrs.plain(value(tensor=tensor(1, [10**18], float_val=[1.0])))
    assert found == {"dtype": "float32", "shape": [10**18]}
    assert attrs.line(value(tensor=tensor(1, [10**18], float_val=[1.0]))) == f"float32 [{10**18}]"


def test_a_few_bytes_never_become_megabytes() -> None:
    code = """
from tfexplore.core import attrs
from tfexplore.formats.proto import lean
def one(dtype, size, **values):
    message = lean("TensorProto")(dtype=dtype, **values)
    message.tensor_shape.dim.add(size=size)
    return lean("AttrValue")(tensor=message.SerializeToString())
for size in (2**20, 2**24, 2**26, 10**18):
    for found in (one(1, size, float_val=[1.0]), one(7, size, string_val=[b"x"]), one(18, size)):
        assert len(attrs.line(found)) < 1000
        attrs.plain(found)
"""
    assert peak_memory(code) < 256 * MEGABYTE


@given(st.binary(max_size=200))
def test_any_bytes_that_are_an_attr_value_are_shown(raw: bytes) -> None:
    try:
        found = lean("AttrValue").FromString(raw)
    except Exception:
        return
    assert attrs.line(found).isprintable()
    attrs.plain(found)
