"""Two stacks that read the same inputs, forward and backward: the parts of `BidirectionalLSTM`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any, Callable, Iterator, NamedTuple

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.stack import StackedLSTM

# The name of a variable within a BidirectionalLSTM.
_NAME = re.compile(r"(?P<direction>forward|backward)/(?P<scope>(initial_state/)?)layer_(?P<layer>\d+)/(?P<leaf>\w+)")


class Directions(NamedTuple):
    """A pair of what belongs to the forward and to the backward direction.

    Fields:
      forward: of the direction that reads each sequence from its first time step.
      backward: of the direction that reads each sequence from its last time step.
    """

    forward: Any
    backward: Any


class Level(NamedTuple):
    """Two stacks that read the same inputs.

    Fields:
      stacks: `Directions` of `StackedLSTM`s.
      number: the number of the layer, if each stack has a single layer; else None.
      dropout: the rate of dropout on the inputs.
      is_residual: whether the inputs are added to the merged outputs.
    """

    stacks: Directions
    number: int | None
    dropout: Any
    is_residual: bool

    def build(self, input_size: int, function: str) -> None:
        """Creates the variables. `function` is the name for errors."""
        with tf.variable_scope(tf.get_variable_scope(), custom_getter=self._variable):
            for direction, stack in zip(Directions._fields, self.stacks):
                with errors(function, self.number, direction):
                    stack.build(input_size)

    def _variable(self, getter: Callable, name: str, *args: Any, **kwargs: Any) -> tf.Variable:
        """Makes a variable. A stack of a single layer names it layer_1; here it has its number."""
        scope, layer, leaf = name.rsplit("/", 2)
        return getter(f"{scope}/{layer if self.number is None else f'layer_{self.number}'}/{leaf}", *args, **kwargs)

    def run(self, x: tf.Tensor, lengths: tf.Tensor | None, states: Any, training: Any) -> tuple[Directions, Directions]:
        """Returns the outputs [T, B, P] and the final states of both directions, for x [T, B, I]."""
        series = Directions(x, padding.reverse(x, lengths, time_major=True))
        results = [
            stack(inputs, lengths, start, time_major=True, training=training)
            for stack, inputs, start in zip(self.stacks, series, states)
        ]
        outputs, finals = zip(*results)
        return Directions(outputs[0], padding.reverse(outputs[1], lengths, time_major=True)), Directions(*finals)


@contextlib.contextmanager
def errors(function: str, number: int | None, direction: str = "") -> Iterator[None]:
    """Changes errors of a `StackedLSTM` that is a part of something else.

    Args:
      function: what the errors name instead of `StackedLSTM`.
      number: the number of the layer, if the stack has a single layer; else None.
      direction: what the errors put before the names of the stack's variables; empty if they name none.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        text = re.sub(rf"^{StackedLSTM.__name__}\b", function, str(error))
        text = text if number is None else text.replace("layer_1", f"layer_{number}")
        names = r"(?<![\w/])(?<!whose variable )((?:initial_state/)?layer_\d+/\w)"
        raise type(error)(re.sub(names, rf"{direction}/\1", text) if direction else text) from None


def initializer(value: Any, argument: str, direction: str, number: int | None, count: int, function: str) -> Any:
    """Returns the initializers of one stack.

    Args:
      value: an initializer for all variables, which is returned as it is, or a mapping from names of variables, such as
        "forward/layer_2/Wf".
      argument: the name of the argument, for the message.
      direction: "forward" or "backward".
      number: the number of the layer, if the stack has a single layer; else None.
      count: the number of layers.
      function: the caller, for the message.

    Raises:
      ValueError: a key of the mapping cannot be the name of a variable.
    """
    if not isinstance(value, Mapping):
        return value
    initializers = {}
    for name, initial_value in value.items():
        match = _NAME.fullmatch(name) if isinstance(name, str) else None
        if not match or not 1 <= int(match["layer"]) <= count:
            expected = f"the keys of `{argument}` to be names of variables, such as forward/layer_{count}/Wf"
            checks.fail(function, expected, checks.describe(name))
        if match["direction"] == direction and number in (None, int(match["layer"])):
            layer = match["layer"] if number is None else 1
            initializers[f"{match['scope']}layer_{layer}/{match['leaf']}"] = initial_value
    return initializers
