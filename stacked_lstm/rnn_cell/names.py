"""Activations and initializers by name, as cells take them, and their names as configurations hold them.

The names, and what they stand for, are those of TensorFlow 1.15's Keras.
"""

from stacked_lstm import activations, checks
from stacked_lstm.compat import tf
from stacked_lstm.rnn_cell.cell import snake_case

# Besides the package's own.
_MORE_ACTIVATIONS = {
    "elu": tf.nn.elu,
    "exponential": tf.exp,
    "selu": tf.nn.selu,
    "softmax": tf.nn.softmax,
    "softplus": tf.nn.softplus,
    "softsign": tf.nn.softsign,
}

# name -> (class, arguments that Keras has other defaults for)
_INITIALIZERS = {
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


def activation(given, function):
    """An `activations.Activation` from a name or a callable."""
    by_name = _MORE_ACTIVATIONS.get(given, given) if isinstance(given, str) else given
    return activations.get(by_name, function, "activation")


def activation_config(entry):
    """The name of an `activations.Activation`; the function itself where it has none."""
    if entry.times_slope is not None:
        return entry.name
    return next((name for name, known in _MORE_ACTIVATIONS.items() if known is entry.function), entry.function)


def initializer(given, function):
    """An initializer from one, its name ("glorot_uniform" or "GlorotUniform") or its `initializer_config`; or None."""
    if isinstance(given, dict):
        kind, _ = checks.known(_INITIALIZERS, snake_case(given["class_name"]), function, "initializer")
        return kind(**given["config"])
    if isinstance(given, str):
        name = snake_case(given) if given else given
        kind, arguments = checks.known(_INITIALIZERS, name, function, "initializer", "or an initializer")
        return kind(**arguments)
    return given


def initializer_config(made):
    """{"class_name", "config"} of an initializer; the initializer itself where it is none of TensorFlow's."""
    if any(type(made) is kind for kind, _ in _INITIALIZERS.values()):
        return {"class_name": type(made).__name__, "config": made.get_config()}
    return made
