"""The linter: made models with one defect each get one sentence, good ones none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.linting import FUNCTIONS, NODES, SPLIT, body, call, found, write, write_fingerprint
from core.saved_model_writer import (
    DAMAGED,
    attr,
    identity,
    info,
    meta_graph,
    node,
    object_graph,
    placeholder,
    signature,
    user_object,
    variable_object,
    write_saved_model,
)
from formats.table_writer import write_bundle
from tfexplore import demo
from tfexplore.core.describe import describe
from tfexplore.core.graph_lint import Tally
from tfexplore.core.lint import lint
from tfexplore.core.opener import open_model
from tfexplore.core.sections import section
from tfexplore.core.subjects import NoteSubject, ObjectSubject
from tfexplore.core.tree import root_items
from tfexplore.core.tree_files import note_item
from tfexplore.errors import Cancelled
from tfexplore.formats.proto import lean


def test_a_good_model_has_no_note(tmp_path: Path) -> None:
    assert found(write(tmp_path / "m", {})) == []


GRAPHS: dict[str, tuple[dict[str, Any], str]] = {
    "input": (
        {"nodes": [*NODES, identity(b"w", b"gone:1")]},
        "1 input of the main graph names no node: w takes gone",
    ),
    "control input": (
        {"nodes": [*NODES, node(b"w", inputs=[b"^gone", b"^gone2", b"^g3", b"^g4"])]},
        "4 inputs of the main graph name no node: w takes gone, w takes gone2, w takes g3 and 1 more",
    ),
    "cycle": (
        {"nodes": [*NODES, identity(b"a", b"c2"), identity(b"b", b"a"), identity(b"c2", b"b"), identity(b"e", b"c2")]},
        "3 nodes of the main graph lie on a cycle, so cannot run: a, b, c2",
    ),
    "itself": (
        {"nodes": [*NODES, identity(b"a", b"a")]},
        "1 node of the main graph lies on a cycle, so cannot run: a",
    ),
    "two cycles": (
        {"nodes": [*NODES, identity(b"a", b"a"), node(b"b", b"Const", [b"^k"]), identity(b"k", b"b")]},
        "3 nodes of the main graph lie on 2 cycles, so cannot run: a, b, k",
    ),
    "output of a node": (
        {"nodes": [*NODES, node(b"w", b"AddN", [b"x:0", b"x:3", b"y:1"])]},
        "2 inputs of the main graph name outputs that their nodes do not have: w takes x:3, w takes y:1",
    ),
    "output of a later node": (
        {"nodes": [*NODES, identity(b"w", b"w2:1"), identity(b"w2", b"x")]},
        "1 input of the main graph names an output that its node does not have: w takes w2:1",
    ),
    "output named as in a function": (
        {"nodes": [*NODES, identity(b"w", b"y:output:0")]},
        "1 input of the main graph names an output that its node does not have: w takes y:output:0",
    ),
    "value of an operation": (
        {"nodes": [*NODES, identity(b"w", b"n"), identity(b"w2", b"n:0"), node(b"w3", inputs=[b"^n"])]},
        "2 inputs of the main graph name outputs that their nodes do not have: w takes n, w2 takes n:0",
    ),
    "output that an attribute decides": (
        {"nodes": [*NODES, SPLIT, *(identity(b"w%d" % number, b"s:%d" % number) for number in range(4))]},
        "2 inputs of the main graph name outputs that their nodes do not have: w2 takes s:2, w3 takes s:3",
    ),
    "output of a call": (
        {"nodes": [*NODES, identity(b"w", b"c")]},
        "1 input of the main graph names an output that its node does not have: w takes c",
    ),
    "output in a function": (
        {"functions": [*FUNCTIONS, body(b"k", identity(b"w", b"i:output:9"), identity(b"w2", b"i:out:0"))]},
        "2 inputs in functions name outputs that their nodes do not have: k: w takes i:output:9, k: w2 takes i:out:0",
    ),
    "output that an attribute decides in a function": (
        {"functions": [*FUNCTIONS, body(
            b"k", SPLIT, *(identity(b"w%d" % number, b"s:output:%d" % number) for number in range(3))
        )]},
        "1 input in functions names an output that its node does not have: k: w2 takes s:output:2",
    ),
    "output of a function that is an op": (
        {"functions": [*FUNCTIONS, body(
            b"k", node(b"w", b"f", [b"x"]), identity(b"w2", b"w:out:0"), identity(b"w3", b"w:output:0")
        )]},
        "1 input in functions names an output that its node does not have: k: w3 takes w:output:0",
    ),
    "returned output": (
        {"functions": [*FUNCTIONS, body(b"k", returns=b"i:nope:0")]},
        "1 input in functions names an output that its node does not have: k: it returns i:nope:0",
    ),
    "returned argument": (
        {"functions": [*FUNCTIONS, body(b"k", returns=b"nope")]},
        "1 input in functions names neither node nor argument: k: it returns nope",
    ),
    "call of nothing": (
        {"nodes": [*NODES, call(b"w", b"", b"x")]},
        '1 call of a function that the library does not have: w calls ""',
    ),
    "duplicate": (
        {"nodes": [*NODES, placeholder(b"x"), placeholder(b"x")]},
        "1 name of the main graph occurs more than once: x",
    ),
    "damaged node": (
        {"nodes": [*NODES, DAMAGED, node(b"w", inputs=[b"it"])]},
        "1 node of the main graph cannot be read: node 8",
    ),
    "call": (
        {"nodes": [*NODES, call(b"w", b"h", b"x")]},
        "1 call of a function that the library does not have: w calls h",
    ),
    "calls": (
        {"nodes": [*NODES, call(b"w", b"h")], "functions": [*FUNCTIONS, body(b"k", call(b"w", b"h"))]},
        "2 calls of a function that the library does not have: w calls h, k: w calls h",
    ),
    "unknown op": (
        {"nodes": [*NODES, node(b"w", b"Zap"), node(b"w2", b"Zap")]},
        "1 op is known neither to TensorFlow 2.21 for CPUs nor to the model's own list of ops: Zap",
    ),
    "unknown op in a function": (
        {"functions": [*FUNCTIONS, body(b"k", node(b"w", b"Zap"), node(b"w2", b"Zap2"))]},
        "2 ops are known neither to TensorFlow 2.21 for CPUs nor to the model's own list of ops: Zap, Zap2",
    ),
    "input in a function": (
        {"functions": [*FUNCTIONS, body(b"k", identity(b"w", b"gone:output:0"))]},
        "1 input in functions names neither node nor argument: k: w takes gone",
    ),
    "returned": (
        {"functions": [*FUNCTIONS, body(b"k", returns=b"gone:output:0")]},
        "1 input in functions names neither node nor argument: k: it returns gone:output:0",
    ),
    "duplicate in a function": (
        {"functions": [*FUNCTIONS, body(b"k", node(b"i"))]},
        "1 name in functions occurs more than once: k: i",
    ),
    "node like an argument": (
        {"functions": [*FUNCTIONS, body(b"k", node(b"x"))]},
        "1 name in functions occurs more than once: k: x",
    ),
    "cycle in a function": (
        {"functions": [*FUNCTIONS, body(b"k", node(b"a", inputs=[b"^b"]), node(b"b", inputs=[b"^a"]))]},
        "2 nodes in functions lie on a cycle, so cannot run: k: a, k: b",
    ),
    "signature": (
        {"signatures": {b"one": signature({b"x": info(b"gone:0")}, {b"y": info(b"y:0")})}},
        "1 tensor that signatures name is not in the graph: one: x is gone:0",
    ),
    "output": (
        {"signatures": {b"one": signature({b"x": info(b"x:0")}, {b"y": info(b"y:1")})}},
        "1 tensor that signatures name is not in the graph: one: y is y:1",
    ),
    "reference": (
        {"objects": object_graph([user_object([(b"v", 1), (b"w", 9)]), variable_object(b"v", [2])])},
        "1 reference of the object graph leads to objects that do not exist: w of root to object 9",
    ),
    "no value": (
        {"objects": object_graph(
            [user_object([(b"v", 1), (b"w", 2)]), variable_object(b"v", [2]), variable_object(b"w", [2])]
        )},
        "1 variable has no value in the checkpoint: w",
    ),
    "shape": (
        {"objects": object_graph([user_object([(b"v", 1)]), variable_object(b"v", [3])])},
        "1 variable differs from what the checkpoint holds: v is float32 [3], its key float32 [2]",
    ),
    "asset": ({"assets": [b"words.txt", b"gone.txt"]}, "1 asset is missing: gone.txt"),
    "asset outside": ({"assets": [b"words.txt", b"../x"]}, "1 asset name leads out of the assets folder: ../x"),
}  # fmt: skip


@pytest.mark.parametrize("defect", GRAPHS)
def test_one_defect_gets_one_sentence(tmp_path: Path, defect: str) -> None:
    replaced, sentence = GRAPHS[defect]
    assert found(write(tmp_path / "m", replaced)) == [sentence]


def test_ops_of_the_model_s_own_list_are_foreign(tmp_path: Path) -> None:
    graph = meta_graph(nodes=[placeholder(b"x"), node(b"w", b"Zap")])
    for op in (b"Zap", b"Placeholder"):
        graph.meta_info_def.stripped_op_list.op.add(name=op)
    (sentence,) = found(write_saved_model(tmp_path / "m", graph))
    assert sentence.startswith("1 op is not among those of TensorFlow 2.21 for CPUs")
    assert sentence.endswith(": Zap")


CHECKPOINTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "dtype": (
        lambda folder: write(folder, {}, np.ones(2, np.int32)),
        "1 variable differs from what the checkpoint holds: v is float32 [2], its key int32 [2]",
    ),
    "rank": (
        lambda folder: write(folder, {}, np.ones((2, 1), np.float32)),
        "1 variable differs from what the checkpoint holds: v is float32 [2], its key float32 [2, 1]",
    ),
    "key": (
        lambda folder: write(folder, {}, key=b"another"),
        "1 variable has no value in the checkpoint: v",
    ),
}


@pytest.mark.parametrize("defect", CHECKPOINTS)
def test_one_misfit_of_the_checkpoint_gets_one_sentence(tmp_path: Path, defect: str) -> None:
    make, sentence = CHECKPOINTS[defect]
    assert found(make(tmp_path / "m")) == [sentence]


def test_references_that_lead_nowhere_are_named_by_their_objects(tmp_path: Path) -> None:
    objects = [
        user_object([(b"v", 1), (b"a", 2)]),
        variable_object(b"v", [2]),
        user_object([(b"b", 3), (b"", -1)]),
        user_object([(b"w%d" % number, 9_000 + number) for number in range(4)]),
        user_object([(b"x", 77)]),
    ]
    folder = write(tmp_path / "m", {"objects": object_graph(objects)})
    assert found(folder) == [
        "6 references of the object graph lead to objects that do not exist: "
        '"" of a to object -1, w0 of a.b to object 9,000, w1 of a.b to object 9,001 and 3 more'
    ]
    with open_model(str(folder)) as model:
        graph = model.meta_graphs[0].objects
        assert graph is not None
        blocks = {block.title: block.lines for block in describe(ObjectSubject(graph, 3)).blocks}
        assert [(line.label, line.value, line.subject) for line in blocks["attributes that lead nowhere"]] == [
            (f"w{number}", f"object 9,00{number}, which does not exist", None) for number in range(4)
        ]
        assert "attributes that lead nowhere" not in {block.title for block in describe(ObjectSubject(graph, 0)).blocks}


def test_references_of_the_checkpoint_s_object_graph(tmp_path: Path) -> None:
    assert found(write(tmp_path / "m", {}, child=7)) == [
        "1 variable has no value in the checkpoint: v",
        "1 reference of the checkpoint's object graph leads to objects that do not exist: v of root to object 7",
    ]


def test_a_fingerprint_of_other_variables(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", {})
    write_fingerprint(folder, 1)
    (sentence,) = found(folder)
    assert "does not match variables.index" in sentence
    (folder / "fingerprint.pb").write_bytes(b"\x08")
    (sentence,) = found(folder)
    assert "fingerprint cannot be read" in sentence


def test_a_function_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    # Its head can be read; its field 5, an attribute, cannot.
    bad = body(b"bad") + b"\x2a\x01\x08"
    folder = write(tmp_path / "m", {"functions": [*FUNCTIONS, bad, body(b"k", node(b"i"))]})
    assert found(folder) == [
        "1 function cannot be read: bad",
        "1 name in functions occurs more than once: k: i",
    ]


# -- variables of TensorFlow 1 --


def v1_variable(name: bytes) -> bytes:
    return node(name, b"VarHandleOp", dtype=attr(type=1), shape=attr(shape=lean("TensorShapeProto")()))


def collection(**value: list[bytes]) -> bytes:
    message = lean("CollectionDef")()
    for kind, names in value.items():
        getattr(message, kind).value.extend(names)
    return bytes(message.SerializeToString())


def test_variables_that_loading_makes_need_no_value(tmp_path: Path) -> None:
    local = lean("VariableDef")(variable_name=b"local:0").SerializeToString()
    graph = meta_graph(
        nodes=[
            *(v1_variable(name) for name in (b"kept", b"local", b"made", b"gone")),
            node(b"assign", b"AssignVariableOp", [b"made"]),
            node(b"init", inputs=[b"^assign", b"^init2"]),
            node(b"init2", inputs=[b"^assign"]),
        ],
        collections={
            b"local_variables": collection(bytes_list=[local]),
            b"saved_model_main_op": collection(node_list=[b"init"]),
        },
    )
    folder = write_saved_model(tmp_path / "m", graph)
    (folder / "variables").mkdir()
    write_bundle(folder / "variables" / "variables", {b"kept": np.ones((), np.float32)})
    assert found(folder) == ["1 variable has no value in the checkpoint: gone"]


# -- where it is shown --


def test_the_summary_s_notes_and_the_tree_s_heading_say_the_same(tmp_path: Path) -> None:
    replaced, sentence = GRAPHS["input"]
    with open_model(str(write(tmp_path / "m", replaced))) as model:
        assert sentence in next(iter(section(model, "summary")))["notes"]
        heading = next(item for item in root_items(model) if item.label == "Notes")
        assert heading.children is not None
        assert heading.children.load() == 1
        assert [item.label for item in heading.children.page(0, 9)] == [sentence]


def test_a_row_s_note_names_the_model_s_own_file_without_its_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", {"nodes": [*NODES, DAMAGED]})
    (folder / "fingerprint.pb").write_bytes(b"\x08")
    index = folder / "variables" / "variables.index"
    index.write_bytes(index.read_bytes()[:-1])
    with open_model(str(folder)) as model:
        items = root_items(model)
        heading = next(item for item in items if item.label == "Notes")
        assert heading.children is not None
        rows = [item for item in items if item.kind == "note"] + heading.children.page(0, 9)
        whole = ["".join(line.value for line in describe(item.subject).lines()) for item in rows]
    assert [row.label for row in rows if row.label.startswith("saved_model.pb: 1 of 9 nodes")]
    assert [
        row.label for row in rows if row.label.startswith("the variables cannot be read: variables/variables.index: ")
    ]
    assert [row.label for row in rows if row.label.startswith("the fingerprint cannot be read: fingerprint.pb: ")]
    assert not [row.label for row in rows if str(folder) in row.label]
    assert [sentence.replace(f"{folder}/", "") for sentence in whole] == [row.label for row in rows]
    assert sum(str(folder) in sentence for sentence in whole) == 3


@pytest.mark.parametrize(
    ("sentence", "folders", "label"),
    [
        ("/a/m/x.pb: no", ["/a/m"], "x.pb: no"),
        ("/a/m/x.pb: no", ["/a/m/"], "x.pb: no"),
        ("/x.pb: no", ["/"], "x.pb: no"),
        ("/b/x.pb: no", ["/a/m", "/b"], "x.pb: no"),
        ("m/v/x.index: no", ["m"], "v/x.index: no"),
        ("it cannot be read: m/x.pb: no", ["m"], "it cannot be read: x.pb: no"),
        ("1 input names no node: w takes m/x", ["m"], "1 input names no node: w takes m/x"),
        ("/a/model/x.pb: no", ["/a/m"], "/a/model/x.pb: no"),
        ("/x.pb: no", [""], "/x.pb: no"),
    ],
)
def test_only_a_folder_of_the_model_s_is_left_out(sentence: str, folders: list[str], label: str) -> None:
    item = note_item(sentence, folders)
    assert item.label == label
    assert item.subject == NoteSubject(sentence)


def test_the_tree_and_the_model_s_details_do_not_lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tfexplore.core import lint as module

    def never(*_: object) -> list[str]:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(module, "lint", never)
    with open_model(str(write(tmp_path / "m", {}))) as model:
        for item in root_items(model):
            assert describe(item.subject).blocks


def test_a_good_model_s_heading_says_that_nothing_was_found() -> None:
    with open_model(str(demo.FOLDER / "ranker")) as model:
        heading = next(item for item in root_items(model) if item.label == "Notes")
        assert heading.children is not None
        assert [item.label for item in heading.children.page(0, 9)] == ["nothing found"]


def test_linting_can_be_cancelled(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with open_model(str(write(tmp_path / "m", {}))) as model, pytest.raises(Cancelled):
        lint(model.meta_graphs[0], cancel)


def test_sentences_are_short_whatever_the_names(tmp_path: Path) -> None:
    nodes = [node(b"n" * 100_000 + b"%d" % place, inputs=[b"\x1b" * 100_000]) for place in range(20)]
    (sentence,) = found(write_saved_model(tmp_path / "m", meta_graph(nodes=nodes)))
    assert len(sentence) < 1000
    assert "17 more" in sentence


def test_a_tally_counts_more_than_it_names() -> None:
    tally = Tally()
    for name in "abcde":
        tally.add(name)
    assert (tally.count, str(tally)) == (5, "a, b, c and 2 more")


# Each was looked at: the files, ops and variables are indeed not there.
KNOWN = {
    "serving-half_plus_two_config": "asset",
    "serving-half_plus_two_empty_config": "asset",
    "tf-trt_2shards": "TRTEngineOp",
    "tfdf-adult_rf": "SimpleML",
    "tfx-bench_tfma_saved_model": "total_4",
    "tfx-chicago_taxi_tfma": "total_4",
}


def test_the_corpus_s_good_models_are_silent(corpus: Path) -> None:
    silent = 0
    told: dict[str, list[str]] = {}
    for path in sorted((corpus / "models").rglob("saved_model.pb")):
        with open_model(str(path)) as model:
            for meta in model.meta_graphs:
                sentences = lint(meta)
                silent += not sentences
                if sentences:
                    told.setdefault(path.relative_to(corpus / "models").parts[0], []).extend(sentences)
    assert {name: len(sentences) for name, sentences in told.items()} == dict.fromkeys(KNOWN, 1)
    assert all(word in told[name][0] for name, word in KNOWN.items())
    assert silent > 35
