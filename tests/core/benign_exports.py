"""What people export: small models made with tf.Module and Keras, each by its function's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Make = Callable[[Any, Path], Any]
MODULES: dict[str, Make] = {}
KERAS: dict[str, Make] = {}


def module(make: Make) -> Make:
    MODULES[make.__name__] = make
    return make


def keras(make: Make) -> Make:
    KERAS[make.__name__] = make
    return make


def serving(tf: Any, call: Callable[..., Any], *specs: Any) -> tuple[Any, Any]:
    """A module with one function, and that function as its signature."""
    made = tf.Module()
    made.call = tf.function(call, input_signature=specs or [tf.TensorSpec([None, 4], tf.float32)])
    return made, made.call


@module
def affine(tf: Any, folder: Path) -> Any:
    weights, bias = tf.Variable(tf.ones([4, 2])), tf.Variable(tf.zeros([2]))
    made, call = serving(tf, lambda x: {"y": x @ weights + bias})
    made.variables_of = [weights, bias]
    return made, call


@module
def convolution(tf: Any, folder: Path) -> Any:
    kernel = tf.Variable(tf.random.normal([3, 3, 1, 2]))
    made, call = serving(
        tf, lambda x: tf.nn.max_pool2d(tf.nn.conv2d(x, kernel, 1, "SAME"), 2, 2, "SAME"), tf.TensorSpec([None, 8, 8, 1])
    )
    made.kernel = kernel
    return made, call


@module
def table_of_constants(tf: Any, folder: Path) -> Any:
    initializer = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([1, 2], tf.int64))
    table = tf.lookup.StaticHashTable(initializer, -1)
    made, call = serving(tf, lambda x: {"id": table.lookup(x)}, tf.TensorSpec([None], tf.string))
    made.table = table
    return made, call


@module
def table_from_an_asset(tf: Any, folder: Path) -> Any:
    (folder / "vocab.txt").write_text("a\nb\n")
    initializer = tf.lookup.TextFileInitializer(
        str(folder / "vocab.txt"),
        *(tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
    )
    table = tf.lookup.StaticVocabularyTable(initializer, 2)
    made, call = serving(tf, lambda x: {"id": table.lookup(x)}, tf.TensorSpec([None], tf.string))
    made.table = table
    return made, call


@module
def mutable_table(tf: Any, folder: Path) -> Any:
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    table.insert(["a"], tf.constant([1], tf.int64))
    made, call = serving(tf, lambda x: {"id": table.lookup(x)}, tf.TensorSpec([None], tf.string))
    made.table = table
    return made, call


@module
def dense_table(tf: Any, folder: Path) -> Any:
    table = tf.lookup.experimental.DenseHashTable(tf.int64, tf.int64, -1, empty_key=-1, deleted_key=-2)
    made, call = serving(tf, lambda x: {"id": table.lookup(x)}, tf.TensorSpec([None], tf.int64))
    made.table = table
    return made, call


@module
def reads_an_asset(tf: Any, folder: Path) -> Any:
    (folder / "words.txt").write_text("words")
    asset = tf.saved_model.Asset(str(folder / "words.txt"))
    made, call = serving(tf, lambda x: {"y": tf.io.read_file(asset.asset_path)})
    made.asset = asset
    return made, call


@module
def mapped_dataset(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        rows = tf.data.Dataset.from_tensor_slices(x).map(lambda row: row * 2).batch(2, drop_remainder=True)
        return {"y": rows.reduce(tf.zeros([4]), lambda state, batch: state + tf.reduce_sum(batch, 0))}

    return serving(tf, call)


@module
def cached_dataset(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        rows = tf.data.Dataset.from_tensor_slices(x).cache().shuffle(8, seed=1).repeat(2).prefetch(1)
        return {"y": rows.reduce(tf.zeros([4]), lambda state, row: state + row)}

    return serving(tf, call)


@module
def filtered_dataset(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        rows = tf.data.Dataset.range(10).filter(lambda n: n % 2 == 0).flat_map(tf.data.Dataset.range)
        return {"y": rows.reduce(tf.constant(0, tf.int64), lambda state, row: state + row)}

    return serving(tf, call)


@module
def interleaved_dataset(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        rows = (
            tf.data.Dataset.range(4).interleave(tf.data.Dataset.range, num_parallel_calls=2).take_while(lambda n: n < 3)
        )
        return {"y": rows.reduce(tf.constant(0, tf.int64), lambda state, row: state + row)}

    return serving(tf, call)


@module
def windowed_dataset(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        rows = tf.data.Dataset.range(9).window(3).flat_map(lambda window: window.batch(3))
        pairs = tf.data.Dataset.zip((rows, rows)).map(lambda a, b: a + b)
        return {"y": pairs.reduce(tf.constant(0, tf.int64), lambda state, row: state + tf.reduce_sum(row))}

    return serving(tf, call)


@module
def iterated_dataset(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        total = tf.zeros([4])
        for row in tf.data.Dataset.from_tensor_slices(x):
            total += row
        return {"y": total}

    return serving(tf, call)


@module
def while_loop(tf: Any, folder: Path) -> Any:
    return serving(tf, lambda x: {"y": tf.while_loop(lambda i, _: i < 5, lambda i, y: (i + 1, y * 2), [0, x])[1]})


@module
def while_loop_with_a_break(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        step = tf.constant(0)
        while tf.constant(True):
            step += 1
            x = x * 2
            if tf.reduce_sum(x) > 100 or step > 9:
                break
        return {"y": x}

    return serving(tf, call)


@module
def while_loop_with_a_limit(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        return {"y": tf.while_loop(lambda y: True, lambda y: y + 1, [x], maximum_iterations=3)[0]}

    return serving(tf, call)


@module
def branches(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        total = tf.reduce_sum(x)
        y = tf.cond(total > 0, lambda: x, lambda: -x)
        return {"y": y, "z": tf.case([(total > 1, lambda: y), (total > 2, lambda: x)], default=lambda: y * 2)}

    return serving(tf, call)


@module
def switched(tf: Any, folder: Path) -> Any:
    call = lambda x: {"y": tf.switch_case(tf.cast(x[0, 0], tf.int32), [lambda: x, lambda: x * 2, lambda: x * 3])}  # noqa: E731
    return serving(tf, call)


@module
def mapped(tf: Any, folder: Path) -> Any:
    return serving(
        tf,
        lambda x: {
            "y": tf.map_fn(lambda row: row * 2, x),
            "z": tf.scan(lambda s, row: s + row, x),
            "v": tf.vectorized_map(tf.sin, x),
        },
    )


@module
def examples(tf: Any, folder: Path) -> Any:
    features = {
        "a": tf.io.FixedLenFeature([2], tf.float32),
        "b": tf.io.VarLenFeature(tf.int64),
        "c": tf.io.RaggedFeature(tf.string),
    }
    return serving(
        tf, lambda x: {"a": tf.io.parse_example(x, features)["a"]}, tf.TensorSpec([None], tf.string, name="examples")
    )


@module
def sequence_examples(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        context, lists, _ = tf.io.parse_sequence_example(
            x, {"a": tf.io.FixedLenFeature([], tf.float32)}, {"b": tf.io.FixedLenSequenceFeature([], tf.int64)}
        )
        return {"a": context["a"], "b": lists["b"]}

    return serving(tf, call, tf.TensorSpec([None], tf.string))


@module
def decoded(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        rows = tf.io.decode_csv(x, [[0.0], [""]])
        return {"a": rows[0], "b": tf.io.decode_json_example(x), "c": tf.io.decode_base64(rows[1])}

    return serving(tf, call, tf.TensorSpec([None], tf.string))


@module
def images(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        one = tf.io.decode_png(x, 3)
        return {"y": tf.image.resize(tf.cast(one, tf.float32)[None], [4, 4]), "z": tf.io.encode_jpeg(one)}

    return serving(tf, call, tf.TensorSpec([], tf.string))


@module
def strings(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        joined = tf.strings.join([tf.strings.lower(x), "/etc/passwd", tf.strings.regex_replace(x, "a+", "b")], "://")
        return {
            "y": tf.strings.substr(joined, 0, 3),
            "z": tf.strings.to_hash_bucket_fast(x, 10),
            "n": tf.strings.length(tf.strings.unicode_transcode(x, "UTF-8", "UTF-16-BE")),
        }

    return serving(tf, call, tf.TensorSpec([None], tf.string))


@module
def split_words(tf: Any, folder: Path) -> Any:
    return serving(
        tf,
        lambda x: {"y": tf.strings.reduce_join(tf.strings.ngrams(tf.strings.split(x), 2), axis=-1)},
        tf.TensorSpec([None], tf.string),
    )


@module
def ragged(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        rows = tf.RaggedTensor.from_row_lengths(x, [1, 2])
        return {"y": tf.reduce_sum(rows, 1), "z": rows.to_tensor()}

    return serving(tf, call, tf.TensorSpec([3], tf.float32))


@module
def sparse(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        found = tf.sparse.from_dense(x)
        return {"y": tf.sparse.sparse_dense_matmul(found, tf.ones([4, 2])), "z": tf.sparse.reduce_sum(found, 1)}

    return serving(tf, call)


@module
def tensor_array(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        rows = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
        for place in tf.range(tf.shape(x)[0]):
            rows = rows.write(place, x[place] * 2)
        return {"y": rows.stack()}

    return serving(tf, call)


@module
def random_numbers(tf: Any, folder: Path) -> Any:
    generator = tf.random.Generator.from_seed(1)

    def call(x: Any) -> Any:
        noise = tf.random.normal(tf.shape(x)) + tf.random.stateless_uniform(tf.shape(x), [1, 2])
        return {"y": x + noise + generator.normal(tf.shape(x))}

    made, found = serving(tf, call)
    made.generator = generator
    return made, found


@module
def counter(tf: Any, folder: Path) -> Any:
    count = tf.Variable(0, dtype=tf.int64)
    made, call = serving(tf, lambda x: {"y": x, "n": count.assign_add(1)})
    made.count = count
    return made, call


@module
def checked(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        tf.debugging.assert_greater(tf.shape(x)[0], 0, "an empty batch")
        tf.print("rows", tf.shape(x)[0])
        return {"y": tf.debugging.check_numerics(x, "not a number")}

    return serving(tf, call)


@module
def several_signatures(tf: Any, folder: Path) -> Any:
    made = tf.Module()
    spec = [tf.TensorSpec([None, 4], tf.float32, name="x")]
    made.double = tf.function(lambda x: {"y": x * 2}, input_signature=spec)
    made.half = tf.function(lambda x: {"y": x / 2}, input_signature=spec)
    return made, {"serving_default": made.double, "half": made.half}


@module
def gradients(tf: Any, folder: Path) -> Any:
    weights = tf.Variable(tf.ones([4]))

    def call(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((x @ weights[:, None]) ** 2)
        gradient = tape.gradient(loss, weights)
        weights.assign_sub(0.1 * gradient)
        return {"loss": loss, "gradient": gradient}

    made, found = serving(tf, call)
    made.weights = weights
    return made, found


@module
def custom_gradient(tf: Any, folder: Path) -> Any:
    @tf.custom_gradient
    def clipped(x: Any) -> Any:
        return x, lambda dy: tf.clip_by_norm(dy, 1.0)

    return serving(tf, lambda x: {"y": clipped(x) * 2})


@module
def nested_modules(tf: Any, folder: Path) -> Any:
    class Inner(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(tf.ones([4]))

        @tf.function  # type: ignore[misc]
        def __call__(self, x: Any) -> Any:
            return x * self.weights

    inner = Inner()
    made, call = serving(tf, lambda x: {"y": inner(inner(x))})
    made.inner = inner
    return made, call


@module
def linear_algebra(tf: Any, folder: Path) -> Any:
    def call(x: Any) -> Any:
        square = tf.matmul(x, x, transpose_a=True) + tf.eye(4)
        return {"y": tf.linalg.inv(square), "z": tf.linalg.svd(square)[0], "f": tf.abs(tf.signal.rfft(x))}

    return serving(tf, call)


@module
def large_zeros(tf: Any, folder: Path) -> Any:
    return serving(tf, lambda x: {"y": tf.reduce_sum(tf.zeros([1000, 1000])) + tf.reduce_sum(tf.tile(x, [100, 100]))})


@module
def structured(tf: Any, folder: Path) -> Any:
    made = tf.Module()

    @tf.function(
        input_signature=[{"a": tf.TensorSpec([None]), "b": (tf.TensorSpec([2]), tf.TensorSpec([], tf.string))}]
    )  # type: ignore[misc]
    def call(x: Any) -> Any:
        return {"y": x["a"] + tf.reduce_sum(x["b"][0])}

    made.call = call
    return made, None


@module
def quantized(tf: Any, folder: Path) -> Any:
    return serving(tf, lambda x: {"y": tf.quantization.fake_quant_with_min_max_args(x, -1, 1, 8)})


@keras
def dense_layers(k: Any, folder: Path) -> Any:
    return k.Sequential([k.Input([4]), k.layers.Dense(8, "relu"), k.layers.Dropout(0.5), k.layers.Dense(2, "softmax")])


@keras
def convolutions(k: Any, folder: Path) -> Any:
    layers = [
        k.layers.Conv2D(4, 3),
        k.layers.BatchNormalization(),
        k.layers.MaxPool2D(),
        k.layers.GlobalAveragePooling2D(),
    ]
    return k.Sequential([k.Input([8, 8, 1]), *layers, k.layers.Dense(2)])


@keras
def long_short_term_memory(k: Any, folder: Path) -> Any:
    return k.Sequential(
        [k.Input([5, 4]), k.layers.LSTM(3, return_sequences=True), k.layers.Bidirectional(k.layers.GRU(2))]
    )


@keras
def embedding(k: Any, folder: Path) -> Any:
    return k.Sequential([k.Input([5], dtype="int32"), k.layers.Embedding(10, 4), k.layers.GlobalMaxPooling1D()])


@keras
def attention(k: Any, folder: Path) -> Any:
    inputs = k.Input([5, 8])
    found = k.layers.MultiHeadAttention(2, 4)(inputs, inputs)
    return k.Model(inputs, k.layers.LayerNormalization()(found + inputs))


@keras
def two_inputs(k: Any, folder: Path) -> Any:
    inputs = [k.Input([4], name="a"), k.Input([4], name="b")]
    joined = k.layers.Concatenate()(inputs)
    return k.Model(inputs, {"y": k.layers.Dense(1)(joined), "z": k.layers.Dense(2)(joined)})


@keras
def text_vectorization(k: Any, folder: Path) -> Any:
    layer = k.layers.TextVectorization(max_tokens=20, output_sequence_length=4)
    layer.adapt(["one two three", "four five"])
    return k.Sequential([k.Input([1], dtype="string"), layer, k.layers.Embedding(20, 3)])


@keras
def string_lookup(k: Any, folder: Path) -> Any:
    return k.Sequential([k.Input([1], dtype="string"), k.layers.StringLookup(vocabulary=["a", "b"])])


@keras
def integer_lookup(k: Any, folder: Path) -> Any:
    inputs = k.Input([1], dtype="int64")
    looked = k.layers.IntegerLookup(vocabulary=[3, 5], output_mode="one_hot")(inputs)
    return k.Model(inputs, k.layers.Dense(1)(looked))


@keras
def preprocessing(k: Any, folder: Path) -> Any:
    inputs = k.Input([4])
    normal = k.layers.Normalization(mean=0.0, variance=1.0)(inputs)
    return k.Model(inputs, [normal, k.layers.Discretization([0.0, 1.0])(inputs)])


@keras
def trained(k: Any, folder: Path) -> Any:
    import numpy as np

    model = k.Sequential([k.Input([4]), k.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(np.ones([8, 4], np.float32), np.ones([8, 2], np.float32), verbose=0)
    return model


@keras
def separable(k: Any, folder: Path) -> Any:
    layers = [k.layers.SeparableConv2D(4, 3), k.layers.UpSampling2D(), k.layers.Conv2DTranspose(1, 3)]
    return k.Sequential([k.Input([8, 8, 3]), k.layers.Rescaling(1 / 255), *layers])
