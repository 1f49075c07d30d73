"""One MetaGraph: graph, functions, signatures, objects, variables and assets, each read on demand.

What only some answers need is imported with them: a summary takes as long as its imports.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from tfexplore.core import text
from tfexplore.core import variables as variable_join
from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.functions import Functions
from tfexplore.core.objects import ObjectGraph, saved_object_graph
from tfexplore.core.sidecars import Sidecars
from tfexplore.core.signatures import Signature, signatures, tensor_info
from tfexplore.core.variables import Variable
from tfexplore.errors import CorruptError
from tfexplore.formats import parts, wire
from tfexplore.formats.proto import DecodeError, lean
from tfexplore.formats.salvage import damaged_nodes
from tfexplore.formats.saved_model import asset_path

if TYPE_CHECKING:
    from tfexplore.core.graph import Graph
    from tfexplore.core.joins import Joins
    from tfexplore.core.op_defs import OpDefs

# So many nodes are looked at for a note (1 ms for 2,000).
_FEW_NODES = 4096


class Asset(NamedTuple):
    """One file of the assets folder.

    Attributes:
        name: as AssetFileDef names it, relative to the assets folder.
        tensor: the tensor of the main graph that is fed its path; None where none is named.
        path: where it lies; None where the name leads out of the folder.
        nbytes: None where the file is missing.
    """

    name: str
    tensor: str | None
    path: str | None
    nbytes: int | None


class Saver(NamedTuple):
    """The SaverDef: the tensor that is fed the checkpoint's name, the one that saves, and the op that restores."""

    filename: str
    save: str
    restore: str


class MetaGraph:
    """One MetaGraphDef.

    Args:
        message: the lean MetaGraphDef.
        path: the file it came from, for errors.
        folder: the SavedModel's folder, where its assets lie; None for a lone MetaGraph.
        checkpoint: what holds its variables' values, if anything.
        graph_def: its graph, where that is a message of its own.
        is_broken: whether parts of the file are missing, so that what is not there may have been.
    """

    def __init__(
        self,
        message: Any,
        *,
        path: str,
        folder: str | None,
        checkpoint: Checkpoint | None,
        graph_def: Any | None = None,
        is_broken: bool = False,
    ) -> None:
        self.is_broken = is_broken
        self._message = message
        self._graph_def = message.graph_def if graph_def is None else graph_def
        self.folder = folder
        self.path = path
        self.checkpoint = checkpoint

    @property
    def is_lone_graph(self) -> bool:
        """Whether it is a GraphDef, which has no signatures, objects or assets."""
        return self._graph_def is not self._message.graph_def and not self._message.HasField("meta_info_def")

    @property
    def tags(self) -> tuple[str, ...]:
        """The tag-set, in stored order."""
        return tuple(map(text.decode, self._message.meta_info_def.tags))

    @property
    def tensorflow_version(self) -> str:
        """The version of TensorFlow that wrote it; empty where it does not say."""
        return text.decode(self._message.meta_info_def.tensorflow_version)

    @property
    def raw_nodes(self) -> Any:
        """The main graph's nodes, serialized."""
        return self._graph_def.node

    @cached_property
    def op_defs(self) -> OpDefs:
        """Where the OpDefs of this MetaGraph's nodes are looked up."""
        from tfexplore.core.op_defs import OpDefs

        return OpDefs(self._message.meta_info_def.stripped_op_list.op, self.functions.signatures)

    @cached_property
    def functions(self) -> Functions:
        """The function library."""
        return Functions(self._graph_def.library.function, lambda: self.op_defs, path=self.path)

    @cached_property
    def graph(self) -> Graph:
        """The main graph."""
        from tfexplore.core.graph import Graph

        return Graph(self.raw_nodes, self.op_defs, path=self.path)

    @cached_property
    def _read_signatures(self) -> tuple[tuple[Signature, ...], tuple[str, ...]]:
        return signatures(self._message.signature_def, path=self.path)

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """The signatures that can be read, `serving_default` first."""
        return self._read_signatures[0]

    @cached_property
    def _read_objects(self) -> tuple[ObjectGraph | None, tuple[str, ...]]:
        raw = self._message.object_graph_def
        if not raw:
            return None, ()
        try:
            objects = saved_object_graph(raw, path=self.path)
        except CorruptError as error:
            return None, (f"the object graph cannot be read: {error}",)
        return objects, tuple(objects.damaged)

    @property
    def objects(self) -> ObjectGraph | None:
        """The object graph; None for a TensorFlow 1 export, and where it is damaged (see `damage`)."""
        return self._read_objects[0]

    @property
    def objects_damaged(self) -> bool:
        """Whether there is an object graph that cannot be read."""
        return self.objects is None and bool(self._read_objects[1])

    @property
    def damage(self) -> tuple[str, ...]:
        """A sentence for each part that cannot be read, and one for all nodes that cannot."""
        return (*self._damaged_nodes, *self._read_signatures[1], *self.functions.damaged, *self._read_objects[1])

    @property
    def _damaged_nodes(self) -> tuple[str, ...]:
        """Of a large graph it is known once its nodes were loaded."""
        damaged: list[int] | None = self.graph.damaged if "graph" in self.__dict__ else None
        if damaged is None:
            damaged = self._damaged_few
        if not damaged:
            return ()
        named = ", ".join(f"(damaged node {position})" for position in damaged[:3])
        more = f" and {len(damaged) - 3:,} more" if len(damaged) > 3 else ""
        total = text.plural(len(self.raw_nodes), "node")
        return (f"{self.path}: {len(damaged):,} of {total} cannot be read: {named}{more}",)

    @cached_property
    def _damaged_few(self) -> list[int]:
        return damaged_nodes(self.raw_nodes) if len(self.raw_nodes) <= _FEW_NODES else []

    @cached_property
    def collections(self) -> dict[str, Any]:
        """CollectionDef messages by name; those that cannot be decoded, or only at any cost, are left out."""
        found = {}
        for entry in self._message.collection_def:
            try:
                parts.check_parts("CollectionDef", entry.value, path=self.path)
                found[text.decode(entry.key)] = lean("CollectionDef").FromString(entry.value)
            except (CorruptError, DecodeError):
                continue
        return found

    @property
    def saver(self) -> Saver:
        """What saves and restores the variables; empty names where there is nothing."""
        saver = self._message.saver_def
        names = (saver.filename_tensor_name, saver.save_tensor_name, saver.restore_op_name)
        return Saver(*map(text.decode, names))

    @property
    def gradients(self) -> tuple[tuple[str, str], ...]:
        """Functions with the function that is their gradient (GradientDef)."""
        return _pairs(self._graph_def.library.gradient)

    @property
    def registered_gradients(self) -> tuple[tuple[str, str], ...]:
        """Types of ops with the function that is their gradient (RegisteredGradient)."""
        return tuple((op, function) for function, op in _pairs(self._graph_def.library.registered_gradients))

    @cached_property
    def sidecars(self) -> Sidecars:
        """What lies beside `saved_model.pb`."""
        return Sidecars(self.folder, self._message.graph_def.debug_info, path=self.path)

    @cached_property
    def joins(self) -> Joins:
        """Which variable stands behind which node."""
        from tfexplore.core.joins import Joins

        return Joins(self)

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """The variables, in stored order."""
        return variable_join.variables(self, self.checkpoint)

    def is_used(self, variable: Variable) -> bool | None:
        """Whether any function captures the variable; None where none captures any, so that nothing tells.

        Keras 3 stores each variable twice, and an optimizer's slots belong to no function.
        """
        return bool(variable.functions) if self._captures else None

    @cached_property
    def _captures(self) -> bool:
        return any(variable.functions for variable in self.variables)

    @cached_property
    def counted_variables(self) -> tuple[Variable, ...]:
        """The variables that count as the model's: those that a function captures, else all."""
        return tuple(variable for variable in self.variables if self.is_used(variable) is not False)

    @cached_property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Parameters and bytes of each variable, in the order of `variables`.

        Each stored value counts once, with the first variable that has it: a second object for it counts nothing, and
        neither does what no function captures. Parts of a partitioned variable share a key, and each counts as itself.
        """
        counted: set[str] = set()
        found = []
        for variable in self.variables:
            again = variable.object_id is not None and variable.key in counted
            if again or self.is_used(variable) is False:
                found.append((0, 0))
                continue
            if variable.key is not None:
                counted.add(variable.key)
            found.append((variable.parameters, variable.nbytes or 0))
        return tuple(found)

    @cached_property
    def _node_of_object(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for name, node_id in self.joins.main_nodes.items():
            found.setdefault(node_id, name)  # the node that functions use comes first
        return found

    def node_of(self, variable: Variable) -> str | None:
        """The name of a variable's node in the main graph, where that is known."""
        if variable.object_id is None:
            return variable.node
        return self._node_of_object.get(variable.object_id)

    def object_path(self, variable: Variable) -> str | None:
        """A variable's path in the object graph (TensorFlow 2)."""
        if variable.object_id is None or self.objects is None:
            return None
        return self.objects.path(variable.object_id)

    @cached_property
    def function_aliases(self) -> dict[str, str]:
        """The alias that the exporter gave to each function."""
        return {
            text.decode(alias.key): text.decode(alias.value) for alias in self._message.meta_info_def.function_aliases
        }

    @cached_property
    def assets(self) -> tuple[Asset, ...]:
        """The files that AssetFileDefs name, in stored order."""
        found = []
        for definition in self._message.asset_file_def:
            name = text.decode(definition.filename)
            tensor = tensor_info("", definition.tensor_info).tensor
            path = asset_path(self.folder, name) if self.folder is not None else None
            found.append(Asset(name, tensor or None, path, _file_size(path)))
        if found or "saved_model_assets" not in self.collections:
            return tuple(found)
        return tuple(self._collection_assets())

    def _collection_assets(self) -> list[Asset]:
        """TensorFlow before 1.10 kept AssetFileDefs in a collection, as Any messages."""
        found: list[Asset] = []
        message = self.collections["saved_model_assets"]
        if message.WhichOneof("kind") != "any_list":
            return found
        for raw in message.any_list.value:
            try:
                packed = wire.decode(lean("Any"), raw, path=self.path, what="Any", offset=None)
                definition = wire.decode(
                    lean("AssetFileDef"), packed.value, path=self.path, what="AssetFileDef", offset=None
                )
            except CorruptError:
                continue
            name = text.decode(definition.filename)
            path = asset_path(self.folder, name) if self.folder is not None else None
            found.append(Asset(name, text.decode(definition.tensor_info.name) or None, path, _file_size(path)))
        return found


def _pairs(raw: Sequence[bytes]) -> tuple[tuple[str, str], ...]:
    """Messages of two names, in fields 1 and 2."""
    found = []
    for part in raw:
        try:
            entry = lean("Entry").FromString(part)
        except DecodeError:
            continue
        found.append((text.decode(entry.key), text.decode(entry.value)))
    return tuple(found)


def _file_size(path: str | None) -> int | None:
    if path is None:
        return None
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return None
