"""The part of `BidirectionalLSTM` that creates, counts, reads and assigns variables."""

from __future__ import annotations

import copy
from typing import Any, Callable, Sequence

from stacked_lstm import checks, graph_checks
from stacked_lstm.bidirectional.directions import Directions, Level
from stacked_lstm.compat import tf
from stacked_lstm.stack import options, weights
from stacked_lstm.stack.first_build import FirstBuild
from stacked_lstm.stack.options import LayerOptions
from stacked_lstm.stack.stacked_lstm import StackedLSTM
from stacked_lstm.stack.variables import with_option_names
from stacked_lstm.stack.weights import Weights
from stacked_lstm.state import LSTMState

CLASS_NAME = "BidirectionalLSTM"  # Messages name the class that users call.
DEFAULT_NAME = "bidirectional_lstm"
LAYERS, STACKS = STACKINGS = ("layers", "stacks")


class BidirectionalVariables(FirstBuild):
    """The base class of `BidirectionalLSTM`. The constructor of that class sets the attributes without a value here."""

    name: str
    hidden_sizes: list[int]
    state_sizes: list[LSTMState]
    merge: str | None
    stacking: str
    _options: list[LayerOptions]
    _levels: list[Level]

    def __repr__(self) -> str:
        head = f"{CLASS_NAME}({self.hidden_sizes}, merge={self.merge!r}, stacking={self.stacking!r}"
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
        return self._by_direction(lambda stacks: [layer for stack in stacks for layer in stack.layers])

    @property
    def variables_by_layer(self) -> Directions:
        """The variables as `Directions` of `weights.Weights(layers, initial_state)`.

        Raises:
          ValueError: the variables have not been created yet.
        """
        self._require_built("variables_by_layer")

        def collect(stacks: Sequence[StackedLSTM]) -> Weights:
            return Weights(*[sum(lists, []) for lists in zip(*[stack.variables_by_layer for stack in stacks])])

        return self._by_direction(collect)

    def _by_direction(self, collect: Callable[[Sequence[StackedLSTM]], Any]) -> Directions:
        """Returns what `collect` returns for the stacks of each direction. There is one stack per level."""
        return Directions(*[collect(stacks) for stacks in zip(*[level.stacks for level in self._levels])])

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
          ValueError: the variables have not been created yet, or `session` is not a session of their graph.
        """
        self._require_built("get_weights")
        functions = self._levels[0].stacks.forward._activations
        arrays = graph_checks.session(session, self.variables, f"{self.name}.get_weights").run(self.variables_by_layer)
        return Directions(*[with_option_names(side, self._options, functions) for side in arrays])

    def set_weights(self, session: tf.Session, forward: Any = None, backward: Any = None) -> None:
        """Assigns values to the variables.

        `lstm.set_weights(session, *other.get_weights(session))` copies the weights of another object in the same graph.

        Args:
          session: an open session of the graph. The graph may be finalized.
          forward: a pair (layers, initial_state) of the form that `get_weights` returns, for the forward direction.
            `([layer_1, layer_2], None)` leaves the initial state as it is. Default None: nothing changes.
          backward: the same for the backward direction.

        Raises:
          ValueError: the variables have not been created yet, `session` is not a session of their graph, or names
            or shapes differ from those of the variables. The message lists the differences, and no variable is
            changed.
        """
        self._require_built("set_weights")
        function, pairs = f"{self.name}.set_weights", []
        for direction, variables, values in zip(Directions._fields, self.variables_by_layer, (forward, backward)):
            if values is None:
                continue
            if not isinstance(values, (list, tuple)) or len(values) != 2:
                expected = f"`{direction}` to be None or a pair (layers, initial_state)"
                checks.fail(function, expected, checks.describe(values))
            for field, field_variables, field_values in zip(Weights._fields, variables, values):
                if field_values is not None:
                    pairs += weights.match(field_variables, field_values, function, f"{direction}.{field}")
        weights.load(pairs, graph_checks.session(session, self.variables, f"{self.name}.set_weights"))

    def build(self, input_size: int) -> None:
        """Creates the variables. This is optional: the first call of the object creates them, too.

        Args:
          input_size: int, I, the number of input features.

        Raises:
          ValueError: it was built for another number of input features, an initializer names a variable that does not
            exist, or the graph already has a variable of such a name.
          RuntimeError: eager mode is on.
        """
        graph_checks.graph_mode(f"{CLASS_NAME}.build")
        if self._is_built_for(input_size):
            return
        input_size = width = checks.size(input_size, f"{CLASS_NAME}.build", "input_size")
        times = 2 if self.merge in (None, "concat") else 1
        if self.stacking == LAYERS:
            merged = [size._replace(h=times * size.h) for size in self.state_sizes]
            options.check_residuals(input_size, merged, self._options, self.name)
        if self.name == DEFAULT_NAME:
            weights.check_default_name(self.name, CLASS_NAME)
        for level, size in zip(self._levels, self.state_sizes):
            level.build(width, CLASS_NAME)
            width = times * size.h
        self._input_size = input_size

    def __copy__(self) -> Any:
        result = super().__copy__()
        # Each stack gets its variables at the first call of one of the two objects.
        result._levels = [level._replace(stacks=Directions(*map(copy.copy, level.stacks))) for level in self._levels]
        return result
