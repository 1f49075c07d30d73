"""Every SavedModel of the corpus, every signature, with seeded inputs: what TensorFlow answers here, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.calls import filled
from tfexplore.core.auto_inputs import attempts
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.opener import open_model
from tfexplore.core.plan import Plan, callable_signatures, defaults, target
from tfexplore.core.signatures import Signature
from tfexplore.errors import RuntimeFailed, UsageError
from tfexplore.loader.running import Runner
from tfexplore.runtime import arrays
from tfexplore.runtime.client import Runtime
from tfexplore.runtime.protocol import Tensor
from tfexplore.runtime.records import Options

pytestmark = pytest.mark.tensorflow

Answer = dict[str, tuple[str, list[int], Any]]


def direct(tf: Any, path: Path, loader: str) -> Callable[[str, tuple[Tensor, ...]], Answer | None]:
    """Loads the model here; what then calls a signature, and gives None where TensorFlow raises."""
    if loader == "v2":
        signatures = tf.saved_model.load(str(path)).signatures

        def run(name: str, given: dict[str, Any]) -> dict[str, Any]:
            found = signatures[name](**{key: tf.constant(value) for key, value in given.items()})
            return {key: value.numpy() for key, value in found.items()}
    else:
        from tensorflow.python.saved_model import loader_impl

        tags = list(loader_impl.parse_saved_model(str(path)).meta_graphs[0].meta_info_def.tags)
        session = tf.compat.v1.Session(graph=tf.Graph())
        with session.graph.as_default():
            definitions = tf.compat.v1.saved_model.load(session, tags, str(path)).signature_def

        def run(name: str, given: dict[str, Any]) -> dict[str, Any]:
            definition = definitions[name]
            names = tensor_names(definition.inputs)
            return session.run(tensor_names(definition.outputs), {names[key]: value for key, value in given.items()})

    def call(name: str, inputs: tuple[Tensor, ...]) -> Answer | None:
        try:
            found = run(name, {one.name: arrays.to_array(one) for one in inputs})
        except (tf.errors.OpError, ValueError, TypeError):
            return None
        return {key: comparable(np.asarray(value)) for key, value in found.items()}

    return call


def tensor_names(infos: Any) -> dict[str, str]:
    found = {}
    for key, info in infos.items():
        if info.coo_sparse.values_tensor_name:
            for part in ("indices", "values", "dense_shape"):
                found[f"{key}.{part}"] = getattr(info.coo_sparse, f"{part}_tensor_name")
        else:
            found[key] = info.name
    return found


def comparable(array: Any) -> tuple[str, list[int], Any]:
    if array.dtype.kind in "OSU":
        values = [one if isinstance(one, bytes) else str(one).encode() for one in array.reshape(-1).tolist()]
        return ("string", list(array.shape), values)
    return (array.dtype.name, list(array.shape), array.tobytes())


def planned(meta_graph: MetaGraph, signature: Signature, described: dict[str, Any]) -> Iterator[Plan]:
    """What `smoke` would try: seeded floats, Examples from the recovered spec, and so on.

    Where nothing can be made up for an input (it has several parts), the parts are zeros.
    """
    try:
        for attempt in attempts(meta_graph, signature, seed=4):
            arrays_ = {**defaults(signature, meta_graph.path, attempt.arrays), **attempt.arrays}
            yield Plan(signature.name, None, (), None, arrays_)
    except UsageError:
        inputs = [filled(key, spec, 0) for key, spec in described["inputs"].items()]
        yield Plan(signature.name, None, (), None, {one.name: arrays.to_array(one) for one in inputs})


async def test_every_signature(corpus: Path, tf: Any) -> None:
    models = sorted(path.parent for path in (corpus / "models").rglob("saved_model.pb"))
    assert len(models) > 30
    called = failed = 0
    runtime = Runtime(Options(reads=(str(corpus / "models"),)))
    for path in models:
        with open_model(str(path)) as model:
            meta_graph = model.meta_graph()
            runner = Runner(target(model, meta_graph), Options())
            runner.runtime = runtime
            try:
                loaded = await runner.load(120)
            except RuntimeFailed:
                continue
            call = direct(tf, path, loaded["loader"])
            described = (await runtime.describe())["signatures"]
            assert {one.name for one in callable_signatures(meta_graph)} == set(described), path
            for signature in callable_signatures(meta_graph):
                for plan in planned(meta_graph, signature, described[signature.name]):
                    answered = await compare(runner, plan, call, path)
                    called += answered
                    failed += not answered
                    if answered:
                        break
    await runtime.close()
    print(f"{called} signatures answered, {failed} attempts failed here and there")
    assert called > 60


async def compare(runner: Runner, plan: Plan, call: Callable[..., Answer | None], path: Path) -> bool:
    """Whether both answer; the answers are the same, or neither does."""
    expected = call(plan.signature, tuple(arrays.to_tensor(*one) for one in plan.arrays.items()))
    why: RuntimeFailed | None = None
    answer: Answer | None = None
    try:
        answer = {one.name: comparable(one.array) for one in (await runner.call(plan, timeout=60)).outputs}
    except RuntimeFailed as error:
        why = error
    if answer is not None and expected is not None:
        # A metric is read while the same run updates it, in no order.
        for metric in [key for key in expected if key.startswith("metrics/")]:
            assert answer.pop(metric)[:2] == expected.pop(metric)[:2]
    assert answer == expected, (path, plan.signature, why)
    return answer is not None
