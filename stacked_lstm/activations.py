"""The named activations, each with its derivative in terms of its own output.

A new one also has an entry in `numpy_lstm/activations.py`, if NumPy is to check it. If `native` shall run it, it has an
entry in `kernels/__init__.py`, in `kernels/lstm.h`, two in `kernels/arithmetic/activations.h`, and one in
`engines/native/op_inputs.h`.

The slope of tanh, for example, is 1 - tanh^2. So the backward pass only keeps the activated values, and one table
serves the first and the second derivative.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from stacked_lstm import checks
from stacked_lstm.compat import tf


class Activation(NamedTuple):
    """An elementwise function and its derivative.

    Fields:
      name: the name that users write.
      function: tensor -> tensor of the same shape.
      times_slope: (y, v) -> v times the derivative at the point where `function` has the value y; all of one shape.
        None if TensorFlow differentiates the function: for a user's callable, and for swish, whose derivative does not
        follow from its value.
    """

    name: str
    function: Callable[[Any], Any]
    times_slope: Callable[[Any, Any], Any] | None

    def __deepcopy__(self, memo: Any) -> Activation:
        return self  # `is_named` compares identities.


def _clipped_line(name: str, slope: float) -> Activation:
    """Returns clip(slope x + 0.5, 0, 1), a sigmoid of three straight pieces."""

    def function(x: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(slope * x + 0.5, tf.zeros([], x.dtype), tf.ones([], x.dtype))

    def times_slope(y: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
        return tf.where((y > 0) & (y < 1), slope * v, tf.zeros_like(v))

    return Activation(name, function, times_slope)


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("tanh", tf.tanh, lambda y, v: tf.raw_ops.TanhGrad(y=y, dy=v)),
        Activation("sigmoid", tf.sigmoid, lambda y, v: tf.raw_ops.SigmoidGrad(y=y, dy=v)),
        _clipped_line("hard_sigmoid", 0.2),  # That of Keras 2 and Theano.
        _clipped_line("hard_sigmoid_6", 1 / 6.0),  # That of Keras 3, PyTorch and JAX: relu6(x + 3) / 6.
        Activation("relu", tf.nn.relu, lambda y, v: tf.raw_ops.ReluGrad(gradients=v, features=y)),
        Activation("linear", tf.identity, lambda y, v: v),
        Activation("elu", tf.nn.elu, lambda y, v: tf.raw_ops.EluGrad(gradients=v, outputs=y)),
        Activation("selu", tf.nn.selu, lambda y, v: tf.raw_ops.SeluGrad(gradients=v, outputs=y)),
        Activation("softplus", tf.nn.softplus, lambda y, v: -v * tf.math.expm1(-y)),
        Activation("softsign", tf.nn.softsign, lambda y, v: v * tf.square(1 - tf.abs(y))),
        Activation("relu6", tf.nn.relu6, lambda y, v: tf.raw_ops.Relu6Grad(gradients=v, features=y)),
        Activation("leaky_relu", tf.nn.leaky_relu, lambda y, v: tf.raw_ops.LeakyReluGrad(gradients=v, features=y)),
        Activation("swish", lambda x: x * tf.sigmoid(x), None),
    )
}


# Modules of TensorFlow whose wrappers do not change a function. They check the types of arguments, or shorten
# tracebacks. Other wrappers may change it, for example those of tf.grad_pass_through.
_WRAPPER_MODULES = ("tensorflow.python.util", "tensorflow.python.ops.weak_tensor_ops")


def _unwrap(function: Callable) -> Callable:
    """Returns the function inside TensorFlow's wrappers.

    The wrappers of a function differ between modules, and depend on the order of imports. `functools.wraps` copies the
    names and attributes of a function to its wrapper, but not its `__globals__`.
    """
    while hasattr(function, "__wrapped__") and _module(function).startswith(_WRAPPER_MODULES):
        function = function.__wrapped__
    return function


def _module(function: Callable) -> str:
    """Returns the name of the module that defines a Python function; "" for other callables."""
    return getattr(function, "__globals__", {}).get("__name__", "")


# Callables that programs pass for the named functions. TensorFlow has several function objects for each.
_ALIASES = {
    "tanh": (tf.tanh, tf.nn.tanh, tf.math.tanh),
    "sigmoid": (tf.sigmoid, tf.nn.sigmoid, tf.math.sigmoid),
    "relu": (tf.nn.relu,),
    "linear": (tf.identity,),
    "elu": (tf.nn.elu,),
    "selu": (tf.nn.selu,),
    "softplus": (tf.nn.softplus, tf.math.softplus),
    "softsign": (tf.nn.softsign, tf.math.softsign),
    "relu6": (tf.nn.relu6,),
    "leaky_relu": (tf.nn.leaky_relu,),
    "swish": (tf.nn.swish,),
}


def is_named(activation: Activation) -> bool:
    """Returns whether it is one of `ACTIVATIONS`, and not a user's callable, which may have one of their names."""
    return activation is ACTIVATIONS.get(activation.name)


def get(activation: str | Callable, function_name: str, argument: str) -> Activation:
    """Returns the `Activation` for a name or a callable.

    Args:
      activation: a key of `ACTIVATIONS`, or a callable from a tensor to one of the same shape and dtype.
      function_name: the caller's name, for the error message.
      argument: the name of the caller's argument, for the error message.

    Raises:
      ValueError: an unknown name; the message lists the known ones.
    """
    if callable(activation):
        inner = _unwrap(activation)
        for name, aliases in _ALIASES.items():
            if any(inner is _unwrap(alias) for alias in aliases):
                return ACTIVATIONS[name]
        return Activation(getattr(activation, "__name__", repr(activation)), activation, None)
    return checks.known(ACTIVATIONS, activation, function_name, argument, "or a callable such as tf.nn.elu")
