"""The variables of a stack: their names, shapes and initial values, and what they hold in a session."""

from __future__ import annotations

import collections
import contextlib
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple, Sequence

import numpy as np

from stacked_lstm import checks, equations, layouts
from stacked_lstm.activations import Activation
from stacked_lstm.compat import tf
from stacked_lstm.layer import Layer

# Checkpoints depend on these names: <stack>/layer_1/Wf and so on. Layers count from 1.
LAYER_SCOPE = "layer_%d"
KERNEL_NAMES = tuple("W" + gate for gate in layouts.GATES)
BIAS_NAMES = tuple("b" + gate for gate in layouts.GATES)


class Weights(NamedTuple):
    """The variables of a stack, or the arrays that they hold.

    Fields:
      layers: a dictionary per layer, with the keys Wf Wi Wo Wc, [H + I, H] each, and bf bi bo bc, [H] each. The
        biases are missing if the stack has none.
      initial_state: a dictionary per layer, with the keys W_c and W_h if the initial state is projected, or c and h if
        it is learned; an empty list if it is zero.
    """

    layers: list[dict[str, Any]]
    initial_state: list[dict[str, Any]]


class VariableSpec(NamedTuple):
    """A variable that a stack will make.

    Fields:
      layer: the index of its layer, from 0.
      name: its name within the layer, such as "Wf".
      path: its name within the stack, such as "layer_1/Wf".
      shape: list of ints.
      group: "weight", "bias" or "state"; the stack has an initializer for each group.
      offset: a constant that is added to the initial value.
    """

    layer: int
    name: str
    path: str
    shape: Sequence[int]
    group: str
    offset: float = 0.0


def specs(input_size: int, hidden_sizes: list[int], use_bias: bool, forget_bias: float) -> list[VariableSpec]:
    """Returns the `VariableSpec`s of all layers, in the order in which the variables are made."""
    variables = []
    for k, (input_width, size) in enumerate(zip([input_size] + hidden_sizes, hidden_sizes)):
        scope = LAYER_SCOPE % (k + 1)
        for name in KERNEL_NAMES:
            variables.append(VariableSpec(k, name, f"{scope}/{name}", [size + input_width, size], "weight"))
        for name in BIAS_NAMES if use_bias else ():
            offset = forget_bias if name == "bf" else 0.0
            variables.append(VariableSpec(k, name, f"{scope}/{name}", [size], "bias", offset))
    return variables


class LayerWeights(NamedTuple):
    """The variables of one layer.

    The equations use the values of the variables as they are. In particular, the forget bias is part of `bf`.

    Fields:
      input_size, hidden_size: I and H, ints.
      activation: `activations.Activation` of the candidate and the cell state.
      recurrent_activation: `activations.Activation` of the gates.
      Wf, Wi, Wo, Wc: variables [H + I, H]; the rows for h come before the rows for x.
      bf, bi, bo, bc: variables [H]; all None in a stack without biases.
    """

    input_size: int
    hidden_size: int
    activation: Activation
    recurrent_activation: Activation
    Wf: tf.Variable
    Wi: tf.Variable
    Wo: tf.Variable
    Wc: tf.Variable
    bf: tf.Variable | None = None
    bi: tf.Variable | None = None
    bo: tf.Variable | None = None
    bc: tf.Variable | None = None

    @property
    def variables(self) -> list[tf.Variable]:
        """The variables in the order in which they were made."""
        variables = [getattr(self, name) for name in KERNEL_NAMES + BIAS_NAMES]
        return [variable for variable in variables if variable is not None]

    def layer(self) -> Layer:
        """The `Layer` that engines take."""
        kernels, biases = ([getattr(self, kind + gate) for gate in equations.GATE_ORDER] for kind in "Wb")
        functions = self.activation, self.recurrent_activation
        return Layer(self.input_size, self.hidden_size, kernels, [] if self.bf is None else biases, *functions)


def match(
    layers: Sequence[Mapping[str, tf.Variable]], values: Any, function: str, argument: str
) -> list[tuple[tf.Variable, np.ndarray]]:
    """Returns a (variable, array) pair for each variable.

    Args:
      layers: per layer a mapping from names to variables.
      values: per layer a mapping from names to arrays. An array that is None counts as missing.
      function, argument: names for the messages.

    Raises:
      ValueError: the number of layers, the names or the shapes differ, an array does not hold real numbers, or a
        custom getter put a tensor in the place of a variable.
    """
    expected = f"`{argument}` to be a list of {len(layers)} mapping{'s' * (len(layers) != 1)} from names to arrays"
    if isinstance(values, Weights):
        checks.fail(
            function, expected, "the result of get_weights; put a star before it: set_weights(session, *weights)"
        )
    if not layers and values:
        checks.fail(function, f"no `{argument}`, because this stack has no variables for it", checks.describe(values))
    if not isinstance(values, (list, tuple)) or len(values) != len(layers):
        actual = f"one of length {len(values)}" if hasattr(values, "__len__") else checks.describe(values)
        checks.fail(function, f"{expected}, one per layer", actual)
    pairs = []
    for k, (variables, layer_values) in enumerate(zip(layers, values)):
        if not isinstance(layer_values, Mapping):
            checks.fail(function, expected, f"an object of the class {type(layer_values).__name__} for layer {k + 1}")
        arrays = {
            name: _array(value, function, f"{argument}[{k}][{name!r}]")
            for name, value in layer_values.items()
            if value is not None
        }
        _check_arrays(variables, arrays, function, f"{argument}[{k}]")
        pairs += [(variable, arrays[name]) for name, variable in variables.items()]
    return pairs


def _array(value: Any, function: str, argument: str) -> np.ndarray:
    """An array of real numbers; raises ValueError if the value holds anything else."""
    with contextlib.suppress(ValueError):  # NumPy refuses lists of different lengths.
        array = np.asarray(value)
        if array.dtype.kind not in "cOSU":
            return array
    return checks.fail(function, f"`{argument}` to be an array of real numbers", checks.describe(value))


def _check_arrays(
    variables: Mapping[str, tf.Variable], arrays: Mapping[str, np.ndarray], function: str, argument: str
) -> None:
    """Raises ValueError unless the arrays of one layer fit its variables."""
    expected = {name: tuple(variable.shape.as_list()) for name, variable in variables.items()}
    actual = {name: array.shape for name, array in arrays.items()}
    names = sorted(name for name in set(actual) | set(expected) if actual.get(name) != expected.get(name))
    if names:
        wanted, present = (", ".join(f"{n} {shapes.get(n, 'missing')}" for n in names) for shapes in (expected, actual))
        unknown = sorted(set(actual) - set(expected))
        if unknown:
            wanted, present = f"the variables {', '.join(expected)} only", ", ".join(unknown)
        checks.fail(function, f"`{argument}` with {wanted}", present)
    for name, variable in variables.items():
        if not hasattr(variable, "initializer"):
            checks.fail(
                function,
                f"a variable for `{argument}[{name!r}]`, whose value can be set",
                f"the tensor {variable.name}, which a custom getter made; set the variable that it is made of",
            )


def load(pairs: Sequence[tuple[tf.Variable, Any]], session: tf.Session) -> None:
    """Sets variables to values, given as (variable, value) pairs. Values are converted to the variables' dtypes.

    The session runs the variables' initializers and feeds them with the values, which adds nothing to the graph: the
    graph may be finalized. One run sets as many variables as possible, because TensorFlow prepares the graph for each
    new set of fetches. Variables that start from the same tensor take one run each.
    """
    pairs_by_start = collections.defaultdict(list)
    for variable, value in pairs:
        pairs_by_start[variable.initializer.inputs[1].name].append((variable, value))
    for column in itertools.zip_longest(*pairs_by_start.values()):
        batch = [pair for pair in column if pair is not None]
        feed = {v.initializer.inputs[1]: np.asarray(value, v.dtype.base_dtype.as_numpy_dtype) for v, value in batch}
        session.run([variable.initializer for variable, _ in batch], feed)
