"""The models below a folder as a tree: by folder, the versions of a serving base directory newest first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from tfexplore.core import text
from tfexplore.core.collection import DEPTH, Found, base_of_versions
from tfexplore.core.items import Item, fixed
from tfexplore.core.model import CHECKPOINT, GRAPH_DEF, META_GRAPH, SAVED_MODEL, TRAINING_DIRECTORY
from tfexplore.core.subjects import FolderSubject, FoundSubject, NoteSubject

# In a column of a list there is no room for more.
_SHORT_KINDS = {
    SAVED_MODEL: "SavedModel",
    TRAINING_DIRECTORY: "training",
    CHECKPOINT: "checkpoint",
    GRAPH_DEF: "GraphDef",
    META_GRAPH: "MetaGraph",
}

Problem = Callable[[Found], str | None]


def nothing_found(path: str) -> str:
    """Why a list of models is empty, and what to do."""
    return (
        f"No model lies in {path} or up to {DEPTH} levels below: no SavedModel, no checkpoint, no GraphDef and no "
        "MetaGraph. Leave, and give the path of a model or of another folder: tfexplore PATH; "
        "tfexplore demo writes a model to look at."
    )


def collection_items(
    path: str,
    found: Sequence[Found],
    notes: Sequence[str] = (),
    *,
    searching: bool = False,
    problem: Problem = lambda found: None,
) -> list[Item]:
    """The first level: the folder itself, notes, then models and folders of models, in the order of `found`.

    Args:
        path: the folder, as the person gave it.
        found: as `core.collection.Search` gives them.
        notes: sentences about what was left out.
        searching: whether more may be found.
        problem: tells why a model could not be opened, if that was tried.
    """
    name = os.path.basename(os.path.abspath(path)) or path
    count = text.plural(len(found), "model")
    note = (f"{count} so far" if found else "looking for models") if searching else count if found else "no models"
    shown_path = os.path.abspath(path) if path == "." else path
    whole = Item("model", name, FolderSubject(shown_path, tuple(found), tuple(notes), searching), note=note)
    sentences = list(notes)
    if not found and not searching:
        sentences.insert(0, nothing_found(shown_path))
    remarks = [Item("note", sentence, NoteSubject(sentence)) for sentence in sentences]
    return [whole, *remarks, *_level(shown_path, [(each.path.split("/"), each) for each in found], 0, problem)]


_Parts = Sequence[tuple[list[str], Found]]


def _level(path: str, parts: _Parts, depth: int, problem: Problem) -> list[Item]:
    """Rows for models that share their first `depth` names, side by side."""
    rows: list[Item] = []
    start = 0
    while start < len(parts):
        names = parts[start][0]
        stop = start + 1
        if len(names) > depth + 1:
            while stop < len(parts) and len(parts[stop][0]) > depth + 1 and parts[stop][0][depth] == names[depth]:
                stop += 1
        group = parts[start:stop]
        rows.append(_model(path, group, depth, problem) if len(group) == 1 else _folder(path, group, depth, problem))
        start = stop
    return rows


def _model(path: str, group: _Parts, depth: int, problem: Problem, versions: tuple[int, ...] = ()) -> Item:
    names, found = group[0]
    label = "/".join(names[depth:])
    if found.path == ".":
        label = f"{os.path.basename(os.path.abspath(path))} (this folder)"
    where = os.path.normpath(os.path.join(path, found.path))
    if found.version is not None and not versions:
        versions = (found.version,)
    subject = FoundSubject(where, found, versions, problem(found))
    return Item("found", label, subject, columns=_columns(found))


def _folder(path: str, group: _Parts, depth: int, problem: Problem) -> Item:
    # Folders that hold nothing but one folder are one row.
    shared = depth + 1
    while all(len(names) > shared + 1 and names[shared] == group[0][0][shared] for names, _ in group):
        shared += 1
    found = tuple(each for _, each in group)
    names = group[0][0][:shared]
    versions = tuple(each.version or 0 for each in found) if base_of_versions(found) is not None else ()
    if versions:
        below = [_model(path, [part], shared, problem, versions) for part in group]
    else:
        below = _level(path, group, shared, problem)
    note = text.plural(len(found), "version" if versions else "model")
    subject = FolderSubject(os.path.normpath(os.path.join(path, *names)), found)
    return Item("folder", "/".join(names[depth:]), subject, fixed(below), note=note)


def _columns(found: Found) -> tuple[str, ...]:
    kind = _SHORT_KINDS.get(found.kind, found.kind)
    age = "" if found.modified is None else text.age(time.time() - found.modified)
    return (f"{kind:<10}", f"{text.size(found.nbytes):>10}", f"{age:>6}")
