"""tfexplore: look into TensorFlow models on disk, in a terminal, without TensorFlow."""

__version__ = "0.1.0"
