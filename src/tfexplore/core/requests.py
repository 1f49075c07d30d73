"""TensorFlow Serving's predict requests (`--request FILE`).

Row format: `{"instances": [value, …]}` or `{"instances": [{NAME: value}, …]}`; column format: `{"inputs": value}` or
`{"inputs": {NAME: value}}`; either with `"signature_name"`. Bytes are `{"b64": …}`.
TensorFlow Serving's RESTful API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import arrays, json_values, text
from tfexplore.core.signatures import Signature
from tfexplore.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

_KNOWN = {"signature_name", "instances", "inputs"}


class Request(NamedTuple):
    """One request.

    Attributes:
        signature_name: None where it names none (`serving_default` then).
        columns: JSON values by input name; the name is None where the request gives none.
    """

    signature_name: str | None
    columns: dict[str | None, Any]
    where: str


def read_request(path: str) -> Request:
    """The request in a file.

    Raises:
        UsageError: it cannot be read, or is no request.
    """
    return parse_request(json_values.read_file(path), text.visible(path))


def parse_request(source: str | bytes, where: str) -> Request:
    """A request from its JSON; `where` is what errors call it.

    Raises:
        UsageError: it is none.
    """
    document = json_values.parse(source, where)
    if not isinstance(document, dict):
        raise UsageError(
            f'{where}: expected {{"instances": […]}} or {{"inputs": …}}, got {json_values.describe(document)}'
        )
    forms = [name for name in ("instances", "inputs") if name in document]
    if len(forms) != 1:
        what = "both instances and inputs" if forms else "neither instances nor inputs"
        raise UsageError(f"{where}: a request has one of instances and inputs, this one has {what}")
    name = document.get("signature_name")
    if name is not None and not isinstance(name, str):
        raise UsageError(f"{where}: signature_name is {json_values.describe(name)}, expected a string")
    for key in document.keys() - _KNOWN:
        raise UsageError(f"{where}: a request has no {text.label(key)}{json_values.near(key, sorted(_KNOWN))}")
    if forms == ["inputs"]:
        inputs = document["inputs"]
        named = isinstance(inputs, dict) and not json_values.is_b64(inputs)
        return Request(name or None, dict(inputs) if named else {None: inputs}, where)
    return Request(name or None, _columns(document["instances"], where), where)


def _columns(instances: Any, where: str) -> dict[str | None, Any]:
    if not isinstance(instances, list) or not instances:
        raise UsageError(f"{where}: instances are {json_values.describe(instances)}, expected a list of at least one")
    named = isinstance(instances[0], dict) and not json_values.is_b64(instances[0])
    if not named:
        for number, instance in enumerate(instances):
            if isinstance(instance, dict) and not json_values.is_b64(instance):
                raise UsageError(f"{where}: instance {number} names its inputs, and instance 0 does not")
        return {None: instances}
    columns: dict[str | None, Any] = {name: [] for name in instances[0]}
    for number, instance in enumerate(instances):
        if not isinstance(instance, dict) or instance.keys() != columns.keys():
            names = ", ".join(text.label(str(name)) for name in columns)
            raise UsageError(f"{where}: instance {number} does not have the inputs of instance 0: {names}")
        for name, part in instance.items():
            columns[name].append(part)
    return columns


def request_arrays(request: Request, signature: Signature) -> dict[str, np.ndarray]:
    """The request's values as arrays; `inputs.complete` tells what is missing.

    Raises:
        UsageError: an input is unknown, or a value does not fit.
    """
    infos = {info.name: info for info in signature.inputs}
    columns: Mapping[str | None, Any] = request.columns
    if None in columns:
        if len(infos) != 1:
            names = ", ".join(map(text.label, infos)) or "none"
            raise UsageError(
                f"{request.where}: the values have no names, and {signature.called} has {len(infos):,} inputs ({names})"
            )
        columns = {next(iter(infos)): columns[None]}
    found = {}
    for name, part in columns.items():
        assert name is not None
        if name not in infos:
            raise UsageError(
                f"{request.where}: {signature.called} has no input "
                f"{text.label(name[:200])}{json_values.near(name, list(infos))}"
            )
        found[name] = arrays.from_json(part, infos[name], f"{request.where}: {arrays.called(infos[name])}")
    return found
