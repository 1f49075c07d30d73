"""Signatures that contradict their graph: what is fed are the graph's tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.saved_model_writer import attr, info, meta_graph, node, shape, signature, write_saved_model
from tfexplore.core.auto_inputs import attempts
from tfexplore.core.opener import open_model
from tfexplore.core.plan import callable_signatures
from tfexplore.core.signatures import TensorInfo


def inputs(tmp_path: Path, **given: bytes) -> dict[str, TensorInfo]:
    nodes = [
        node(b"x", b"Placeholder", dtype=attr(type=1), shape=attr(shape=shape([None, 3]))),
        node(b"s", b"Placeholder", dtype=attr(type=7)),
    ]
    named = {name.encode(): value for name, value in given.items()}
    path = write_saved_model(tmp_path / "m", meta_graph(nodes=nodes, signatures={b"f": signature(named, {})}))
    with open_model(str(path)) as model:
        (found,) = callable_signatures(model.meta_graphs[0])
        return {one.name: one for one in found.inputs}


def test_what_agrees_stays_as_the_signature_says_it(tmp_path: Path) -> None:
    found = inputs(tmp_path, a=info(b"x:0", 1, [4, 3]), b=info(b"x:0", 1, [None, 3]), c=info(b"gone:0", 3, [2]))
    assert (found["a"].dtype, found["a"].shape) == (1, (4, 3))
    assert found["b"].shape == (None, 3)
    assert (found["c"].dtype, found["c"].shape) == (3, (2,))


def test_what_contradicts_the_graph_is_as_the_graph_has_it(tmp_path: Path) -> None:
    found = inputs(tmp_path, a=info(b"x:0", 1, []), b=info(b"x:0", 9, [7]), c=info(b"s:0", 1, []))
    assert (found["a"].dtype, found["a"].shape) == (1, (None, 3))
    assert (found["b"].dtype, found["b"].shape) == (1, (None, 3))
    assert (found["c"].dtype, found["c"].shape) == (7, None)


def test_of_an_unknown_rank_a_scalar_is_tried_last(tmp_path: Path) -> None:
    nodes = [node(b"x", b"Placeholder", dtype=attr(type=1))]
    named = {b"x": info(b"x:0", 3, [])}
    path = write_saved_model(tmp_path / "m", meta_graph(nodes=nodes, signatures={b"f": signature(named, {})}))
    with open_model(str(path)) as model:
        (found,) = callable_signatures(model.meta_graphs[0])
        tried: list[Any] = list(attempts(model.meta_graphs[0], found))
        assert [attempt.arrays["x"].shape for attempt in tried] == [(1,), (32,), (224,), ()]
