"""Every file and folder of the corpus has a row in `corpus_table.tsv`: what it opens as, or its exact sentence.

`python tests/test_corpus.py` writes the table anew: read the difference before it is committed.
"""

from __future__ import annotations

import os
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

TABLE = Path(__file__).resolve().parent / "corpus_table.tsv"
if __name__ == "__main__":
    sys.path[:0] = [str(TABLE.parent.parent / "src"), str(TABLE.parent)]

from campaign.looking import look  # noqa: E402
from campaign.running import MEMORY  # noqa: E402
from campaign.worker import _memory, _reset_peak  # noqa: E402
from tfexplore.core import text  # noqa: E402
from tfexplore.core.model import Model  # noqa: E402
from tfexplore.core.opener import open_model  # noqa: E402
from tfexplore.errors import TfexploreError  # noqa: E402

# The deadline of a hang; what is asked for here takes far below a second.
HANG = 10.0


def outcomes(corpus: Path) -> Iterator[tuple[str, str]]:
    """(path below the corpus, the kind it opens as or the sentence) of every file and folder."""
    for top in ("models", "hostile"):
        for path in sorted((corpus / top).rglob("*")):
            yield path.relative_to(corpus).as_posix(), outcome(path, corpus)


def outcome(path: Path, corpus: Path) -> str:
    try:
        with open_model(str(path)) as model:
            return model.kind + "".join(f", {count} {what}" for count, what in _facts(model) if count)
    except TfexploreError as error:
        return text.visible(str(error)).replace(str(corpus), "{corpus}")


def _facts(model: Model) -> Iterator[tuple[int, str]]:
    if model.meta_graphs:
        first = model.meta_graphs[0]
        yield len(first.raw_nodes), "nodes"
        yield len(first.functions), "functions"
    if model.checkpoint is not None:
        yield len(model.checkpoint.keys), "keys"
    yield len(model.found), "models"
    yield len(model.notes), "notes"


def table() -> dict[str, str]:
    found = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        name, _, expected = line.partition("\t")
        found[name] = expected
    return found


def test_every_file_has_its_answer(corpus: Path) -> None:
    expected = table()
    found = dict(outcomes(corpus))
    assert sorted(found) == sorted(expected)
    assert {name: answer for name, answer in found.items() if answer != expected[name]} == {}


def test_every_file_of_the_archive_has_an_answer(corpus: Path, tmp_path: Path) -> None:
    with tarfile.open(corpus / "hostile" / "mutants.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    verdicts: Counter[str] = Counter()
    folders = sorted({Path(folder) for folder, _, files in os.walk(tmp_path) if files})
    for folder in folders:
        for path in (folder, *sorted(folder.iterdir())):
            os.utime(path, (0, 0))
        _reset_peak()
        before = _memory("VmRSS")
        started = time.monotonic()
        looked = look(str(folder))
        assert time.monotonic() - started < HANG, folder
        assert _memory("VmHWM") - before < MEMORY, folder
        assert looked.wrong == "", folder
        verdicts[looked.verdict] += 1
    # A change is meant, and read, before these are.
    assert verdicts == {"clean": 46, "told": 505, "refused": 12}


@pytest.mark.parametrize("name", ["models", "hostile"])
def test_the_table_covers_both_parts(name: str) -> None:
    assert sum(path.startswith(f"{name}/") for path in table()) > 80


if __name__ == "__main__":
    folder = Path(os.environ.get("TFEXPLORE_CORPUS") or TABLE.parents[2] / "shared" / "corpus").resolve()
    TABLE.write_text("".join(f"{name}\t{answer}\n" for name, answer in outcomes(folder)), encoding="utf-8")
