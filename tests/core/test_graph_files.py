"""GraphDefs, MetaGraphs and SavedModels as files of their own: binary, text, packed, damaged."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path

import numpy as np
import pytest

from campaign.fixtures import GRAPH_TEXT
from core.bounded import MEGABYTE, peak_memory
from core.opening import opened, refused
from core.saved_model_writer import attr, info, meta_graph, node, placeholder, shape, signature, write_saved_model
from formats.table_writer import write_bundle
from formats.v1_writer import write_v1
from tfexplore.core.model import Model
from tfexplore.core.opener import open_model
from tfexplore.core.sections import section
from tfexplore.core.tree import root_items
from tfexplore.errors import Cancelled, NotAModelError
from tfexplore.formats.proto import lean

NODES = [
    placeholder(b"x"),
    node(b"v", b"VariableV2", dtype=attr(type=1), shape=attr(shape=shape([2]))),
    node(b"y", b"Identity", [b"x"]),
]


def graph_bytes() -> bytes:
    return bytes(lean("GraphDef")(node=NODES).SerializeToString())


def names(model: Model) -> list[str]:
    return [row["name"] for row in section(model, "nodes")]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("text", [False, True])
def test_a_graph_opens_in_each_form(tmp_path: Path, text: bool, packed: bool) -> None:
    data = GRAPH_TEXT.encode() if text else graph_bytes()
    path = tmp_path / "any.name"
    path.write_bytes(gzip.compress(data) if packed else data)
    with open_model(str(path)) as model:
        assert model.kind == "graph_def"
        assert names(model) == (["x", "c", "y"] if text else ["x", "v", "y"])
        assert model.notes == ()
        headings = {item.label: item for item in root_items(model)}
        assert "a GraphDef has none" in headings["Signatures"].subject.sentence
        assert "a GraphDef has none" in headings["Objects"].subject.sentence


@pytest.mark.parametrize("version", [1, 2])
def test_a_meta_graph_takes_its_values_from_the_checkpoint_beside_it(tmp_path: Path, version: int) -> None:
    message = meta_graph(nodes=NODES, signatures={b"s": signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")})})
    (tmp_path / "model.ckpt-7.meta").write_bytes(message.SerializeToString())
    value = np.float32([1, 2])
    if version == 1:
        write_v1(tmp_path / "model.ckpt-7", {b"v": value})
    else:
        write_bundle(tmp_path / "model.ckpt-7", {b"v": value})
    with open_model(str(tmp_path / "model.ckpt-7.meta")) as model:
        assert model.kind == "meta_graph"
        assert [row["name"] for row in section(model, "signatures")] == ["s"]
        assert [(row["name"], row["key"], row["bytes"]) for row in section(model, "variables")] == [("v", "v", 8)]
        assert model.checkpoint is not None
        assert model.checkpoint.read("v").array.tolist() == [1, 2]


def test_a_meta_graph_without_its_checkpoint_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.meta").write_bytes(meta_graph(nodes=NODES).SerializeToString())
    with open_model(str(tmp_path / "a.meta")) as model:
        (facts,) = section(model, "summary")
        assert any("(a.index is missing)" in note for note in facts["notes"])


def test_a_saved_model_in_text_form(tmp_path: Path) -> None:
    inside = f'meta_info_def {{ tags: "serve" }} graph_def {{ {GRAPH_TEXT} }}'
    text = f"saved_model_schema_version: 1\nmeta_graphs {{ {inside} }}"
    (tmp_path / "saved_model.pbtxt").write_text(text)
    with open_model(str(tmp_path)) as model:
        assert (model.kind, names(model), model.notes) == ("saved_model", ["x", "c", "y"], ())
    (tmp_path / "saved_model.pbtxt").rename(tmp_path / "saved_model.pb")
    with open_model(str(tmp_path)) as model:
        assert names(model) == ["x", "c", "y"]
        assert "saved_model.pb is a SavedModel in text form" in model.notes[0]


def test_a_saved_model_under_another_name(tmp_path: Path) -> None:
    write_saved_model(tmp_path, meta_graph(nodes=NODES)).joinpath("saved_model.pb").rename(tmp_path / "other.pb")
    with open_model(str(tmp_path / "other.pb")) as model:
        assert model.kind == "saved_model"
        assert "TensorFlow finds it only under the name saved_model.pb" in model.notes[0]


def test_a_bad_node_of_a_text_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "g.pbtxt").write_text(GRAPH_TEXT.replace('op: "Identity"', "op: Identity"))
    with open_model(str(tmp_path / "g.pbtxt")) as model:
        assert names(model)[:2] == ["x", "c"]
        assert "line 8" in model.notes[0]


def test_progress_and_cancel_of_a_long_text(tmp_path: Path) -> None:
    path = tmp_path / "g.pbtxt"
    path.write_text('node { name: "x" op: "NoOp" }\n' * 60_000)
    told: list[str] = []
    open_model(str(path), progress=told.append).close()
    shares = [int(words.split()[-2]) for words in told if words.endswith("%")]
    assert len(shares) > 3
    assert shares == sorted(shares)
    cancel = threading.Event()
    with pytest.raises(Cancelled):
        open_model(str(path), cancel=cancel, progress=lambda words: cancel.set() if "%" in words else None)


def test_members_of_a_gzip_file_follow_each_other(tmp_path: Path) -> None:
    half = len(GRAPH_TEXT) // 2
    parts = [gzip.compress(part.encode()) for part in (GRAPH_TEXT[:half], GRAPH_TEXT[half:])]
    (tmp_path / "g.pbtxt.gz").write_bytes(b"".join(parts) + bytes(100))
    with open_model(str(tmp_path / "g.pbtxt.gz")) as model:
        assert (names(model), model.notes) == (["x", "c", "y"], ())


def test_a_gzip_file_that_is_cut_off_shows_what_came_before(tmp_path: Path) -> None:
    lines = "".join(f'node {{ name: "n{number}" op: "NoOp" }}\n' for number in range(5_000))
    data = gzip.compress(lines.encode())
    (tmp_path / "g.pbtxt.gz").write_bytes(data[: len(data) // 2])
    with open_model(str(tmp_path / "g.pbtxt.gz")) as model:
        assert 500 < len(names(model)) < 5_000
        assert any("ends before its contents do" in note for note in model.notes)


@pytest.mark.parametrize(("filling", "megabytes"), [(b"\x0a\x00", 300), (b" ", 300), (b"node{}", 20)])
def test_a_gzip_bomb_is_refused_or_bounded(tmp_path: Path, filling: bytes, megabytes: int) -> None:
    path = tmp_path / "bomb.gz"
    head = b'node { name: "x" op: "NoOp" }' if filling != b"\x0a\x00" else graph_bytes()
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(head)
        for _ in range(megabytes):
            file.write(filling * (MEGABYTE // len(filling)))
    assert path.stat().st_size < 3 * MEGABYTE
    code = """
from tfexplore.core.opener import open_model
from tfexplore.errors import ModelError
try:
    open_model(sys.argv[1]).close()
except ModelError:
    pass
"""
    assert peak_memory(code, path) < 256 * MEGABYTE


FOREIGN = {
    "a.keras": (b"PK\x03\x04" + bytes(22) + b"\x0b\x00\x00\x00config.json", "a Keras archive (.keras)"),
    "a.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file (.h5)"),
    "a.tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(50), "a TensorFlow Lite model"),
    "a.cpb": (bytes.fromhex("83af70d10d884a3f") + bytes(60), "in chunked form (.cpb)"),
    "a.onnx": (b"\x08\x08\x12\x07pytorch\x1a\x032.1:\x04\x0a\x02\x0a\x00", "an ONNX model"),
    "a.lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run: git lfs pull"),
    "a.html": (b"<!DOCTYPE html><html>", "an HTML page, perhaps a failed download"),
    "a.empty": (b"", "an empty file (0 bytes)"),
    "a.npy": (b"\x93NUMPY\x01\x00", "a NumPy array"),
    "a.pkl": (b"\x80\x04\x95\x00", "a Python pickle"),
    "a.json": (b'{"format": "graph-model"}', "a TensorFlow.js model"),
    "a.txt": (b"hello", "a text file"),
    "a.bin": (b"\x00\x01\x02\xff" * 9, "no file that tfexplore knows: its first bytes are 00 01 02 ff"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_named(tmp_path: Path, name: str) -> None:
    content, said = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    error = refused(tmp_path / name, NotAModelError)
    assert str(error).startswith(f"{tmp_path / name}: this is ")
    assert said in str(error)
    assert "; " in str(error)


def test_an_address_is_refused_with_the_way_to_copy_it() -> None:
    error = opened("gs://bucket/model")
    assert isinstance(error, NotAModelError)
    assert str(error) == (
        "gs://bucket/model: this is an address, and tfexplore reads files on this machine only; "
        "copy it here first: gcloud storage cp -r gs://bucket/model ."
    )
