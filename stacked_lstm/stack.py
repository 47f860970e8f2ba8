"""StackedLSTM: LSTM layers with one weight matrix per gate, and an initial state. An engine computes them."""

from __future__ import annotations

import functools
from typing import Any, Callable, Mapping, Sequence

from stacked_lstm import activations, checks, engines, tensor_checks, weights
from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.engines.segments import Segment
from stacked_lstm.initial_state import INITIAL_STATES
from stacked_lstm.initializer_table import InitializerTable
from stacked_lstm.state import LSTMState
from stacked_lstm.weights import LayerWeights, VariableSpec, Weights

_CLASS = "StackedLSTM"


class StackedLSTM:
    """A stack of LSTM layers for TensorFlow 1 graphs.

    Each layer processes the time steps in order. In the first layer, x is the input of the stack at the time step. In
    the other layers, x is the new hidden state h' of the layer below. c and h are the state after the previous time
    step. `[h, x]` means concatenation. `*` multiplies element by element:

        f = sigma([h, x] Wf + bf)      forget gate: how much of the old cell state stays
        i = sigma([h, x] Wi + bi)      input gate: how much of the candidate is added
        g = tanh([h, x] Wc + bc)       candidate: what may be added to the cell state
        o = sigma([h, x] Wo + bo)      output gate: how much of the cell state becomes output
        c' = f * c + i * g             new cell state
        h' = o * tanh(c')              new hidden state, the output of the layer at this time step

    The weights and the bias of the candidate g are named Wc and bc. sigma is the logistic function 1 / (1 + exp(-z)).
    `recurrent_activation` replaces sigma. `activation` replaces tanh in g and h'.

    Shapes use these letters: B batch size, T number of time steps, I number of input features, H_l number of units of
    layer l, L number of layers.

    Variables. Layers count from 1. With the default name, layer l has the variables

        stacked_lstm/layer_l/Wf, .../Wi, .../Wc, .../Wo    [H_l + I_l, H_l], the rows for h before the rows for x
        stacked_lstm/layer_l/bf, .../bi, .../bc, .../bo    [H_l], unless use_bias=False

    where I_l is I for the first layer and H_(l-1) for the others. The initial state may add

        stacked_lstm/initial_state/layer_l/c, .../h        [H_l], if initial_state="learned"
        stacked_lstm/initial_state/layer_l/W_c, .../W_h    [I_l, H_l], if initial_state="projected"

    These names and shapes do not change between versions, so that checkpoints stay valid. All variables are trainable.
    They are in the collections GLOBAL_VARIABLES and TRAINABLE_VARIABLES, which optimizers and `tf.train.Saver` use. The
    first call of the object, or `build`, creates the variables. Later calls reuse them.

    Graphs. Eager mode must be off, for example by `tf.disable_v2_behavior()`. `tf.device` around the call sets the
    device of the layers. A graph of the `native` engine loads only where this package is installed. A graph of
    the `cudnn` engine needs an NVIDIA GPU. For other programs, use `engine="graph"`.

    Attributes:
      hidden_sizes: list of ints, [H_1, ..., H_L].
      dtype: the `tf.DType` of variables, inputs and outputs.
      name: the scope of the variables.
      engine_used: `engines.EngineUsed(name, reason)`: the engine of the last call and the reason for its choice. None
        before the first call.
      variables, weights, trainable_variables: the list of all variables, under three names that TensorFlow 1's layers
        have.
      layers: list with one object per layer, whose attributes are the variables: `lstm.layers[0].Wf`.
      variables_by_layer: `Weights(layers, initial_state)`, two lists with one dictionary of variables per layer.

    Sources:
      The LSTM: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), 1997.
      The forget gate: Gers, Schmidhuber and Cummins, Learning to Forget, Neural Computation 12(10), 2000.

    Example: a network that learns the sum of the first input feature over a sequence.

      >>> x = tf.placeholder(tf.float32, [None, None, 2])        # [batch, time, input]
      >>> lengths = tf.placeholder(tf.int32, [None])
      >>> lstm = stacked_lstm.StackedLSTM([16, 8])
      >>> outputs, state = lstm(x, sequence_length=lengths)
      >>> lstm
      StackedLSTM([16, 8], input_size=2, 2,016 parameters)
      >>> prediction = tf.reduce_sum(state[-1].h, axis=1)        # h of the last layer at the end of each sequence
      >>> loss = tf.reduce_mean(tf.square(prediction - tf.reduce_sum(x[:, :, 0], axis=1)))
      >>> train = tf.train.AdamOptimizer(0.01).minimize(loss)
      >>> batch = np.random.RandomState(0).uniform(size=[4, 5, 2])
      >>> batch[1, 3:] = 0                                       # the second sequence has 3 time steps
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     feed = {x: batch, lengths: [5, 3, 5, 5]}
      ...     losses = [session.run([loss, train], feed)[0] for _ in range(20)]
      ...     print(session.run(outputs, feed).shape, losses[-1] < losses[0])
      (4, 5, 8) True
    """

    def __init__(
        self,
        hidden_sizes: Sequence[int],
        *,
        initial_state: str = "zeros",
        activation: str | Callable[[tf.Tensor], tf.Tensor] = "tanh",
        recurrent_activation: str | Callable[[tf.Tensor], tf.Tensor] = "sigmoid",
        use_bias: bool = True,
        forget_bias: float = 1.0,
        weight_initializer: str | Callable | Mapping[str, Any] = "dl",
        bias_initializer: str | Callable | Mapping[str, Any] = "zeros",
        dtype: tf.DType = tf.float32,
        engine: str = "auto",
        name: str = "stacked_lstm",
    ) -> None:
        """Configures the stack. It creates no variables and no ops.

        Args:
          hidden_sizes: sequence of positive ints, the number of units of each layer, first layer first.
          initial_state: str, the kind of initial state, if the call passes no states. Default "zeros",
            which needs no variables, as in dynamic_rnn. "learned": two trainable vectors c and h per layer, which are
            zero before training. "projected": computed by trainable matrices from the input x_0 of the first time step.
            The first layer starts with c = tanh(x_0 W_c) and h = tanh(x_0 W_h). Each other layer starts with
            c = tanh(c_below W_c) and h = tanh(h_below W_h), where c_below and h_below are the initial c and h of the
            layer below.
          activation: str or callable, the function that is tanh in the equations of g and h'. Default "tanh", the only
            one that the `cudnn` engine supports. Other names are "sigmoid", "hard_sigmoid" (Keras 2), "hard_sigmoid_6"
            (Keras 3), "relu" and "linear". Only the `graph` engine supports "elu", "selu", "softplus", "softsign",
            "relu6", "leaky_relu", "swish", and functions from a tensor to a tensor of the same shape.
          recurrent_activation: str or callable, the function of the three gates. It takes the same values as
            `activation`. Default "sigmoid", the only one that the `cudnn` engine supports. The sigmoid lies
            between 0 (gate closed) and 1 (gate open).
          use_bias: bool, whether there are biases bf, bi, bc and bo. Default True.
          forget_bias: float, added to the initial value of the variable bf. Nothing is added at run time, unlike in
            `BasicLSTMCell`. Default 1.0, which opens the forget gates, so that gradients reach early time steps when
            training begins (Jozefowicz, Zaremba and Sutskever, An Empirical Exploration of Recurrent Network
            Architectures, ICML 2015).
          weight_initializer: str, callable or mapping, the initial values of the matrices. Default "dl": uniform in
            +-1 / sqrt(rows). The variance of [h, x] W then does not grow with the number of units (Goodfellow, Bengio
            and Courville, Deep Learning, 2016, section 8.4). Other names are "tn", "xavier", "he", "glorot_bengio",
            "orthogonal", "zeros" and those of Keras, such as "glorot_uniform"; `help(stacked_lstm.initializers)`
            explains them. A string can also be the path of a CSV file. A callable is a TensorFlow initializer. A
            mapping assigns one of these values to the names of variables, without the scope of the stack, for example
            {"layer_1/Wf": "wf.csv"}. Other variables have the default.
          bias_initializer: str, callable or mapping, the initial values of the biases. It takes the same values as
            `weight_initializer`. Default "zeros". A mapping can also name the vectors of a learned initial state, such
            as "initial_state/layer_1/h". Their default is zero.
          dtype: `tf.DType` or its name, one of float16, bfloat16, float32 and float64. Default float32. Inputs must
            have this dtype. They are not converted.
          engine: str, the implementation of the layers: "cudnn" for NVIDIA GPUs, "native" for CPUs, "graph" for all
            devices, or "auto". Default "auto", the first of these three that supports the layers and the device.
            "native" needs a C++ compiler at its first use on a machine. "cudnn" turns TF32 off for the whole program,
            unless STACKED_LSTM_TF32=1 is in the environment. The environment variable
            STACKED_LSTM_ENGINE names the engine that "auto" selects.
          name: str, the scope of the variables. Default "stacked_lstm". Two stacks in one variable scope need two
            names.

        Raises:
          ValueError: an argument is out of its range. The message names the argument.
        """
        self.hidden_sizes = checks.widths(hidden_sizes, _CLASS, "hidden_sizes")
        self.dtype = tensor_checks.float_dtype(dtype, _CLASS)
        self.engine_used: engines.EngineUsed | None = None
        self._initial_state = checks.known(INITIAL_STATES, initial_state, _CLASS, "initial_state")
        self._activations = (
            activations.get(activation, _CLASS, "activation"),
            activations.get(recurrent_activation, _CLASS, "recurrent_activation"),
        )
        self._use_bias = checks.flag(use_bias, _CLASS, "use_bias")
        self._forget_bias = checks.number(forget_bias, _CLASS, "forget_bias")
        weight = InitializerTable.from_argument(weight_initializer, "dl", _CLASS, "weight_initializer")
        bias = InitializerTable.from_argument(bias_initializer, "zeros", _CLASS, "bias_initializer")
        self._initializers = {"weight": weight, "bias": bias, "state": bias._replace(default="zeros")}
        self._request = engines.resolve(engine, _CLASS)
        self.name = checks.scope(name, _CLASS)
        self._input_size: int | None = None
        self._layers: list[LayerWeights] = []
        self._variables = Weights([], [])

    def __repr__(self) -> str:
        if self._input_size is None:
            return f"{_CLASS}({self.hidden_sizes}, not built)"
        return f"{_CLASS}({self.hidden_sizes}, input_size={self._input_size}, {self.count_params():,} parameters)"

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
          and h if it is "learned", and empty if it is "zeros".

        Raises:
          ValueError: the variables have not been created yet.
        """
        self._require_built("get_weights")
        return session.run(self.variables_by_layer)

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
          ValueError: the variables have not been created yet, or names or shapes differ from those of the variables.
            The message lists the differences, and no variable is changed.
        """
        self._require_built("set_weights")
        pairs = []
        for argument, variables, values in zip(Weights._fields, self.variables_by_layer, (layers, initial_state)):
            if values is not None:
                pairs += weights.match(variables, values, self.name + ".set_weights", argument)
        weights.load(pairs, session)

    def build(self, input_size: int) -> None:
        """Creates the variables. This is optional: the first call of the object creates them, too.

        Args:
          input_size: int, I, the number of input features.

        Raises:
          ValueError: the stack was built for another number of input features, an initializer names a variable that
            does not exist, or the graph already has a variable of such a name.
          RuntimeError: eager mode is on.
        """
        tensor_checks.graph_mode("StackedLSTM.build")
        if self._input_size is not None:
            if input_size != self._input_size:
                expected = f"inputs of width {self._input_size}, as in the first call"
                checks.fail(self.name, expected, f"width {input_size}")
            return
        input_size = checks.size(input_size, "StackedLSTM.build", "input_size")
        layer_specs = weights.specs(input_size, self.hidden_sizes, self._use_bias, self._forget_bias)
        state_specs = self._initial_state.specs(input_size, self.hidden_sizes)
        self._check_initializers(layer_specs + state_specs)
        with tf.variable_scope(self.name, auxiliary_name_scope=False) as scope:
            scope.set_partitioner(None)  # An initializer that saw a part only would draw from another range.
            self._variables = Weights(self._make_variables(layer_specs), self._make_variables(state_specs))
        self._layers = [
            LayerWeights(input_width, size, *self._activations, **variables)
            for input_width, size, variables in zip(
                [input_size] + self.hidden_sizes, self.hidden_sizes, self._variables.layers
            )
        ]
        self._input_size = input_size

    def _make_variables(self, specs: Sequence[VariableSpec]) -> list[dict[str, tf.Variable]]:
        """Returns a dictionary per layer, from names to variables; an empty list if there are no specs."""
        layers: list[dict[str, tf.Variable]] = []
        for spec in specs:
            layers.extend({} for _ in range(len(layers), spec.layer + 1))
            initializer = self._initializers[spec.group].get(spec, self.name)
            try:
                variable = tf.get_variable(spec.path, spec.shape, self.dtype, initializer)
            except ValueError as error:
                if "already exists" not in str(error):
                    raise
                expected = "a `name` that no other stack in this variable scope has"
                actual = (
                    f"{self.name!r}, whose variable {spec.path} already exists; call one stack twice to share weights"
                )
                raise ValueError(f"{_CLASS}: expected {expected}, got {actual}") from None
            layers[spec.layer][spec.name] = variable
        return layers

    def __call__(
        self,
        inputs: Any,
        sequence_length: Any = None,
        initial_state: Sequence[tuple[Any, Any]] | None = None,
        time_major: bool = False,
    ) -> tuple[tf.Tensor, tuple[LSTMState, ...]]:
        """Adds the stack to the default graph.

        Args:
          inputs: tensor [B, T, I] of the stack's dtype, or [T, B, I] if `time_major`. B and T may be unknown. I must be
            static.
          sequence_length: int32 or int64 vector [B] of numbers from 0 to T. Inputs after the end of a sequence are
            ignored, even if they are NaN. Default None: all sequences have T time steps.
          initial_state: a list with a pair (c, h) per layer, [B, H_l] each. It replaces the kind of initial state that
            the constructor configured. For truncated backpropagation, pass the final state of the previous segment.
            Default None: the kind that the constructor configured.
          time_major: bool, whether time is the first axis of inputs and outputs. Default False, as in dynamic_rnn.

        Returns:
          (outputs, state), as dynamic_rnn returns them. `outputs` is h of the last layer at each time step, [B, T, H_L]
          or [T, B, H_L], and zero after the end of each sequence. `state` is a tuple with an `LSTMState(c, h)` per
          layer, [B, H_l] each, at the end of each sequence. For a sequence of length 0, `state` is the initial state. A
          projected initial state is then zero.

        Raises:
          ValueError: an argument has the wrong shape, dtype or structure, or the engine does not support these layers.
          RuntimeError: eager mode is on.
          tf.errors.InvalidArgumentError: when the graph runs, `sequence_length` is out of range or its size is not B.
        """
        tensor_checks.graph_mode(self.name)
        checks.flag(time_major, self.name, "time_major")
        x = tensor_checks.inputs(inputs, self.dtype, time_major, self.name)
        self.build(x.shape.as_list()[-1])
        with tf.name_scope(self.name):
            steps, batch = tensor_checks.sizes(x, time_major)
            lengths = tensor_checks.lengths(sequence_length, steps, batch, self.name)
            if initial_state is None:
                zeros = [tf.zeros([batch.value, size], self.dtype) for size in self.hidden_sizes]
                first_step = functools.partial(padding.first_step, x, lengths, time_major)
                states = self._initial_state.start(self._variables.initial_state, zeros, first_step)
            else:
                states = tensor_checks.states(
                    initial_state, self.hidden_sizes, batch, self.dtype, self.name, "initial_state"
                )
            outputs, finals, self.engine_used = engines.run(
                self._request, self._segment(), x, states, lengths, time_major, self.name
            )
        return outputs, tuple(finals)

    def _segment(self) -> Segment:
        """The `Segment` of the stack: its layers, with nothing between them."""
        return Segment([layer.layer() for layer in self._layers])

    def _check_initializers(self, specs: Sequence[VariableSpec]) -> None:
        """Raises ValueError if a mapping of initializers names a variable that the stack does not have."""
        for kind, groups in (("weight", ("weight",)), ("bias", ("bias", "state"))):
            paths = sorted(spec.path for spec in specs if spec.group in groups)
            unknown = sorted(set(self._initializers[kind].by_path) - set(paths), key=str)
            if unknown:
                known = (
                    f"names of variables, such as {paths[0]} and {paths[-1]}" if paths else "empty, as there are none"
                )
                expected = f"the keys of `{kind}_initializer` to be {known}"
                checks.fail(self.name, expected, ", ".join(map(str, unknown)))

    def _require_built(self, attribute: str) -> None:
        if self._input_size is None:
            raise ValueError(
                f"{self.name}.{attribute}: the variables are made at the first call; "
                "call the stack or `build(input_size)` first"
            )
