"""Names in natural order."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tfexplore.core.natural import natural_key, natural_texts

names = st.one_of(
    st.text(alphabet="a/_0129", max_size=12),
    st.text(max_size=8),
    st.binary(max_size=8).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)


def test_numbers_compare_as_numbers() -> None:
    wanted = ["layer", "layer1", "layer2", "layer2/b", "layer10", "layer10/a", "layer_1"]
    shuffled = wanted[:]
    random.Random(1).shuffle(shuffled)
    assert sorted(shuffled, key=natural_key) == wanted
    assert sorted(["ckpt-1000", "ckpt-999"], key=natural_key) == ["ckpt-999", "ckpt-1000"]
    assert sorted(["a1", "a01", "a001"], key=natural_key) == ["a001", "a01", "a1"]


def test_very_long_numbers_cost_nothing() -> None:
    long = ["9" * 100, "1" * 101, "1" * 100_000, "2"]
    assert sorted(long, key=natural_key)[:2] == ["2", "9" * 100]


@given(st.lists(names, max_size=12))
def test_it_is_one_order_for_all_names(found: list[str]) -> None:
    once = sorted(found, key=natural_key)
    backwards = once[::-1]
    assert sorted(backwards, key=natural_key) == once
    assert sorted(once) == sorted(found)


@given(names, names, names)
def test_it_is_total_and_transitive(a: str, b: str, c: str) -> None:
    keys = {name: natural_key(name) for name in (a, b, c)}
    assert (keys[a] == keys[b]) is (a == b)
    assert (keys[a] < keys[b]) + (keys[b] < keys[a]) + (a == b) == 1
    if keys[a] <= keys[b] <= keys[c]:
        assert keys[a] <= keys[c]


@given(st.text(alphabet="ab/_", max_size=5), st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_larger_number_comes_later(stem: str, one: int, other: int) -> None:
    assert (natural_key(f"{stem}{one}") < natural_key(f"{stem}{other}")) is (one < other)


@given(st.lists(st.one_of(names, st.text(alphabet="a0\0\n\xff1", max_size=8)), max_size=12))
def test_texts_in_plain_order_are_names_in_natural_order(found: list[str]) -> None:
    found += ["1" * 101 + "a", "1" * 102, "1" * 101, "0" * 101, "00", "0", "000"]
    texts = [text for batch in natural_texts(found) for text in batch]
    assert len(texts) == len(found)
    order = sorted(range(len(found)), key=texts.__getitem__)
    assert [found[position] for position in order] == sorted(found, key=natural_key)
