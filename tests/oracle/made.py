"""Models that TensorFlow writes for the tests, so that the comparison also runs where there is no corpus.

Every variable has values of its own: a join that takes the wrong key gives the wrong value.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

NAMES = (
    "module",
    "module-with-slots",
    "keras-export",
    "keras-with-optimizer",
    "session-two-tag-sets",
    "session-no-variables",
    "checkpoint-objects",
    "checkpoint-shards",
    "checkpoint-dtypes",
)
_NUMBERS = (
    "float32", "float64", "float16", "bfloat16", "float8_e5m2", "float8_e4m3fn", "int4", "uint4", "int8", "int16",
    "int32", "int64", "uint8", "uint16", "uint32", "uint64", "complex64", "complex128", "bool",
)  # fmt: skip
_written: dict[tuple[str, str], str] = {}


def make(name: str, folder: str, tf: Any) -> str:
    """Writes one of the models into a folder of its own name, once; what TensorFlow opens: a folder or a prefix."""
    if (name, folder) in _written:
        return _written[name, folder]
    makers: dict[str, Callable[[str, Any], str]] = {
        "module": _module,
        "module-with-slots": _module_with_slots,
        "keras-export": _keras_export,
        "keras-with-optimizer": _keras_with_optimizer,
        "session-two-tag-sets": _two_tag_sets,
        "session-no-variables": _no_variables,
        "checkpoint-objects": _checkpoint_objects,
        "checkpoint-shards": _checkpoint_shards,
        "checkpoint-dtypes": _checkpoint_dtypes,
    }
    made = os.path.join(folder, name)
    with _quiet_logs():
        return _written.setdefault((name, folder), makers[name](made, tf))


@contextmanager
def _quiet_logs() -> Iterator[None]:
    import logging

    log = logging.getLogger("tensorflow")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


# -- TensorFlow 2 --


def _module(path: str, tf: Any) -> str:
    """Variables of many dtypes in modules, lists and dicts; nested functions, loops, branches; a table and an asset;
    ragged, sparse and string inputs; two variables of one name."""
    vocabulary = f"{path}-words.txt"
    with open(vocabulary, "w", encoding="utf-8") as file:
        file.write("hello\nworld\n")

    class Layer(tf.Module):
        def __init__(self, scale: float, **options: Any) -> None:
            super().__init__(**options)
            self.kernel = tf.Variable(tf.reshape(tf.range(12.0), [3, 4]) * scale, name="kernel")
            self.bias = tf.Variable(tf.range(4.0) - scale, name="bias", trainable=False)

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return tf.matmul(x, self.kernel) + self.bias

    class Everything(tf.Module):
        def __init__(self) -> None:
            super().__init__(name="everything")
            self.layers = [Layer(0.5, name="a"), Layer(-2.0, name="b")]
            self.by_name = {
                "half": tf.Variable([1.5, -0.25, float("nan")], dtype=tf.float16, name="half"),
                "brain": tf.Variable([3.0, float("-inf")], dtype=tf.bfloat16, name="brain"),
                "double": tf.Variable(1e-300, dtype=tf.float64, name="double"),
                "int8": tf.Variable([[-128], [127]], dtype=tf.int8, name="int8"),
                "int32": tf.Variable([2**31 - 1, -7], dtype=tf.int32, name="int32"),
                "int64": tf.Variable(2**62, dtype=tf.int64, name="int64"),
                "uint8": tf.Variable([[[255]]], dtype=tf.uint8, name="uint8"),
                "bool": tf.Variable([True, False, True], name="bool"),
                "complex": tf.Variable([1 + 2j, -3j], dtype=tf.complex64, name="complex"),
                "string": tf.Variable(["", "caf\u00e9", "a\0b\0"], name="string"),
                "empty": tf.Variable(tf.zeros([0, 3]), name="empty"),
                "unknown": tf.Variable([4.0, 5.0], shape=tf.TensorShape(None), name="unknown"),
            }
            self.same_name = [tf.Variable(7.0, name="twin"), tf.Variable(8.0, name="twin")]
            self.steps = tf.Variable(3, dtype=tf.int64, trainable=False, name="steps")
            self.words = tf.lookup.StaticHashTable(
                tf.lookup.TextFileInitializer(
                    vocabulary,
                    tf.string,
                    tf.lookup.TextFileIndex.WHOLE_LINE,
                    tf.int64,
                    tf.lookup.TextFileIndex.LINE_NUMBER,
                ),
                -1,
            )
            self.constant = tf.constant([6.0, 7.0])

        @tf.function
        def grow(self, x: Any, count: Any) -> Any:
            for _ in tf.range(count):
                tf.autograph.experimental.set_loop_options(shape_invariants=[(x, tf.TensorShape(None))])
                x = x + self.same_name[0]
                if tf.reduce_sum(x) > 100.0:
                    x = x * self.same_name[1]
                else:
                    x = x - tf.reduce_max(self.by_name["unknown"])
            return x

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
        def serve(self, x: Any) -> dict[str, Any]:
            grown = tf.ensure_shape(self.grow(self.layers[0](x), self.steps), [None, 4])
            mapped = tf.map_fn(lambda row: tf.reduce_sum(row) * self.same_name[1], grown)
            chosen = tf.switch_case(
                tf.cast(self.steps, tf.int32) % 2, [lambda: self.layers[1](x), lambda: grown + self.constant[0]]
            )
            return {"grown": grown, "mapped": mapped, "parts": tf.split(chosen, 2, axis=1)[0]}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
        def look_up(self, words: Any) -> dict[str, Any]:
            return {"ids": self.words.lookup(words), "strings": self.by_name["string"] + "!"}

        @tf.function(
            input_signature=[tf.RaggedTensorSpec([None, None], tf.float32), tf.SparseTensorSpec([None, 3], tf.float32)]
        )
        def composite(self, ragged: Any, sparse: Any) -> Any:
            return tf.reduce_sum(ragged) + tf.sparse.reduce_sum(sparse) * self.same_name[0]

    module = Everything()
    signatures = {"serving_default": module.serve, "words": module.look_up}
    tf.saved_model.save(module, path, signatures=signatures, options=tf.saved_model.SaveOptions(
        function_aliases={"the_growing_one": module.grow}
    ))  # fmt: skip
    return path


def _module_with_slots(path: str, tf: Any) -> str:
    """An optimizer that keeps slot variables, which no attribute leads to."""
    module = tf.Module()
    module.weights = [tf.Variable([[1.0, 2.0], [3.0, 5.0]], name="w"), tf.Variable([7.0, 11.0], name="b")]
    module.optimizer = tf.compat.v1.train.AdamOptimizer(0.5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.matmul(module.weights[0], module.weights[0]) * module.weights[1])
    gradients = tape.gradient(loss, module.weights)
    module.optimizer.apply_gradients(zip(gradients, module.weights, strict=True))
    tf.saved_model.save(module, path)
    return path


def _keras_model(tf: Any) -> Any:
    tf.keras.utils.set_random_seed(5)
    inputs = tf.keras.Input([6], name="features")
    hidden = tf.keras.layers.Dense(5, activation="relu", name="hidden")(inputs)
    hidden = tf.keras.layers.BatchNormalization(name="norm")(hidden)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(2, name="out")(hidden))
    model.compile(optimizer=tf.keras.optimizers.Adam(0.01), loss="mse")
    data = tf.reshape(tf.range(48.0), [8, 6]) / 48.0
    model.fit(data, tf.reduce_sum(data, axis=1, keepdims=True) * tf.ones([1, 2]), epochs=1, batch_size=4, verbose=0)
    return model


def _keras_export(path: str, tf: Any) -> str:
    _keras_model(tf).export(path, verbose=False)
    return path


def _keras_with_optimizer(path: str, tf: Any) -> str:
    tf.saved_model.save(_keras_model(tf), path)
    return path


# -- TensorFlow 1 --


def _two_tag_sets(path: str, tf: Any) -> str:
    """Partitioned, reference and resource variables, a local one; sparse and ragged signatures; a loop and an asset;
    the same variables in a graph for `train` and one for `serve,gpu`."""
    v1 = tf.compat.v1
    builder = v1.saved_model.builder.SavedModelBuilder(path)
    words = f"{path}-words.txt"
    with open(words, "w", encoding="utf-8") as file:
        file.write("hello\n")
    for number, tags in enumerate((["train"], ["serve", "gpu"])):
        with tf.Graph().as_default(), v1.Session() as session:
            signatures = _build_graph(tf, words, train=number == 0)
            session.run([v1.global_variables_initializer(), v1.local_variables_initializer(), v1.tables_initializer()])
            assets = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
            if number == 0:
                builder.add_meta_graph_and_variables(session, tags, signatures, assets_collection=assets)
            else:
                builder.add_meta_graph(tags, signatures, assets_collection=assets)
    builder.save()
    return path


def _build_graph(tf: Any, words: str, *, train: bool) -> dict[str, Any]:
    v1 = tf.compat.v1
    x = v1.placeholder(tf.float32, [None, 7], name="x")
    sparse = v1.sparse_placeholder(tf.float32, [None, 5], name="sparse")
    ragged = v1.ragged.placeholder(tf.float32, 1, name="ragged")

    def values(shape: list[int], dtype: Any, partition_info: Any = None) -> Any:
        start = 0 if partition_info is None else 100 * sum(partition_info.var_offset)
        size = 1
        for length in shape:
            size *= length
        return tf.cast(tf.reshape(tf.range(start, start + size), shape), dtype)

    with v1.variable_scope("layer", partitioner=v1.fixed_size_partitioner(3)):
        rows = v1.get_variable("rows", [7, 2], initializer=values, use_resource=False)
    with v1.variable_scope("layer", partitioner=v1.fixed_size_partitioner(2, axis=1)):
        columns = v1.get_variable("columns", [2, 5], initializer=values, use_resource=True)
    bias = v1.get_variable("bias", initializer=[1.0, 2.0, 3.0, 4.0, 5.0], use_resource=True, trainable=False)
    names = v1.get_variable("names", initializer=["a", "bc", ""], use_resource=False, trainable=False)
    v1.get_local_variable("calls", initializer=0, use_resource=True)
    with v1.control_dependencies([tf.identity(names)]):
        y = tf.matmul(tf.matmul(x, rows.as_tensor()), columns.as_tensor()) + bias
    step = v1.train.get_or_create_global_step()
    v1.disable_control_flow_v2()
    looped = v1.while_loop(lambda i, _: i < step + 3, lambda i, total: (i + 1, total * bias[0] + 1.0), [step, y])[1]
    if train:
        y = v1.cond(tf.reduce_sum(y) > 0, lambda: y * 2.0, lambda: y - 1.0)
    path = tf.constant(words, name="words_path")
    v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
    info = v1.saved_model.build_tensor_info
    signature = v1.saved_model.build_signature_def(
        {"x": info(x), "sparse": info(sparse), "ragged": info(ragged)},
        {"y": info(y), "looped": info(looped), "sum": info(tf.sparse.reduce_sum(sparse) + tf.reduce_sum(ragged))},
        "tensorflow/serving/predict",
    )
    return {"serving_default": signature, "the words": v1.saved_model.build_signature_def({}, {"path": info(path)}, "")}


def _no_variables(path: str, tf: Any) -> str:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.string, None, name="x")
        y = tf.strings.join([x, tf.constant([b"\xff\x00", b""])], name="y")
        v1.saved_model.simple_save(session, path, {"x": x}, {"y": y})
    return path


# -- checkpoints --


def _checkpoint_objects(path: str, tf: Any) -> str:
    """Objects with an optimizer that has slots, a list, a dict and a table."""
    os.makedirs(path, exist_ok=True)
    weights = [tf.Variable([[1.0, 2.0], [3.0, 4.0]], name="w"), tf.Variable([5.0, 6.0], name="w")]
    optimizer = tf.compat.v1.train.AdamOptimizer(0.5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(weights[0] * weights[1])
    optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    table.insert(tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64))
    checkpoint = tf.train.Checkpoint(
        weights=weights, optimizer=optimizer, table=table, step=tf.Variable(9), named={"a/b": tf.Variable("text")}
    )
    saved: str = checkpoint.save(os.path.join(path, "ckpt"))
    return saved


def _checkpoint_shards(path: str, tf: Any) -> str:
    """Several shards, and tensors cut into slices across them."""
    os.makedirs(path, exist_ok=True)
    options = tf.train.CheckpointOptions(
        experimental_sharding_callback=tf.train.experimental.MaxShardSizePolicy(max_shard_size=400)
    )
    checkpoint = tf.train.Checkpoint(
        large=tf.Variable(tf.reshape(tf.range(600.0), [30, 20])),
        small=[tf.Variable(tf.range(start, start + 50)) for start in (0, 1000, 2000)],
        words=tf.Variable(["x" * 90, "y" * 300]),
    )
    return str(checkpoint.write(os.path.join(path, "sharded"), options=options))


def _checkpoint_dtypes(path: str, tf: Any) -> str:
    """A checkpoint by names: every dtype, odd names and values, and a partitioned tensor, in two merged shards."""
    import numpy as np

    os.makedirs(path, exist_ok=True)
    raw = np.arange(-3, 3)
    tensors = {f"of/{name}": tf.constant(raw.astype(tf.dtypes.as_dtype(name).as_numpy_dtype)) for name in _NUMBERS}
    for name in ("qint8", "quint8", "qint16", "quint16", "qint32"):
        tensors[f"of/{name}"] = tf.bitcast(tf.constant(abs(raw), name.removeprefix("q")), name)
    tensors["nan"] = tf.bitcast(tf.constant([0x7FC00001, 0x7F800001, -8388608, -1], tf.int32), tf.float32)
    tensors["strings"] = tf.constant([[b"", b"\xff\xfe\x00"], [b"a" * 300, "\u202e".encode()]])
    tensors["scalar string"] = tf.constant(b"ends with zero\0")
    tensors["empty"] = tf.zeros([3, 0, 2])
    tensors["rank 7"] = tf.reshape(tf.range(12), [1, 2, 1, 3, 1, 2, 1])
    tensors["no strings"] = tf.constant([], tf.string)
    names, values = list(tensors), list(tensors.values())
    whole = tf.reshape(tf.range(70.0), [7, 10])
    slices = {"7 10 0,3:-": whole[:3], "7 10 3,4:0,4": whole[3:, :4], "7 10 3,4:4,6": whole[3:, 4:]}
    stored = [*zip(names, [""] * len(names), values, strict=True), *(("cut", *part) for part in slices.items())]
    prefixes = []
    for number in range(2):
        prefixes.append(os.path.join(path, f"part-{number:05d}-of-00002"))
        keys, specs, tensors_here = zip(*stored[number::2], strict=True)
        tf.raw_ops.SaveV2(prefix=prefixes[-1], tensor_names=keys, shape_and_slices=specs, tensors=tensors_here)
    merged = os.path.join(path, "all")
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=prefixes, destination_prefix=merged, delete_old_dirs=False)
    return merged
