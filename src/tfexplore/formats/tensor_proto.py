"""TensorProto: the value of a Const node or of an attribute.

A value is either `tensor_content` (raw, little endian, C order) or a repeated field by dtype,
whose last element is repeated up to the shape's size. tensorflow/core/framework/tensor.proto.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tfexplore.errors import CorruptError, ModelError, UnsupportedError
from tfexplore.formats import dtypes, wire
from tfexplore.formats.proto import lean
from tfexplore.formats.table_block import read_varint

if TYPE_CHECKING:
    import numpy as np

MAX_DIMS = 64  # numpy refuses more

FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int32": "int_val",
    "uint8": "int_val",
    "int16": "int_val",
    "int8": "int_val",
    "uint16": "int_val",
    "qint8": "int_val",
    "quint8": "int_val",
    "qint16": "int_val",
    "quint16": "int_val",
    "qint32": "int_val",
    "int4": "int_val",
    "uint4": "int_val",
    "int2": "int_val",
    "uint2": "int_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
    "int64": "int64_val",
    "bool": "bool_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "float16": "half_val",
    "bfloat16": "half_val",
    "string": "string_val",
}


def decode_tensor(raw: bytes, *, path: str, what: str = "TensorProto") -> Any:
    """The lean TensorProto message in `raw`.

    Raises:
        CorruptError: the bytes are none.
    """
    return wire.decode(lean("TensorProto"), raw, path=path, what=what, offset=None)


def dims(message: Any) -> tuple[int, ...] | None:
    """The shape of a TensorProto, or None where it is unknown or has a negative size."""
    shape = message.tensor_shape
    sizes = tuple(dim.size for dim in shape.dim)
    return None if shape.unknown_rank or any(size < 0 for size in sizes) else sizes


def to_array(message: Any, *, path: str, limit: int = 2**28) -> np.ndarray:
    """The tensor's values.

    Args:
        message: a TensorProto.
        path: the file it came from, for errors.
        limit: the most bytes the array may take; a few stored bytes may claim 10**18 elements.

    Returns:
        An array of the tensor's shape; object dtype with `bytes` for strings.

    Raises:
        CorruptError: the stored values do not fit the shape.
        UnsupportedError: resource and variant values, more than 64 dimensions, or more than `limit` bytes.
    """
    import numpy as np

    number = dtypes.base(message.dtype)
    name = dtypes.name(number)
    shape = dims(message)
    if shape is None:
        raise CorruptError("a constant has no complete shape", path=path)
    if len(shape) > MAX_DIMS:
        raise UnsupportedError(f"a constant has {len(shape)} dimensions, more than {MAX_DIMS}", path=path)
    total = math.prod(shape)
    if math.prod(filter(None, shape)) >= 1 << 59:  # numpy cannot even make an empty array of such a shape
        raise UnsupportedError("a constant's dimensions are larger than any tensor's", path=path)
    itemsize = dtypes.itemsize(number) or 16
    if total * itemsize > limit:
        raise UnsupportedError(f"a constant claims {total:,} elements of {name}, too many to expand", path=path)
    content = message.tensor_content
    if content:
        if number == dtypes.STRING:
            values = raw_strings(content, total, path)
            array = np.empty(total, dtype=object)
            array[:] = values
            return array.reshape(shape)
        if not dtypes.itemsize(number):
            raise UnsupportedError(f"a constant of dtype {name} in raw form", path=path)
        if len(content) != total * dtypes.itemsize(number):
            raise CorruptError(
                f"a constant holds {len(content):,} bytes where its shape asks for {total * dtypes.itemsize(number):,}",
                path=path,
            )
        return np.frombuffer(content, dtype=dtypes.numpy_dtype(number)).reshape(shape)
    return _expand(stored(message, number, path), total, path).reshape(shape)


def raw_strings(content: bytes, total: int, path: str) -> list[bytes]:
    """Strings in raw form: a varint length for each, then their bytes (tensorflow/core/framework/tensor_coding.cc).

    Raises:
        CorruptError: the bytes are not so many strings.
    """

    def fail(what: str, _: int) -> ModelError:
        return CorruptError(f"a constant's strings cannot be read: {what}", path=path)

    lengths = []
    position = 0
    for _ in range(total):
        length, position = read_varint(content, position, len(content), 32, fail)
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise fail(f"they should have {sum(lengths):,} bytes, but {len(content) - position:,} are left", position)
    found = []
    for length in lengths:
        found.append(content[position : position + length])
        position += length
    return found


def strings(message: Any, *, path: str, limit: int = 2**20) -> list[bytes]:
    """The elements of a tensor of strings, without numpy.

    Args:
        limit: the most elements that are given.

    Raises:
        CorruptError: the stored values do not fit the shape.
        UnsupportedError: it claims more than `limit` elements.
    """
    total = math.prod(dims(message) or ())
    if total > limit:
        raise UnsupportedError(f"a constant claims {total:,} strings, too many to expand", path=path)
    if message.tensor_content:
        return raw_strings(message.tensor_content, total, path)
    values = list(message.string_val)[:total]
    return values + (values[-1:] or [b""]) * (total - len(values))


def stored(message: Any, number: int, path: str) -> np.ndarray:
    """The elements of a repeated field as stored, in one dimension.

    Args:
        number: the dtype, no reference.

    Raises:
        CorruptError: a complex number lacks its second part.
        UnsupportedError: a dtype that is not stored so.
    """
    name = dtypes.name(number)
    import numpy as np

    if name.startswith(("float8", "float4")):
        return np.frombuffer(message.float8_val, dtype=dtypes.numpy_dtype(number))
    field = FIELDS.get(name)
    if field is None:
        raise UnsupportedError(f"the value of a constant of dtype {name}", path=path)
    values = getattr(message, field)
    if name == "string":
        array = np.empty(len(values), dtype=object)
        array[:] = list(values)
        return array
    if name in ("complex64", "complex128"):
        flat = np.asarray(values, dtype="float32" if name == "complex64" else "float64")
        if len(flat) % 2:
            raise CorruptError("a complex constant holds an odd number of parts", path=path)
        return flat.view(name)
    if name in ("float16", "bfloat16"):
        return (np.asarray(values, dtype="int64") & 0xFFFF).astype("uint16").view(dtypes.numpy_dtype(number))
    if field == "int_val":
        return np.asarray(values, dtype="int64").astype(dtypes.numpy_dtype(number))
    return np.asarray(values, dtype=dtypes.numpy_dtype(number))


def _expand(stored: np.ndarray, total: int, path: str) -> np.ndarray:
    """Repeats the last stored element up to `total`; nothing stored means zeros (empty strings)."""
    import numpy as np

    if len(stored) > total:
        raise CorruptError(f"a constant holds {len(stored):,} values where its shape asks for {total:,}", path=path)
    if len(stored) == total:
        return stored
    array = np.zeros(total, dtype=stored.dtype)
    if len(stored):
        array[: len(stored)] = stored
        array[len(stored) :] = stored[-1]
    elif stored.dtype == object:
        array[:] = b""
    return array
