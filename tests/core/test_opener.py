"""Opening whatever a person has in hand: what is there is opened, what is not is named, nothing hangs."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from core.opening import bundle, opened, refused, small_model
from core.saved_model_writer import (
    attr,
    function,
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
from tfexplore.core.model import CHECKPOINT, COLLECTION, SAVED_MODEL, Model
from tfexplore.core.opener import open_model
from tfexplore.errors import (
    Cancelled,
    CorruptError,
    ModelError,
    NotAModelError,
    NotFoundError,
    RefusedFileError,
    TfexploreError,
)
from tfexplore.formats import wire
from tfexplore.formats.proto import lean

# -- nothing, or something else --


def test_nothing_there(tmp_path: Path) -> None:
    for name in ("missing", "missing/deeper", "x" * 300, "x" * 5000, "\udcff"):
        refused(tmp_path / name, NotFoundError)
    refused("", NotFoundError)


def test_a_nul_byte(tmp_path: Path) -> None:
    assert "NUL" in refused(f"{tmp_path}/a\0b", NotFoundError).what


def test_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    refused(tmp_path / "file" / "below", NotFoundError)


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    assert "empty" in str(refused(tmp_path, NotAModelError))


def test_a_folder_of_other_things(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert "saved_model.pb" in str(refused(tmp_path, NotAModelError))


def test_a_folder_without_its_saved_model(tmp_path: Path) -> None:
    bundle(tmp_path / "variables" / "variables")
    assert "saved_model.pb is missing" in str(refused(tmp_path, NotAModelError))


def test_a_folder_of_models_is_a_collection(tmp_path: Path) -> None:
    for version in ("2", "10", "1"):
        small_model(tmp_path / version)
    (tmp_path / "no_model").mkdir()
    told: list[str] = []
    model = open_model(str(tmp_path), on_found=lambda batch: told.extend(found.path for found in batch))
    assert (model.kind, model.kind_name) == (COLLECTION, "folder of models")
    assert [found.path for found in model.found] == told == ["10", "2", "1"]


def test_a_folder_without_models_says_how_deep_it_was_looked_into(tmp_path: Path) -> None:
    small_model(tmp_path / "a" / "b" / "c" / "d" / "e")
    error = refused(tmp_path, NotAModelError)
    assert "up to 4 levels below" in error.what
    small_model(tmp_path / "a" / "b" / "c" / "d")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert [found.path for found in model.found] == ["a/b/c/d"]


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"\x1f\x8b" + bytes(100), bytes(100), b"<!DOCTYPE html><html>", b"\xff" * 5000]
)
@pytest.mark.parametrize("name", ["some.txt", "model.pb", "checkpoint2", "weights.h5"])
def test_another_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name, NotAModelError).path == str(tmp_path / name)


def test_the_chunked_form_is_named_and_refused(tmp_path: Path) -> None:
    (tmp_path / "saved_model.cpb").write_bytes(bytes.fromhex("83af70d10d884a3f") + bytes(60))
    error = refused(tmp_path, NotAModelError)
    assert str(error) == (
        f"{tmp_path}/saved_model.cpb: this is a SavedModel or GraphDef in chunked form (.cpb); "
        "save it unchunked: tf.saved_model.save without experimental_image_format"
    )


# -- no regular files --


def fifo(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def folder(path: Path) -> None:
    path.mkdir()


def nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's path may have 108 bytes
        try:
            server.bind(path.name)
        finally:
            os.chdir(here)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


ODD = [fifo, loop, folder, nowhere, unix_socket, device]


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("name", ["saved_model.pb", "plain", "ckpt.index", "checkpoint", "ckpt.data-00000-of-00001"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None], name: str) -> None:
    make(tmp_path / name)
    for path in (tmp_path, tmp_path / name, tmp_path / "ckpt"):
        error = refused(path, ModelError)
        assert error.path is not None


@pytest.mark.parametrize("make", ODD)
def test_variables_that_are_no_regular_files_leave_the_graph(tmp_path: Path, make: Callable[[Path], None]) -> None:
    small_model(tmp_path)
    (tmp_path / "variables").mkdir()
    make(tmp_path / "variables" / "variables.index")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert model.checkpoint is None
    assert len(model.meta_graph().raw_nodes) == 1
    if make not in (loop, nowhere):
        assert any("variables" in note for note in model.notes)


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty"])
def test_devices_are_refused(path: str) -> None:
    refused(path, ModelError)


def test_a_state_file_that_is_no_regular_file_leaves_the_checkpoints(tmp_path: Path) -> None:
    bundle(tmp_path / "ckpt-1")
    os.mkfifo(tmp_path / "checkpoint")
    model = opened(tmp_path)
    assert isinstance(model, Model)
    assert [os.path.basename(file.prefix) for file in model.checkpoint_files] == ["ckpt-1"]
    assert any("FIFO" in note for note in model.notes)


# -- SavedModels --


def test_a_saved_model_by_its_folder_and_by_its_file(tmp_path: Path) -> None:
    small_model(tmp_path)
    for path in (tmp_path, f"{tmp_path}/", tmp_path / "saved_model.pb"):
        model = opened(path)
        assert isinstance(model, Model)
        assert (model.kind, model.path) == (SAVED_MODEL, str(path))
        assert model.file_bytes == (tmp_path / "saved_model.pb").stat().st_size
        assert model.notes == ()


def test_an_empty_saved_model_says_so(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    for path in (tmp_path, tmp_path / "saved_model.pb"):
        assert "empty (0 bytes)" in str(refused(path, CorruptError))


def test_a_saved_model_without_a_meta_graph(tmp_path: Path) -> None:
    write_saved_model(tmp_path)
    assert "MetaGraph" in str(refused(tmp_path, CorruptError))


def full_model() -> bytes:
    graph = meta_graph(
        nodes=[placeholder(b"x"), identity(b"y", b"x"), node(b"c", b"Const", dtype=attr(type=1))],
        functions=[function(b"f", [b"x"], {b"out": b"i:output:0"}, [identity(b"i", b"x")])],
        signatures={b"serving_default": signature({b"x": info(b"x:0")}, {b"y": info(b"y:0")})},
        objects=object_graph([user_object([(b"v", 1)]), variable_object(b"v", [2])]),
        assets=[b"words.txt"],
    )
    return bytes(lean("SavedModel")(saved_model_schema_version=1, meta_graphs=[graph]).SerializeToString())


def test_a_saved_model_cut_at_any_byte_opens_or_is_refused_with_a_place(tmp_path: Path) -> None:
    data = full_model()
    path = tmp_path / "saved_model.pb"
    first_node = placeholder(b"x")
    for size in range(len(data)):
        path.write_bytes(data[:size])
        found = opened(tmp_path)
        if isinstance(found, Model):
            assert "are left at byte 2" in found.notes[0]
            found.close()
            continue
        assert size < data.index(first_node) + len(first_node)
        assert isinstance(found, CorruptError)
        assert found.path == str(path)
        assert found.offset is None or 0 <= found.offset <= size


def test_flipped_bytes_raise_only_our_errors(tmp_path: Path) -> None:
    data = full_model()
    path = tmp_path / "saved_model.pb"
    outcomes = set()
    for position in range(len(data)):
        for flip in (0x01, 0x07, 0x80, 0xFF):
            path.write_bytes(data[:position] + bytes((data[position] ^ flip,)) + data[position + 1 :])
            try:
                open_model(str(tmp_path)).close()
                outcomes.add("opened")
            except TfexploreError as error:
                outcomes.add(type(error).__name__)
    assert outcomes == {"opened", "CorruptError"}


def test_an_error_s_offset_is_where_the_message_breaks() -> None:
    good = bytes(lean("OpDef")(name=b"abc").SerializeToString())
    broken = good + b"\x12\x7f"
    with pytest.raises(CorruptError) as caught:
        wire.decode(lean("OpDef"), broken, path="m.pb", what="OpDef", offset=1000)
    assert (caught.value.path, caught.value.offset) == ("m.pb", 1000 + len(good))
    with pytest.raises(CorruptError) as caught:
        wire.decode(lean("OpDef"), broken, path="m.pb", what="OpDef", offset=None)
    assert caught.value.offset is None


# -- checkpoints --


def test_a_checkpoint_by_prefix_index_and_data(tmp_path: Path) -> None:
    bundle(tmp_path / "ckpt-7")
    for name in ("ckpt-7", "ckpt-7.index", "ckpt-7.data-00000-of-00001"):
        model = opened(tmp_path / name)
        assert isinstance(model, Model)
        assert model.kind == CHECKPOINT
        assert model.checkpoint is not None
        assert model.checkpoint.keys == ["w"]
        assert model.checkpoint.step == 7


def test_data_without_its_index_says_so(tmp_path: Path) -> None:
    bundle(tmp_path / "ckpt")
    (tmp_path / "ckpt.index").unlink()
    error = refused(tmp_path / "ckpt.data-00000-of-00001", NotFoundError)
    assert "index is missing" in error.what
    assert "ckpt.index" in (error.hint or "")


def test_an_index_without_its_data_opens_and_says_so(tmp_path: Path) -> None:
    bundle(tmp_path / "ckpt")
    (tmp_path / "ckpt.data-00000-of-00001").unlink()
    model = opened(tmp_path / "ckpt")
    assert isinstance(model, Model)
    assert any("ckpt.data-00000-of-00001" in note for note in model.notes)


def test_a_prefix_with_an_empty_base_name(tmp_path: Path) -> None:
    bundle(tmp_path / "sub" / "x")
    for file in list((tmp_path / "sub").iterdir()):
        file.rename(file.with_name(file.name.removeprefix("x")))
    assert sorted(os.listdir(tmp_path / "sub")) == [".data-00000-of-00001", ".index"]
    for path in (f"{tmp_path}/sub/", f"{tmp_path}/sub", f"{tmp_path}/sub/.index"):
        model = opened(path)
        assert isinstance(model, Model), repr(model)
        assert model.checkpoint is not None
        assert model.checkpoint.keys == ["w"]
        assert model.checkpoint.bundle.missing_shards() == ()


def test_an_index_that_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "ckpt.index").write_bytes(b"nonsense")
    refused(tmp_path / "ckpt.index", CorruptError)
    refused(tmp_path / "ckpt", CorruptError)


# -- while opening --


def test_opening_is_cancelled_and_tells_what_it_reads(tmp_path: Path) -> None:
    small_model(tmp_path / "m")
    bundle(tmp_path / "m" / "variables" / "variables")
    told: list[str] = []
    open_model(str(tmp_path / "m"), progress=told.append).close()
    assert any("saved_model.pb" in words for words in told)
    assert any("variables.index" in words for words in told)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        open_model(str(tmp_path / "m"), cancel=cancel)
    with pytest.raises(Cancelled):
        open_model(str(tmp_path / "m" / "variables" / "variables"), cancel=cancel)


def test_a_closed_model_leaves_no_file_open(tmp_path: Path) -> None:
    small_model(tmp_path / "m")
    bundle(tmp_path / "m" / "variables" / "variables")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with open_model(str(tmp_path / "m")) as model:
            assert model.checkpoint is not None
            model.checkpoint.bundle.read(model.checkpoint.entry("w"))
        model.close()
    assert len(os.listdir("/proc/self/fd")) <= before
    shutil.rmtree(tmp_path / "m")


def test_refused_is_its_own_kind_of_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "saved_model.pb")
    assert "FIFO" in str(refused(tmp_path, RefusedFileError))
