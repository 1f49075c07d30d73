"""What signatures take and give, of TensorFlow 2's functions and of SignatureDefs."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from . import tensors


def of_function(function: Any) -> dict[str, Any]:
    """A signature of restored objects: inputs and outputs, each {name: {"dtype", "shape"}}."""
    return {
        "inputs": {name: _spec(spec) for name, spec in function.structured_input_signature[1].items()},
        "outputs": {name: _spec(spec) for name, spec in dict(function.structured_outputs).items() if spec is not None},
    }


def _spec(spec: Any) -> dict[str, Any]:
    return {"dtype": spec.dtype.name, "shape": tensors.dims(spec.shape)}


def of_def(signature: Any, graph: Any) -> dict[str, Any]:
    """A SignatureDef, likewise; the parts of a composite tensor are entries of their own.

    The graph's own tensors count: what a SignatureDef says of them may be wrong, and of parts it says nothing.
    """
    return {
        "inputs": {name: _info(tensor, info, graph) for name, tensor, info in parts(signature.inputs)},
        "outputs": {name: _info(tensor, info, graph) for name, tensor, info in parts(signature.outputs)},
    }


def _info(name: str, info: Any, graph: Any) -> dict[str, Any]:
    try:
        tensor = graph.get_tensor_by_name(name)
        return {"dtype": tensor.dtype.base_dtype.name, "shape": tensors.dims(tensor.shape)}
    except (KeyError, ValueError):  # the call will say that it is missing
        shape = tf.TensorShape(None if info.tensor_shape.unknown_rank else info.tensor_shape)
        return {"dtype": tf.dtypes.as_dtype(info.dtype).name if info.dtype else None, "shape": tensors.dims(shape)}


def parts(infos: Any) -> list[tuple[str, str, Any]]:
    """Name, tensor name and TensorInfo of each input or output of a SignatureDef."""
    found = []
    for name, info in sorted(infos.items()):
        kind = info.WhichOneof("encoding")
        if kind == "coo_sparse":
            sparse = info.coo_sparse
            found += [
                (f"{name}.indices", sparse.indices_tensor_name, info),
                (f"{name}.values", sparse.values_tensor_name, info),
                (f"{name}.dense_shape", sparse.dense_shape_tensor_name, info),
            ]
        elif kind == "composite_tensor":
            found += [(f"{name}.{at}", part.name, part) for at, part in enumerate(info.composite_tensor.components)]
        else:
            found.append((name, info.name, info))
    return found
