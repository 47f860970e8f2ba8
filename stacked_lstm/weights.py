"""The explicit gate variables of one layer."""

import collections

from stacked_lstm.equations import GATE_ORDER

# Names are a contract with checkpoints: <stack>/layer_1/Wf and so on, layers counted from 1.
LAYER_SCOPE = "layer_%d"
KERNEL_NAMES = tuple("W" + gate for gate in GATE_ORDER)
BIAS_NAMES = tuple("b" + gate for gate in GATE_ORDER)

_FIELDS = ("input_size", "hidden_size", "activation", "recurrent_activation") + KERNEL_NAMES + BIAS_NAMES


class LayerWeights(collections.namedtuple("LayerWeights", _FIELDS)):
    """One layer: its variables, and what an engine needs to know of it.

    The forget bias is in `bf`: what the variables hold is what the equations use.

    Fields:
      input_size, hidden_size: I and H, ints.
      activation, recurrent_activation: `activations.Activation` of candidate and state, and of the gates.
      Wf, Wi, Wo, Wc: variables [H + I, H], rows of h before rows of x.
      bf, bi, bo, bc: variables [H]; all None without biases.
    """

    __slots__ = ()

    @property
    def variables(self):
        """The variables in the order in which they were made."""
        named = [getattr(self, name) for name in KERNEL_NAMES + BIAS_NAMES]
        return [variable for variable in named if variable is not None]


def create(scope, input_size, hidden_size, activation, recurrent_activation, make_variable, use_bias, forget_bias):
    """Makes one layer's variables and returns its `LayerWeights`.

    Args:
      scope: first part of the variables' names, e.g. "layer_1".
      make_variable: function of (name, shape, role "weight" or "bias", constant added to the initial value).
    """
    variables = {
        name: make_variable("%s/%s" % (scope, name), [hidden_size + input_size, hidden_size], "weight", 0.0)
        for name in KERNEL_NAMES
    }
    for name in BIAS_NAMES:
        added = forget_bias if name == "bf" else 0.0
        variables[name] = make_variable("%s/%s" % (scope, name), [hidden_size], "bias", added) if use_bias else None
    return LayerWeights(input_size, hidden_size, activation, recurrent_activation, **variables)
