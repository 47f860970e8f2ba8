"""The named activations, each with its derivative in terms of its own output.

Writing the slope through the output (tanh' = 1 - tanh^2) means that the backward pass keeps the activated values
only, and that one table serves the first and the second derivative.
"""

import collections

from stacked_lstm import checks
from stacked_lstm.compat import tf

Activation = collections.namedtuple("Activation", ["name", "function", "times_slope"])
Activation.__doc__ = """An elementwise function and its derivative.

Fields:
  name: how users ask for it.
  function: tensor -> tensor of the same shape.
  times_slope: (y, v) -> v times the derivative at the point where `function` gave y; all of one shape. None for a
    callable of the user's, whose derivative is left to TensorFlow.
"""


def _clipped_line(name, slope):
    """clip(slope x + 0.5, 0, 1), a sigmoid of three straight pieces."""

    def function(x):
        return tf.clip_by_value(slope * x + 0.5, tf.zeros([], x.dtype), tf.ones([], x.dtype))

    def times_slope(y, v):
        return tf.where((y > 0) & (y < 1), slope * v, tf.zeros_like(v))

    return Activation(name, function, times_slope)


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("tanh", tf.tanh, lambda y, v: tf.raw_ops.TanhGrad(y=y, dy=v)),
        Activation("sigmoid", tf.sigmoid, lambda y, v: tf.raw_ops.SigmoidGrad(y=y, dy=v)),
        _clipped_line("hard_sigmoid", 0.2),  # Keras 2's and Theano's
        _clipped_line("hard_sigmoid_6", 1 / 6.0),  # what Keras 3, PyTorch and JAX call hard sigmoid: relu6(x + 3) / 6
        Activation("relu", tf.nn.relu, lambda y, v: tf.raw_ops.ReluGrad(gradients=v, features=y)),
        Activation("linear", tf.identity, lambda y, v: v),
    )
}


# What programs pass as callables and means the same: TensorFlow has more than one function object for each.
_ALIASES = {
    "tanh": (tf.tanh, tf.nn.tanh, tf.math.tanh),
    "sigmoid": (tf.sigmoid, tf.nn.sigmoid, tf.math.sigmoid),
    "relu": (tf.nn.relu,),
    "linear": (tf.identity,),
}


def get(activation, function_name, argument):
    """Returns the `Activation` that a name or a callable stands for.

    Args:
      activation: a key of `ACTIVATIONS`, or a callable from a tensor to one of the same shape and dtype.
      function_name, argument: who asks, for the error message.

    Raises:
      ValueError: an unknown name; the message lists the known ones.
    """
    if callable(activation):
        for name, aliases in _ALIASES.items():
            if any(activation is alias for alias in aliases):
                return ACTIVATIONS[name]
        return Activation(getattr(activation, "__name__", repr(activation)), activation, None)
    return checks.known(ACTIVATIONS, activation, function_name, argument, "or a callable")
