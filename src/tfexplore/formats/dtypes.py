"""TensorFlow's DataType: numbers, names as TensorFlow spells them, sizes and numpy twins.

Numbers: tensorflow/core/framework/types.proto. A reference type is its base type + 100.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

STRING = 7
RESOURCE = 20
VARIANT = 21
REF = 100

# number: (name, bytes an element takes in a tensor bundle or 0, numpy type)
_TYPES: dict[int, tuple[str, int, str]] = {
    1: ("float32", 4, "float32"),
    2: ("float64", 8, "float64"),
    3: ("int32", 4, "int32"),
    4: ("uint8", 1, "uint8"),
    5: ("int16", 2, "int16"),
    6: ("int8", 1, "int8"),
    7: ("string", 0, "object"),
    8: ("complex64", 8, "complex64"),
    9: ("int64", 8, "int64"),
    10: ("bool", 1, "bool"),
    11: ("qint8", 1, "int8"),
    12: ("quint8", 1, "uint8"),
    13: ("qint32", 4, "int32"),
    14: ("bfloat16", 2, "bfloat16"),
    15: ("qint16", 2, "int16"),
    16: ("quint16", 2, "uint16"),
    17: ("uint16", 2, "uint16"),
    18: ("complex128", 16, "complex128"),
    19: ("float16", 2, "float16"),
    20: ("resource", 0, "object"),
    21: ("variant", 0, "object"),
    22: ("uint32", 4, "uint32"),
    23: ("uint64", 8, "uint64"),
    24: ("float8_e5m2", 1, "float8_e5m2"),
    25: ("float8_e4m3fn", 1, "float8_e4m3fn"),
    26: ("float8_e4m3fnuz", 1, "float8_e4m3fnuz"),
    27: ("float8_e4m3b11fnuz", 1, "float8_e4m3b11fnuz"),
    28: ("float8_e5m2fnuz", 1, "float8_e5m2fnuz"),
    29: ("int4", 1, "int4"),
    30: ("uint4", 1, "uint4"),
    31: ("int2", 1, "int2"),
    32: ("uint2", 1, "uint2"),
    33: ("float4_e2m1fn", 1, "float4_e2m1fn"),
}
_ML_DTYPES = frozenset({14, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33})


def is_known(number: int) -> bool:
    """Whether TensorFlow 2.21 knows this DataType (0, DT_INVALID, is none)."""
    return number in _TYPES or number - REF in _TYPES


def name(number: int) -> str:
    """The name as `tf.DType.name` gives it (`float32`, `float32_ref`); `dtype 999` for an unknown number."""
    if number in _TYPES:
        return _TYPES[number][0]
    if number - REF in _TYPES:
        return f"{_TYPES[number - REF][0]}_ref"
    return "invalid" if number == 0 else f"dtype {number}"


def base(number: int) -> int:
    """The type that a reference type refers to; any other type as it is."""
    return number - REF if number - REF in _TYPES else number


def itemsize(number: int) -> int:
    """Bytes an element takes in a tensor bundle; 0 where elements differ in size (string) or none is stored."""
    entry = _TYPES.get(base(number))
    return entry[1] if entry else 0


def numpy_dtype(number: int) -> np.dtype:
    """The numpy type with the same values, in this machine's byte order; bfloat16, float8 and int4 from ml_dtypes.

    Raises:
        KeyError: no DataType of TensorFlow 2.21 has this number.
    """
    import numpy as np

    number = base(number)
    numpy_name = _TYPES[number][2]
    if number in _ML_DTYPES:
        import ml_dtypes

        extended: np.dtype = np.dtype(getattr(ml_dtypes, numpy_name))
        return extended
    return np.dtype(numpy_name)


def of_numpy(dtype: np.dtype) -> int:
    """The DataType whose values a numpy type holds; strings for `object`.

    Raises:
        KeyError: TensorFlow has none.
    """
    if dtype.kind in "OSU":
        return STRING
    return {entry[2]: number for number, entry in reversed(_TYPES.items())}[dtype.name]
