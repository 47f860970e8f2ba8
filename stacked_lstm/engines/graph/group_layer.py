"""One layer of a group, as the loops over time of the graph engine take it. Sizes are those of `loops`."""

from __future__ import annotations

from typing import Callable, NamedTuple

from stacked_lstm.activations import Activation
from stacked_lstm.compat import tf
from stacked_lstm.lstm import equations


class GroupLayer(NamedTuple):
    """One layer as the loops take it. Columns are in `equations.GATE_ORDER`.

    Fields:
      kernel: [P_l + I_l + 1, 4H_l]: the rows for h, the rows for the layer's input, and the bias. The bias is the row
        for an input that is always 1, because one product costs less than a product and a sum. Without a bias the last
        row is missing. With an input product, only the rows for h are there.
      has_input_product: whether the product of the inputs was computed before the loop. Only the first layer of a group
        can have it.
      has_bias: whether the kernel has the row of the bias.
      activation, recurrent_activation: `activations.Activation`.
      extras: `equations.Extras`.
      step: None for `equations.step`; another equation is a function (z, c) -> (c', h').
      norm: None, or `equations.LayerNorm`.
      noise: `equations.Noise`. If the layer `has_gradient`, masks of h have an entry per step.
      resets: None, or `equations.Resets`.
    """

    kernel: tf.Tensor
    has_input_product: bool
    has_bias: bool
    activation: Activation
    recurrent_activation: Activation
    extras: equations.Extras
    step: Callable | None
    norm: equations.LayerNorm | None = None
    noise: equations.Noise = equations.NO_NOISE
    resets: equations.Resets | None = None

    @property
    def has_gradient(self) -> bool:
        """Whether the gradient of the step is written by hand. Otherwise TensorFlow differentiates the loop."""
        return not (self.step or self.norm or self.resets or self.noise.present - {"recurrent"})

    @property
    def h_masks(self) -> tf.Tensor | None:
        """The masks of h, [T, B, P_l]; None if there are none, or if one mask is for all steps."""
        return self.noise.recurrent if equations.is_series(self.noise.recurrent) else None

    @property
    def masks(self) -> list[tf.Tensor]:
        """The tensors of dropout and zoneout."""
        return [mask for mask in self.noise if tf.is_tensor(mask)]

    @property
    def output_size(self) -> int:
        """P_l, the width of h."""
        if self.extras.projection is not None:
            return self.extras.projection.shape.as_list()[1]
        return self.kernel.shape.as_list()[1] // 4

    def kernel_inputs(self, h: tf.Tensor, x: tf.Tensor, one: tf.Tensor) -> tf.Tensor:
        """What the kernel multiplies without an input product: [h, x], and `one` if the layer has a bias."""
        return tf.concat([h, x] + [one] * self.has_bias, axis=-1)

    def pre_activations(self, h: tf.Tensor, x: tf.Tensor, one: tf.Tensor) -> tf.Tensor:
        """z of one step. `x` is the layer's input, or the input product if the layer has one."""
        if self.has_input_product:
            return x + tf.matmul(h, self.kernel)
        return tf.matmul(self.kernel_inputs(h, x, one), self.kernel)
