"""Inputs that are made up: TensorFlow runs every signature with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.saved_model_writer import info, meta_graph, signature, write_saved_model
from core.test_feature_spec import all_kinds, numbers, save, sequence_features
from tfexplore import demo
from tfexplore.core.auto_inputs import Attempt, attempts, example
from tfexplore.core.feature_ops import Feature
from tfexplore.core.feature_spec import InputSpec
from tfexplore.core.inputs import complete
from tfexplore.core.opener import open_model
from tfexplore.errors import UsageError
from tfexplore.formats import dtypes
from tfexplore.formats.proto import lean


def made(path: Path, name: str = "serving_default") -> list[Attempt]:
    with open_model(str(path)) as model:
        meta = model.meta_graph()
        found = next(part for part in meta.signatures if part.name == name)
        tries = list(attempts(meta, found))
        for attempt in tries:
            assert attempt.arrays.keys() == complete(found, attempt.arrays).keys()
        return tries


def call(tf: Any, path: Path, attempt: Attempt, name: str = "serving_default") -> dict[str, Any]:
    runnable = tf.saved_model.load(str(path)).signatures[name]
    found = runnable(**{key: tf.constant(array) for key, array in attempt.arrays.items()})
    return {key: tensor.numpy() for key, tensor in found.items()}


@pytest.mark.parametrize("name", ["serving_default", "embed"])
def test_the_demo_answers(tf: Any, name: str) -> None:
    first, second, third = made(demo.FOLDER / "ranker", name)
    assert first.description == "unknown dimensions 1: examples string [1] of Examples"
    assert [len(attempt.arrays["examples"]) for attempt in (first, second, third)] == [1, 32, 224]
    for output in call(tf, demo.FOLDER / "ranker", second, name).values():
        assert len(output) == 32
        assert np.isfinite(output).all()


@pytest.mark.parametrize("single", [False, True])
def test_examples_of_all_kinds_parse(tf: Any, tmp_path: Path, single: bool) -> None:
    parse = tf.io.parse_single_example if single else tf.io.parse_example
    path = save(tf, tmp_path, lambda x: numbers(tf, parse(x, all_kinds(tf))), [] if single else [None])
    tries = made(path)
    assert len(tries) == (1 if single else 3)
    found = call(tf, path, tries[0])
    assert found["g"].reshape(2, 2).tolist() == [[1, 2], [3, -4]]
    assert np.isfinite(found["f"]).all()
    assert found["v"].tolist() == [b""]


def test_sequence_examples_parse(tf: Any, tmp_path: Path) -> None:
    def parse(x: Any) -> Any:
        first, second, _ = tf.io.parse_sequence_example(x, *sequence_features(tf))
        return numbers(tf, first | second)

    path = save(tf, tmp_path, parse, [None])
    attempt = made(path)[0]
    assert attempt.description.endswith("of SequenceExamples")
    assert call(tf, path, attempt)["steps"].shape == (1, 1, 3)


DECODERS: dict[str, Callable[[Any, Any], Any]] = {
    "decode_jpeg": lambda tf, x: tf.io.decode_jpeg(x, channels=3),
    "decode_png": lambda tf, x: tf.io.decode_png(x, channels=3),
    "decode_image": lambda tf, x: tf.io.decode_image(x, channels=3, expand_animations=False),
    "decode_bmp": lambda tf, x: tf.io.decode_bmp(x),
    "decode_gif": lambda tf, x: tf.io.decode_gif(x)[0],
    "decode_and_crop_jpeg": lambda tf, x: tf.io.decode_and_crop_jpeg(x, [0, 0, 1, 1], channels=3),
}


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("base64", [False, True])
def test_pictures_are_decoded(tf: Any, tmp_path: Path, name: str, base64: bool) -> None:
    def decode(x: Any) -> Any:
        strings = tf.io.decode_base64(x) if base64 else x
        return {"i": tf.map_fn(lambda one: DECODERS[name](tf, one), strings, tf.uint8)}

    path = save(tf, tmp_path, decode, [None])
    first = made(path)[0]
    assert call(tf, path, first)["i"].shape == (1, 1, 1, 3)
    assert first.description.endswith("in base64") == base64


def test_a_model_that_needs_more_than_one_pixel(tf: Any, tmp_path: Path) -> None:
    module = tf.Module()
    kernel = tf.ones([5, 5, 3, 1])
    module.call = tf.function(
        lambda x: {"y": tf.nn.conv2d(x, kernel, 1, "VALID")},
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, "x")],
    )
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.call})
    first, second, third = made(tmp_path)
    assert [attempt.arrays["x"].shape for attempt in (first, second, third)] == [
        (1, 1, 1, 3),
        (1, 32, 32, 3),
        (1, 224, 224, 3),
    ]
    assert second.description == "unknown dimensions 32: x float32 [1, 32, 32, 3] random"
    with pytest.raises(tf.errors.OpError):
        call(tf, tmp_path, first)
    assert call(tf, tmp_path, second)["y"].shape == (1, 28, 28, 1)


def test_every_dtype_with_known_and_unknown_shapes(tmp_path: Path) -> None:
    wanted = [number for number in range(1, 34) if dtypes.name(number) not in ("resource", "variant")]
    inputs = {dtypes.name(number).encode(): info(b"x:0", number, [None, 2]) for number in wanted}
    ours = meta_graph(signatures={b"serving_default": signature(inputs, {})})
    first, *others = made(write_saved_model(tmp_path, ours))
    assert len(others) == 2
    for name, array in first.arrays.items():
        assert array.shape == (1, 2)
        if name == "string":
            assert set(array.flat) == {b""}
        elif "float" in name or "complex" in name:
            assert array.astype("complex64").any()
        else:
            assert not array.astype("int64").any()


def test_known_shapes_are_tried_once(tmp_path: Path) -> None:
    ours = meta_graph(
        signatures={b"serving_default": signature({b"a": info(b"a:0", 3, [2]), b"b": info(b"b:0", 10, [])}, {})}
    )
    (only,) = made(write_saved_model(tmp_path, ours))
    assert only.description == "a int32 [2] zeros, b bool [] false"


def test_what_cannot_be_made_up_is_named(tmp_path: Path) -> None:
    ours = meta_graph(signatures={b"serving_default": signature({b"h": info(b"h:0", 20, [])}, {})})
    with pytest.raises(UsageError, match=r"the input h .* takes no values"):
        made(write_saved_model(tmp_path / "a", ours))
    ours = meta_graph(signatures={b"serving_default": signature({b"x": info(b"x:0", 1, [2**40])}, {})})
    with pytest.raises(UsageError, match="too large to be made up"):
        made(write_saved_model(tmp_path / "b", ours))
    huge = Feature("f", "example", "fixed", 9, (2**50,), None, True)
    with pytest.raises(UsageError, match="the feature f is too large to be made up"):
        example(InputSpec("s", None, "x", False, True, False, (huge,), ()))


def test_an_unknown_rank_is_no_dimension_at_last(tmp_path: Path) -> None:
    unknown = lean("TensorInfo")(name=b"x:0", dtype=1)
    unknown.tensor_shape.unknown_rank = True
    inputs = {b"x": bytes(unknown.SerializeToString()), b"y": info(b"y:0", sizes=(None,))}
    path = write_saved_model(tmp_path / "m", meta_graph(signatures={b"serving_default": signature(inputs, {})}))
    shapes = [(found.arrays["x"].shape, found.arrays["y"].shape) for found in made(path)]
    assert shapes == [((1,), (1,)), ((32,), (32,)), ((224,), (224,)), ((), (1,))]
