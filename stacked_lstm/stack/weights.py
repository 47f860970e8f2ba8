"""The variables of a stack: their names, shapes and initial values, and what they hold in a session."""

from __future__ import annotations

import collections
import contextlib
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple, Sequence

import numpy as np

from stacked_lstm import checks, layouts
from stacked_lstm.activations import Activation
from stacked_lstm.compat import tf
from stacked_lstm.lstm import equations, normalization
from stacked_lstm.lstm.equations import Extras, LayerNorm
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.lstm.normalization import Norm
from stacked_lstm.stack import options
from stacked_lstm.stack.options import LayerOptions
from stacked_lstm.state import LSTMState

# Checkpoints depend on these names: <stack>/layer_1/Wf and so on. Layers count from 1.
LAYER_SCOPE = "layer_%d"
KERNEL_NAMES = tuple("W" + gate for gate in layouts.GATES)
BIAS_NAMES = tuple("b" + gate for gate in layouts.GATES)
PEEPHOLE_NAMES = ("pf", "pi", "po")
PROJECTION_NAME = "Wp"
GAIN_NAMES = tuple("gain_" + gate for gate in layouts.GATES) + ("gain_cell",)
CELL_SHIFT_NAME = "shift_cell"
_NAMES = KERNEL_NAMES + BIAS_NAMES + PEEPHOLE_NAMES + (PROJECTION_NAME,) + GAIN_NAMES + (CELL_SHIFT_NAME,)
# What is added to the variance that layer normalization divides by. The small one is TensorFlow 1's. It makes gradients
# explode where a row is constant, as after zero inputs.
_EPSILON = {options.OUTPUT: 1e-5, options.CARRIED: normalization.DEFAULT_EPSILON}


class Weights(NamedTuple):
    """The variables of a stack, or the arrays that they hold.

    Fields:
      layers: a dictionary per layer, with the keys Wf Wi Wo Wc, [H + I, H] each, and bf bi bo bc, [H] each. The
        biases are missing if the stack has none. Options add the keys that the docstring of `StackedLSTM` lists.
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
      scope: what stands before the layer in its name: nothing, or "initial_state/".
      shape: list of ints.
      group: "weight", "bias" or "state"; the stack has an initializer for each group.
      offset: a constant that is added to the initial value.
    """

    layer: int
    name: str
    scope: str
    shape: Sequence[int]
    group: str
    offset: float = 0.0

    def path(self, first_layer: int) -> str:
        """Returns its name within the stack, such as "layer_1/Wf". `first_layer` is the number of the lowest layer."""
        return f"{self.scope}{LAYER_SCOPE % (first_layer + self.layer)}/{self.name}"


def specs(
    input_size: int,
    sizes: Sequence[LSTMState],
    use_bias: bool,
    forget_bias: float,
    layer_options: Sequence[LayerOptions],
) -> list[VariableSpec]:
    """Returns the `VariableSpec`s of all layers, in the order in which the variables are made.

    Args:
      input_size: I, an int.
      sizes: the widths of c and h of each layer.
      use_bias, forget_bias: arguments of `StackedLSTM`.
      layer_options: the `LayerOptions` of each layer.
    """
    variables: list[VariableSpec] = []
    input_width = input_size
    for k, (size, layer) in enumerate(zip(sizes, layer_options)):
        groups: list[tuple[Sequence[str], list[int], str, float]] = [
            (KERNEL_NAMES, [size.h + input_width, size.c], "weight", 0.0),
            (BIAS_NAMES[:1] * use_bias, [size.c], "bias", forget_bias),  # bf
            (BIAS_NAMES[1:] * use_bias, [size.c], "bias", 0.0),
            (PEEPHOLE_NAMES * layer.peepholes, [size.c], "weight", 0.0),
            ((PROJECTION_NAME,) * (layer.projection_size is not None), [size.c, size.h], "weight", 0.0),
            (GAIN_NAMES * bool(layer.layer_norm), [size.c], "bias", 1.0),
            ((CELL_SHIFT_NAME,) * bool(layer.layer_norm and use_bias), [size.c], "bias", 0.0),
        ]
        for names, shape, group, offset in groups:
            variables += [VariableSpec(k, name, "", shape, group, offset) for name in names]
        input_width = size.h
    return variables


class LayerWeights(NamedTuple):
    """The variables of one layer.

    The equations use the values of the variables as they are. In particular, the forget bias is part of `bf`.

    Fields:
      input_size, hidden_size: I and H, ints.
      activation: `activations.Activation` of the candidate and the cell state.
      recurrent_activation: `activations.Activation` of the gates.
      Wf, Wi, Wo, Wc: variables [P + I, H]; the rows for h come before the rows for x. P is H without a projection.
      bf, bi, bo, bc: variables [H]; all None in a stack without biases.
      pf, pi, po: variables [H], the peepholes, or None.
      Wp: variable [H, P], the projection, or None.
      gain_f, gain_i, gain_o, gain_c, gain_cell, shift_cell: variables [H] of layer normalization, or None.
      options: the `options.LayerOptions` of the layer.
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
    pf: tf.Variable | None = None
    pi: tf.Variable | None = None
    po: tf.Variable | None = None
    Wp: tf.Variable | None = None
    gain_f: tf.Variable | None = None
    gain_i: tf.Variable | None = None
    gain_o: tf.Variable | None = None
    gain_c: tf.Variable | None = None
    gain_cell: tf.Variable | None = None
    shift_cell: tf.Variable | None = None
    options: LayerOptions = options.PLAIN

    @property
    def variables(self) -> list[tf.Variable]:
        """The variables in the order in which they were made."""
        variables = [getattr(self, name) for name in _NAMES]
        return [variable for variable in variables if variable is not None]

    def layer(self) -> Layer:
        """The `Layer` that engines take."""
        kernels, biases = (self._by_gate(kind) for kind in "Wb")
        functions = self.activation, self.recurrent_activation
        norm = self._norm()  # Its shifts are the biases.
        biases = [] if self.bf is None or norm else biases
        return Layer(self.input_size, self.hidden_size, kernels, biases, *functions, self._extras(), norm=norm)

    def _by_gate(self, kind: str) -> list[tf.Variable]:
        return [getattr(self, kind + gate) for gate in equations.GATE_ORDER]

    def _extras(self) -> Extras:
        peepholes, projection = None, None
        if self.pf is not None:
            peepholes = [tf.convert_to_tensor(variable) for variable in (self.pi, self.pf, self.po)]
        if self.Wp is not None:
            projection = tf.convert_to_tensor(self.Wp)
        return Extras(peepholes, self.options.cell_clip, projection, self.options.projection_clip)

    def _norm(self) -> LayerNorm | None:
        kind = self.options.layer_norm
        if not kind:
            return None
        pairs = [*zip(self._by_gate("gain_"), self._by_gate("b")), (self.gain_cell, self.shift_cell)]
        norms = [Norm(gain, tf.zeros_like(gain) if shift is None else shift, _EPSILON[kind]) for gain, shift in pairs]
        return LayerNorm(normalization.stack(norms[:-1]), norms[-1], is_carried=kind == options.CARRIED)


def check_default_name(name: str, function: str) -> None:
    """Raises ValueError if a stack with the default name would share the weights of another one by accident.

    Under tf.AUTO_REUSE, the name of a variable decides whether it is shared. A function that builds a network twice
    enters the variable scope twice, and means to share. TensorFlow numbers default names within one entry of a scope.
    """
    if tf.get_variable_scope().reuse is not tf.AUTO_REUSE:
        return
    with tf.variable_scope(None, default_name=name, auxiliary_name_scope=False) as scope:
        is_taken = scope.name.split("/")[-1] != name
    if is_taken:
        raise ValueError(
            f"{function}: two stacks with the default name {name!r} in one variable scope would share their weights, "
            "because of reuse=tf.AUTO_REUSE; give the second stack another `name=`, or, to share the weights, call one "
            "stack twice or give both stacks the same `name=`"
        )


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
        is_list = isinstance(values, (list, tuple))
        actual = f"one of length {len(values)}" if is_list else checks.describe(values)
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
