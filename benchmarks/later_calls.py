"""Times calls of a loaded model in turn: through the child, and directly. `later_calls.py FOLDER BATCH CALLS`.

Prints a list of pairs [ours, theirs] in seconds. Each side has been called once before.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import numpy as np

from tfexplore.core.opener import open_model
from tfexplore.core.plan import Plan, choose_signature, target
from tfexplore.loader.running import Runner
from tfexplore.runtime.records import Options

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"


async def measure(path: str, batch: int, calls: int) -> list[tuple[float, float]]:
    """The pairs."""
    import tensorflow as tf  # type: ignore[import-untyped]

    with open_model(path) as model:
        meta_graph = model.meta_graph()
        (info,) = choose_signature(meta_graph, None).inputs
        array = np.random.default_rng(1).standard_normal((batch, 224, 224, 3)).astype("float32")
        plan = Plan("serving_default", None, (), None, {info.name: array})
        runner = Runner(target(model, meta_graph), Options())
        direct = tf.saved_model.load(path).signatures["serving_default"]
        found = []
        for number in range(calls + 1):
            started = time.perf_counter()
            answer = await runner.call(plan)
            ours = time.perf_counter() - started
            started = time.perf_counter()
            expected = {name: value.numpy() for name, value in direct(**{info.name: tf.constant(array)}).items()}
            theirs = time.perf_counter() - started
            for output in answer.outputs:
                assert output.array.tobytes() == expected[output.name].tobytes(), "the answers differ"
            if number:
                found.append((ours, theirs))
        await runner.close()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
