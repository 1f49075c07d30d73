"""The files of a SavedModel's folder: the listing, and what the files beside `saved_model.pb` tell of the model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.saved_model_writer import (
    function,
    identity,
    meta_graph,
    object_graph,
    placeholder,
    user_object,
    variable_object,
    write_saved_model,
)
from tfexplore.core import files
from tfexplore.core.describe import describe
from tfexplore.core.files import STRANGER, File, list_files
from tfexplore.core.items import Item
from tfexplore.core.model import Model
from tfexplore.core.opener import open_model
from tfexplore.core.sections import section
from tfexplore.core.subjects import FileSubject, ObjectSubject
from tfexplore.core.tree import root_items
from tfexplore.errors import UsageError
from tfexplore.formats.fingerprint import MAX_HASHED, fingerprint64
from tfexplore.formats.proto import lean


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    objects = object_graph([user_object([(b"v", 1)]), variable_object(b"v", [2])])
    body = function(b"f", [b"x"], {b"out": b"i:output:0"}, [identity(b"i", b"x")])
    return write_saved_model(
        tmp_path / "m", meta_graph(nodes=[placeholder(b"x")], functions=[body], objects=objects)
    )  # fmt: skip


def put(folder: Path, name: str, data: bytes = b"12345") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def listed(folder: Path) -> dict[str, File]:
    return {file.name: file for file in list_files(str(folder))}


def detail(model: Model, item: Item) -> dict[str, list[tuple[str, str]]]:
    return {block.title: [(line.label, line.value) for line in block.lines] for block in describe(item.subject).blocks}


def file_item(model: Model, name: str) -> Item:
    heading = next(item for item in root_items(model) if item.label == "Files")
    assert heading.children is not None
    return next(item for item in heading.children.page(0, heading.children.load()) if item.label == name)


def test_what_belongs_to_a_saved_model_and_what_does_not(folder: Path) -> None:
    own = [
        "fingerprint.pb", "keras_metadata.pb", "variables/variables.index", "variables/variables.data-00000-of-00001",
        "assets/a/words.txt", "assets.extra/saved_model_config.pb", "assets.extra/x", "debug/saved_model_debug_info.pb",
    ]  # fmt: skip
    strangers = ["README.md", "notes/x.txt", "saved_model.pb.bak", "assets2/x"]
    for name in (*own, *strangers):
        put(folder, name)
    found = listed(folder)
    assert set(found) == {"saved_model.pb", *own, *strangers}
    assert {name for name, file in found.items() if file.what == STRANGER} == set(strangers)
    assert {found[name].nbytes for name in (*own, *strangers)} == {5}
    assert not any(file.problem for file in found.values())
    assert "Serving" in found["assets.extra/saved_model_config.pb"].what
    assert list(found)[-len(strangers) :] == ["README.md", "saved_model.pb.bak", "assets2/x", "notes/x.txt"]


def test_links_and_odd_files_are_named_and_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = put(tmp_path, "outside/secret.txt")
    put(folder, "assets/words.txt")
    (folder / "assets" / "out").symlink_to(outside)
    (folder / "assets" / "up").symlink_to("..")
    (folder / "assets" / "in").symlink_to("words.txt")
    (folder / "assets" / "broken").symlink_to("nothing")
    (folder / "assets" / "round").symlink_to("round")
    os.mkfifo(folder / "assets" / "pipe")
    found = listed(folder)
    assert found["assets/in"].nbytes == 5
    odd = {name: file for name, file in found.items() if file.problem}
    assert set(odd) == {f"assets/{name}" for name in ("out", "up", "broken", "round", "pipe")}
    assert all(file.nbytes is None for file in odd.values())
    assert not any("secret" in name for name in found)


def test_deep_and_wide_folders_say_where_the_listing_stops(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "assets/" + "d/" * 40 + "x")
    (deep,) = (file for file in listed(folder).values() if file.problem)
    assert deep.name.count("/") == files.MAX_DEPTH + 1
    monkeypatch.setattr(files, "MAX_FILES", 20)
    for place in range(50):
        put(folder, f"assets/w{place}")
    found = list_files(str(folder))
    assert len(found) <= 21
    assert "more than 20" in found[-1].problem


def test_the_section_and_the_tree_list_the_same(folder: Path) -> None:
    put(folder, "fingerprint.pb", b"\x08")
    put(folder, "keras_metadata.pb", b"\x0a\x7f")
    put(folder, "assets/\udcff\x1b.txt")
    with open_model(str(folder)) as model:
        rows = {row["name"]: row for row in section(model, "files")}
        heading = next(item for item in root_items(model) if item.label == "Files")
        assert heading.children is not None
        items = heading.children.page(0, heading.children.load())
        assert [item.label for item in items] == list(rows)
        assert all(item.note.isprintable() for item in items)
        for item in items:
            assert describe(item.subject).title.isprintable()
    assert "problem" not in rows["saved_model.pb"]
    assert "FingerprintDef" in rows["fingerprint.pb"]["problem"]
    assert "SavedMetadata" in rows["keras_metadata.pb"]["problem"]


def test_only_a_saved_model_has_files() -> None:
    from tfexplore import demo

    with open_model(str(demo.FOLDER / "training")) as model, pytest.raises(UsageError, match="SavedModel"):
        section(model, "files")


# -- fingerprint --


def checked(folder: Path, **hashes: int) -> list[tuple[str, str]]:
    producer = hashes.pop("producer", 1)
    message = lean("FingerprintDef")(**hashes)
    message.version.producer = producer
    put(folder, "fingerprint.pb", message.SerializeToString())
    with open_model(str(folder)) as model:
        return detail(model, file_item(model, "fingerprint.pb"))["checked"]


def test_a_fingerprint_is_held_against_the_files(folder: Path) -> None:
    index = put(folder, "variables/variables.index", b"no table, but bytes all the same")
    right = fingerprint64(str(index))
    model = fingerprint64(str(folder / "saved_model.pb"))
    assert right is not None
    assert model is not None
    assert checked(folder, checkpoint_hash=right, saved_model_checksum=model) == [
        ("checkpoint_hash", "matches variables.index"),
        ("saved_model_checksum", "matches saved_model.pb"),
    ]
    assert checked(folder, checkpoint_hash=right ^ 1, saved_model_checksum=model ^ 1) == [
        ("checkpoint_hash", "does not match variables.index"),
        ("saved_model_checksum", "does not match saved_model.pb"),
    ]
    # TensorFlow 2.21 hashes something else than the file's bytes.
    assert checked(folder, saved_model_checksum=model ^ 1, producer=4)[1][1].startswith("not checked")
    with index.open("r+b") as file:
        file.truncate(MAX_HASHED + 1)
    assert "not checked: the file is larger" in checked(folder, checkpoint_hash=right)[0][1]
    index.unlink()
    assert checked(folder, checkpoint_hash=right)[0][1] == "not checked: variables.index is missing"
    assert checked(folder)[0][1] == "not checked: the model has no variables"


def test_hashes_are_shown_as_tensorflow_prints_them_and_in_hexadecimal(folder: Path) -> None:
    put(folder, "fingerprint.pb", lean("FingerprintDef")(graph_def_program_hash=2**64 - 1).SerializeToString())
    with open_model(str(folder)) as model:
        lines = dict(detail(model, file_item(model, "fingerprint.pb"))["fingerprint"])
    assert lines["graph_def_program_hash"] == "18446744073709551615 (0xffffffffffffffff)"


# -- Keras metadata --


def test_keras_objects_lead_to_objects_and_objects_tell_their_class(folder: Path) -> None:
    message = lean("SavedMetadata")()
    for node_id in (1, 99):
        message.nodes.add(
            node_id=node_id, node_path=b"root.v", metadata=b'{"class_name": "Den\\u001bse", "name": "d", "shape": [2]}'
        )
    put(folder, "keras_metadata.pb", message.SerializeToString())
    with open_model(str(folder)) as model:
        item = file_item(model, "keras_metadata.pb")
        assert isinstance(item.subject, FileSubject)
        lines = [line for line in describe(item.subject).lines() if line.label == "root.v"]
        assert [line.value for line in lines] == [f"{node_id} · Den\\x1bse · d · [2]" for node_id in (1, 99)]
        assert lines[1].subject is None
        target = lines[0].subject
        assert isinstance(target, ObjectSubject)
        told = {line.label: line.value for line in describe(target).lines()}
        assert (told["Keras class"], told["Keras name"], told["Keras shape"]) == ("Den\\x1bse", "d", "[2]")


# -- debug info --


def debug_info(*names: bytes) -> bytes:
    message = lean("GraphDebugInfo")(files=[b"mo\x1bdel.py"])
    for line, name in enumerate(names):
        message.traces.add(key=name).value.file_line_cols.add(line=line + 1, func=b"build", code=b"x = y")
    return bytes(message.SerializeToString())


def defined(model: Model) -> dict[str, list[tuple[str, str]]]:
    found = {}
    pending = root_items(model)
    while pending:
        item = pending.pop()
        if item.children is not None:
            pending += item.children.page(0, item.children.load())
        if item.kind == "node":
            found[item.label] = detail(model, item).get("defined at", [])
    return found


@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("main", [b"x", b"x@"])
def test_nodes_tell_where_they_were_defined(folder: Path, embedded: bool, main: bytes) -> None:
    raw = debug_info(main, b"i@f", b"i@g")
    if embedded:
        path = folder / "saved_model.pb"
        message = lean("SavedModel").FromString(path.read_bytes())
        message.meta_graphs[0].graph_def.debug_info = raw
        path.write_bytes(message.SerializeToString())
    else:
        put(folder, "debug/saved_model_debug_info.pb", raw)
    with open_model(str(folder)) as model:
        assert defined(model) == {
            "x": [("build", "mo\\x1bdel.py:1  x = y")],
            "i": [("build", "mo\\x1bdel.py:2  x = y")],
        }


def test_debug_info_that_is_gone_or_damaged_hides_no_detail(folder: Path) -> None:
    with open_model(str(folder)) as model:
        assert defined(model) == {"x": [], "i": []}
    path = put(folder, "debug/saved_model_debug_info.pb", debug_info(b"x") + b"\x0a\x7f")
    with open_model(str(folder)) as model:
        assert len(defined(model)["x"]) == 1
        problems = detail(model, file_item(model, "debug/saved_model_debug_info.pb"))["problems"]
        assert "at byte" in problems[0][1]
        path.unlink()
        assert "there is no such file" in defined(model)["i"][0][1]
