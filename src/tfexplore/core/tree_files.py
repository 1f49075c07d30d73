"""Rows of notes, and headings that are read only when somebody opens them: the folder's files, the linter's notes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from tfexplore.core import text
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.files import File, list_files
from tfexplore.core.items import Cancel, Children, Deferred, Item, Listed, fixed
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.sidecars import Sidecars
from tfexplore.core.subjects import FileSubject, NoteSubject, SectionSubject
from tfexplore.formats import debug_info, fingerprint, keras_metadata

FILES = "Files"
NOTES = "Notes"
# Debug info of more bytes takes seconds to look through: its details tell what of it is damaged.
_READ_AT_ONCE = 4 << 20


def own_folders(meta_graph: MetaGraph) -> tuple[str, ...]:
    """Where the files of a MetaGraph lie: its SavedModel's folder, else that of its own file."""
    return (meta_graph.sidecars.folder or os.path.dirname(meta_graph.path),)


def note_item(sentence: str, folders: Iterable[str] = ()) -> Item:
    """A sentence as a row, where a file in one of these folders has no folder; the detail keeps the whole sentence."""
    return Item("note", _without_folder(sentence, folders), NoteSubject(sentence))


def _without_folder(sentence: str, folders: Iterable[str]) -> str:
    for folder in folders:
        # A file stands first, or behind what cannot be read of it.
        before, found, rest = sentence.partition(folder.rstrip(os.sep) + os.sep)
        if folder and found and (not before or before.endswith(": ")):
            return before + rest
    return sentence


def files_item(meta_graph: MetaGraph) -> Item:
    """The heading of what lies in the SavedModel's folder."""
    folder = meta_graph.sidecars.folder
    if folder is None:
        return Item("section", FILES, SectionSubject(FILES, "No folder belongs to this model."), note="none")

    def build(cancel: Cancel) -> Children:
        return Listed(lambda cancel: list_files(folder, cancel), lambda file: _file(meta_graph, file))

    sentence = "Every file of the folder: what it is to a SavedModel, and its size."
    return Item("section", FILES, SectionSubject(FILES, sentence), Deferred(build))


def _file(meta_graph: MetaGraph, file: File) -> Item:
    note = "" if file.nbytes is None else text.size(file.nbytes)
    problem = problem_of(meta_graph.sidecars, file, None)
    note = " · ".join(filter(None, (note, file.what, text.visible(problem))))
    return Item("file", file.name, FileSubject(meta_graph, file), note=note)


def problem_of(sidecars: Sidecars, file: File, cancel: Cancel) -> str:
    """Why a file was not looked at, or what of it cannot be read; empty where nothing is known to be wrong.

    Raises:
        Cancelled: `cancel` was set meanwhile.
    """
    if file.problem:
        return file.problem
    if file.name == fingerprint.FILE_NAME:
        return sidecars.fingerprint_problem
    if file.name == keras_metadata.FILE_NAME:
        damaged = sidecars.keras(cancel).damaged
        return damaged[0] if damaged else ""
    if file.name == debug_info.FILE_NAME and (file.nbytes or 0) <= _READ_AT_ONCE:
        damaged = sidecars.debug_info(cancel)[1]
        return damaged[0] if damaged else ""
    return ""


def checkpoint_notes_item(checkpoint: Checkpoint) -> Item:
    """The heading of what does not fit in a checkpoint, which is looked for when it is opened."""

    def build(cancel: Cancel) -> Children:
        from tfexplore.core.value_lint import value_notes

        return _noted(list(value_notes(checkpoint, cancel)), ())

    sentence = "What nobody tells: values that the index places beyond the end of their data file."
    return Item("section", NOTES, SectionSubject(NOTES, sentence), Deferred(build))


def _noted(found: list[str], folders: Sequence[str]) -> Children:
    if not found:
        nothing = SectionSubject("nothing found", "Nothing was found that leads nowhere or does not fit.")
        return fixed([Item("section", "nothing found", nothing)])
    return fixed([note_item(sentence, folders) for sentence in found])


def notes_item(meta_graph: MetaGraph) -> Item:
    """The heading of what `lint` finds, which is looked for when it is opened."""

    def build(cancel: Cancel) -> Children:
        from tfexplore.core.lint import lint

        return _noted(lint(meta_graph, cancel), own_folders(meta_graph))

    sentence = "What TensorFlow loads without a word: inputs and names that lead nowhere, cycles, foreign ops, misfits."
    return Item("section", NOTES, SectionSubject(NOTES, sentence), Deferred(build))
