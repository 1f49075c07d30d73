"""What the person gives for the inputs of a signature, as arrays: checked before TensorFlow is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from tfexplore.core import arrays, input_files, json_values, makers, text
from tfexplore.core.arrays import called
from tfexplore.core.feature_spec import InputSpec
from tfexplore.core.signatures import Signature, TensorInfo
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes

if TYPE_CHECKING:
    import numpy as np

# `NAME=`, where NAME is none of the inputs.
_NAMED = re.compile(r"[A-Za-z_][\w./:-]{0,200}=")


def value(given: str, info: TensorInfo) -> np.ndarray:
    """The array that a VALUE stands for: JSON, `@FILE`, or a maker (`zeros`, `ones`, `random[:seed]`).

    For an input of strings any other text is that string, where the input takes one.

    Args:
        info: the input, or any tensor that is fed by name.

    Raises:
        UsageError: it does not fit.
    """
    where = called(info)
    if given.startswith("@"):
        return input_files.read(given[1:], info, where)
    maker = makers.split(given)
    if maker is not None:
        return makers.make(maker[0], info, seed=maker[1])
    try:
        document = json_values.parse(given, where)
    except UsageError:
        if dtypes.base(info.dtype) == dtypes.STRING and given[:1] not in ("[", "{", '"'):
            return input_files.strings([text.encode(given)], info, where)
        raise UsageError(
            f"{where}: {_cut(given)} is neither JSON nor @FILE nor one of {', '.join(makers.MAKERS)}"
        ) from None
    return arrays.from_json(document, info, where)


def _cut(given: str) -> str:
    return text.visible(given[:40]) + (text.ELLIPSIS if len(given) > 40 else "") if given else "nothing"


def given_inputs(signature: Signature, words: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays that `--input NAME=VALUE …` give; VALUE alone where the signature has one input.

    Raises:
        UsageError: an input is unknown or given twice, or a value does not fit. `complete` tells what is missing.
    """
    infos = {info.name: info for info in signature.inputs}
    found: dict[str, np.ndarray] = {}
    for word in words:
        name = _name_of(word, infos)
        if name is not None:
            rest = word[len(name) + 1 :]
        elif len(infos) == 1 and not _NAMED.match(word):
            (name,), rest = infos, word
        else:
            _refuse(word.partition("=")[0] if "=" in word else None, infos, signature)
        if name in found:
            raise UsageError(f"{called(infos[name])} is given twice")
        found[name] = value(rest, infos[name])
    return found


def _name_of(word: str, infos: Mapping[str, TensorInfo]) -> str | None:
    """The input that the word begins with; the longest, since a name may hold an equals sign."""
    return max((name for name in infos if word.startswith(f"{name}=")), key=len, default=None)


def _refuse(name: str | None, infos: Mapping[str, TensorInfo], signature: Signature) -> NoReturn:
    whose = signature.called
    if not infos:
        raise UsageError(f"{whose} takes no input")
    if name is None:
        raise UsageError(f"{whose} has {len(infos):,} inputs: write NAME=VALUE for each ({_listed(infos)})")
    raise UsageError(f"{whose} has no input {text.label(name[:200])}{json_values.near(name, list(infos))}")


def _listed(infos: Mapping[str, TensorInfo]) -> str:
    names = list(infos)
    shown = ", ".join(map(text.label, names[:12]))
    return shown + (f", … {len(names) - 12:,} more" if len(names) > 12 else "")


def complete(signature: Signature, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All inputs, in the signature's order; one that the model has a default for may be left out.

    Raises:
        UsageError: one is missing or unknown, or has another dtype or shape.
    """
    infos = {info.name: info for info in signature.inputs}
    for name in given:
        if name not in infos:
            _refuse(name, infos, signature)
    found: dict[str, np.ndarray] = {}
    for name, info in infos.items():
        if name in given:
            found[name] = arrays.from_array(given[name], info) if _differs(given[name], info) else given[name]
        elif name not in signature.defaults:
            raise UsageError(f"{called(info)} is missing: give --input {text.visible(name)}=VALUE")
    return found


def _differs(array: np.ndarray, info: TensorInfo) -> bool:
    arrays.checked(array, info)
    return bool(array.dtype != arrays.numpy_dtype(info))


def messages(serialized: Sequence[bytes], info: TensorInfo, spec: InputSpec | None = None) -> np.ndarray:
    """Serialized Examples (`example_rows.build_rows`, `read_records`) as the value of the input that parses them.

    Raises:
        UsageError: the input takes another number of them, or is none of strings.
    """
    if dtypes.base(info.dtype) != dtypes.STRING:
        raise UsageError(f"{called(info)} takes no serialized Examples, which are strings")
    found = list(serialized)
    if spec is not None and spec.base64:
        import base64

        found = [base64.urlsafe_b64encode(message) for message in found]
    return input_files.strings(found, info)


def example_input(signature: Signature, specs: Sequence[InputSpec]) -> TensorInfo:
    """The input that `--example` and `--tfrecord` feed: the one that is parsed, else the only one of strings.

    Raises:
        UsageError: there is none, or there are several.
    """
    parsed = {spec.input for spec in specs if spec.is_parsed}
    strings = [info for info in signature.inputs if dtypes.base(info.dtype) == dtypes.STRING]
    found = [info for info in strings if info.name in parsed] or strings
    whose = signature.called
    if not found:
        raise UsageError(f"{whose} has no input of strings, so it takes no Examples")
    if len(found) > 1:
        names = ", ".join(text.label(info.name) for info in found)
        raise UsageError(
            f"{whose} has several inputs that may take Examples ({names}): give them with --input NAME=VALUE"
        )
    return found[0]
