"""Small models for the tests of the linter: a good one, of which each part can be replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.saved_model_writer import (
    attr,
    concrete_function,
    function,
    function_name,
    identity,
    info,
    meta_graph,
    node,
    object_graph,
    placeholder,
    signature,
    trackable_graph,
    user_object,
    variable_object,
    write_saved_model,
)
from formats.table_writer import strings, write_bundle
from tfexplore.core.lint import lint
from tfexplore.core.opener import open_model
from tfexplore.formats.fingerprint import fingerprint64
from tfexplore.formats.proto import lean

KEY = b"%s/.ATTRIBUTES/VARIABLE_VALUE"


def named(function: bytes) -> bytes:
    """An attribute that names a function."""
    return attr(func=function_name(function))


def call(name: bytes, target: bytes, *inputs: bytes) -> bytes:
    return node(name, b"PartitionedCall", inputs, f=named(target), Tin=attr(), Tout=attr())


def body(name: bytes, *nodes: bytes, returns: bytes = b"i:output:0") -> bytes:
    return function(name, [b"x"], {b"out": returns}, [identity(b"i", b"x"), *nodes])


def loop() -> list[bytes]:
    """A loop of TensorFlow 1, whose way back is legal."""
    return [
        node(b"enter", b"Enter", [b"x"]),
        node(b"merge", b"Merge", [b"enter", b"next"]),
        node(b"next", b"NextIteration", [b"merge"]),
    ]


def parts() -> dict[str, Any]:
    """A good model, in which some nodes stand before what they take, and a function has a loop."""
    return {
        "nodes": [
            identity(b"z", b"y:0"), placeholder(b"x"), identity(b"y", b"x"), node(b"n", inputs=[b"^x"]), *loop(),
            call(b"c", b"f", b"x"),
        ],
        "functions": [
            body(b"f", call(b"d", b"g", b"i:output:0"), *loop()[:1], node(b"late", inputs=[b"^last"]), node(b"last")),
            body(b"g", *loop(), returns=b"x"),
        ],
        "signatures": {b"one": signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")})},
        "objects": object_graph(
            [user_object([(b"v", 1)]), variable_object(b"v", [2])], {b"f": concrete_function([1])}
        ),
        "assets": [b"words.txt"],
    }  # fmt: skip


def write(
    folder: Path, replaced: dict[str, Any], stored: np.ndarray | None = None, *, child: int = 1, key: bytes = KEY % b"v"
) -> Path:
    write_saved_model(folder, meta_graph(**{**parts(), **replaced}))
    (folder / "assets").mkdir()
    (folder / "assets" / "words.txt").write_text("a\n")
    (folder / "variables").mkdir()
    graph = trackable_graph([([(b"v", child)], None), ([], KEY % b"v")])
    write_bundle(
        folder / "variables" / "variables",
        {
            key: np.ones(2, np.float32) if stored is None else stored,
            b"_CHECKPOINTABLE_OBJECT_GRAPH": strings(graph).reshape(()),
        },
    )
    write_fingerprint(folder, 0)
    return folder


def write_fingerprint(folder: Path, change: int) -> None:
    made = fingerprint64(str(folder / "variables" / "variables.index"))
    assert made is not None
    message = lean("FingerprintDef")(checkpoint_hash=made ^ change)
    (folder / "fingerprint.pb").write_bytes(message.SerializeToString())


def found(folder: Path) -> list[str]:
    with open_model(str(folder)) as model:
        return lint(model.meta_graphs[0])


SPLIT = node(b"s", b"Split", T=attr(type=1), num_split=attr(i=2))
NODES = parts()["nodes"]
FUNCTIONS = parts()["functions"]
