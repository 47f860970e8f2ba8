"""The explicit gate variables of one layer, and what a stack's variables hold in a session."""

import collections
import collections.abc
import itertools
from typing import NamedTuple, Sequence

import numpy as np

from stacked_lstm import checks, equations, layouts
from stacked_lstm.layer import Layer

# Names are a contract with checkpoints: <stack>/layer_1/Wf and so on, layers counted from 1.
LAYER_SCOPE = "layer_%d"
KERNEL_NAMES = tuple("W" + gate for gate in layouts.GATES)
BIAS_NAMES = tuple("b" + gate for gate in layouts.GATES)

Weights = collections.namedtuple("Weights", ["layers", "initial_state"])
Weights.__doc__ = """The variables of a stack, or NumPy arrays of what they hold, by the variables' names.

Fields:
  layers: a dictionary per layer: Wf Wi Wo Wc, [H + I, H] each, and bf bi bo bc, [H] each, if there are biases.
  initial_state: a dictionary per layer: W_c and W_h if it is projected, c and h if it is learned; else an empty list.
"""


class VariableSpec(NamedTuple):
    """A variable that a stack is going to make.

    Fields:
      layer: the number of its layer, from 0.
      name: its name among those of its layer, such as "Wf".
      path: its name within the stack, such as "layer_1/Wf".
      shape: list of ints.
      group: "weight", "bias" or "state"; the stack has an initializer for each group.
      added: a constant that is added to its initial value.
    """

    layer: int
    name: str
    path: str
    shape: Sequence[int]
    group: str
    added: float = 0.0


def specs(input_size, hidden_sizes, use_bias, forget_bias):
    """The `VariableSpec`s of all layers, in the order in which they are made."""
    variables = []
    for k, (below, size) in enumerate(zip([input_size] + hidden_sizes, hidden_sizes)):
        scope = LAYER_SCOPE % (k + 1)
        for name in KERNEL_NAMES:
            variables.append(VariableSpec(k, name, f"{scope}/{name}", [size + below, size], "weight"))
        for name in BIAS_NAMES if use_bias else ():
            added = forget_bias if name == "bf" else 0.0
            variables.append(VariableSpec(k, name, f"{scope}/{name}", [size], "bias", added))
    return variables


_FIELDS = ("input_size", "hidden_size", "activation", "recurrent_activation") + KERNEL_NAMES + BIAS_NAMES


class LayerWeights(collections.namedtuple("LayerWeights", _FIELDS, defaults=[None] * len(BIAS_NAMES))):
    """One layer's variables.

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
        by_name = [getattr(self, name) for name in KERNEL_NAMES + BIAS_NAMES]
        return [variable for variable in by_name if variable is not None]

    def layer(self):
        """The `Layer` that engines take."""
        kernels, biases = ([getattr(self, kind + gate) for gate in equations.GATE_ORDER] for kind in "Wb")
        functions = self.activation, self.recurrent_activation
        return Layer(self.input_size, self.hidden_size, kernels, [] if self.bf is None else biases, *functions)


def matched(layers, values, function, argument):
    """Returns (variable, value) pairs.

    Args:
      layers: mappings from names to variables.
      values: mappings from names to arrays; None counts as missing.

    Raises:
      ValueError: other layers, names or shapes than the variables'; or a tensor in the place of a variable.
    """
    expected = f"`{argument}` to be a list of {len(layers)} mappings from names to arrays, one per layer"
    if not isinstance(values, (list, tuple)) or len(values) != len(layers):
        checks.fail(function, expected, f"{len(values)} entries" if hasattr(values, "__len__") else repr(values))
    pairs = []
    for k, (variables, by_name) in enumerate(zip(layers, values)):
        if not isinstance(by_name, collections.abc.Mapping):
            checks.fail(function, expected, f"a {type(by_name).__name__} for layer {k + 1}")
        given = {name: np.asarray(value) for name, value in by_name.items() if value is not None}
        if any(value.dtype.kind in "cOSU" for value in given.values()):
            checks.fail(function, f"`{argument}[{k}]` of real numbers", {n: v.dtype for n, v in given.items()})
        expected_shapes = {name: tuple(variable.shape.as_list()) for name, variable in variables.items()}
        shapes = {name: value.shape for name, value in given.items()}
        off = sorted(n for n in set(shapes) | set(expected_shapes) if shapes.get(n) != expected_shapes.get(n))
        if off:
            wanted, got = ({n: of.get(n, "none") for n in off} for of in (expected_shapes, shapes))
            checks.fail(function, f"`{argument}[{k}]` with shapes {wanted}", got)
        for name, variable in variables.items():
            if not hasattr(variable, "initializer"):
                expected_variable = f"a variable for `{argument}[{k}][{name!r}]`, whose value can be set"
                origin = "the tensor %s, which a custom getter made; set the variable that it is made of"
                checks.fail(function, expected_variable, origin % variable.name)
            pairs.append((variable, given[name]))
    return pairs


def load(pairs, session):
    """Gives variables values, for (variable, value) pairs, in the variables' dtypes.

    It runs their initializers, fed with these values: that adds nothing to the graph, which may be finished. As many at
    once as can be, since TensorFlow prepares the graph for each new set; those that were given the same tensor to start
    from one after the other.
    """
    by_start = collections.defaultdict(list)
    for variable, value in pairs:
        by_start[variable.initializer.inputs[1].name].append((variable, value))
    for turn in itertools.zip_longest(*by_start.values()):
        turn = [pair for pair in turn if pair is not None]
        feed = {v.initializer.inputs[1]: np.asarray(value, v.dtype.base_dtype.as_numpy_dtype) for v, value in turn}
        session.run([variable.initializer for variable, _ in turn], feed)
