"""GraphDefs, MetaGraphs and SavedModels that are lone files: binary or text, packed or not.

TensorFlow parses them with its own messages, and imports what it can.
"""

from __future__ import annotations

import gzip
import os
from typing import Any

from oracle import graphs, protos
from oracle.checkpoints import same_bits
from oracle.sheet import Sheet, first_line
from oracle.variables import value_of
from tfexplore.core.guess import guess_kind
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import CHECKPOINT, GRAPH_DEF, META_GRAPH, Model
from tfexplore.formats import dtypes

# What lies in a SavedModel's folder belongs to it, and these are no graphs whatever they are named.
_OF_A_SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt", "fingerprint.pb", "keras_metadata.pb")
_FOLDERS = ("assets", "assets.extra", "variables", "debug")


def find_files(folder: str, names: list[str]) -> list[str]:
    """The lone graph files in a folder, and the prefixes of the V1 checkpoints."""
    found = []
    if os.path.basename(folder) in _FOLDERS:
        return found
    for name in names:
        path = os.path.join(folder, name)
        kind = guess_kind(path, name) if name not in _OF_A_SAVED_MODEL else None
        if kind == CHECKPOINT:
            found.append(path[: -len("-00000-of-00001")] if path.endswith("-00000-of-00001") else path)
        elif kind is not None:
            found.append(path)
    return found


def parse(path: str, kind: str) -> Any:
    """The MetaGraphDefs of a file, as TensorFlow's messages parse it; a GraphDef is put into one.

    Raises:
        Exception: TensorFlow cannot parse it.
    """
    from google.protobuf import text_format
    from tensorflow.core.framework import graph_pb2
    from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

    classes = {GRAPH_DEF: graph_pb2.GraphDef, META_GRAPH: meta_graph_pb2.MetaGraphDef}
    with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
        data = file.read()
    message = classes.get(kind, saved_model_pb2.SavedModel)()
    try:
        message.ParseFromString(data)
    except Exception:
        text_format.Parse(data.decode("utf-8"), message)
    if kind == GRAPH_DEF:
        return [meta_graph_pb2.MetaGraphDef(graph_def=message)]
    return [message] if kind == META_GRAPH else list(message.meta_graphs)


def compare_file(sheet: Sheet, model: Model, path: str, tf: Any) -> None:
    """A lone file that is open as `model`."""
    try:
        parsed = parse(path, model.kind)
    except Exception as error:
        sheet["MetaGraphs"].skip(f"TensorFlow cannot parse it: {first_line(error)}")
        return
    sheet["MetaGraphs"].same("MetaGraphs", len(model.meta_graphs), len(parsed))
    for mine, theirs in zip(model.meta_graphs, parsed, strict=False):
        protos.compare_messages(sheet, model, mine, theirs, tf)
        imported = graphs.import_main_graph(theirs.graph_def, tf)
        bodies = graphs.import_functions(theirs.graph_def.library, tf)
        graphs.compare_graphs(sheet, model, mine, theirs, imported, bodies, tf)
        if model.kind == META_GRAPH:
            _compare_variables(sheet, mine, path, theirs, tf)


def _compare_variables(sheet: Sheet, ours: MetaGraph, path: str, theirs: Any, tf: Any) -> None:
    """The variables of the MetaGraph's collections, restored from the checkpoint beside it."""
    v1 = tf.compat.v1
    found = {variable.name: variable for variable in ours.variables}
    with tf.Graph().as_default():
        try:
            saver = v1.train.import_meta_graph(theirs)
        except Exception as error:
            sheet["variables"].skip(f"import_meta_graph: {first_line(error)}")
            return
        loaded = {variable.op.name: variable for variable in v1.global_variables()}
        trainable = {variable.op.name for variable in v1.trainable_variables()}
        tally = sheet["variables"]
        tally.same("variables that are not found", sorted(set(loaded) - set(found)), [])
        for name, known in loaded.items():
            variable = found.get(name)
            if variable is None:
                continue
            tally.same(f"dtype of {name}", dtypes.name(variable.dtype), known.dtype.base_dtype.name)
            shape = None if variable.shape is None else list(variable.shape)
            tally.same(f"shape of {name}", shape, None if known.shape.rank is None else known.shape.as_list())
            tally.same(f"trainable of {name}", variable.trainable, name in trainable)
        if ours.checkpoint is None or saver is None:
            return
        with v1.Session() as session:
            try:
                saver.restore(session, os.path.splitext(path)[0])
            except Exception as error:
                sheet["variable values"].skip(f"restore: {first_line(error)}")
                return
            for name, known in loaded.items():
                variable = found.get(name)
                if variable is None or variable.key is None:
                    sheet["joins"].holds(f"key of {name}", False, "we have none")
                    continue
                same_bits(
                    sheet["variable values"],
                    f"value of {name}",
                    value_of(ours.checkpoint, variable),
                    session.run(known),
                )
