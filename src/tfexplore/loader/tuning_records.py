"""What a fine-tuning tells: reach, figures of steps, checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tfexplore.core.finetune_plan import TuneVariable


class Figures(NamedTuple):
    """What one step gave: its number from 1 on, the loss before it, the gradient's L2 norm, seconds."""

    step: int
    loss: float
    gradient_norm: float
    seconds: float


class Reach(NamedTuple):
    """What the first gradient says of one variable.

    Attributes:
        tuned: the variable.
        trained: whether steps change it.
        gradient: whether the loss gives it a gradient.
        why: why not; or what is odd about it; else empty.
        moved: whether the function itself changes it (moving averages).
    """

    tuned: TuneVariable
    trainable: bool
    trained: bool
    gradient: bool
    why: str
    gradient_norm: float
    moved: bool


class Prepared(NamedTuple):
    """What is going to be tuned.

    Attributes:
        step, row: where it stands.
        rows, batch: of the data; 0 for constants.
        loss: before any step.
    """

    step: int
    row: int
    rows: int
    batch: int
    loss: float
    variables: tuple[Reach, ...]


class NotFinite(NamedTuple):
    """The step that was not taken, and what of it is NaN or infinite: the loss, the gradients of these variables."""

    step: int
    loss: bool
    gradients: tuple[str, ...]


class Report(NamedTuple):
    """News of a run: the last steps, how many are done of how many, and now and then changes by key."""

    figures: tuple[Figures, ...]
    done: int
    total: int
    changes: dict[str, float] | None


class Saved(NamedTuple):
    """A checkpoint that is on the disk, and those that went for it."""

    prefix: str
    step: int
    removed: tuple[str, ...]


class Restored(NamedTuple):
    """What came from a checkpoint.

    Attributes:
        matched, missing: keys of the model's variables that have a value there, and that have none.
        unused: keys that nothing here takes.
        optimizer: whether the optimizer's state is from there.
        whole: whether a run like this one wrote it: step and place in the data are from there.
    """

    prefix: str
    step: int
    row: int
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    optimizer: bool
    whole: bool
    changes: dict[str, float]


class Ran(NamedTuple):
    """What a run did.

    Attributes:
        why: `done`, `stopped` or `nan`.
        done: steps that were taken.
        step: how many since the weights were loaded.
        figures: of every step, the one that was not finite last.
        changes: by key, the L2 norm of each variable's change since loading.
        saved: checkpoints.
        seconds: of the steps; `reporting` of them went into telling.
    """

    why: str
    done: int
    step: int
    figures: tuple[Figures, ...]
    changes: dict[str, float]
    not_finite: NotFinite | None
    saved: tuple[Saved, ...]
    seconds: float
    reporting: float
