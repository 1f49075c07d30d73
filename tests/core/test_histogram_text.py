"""Histograms in characters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfexplore.core.histogram_text import ASCII, BLOCKS, line, rebinned, rows

COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=100)


def test_a_line() -> None:
    assert line([0, 1, 2, 4, 8, 4, 2, 1, 0], 9) == " ▁▂▄█▄▂▁ "
    assert line([0, 1, 2, 4, 8], 9, ascii_only=True) == " .:=@"
    assert line([1, 1, 0, 0, 9, 9], 3) == "▁ █"
    assert line([0, 0], 5) == "  "
    assert line([], 5) == ""


def test_rows() -> None:
    assert rows([0, 1, 8, 16], 4, 2) == ["   █", " ▁██"]


@given(COUNTS, st.integers(1, 120), st.integers(1, 5))
def test_nothing_is_lost(counts: list[int], width: int, height: int) -> None:
    parts = rebinned(counts, width)
    assert (sum(parts), len(parts)) == (sum(counts), min(width, len(counts)))
    for marks, plain in ((BLOCKS, False), (ASCII, True)):
        found = rows(counts, width, height, ascii_only=plain)
        assert [len(row) for row in found] == [len(parts)] * height
        assert set("".join(found)) <= set(marks)
        for count, column in zip(parts, zip(*found, strict=True), strict=True):
            assert (count > 0) == (column[-1] != " ")
        assert not any(parts) or marks[-1] in found[0]
