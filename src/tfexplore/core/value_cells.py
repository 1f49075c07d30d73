"""One value of a tensor as text: short in a cell, exact beside it, and how it stands among the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import text
from tfexplore.core.values import format_value
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

NAN, INF, ZERO, PLAIN = "nan", "inf", "zero", "plain"
NOT_A_NUMBER, INFINITE, MINUS_INFINITE = "NaN", "+Inf", "-Inf"
# Significant digits of the greatest value in a cell; no more than a type has.
_DIGITS = {"float32": 5, "float64": 5, "float16": 4, "bfloat16": 4}
_FEWEST_DIGITS = 3
# Longer strings are cut in a cell.
_MAX_CELL = 200


class Look(NamedTuple):
    """How the numbers of a grid are written, all alike so that they can be compared by eye.

    Attributes:
        digits: significant digits of the greatest.
        decimals: places behind the point; None where each number has its own.
        most: what is this large or larger gets an exponent.
    """

    digits: int = 5
    decimals: int | None = None
    most: float = math.inf


def look_for(dtype: int, extremes: tuple[float, float] | None) -> Look:
    """The look of numbers between two extremes."""
    digits = _DIGITS.get(dtypes.name(dtypes.base(dtype)), _FEWEST_DIGITS)
    greatest = max(map(abs, extremes)) if extremes is not None else 0.0
    if not greatest:
        return Look(digits, 1, 1e5)
    scale = math.floor(math.log10(greatest))
    if not -3 <= scale <= 5:
        return Look(digits)
    return Look(digits, max(1, digits - 1 - scale), 10.0 ** (scale + 4))


def kind_of(array: Any) -> str:
    """What an array or one of its elements holds: "float", "int", "bool", "complex" or "object"."""
    kind = array.dtype.kind
    if kind == "V":  # most of bfloat16, float8, int4 and the like
        return "float" if "float" in array.dtype.name else "int"
    return {"f": "float", "i": "int", "u": "int", "b": "bool", "c": "complex"}.get(kind, "object")


def real(array: Array) -> Array | None:
    """The values as float64, of complex numbers their magnitude; None for strings and variants."""
    import numpy as np

    kind = kind_of(array)
    if kind == "object":
        return None
    with np.errstate(all="ignore"):
        return np.asarray(np.abs(array) if kind == "complex" else array).astype(np.float64)


def extremes(array: Array) -> tuple[float, float] | None:
    """The least and the greatest finite value; None where there is none."""
    import numpy as np

    numbers = real(array)
    if numbers is None:
        return None
    finite = numbers[np.isfinite(numbers)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def typical(array: Array) -> tuple[float, float] | None:
    """The range that most of the finite values lie in, so that a few far ones leave the others their differences."""
    import numpy as np

    numbers = real(array)
    finite = numbers[np.isfinite(numbers)] if numbers is not None else None
    if finite is None or not finite.size:
        return None
    low, high = np.percentile(finite / 2, (2, 98)) * 2  # halved: numpy interpolates by differences
    return float(low), float(high)


def cell(value: Any, look: Look) -> str:
    """A value as visible text for a cell; NaN and infinities are words."""
    if isinstance(value, bytes):
        cut = value[:_MAX_CELL]
        return f'"{text.visible(text.decode(cut))}"{"" if len(cut) == len(value) else text.ELLIPSIS}'
    kind = _kind(value)
    if kind == "float":
        return _number(float(value), look)
    if kind == "complex":
        imaginary = _number(float(value.imag), look)
        return f"{_number(float(value.real), look)}{'' if imaginary[0] in '+-' else '+'}{imaginary}j"
    return format_value(value)


def _kind(value: Any) -> str:
    """The kind of one element, of numpy or of Python: "float", "complex" or something else."""
    if hasattr(value, "dtype"):
        return kind_of(value)
    return {float: "float", complex: "complex"}.get(type(value), "object")


def _number(number: float, look: Look) -> str:
    if number != number:
        return NOT_A_NUMBER
    if math.isinf(number):
        return INFINITE if number > 0 else MINUS_INFINITE
    if not number:
        return "-0" if math.copysign(1, number) < 0 else "0"
    if look.decimals is None:
        return f"{number:.{look.digits}g}"
    if abs(number) < look.most:
        written = f"{number:.{look.decimals}f}"
        if written.strip("-0."):
            return written
    # A number that is not zero never looks like one.
    return f"{number:.{look.digits - 3 if look.digits > 3 else 1}e}"


def widest_cell(array: Array, seen: tuple[float, float] | None, look: Look) -> int:
    """A width in which each number of an array can be written.

    Args:
        seen: its `extremes`.
    """
    kind = kind_of(array)
    if kind == "bool" or not array.size:
        return len("false")
    if kind == "int":
        return max(len(str(int(array.min()))), len(str(int(array.max()))))
    if kind == "complex":
        parts = (array.real, array.imag)
        return sum(widest_cell(part, extremes(part), look) for part in parts) + len("+j")
    if seen is None:
        return len(MINUS_INFINITE)
    most = max(map(abs, seen))
    # Any number's exponent may have three digits, but then the greatest ones have none.
    part = max(len(_number(-most, look)), len(_number(-1.2345678e-9 if most < 1e90 else -1.2345678e-99, look)))
    if look.decimals is None:
        part = max(part, look.digits + 7)
    return part


def widest_text(array: Array, most: int) -> int:
    """A width in which each string of an array fits, up to `most` cells; 0 where it holds numbers."""
    if kind_of(array) != "object":
        return 0
    look, widest = Look(), 1
    for value in array.flat:
        if not isinstance(value, ModelError):
            widest = max(widest, text.width(cell(value, look)))
        if widest >= most:
            return most
    return widest


def state(value: Any) -> str:
    """NAN, INF, ZERO or PLAIN: what the eye should find without reading."""
    kind = _kind(value)
    if kind not in ("float", "complex"):
        return ZERO if kind == "int" and not value else PLAIN
    parts = (float(value.real), float(value.imag)) if kind == "complex" else (float(value),)
    if any(part != part for part in parts):
        return NAN
    if any(map(math.isinf, parts)):
        return INF
    return PLAIN if any(parts) else ZERO


def heat(value: Any, low: float, high: float, levels: int) -> int | None:
    """How far a value stands from the calm end, 0 to `levels` - 1; None where it is no finite number.

    Between numbers of both signs zero is the calm end, else the least value is.
    """
    if isinstance(value, bytes):
        return None
    try:
        number = float(abs(value) if _kind(value) == "complex" else value)
    except (TypeError, ValueError):
        return None
    return level(abs(number), 0.0, max(-low, high), levels) if low < 0 < high else level(number, low, high, levels)


def level(number: float, low: float, high: float, levels: int) -> int | None:
    """The level of a number between two others, 0 to `levels` - 1; None where it is not finite."""
    if not math.isfinite(number):
        return None
    # Halved, or the distance of two doubles may be infinite.
    span = high / 2 - low / 2
    if span <= 0:
        return 0
    return max(0, min(int((number / 2 - low / 2) / span * levels), levels - 1))


def exact(value: Any) -> str:
    """A value such that it can be read back: the shortest digits that give the number, strings whole with escapes."""
    if isinstance(value, bytes):
        return f'"{text.visible(text.decode(value))}"'
    kind = _kind(value)
    if kind == "float":
        import numpy as np

        # numpy knows the shortest digits of its own types; of bfloat16 and float8 a double tells all.
        return _word(float(value)) or (str(value) if isinstance(value, np.floating) else repr(float(value)))
    if kind == "complex":
        real_part, imaginary = exact(value.real), exact(value.imag)
        return f"{real_part}{'' if imaginary[0] in '+-' else '+'}{imaginary}j"
    return format_value(value)


def _word(number: float) -> str:
    return "" if math.isfinite(number) else _number(number, Look())


def hexadecimal(value: Any) -> str:
    """The same in hexadecimal: a float as C's `%a`, a whole number, the bytes of a string; empty for anything else."""
    if isinstance(value, bytes):
        return value.hex(" ")
    kind = _kind(value)
    if kind == "float":
        return float(value).hex()
    if kind == "complex":
        return f"{float(value.real).hex()}, {float(value.imag).hex()}j"
    try:
        return hex(int(value))
    except (TypeError, ValueError):
        return ""
