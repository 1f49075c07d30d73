"""The scan: files that lead out of the folder, graphs in constants, what ends the process, what cannot be read."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from core.saved_model_writer import (
    DAMAGED,
    DAMAGED_ATTR,
    attr,
    concrete_function,
    function,
    identity,
    meta_graph,
    node,
    object_graph,
    placeholder,
    tensor,
    user_object,
    write_saved_model,
)
from core.scanning import (
    DEMO,
    STRING,
    WRITES,
    bodies,
    call,
    called,
    const,
    found,
    func,
    function_object,
    graph_def,
    number,
    one,
    resource,
    saved,
    saver_functions,
    serving,
    truth,
    with_asset,
    write,
)
from tfexplore import demo
from tfexplore.core.opener import open_model
from tfexplore.core.risky_ops import HIGH, MEDIUM, NOTE
from tfexplore.core.scan import MAX_FINDINGS, scan
from tfexplore.core.scan_finding import Finding
from tfexplore.errors import Cancelled, ModelError
from tfexplore.formats.proto import lean

# -- assets and files --


def table(source: bytes) -> bytes:
    return node(b"table", b"InitializeTableFromTextFileV2", [b"x", source])


def test_a_table_that_is_filled_from_an_asset_is_a_note(tmp_path: Path) -> None:
    nodes = [placeholder(b"x"), const(b"asset", b"/old/place/vocab.txt"), table(b"asset")]
    graph = with_asset(meta_graph(nodes=nodes, signatures=serving(b"table:0")), b"vocab.txt", b"asset:0")
    finding = one(found(tmp_path / "a", graph))
    assert (finding.level, finding.arguments[0].values) == (NOTE, ("assets/vocab.txt",))
    finding = one(found(tmp_path / "b", meta_graph(nodes=nodes, signatures=serving(b"table:0"))))
    assert (finding.level, finding.arguments[0].values) == (HIGH, ("/old/place/vocab.txt",))


def test_an_asset_that_an_object_binds_is_a_note(tmp_path: Path) -> None:
    asset = lean("SavedObject")()
    asset.asset.asset_file_def_index = 0
    objects = object_graph(
        [user_object([(b"t", 1), (b"a", 3)]), resource([(b"_initialize", 2)]), function_object(b"g"), asset],
        {b"g": concrete_function([3])},
    )
    body = function(b"g", [b"name"], {}, [table(b"name")])
    graph = with_asset(meta_graph(functions=[body], objects=objects), b"vocab.txt", b"gone:0")
    finding = one(found(tmp_path, graph))
    assert (finding.level, finding.phase, finding.arguments[0].values) == (NOTE, "load", ("assets/vocab.txt",))


@pytest.mark.parametrize("name", [b"../../etc/passwd", b"/etc/passwd", b"a/../../x"])
def test_an_asset_that_leads_out_is_found(tmp_path: Path, name: bytes) -> None:
    graph = with_asset(meta_graph(nodes=[placeholder(b"x"), table(b"x")], signatures=serving(b"x:0")), name, b"x:0")
    finding = found(tmp_path, graph)[0]
    assert (finding.level, finding.kind, finding.phase) == (HIGH, "reads outside the model", "load")
    assert finding.arguments[0].values == (name.decode(),)


def test_an_asset_that_is_a_link_out_of_the_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    graph = with_asset(meta_graph(nodes=[placeholder(b"x")]), b"vocab", b"x:0")
    folder = write_saved_model(tmp_path / "model", graph)
    (folder / "assets").mkdir()
    (folder / "assets" / "vocab").symlink_to(tmp_path / "secret")
    with open_model(str(folder)) as model:
        assert one(list(scan(model))).level == MEDIUM
    # A store that keeps every file behind a link says nothing about the model.
    (folder / "saved_model.pb").rename(tmp_path / "blob")
    (folder / "saved_model.pb").symlink_to(tmp_path / "blob")
    with open_model(str(folder)) as model:
        assert one(list(scan(model))).level == NOTE


@pytest.mark.parametrize(
    ("stored", "level"), [("ckpt-1", None), ("/nowhere/else/ckpt-1", NOTE), ("../ckpt-1", MEDIUM), ("OTHER", MEDIUM)]
)
def test_a_checkpoint_file_that_leads_out_is_found(tmp_path: Path, stored: str, level: str | None) -> None:
    from core.opening import bundle

    bundle(tmp_path / "run" / "ckpt-1")
    bundle(tmp_path / "other" / "ckpt-1")
    stored = stored.replace("OTHER", str(tmp_path / "other" / "ckpt-1"))
    (tmp_path / "run" / "checkpoint").write_text(f'model_checkpoint_path: "{stored}"\n')
    with open_model(str(tmp_path / "run")) as model:
        assert [finding.level for finding in scan(model)] == ([] if level is None else [level])


# -- other code, and the end of the process --


def test_a_graph_in_a_constant_is_scanned_as_called_where_something_runs_it(tmp_path: Path) -> None:
    nested = graph_def(call(b"c", b"g", b"x"), functions=[bodies(*write(), name=b"g")])
    findings = called(tmp_path, const(b"graph", nested), node(b"d", b"DatasetFromGraph", [b"graph:output:0"]))
    assert [(finding.op, finding.phase, finding.level) for finding in findings] == [
        ("DatasetFromGraph", "call", HIGH),
        ("WriteFile", "call", HIGH),
    ]
    assert findings[1].nested
    assert findings[1].path == (
        *("signature serving_default", "node call", "function f", "node d", "graph in graph"),
        *("node c", "function g", "node w"),
    )
    assert findings[1].arguments[0].values == ("/tmp/out",)


@pytest.mark.parametrize("raw_form", [False, True])
def test_a_graph_in_a_constant_that_nothing_runs_is_a_note(tmp_path: Path, raw_form: bool) -> None:
    nested = graph_def(*WRITES)
    if raw_form:  # a varint length for each, then their bytes
        size = bytes([len(nested) & 0x7F | 0x80, len(nested) >> 7])
        value = tensor(STRING, (2,), tensor_content=b"\x01" + size + b"?" + nested)
        held = node(b"graph", b"Const", dtype=attr(type=STRING), value=attr(tensor=value))
    else:
        held = const(b"graph", b"something else", nested)
    findings = called(tmp_path, held)
    assert [(finding.op, finding.phase, finding.level) for finding in findings] == [
        ("Const", "call", NOTE),
        ("WriteFile", "unreached", MEDIUM),
    ]


def test_a_graph_that_another_graphs_node_runs_is_no_note(tmp_path: Path) -> None:
    """The constant lies in the main graph, which is looked at first."""
    graph = meta_graph(
        nodes=[placeholder(b"x"), const(b"graph", graph_def(*WRITES)), call(b"call", b"f", b"graph")],
        functions=[bodies(node(b"d", b"DatasetFromGraph", [b"x"]))],
        signatures=serving(),
    )
    assert [(finding.op, finding.phase) for finding in found(tmp_path, graph)] == [
        ("DatasetFromGraph", "call"),
        ("WriteFile", "call"),
    ]


def test_graphs_in_graphs_are_followed_so_far_and_then_named(tmp_path: Path) -> None:
    nested = graph_def(*WRITES)
    for _ in range(10):
        nested = graph_def(const(b"graph", nested), node(b"d", b"DatasetFromGraph", [b"graph"]))
    findings = called(tmp_path, const(b"graph", nested), node(b"d", b"DatasetFromGraph", [b"graph:output:0"]))
    assert [finding.op for finding in findings] == ["DatasetFromGraph"] * 5 + [None]
    assert (findings[-1].level, findings[-1].kind) == (MEDIUM, "not scanned")


def test_an_attribute_with_a_graph_is_looked_into(tmp_path: Path) -> None:
    segment = node(b"trt", b"TRTEngineOp", [b"x"], serialized_segment=attr(s=graph_def(*WRITES)))
    assert {finding.op for finding in called(tmp_path, segment)} == {"TRTEngineOp", "WriteFile"}


@pytest.mark.parametrize("text_value", [b"a", b"plain words in a vocabulary", b"\x0a\x03CPU\x10\x01", b"\x0a" * 40])
def test_other_strings_are_no_graphs(tmp_path: Path, text_value: bytes) -> None:
    assert called(tmp_path, const(b"c", text_value, b"second")) == []


def test_foreign_ops_are_named_once_for_each_phase(tmp_path: Path) -> None:
    findings = called(tmp_path, *(node(f"v{place}".encode(), b"VendorOp", [b"x"]) for place in range(5)))
    assert (one(findings).level, one(findings).node) == (MEDIUM, "v0")


@pytest.mark.parametrize("value", [True, False])
def test_a_loop_that_never_ends(tmp_path: Path, value: bool) -> None:
    condition = function(b"cond", [b"x"], {b"y": b"i:output:0"}, [truth(b"t", value), identity(b"i", b"t:output:0")])
    graph = meta_graph(
        nodes=[placeholder(b"x"), call(b"call", b"f", b"x")],
        functions=[
            bodies(node(b"loop", b"While", [b"x"], cond=func(b"cond"), body=func(b"g"))),
            condition,
            bodies(identity(b"i", b"x"), name=b"g"),
        ],
        signatures=serving(),
    )
    findings = found(tmp_path, graph)
    assert [(finding.op, finding.level) for finding in findings] == ([("While", HIGH)] if value else [])


def test_a_loop_of_tensorflow_1_that_never_ends(tmp_path: Path) -> None:
    nodes = [placeholder(b"x"), truth(b"t", True), node(b"loop", b"LoopCond", [b"t"])]
    assert one(found(tmp_path, meta_graph(nodes=nodes, signatures=serving(b"loop:0")))).op == "LoopCond"


def test_a_constant_that_claims_more_than_there_is(tmp_path: Path) -> None:
    value = tensor(1, (10**9, 10**9), float_val=[0.0])
    finding = one(called(tmp_path, node(b"c", b"Const", dtype=attr(type=1), value=attr(tensor=value))))
    assert (finding.level, finding.what) == (HIGH, "a constant that claims 1,000,000,000,000,000,000 elements")


def test_a_tensor_that_is_made_larger_than_there_is(tmp_path: Path) -> None:
    fill = node(b"fill", b"Fill", [b"shape:output:0", b"x"])
    assert called(tmp_path / "a", number(b"shape", 1000, 1000), fill) == []
    assert one(called(tmp_path / "b", number(b"shape", 1_000_000, 1_000_000), fill)).level == HIGH


# -- what cannot be read, and bounds --


def test_what_cannot_be_read_is_a_finding_and_the_rest_is_scanned(tmp_path: Path) -> None:
    graph = meta_graph(
        nodes=[placeholder(b"x"), DAMAGED, call(b"call", b"f", b"x")],
        functions=[bodies(DAMAGED_ATTR, *write()), b"\x0a\x7f"],
        signatures=serving(),
    )
    findings = found(tmp_path, graph)
    assert [finding.level for finding in findings if finding.kind == "not scanned"].count(MEDIUM) >= 3
    assert [finding.op for finding in findings if finding.kind != "not scanned"] == ["WriteFile"]


def test_a_file_that_is_cut_off_says_so(tmp_path: Path) -> None:
    nodes = [placeholder(b"x"), *WRITES, *(identity(f"i{place}".encode(), b"x") for place in range(50))]
    folder = write_saved_model(tmp_path, meta_graph(nodes=nodes))
    file = folder / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:-300])
    with open_model(str(folder)) as model:
        findings = list(scan(model))
    assert findings[0].kind == "not scanned"
    assert any(finding.op == "WriteFile" for finding in findings)


def test_a_lone_graph_is_run_by_name(tmp_path: Path) -> None:
    (tmp_path / "graph.pb").write_bytes(graph_def(placeholder(b"x"), *WRITES))
    with open_model(str(tmp_path / "graph.pb")) as model:
        finding = one(list(scan(model)))
    assert (finding.phase, finding.path) == ("call", ("main graph", "node w"))


def test_each_metagraph_is_scanned(tmp_path: Path) -> None:
    graphs = [meta_graph(tags=[tag], nodes=[placeholder(b"x"), *WRITES]) for tag in (b"serve", b"train")]
    assert [finding.tag_set for finding in found(tmp_path, *graphs)] == [("serve",), ("train",)]


def test_very_many_findings_are_counted(tmp_path: Path) -> None:
    nodes = [node(f"a{place}".encode(), b"Abort") for place in range(MAX_FINDINGS + 5)]
    findings = found(tmp_path, meta_graph(nodes=nodes))
    assert len(findings) == MAX_FINDINGS + 1
    assert (findings[-1].level, findings[-1].what) == (HIGH, "5 more findings are not listed")


def test_progress_and_cancel(tmp_path: Path) -> None:
    nodes = [identity(f"i{place}".encode(), b"x") for place in range(5000)]
    folder = write_saved_model(tmp_path, meta_graph(nodes=nodes, functions=[bodies(*nodes[:100])]))
    told: list[tuple[int, int]] = []
    with open_model(str(folder)) as model:
        list(scan(model, progress=lambda done, total: told.append((done, total))))
        assert told[-1] == (5100, 5100)
        assert told == sorted(told)
        cancel = threading.Event()

        def stop(*_: int) -> None:
            cancel.set()

        with pytest.raises(Cancelled):
            list(scan(model, cancel=cancel, progress=stop))


def test_names_are_data(tmp_path: Path) -> None:
    finding = one(called(tmp_path, node(b"\x1b[31m\xff", b"Abort")))
    assert finding.node == "\x1b[31m\udcff"


def mutants() -> Iterable[bytes]:
    nested = graph_def(*WRITES)
    condition = function(b"cond", [b"x"], {b"y": b"t:output:0"}, [truth(b"t", True)])
    nodes = [
        *(const(b"graph", nested), node(b"d", b"DatasetFromGraph", [b"graph:output:0"])),
        *(node(b"loop", b"While", [b"x"], cond=func(b"cond"), body=func(b"f")), *write()),
    ]
    graph = with_asset(saved([*saver_functions(), bodies(*nodes), condition], served=b"to_save:0"), b"v", b"x:0")
    graph.object_graph_def = object_graph(
        [user_object([(b"r", 1)]), resource([(b"_initialize", 2)]), function_object(b"f")],
        {b"f": concrete_function([0])},
    )
    whole = lean("SavedModel")(saved_model_schema_version=1, meta_graphs=[graph]).SerializeToString()
    generator = random.Random(20260)
    yield whole
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(generator.randint(1, 4)):
            place = generator.randrange(len(data))
            data[place] = generator.choice(
                (data[place] ^ 1 << generator.randrange(8), 0, 255, generator.randrange(256))
            )
        yield bytes(data[: generator.choice((len(data), generator.randrange(len(data))))])


def test_a_damaged_model_gives_findings_or_our_own_errors(tmp_path: Path) -> None:
    looked = 0
    for data in mutants():
        (tmp_path / "saved_model.pb").write_bytes(data)
        answers = []
        for _ in range(2):
            try:
                with open_model(str(tmp_path)) as model:
                    answers.append(list(scan(model)))
            except ModelError as error:
                answers.append([str(error)])  # type: ignore[list-item]
        assert answers[0] == answers[1]
        looked += bool(answers[0]) and isinstance(answers[0][0], Finding)
    assert looked > 200


def test_the_demo_model_is_silent(tmp_path: Path) -> None:
    with open_model(DEMO) as model:
        assert [finding for finding in scan(model) if finding.level != NOTE] == []


def test_nothing_of_tensorflow_is_imported() -> None:
    program = """
import sys
from tfexplore.core.opener import open_model
from tfexplore.core.scan import scan
with open_model(sys.argv[1]) as model:
    list(scan(model))
assert not {"tensorflow", "keras", "numpy", "asyncio"} & set(sys.modules), sorted(sys.modules)
"""
    source = str(Path(demo.__file__).parent.parent.parent)
    environment = {**os.environ, "PYTHONPATH": source}
    subprocess.run([sys.executable, "-c", program, DEMO], check=True, timeout=60, env=environment)
