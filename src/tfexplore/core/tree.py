"""The tree of a model: headings, and what lies below each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tfexplore.core import text
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.collection_tree import collection_items
from tfexplore.core.feature_ops import EXAMPLE, Feature
from tfexplore.core.feature_spec import InputSpec, feature_sentence, input_specs
from tfexplore.core.graph import Graph
from tfexplore.core.items import Cancel, Children, Deferred, Item, Listed, Scoped, fixed
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.model import COLLECTION, CheckpointFile, Model
from tfexplore.core.natural import natural_key
from tfexplore.core.objects import ObjectGraph
from tfexplore.core.rows import key_item, node_item, variable_item
from tfexplore.core.signatures import Signature, TensorInfo
from tfexplore.core.subjects import (
    ArgumentSubject,
    AssetSubject,
    CheckpointSubject,
    FunctionSubject,
    MetaGraphSubject,
    ModelSubject,
    ObjectSubject,
    SectionSubject,
    SignatureSubject,
    TensorInfoSubject,
)
from tfexplore.core.summary import notes, object_graph_notes
from tfexplore.core.tree_files import NOTES, checkpoint_notes_item, files_item, note_item, notes_item, own_folders
from tfexplore.errors import ModelError, NotFoundError

# Sizes of scopes want every entry decoded, a microsecond each: with more keys than this only their numbers are shown.
_SIZED_KEYS = 200_000


def root_items(model: Model) -> list[Item]:
    """The first level of the tree: the model, notes on it, its headings. What cannot be read is a note in its place."""
    if model.kind == COLLECTION:
        return collection_items(model.path, model.found, model.notes)
    name = os.path.basename(os.path.abspath(model.path))
    whole = Item("model", name, ModelSubject(model), note=model.kind_name)
    if not model.meta_graphs:
        return [whole, *_notes_of(model, model.notes), *_training_items(model)]
    if len(model.meta_graphs) == 1:
        items = meta_graph_items(model, model.meta_graphs[0])
        return [whole, *_notes_of(model, _notes(model)), *items, files_item(model.meta_graphs[0])]
    return [
        whole,
        *_notes_of(model, model.notes),
        *(_meta_graph(model, found) for found in model.meta_graphs),
        files_item(model.meta_graphs[0]),
    ]


def _meta_graph(model: Model, meta_graph: MetaGraph) -> Item:
    return Item(
        "meta_graph",
        ", ".join(meta_graph.tags) or "(no tags)",
        MetaGraphSubject(model, meta_graph),
        Deferred(lambda cancel: fixed(meta_graph_items(model, meta_graph))),
        note=text.plural(len(meta_graph.raw_nodes), "node"),
    )


def _notes(model: Model) -> list[str]:
    try:
        return notes(model, model.meta_graphs[0])
    except ModelError:  # the heading that is damaged says so itself
        return list(model.notes)


def _notes_of(model: Model, sentences: Iterable[str]) -> list[Item]:
    folders = [folder for found in model.meta_graphs[:1] for folder in own_folders(found)]
    if model.checkpoint is not None:
        folders.append(os.path.dirname(model.checkpoint.index_path))
    return [note_item(sentence, folders) for sentence in sentences]


def _section(name: str, note: str, sentence: str, children: Children | None) -> Item:
    return Item("section", name, SectionSubject(name, sentence), children, note=note)


def _counted(name: str, count: int, sentence: str, empty: str, children: Children, note: str | None = None) -> Item:
    """A heading with its count; one with nothing below says why and cannot be opened."""
    if not count:
        return _section(name, "none", empty, None)
    return _section(name, f"{count:,}" if note is None else note, sentence, children)


def _nothing(meta_graph: MetaGraph, what: str, sentence: str) -> str:
    """Why a heading has nothing below it: of a damaged file nobody can say that there was nothing."""
    if meta_graph.is_broken:
        return f"No {what} can be read: the file is damaged, and they may be among what is missing."
    return sentence


def meta_graph_items(model: Model, meta_graph: MetaGraph) -> list[Item]:
    """The headings of one MetaGraph."""
    found = []
    builders = (_signatures, _variables, _graph, _functions, _saved_objects, _assets)
    for build in builders:
        try:
            found.append(build(meta_graph))
        except ModelError as error:
            sentence = f"{build.__name__.lstrip('_').replace('saved_', '')} cannot be shown: {error}"
            found.extend(_notes_of(model, [sentence]))
    if model.checkpoint is not None:
        found.append(_keys(model.checkpoint, meta_graph))
    found.append(notes_item(meta_graph))
    return found


def _training_items(model: Model) -> list[Item]:
    found = [] if model.checkpoint is None else checkpoint_items(model.checkpoint)
    if model.checkpoint_files:
        files = model.checkpoint_files[::-1]
        notes = [item for item in found if item.label == NOTES]
        found.insert(
            len(found) - len(notes),
            _section(
                "Checkpoints",
                f"{len(files):,}",
                "The checkpoints in this folder, newest first.",
                Listed(lambda _: files, lambda file: _checkpoint(model, file)),
            ),
        )
    return found


# -- signatures --


def _signatures(meta_graph: MetaGraph) -> Item:
    return _counted(
        "Signatures",
        len(meta_graph.signatures),
        "What the model takes and gives, by the names that a client uses.",
        "No signatures: a GraphDef has none; its placeholders are what it takes."
        if meta_graph.is_lone_graph
        else _nothing(
            meta_graph, "signatures", "No signature: the model was saved without one, so nothing can be called by name."
        ),
        Listed(
            lambda _: meta_graph.signatures,
            lambda signature: _signature(meta_graph, signature),
            lambda found, name: _place_in_names([signature.name for signature in found], name),
        ),
    )


def _signature(meta_graph: MetaGraph, signature: Signature) -> Item:
    rows = [(info, True) for info in signature.inputs] + [(info, False) for info in signature.outputs]

    def find(cancel: Cancel) -> list[tuple[TensorInfo, bool, InputSpec | None]]:
        specs = {spec.input: spec for spec in input_specs(meta_graph, signature, cancel)}
        return [(info, is_input, specs.get(info.name) if is_input else None) for info, is_input in rows]

    def make(row: tuple[TensorInfo, bool, InputSpec | None]) -> Item:
        info, is_input, spec = row
        return Item(
            "input" if is_input else "output",
            info.name,
            TensorInfoSubject(meta_graph, signature, info, is_input),
            _features(spec) if spec is not None and spec.features else None,
            dtype=info.dtype or None,
            shape=info.shape,
            has_shape=info.dtype != 0,
            note="" if info.dtype else "an operation, no value",
        )

    subject = SignatureSubject(meta_graph, signature)
    return Item("signature", signature.name, subject, Listed(find, make) if rows else None)


def _features(spec: InputSpec) -> Children:
    def make(feature: Feature) -> Item:
        subject = SectionSubject(feature.name, feature_sentence(spec, feature))
        kind = feature.kind if feature.part == EXAMPLE else f"{feature.kind}, {feature.part.replace('_', ' ')}"
        note = f"{kind}, required" if feature.required else kind
        return Item("feature", feature.name, subject, None, feature.dtype, feature.shape, True, note)

    return Listed(lambda _: spec.features, make)


# -- variables --


def _variables(meta_graph: MetaGraph) -> Item:
    sized = sorted(zip(meta_graph.variables, meta_graph.sizes, strict=True), key=lambda pair: pair[0].name)
    found = [variable for variable, _ in sized]

    def leaf(position: int, label: str, below: Children | None) -> Item:
        return variable_item(meta_graph, found[position], label, below)

    sizes = [size for _, size in sized]
    total = sum(size[0] for size in sizes)
    return _counted(
        "Variables",
        len(found),
        f"{text.plural(len(found), 'variable')} with {text.count(total)} parameters in all.",
        _nothing(meta_graph, "variables", "No variables: all values are constants of the graph."),
        Scoped([variable.name for variable in found], "variable", leaf, lambda: sizes).root(),
        note=f"{len(found):,} · {text.short_count(total)}",
    )


# -- graph and functions --


def _graph(meta_graph: MetaGraph) -> Item:
    count = len(meta_graph.raw_nodes)
    return _counted(
        "Graph",
        count,
        f"The main graph: {text.plural(count, 'node')}, by scope.",
        _nothing(meta_graph, "nodes", "The main graph has no nodes."),
        Deferred(lambda cancel: nodes_by_scope(meta_graph, meta_graph.graph, None, cancel)),
        note=text.plural(count, "node"),
    )


def nodes_by_scope(meta_graph: MetaGraph, graph: Graph, function: str | None, cancel: Cancel = None) -> Children:
    """The nodes of a graph, by scope."""
    graph.load(cancel)

    def leaf(position: int, label: str, below: Children | None) -> Item:
        return node_item(meta_graph, graph, function, graph.order[position], label, below)

    return Scoped(graph.sorted_names, "node", leaf).root()


def _functions(meta_graph: MetaGraph) -> Item:
    functions = meta_graph.functions
    return _counted(
        "Functions",
        len(functions),
        f"{text.plural(len(functions), 'function')} with {text.plural(functions.num_nodes, 'node')} in all.",
        _nothing(meta_graph, "functions", "No functions in this graph."),
        Listed(
            lambda _: sorted(functions.names, key=natural_key),
            lambda name: _function(meta_graph, name),
            _place_in_names,
        ),
    )


def _place_in_names(names: Sequence[str], name: str) -> int | None:
    return names.index(name) if name in names else None


def _function(meta_graph: MetaGraph, name: str) -> Item:
    return Item(
        "function",
        name,
        FunctionSubject(meta_graph, name),
        Deferred(lambda cancel: _function_children(meta_graph, name, cancel)),
        note=text.label(meta_graph.function_aliases[name]) if name in meta_graph.function_aliases else "",
    )


def _function_children(meta_graph: MetaGraph, name: str, cancel: Cancel) -> Children:
    return fixed(_function_items(meta_graph, name))


def function_items(meta_graph: MetaGraph, name: str) -> list[Item]:
    """The first level of the tree of a function that was entered: itself, its arguments, its body.

    Raises:
        NotFoundError: there is no such function.
    """
    return [replace(_function(meta_graph, name), children=None), *_function_items(meta_graph, name)]


def _function_items(meta_graph: MetaGraph, name: str) -> list[Item]:
    function = meta_graph.functions.get(name)
    if function is None:
        raise NotFoundError(f"there is no function {text.label(name)}", path=meta_graph.path)
    rows = [
        Item(
            "input" if is_input else "output",
            argument.name,
            ArgumentSubject(meta_graph, name, argument, is_input),
            dtype=argument.dtype or None,
            shape=argument.shape,
            has_shape=argument.shape_stored,
        )
        for arguments, is_input in ((function.inputs, True), (function.outputs, False))
        for argument in arguments
    ]
    body = _counted(
        "Nodes",
        len(function.graph),
        f"The function's body: {text.plural(len(function.graph), 'node')}, by scope.",
        "The function's body is empty: it returns its arguments.",
        Deferred(lambda cancel: nodes_by_scope(meta_graph, function.graph, name, cancel)),
    )
    return [*rows, body]


# -- objects --


def _saved_objects(meta_graph: MetaGraph) -> Item:
    objects = meta_graph.objects
    if objects is None:
        without = "a GraphDef has none" if meta_graph.is_lone_graph else "this is a TensorFlow 1 export"
        why = "it is damaged" if meta_graph.objects_damaged else without
        sentence = f"No object graph: {why}."
        if not meta_graph.is_lone_graph and not meta_graph.objects_damaged:
            sentence = _nothing(meta_graph, "objects", sentence)
        return _section("Objects", "none", sentence, None)
    return _objects(objects, meta_graph, None)


def _objects(objects: ObjectGraph, meta_graph: MetaGraph | None, checkpoint: Checkpoint | None) -> Item:
    def below(node_id: int, above: frozenset[int]) -> Children:
        inside = above | {node_id}

        def find(cancel: Cancel) -> list[tuple[str, int, frozenset[int]]]:
            found = objects.object(node_id).children
            return [(*child, inside) for child in sorted(found, key=lambda child: natural_key(child[0]))]

        return Listed(find, make)

    def make(row: tuple[str, int, frozenset[int]]) -> Item:
        name, node_id, above = row
        kind, label, num_children = objects.head(node_id)
        # An object that is its own ancestor would unfold without end.
        seen = node_id in above
        children = below(node_id, above) if num_children and not seen else None
        note = "see above" if seen else text.visible(label) or kind.replace("_", " ")
        return Item("object", name, ObjectSubject(objects, node_id, meta_graph, checkpoint), children, note=note)

    return _counted(
        "Objects",
        len(objects),
        f"{text.plural(len(objects), 'object')}: what the Python objects were when they were saved.",
        "The object graph is empty.",
        below(0, frozenset()),
    )


# -- assets --


def _assets(meta_graph: MetaGraph) -> Item:
    assets = meta_graph.assets
    return _counted(
        "Assets",
        len(assets),
        f"{text.plural(len(assets), 'file')} that the graph reads: vocabularies and the like.",
        "No assets: a GraphDef names none."
        if meta_graph.is_lone_graph
        else _nothing(meta_graph, "assets", "No assets: the graph reads no files."),
        Listed(
            lambda _: assets,
            lambda asset: Item(
                "asset",
                asset.name,
                AssetSubject(meta_graph, asset),
                note="missing" if asset.nbytes is None else text.size(asset.nbytes),
            ),
        ),
    )


# -- checkpoints --


def checkpoint_items(checkpoint: Checkpoint) -> list[Item]:
    """The headings of one checkpoint."""
    remarks = [] if checkpoint.objects_pending else object_graph_notes(checkpoint)
    folders = [os.path.dirname(checkpoint.index_path)]
    return [
        *(note_item(sentence, folders) for sentence in remarks),
        _keys(checkpoint, None),
        *_checkpoint_objects(checkpoint),
        *([] if checkpoint.is_v1 else [checkpoint_notes_item(checkpoint)]),
    ]


def _checkpoint_objects(checkpoint: Checkpoint) -> list[Item]:
    """The heading of the object graph; none where it is damaged, for which there is a note."""
    if checkpoint.objects_pending:

        def build(cancel: Cancel) -> Children:
            objects = checkpoint.objects
            children = _objects(objects, None, checkpoint).children if objects is not None else None
            return children or fixed([])

        return [_section("Objects", "counting …", "A large object graph: it is being read.", Deferred(build))]
    try:
        objects = checkpoint.objects
    except ModelError:
        return []
    if objects is None:
        return [_section("Objects", "none", "No object graph: this checkpoint was saved by names.", None)]
    return [_objects(objects, None, checkpoint)]


def _keys(checkpoint: Checkpoint, meta_graph: MetaGraph | None) -> Item:
    if not checkpoint.bundle.loaded:

        def build(cancel: Cancel) -> Children:
            checkpoint.bundle.load(cancel)
            return _keys_by_scope(checkpoint, meta_graph)

        return _section("Keys", "counting …", "A large index: its names are being read.", Deferred(build))
    count = len(checkpoint.keys)
    return _counted(
        "Keys",
        count,
        f"{text.plural(count, 'key')} of {text.label(os.path.basename(checkpoint.index_path))}, by scope.",
        "This checkpoint holds no keys.",
        _keys_by_scope(checkpoint, meta_graph),
    )


def _keys_by_scope(checkpoint: Checkpoint, meta_graph: MetaGraph | None) -> Children:
    # Bundles sort by bytes, which differs from `str` order only where a key is not UTF-8.
    keys = checkpoint.keys
    if not all(map(str.isascii, keys)):
        keys = sorted(keys)

    def leaf(position: int, label: str, below: Children | None) -> Item:
        return key_item(checkpoint, meta_graph, keys[position], label, below)

    def sizes() -> list[tuple[int, int]]:
        found = {
            key: (head.elements, size)
            for batch in checkpoint.iter_batches()
            for key, head, size in zip(batch.keys, batch.heads, batch.sizes, strict=True)
            if head is not None
        }
        return [found.get(key) or _size_of(checkpoint, key) for key in keys]

    return Scoped(keys, "key", leaf, sizes if len(keys) <= _SIZED_KEYS else None).root()


def _size_of(checkpoint: Checkpoint, key: str) -> tuple[int, int]:
    """Elements and bytes of a key's value; nothing for a damaged entry."""
    try:
        stored = checkpoint.stored(key)
    except ModelError:
        return 0, 0
    return stored.elements or 0, stored.nbytes


def _checkpoint(model: Model, file: CheckpointFile) -> Item:
    def build(cancel: Cancel) -> Children:
        return fixed(checkpoint_items(model.open_checkpoint(file.prefix, cancel)))

    subject = CheckpointSubject(model, file)
    label = os.path.basename(file.prefix) or ".index"
    return Item("checkpoint", label, subject, Deferred(build), note="latest" if file.latest else "")
