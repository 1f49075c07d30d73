"""Models that are tuned in tests, written by TensorFlow, and data for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

ROWS = 50


def write_all(tf: Any, folder: Path) -> None:
    """`basic/`, `dense/`, `normed/`, `states/`, `tables/`, `session/`, and rows for them in `rows.npz`."""
    rng = np.random.default_rng(7)

    class Basic(tf.Module):
        """Without signatures, and its root is callable."""

        def __init__(self) -> None:
            self.v = tf.Variable(1.0)

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return x * self.v

    tf.saved_model.save(Basic(), str(folder / "basic"))

    class Dense(tf.Module):
        """Trainable layers, a frozen one, one that no gradient reaches, one that is a whole number."""

        def __init__(self) -> None:
            self.table = tf.Variable(rng.normal(size=(10, 4)).astype("float32"), name="table")
            self.first = tf.Variable(rng.normal(size=(7, 8)).astype("float32"), name="first")
            self.bias = tf.Variable(np.zeros(8, "float32"), name="bias")
            self.second = tf.Variable(rng.normal(size=(8, 1)).astype("float32"), name="second")
            self.frozen = tf.Variable(np.full(8, 0.5, "float32"), trainable=False, name="frozen")
            self.rounded = tf.Variable(1.25, name="rounded")
            self.count = tf.Variable(3, name="count")

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 3], tf.float32, name="x"),
                tf.TensorSpec([None], tf.int64, name="id"),
            ]
        )
        def serve(self, x: Any, id: Any) -> Any:
            both = tf.concat([x, tf.gather(self.table, id)], 1)
            hidden = tf.nn.relu(tf.matmul(both, self.first) + self.bias) * self.frozen
            y = tf.matmul(hidden, self.second) + tf.round(self.rounded) * tf.cast(self.count, tf.float32)
            return {"y": y, "hidden": hidden}

    dense = Dense()
    tf.saved_model.save(dense, str(folder / "dense"), signatures=dense.serve)

    class Normed(tf.Module):
        """A moving average that the training trace changes itself."""

        def __init__(self) -> None:
            self.w = tf.Variable(np.ones(3, "float32"), name="w")
            self.mean = tf.Variable(np.zeros(3, "float32"), trainable=False, name="mean")

        @tf.function
        def __call__(self, x: Any, training: bool = False) -> Any:
            if training:
                self.mean.assign(self.mean * 0.9 + tf.reduce_mean(x, 0) * 0.1)
                return tf.reduce_sum((x - tf.reduce_mean(x, 0)) * self.w, 1)
            return tf.reduce_sum((x - self.mean) * self.w, 1)

    normed = Normed()
    for training in (False, True):
        normed.__call__.get_concrete_function(tf.TensorSpec([None, 3], tf.float32, name="x"), training=training)
    tf.saved_model.save(normed, str(folder / "normed"))

    class States(tf.Module):
        """What it gives hangs on how often it was called."""

        def __init__(self) -> None:
            self.w = tf.Variable(np.ones(3, "float32"), name="w")
            self.state = tf.Variable(0.0, trainable=False, name="state")

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
        def __call__(self, x: Any) -> Any:
            return tf.reduce_sum(x * self.w, 1) + self.state.assign_add(1.0)

    tf.saved_model.save(States(), str(folder / "states"))

    class Tables(tf.Module):
        """Words through a vocabulary to an embedding."""

        def __init__(self) -> None:
            words = tf.constant(["red", "green", "blue"])
            self.table = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(words, tf.range(3, dtype=tf.int64)), 3
            )
            self.embedding = tf.Variable(rng.normal(size=(4, 2)).astype("float32"), name="embedding")

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="word")])
        def serve(self, word: Any) -> Any:
            return {"y": tf.reduce_sum(tf.gather(self.embedding, self.table.lookup(word)), 1)}

    tables = Tables()
    tf.saved_model.save(tables, str(folder / "tables"), signatures=tables.serve)

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        w = v1.get_variable("w", initializer=2.0, use_resource=True)
        y = tf.multiply(x, w, name="y")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder / "session"), {"x": x}, {"y": y})

    x = rng.normal(size=(ROWS, 3)).astype("float32")
    id_ = rng.integers(0, 10, ROWS)
    word = np.array(["red", "green", "blue", "none"])[rng.integers(0, 4, ROWS)]
    np.savez(folder / "rows.npz", x=x, id=id_, label=(x.sum(1) + id_ / 5).astype("float32"), up=(x[:, 0] > 0) * 1)
    lines = [f"{one},{two}" for one, two in zip(word, x[:, 0], strict=True)]
    (folder / "words.csv").write_text("\n".join(["word,label", *lines]) + "\n")
    (folder / "done").touch()
