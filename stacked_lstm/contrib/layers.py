"""Fully connected layers of `tf.contrib.layers`, and the initializers of their weights."""

from __future__ import annotations

import math
import numbers
from typing import Any, Callable

from stacked_lstm.compat import tf

__all__ = ["fully_connected", "linear", "variance_scaling_initializer", "xavier_initializer"]


def variance_scaling_initializer(
    factor: float = 2.0, mode: str = "FAN_IN", uniform: bool = False, seed: int | None = None, dtype: Any = tf.float32
) -> Callable[..., Any]:
    """Returns an initializer whose variance is `factor` divided by the number of inputs or outputs of a layer.

    It replaces `tf.contrib.layers.variance_scaling_initializer` of TensorFlow 1.15. With the same seeds the numbers
    are the same bits.

    Source: He, Zhang, Ren and Sun, Delving Deep into Rectifiers, ICCV 2015, for the defaults.

    Args:
      factor: float, the variance times that number. Default 2.0.
      mode: what the number counts: "FAN_IN", the default: inputs; "FAN_OUT": outputs; "FAN_AVG": the mean of both.
      uniform: bool, default False: a truncated normal distribution. True: a uniform one.
      seed: int, for the same numbers in every session. Default None: other numbers in every session.
      dtype: a floating tf.DType, if the variable does not have one. Default tf.float32.

    Returns:
      A function (shape, dtype) -> tensor, for `initializer` of `tf.get_variable`.

    Raises:
      TypeError: `dtype` is not floating, or `mode` has another value.

    Example:
      >>> from stacked_lstm.contrib import layers
      >>> initializer = layers.variance_scaling_initializer(mode="FAN_OUT", seed=1)
      >>> kernel = tf.get_variable("kernel", [100, 200], initializer=initializer)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     print(round(float(session.run(kernel).std()), 1))  # sqrt(2 / 200)
      0.1
    """
    if mode not in _MODES:
        raise TypeError(f"Unknown mode {mode} [FAN_IN, FAN_OUT, FAN_AVG]")

    def initialize(shape: Any, dtype: Any = dtype, partition_info: Any = None) -> tf.Tensor:
        del partition_info
        _check_floating(dtype)
        sizes = [float(size) for size in shape] or [1.0]
        count = _MODES[mode](sizes[-2:][0], sizes[-1])
        for size in sizes[:-2]:
            count *= size
        if uniform:
            limit = math.sqrt(3 * factor / count)
            return tf.random_uniform(shape, -limit, limit, dtype, seed=seed)
        return tf.truncated_normal(shape, 0.0, math.sqrt(1.3 * factor / count), dtype, seed=seed)

    _check_floating(dtype)
    return initialize


# Mode of `variance_scaling_initializer` -> the count, from the numbers of inputs and of outputs.
_MODES: dict[str, Callable[[float, float], float]] = {
    "FAN_IN": lambda inputs, outputs: inputs,
    "FAN_OUT": lambda inputs, outputs: outputs,
    "FAN_AVG": lambda inputs, outputs: (inputs + outputs) / 2,
}


def _check_floating(dtype: Any) -> None:
    if not tf.as_dtype(dtype).is_floating:
        raise TypeError("Cannot create initializer for non-floating point type.")


def xavier_initializer(uniform: bool = True, seed: int | None = None, dtype: Any = tf.float32) -> Callable[..., Any]:
    """Returns an initializer that keeps the scale of gradients about the same in all layers.

    It replaces `tf.contrib.layers.xavier_initializer` of TensorFlow 1.15. With the same seeds the numbers are the
    same bits.

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010.

    Args:
      uniform: bool, default True: a uniform distribution. False: a truncated normal one.
      seed: int, for the same numbers in every session. Default None: other numbers in every session.
      dtype: a floating tf.DType, if the variable does not have one. Default tf.float32.

    Returns:
      A function (shape, dtype) -> tensor, for `initializer` of `tf.get_variable`.

    Raises:
      TypeError: `dtype` is not floating.

    Example:
      >>> from stacked_lstm.contrib import layers
      >>> kernel = tf.get_variable("kernel", [300, 300], initializer=layers.xavier_initializer(seed=1))
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     print(round(float(abs(session.run(kernel)).max()), 2))  # sqrt(6 / 600)
      0.1
    """
    return variance_scaling_initializer(1.0, "FAN_AVG", uniform, seed, dtype)


_XAVIER, _ZEROS = xavier_initializer(), tf.zeros_initializer()


def fully_connected(
    inputs: Any,
    num_outputs: int,
    activation_fn: Callable | None = tf.nn.relu,
    normalizer_fn: Callable | None = None,
    normalizer_params: dict[str, Any] | None = None,
    weights_initializer: Any = _XAVIER,
    weights_regularizer: Callable | None = None,
    biases_initializer: Any = _ZEROS,
    biases_regularizer: Callable | None = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> tf.Tensor:
    """Multiplies inputs by a matrix, adds biases, and applies a function.

    It replaces `tf.contrib.layers.fully_connected` of TensorFlow 1.15, except that `arg_scope` does not reach it. I
    is the width of the inputs.

    Args:
      inputs: float [..., I] of a known width, of rank 2 or more.
      num_outputs: int, N, the width of the outputs.
      activation_fn: function of the outputs. Default `tf.nn.relu`; None: no function.
      normalizer_fn: function of the product, such as a batch normalization, in the place of the biases. Default None.
      normalizer_params: dictionary of its arguments. Default None: none.
      weights_initializer: initializer of the matrix. Default `xavier_initializer()`.
      weights_regularizer: function of the matrix to a loss, which is in the collection REGULARIZATION_LOSSES. Default
        None.
      biases_initializer: initializer of the biases. Default zeros; None: no biases.
      biases_regularizer: the same as `weights_regularizer`, for the biases. Default None.
      reuse: whether to reuse the variables, as in `tf.variable_scope`; it then needs a `scope`. Default None.
      variables_collections: list of collections for the variables, or a dictionary of such lists by "weights" and
        "biases". Default None.
      outputs_collections: name of a collection for the outputs, or a list of names. Default None.
      trainable: bool, default True: optimizers change the variables.
      scope: str or `tf.VariableScope` of the variables "weights" [I, N] and "biases" [N]. Default None:
        "fully_connected", "fully_connected_1" and so on.

    Returns:
      float [..., N].

    Raises:
      ValueError: `num_outputs` is not an int, the inputs have a rank below 2, or their width is unknown.

    Example:
      >>> from stacked_lstm.contrib import layers
      >>> y = layers.fully_connected(tf.ones([4, 20, 8]), 3, activation_fn=None)
      >>> y.shape.as_list(), [variable.op.name for variable in tf.global_variables()]
      ([4, 20, 3], ['fully_connected/weights', 'fully_connected/biases'])
    """
    if not isinstance(num_outputs, numbers.Integral):
        raise ValueError(f"num_outputs type should be one of {[int]}, got {type(num_outputs)}.")
    with tf.variable_scope(scope, "fully_connected", [inputs], reuse=reuse):
        inputs = tf.convert_to_tensor(inputs)
        if inputs.shape.ndims is None or inputs.shape.ndims < 2 or inputs.shape.as_list()[-1] is None:
            raise ValueError(f"fully_connected: expected inputs of rank 2 or more and known width, got {inputs.shape}")

        def variable(name: str, shape: list[int], initializer: Any, regularizer: Any) -> Any:
            collections = variables_collections
            if isinstance(collections, dict):
                collections = collections.get(name)
            return tf.get_variable(
                name,
                shape,
                inputs.dtype.base_dtype,
                initializer,
                regularizer,
                trainable,
                [tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.MODEL_VARIABLES, *(collections or [])],
            )

        width = inputs.shape.as_list()[-1]
        weights = variable("weights", [width, num_outputs], weights_initializer, weights_regularizer)
        outputs = tf.matmul(inputs, weights) if inputs.shape.ndims == 2 else tf.tensordot(inputs, weights, 1)
        outputs.set_shape(inputs.shape[:-1].concatenate([num_outputs]))
        if normalizer_fn is not None:
            outputs = normalizer_fn(outputs, **(normalizer_params or {}))
        elif biases_initializer is not None:
            outputs = tf.nn.bias_add(outputs, variable("biases", [num_outputs], biases_initializer, biases_regularizer))
        if activation_fn is not None:
            outputs = activation_fn(outputs)
        if outputs_collections:
            tf.add_to_collections(outputs_collections, outputs)
        return outputs


def linear(inputs: Any, num_outputs: int, **options: Any) -> tf.Tensor:
    """Multiplies inputs by a matrix, and adds biases.

    It replaces `tf.contrib.layers.linear` of TensorFlow 1.15: `fully_connected` without an activation.

    Args:
      inputs: float [..., I] of a known width, of rank 2 or more.
      num_outputs: int, N, the width of the outputs.
      **options: other arguments of `fully_connected`, by name. The default of `activation_fn` is None.

    Returns:
      float [..., N].

    Raises:
      ValueError: as in `fully_connected`.

    Example:
      >>> from stacked_lstm.contrib import layers
      >>> layers.linear(tf.ones([4, 8]), 3, scope="logits").op.name
      'logits/BiasAdd'
    """
    return fully_connected(inputs, num_outputs, **{"activation_fn": None, **options})
