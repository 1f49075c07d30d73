"""What one does without tfexplore: imports TensorFlow and lists a checkpoint: `python list_keys.py PREFIX`."""

from __future__ import annotations

import sys

import tensorflow

reader = tensorflow.train.load_checkpoint(sys.argv[1])
dtypes = reader.get_variable_to_dtype_map()
for name, shape in sorted(reader.get_variable_to_shape_map().items()):
    sys.stdout.write(f"{name}\t{dtypes[name].name}\t{shape}\n")
