"""`StackGraph`: what a call of a stack adds to the graph."""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm import engines, tensor_checks
from stacked_lstm.compat import tf, without_autograph
from stacked_lstm.engines.segments import Segment
from stacked_lstm.lstm.equations import Resets
from stacked_lstm.stack import options, regularization
from stacked_lstm.stack.call import StackCall, cast
from stacked_lstm.stack.inputs import StackInputs, check_inputs
from stacked_lstm.stack.steps import Record
from stacked_lstm.stack.variables import CLASS_NAME, StackVariables


class StackGraph(StackVariables):
    """The calls of a `StackedLSTM`, and its variables."""

    def __init__(
        self,
        name: str,
        hidden_sizes: Sequence[int],
        dtype: Any,
        *,
        compute_dtype: Any,
        engine: str,
        output_dropout: Any,
        seed: Any,
        **arguments: Any,
    ) -> None:
        """Checks the arguments of `StackedLSTM`. `arguments` are those of `StackVariables`."""
        super().__init__(name, hidden_sizes, dtype, **arguments)
        self.compute_dtype = (
            self.dtype
            if compute_dtype is None
            else tensor_checks.float_dtype(compute_dtype, CLASS_NAME, argument="compute_dtype")
        )
        self.engine_used: engines.EngineUsed | None = None
        self._output_dropout = options.rate(output_dropout, CLASS_NAME, "output_dropout")
        self._seed = options.seed(seed, CLASS_NAME)
        self._request = engines.resolve(engine, CLASS_NAME)

    autograph_info__: dict[str, Any] = {}  # TensorFlow 1.15 looks for it here, not at `__call__`.

    @without_autograph
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
            replaces the kind of initial state that the constructor configured. For truncated backpropagation, pass the
            final state of the previous segment. Default None: the kind that the constructor configured.
          time_major: bool, whether time is the first axis of inputs and outputs. Default False, as in dynamic_rnn.
          training: bool, or scalar tensor of bools, such as a placeholder: whether dropout and zoneout are random.
            Default None, which is False, as in `tf.layers.dropout` and in Keras. A tensor is read at each run.
          return_steps: bool, whether the states and gates of all time steps are returned, too. Default False. They are
            computed after the layers, and are differentiable.
          reset: bool tensor [B, T], or [T, B] if `time_major`: whether a sequence starts again before a step, for
            example because an input holds several sequences one after the other. The state before such a step is the
            one that the constructor configured. A "projected" one is computed from the input of this step. Later steps
            do not depend on earlier ones, even if these are NaN. Gradients of weights are sums over all steps, so they
            are NaN if a step is. Default None: no sequence starts again.

        Returns:
          (outputs, state), as dynamic_rnn returns them. `outputs` is h of the last layer at each time step, [B, T, H_L]
          or [T, B, H_L]. It is zero after the end of each sequence. `state` is a tuple with an `LSTMState(c, h)` per
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
        call = self.prepare(inputs, sequence_length, initial_state, time_major, training, return_steps, reset)
        results, self.engine_used = call.run()
        return results

    def prepare(
        self,
        inputs: Any,
        sequence_length: Any,
        initial_state: Any,
        time_major: bool,
        training: Any,
        return_steps: bool,
        reset: Any,
        from_end: bool = False,
    ) -> StackCall:
        """Checks the arguments of a call of the stack, and adds the ops before the layers to the graph.

        `BidirectionalLSTM` uses it to run two stacks at once. A call of the stack is `prepare` and `StackCall.run`.
        With `from_end`, each sequence is read from its end, and `time_major` is true.
        """
        x, training = check_inputs(self.name, self.dtype, inputs, time_major, training, return_steps)
        self.build(x.shape.as_list()[-1])
        with tf.name_scope(self.name) as scope:
            steps, batch = tensor_checks.sizes(x, time_major)
            lengths = tensor_checks.lengths(sequence_length, steps, batch, self.name)
            series = StackInputs(x, lengths, steps, batch, time_major, from_end)
            states = self._start(series, initial_state)
            resets = self._resets(series, reset)
            sizes, dtype, engine = (steps.value, batch.value), self.compute_dtype, self._request.name
            sampler = regularization.NoiseSampler(training, self._seed, *sizes, dtype, self.name, engine)
            records: list[Record] | None = [] if return_steps else None
            x, states = cast((x, list(states)), self.compute_dtype)
            segment = self._segment(sampler, resets, records)
            stack = self.name, self.dtype, self._request
            return StackCall(*stack, scope, segment, x, states, lengths, time_major, records, from_end)

    def _start(self, inputs: StackInputs, states: Sequence[tuple[Any, Any]] | None) -> list[Any]:
        """Returns the states before the first step: those of the call, or the configured ones if these are None."""
        if states is None:
            return inputs.start(self._initial_state, self._variables.initial_state, self._sizes)
        sizes = [tuple(size) for size in self._sizes]
        return tensor_checks.states(states, sizes, inputs.batch, self.dtype, self.name, "initial_state")

    def _resets(self, inputs: StackInputs, reset: Any) -> list[Resets | None]:
        """Returns the `Resets` of each layer; a list of None without resets."""
        if reset is None:
            return [None] * len(self._layers)
        flags = tensor_checks.flags(reset, inputs.steps, inputs.batch, inputs.time_major, self.name, "reset")
        starts = inputs.restarts(self._initial_state, self._variables.initial_state, self._sizes)
        return [Resets(flags, start) for start in cast(starts, self.compute_dtype)]

    def _segment(
        self, sampler: regularization.NoiseSampler, resets: Sequence[Resets | None], records: list[Record] | None
    ) -> Segment:
        """Returns the `Segment` that an engine runs. A subclass may return another one."""
        return regularization.segment(self._layers, self._options, self._output_dropout, sampler, resets, records)
