"""Which column of a file feeds which input (`--map INPUT=COLUMN`), by name where nothing is said."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from tfexplore.core import text
from tfexplore.core.arrays import called
from tfexplore.core.data_columns import Want, want
from tfexplore.core.feature_spec import InputSpec
from tfexplore.core.json_values import near
from tfexplore.core.signatures import TensorInfo
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes


class Ask(NamedTuple):
    """What is asked of a file.

    Attributes:
        inputs: each with its first dimension for the rows.
        mapping: column by input, for those whose column has another name.
        target: the target's column; None where there is no target.
        target_info: what the target must be; None for any numbers.
        specs: of the inputs that take serialized Examples.
    """

    inputs: Sequence[TensorInfo]
    mapping: Mapping[str, str]
    target: str | None
    target_info: TensorInfo | None
    specs: Mapping[str, InputSpec]


class Plan(NamedTuple):
    """What feeds what.

    Attributes:
        columns: by input.
        examples: inputs that take each row as a whole, as a serialized Example.
        target: None where there is none.
    """

    columns: dict[str, Want]
    examples: tuple[TensorInfo, ...]
    target: Want | None


def plan(
    ask: Ask,
    columns: Sequence[str],
    path: str,
    *,
    rows_are_examples: bool = True,
    parts: Collection[str] = (),
) -> Plan:
    """A column for each input: the one that is named for it, else the one of its name; an input that parses Examples
    takes the whole row; one input that is left takes the one column that is left.

    Args:
        columns: what the file has, in its order.
        rows_are_examples: whether a row of it can be made an Example.
        parts: columns that feed an input by name only, since others are made of them.

    Raises:
        UsageError: an input or a column is not there, or nothing feeds an input.
    """
    infos = {info.name: info for info in ask.inputs}
    known = set(columns)
    file = text.visible(path)
    for name, column in ask.mapping.items():
        if name not in infos:
            raise UsageError(f"--map: there is no input {text.label(name[:200])}{near(name, list(infos))}")
        if column not in known:
            raise _no_column(file, column, columns)
    if ask.target is not None and ask.target not in known:
        raise _no_column(file, ask.target, columns)
    found = dict(ask.mapping)
    examples = []
    for name, info in infos.items():
        if name in found:
            continue
        if name in known:
            found[name] = name
        elif rows_are_examples and takes_examples(info, ask.specs):
            examples.append(info)
    whole = {info.name for info in examples}
    left = [name for name in infos if name not in found and name not in whole]
    used = {*found.values(), ask.target, *parts}
    spare = [column for column in columns if column not in used]
    if len(left) == len(spare) == 1 and not examples:
        found[left[0]] = spare[0]
    elif left:
        hint = f"write --map {text.visible(left[0])}=COLUMN"
        raise UsageError(f"{file}: no column is named like {called(infos[left[0]])}{near(left[0], spare)}; {hint}")
    return Plan(
        {name: want(infos[name], found[name]) for name in infos if name in found},
        tuple(examples),
        None if ask.target is None else want(ask.target_info, ask.target, is_target=True),
    )


def takes_examples(info: TensorInfo, specs: Mapping[str, InputSpec]) -> bool:
    """Whether an input takes a list of serialized Examples.

    Raises:
        UsageError: it takes one and no list.
    """
    spec = specs.get(info.name)
    if spec is None or not spec.is_parsed or dtypes.base(info.dtype) != dtypes.STRING:
        return False
    if info.shape is not None and len(info.shape) != 1:
        raise UsageError(f"{called(info)} takes no list of serialized Examples, so it takes no rows")
    return True


def _no_column(file: str, column: str, columns: Sequence[str]) -> UsageError:
    return UsageError(f"{file}: there is no column {text.label(column[:200])}{near(column, list(columns))}")
