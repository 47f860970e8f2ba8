"""StackedLSTM: layers of explicit gate matrices and an initial state, run by an engine."""

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
    """LSTM layers on top of each other, run over time in a TensorFlow 1 graph.

    Each layer computes one step after the other. Its input x is the stack's input at that step, or the new hidden state
    h' of the layer below. `[h, x]` means concatenation, `*` multiplies element by element:

        f = sigma([h, x] Wf + bf)      forget gate: how much of the old cell state stays
        i = sigma([h, x] Wi + bi)      input gate: how much of the candidate is added
        g = tanh([h, x] Wc + bc)       candidate: what may be added to the cell state
        o = sigma([h, x] Wo + bo)      output gate: how much of the cell state becomes output
        c' = f * c + i * g             new cell state
        h' = o * tanh(c')              new hidden state, the output of the layer at this step

    sigma is the logistic function 1 / (1 + exp(-z)). Both functions can be replaced: `recurrent_activation` takes the
    place of sigma, `activation` that of tanh.

    Shapes below use these letters: B is the batch size (sequences), T the number of time steps, I the width of the
    inputs, H_l the width (hidden units) of layer l, L the number of layers.

    Variables. Layers count from 1. With the default name, layer l has the variables

        stacked_lstm/layer_l/Wf, .../Wi, .../Wc, .../Wo    [H_l + I_l, H_l], the rows for h before the rows for x
        stacked_lstm/layer_l/bf, .../bi, .../bc, .../bo    [H_l], unless use_bias=False

    where I_l is I for the first layer and H_(l-1) for the others. The initial state may add

        stacked_lstm/initial_state/layer_l/c, .../h        [H_l], if initial_state="learned"
        stacked_lstm/initial_state/layer_l/W_c, .../W_h    [I_l, H_l], if initial_state="projected"

    These names and shapes do not change between versions, so that checkpoints stay valid. All variables are trainable.
    They are in TensorFlow's usual collections, where optimizers and `tf.train.Saver` find them. A new stack makes them
    at its first call, or in `build`. Later calls share them.

    Attributes:
      hidden_sizes: list of ints, [H_1, ..., H_L].
      dtype: the `tf.DType` of variables, inputs and outputs.
      name: the scope of the variables.
      engine_used: `engines.EngineUsed(name, reason)`: the engine of the last call and why it was chosen. None before
        the first call.
      weights, trainable_variables: the same list as `variables`, under the names that TensorFlow 1's layers have.

    Sources:
      The LSTM: Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9(8), 1997.
      The forget gate: Gers, Schmidhuber and Cummins, Learning to Forget, Neural Computation 12(10), 2000.

    Example: a network that learns the sum of a sequence's first column.

      >>> x = tf.placeholder(tf.float32, [None, None, 2])        # [batch, time, input]
      >>> lengths = tf.placeholder(tf.int32, [None])
      >>> lstm = stacked_lstm.StackedLSTM([16, 8])
      >>> outputs, state = lstm(x, sequence_length=lengths)
      >>> lstm
      StackedLSTM([16, 8], input_size=2, 2,016 parameters)
      >>> prediction = tf.reduce_sum(state[-1].h, axis=1)        # h of the last layer at each sequence's end
      >>> loss = tf.reduce_mean(tf.square(prediction - tf.reduce_sum(x[:, :, 0], axis=1)))
      >>> train = tf.train.AdamOptimizer(0.01).minimize(loss)
      >>> batch = np.random.RandomState(0).uniform(size=[4, 5, 2])
      >>> batch[1, 3:] = 0                                       # the second sequence has 3 steps
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
        """Configures the stack. It makes no variables and no ops.

        Args:
          hidden_sizes: sequence of positive ints, the widths of the layers from the input upwards.
          initial_state: str, how each sequence starts if a call brings no state. Default "zeros", which needs no
            variables, as in dynamic_rnn. "learned": a trainable vector c and a trainable vector h per layer, which are
            zero before training. "projected": computed from the first time step x_0 by trainable matrices,
            h_1 = tanh(x_0 W_h1), h_l = tanh(h_(l-1) W_hl), and c likewise with W_c, so that the state fits the first
            input.
          activation: str or callable, the function of the candidate and of c' in h'. Default "tanh", as in the papers;
            the `cudnn` engine has no other. Also "sigmoid", "hard_sigmoid" (that of Keras 2), "hard_sigmoid_6" (that of
            Keras 3), "relu", "linear". Only the `graph` engine runs "elu", "selu", "softplus", "softsign", "relu6",
            "leaky_relu", "swish", and functions from a tensor to a tensor of its shape.
          recurrent_activation: str or callable, the function of the three gates. Default "sigmoid", whose values lie
            between 0 (closed) and 1 (open). The other values are those of `activation`.
          use_bias: bool, whether there are biases bf, bi, bc and bo. Default True.
          forget_bias: float, added to the initial value of bf. Default 1.0, which opens the forget gates, so that
            gradients reach early time steps when training begins (Jozefowicz, Zaremba and Sutskever, An Empirical
            Exploration of Recurrent Network Architectures, ICML 2015). bf holds the sum: nothing is added at run time.
          weight_initializer: str, callable or mapping, the initial values of the matrices. Default "dl", uniform in
            +-1 / sqrt(rows), so that the variance of z does not grow with the width (Goodfellow, Bengio and Courville,
            Deep Learning, 2016, section 8.4). Other names are "tn", "xavier", "he", "glorot_bengio", "orthogonal",
            "zeros" and those of Keras, such as "glorot_uniform"; `help(stacked_lstm.initializers)` explains them. A
            string can also be the path of a CSV file, a callable is a TensorFlow initializer. A mapping has one of
            these per variable, by its name within the stack, such as {"layer_1/Wf": "wf.csv"}; variables that it does
            not name have the default.
          bias_initializer: str, callable or mapping, the initial values of the biases, likewise. Default "zeros". Its
            mapping may also name the vectors of a learned initial state ("initial_state/layer_1/h"), which are zero
            otherwise.
          dtype: `tf.DType` or its name, one of float16, bfloat16, float32 and float64. Default float32. Inputs must
            have this dtype, because nothing is cast silently.
          engine: str, what computes the stack: "auto", or "cudnn" (NVIDIA GPUs), "native" (CPUs) or "graph"
            (everywhere). Default "auto", the first of these three that suits the layers and the device. The
            environment variable STACKED_LSTM_ENGINE redefines "auto".
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
        weight = InitializerTable.from_argument(weight_initializer, "dl")
        bias = InitializerTable.from_argument(bias_initializer, "zeros")
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
        """A `weights.LayerWeights` per layer, from the input upwards: `lstm.layers[0].Wf` is a variable.

        Raises:
          ValueError: the variables have not been made yet.
        """
        self._require_built("layers")
        return list(self._layers)

    @property
    def variables(self) -> list[tf.Variable]:
        """All variables in one list, layer by layer, then those of the initial state.

        Raises:
          ValueError: the variables have not been made yet.
        """
        self._require_built("variables")
        return [variable for layers in self._variables for layer in layers for variable in layer.values()]

    weights = trainable_variables = variables

    @property
    def variables_by_layer(self) -> Weights:
        """The variables as `weights.Weights(layers, initial_state)`, two lists of dictionaries from names to variables.

        Raises:
          ValueError: the variables have not been made yet.
        """
        self._require_built("variables_by_layer")
        return Weights(*[[dict(layer) for layer in layers] for layers in self._variables])

    def count_params(self) -> int:
        """Returns the number of scalars in all variables.

        Raises:
          ValueError: the variables have not been made yet.
        """
        self._require_built("count_params")
        return sum(variable.shape.num_elements() for variable in self.variables)

    def get_weights(self, session: tf.Session) -> Weights:
        """Reads the variables.

        Args:
          session: an open session of the stack's graph, in which the variables are initialized.

        Returns:
          `weights.Weights(layers, initial_state)`. `layers` has a dictionary of arrays per layer, such as
          {"Wf": [H_l + I_l, H_l], ..., "bo": [H_l]}; `numpy_lstm.forward` takes this list. `initial_state` has the
          arrays W_c and W_h per layer, which `numpy_lstm.projected_forward` takes, or c and h, or is an empty list.

        Raises:
          ValueError: the variables have not been made yet.
        """
        self._require_built("get_weights")
        return session.run(self.variables_by_layer)

    def set_weights(
        self,
        session: tf.Session,
        layers: Sequence[Mapping[str, Any]] | None = None,
        initial_state: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Sets the variables. `lstm.set_weights(session, *other.get_weights(session))` copies another stack.

        Args:
          session: an open session of the stack's graph. The graph may be finalized.
          layers: a mapping from names to arrays per layer, as `get_weights` returns them. Arrays are converted to the
            stack's dtype. Default None, which leaves these variables as they are.
          initial_state: likewise, for the variables of the initial state.

        Raises:
          ValueError: the variables have not been made yet, or the names or shapes are not those of the variables. The
            message lists the differences, and no variable is changed.
        """
        self._require_built("set_weights")
        pairs = []
        for argument, variables, values in zip(Weights._fields, self.variables_by_layer, (layers, initial_state)):
            if values is not None:
                pairs += weights.match(variables, values, self.name + ".set_weights", argument)
        weights.load(pairs, session)

    def build(self, input_size: int) -> None:
        """Makes the variables. The first call does this by itself.

        Args:
          input_size: int, I, the width of the inputs.

        Raises:
          ValueError: the stack was built for another width, an initializer names a variable that does not exist, or
            another variable has one of the names already.
          RuntimeError: TensorFlow runs eagerly.
        """
        tensor_checks.graph_mode("StackedLSTM.build")
        if self._input_size is not None:
            if input_size != self._input_size:
                expected = f"inputs of width {self._input_size}, as in the first call"
                checks.fail(self.name, expected, f"width {input_size}")
            return
        (input_size,) = checks.widths([input_size], "StackedLSTM.build", "input_size")
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
            layers[spec.layer][spec.name] = tf.get_variable(spec.path, spec.shape, self.dtype, initializer)
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
          inputs: tensor [B, T, I] of the stack's dtype, or [T, B, I] if `time_major`. B and T may be unknown, I not.
          sequence_length: int32 or int64 vector [B] of numbers from 0 to T. Inputs past the end of a
            sequence change nothing, not even NaN. Default None: all sequences have T steps.
          initial_state: a pair (c, h) per layer, [B, H_l] each, which replaces the configured initial state. For
            truncated backpropagation, feed the state that the previous piece of the sequences ended with. Default
            None: the configured initial state.
          time_major: bool, whether inputs and outputs have time as their first axis. Default False, as in dynamic_rnn.

        Returns:
          (outputs, state), as dynamic_rnn returns them. `outputs` is h of the last layer at each step, [B, T, H_L] or
          [T, B, H_L], and zero past the end of each sequence. `state` is a tuple with an `LSTMState(c, h)` per layer,
          [B, H_l] each, at the end of each sequence. For a sequence of length 0 that is its initial state, which is
          zero if it is projected.

        Raises:
          ValueError: an argument has the wrong rank, width, dtype or structure, or the engine cannot run these layers.
          RuntimeError: TensorFlow runs eagerly.
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
            unknown = sorted(set(self._initializers[kind].by_path) - set(paths))
            if unknown:
                checks.fail(self.name, f"{kind} initializers for variables among {paths}", unknown)

    def _require_built(self, attribute: str) -> None:
        if self._input_size is None:
            raise ValueError(
                f"{self.name}.{attribute}: the variables are made at the first call; "
                "call the stack or `build(input_size)` first"
            )
