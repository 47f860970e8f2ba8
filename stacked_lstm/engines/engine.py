"""The type of all engines."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

from stacked_lstm import log
from stacked_lstm.compat import tf
from stacked_lstm.engines import recurrent_dropout
from stacked_lstm.engines.place import Place
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState


class Engine(NamedTuple):
    """A way to run LSTM layers, with the conditions under which it runs them.

    A condition is a function (list of `Layer`, `Place`) that returns None if it is met. Otherwise it returns a clause
    without a full stop that says what prevents the engine, such as "there is no GPU". Cheap conditions come first.
    `Place` has facts about the place where new ops will run, such as their device.

    Args:
      name: str, the value of `engine=` that selects it.
      run_layers: function (layers, x, states, lengths) -> (outputs, finals), which adds ops to the graph. It takes a
        list of `Layer`, each running on the output of the one before; x [T, B, I]; a pair (c [B, H_l], h [B, P_l]) per
        layer; and int32 [B], or None if all sequences have T steps. x may hold anything past the end of a sequence.
        `outputs` is h of the last layer, [T, B, P_L], zero past the end of each sequence. `finals` has an `LSTMState`
        per layer, at the end of each sequence. Both are differentiable in x, in the states and in all weights.
      needs: conditions without which the engine cannot run. Default none.
      prefers: conditions without which "auto" does not choose the engine. Default none.
      ready: conditions that are slow to check, such as whether the engine can be compiled here. They are checked last.
        Default none.
      run_both: None, or a function (layers, x, states, lengths, from_end) -> (outputs, finals), which runs two stacks
        at once, as `both_directions` describes. Default None: each direction is a call of its own.
      both_needs: conditions without which `run_both` cannot run. Default none.
      run_from_end: None, or a function with the arguments and results of `run_layers`, which reads each sequence from
        its end. Entry t of a mask, a share or a reset belongs to entry t of x. Default None: the inputs and outputs of
        `run_layers` are reversed.
      residual_needs: None, or conditions without which the engine cannot run layers that are `residual`. Default None:
        it never can, and residual connections are sums between its calls.

    Example:
      >>> from stacked_lstm.engines import Engine, graph
      >>> def short_stack(layers, place):
      ...     return None if len(layers) < 3 else "there are more than two layers"
      >>> engine = Engine("shallow", graph.run, needs=[short_stack])
      >>> engine.problem([None] * 3, place=None)
      'there are more than two layers'
      >>> lstm = stacked_lstm.StackedLSTM([4])
      >>> lstm.build(input_size=2)
      >>> outputs, state = engine.run(lstm.layers[0], tf.zeros([5, 3, 2]), (tf.zeros([3, 4]), tf.zeros([3, 4])))
      >>> outputs.shape.as_list(), state.h.shape.as_list()
      ([5, 3, 4], [3, 4])
    """

    name: str
    run_layers: Callable
    needs: Sequence[Callable] = ()
    prefers: Sequence[Callable] = ()
    ready: Sequence[Callable] = ()
    run_both: Callable | None = None
    both_needs: Sequence[Callable] = ()
    run_from_end: Callable | None = None
    residual_needs: Sequence[Callable] | None = None

    def run(self, weights: Any, x: tf.Tensor, state: tuple, sequence_length: Any = None) -> tuple[tf.Tensor, LSTMState]:
        """Runs one layer.

        Args:
          weights: a `Layer`, or an element of `StackedLSTM.layers`.
          x: [T, B, I].
          state: pair (c [B, H], h [B, P]).
          sequence_length: int32 [B]. Default None: all sequences have T steps.

        Returns:
          (outputs [T, B, P], zero past the end of each sequence; `LSTMState` at the end of each sequence).
        """
        layer = weights.layer() if hasattr(weights, "layer") else weights
        lengths = None if sequence_length is None else tf.convert_to_tensor(sequence_length)
        outputs, (final,) = recurrent_dropout.run(self.run_layers, [layer], x, [state], lengths)
        return outputs, final

    def problem(self, layers: Sequence[Layer], place: Place) -> str | None:
        """Returns why the engine cannot run the layers; None if it can."""
        return first_problem((*self.needs, *self.ready), layers, place)

    def objection(self, layers: Sequence[Layer], place: Place) -> str | None:
        """Returns why "auto" does not choose the engine for the layers; None if it does.

        If the engine would be chosen but is not ready, the log says so, once for each reason.
        """
        objection = first_problem((*self.needs, *self.prefers), layers, place)
        if objection is None:
            objection = first_problem(self.ready, layers, place)
            if objection:
                log.warn_once(f"continuing without the {self.name} engine: {objection}")
        return objection


def first_problem(conditions: Sequence[Callable[..., str | None]], *arguments: Any) -> str | None:
    """Returns what the first condition says that is not met; None if all are met."""
    return next(filter(None, (condition(*arguments) for condition in conditions)), None)
