"""Frames: what is written is read back, and no bytes raise anything but FrameError."""

from __future__ import annotations

import contextlib
import io
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.errors import UsageError
from tfexplore.runtime import arrays
from tfexplore.runtime.child import frames, serve
from tfexplore.runtime.protocol import PREFIX, Frame, FrameError, Tensor, decode, decode_prefix, encode, pack_strings

names = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=10,
)
headers = st.dictionaries(names.filter(lambda name: name != "tensors"), values, max_size=5)
shapes = st.lists(st.integers(0, 4), max_size=4)


@st.composite
def tensors(draw: Any) -> Tensor:
    shape = tuple(draw(shapes))
    count = frames.elements(shape)
    if draw(st.booleans()):
        strings = draw(st.lists(st.binary(max_size=10), min_size=count, max_size=count))
        return Tensor(draw(names), "string", shape, pack_strings(strings))
    dtype = draw(st.sampled_from(sorted(frames.ITEM_SIZES)))
    size = count * frames.ITEM_SIZES[dtype]
    return Tensor(draw(names), dtype, shape, draw(st.binary(min_size=size, max_size=size)))


def joined(header: dict[str, Any], parts: list[Tensor]) -> bytes:
    return b"".join(bytes(piece) for piece in encode(header, parts))


def split(data: bytes) -> Frame:
    header, body = decode_prefix(data[: PREFIX.size])
    at = PREFIX.size + header
    return decode(data[PREFIX.size : at], data[at : at + body])


@given(headers, st.lists(tensors(), max_size=3))
def test_what_is_written_is_read_back(header: dict[str, Any], parts: list[Tensor]) -> None:
    found = split(joined(header, parts))
    assert found.header == header
    assert [(one.name, one.dtype, one.shape, bytes(one.data)) for one in found.tensors] == [
        (one.name, one.dtype, one.shape, bytes(one.data)) for one in parts
    ]


@given(st.lists(st.tuples(headers, st.lists(tensors(), max_size=2)), max_size=3))
def test_the_child_reads_a_stream_of_frames(sent: list[tuple[dict[str, Any], list[Tensor]]]) -> None:
    stream = io.BytesIO(b"".join(joined(header, parts) for header, parts in sent))
    for header, parts in sent:
        frame = serve.read_frame(stream)
        assert frame is not None
        assert frame.header == header
        assert len(frame.tensors) == len(parts)
    assert serve.read_frame(stream) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_our_error(data: bytes) -> None:
    with pytest.raises(FrameError):
        serve.read_frame(io.BytesIO(b"\x00" + data))
    half = len(data) // 2
    for header, body in ((data, b""), (data[:half], data[half:]), (b"{" + data + b"}", b"")):
        with contextlib.suppress(FrameError):
            decode(header, body)


@given(headers, st.lists(tensors(), min_size=1, max_size=2), st.data())
def test_a_damaged_frame_is_a_frame_or_our_error(header: dict[str, Any], parts: list[Tensor], data: Any) -> None:
    whole = bytearray(joined(header, parts))
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(FrameError):
        serve.read_frame(io.BytesIO(bytes(whole[:cut])))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(FrameError):
        serve.read_frame(io.BytesIO(bytes(whole)))


def one_tensor(**changed: Any) -> Frame:
    described = {"name": "x", "dtype": "float32", "shape": [2], "bytes": 8, **changed}
    return decode(json.dumps({"tensors": [described]}).encode(), bytes(8))


@pytest.mark.parametrize(
    "changed",
    [
        {"bytes": 4},
        {"bytes": 1 << 62},
        {"bytes": -8},
        {"bytes": 8.0},
        {"bytes": True},
        {"shape": [3]},
        {"shape": [-1, -2]},
        {"shape": [1 << 62, 1 << 62]},
        {"shape": [1] * 65},
        {"shape": None},
        {"shape": ["2"]},
        {"dtype": "resource"},
        {"dtype": "object"},
        {"dtype": None},
        {"dtype": "string"},
        {"dtype": "string", "shape": [1 << 60]},
        {"name": 3},
    ],
)
def test_a_tensor_that_lies_is_refused(changed: dict[str, Any]) -> None:
    assert one_tensor().tensors[0].shape == (2,)
    with pytest.raises(FrameError):
        one_tensor(**changed)


def test_lengths_are_checked_before_anything_is_taken_in() -> None:
    for header, body in ((1 << 31, 0), (10, 1 << 60)):
        with pytest.raises(FrameError, match="more than"):
            decode_prefix(struct.pack("<4sIQ", b"TFX1", header, body))


def test_too_much_is_not_sent() -> None:
    with pytest.raises(FrameError, match="larger than"):
        encode({"text": "x" * (17 << 20)})


def test_json_nested_without_end_is_refused() -> None:
    with pytest.raises(FrameError):
        decode(b'{"a":' + b"[" * 1_000_000, b"")


@pytest.mark.parametrize("dtype", sorted(frames.ITEM_SIZES))
def test_every_dtype_goes_to_numpy_and_back(dtype: str) -> None:
    data = bytes(1 for _ in range(2 * frames.ITEM_SIZES[dtype]))
    array = arrays.to_array(Tensor("x", dtype, (2, 1), data))
    assert array.shape == (2, 1)
    assert bytes(arrays.to_tensor("x", array, dtype).data) == data


@given(st.lists(st.binary(max_size=5), max_size=6))
def test_strings_go_to_numpy_and_back(strings: list[bytes]) -> None:
    array = np.array([*strings, None], dtype=object)[:-1]
    tensor = arrays.to_tensor("x", array)
    assert tensor.dtype == "string"
    assert arrays.to_array(tensor).tolist() == strings


def test_what_is_no_input_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="x holds float64, not float32"):
        arrays.to_tensor("x", np.zeros(2), "float32")
    with pytest.raises(UsageError, match="x holds int, not strings"):
        arrays.to_tensor("x", np.array([1], dtype=object))


def test_arguments_are_packed() -> None:
    found: list[Tensor] = []
    x = arrays.to_tensor("x", np.zeros(2))
    assert arrays.pack([{"a": (x, 1)}, None, x], found) == {
        "list": [{"dict": {"a": {"tuple": [{"tensor": 0}, {"value": 1}]}}}, {"value": None}, {"tensor": 1}]
    }
    assert len(found) == 2
