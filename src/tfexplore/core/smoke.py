"""What a smoke run makes of each signature: its status, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tfexplore.core.outputs import Latency, Output, num_nan

PASSED, FAILED, NAN, SKIPPED = "passed", "failed", "nan", "skipped"

# What TensorFlow says where an input made up cannot be meant: an index, an id or a size out of its range.
_RANGE = (
    "out of range", "out of bound", "not in [0,", "must be in [0", "must be in range", "is not in range",
    "outside of the valid range", "outside the valid range", "indices[", "invalid index", "not within",
    "not valid utf-8", "not a valid", "could not convert", "stringtonumber", "unable to decode", "parse failed",
)  # fmt: skip


class Smoke(NamedTuple):
    """One signature.

    Attributes:
        status: `passed`, `failed`, `nan` (it ran, and an output holds NaN) or `skipped` (it needs a real input).
        reason: one sentence; empty where it passed.
        inputs: what it was called with at last, in words.
        latency: of the call that ran; None where none did.
    """

    signature: str
    status: str
    reason: str
    inputs: str
    latency: Latency | None
    outputs: tuple[Output, ...]


def judged(signature: str, inputs: str, outputs: Sequence[Output], latency: Latency) -> Smoke:
    """A signature that ran."""
    bad = [(output.name, count) for output in outputs if (count := num_nan(output.array))]
    if bad:
        named = ", ".join(f"{count:,} NaN in {name}" for name, count in bad[:3])
        return Smoke(signature, NAN, named, inputs, latency, tuple(outputs))
    return Smoke(signature, PASSED, "", inputs, latency, tuple(outputs))


def wants_other_input(sentence: str) -> bool:
    """Whether an error is about the values of an input, which nobody could have made up right."""
    lowered = sentence.lower()
    return any(word in lowered for word in _RANGE)
