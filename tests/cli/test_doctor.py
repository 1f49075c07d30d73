"""`tfexplore doctor`: what is here, and what is missing, without importing TensorFlow."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from cli.conftest import Run, on_pty
from tfexplore import __version__
from tfexplore.runtime.child import sandbox


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with nothing installed."""
    folder = tmp_path_factory.mktemp("bare") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def test_what_is_here(run: Run) -> None:
    found = run("doctor", "--json")
    assert (found.code, found.err) == (0, "")
    told = json.loads(found.out)
    assert (told["schema"], told["tfexplore"], told["command"]) == (1, __version__, "doctor")
    assert told["interpreter"]["path"] == sys.executable
    assert told["sandbox"]["landlock"] == sandbox.landlock_abi()
    names = [name for name in ("tensorflow", "tensorflow-cpu") if _version(name)]
    if names:
        assert told["tensorflow"]["version"] == _version(told["tensorflow"]["distribution"])
        assert told["problem"] is None
    assert told["terminal"] is None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def test_text_is_one_line_a_thing(run: Run) -> None:
    found = run("doctor")
    rows = [line.split("\t") for line in found.out.splitlines()]
    assert [row[0] for row in rows] == [
        "tensorflow",
        "interpreter",
        "sandbox",
        "gpu",
        "terminal",
        "clipboard",
        "settings",
        "tfexplore",
    ]
    assert all(len(row) == 2 and row[1] for row in rows)


def test_another_interpreter_without_tensorflow(run: Run, bare: Path) -> None:
    for named in (bare, bare.parent.parent):  # the interpreter, or its environment
        found = run("doctor", "--json", "--tf-python", named)
        assert found.code == 0
        told = json.loads(found.out)
        assert told["tensorflow"] is None
        assert told["interpreter"]["path"] == str(bare)
        assert told["problem"] == (
            f"not installed for {bare}; install it (pip install 'tfexplore[tf-cpu]'), or name a Python that has it "
            "with --tf-python"
        )


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ("/nowhere/python", "there is no interpreter /nowhere/python; install it"),
        ("/bin/false", "/bin/false cannot be used (it ended with 1); install it"),
        ("/bin/echo", "/bin/echo cannot be used (its answer is not that of a Python); install it"),
    ],
)
def test_no_interpreter(run: Run, named: str, problem: str) -> None:
    found = run("doctor", "--tf-python", named)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith(f"tensorflow\t{problem}")
    told = json.loads(run("doctor", "--json", "--tf-python", named).out)
    assert (told["tensorflow"], told["interpreter"], told["sandbox"]) == (None, None, None)


def test_files_beside_shadow_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert json.loads(run("doctor", "--json").out)["interpreter"]["path"] == sys.executable


@pytest.mark.parametrize(
    ("variables", "terminal", "clipboard"),
    [
        ({"TMUX": "", "STY": "", "COLORTERM": ""}, "80×24, 256 colours, TERM=xterm-256color", "by OSC 52, where the"),
        ({"TERM": "linux", "XDG_RUNTIME_DIR": "/"}, "TERM=linux", "by the file /tfexplore-clipboard: a terminal of"),
        ({"TMUX": "/tmp/tmux,1,0", "COLORTERM": "truecolor"}, "true colour", "where tmux has"),
        ({"TMUX": "", "STY": "1.pts", "NO_COLOR": "1"}, "no colours", "by OSC 52 in pieces through screen"),
        ({"SSH_TTY": "/dev/pts/1"}, "over SSH", "OSC 52"),
    ],
)
def test_the_terminal(variables: dict[str, str], terminal: str, clipboard: str) -> None:
    code, out, _ = on_pty("doctor", **variables)
    assert code == 0
    lines = {line[:12].strip(): line[13:] for line in out.decode().splitlines()}
    assert terminal in lines["terminal"]
    assert clipboard in lines["clipboard"]
