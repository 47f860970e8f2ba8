"""Activations and initializers by their Keras names, as cells take them and as configurations hold them.

The names, and what they stand for, are those of TensorFlow 1.15's Keras.
"""

from __future__ import annotations

from typing import Any, Callable

from stacked_lstm import activations, checks
from stacked_lstm.activations import Activation
from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.base.layer_names import snake_case

# Besides those in `activations`.
_MORE_ACTIVATIONS = {
    "exponential": tf.exp,
    "softmax": tf.nn.softmax,
}

# name -> (class, arguments whose defaults differ in Keras)
_INITIALIZERS: dict[str, tuple[Callable, dict[str, Any]]] = {
    "constant": (tf.constant_initializer, {}),
    "glorot_normal": (tf.glorot_normal_initializer, {}),
    "glorot_uniform": (tf.glorot_uniform_initializer, {}),
    "he_normal": (tf.variance_scaling_initializer, {"scale": 2.0}),
    "he_uniform": (tf.variance_scaling_initializer, {"scale": 2.0, "distribution": "uniform"}),
    "identity": (tf.initializers.identity, {}),
    "lecun_normal": (tf.variance_scaling_initializer, {}),
    "lecun_uniform": (tf.variance_scaling_initializer, {"distribution": "uniform"}),
    "normal": (tf.random_normal_initializer, {"stddev": 0.05}),
    "ones": (tf.ones_initializer, {}),
    "orthogonal": (tf.orthogonal_initializer, {}),
    "random_normal": (tf.random_normal_initializer, {"stddev": 0.05}),
    "random_uniform": (tf.random_uniform_initializer, {"minval": -0.05, "maxval": 0.05}),
    "truncated_normal": (tf.truncated_normal_initializer, {"stddev": 0.05}),
    "uniform": (tf.random_uniform_initializer, {"minval": -0.05, "maxval": 0.05}),
    "variance_scaling": (tf.variance_scaling_initializer, {}),
    "zeros": (tf.zeros_initializer, {}),
}


def activation(value: str | Callable, function: str) -> Activation:
    """Returns the `Activation` for a name or a callable; `function` is the caller's name for the error message."""
    if isinstance(value, str):
        value = _MORE_ACTIVATIONS.get(value, value)
    return activations.get(value, function, "activation")


def activation_config(entry: Activation) -> str | Callable:
    """Returns the name of an `Activation`, or its function if it has no name."""
    if activations.is_named(entry):
        return entry.name
    return next((name for name, function in _MORE_ACTIVATIONS.items() if function is entry.function), entry.function)


def initializer(value: Any, function: str) -> Any:
    """Returns a TensorFlow initializer, or None for None.

    Args:
      value: an initializer, its name ("glorot_uniform" or "GlorotUniform"), a result of `initializer_config`, or None.
      function: the caller's name for the error message.

    Raises:
      ValueError: an unknown name.
    """
    if isinstance(value, dict):
        kind, _ = checks.known(_INITIALIZERS, snake_case(value["class_name"]), function, "initializer")
        return kind(**value["config"])
    if isinstance(value, str):
        name = snake_case(value) if value else value
        kind, arguments = checks.known(_INITIALIZERS, name, function, "initializer", "or an initializer")
        return kind(**arguments)
    return value


def initializer_config(value: Any) -> Any:
    """Returns {"class_name": ..., "config": ...} of an initializer, or the initializer if it is not TensorFlow's."""
    if any(type(value) is kind for kind, _ in _INITIALIZERS.values()):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    return value
