"""From the rows of a fine-tuning's form to the plan: each error has its row. And the same as a command line."""

from __future__ import annotations

import os
import re
import shlex
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import loss_expr, text
from tfexplore.core.finetune_form import CONSTANT, NO, SETTINGS, YES, Row, TuneForm, value_of
from tfexplore.core.finetune_plan import (
    EXPRESSION,
    OPTIMIZERS,
    DataWish,
    FinetunePlan,
    Loss,
    Optimizer,
    TuneVariable,
    Wish,
    choose_loss,
    choose_optimizer,
    choose_variables,
    plan_function,
    plan_signature,
)
from tfexplore.core.form import BY_FUNCTION
from tfexplore.core.form_call import RECORDS
from tfexplore.core.json_values import near
from tfexplore.core.pattern import Pattern
from tfexplore.core.plan import Given, Target
from tfexplore.errors import ModelError, UsageError

if TYPE_CHECKING:
    from tfexplore.core.meta_graph import MetaGraph

_WHOLE = {"steps": 1, "batch": 1, "seed": 0, "every": 1, "keep": 0}
_MAX_WHOLE = 1_000_000_000
Cancel = threading.Event | None


class Stretch(NamedTuple):
    """How far a run goes, and what it saves: nothing of what is tuned depends on it."""

    steps: int
    learning_rate: float
    directory: str
    every: int | None
    keep: int


class Made(NamedTuple):
    """What a form came to.

    Attributes:
        wish: what is asked for; of a function, before its traces are known.
        plan: None where a row is wrong, or the traces are not known yet.
        errors: a sentence by the row's key; the key is empty where no row is to blame.
    """

    wish: Wish | None
    plan: FinetunePlan | None
    stretch: Stretch | None
    errors: dict[str, str]


def all_variables(meta_graph: MetaGraph) -> tuple[TuneVariable, ...]:
    """The variables with the model's own marks: what it froze is not trained.

    Raises:
        UsageError: the model has none.
    """
    found, _ = choose_variables(meta_graph, ("",))
    return tuple(one._replace(train=is_marked(one)) for one in found)


def is_marked(one: TuneVariable) -> bool:
    """Whether the model marks it as trainable, or nothing as not."""
    return one.variable.trainable is not False


def tick(variables: Sequence[TuneVariable], positions: Sequence[int], train: bool) -> tuple[TuneVariable, ...]:
    """The variables with some of them ticked or not; one that the model would train is then held as it is."""
    chosen = set(positions)
    return tuple(
        one._replace(train=train, hold=not train and is_marked(one)) if position in chosen else one
        for position, one in enumerate(variables)
    )


def found_by(variables: Sequence[TuneVariable], expression: str) -> list[int]:
    """The positions of the variables whose name or label a regular expression (RE2) finds.

    Raises:
        UsageError: it is none, or finds none.
    """
    pattern = Pattern(expression, what="the expression")
    found = [
        position
        for position, one in enumerate(variables)
        if any(pattern.search(name) for name in (one.variable.name, one.label) if name)
    ]
    if not found:
        others = near(expression, [one.label for one in variables])
        raise UsageError(f"{text.visible(expression)} finds no variable{others}")
    return found


# -- rows --


def check(row: Row, value: str) -> str | None:
    """What is wrong with one row by itself; None where nothing is."""
    try:
        if row.choices and value not in row.choices:
            return f"expected one of {', '.join(row.choices[:12])}"
        if row.key in _WHOLE:
            _whole(row.key, value)
        elif row.key.startswith("set:") and not row.choices:
            _number(value)
        elif row.key == "expression" and value:
            loss_expr.parse(value)
        elif row.key == "data" and value and not os.path.isfile(_path(value)):
            return f"{text.visible(value)}: there is no such file"
    except UsageError as error:
        return str(error)
    return None


def _path(value: str) -> str:
    return os.path.expanduser(value)


def _whole(key: str, value: str) -> int | None:
    least = _WHOLE[key]
    value = value.strip().replace(",", "")
    if not value and key != "steps":
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 10 or not least <= int(value) <= _MAX_WHOLE:
        raise UsageError(f"expected a whole number from {least} to {_MAX_WHOLE:,}")
    return int(value)


def _number(value: str) -> float | None:
    if not value.strip():
        return None
    try:
        found = float(value)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise UsageError("expected a number that is not negative, as 0.01")
    return found


def make(whole: TuneForm, values: Mapping[str, str], variables: Sequence[TuneVariable], cancel: Cancel = None) -> Made:
    """The run that the rows describe.

    Args:
        variables: with their ticks.

    Raises:
        Cancelled: `cancel` was set.
    """
    rows = {row.key: row for row in whole.fields}
    given = {key: value_of(row, values).strip() for key, row in rows.items()}
    errors = {key: wrong for key, row in rows.items() if (wrong := check(row, given[key])) is not None}
    if errors:
        return Made(None, None, None, errors)
    at = ""
    try:
        at = "expression" if given["loss"] == EXPRESSION else "loss"
        loss = _loss(whole, given)
        at = "optimizer"
        optimizer = _optimizer(given)
        at = ""
        if not any(one.train for one in variables):
            raise UsageError("no variable is ticked: Space on a variable ticks it, a all that the model trains")
        wish = _wish(whole, given, loss, optimizer, tuple(variables))
        plan = None
        if whole.choice.kind != BY_FUNCTION:
            plan = plan_signature(whole.choice.meta_graph, whole.choice.name, wish, cancel)
    except (UsageError, ModelError) as error:
        return Made(None, None, None, blamed(whole, given, error, at))
    every = _whole("every", given["every"]) if "every" in given else None
    keep = _whole("keep", given["keep"]) if "keep" in given else None
    steps = _whole("steps", given["steps"])
    assert steps is not None
    return Made(wish, plan, Stretch(steps, optimizer.learning_rate, _path(given["directory"]), every, keep or 0), {})


def make_function(
    whole: TuneForm, values: Mapping[str, str], wish: Wish, traces: Sequence[dict[str, Any]], cancel: Cancel = None
) -> tuple[FinetunePlan | None, dict[str, str]]:
    """The plan for a function whose traces are known by now, or what is wrong by row."""
    given = {row.key: value_of(row, values).strip() for row in whole.fields}
    training = given.get("training") != NO
    try:
        choice = whole.choice
        return plan_function(choice.meta_graph, choice.name, traces, wish, training=training, cancel=cancel), {}
    except (UsageError, ModelError) as error:
        return None, blamed(whole, given, error, "")


def _loss(whole: TuneForm, given: Mapping[str, str]) -> Loss:
    expression = given.get("expression") or None
    target = bool(given.get("target"))
    if given["loss"] == EXPRESSION and expression is None:
        raise UsageError("say what to make small of y, what the function gives: (10. - y) ** 2")
    if given["loss"] != EXPRESSION:
        expression = None
    kind = None if expression is not None else given["loss"]
    uses_target = expression is None or "target" in loss_expr.parse(expression).names
    if uses_target and not target:
        where = "name its column in the row target" if given["data"] else "give a file of rows in the row data"
        raise UsageError(f"this loss compares with a target: {where}")
    output = given.get("output") or None
    if output is not None and whole.signature is not None:
        by_label = {text.label(info.name): info.name for info in whole.signature.outputs}
        output = by_label.get(output, output)
    return choose_loss(
        kind,
        expression,
        from_logits=kind is not None and given.get("logits") == YES,
        output=output,
        target=target and uses_target,
    )


def _optimizer(given: Mapping[str, str]) -> Optimizer:
    settings: dict[str, Any] = {}
    for name in SETTINGS:
        value = given.get(f"set:{name}", "")
        if name == "nesterov":
            if value == YES:
                settings[name] = True
        elif value:
            settings[name] = _number(value)
    return choose_optimizer(given["optimizer"], settings)


def _wish(
    whole: TuneForm, given: Mapping[str, str], loss: Loss, optimizer: Optimizer, variables: tuple[TuneVariable, ...]
) -> Wish:
    words: list[str] = []
    mapping: dict[str, str] = {}
    example = tfrecord = None
    data = given["data"]
    for key, value in given.items():
        what, _, name = key.partition(":")
        if not value or what not in ("input", "given", "map"):
            continue
        if what == "given":
            words.append(value)
        elif what == "map":
            name, equals, column = value.partition("=")
            if not equals or not name or not column:
                raise UsageError(f"{text.visible(value)}: write INPUT=COLUMN")
            mapping[name] = column
        elif data and not value.startswith(CONSTANT):
            mapping[name] = value
        elif not data and value.startswith(RECORDS):
            tfrecord = value[len(RECORDS) :]
        elif not data and (value.startswith("{") or value.replace(" ", "").startswith("[{") or _is_rows(value)):
            example = value
        else:
            words.append(f"{name}={value.removeprefix(CONSTANT) if data else value}")
    seed = _whole("seed", given["seed"]) if data else 0
    batch = _whole("batch", given["batch"]) if data else None
    target = given.get("target") or None if loss.needs_target else None
    wished = DataWish(_path(data) if data else None, mapping, target, batch, seed)
    thawed = [text.label(one.label) for one in variables if one.train and not is_marked(one)]
    notes = (f"thawed, although the model froze it: {', '.join(thawed[:5])}",) if thawed else ()
    eager = given["compiled"] == NO
    return Wish(Given(tuple(words), example, tfrecord, None), wished, loss, optimizer, variables, eager, notes)


def _is_rows(value: str) -> bool:
    return value.startswith("@") and value.endswith((".jsonl", ".ndjson"))


def blamed(whole: TuneForm, given: Mapping[str, str], error: Exception, at: str) -> dict[str, str]:
    """The row that a sentence is about, and the sentence."""
    sentence = str(error)
    target, data = given.get("target", ""), given.get("data", "")
    if "compares with a target" in sentence:
        at = "target" if data else "data"
    elif "batch" in sentence and "rows at a time" in sentence and "batch" in given:
        at = "batch"
    elif "there is no column" in sentence and target and text.label(target) in sentence:
        at = "target"
    elif "choose one with --output" in sentence or "has no output" in sentence:
        at = "output"
    elif "given:0" in given and "is missing: give --input" in sentence:
        at = "given:0"
    elif not at:
        at = next((row.key for row in whole.fields if _is_about(row, given, sentence)), "")
        if not at and data and os.path.basename(data) in sentence:
            at = "data"
    keys = {row.key for row in whole.fields}
    return {at if at in keys else "": sentence}


def _is_about(row: Row, given: Mapping[str, str], sentence: str) -> bool:
    if row.key.startswith("input:"):
        return f"the input {text.label(row.name)}" in sentence
    return row.key.startswith(("given:", "map:")) and bool(given[row.key]) and text.visible(given[row.key]) in sentence


# -- elsewhere --


def command_line(
    target: Target, whole: TuneForm, values: Mapping[str, str], wish: Wish, stretch: Stretch, restored: str | None
) -> str:
    """The run as a command."""
    given = {row.key: value_of(row, values).strip() for row in whole.fields}
    words = ["tfexplore", "finetune", target.path]
    words += ["--call" if whole.choice.kind == BY_FUNCTION else "--signature", whole.choice.name]
    if given.get("training") == NO:
        words.append("--inference")
    if target.tag_set is not None and target.tag_set != ("serve",):
        words += ["--tag-set", ",".join(target.tag_set)]
    for word in wish.given.words:
        words += ["--input", word]
    for name, value in (("example", wish.given.example), ("tfrecord", wish.given.tfrecord), ("data", wish.data.path)):
        words += [f"--{name}", value] if value is not None else []
    for name, column in wish.data.mapping.items():
        words += ["--map", f"{name}={column}"]
    words += ["--target", wish.data.target] if wish.data.target is not None else []
    words += ["--batch-size", str(wish.data.batch)] if wish.data.batch is not None else []
    if wish.data.path is not None:
        words += ["--no-shuffle"] if wish.data.seed is None else ["--seed", str(wish.data.seed)]
    words += _loss_words(wish.loss) + _optimizer_words(wish.optimizer) + _ticks(wish.variables)
    words += ["--steps", str(stretch.steps), *(["--eager"] if wish.eager else [])]
    if stretch.directory:
        words += ["--checkpoint-dir", stretch.directory, "--max-to-keep", str(stretch.keep)]
        words += ["--save-every", str(stretch.every)] if stretch.every is not None else []
    words += ["--restore", restored] if restored is not None else []
    if not all(map(str.isprintable, words)):
        raise UsageError("a name holds what no command line can show")
    return " ".join(map(shlex.quote, words))


def _loss_words(loss: Loss) -> list[str]:
    words = ["--loss", loss.kind] if loss.expression is None else ["--loss-expr", loss.expression.text]
    words += ["--from-logits"] if loss.from_logits else []
    return words + (["--output", loss.output] if loss.output is not None else [])


def _optimizer_words(optimizer: Optimizer) -> list[str]:
    words = ["--optimizer", optimizer.kind]
    for name, value in optimizer.settings.items():
        if value != OPTIMIZERS[optimizer.kind][name]:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [f"{value:g}"])]
    return words


def _ticks(variables: Sequence[TuneVariable]) -> list[str]:
    """Nothing where they are the model's own; else the ticked ones by name."""
    if all(one.train == is_marked(one) for one in variables):
        return []
    thawed = any(one.train and not is_marked(one) for one in variables)
    if not thawed:
        return ["--freeze", _names([one for one in variables if is_marked(one) and not one.train])]
    return ["--train", _names([one for one in variables if one.train])]


def _names(variables: Sequence[TuneVariable]) -> str:
    escaped = [re.sub(r"([^A-Za-z0-9_/ -])", r"\\\1", text.visible(one.label)) for one in variables]
    return f"^({'|'.join(escaped)})$" if len(escaped) > 1 else f"^{escaped[0]}$"
