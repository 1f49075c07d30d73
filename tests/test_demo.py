"""The packaged demo: what lies in it, that TensorFlow runs it, and that copying it overwrites nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tfexplore import demo
from tfexplore.errors import UsageError

FEATURES = {"gid": 8, "cid1": 4, "cid2": 6, "cid3": 8, "brand": 6, "merchant": 6}
EMBEDDINGS = {f"embedding_{feature}" for feature in FEATURES}
HEAD = {"dense_1/kernel", "dense_1/bias", "dense_2/kernel", "dense_2/bias"}


def packaged() -> dict[str, bytes]:
    return {name: (demo.FOLDER / name).read_bytes() for name in demo.iter_files()}


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def labelled_rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (demo.FOLDER / "rows.jsonl").read_text(encoding="utf-8").splitlines()]


def area_under_curve(labels: list[int], scores: list[float]) -> float:
    clicked = [score for label, score in zip(labels, scores, strict=True) if label]
    passed = [score for label, score in zip(labels, scores, strict=True) if not label]
    won = sum((above > below) + (above == below) / 2 for above in clicked for below in passed)
    return won / (len(clicked) * len(passed))


# What lies in it


def test_it_holds_a_saved_model_three_checkpoints_and_rows() -> None:
    names = set(packaged())
    assert {"ranker/saved_model.pb", "ranker/variables/variables.index", "rows.jsonl", "training/checkpoint"} <= names
    assert {name for name in names if name.startswith("ranker/assets/")} == {
        f"ranker/assets/{feature}.txt" for feature in FEATURES
    }
    assert {name for name in names if name.endswith(".index") and name.startswith("training/")} == {
        f"training/ckpt-{step}.index" for step in (100, 200, 300)
    }
    assert not any("debug" in name for name in names)


def test_it_is_small_enough_to_be_packaged() -> None:
    assert 100_000 < sum(map(len, packaged().values())) < 1_000_000


def test_no_file_names_a_path_of_the_machine_that_made_it() -> None:
    places = (b"/home/", b"/tmp/", b"/root/", b"/Users/", b"site-packages", os.fsencode(demo.FOLDER.parents[2]))
    found = [(name, place) for name, data in packaged().items() for place in places if place in data]
    assert found == []


def test_the_state_file_names_its_checkpoints_relatively() -> None:
    lines = (demo.FOLDER / "training/checkpoint").read_text().splitlines()
    paths = [line.partition(": ")[2].strip('"') for line in lines if "_path" in line]
    assert paths == ["ckpt-300", "ckpt-100", "ckpt-200", "ckpt-300"]


def test_the_rows_are_whole_and_hold_both_labels() -> None:
    rows = labelled_rows()
    assert len(rows) == 300
    assert all(set(row) == {*FEATURES, "label"} for row in rows)
    assert all(isinstance(row[feature], str) and row[feature] for row in rows for feature in FEATURES)
    assert 60 < sum(row["label"] for row in rows) < 240
    assert {row["label"] for row in rows} == {0, 1}


def test_most_but_not_all_rows_are_in_the_vocabularies() -> None:
    for feature in FEATURES:
        known = (demo.FOLDER / f"ranker/assets/{feature}.txt").read_text().split()
        assert known == sorted(set(known))
        unknown = [row for row in labelled_rows() if row[feature] not in known]
        assert len(unknown) < 60
        assert bool(unknown) == (feature == "gid")


# TensorFlow runs it


@pytest.fixture(scope="module")
def model() -> Any:
    tf = pytest.importorskip("tensorflow")
    return tf.saved_model.load(str(demo.FOLDER / "ranker"))


def examples(rows: list[dict[str, Any]]) -> Any:
    """A 1-D string tensor of serialized `tf.train.Example`s with the features that a row has."""
    import tensorflow as tf

    def example(row: dict[str, Any]) -> bytes:
        values = {name: tf.train.BytesList(value=[row[name].encode()]) for name in FEATURES if name in row}
        features = {name: tf.train.Feature(bytes_list=value) for name, value in values.items()}
        data: bytes = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
        return data

    return tf.constant([example(row) for row in rows], tf.string)


@pytest.mark.tensorflow
def test_it_has_learned_to_rank(model: Any) -> None:
    rows = labelled_rows()
    outputs = model.signatures["serving_default"](examples=examples(rows))
    assert set(outputs) == {"scores", "probabilities"}
    assert outputs["scores"].shape == outputs["probabilities"].shape == (300,)
    assert area_under_curve([row["label"] for row in rows], outputs["scores"].numpy().tolist()) > 0.7
    # It is calibrated too: as many clicks expected as there were, more or less.
    clicks = sum(row["label"] for row in rows)
    assert float(outputs["probabilities"].numpy().sum()) == pytest.approx(clicks, rel=0.2)


@pytest.mark.tensorflow
def test_the_parts_give_what_the_whole_gives(model: Any) -> None:
    import numpy as np

    batch = examples(labelled_rows())
    features = model.signatures["embed"](examples=batch)["features"]
    assert features.shape == (300, sum(FEATURES.values()))
    scores = model(features)
    outputs = model.signatures["serving_default"](examples=batch)
    np.testing.assert_allclose(scores.numpy(), outputs["scores"].numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(1 / (1 + np.exp(-scores.numpy())), outputs["probabilities"].numpy(), rtol=1e-4)


@pytest.mark.tensorflow
def test_what_it_does_not_know_gets_the_last_row_of_each_embedding(model: Any) -> None:
    import numpy as np

    features = model.signatures["embed"](examples=examples([{}, dict.fromkeys(FEATURES, "?")]))["features"].numpy()
    last = np.concatenate([getattr(model, f"embedding_{feature}").numpy()[-1] for feature in FEATURES])
    np.testing.assert_array_equal(features, [last, last])


@pytest.mark.tensorflow
def test_the_embeddings_are_frozen_and_the_head_is_not(model: Any) -> None:
    import tensorflow as tf

    serving = model.signatures["serving_default"]
    marks = {variable.name.removesuffix(":0"): variable.trainable for variable in serving.variables}
    assert marks == {**dict.fromkeys(EMBEDDINGS, False), **dict.fromkeys(HEAD, True)}
    with tf.GradientTape() as tape:
        outputs = serving(examples=examples(labelled_rows()[:8]))
        loss = tf.reduce_mean((outputs["probabilities"] - 1.0) ** 2)
    gradients = tape.gradient(loss, serving.trainable_variables)
    assert len(gradients) == len(HEAD)
    assert all(float(tf.norm(gradient)) > 0 for gradient in gradients)


@pytest.mark.tensorflow
def test_the_latest_checkpoint_holds_the_saved_weights(model: Any) -> None:
    import numpy as np
    import tensorflow as tf

    latest = tf.train.latest_checkpoint(str(demo.FOLDER / "training"))
    assert latest is not None
    assert os.path.basename(latest) == "ckpt-300"
    reader = tf.train.load_checkpoint(latest)
    for variable in model.signatures["serving_default"].variables:
        key = f"net/{variable.name.removesuffix(':0')}/.ATTRIBUTES/VARIABLE_VALUE"
        np.testing.assert_array_equal(reader.get_tensor(key), variable.numpy())


@pytest.mark.tensorflow
def test_the_checkpoints_follow_a_training_of_the_head() -> None:
    tf = pytest.importorskip("tensorflow")
    import numpy as np

    def read(step: int, key: str) -> Any:
        reader = tf.train.load_checkpoint(str(demo.FOLDER / f"training/ckpt-{step}"))
        return reader.get_tensor(f"{key}/.ATTRIBUTES/VARIABLE_VALUE")

    steps = (100, 200, 300)
    assert [int(read(step, "step")) for step in steps] == list(steps)
    assert [int(read(step, "optimizer/_iterations")) for step in steps] == list(steps)
    for before, after in ((100, 200), (200, 300)):
        for name in HEAD:
            assert not np.array_equal(read(before, f"net/{name}"), read(after, f"net/{name}"))
        for name in EMBEDDINGS:
            np.testing.assert_array_equal(read(before, f"net/{name}"), read(after, f"net/{name}"))
    # Adam keeps two slots for each trained variable and none for a frozen one.
    names = dict(tf.train.list_variables(str(demo.FOLDER / "training/ckpt-300")))
    slots = sorted(tuple(shape) for name, shape in names.items() if name.startswith("optimizer/_variables/"))
    assert slots == sorted([tuple(names[f"net/{name}/.ATTRIBUTES/VARIABLE_VALUE"]) for name in HEAD] * 2)


# Copying it


def test_a_copy_is_the_packaged_demo_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a" / "demo"
    demo.copy_to(str(target))
    assert content(target) == packaged()


def test_a_copy_is_completed_and_leaves_other_files_alone(tmp_path: Path) -> None:
    demo.copy_to(str(tmp_path))
    (tmp_path / "rows.jsonl").unlink()
    (tmp_path / "notes.txt").write_text("mine")
    before = (tmp_path / "ranker/saved_model.pb").stat()
    demo.copy_to(str(tmp_path))
    assert content(tmp_path) == {**packaged(), "notes.txt": b"mine"}
    after = (tmp_path / "ranker/saved_model.pb").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("same_size", [True, False])
def test_a_file_that_differs_is_refused_and_nothing_is_written(tmp_path: Path, same_size: bool) -> None:
    theirs = b"x" * (len(packaged()["rows.jsonl"]) if same_size else 3)
    (tmp_path / "rows.jsonl").write_bytes(theirs)
    with pytest.raises(UsageError, match=r"rows\.jsonl: it exists and differs") as caught:
        demo.copy_to(str(tmp_path))
    assert "\n" not in str(caught.value)
    assert content(tmp_path) == {"rows.jsonl": theirs}


def test_a_fifo_in_the_way_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.jsonl")
    with pytest.raises(UsageError, match=r"rows\.jsonl: it exists"):
        demo.copy_to(str(tmp_path))


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path: Path) -> None:
    target = tmp_path / "demo"
    target.mkdir()
    link = target / "rows.jsonl"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"rows\.jsonl: it exists"):
        demo.copy_to(str(target))
    assert list(target.iterdir()) == [link]
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("place", ["demo", "demo/ranker", "demo/ranker/assets"])
def test_a_file_where_a_folder_has_to_be_is_refused(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="cannot be written"):
        demo.copy_to(str(tmp_path / "demo"))
    assert path.read_bytes() == b"mine"


def test_a_path_with_a_nul_byte_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        demo.copy_to("a\0b")


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = demo._holds

    def appear_after_the_look(path: str, data: bytes) -> bool:
        held = looked_at(path, data)
        if path.endswith("rows.jsonl"):
            Path(path).write_bytes(b"theirs")
        return held

    monkeypatch.setattr(demo, "_holds", appear_after_the_look)
    with pytest.raises(UsageError, match=r"rows\.jsonl: it exists"):
        demo.copy_to(str(tmp_path))
    assert (tmp_path / "rows.jsonl").read_bytes() == b"theirs"


def test_a_full_disk_leaves_no_half_written_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    import signal

    # A limit on the size of a file stands in for the full disk: the write of saved_model.pb stops half-way.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
        with pytest.raises(UsageError, match=r"saved_model\.pb: the demo cannot be written there"):
            demo.copy_to(str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    whole = packaged()
    assert all(whole[name] == data for name, data in content(tmp_path).items())
    assert not (tmp_path / "ranker/saved_model.pb").exists()
