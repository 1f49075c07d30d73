"""The inputs of one call, from values, Examples, records and requests together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfexplore import demo
from tfexplore.core.given import given_arrays
from tfexplore.core.meta_graph import MetaGraph
from tfexplore.core.opener import open_model
from tfexplore.core.requests import parse_request
from tfexplore.core.signatures import Signature
from tfexplore.errors import UsageError

ROW = '{"gid": "135415", "cid1": "11", "cid2": "11", "cid3": "2860", "brand": "11", "merchant": "11"}'


@pytest.fixture
def ranker() -> Iterator[tuple[MetaGraph, Signature]]:
    with open_model(str(demo.FOLDER / "ranker")) as model:
        meta = model.meta_graph()
        yield meta, meta.signatures[0]


def test_the_demo_answers_an_example(tf: Any, ranker: tuple[MetaGraph, Signature]) -> None:
    arrays = given_arrays(*ranker, example=ROW)
    call = tf.saved_model.load(str(demo.FOLDER / "ranker")).signatures["serving_default"]
    scores = call(**{name: tf.constant(array) for name, array in arrays.items()})["scores"].numpy()
    feature = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[part.encode()]))
        for name, part in json.loads(ROW).items()
    }
    theirs = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    assert scores.tolist() == call(examples=tf.constant([theirs]))["scores"].numpy().tolist()
    assert np.isfinite(scores).all()


def test_rows_and_records_are_the_same(tf: Any, ranker: tuple[MetaGraph, Signature], tmp_path: Path) -> None:
    rows = given_arrays(*ranker, example=f"@{demo.FOLDER / 'rows.jsonl'}")["examples"]
    with tf.io.TFRecordWriter(str(tmp_path / "rows")) as writer:
        for row in rows:
            writer.write(row)
    records = given_arrays(*ranker, tfrecord=str(tmp_path / "rows"))["examples"]
    assert rows.tolist() == records.tolist()
    assert rows.shape == (300,)
    assert given_arrays(*ranker, tfrecord=f"{tmp_path / 'rows'}:2")["examples"].tolist() == rows[:2].tolist()


def test_values_and_requests(ranker: tuple[MetaGraph, Signature]) -> None:
    request = parse_request('{"instances": ["a", {"b64": "/w=="}]}', "r.json")
    assert given_arrays(*ranker, request=request)["examples"].tolist() == [b"a", b"\xff"]
    assert given_arrays(*ranker, ['examples=["a"]'])["examples"].tolist() == [b"a"]
    with pytest.raises(UsageError, match=r"the input examples \(string \[\?\]\) is given twice"):
        given_arrays(*ranker, ['["a"]'], example=ROW)
    with pytest.raises(UsageError, match=r"the input examples .* is missing: give --input examples=VALUE"):
        given_arrays(*ranker)
    with pytest.raises(UsageError, match="the model parses no feature gidd; did you mean gid"):
        given_arrays(*ranker, example='{"gidd": "1"}')
