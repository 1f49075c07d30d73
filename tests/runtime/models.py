"""Small models for the runtime's tests, written by TensorFlow."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "bfloat16", "complex64", "complex128", "qint8", "quint8", "qint16", "quint16", "qint32", "string",
)  # fmt: skip


def write_all(tf: Any, folder: Path) -> None:
    """`functions/`, `loops/`, `files/`, `session/` (of TensorFlow 1), graphs, and a checkpoint with its MetaGraph."""

    class Encoder(tf.Module):
        def __init__(self) -> None:
            self.kernel = tf.Variable([[1.0, 2.0], [3.0, 4.0]], name="kernel")

        @tf.function
        def __call__(self, x: Any, training: bool = False) -> Any:
            product = tf.matmul(x, self.kernel, name="product")
            return product + 1.0 if training else product

        @tf.function
        def several(self, inputs: Any, scale: Any = 1.0) -> Any:
            total = inputs["a"] + tf.cast(inputs["b"][0], tf.float32)
            return {"sum": total * scale, "pair": (total, inputs["b"][1])}

    class Functions(tf.Module):
        def __init__(self) -> None:
            self.encoder = Encoder()
            self.layers = [Encoder()]
            self.named = {"first": Encoder()}

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        def serve(self, x: Any) -> Any:
            with tf.name_scope("head"):
                return {"y": tf.nn.relu(self.encoder(x), name="relu")}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
        def split(self, words: Any) -> Any:
            return tf.strings.split(words)

    model = Functions()
    batch = tf.TensorSpec([None, 2], tf.float32, name="x")
    for training in (False, True):
        model.encoder.__call__.get_concrete_function(batch, training=training)
    model.layers[0].__call__.get_concrete_function(batch)
    model.named["first"].__call__.get_concrete_function(batch)
    spec = {"a": tf.TensorSpec([2]), "b": [tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.string)]}
    model.encoder.several.get_concrete_function(spec, tf.TensorSpec([]))
    tf.saved_model.save(model, str(folder / "functions"), signatures={"serving_default": model.serve})

    class Loops(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.float32, name="x")])
        def forever(self, x: Any) -> Any:
            return {"y": tf.while_loop(lambda y: y >= x, lambda y: [y + 1.0], [x])[0]}

        @tf.function(input_signature=[tf.TensorSpec([], tf.int64, name="n")])
        def large(self, n: Any) -> Any:
            return {"y": tf.reduce_sum(tf.random.uniform([n]))}

    loops = Loops()
    tf.saved_model.save(loops, str(folder / "loops"), signatures={"forever": loops.forever, "large": loops.large})

    class Files(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="path")])
        def read(self, path: Any) -> Any:
            return {"data": tf.io.read_file(path)}

        @tf.function(input_signature=[tf.TensorSpec([], tf.string, name="path")])
        def write(self, path: Any) -> Any:
            with tf.control_dependencies([tf.io.write_file(path, "x")]):
                return {"done": tf.constant(True)}

    files = Files()
    tf.saved_model.save(files, str(folder / "files"), signatures={"read": files.read, "write": files.write})

    class Types(tf.Module):
        @tf.function
        def same(self, x: Any) -> Any:
            return x

    types = Types()
    for dtype in DTYPES:
        if hasattr(tf, dtype):
            types.same.get_concrete_function(tf.TensorSpec([2], getattr(tf, dtype)))
    tf.saved_model.save(types, str(folder / "types"))

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        w = v1.get_variable("w", initializer=2.0, use_resource=False)
        y = tf.add(x * w, 1.0, name="y")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder / "session"), {"x": x}, {"y": y})
        v1.train.Saver().save(session, str(folder / "training"))
        frozen = v1.graph_util.convert_variables_to_constants(session, session.graph_def, ["y"])
    (folder / "graph.pb").write_bytes(frozen.SerializeToString())
    (folder / "graph.pbtxt").write_text(str(frozen))
    for name in ("graph.pb", "graph.pbtxt"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    whole = (folder / "graph.pb.gz").read_bytes()
    (folder / "cut.pb.gz").write_bytes(whole[: len(whole) // 2])
    frozen.node[0].op = "Sentencepiece4Tokens"
    (folder / "unregistered.pb").write_bytes(frozen.SerializeToString())
    (folder / "done").touch()


if __name__ == "__main__":
    import tensorflow

    write_all(tensorflow, Path(sys.argv[1]))
