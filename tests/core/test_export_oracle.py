"""TensorFlow restores an export: its values are the tuned ones, and it predicts what the tuned model predicts, to the
last bit; every other file is byte for byte the model's."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle import made
from tfexplore import demo
from tfexplore.core.export import Exported, export
from tfexplore.core.export_keys import values_by_key, variable_at, variable_named
from tfexplore.core.opener import open_model


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def folders_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir()}


def check_files(source: Path, target: Path, tf: Any) -> None:
    """All but index, data and fingerprint are the same bytes; the fingerprint is what TensorFlow makes of it."""
    before, after = files_of(source), files_of(target)
    assert before.keys() == after.keys()
    assert folders_of(source) == folders_of(target)
    for name, data in before.items():
        assert len(after[name]) == len(data) or name.endswith((".index", "fingerprint.pb"))
        if not name.startswith("variables/variables.") and name != "fingerprint.pb":
            assert after[name] == data, name
    if "fingerprint.pb" in before:
        from tensorflow.core.protobuf import fingerprint_pb2
        from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

        old = fingerprint_pb2.FingerprintDef.FromString(before["fingerprint.pb"])
        new = fingerprint_pb2.FingerprintDef.FromString(after["fingerprint.pb"])
        made_anew = fingerprint_pb2.FingerprintDef.FromString(fingerprinting.CreateFingerprintDef(str(target)))
        assert new.checkpoint_hash == made_anew.checkpoint_hash != old.checkpoint_hash
        old.checkpoint_hash = new.checkpoint_hash
        assert new == old
        read = tf.saved_model.experimental.read_fingerprint(str(target))
        assert read.checkpoint_hash == made_anew.checkpoint_hash
        assert read.graph_def_program_hash == made_anew.graph_def_program_hash


def variables_of(root: Any, tf: Any) -> Iterator[tuple[list[str], Any]]:
    """Every variable of a restored model once, with a way to it."""
    waiting: deque[tuple[list[str], Any]] = deque([([], root)])
    seen = {id(root)}
    while waiting:
        path, value = waiting.popleft()
        if isinstance(value, tf.Variable):
            yield path, value
            continue
        for name, child in value._trackable_children().items():
            if id(child) not in seen and hasattr(child, "_trackable_children"):
                seen.add(id(child))
                waiting.append(([*path, name], child))


def tuned(array: np.ndarray, seed: int) -> np.ndarray:
    moved = np.random.default_rng(seed).normal(size=array.shape)
    return (array + 0.1 * moved).astype(array.dtype)


def export_all(path: Path, loaded: Any, target: Path, tf: Any, *, by_name: bool = False) -> Exported:
    """Exports the values that all trainable variables of the restored model have now."""
    with open_model(str(path)) as model:
        graph = model.meta_graph()
        values = []
        for way, variable in variables_of(loaded, tf):
            if variable.trainable and variable.dtype.is_floating:
                found = variable_named(graph, variable.name) if by_name else variable_at(graph, way)
                values.append((found, variable.numpy()))
        return export(model, values_by_key(graph, values), str(target))


def examples(tf: Any) -> Any:
    rows = [json.loads(line) for line in (demo.FOLDER / "rows.jsonl").read_text().splitlines()[:20]]
    features = [
        {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
            for name, value in row.items()
            if isinstance(value, str)
        }
        for row in rows
    ]
    return tf.constant(
        [tf.train.Example(features=tf.train.Features(feature=one)).SerializeToString() for one in features]
    )


def inputs_for(function: Any, tf: Any) -> dict[str, Any]:
    found = {}
    for name, spec in function.structured_input_signature[1].items():
        if spec.dtype == tf.string:
            found[name] = examples(tf)
        else:
            shape = [dim or 3 for dim in spec.shape]
            found[name] = tf.cast(tf.reshape(tf.range(float(np.prod(shape))), shape) / 100.0, spec.dtype)
    return found


def same_bits(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(one[key].numpy().tobytes() == other[key].numpy().tobytes() for key in one)


@pytest.mark.parametrize("name", ["ranker", "keras-export", "module", "dtln"])
def test_the_export_is_the_tuned_model(
    tf: Any, request: pytest.FixtureRequest, made_models: Path, tmp_path: Path, name: str
) -> None:
    if name == "ranker":
        path = demo.FOLDER / "ranker"
    elif name == "dtln":
        path = request.getfixturevalue("corpus") / "models" / "dtln-dtln"
    else:
        path = Path(made.make(name, str(made_models), tf))
    source = files_of(path)
    loaded = tf.saved_model.load(str(path))
    call = loaded.signatures["serving_default"]
    inputs = inputs_for(call, tf)
    moved = {}
    for seed, (way, variable) in enumerate(variables_of(loaded, tf)):
        if variable.trainable and variable.dtype.is_floating:
            variable.assign(tuned(variable.numpy(), seed))
            moved[".".join(way)] = variable.numpy()
    assert moved
    exported = export_all(path, loaded, tmp_path / "export", tf)
    assert len(exported.keys) == len(moved)
    assert exported.notes == ()
    assert (exported.files, exported.nbytes) == (len(source), sum(map(len, files_of(tmp_path / "export").values())))
    check_files(path, tmp_path / "export", tf)
    assert files_of(path) == source

    again = tf.saved_model.load(str(tmp_path / "export"))
    now = {".".join(way): variable for way, variable in variables_of(again, tf)}
    for way, variable in variables_of(loaded, tf):
        assert now[".".join(way)].numpy().tobytes() == variable.numpy().tobytes() or variable.dtype == tf.string
    # Called once each, after the export: a stateful model (dtln) changes its own variables.
    wanted = call(**inputs)
    untuned = tf.saved_model.load(str(path)).signatures["serving_default"](**inputs)
    assert not same_bits(wanted, untuned)
    assert same_bits(again.signatures["serving_default"](**inputs), wanted)
    old = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    new = tf.train.load_checkpoint(str(tmp_path / "export" / "variables" / "variables"))
    assert old.get_variable_to_shape_map() == new.get_variable_to_shape_map()
    changed = set()
    for key in old.get_variable_to_shape_map():
        one, other = old.get_tensor(key), new.get_tensor(key)
        if np.asarray(one).tobytes() != np.asarray(other).tobytes() and np.asarray(one).dtype != object:
            changed.add(key)
        elif np.asarray(one).dtype == object:
            assert np.array_equal(one, other)
    assert changed <= set(exported.keys)
    assert len(changed) > len(moved) // 2


def test_the_copies_that_keras_stores_follow(tf: Any, made_models: Path, tmp_path: Path) -> None:
    """Only captured variables were tuned and handed over: `_all_variables` gets the same values."""
    path = Path(made.make("keras-export", str(made_models), tf))
    with open_model(str(path)) as model:
        graph = model.meta_graph()
        used = [variable for variable in graph.variables if graph.is_used(variable)]
        assert len(used) * 2 == len(graph.variables)
        values = [(one, np.full(one.shape or (), number, np.float32)) for number, one in enumerate(used)]
        exported = export(model, values_by_key(graph, values), str(tmp_path / "all"))
        assert len(exported.keys) == len(graph.variables)
        alone = values_by_key(graph, values, copies=False)
        assert len(alone) == len(used)
    loaded = tf.saved_model.load(str(tmp_path / "all"))
    for one in loaded._all_variables:
        twin = next(other for other in loaded.variables if other.name == one.name)
        assert twin.numpy().tobytes() == one.numpy().tobytes()


def test_a_partitioned_export_of_tensorflow_1(tf: Any, made_models: Path, tmp_path: Path) -> None:
    path = Path(made.make("session-two-tag-sets", str(made_models), tf))
    v1 = tf.compat.v1
    x = np.arange(21, dtype=np.float32).reshape(3, 7)

    def run(folder: Path, tags: list[str], values: dict[str, np.ndarray] | None = None) -> tuple[Any, dict[str, Any]]:
        with tf.Graph().as_default(), v1.Session() as session:
            v1.saved_model.load(session, tags, str(folder))
            variables = {one.op.name: one for one in v1.global_variables()}
            for name, value in (values or {}).items():
                variables[name].load(value, session)
            floats = {name: session.run(one) for name, one in variables.items() if one.dtype.is_floating}
            return session.run("add:0", {"x:0": x}), floats

    tags = ["serve", "gpu"]
    before, floats = run(path, tags)
    new = {name: tuned(value, seed) for seed, (name, value) in enumerate(floats.items())}
    assert sum("part_" in name for name in new) == 5
    wanted, _ = run(path, tags, new)
    assert wanted.tobytes() != before.tobytes()
    with open_model(str(path)) as model:
        graph = model.meta_graph(tags)
        pairs = [(variable_named(graph, f"{name}:0"), value) for name, value in new.items()]
        exported = export(model, values_by_key(graph, pairs), str(tmp_path / "export"))
        assert exported.keys == ("layer/bias", "layer/columns", "layer/rows") or len(exported.keys) == 3
        # One part alone leaves the others as they are.
        name = next(name for name in new if "rows/part_1" in name)
        export(model, values_by_key(graph, [(variable_named(graph, name), new[name])]), str(tmp_path / "part"))
    check_files(path, tmp_path / "export", tf)
    for one in (tags, ["train"]):
        got, now = run(tmp_path / "export", one)
        assert {key: value.tobytes() for key, value in now.items()} == {k: v.tobytes() for k, v in new.items()}
        if one == tags:
            assert got.tobytes() == wanted.tobytes()
    _, now = run(tmp_path / "part", tags)
    for key, value in now.items():
        assert value.tobytes() == (new if key == name else floats)[key].tobytes()


def test_a_model_without_signatures_whose_root_is_callable(tf: Any, tmp_path: Path) -> None:
    """A few steps of SGD on what was imported, as a person writes them; then the export gives the same loss."""

    class Line(tf.Module):
        def __init__(self) -> None:
            self.slope = tf.Variable(2.0, name="slope")
            self.frozen = tf.Variable(1.0, trainable=False, name="frozen")

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def __call__(self, x: Any) -> Any:
            return self.slope * x + self.frozen

    tf.saved_model.save(Line(), str(tmp_path / "line"))
    imported = tf.saved_model.load(str(tmp_path / "line"))
    x = tf.constant(2.0)
    for _ in range(5):
        with tf.GradientTape() as tape:
            loss = (10.0 - imported(x)) ** 2
        variables = tape.watched_variables()
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(0.05 * gradient)
    exported = export_all(tmp_path / "line", imported, tmp_path / "export", tf, by_name=True)
    assert exported.keys == ("slope/.ATTRIBUTES/VARIABLE_VALUE",)
    check_files(tmp_path / "line", tmp_path / "export", tf)
    again = tf.saved_model.load(str(tmp_path / "export"))
    assert again(x).numpy().tobytes() == imported(x).numpy().tobytes()
    assert again.frozen.numpy() == 1.0
    assert again.slope.numpy() != 2.0


def test_by_name_where_names_tell(tf: Any, tmp_path: Path, small_models: Path) -> None:
    path = small_models / "session"
    with open_model(str(path)) as model:
        graph = model.meta_graph()
        values = values_by_key(graph, [(variable_named(graph, "w:0"), np.float32(5).reshape(()))])
        export(model, values, str(tmp_path / "export"))
    call = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_default"]
    assert call(x=tf.constant([2.0]))["y"].numpy() == [11.0]
