"""The tree of every model of the corpus, good and hostile: items, pages and details, with no error but ours."""

from __future__ import annotations

import os
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.saved_model_writer import meta_graph, placeholder, write_saved_model
from tfexplore.core import text
from tfexplore.core.describe import describe
from tfexplore.core.items import Item
from tfexplore.core.model import Model
from tfexplore.core.opener import open_model
from tfexplore.core.sections import SECTIONS, Options, section
from tfexplore.core.shapes import format_shape
from tfexplore.core.tree import root_items
from tfexplore.errors import ModelError, TfexploreError, UsageError

MAX_ITEMS = 600  # of one model
MAX_PAGE = 40  # of one item's children
MAX_ROWS = 200  # of one section


@dataclass
class Walked:
    """What a walk met: items and details by kind, and the errors in their place."""

    models: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    details: int = 0
    lines: int = 0
    damaged: int = 0
    unprintable: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)  # exceptions that are not ours


def paths(folder: Path) -> list[Path]:
    """Every folder and file that may be given as PATH; the archive of mutants is for another test."""
    found = [path for path in sorted(folder.rglob("*")) if not path.name.endswith(".tar.xz")]
    return [folder / name for name in sorted(os.listdir(folder)) if (folder / name).is_dir()] + found


def check(walked: Walked, where: str, words: str) -> None:
    if not words.isprintable():
        walked.unprintable.append(f"{where}: {words[:80]!r}")


def walk_item(walked: Walked, item: Item, path: Path) -> list[Item]:
    """Looks at one item and gives the first page of what lies below it."""
    where = f"{path}: {item.kind}"
    walked.kinds[item.kind] += 1
    check(walked, where, text.label(item.label))
    check(walked, where, item.note)
    check(walked, where, format_shape(item.shape))
    try:
        detail = describe(item.subject)
    except ModelError as error:
        walked.damaged += 1
        check(walked, where, text.visible(str(error)))
    except Exception as error:
        walked.foreign.append(f"{where}: {error!r}")
    else:
        walked.details += 1
        for block in detail.blocks:
            check(walked, where, block.title)
            for line in block.lines:
                walked.lines += 1
                check(walked, where, line.label)
                check(walked, where, line.value)
        check(walked, where, detail.title)
        check(walked, where, detail.kind)
    if item.children is None:
        return []
    try:
        count = item.children.load()
        page = item.children.page(0, MAX_PAGE)
        assert len(page) == min(count, MAX_PAGE)
        if count > MAX_PAGE:  # the last page too
            page += item.children.page(count - 1, count + 5)
            assert len(page) == MAX_PAGE + 1
        assert item.children.page(count, count + 10) == []
    except ModelError as error:
        walked.damaged += 1
        check(walked, where, text.visible(str(error)))
        return []
    except Exception as error:
        walked.foreign.append(f"{where}: {error!r}")
        return []
    return page


def walk(walked: Walked, model: Model, path: Path) -> None:
    pending = deque(root_items(model))
    assert pending
    for sentence in model.notes:
        check(walked, str(path), text.visible(sentence))
    visited = 0
    while pending and visited < MAX_ITEMS:
        visited += 1
        pending.extend(walk_item(walked, pending.popleft(), path))


def list_sections(walked: Walked, model: Model, path: Path) -> None:
    for name in SECTIONS:
        try:
            found = section(model, name, Options(attrs=True))
            for number, ref in enumerate(found.refs):
                if number >= MAX_ROWS:
                    break
                assert found.row(ref)
        except UsageError:
            pass
        except ModelError:
            walked.damaged += 1
        except Exception as error:
            walked.foreign.append(f"{path}: section {name}: {error!r}")


def walk_all(folder: Path) -> Walked:
    walked = Walked()
    for path in paths(folder):
        try:
            model = open_model(str(path))
        except TfexploreError as error:
            walked.refused[type(error).__name__] += 1
            check(walked, str(path), text.visible(str(error)))
            continue
        except Exception as error:
            walked.foreign.append(f"{path}: opening: {error!r}")
            continue
        with model:
            walked.models += 1
            walk(walked, model, path)
            list_sections(walked, model, path)
    return walked


@pytest.fixture(scope="module")
def good(corpus: Path) -> Walked:
    return walk_all(corpus / "models")


@pytest.fixture(scope="module")
def hostile(corpus: Path) -> Walked:
    return walk_all(corpus / "hostile")


def test_every_good_model_is_walked(good: Walked, corpus: Path) -> None:
    files = [path for path in (corpus / "models").rglob("*") if path.is_file()]
    saved_models = sum(path.name == "saved_model.pb" for path in files)
    indexes = sum(path.name.endswith(".index") for path in files)
    # Each SavedModel opens by its folder and its file, each checkpoint by its index and its data.
    assert good.models >= 2 * saved_models + indexes
    assert saved_models > 40
    assert good.details > 10_000
    assert good.lines > 5 * good.details
    assert good.unprintable == []


def test_no_error_but_ours(good: Walked, hostile: Walked) -> None:
    assert good.foreign + hostile.foreign == []


def test_every_kind_of_item_was_met(good: Walked) -> None:
    kinds = {"model", "section", "signature", "input", "output", "scope", "variable", "frozen", "node", "function",
             "object", "asset", "key", "checkpoint"}  # fmt: skip
    assert kinds <= set(good.kinds)
    assert good.kinds["node"] > 1000


def test_several_meta_graphs_are_entries_of_their_own(tmp_path: Path) -> None:
    graphs = [
        meta_graph(tags=[b"serve"], nodes=[placeholder(b"x")]),
        meta_graph(tags=[b"serve", b"gpu"], nodes=[placeholder(b"x"), placeholder(b"y")]),
        meta_graph(tags=[]),
    ]
    with open_model(str(write_saved_model(tmp_path, *graphs))) as model:
        found = [item for item in root_items(model) if item.kind == "meta_graph"]
        assert [(item.label, item.note) for item in found] == [
            ("serve", "1 node"),
            ("serve, gpu", "2 nodes"),
            ("(no tags)", "0 nodes"),
        ]
        walked = Walked()
        walk(walked, model, tmp_path)
        assert walked.kinds["node"] == 3
        assert (walked.foreign, walked.unprintable, walked.damaged) == ([], [], 0)


def test_good_models_show_no_damage(good: Walked) -> None:
    # A few have data files missing or are of dtypes that cannot be shown; those are blocks of a detail.
    assert good.damaged == 0


def test_every_hostile_file_opens_or_is_refused_in_our_words(hostile: Walked) -> None:
    assert hostile.models > 50
    assert hostile.details > 1000
    assert set(hostile.refused) <= {
        "CorruptError",
        "NotAModelError",
        "UnsupportedError",
        "NotFoundError",
        "RefusedFileError",
    }
    assert hostile.refused["CorruptError"] > 5
    assert hostile.refused["NotAModelError"] > 30
    assert hostile.unprintable == []
