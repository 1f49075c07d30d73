"""Shapes as tuples and as text."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.saved_model_writer import shape
from tfexplore.core import shapes
from tfexplore.formats.proto import lean


@pytest.mark.parametrize(
    ("found", "shown", "elements"),
    [
        ((), "[]", 1),
        ((3,), "[3]", 3),
        ((None, 224, 224, 3), "[?, 224, 224, 3]", None),
        ((0, 5), "[0, 5]", 0),
        ((2, 3, 4), "[2, 3, 4]", 24),
        ((2**62, 2**62), f"[{2**62}, {2**62}]", None),
        ((2**62, 2**62, 0), f"[{2**62}, {2**62}, 0]", 0),
        (None, "unknown rank", None),
    ],
)
def test_shapes_as_text_and_their_elements(found: shapes.Shape, shown: str, elements: int | None) -> None:
    assert shapes.format_shape(found) == shown
    assert shapes.num_elements(found) == elements


@given(st.lists(st.one_of(st.none(), st.integers(0, 2**63 - 1)), max_size=8))
def test_a_message_keeps_its_dimensions(sizes: list[int | None]) -> None:
    found = shapes.from_proto(shape(sizes))
    assert found == tuple(sizes)
    elements = None if None in sizes else prod(size for size in sizes if size is not None)
    assert shapes.num_elements(found) == (None if elements is None or elements >= 2**63 else elements)


def test_unknown_rank_and_negative_sizes() -> None:
    message = shape([2, 3])
    message.unknown_rank = True
    assert shapes.from_proto(message) is None
    odd = lean("TensorShapeProto")()
    odd.dim.add(size=-7)
    assert shapes.from_proto(odd) == (None,)
