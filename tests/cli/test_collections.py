"""Commands on folders of models: which one is taken, what is said about it, and what is listed instead."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import Run, on_pty, process
from core.opening import bundle, small_model
from tfexplore import __version__, demo
from tfexplore.core.sections import SECTIONS
from tfexplore.loader.run_options import RunOptions
from tfexplore.runtime.records import Options


@pytest.fixture
def serving_base(tmp_path: Path) -> Path:
    for version in ("123", "124"):
        small_model(tmp_path / "base" / version)
    return tmp_path / "base"


@pytest.fixture
def several(tmp_path: Path) -> Path:
    folder = tmp_path / "several"
    small_model(folder / "a" / "m")
    small_model(folder / "b")
    bundle(folder / "c" / "ckpt-7")
    for file in folder.rglob("*.*"):
        os.utime(file, (86400, 86400))
    return folder


@pytest.mark.parametrize("section", ["summary", "nodes", "signatures"])
def test_the_newest_version_is_shown_and_named(run: Run, serving_base: Path, section: str) -> None:
    found = run("show", serving_base, section)
    assert found.code == 0
    said = f"tfexplore: showing version 124, the newest of 2 (123, 124): {serving_base}/124\n"
    assert found.err.startswith(said)
    direct = run("show", serving_base / "124", section)
    assert (direct.out, said + direct.err) == (found.out, found.err)
    assert run("show", serving_base, section, "--quiet").err == ""


def test_json_names_the_version_that_is_shown(run: Run, serving_base: Path) -> None:
    found = json.loads(run("show", serving_base, "--json").out)
    assert (found["path"], found["kind"]) == (f"{serving_base}/124", "saved_model")
    found = json.loads(run("show", serving_base, "nodes", "--json").out)
    assert found["path"] == f"{serving_base}/124"


def test_an_error_in_the_newest_version_names_it(run: Run, serving_base: Path) -> None:
    (serving_base / "124" / "saved_model.pb").write_bytes(b"\xff" * 20)
    found = run("show", serving_base)
    assert (found.code, found.out) == (3, "")
    assert "showing version 124" in found.err
    assert f"error: {serving_base}/124/saved_model.pb" in found.err


def test_the_only_model_below_a_folder_is_shown(run: Run, tmp_path: Path) -> None:
    bundle(tmp_path / "runs" / "one" / "ckpt-7")
    found = run("show", tmp_path, "keys")
    assert found.code == 0
    assert found.out.startswith("w\t")
    assert f"showing the only model below {tmp_path}: {tmp_path}/runs/one/ckpt-7" in found.err


def test_the_demo_folder_lists_its_two_parts(run: Run) -> None:
    found = json.loads(run("show", demo.FOLDER, "--json").out)
    assert [(row["path"], row["kind"]) for row in found["items"]] == [
        ("ranker", "saved_model"),
        ("training", "training_directory"),
    ]


def test_several_models_are_listed(run: Run, several: Path) -> None:
    found = run("show", several, "--json")
    assert (found.code, found.err) == (0, "")
    document = json.loads(found.out)
    assert list(document) == [
        "schema", "tfexplore", "path", "kind", "command", "section", "notes", "items", "total", "shown",
    ]  # fmt: skip
    assert document["tfexplore"] == __version__
    assert (document["path"], document["kind"], document["section"]) == (str(several), "collection", "summary")
    assert (document["notes"], document["total"], document["shown"]) == ([], 3, 3)
    first, _, last = document["items"]
    size = (several / "a" / "m" / "saved_model.pb").stat().st_size
    when = "1970-01-02T00:00:00Z"
    assert first == {"path": "a/m", "kind": "saved_model", "version": None, "bytes": size, "modified": when}
    assert (last["path"], last["kind"]) == ("c/ckpt-7", "checkpoint")


def test_several_models_as_text(run: Run, several: Path) -> None:
    found = run("show", several)
    assert (found.code, found.err) == (0, "")
    rows = [line.split("\t") for line in found.out.splitlines()]
    assert [row[:3] for row in rows] == [
        ["a/m", "saved_model", "-"],
        ["b", "saved_model", "-"],
        ["c/ckpt-7", "checkpoint", "-"],
    ]
    assert {row[4] for row in rows} == {"1970-01-02T00:00:00Z"}
    limited = run("show", several, "--limit", "1")
    assert limited.out == found.out.splitlines(keepends=True)[0]
    assert "1 of 3 shown" in limited.err
    _, out, _ = on_pty("show", several)
    head, *lines = out.decode().split("\r\n")
    assert "path" in head
    assert "modified" in head
    assert len(list(filter(None, lines))) == 3


@pytest.mark.parametrize("section", SECTIONS[1:])
def test_of_several_models_a_section_must_name_one(run: Run, several: Path, section: str) -> None:
    for options in ([], ["--json"], ["--tag-set", "serve"]):
        found = run("show", several, section, *options)
        assert (found.code, found.out) == (2, "")
        assert len(found.err.splitlines()) == 1
        assert "3 models lie here, name one of them: a/m, b, c/ckpt-7" in found.err


def test_options_of_a_model_are_refused_for_a_list(run: Run, several: Path) -> None:
    for options in (["--tag-set", "serve"], ["--match", "x"], ["--function", "f"], ["--attrs"]):
        found = run("show", several, "summary", *options)
        assert (found.code, found.out) == (2, "")


def test_what_was_left_out_is_said(run: Run, several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = run("show", several)
    assert "1 folder cannot be listed: b" in found.err
    assert run("show", several, "--quiet").err == ""
    found = run("show", several, "--json")
    assert json.loads(found.out)["notes"] == ["1 folder cannot be listed: b"]


def test_a_folder_without_models_is_no_model(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    found = run("show", tmp_path)
    assert (found.code, found.out) == (3, "")
    assert "4 levels below" in found.err


def test_hostile_names_in_a_list_are_made_visible(run: Run, tmp_path: Path) -> None:
    for name in ("\x1b[31mred", "bidi\u202e"):
        small_model(tmp_path / name)
    for words in (["show", tmp_path], ["show", tmp_path, "nodes"]):
        found = run(*words)
        assert all(line.replace("\t", "").isprintable() for line in (found.out + found.err).splitlines())
        assert "\\x1b[31mred" in found.out + found.err


def test_without_a_path_and_a_terminal_the_commands_are_named(tmp_path: Path) -> None:
    found = process(cwd=tmp_path)
    assert (found.returncode, found.stdout) == (2, b"")
    assert b"tfexplore show PATH" in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_a_current_folder_that_is_gone_is_one_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    found = run()
    assert (found.code, found.out) == (2, "")
    assert "no longer there" in found.err


@pytest.mark.parametrize(
    ("words", "path", "as_collection"), [([], ".", True), (["."], ".", False), (["there"], "there", False)]
)
def test_without_a_path_the_explorer_lists_the_current_folder(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str], path: str, as_collection: bool
) -> None:
    opened: list[tuple[str, bool]] = []

    def run_app(path: str, *, as_collection: bool, options: RunOptions, no_color: bool) -> int:
        assert options == RunOptions()
        opened.append((path, as_collection))
        return 0

    monkeypatch.setattr("tfexplore.guard.run", lambda screen: screen())
    monkeypatch.setattr("tfexplore.tui.app.run_app", run_app)
    assert run(*words).code == 0
    assert opened == [(path, as_collection)]


def test_how_models_are_run_is_told_to_the_explorer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[RunOptions] = []

    def run_app(path: str, *, as_collection: bool, options: RunOptions, no_color: bool) -> int:
        told.append(options)
        return 0

    monkeypatch.setattr("tfexplore.guard.run", lambda screen: screen())
    monkeypatch.setattr("tfexplore.tui.app.run_app", run_app)
    words = ["--tf-python", "/p", "--device", "gpu", "--threads", "2", "--memory", "8G", "--import", "m"]
    assert run("there", *words, "--op-library", "o.so", "--trust", "--timeout", "5").code == 0
    child = Options("/p", device="gpu", threads=2, memory=8 << 30, imports=("m",), op_libraries=("o.so",))
    assert told == [RunOptions(child, trust=True, timeout=5)]
    assert run("there", "--threads", "0").code == 2
