"""The named distributions that variables start from.

In the table m is a matrix' number of rows (its inputs), n its number of columns. A vector counts as m = n = its size.

    tn             truncated normal, standard deviation 0.1
    xavier         uniform in +-4 sqrt(6 / (m + n)), the variant for sigmoid units of Glorot and Bengio (2010)
    dl             uniform in +-1 / sqrt(m), Goodfellow, Bengio and Courville, Deep Learning, section 8.4
    he             normal, standard deviation sqrt(2 / m), He et al. (2015), Delving Deep into Rectifiers
    glorot_bengio  uniform in +-sqrt(6 / (m + n)), Glorot and Bengio (2010), equation 16
    orthogonal     orthonormal rows or columns, Saxe et al. (2013); matrices only
    zeros          zero
    a path         the numbers of a comma-separated text file, one matrix row per line

The names that Keras has mean what they mean there (TensorFlow's `variance_scaling_initializer`): glorot_uniform (the
same as glorot_bengio, and what is usually called Xavier; our xavier is four times as wide), glorot_normal, he_uniform,
he_normal (he, cut at two standard deviations), lecun_uniform, lecun_normal.

They draw from TensorFlow's random ops, so `tf.set_random_seed` makes them repeatable.
"""

import os

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import tf


def _uniform(limit_of):
    def draw(shape, dtype):
        limit = limit_of(*_fans(shape))
        return tf.random_uniform(shape, -limit, limit, dtype)

    return draw


def _fans(shape):
    return (shape[0], shape[1]) if len(shape) == 2 else (shape[0], shape[0])


def _he(shape, dtype):
    return tf.random_normal(shape, stddev=np.sqrt(2.0 / _fans(shape)[0]), dtype=dtype)


def _scaled(scale, mode, distribution):
    return lambda shape, dtype: tf.variance_scaling_initializer(scale, mode, distribution)(shape, dtype=dtype)


DISTRIBUTIONS = {
    "tn": lambda shape, dtype: tf.truncated_normal(shape, stddev=0.1, dtype=dtype),
    "xavier": _uniform(lambda m, n: 4 * np.sqrt(6.0 / (m + n))),
    "dl": _uniform(lambda m, n: 1 / np.sqrt(m)),
    "he": _he,
    "glorot_bengio": _uniform(lambda m, n: np.sqrt(6.0 / (m + n))),
    "glorot_uniform": _scaled(1.0, "fan_avg", "uniform"),
    "glorot_normal": _scaled(1.0, "fan_avg", "truncated_normal"),
    "he_uniform": _scaled(2.0, "fan_in", "uniform"),
    "he_normal": _scaled(2.0, "fan_in", "truncated_normal"),
    "lecun_uniform": _scaled(1.0, "fan_in", "uniform"),
    "lecun_normal": _scaled(1.0, "fan_in", "truncated_normal"),
    "orthogonal": lambda shape, dtype: tf.orthogonal_initializer()(shape, dtype=dtype),
    "zeros": tf.zeros,
}


def get(initializer, variable="variable"):
    """Returns a TensorFlow initializer: a function of (shape, dtype, partition_info).

    Args:
      initializer: a name of `DISTRIBUTIONS`, a path to a CSV file, or any TensorFlow initializer (returned as it is).
      variable: name of the variable, for error messages.

    Raises:
      ValueError: an unknown name that is no file; the message lists the names. When the initializer is called: a
        file that holds no numbers, or a matrix of another shape than the variable's.
    """
    if callable(initializer):
        return initializer
    if isinstance(initializer, str) and initializer not in DISTRIBUTIONS:
        if os.path.isfile(initializer):
            return _from_csv(initializer, variable)
        if initializer.endswith(".csv"):
            checks.fail("initializers.get", f"an existing CSV file for {variable}", repr(initializer))
    draw = checks.known(
        DISTRIBUTIONS,
        initializer,
        "initializers.get",
        "initializer",
        "(glorot_uniform is the usual Xavier, xavier four times as wide), or a path to a CSV file, or an initializer",
    )

    def initialize(shape, dtype=tf.float32, partition_info=None):
        del partition_info
        dtype, shape = tf.as_dtype(dtype), [int(size) for size in shape]
        # Half precision is drawn in float32: QR and, on older versions, random ops know no other.
        half = dtype in (tf.float16, tf.bfloat16)
        return tf.cast(draw(shape, tf.float32), dtype) if half else draw(shape, dtype)

    return initialize


def _from_csv(path, variable):
    def initialize(shape, dtype=tf.float32, partition_info=None):
        del partition_info
        expected = tuple(int(size) for size in shape)
        try:
            matrix = np.loadtxt(path, delimiter=",", dtype=np.float64, ndmin=2)
        except ValueError as error:
            return checks.fail("initializers.get", f"a CSV file of numbers in {path} for {variable}", error)
        if len(expected) == 1 and 1 in matrix.shape:
            matrix = matrix.reshape(-1)
        if matrix.shape != expected:
            checks.fail("initializers.get", f"shape {expected} for {variable}", f"{matrix.shape} in {path}")
        return tf.cast(tf.constant(matrix), dtype)

    return initialize
