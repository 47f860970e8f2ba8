"""Where a stack starts: zeros, learned vectors, or states projected from the first input.

A new kind is a pair of functions and a line in `INITIAL_STATES`. Variables are named after what they make:
`initial_state/layer_1/W_h` or `.../h`, layers counted from 1.
"""

import collections

from stacked_lstm.compat import tf
from stacked_lstm.state import LSTMState
from stacked_lstm.weights import LAYER_SCOPE

InitialState = collections.namedtuple("InitialState", ["create", "start"])
InitialState.__doc__ = """One kind of initial state.

Fields:
  create: (input_size, hidden_sizes, make_variable) -> list of `LSTMState` of variables per layer (empty: none needed).
    `make_variable` takes (name, shape, role, constant added), see `weights.create`.
  start: (variables, hidden_sizes, inputs [T, B, I]) -> list of `LSTMState`, [B, H_l] each.
"""


def _scope(k):
    return "initial_state/" + LAYER_SCOPE % (k + 1)


def _no_variables(input_size, hidden_sizes, make_variable):
    del input_size, hidden_sizes, make_variable
    return []


def _zeros(variables, hidden_sizes, x):
    del variables
    batch = x.shape.as_list()[1]
    zeros = [tf.zeros([tf.shape(x)[1] if batch is None else batch, size], x.dtype) for size in hidden_sizes]
    return [LSTMState(zero, zero) for zero in zeros]


def _create_learned(input_size, hidden_sizes, make_variable):
    del input_size
    return [
        LSTMState(*[make_variable("%s/%s" % (_scope(k), field), [size], "learned", 0.0) for field in LSTMState._fields])
        for k, size in enumerate(hidden_sizes)
    ]


def _learned(variables, hidden_sizes, x):
    del hidden_sizes
    return [LSTMState(*[tf.tile(vector[None], [tf.shape(x)[1], 1]) for vector in layer]) for layer in variables]


def _create_projected(input_size, hidden_sizes, make_variable):
    shapes = [list(shape) for shape in zip([input_size] + hidden_sizes, hidden_sizes)]
    return [
        LSTMState(*[make_variable("%s/W_%s" % (_scope(k), field), shape, "weight", 0.0) for field in LSTMState._fields])
        for k, shape in enumerate(shapes)
    ]


def _projected(variables, hidden_sizes, x):
    """h_1 = tanh(x_0 W_h1), h_k = tanh(h_(k-1) W_hk), likewise c with W_c."""
    del hidden_sizes
    states, c, h = [], x[0], x[0]
    for layer in variables:
        c, h = tf.tanh(tf.matmul(c, layer.c)), tf.tanh(tf.matmul(h, layer.h))
        states.append(LSTMState(c, h))
    return states


INITIAL_STATES = {
    "zeros": InitialState(_no_variables, _zeros),
    "learned": InitialState(_create_learned, _learned),
    "projected": InitialState(_create_projected, _projected),
}
