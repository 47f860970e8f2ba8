"""`Layer`: the form of one LSTM layer that every engine takes: weights, activations, and extras such as peepholes."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

from stacked_lstm.activations import ACTIVATIONS, Activation
from stacked_lstm.compat import tf
from stacked_lstm.lstm.equations import GATE_ORDER, NO_NOISE, PLAIN, Extras, LayerNorm, Noise, Resets


class Fused(NamedTuple):
    """The weights of one layer, with the columns of the four gates side by side.

    Fields:
      recurrent: [P, 4H], the rows for h.
      inputs: [I, 4H], the rows for x.
      bias: [4H], or None.
    """

    recurrent: tf.Tensor
    inputs: tf.Tensor
    bias: tf.Tensor | None


class Layer(NamedTuple):
    """One LSTM layer, the argument of every engine.

    Stacks and cells make it from their variables. Gradients of the engines' ops make it from the inputs of an op. I is
    the width of the inputs, H that of the cell state, P that of h.

    Fields:
      input_size, hidden_size: I and H, ints.
      kernels: tensors or variables. Either four of [P + I, H] in `equations.GATE_ORDER`, with the rows for h before
        those for x; or one of [I + P, 4H], with its columns in that order and the rows for x before those for h.
      biases: four of [H] if there are four kernels, one of [4H] if there is one kernel, or none.
      activation: `activations.Activation` of the candidate and the cell state.
      recurrent_activation: `activations.Activation` of the gates.
      extras: `equations.Extras`, what the step has beyond the plain equations.
      step: None for `equations.step`. Another equation is a function (z [B, 4H], c [B, H], layer=`Layer`) ->
        (c' [B, H], h' [B, P]); the `graph` engine runs it, and TensorFlow differentiates it.
      h_mask: None, or [1, P], which multiplies h before each step but the first, and at the end of each sequence; see
        `engines.recurrent_dropout`. Engines take layers without it.
      draw_h_masks: None, or a function from the shape [T, B, P], int32 [3], to masks [T + 1, B, P] in the dtype of the
        weights. Entry t multiplies h before step t, and entry T at the end; entry 0 has ones. Engines take layers
        without it, because `engines.recurrent_dropout` draws the masks into `noise`.
      draw_c_masks: the same for c, from [T, B, H] to [T + 1, B, H].
      draw_candidate_masks: None, or a function from the shape [T, B, H], int32 [3], to masks of the candidate of this
        shape, in the order in which the layer reads. `engines.recurrent_dropout` draws them into `noise`, too.
      norm: None, or `equations.LayerNorm`; the layer then has no biases.
      noise: `equations.Noise`, dropout and zoneout within the steps. Only `graph` and `native` have it.
      resets: None, or `equations.Resets`. Only `graph` and `native` have it.
      residual: whether the outputs are x + h, zero past the end of each sequence. The states are those of the layer
        without it. Engines with `residual_needs` take such layers. `engines.residual` runs them on the others.
    """

    input_size: int
    hidden_size: int
    kernels: Sequence[Any]
    biases: Sequence[Any] = ()
    activation: Activation = ACTIVATIONS["tanh"]
    recurrent_activation: Activation = ACTIVATIONS["sigmoid"]
    extras: Extras = PLAIN
    step: Callable | None = None
    h_mask: tf.Tensor | None = None
    draw_h_masks: Callable[[tf.Tensor], tf.Tensor] | None = None
    draw_c_masks: Callable[[tf.Tensor], tf.Tensor] | None = None
    draw_candidate_masks: Callable[[tf.Tensor], tf.Tensor] | None = None
    norm: LayerNorm | None = None
    noise: Noise = NO_NOISE
    resets: Resets | None = None
    residual: bool = False

    @property
    def output_size(self) -> int:
        """P, the width of h: H, or the width of the projection."""
        projection = self.extras.projection
        return self.hidden_size if projection is None else int(projection.shape[1])

    @property
    def dtype(self) -> tf.DType:
        """The dtype of the weights."""
        return self.kernels[0].dtype.base_dtype

    def cast(self, dtype: tf.DType) -> Layer:
        """Returns the layer with its weights in another dtype. Gradients reach the weights in their own dtype."""
        if dtype == self.dtype:
            return self

        layer = self.map_weights(lambda weight: tf.cast(weight, dtype))
        return layer if self.h_mask is None else layer._replace(h_mask=tf.cast(self.h_mask, dtype))

    @property
    def weights(self) -> list[Any]:
        """The weights: kernels, biases, peepholes, the projection, and those of layer normalization."""
        weights: list[Any] = []
        self.map_weights(weights.append)
        return weights

    def map_weights(self, function: Callable[[Any], Any]) -> Layer:
        """Returns the layer with `function(weight)` in the place of each weight, in the order of `weights`."""
        kernels, biases = ([function(weight) for weight in weights] for weights in (self.kernels, self.biases))
        peepholes, projection = self.extras.peepholes, self.extras.projection
        extras = self.extras._replace(
            peepholes=peepholes and tuple(map(function, peepholes)),
            projection=None if projection is None else function(projection),
        )
        norm = self.norm and self.norm.map(function)
        return self._replace(kernels=kernels, biases=biases, extras=extras, norm=norm)

    def with_mask_in_kernel(self, multiply: Callable) -> Layer:
        """Returns the layer with `h_mask` multiplied into the rows of its kernels for h, and no `h_mask`.

        Args:
          multiply: a function (kernel, factors [rows, 1]) -> their product.
        """
        if self.h_mask is None:
            return self
        rows = [self.h_mask, tf.ones([1, self.input_size], self.dtype)]  # Those for h, and those for x.
        factors = tf.transpose(tf.concat(rows[::-1] if len(self.kernels) == 1 else rows, axis=1))
        return self._replace(kernels=[multiply(kernel, factors) for kernel in self.kernels], h_mask=None)

    def fused(self, order: Sequence[str] = GATE_ORDER) -> Fused:
        """Returns the weights as `Fused`, with the gates in the given order."""
        if len(self.kernels) == 1:
            kernel = _reorder(self.kernels[0], order)
            inputs, recurrent = tf.split(kernel, [self.input_size, self.output_size], axis=0)
            return Fused(recurrent, inputs, _reorder(self.biases[0], order) if self.biases else None)
        kernel = tf.concat(sort_by_gate(self.kernels, order), axis=1)
        recurrent, inputs = tf.split(kernel, [self.output_size, self.input_size], axis=0)
        return Fused(recurrent, inputs, tf.concat(sort_by_gate(self.biases, order), axis=0) if self.biases else None)


def sort_by_gate(tensors: Sequence[Any], order: Sequence[str]) -> list[Any]:
    """Takes four tensors in `GATE_ORDER`; returns them in the given order."""
    return [tensors[GATE_ORDER.index(gate)] for gate in order]


def _reorder(tensor: Any, order: Sequence[str]) -> tf.Tensor:
    """Takes a kernel or a bias with its columns in `GATE_ORDER`; returns it with its columns in the given order."""
    if tuple(order) == GATE_ORDER:
        return tf.convert_to_tensor(tensor)
    return tf.concat(sort_by_gate(tf.split(tensor, 4, axis=-1), order), axis=-1)
