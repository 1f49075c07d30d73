"""Every section of `show` on the packaged demo: as tab-separated lines, aligned on a terminal, and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Run, on_pty
from tfexplore import __version__, demo
from tfexplore.core.sections import SECTIONS

MODEL_SECTIONS = [name for name in SECTIONS if name != "checkpoints"]
TRAINING_SECTIONS = ["summary", "variables", "keys", "objects", "checkpoints"]
CASES = [("ranker", name) for name in MODEL_SECTIONS] + [("training", name) for name in TRAINING_SECTIONS]
# Enough of the long ones to see each kind of row.
LIMITED = {"nodes": "40", "tensors": "40"}


def words(path: str, section: str) -> list[str]:
    limit = ["--limit", LIMITED[section]] if section in LIMITED else []
    return ["show", path, section, "--no-color", *limit]


@pytest.fixture
def beside_demo(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder is the demo's, so that the output names no path of this machine."""
    monkeypatch.chdir(demo.FOLDER)
    return demo.FOLDER


@pytest.mark.parametrize(("path", "section"), CASES)
def test_as_tab_separated_lines(
    run: Run, golden: Callable[[str, str], None], beside_demo: Path, path: str, section: str
) -> None:
    found = run(*words(path, section))
    assert found.code == 0
    golden(f"{path}-{section}.tsv", found.out)


@pytest.mark.parametrize(("path", "section"), CASES)
def test_as_json(run: Run, golden: Callable[[str, str], None], beside_demo: Path, path: str, section: str) -> None:
    found = run(*words(path, section), "--json")
    assert found.code == 0
    json.loads(found.out)
    golden(f"{path}-{section}.json", found.out.replace(f'"tfexplore": "{__version__}"', '"tfexplore": "VERSION"'))


@pytest.mark.parametrize(("path", "section"), CASES)
def test_aligned_on_a_terminal(golden: Callable[[str, str], None], beside_demo: Path, path: str, section: str) -> None:
    code, out, _ = on_pty(*words(path, section), cwd=beside_demo)
    assert code == 0
    text = out.decode("utf-8")
    assert re.search(r"[^\n]\r\r\n|(?<!\r)\n", text) is None
    golden(f"{path}-{section}.txt", text.replace("\r\n", "\n"))


def test_nodes_with_attributes(run: Run, golden: Callable[[str, str], None], beside_demo: Path) -> None:
    found = run(
        "show",
        "ranker",
        "nodes",
        "--json",
        "--attrs",
        "--match",
        "(?i)const|table|lookup|placeholder|examples",
        "--limit",
        "30",
    )
    assert (found.code, found.err) == (0, "") or found.code == 0
    golden("ranker-nodes-attrs.json", found.out.replace(f'"tfexplore": "{__version__}"', '"tfexplore": "VERSION"'))


def test_no_golden_file_is_left_over(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden", default=False):
        pytest.skip("they are being written")
    from cli.conftest import GOLDEN

    wanted = {f"{path}-{name}.{form}" for path, name in CASES for form in ("tsv", "json", "txt")}
    assert {path.name for path in GOLDEN.iterdir() if path.name.startswith(("ranker-", "training-"))} == {
        *wanted,
        "ranker-nodes-attrs.json",
    }
