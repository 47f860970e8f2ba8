"""`StackVariables`: the variables of a stack: how they are made, counted, read and assigned."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from stacked_lstm import activations, checks, graph_checks, log, tensor_checks
from stacked_lstm.compat import tf
from stacked_lstm.layer_arrays import NORM_OF_OUTPUT, LayerArrays
from stacked_lstm.stack import options, weights
from stacked_lstm.stack.first_build import FirstBuild
from stacked_lstm.stack.initial_state import INITIAL_STATES, zero_states
from stacked_lstm.stack.initializer_table import InitializerTable
from stacked_lstm.stack.options import LayerOptions
from stacked_lstm.stack.weights import LayerWeights, VariableSpec, Weights
from stacked_lstm.state import LSTMState

CLASS_NAME = "StackedLSTM"  # Messages name the class that users call.
DEFAULT_NAME = "stacked_lstm"
_OPTIONS_WITHOUT_ARRAYS = ("residual", "zoneout_c", "zoneout_h", "cell_clip", "projection_clip")


def _is_set(layer: LayerOptions, name: str) -> bool:
    value = getattr(layer, name)
    return tf.is_tensor(value) or bool(value)


def with_option_names(
    arrays: Weights, layer_options: Sequence[LayerOptions], functions: Sequence[activations.Activation]
) -> Weights:
    """Returns the arrays of a stack, whose layers then have the names of its options without arrays."""
    names = [name for name in _OPTIONS_WITHOUT_ARRAYS if any(_is_set(layer, name) for layer in layer_options)]
    if any(layer.layer_norm is options.OUTPUT for layer in layer_options):
        names.append(NORM_OF_OUTPUT)
    names_of_functions = functions[0].name, functions[1].name
    layers = LayerArrays(arrays.layers, names, names_of_functions, bool(arrays.initial_state))
    return arrays._replace(layers=layers)


class StackVariables(FirstBuild):
    """The variables of a `StackedLSTM`."""

    _noun = "stack"
    # A `BidirectionalLSTM` sets both for its stacks.
    _first_layer = 1  # The number of the lowest layer.
    _key_prefix = ""  # What the keys of mappings of initializers have before the name of a variable.

    def __init__(
        self,
        name: str,
        hidden_sizes: Sequence[int],
        dtype: Any,
        *,
        layer_options: Mapping[str, Any],
        functions: tuple[Any, Any],
        use_bias: bool,
        forget_bias: float,
        initial_state: str,
        weight_initializer: Any,
        bias_initializer: Any,
    ) -> None:
        """Checks the arguments of `StackedLSTM` on which the variables depend.

        `functions` are the arguments `activation` and `recurrent_activation`. `layer_options` has the arguments of
        `options.per_layer`. The other arguments have the same names as those of `StackedLSTM`.
        """
        self.hidden_sizes = checks.widths(hidden_sizes, CLASS_NAME, "hidden_sizes")
        self.dtype = tensor_checks.float_dtype(dtype, CLASS_NAME)
        self._initial_state = checks.known(INITIAL_STATES, initial_state, CLASS_NAME, "initial_state")
        self._activations = (
            activations.get(functions[0], CLASS_NAME, "activation"),
            activations.get(functions[1], CLASS_NAME, "recurrent_activation"),
        )
        self._use_bias = checks.flag(use_bias, CLASS_NAME, "use_bias")
        self._forget_bias = checks.number(forget_bias, CLASS_NAME, "forget_bias")
        self._options = options.per_layer(len(self.hidden_sizes), CLASS_NAME, layer_options)
        self._sizes = options.sizes(self.hidden_sizes, self._options)
        weight = InitializerTable.from_argument(weight_initializer, "dl", CLASS_NAME, "weight_initializer")
        bias = InitializerTable.from_argument(bias_initializer, "zeros", CLASS_NAME, "bias_initializer")
        self._initializers = {"weight": weight, "bias": bias, "state": bias._replace(default="zeros")}
        self.name = checks.scope(name, CLASS_NAME)
        self._layers: list[LayerWeights] = []
        self._variables = Weights([], [])

    def __repr__(self) -> str:
        if self._input_size is None:
            return f"{CLASS_NAME}({self.hidden_sizes}, not built)"
        return f"{CLASS_NAME}({self.hidden_sizes}, input_size={self._input_size}, {self.count_params():,} parameters)"

    @property
    def layers(self) -> list[LayerWeights]:
        """List with a `weights.LayerWeights` per layer, first layer first: `lstm.layers[0].Wf` is a variable.

        Raises:
          ValueError: the variables have not been created yet.
        """
        self._require_built("layers")
        return list(self._layers)

    @property
    def variables(self) -> list[tf.Variable]:
        """List of all variables: first those of the layers, then those of the initial state.

        Raises:
          ValueError: the variables have not been created yet.
        """
        self._require_built("variables")
        return [variable for layers in self._variables for layer in layers for variable in layer.values()]

    weights = trainable_variables = variables

    @property
    def variables_by_layer(self) -> Weights:
        """The variables as `weights.Weights(layers, initial_state)`, two lists of dictionaries from names to variables.

        Raises:
          ValueError: the variables have not been created yet.
        """
        self._require_built("variables_by_layer")
        return Weights(*[[dict(layer) for layer in layers] for layers in self._variables])

    @property
    def state_sizes(self) -> list[LSTMState]:
        """List with the widths of c and h of each layer, `LSTMState(H_l, P_l)`. P_l is H_l without a projection."""
        return list(self._sizes)

    def initial_states(self, batch_size: int | tf.Tensor) -> list[LSTMState]:
        """Returns the configured initial state for sequences that have no inputs yet.

        Args:
          batch_size: int or int32 scalar tensor, B.

        Returns:
          A list with an `LSTMState` per layer, c [B, H_l] and h [B, P_l]: zeros, or the learned vectors.

        Raises:
          ValueError: the initial state is projected from inputs, or it is learned and the stack is not built yet.
        """

        def refuse() -> None:
            expected = "an initial state that needs no inputs, 'zeros' or 'learned'"
            checks.fail(f"{self.name}.initial_states", expected, "'projected'")

        if not tf.is_tensor(batch_size):  # TensorFlow 1 has sizes of its own.
            size = batch_size.__index__() if hasattr(batch_size, "__index__") else batch_size
            batch_size = checks.size(size, f"{self.name}.initial_states", "batch_size", "a scalar tensor or ")
        zeros = zero_states(batch_size, self._sizes, self.dtype)
        if self._initial_state.specs(1, self._sizes):
            self._require_built("initial_states")
            graph_checks.same_graph(self.variables, f"{self.name}.initial_states")
        return self._initial_state.start(self._variables.initial_state, zeros, refuse)

    def count_params(self) -> int:
        """Returns the number of scalars in all variables.

        Raises:
          ValueError: the variables have not been created yet.
        """
        self._require_built("count_params")
        return sum(variable.shape.num_elements() for variable in self.variables)

    def get_weights(self, session: tf.Session) -> Weights:
        """Reads the variables.

        Args:
          session: an open session of the stack's graph, in which the variables are initialized.

        Returns:
          `weights.Weights(layers, initial_state)`. `layers` is a list with a dictionary of arrays per layer, such as
          {"Wf": [H_l + I_l, H_l], ..., "bo": [H_l]}. `numpy_lstm.forward` takes this list. `initial_state` is a list of
          the same form: W_c and W_h per layer if it is "projected" (`numpy_lstm.projected_forward` takes this list), c
          and h if it is "learned", and empty if it is "zeros". `layers` also has the names of options
          without arrays, such as `residual`, which `runtime.save` and `checkpoints.write` refuse for files without it.

        Raises:
          ValueError: the variables have not been created yet, or `session` is not a session of their graph.
        """
        self._require_built("get_weights")
        arrays = graph_checks.session(session, self.variables, f"{self.name}.get_weights").run(self.variables_by_layer)
        return with_option_names(arrays, self._options, self._activations)

    def set_weights(
        self,
        session: tf.Session,
        layers: Sequence[Mapping[str, Any]] | None = None,
        initial_state: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Assigns values to the variables.

        `lstm.set_weights(session, *other.get_weights(session))` copies the weights of another stack in the same graph.

        Args:
          session: an open session of the stack's graph. The graph may be finalized.
          layers: a list with one mapping per layer, from names to arrays, as `get_weights` returns it. Arrays are
            converted to the stack's dtype. Default None: these variables do not change.
          initial_state: a list of the same form for the variables of the initial state. Default None: these variables
            do not change.

        Raises:
          ValueError: the variables have not been created yet, `session` is not a session of their graph, or names
            or shapes differ from those of the variables. The message lists the differences, and no variable is
            changed.
        """
        self._require_built("set_weights")
        pairs = []
        for argument, variables, values in zip(Weights._fields, self.variables_by_layer, (layers, initial_state)):
            if values is not None:
                pairs += weights.match(variables, values, self.name + ".set_weights", argument)
        weights.load(pairs, graph_checks.session(session, self.variables, f"{self.name}.set_weights"))

    def build(self, input_size: int) -> None:
        """Creates the variables. This is optional: the first call of the object creates them, too.

        Args:
          input_size: int, I, the number of input features.

        Raises:
          ValueError: the stack was built for another number of input features, an initializer names a variable that
            does not exist, or the graph already has a variable of such a name.
          RuntimeError: eager mode is on.
        """
        graph_checks.graph_mode("StackedLSTM.build")
        if self._is_built_for(input_size):
            return
        input_size = checks.size(input_size, "StackedLSTM.build", "input_size")
        options.check_residuals(input_size, self._sizes, self._options, self.name)
        self._warn_of_half_precision()
        layer_specs = weights.specs(input_size, self._sizes, self._use_bias, self._forget_bias, self._options)
        state_specs = self._initial_state.specs(input_size, self._sizes)
        self._check_initializers(layer_specs + state_specs)
        if self.name == DEFAULT_NAME:
            weights.check_default_name(self.name, CLASS_NAME)
        with tf.variable_scope(self.name, auxiliary_name_scope=False) as scope:
            scope.set_partitioner(None)  # An initializer that saw a part only would draw from another range.
            self._variables = Weights(self._make_variables(layer_specs), self._make_variables(state_specs))
        input_sizes = [input_size] + [size.h for size in self._sizes]
        self._layers = [
            LayerWeights(width, size.c, *self._activations, **dict(variables, options=layer_options))
            for width, size, variables, layer_options in zip(
                input_sizes, self._sizes, self._variables.layers, self._options
            )
        ]
        self._input_size = input_size

    def _warn_of_half_precision(self) -> None:
        if self.dtype.size < 4:  # Half precision.
            log.warn_once(
                f"{self.dtype.name} variables lose small updates, and Adam diverges with them; to train in half "
                f"precision, use StackedLSTM(..., dtype=tf.float32, compute_dtype=tf.{self.dtype.name}), which keeps "
                "the variables in float32"
            )

    def _make_variables(self, specs: Sequence[VariableSpec]) -> list[dict[str, tf.Variable]]:
        """Returns a dictionary per layer, from names to variables; an empty list if there are no specs."""
        layers: list[dict[str, tf.Variable]] = []
        for spec in specs:
            layers.extend({} for _ in range(len(layers), spec.layer + 1))
            path = spec.path(self._first_layer)
            key, function = self._key_prefix + path, f"{self.name}/{path}"
            initializer = self._initializers[spec.group].get(key, spec.offset, function)
            try:
                variable = tf.get_variable(path, spec.shape, self.dtype, initializer)
            except ValueError as error:
                if "already exists" not in str(error):
                    raise
                expected = "a `name` that no other stack in this variable scope has"
                actual = (
                    f"{self.name!r}, whose variable {path} already exists; give the second stack another `name=`, "
                    "or call one stack twice to share weights"
                )
                raise ValueError(f"{CLASS_NAME}: expected {expected}, got {actual}") from None
            layers[spec.layer][spec.name] = variable
        return layers

    def _check_initializers(self, specs: Sequence[VariableSpec]) -> None:
        """Raises ValueError if a mapping of initializers names a variable that the stack does not have."""
        for kind, groups in (("weight", ("weight",)), ("bias", ("bias", "state"))):
            keys = sorted(self._key_prefix + spec.path(self._first_layer) for spec in specs if spec.group in groups)
            unknown = sorted(set(self._initializers[kind].by_name) - set(keys), key=str)
            if unknown:
                known = f"names of variables, such as {keys[0]} and {keys[-1]}" if keys else "empty, as there are none"
                expected = f"the keys of `{kind}_initializer` to be {known}"
                checks.fail(self.name, expected, ", ".join(map(str, unknown)))
