"""StackedLSTM: layers of explicit gate matrices and an initial state, run by an engine."""

import collections.abc
import functools
from typing import Any, Mapping, NamedTuple

from stacked_lstm import activations, checks, engines, initializers, tensor_checks, weights
from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.engines.segments import Segment
from stacked_lstm.initial_state import INITIAL_STATES

_CLASS = "StackedLSTM"


class StackedLSTM:
    """LSTM layers on top of each other, over time, in a TF1 graph.

    One layer, one step, with `[h, x]` meaning concatenation (`equations` has the sources):

        f = sigma([h, x] Wf + bf)      i = sigma([h, x] Wi + bi)
        g = tanh([h, x] Wc + bc)       o = sigma([h, x] Wo + bo)
        c' = f * c + i * g             h' = o * tanh(c')

    h' is the next layer's x. Variables are made at the first call (or by `build`) and shared by later calls. They are
    named `<name>/layer_1/Wf` and so on, `<name>/initial_state/layer_1/W_h`, and are in the usual collections.

        x = tf.placeholder(tf.float32, [None, None, 8])                # [batch, time, input]
        lstm = stacked_lstm.StackedLSTM([32, 32, 64], initial_state="projected")
        outputs, state = lstm(x, sequence_length=lengths)

    Attributes:
      hidden_sizes: list of ints, one per layer.
      dtype: `tf.DType` of variables, inputs and outputs.
      engine_used: `engines.EngineUsed`, the name of the engine that ran the last call and why; None before it.
    """

    def __init__(
        self,
        hidden_sizes,
        *,
        initial_state="zeros",
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        forget_bias=1.0,
        weight_initializer="dl",
        bias_initializer="zeros",
        dtype=tf.float32,
        engine="auto",
        name="stacked_lstm",
    ):
        """Says what to build; makes no variables yet.

        Args:
          hidden_sizes: widths of the layers, from the input upwards.
          initial_state: "zeros"; "learned", one trainable vector per layer, at first zero; or "projected", computed
            from the first time step by trainable matrices.
          activation: of the candidate and the state: "tanh", "sigmoid", "hard_sigmoid" (Keras 2's), "hard_sigmoid_6"
            (Keras 3's), "relu", "linear" or a callable from a tensor to one of its shape.
          recurrent_activation: of the three gates, likewise.
          use_bias: False for a network without bf bi bc bo.
          forget_bias: added to the initial value of bf; 1.0 lets gradients through at the start (Jozefowicz et al.,
            2015, An Empirical Exploration of Recurrent Network Architectures).
          weight_initializer, bias_initializer: see `initializers.get`; or a mapping from variable names without the
            stack's (`"layer_1/Wf"`) to them, where variables left out have the default. The vectors of a learned
            initial state may be in the mapping of `bias_initializer` (`"initial_state/layer_1/h"`); else they are zero.
          dtype: float16, bfloat16, float32 or float64.
          engine: "auto", or an engine's name (`engines.ENGINES`). STACKED_LSTM_ENGINE in the environment says what
            "auto" means.
          name: scope of the variables. Two stacks in one scope need two names.

        Raises:
          ValueError: any argument out of its range; the message says which.
        """
        self.hidden_sizes = checks.widths(hidden_sizes, _CLASS, "hidden_sizes")
        self.dtype = tensor_checks.float_dtype(dtype, _CLASS)
        self.engine_used = None
        self._initial_state = checks.known(INITIAL_STATES, initial_state, _CLASS, "initial_state")
        self._activations = (
            activations.get(activation, _CLASS, "activation"),
            activations.get(recurrent_activation, _CLASS, "recurrent_activation"),
        )
        self._use_bias = checks.flag(use_bias, _CLASS, "use_bias")
        self._forget_bias = checks.number(forget_bias, _CLASS, "forget_bias")
        weight, bias = _Initializers.of(weight_initializer, "dl"), _Initializers.of(bias_initializer, "zeros")
        self._initializers = {"weight": weight, "bias": bias, "state": bias._replace(default="zeros")}
        self._request = engines.resolve(engine, _CLASS)
        self.name = checks.scope(name, _CLASS)
        self._input_size = None
        self._layers = []
        self._variables = weights.Weights([], [])

    @property
    def layers(self):
        """`weights.LayerWeights` per layer: `lstm.layers[0].Wf` is a variable."""
        self._require_built("layers")
        return list(self._layers)

    @property
    def variables(self):
        """All variables, layer by layer, those of the initial state last. All are trainable."""
        self._require_built("variables")
        return [variable for layers in self._variables for layer in layers for variable in layer.values()]

    @property
    def variables_by_layer(self):
        """`weights.Weights(layers, initial_state)`: lists of dictionaries from names such as Wf to variables."""
        self._require_built("variables_by_layer")
        return weights.Weights(*[[dict(layer) for layer in layers] for layers in self._variables])

    def get_weights(self, session):
        """Returns what the variables hold, `weights.Weights(layers, initial_state)`.

        Its layers are what `numpy_lstm.forward` takes; its initial_state is what `numpy_lstm.projected_forward` takes,
        or the learned vectors c and h.
        """
        self._require_built("get_weights")
        return session.run(self.variables_by_layer)

    def set_weights(self, session, layers=None, initial_state=None):
        """Gives the variables new values; `lstm.set_weights(session, *other.get_weights(session))` copies them.

        Args:
          session: an open session of the stack's graph.
          layers, initial_state: lists of mappings as in `weights.Weights`, converted to the stack's dtype; None leaves
            those variables as they are.

        Raises:
          ValueError: names or shapes that are not the variables'; the message lists which, and nothing is changed.
        """
        self._require_built("set_weights")
        pairs = []
        for argument, variables, values in zip(
            weights.Weights._fields, self.variables_by_layer, (layers, initial_state)
        ):
            if values is not None:
                pairs += weights.matched(variables, values, self.name + ".set_weights", argument)
        weights.load(pairs, session)

    def build(self, input_size):
        """Makes the variables for inputs of width `input_size`; the first call does so by itself.

        Raises:
          ValueError: the stack was built for another width, or a variable of that name exists already.
        """
        tensor_checks.graph_mode("StackedLSTM.build")
        if self._input_size is not None:
            if input_size != self._input_size:
                expected = f"inputs of width {self._input_size}, as in the first call"
                checks.fail(self.name, expected, f"width {input_size}")
            return
        (input_size,) = checks.widths([input_size], "StackedLSTM.build", "input_size")
        specs = weights.Weights(
            weights.specs(input_size, self.hidden_sizes, self._use_bias, self._forget_bias),
            self._initial_state.specs(input_size, self.hidden_sizes),
        )
        self._check_initializers(specs.layers + specs.initial_state)
        with tf.variable_scope(self.name, auxiliary_name_scope=False) as scope:
            scope.set_partitioner(None)  # An initializer that saw a part only would draw from another range.
            self._variables = weights.Weights(*[self._make_variables(group) for group in specs])
        self._layers = [
            weights.LayerWeights(below, size, *self._activations, **variables)
            for below, size, variables in zip(
                [input_size] + self.hidden_sizes, self.hidden_sizes, self._variables.layers
            )
        ]
        self._input_size = input_size

    def _make_variables(self, specs):
        """A dictionary per layer, from names to variables; empty where there are no specs."""
        by_layer = []
        for spec in specs:
            by_layer.extend({} for _ in range(len(by_layer), spec.layer + 1))
            initializer = self._initializers[spec.group].get(spec, self.name)
            by_layer[spec.layer][spec.name] = tf.get_variable(spec.path, spec.shape, self.dtype, initializer)
        return by_layer

    def __call__(self, inputs, sequence_length=None, initial_state=None, time_major=False):
        """Adds the stack to the graph.

        Args:
          inputs: [B, T, I] of the stack's dtype, or [T, B, I] if `time_major`; B and T may be unknown, I not.
          sequence_length: int32 or int64 [B], each from 0 to T; None where all sequences have T steps. What is past
            an end changes nothing, not even NaN.
          initial_state: (c, h) per layer, [B, H_l] each, instead of the configured one.
          time_major: the layout of inputs and outputs.

        Returns:
          (outputs, state). Outputs are the last layer's h, [B, T, H_L] or [T, B, H_L], zero past each end. State is
          a tuple of `LSTMState(c, h)` per layer, [B, H_l] each: at each sequence's last step, where that is the
          initial state for sequences of length 0 (projected from zeros where it is projected).

        Raises:
          ValueError: wrong rank, width, dtype or structure. `tf.errors.InvalidArgumentError` when the graph runs:
            lengths out of range, or another number of them than sequences.
          RuntimeError: called eagerly.
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
                self._request, self._segments(), x, states, lengths, time_major, self.name
            )
        return outputs, tuple(finals)

    def _segments(self):
        """The `Segment`s that run: one, with all layers, as nothing stands between them."""
        return [Segment([layer.layer() for layer in self._layers])]

    def _check_initializers(self, specs):
        """Raises ValueError where an initializer is for none of the variables."""
        for kind, groups in (("weight", ("weight",)), ("bias", ("bias", "state"))):
            paths = sorted(spec.path for spec in specs if spec.group in groups)
            unknown = sorted(set(self._initializers[kind].by_path) - set(paths))
            if unknown:
                checks.fail(self.name, f"{kind} initializers for variables among {paths}", unknown)

    def _require_built(self, attribute):
        if self._input_size is None:
            raise ValueError(
                "%s.%s: the variables are made at the first call; call the stack or `build(input_size)` first"
                % (self.name, attribute)
            )


class _Initializers(NamedTuple):
    """What one of the arguments says: initializers of single variables by their paths, and that of all others."""

    by_path: Mapping[str, Any]
    default: Any

    @classmethod
    def of(cls, argument, default):
        """From a mapping from paths to initializers, or an initializer; all of them are checked."""
        is_mapping = isinstance(argument, collections.abc.Mapping)
        table = cls(dict(argument), default) if is_mapping else cls({}, argument)
        for value in list(table.by_path.values()) + [table.default]:
            initializers.get(value)
        return table

    def get(self, spec, stack):
        """The initializer of a `VariableSpec`, a function, with what is added to its values."""
        initializer = initializers.get(self.by_path.get(spec.path, self.default), f"{stack}/{spec.path}")
        if not spec.added:
            return initializer
        return lambda *args, **kwargs: initializer(*args, **kwargs) + spec.added
