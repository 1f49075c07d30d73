"""The JSON of `show`: field names that stay for good, and counts that are right."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.conftest import Run
from core.saved_model_writer import (
    concrete_function,
    info,
    meta_graph,
    object_graph,
    placeholder,
    signature,
    tensor,
    user_object,
    variable_object,
    write_saved_model,
)
from formats.table_writer import Partition, write_bundle
from tfexplore import __version__, demo
from tfexplore.core.opener import open_model
from tfexplore.core.sections import SECTIONS
from tfexplore.core.tree import root_items

MODEL = demo.FOLDER / "ranker"
TRAINING = demo.FOLDER / "training"

HEAD = {"schema", "tfexplore", "path", "kind", "command", "section"}
LIST_HEAD = HEAD | {"items", "total", "shown"}
SUMMARY = {
    "writer", "tag_sets", "signatures", "variables", "parameters", "bytes", "nodes", "functions", "scopes", "notes",
}  # fmt: skip
# More facts than every model has.
SUMMARY_OF_MODEL = SUMMARY | {"function_nodes"}
SUMMARY_OF_CHECKPOINT = SUMMARY | {"keys", "step", "checkpoints"}
FIELDS = {
    "signatures": {"name", "method_name", "inputs", "outputs", "defaults"},
    "variables": {"name", "dtype", "shape", "trainable", "used", "key", "bytes"},
    "features": {"signature", "input", "feature", "part", "kind", "dtype", "shape", "default", "required"},
    "keys": {"name", "dtype", "shape", "bytes", "shard", "offset"},
    "nodes": {"name", "op", "inputs", "device"},
    "ops": {"op", "count"},
    "tensors": {"name", "op", "dtype", "shape"},
    "functions": {"name", "inputs", "outputs", "nodes"},
    "objects": {"path", "kind", "children", "slots"},
    "assets": {"name", "tensor", "bytes"},
    "files": {"name", "bytes", "what"},
    "checkpoints": {"prefix", "step", "saved_at", "latest", "keys", "bytes", "shards", "missing_shards"},
}


def document(run: Run, *words: object) -> dict[str, Any]:
    found = run("show", *words, "--json")
    assert found.code == 0, found.err
    answer: dict[str, Any] = json.loads(found.out)
    return answer


def test_every_section_has_its_fields_written_down() -> None:
    assert {*FIELDS, "summary"} == set(SECTIONS)


@pytest.mark.parametrize("section", FIELDS)
def test_field_names_of_each_section(run: Run, section: str) -> None:
    path = TRAINING if section == "checkpoints" else MODEL
    found = document(run, path, section)
    assert set(found) == LIST_HEAD
    assert (found["schema"], found["tfexplore"], found["command"]) == (1, __version__, "show")
    assert (found["path"], found["section"]) == (str(path), section)
    assert found["kind"] == ("training_directory" if section == "checkpoints" else "saved_model")
    assert found["items"]
    assert all(set(row) == FIELDS[section] for row in found["items"])
    assert found["total"] == found["shown"] == len(found["items"])


def test_field_names_of_the_summary(run: Run) -> None:
    assert set(document(run, MODEL)) == HEAD | SUMMARY_OF_MODEL
    found = document(run, TRAINING)
    assert set(found) == HEAD | SUMMARY_OF_CHECKPOINT
    for scope in found["scopes"]:
        assert set(scope) == {"name", "parameters", "bytes"}
    assert sum(scope["parameters"] for scope in found["scopes"]) == found["parameters"]


def test_field_names_inside_rows(run: Run) -> None:
    signature_row = document(run, MODEL, "signatures")["items"][0]
    for part in (*signature_row["inputs"], *signature_row["outputs"]):
        assert set(part) == {"name", "tensor", "dtype", "shape"}
    function = next(row for row in document(run, MODEL, "functions")["items"] if row["inputs"] and row["outputs"])
    for part in (*function["inputs"], *function["outputs"]):
        assert set(part) == {"name", "dtype", "shape"}
    slots = [slot for row in document(run, TRAINING, "objects")["items"] for slot in row["slots"]]
    for slot in slots:
        assert set(slot) == {"slot", "variable", "value"}
    nodes = document(run, MODEL, "nodes", "--attrs", "--limit", "5")["items"]
    assert all(set(row) == {*FIELDS["nodes"], "attrs"} for row in nodes)
    inside = document(run, MODEL, "tensors", "--function", function["name"])["items"]
    assert all(set(row) == {*FIELDS["tensors"], "arg"} for row in inside)


def test_kinds_of_models(run: Run) -> None:
    assert document(run, MODEL / "saved_model.pb")["kind"] == "saved_model"
    assert document(run, TRAINING)["kind"] == "training_directory"
    for name in ("ckpt-100", "ckpt-100.index", "ckpt-100.data-00000-of-00001"):
        assert document(run, TRAINING / name)["kind"] == "checkpoint"


def test_slices_of_a_partitioned_variable(run: Run, tmp_path: Path) -> None:
    array = np.arange(8, dtype=np.float32).reshape(4, 2)
    write_bundle(tmp_path / "m", {b"w": Partition(array, [[(0, 1), (0, None)], [(1, 3), (0, None)]]), b"x": array})
    rows = {row["name"]: row for row in document(run, tmp_path / "m", "keys")["items"]}
    assert set(rows["x"]) == FIELDS["keys"]
    assert set(rows["w"]) == FIELDS["keys"] | {"slices"}
    assert [(part["slice"], part["bytes"]) for part in rows["w"]["slices"]] == [("0,1:-", 8), ("1,3:-", 24)]
    assert set(rows["w"]["slices"][0]) == {"slice", "shard", "offset", "bytes"}
    assert (rows["w"]["shape"], rows["w"]["bytes"]) == ([4, 2], 32)


def test_sparse_and_composite_inputs(run: Run, tmp_path: Path) -> None:
    from tfexplore.formats.proto import lean

    sparse = lean("TensorInfo")(dtype=1)
    sparse.coo_sparse.values_tensor_name = b"v:0"
    sparse.coo_sparse.indices_tensor_name = b"i:0"
    sparse.coo_sparse.dense_shape_tensor_name = b"d:0"
    ragged = lean("TensorInfo")(dtype=1)
    ragged.composite_tensor.components.add(name=b"flat:0")
    ragged.composite_tensor.components.add(name=b"rows:0")
    write_saved_model(
        tmp_path,
        meta_graph(
            nodes=[placeholder(b"x")],
            signatures={b"s": signature({b"a": sparse.SerializeToString(), b"b": ragged.SerializeToString()}, {}, {})},
        ),
    )
    one, two = document(run, tmp_path, "signatures")["items"][0]["inputs"]
    assert one["tensor"] is None
    assert one["sparse"] == {"values": "v:0", "indices": "i:0", "dense_shape": "d:0"}
    assert two["tensor"] is None
    assert two["components"] == ["flat:0", "rows:0"]


def test_defaults_of_a_signature(run: Run, tmp_path: Path) -> None:
    defaults = {
        b"k": tensor(3, [], int_val=[5]),
        b"words": tensor(7, [2], string_val=[b"a", b"\xff"]),
        b"odd": tensor(1, [3], float_val=[float("nan"), float("inf"), float("-inf")]),
    }
    write_saved_model(tmp_path, meta_graph(signatures={b"s": signature({b"k": info(b"k:0")}, {}, defaults)}))
    found = document(run, tmp_path, "signatures")["items"][0]["defaults"]
    assert found["k"] == {"dtype": "int32", "shape": [], "values": 5}
    assert found["words"]["values"] == ["a", {"b64": base64.b64encode(b"\xff").decode()}]
    assert found["odd"]["values"] == ["NaN", "Infinity", "-Infinity"]


def test_unknown_shapes_are_null(run: Run, tmp_path: Path) -> None:
    from tfexplore.formats.proto import lean

    unknown = lean("TensorInfo")(name=b"x:0", dtype=1)
    unknown.tensor_shape.unknown_rank = True
    one = signature({b"a": info(b"x:0", 1, [None, 3])}, {b"b": unknown.SerializeToString()})
    write_saved_model(tmp_path, meta_graph(signatures={b"s": one}))
    row = document(run, tmp_path, "signatures")["items"][0]
    assert row["inputs"][0]["shape"] == [None, 3]
    assert row["outputs"][0]["shape"] is None


# -- narrowing --


@pytest.mark.parametrize("section", ["nodes", "ops", "tensors", "functions", "objects", "keys", "variables"])
@pytest.mark.parametrize("limit", [0, 1, 3, 10_000_000])
def test_the_limit_cuts_what_is_shown_and_all_are_counted(run: Run, section: str, limit: int) -> None:
    whole = document(run, MODEL, section)
    found = document(run, MODEL, section, "--limit", limit)
    assert found["total"] == whole["total"] > 3
    assert found["shown"] == len(found["items"]) == min(limit, whole["total"])
    assert found["items"] == whole["items"][:limit]


def test_match_searches_in_names(run: Run) -> None:
    whole = document(run, MODEL, "nodes")["items"]
    found = document(run, MODEL, "nodes", "--match", "[Kk]ernel")
    assert found["items"] == [row for row in whole if "ernel" in row["name"]]
    assert found["total"] == len(found["items"])
    assert document(run, MODEL, "nodes", "--match", "^nothing has this name$")["items"] == []


def test_a_function_s_nodes(run: Run) -> None:
    functions = document(run, MODEL, "functions")["items"]
    for row in functions:
        if row["nodes"]:
            assert document(run, MODEL, "nodes", "--function", row["name"])["total"] == row["nodes"]
    assert sum(row["nodes"] for row in functions) == document(run, MODEL)["function_nodes"]
    biggest = max(functions, key=lambda row: row["nodes"])["name"]
    counts = document(run, MODEL, "ops", "--function", biggest)["items"]
    assert sum(row["count"] for row in counts) == document(run, MODEL, "nodes", "--function", biggest)["total"]


def test_the_sections_agree_with_the_summary(run: Run) -> None:
    summary = document(run, MODEL)
    for section in ("signatures", "variables", "nodes", "functions"):
        assert document(run, MODEL, section)["total"] == summary[section]
    assert sum(row["count"] for row in document(run, MODEL, "ops")["items"]) == summary["nodes"]
    keys = document(run, TRAINING, "keys")
    assert document(run, TRAINING)["keys"] == keys["total"]
    assert document(run, TRAINING)["step"] == 300


def test_signatures_stand_in_the_order_of_use(run: Run, tmp_path: Path) -> None:
    names = [b"__saved_model_init_op", b"b10", b"b2", b"serving_default", b"a"]
    write_saved_model(tmp_path, meta_graph(signatures={name: signature({}, {b"y": info(b"y:0")}) for name in names}))
    found = [row["name"] for row in document(run, tmp_path, "signatures")["items"]]
    assert found == ["serving_default", "a", "b2", "b10", "__saved_model_init_op"]


def test_a_tag_set_chooses_the_meta_graph(run: Run, tmp_path: Path) -> None:
    graphs = [
        meta_graph(tags=[b"train"], nodes=[placeholder(b"t")]),
        meta_graph(tags=[b"serve"], nodes=[placeholder(b"s")]),
        meta_graph(tags=[b"serve", b"gpu"], nodes=[placeholder(b"g")]),
    ]
    write_saved_model(tmp_path, *graphs)

    def nodes(*words: str) -> list[str]:
        return [row["name"] for row in document(run, tmp_path, "nodes", *words)["items"]]

    assert nodes() == ["s"]
    assert nodes("--tag-set", "train") == ["t"]
    assert nodes("--tag-set", "gpu,serve") == nodes("--tag-set", "serve,gpu") == ["g"]
    assert document(run, tmp_path)["tag_sets"] == [["train"], ["serve"], ["serve", "gpu"]]


@pytest.mark.parametrize(("bound", "used"), [([1], [True, False]), ([], [None, None])])
def test_variables_that_no_function_captures_are_marked(
    run: Run, tmp_path: Path, bound: list[int], used: list[bool | None]
) -> None:
    objects = [user_object([(b"v", 1), (b"w", 2)]), variable_object(b"v", [2]), variable_object(b"w", [2])]
    graph = meta_graph(objects=object_graph(objects, {b"f": concrete_function(bound)}))
    folder = write_saved_model(tmp_path / "m", graph)
    assert [row["used"] for row in document(run, folder, "variables")["items"]] == used
    words = {True: "yes", False: "no", None: "-"}
    lines = run("show", folder, "variables").out.splitlines()
    assert [line.split("\t")[4] for line in lines] == [words[value] for value in used]
    with open_model(str(folder)) as model:
        (heading,) = (item for item in root_items(model) if item.label == "Variables")
        assert heading.children is not None
        notes = [item.note for item in heading.children.page(0, 9)]
    assert notes == ["not used by any function" if value is False else "" for value in used]
