"""What can be copied: TensorFlow runs each piece of Python and gets the right thing; nothing acts when it is pasted."""

from __future__ import annotations

import ast
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from formats.table_writer import write_bundle
from tfexplore.core import copying, text
from tfexplore.core.copied import Copy, literal, of_text
from tfexplore.core.copying import copies
from tfexplore.core.opener import open_model
from tfexplore.core.subjects import (
    ArgumentSubject,
    FindingSubject,
    FunctionSubject,
    KeySubject,
    NodeSubject,
    OpSubject,
    SignatureSubject,
    Subject,
    TensorInfoSubject,
    VariableSubject,
)
from tfexplore.core.tree import root_items
from tfexplore.demo import FOLDER
from tfexplore.errors import ModelError
from tui.hostile import write_hostile_bundle, write_hostile_model

# A few of each kind: each runs an import of the graph.
EACH = 2


def walk(path: Path, limit: int = 4000, page: int = 6) -> Iterator[Subject]:
    """Subjects of a model, level by level."""
    with open_model(str(path)) as model:
        pending = deque(root_items(model))
        while pending and limit:
            item = pending.popleft()
            limit -= 1
            yield item.subject
            if item.children is not None:
                try:
                    item.children.load()
                    pending.extend(item.children.page(0, page))
                except ModelError:
                    continue


def by_kind(found: tuple[Copy, ...]) -> dict[str, str]:
    assert len({one.kind for one in found}) == len(found)
    return {one.kind: one.text for one in found}


def run(script: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(script, "<copied>", "exec"), names)
    return names


def plain(value: Any) -> Any:
    """A value of TensorFlow's as numbers, bytes and lists."""
    if not hasattr(value, "tolist"):
        return value
    return (value.astype(np.float32) if value.dtype.kind == "V" else value).tolist()


def check(tf: Any, subject: Subject, copied: dict[str, str]) -> None:
    """Runs the Python, and looks whether what it gives is what the subject is."""
    names = run(copied["Python"])
    if isinstance(subject, SignatureSubject):
        assert names["function"].structured_outputs.keys() == {one.name for one in subject.signature.outputs}
    elif isinstance(subject, TensorInfoSubject):
        assert names["tensor"].dtype.as_datatype_enum == subject.info.dtype
        assert names["tensor"].shape.rank in (None, len(subject.info.shape or ()))
        assert not subject.is_input or names["tensor"].name == subject.info.name
    elif isinstance(subject, (VariableSubject, KeySubject)):
        assert "shape" in copied
        shape = names["value"].shape if hasattr(names["value"], "shape") else ()
        assert str(list(shape)) == copied["shape"]
        if "value" in copied:
            assert copied["value"] == repr(plain(names["value"]))
    elif isinstance(subject, NodeSubject):
        name = subject.graph.names[subject.position]
        op = names["tensor"].op if "tensor" in names else names["op"]
        assert op.name == name
        assert op.type == subject.graph.ops[subject.position]
        assert ("tensor" in names) == bool(op.outputs)
        if "tensor" in names:
            assert names["tensor"].dtype.as_datatype_enum == subject.graph.output(subject.position, 0).dtype
            if "value" in copied:
                assert copied["value"] == repr(plain(tf.make_ndarray(op.get_attr("value"))))
    elif isinstance(subject, OpSubject):
        assert len(names["ops"]) == len(subject.graph.nodes_by_op(subject.op))
    elif isinstance(subject, FunctionSubject):
        function = subject.meta_graph.functions.get(subject.name)
        assert function is not None
        assert names["graph"].name == subject.name
        wanted = {*function.graph.names, *(one.name for one in function.inputs)}
        assert {op.name for op in names["graph"].get_operations()} >= wanted
    elif isinstance(subject, ArgumentSubject):
        assert names["tensor"].graph is names["graph"]
        if subject.is_input:
            assert names["tensor"].op.name == subject.argument.name
        else:
            node = (subject.argument.returns or "").partition(":")[0]
            assert names["tensor"].op.name == node
    elif isinstance(subject, FindingSubject):
        assert names["op"].type == subject.finding.op
    else:  # a model, a checkpoint, an object, a file
        assert any(one in names for one in ("model", "reader", "found", "data", "graph_def"))


MODELS = ["demo/ranker", "demo/training", "small", "corpus"]


def paths(where: str, request: pytest.FixtureRequest) -> list[Path]:
    if where.startswith("demo/"):
        return [FOLDER / where[5:]]
    if where == "small":
        return [
            one
            for one in sorted(request.getfixturevalue("small_models").iterdir())
            if one.name not in ("cut.pb.gz", "unregistered.pb")
        ]
    corpus = request.getfixturevalue("corpus") / "models"
    return [corpus / name for name in CORPUS]


CORPUS = [
    "tf-half_plus_two_pbtxt",
    "tf-metagraph_metrics_export",
    "tf-simple_v1",
    "dtln-dtln",
    "serving-half_plus_two_tf2",
    "tf-graphdef_lstm",
    "tf-control_flow_v1_saved_model",
    "odd-ckpt_snappy_index",
]


@pytest.mark.parametrize("where", MODELS)
def test_python_fetches_the_thing(tf: Any, where: str, request: pytest.FixtureRequest) -> None:
    counts: Counter[tuple[type, object]] = Counter()
    for path in paths(where, request):
        try:
            for subject in walk(path):
                kind = (type(subject), getattr(subject, "is_input", None) or bool(getattr(subject, "function", None)))
                if counts[kind] >= EACH:
                    continue
                copied = by_kind(copies(subject))
                if "Python" in copied:
                    counts[kind] += 1
                    try:
                        check(tf, subject, copied)
                    except Exception:
                        print(f"{path}: {subject}\n{copied['Python']}")
                        raise
        except ModelError:
            continue
    wanted = {"demo/training": 2, "corpus": 6}.get(where, 8)
    assert len(counts) >= wanted, counts


def test_what_is_copied_first_is_the_name_as_it_is() -> None:
    for subject in walk(FOLDER / "ranker"):
        if isinstance(subject, VariableSubject):
            found = copies(subject)
            assert found[0] == Copy("name", subject.variable.name)
            assert by_kind(found)["path"] == subject.variable.key
            return
    raise AssertionError


def is_safe(copied: Copy) -> bool:
    lines = copied.text.split("\n") if copied.kind == "Python" else [copied.text]
    return all(line.isprintable() for line in lines)


def test_hostile_names_are_copied_as_literals(tmp_path: Path) -> None:
    escaped = 0
    for path in (write_hostile_model(tmp_path / "model"), write_hostile_bundle(tmp_path / "bundle")):
        for subject in walk(path, page=100):
            for copied in copies(subject):
                assert is_safe(copied), copied
                if copied.kind == "Python":
                    ast.parse(copied.text)
                if copied.escaped:
                    escaped += 1
                    assert copied.kind != "Python"
                    ast.literal_eval(copied.text)
    assert escaped > 20


@pytest.mark.parametrize(
    "name", ["a", "a b\\n", "ラベル", "new\nline", "\x1b]0;x\x07", "\u202e", "\udcff", "'\"\\", ""]
)
def test_literals_give_the_name_back(name: str) -> None:
    value = ast.literal_eval(literal(name))
    assert (value if isinstance(value, bytes) else value.encode()) == text.encode(name)
    assert literal(name).isprintable()
    copied = of_text("name", name)
    assert copied.escaped == (not name.isprintable())
    assert copied.text == (literal(name) if copied.escaped else name)


def test_values_are_copied_where_they_are_small_and_good(tmp_path: Path) -> None:
    write_bundle(
        tmp_path / "model",
        {
            b"few": np.arange(4, dtype=np.int32).reshape(2, 2),
            b"many": np.zeros(copying.MAX_ELEMENTS + 1, np.float32),
            b"scalar": np.array(1.5, np.float64),
        },
    )
    with open_model(str(tmp_path / "model.index")) as model:
        assert model.checkpoint is not None
        found = {key: by_kind(copies(KeySubject(model.checkpoint, key))) for key in ("few", "many", "scalar")}
    assert found["few"]["value"] == "[[0, 1], [2, 3]]"
    assert found["scalar"]["value"] == "1.5"
    assert "value" not in found["many"]
    assert found["many"]["shape"] == f"[{copying.MAX_ELEMENTS + 1}]"
    data = tmp_path / "model.data-00000-of-00001"
    raw = bytearray(data.read_bytes())
    raw[0] ^= 1
    data.write_bytes(raw)
    with open_model(str(tmp_path / "model.index")) as model:
        assert model.checkpoint is not None
        assert "value" not in by_kind(copies(KeySubject(model.checkpoint, "few")))
