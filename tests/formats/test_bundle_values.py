"""Values of a tensor bundle: every dtype, boxes, partitions, checksums; TensorFlow says the same."""

from __future__ import annotations

import itertools
import shutil
import threading
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.table_writer import Partition, entry, strings, write_bundle
from tfexplore.errors import Cancelled, CorruptError, TfexploreError, UnsupportedError, UsageError
from tfexplore.formats import bundle_values, dtypes
from tfexplore.formats.bundle import Bundle
from tfexplore.formats.files import RandomAccessFile

NUMBERS = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
NUMBERS += ["complex64", "complex128", "bool"]
SMALL = [ml_dtypes.bfloat16, ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn, ml_dtypes.int4, ml_dtypes.uint4]


def some(dtype: Any, *shape: int) -> np.ndarray:
    count = int(np.prod(shape))
    plain = np.arange(count) % 7
    return (plain + 1j * plain if np.dtype(dtype).kind == "c" else plain).astype(dtype).reshape(shape)


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    return (
        found.dtype == expected.dtype
        and found.shape == expected.shape
        and found.ravel().tolist() == expected.ravel().tolist()
    )


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each read of a data file took."""
    sizes: list[int] = []
    pread, readinto = RandomAccessFile.pread, RandomAccessFile.readinto

    def counting_pread(self: RandomAccessFile, offset: int, length: int) -> bytes:
        if ".data-" in self.path:
            sizes.append(length)
        return pread(self, offset, length)

    def counting_readinto(self: RandomAccessFile, offset: int, target: memoryview) -> None:
        sizes.append(len(target))
        readinto(self, offset, target)

    monkeypatch.setattr(RandomAccessFile, "pread", counting_pread)
    monkeypatch.setattr(RandomAccessFile, "readinto", counting_readinto)
    return sizes


@pytest.mark.parametrize("big_endian", [False, True])
def test_every_dtype(tmp_path: Path, big_endian: bool) -> None:
    tensors = {np.dtype(dtype).name.encode(): some(dtype, 2, 3, 4) for dtype in (*NUMBERS, *SMALL)}
    tensors |= {b"scalar": np.array(2.5, np.float32), b"empty": np.zeros((0, 5), np.int16)}
    tensors |= {
        b"text": strings(b"", b"\xff\x00", b"a" * 300, b"z"),
        b"no text": strings(),
        b"word": strings(b"w")[0:1],
    }
    tensors[b"word"] = tensors[b"word"].reshape(())
    write_bundle(tmp_path / "c", tensors, big_endian=big_endian, shards=3)
    with Bundle(str(tmp_path / "c")) as bundle:
        assert bundle.big_endian is big_endian
        assert len(bundle) == len(tensors)
        for key, array in tensors.items():
            value = bundle.read(bundle.entry(key.decode()))
            assert same(value.array, array), key
            assert value.checksum == "good"
            assert value.shape == array.shape
            assert bundle.checksum(bundle.entry(key.decode())) == "good"
            if array.ndim == 3:
                box = bundle.read(bundle.entry(key.decode()), (1, 0, 1), (1, 3, 2))
                assert same(box.array, array[1:2, 0:3, 1:3]), key
                assert box.checksum == "unverified"
                assert (box.shape, box.starts) == (array.shape, (1, 0, 1))


SHAPES = st.lists(st.integers(0, 5), max_size=4)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[list[int], list[int], list[int]]:
    shape = draw(SHAPES)
    starts = [draw(st.integers(0, dim)) for dim in shape]
    return shape, starts, [draw(st.integers(0, dim - start)) for dim, start in zip(shape, starts, strict=True)]


@given(boxes(), st.sampled_from(["uint8", "int16", "float32", "complex128", "object"]), st.sampled_from([0, 3, 4096]))
def test_any_box_is_what_numpy_cuts(
    tmp_path_factory: pytest.TempPathFactory, box: tuple[list[int], list[int], list[int]], dtype: str, gap: int
) -> None:
    shape, starts, counts = box
    count = int(np.prod(shape))
    if dtype == "object":
        array = strings(*[b"%d" % number * (number % 3) for number in range(count)]).reshape(shape)
    else:
        array = np.arange(count).astype(dtype).reshape(shape)
    prefix = tmp_path_factory.getbasetemp() / "box"
    write_bundle(prefix, {b"first": some("uint8", 5), b"w": array})
    with pytest.MonkeyPatch.context() as patch, Bundle(str(prefix)) as bundle:
        patch.setattr(bundle_values, "_GAP", gap)
        value = bundle.read(bundle.entry("w"), starts, counts)
        cut = tuple(slice(start, start + size) for start, size in zip(starts, counts, strict=True))
        assert same(value.array, np.asarray(array[cut], dtype=array.dtype))
        assert value.checksum == ("good" if counts == shape else "unverified")


def test_a_corner_of_a_large_tensor_reads_few_bytes(tmp_path: Path, reads: list[int]) -> None:
    """1 GiB of float32, most of it a hole of the file."""
    side = 16_384
    write_bundle(tmp_path / "c", {}, extra={b"w": entry(1, [side, side], size=4 * side * side)})
    expected = np.arange(2500, dtype=np.float32).reshape(50, 50)
    with open(tmp_path / "c.data-00000-of-00001", "r+b") as file:
        file.truncate(4 * side * side)
        for row in range(50):
            file.seek(4 * (side * (100 + row) + 200))
            file.write(expected[row].tobytes())
    with Bundle(str(tmp_path / "c")) as bundle:
        found = bundle.entry("w")
        value = bundle.read(found, (100, 200), (50, 50), limit=10_000)
        assert same(value.array, expected)
        assert sum(reads) == 10_000
        reads.clear()
        rows = bundle.read(found, (100, 0), (2, side))
        assert same(rows.array[:, 200:250], expected[:2])
        assert reads == [2 * 4 * side]
        with pytest.raises(UnsupportedError, match=r"1,073,741,824 bytes in memory.*read a slice"):
            bundle.read(found, limit=1 << 20)


def test_a_column_is_read_in_few_pieces(tmp_path: Path, reads: list[int]) -> None:
    array = some("int32", 1000, 8)
    write_bundle(tmp_path / "c", {b"w": array})
    with Bundle(str(tmp_path / "c")) as bundle:
        assert same(bundle.read(bundle.entry("w"), (0, 3), (1000, 1)).array, array[:, 3:4])
        assert len(reads) == 1


def test_some_strings_are_read_without_the_others(tmp_path: Path, reads: list[int]) -> None:
    array = strings(*[bytes((number,)) * 5000 for number in range(100)]).reshape(10, 10)
    write_bundle(tmp_path / "c", {b"s": array})
    with Bundle(str(tmp_path / "c")) as bundle:
        found = bundle.entry("s")
        assert same(bundle.read(found, (3, 2), (1, 2), limit=20_000).array, array[3:4, 2:4])
        assert reads[-1] == 10_000
        with pytest.raises(UnsupportedError, match="more than the 20,000"):
            bundle.read(found, (3, 0), (1, 9), limit=20_000)
        with pytest.raises(UnsupportedError, match="more than the 400,000"):
            bundle.read(found, limit=400_000)
        assert bundle.read(found, limit=600_000).checksum == "good"


@pytest.mark.parametrize(
    ("starts", "counts"),
    [
        ((0,), (1,)),
        ((0, 0), (1,)),
        ((-1, 0), (1, 1)),
        ((0, 0), (3, 1)),
        ((1, 1), (1, 3)),
        ((0, 0), (-1, 1)),
        ((9, 0), None),
    ],
)
def test_a_box_outside_is_refused(tmp_path: Path, starts: tuple[int, ...], counts: tuple[int, ...] | None) -> None:
    write_bundle(tmp_path / "c", {b"w": some("int8", 2, 3)})
    with Bundle(str(tmp_path / "c")) as bundle, pytest.raises(UsageError, match="does not lie within 'w'"):
        bundle.read(bundle.entry("w"), starts, counts)


def test_starts_alone_read_to_the_end(tmp_path: Path) -> None:
    array = some("int8", 4, 3)
    write_bundle(tmp_path / "c", {b"w": array})
    with Bundle(str(tmp_path / "c")) as bundle:
        assert same(bundle.read(bundle.entry("w"), (1, 2)).array, array[1:, 2:])
        assert same(bundle.read(bundle.entry("w"), None, (2, 2)).array, array[:2, :2])


QUARTERS = [[(0, 3), (0, 2)], [(0, 3), (2, 3)], [(3, 1), (0, 2)], [(3, 1), (2, 3)]]


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("parts", [[[(0, None), (0, None)]], [[(0, 1), (0, None)], [(1, 3), (0, None)]], QUARTERS])
def test_a_partitioned_tensor_is_joined(tmp_path: Path, parts: list[Any], big_endian: bool) -> None:
    arrays = {
        b"p": np.arange(20, dtype=np.float32).reshape(4, 5),
        b"s": strings(*[b"%d" % number for number in range(20)]).reshape(4, 5),
    }
    write_bundle(
        tmp_path / "c", {key: Partition(array, parts) for key, array in arrays.items()}, shards=2, big_endian=big_endian
    )
    with Bundle(str(tmp_path / "c")) as bundle:
        for key, array in arrays.items():
            found = bundle.entry(key.decode())
            value = bundle.read(found)
            assert same(value.array, array)
            assert value.checksum == bundle.checksum(found) == "good"
            for top, left, rows, columns in itertools.product(range(4), range(5), (0, 1), (0, 2)):
                counts = (min(rows, 4 - top), min(columns, 5 - left))
                box = bundle.read(found, (top, left), counts)
                assert same(box.array, array[top : top + counts[0], left : left + counts[1]])
                assert box.checksum == "unverified"
            with pytest.raises(UnsupportedError, match="in memory"):
                bundle.read(found, limit=70)


def test_a_bad_slice_makes_the_whole_bad(tmp_path: Path) -> None:
    array = np.arange(20, dtype=np.float32).reshape(4, 5)
    write_bundle(tmp_path / "c", {b"p": Partition(array, QUARTERS)})
    flip(tmp_path / "c.data-00000-of-00001", 70)
    with Bundle(str(tmp_path / "c")) as bundle:
        assert bundle.read(bundle.entry("p")).checksum == "bad"
        assert bundle.checksum(bundle.entry("p")) == "bad"


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([[(0, 2), (0, None)]], "have 10 elements, expected 20"),
        ([[(0, 2), (0, None)], [(0, 1), (0, None)], [(1, 1), (0, None)]], "overlap"),
        ([[(0, 2), (0, None)], [(0, None), (0, 2)], [(3, 1), (3, 2)]], "overlap"),
    ],
)
def test_slices_that_do_not_tile_are_refused(tmp_path: Path, parts: list[Any], sentence: str) -> None:
    array = np.arange(20, dtype=np.float32).reshape(4, 5)
    write_bundle(tmp_path / "c", {b"p": Partition(array, parts), b"w": array})
    with Bundle(str(tmp_path / "c")) as bundle:
        with pytest.raises(CorruptError, match=sentence):
            bundle.read(bundle.entry("p"))
        assert bundle.read(bundle.entry("w")).checksum == "good"


def flip(path: Path, position: int, bit: int = 0) -> None:
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes((byte ^ (1 << bit),)))


SMALL_BUNDLE: dict[bytes, Any] = {
    b"half": some("float16", 3),
    b"p": Partition(some("int32", 4), [[(0, 1)], [(1, 3)]]),
    b"text": strings(b"ab", b"", b"c" * 130),
    b"word": strings(b"w").reshape(()),
}


def plain(value: Any) -> np.ndarray:
    return value.array if isinstance(value, Partition) else value


def test_no_flipped_bit_of_the_data_passes(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", SMALL_BUNDLE)
    data = tmp_path / "c.data-00000-of-00001"
    size = data.stat().st_size
    for position, bit in itertools.product(range(size), range(8)):
        flip(data, position, bit)
        hit = []
        with Bundle(str(tmp_path / "c")) as bundle:
            for key, value in SMALL_BUNDLE.items():
                found = bundle.entry(key.decode())
                try:
                    read = bundle.read(found)
                    assert bundle.checksum(found) == read.checksum
                except CorruptError:
                    hit.append(key)
                    continue
                if read.checksum == "bad":
                    hit.append(key)
                else:
                    assert read.checksum == "good"
                    assert same(read.array, plain(value))
        assert len(hit) == 1, position
        flip(data, position, bit)


def test_data_cut_anywhere_hides_no_whole_tensor(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", SMALL_BUNDLE)
    path = tmp_path / "c.data-00000-of-00001"
    data = path.read_bytes()
    counts = []
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        good = 0
        with Bundle(str(tmp_path / "c")) as bundle:
            for key, value in SMALL_BUNDLE.items():
                try:
                    read = bundle.read(bundle.entry(key.decode()))
                except CorruptError:
                    continue
                assert read.checksum == "good"
                assert same(read.array, plain(value))
                good += 1
        counts.append(good)
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, len(SMALL_BUNDLE))


def test_no_flip_or_cut_of_the_index_passes(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", SMALL_BUNDLE, block_size=60)
    path = tmp_path / "c.index"
    data = path.read_bytes()
    harmless = 0
    mutants = [data[:size] for size in range(len(data))]
    mutants += [data[:at] + bytes((data[at] ^ mask,)) + data[at + 1 :] for at in range(len(data)) for mask in (1, 0x80)]
    for mutant in mutants:
        path.write_bytes(mutant)
        seen = 0
        try:
            bundle = Bundle(str(tmp_path / "c"))
        except TfexploreError:
            continue
        for key in bundle.keys:
            try:
                value = bundle.read(bundle.entry(key))
            except TfexploreError:
                continue
            # Entries of a block that does not match its checksum are listed, but nothing of them is called good.
            if value.checksum == "good":
                assert same(value.array, plain(SMALL_BUNDLE[key.encode()]))
                seen += 1
        assert seen == len(SMALL_BUNDLE) or bundle.damage
        harmless += not bundle.damage
    # The metaindex block with its handle, and the filling of the footer.
    assert harmless <= 2 * (13 + 40)


@pytest.mark.parametrize(
    ("raw", "data", "sentence"),
    [
        (entry(7, [1], size=3), b"\x00\x00\x00", "too few for 1 strings"),
        (entry(7, [1 << 40], size=9), b"\x00" * 9, "too few"),
        (entry(7, [1], size=8), b"\x80" * 8, "does not end"),
        (entry(7, [1], size=20), b"\xff" * 9 + b"\x7f" + b"\x00" * 10, "does not fit 64 bits"),
        (entry(7, [1], size=20), b"\xff" * 10 + b"\x01" + b"\x00" * 9, "does not fit 64 bits"),
        (entry(7, [1], size=20), b"\xff" * 9 + b"\x01" + b"\x00" * 10, "in all"),
        (entry(7, [2], size=9), b"\x01\x01" + b"\x00" * 7, "2 bytes in all, but 3 are left"),
        (entry(21, [2], size=9), b"\x00" * 9, "too few for 2 variants"),
        (entry(21, [1], size=9), b"\xff" * 9, "does not end"),
        (entry(21, [1], size=9), b"\x05" + b"\x00" * 8, "5 bytes, but 8 are left"),
        (entry(21, [1], size=9), b"\x00" * 9, "4 bytes are left"),
        (entry(21, [1], size=7), b"\x02\xff\xff" + b"\x00" * 4, "no VariantTensorDataProto"),
        (entry(1, [2], offset=4, size=8), b"\x00" * 11, "should have 8 bytes there"),
        (entry(1, [2], offset=(1 << 63) - 1, size=8), b"\x00" * 11, "should have 8 bytes there"),
    ],
)
def test_lengths_that_lie_are_refused(tmp_path: Path, raw: bytes, data: bytes, sentence: str) -> None:
    write_bundle(tmp_path / "c", {}, extra={b"x": raw})
    (tmp_path / "c.data-00000-of-00001").write_bytes(data)
    with Bundle(str(tmp_path / "c")) as bundle, pytest.raises(CorruptError, match=sentence) as caught:
        bundle.read(bundle.entry("x"))
    assert str(caught.value.path).endswith("of-00001")
    assert caught.value.offset is not None


def test_shapes_that_numpy_cannot_show(tmp_path: Path) -> None:
    deep = entry(4, [1] * 65, size=1, crc32c=0)
    wide = entry(4, [0, 1 << 40, 1 << 40], size=0)
    write_bundle(tmp_path / "c", {b"a": some("uint8", 3)}, extra={b"deep": deep, b"wide": wide})
    with Bundle(str(tmp_path / "c")) as bundle:
        for key in ("deep", "wide"):
            with pytest.raises(UnsupportedError, match="dimensions"):
                bundle.read(bundle.entry(key))
        assert bundle.checksum(bundle.entry("deep")) == "bad"


def test_the_checksum_is_read_in_pieces(tmp_path: Path, reads: list[int]) -> None:
    size = 20 << 20
    write_bundle(tmp_path / "c", {b"w": np.ones(size, np.uint8)})
    with Bundle(str(tmp_path / "c")) as bundle:
        found = bundle.entry("w")
        steps: list[tuple[int, int]] = []
        assert bundle.checksum(found, progress=lambda done, total: steps.append((done, total))) == "good"
        assert max(reads) <= 8 << 20
        assert steps == sorted(steps)
        assert len(steps) > 2
        assert steps[-1] == (size, size)
        cancel = threading.Event()

        def stop(done: int, total: int) -> None:
            assert total == size
            cancel.set()

        with pytest.raises(Cancelled):
            bundle.checksum(found, cancel, stop)
        with pytest.raises(Cancelled):
            bundle.read(found, cancel=cancel)


def test_progress_of_strings_and_partitions_reaches_the_end(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", SMALL_BUNDLE)
    with Bundle(str(tmp_path / "c")) as bundle:
        for key in bundle.keys:
            steps: list[tuple[int, int]] = []
            bundle.checksum(bundle.entry(key), progress=lambda *step, steps=steps: steps.append(step))
            assert steps[-1][0] == steps[-1][1] > 0


def test_bool_bytes_other_than_0_and_1_are_true(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", {}, extra={b"b": entry(10, [3], size=3)})
    (tmp_path / "c.data-00000-of-00001").write_bytes(b"\x00\x01\xfe")
    with Bundle(str(tmp_path / "c")) as bundle:
        assert bundle.read(bundle.entry("b")).array.tolist() == [False, True, True]


def test_variants_are_described(corpus: Path) -> None:
    with Bundle(str(corpus / "models" / "gen-ckpt_all_dtypes" / "all")) as bundle:
        found = bundle.entry("variant/tensor_list")
        value = bundle.read(found)
        assert value.checksum == bundle.checksum(found) == "good"
        assert value.array.reshape(-1)[0].type_name == "tensorflow::TensorList"
        assert value.array.reshape(-1)[0].tensor_count == 3


def indexes(corpus: Path) -> list[Path]:
    return sorted([path for path in corpus.rglob("*.index") if "bad-ckpt" not in str(path)])


def test_every_checkpoint_of_the_corpus_is_good(corpus: Path) -> None:
    count = 0
    for path in indexes(corpus):
        with Bundle(str(path)[: -len(".index")]) as bundle:
            assert bundle.damage == ()
            assert bundle.missing_shards() == ()
            for key in bundle.keys:
                found = bundle.entry(key)
                value = bundle.read(found)
                assert value.checksum == "good", (path, key)
                assert value.array.shape == found.shape
                count += 1
    assert count > 600


def same_bits(found: np.ndarray, expected: np.ndarray) -> bool:
    if found.dtype == object:
        return found.shape == expected.shape and found.ravel().tolist() == expected.ravel().tolist()
    return (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def compare_with_tensorflow(tf: Any, prefix: str) -> int:
    reader = tf.train.load_checkpoint(prefix)
    shapes = reader.get_variable_to_shape_map()
    types = reader.get_variable_to_dtype_map()
    compared = 0
    with Bundle(prefix) as bundle:
        assert bundle.keys == sorted(shapes)
        for key in bundle.keys:
            found = bundle.entry(key)
            assert list(found.shape) == shapes[key], (prefix, key)
            assert dtypes.name(found.dtype) == types[key].name, (prefix, key)
            if types[key] == tf.variant:
                continue
            given_back = reader.get_tensor(key)
            expected = np.asarray(given_back, object if isinstance(given_back, bytes) else None)
            value = bundle.read(found).array
            # TensorFlow gives its quantized types as structures of one field.
            assert same_bits(value, expected.view(value.dtype) if expected.dtype.names else expected), (prefix, key)
            compared += 1
    return compared


@pytest.mark.tensorflow
def test_tensorflow_reads_the_same_from_the_corpus(tf: Any, corpus: Path) -> None:
    assert sum(compare_with_tensorflow(tf, str(path)[: -len(".index")]) for path in indexes(corpus)) > 600


@pytest.mark.tensorflow
@pytest.mark.parametrize("big_endian", [False, True])
def test_tensorflow_reads_the_same_from_what_the_tests_write(tf: Any, tmp_path: Path, big_endian: bool) -> None:
    """TensorFlow as the judge of the writer: byte orders, shards, slices, strings, compressed blocks."""
    # TensorFlow swaps no bytes of float8 and int4.
    small = SMALL[:1] if big_endian else SMALL
    tensors: dict[bytes, Any] = {np.dtype(dtype).name.encode(): some(dtype, 2, 3) for dtype in (*NUMBERS, *small)}
    tensors[b"text"] = strings(b"a", b"", b"b" * 200)
    array = np.arange(20, dtype=np.float32).reshape(4, 5)
    tensors[b"quarters"] = Partition(array, QUARTERS)
    tensors[b"rows"] = Partition(array, [[(0, 1), (0, None)], [(1, 3), (0, None)]])
    write_bundle(tmp_path / "c", tensors, shards=3, big_endian=big_endian, snappy=True, block_size=200)
    assert compare_with_tensorflow(tf, str(tmp_path / "c")) == len(tensors)


@pytest.mark.tensorflow
def test_what_tensorflow_writes_is_read(tf: Any, tmp_path: Path) -> None:
    """A partitioned variable of TensorFlow 1, strings, and a name with bytes that slice keys escape."""
    array = np.arange(70, dtype=np.float64).reshape(7, 10)
    with tf.Graph().as_default():
        parts = [(0, 3), (3, 4)]
        specs = [f"7 10 {start},{count}:-" for start, count in parts]
        tensors = [tf.constant(array[start : start + count]) for start, count in parts]
        tensors.append(tf.constant([b"x", b"\xff\x00", b"y" * 1000]))
        names = ["p\u00ff", "p\u00ff", "text"]
        save = tf.raw_ops.SaveV2(
            prefix=str(tmp_path / "v"), tensor_names=names, shape_and_slices=[*specs, ""], tensors=tensors
        )
        with tf.compat.v1.Session() as session:
            session.run(save)
    with Bundle(str(tmp_path / "v")) as bundle:
        assert bundle.keys == ["p\u00ff", "text"]
        assert bundle.slice_count == 2
        value = bundle.read(bundle.entry("p\u00ff"))
        assert value.checksum == "good"
        assert same(value.array, array)
        assert bundle.read(bundle.entry("text")).array.tolist() == [b"x", b"\xff\x00", b"y" * 1000]
    compare_with_tensorflow(tf, str(tmp_path / "v"))


def test_a_checkpoint_replaced_while_open_keeps_its_index(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", {b"w": some("int8", 4)})
    write_bundle(tmp_path / "d", {b"other": some("int8", 9)})
    with Bundle(str(tmp_path / "c")) as bundle:
        assert bundle.read(bundle.entry("w")).checksum == "good"
        shutil.move(tmp_path / "d.index", tmp_path / "c.index")
        shutil.move(tmp_path / "d.data-00000-of-00001", tmp_path / "c.data-00000-of-00001")
        value = bundle.read(bundle.entry("w"))
        assert value.checksum == "good"
        assert same(value.array, some("int8", 4))
