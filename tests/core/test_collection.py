"""Finding models below a folder: what is found, in which order, how deep; and what is left alone."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bounded import MEGABYTE, peak_memory
from core.opening import bundle, small_model
from core.saved_model_writer import meta_graph, node, placeholder, write_saved_model
from formats.v1_writer import write_v1
from tfexplore.core import collection
from tfexplore.core.collection import Found, Search, base_of_versions, choose, find_models, open_collection, several
from tfexplore.core.collection_tree import collection_items
from tfexplore.core.describe import describe
from tfexplore.core.items import Item
from tfexplore.core.model import COLLECTION, Model
from tfexplore.core.subjects import FolderSubject, FoundSubject
from tfexplore.errors import Cancelled, ModelError
from tfexplore.formats.proto import lean


def paths(folder: Path, **options: Any) -> list[str]:
    return [found.path for found in Search(str(folder), **options)]


def kinds(folder: Path) -> dict[str, str]:
    return {found.path: found.kind for found in find_models(str(folder))}


def graph_def(*names: bytes) -> bytes:
    message = lean("GraphDef")(node=[placeholder(name) for name in names])
    return bytes(message.SerializeToString())


# -- what is found --


def test_each_kind_is_known(tmp_path: Path) -> None:
    small_model(tmp_path / "saved")
    for name in ("saved_model.pbtxt", "saved_model.cpb"):
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        (folder / name).write_bytes(b"x")
    bundle(tmp_path / "lone" / "ckpt-7")
    for step in (1, 2):
        bundle(tmp_path / "training" / f"ckpt-{step}")
    bundle(tmp_path / "state" / "ckpt-1")
    (tmp_path / "state" / "checkpoint").write_text('model_checkpoint_path: "ckpt-1"\n')
    bundle(tmp_path / "nameless" / "x")
    for file in (tmp_path / "nameless").iterdir():
        file.rename(file.with_name(file.name.removeprefix("x")))
    graphs = tmp_path / "graphs"
    graphs.mkdir()
    (graphs / "a.pb").write_bytes(graph_def(b"x", b"y"))
    (graphs / "b.pbtxt").write_text('# made by hand\n\nnode {\n  name: "x"\n}\n')
    (graphs / "c.pbtxt.gz").write_bytes(gzip.compress(b'node { name: "x" }\n'))
    (graphs / "d.meta").write_bytes(meta_graph(nodes=[placeholder(b"x")]).SerializeToString())
    (graphs / "e.pb").write_bytes(meta_graph(nodes=[placeholder(b"x")]).SerializeToString())
    (graphs / "f.pb.txt").write_text("meta_info_def { }\n")
    (graphs / "g.pb").write_text("versions {\n}\n")
    (tmp_path / "v1").mkdir()
    write_v1(tmp_path / "v1" / "model.ckpt-30", {b"w": np.zeros(2, np.float32)})
    assert kinds(tmp_path) == {
        "graphs/a.pb": "graph_def",
        "graphs/b.pbtxt": "graph_def",
        "graphs/c.pbtxt.gz": "graph_def",
        "graphs/d.meta": "meta_graph",
        "graphs/e.pb": "meta_graph",
        "graphs/f.pb.txt": "meta_graph",
        "graphs/g.pb": "graph_def",
        "lone/ckpt-7": "checkpoint",
        "nameless": "training_directory",
        "saved": "saved_model",
        "saved_model_cpb": "saved_model",
        "saved_model_pbtxt": "saved_model",
        "state": "training_directory",
        "training": "training_directory",
        "v1/model.ckpt-30": "checkpoint",
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.pbtxt", b"item {\n  id: 1\n}\n"),
        ("empty.pb", b""),
        ("empty.pbtxt", b"# nothing\n"),
        ("short.pb", b"\x0a\x05"),
        ("long.pb", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x0a\x01x"),
        ("tensor.pb", b"\x08\x02\x10\x01" + bytes(50)),
        ("packed.pb", b"\x0a\x02\x02\x03\x10\x01"),
        ("page.pb", b"<!DOCTYPE html><html>"),
        ("pointer.pb", b"version https://git-lfs.github.com/spec/v1\n"),
        ("not_packed.pb.gz", b"note {"),
        ("cut.pb.gz", gzip.compress(bytes(10_000))[:20]),
        ("noise.pb", bytes(range(256)) * 20),
        ("README", b"hello" * 100),
        ("notes.ckpt", b"hello" * 100),
        ("part-00000-of-00001", b"x" * 500),
        ("broken.index", b"no table" * 20),
        ("checkpoint", b"a note about checkpoints"),
        ("fingerprint.pb", graph_def(b"x")),
        (".hidden.pb", graph_def(b"x")),
        ("model.h5", b"\x89HDF" * 20),
    ],
)
def test_another_file_is_no_model(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert paths(tmp_path) == []


def test_a_damaged_index_with_its_data_is_listed(tmp_path: Path) -> None:
    bundle(tmp_path / "ckpt")
    (tmp_path / "ckpt.index").write_bytes(b"damaged")
    assert kinds(tmp_path) == {"ckpt": "checkpoint"}


def test_a_running_save_is_no_model(tmp_path: Path) -> None:
    bundle(tmp_path / f"ckpt_temp_{'0' * 32}" / "part-00000-of-00001")
    bundle(tmp_path / "ckpt-1.tempstate123")
    assert paths(tmp_path) == []


def test_sizes_and_times_come_from_the_files(tmp_path: Path) -> None:
    small_model(tmp_path / "m")
    bundle(tmp_path / "m" / "variables" / "variables")
    bundle(tmp_path / "c" / "ckpt")
    for file in tmp_path.rglob("*.*"):
        os.utime(file, (1000, 1000))
    os.utime(tmp_path / "m" / "variables" / "variables.index", (2000, 2000))
    checkpoint, model = find_models(str(tmp_path))
    files = [*(tmp_path / "m").rglob("*.*")]
    assert len(files) == 3
    assert (model.nbytes, model.modified) == (sum(file.stat().st_size for file in files), 2000)
    files = [*(tmp_path / "c").iterdir()]
    assert (checkpoint.nbytes, checkpoint.modified) == (sum(file.stat().st_size for file in files), 1000)


# -- where --


def test_the_folder_itself_counts(tmp_path: Path) -> None:
    small_model(tmp_path)
    small_model(tmp_path / "below")
    assert paths(tmp_path) == [".", "below"]


def test_four_levels_and_not_five(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c" / "d"
    small_model(deep / "e")
    assert paths(tmp_path) == []
    small_model(deep)
    (deep / "graph.pb").write_bytes(graph_def(b"x"))
    assert paths(tmp_path) == ["a/b/c/d", "a/b/c/d/graph.pb"]
    assert paths(tmp_path, depth=3) == []
    assert paths(tmp_path, depth=5) == ["a/b/c/d", "a/b/c/d/graph.pb", "a/b/c/d/e"]
    assert paths(deep / "e", depth=0) == ["."]


def test_natural_order_and_versions_newest_first(tmp_path: Path) -> None:
    for name in ("m10", "m2", "M", "base/9", "base/0010", "base/100", "base/x"):
        small_model(tmp_path / name)
    found = list(find_models(str(tmp_path)))
    assert [each.path for each in found] == ["M", "base/100", "base/0010", "base/9", "base/x", "m2", "m10"]
    assert [each.version for each in found] == [None, 100, 10, 9, None, None, None]


@given(st.lists(st.sampled_from(["1", "2", "10", "010", "a", "b1", "b10", "B", "é"]), min_size=1, unique=True))
def test_the_order_is_the_same_whatever_the_order_on_disk(names: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        for folder, order in ((one, names), (two, names[::-1])):
            for name in order:
                small_model(Path(folder) / name)
        assert paths(Path(one)) == paths(Path(two))
        assert sorted(paths(Path(one))) == sorted(names)


def test_parts_of_a_saved_model_are_its_own(tmp_path: Path) -> None:
    small_model(tmp_path / "m")
    bundle(tmp_path / "m" / "variables" / "variables")
    for name in ("assets", "assets.extra", "debug"):
        (tmp_path / "m" / name).mkdir()
        (tmp_path / "m" / name / "graph.pb").write_bytes(graph_def(b"x"))
    small_model(tmp_path / "m" / "older")
    assert paths(tmp_path) == ["m", "m/older"]
    (tmp_path / "m" / "saved_model.pb").unlink()  # then they are all there is
    assert "m/variables/variables" in paths(tmp_path)


def test_exports_of_a_training_directory_are_found_and_its_meta_graphs_are_not_listed(tmp_path: Path) -> None:
    for step in (1, 2):
        bundle(tmp_path / f"model.ckpt-{step}")
        (tmp_path / f"model.ckpt-{step}.meta").write_bytes(meta_graph().SerializeToString())
    small_model(tmp_path / "export" / "best" / "1646034756")
    assert kinds(tmp_path) == {".": "training_directory", "export/best/1646034756": "saved_model"}


@pytest.mark.parametrize("name", [".hidden", ".git", "venv", "node_modules", "__pycache__", "site-packages", "env"])
def test_hidden_folders_and_environments_are_left_out(tmp_path: Path, name: str) -> None:
    small_model(tmp_path / name / "m")
    (tmp_path / name / "pyvenv.cfg").touch()
    assert paths(tmp_path) == []
    assert paths(tmp_path / name / "m") == ["."]


# -- links, and what is no regular file --


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    small_model(tmp_path / "outside" / "m")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "folder").symlink_to(tmp_path / "outside")
    (inside / "model").symlink_to("../outside/m")
    (inside / "above").symlink_to("..")
    assert paths(inside) == []
    # The folder that was asked for may be a link itself.
    (tmp_path / "link").symlink_to("outside")
    assert paths(tmp_path / "link") == ["m"]


def test_a_model_with_a_second_name_is_listed_once(tmp_path: Path) -> None:
    small_model(tmp_path / "m" / "2")
    (tmp_path / "latest").symlink_to("m/2")
    (tmp_path / "m" / "9").symlink_to("2")
    assert paths(tmp_path) == ["m/2"]


def test_a_link_to_what_is_not_found_otherwise_is_followed_once(tmp_path: Path) -> None:
    small_model(tmp_path / "..data_2024" / "1")
    (tmp_path / "1").symlink_to("..data_2024/1")
    (tmp_path / "one").symlink_to("..data_2024/1")
    assert paths(tmp_path) == ["1"]


def test_loops_end(tmp_path: Path) -> None:
    small_model(tmp_path / "a" / "m")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to("self")
    (tmp_path / "a" / "here").symlink_to(".")
    (tmp_path / ".x").mkdir()
    (tmp_path / ".x" / "again").symlink_to("../.x")
    (tmp_path / "into").symlink_to(".x")
    (tmp_path / "loop.pb").symlink_to("loop.pb")
    (tmp_path / "saved_model.pb").symlink_to("saved_model.pb")
    assert paths(tmp_path) == ["a/m"]


def test_a_linked_file_is_a_file(tmp_path: Path) -> None:
    small_model(tmp_path / "blobs")
    (tmp_path / "blobs" / "saved_model.pb").rename(tmp_path / "blobs" / "sha")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "saved_model.pb").symlink_to("../blobs/sha")
    assert kinds(tmp_path) == {"m": "saved_model"}


def test_fifos_and_devices_are_never_opened(tmp_path: Path) -> None:
    for folder, name in (
        ("a", "saved_model.pb"), ("b", "graph.pb"), ("c", "ckpt.index"), ("d", "checkpoint"), ("e", "plain"),
        ("f", "ckpt.data-00000-of-00001"), ("g", "variables"),
    ):  # fmt: skip
        (tmp_path / folder).mkdir()
        os.mkfifo(tmp_path / folder / name)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero.pb").symlink_to("/dev/zero")
    (tmp_path / "b" / "saved_model.pb").mkdir()
    assert paths(tmp_path) == []


# -- bounds, and what is said --


def test_a_folder_that_cannot_be_listed_is_counted_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_model(tmp_path / "m")
    for number in range(7):
        (tmp_path / f"locked{number}").mkdir()
    real = os.scandir

    def scandir(path: str) -> Any:
        if "locked" in path:
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    search = find_models(str(tmp_path))
    assert [found.path for found in search] == ["m"]
    (note,) = search.notes
    assert note.startswith("7 folders cannot be listed: locked0, ")
    assert "and 2 more" in note
    monkeypatch.undo()
    with pytest.raises(ModelError, match="no such file"):
        list(find_models(str(tmp_path / "missing")))


def test_the_search_is_bounded_and_says_where_it_ended(tmp_path: Path) -> None:
    for number in range(30):
        small_model(tmp_path / f"m{number}")
    search = Search(str(tmp_path), max_entries=40)
    found = list(search)
    assert [each.path for each in found] == [f"m{number}" for number in range(10)]
    assert search.entries == 40
    (note,) = search.notes
    assert "after 40 entries, in m10" in note
    search = Search(str(tmp_path), max_entries=60)
    assert len(list(search)) == 30
    assert search.notes == []


def test_a_crowded_folder_is_looked_at_in_part_and_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "crowd").mkdir()
    for number in range(50):
        (tmp_path / "crowd" / f"image{number}.jpg").touch()
    small_model(tmp_path / "m")
    search = Search(str(tmp_path), max_in_folder=20)
    assert [found.path for found in search] == ["m"]
    assert search.notes == ["only the first 20 entries were looked at in crowd"]


def test_a_large_tree_takes_little_memory(tmp_path: Path) -> None:
    for number in range(200):
        folder = tmp_path / f"d{number}"
        folder.mkdir()
        for file in range(100):
            (folder / f"f{file}").touch()
    code = """
from tfexplore.core.collection import find_models
search = find_models(sys.argv[1])
assert list(search) == []
assert (search.folders, search.entries) == (201, 20_200), (search.folders, search.entries)
"""
    assert peak_memory(code, tmp_path) < 64 * MEGABYTE


def test_batches_come_while_the_search_goes_on(tmp_path: Path) -> None:
    for number in range(5):
        small_model(tmp_path / f"m{number}")
    told: list[str] = []
    batches = Search(str(tmp_path), progress=told.append).batches(seconds=0)
    assert [[found.path for found in batch] for batch in batches] == [[f"m{number}"] for number in range(5)]
    assert told[-1] == "looking for models: 5 in 6 folders"


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_search_can_be_cancelled_at_any_time(tmp_path: Path, after: int) -> None:
    for number in range(5):
        small_model(tmp_path / f"m{number}")
    cancel = threading.Event()
    batches = Search(str(tmp_path), cancel=cancel).batches(seconds=0)
    for _ in range(after):
        next(batches)
    cancel.set()
    with pytest.raises(Cancelled):
        next(batches)


def test_a_crowded_folder_can_be_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        (tmp_path / f"{number}.pb").write_bytes(graph_def(b"x"))
    cancel = threading.Event()
    seen: list[str] = []

    def guess(path: str, name: str) -> str:
        seen.append(name)
        if len(seen) == 3:
            cancel.set()
        return "graph_def"

    monkeypatch.setattr(collection, "guess_kind", guess)
    with pytest.raises(Cancelled):
        list(find_models(str(tmp_path), cancel=cancel))
    assert len(seen) == 3


def test_hostile_names_are_kept_as_they_are(tmp_path: Path) -> None:
    name = os.fsdecode(b"ev\x1b[31m\n\xffil")
    small_model(tmp_path / name)
    assert paths(tmp_path) == [name]


def test_every_model_of_the_corpus_is_found(corpus: Path) -> None:
    found = list(find_models(str(corpus / "models")))
    tops = {each.path.split("/")[0] for each in found}
    for folder in (corpus / "models").iterdir():
        if any(folder.rglob("saved_model.pb")) or any(folder.rglob("*.index")):
            assert folder.name in tops
    assert "serving-half_plus_two_2_versions/00000124" in {each.path for each in found}


# -- choosing --


def made(*names: str, version: Callable[[str], int | None] = lambda name: None) -> Model:
    found = [Found(name, "saved_model", 1, None, version(name.rpartition("/")[2])) for name in names]
    return Model("there", COLLECTION, found=found)


def number(name: str) -> int | None:
    return int(name) if name.isdigit() else None


def test_the_newest_version_is_chosen(tmp_path: Path) -> None:
    for version in ("9", "10", "0008"):
        small_model(tmp_path / version)
    model = open_collection(str(tmp_path))
    choice = choose(model)
    assert choice is not None
    assert choice.path == str(tmp_path / "10")
    assert choice.sentence == f"showing version 10, the newest of 3 (8, 9, 10): {tmp_path}/10"
    choice = choose(made(*(f"base/{version}" for version in range(20, 0, -1)), version=number))
    assert choice is not None
    assert choice.path == "there/base/20"
    assert "the newest of 20 (… 16, 17, 18, 19, 20)" in choice.sentence


def test_the_only_model_is_chosen() -> None:
    choice = choose(made("a/b/model"))
    assert choice is not None
    assert choice == ("there/a/b/model", "showing the only model below there: there/a/b/model")


@pytest.mark.parametrize("names", [("a", "b"), ("a/1", "b/1"), ("1", "2", "other"), ("1", "2", "2/older")])
def test_unrelated_models_are_nobody_s_choice(names: tuple[str, ...]) -> None:
    model = made(*names, version=number)
    assert choose(model) is None
    assert base_of_versions(model.found) is None
    sentence = several(model)
    assert all(name in sentence for name in names)


def test_nothing_is_chosen_of_nothing() -> None:
    assert choose(made()) is None
    assert "no model lies here" in several(made())


# -- rows and details --


def flat(items: list[Item], depth: int = 0) -> Iterator[tuple[int, Item]]:
    for item in items:
        yield depth, item
        if item.children is not None:
            yield from flat(item.children.page(0, item.children.load()), depth + 1)


def tree(model: Model) -> list[tuple[int, str, str]]:
    items = collection_items(model.path, model.found, model.notes)
    return [(depth, item.label, item.note) for depth, item in flat(items)][1:]


def test_rows_are_grouped_by_folder() -> None:
    model = made("a/b/x", "a/b/y", "base/2", "base/1", "lone/deep/m", "z", version=number)
    assert tree(model) == [
        (0, "a/b", "2 models"),
        (1, "x", ""),
        (1, "y", ""),
        (0, "base", "2 versions"),
        (1, "2", ""),
        (1, "1", ""),
        (0, "lone/deep/m", ""),
        (0, "z", ""),
    ]


def test_a_model_and_what_lies_below_it_are_two_rows() -> None:
    assert tree(made("a", "a/x", "a/y")) == [(0, "a", ""), (0, "a", "2 models"), (1, "x", ""), (1, "y", "")]
    assert tree(made(".", "x"))[0] == (0, "there (this folder)", "")


def test_columns_stand_below_each_other() -> None:
    found = [Found("a", "training_directory", 10**12, None), Found("b", "graph_def", 0, 10.0)]
    rows = [item.columns for _, item in flat(collection_items("there", found)) if item.kind == "found"]
    assert len({tuple(map(len, row)) for row in rows}) == 1


def test_an_empty_list_says_what_was_looked_for() -> None:
    model = made()
    assert tree(model) == [(0, "no model here or up to 4 levels below", "")]
    whole = collection_items("there", [])[0]
    said = " ".join(line.value for line in describe(whole.subject).lines())
    for part in ("SavedModel", "checkpoint", "GraphDef", "4 levels", "tfexplore demo"):
        assert part in said
    said = " ".join(line.value for line in describe(FolderSubject("there", (), searching=True)).lines())
    assert "Escape" in said
    assert "No model" not in said


def test_details_of_what_was_found_open_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (1, 2):
        small_model(tmp_path / "base" / str(version))
    model = open_collection(str(tmp_path))
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("a file was opened"))
    rows = {item.label: item for _, item in flat(collection_items(model.path, model.found))}
    facts = {line.label: line.value for line in describe(rows["1"].subject).lines()}
    assert facts["kind"] == "SavedModel"
    assert facts["path"] == str(tmp_path / "base" / "1")
    assert facts["version"] == "1, of 2"
    assert facts["size"].endswith("on disk")
    assert facts["modified"].startswith("20")
    facts = {line.label: line.value for line in describe(rows["2"].subject).lines()}
    assert facts["version"] == "2, the newest of 2"
    facts = {line.label: line.value for line in describe(rows["base"].subject).lines()}
    assert facts["is"] == "a serving base directory"
    assert facts["versions"] == "2, 1 (newest first)"


def test_what_could_not_be_opened_is_told_first() -> None:
    found = Found("m", "graph_def", 5, None)
    detail = describe(FoundSubject("there/m", found, problem="it is \x1b[31m broken"))
    assert next(iter(detail.lines())).value == r"it is \x1b[31m broken"


def test_no_name_of_a_folder_gets_out_unescaped(tmp_path: Path) -> None:
    name = "ev\x1b]0;x\x07\u202e"
    write_saved_model(tmp_path / name / "m", meta_graph(nodes=[node(b"n")]))
    write_saved_model(tmp_path / name / "n", meta_graph(nodes=[node(b"n")]))
    model = open_collection(str(tmp_path / name))
    for _, item in flat(collection_items(model.path, model.found)):
        detail = describe(item.subject)
        shown = [detail.title, detail.kind, *(line.value for line in detail.lines())]
        assert all(part.isprintable() for part in shown)
