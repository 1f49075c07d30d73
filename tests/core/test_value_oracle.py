"""What the grid shows of the corpus's checkpoints, dtype by dtype, is what TensorFlow reads from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfexplore.core.checkpoint import Checkpoint
from tfexplore.core.tensor_source import KeySource
from tfexplore.core.value_cells import cell, exact, extremes, look_for
from tfexplore.core.value_grid import whole
from tfexplore.errors import UnsupportedError
from tfexplore.formats import dtypes

PREFIXES = [
    "gen-ckpt_all_dtypes/all",
    "odd-ckpt_snappy_index/*",
    "dtln-dtln/variables/variables",
    "basic_pitch_nmp/variables/variables",
]
_MOST = 400


def prefix_of(models: Path, pattern: str) -> Path:
    found = sorted(models.glob(f"{pattern}.index"))
    assert found, pattern
    return found[0].with_suffix("")


@pytest.mark.parametrize("pattern", PREFIXES)
def test_every_dtype_as_tensorflow_reads_it(tf: Any, corpus: Path, pattern: str) -> None:
    prefix = prefix_of(corpus / "models", pattern)
    reader = tf.train.load_checkpoint(str(prefix))
    seen = set()
    checkpoint = Checkpoint(str(prefix))
    try:
        for key in checkpoint.keys:
            source = KeySource(checkpoint, key)
            if dtypes.base(source.dtype) == dtypes.VARIANT:
                continue  # TensorFlow's reader gives none
            theirs = np.asarray(reader.get_tensor(key))
            if theirs.dtype.kind in "SU":
                theirs = theirs.astype(object)
            assert theirs.shape == source.shape
            view = whole(source.shape).folded(10)
            look = look_for(source.dtype, extremes(theirs))
            pages: dict[Any, np.ndarray] = {}
            looked_at = 0
            for row in range(view.row_count):
                for column in range(view.column_count):
                    if looked_at >= _MOST or not view.exists(row, column):
                        continue
                    looked_at += 1
                    page, down, right = view.page(row, column)
                    if page not in pages:
                        pages[page] = view.arrange(source.read(*view.box(page)).array)
                    ours, place = pages[page][down, right], view.place(row, column)
                    assert exact(ours) == exact(theirs[place]), (key, place)
                    assert cell(ours, look) == cell(theirs[place], look)
            seen.add(dtypes.name(source.dtype))
    finally:
        checkpoint.close()
    if pattern.startswith("gen-ckpt_all_dtypes"):
        assert {"bfloat16", "float8_e4m3fn", "float8_e5m2", "complex128", "string", "bool", "uint64", "qint8"} <= seen


def test_a_variant_is_told_in_words(corpus: Path) -> None:
    checkpoint = Checkpoint(str(corpus / "models" / "gen-ckpt_all_dtypes" / "all"))
    try:
        source = KeySource(checkpoint, "variant/tensor_list")
        try:
            value = whole(source.shape).arrange(source.read().array)[0, 0]
        except UnsupportedError:
            pytest.skip("no variant is read here")
        assert cell(value, look_for(source.dtype, None)).startswith("variant ")
        assert exact(value).isprintable()
    finally:
        checkpoint.close()
