"""The version. setup.py reads it from here, without TensorFlow."""

__version__ = "0.1.0"
