"""Trains the packaged demo model and writes it, its checkpoints and its rows.

Run it where TensorFlow is installed: `python scripts/make_demo.py [--out DIR]`.

The model ranks goods by how likely a click is. The shop is made up: a catalogue whose categories, brands,
merchants and items have hidden worths, and clicks drawn from them. The embeddings are trained first, together
with a head that is thrown away; then they are frozen and a new head is trained on fresh rows, with checkpoints.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import numpy as np
import tensorflow as tf

DEMO = Path(__file__).resolve().parent.parent / "src" / "tfexplore" / "demo"
PARTS = ("ranker", "training", "rows.jsonl")
FEATURES = {"gid": 8, "cid1": 4, "cid2": 6, "cid3": 8, "brand": 6, "merchant": 6}  # name: embedding width
WIDTH = sum(FEATURES.values())
HIDDEN = 32
SEED = 2024
PRETRAINING_STEPS = 700
CHECKPOINT_STEPS = (100, 200, 300)
BATCH = 256
SAMPLE_ROWS = 300
LIMIT = 1_000_000

Rows = dict[str, np.ndarray]
Feature = dict[str, tf.Tensor]


class Shop:
    """A made-up catalogue with the hidden worth of each item, in logits."""

    def __init__(self, rng: np.random.Generator, items: int = 400, newcomers: int = 12) -> None:
        cid1 = np.arange(11, 21)
        cid2 = (cid1[:, None] * 100 + np.arange(1, 5)).ravel()
        cid3 = (cid2[:, None] * 100 + np.arange(1, 4)).ravel()
        brands = np.arange(3001, 3081)
        merchants = np.arange(501, 561)
        gids = np.sort(rng.choice(np.arange(100_000, 200_000), items + newcomers, replace=False))
        gids[np.searchsorted(gids, 135_415) % len(gids)] = 135_415
        leaf = rng.integers(len(cid3), size=len(gids))
        leaf[gids == 135_415] = 0
        # A brand is at home in one top category; two items in three there carry one of its brands.
        at_home = rng.integers(len(cid1), size=len(brands))
        brand = rng.integers(len(brands), size=len(gids))
        for place in np.flatnonzero(rng.random(len(gids)) < 0.67):
            brand[place] = rng.choice(np.flatnonzero(at_home == leaf[place] // 12))
        merchant = rng.integers(len(merchants), size=len(gids))
        self.columns: Rows = {
            "gid": gids.astype(str),
            "cid1": cid1[leaf // 12].astype(str),
            "cid2": cid2[leaf // 3].astype(str),
            "cid3": cid3[leaf].astype(str),
            "brand": brands[brand].astype(str),
            "merchant": merchants[merchant].astype(str),
        }
        taste = rng.normal(size=(len(cid1), 3)) @ rng.normal(size=(3, len(brands)))
        self.worth = (
            rng.normal(0.0, 0.8, len(cid1))[leaf // 12]
            + rng.normal(0.0, 0.5, len(cid2))[leaf // 3]
            + rng.normal(0.0, 0.5, len(cid3))[leaf]
            + rng.normal(0.0, 0.7, len(brands))[brand]
            + rng.normal(0.0, 0.6, len(merchants))[merchant]
            + 0.4 * taste[leaf // 12, brand]
            + rng.normal(0.0, 0.3, len(gids))
        )
        self.worth -= self.worth.mean() + 0.4
        # Newcomers came after the vocabulary was made: the model knows their category and brand, not their gid.
        known = np.ones(len(gids), bool)
        known[rng.choice(np.flatnonzero(gids != 135_415), newcomers, replace=False)] = False
        self.known = known
        popularity = rng.pareto(1.5, len(gids)) + 0.3
        self.popularity = popularity / popularity.sum()

    def vocabulary(self, feature: str) -> list[str]:
        """The values of one feature that the model knows, sorted; the line number is the row of the embedding."""
        return sorted(set(self.columns[feature][self.known].tolist()))

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Rows, np.ndarray]:
        """`count` impressions: string columns `[count]` and labels `[count]` (1: clicked)."""
        items = rng.choice(len(self.worth), size=count, p=self.popularity)
        clicked = rng.random(count) < 1.0 / (1.0 + np.exp(-self.worth[items]))
        return {name: column[items] for name, column in self.columns.items()}, clicked.astype(np.float32)


class Dense(tf.Module):
    """A dense layer, `[batch, inputs]` to `[batch, units]`."""

    def __init__(self, inputs: int, units: int, name: str, rng: np.random.Generator) -> None:
        super().__init__(name=name)
        kernel = rng.normal(0.0, np.sqrt(1.0 / inputs), (inputs, units)).astype(np.float32)
        self.kernel = tf.Variable(kernel, name=f"{name}/kernel")
        self.bias = tf.Variable(tf.zeros([units]), name=f"{name}/bias")

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        with tf.name_scope(self.name):
            return tf.nn.bias_add(tf.matmul(inputs, self.kernel), self.bias)


class Ranker(tf.Module):
    """Six embedded string features and two dense layers that give a score (a logit).

    Args:
        vocabularies: the folder of `FEATURE.txt`; it has to be relative, because the path becomes part of the
            name of the table in the graph.
        rng: where the first weights come from.
        pretrained: a ranker whose embeddings this one takes over, frozen.
    """

    def __init__(self, vocabularies: str, rng: np.random.Generator, pretrained: Ranker | None = None) -> None:
        super().__init__(name="ranker")
        for feature, width in FEATURES.items():
            path = os.path.join(vocabularies, f"{feature}.txt")
            size = len(Path(path).read_text().split())
            setattr(self, f"vocabulary_{feature}", vocabulary_table(path, size))
            if pretrained is None:
                value = rng.normal(0.0, 0.05, (size + 1, width)).astype(np.float32)
            else:
                value = getattr(pretrained, f"embedding_{feature}").numpy()
            variable = tf.Variable(value, name=f"embedding_{feature}", trainable=pretrained is None)
            setattr(self, f"embedding_{feature}", variable)
        self.dense_1 = Dense(WIDTH, HIDDEN, "dense_1", rng)
        self.dense_2 = Dense(HIDDEN, 1, "dense_2", rng)

    def look_up(self, strings: Feature) -> tf.Tensor:
        """The embeddings of string features `[batch]`, side by side: `[batch, WIDTH]`."""
        parts = []
        for feature in FEATURES:
            with tf.name_scope(feature):
                row = getattr(self, f"vocabulary_{feature}").lookup(strings[feature])
                parts.append(tf.nn.embedding_lookup(getattr(self, f"embedding_{feature}"), row))
        return tf.concat(parts, axis=1, name="features")

    @tf.function(input_signature=[tf.TensorSpec([None, WIDTH], tf.float32, name="features")])
    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        """Embeddings `[batch, WIDTH]` to scores `[batch]`."""
        hidden = tf.nn.relu(self.dense_1(features), name="dense_1/relu")
        return tf.squeeze(self.dense_2(hidden), axis=1, name="score")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def embed(self, examples: tf.Tensor) -> Feature:
        """Serialized `tf.train.Example`s `[batch]` to `{"features": [batch, WIDTH]}`."""
        spec = {feature: tf.io.FixedLenFeature([], tf.string, default_value="") for feature in FEATURES}
        return {"features": self.look_up(tf.io.parse_example(examples, spec))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def rank(self, examples: tf.Tensor) -> Feature:
        """Serialized `tf.train.Example`s `[batch]` to `{"scores": [batch], "probabilities": [batch]}`."""
        scores = self(self.embed(examples)["features"])
        return {"scores": scores, "probabilities": tf.sigmoid(scores)}


def vocabulary_table(path: str, size: int) -> tf.lookup.StaticHashTable:
    """Each line of a file to its number; whatever is in no line to `size`."""
    lines = tf.lookup.TextFileInitializer(
        path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    return tf.lookup.StaticHashTable(lines, size)


def examples_of(rows: Rows) -> list[bytes]:
    """One serialized `tf.train.Example` a row."""
    count = len(next(iter(rows.values())))
    return [
        tf.train.Example(
            features=tf.train.Features(
                feature={
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(column[i]).encode()]))
                    for name, column in rows.items()
                }
            )
        ).SerializeToString(deterministic=True)
        for i in range(count)
    ]


def area_under_curve(labels: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a clicked row scores above one that was not; ties count half."""
    clicked, passed = scores[labels > 0.5], np.sort(scores[labels <= 0.5])
    below = np.searchsorted(passed, clicked, "left") + np.searchsorted(passed, clicked, "right")
    return float(below.sum() / (2 * len(clicked) * len(passed)))


def training_step(net: Ranker, optimizer: tf.keras.optimizers.Optimizer) -> tf.types.experimental.PolymorphicFunction:
    """A compiled step (rows, labels) -> loss over what of `net` is trainable."""
    variables = net.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(rows: Feature, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, net(net.look_up(rows)))
            loss = tf.reduce_mean(losses)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step


def batch(shop: Shop, rng: np.random.Generator, missing: float) -> tuple[Feature, tf.Tensor]:
    """Fresh rows in which each value is missing with the chance `missing`: so the last row of an embedding learns."""
    rows, labels = shop.draw(rng, BATCH)
    tensors = {name: tf.constant(np.where(rng.random(BATCH) < missing, "", column)) for name, column in rows.items()}
    return tensors, tf.constant(labels)


def pretrain(shop: Shop, rng: np.random.Generator) -> Ranker:
    """A ranker of which all was trained."""
    net = Ranker("vocabularies", rng)
    step = training_step(net, tf.keras.optimizers.Adam(0.01))
    for _ in range(PRETRAINING_STEPS):
        step(*batch(shop, rng, missing=0.03))
    return net


def train_head(net: Ranker, shop: Shop, rng: np.random.Generator) -> None:
    """Trains what is not frozen and writes `training/`."""
    held_out, clicked = shop.draw(rng, 5000)
    features = net.look_up({name: tf.constant(column) for name, column in held_out.items()})
    optimizer = tf.keras.optimizers.Adam(0.0005)
    step = training_step(net, optimizer)
    counter = tf.Variable(0, dtype=tf.int64, name="step", trainable=False)
    checkpoint = tf.train.Checkpoint(step=counter, optimizer=optimizer, net=net)
    checkpoints = tf.train.CheckpointManager(checkpoint, "training", max_to_keep=len(CHECKPOINT_STEPS))
    for number in range(1, CHECKPOINT_STEPS[-1] + 1):
        step(*batch(shop, rng, missing=0.01))
        counter.assign_add(1)
        if number in CHECKPOINT_STEPS:
            checkpoints.save(checkpoint_number=number)
            scores = net(features)
            loss = float(tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(clicked, scores)))
            area = area_under_curve(clicked, scores.numpy())
            print(f"step {number}: on {len(clicked):,} held-out rows loss {loss:.3f}, AUC {area:.3f}")


def write_rows(shop: Shop, rng: np.random.Generator) -> None:
    """Writes `rows.jsonl`: rows that no training saw."""
    rows, labels = shop.draw(rng, SAMPLE_ROWS)
    with open("rows.jsonl", "w", encoding="utf-8") as file:
        for i in range(SAMPLE_ROWS):
            row = {name: str(column[i]) for name, column in rows.items()}
            file.write(json.dumps({**row, "label": int(labels[i])}) + "\n")
    outputs = tf.saved_model.load("ranker").signatures["serving_default"](examples=tf.constant(examples_of(rows)))
    print(f"rows.jsonl: AUC of the saved model {area_under_curve(labels, outputs['scores'].numpy()):.3f}")


def write_demo() -> None:
    """Writes the parts of the demo to the current folder."""
    catalogue, early, late, sample = (np.random.default_rng([SEED, stream]) for stream in range(4))
    shop = Shop(catalogue)
    os.mkdir("vocabularies")
    for feature in FEATURES:
        Path("vocabularies", f"{feature}.txt").write_text("\n".join(shop.vocabulary(feature)) + "\n")
    net = Ranker("vocabularies", late, pretrain(shop, early))
    train_head(net, shop, late)
    tf.saved_model.save(
        net,
        "ranker",
        signatures={"serving_default": net.rank, "embed": net.embed},
        options=tf.saved_model.SaveOptions(save_debug_info=False),
    )
    write_rows(shop, sample)


def files_below(folder: Path) -> Iterator[Path]:
    """The files of the demo's parts in `folder`."""
    for part in PARTS:
        top = folder / part
        yield from (path for path in sorted(top.rglob("*") if top.is_dir() else [top]) if path.is_file())


def check(folder: Path) -> None:
    """Ends the program where a file names a path of this machine, or where all is too large to be packaged."""
    total = 0
    places = {b"/home/", b"/tmp/", b"/root/"} | {os.fsencode(path) for path in (folder, DEMO.parents[2], sys.prefix)}
    for path in files_below(folder):
        data = path.read_bytes()
        total += len(data)
        for place in places:
            if place in data:
                sys.exit(f"{path.relative_to(folder)} names a path of this machine: {os.fsdecode(place)}")
        print(f"{len(data):9,} {path.relative_to(folder)}")
    print(f"{total:9,} bytes in all")
    if total > LIMIT:
        sys.exit(f"the demo has {total:,} bytes, more than the {LIMIT:,} that it may have")


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Makes `folder` the current one for a while: paths that end up in a file are relative then."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the packaged demo model and writes it.")
    parser.add_argument("--out", type=Path, default=DEMO, metavar="DIR", help="default: the package's folder")
    out = parser.parse_args().out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(SEED)
    # In the target's own folder, so that the parts can be renamed into place.
    with tempfile.TemporaryDirectory(prefix=".new-", dir=out) as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        new.mkdir()
        old.mkdir()
        with working_in(new):
            write_demo()
        check(new)
        for part in PARTS:
            if (out / part).exists():
                shutil.move(out / part, old / part)
            os.replace(new / part, out / part)


if __name__ == "__main__":
    main()
