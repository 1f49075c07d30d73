"""Checkpoints of a run: `tf.train.Checkpoint(step, optimizer, net, data)`, written to and read from the scratch folder.

The child writes nowhere else: the explorer takes the files from here piece by piece and gives them so.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any, Optional

import tensorflow as tf

from . import tensors, tuning_variables
from .frames import Tensor
from .serve import Answer, Refused, Request
from .tuning import Tuning

_MAX_PIECE = 256 << 20
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "VARIABLE_VALUE"


class Files:
    """The scratch folder's checkpoint, one at a time."""

    def __init__(self) -> None:
        self._folder: Optional[str] = None

    def clear(self) -> None:
        """Takes it away."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _fresh(self) -> str:
        self.clear()
        self._folder = tempfile.mkdtemp(prefix="checkpoint-", dir=os.getcwd())
        return self._folder

    def path(self, name: Any) -> str:
        """The path of a file in it.

        Raises:
            Refused: that is no name of a file, or there is no folder.
        """
        if (
            self._folder is None
            or not isinstance(name, str)
            or os.path.basename(name) != name
            or name in ("", "..", ".")
        ):
            raise Refused("protocol", f"there is no file {name!r:.200} here")
        return os.path.join(self._folder, name)

    def save(self, tuning: Tuning) -> Answer:
        """Writes a checkpoint; answers `step`, `prefix` and `files`: [name, size] each."""
        folder = self._fresh()
        state = State(tuning)
        prefix = state.write(os.path.join(folder, "ckpt"))
        names = sorted(os.listdir(folder))
        files = [[name, os.path.getsize(os.path.join(folder, name))] for name in names]
        return {"step": tuning.step, "prefix": os.path.basename(prefix), "files": files}, []

    def read(self, request: Request) -> Answer:
        """A piece of a file: `name`, `offset`, `size` bytes of it at most."""
        offset, size = int(request.params.get("offset") or 0), int(request.params.get("size") or _MAX_PIECE)
        with open(self.path(request.params.get("name")), "rb") as file:
            file.seek(offset)
            data = file.read(min(size, _MAX_PIECE))
        return {}, [Tensor("piece", "uint8", (len(data),), data)]

    def take(self, request: Request) -> Answer:
        """Appends a tensor's bytes to the file `name`; `first` begins anew, with no file here."""
        if request.params.get("first"):
            self._fresh()
        with open(self.path(request.params.get("name")), "ab") as file:
            for one in request.tensors:
                file.write(one.data)
        return {}, []

    def restore(self, request: Request, tuning: Tuning) -> Answer:
        """Restores the checkpoint `prefix` of the files that were given."""
        prefix = self.path(request.params.get("prefix"))
        optimizer = tuning.optimizer
        before = tuning_variables.Loaded(
            [*(one.variable for one in tuning.variables), *optimizer.slots, *optimizer.variables]
        )
        try:
            return State(tuning).restore(prefix), []
        except BaseException:
            # A damaged value is found when others have been assigned.
            before.put_back()
            raise
        finally:
            self.clear()


class _Place(tf.Module):  # type: ignore[misc]
    """Where a run stands in its data."""

    def __init__(self, row: int, seed: int) -> None:
        super().__init__(name="data")
        self.row = tf.Variable(row, dtype=tf.int64, trainable=False, name="row")
        self.seed = tf.Variable(seed, dtype=tf.int64, trainable=False, name="seed")


class State:
    """What a checkpoint holds; `seed` is -1 where rows are not shuffled."""

    def __init__(self, tuning: Tuning) -> None:
        self._tuning = tuning
        self._step = tf.Variable(tuning.step, dtype=tf.int64, trainable=False, name="step")
        seed = tuning.batches.seed if tuning.batches is not None else None
        self._place = _Place(tuning.row, -1 if seed is None else seed)
        self._checkpoint = tf.train.Checkpoint(
            step=self._step, optimizer=tuning.optimizer, net=tuning.root, data=self._place
        )

    def write(self, prefix: str) -> str:
        """Writes it; the prefix that it was written to."""
        counter = self._checkpoint.save_counter
        counter.assign(self._tuning.step)
        return str(self._checkpoint.write(prefix))

    def restore(self, prefix: str) -> dict[str, Any]:
        """Restores what fits.

        Returns:
            `step`, `row`, `matched` (keys of the model's variables), `missing` (which it has no value for), `unused`
            (keys of the checkpoint that nothing here takes), `optimizer` (whether its state is from there), `whole`
            (whether it is a checkpoint of such a run).

        Raises:
            Refused: nothing of it fits, a shape or dtype differs, or it does not say where the run was.
        """
        reader = tf.train.load_checkpoint(prefix)
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        graph = _object_graph(reader, shapes)
        keys, whole = self._matched(graph, shapes)
        if not keys:
            raise Refused("nothing_matched", "no variable of the model has a value in this checkpoint")
        for key, stored in keys.items():
            _compare(self._by_key()[key], stored, shapes[stored], dtypes[stored])
        tuning = self._tuning
        has_optimizer = False
        if whole:
            self._checkpoint.restore(prefix).expect_partial()
            seed, row, step = (int(one.numpy()) for one in (self._place.seed, self._place.row, self._step))
            if row < 0 or step < 0:
                raise Refused("wrong_input", f"the checkpoint says step {step} and row {row}, which cannot be")
            tuning.resume(step, row, None if seed < 0 else seed)
            has_optimizer = _has_slots(tuning, shapes)
            if not has_optimizer:
                # Else it would count another optimizer's steps as its own.
                tuning.optimizer.reset([one.variable for one in tuning.trained])
        else:
            for key, stored in keys.items():
                variable = self._by_key()[key]
                variable.assign(reader.get_tensor(stored))
            tuning.hold()
        missing = [one.key for one in tuning.variables if one.key not in keys]
        used = set(keys.values())
        unused = sorted(
            key for key in shapes if key not in used and key != _GRAPH and not (whole and self._is_of_a_run(key))
        )
        return {
            "step": tuning.step,
            "row": tuning.row,
            "seed": tuning.batches.seed if tuning.batches is not None else None,
            "matched": sorted(keys),
            "missing": missing,
            "unused": unused[:1000],
            "optimizer": has_optimizer,
            "whole": whole,
        }

    def _is_of_a_run(self, key: str) -> bool:
        """Whether a run takes this key besides the model's."""
        names = self._tuning.optimizer.get_slot_names()
        is_slot = any(f"/.OPTIMIZER_SLOT/optimizer/{name}/" in key for name in names)
        return is_slot or key.startswith(("step/", "save_counter/", "data/", "optimizer/"))

    def _by_key(self) -> dict[str, Any]:
        return {one.key: one.variable for one in self._tuning.variables}

    def _matched(self, graph: Any, shapes: dict[str, Any]) -> tuple[dict[str, str], bool]:
        """The stored key of each of the model's variables, and whether the checkpoint is of such a run."""
        if graph is None:
            found = {}
            for one in self._tuning.variables:
                name = str(one.variable.name).partition(":")[0]
                stored = next((key for key in (one.key, name) if key in shapes), None)
                if stored is not None:
                    found[one.key] = stored
            return found, False
        top = {child.local_name: child.node_id for child in graph.nodes[0].children} if graph.nodes else {}
        if "net" in top and "step" in top:
            return self._walk(graph, top["net"]), True
        found = self._walk(graph, 0)
        for node in top.values():
            other = self._walk(graph, node)
            if len(other) > len(found):
                found = other
        return found, False

    def _walk(self, graph: Any, start: int) -> dict[str, str]:
        """The stored keys by the model's, along the names of children that both have."""
        keys = {id(one.variable): one.key for one in self._tuning.variables}
        found: dict[str, str] = {}
        seen = set()
        waiting = [(self._tuning.root, start)]
        while waiting:
            value, node_id = waiting.pop()
            if (id(value), node_id) in seen or not 0 <= node_id < len(graph.nodes):
                continue
            seen.add((id(value), node_id))
            node = graph.nodes[node_id]
            if id(value) in keys:
                for part in node.attributes:
                    if part.name == _VALUE:
                        found[keys[id(value)]] = part.checkpoint_key
                continue
            children = tuning_variables.children(value)
            both = [child for child in node.children if child.local_name in children]
            waiting += [(children[child.local_name], child.node_id) for child in both]
        return found


def _compare(variable: Any, stored: str, shape: Any, dtype: Any) -> None:
    wanted = tensors.dims(variable.shape)
    if list(shape) != wanted or dtype.base_dtype != variable.dtype.base_dtype:
        raise Refused(
            "wrong_input",
            f"{stored} is {dtype.name} {list(shape)} in the checkpoint, and {variable.dtype.base_dtype.name} {wanted} "
            "in the model",
        )


def _object_graph(reader: Any, shapes: dict[str, Any]) -> Any:
    if _GRAPH not in shapes:
        return None
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(reader.get_tensor(_GRAPH))
    return graph


def _has_slots(tuning: Tuning, shapes: dict[str, Any]) -> bool:
    names = tuning.optimizer.get_slot_names()
    own = ["iter", "momentum_cache"] if hasattr(tuning.optimizer, "momentum_cache") else ["iter"]
    return all(f"optimizer/{name}/.ATTRIBUTES/VARIABLE_VALUE" in shapes for name in own) and all(
        any(f"/.OPTIMIZER_SLOT/optimizer/{name}/" in key for key in shapes) for name in names
    )
