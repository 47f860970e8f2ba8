"""What an engine is."""

import logging
from typing import Callable, NamedTuple, Sequence

from stacked_lstm.compat import tf

_LOG = logging.getLogger("stacked_lstm")
_warned = {}  # name of an engine -> the last problem that was logged


class Engine(NamedTuple):
    """A way to run layers, and what decides whether it runs them.

    A condition is a function (list of `Layer`, `Place`) -> None, or a sentence without a full stop that says what is in
    the way. Cheap ones come first.

    Fields:
      name: what `engine=` takes.
      run_layers: (list of `Layer`, x [T, B, I], list of (c, h), lengths) -> ([T, B, P], list of `LSTMState`).
        Layers run one on the other; P is the width of the last one's h. x may have anything past a sequence's end;
        outputs are zero there, and each state is that at the end of its sequence. `lengths` is int32 [B], or None
        where all sequences have T steps. Differentiable in x, the states and all weights.
      needs: conditions without which it cannot run.
      prefers: conditions without which "auto" does not take it.
      ready: conditions that take long to ask, so they come last: whether it is there on this machine.
    """

    name: str
    run_layers: Callable
    needs: Sequence[Callable] = ()
    prefers: Sequence[Callable] = ()
    ready: Sequence[Callable] = ()

    def run(self, weights, x, state, sequence_length=None):
        """Runs one layer.

        Args:
          weights: a `Layer`, or the `weights.LayerWeights` of a stack.
          x: [T, B, I].
          state: pair (c [B, H], h [B, P]).
          sequence_length: int32 [B], or None.

        Returns:
          ([T, B, P] with zeros past each end, `LSTMState` at each end), differentiable in every input.
        """
        layer = weights.layer() if hasattr(weights, "layer") else weights
        lengths = None if sequence_length is None else tf.convert_to_tensor(sequence_length)
        outputs, (final,) = self.run_layers([layer], x, [state], lengths)
        return outputs, final

    def problem(self, layers, place):
        """Why it cannot run the layers; None where it can."""
        return first_problem(tuple(self.needs) + tuple(self.ready), layers, place)

    def objection(self, layers, place):
        """Why "auto" does not take it for the layers; None where it does. What is not ready is logged once."""
        objection = first_problem(tuple(self.needs) + tuple(self.prefers), layers, place)
        if objection is None:
            objection = first_problem(self.ready, layers, place)
            if objection and _warned.get(self.name) != objection:
                _warned[self.name] = objection
                _LOG.warning("stacked_lstm: it goes on without the %s engine: %s", self.name, objection)
        return objection


def first_problem(conditions, *arguments):
    """What the first condition that is not met says; None where all are."""
    return next(filter(None, (condition(*arguments) for condition in conditions)), None)
