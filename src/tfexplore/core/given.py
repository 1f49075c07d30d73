"""All inputs of one call, from whatever the person gave: values, Examples, records, a request, or a mix of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tfexplore.core import inputs
from tfexplore.core.arrays import called
from tfexplore.core.example_rows import build_rows, read_records
from tfexplore.core.feature_spec import InputSpec, input_specs
from tfexplore.core.requests import Request, request_arrays
from tfexplore.core.signatures import Signature
from tfexplore.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from tfexplore.core.meta_graph import MetaGraph


def given_arrays(
    meta_graph: MetaGraph,
    signature: Signature,
    words: Sequence[str] = (),
    *,
    example: str | None = None,
    tfrecord: str | None = None,
    request: Request | None = None,
    specs: Sequence[InputSpec] | None = None,
    cancel: threading.Event | None = None,
) -> dict[str, np.ndarray]:
    """The arrays to call a signature with, in its order; an input with a default may be missing.

    Args:
        words: of `--input`: `NAME=VALUE`, or VALUE alone where there is one input.
        example: of `--example`: JSON or `@FILE`.
        tfrecord: of `--tfrecord`: `FILE[:N]`.
        request: of `--request`, from `requests.read_request`.
        specs: what `feature_spec.input_specs` gave, where that is known already.

    Raises:
        UsageError: something does not fit, is given twice, or is missing.
        ModelError: a TFRecord file cannot be read.
        Cancelled: `cancel` was set.
    """
    found: dict[str, np.ndarray] = {}
    _add(found, inputs.given_inputs(signature, words), signature)
    if request is not None:
        _add(found, request_arrays(request, signature), signature)
    if example is not None or tfrecord is not None:
        known = input_specs(meta_graph, signature, cancel) if specs is None else specs
        info = inputs.example_input(signature, known)
        spec = next((spec for spec in known if spec.input == info.name), None)
        if example is not None:
            _add(found, {info.name: inputs.messages(build_rows(example, spec, cancel=cancel), info, spec)}, signature)
        if tfrecord is not None:
            _add(found, {info.name: inputs.messages(read_records(tfrecord, cancel), info, spec)}, signature)
    return inputs.complete(signature, found)


def _add(found: dict[str, np.ndarray], more: Mapping[str, np.ndarray], signature: Signature) -> None:
    for name, array in more.items():
        if name in found:
            info = next(info for info in signature.inputs if info.name == name)
            raise UsageError(f"{called(info)} is given twice")
        found[name] = array
