"""BidirectionalLSTM: LSTM layers that read each sequence forward and backward, made of `StackedLSTM`s."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from stacked_lstm import checks, engines
from stacked_lstm.bidirectional import directions
from stacked_lstm.bidirectional.directions import Directions, Level
from stacked_lstm.bidirectional.graph import MERGES, BidirectionalGraph
from stacked_lstm.bidirectional.variables import CLASS_NAME, DEFAULT_NAME, LAYERS, STACKINGS, STACKS
from stacked_lstm.engines import EngineUsed
from stacked_lstm.lstm import dropout_masks
from stacked_lstm.stack import options
from stacked_lstm.stack.options import LayerOptions
from stacked_lstm.stack.stacked_lstm import StackedLSTM


class BidirectionalLSTM(BidirectionalGraph):
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

    On the engine `native`, one op computes both directions at once. It reads the inputs of the backward direction from
    the end, without copies. With the options that engines/README.md lists, each direction has its own ops. On the
    engine `cudnn`, one call of cuDNN computes both directions of a layer. On the engine `graph`, the inputs and outputs
    of the backward direction are reversed.

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
        stacking: str = LAYERS,
        name: str = DEFAULT_NAME,
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
        self.hidden_sizes = checks.widths(hidden_sizes, CLASS_NAME, "hidden_sizes")
        if merge is not None:
            checks.one_of(MERGES, merge, CLASS_NAME, "merge", "or None")
        checks.one_of(STACKINGS, stacking, CLASS_NAME, "stacking")
        self.merge, self.stacking, self.name = merge, stacking, checks.scope(name, CLASS_NAME)
        self.engine_used: EngineUsed | None = None
        self._output_dropout = options.rate(arguments.pop("output_dropout", 0.0), CLASS_NAME, "output_dropout")
        self._seed = options.seed(arguments.pop("seed", None), CLASS_NAME)
        defaults = dict(LayerOptions._field_defaults, input_dropout=0.0)
        values = {option: arguments.pop(option, default) for option, default in defaults.items()}
        self._options = options.per_layer(len(self.hidden_sizes), CLASS_NAME, values)
        self.state_sizes = options.sizes(self.hidden_sizes, self._options)
        if stacking == LAYERS and merge is None and self._options[-1].residual:
            expected = "no `residual` connection around the last layer, whose outputs merge=None does not merge"
            checks.fail(CLASS_NAME, expected, checks.describe(values["residual"]))
        self._levels = self._make_levels(arguments)
        first = self._levels[0].stacks.forward
        self.dtype, self.compute_dtype = first.dtype, first.compute_dtype
        self._engine = engines.resolve(arguments.get("engine", engines.AUTO), CLASS_NAME).name

    def _make_levels(self, arguments: Mapping[str, Any]) -> list[Level]:
        """Returns a level per layer, or a single one with all layers of two stacks side by side."""
        if self.stacking == STACKS:
            return [Level(self._make_stacks(1, self.hidden_sizes, self._options, arguments), 0.0, False)]
        levels = []
        for k, (size, layer) in enumerate(zip(self.hidden_sizes, self._options)):
            stacks = self._make_stacks(k + 1, [size], [layer._replace(dropout=0.0, residual=False)], arguments)
            levels.append(Level(stacks, layer.dropout, layer.residual))
        return levels

    def _make_stacks(
        self, first_layer: int, sizes: list[int], layers: list[LayerOptions], arguments: Mapping[str, Any]
    ) -> Directions:
        """Returns the stacks of a level.

        `first_layer` is the number of their lowest layer. `layers` has the options of each layer.
        """
        columns: dict[str, Any] = {field: list(column) for field, column in zip(LayerOptions._fields, zip(*layers))}
        columns["input_dropout"], *columns["dropout"] = columns["dropout"]
        numbers = range(first_layer, first_layer + len(sizes))
        stacks = []
        for direction in Directions._fields:
            initializers = {
                argument: directions.initializer(
                    arguments[argument], argument, direction, numbers, len(self.hidden_sizes), CLASS_NAME
                )
                for argument in ("weight_initializer", "bias_initializer")
                if argument in arguments
            }
            place = f"{direction}/{first_layer if self.stacking == LAYERS else None}"  # Seeds depend on this text.
            seed = dropout_masks.seed_at(place, self._seed)
            with directions.errors(CLASS_NAME):
                stack = StackedLSTM(
                    sizes, name=f"{self.name}/{direction}", seed=seed, **dict(arguments, **initializers, **columns)
                )
            stack._first_layer, stack._key_prefix = first_layer, f"{direction}/"
            stacks.append(stack)
        return Directions(*stacks)
