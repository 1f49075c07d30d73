"""TensorProtos, against TensorFlow's own reading and by themselves."""

from __future__ import annotations

import contextlib
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from core.saved_model_writer import tensor
from formats.table_writer import varint
from tfexplore.errors import CorruptError, ModelError, UnsupportedError
from tfexplore.formats import dtypes, tensor_proto

DTYPES = [
    "float32", "float64", "int32", "uint8", "int16", "int8", "string", "complex64", "int64", "bool", "bfloat16",
    "uint16", "complex128", "float16", "uint32", "uint64", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz",
    "float8_e4m3b11fnuz", "float8_e5m2fnuz", "int4", "uint4", "int2", "uint2", "float4_e2m1fn",
    "qint8", "quint8", "qint16", "quint16", "qint32",
]  # fmt: skip
NUMBER = {dtypes.name(number): number for number in range(1, 34)}


def read(raw: bytes, **options: Any) -> np.ndarray:
    return tensor_proto.to_array(tensor_proto.decode_tensor(raw, path="m.pb"), path="m.pb", **options)


def sample(name: str, size: int) -> np.ndarray:
    if name == "string":
        array = np.empty(size, object)
        array[:] = [b"\xff" * (number % 3) + b"s" for number in range(size)]
        return array
    dtype = dtypes.numpy_dtype(NUMBER[name])
    if name == "bool":
        return np.arange(size) % 2 == 0
    if name.startswith("complex"):
        return (np.arange(size) - 1j * np.arange(size)).astype(dtype)
    low = 0 if name.startswith(("u", "qu")) or "2" in name else -1
    return (np.arange(size) % 2 + low).astype(np.float32).astype(dtype)


def same(ours: np.ndarray, theirs: np.ndarray) -> bool:
    if theirs.dtype.names:  # TensorFlow's quantised types are structures of one field
        theirs = theirs[theirs.dtype.names[0]]
    if ours.dtype == object:
        return ours.shape == theirs.shape and ours.ravel().tolist() == theirs.ravel().tolist()
    return ours.shape == theirs.shape and ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()


def their_proto(tf: Any, name: str, array: np.ndarray) -> Any:
    """The TensorProto that TensorFlow makes of an array; by hand where its helper does not know the dtype."""
    if not name.startswith(("q", "float8", "float4", "int2", "uint2", "int4", "uint4")):
        return tf.make_tensor_proto(array, dtype=tf.dtypes.as_dtype(name), shape=array.shape)
    from tensorflow.core.framework import tensor_pb2

    proto = tensor_pb2.TensorProto(dtype=NUMBER[name], tensor_content=array.tobytes())
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize("name", DTYPES)
def test_tensorflow_s_own_protos_read_the_same(tf: Any, name: str) -> None:
    compared = 0
    for sizes in ((), (1,), (5,), (2, 3), (0,), (2, 0)):
        array = sample(name, int(np.prod(sizes))).reshape(sizes)
        proto = their_proto(tf, name, array)
        ours = read(proto.SerializeToString())
        assert same(ours, array), sizes
        try:
            theirs = tf.make_ndarray(proto)
        except (TypeError, KeyError, ValueError):
            continue  # TensorFlow's own helper does not know every dtype
        assert same(ours, theirs), sizes
        compared += 1
    assert compared or name.startswith(("float4", "int2", "uint2"))


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("compress", [False, True], ids=["field", "content"])
def test_what_tensorflow_s_kernels_write_reads_the_same(tf: Any, name: str, compress: bool) -> None:
    """A constant as a traced graph holds it: C++ writes the value, compressed where an element repeats."""
    array = sample(name, 1).reshape(())
    array = np.broadcast_to(array, (40,)) if compress else array
    if name.startswith("q"):
        pytest.skip("no constant of a quantised dtype can be made in Python")
    try:
        with tf.Graph().as_default() as graph:
            tf.constant(array.tolist() if name == "string" else np.array(array), dtype=name)
    except (TypeError, ValueError, NotImplementedError) as error:
        pytest.skip(f"TensorFlow makes no constant of {name}: {str(error)[:60]}")
    proto = graph.as_graph_def().node[0].attr["value"].tensor
    assert same(read(proto.SerializeToString()), np.array(array))


@pytest.mark.parametrize(
    ("name", "fields", "wanted"),
    [
        ("float32", {"float_val": [1.5, 2.5]}, [1.5, 2.5, 2.5]),
        ("float64", {"double_val": [1.5]}, [1.5] * 3),
        ("int32", {"int_val": [-1, 7]}, [-1, 7, 7]),
        ("uint8", {"int_val": [255]}, [255] * 3),
        ("int8", {"int_val": [-128]}, [-128] * 3),
        ("int64", {"int64_val": [-(2**63)]}, [-(2**63)] * 3),
        ("uint32", {"uint32_val": [2**32 - 1]}, [2**32 - 1] * 3),
        ("uint64", {"uint64_val": [2**64 - 1]}, [2**64 - 1] * 3),
        ("bool", {"bool_val": [True, False]}, [True, False, False]),
        ("complex64", {"scomplex_val": [1, 2]}, [1 + 2j] * 3),
        ("complex128", {"dcomplex_val": [1, 2, 3, 4]}, [1 + 2j, 3 + 4j, 3 + 4j]),
        ("float16", {"half_val": [0x3C00]}, [1.0] * 3),
        ("bfloat16", {"half_val": [0x3F80]}, [1.0] * 3),
        ("float8_e5m2", {"float8_val": b"\x3c"}, [1.0] * 3),
        ("int4", {"int_val": [-8]}, [-8] * 3),
        ("qint8", {"int_val": [-3]}, [-3] * 3),
        ("string", {"string_val": [b"a", b"b"]}, [b"a", b"b", b"b"]),
        ("string", {}, [b""] * 3),
        ("float32", {}, [0.0] * 3),
        ("int32", {"int_val": [1, 2, 3]}, [1, 2, 3]),
    ],
)
def test_the_last_value_repeats_up_to_the_shape(name: str, fields: dict[str, Any], wanted: list[Any]) -> None:
    found = read(tensor(NUMBER[name], [3], **fields))
    assert found.dtype == dtypes.numpy_dtype(NUMBER[name])
    assert found.tolist() == [
        dtypes.numpy_dtype(NUMBER[name]).type(item) if name in ("int4",) else item for item in wanted
    ]


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (tensor(1, [10**18], float_val=[1]), UnsupportedError),
        (tensor(7, [10**18], string_val=[b"x"]), UnsupportedError),
        (tensor(1, [10**9] * 10), UnsupportedError),
        (tensor(1, [1] * 65), UnsupportedError),
        (tensor(20, [1], resource_handle_val=[b"x"]), UnsupportedError),
        (tensor(21, [], variant_val=[b"x"]), UnsupportedError),
        (tensor(999, [1]), UnsupportedError),
        (tensor(0, [1]), UnsupportedError),
        (tensor(999, [1], tensor_content=b"abcd"), UnsupportedError),
        (tensor(7, [1], tensor_content=b"abcd"), CorruptError),
        (tensor(1, [3], tensor_content=b"abc"), CorruptError),
        (tensor(1, [None], float_val=[1]), CorruptError),
        (tensor(1, [1], float_val=[1, 2]), CorruptError),
        (tensor(8, [1], scomplex_val=[1]), CorruptError),
        (tensor(1, [0], float_val=[1]), CorruptError),
    ],
    ids=range(15),
)
def test_what_cannot_be_a_value_is_one_of_our_errors(raw: bytes, error: type[ModelError]) -> None:
    with pytest.raises(error) as caught:
        read(raw)
    assert caught.value.path == "m.pb"


@pytest.mark.parametrize("sizes", [(2**40, 2**40, 0), (0, 2**62, 2**62), (2**62, 0)])
def test_an_empty_tensor_with_huge_dimensions_harms_nothing(sizes: tuple[int, ...]) -> None:
    with contextlib.suppress(ModelError):
        assert read(tensor(1, sizes)).size == 0


def test_the_limit_is_on_bytes() -> None:
    raw = tensor(2, [100], double_val=[1])
    assert read(raw, limit=800).shape == (100,)
    with pytest.raises(UnsupportedError):
        read(raw, limit=799)


def test_ml_dtypes_keep_their_types() -> None:
    found = read(tensor(14, [1], half_val=[0x3FC0]))
    assert found.dtype == ml_dtypes.bfloat16
    assert float(found[0]) == 1.5


@pytest.mark.parametrize("values", [[b""], [b"a", b"", b"x" * 300, b"\xff\x00"], []])
def test_strings_in_raw_form(values: list[bytes], tf: Any) -> None:
    """As graphs of converters hold them: lengths first, then all the bytes."""
    lengths = b"".join(varint(len(value)) for value in values)
    raw = tensor(7, [len(values)], tensor_content=lengths + b"".join(values))
    assert read(raw).tolist() == values
    assert tensor_proto.strings(tensor_proto.decode_tensor(raw, path=""), path="") == values
    assert tf.io.parse_tensor(raw, tf.string).numpy().tolist() == values


def test_strings_without_numpy() -> None:
    def found(*sizes: int, **values: Any) -> list[bytes]:
        return tensor_proto.strings(tensor_proto.decode_tensor(tensor(7, sizes, **values), path=""), path="")

    assert found(3, string_val=[b"a", b"b"]) == [b"a", b"b", b"b"]
    assert found(2) == [b"", b""]
    assert found(1, string_val=[b"a", b"b"]) == [b"a"]
    with pytest.raises(UnsupportedError):
        found(10**9, string_val=[b"a"])
    with pytest.raises(CorruptError):
        found(2, tensor_content=b"\x05\x01ab")
