"""The `checkpoint` file: what it says, where its paths lead, and which checkpoints lie beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.table_writer import encode_table, header
from tfexplore.errors import CorruptError, NotFoundError, RefusedFileError, TfexploreError
from tfexplore.formats.checkpoint_state import (
    MAX_SIZE,
    ResolvedPrefix,
    find_checkpoints,
    read_checkpoint_state,
    resolve_prefix,
)


def state_file(folder: Path, text: str | bytes) -> str:
    path = folder / "checkpoint"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def test_a_state_file_is_read(tmp_path: Path) -> None:
    path = state_file(
        tmp_path,
        'model_checkpoint_path: "ckpt-\\303\\274"\n'
        'all_model_checkpoint_paths: "ckpt-2"\nall_model_checkpoint_paths: "/tmp/x/ckpt-3"\n'
        "all_model_checkpoint_timestamps: 1.5\nlast_preserved_timestamp: 2.25\n",
    )
    state = read_checkpoint_state(path)
    assert state.path == path
    assert state.model_checkpoint_path == "ckpt-ü"
    assert state.all_model_checkpoint_paths == ("ckpt-2", "/tmp/x/ckpt-3")
    assert state.all_model_checkpoint_timestamps == (1.5,)
    assert state.last_preserved_timestamp == 2.25


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('model_checkpoint_path: "a"\nbroken {{{\n', "line [23] "),
        ("model_checkpoint_path: 3\n", "line 1 "),
        (b'model_checkpoint_path: "a"\n\nall_model_checkpoint_paths: "\xff"', "line 3 is not UTF-8"),
        ('model_checkpoint_path: "\\377"', "CheckpointState"),
        ("\x00\x01\x02", "CheckpointState"),
        ('model_checkpoint_path: "a"\nnew_field: 1\n', "line 2 "),
        pytest.param("a:1 " * (MAX_SIZE // 4), "line 1 ", id="a long line of unknown fields"),
        pytest.param("all_model_checkpoint_timestamps:" + "[" * 9999, "CheckpointState", id="brackets"),
        pytest.param("unknown {" * 5000, "CheckpointState", id="deep"),
        pytest.param(b"#" * (MAX_SIZE + 1), "more than the 1,048,576", id="large"),
    ],
)
def test_a_damaged_state_file_is_refused(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    path = state_file(tmp_path, text)
    with pytest.raises(CorruptError, match=sentence) as caught:
        read_checkpoint_state(path)
    assert caught.value.path == path


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_checkpoint_state(str(tmp_path / "checkpoint"))
    os.mkfifo(tmp_path / "checkpoint")
    with pytest.raises(RefusedFileError, match="FIFO"):
        read_checkpoint_state(str(tmp_path / "checkpoint"))


@given(st.one_of(st.binary(max_size=60), st.text("model_chckpath:\"' {}[]<>\\\n#0", max_size=60).map(str.encode)))
def test_no_other_error_escapes(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = state_file(tmp_path_factory.getbasetemp(), raw)
    problem = None
    try:
        assert read_checkpoint_state(path).path == path
    except TfexploreError as error:
        problem = error
    assert problem is None or str(problem).startswith(path)


@pytest.mark.parametrize(
    ("stored", "prefix", "outside"),
    [
        ("ckpt-3", "run/ckpt-3", False),
        ("./ckpt-3", "run/ckpt-3", False),
        ("sub/ckpt-3", "run/sub/ckpt-3", False),
        ("sub/../ckpt-3", "run/ckpt-3", False),
        ("sub/", "run/sub/", False),
        ("", "run/", False),
        ("../ckpt-3", "run/ckpt-3", True),
        ("sub/../../ckpt-3", "run/ckpt-3", True),
        ("../../../../etc/passwd", "run/passwd", True),
        ("..", "run/", True),
        ("../..", "run/", True),
        ("/", "run/", True),
        ("/dev/zero", "run/zero", True),
        ("/home/somebody/train/model.ckpt-9", "run/model.ckpt-9", True),
        ("C:\\train\\model.ckpt-9", "run/model.ckpt-9", True),
        ("\\\\host\\train\\model.ckpt-9", "run/model.ckpt-9", True),
        ("gs://bucket/train/model.ckpt-9", "run/model.ckpt-9", True),
        ("C:\\..", "run/", True),
        ("..data", "run/..data", False),
    ],
)
def test_where_a_stored_path_leads(stored: str, prefix: str, outside: bool) -> None:
    assert resolve_prefix("run", stored) == ResolvedPrefix(prefix, outside)


def test_an_absolute_path_into_the_folder_is_followed(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert resolve_prefix(folder, f"{folder}/ckpt-1") == ResolvedPrefix(f"{folder}/ckpt-1", False)
    assert resolve_prefix(folder, f"{folder}/sub/ckpt-1") == ResolvedPrefix(f"{folder}/sub/ckpt-1", False)
    assert resolve_prefix(folder, f"{folder}-other/ckpt-1") == ResolvedPrefix(f"{folder}/ckpt-1", True)


@given(st.one_of(st.text(), st.text("/.\\:ab\0", max_size=12)))
def test_no_stored_path_leads_out_of_the_folder(stored: str) -> None:
    prefix = resolve_prefix("/a/run", stored).prefix
    assert os.path.normpath(f"{prefix}.index").startswith("/a/run/")


def test_only_finished_checkpoints_are_found(tmp_path: Path) -> None:
    table = encode_table([(b"", header())])
    for name in ("ckpt-10", "ckpt-9", "ckpt-9-a", "", "a2b10", "a2b9", "a02b1", "model_temp_best"):
        (tmp_path / f"{name}.index").write_bytes(table)
    for name in (
        f"ckpt-11_temp_{'0af1' * 8}.index",
        "ckpt-12.index.tempstate123",
        "x.tempstate99.index",
        "ckpt-13.idx",
    ):
        (tmp_path / name).write_bytes(table)
    (tmp_path / "text.index").write_text("a book's index")
    (tmp_path / "folder.index").mkdir()
    (tmp_path / "dangling.index").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo.index")
    found = find_checkpoints(str(tmp_path))
    names = ["", "a02b1", "a2b9", "a2b10", "ckpt-9", "ckpt-9-a", "ckpt-10", "model_temp_best"]
    assert sorted(found) == sorted(os.path.join(str(tmp_path), name) for name in names)


def test_names_that_are_not_utf8_or_full_of_digits_are_found(tmp_path: Path) -> None:
    table = encode_table([(b"", header())])
    for name in (b"\xff-2", b"\xff-10", b"9" * 240, "²-٣".encode()):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name + b".index"))).write_bytes(table)
    found = [os.path.basename(os.fsencode(prefix)) for prefix in find_checkpoints(str(tmp_path))]
    assert set(found) == {b"\xff-2", b"\xff-10", b"9" * 240, "²-٣".encode()}


def test_a_large_folder_is_no_burden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `.index` files are opened, however many others there are."""
    for number in range(3000):
        (tmp_path / f"events.{number}").touch()
    (tmp_path / "ckpt-1.index").write_bytes(encode_table([(b"", header())]))
    opened: list[str] = []
    original = os.open

    def open_(path: str, *args: int, **more: int) -> int:
        opened.append(path)
        return original(path, *args, **more)

    monkeypatch.setattr(os, "open", open_)
    assert find_checkpoints(str(tmp_path)) == [str(tmp_path / "ckpt-1")]
    assert opened == [str(tmp_path / "ckpt-1.index")]


def test_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        find_checkpoints(str(tmp_path / "missing"))


def test_the_state_files_of_the_corpus(corpus: Path) -> None:
    folder = corpus / "models" / "tfx-chicago_taxi_estimator_dir"
    state = read_checkpoint_state(str(folder / "checkpoint"))
    assert state.model_checkpoint_path == "model.ckpt-1000"
    prefixes = [resolve_prefix(str(folder), path).prefix for path in state.all_model_checkpoint_paths]
    assert sorted(prefixes) == find_checkpoints(str(folder))
    with pytest.raises(CorruptError, match="line"):
        read_checkpoint_state(str(corpus / "hostile" / "bad-ckpt_state_file" / "checkpoint"))
