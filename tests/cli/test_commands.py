"""The command line from outside: usage, exit codes, pipes, and what needs a terminal."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cli.conftest import DEADLINE, Run, command, environment, on_pty, process
from core.saved_model_writer import meta_graph, node, placeholder, write_saved_model
from tfexplore import __version__, demo
from tfexplore.core.sections import SECTIONS

MODEL = demo.FOLDER / "ranker"
TRAINING = demo.FOLDER / "training"


def one_sentence(said: str) -> str:
    """The one line of an error."""
    lines = said.splitlines()
    assert len(lines) == 1, said
    assert lines[0].startswith("tfexplore: error: ")
    assert "Traceback" not in said
    return lines[0]


# -- usage --


def test_help_names_every_command(run: Run) -> None:
    for words in (["--help"], ["-h"]):
        found = run(*words)
        assert (found.code, found.err) == (0, "")
        assert "tfexplore show" in found.out
        assert "tfexplore demo" in found.out
        assert "tfexplore doctor" in found.out


@pytest.mark.parametrize("name", ["show", "demo", "doctor"])
def test_help_of_a_command(run: Run, name: str) -> None:
    found = run(name, "--help")
    assert (found.code, found.err) == (0, "")
    assert f"usage: tfexplore {name}" in found.out
    if name == "show":
        for word in (
            *SECTIONS,
            "--json",
            "--tag-set",
            "--match",
            "--limit",
            "--function",
            "--attrs",
            "--quiet",
            "--no-color",
        ):
            assert word in found.out


def test_version(run: Run) -> None:
    found = run("--version")
    assert (found.code, found.out, found.err) == (0, f"tfexplore {__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["show"],
        ["show", MODEL, "nothing_such"],
        ["show", MODEL, "nodes", "extra"],
        ["show", MODEL, "--nothing-such"],
        ["show", MODEL, "--js"],
        ["show", MODEL, "--limit", "-1"],
        ["show", MODEL, "--limit", "many"],
        ["show", MODEL, "--limit", "٣"],
        ["show", MODEL, "nodes", "--match", "("],
        ["show", MODEL, "nodes", "--match", "a{2000}"],
        ["show", MODEL, "nodes", "--match", "(?=dense)"],
        ["show", MODEL, "nodes", "--match", r"(a)\1"],
        ["show", MODEL, "nodes", "--search", "shape:[x]"],
        ["show", MODEL, "functions", "--search", "dtype:float32"],
        ["show", MODEL, "nodes", "--sort", "size"],
        ["show", MODEL, "summary", "--sort", "name"],
        ["show", MODEL, "nodes", "--match", "(" * 5000 + ")" * 5000],
        ["show", MODEL, "nodes", "--function", "nothing_such"],
        ["show", MODEL, "nodes", "--tag-set", "train"],
        ["show", MODEL, "summary", "--tag-set", "train"],
        ["show", MODEL, "checkpoints"],
        ["show", TRAINING, "nodes"],
        ["show", TRAINING, "signatures"],
        ["--nothing-such"],
        ["one", "two"],
        ["demo", "one", "two"],
    ],
    ids=lambda words: " ".join(getattr(word, "name", word)[:20] for word in words) or "nothing",
)
def test_wrong_usage_is_one_sentence(run: Run, words: list[object]) -> None:
    found = run(*words)
    assert (found.code, found.out) == (2, "")
    one_sentence(found.err)


def test_a_wrong_word_is_answered_with_the_right_ones(run: Run, tmp_path: Path) -> None:
    said = run("show", MODEL, "nothing_such").err
    assert all(section in said for section in SECTIONS)
    write_saved_model(tmp_path, meta_graph(tags=[b"serve", b"gpu"]), meta_graph(tags=[b"train"]))
    said = run("show", tmp_path, "nodes", "--tag-set", "tpu").err
    assert "serve,gpu" in said
    assert "train" in said
    assert "functions" in run("show", MODEL, "nodes", "--function", "nothing_such").err


@pytest.mark.parametrize("section", SECTIONS)
def test_a_path_that_cannot_be_read(run: Run, tmp_path: Path, section: str) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").mkdir()
    for name in ("missing", "text", "empty"):
        found = run("show", tmp_path / name, section)
        assert (found.code, found.out) == (3, "")
        assert str(tmp_path / name) in one_sentence(found.err)


def test_a_damaged_model_is_told_with_its_offset(run: Run, tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes((MODEL / "saved_model.pb").read_bytes()[:4])
    found = run("show", tmp_path, "--json")
    assert (found.code, found.out) == (3, "")
    assert "saved_model.pb" in one_sentence(found.err)
    assert "at byte" in found.err


@pytest.mark.parametrize("section", [name for name in SECTIONS if name != "checkpoints"])
def test_half_a_model_is_shown_with_what_is_missing(run: Run, tmp_path: Path, section: str) -> None:
    data = (MODEL / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(data[: len(data) // 2])
    found = run("show", tmp_path, section)
    assert found.code == 0
    told = found.out if section == "summary" else found.err
    assert "SavedModel.meta_graphs claims" in told
    assert "are left at byte 2" in told
    if section == "nodes":
        whole = run("show", MODEL, section).out.splitlines()
        shown = found.out.splitlines()
        assert len(shown) > 10
        assert set(shown[:10]) <= set(whole)


def test_a_hostile_path_is_made_visible(run: Run, tmp_path: Path) -> None:
    found = run("show", tmp_path / "\x1b[2J\n\u202e\udcff")
    assert found.code == 3
    assert found.err.rstrip("\n").isprintable()
    assert "\\x1b[2J\\n\\u202e\\xff" in found.err


def test_an_unknown_option_is_made_visible(run: Run) -> None:
    found = run("show", MODEL, "--\x1b]0;x\x07")
    assert found.code == 2
    assert found.err.rstrip("\n").isprintable()


# -- notes --


def test_what_was_cut_is_said_with_the_flag_that_shows_it(run: Run) -> None:
    found = run("show", MODEL, "nodes", "--limit", "3")
    assert found.code == 0
    assert len(found.out.splitlines()) == 3
    total = len(run("show", MODEL, "nodes").out.splitlines())
    assert f"3 of {total}" in found.err
    assert f"--limit {total}" in found.err


def test_keys_of_a_model_without_variables(run: Run, tmp_path: Path) -> None:
    write_saved_model(tmp_path, meta_graph(nodes=[placeholder(b"x")]))
    found = run("show", tmp_path, "keys")
    assert (found.code, found.out) == (0, "")
    assert found.err.startswith("tfexplore: ")


def test_nothing_found_is_said(run: Run) -> None:
    found = run("show", MODEL, "nodes", "--match", "^nothing$")
    assert (found.code, found.out) == (0, "")
    assert "^nothing$" in found.err
    assert run("show", MODEL, "nodes", "--match", "^nothing$", "--quiet").err == ""


def test_a_training_directory_says_which_checkpoint_is_shown(run: Run) -> None:
    assert "ckpt-300" in run("show", TRAINING, "keys").err
    assert run("show", TRAINING, "keys", "--quiet").err == ""
    assert run("show", TRAINING, "checkpoints").err == ""


def test_every_line_has_as_many_fields(run: Run) -> None:
    for path, sections in ((MODEL, SECTIONS[1:-1]), (TRAINING, ("variables", "keys", "objects", "checkpoints"))):
        for section in sections:
            lines = run("show", path, section).out.splitlines()
            assert lines
            assert len({line.count("\t") for line in lines}) == 1


# -- processes --


def test_a_reader_that_goes_away_is_no_error() -> None:
    for words in (["show", MODEL, "nodes"], ["show", MODEL, "nodes", "--json", "--attrs"]):
        with subprocess.Popen(
            command(words), env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            assert child.stdout.readline()
            child.stdout.close()
            said = child.stderr.read()
            assert child.wait(DEADLINE) in (0, 141)
        assert said == b""


@pytest.mark.parametrize(
    "words",
    [
        [MODEL, "variables", "--function", "f"],
        [MODEL, "keys", "--attrs"],
        [MODEL, "summary", "--match", "x"],
        [TRAINING, "keys", "--tag-set", "serve"],
        [MODEL, "nodes", "--tag-set", ""],
    ],
)
def test_an_option_that_a_section_does_not_heed_is_refused(run: Run, words: list[object]) -> None:
    found = run("show", *words)
    assert found.code == 2
    assert found.out == ""


def test_attributes_stand_in_the_text_as_well(run: Run) -> None:
    lines = run("show", MODEL, "nodes", "--attrs", "--match", "^Const$").out.splitlines()
    assert len(lines) == 1
    assert '"dtype": "int64"' in lines[0]


@pytest.mark.parametrize("closing", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_a_closed_standard_output_or_error_is_no_traceback(closing: str) -> None:
    found = subprocess.run(
        ["sh", "-c", f'"$@" {closing}', "sh", *command(["show", MODEL])],
        env=environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert b"Traceback" not in found.stdout + found.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_one_sentence() -> None:
    with open("/dev/full", "wb") as full:
        found = subprocess.run(
            command(["show", MODEL, "nodes"]), env=environment(), stdin=subprocess.DEVNULL, stdout=full,
            stderr=subprocess.PIPE, timeout=DEADLINE, check=False,
        )  # fmt: skip
    assert found.returncode != 0
    assert b"Traceback" not in found.stderr
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_s_poor_encoding_is_no_traceback(encoding: str) -> None:
    for words in (["show", MODEL], ["show", TRAINING, "keys"], ["show", MODEL, "nothing·such"], ["--help"]):
        found = process(*words, PYTHONIOENCODING=encoding)
        assert b"Traceback" not in found.stderr
        assert found.returncode == (2 if "nothing·such" in words else 0)


def test_the_program_as_a_process(tmp_path: Path) -> None:
    assert process("--version").stdout.decode() == f"tfexplore {__version__}\n"
    assert process().returncode == 2
    assert process("show", tmp_path / "missing").returncode == 3
    assert process("show", MODEL, "ops").stdout.count(b"\n") > 5


def test_looking_imports_no_tensorflow_and_no_user_interface() -> None:
    code = "import sys; from tfexplore.cli import main; main(sys.argv[1:]); print(sorted(sys.modules), file=sys.stderr)"
    found = subprocess.run(
        [*command([])[:1], "-c", code, "show", str(MODEL), "--json"],
        env=environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE, check=False, text=True,
    )  # fmt: skip
    assert found.returncode == 0
    for name in ("tensorflow", "textual", "rich", "asyncio"):
        assert f"'{name}'" not in found.stderr


# -- what needs a terminal --


def test_the_explorer_without_a_terminal_points_to_show(tmp_path: Path) -> None:
    for words in ([MODEL], [tmp_path / "missing"], ["."]):
        found = process(*words)
        assert (found.returncode, found.stdout) == (2, b"")
        assert "tfexplore show" in one_sentence(found.stderr.decode())


def test_demo_without_a_terminal_copies_and_tells(run: Run, tmp_path: Path) -> None:
    found = run("demo", tmp_path / "here")
    assert (found.code, found.err) == (0, "")
    assert str(tmp_path / "here") in found.out
    assert "tfexplore show" in found.out
    assert (tmp_path / "here" / "ranker" / "saved_model.pb").read_bytes() == (MODEL / "saved_model.pb").read_bytes()
    assert run("show", tmp_path / "here" / "ranker").code == 0
    assert run("demo", tmp_path / "here").code == 0


def test_demo_overwrites_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("mine")
    found = run("demo", tmp_path)
    assert (found.code, found.out) == (2, "")
    one_sentence(found.err)
    assert (tmp_path / "rows.jsonl").read_text() == "mine"


def test_a_folder_with_a_command_s_name_is_opened_with_its_path(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_saved_model(tmp_path / "show", meta_graph(nodes=[placeholder(b"x")]))
    monkeypatch.chdir(tmp_path)
    assert run("show", "show", "nodes").out.startswith("x\t")
    found = process("./show", cwd=tmp_path)
    assert found.returncode == 2
    assert b"tfexplore show" in found.stderr


def test_colours_only_where_a_terminal_wants_them() -> None:
    plain = [
        on_pty("show", MODEL, "ops", "--no-color"),
        on_pty("show", MODEL, "ops", NO_COLOR="1"),
        on_pty("show", MODEL, "ops", TERM="dumb"),
    ]
    assert all(b"\x1b" not in out for _, out, _ in plain)
    _, out, _ = on_pty("show", MODEL, "ops")
    assert b"\x1b[" in out
    assert out.replace(b"\x1b[2m", b"").replace(b"\x1b[0m", b"") == plain[0][1]
    assert b"\x1b" not in process("show", MODEL, "ops").stdout


@pytest.mark.parametrize(
    ("failure", "said"), [(MemoryError(), "memory"), (ZeroDivisionError("odd"), "ZeroDivisionError")]
)
def test_a_failure_of_our_own_is_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, failure: Exception, said: str
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("tfexplore.cli.show.section", fail)
    found = run("show", MODEL)
    assert found.code == 70
    assert said in found.err
    assert found.err.count("\n") == 1


def test_a_damaged_part_is_told_where_its_section_is_shown(run: Run, tmp_path: Path) -> None:
    from core.saved_model_writer import DAMAGED, info, signature

    good = signature({b"x": info(b"x:0")}, {})
    write_saved_model(tmp_path, meta_graph(nodes=[placeholder(b"x")], signatures={b"good": good, b"broken": DAMAGED}))
    found = run("show", tmp_path, "signatures")
    assert found.code == 0
    assert found.out.startswith("good\t")
    assert "signature broken" in found.err
    assert run("show", tmp_path, "signatures", "--quiet").err == ""


def test_search_and_sort_narrow_and_order(run: Run) -> None:
    every = [line.split("\t") for line in run("show", MODEL, "nodes").out.splitlines()]
    wanted = [row[0] for row in every if row[1].startswith("Const") and "embedding" in row[0].casefold()]
    found = run("show", MODEL, "nodes", "--search", "op:const embedding")
    assert (found.code, [line.split("\t")[0] for line in found.out.splitlines()]) == (0, wanted)
    ops = [line.split("\t") for line in run("show", MODEL, "ops", "--sort", "count").out.splitlines()]
    assert [int(row[1]) for row in ops] == sorted((int(row[1]) for row in ops), reverse=True)
    names = [line.split("\t")[0] for line in run("show", MODEL, "ops", "--sort", "name").out.splitlines()]
    assert names == sorted(names)
    nothing = run("show", MODEL, "nodes", "--search", "nothing_such op:Const")
    assert (nothing.code, nothing.out) == (0, "")
    assert "nothing in nodes fits nothing_such op:Const" in nothing.err


def test_a_name_that_is_not_utf8_is_matched_as_it_is_printed(run: Run, tmp_path: Path) -> None:
    nodes = [node(b"a\xff\x1bz", b"NoOp"), node(b"plain", b"NoOp")]
    model = write_saved_model(tmp_path / "odd", meta_graph(nodes=nodes))
    printed = run("show", model, "nodes", "--match", "^a").out.split("\t")[0]
    assert printed == r"a\xff\x1bz"
    for words in (["--match", r"^a\\xff\\x1bz$"], ["--search", printed], ["--match", "\udcff\x1bz$"]):
        assert run("show", model, "nodes", *words).out.split("\t")[0] == printed
