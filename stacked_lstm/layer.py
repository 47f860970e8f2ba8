"""One layer as engines take it: its weights, its functions, and what its step has beyond the plain equations."""

import collections
from typing import Any, Callable, NamedTuple, Optional, Sequence

from stacked_lstm.activations import ACTIVATIONS, Activation
from stacked_lstm.compat import tf
from stacked_lstm.equations import GATE_ORDER, PLAIN, Extras

Fused = collections.namedtuple("Fused", ["recurrent", "inputs", "bias"])
Fused.__doc__ = """The weights of one layer with the gates' columns side by side.

Fields:
  recurrent: [P, 4H], the rows of h.
  inputs: [I, 4H], the rows of x.
  bias: [4H], or None.
"""


class Layer(NamedTuple):
    """One layer, over time; the argument of every engine.

    Stacks and cells make it from their variables, engines from what an op was given. I is the width of the inputs, H
    that of the cell state, P that of h.

    Fields:
      input_size, hidden_size: I and H, ints.
      kernels: tensors or variables: four of [P + I, H] in `equations.GATE_ORDER`, the rows of h before those of x; or
        one of [I + P, 4H], its columns in that order, the rows of x before those of h.
      biases: four of [H], or one of [4H], as the kernels are; or none.
      activation: `activations.Activation` of the candidate and the state.
      recurrent_activation: that of the gates.
      extras: `equations.Extras`, what the step has beyond the plain equations.
      step: None for `equations.step`; or another equation, a function (z [B, 4H], c [B, H], layer=`Layer`) ->
        (c' [B, H], h' [B, P]), which the `graph` engine runs and TensorFlow differentiates.
    """

    input_size: int
    hidden_size: int
    kernels: Sequence[Any]
    biases: Sequence[Any] = ()
    activation: Activation = ACTIVATIONS["tanh"]
    recurrent_activation: Activation = ACTIVATIONS["sigmoid"]
    extras: Extras = PLAIN
    step: Optional[Callable] = None

    @property
    def output_size(self):
        """P, the width of h: H, or that of its projection."""
        projection = self.extras.projection
        return self.hidden_size if projection is None else projection.shape.as_list()[1]

    @property
    def dtype(self):
        """The tf.DType of the weights."""
        return self.kernels[0].dtype.base_dtype

    def fused(self, order=GATE_ORDER):
        """The weights as `Fused`, with the gates in the given order."""
        if len(self.kernels) == 1:
            kernel = _reordered(self.kernels[0], order)
            inputs, recurrent = tf.split(kernel, [self.input_size, self.output_size], axis=0)
            return Fused(recurrent, inputs, _reordered(self.biases[0], order) if self.biases else None)
        kernel = tf.concat(_by_gate(self.kernels, order), axis=1)
        recurrent, inputs = tf.split(kernel, [self.output_size, self.input_size], axis=0)
        return Fused(recurrent, inputs, tf.concat(_by_gate(self.biases, order), axis=0) if self.biases else None)


def _by_gate(tensors, order):
    """Four tensors, which are in `GATE_ORDER`, in the given order."""
    return [tensors[GATE_ORDER.index(gate)] for gate in order]


def _reordered(tensor, order):
    """A kernel or a bias with its columns, which are in `GATE_ORDER`, in the given order."""
    if tuple(order) == GATE_ORDER:
        return tf.convert_to_tensor(tensor)
    return tf.concat(_by_gate(tf.split(tensor, 4, axis=-1), order), axis=-1)
