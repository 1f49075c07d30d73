"""Statistics as the fields of a JSON document and as the words of a line; `tensor` and `stats` have them in common."""

from __future__ import annotations

from typing import Any

from tfexplore.core import text
from tfexplore.core.statistics import Distribution, Statistics
from tfexplore.core.values import format_value


def fields(found: Statistics | None) -> dict[str, Any]:
    """The statistics of a row, null where they were not taken or there are none."""
    if found is None:
        names = ("min", "max", "mean", "std", "zeros", "nan", "inf", "positive_inf", "negative_inf", "of", "strings")
        return dict.fromkeys(names)
    counted = found.of not in ("", "strings")
    return {
        "min": found.minimum,
        "max": found.maximum,
        "mean": found.mean,
        "std": found.std,
        "zeros": found.zeros if counted else None,
        "nan": found.nan if counted else None,
        "inf": found.inf if counted else None,
        "positive_inf": found.positive_inf if counted else None,
        "negative_inf": found.negative_inf if counted else None,
        "of": found.of or None,
        "strings": None if found.strings is None else found.strings._asdict(),
    }


def distribution_fields(found: Distribution | None) -> dict[str, Any]:
    """Percentiles with how far they may be off, and the histogram."""
    if found is None:
        return {"percentiles": None, "percentile_error": None, "histogram": None}
    return {
        "percentiles": {str(percent): value for percent, value in found.percentiles.items()},
        "percentile_error": found.error,
        "histogram": {"low": found.low, "high": found.high, "counts": list(found.counts)},
    }


def number(value: float | None, *, exact: bool) -> str:
    """A number with six significant digits, or with all; whole numbers always with all."""
    if value is None:
        return "-"
    if isinstance(value, int) or not exact:
        return format_value(value)
    return repr(value)


def count(value: int | None) -> str:
    """How many."""
    return "-" if value is None else text.count(value)
