"""Training data in the child: columns with a row for each example."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from . import tensors
from .frames import Tensor
from .serve import Refused


class Data:
    """Columns that arrive in pieces; `finish` makes them tensors."""

    def __init__(self) -> None:
        self.columns: dict[str, Any] = {}
        self.rows = 0
        self._pieces: dict[str, list[Any]] = {}

    def add(self, pieces: tuple[Tensor, ...]) -> None:
        """Takes more rows of some columns in."""
        for piece in pieces:
            # Not the frame's own bytes: TensorFlow may keep what it is given.
            self._pieces.setdefault(piece.name, []).append(np.array(tensors.to_array(piece)))

    def finish(self) -> None:
        """All is here.

        Raises:
            Refused: the columns are of different lengths, or empty.
        """
        for name in list(self._pieces):
            parts = self._pieces.pop(name)
            whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
            self.columns[name] = tf.constant(whole)
        lengths = {int(column.shape[0]) for column in self.columns.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise Refused("wrong_input", "the columns of the data have no rows, or not as many each")
        self.rows = lengths.pop()
