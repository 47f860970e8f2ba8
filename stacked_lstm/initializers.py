"""The named distributions from which variables get their initial values.

m is the number of rows of a matrix (its inputs, or fan in), n that of its columns (its outputs, or fan out). A vector
counts as m = n = its size. U is the uniform distribution. N is the normal one with standard deviation s. TN is N
without values beyond two s. TN' is TN with a larger s, so that the values have the standard deviation in the table.

    name            distribution                source                 in Keras
    tn              TN, s = 0.1                                        TruncatedNormal(stddev=0.1)
    xavier          U(+-4 sqrt(6 / (m + n)))    [1], for sigmoids      none; GlorotUniform is a quarter as wide
    glorot_bengio   U(+-sqrt(6 / (m + n)))      [1], equation 16       GlorotUniform
    dl              U(+-1 / sqrt(m))            [2], section 8.4       VarianceScaling(1 / 3, "fan_in", "uniform")
    he              N, s = sqrt(2 / m)          [3]                    VarianceScaling(2, distribution=
                                                                           "untruncated_normal")
    orthogonal      orthonormal rows, columns   [4], matrices only     Orthogonal
    zeros           0                                                  Zeros
    glorot_uniform  U(+-sqrt(6 / (m + n)))      [1], equation 16       GlorotUniform
    glorot_normal   TN', sqrt(2 / (m + n))      [1]                    GlorotNormal
    he_uniform      U(+-sqrt(6 / m))            [3]                    HeUniform
    he_normal       TN', sqrt(2 / m)            [3]                    HeNormal
    lecun_uniform   U(+-sqrt(3 / m))            [5]                    LecunUniform
    lecun_normal    TN', sqrt(1 / m)            [5]                    LecunNormal

Instead of a name, the path of a comma-separated text file gives the numbers themselves, a line per row of the matrix.

    [1] Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, 2010
    [2] Goodfellow, Bengio and Courville, Deep Learning, 2016
    [3] He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015
    [4] Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning, 2013
    [5] LeCun, Bottou, Orr and Mueller, Efficient backprop, 1998

What most libraries call Xavier is `glorot_uniform`, the same as `glorot_bengio`. `xavier` here is four times as wide.

The distributions draw from TensorFlow's random ops, so `tf.set_random_seed` makes them repeatable.
"""

from __future__ import annotations

import os
import warnings
from typing import Any, Callable, Sequence

import numpy as np

from stacked_lstm import checks
from stacked_lstm.compat import tf

_ALTERNATIVES = (
    "(the usual Xavier is glorot_uniform; xavier is four times as wide), the path of a CSV file, or an initializer"
)


def _uniform(limit: Callable[[int, int], float]) -> Callable:
    def draw(shape: list[int], dtype: tf.DType) -> tf.Tensor:
        bound = limit(*_fans(shape))
        return tf.random_uniform(shape, -bound, bound, dtype)

    return draw


def _fans(shape: list[int]) -> tuple[int, int]:
    return (shape[0], shape[1]) if len(shape) == 2 else (shape[0], shape[0])


def _he(shape: list[int], dtype: tf.DType) -> tf.Tensor:
    return tf.random_normal(shape, stddev=np.sqrt(2.0 / _fans(shape)[0]), dtype=dtype)


def _orthogonal(shape: list[int], dtype: tf.DType) -> tf.Tensor:
    if len(shape) != 2:
        actual = f"the shape {shape}; use another initializer for biases, such as 'zeros'"
        checks.fail("initializers.get", "a matrix for the initializer 'orthogonal'", actual)
    return tf.orthogonal_initializer()(shape, dtype=dtype)


def _scaled(scale: float, mode: str, distribution: str) -> Callable:
    return lambda shape, dtype: tf.variance_scaling_initializer(scale, mode, distribution)(shape, dtype=dtype)


# name -> function (shape, dtype) -> tensor of random values.
DISTRIBUTIONS: dict[str, Callable] = {
    "tn": lambda shape, dtype: tf.truncated_normal(shape, stddev=0.1, dtype=dtype),
    "xavier": _uniform(lambda m, n: 4 * np.sqrt(6.0 / (m + n))),
    "glorot_bengio": _uniform(lambda m, n: np.sqrt(6.0 / (m + n))),
    "dl": _uniform(lambda m, n: 1 / np.sqrt(m)),
    "he": _he,
    "orthogonal": _orthogonal,
    "zeros": tf.zeros,
    "glorot_uniform": _scaled(1.0, "fan_avg", "uniform"),
    "glorot_normal": _scaled(1.0, "fan_avg", "truncated_normal"),
    "he_uniform": _scaled(2.0, "fan_in", "uniform"),
    "he_normal": _scaled(2.0, "fan_in", "truncated_normal"),
    "lecun_uniform": _scaled(1.0, "fan_in", "uniform"),
    "lecun_normal": _scaled(1.0, "fan_in", "truncated_normal"),
}


def get(
    initializer: Any,
    variable: str | None = None,
    function: str = "initializers.get",
    argument: str = "initializer",
) -> Callable[..., tf.Tensor]:
    """Returns a TensorFlow initializer for a name, a file or an initializer.

    Args:
      initializer: str, a name of the table in `help(stacked_lstm.initializers)` or a path to a CSV file; or a
        TensorFlow initializer, which is returned as it is.
      variable: str, the name of the variable for error messages about the contents of a file. Default None: `function`.
      function, argument: str, for other error messages: the caller and its argument. Default: this function.

    Returns:
      A function (shape, dtype=tf.float32, partition_info=None) -> tensor, as `tf.get_variable` takes it.

    Raises:
      ValueError: an unknown name, or a file that does not exist. When the returned function is called: a file that
        does not hold numbers, or a matrix whose shape is not the variable's.

    Example:
      >>> from stacked_lstm import initializers
      >>> w = tf.get_variable("w", [80, 40], initializer=initializers.get("glorot_uniform"))
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     print(np.max(np.abs(session.run(w))).round(2))  # sqrt(6 / 120)
      0.22
    """
    if callable(initializer):
        return initializer
    if isinstance(initializer, str) and initializer not in DISTRIBUTIONS:
        if os.path.isfile(initializer):
            return _from_csv(initializer, variable or function)
        if os.path.dirname(initializer) or os.path.splitext(initializer)[1]:
            checks.fail(function, f"`{argument}` to be the path of an existing CSV file", repr(initializer))
    draw = checks.known(DISTRIBUTIONS, initializer, function, argument, _ALTERNATIVES)

    def initialize(shape: Sequence[int], dtype: Any = tf.float32, partition_info: Any = None) -> tf.Tensor:
        del partition_info
        dtype, sizes = tf.as_dtype(dtype), [int(size) for size in shape]
        # Half precision is drawn in float32, because QR, and random ops of older versions, have no kernels for it.
        return tf.cast(draw(sizes, tf.float32), dtype) if dtype.size < 4 else draw(sizes, dtype)

    return initialize


def _from_csv(path: str, variable: str) -> Callable[..., tf.Tensor]:
    def initialize(shape: Sequence[int], dtype: Any = tf.float32, partition_info: Any = None) -> tf.Tensor:
        del partition_info
        expected = tuple(int(size) for size in shape)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NumPy warns about an empty file, which is an error below.
                matrix = np.loadtxt(path, delimiter=",", dtype=np.float64, ndmin=2)
        except ValueError as error:
            reason = str(error).split(";")[0].rstrip(".")  # NumPy's advice after it is for callers of loadtxt.
            raise ValueError(f"{variable}: expected rows of numbers with commas in {path}: {reason}") from None
        if len(expected) == 1 and 1 in matrix.shape:
            matrix = matrix.reshape(-1)
        if matrix.shape != expected:
            actual = f"shape {matrix.shape}" if matrix.size else "no numbers"
            checks.fail(variable, f"numbers of shape {expected} in {path}", actual)
        return tf.cast(tf.constant(matrix), dtype)

    return initialize
