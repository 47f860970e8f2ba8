"""`BidirectionalGraph`: what a call of a `BidirectionalLSTM` adds to the graph."""

from __future__ import annotations

import functools
from typing import Any, Callable, Sequence

from stacked_lstm import checks, tensor_checks
from stacked_lstm.bidirectional import directions
from stacked_lstm.bidirectional.directions import Directions, LevelCall
from stacked_lstm.bidirectional.variables import STACKS, BidirectionalVariables
from stacked_lstm.compat import tf, without_autograph
from stacked_lstm.engines import EngineUsed, mask_ops, padding
from stacked_lstm.lstm.dropout_masks import Seed
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.stack import regularization
from stacked_lstm.stack.inputs import check_inputs

MERGES: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "concat": lambda forward, backward: tf.concat([forward, backward], axis=-1),
    "sum": lambda forward, backward: forward + backward,
    "mul": lambda forward, backward: forward * backward,
    "average": lambda forward, backward: (forward + backward) / 2,
}


class BidirectionalGraph(BidirectionalVariables):
    """The calls of a `BidirectionalLSTM`. Its constructor sets the attributes."""

    dtype: tf.DType
    engine_used: EngineUsed | None
    _engine: str
    _output_dropout: Any
    _seed: Seed

    autograph_info__: dict[str, Any] = {}  # TensorFlow 1.15 looks for it here, not at `__call__`.

    @without_autograph
    def __call__(
        self,
        inputs: Any,
        sequence_length: Any = None,
        initial_state: Any = None,
        time_major: bool = False,
        training: Any = None,
        return_steps: bool = False,
        reset: Any = None,
    ) -> tuple[Any, ...]:
        """Adds both directions to the default graph.

        Args:
          inputs: tensor [B, T, I] of the object's dtype, or [T, B, I] if `time_major`. I must be static.
          sequence_length: int32 or int64 vector [B] of numbers from 0 to T. The backward direction starts at the end of
            each sequence. Inputs after the end are ignored, even if they are NaN. Default None: all sequences have T
            time steps.
          initial_state: a pair (forward, backward) of lists with a pair (c [B, H_l], h [B, P_l]) per layer. Each
            direction has this state before the first step that it reads. Default None: the kind that the constructor
            configured. One of the two may be None, too.
          time_major: bool, whether time is the first axis of inputs and outputs. Default False.
          training: bool, or scalar tensor of bools: whether dropout and zoneout are random. Default None, which is
            False.
          return_steps: bool, whether the states and gates of all time steps are returned, too. Default False.
          reset: bool tensor [B, T], or [T, B] if `time_major`, for inputs that hold several sequences one after the
            other. It is true at the first step t of each new sequence. The forward direction starts from the initial
            state before it reads step t, and the backward direction before it reads step t - 1. This initial state is
            the one that the constructor configured. A "projected" one is computed from the input that the direction
            reads next. Default None: no step is the first of a new sequence.

        Returns:
          (outputs, state). `outputs` is [B, T, 2 P] with merge="concat", `Directions` of two tensors [B, T, P] with
          merge=None, and [B, T, P] with the others. P is the width of the last layer in one direction. With
          `time_major`, time is the first axis. Outputs after the end of a sequence are zero. `state` is `Directions` of
          tuples with an `LSTMState(c, h)` per layer. The backward direction reads the first time step of each sequence
          last, and its state is the one after this step. With `return_steps=True`, (outputs, state, steps). `steps` is
          `Directions` of tuples with a `state.LSTMSteps` per layer, as `StackedLSTM` returns them. Step t belongs to
          input t in both directions.

        Raises:
          ValueError: an argument has the wrong shape, dtype or structure, or the engine does not support these layers.
          RuntimeError: eager mode is on.
          tf.errors.InvalidArgumentError: when the graph runs, `sequence_length` or a rate is out of range, or the size
            of `sequence_length` is not B.
        """
        x, training = check_inputs(self.name, self.dtype, inputs, time_major, training, return_steps)
        self.build(x.shape.as_list()[-1])
        with tf.name_scope(self.name), mask_ops.choose(self._engine, self._engine_layers):
            steps, batch = tensor_checks.sizes(x, time_major)
            lengths = tensor_checks.lengths(sequence_length, steps, batch, self.name)
            resets = Directions(None, None)
            if reset is not None:
                flags = tensor_checks.flags(reset, steps, batch, time_major, self.name, "reset")
                resets = directions.resets(flags, lengths)
            starts = self._starts(initial_state, batch)
            sampler = regularization.NoiseSampler(
                training, self._seed, steps.value, batch.value, self.dtype, self.name, self._engine
            )
            calls = [LevelCall(lengths, start, training, resets, return_steps) for start in starts]
            outputs, per_level = self._run(x if time_major else tf.transpose(x, [1, 0, 2]), calls, sampler)
            if not time_major:
                to_batch_major = functools.partial(tf.transpose, perm=[1, 0, 2])
                outputs = tf.nest.map_structure(to_batch_major, outputs)
                per_level[1:] = tf.nest.map_structure(to_batch_major, per_level[1:])
        engines_used = zip(*[stack.engine_used for level in self._levels for stack in level.stacks])
        self.engine_used = EngineUsed(*["; ".join(dict.fromkeys(texts)) for texts in engines_used])
        return (outputs, *[Directions(*[sum(side, ()) for side in zip(*levels)]) for levels in per_level])

    def _run(
        self, x: tf.Tensor, calls: Sequence[LevelCall], sampler: regularization.NoiseSampler
    ) -> tuple[Any, list[list[Directions]]]:
        """Runs the levels, with dropout, merges and residual connections between them.

        Args:
          x: [T, B, I].
          calls: a `LevelCall` per level.
          sampler: the `NoiseSampler` of the call.

        Returns:
          (outputs [T, B, N], or `Directions` of two; final states per level and, if steps are returned, steps per
          level).
        """
        results = []
        for k, (level, call) in enumerate(zip(self._levels, calls)):
            below = x
            drop = sampler.dropout(level.dropout, "dropout" if k else "input_dropout", f"layer_{k + 1}/dropout")
            outputs, *states = level.run(drop(below) if drop else below, call)
            results.append(states)
            x = outputs.join() if self.merge in (None, "concat") else MERGES[self.merge](*outputs.split())
            if level.is_residual:
                x += padding.zero_past_end(below, call.lengths)
        merged = list(outputs.split()) if self.merge is None else [x]
        for k, series in enumerate(merged):
            drop = sampler.dropout(self._output_dropout, "output_dropout", f"output_{k}/dropout")
            merged[k] = drop(series) if drop else series
        return Directions(*merged) if self.merge is None else merged[0], [list(part) for part in zip(*results)]

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
        if self.stacking == STACKS:
            return [Directions(*sides)]
        return [Directions(*[None if side is None else [side[k]] for side in sides]) for k in range(len(self._levels))]
