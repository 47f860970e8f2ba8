"""The native engine's ops with all sizes unknown: one graph for layers of any shape, forward and backward."""

import collections

import numpy as np
import pytest

from stacked_lstm import equations
from stacked_lstm.compat import tf
from stacked_lstm.engines import native
from stacked_lstm.engines.native import library

PROBLEM = library.problem()
NEEDS_NATIVE = pytest.mark.skipif(PROBLEM is not None, reason="no native engine here: %s" % PROBLEM)
AUTO = "graph" if native.passed_over([]) else "native"  # What "auto" takes here, where the layers allow it.

Layer = collections.namedtuple("Layer", ["feeds", "results"])
Layer.__doc__ = """A layer in the graph.

Fields:
  feeds: name -> placeholder: x, c, h, lengths, Wi ..., bi ..., or kernel and bias; and d_outputs, d_c, d_h.
  results: name -> tensor: outputs, c, h, and the gradients of x, c0, h0 and the weights.
"""


def build(dtype, fused=False, biases=True, lengths=True, activation="tanh", recurrent_activation="sigmoid"):
    """Adds the ops to the graph; returns a `Layer`."""
    ops = library.load()
    gates = [""] if fused else equations.GATE_ORDER
    names = ["kernel" if fused else "W" + gate for gate in gates]
    bias_names = ["bias" if fused else "b" + gate for gate in gates] if biases else []
    feeds = {name: tf.placeholder(dtype, name=name) for name in ["x", "c", "h"] + names + bias_names}
    of_lengths = [tf.placeholder(tf.int32, name="lengths")] if lengths else []
    kernels = [feeds[name] for name in names]
    outputs, c, h, _ = ops.stacked_lstm_forward(
        x=feeds["x"],
        c=feeds["c"],
        h=feeds["h"],
        lengths=of_lengths,
        kernels=kernels,
        biases=[feeds[name] for name in bias_names],
        packed=ops.stacked_lstm_pack(kernels=kernels),
        activation=activation,
        recurrent_activation=recurrent_activation,
    )
    sources = [feeds[name] for name in ["x", "c", "h"] + names + bias_names]
    upstream = [tf.placeholder(dtype, name=name) for name in ("d_outputs", "d_c", "d_h")]
    gradients = tf.gradients([outputs, c, h], sources, upstream)
    results = dict(zip(["x", "c0", "h0"] + names + bias_names, gradients), outputs=outputs, c=c, h=h)
    feeds.update({placeholder.op.name: placeholder for placeholder in of_lengths + upstream})
    return Layer(feeds, results)


def random_values(seed, T, B, I, H, lengths=True):  # noqa: E741
    """Arrays by the names of a `Layer` with four kernels and biases."""
    random = np.random.RandomState(seed)
    values = {"x": [T, B, I], "c": [B, H], "h": [B, H], "d_outputs": [T, B, H], "d_c": [B, H], "d_h": [B, H]}
    values = {name: random.standard_normal(shape) for name, shape in values.items()}
    for gate in equations.GATE_ORDER:
        values["W" + gate] = random.standard_normal([H + I, H]) / np.sqrt(H + I)
        values["b" + gate] = random.standard_normal([H])
    if lengths:
        values["lengths"] = random.randint(0, T + 1, [B])
    return values


def fused(values):
    """The same with one kernel, rows of x first, and one bias."""
    H = values["c"].shape[1]
    kernel = np.concatenate([values["W" + gate] for gate in equations.GATE_ORDER], axis=1)
    bias = np.concatenate([values["b" + gate] for gate in equations.GATE_ORDER])
    others = {name: value for name, value in values.items() if name[0] not in "Wb"}
    return dict(others, kernel=np.concatenate([kernel[H:], kernel[:H]]), bias=bias)
