"""What a fine-tuning is said to be doing or to have done, in sentences; the command and the tab say the same."""

from __future__ import annotations

from collections.abc import Sequence

from tfexplore.core import text

_NAMED = 5


def listed(names: Sequence[str]) -> str:
    """Names, visible; of many the first."""
    shown = ", ".join(map(text.label, names[:_NAMED]))
    return shown + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")


def not_finite(step: int, loss: bool, gradients: Sequence[str]) -> str:
    """Why a step was not taken."""
    what = [] if not loss else ["the loss"]
    if gradients:
        what.append(f"the gradient of {listed(gradients)}")
    return f"step {step:,} was not taken: {' and '.join(what) or 'a figure'} is NaN or infinite"


def restored(
    step: int,
    matched: Sequence[str],
    missing: Sequence[str],
    unused: Sequence[str],
    *,
    optimizer: bool,
    whole: bool,
) -> str:
    """What came from a checkpoint; as `loader.tuning.Restored`."""
    total = len(matched) + len(missing)
    words = f"{len(matched):,} of {text.plural(total, 'variable')} matched"
    if missing:
        words += f", without a value there: {listed(missing)}"
    if unused:
        words += f", not used: {listed(unused)}"
    if not whole:
        return words + "; it holds weights alone, so steps are counted from 0 and the optimizer is new"
    return words + f"; it goes on at step {step:,}" + ("" if optimizer else ", with an optimizer whose state is new")
