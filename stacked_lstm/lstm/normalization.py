"""Layer normalization, as `tf.contrib.layers.layer_norm` of TensorFlow 1.15 computes it.

Source: Ba, Kiros and Hinton, Layer Normalization, 2016, https://arxiv.org/abs/1607.06450.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

from stacked_lstm.compat import inside_nested_control_flow, tf
from stacked_lstm.custom_gradient import custom_gradient

DEFAULT_EPSILON = 1e-12  # TensorFlow 1's.


class Norm(NamedTuple):
    """The variables of a normalization, [..., H] each.

    Fields:
      gamma: the gain.
      beta: the shift.
      epsilon: a number that is added to the variance; None for TensorFlow's, 1e-12.

    In float16, 1e-3 is added, whatever `epsilon` is.
    """

    gamma: Any
    beta: Any
    epsilon: float | None = None

    def __call__(self, value: tf.Tensor) -> tf.Tensor:
        """Returns `value` [B, ..., H] with mean 0 and variance 1 along its last axis, times gamma, plus beta.

        The operations are TensorFlow 1.15's, so the bits are the same.
        """
        mean, variance = tf.nn.moments(value, [value.shape.ndims - 1], keepdims=True)
        return tf.nn.batch_normalization(value, mean, variance, self.beta, self.gamma, self._epsilon(value))

    def on_engines(self, value: tf.Tensor) -> tf.Tensor:
        """Returns the same with a hand-written gradient, which has a third of the operations.

        In functions, and so in loops of control flow v2, TensorFlow 1.15 cannot follow it and differentiates itself. No
        version can follow it in loops of control flow v1 that are inside other ones.
        Second derivatives are right, too. Those of `tf.nn.moments` are not, because it takes the mean for a constant.
        """

        def parts(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            centered = x - _mean(x)
            inverse = tf.math.rsqrt(_mean(tf.square(centered)) + self._epsilon(x))
            return centered * inverse, inverse

        if tf.get_default_graph().building_function or inside_nested_control_flow():
            return parts(value)[0] * self.gamma + self.beta

        @custom_gradient
        def normalize(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> Any:
            unit, inverse = parts(x)

            def backward(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
                d_unit = dy * gamma
                dx = inverse * (d_unit - _mean(d_unit) - unit * _mean(d_unit * unit))
                return dx, tf.reduce_sum(dy * unit, axis=0), tf.reduce_sum(dy, axis=0)

            return unit * gamma + beta, backward

        return normalize(value, tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta))

    def _epsilon(self, value: tf.Tensor) -> float:
        if value.dtype == tf.float16:
            return 1e-3
        return DEFAULT_EPSILON if self.epsilon is None else self.epsilon


def _mean(value: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(value, axis=-1, keepdims=True)


def stack(norms: Sequence[Norm]) -> Norm:
    """Returns one normalization for values [B, len(norms), H]. It takes fewer operations than one for each."""
    gammas, betas = ([tf.convert_to_tensor(part) for part in parts] for parts in list(zip(*norms))[:2])
    return Norm(tf.stack(gammas), tf.stack(betas), norms[0].epsilon)
