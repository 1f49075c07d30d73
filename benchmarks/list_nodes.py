"""Without tfexplore: imports TensorFlow and lists a GraphDef in text format: `python list_nodes.py FILE`."""

from __future__ import annotations

import sys

import tensorflow
from google.protobuf import text_format

graph = tensorflow.compat.v1.GraphDef()
with open(sys.argv[1], encoding="utf-8") as file:
    text_format.Merge(file.read(), graph)
for node in graph.node:
    sys.stdout.write(f"{node.name}\t{node.op}\t{', '.join(node.input)}\n")
