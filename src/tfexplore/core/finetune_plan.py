"""What is tuned of a model, and how: checked against the model before anything is run."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import inputs, text
from tfexplore.core.arrays import called
from tfexplore.core.feature_spec import InputSpec, input_specs
from tfexplore.core.given import given_arrays
from tfexplore.core.json_values import near
from tfexplore.core.loss_expr import LossExpr
from tfexplore.core.loss_expr import parse as parse_loss
from tfexplore.core.pattern import Pattern
from tfexplore.core.plan import Given, choose_signature, defaults
from tfexplore.core.shapes import Shape
from tfexplore.core.signatures import Signature
from tfexplore.core.traces import Slot, arguments, trace_signature, trace_text, training_of
from tfexplore.core.variables import Variable
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    import numpy as np

    from tfexplore.core.meta_graph import MetaGraph
    from tfexplore.core.training_data import Dataset

LOSSES = ("mse", "mae", "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy")
CROSSENTROPIES = LOSSES[2:]
EXPRESSION = "expression"
# Of each optimizer what it takes, with its default; as in the child.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False},
    "adam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adamw": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "weight_decay": 0.004},
    "adamax": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "nadam": {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7},
    "adagrad": {"learning_rate": 0.001, "initial_accumulator_value": 0.1, "epsilon": 1e-7},
    "adadelta": {"learning_rate": 0.001, "rho": 0.95, "epsilon": 1e-7},
    "rmsprop": {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7},
    "ftrl": {"learning_rate": 0.001, "learning_rate_power": -0.5, "initial_accumulator_value": 0.1},
}
BATCH = 32
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


class Loss(NamedTuple):
    """What is made small.

    Attributes:
        kind: of `LOSSES`, or `expression`.
        from_logits: whether a cross-entropy takes logits.
        expression: of the kind `expression`.
        output: the output that it is about; None for the only one.
    """

    kind: str
    from_logits: bool = False
    expression: LossExpr | None = None
    output: str | None = None

    @property
    def needs_target(self) -> bool:
        """Whether something is compared with."""
        return self.expression is None or "target" in self.expression.names


class Optimizer(NamedTuple):
    """One of `OPTIMIZERS`, and what differs from its defaults."""

    kind: str = "sgd"
    settings: dict[str, Any] = {}  # noqa: RUF012

    @property
    def learning_rate(self) -> float:
        """What it begins with."""
        return float(self.settings.get("learning_rate", OPTIMIZERS[self.kind]["learning_rate"]))


class TuneVariable(NamedTuple):
    """One variable.

    Attributes:
        key: what the child knows it by: its checkpoint key, in TensorFlow 1 its name.
        label: its name; where several have that name, its path in the object graph.
        train: whether it shall be changed.
        hold: whether it was frozen on purpose: not even the function itself may change it.
    """

    key: str
    label: str
    variable: Variable
    train: bool
    hold: bool


class DataWish(NamedTuple):
    """Which rows are trained with.

    Attributes:
        path: the file; None for constants alone.
        mapping: column by input.
        target: the target's column.
        batch: rows of a batch; None for what suits.
        seed: of the order; None for the file's own.
    """

    path: str | None = None
    mapping: Mapping[str, str] = {}
    target: str | None = None
    batch: int | None = None
    seed: int | None = 0


class FinetunePlan(NamedTuple):
    """A run that fits the model.

    Attributes:
        signature, function: what is called, one of them.
        arguments: (args, kwargs) with a `Slot` for each tensor.
        constants: the inputs that are the same in each step.
        data: the others, and the target; None where all are constants.
        batch: rows of a batch; 0 without data.
        seed: of the rows' order; None for the file's.
        drop_short: whether each batch must be full.
        notes: sentences for the person.
        source: where the rows are from.
    """

    signature: str | None
    function: str | None
    arguments: tuple[list[object], dict[str, object]]
    constants: dict[str, np.ndarray]
    data: Dataset | None
    batch: int
    seed: int | None
    drop_short: bool
    loss: Loss
    optimizer: Optimizer
    variables: tuple[TuneVariable, ...]
    eager: bool
    notes: tuple[str, ...]
    source: DataWish

    @property
    def columns(self) -> tuple[str, ...]:
        """The inputs that rows are for, in order."""
        return tuple(self.data.columns) if self.data is not None else ()


# -- what needs no function --


def choose_loss(
    kind: str | None, expression: str | None, *, from_logits: bool, output: str | None, target: bool
) -> Loss:
    """The loss that was asked for.

    Args:
        target: whether a target is given.

    Raises:
        UsageError: there is none, or it does not fit the target.
    """
    if expression is not None:
        if kind is not None:
            raise UsageError("--loss and --loss-expr are both given: one of them says what to make small")
        if from_logits:
            raise UsageError("--from-logits goes with the cross-entropies of --loss")
        found = Loss(EXPRESSION, False, parse_loss(expression), output)
        if target and not found.needs_target:
            raise UsageError("--target is given, and the loss expression does not use target")
    else:
        if kind is None:
            raise UsageError(
                "say what to make small: --loss "
                f'{"|".join(LOSSES)} with --target COLUMN, or --loss-expr "(10. - y) ** 2"'
            )
        if kind not in LOSSES:
            raise UsageError(f"there is no loss {text.label(kind)}{near(kind, list(LOSSES))}")
        if from_logits and kind not in CROSSENTROPIES:
            raise UsageError(f"--from-logits goes with the cross-entropies, not with {kind}")
        found = Loss(kind, from_logits, None, output)
    if found.needs_target and not target:
        raise UsageError("this loss compares with a target: give --data FILE with --target COLUMN")
    return found


def choose_optimizer(kind: str, given: Mapping[str, Any]) -> Optimizer:
    """An optimizer with the settings that were given; None is not given.

    Raises:
        UsageError: there is none, or it takes no such setting.
    """
    if kind not in OPTIMIZERS:
        raise UsageError(f"there is no optimizer {text.label(kind)}{near(kind, list(OPTIMIZERS))}")
    settings = {name: value for name, value in given.items() if value is not None}
    for name in settings:
        if name not in OPTIMIZERS[kind]:
            others = ", ".join("--" + one.replace("_", "-") for one in OPTIMIZERS[kind])
            raise UsageError(f"{kind} takes no --{name.replace('_', '-')}, only {others}")
    for name in ("beta_1", "beta_2", "rho", "momentum"):
        if name in settings and not 0 <= settings[name] < 1:
            raise UsageError(f"--{name.replace('_', '-')} is from 0 to below 1, not {settings[name]!r}")
    if settings.get("nesterov") and not settings.get("momentum"):
        raise UsageError("--nesterov goes with --momentum")
    return Optimizer(kind, settings)


def choose_variables(
    meta_graph: MetaGraph, train: Sequence[str] = (), freeze: Sequence[str] = ()
) -> tuple[tuple[TuneVariable, ...], list[str]]:
    """All variables, and which of them are trained: as the model marks them, unless it is said.

    Args:
        train: regular expressions (RE2) over names and paths: only these, also such as the model froze.
        freeze: of those, not these.

    Raises:
        UsageError: the model has no variables, an expression is none, or finds nothing.

    Returns:
        The variables, and notes.
    """
    counted = [one for one in meta_graph.counted_variables if one.key is not None or one.object_id is None]
    if not counted:
        raise UsageError(f"{meta_graph.path}: it has no variables, so there is nothing to tune")
    times = Counter(one.name for one in counted)
    named = []
    for one in counted:
        path = (one.key or "").removesuffix(_VALUE)
        key = one.key if one.object_id is not None and one.key is not None else one.name
        named.append((key, one.name if times[one.name] == 1 or not path else path, path, one))
    wanted = [_finding(word, "--train", named) for word in train]
    frozen = [_finding(word, "--freeze", named) for word in freeze]
    found, thawed = [], []
    for position, (key, label, _, one) in enumerate(named):
        marked = one.trainable is not False
        chosen = any(position in hits for hits in wanted) if wanted else marked
        hold = any(position in hits for hits in frozen)
        if chosen and not hold and not marked:
            thawed.append(label)
        found.append(TuneVariable(key, label, one, chosen and not hold, hold))
    notes = []
    if thawed:
        names = ", ".join(map(text.label, thawed[:5])) + (f" and {len(thawed) - 5:,} more" if len(thawed) > 5 else "")
        notes.append(f"thawed, although the model froze {'it' if len(thawed) == 1 else 'them'}: {names}")
    if not any(one.train for one in found):
        hint = "the model froze all of them: --train REGEX thaws" if not (train or freeze) else "--freeze took all"
        raise UsageError(f"no variable is left to be tuned; {hint}")
    return tuple(found), notes


def _finding(word: str, what: str, named: Sequence[tuple[str, str, str, Variable]]) -> set[int]:
    pattern = Pattern(word, what=what)
    found = {
        position
        for position, (_, label, path, one) in enumerate(named)
        if any(pattern.search(name) for name in (one.name, label, path) if name)
    }
    if not found:
        raise UsageError(
            f"{what} {text.visible(word)} finds no variable{near(word, [label for _, label, _, _ in named])}"
        )
    return found


# -- what is called --


class Wish(NamedTuple):
    """A run that was asked for, before the function that it is for is known."""

    given: Given
    data: DataWish
    loss: Loss
    optimizer: Optimizer
    variables: tuple[TuneVariable, ...]
    eager: bool
    notes: tuple[str, ...]


def plan_signature(
    meta_graph: MetaGraph, name: str | None, wish: Wish, cancel: threading.Event | None = None
) -> FinetunePlan:
    """A run on a signature.

    Raises:
        UsageError: something does not fit; says what.
        Cancelled: `cancel` was set.
    """
    signature = choose_signature(meta_graph, name)
    _check_output(signature, wish.loss)
    arguments: tuple[list[object], dict[str, object]] = ([], {})
    constants, data = _bound(meta_graph, signature, wish, cancel, specs=True)
    arguments[1].update({name: Slot(name) for name in [*constants, *(data.columns if data is not None else ())]})
    return _made(signature, wish, arguments, constants, data, signature=signature.name)


def plan_function(
    meta_graph: MetaGraph,
    path: str,
    traces: Sequence[dict[str, Any]],
    wish: Wish,
    *,
    training: bool = True,
    cancel: threading.Event | None = None,
) -> FinetunePlan:
    """A run on a function of the object graph, by the first trace that takes what was given.

    Args:
        traces: as `runtime.client.Runtime.describe` gives them.
        training: whether traces with `training=True` come first; else they come last.

    Raises:
        UsageError, Cancelled: as `plan_signature`.
    """
    first: UsageError | None = None
    # False sorts first.
    for trace in sorted(traces, key=lambda trace: (training_of(trace) is True) != training):
        try:
            signature = trace_signature(path, trace)
            called_with = arguments(path, trace)
            constants, data = _bound(meta_graph, signature, wish, cancel, specs=False)
        except UsageError as error:
            first = first or error
            continue
        found = _made(signature, wish, called_with, constants, data, function=path)
        which = training_of(trace)
        if which is not None and len(traces) > 1:
            note = f"the trace of {text.label(path)} with training={which} is tuned: it takes {trace_text(trace)}"
            found = found._replace(notes=(*found.notes, note))
        return found
    if first is None:
        raise UsageError(f"{text.label(path)} has no trace that could be called")
    if len(traces) == 1:
        raise first
    listed = "; ".join(map(trace_text, traces[:6])) + (f" and {len(traces) - 6} more" if len(traces) > 6 else "")
    raise UsageError(f"no trace of {text.label(path)} takes this ({first}); they take: {listed}")


def _check_output(signature: Signature, loss: Loss) -> None:
    names = [info.name for info in signature.outputs]
    if loss.output is not None and loss.output not in names:
        raise UsageError(f"{signature.called} has no output {text.label(loss.output)}{near(loss.output, names)}")
    if loss.output is None and loss.expression is not None:
        _check_taken(signature, loss.expression.outputs(), names)
    if loss.output is None and loss.expression is None and len(names) > 1:
        listed = ", ".join(map(text.label, names))
        raise UsageError(f"{signature.called} has {len(names)} outputs: choose one with --output NAME ({listed})")


def _check_taken(signature: Signature, taken: Iterable[str | None], names: list[str]) -> None:
    for name in sorted(taken, key=lambda name: (name is not None, name)):
        if name is None and len(names) > 1:
            listed = text.visible(", ".join(f"y[{one!r}]" for one in names))
            raise UsageError(
                f"{signature.called} has {len(names)} outputs, and y alone is all of them: choose one with "
                f"--output NAME, or write {listed}"
            )
        if name is not None and len(names) == 1:
            raise UsageError(f"{signature.called} has one output, so write y alone for it, not y[{name!r}]")
        if name is not None and name not in names:
            raise UsageError(f"{signature.called} has no output {text.label(name)}{near(name, names)}")


def _bound(
    meta_graph: MetaGraph, signature: Signature, wish: Wish, cancel: threading.Event | None, *, specs: bool
) -> tuple[dict[str, np.ndarray], Dataset | None]:
    """The constants, and the rows for the other inputs."""
    given, data = wish.given, wish.data
    if data.path is None:
        found = given_arrays(
            meta_graph,
            signature,
            given.words,
            example=given.example,
            tfrecord=given.tfrecord,
            request=given.request,
            specs=None if specs else (),
            cancel=cancel,
        )
        return {**defaults(signature, meta_graph.path, found), **found}, None
    from tfexplore.core.training_data import open_data

    constants = inputs.given_inputs(signature, given.words)
    for name in data.mapping:
        if name in constants:
            raise UsageError(f"the input {text.label(name)} is given by --input and by --map")
    left = [
        info
        for info in signature.inputs
        if info.name not in constants and (info.name not in signature.defaults or info.name in data.mapping)
    ]
    if not left:
        raise UsageError(f"all inputs of {signature.called} are given by --input, so --data would feed none")
    for info in left:
        if info.shape is not None and not info.shape:
            raise UsageError(f"{called(info)} has no dimension for rows: give it with --input")
    known: tuple[InputSpec, ...] = ()
    if specs and any(dtypes.base(info.dtype) == dtypes.STRING for info in left):
        known = tuple(input_specs(meta_graph, signature, cancel))
    rows = open_data(data.path, left, mapping=dict(data.mapping), target=data.target, specs=known, cancel=cancel)
    _check_labels(rows, data, wish.loss)
    fed = [*constants, *rows.columns]
    return {**defaults(signature, meta_graph.path, fed), **constants}, rows


def _check_labels(rows: Dataset, data: DataWish, loss: Loss) -> None:
    """Whether a column of classes has numbers of classes."""
    if loss.kind != "sparse_categorical_crossentropy" or rows.target is None or rows.target.dtype.kind != "f":
        return
    wrong = (rows.target != rows.target.round()) & (rows.target == rows.target)
    if wrong.any():
        first = int(wrong.reshape(rows.rows, -1).any(axis=1).argmax())
        raise UsageError(
            f"{text.visible(rows.path)}: {loss.kind} takes numbers of classes, whole ones, and the column "
            f"{text.label(data.target or '')} has {float(rows.target[wrong][0])!r} (row {first + 1:,})"
        )


def _made(
    of: Signature,
    wish: Wish,
    called_with: tuple[list[object], dict[str, object]],
    constants: dict[str, np.ndarray],
    data: Dataset | None,
    *,
    signature: str | None = None,
    function: str | None = None,
) -> FinetunePlan:
    batch, drop_short, notes = 0, False, list(wish.notes)
    if data is not None:
        shapes = [info.shape for info in of.inputs if info.name in data.columns]
        batch, drop_short = _batch(of, shapes, wish.data.batch, data.rows)
        if wish.data.batch is not None and wish.data.batch > data.rows:
            notes.append(f"a batch has the {text.plural(data.rows, 'row')} that there are, not {wish.data.batch:,}")
    return FinetunePlan(
        signature,
        function,
        called_with,
        {info.name: constants[info.name] for info in of.inputs if info.name in constants},
        data,
        batch,
        wish.data.seed if data is not None else None,
        drop_short,
        wish.loss,
        wish.optimizer,
        wish.variables,
        wish.eager,
        tuple(notes),
        wish.data,
    )


def _batch(of: Signature, shapes: Sequence[Shape], asked: int | None, rows: int) -> tuple[int, bool]:
    """The rows of a batch, and whether each batch must have as many."""
    fixed = {shape[0] for shape in shapes if shape} - {None}
    if len(fixed) > 1:
        raise UsageError(f"{of.called} takes inputs with different numbers of rows ({sorted(map(str, fixed))})")
    for size in fixed:
        assert size is not None
        if asked not in (None, size):
            raise UsageError(f"{of.called} takes {size:,} rows at a time, so --batch-size {asked:,} does not fit")
        if size > rows:
            raise UsageError(f"{of.called} takes {size:,} rows at a time, and the data has {rows:,}")
        return size, True
    return min(asked or BATCH, rows), False
