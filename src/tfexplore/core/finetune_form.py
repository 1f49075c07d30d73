"""The form of a fine-tuning: a row for each thing that can be said of it, filled with what is most likely wanted."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tfexplore.core import data_peek, form, text
from tfexplore.core.data_peek import Peek
from tfexplore.core.feature_spec import InputSpec, input_specs
from tfexplore.core.finetune_plan import BATCH, CROSSENTROPIES, EXPRESSION, LOSSES, OPTIMIZERS
from tfexplore.core.form import BY_FUNCTION, BY_SIGNATURE, Choice
from tfexplore.core.objects import ObjectGraph
from tfexplore.core.plan import SERVING_DEFAULT, choose_signature
from tfexplore.core.shapes import format_shape
from tfexplore.core.signatures import Signature
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    from tfexplore.core.model import Model

# What a row takes.
WORD, CHOICE, PATH, COLUMN = "word", "choice", "path", "column"
YES, NO = "yes", "no"
# The settings of optimizers that a person may write; the command has an option for each.
SETTINGS = ("learning_rate", "momentum", "nesterov", "beta_1", "beta_2", "epsilon", "rho", "weight_decay")
STEPS, MAX_TO_KEEP = 50, 3
# A value that begins so is a constant, where rows feed the inputs.
CONSTANT = "="
_MAX_FUNCTIONS = 1_000
_NAMES_OF_LOGITS = ("logit", "score")


class Row(NamedTuple):
    """One row.

    Attributes:
        key: tells it from the others.
        facts: what is wanted, visible.
        value: what stands there at first, as the person would write it.
        empty: what the row means where it is empty, visible.
        choices: of a CHOICE.
    """

    key: str
    name: str
    facts: str
    value: str = ""
    empty: str = ""
    kind: str = WORD
    choices: tuple[str, ...] = ()


class TuneForm(NamedTuple):
    """The rows for one function.

    Attributes:
        signature: None for a function of the object graph, whose traces are known once the model is loaded.
    """

    choice: Choice
    fields: tuple[Row, ...]
    signature: Signature | None


def choices(model: Model) -> list[Choice]:
    """What can be tuned: signatures with inputs or not, then the functions of the object graph.

    Raises:
        ModelError: a MetaGraph cannot be read.
    """
    found = []
    for meta_graph in model.meta_graphs:
        found += [one for one in form.choices(model) if one.kind == BY_SIGNATURE and one.meta_graph is meta_graph]
        paths = _function_paths(meta_graph.objects)
        found += [Choice(BY_FUNCTION, path, meta_graph, "a function of the object graph") for path in paths]
    return found


def _function_paths(objects: ObjectGraph | None) -> Iterator[str]:
    """The functions that a person may call, the nearest to the root first."""
    seen: set[str] = set()
    for node_id in objects.walk if objects is not None else ():
        assert objects is not None
        message = objects.message(node_id)
        if message.WhichOneof("kind") != "function" or not message.function.concrete_functions:
            continue
        path = objects.path(node_id) or ""
        last = path.rpartition(".")[2]
        if not path or path in seen or path.startswith("signatures.") or (last[:1] == "_" and last != "__call__"):
            continue
        seen.add(path)
        yield path
        if len(seen) == _MAX_FUNCTIONS:
            return


def labels(model: Model, found: Sequence[Choice]) -> list[str]:
    """What each choice is called in the form; no two alike."""
    made: dict[str, None] = {}
    for one in found:
        tags = f" of {text.visible(','.join(one.meta_graph.tags)) or '(no tags)'}" if len(model.meta_graphs) > 1 else ""
        label = f"{'signature' if one.kind == BY_SIGNATURE else 'function'} {text.label(one.name)}{tags}"
        unique, number = label, 1
        while unique in made:
            number += 1
            unique = f"{label} ({number})"
        made[unique] = None
    return list(made)


def first_choice(found: Sequence[Choice]) -> int:
    """The one to begin with: serving_default, else a signature that takes something, else __call__."""
    ranks = [
        0 if one.kind == BY_SIGNATURE and one.name == SERVING_DEFAULT
        else 1 if one.kind == BY_SIGNATURE and not one.note.startswith("0 ")
        else 2 if one.name == "__call__"
        else 3
        for one in found
    ]  # fmt: skip
    return ranks.index(min(ranks)) if ranks else 0


class Seen(NamedTuple):
    """What was found out for the rows of one function, so that it need not be again.

    Attributes:
        specs: what inputs that parse Examples ask for.
        beside: a file of rows next to the model that fits.
    """

    signature: Signature | None
    specs: tuple[InputSpec, ...]
    beside: str | None


def see(model: Model, choice: Choice, cancel: threading.Event | None = None) -> Seen:
    """Reads what the rows of a function need.

    Raises:
        UsageError, ModelError: it cannot be called, or the model not be read that far.
        Cancelled: `cancel` was set.
    """
    if choice.kind != BY_SIGNATURE:
        return Seen(None, (), None)
    signature = choose_signature(choice.meta_graph, choice.name)
    specs = tuple(input_specs(choice.meta_graph, signature, cancel))
    # A scalar has no dimension for rows.
    takes_rows = all(info.shape is None or info.shape for info in signature.inputs)
    beside = data_peek.beside(model.path, _fed(signature, specs)) if takes_rows else None
    return Seen(signature, specs, beside)


def _fed(signature: Signature | None, specs: Sequence[InputSpec]) -> list[str]:
    """The columns that feed a signature, where each has the name of what it feeds."""
    found: list[str] = []
    parsed = {spec.input: spec for spec in specs if spec.is_parsed}
    for info in signature.inputs if signature is not None else ():
        if info.name in parsed:
            found += [one.name for one in parsed[info.name].features if one.part == "example"]
        else:
            found.append(info.name)
    return found


def make_form(
    whole: Sequence[str], choice: Choice, label: str, seen: Seen, values: Mapping[str, str], peeked: Peek
) -> TuneForm:
    """The rows; which there are depends on what the others hold.

    Args:
        whole: the labels of all choices.
        values: what the person has written so far, by key.
        peeked: of the file in the row `data`.
    """
    data = values.get("data", seen.beside or "")
    rows = [Row("function", "tune", "", label, "", CHOICE, tuple(whole))]
    if choice.kind == BY_FUNCTION:
        rows.append(Row("training", "training", "its trace", YES, "", CHOICE, (YES, NO)))
    rows.append(Row("data", "data", "rows", seen.beside or "", "(none: the inputs are constants)", PATH))
    rows += _inputs(choice, seen, values, data)
    target = data_peek.target_of(peeked, _fed(seen.signature, seen.specs)) if data else ""
    if data:
        rows.append(Row("target", "target", "column", target, "(none)", COLUMN))
    target = values.get("target", target) if data else ""
    rows += _loss(seen, values, peeked.values(target) if target else [], bool(target))
    rows.append(Row("steps", "steps", "", str(STEPS)))
    rows += _optimizer(values, bool(data))
    if data:
        rows.append(Row("batch", "batch size", "", "", f"({BATCH}, or the model's)"))
        rows.append(Row("seed", "seed", "rows' order", "0", "(the file's order)"))
    rows.append(Row("directory", "checkpoints", "folder", "", "(none are saved)", PATH))
    if values.get("directory"):
        rows.append(Row("every", "save every", "steps", "10", "(only at the end of a run)"))
        rows.append(Row("keep", "keep", "newest", str(MAX_TO_KEEP), "(all)"))
    rows.append(Row("compiled", "compiled", "tf.function", YES, "", CHOICE, (YES, NO)))
    return TuneForm(choice, tuple(rows), seen.signature)


def _inputs(choice: Choice, seen: Seen, values: Mapping[str, str], data: str) -> Iterator[Row]:
    if choice.kind == BY_FUNCTION:
        filled = [int(key.partition(":")[2]) for key, value in values.items() if key.startswith("given:") and value]
        facts, empty = ("NAME=VALUE", "(a constant)") if data else ("[NAME=]VALUE", "(a constant: 2.0, @FILE, ones)")
        for number in range(max(filled, default=-1) + 2):
            yield Row(f"given:{number}", "input", facts, "", empty)
        filled = [int(key.partition(":")[2]) for key, value in values.items() if key.startswith("map:") and value]
        for number in range(max(filled, default=-1) + 2) if data else ():
            yield Row(f"map:{number}", "map", "INPUT=COLUMN", "", "(columns feed inputs of their names)")
        return
    assert seen.signature is not None
    parsed = {spec.input for spec in seen.specs if spec.is_parsed and spec.features}
    for info in seen.signature.inputs:
        facts = f"{dtypes.name(info.dtype)} {format_shape(info.shape)}"
        key = f"input:{info.name}"
        if data:
            whole = "(the whole row)" if info.name in parsed else f"(the column {text.label(info.name)})"
            empty = "(the model's default)" if info.name in seen.signature.defaults else whole
            yield Row(key, info.name, facts, "", empty, COLUMN)
        elif info.name in parsed:
            yield Row(key, info.name, facts, "", "(rows: {…}, @rows.jsonl or tfrecord:FILE)", PATH)
        else:
            yield Row(key, info.name, facts, "", "(a constant: JSON, @FILE, ones, random)")


def _loss(seen: Seen, values: Mapping[str, str], targets: list[object], has_target: bool) -> Iterator[Row]:
    outputs = [info.name for info in seen.signature.outputs] if seen.signature is not None else []
    shapes = {info.name: info.shape for info in seen.signature.outputs} if seen.signature is not None else {}
    binary = data_peek.is_binary(targets)
    output = next((name for name in outputs if binary and "prob" in name), outputs[0] if outputs else "")
    output = values.get("output", output)
    many = data_peek.is_classes(targets) and (shape := shapes.get(output)) is not None and len(shape) > 1
    many = many and (shape[-1] is None or shape[-1] > 1)  # type: ignore[index]
    kind = "sparse_categorical_crossentropy" if many else "binary_crossentropy" if binary else "mse"
    kind = kind if has_target else EXPRESSION
    yield Row("loss", "loss", "", kind, "", CHOICE, (*LOSSES, EXPRESSION))
    kind = values.get("loss", kind)
    if kind == EXPRESSION:
        yield Row("expression", "of y", "target" if has_target else "", "", "(write one, as (10. - y) ** 2)")
    if len(outputs) > 1:
        visible = tuple(map(text.label, outputs))
        yield Row("output", "y is", "output", text.label(output), "(all of them)", CHOICE, visible)
    elif not outputs:
        yield Row("output", "y is", "output", "", "(the only one)")
    if kind in CROSSENTROPIES:
        logits = any(word in output.casefold() for word in _NAMES_OF_LOGITS)
        yield Row("logits", "logits", "y is", YES if logits else NO, "", CHOICE, (YES, NO))


def _optimizer(values: Mapping[str, str], has_data: bool) -> Iterator[Row]:
    first = "adam" if has_data else "sgd"
    yield Row("optimizer", "optimizer", "", first, "", CHOICE, tuple(OPTIMIZERS))
    kind = values.get("optimizer", first)
    known = OPTIMIZERS.get(kind, {})
    for name in SETTINGS:
        if name not in known:
            continue
        spoken = "  " + name.replace("_", " ")
        if name == "nesterov":
            yield Row(f"set:{name}", spoken, "", NO, "", CHOICE, (YES, NO))
        elif name == "learning_rate":
            rate = "0.05" if kind == "sgd" else "0.01" if kind == "adam" else ""
            yield Row(f"set:{name}", spoken, "", rate, f"({known[name]:g})")
        else:
            yield Row(f"set:{name}", spoken, "", "", f"({known[name]:g})")


def value_of(row: Row, values: Mapping[str, str]) -> str:
    """What stands in a row."""
    return values.get(row.key, row.value)


def next_choice(row: Row, value: str, by: int = 1) -> str:
    """The choice after, or before, the one that stands there."""
    at = row.choices.index(value) + by if value in row.choices else 0
    return row.choices[at % len(row.choices)]
