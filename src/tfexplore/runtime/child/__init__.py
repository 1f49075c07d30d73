"""What runs in the child process: the standard library, numpy and TensorFlow, in the syntax of Python 3.9.

The folder is self-contained: nothing in it imports tfexplore, and tfexplore imports `frames` alone. `run.py` starts it
by its file's path, under the package name `tfexplore_child`.
"""
