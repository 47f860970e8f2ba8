"""Two stacks that read the same inputs, forward and backward: the parts of `BidirectionalLSTM`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Container, Mapping
from typing import Any, Iterator, NamedTuple

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import EngineUsed, padding
from stacked_lstm.separate_ops import separate
from stacked_lstm.stack.call import run_both
from stacked_lstm.stack.stacked_lstm import StackedLSTM

# The name of a variable within a BidirectionalLSTM.
_NAME = re.compile(r"(?P<direction>forward|backward)/(initial_state/)?layer_(?P<layer>\d+)/\w+")


class Directions(NamedTuple):
    """A pair of what belongs to the forward and to the backward direction.

    Fields:
      forward: of the direction that reads each sequence from its first time step.
      backward: of the direction that reads each sequence from its last time step.
    """

    forward: Any
    backward: Any


class Outputs(NamedTuple):
    """The outputs of both directions: a pair, or side by side in one tensor.

    Fields:
      pair: `Directions` of [T, B, P], or None.
      joined: [T, B, 2 P], the forward direction first, or None.
    """

    pair: Directions | None = None
    joined: tf.Tensor | None = None

    def split(self) -> Directions:
        """Returns both directions as a pair."""
        return self.pair or Directions(*separate(tf.split(self.joined, 2, axis=-1)))

    def join(self) -> tf.Tensor:
        """Returns both directions in one tensor."""
        return tf.concat(self.split(), axis=-1) if self.joined is None else self.joined


class LevelCall(NamedTuple):
    """The arguments of a level in one call of a `BidirectionalLSTM`.

    Fields:
      lengths: int32 [B], or None if all sequences have T steps.
      starts: `Directions` of lists with a pair (c, h) per layer, or of None.
      training: bool, or bool scalar tensor.
      resets: `Directions` of bools [T, B], whether the direction starts again before it reads step t, or of None.
      return_steps: bool, whether the level also returns the states and gates of all time steps.
    """

    lengths: tf.Tensor | None
    starts: Directions
    training: Any
    resets: Directions
    return_steps: bool


class Level(NamedTuple):
    """Two stacks that read the same inputs.

    Fields:
      stacks: `Directions` of `StackedLSTM`s.
      dropout: the rate of dropout on the inputs.
      is_residual: whether the inputs are added to the merged outputs.
    """

    stacks: Directions
    dropout: Any
    is_residual: bool

    def build(self, input_size: int, function: str) -> None:
        """Creates the variables. `function` is the name for errors."""
        with errors(function):
            for stack in self.stacks:
                stack.build(input_size)

    def run(self, x: tf.Tensor, call: LevelCall) -> tuple[Any, ...]:
        """Returns (`Outputs`, `Directions` of final states), and with `return_steps` also `Directions` of steps.

        x is [T, B, I]. Step t of the outputs and of the steps belongs to step t of x in both directions. If an engine
        can, it runs both directions at once.
        """
        forward, backward = [
            stack.prepare(x, call.lengths, start, True, call.training, call.return_steps, reset, from_end)
            for stack, start, reset, from_end in zip(self.stacks, call.starts, call.resets, (False, True))
        ]
        both = run_both(forward, backward)
        if both is not None:
            joined, both_finals, used = both
            self._set_engines_used(used, used)
            return Outputs(joined=joined), Directions(*both_finals)
        results, uses = zip(forward.run(), backward.run())
        self._set_engines_used(*uses)
        outputs, finals, *steps = [Directions(*sides) for sides in zip(*results)]
        return (Outputs(pair=outputs), finals, *steps)

    def _set_engines_used(self, *uses: EngineUsed) -> None:
        for stack, used in zip(self.stacks, uses):
            stack.engine_used = used


def resets(flags: tf.Tensor, lengths: tf.Tensor | None) -> Directions:
    """Returns the resets of both directions, bools [T, B]: whether the direction starts again before it reads step t.

    Args:
      flags: bool [T, B], true at the first step of each sequence. The backward direction starts again one step before.
      lengths: int32 [B], or None if all sequences have T steps. The function ignores flags past the end.
    """
    steps = tf.shape(flags)[0]
    is_last = tf.equal(tf.range(1, steps + 1)[:, None], padding.lengths_or_all_steps(lengths, flags)[None])
    ends = tf.concat([flags[1:], flags[:1]], axis=0) & ~is_last
    ends.set_shape(flags.shape)
    return Directions(flags, ends)


@contextlib.contextmanager
def errors(function: str) -> Iterator[None]:
    """Errors of a `StackedLSTM` name `function` instead of this class."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(re.sub(rf"^{StackedLSTM.__name__}\b", function, str(error))) from None


def initializer(value: Any, argument: str, direction: str, numbers: Container[int], count: int, function: str) -> Any:
    """Returns the initializers of one stack.

    Args:
      value: an initializer for all variables, which is returned as it is, or a mapping from names of variables, such as
        "forward/layer_2/Wf".
      argument: the name of the argument, for the message.
      direction: "forward" or "backward".
      numbers: the numbers of the layers of the stack.
      count: the number of layers of all stacks of a direction.
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
        if match["direction"] == direction and int(match["layer"]) in numbers:
            initializers[name] = initial_value
    return initializers
