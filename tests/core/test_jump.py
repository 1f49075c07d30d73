"""Going to a thing by its name: what it stands for, how a name goes on, what is said of one that leads nowhere."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.saved_model_writer import (
    attr,
    function,
    identity,
    meta_graph,
    node,
    placeholder,
    signature,
    write_saved_model,
)
from formats.table_writer import write_bundle
from tfexplore.core.describe import describe
from tfexplore.core.jump import Candidate, Jump
from tfexplore.core.opener import open_model
from tfexplore.core.subjects import ArgumentSubject, FunctionSubject, KeySubject, NodeSubject, SignatureSubject
from tfexplore.errors import Cancelled, NotFoundError

NODES = [
    placeholder(b"x", [2]),
    identity(b"dense/MatMul", b"x"),
    identity(b"dense/BiasAdd", b"dense/MatMul"),
    node(b"split", b"Split", [b"x", b"x"], T=attr(type=1), num_split=attr(i=3)),
    node(b"w:1", b"NoOp"),
]


@pytest.fixture
def model(tmp_path: Path) -> Any:
    bodies = [
        function(b"f", [b"p"], {b"out": b"only:output:0"}, [identity(b"only", b"p"), identity(b"dense/MatMul", b"p")]),
        function(b"g", [b"p"], {b"out": b"r:output:0"}, [identity(b"r", b"p")]),
    ]
    signatures = {b"serve": signature({}, {})}
    folder = write_saved_model(tmp_path / "m", meta_graph(nodes=NODES, functions=bodies, signatures=signatures))
    (folder / "variables").mkdir(exist_ok=True)
    values = {b"dense/kernel": np.ones(2, np.float32), "käse".encode(): np.ones(2, np.float32)}
    write_bundle(folder / "variables" / "variables", values)
    with open_model(str(folder)) as opened:
        yield opened


def test_names_of_each_kind(model: Any) -> None:
    jump = Jump(model)
    for name, kind, output in [
        ("dense/MatMul", NodeSubject, None),
        ("dense/MatMul:0", NodeSubject, 0),
        ("^dense/MatMul", NodeSubject, None),
        ("split:2", NodeSubject, 2),
        ("w:1", NodeSubject, None),  # a node's own name
        ("dense/kernel", KeySubject, None),
        ("käse", KeySubject, None),
        ("serve", SignatureSubject, None),
        ("f", FunctionSubject, None),
        ("only", NodeSubject, None),  # in a function
        ("only:0", NodeSubject, 0),
    ]:
        found = jump.find(name)
        assert isinstance(found.subject, kind), name
        assert found.output == output
        assert describe(found.subject).title == name.lstrip("^").removesuffix(f":{output}")


def test_the_function_that_is_looked_at_comes_first(model: Any) -> None:
    owner = model.meta_graph()
    main, inside = Jump(model).find("dense/MatMul").subject, Jump(model, (owner, "f")).find("dense/MatMul").subject
    assert isinstance(main, NodeSubject)
    assert isinstance(inside, NodeSubject)
    assert (main.function, inside.function) == (None, "f")
    argument = Jump(model, (owner, "f")).find("p:0").subject
    assert isinstance(argument, ArgumentSubject)
    assert argument == Jump(model, (owner, "f")).find("p").subject
    elsewhere = Jump(model, (owner, "f")).find("r").subject
    assert isinstance(elsewhere, NodeSubject)
    assert elsewhere.function == "g"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dense/MatMull", r"nothing is called dense/MatMull; the nearest is dense/MatMul \(node\); / searches"),
        ("split:3", r"nothing is called split:3; the nearest is split \(node\)"),
        ("dens/kernel", r"the nearest is dense/kernel \(key\)"),
        ("dense/", "dense/ is only how names begin: Tab goes on"),
        ("qqqqqqqq", "nothing is called qqqqqqqq; / searches within names"),
        ("", 'nothing is called ""; / searches'),
        ("\x1b[31m[/]\n", r"nothing is called \\x1b\[31m\[/\]\\n; /"),
        ("y" * 10_000, "nothing is called y+…y+; / searches"),
        (":0", "nothing is called :0"),
        ("split:99999999999999999999", "nothing is called"),
    ],
)
def test_what_leads_nowhere(model: Any, name: str, said: str) -> None:
    with pytest.raises(NotFoundError, match=said) as error:
        Jump(model).find(name)
    assert len(str(error.value)) < 300
    assert str(error.value).isprintable()


def test_ways_to_go_on(model: Any) -> None:
    jump = Jump(model)
    assert jump.complete("de") == [
        Candidate("node", "dense/BiasAdd"),
        Candidate("node", "dense/MatMul"),
        Candidate("key", "dense/kernel"),
    ]
    assert jump.complete("split") == [Candidate("node", "split")]
    assert jump.complete("split:") == [Candidate("tensor", f"split:{number}") for number in range(3)]
    assert jump.complete("") == [
        Candidate("scope", "dense/"),
        Candidate("function", "f"),
        Candidate("function", "g"),
        Candidate("key", "käse"),
        Candidate("signature", "serve"),
        Candidate("node", "split"),
        Candidate("node", "w:1"),
        Candidate("node", "x"),
    ]
    assert len(jump.complete("", 3)) == 3
    assert jump.complete("nothing") == []
    for candidate in jump.complete("", 50):
        assert candidate.kind == "scope" or jump.find(candidate.name, candidate.kind)
    with pytest.raises(NotFoundError):
        jump.find("dense/kernel", "node")


def test_reading_names_can_be_cancelled(model: Any) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        Jump(model, cancel=cancel)
    with pytest.raises(Cancelled):
        Jump(model).find("only", cancel=cancel)


def test_a_checkpoint_has_keys_only(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", {b"a/b": np.ones(2, np.float32)})
    with open_model(str(tmp_path / "c.index")) as model:
        assert Jump(model).complete("") == [Candidate("key", "a/b")]
        assert isinstance(Jump(model).find("a/b").subject, KeySubject)
