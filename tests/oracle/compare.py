"""Compares what tfexplore says about a model with what TensorFlow says: everything, never a sample.

TensorFlow loads the models, and loading runs their initializers: only for models that one trusts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from oracle import checkpoints, graph_files, graphs, protos, variables
from oracle.sheet import Check, Sheet, first_line
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import Model
from tfexplore.core.opener import open_model
from tfexplore.errors import NotAModelError

_NAMES = ("saved_model.pb", "saved_model.pbtxt", "saved_model.cpb")
_VARIABLES = os.path.join("variables", "variables")


def find_models(folder: str) -> list[str]:
    """Folders of SavedModels, prefixes of checkpoints and lone graph files at or below a folder, sorted.

    What lies in a folder named `hostile` is left out, also if that is asked for: TensorFlow must not load it.
    """
    found: list[str] = []
    if "hostile" in os.path.realpath(folder).split(os.sep):
        return found
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "hostile"]
        if any(name in files for name in _NAMES):
            found.append(path)
        found += [os.path.join(path, name.removesuffix(".index")) for name in files if name.endswith(".index")]
        found += graph_files.find_files(path, files)
    # The variables of a SavedModel are compared with it.
    inside = {os.path.join(path, _VARIABLES) for path in found}
    return sorted(path for path in found if path not in inside)


def compare(path: str, tf: Any, *, name: str | None = None, ours: str | None = None) -> Iterator[Check]:
    """Compares one model.

    Args:
        path: a SavedModel's folder, a checkpoint's prefix, or a graph's file.
        name: what the checks call it; the path if not given.
        ours: another model that tfexplore opens in its place, to see that differences are found.

    Raises:
        ModelError: tfexplore cannot open it.
    """
    sheet = Sheet(name or path)
    compared = _compare_saved_model if os.path.isdir(path) else _compare_checkpoint
    compared(sheet, path, ours or path, tf)
    yield from sheet.checks()


def _compare_checkpoint(sheet: Sheet, path: str, ours: str, tf: Any) -> None:
    with open_model(ours) as model:
        if model.meta_graphs:
            graph_files.compare_file(sheet, model, path, tf)
            return
        assert model.checkpoint is not None
        checkpoints.compare_checkpoint(sheet, model.checkpoint, path, tf)


def _compare_saved_model(sheet: Sheet, path: str, ours: str, tf: Any) -> None:
    from tensorflow.python.saved_model import loader_impl

    prefix = os.path.join(path, _VARIABLES)
    has_variables = os.path.exists(prefix + ".index")
    try:
        model = open_model(ours)
    except NotAModelError as error:
        sheet["MetaGraphs"].skip(f"tfexplore: {error.what}")
        if has_variables:
            _compare_checkpoint(sheet, prefix, os.path.join(ours, _VARIABLES), tf)
        return
    with model:
        sheet["keys"].same("a checkpoint of variables", model.checkpoint is not None, has_variables)
        if model.checkpoint is not None and has_variables:
            checkpoints.compare_checkpoint(sheet, model.checkpoint, prefix, tf)
        try:
            proto = loader_impl.parse_saved_model(path)
        except OSError as error:
            sheet["MetaGraphs"].skip(f"TensorFlow cannot parse it: {first_line(error)}")
            return
        sheet["MetaGraphs"].same("MetaGraphs", len(model.meta_graphs), len(proto.meta_graphs))
        for mine, theirs in zip(model.meta_graphs, proto.meta_graphs, strict=False):
            _compare_meta_graph(sheet, model, mine, theirs, path, tf)


def _compare_meta_graph(sheet: Sheet, model: Model, mine: MetaGraph, theirs: Any, path: str, tf: Any) -> None:
    protos.compare_meta_graph(sheet, model, mine, theirs, path, tf)
    imported = graphs.import_main_graph(theirs.graph_def, tf)
    bodies = graphs.import_functions(theirs.graph_def.library, tf)
    graphs.compare_graphs(sheet, model, mine, theirs, imported, bodies, tf)
    if isinstance(imported, str):
        sheet["joins"].skip(f"the main graph cannot be imported: {imported}")
    else:
        variables.compare_restored(sheet, mine, theirs, imported, bodies, path, tf)
    if theirs.HasField("object_graph_def"):
        variables.compare_stored_variables(sheet, model, mine, theirs, tf)
        loader = variables.load_objects(path, list(theirs.meta_info_def.tags), tf)
        if isinstance(loader, str):
            for what in ("variables", "variable values", "joins"):
                sheet[what].skip(f"tf.saved_model.load: {loader}")
        else:
            variables.compare_loaded_variables(sheet, mine, loader, path)
        variables.compare_arguments(sheet, mine, theirs, loader, bodies)
    variables.compare_session(sheet, mine, theirs, path, tf)
