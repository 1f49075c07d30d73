"""Attributes that a scan passes over by their bytes hold nothing that it looks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.saved_model_writer import attr, function_name, shape
from tfexplore.core.scan_graph import _is_plain
from tfexplore.formats.proto import DecodeError, lean

PARTS = [
    attr(type=1),
    attr(b=True),
    attr(i=5),
    attr(i=-1),
    attr(shape=shape([None, 3])),
    attr(s=b"x"),
    attr(func=function_name(b"f")),
    attr(tensor=b"\x08\x07"),
    bytes(lean("AttrValue")(list={"shape": [shape([2]), shape([])]}).SerializeToString()),
    bytes(lean("AttrValue")(list={"func": [{"name": b"f"}]}).SerializeToString()),
    bytes(lean("AttrValue")(list={"shape": [shape([2])], "s": [b"f"]}).SerializeToString()),
    bytes(lean("AttrValue")(list={"tensor": [b""]}).SerializeToString()),
]


def holds_something(raw: bytes) -> bool:
    """Whether the decoded attribute holds a function, a string or a tensor."""
    value = lean("AttrValue").FromString(raw)
    if value.WhichOneof("value") in ("func", "s", "tensor"):
        return True
    return value.WhichOneof("value") == "list" and bool(value.list.func or value.list.s or value.list.tensor)


@given(st.lists(st.sampled_from(PARTS), max_size=3).map(b"".join) | st.binary(max_size=12))
def test_what_is_passed_over_is_plain(raw: bytes) -> None:
    if _is_plain(raw):
        try:
            assert not holds_something(raw)
        except DecodeError:  # a list of shapes that are none: damaged, and harmless
            assert raw[0] in (0x0A, 0x3A)


def test_most_attributes_are_passed_over() -> None:
    assert [_is_plain(raw) for raw in PARTS] == [
        *(True, True, True, False, True, False, False, False),
        *(True, False, False, False),
    ]
