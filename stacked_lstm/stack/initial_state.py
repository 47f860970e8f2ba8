"""The initial state of a stack: zeros, learned vectors, or a projection of the first input.

A new kind of initial state is a pair of functions and a line in `INITIAL_STATES`. The variables have the names of what
they make: `initial_state/layer_1/W_h` or `initial_state/layer_1/h`. Layers count from 1.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.stack.weights import VariableSpec
from stacked_lstm.state import LSTMState


class InitialState(NamedTuple):
    """One kind of initial state.

    Fields:
      specs: function (input_size, sizes) -> list of `VariableSpec`, empty if the kind has no variables. `sizes` has the
        widths of c and h of each layer, an `LSTMState` of ints.
      start: function (variables, zeros, first_step) -> list of `LSTMState`, c [B, H_l] and h [B, P_l]. `variables` has
        a dictionary per layer, from names to variables; `zeros` has an `LSTMState` of zeros per layer; `first_step` is
        a function without arguments that returns the inputs of the first time step, [B, I].
    """

    specs: Callable[[int, Any], Any]
    start: Callable[[Any, Any, Callable], Any]


def zero_states(batch: Any, sizes: Sequence[LSTMState], dtype: tf.DType) -> list[LSTMState]:
    """Returns an `LSTMState` of zeros per layer. `batch` is B, an int or a scalar tensor; `sizes` are the widths."""
    states = []
    for size in sizes:
        c = tf.zeros([batch, size.c], dtype)
        states.append(LSTMState(c, c if size.h == size.c else tf.zeros([batch, size.h], dtype)))
    return states


def restarts(kind: InitialState, variables: list, zeros: list[LSTMState], x: tf.Tensor) -> list[LSTMState]:
    """Returns the states from which sequences start again, an `LSTMState` per layer.

    Args:
      kind: an `InitialState`.
      variables, zeros: arguments of `InitialState.start`.
      x: [T, B, I]. If the kind needs inputs, the results have an entry per step, which is computed from the step's x.
    """
    calls = []

    def rows() -> tf.Tensor:
        calls.append(True)
        return tf.reshape(x, [-1, x.shape.as_list()[-1]])

    states = kind.start(variables, zeros, rows)
    if not calls:
        return states
    axes = tf.shape(x)[:2]
    return [
        LSTMState(*[tf.reshape(part, tf.concat([axes, [part.shape.as_list()[1]]], axis=0)) for part in pair])
        for pair in states
    ]


def _spec(layer: int, name: str, shape: list[int], group: str) -> VariableSpec:
    return VariableSpec(layer, name, "initial_state/", shape, group)


def _no_specs(input_size: int, sizes: list[LSTMState]) -> list[VariableSpec]:
    del input_size, sizes
    return []


def _zeros(variables: list, zeros: list, first_step: Callable) -> list[LSTMState]:
    del variables, first_step
    return zeros


def _learned_specs(input_size: int, sizes: list[LSTMState]) -> list[VariableSpec]:
    del input_size
    return [
        _spec(k, field, [width], "state") for k, size in enumerate(sizes) for field, width in zip(size._fields, size)
    ]


def _learned(variables: list, zeros: list, first_step: Callable) -> list[LSTMState]:
    del first_step
    return [LSTMState(zero.c + layer["c"], zero.h + layer["h"]) for zero, layer in zip(zeros, variables)]


def _projected_specs(input_size: int, sizes: list[LSTMState]) -> list[VariableSpec]:
    specs, below = [], LSTMState(input_size, input_size)
    for k, size in enumerate(sizes):
        shapes = zip(size._fields, below, size)
        specs += [_spec(k, "W_" + field, [rows, columns], "weight") for field, rows, columns in shapes]
        below = size
    return specs


def _projected(variables: list, zeros: list, first_step: Callable) -> list[LSTMState]:
    """h_1 = tanh(x_0 W_h1), h_k = tanh(h_(k-1) W_hk); c likewise with W_c."""
    del zeros
    states, c = [], first_step()
    h = c
    for layer in variables:
        c, h = tf.tanh(tf.matmul(c, layer["W_c"])), tf.tanh(tf.matmul(h, layer["W_h"]))
        states.append(LSTMState(c, h))
    return states


INITIAL_STATES = {
    "zeros": InitialState(_no_specs, _zeros),
    "learned": InitialState(_learned_specs, _learned),
    "projected": InitialState(_projected_specs, _projected),
}
