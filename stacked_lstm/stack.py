"""StackedLSTM: LSTM layers with one weight matrix per gate, and an initial state. An engine computes them."""

from __future__ import annotations

import functools
from typing import Any, Callable, Mapping, Sequence

from stacked_lstm import activations, checks, engines, log, options, regularization, tensor_checks, weights
from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.engines.segments import Segment
from stacked_lstm.equations import Resets
from stacked_lstm.initial_state import INITIAL_STATES, restarts, zero_states
from stacked_lstm.initializer_table import InitializerTable
from stacked_lstm.state import LSTMState
from stacked_lstm.steps import Record, replay
from stacked_lstm.weights import LayerWeights, VariableSpec, Weights

_CLASS = "StackedLSTM"
_DEFAULT_NAME = "stacked_lstm"
_HALF_PRECISION = (tf.float16, tf.bfloat16)


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

    where I_l is I for the first layer and H_(l-1) for the others. Options add

        stacked_lstm/layer_l/pf, .../pi, .../po            [H_l], if peepholes
        stacked_lstm/layer_l/Wp                            [H_l, P_l], if projection_size=P_l
        stacked_lstm/layer_l/gain_f, .../gain_i, .../gain_o, .../gain_c, .../gain_cell    [H_l], if layer_norm
        stacked_lstm/layer_l/shift_cell                    [H_l], if layer_norm, unless use_bias=False

    With projection_size=P_l, h and the output of layer l have the width P_l. In all shapes, H_l is then P_l for rows of
    h, for the layer above, and for the h and W_h of an initial state. The initial state may add

        stacked_lstm/initial_state/layer_l/c, .../h        [H_l], if initial_state="learned"
        stacked_lstm/initial_state/layer_l/W_c, .../W_h    [I_l, H_l], if initial_state="projected"

    These names and shapes do not change between versions, so that checkpoints stay valid. All variables are trainable.
    They are in the collections GLOBAL_VARIABLES and TRAINABLE_VARIABLES, which optimizers and `tf.train.Saver` use. The
    first call of the object, or `build`, creates the variables. Later calls reuse them.

    Options. Arguments add dropout, zoneout, layer normalization, residual connections, projections, peepholes and
    clips. m and n are masks, and u is the new cell state before zoneout:

        z_k = N([m * h, x] W_k) * gain_k + b_k + p_k * c   recurrent dropout m; layer normalization N; peepholes, for
                                                           k = f and k = i with c, for k = o with u
        u = clip(f * c + i * n * g)                        dropout n on the candidate; cell_clip
        c' = q * c + (1 - q) * u                           zoneout, with noise q of 0 and 1
        h' = r * h + (1 - r) * clip((o * tanh(u)) Wp)      zoneout; the projection and projection_clip

    `help("stacked_lstm.numpy_options")` has all equations with their gradients. Masks and noise are drawn while the
    argument `training` of the call is true. At other times nothing is dropped, and q and r are the rates of zoneout,
    which are the means of the noise.

    Graphs. Eager mode must be off, for example by `tf.disable_v2_behavior()`. `tf.device` around the call sets the
    device of the layers. A graph of the `native` engine loads only where this package is installed. A graph of
    the `cudnn` engine needs an NVIDIA GPU. For other programs, use `engine="graph"`.

    Attributes:
      hidden_sizes: list of ints, [H_1, ..., H_L].
      state_sizes: list with the widths of c and h of each layer.
      dtype: the `tf.DType` of variables, inputs, outputs and states.
      compute_dtype: the `tf.DType` in which the layers compute.
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

    A deeper network with dropout, which is off unless a session feeds `is_training`:

      >>> is_training = tf.placeholder_with_default(False, [])
      >>> options = {"dropout": 0.3, "recurrent_dropout": 0.2, "residual": "after layer 1"}
      >>> lstm = stacked_lstm.StackedLSTM([8, 8, 8], name="deep", **options)
      >>> outputs, state = lstm(x, training=is_training)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     runs = [session.run(outputs, {x: batch, is_training: value}) for value in (False, False, True, True)]
      ...     print(np.array_equal(runs[0], runs[1]), np.array_equal(runs[2], runs[3]))
      True False
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
        compute_dtype: tf.DType | None = None,
        engine: str = "auto",
        name: str = _DEFAULT_NAME,
        input_dropout: Any = 0.0,
        dropout: Any = 0.0,
        output_dropout: Any = 0.0,
        recurrent_dropout: Any = 0.0,
        recurrent_dropout_kind: str | Sequence[str] = "variational",
        zoneout_c: Any = 0.0,
        zoneout_h: Any = 0.0,
        layer_norm: bool | str | Sequence[bool | str] = False,
        residual: bool | str | Sequence[bool] = False,
        projection_size: int | None | Sequence[int | None] = None,
        peepholes: bool | Sequence[bool] = False,
        cell_clip: float | None | Sequence[float | None] = None,
        projection_clip: float | None | Sequence[float | None] = None,
        seed: int | None = None,
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
            {"layer_1/Wf": "wf.csv"}. Other variables have the default. Peepholes and projections are weights.
          bias_initializer: str, callable or mapping, the initial values of the biases. It takes the same values as
            `weight_initializer`. Default "zeros". A mapping can also name the vectors of a learned initial state, such
            as "initial_state/layer_1/h". Their default is zero. It also makes shift_cell, and with 1 added the gains.
          dtype: `tf.DType` or its name, one of float16, bfloat16, float32 and float64: the dtype of variables, inputs,
            outputs and states. Default float32. Inputs must have this dtype. They are not converted. Adam cannot
            train float16 or bfloat16 variables; use `compute_dtype` instead.
          compute_dtype: `tf.DType` or its name, the dtype in which the layers compute. Default None: `dtype`. With
            compute_dtype=tf.float16 or tf.bfloat16, the layers round the inputs, the initial states and the weights to
            half precision, and compute products, gates and the states between time steps in it. Variables, gradients,
            outputs and final states have `dtype`, so checkpoints are those of a float32 stack. "graph" and "cudnn"
            support float16, "graph" also bfloat16. float16 needs loss scaling; see "Half precision" in
            stacked_lstm/engines/README.md.
          engine: str, the implementation of the layers: "cudnn" for NVIDIA GPUs, "native" for CPUs, "graph" for all
            devices, or "auto". Default "auto", the first of these three that supports the layers and the device.
            "native" needs a C++ compiler at its first use on a machine. "cudnn" turns TF32 off for the whole program,
            unless STACKED_LSTM_TF32=1 is in the environment. The environment variable
            STACKED_LSTM_ENGINE names the engine that "auto" selects.
          name: str, the scope of the variables. Default "stacked_lstm". Two stacks in one variable scope need two
            names. To share weights, call one stack twice. Two stacks share weights if they have the same name under
            `tf.variable_scope(..., reuse=True)` or reuse=tf.AUTO_REUSE. With the default name and tf.AUTO_REUSE, the
            scope must be entered once for each of them, as if a function builds the whole network twice.
          input_dropout: float or scalar tensor, the rate of dropout on the inputs of the stack: the probability that an
            entry is set to zero, from 0 to below 1. Kept entries are divided by 1 - rate. Each time step has a new mask
            (Zaremba, Sutskever and Vinyals, Recurrent Neural Network Regularization, 2014). Default 0.0. This argument
            and `output_dropout` are one value; each other option is a value for all layers, or a list with a value per
            layer.
          dropout: the same between layers; a list has one rate less than there are layers. A single layer has no
            place for it.
          output_dropout: the same on the outputs of the stack. The returned state is not dropped out.
          recurrent_dropout: float or scalar tensor, the rate of dropout within the steps, from 0 to below 1. Default
            0.0.
          recurrent_dropout_kind: str, what recurrent dropout drops. Default "variational": entries of h in the product
            with the weights, with one mask per sequence for all time steps, also the first (Gal and Ghahramani, A
            Theoretically Grounded Application of Dropout in Recurrent Neural Networks, 2016). "candidate": entries of
            g, with a new mask for each time step, so the cell state is never dropped (Semeniuta, Severyn and Barth,
            Recurrent Dropout without Memory Loss, 2016).
          zoneout_c: float or scalar tensor, the probability that an entry of the cell state stays as it was before the
            time step, from 0 to 1. Default 0.0 (Krueger and others, Zoneout, ICLR 2017).
          zoneout_h: the same for the hidden state.
          layer_norm: bool or str. Default False. True: layer normalization of the products of the four gates, each with
            a gain, and with the bias as its shift; and of the cell state where h' is computed from it (Ba, Kiros and
            Hinton, Layer Normalization, 2016). "tensorflow": as TensorFlow 1's `LayerNormBasicLSTMCell`, where the next
            time step also sees the normalized cell state, and where the variance has 1e-12 added instead of 1e-5.
          residual: bool or str, whether the input of a layer is added to its output. Both have the same width. Default
            False. "after layer k": the layers above layer k have it (Wu and others, Google's Neural Machine
            Translation System, 2016). With dropout, the input is added as it is before dropout.
          projection_size: int, P_l, the width to which a matrix projects h (Sak, Senior and Beaufays, 2014). Default
            None: no projection.
          peepholes: bool, whether the gates f and i also see c, and o the new cell state (Gers, Schraudolph and
            Schmidhuber, 2002). Default False.
          cell_clip: float, the bound of the new cell state u. Default None: no bound.
          projection_clip: float, the bound of the projected h. Default None: no bound.
          seed: int. Default None: masks follow the seed of the graph. With an int, every mask has a seed of its own,
            which depends on this one, so that all sessions draw the same masks in the same order.

        Raises:
          ValueError: an argument is out of its range. The message names the argument.
        """
        self.hidden_sizes = checks.widths(hidden_sizes, _CLASS, "hidden_sizes")
        self.dtype = tensor_checks.float_dtype(dtype, _CLASS)
        self.compute_dtype = (
            self.dtype
            if compute_dtype is None
            else tensor_checks.float_dtype(compute_dtype, _CLASS, argument="compute_dtype")
        )
        self.engine_used: engines.EngineUsed | None = None
        self._initial_state = checks.known(INITIAL_STATES, initial_state, _CLASS, "initial_state")
        self._activations = (
            activations.get(activation, _CLASS, "activation"),
            activations.get(recurrent_activation, _CLASS, "recurrent_activation"),
        )
        self._use_bias = checks.flag(use_bias, _CLASS, "use_bias")
        self._forget_bias = checks.number(forget_bias, _CLASS, "forget_bias")
        self._options = options.per_layer(
            len(self.hidden_sizes),
            _CLASS,
            dict(
                input_dropout=input_dropout,
                dropout=dropout,
                recurrent_dropout=recurrent_dropout,
                recurrent_dropout_kind=recurrent_dropout_kind,
                zoneout_c=zoneout_c,
                zoneout_h=zoneout_h,
                layer_norm=layer_norm,
                residual=residual,
                projection_size=projection_size,
                peepholes=peepholes,
                cell_clip=cell_clip,
                projection_clip=projection_clip,
            ),
        )
        self._sizes = options.sizes(self.hidden_sizes, self._options)
        self._output_dropout = options.rate(output_dropout, _CLASS, "output_dropout")
        self._seed = options.seed(seed, _CLASS)
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
          ValueError: the initial state is projected from inputs, or it is learned and has not been built yet.
        """

        def refuse() -> None:
            expected = "an initial state that needs no inputs, 'zeros' or 'learned'"
            checks.fail(f"{self.name}.initial_states", expected, "'projected'")

        if self._initial_state.specs(1, self._sizes):
            self._require_built("initial_states")
        zeros = zero_states(batch_size, self._sizes, self.dtype)
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
        options.check_residuals(input_size, self._sizes, self._options, self.name)
        if self.dtype in _HALF_PRECISION:
            log.warn_once(
                f"{self.dtype.name} variables lose small updates, and Adam diverges with them; to train in half "
                f"precision, use StackedLSTM(..., dtype=tf.float32, compute_dtype=tf.{self.dtype.name}), which keeps "
                "the variables in float32"
            )
        layer_specs = weights.specs(input_size, self._sizes, self._use_bias, self._forget_bias, self._options)
        state_specs = self._initial_state.specs(input_size, self._sizes)
        self._check_initializers(layer_specs + state_specs)
        if self.name == _DEFAULT_NAME:
            weights.check_default_name(self.name, _CLASS)
        with tf.variable_scope(self.name, auxiliary_name_scope=False) as scope:
            scope.set_partitioner(None)  # An initializer that saw a part only would draw from another range.
            self._variables = Weights(self._make_variables(layer_specs), self._make_variables(state_specs))
        self._layers = [
            LayerWeights(input_width, size.c, *self._activations, **dict(variables, options=layer_options))
            for input_width, size, variables, layer_options in zip(
                [input_size] + [size.h for size in self._sizes], self._sizes, self._variables.layers, self._options
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
                    f"{self.name!r}, whose variable {spec.path} already exists; give the second stack another `name=`, "
                    "or call one stack twice to share weights"
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
        training: Any = None,
        return_steps: bool = False,
        reset: Any = None,
    ) -> tuple[Any, ...]:
        """Adds the stack to the default graph.

        Args:
          inputs: tensor [B, T, I] of the stack's dtype, or [T, B, I] if `time_major`. B and T may be unknown. I must be
            static.
          sequence_length: int32 or int64 vector [B] of numbers from 0 to T. Inputs after the end of a sequence are
            ignored, even if they are NaN. Default None: all sequences have T time steps.
          initial_state: a list with a pair (c, h) per layer, [B, H_l] each. With a projection, h has the width P_l. It
            replaces the kind of initial state that
            the constructor configured. For truncated backpropagation, pass the final state of the previous segment.
            Default None: the kind that the constructor configured.
          time_major: bool, whether time is the first axis of inputs and outputs. Default False, as in dynamic_rnn.
          training: bool, or scalar tensor of bools, such as a placeholder: whether dropout and zoneout are random.
            Default None, which is False, as in `tf.layers.dropout` and in Keras. A tensor is read at each run.
          return_steps: bool, whether the states and gates of all time steps are returned, too. Default False. They are
            computed after the layers, and are differentiable.
          reset: bool tensor [B, T], or [T, B] if `time_major`: where sequences start again, for example because an
            input holds several sequences one after the other. The state before such a step is the one that the
            constructor configured; if it is "projected", from the input of this step. Default None: nowhere.

        Returns:
          (outputs, state), as dynamic_rnn returns them. `outputs` is h of the last layer at each time step, [B, T, H_L]
          or [T, B, H_L], and zero after the end of each sequence. `state` is a tuple with an `LSTMState(c, h)` per
          layer, [B, H_l] each, at the end of each sequence. For a sequence of length 0, `state` is the initial state. A
          projected initial state is then zero. With `return_steps=True`, (outputs, state, steps). `steps` is a tuple
          with a `state.LSTMSteps(c, h, f, i, o, g)` per layer, [B, T, H_l] each, or [T, B, H_l], and zero after the end
          of each sequence. `summaries.gates(steps)` shows them in TensorBoard.

        Raises:
          ValueError: an argument has the wrong shape, dtype or structure, or the engine does not support these layers.
          RuntimeError: eager mode is on.
          tf.errors.InvalidArgumentError: when the graph runs, `sequence_length` or a rate is out of range, or the size
            of `sequence_length` is not B.
        """
        tensor_checks.graph_mode(self.name)
        checks.flag(time_major, self.name, "time_major")
        training = regularization.training(training, self.name)
        checks.flag(return_steps, self.name, "return_steps")
        x = tensor_checks.inputs(inputs, self.dtype, time_major, self.name)
        self.build(x.shape.as_list()[-1])
        with tf.name_scope(self.name):
            steps, batch = tensor_checks.sizes(x, time_major)
            lengths = tensor_checks.lengths(sequence_length, steps, batch, self.name)
            if initial_state is None:
                zeros = zero_states(batch.value, self._sizes, self.dtype)
                first_step = functools.partial(padding.first_step, x, lengths, time_major)
                states = self._initial_state.start(self._variables.initial_state, zeros, first_step)
            else:
                states = tensor_checks.states(
                    initial_state, [tuple(size) for size in self._sizes], batch, self.dtype, self.name, "initial_state"
                )
            resets = self._resets(reset, x, lengths, steps, batch, time_major)
            x, states = self._cast((x, list(states)), self.compute_dtype)
            draws = regularization.Draws(training, self._seed, steps.value, batch.value, self.compute_dtype, self.name)
            records: list[Record] | None = [] if return_steps else None
            outputs, finals, self.engine_used = engines.run(
                self._request, self._segment(draws, resets, records), x, states, lengths, time_major, self.name
            )
            results: tuple[Any, ...] = (outputs, tuple(finals))
            if records is not None:
                results += (replay(records, states, lengths, time_major),)
            return self._cast(results, self.dtype)

    def _segment(
        self, draws: regularization.Draws, resets: Sequence[Resets | None], records: list[Record] | None
    ) -> Segment:
        """Returns what the engines run, for `regularization.segment`. A subclass may change it."""
        return regularization.segment(self._layers, self._options, self._output_dropout, draws, resets, records)

    def _resets(
        self,
        reset: Any,
        x: tf.Tensor,
        lengths: tf.Tensor | None,
        steps: tensor_checks.Size,
        batch: tensor_checks.Size,
        time_major: bool,
    ) -> list[Resets | None]:
        """Returns the `Resets` of each layer; a list of None without resets."""
        if reset is None:
            return [None] * len(self._layers)
        flags = tensor_checks.flags(reset, steps, batch, time_major, self.name, "reset")
        series = padding.zero_past_end(x if time_major else tf.transpose(x, [1, 0, 2]), lengths)
        zeros = zero_states(batch.value, self._sizes, self.dtype)
        starts = restarts(self._initial_state, self._variables.initial_state, zeros, series)
        return [Resets(flags, start) for start in self._cast(starts, self.compute_dtype)]

    def _cast(self, tensors: Any, dtype: tf.DType) -> Any:
        """Returns a nest of tensors in another dtype; the tensors themselves if they have this dtype."""
        return tf.nest.map_structure(lambda tensor: tf.cast(tensor, dtype), tensors)

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
