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
    name = os.path.basename(os.path.abspath(path)) or os.sep
    count = text.plural(len(found), "model")
    note = (f"{count} so far" if found else "looking for models") if searching else count if found else "no models"
    shown_path = os.path.abspath(path) if path == "." else path
    whole = Item("model", name, FolderSubject(shown_path, tuple(found), tuple(notes), searching), note=note)
    remarks = [Item("note", sentence, NoteSubject(sentence)) for sentence in notes]
    if not found and not searching:
        here = f"no model here or up to {DEPTH} levels below"
        remarks.insert(0, Item("note", here, NoteSubject(nothing_found(shown_path))))
    versions: dict[str, list[int]] = {}
    for each in found:
        if each.version is not None:
            versions.setdefault(os.path.dirname(each.path), []).append(each.version)
    tree = _Tree(shown_path, {base: tuple(numbers) for base, numbers in versions.items()}, problem)
    return [whole, *remarks, *tree.level([(each.path.split("/"), each) for each in found], 0)]


_Parts = Sequence[tuple[list[str], Found]]


class _Tree:
    """Makes rows of models; their paths come split into names."""

    def __init__(self, path: str, versions: dict[str, tuple[int, ...]], problem: Problem) -> None:
        self._path = path
        self._versions = versions
        self._problem = problem

    def level(self, parts: _Parts, depth: int) -> list[Item]:
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
            rows.append(self._model(*group[0], depth) if len(group) == 1 else self._folder(group, depth))
            start = stop
        return rows

    def _model(self, names: list[str], found: Found, depth: int) -> Item:
        label = "/".join(names[depth:])
        if found.path == ".":
            label = f"{os.path.basename(os.path.abspath(self._path))} (this folder)"
        where = os.path.normpath(os.path.join(self._path, found.path))
        versions = () if found.version is None else self._versions[os.path.dirname(found.path)]
        return Item("found", label, FoundSubject(where, found, versions, self._problem(found)), columns=_columns(found))

    def _folder(self, group: _Parts, depth: int) -> Item:
        # Folders that hold nothing but one folder are one row.
        shared = depth + 1
        first = group[0][0]
        while all(len(names) > shared + 1 and names[shared] == first[shared] for names, _ in group):
            shared += 1
        found = tuple(each for _, each in group)
        note = text.plural(len(found), "model" if base_of_versions(found) is None else "version")
        subject = FolderSubject(os.path.normpath(os.path.join(self._path, *first[:shared])), found)
        return Item("folder", "/".join(first[depth:shared]), subject, fixed(self.level(group, shared)), note=note)


def _columns(found: Found) -> tuple[str, ...]:
    kind = _SHORT_KINDS.get(found.kind, found.kind)
    age = "" if found.modified is None else text.age(time.time() - found.modified)
    return (f"{kind:<10}", f"{text.size(found.nbytes):>10}", f"{age:>6}")
