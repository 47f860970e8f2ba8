"""BidirectionalLSTM: LSTM layers that read each sequence forward and backward, made of `StackedLSTM`s."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

from stacked_lstm import checks, directions, dropout_masks, options, regularization, tensor_checks, weights
from stacked_lstm.compat import tf, without_autograph
from stacked_lstm.directions import Directions, Level
from stacked_lstm.engines import EngineUsed, mask_ops, padding
from stacked_lstm.layer import Layer
from stacked_lstm.options import LayerOptions
from stacked_lstm.stack import StackedLSTM
from stacked_lstm.weights import Weights

_CLASS = "BidirectionalLSTM"
_DEFAULT_NAME = "bidirectional_lstm"
_MERGES: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "concat": lambda forward, backward: tf.concat([forward, backward], axis=-1),
    "sum": lambda forward, backward: forward + backward,
    "mul": lambda forward, backward: forward * backward,
    "average": lambda forward, backward: (forward + backward) / 2,
}
_LAYERS, _STACKS = _STACKINGS = ("layers", "stacks")


class BidirectionalLSTM:
    """LSTM layers for TensorFlow 1 graphs that read each sequence forward and backward.

    Each direction is a `StackedLSTM`, whose docstring has the equations and options. The backward direction reads each
    sequence from its own end to its start. Its outputs are reversed again, so that both outputs at time step t belong
    to input t. `merge` makes one output of the two:

        "concat"     [forward, backward], of the width 2 P, where P is the width of the output of one direction
        "sum"        forward + backward
        "mul"        forward * backward
        "average"    (forward + backward) / 2
        None         no merge: the outputs are the pair `Directions(forward, backward)`

    There are two ways to stack layers:

        "layers"     Each layer is bidirectional. Both directions of layer l read the merged outputs of layer l - 1, as
                     in a sequence of Keras' Bidirectional, and in PyTorch with bidirectional=True. merge=None
                     concatenates between layers, and returns the pair of the last layer.
        "stacks"     Two stacks stand side by side, as in `bidirectional_dynamic_rnn` with two MultiRNNCells. Only the
                     outputs of the last layers are merged.

    With a single layer and no options, both are the same.

    Variables. With the default name, the variables of both directions are

        bidirectional_lstm/forward/layer_l/Wf ...                   those of a StackedLSTM, layers counting from 1
        bidirectional_lstm/backward/layer_l/Wf ...
        bidirectional_lstm/forward/initial_state/layer_l/c ...      if the initial state is learned or projected
        bidirectional_lstm/backward/initial_state/layer_l/c ...

    Their shapes are those of a StackedLSTM. If stacking="layers", the input width I_l of layer l > 1 is that of the
    merged outputs: 2 P_(l-1) with "concat" and None, P_(l-1) with the others. These names and shapes do not change
    between versions, so that checkpoints stay valid.

    Options act in each direction as in a StackedLSTM, with masks of its own. `output_dropout` acts on the merged
    outputs. If stacking="layers", these act on what both directions share: `input_dropout` and `dropout` draw one mask
    for the input of a layer, and `residual` adds this input to the merged output, which must be as wide. The initial
    state "projected" is then computed in each layer from the first time step of its input that the direction reads.

    Each direction is a call of an engine. There is no op yet that computes both directions at once.

    Attributes:
      hidden_sizes: list of ints, [H_1, ..., H_L], of one direction.
      state_sizes: list with the widths of c and h of each layer of one direction.
      dtype: the `tf.DType` of variables, inputs, outputs and states.
      compute_dtype: the `tf.DType` in which the layers compute.
      merge, stacking: the arguments of these names.
      name: the scope of the variables.
      engine_used: `engines.EngineUsed(name, reason)` of the last call. If the layers ran on several engines, both
        strings list them. None before the first call.
      variables, weights, trainable_variables: the list of all variables, first those of the forward direction.
      layers: `Directions` of lists with one object per layer: `lstm.layers.forward[0].Wf` is a variable.
      variables_by_layer: `Directions` of `Weights(layers, initial_state)`, as a StackedLSTM has them.

    Source:
      Schuster and Paliwal, Bidirectional Recurrent Neural Networks, IEEE Transactions on Signal Processing 45(11),
      1997.

    Example: the distance of each time step to both ends of its sequence needs both directions.

      >>> x = tf.placeholder(tf.float32, [None, None, 2])        # [batch, time, input]
      >>> lengths = tf.placeholder(tf.int32, [None])
      >>> lstm = stacked_lstm.BidirectionalLSTM([8, 4], merge="sum")
      >>> outputs, (forward, backward) = lstm(x, sequence_length=lengths)
      >>> lstm
      BidirectionalLSTM([8, 4], merge='sum', stacking='layers', input_size=2, 1,120 parameters)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     feed = {x: np.ones([3, 5, 2]), lengths: [5, 3, 0]}
      ...     values, last = session.run([outputs, backward[-1].h], feed)
      ...     print(values.shape, values[1, 3:].any(), last.shape)
      (3, 5, 4) False (3, 4)
    """

    def __init__(
        self,
        hidden_sizes: Sequence[int],
        *,
        merge: str | None = "concat",
        stacking: str = _LAYERS,
        name: str = _DEFAULT_NAME,
        **arguments: Any,
    ) -> None:
        """Configures both directions. It creates no variables and no ops.

        Args:
          hidden_sizes: sequence of positive ints, the number of units of each layer, for each direction.
          merge: str or None, "concat", "sum", "mul", "average" or None, explained above. Default "concat".
          stacking: str, "layers" or "stacks", explained above. Default "layers".
          name: str, the scope of the variables. Default "bidirectional_lstm".
          **arguments: the other arguments of `StackedLSTM`, which both directions get. In mappings of initializers,
            the names of variables start with the direction, for example {"forward/layer_1/Wf": "wf.csv"}.

        Raises:
          ValueError: an argument is out of its range. The message names the argument.
          TypeError: an argument has a name that `StackedLSTM` does not know.
        """
        self.hidden_sizes = checks.widths(hidden_sizes, _CLASS, "hidden_sizes")
        if merge is not None:
            checks.known(_MERGES, merge, _CLASS, "merge", "or None")
        checks.known(dict.fromkeys(_STACKINGS), stacking, _CLASS, "stacking")
        self.merge, self.stacking, self.name = merge, stacking, checks.scope(name, _CLASS)
        self.engine_used: EngineUsed | None = None
        self._input_size: int | None = None
        self._output_dropout = options.rate(arguments.pop("output_dropout", 0.0), _CLASS, "output_dropout")
        self._seed = options.seed(arguments.pop("seed", None), _CLASS)
        defaults = dict(LayerOptions._field_defaults, input_dropout=0.0)
        values = {option: arguments.pop(option, default) for option, default in defaults.items()}
        self._options = options.per_layer(len(self.hidden_sizes), _CLASS, values)
        self.state_sizes = options.sizes(self.hidden_sizes, self._options)
        if stacking == _LAYERS and merge is None and self._options[-1].residual:
            expected = "no `residual` connection around the last layer, whose outputs merge=None does not merge"
            checks.fail(_CLASS, expected, checks.describe(values["residual"]))
        self._levels = self._make_levels(arguments)
        first = self._levels[0].stacks.forward
        self.dtype, self.compute_dtype = first.dtype, first.compute_dtype
        self._engine = first._request.name

    def _make_levels(self, arguments: Mapping[str, Any]) -> list[Level]:
        """Returns a level per layer, or a single one with all layers of two stacks side by side."""
        if self.stacking == _STACKS:
            return [Level(self._make_stacks(None, self.hidden_sizes, self._options, arguments), None, 0.0, False)]
        levels = []
        for k, (size, layer) in enumerate(zip(self.hidden_sizes, self._options)):
            stacks = self._make_stacks(k + 1, [size], [layer._replace(dropout=0.0, residual=False)], arguments)
            levels.append(Level(stacks, k + 1, layer.dropout, layer.residual))
        return levels

    def _make_stacks(
        self, number: int | None, sizes: list[int], layers: list[LayerOptions], arguments: Mapping[str, Any]
    ) -> Directions:
        """Returns the stacks of a level. `number` is that of `Level`, `layers` has the options of each layer."""
        columns: dict[str, Any] = {field: list(column) for field, column in zip(LayerOptions._fields, zip(*layers))}
        columns["input_dropout"], *columns["dropout"] = columns["dropout"]
        stacks = []
        for direction in Directions._fields:
            initializers = {
                argument: directions.initializer(
                    arguments[argument], argument, direction, number, len(self.hidden_sizes), _CLASS
                )
                for argument in ("weight_initializer", "bias_initializer")
                if argument in arguments
            }
            seed = dropout_masks.seed_at(f"{direction}/{number}", self._seed)
            with directions.errors(_CLASS, number, direction):
                stacks.append(
                    StackedLSTM(
                        sizes, name=f"{self.name}/{direction}", seed=seed, **dict(arguments, **initializers, **columns)
                    )
                )
        return Directions(*stacks)

    def __repr__(self) -> str:
        head = f"{_CLASS}({self.hidden_sizes}, merge={self.merge!r}, stacking={self.stacking!r}"
        if self._input_size is None:
            return f"{head}, not built)"
        return f"{head}, input_size={self._input_size}, {self.count_params():,} parameters)"

    @property
    def layers(self) -> Directions:
        """`Directions` of lists with a `weights.LayerWeights` per layer: `lstm.layers.forward[0].Wf` is a variable.

        Raises:
          ValueError: the variables have not been created yet.
        """
        self._require_built("layers")
        stacks = zip(*[level.stacks for level in self._levels])
        return Directions(*[[layer for stack in direction for layer in stack.layers] for direction in stacks])

    @property
    def variables_by_layer(self) -> Directions:
        """The variables as `Directions` of `weights.Weights(layers, initial_state)`.

        Raises:
          ValueError: the variables have not been created yet.
        """
        self._require_built("variables_by_layer")
        stacks = zip(*[level.stacks for level in self._levels])
        parts = [[stack.variables_by_layer for stack in direction] for direction in stacks]
        return Directions(*[Weights(*[sum(lists, []) for lists in zip(*direction)]) for direction in parts])

    @property
    def variables(self) -> list[tf.Variable]:
        """List of all variables: those of the forward direction, then those of the backward direction.

        Raises:
          ValueError: the variables have not been created yet.
        """
        self._require_built("variables")
        parts = [layers for direction in self.variables_by_layer for layers in direction]
        return [variable for layers in parts for layer in layers for variable in layer.values()]

    weights = trainable_variables = variables

    def count_params(self) -> int:
        """Returns the number of scalars in all variables.

        Raises:
          ValueError: the variables have not been created yet.
        """
        self._require_built("count_params")
        return sum(variable.shape.num_elements() for variable in self.variables)

    def get_weights(self, session: tf.Session) -> Directions:
        """Reads the variables.

        Args:
          session: an open session of the graph, in which the variables are initialized.

        Returns:
          `Directions` of `weights.Weights(layers, initial_state)`, as `StackedLSTM.get_weights` returns them.

        Raises:
          ValueError: the variables have not been created yet.
        """
        self._require_built("get_weights")
        return session.run(self.variables_by_layer)

    def set_weights(self, session: tf.Session, forward: Any = None, backward: Any = None) -> None:
        """Assigns values to the variables.

        `lstm.set_weights(session, *other.get_weights(session))` copies the weights of another object in the same graph.

        Args:
          session: an open session of the graph. The graph may be finalized.
          forward: a pair (layers, initial_state) of the form that `get_weights` returns, for the forward direction.
            `([layer_1, layer_2], None)` leaves the initial state as it is. Default None: nothing changes.
          backward: the same for the backward direction.

        Raises:
          ValueError: the variables have not been created yet, or names or shapes differ from those of the variables.
            The message lists the differences, and no variable is changed.
        """
        self._require_built("set_weights")
        function, pairs = f"{self.name}.set_weights", []
        for direction, variables, values in zip(Directions._fields, self.variables_by_layer, (forward, backward)):
            if values is None:
                continue
            if not isinstance(values, (list, tuple)) or len(values) != 2:
                expected = f"`{direction}` to be None or a pair (layers, initial_state)"
                checks.fail(function, expected, checks.describe(values))
            for field, own, part in zip(Weights._fields, variables, values):
                if part is not None:
                    pairs += weights.match(own, part, function, f"{direction}.{field}")
        weights.load(pairs, session)

    def build(self, input_size: int) -> None:
        """Creates the variables. This is optional: the first call of the object creates them, too.

        Args:
          input_size: int, I, the number of input features.

        Raises:
          ValueError: it was built for another number of input features, an initializer names a variable that does not
            exist, or the graph already has a variable of such a name.
          RuntimeError: eager mode is on.
        """
        tensor_checks.graph_mode(f"{_CLASS}.build")
        if self._input_size is not None:
            if input_size != self._input_size:
                expected = f"inputs of width {self._input_size}, as in the first call"
                checks.fail(self.name, expected, f"width {input_size}")
            return
        input_size = width = checks.size(input_size, f"{_CLASS}.build", "input_size")
        times = 2 if self.merge in (None, "concat") else 1
        if self.stacking == _LAYERS:
            merged = [size._replace(h=times * size.h) for size in self.state_sizes]
            options.check_residuals(input_size, merged, self._options, self.name)
        if self.name == _DEFAULT_NAME:
            weights.check_default_name(self.name, _CLASS)
        for level, size in zip(self._levels, self.state_sizes):
            level.build(width, _CLASS)
            width = times * size.h
        self._input_size = input_size

    autograph_info__: dict[str, Any] = {}  # TensorFlow 1.15 looks for it here, not at `__call__`.

    @without_autograph
    def __call__(
        self,
        inputs: Any,
        sequence_length: Any = None,
        initial_state: Any = None,
        time_major: bool = False,
        training: Any = None,
    ) -> tuple[Any, Directions]:
        """Adds both directions to the default graph.

        Args:
          inputs: tensor [B, T, I] of the object's dtype, or [T, B, I] if `time_major`. I must be static.
          sequence_length: int32 or int64 vector [B] of numbers from 0 to T. The backward direction starts at the end of
            each sequence. Inputs after the end are ignored, even if they are NaN. Default None: all sequences have T
            time steps.
          initial_state: a pair (forward, backward) of lists with a pair (c, h) per layer, [B, H_l] each. Each direction
            starts with it where it starts to read. Default None: the kind that the constructor configured. One of the
            two may be None, too.
          time_major: bool, whether time is the first axis of inputs and outputs. Default False.
          training: bool, or scalar tensor of bools: whether dropout and zoneout are random. Default None, which is
            False.

        Returns:
          (outputs, state). `outputs` is [B, T, 2 P] with merge="concat", `Directions` of two tensors [B, T, P] with
          merge=None, and [B, T, P] with the others, where P is the width of the last layer in one direction. With
          `time_major`, time is the first axis. Outputs after the end of a sequence are zero. `state` is `Directions` of
          tuples with an `LSTMState(c, h)` per layer. That of the backward direction is the state after the first time
          step of each sequence, which this direction reads last.

        Raises:
          ValueError: an argument has the wrong shape, dtype or structure, or the engine does not support these layers.
          RuntimeError: eager mode is on.
          tf.errors.InvalidArgumentError: when the graph runs, `sequence_length` or a rate is out of range, or the size
            of `sequence_length` is not B.
        """
        tensor_checks.graph_mode(self.name)
        checks.flag(time_major, self.name, "time_major")
        training = regularization.training(training, self.name)
        x = tensor_checks.inputs(inputs, self.dtype, time_major, self.name)
        self.build(x.shape.as_list()[-1])
        with tf.name_scope(self.name), mask_ops.drawn_for(self._engine, self._engine_layers):
            steps, batch = tensor_checks.sizes(x, time_major)
            lengths = tensor_checks.lengths(sequence_length, steps, batch, self.name)
            starts = self._starts(initial_state, batch)
            draws = regularization.Draws(
                training, self._seed, steps.value, batch.value, self.dtype, self.name, self._engine
            )
            x = x if time_major else tf.transpose(x, [1, 0, 2])
            finals = []
            for k, (level, start) in enumerate(zip(self._levels, starts)):
                below = x
                drop = draws.dropout(level.dropout, "dropout" if k else "input_dropout", f"layer_{k + 1}/dropout")
                pair, final = level.run(drop(below) if drop else below, lengths, start, training)
                finals.append(final)
                x = _MERGES[self.merge or "concat"](*pair)
                if level.is_residual:
                    x += padding.zero_past_end(below, lengths)
            results = list(pair) if self.merge is None else [x]
            for k, series in enumerate(results):
                drop = draws.dropout(self._output_dropout, "output_dropout", f"output_{k}/dropout")
                results[k] = drop(series) if drop else series
            results = results if time_major else [tf.transpose(series, [1, 0, 2]) for series in results]
        engines_used = zip(*[stack.engine_used for level in self._levels for stack in level.stacks])
        self.engine_used = EngineUsed(*["; ".join(dict.fromkeys(texts)) for texts in engines_used])
        states = Directions(*[sum(direction, ()) for direction in zip(*finals)])
        return Directions(*results) if self.merge is None else results[0], states

    def _engine_layers(self) -> list[Layer]:
        """The layers of both directions, as engines take them."""
        return [layer.layer() for direction in self.layers for layer in direction]

    def _starts(self, initial_state: Any, batch: tensor_checks.Size) -> list[Directions]:
        """Returns the argument `initial_state` for each level, a list of (c, h) or None for each direction."""
        if initial_state is None:
            return [Directions(None, None)] * len(self._levels)
        if not isinstance(initial_state, (list, tuple)) or len(initial_state) != 2:
            expected = "`initial_state` to be a pair (forward, backward) of lists with a pair (c, h) per layer"
            checks.fail(self.name, expected, checks.describe(initial_state))
        widths: list[Any] = [tuple(size) for size in self.state_sizes]
        sides = []
        for direction, side in zip(Directions._fields, initial_state):
            if side is not None:
                argument = f"initial_state.{direction}"
                side = tensor_checks.states(side, widths, batch, self.dtype, self.name, argument)
            sides.append(side)
        if self.stacking == _STACKS:
            return [Directions(*sides)]
        return [Directions(*[None if side is None else [side[k]] for side in sides]) for k in range(len(self._levels))]

    def _require_built(self, attribute: str) -> None:
        if self._input_size is None:
            raise ValueError(
                f"{self.name}.{attribute}: the variables are made at the first call; "
                "call the object or `build(input_size)` first"
            )
