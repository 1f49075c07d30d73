"""Smoke runs: every signature with inputs made up for it, one attempt after the other until one works."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from tfexplore.core.auto_inputs import attempts
from tfexplore.core.plan import Plan, defaults
from tfexplore.core.smoke import FAILED, SKIPPED, Smoke, judged, wants_other_input
from tfexplore.errors import RunFailed, RuntimeFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.signatures import Signature
    from tfexplore.loader.running import Runner

# Failures of one call that say nothing about the next one's inputs.
_OF_INPUTS = ("invalid_argument", "failed", "wrong_input", "out_of_range", "failed_precondition", "unknown", "internal")


async def smoke(
    runner: Runner,
    meta_graph: MetaGraph,
    signatures: Sequence[Signature],
    *,
    repeat: int = 0,
    seed: int = 0,
    timeout: float | None = None,
    cancel: threading.Event | None = None,
) -> AsyncIterator[Smoke]:
    """Tries signatures, in order. A child that dies is that signature's failure; the next one starts another.

    Args:
        repeat: further calls of each that ran, for its latency.
        timeout: seconds for each call.

    Raises:
        RuntimeFailed: TensorFlow cannot be started, or the model not be loaded.
        Cancelled: it was cancelled.
    """
    await runner.load(timeout)
    for signature in signatures:
        yield await _one(runner, meta_graph, signature, repeat, seed, timeout, cancel)


async def _one(
    runner: Runner,
    meta_graph: MetaGraph,
    signature: Signature,
    repeat: int,
    seed: int,
    timeout: float | None,
    cancel: threading.Event | None,
) -> Smoke:
    name = signature.name
    described, failure = "nothing", ""
    needs_input = False
    made = attempts(meta_graph, signature, seed, cancel)
    while True:
        try:
            attempt = next(made, None)
        except UsageError as error:
            return Smoke(name, SKIPPED, f"needs input: {error}", described, None, ())
        if attempt is None:
            break
        described = attempt.description
        try:
            arrays = {**defaults(signature, meta_graph.path, attempt.arrays), **attempt.arrays}
            plan = Plan(name, None, (), None, arrays)
            answer = await runner.call(plan, repeat=repeat, timeout=timeout)
        except UsageError as error:
            return Smoke(name, SKIPPED, f"needs input: {error}", described, None, ())
        except RunFailed as error:
            failure, needs_input = str(error), needs_input or wants_other_input(str(error))
            if error.kind not in _OF_INPUTS:
                break
        except RuntimeFailed as error:  # the child died or took too long: other inputs would not help
            failure = str(error)
            break
        else:
            return judged(name, described, answer.outputs, answer.latency)
    if needs_input:
        return Smoke(name, SKIPPED, f"needs input: {failure}", described, None, ())
    return Smoke(name, FAILED, failure, described, None, ())
