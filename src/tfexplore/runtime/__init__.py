"""Runs models, in a child process that alone imports TensorFlow.

`client.Runtime` is what the layers above use; `child/` is what runs on the other side, under any Python 3.9 or later.
"""
