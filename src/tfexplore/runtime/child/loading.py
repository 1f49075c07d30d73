"""Loads a model: with TensorFlow 2's loader, TensorFlow 1's in a session, or from a GraphDef or MetaGraph."""

from __future__ import annotations

import gzip
import os
import zlib
from typing import Any, NamedTuple, Optional

import tensorflow as tf

from . import faults
from .serve import Refused, Request

DEFAULT_TAG = "serve"


class Place(NamedTuple):
    """Where a model lies and how it shall be loaded; see `client.load`."""

    path: str
    form: str
    tags: Optional[tuple[str, ...]]
    loader: str
    checkpoint: Optional[str]


class InSession(NamedTuple):
    """A main graph that runs in a session of TensorFlow 1.

    Attributes:
        signatures: name to SignatureDef.
        notes: sentences for the person.
        copies: function bodies that `inner` has copied into the graph, by the calls that lead to them.
        library: its FunctionDefs by name, once `inner` has needed them.
    """

    session: Any
    signatures: dict[str, Any]
    notes: tuple[str, ...]
    copies: dict[Any, Any]
    library: dict[str, Any]


def place(params: dict[str, Any]) -> Place:
    """The request's fields, checked.

    Raises:
        Refused: they do not fit.
    """
    path, form, loader = params.get("path"), params.get("form"), params.get("loader")
    tags, checkpoint = params.get("tags"), params.get("checkpoint")
    if not isinstance(path, str) or form not in ("saved_model", "graph_def", "meta_graph"):
        raise Refused("protocol", f"{path!r} of the form {form!r} cannot be loaded")
    if loader not in ("auto", "v1", "v2"):
        raise Refused("protocol", f"there is no loader {loader!r}")
    if not os.path.exists(path):
        raise Refused("not_found", f"{path} is not there, or lies outside the sandbox", path=path)
    return Place(path, form, None if tags is None else tuple(str(tag) for tag in tags), loader, checkpoint)


def load_v2(where: Place) -> Any:
    """The restored objects.

    Raises:
        Exception: whatever TensorFlow raises.
    """
    return tf.saved_model.load(where.path, tags=None if where.tags is None else list(where.tags))


def tag_sets(path: str) -> list[tuple[str, ...]]:
    """The tag-set of each MetaGraph of a SavedModel."""
    from tensorflow.python.saved_model import loader_impl

    saved = loader_impl.parse_saved_model(path)
    return [tuple(sorted(meta.meta_info_def.tags)) for meta in saved.meta_graphs]


def _config(threads: Optional[int]) -> Any:
    config = tf.compat.v1.ConfigProto(allow_soft_placement=True)
    config.gpu_options.allow_growth = True
    if threads is not None:
        config.intra_op_parallelism_threads = config.inter_op_parallelism_threads = threads
    return config


def load_session(where: Place, threads: Optional[int], request: Request) -> InSession:
    """Loads the main graph into a session of its own.

    Raises:
        Refused: there is no such MetaGraph, or the file holds no graph.
        Exception: whatever TensorFlow raises.
    """
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph, config=_config(threads))
    try:
        with graph.as_default():
            if where.form == "saved_model":
                signatures, notes = _saved_model(session, where)
            elif where.form == "meta_graph":
                signatures, notes = _meta_graph(session, where, request)
            else:
                tf.import_graph_def(_graph_def(where.path), name="")
                signatures, notes = {}, ()
    except BaseException:
        session.close()
        raise
    return InSession(session, signatures, tuple(notes), {}, {})


def _saved_model(session: Any, where: Place) -> tuple[dict[str, Any], tuple[str, ...]]:
    tags = where.tags
    if tags is None:
        found = tag_sets(where.path)
        tags = found[0] if len(found) == 1 else (DEFAULT_TAG,)
    meta = tf.compat.v1.saved_model.load(session, list(tags), where.path)
    return dict(meta.signature_def), ()


def _meta_graph(session: Any, where: Place, request: Request) -> tuple[dict[str, Any], tuple[str, ...]]:
    meta = read_message(where.path, tf.compat.v1.MetaGraphDef(), "MetaGraphDef")
    saver = tf.compat.v1.train.import_meta_graph(meta, clear_devices=True)
    if where.checkpoint is None:
        return dict(meta.signature_def), ("no checkpoint was given, so no variable has a value",)
    if saver is None:
        raise Refused("no_saver", f"{where.path} has no SaverDef, so no checkpoint can be restored into it")
    request.progress("restoring the checkpoint")
    saver.restore(session, where.checkpoint)
    notes = []
    try:
        # Tables and the like; a graph for training may have ones that need files which are not here.
        session.run(tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.TABLE_INITIALIZERS))
    except tf.errors.OpError as error:
        notes.append(f"its tables are not initialized: {faults.sentence(error.message)}")
    return dict(meta.signature_def), tuple(notes)


def _graph_def(path: str) -> Any:
    return read_message(path, tf.compat.v1.GraphDef(), "GraphDef")


def read_message(path: str, found: Any, what: str) -> Any:
    """A message that is a file, in binary or text form, packed with gzip or not.

    Raises:
        Refused: it is none.
    """
    from google.protobuf import message, text_format

    with open(path, "rb") as file:
        data = file.read()
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        found.ParseFromString(data)
        return found
    except message.DecodeError:
        found.Clear()
    except (OSError, EOFError, zlib.error) as error:
        raise Refused("no_graph", f"{path} cannot be unpacked: {str(error)[:200]}", path=path) from None
    try:
        return text_format.Parse(data.decode("utf-8"), found)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise Refused("no_graph", f"{path} holds no {what}: {str(error)[:200]}", path=path) from None
