"""Statistics are numpy's, in float64, for every dtype; pieces and threads change nothing."""

from __future__ import annotations

import math
import threading
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from formats.table_writer import strings, write_bundle
from tfexplore.core import block_statistics, statistics
from tfexplore.core.block_statistics import EMPTY, joined, of_block
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.statistics import BINS, PERCENTILES, Distribution, Statistics, distribution
from tfexplore.core.tensor_source import ArraySource, KeySource
from tfexplore.errors import Cancelled
from tfexplore.formats import bundle_stream

FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=12)
EXTREMES = st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf])


def floats(dtype: str) -> Any:
    width = np.dtype(dtype).itemsize * 8
    ends = [float(np.finfo(dtype).max), float(np.finfo(dtype).min), float(np.finfo(dtype).smallest_subnormal)]
    elements = st.one_of(EXTREMES, st.sampled_from(ends), st.floats(width=width))
    return hnp.arrays(dtype, SHAPES, elements=elements)


def integers(dtype: str) -> Any:
    least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    return hnp.arrays(dtype, SHAPES, elements=st.one_of(st.integers(least, most), st.sampled_from([least, most, 0])))


def taken(array: np.ndarray) -> Statistics:
    return statistics.statistics(ArraySource("x", array))


def near(found: float | None, wanted: float, scale: float) -> bool:
    """Within a millionth of the sizes that were summed up."""
    return found is not None and abs(found - wanted) <= 1e-6 * scale


def check(array: np.ndarray, found: Statistics) -> None:
    """Against exact fractions of the finite values."""
    flat = array.reshape(-1)
    whole = array.dtype.kind in "iub" or "int" in array.dtype.name
    numbers = [int(value) if whole else float(value) for value in flat]
    finite = [value for value in numbers if math.isfinite(value)]
    assert found.elements == len(numbers)
    assert found.nan == sum(math.isnan(value) for value in numbers)
    assert (found.positive_inf, found.negative_inf) == (numbers.count(math.inf), numbers.count(-math.inf))
    assert found.zeros == numbers.count(0)
    if not finite:
        assert (found.minimum, found.maximum, found.mean, found.std) == (None,) * 4
        return
    assert (found.minimum, found.maximum) == (min(finite), max(finite))
    assert isinstance(found.minimum, int) == whole
    exact = [Fraction(value) for value in finite]
    mean = sum(exact) / len(exact)
    variance = sum((value - mean) ** 2 for value in exact) / len(exact)
    largest = max(abs(value) for value in exact)
    assert found.mean is not None
    assert found.std is not None
    assert abs(Fraction(found.mean) - mean) <= largest * Fraction(1, 10**12) + Fraction(5e-324)
    # The root of a fraction: compared as squares, the smallest numbers apart.
    low = Fraction(found.std) * (1 - Fraction(1, 10**6)) - Fraction(5e-324)
    high = Fraction(found.std) * (1 + Fraction(1, 10**6)) + largest * Fraction(1, 10**12) + Fraction(5e-324)
    assert max(low - largest * Fraction(1, 10**12), 0) ** 2 <= variance <= high**2


@pytest.mark.parametrize("dtype", FLOATS)
@given(data=st.data())
def test_floats(dtype: str, data: Any) -> None:
    array = data.draw(floats(dtype))
    check(array, taken(array))


@pytest.mark.parametrize("dtype", INTEGERS)
@given(data=st.data())
def test_integers(dtype: str, data: Any) -> None:
    array = data.draw(integers(dtype))
    check(array, taken(array))


@pytest.mark.parametrize(
    "name",
    [
        "bfloat16",
        "float8_e4m3fn",
        "float8_e5m2",
        "float8_e4m3b11fnuz",
        "float4_e2m1fn",
        "int4",
        "uint4",
        "int2",
        "bool",
    ],
)
@given(raw=st.binary(max_size=64))
def test_small_dtypes(name: str, raw: bytes) -> None:
    if name == "bool":
        array: np.ndarray = np.frombuffer(raw, np.uint8) % 2 == 0
    elif name == "bfloat16":
        array = np.frombuffer(raw[: len(raw) // 2 * 2], ml_dtypes.bfloat16)
    elif "int" in name:
        array = (np.frombuffer(raw, np.uint8) % 4).astype(getattr(ml_dtypes, name))
    elif name == "float4_e2m1fn":
        array = (np.frombuffer(raw, np.uint8) % 7).astype(ml_dtypes.float4_e2m1fn)
    else:
        array = np.frombuffer(raw, getattr(ml_dtypes, name))
    check(array, taken(array))


@given(hnp.arrays("complex64", SHAPES, elements=st.complex_numbers(max_magnitude=2.0**60, allow_nan=False, width=64)))
def test_complex_numbers_by_their_magnitudes(array: np.ndarray) -> None:
    found = taken(array)
    assert found.of == "magnitudes"
    sizes = np.abs(array.astype(np.complex128)).reshape(-1)
    if sizes.size:
        assert found.minimum == sizes.min()
        assert found.maximum == sizes.max()
        assert near(found.mean, float(sizes.mean()), float(sizes.max()))
        assert near(found.std, float(sizes.std()), float(sizes.max()))


def test_a_complex_number_with_a_nan_or_an_infinity() -> None:
    found = taken(np.array([complex(math.nan, 1), complex(math.inf, 0), 3 + 4j]))
    assert (found.nan, found.inf, found.minimum, found.maximum) == (1, 1, 5.0, 5.0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "float16"])
@pytest.mark.parametrize("size", [4095, 4096, 8191, 8192, 8193, 300_001])
def test_long_blocks_are_numpys(dtype: str, size: int) -> None:
    array = (np.random.default_rng(size).standard_normal(size) * 50 + 20).astype(dtype)
    found, wide = taken(array), array.astype(np.float64)
    assert found.mean == pytest.approx(wide.mean(), rel=1e-12)
    assert found.std == pytest.approx(wide.std(), rel=1e-12)
    assert (found.minimum, found.maximum, found.zeros) == (array.min(), array.max(), int((array == 0).sum()))


@pytest.mark.parametrize("offset", [1e4, 1e6, -1e8])
def test_a_small_deviation_from_a_large_mean(offset: float) -> None:
    array = np.random.default_rng(1).standard_normal(100_000) * 1e-3 + offset
    found = taken(array)
    exact = (array - offset).std()
    assert found.std == pytest.approx(exact, rel=1e-6)
    assert found.mean == pytest.approx(array.mean(), rel=1e-14)


def test_the_greatest_numbers_do_not_overflow() -> None:
    most = np.finfo(np.float64).max
    found = taken(np.array([most, -most] * 50_000))
    assert (found.mean, found.std) == (0.0, most)
    same = taken(np.full(700_000, most))
    assert (same.mean, same.std) == (most, 0.0)
    halves = taken(np.concatenate((np.full(200_000, most), np.full(200_000, -most))))
    assert halves.mean == pytest.approx(0, abs=most * 1e-12)
    assert halves.std == pytest.approx(most, rel=1e-12)
    single = taken(np.full(300_000, np.finfo(np.float32).max, np.float32))
    assert single.mean == float(np.finfo(np.float32).max)


def test_the_least_integer() -> None:
    found = taken(np.array([-(2**63)] * 3 + [2**63 - 1]))
    assert (found.minimum, found.maximum) == (-(2**63), 2**63 - 1)
    assert found.mean == pytest.approx(-(2.0**62))


@given(st.lists(floats("float64"), max_size=5))
def test_parts_go_together_in_any_cut(arrays: list[np.ndarray]) -> None:
    whole = np.concatenate([array.reshape(-1) for array in arrays]) if arrays else np.array([])
    total = EMPTY
    for array in arrays:
        total = joined(total, of_block(array.reshape(-1)))
    once = of_block(whole)
    assert total[:3] == once[:3]
    assert total[5:] == once[5:]
    if once.finite:
        scale = max(abs(once.low), abs(once.high))
        assert abs(total.mean / 2 - once.mean / 2) <= 1e-12 * scale
        assert abs(total.std / 2 - once.std / 2) <= 1e-6 * scale


@given(st.lists(st.binary(max_size=5), max_size=60))
def test_strings(items: list[bytes]) -> None:
    found = taken(strings(*items))
    assert found.strings is not None
    assert found.minimum is None
    lengths = [len(item) for item in items]
    assert found.strings == (
        lengths.count(0),
        min(lengths, default=0),
        max(lengths, default=0),
        sum(lengths),
        len(set(items)),
    )


def test_distinct_strings_are_counted_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_statistics, "MAX_DISTINCT", 3)
    assert taken(strings(b"a", b"b", b"c", b"a")).strings[-1] == 3  # type: ignore[index]
    assert taken(strings(b"a", b"b", b"c", b"d")).strings[-1] is None  # type: ignore[index]


# -- distribution --


def spread(array: np.ndarray) -> Distribution | None:
    source = ArraySource("x", array)
    return distribution(source, statistics.statistics(source))


@pytest.mark.parametrize("dtype", [*FLOATS, "int8", "uint64"])
@given(data=st.data())
def test_percentiles_are_numpys(dtype: str, data: Any) -> None:
    array = data.draw(floats(dtype) if dtype in FLOATS else integers(dtype))
    found = spread(array)
    finite = array[np.isfinite(array)].astype(np.float64)
    if not finite.size:
        assert found is None
        return
    assert found is not None
    with np.errstate(all="ignore"):
        wanted = np.percentile(finite, PERCENTILES)
    scale = float(np.abs(finite).max())
    for value, other in zip(found.percentiles.values(), wanted, strict=True):
        assert math.isnan(other) or math.isinf(other) or abs(value - other) <= 1e-12 * scale + 1e-323
    assert (found.error, sum(found.counts), len(found.counts)) == (0, finite.size, BINS)


def test_the_histogram_is_numpys() -> None:
    array = np.random.default_rng(2).standard_normal(50_000)
    found = spread(array)
    assert found is not None
    wanted = np.histogram(array, BINS)[0]
    assert sum(abs(a - b) for a, b in zip(found.counts, wanted.tolist(), strict=True)) <= 4  # on the very edges


@given(hnp.arrays("float32", st.integers(1, 300), elements=st.floats(-1e3, 1e3, width=32)))
def test_percentiles_of_many_values_are_off_by_no_more_than_is_said(array: np.ndarray) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "EXACT", 0)
        patch.setattr(statistics, "_PARTS", 256)
        found = spread(array)
    assert found is not None
    ordered = np.sort(array.astype(np.float64))
    for percent, value in found.percentiles.items():
        rank = (len(ordered) - 1) * percent / 100
        below, above = ordered[math.floor(rank)], ordered[math.ceil(rank)]
        assert below - found.error * 1.001 <= value <= above + found.error * 1.001
    assert sum(found.counts) == array.size
    assert found.error == pytest.approx((float(array.max()) - float(array.min())) / 256)


# -- from a checkpoint --


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Values that take many pieces."""
    monkeypatch.setattr(bundle_stream, "STREAMED", 1 << 12)
    monkeypatch.setattr(statistics, "_WORTH", 0)
    array = np.random.default_rng(3).standard_normal((300, 400)).astype(np.float32)
    array[7, 3], array[8, 8], array[9, 9] = np.nan, -np.inf, 0
    write_bundle(tmp_path / "ckpt", {b"x": array, b"y": np.arange(9)})
    return tmp_path / "ckpt"


def test_threads_change_nothing(prefix: Path) -> None:
    found = set()
    for threads in (1, 2, 3, 2, 1):
        with Checkpoint(str(prefix)).bundle:
            checkpoint = Checkpoint(str(prefix))
            source = KeySource(checkpoint, "x")
            known = statistics.statistics(source, threads=threads)
            found.add(known)
            checkpoint.close()
    (only,) = found
    assert (only.checksum, only.nan, only.negative_inf, only.zeros) == ("good", 1, 1, 1)


def test_they_are_kept_until_the_files_are_written_to(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(str(prefix))
    source = KeySource(checkpoint, "y")
    calls: Counter[str] = Counter()
    pieces = KeySource.pieces

    def counted(self: KeySource, *more: Any) -> Any:
        calls[self.key] += 1
        return pieces(self, *more)

    monkeypatch.setattr(KeySource, "pieces", counted)
    assert statistics.known_statistics(source) is None
    first = statistics.statistics(source)
    assert statistics.statistics(KeySource(checkpoint, "y")) is first
    assert statistics.known_statistics(source) is first
    assert calls == {"y": 1}
    write_bundle(prefix, {b"x": np.ones(3, np.float32), b"y": np.arange(9) + 1})
    assert statistics.known_statistics(source) is None
    checkpoint.close()


def test_cancelled_in_the_middle(prefix: Path) -> None:
    cancel = threading.Event()
    source = KeySource(Checkpoint(str(prefix)), "x")
    told = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if done > total // 2:
            cancel.set()

    with pytest.raises(Cancelled):
        statistics.statistics(source, cancel=cancel, progress=progress, threads=2)
    assert told == sorted(told)
    assert told[-1][0] < told[-1][1] == 300 * 400 * 4


@settings(max_examples=30)
@given(st.integers(0, 300 * 400 * 4 - 1), st.integers(0, 7))
def test_a_flipped_bit_makes_the_checksum_bad(place: int, bit: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "ckpt"
        write_bundle(prefix, {b"x": np.ones((300, 400), np.float32)})
        data = Path(f"{prefix}.data-00000-of-00001")
        raw = bytearray(data.read_bytes())
        raw[place] ^= 1 << bit
        data.write_bytes(raw)
        with Checkpoint(str(prefix)).bundle:
            checkpoint = Checkpoint(str(prefix))
            checkpoint._patient = False  # nobody else writes here
            assert statistics.statistics(KeySource(checkpoint, "x"), threads=2).checksum == "bad"
            assert checkpoint.checksum_of("x") == "bad"
            checkpoint.close()
