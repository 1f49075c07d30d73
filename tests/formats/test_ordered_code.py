"""Slice keys: known bytes, round trips, byte order, and nothing but our errors on any other bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfexplore.errors import CorruptError
from tfexplore.formats.ordered_code import (
    MAX_DIMS,
    decode_slice_key,
    encode_signed,
    encode_slice_key,
    encode_unsigned,
)

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
NAMES = st.one_of(st.binary(max_size=20), st.lists(st.sampled_from([b"\x00", b"\xff", b"\x01", b"a"])).map(b"".join))


def test_the_key_of_a_slice_that_tensorflow_writes() -> None:
    key = bytes.fromhex("00 77 0001 0102 80 81 80 7f")
    assert encode_slice_key(b"w", [0, 0], [1, -1]) == key
    assert decode_slice_key(key) == (b"w", (0, 0), (1, -1))


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (0, "80"),
        (63, "bf"),
        (-1, "7f"),
        (-64, "40"),
        (64, "c040"),
        (-65, "3fbf"),
        (8191, "dfff"),
        (8192, "e02000"),
        ((1 << 62) - 1, "ffbfffffffffffffff"),
        (1 << 62, "ffc04000000000000000"),
        ((1 << 63) - 1, "ffc07fffffffffffffff"),
        (-(1 << 63), "003f8000000000000000"),
    ],
)
def test_signed_numbers(number: int, code: str) -> None:
    assert encode_signed(number).hex() == code


@pytest.mark.parametrize(
    ("number", "code"), [(0, "00"), (2, "0102"), (256, "020100"), ((1 << 64) - 1, "08" + "ff" * 8)]
)
def test_unsigned_numbers(number: int, code: str) -> None:
    assert encode_unsigned(number).hex() == code


def test_a_number_that_does_not_fit_is_refused() -> None:
    for number in (1 << 63, -(1 << 63) - 1):
        with pytest.raises(ValueError, match="int64"):
            encode_signed(number)
    for number in (1 << 64, -1):
        with pytest.raises(ValueError, match="uint64"):
            encode_unsigned(number)


@given(NAMES, st.lists(st.tuples(INT64, INT64), max_size=5))
def test_what_is_encoded_is_decoded(name: bytes, extents: list[tuple[int, int]]) -> None:
    starts, lengths = tuple(a for a, _ in extents), tuple(b for _, b in extents)
    assert decode_slice_key(encode_slice_key(name, starts, lengths)) == (name, starts, lengths)


@given(INT64, INT64)
def test_the_order_of_the_bytes_is_the_order_of_the_numbers(a: int, b: int) -> None:
    assert (encode_signed(a) < encode_signed(b)) == (a < b)


@given(NAMES, NAMES)
def test_the_order_of_the_bytes_is_the_order_of_the_names(a: bytes, b: bytes) -> None:
    assert (encode_slice_key(a, [], []) < encode_slice_key(b, [], [])) == (a < b)


@given(st.one_of(st.binary(), st.binary().map(lambda tail: b"\x00w\x00\x01" + tail)))
def test_other_bytes_are_refused_or_are_the_one_encoding(key: bytes) -> None:
    try:
        decoded = decode_slice_key(key)
    except CorruptError:
        return
    assert encode_slice_key(*decoded) == key


def test_every_cut_of_a_key_is_refused() -> None:
    key = encode_slice_key(b"n\x00\xffame", [0, 70_000, -5], [-1, 1 << 40, 3])
    for size in range(len(key)):
        with pytest.raises(CorruptError):
            decode_slice_key(key[:size])
    with pytest.raises(CorruptError, match="too many"):
        decode_slice_key(key + b"\x80")


def test_too_many_dimensions_are_refused() -> None:
    rank = MAX_DIMS + 1
    with pytest.raises(CorruptError, match="255 dimensions"):
        decode_slice_key(encode_slice_key(b"w", [0] * rank, [1] * rank))
