"""Checkpoints: keys, dtypes, shapes, checksums, every value bit by bit, and the object graph."""

from __future__ import annotations

import os
from typing import Any

from oracle.sheet import Sheet, Tally
from tfexplore.core.checkpoint import OBJECT_GRAPH_KEY, Checkpoint
from tfexplore.core.objects import ObjectGraph
from tfexplore.core.statistics import statistics
from tfexplore.core.tensor_source import KeySource
from tfexplore.errors import ModelError
from tfexplore.formats import dtypes


def compare_checkpoint(sheet: Sheet, ours: Checkpoint, theirs: str, tf: Any) -> None:
    """All that a checkpoint holds.

    Args:
        theirs: the prefix that TensorFlow reads.
    """
    if ours.is_v1 and not os.path.exists(theirs):
        theirs += "-?????-of-?????"
    reader = tf.train.load_checkpoint(theirs)
    their_shapes = reader.get_variable_to_shape_map()
    their_dtypes = reader.get_variable_to_dtype_map()
    sheet["keys"].same_items("keys", ours.keys, sorted(their_shapes, key=str.encode))
    for key in ours.keys:
        if key not in their_shapes:
            continue
        try:
            entry = ours.entry(key)
        except ModelError as error:
            sheet["keys"].holds(key, False, f"cannot be read: {error}")
            continue
        sheet["keys"].same(f"dtype of {key}", dtypes.name(entry.dtype), their_dtypes[key].name)
        sheet["keys"].same(f"shape of {key}", list(entry.shape), their_shapes[key])
        sheet["checksums"].same(f"checksum of {key}", ours.bundle.checksum(entry), "good")
        if entry.dtype == dtypes.VARIANT:
            sheet["values"].skip("TensorFlow cannot read a variant as a value")
            continue
        value = ours.bundle.read(entry)
        sheet["checksums"].same(f"checksum of {key}, read as a whole", value.checksum, "good")
        their_value = reader.get_tensor(key)
        same_bits(sheet["values"], f"value of {key}", value.array, their_value)
        _compare_statistics(sheet["values"], ours, key, their_value)
    if OBJECT_GRAPH_KEY in their_shapes:
        from tensorflow.core.protobuf import trackable_object_graph_pb2

        message = trackable_object_graph_pb2.TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH_KEY))
        objects = ours.objects
        if sheet["objects"].holds("the checkpoint's object graph", objects is not None, "there is none"):
            _compare_objects(sheet["objects"], objects, message)
    else:
        sheet["objects"].same("the checkpoint's object graph", ours.objects, None)


def _compare_statistics(tally: Tally, ours: Checkpoint, key: str, theirs: Any) -> None:
    """The value piece by piece, and its statistics with numpy's in float64 on TensorFlow's value."""
    import numpy as np

    source = KeySource(ours, key)
    pieces = [piece.reshape(-1) for piece in source.pieces()]
    whole = np.concatenate(pieces) if pieces else np.empty(0, dtypes.numpy_dtype(source.dtype))
    same_bits(tally, f"pieces of {key}", whole.reshape(source.shape), theirs)
    found = statistics(source, threads=2)
    tally.same(f"checksum of {key}, read piece by piece", found.checksum, "good")
    if found.strings is not None:
        lengths = [len(item) for item in np.asarray(theirs, object).reshape(-1).tolist()]
        tally.same(f"lengths of {key}", found.strings.total, sum(lengths))
        return
    with np.errstate(all="ignore"):
        wide = np.abs(theirs) if np.iscomplexobj(theirs) else np.asarray(theirs).astype(np.float64)
        flat = np.asarray(wide, np.float64).reshape(-1)
        finite = flat[np.isfinite(flat)]
        counts = (np.isnan(flat).sum(), np.isinf(flat).sum(), (flat == 0).sum())
    tally.same(f"NaN, infinities and zeros of {key}", [found.nan, found.inf, found.zeros], [int(n) for n in counts])
    if not finite.size:
        tally.same(f"mean of {key}", found.mean, None)
        return
    scale = float(np.abs(finite).max())
    for what, mine, wanted in (
        ("min", found.minimum, finite.min()),
        ("max", found.maximum, finite.max()),
        ("mean", found.mean, finite.mean()),
        ("std", found.std, finite.std()),
    ):
        near = mine is not None and abs(float(mine) - float(wanted)) <= 1e-6 * scale
        tally.holds(f"{what} of {key}", near, f"{mine} is not {wanted}")


def same_bits(tally: Tally, where: str, ours: Any, theirs: Any) -> bool:
    """Two values: shape, and every element bit by bit (so a NaN equals itself), strings byte by byte."""
    import numpy as np

    # A lone `bytes` must not become a numpy string, which drops zero bytes at the end.
    ours, theirs = (
        np.array(value, object) if isinstance(value, bytes) else np.asarray(value) for value in (ours, theirs)
    )
    if not tally.same(f"shape of the {where}", ours.shape, theirs.shape):
        return False
    if ours.dtype.kind in "OS" or theirs.dtype.kind in "OSU":
        return tally.same(where, ours.reshape(-1).tolist(), theirs.reshape(-1).tolist())
    # TensorFlow's quantized types are structured numpy types with one field of the type that we have.
    if theirs.dtype.names:
        theirs = theirs.view(theirs.dtype[0])
    if not tally.same(f"numpy type of the {where}", ours.dtype.newbyteorder("="), theirs.dtype.newbyteorder("=")):
        return False
    size = ours.dtype.itemsize
    mine, other = np.ascontiguousarray(ours).tobytes(), np.ascontiguousarray(theirs).tobytes()
    if mine == other:
        return tally.holds(where, True, "")
    wrong = [
        n for n in range(len(other) // size) if mine[n * size : (n + 1) * size] != other[n * size : (n + 1) * size]
    ]
    first = wrong[0]
    return tally.holds(
        where,
        False,
        f"{len(wrong):,} of {ours.size:,} elements differ, the first at flat index {first}: "
        f"{ours.reshape(-1)[first]!r}, TensorFlow: {theirs.reshape(-1)[first]!r}",
    )


def _compare_objects(tally: Tally, ours: ObjectGraph, theirs: Any) -> None:
    tally.same("checkpoint objects", len(ours), len(theirs.nodes))
    for node_id, message in enumerate(theirs.nodes):
        if node_id >= len(ours):
            break
        where = f"checkpoint object {node_id}"
        found = ours.object(node_id)
        tally.same(f"children of {where}", list(found.children), [(c.local_name, c.node_id) for c in message.children])
        tally.same(
            f"values of {where}",
            [(part.name, part.full_name, part.key) for part in found.tensors],
            [(part.name, part.full_name, part.checkpoint_key) for part in message.attributes],
        )
        tally.same(
            f"slots of {where}",
            [(slot.name, slot.original, slot.slot) for slot in found.slots],
            [
                (slot.slot_name, slot.original_variable_node_id, slot.slot_variable_node_id)
                for slot in message.slot_variables
            ],
        )
