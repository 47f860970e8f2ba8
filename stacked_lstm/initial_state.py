"""Where a stack starts: zeros, learned vectors, or states projected from the first input.

A new kind is a pair of functions and a line in `INITIAL_STATES`. Variables are named after what they make:
`initial_state/layer_1/W_h` or `.../h`, layers counted from 1.
"""

from typing import Callable, NamedTuple

from stacked_lstm.compat import tf
from stacked_lstm.state import LSTMState
from stacked_lstm.weights import LAYER_SCOPE, VariableSpec


class InitialState(NamedTuple):
    """One kind of initial state.

    Fields:
      specs: (input_size, hidden_sizes) -> list of `VariableSpec`; empty where it has no variables.
      start: (list of dictionaries from names to variables, one per layer; list of zeros [B, H_l]; function that makes
        the first step's inputs [B, I]) -> list of `LSTMState`, [B, H_l] each.
    """

    specs: Callable
    start: Callable


def _spec(layer, name, shape, group):
    return VariableSpec(layer, name, f"initial_state/{LAYER_SCOPE % (layer + 1)}/{name}", shape, group)


def _no_specs(input_size, hidden_sizes):
    del input_size, hidden_sizes
    return []


def _zeros(variables, zeros, first_step):
    del variables, first_step
    return [LSTMState(zero, zero) for zero in zeros]


def _learned_specs(input_size, hidden_sizes):
    del input_size
    return [_spec(k, field, [size], "state") for k, size in enumerate(hidden_sizes) for field in LSTMState._fields]


def _learned(variables, zeros, first_step):
    del first_step
    return [LSTMState(zero + layer["c"], zero + layer["h"]) for zero, layer in zip(zeros, variables)]


def _projected_specs(input_size, hidden_sizes):
    shapes = enumerate(zip([input_size] + hidden_sizes, hidden_sizes))
    return [_spec(k, "W_" + field, list(shape), "weight") for k, shape in shapes for field in LSTMState._fields]


def _projected(variables, zeros, first_step):
    """h_1 = tanh(x_0 W_h1), h_k = tanh(h_(k-1) W_hk), likewise c with W_c."""
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
