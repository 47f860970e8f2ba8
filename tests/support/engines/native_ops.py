"""The native engine's ops with all sizes unknown: one graph for layers of any shape, forward and backward."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import pytest

from stacked_lstm.compat import tf
from stacked_lstm.engines import native
from stacked_lstm.engines.native import library
from stacked_lstm.engines.place import Place
from stacked_lstm.lstm import equations

NEEDS_NATIVE = pytest.mark.needs_native  # Nothing is compiled before such a test runs: see conftest.py.


class Layer(NamedTuple):
    """A stack in the graph. Names of its second layer end with _1, and so on.

    Fields:
      feeds: name -> placeholder: x, c, h, lengths, Wi ..., bi ..., or kernel and bias; and d_outputs, d_c, d_h.
      results: name -> tensor: outputs, c, h, and the gradients of x, c0, h0 and the weights.
    """

    feeds: dict[str, Any]
    results: dict[str, Any]


def auto_engine():
    """The engine that "auto" chooses here for plain layers."""
    return "graph" if native.ENGINE.objection([], Place()) else "native"


def layer_names(names, k):
    """Names of the first layer, turned into names of layer `k`, which counts from 0."""
    return [name + (f"_{k}" if k else "") for name in names]


def count_layers(values):
    """The number of layers in the feeds of a `Layer`."""
    return sum(name == "c" or name.startswith("c_") for name in values)


EXTRAS = ("peepholes", "projections", "norms", "cell_clips", "projection_clips", "epsilons")
SERIES = ("h_masks", "zoneout_c", "zoneout_h", "candidate_masks", "c_masks", "start_c", "start_h")
NO_EXTRAS = {name: [] for name in (*EXTRAS, *SERIES, "resets")}


def pack(*kernels, projections=()):
    """Adds an op that packs weights for each layer; returns the inputs `packed` and `padded` of a forward op."""
    op = library.load().stacked_lstm_pack
    layers = [op(kernels=list(layer), projections=list(projections)) for layer in kernels]
    return {"packed": [layer.packed for layer in layers], "padded": [layer.padded for layer in layers]}


def packed_units(units, axes):
    """The numbers of units in whole vectors, and of the other ones with their padding.

    axes: the number of axes of size 1 that packed weights have on this processor.
    """
    size = 2 ** (axes // 2)
    rest = units % size
    return units - rest, 0 if rest == 0 else size // 2 if rest <= size // 2 else size


def forward(x, c, h, kernels, biases=(), lengths=(), packed=None, activation="tanh", recurrent_activation="sigmoid"):
    """Adds the forward op. All inputs except `x` are lists. packed: what `pack` returns; by default for one layer."""
    kernels = list(kernels)
    return library.load().stacked_lstm_forward(
        x=x,
        c=list(c),
        h=list(h),
        lengths=list(lengths),
        kernels=kernels,
        biases=list(biases),
        activation=activation,
        recurrent_activation=recurrent_activation,
        **packed or pack(kernels),
        **NO_EXTRAS,
    )


def build(dtype, fused=False, biases=True, lengths=True, activation="tanh", recurrent_activation="sigmoid", layers=1):
    """Adds the ops to the graph; returns a `Layer`."""
    indices = range(layers)
    gates = [""] if fused else equations.GATE_ORDER
    kernels = [layer_names(["kernel" if fused else "W" + gate for gate in gates], k) for k in indices]
    biases = [layer_names(["bias" if fused else "b" + gate for gate in gates], k) for k in indices] if biases else []
    c, h, c0, h0 = (sum((layer_names([name], k) for k in indices), []) for name in ("c", "h", "c0", "h0"))
    sources = ["x"] + c + h + sum(kernels, []) + sum(biases, [])
    upstream = ["d_outputs"] + ["d_" + name for name in c + h]
    feeds = {name: tf.placeholder(dtype, name=name) for name in sources + upstream}
    if lengths:
        feeds["lengths"] = tf.placeholder(tf.int32, name="lengths")
    get = functools.partial(map, feeds.get)
    outputs, last_c, last_h, _ = forward(
        x=feeds["x"],
        c=get(c),
        h=get(h),
        lengths=[feeds["lengths"]] if lengths else [],
        kernels=get(sum(kernels, [])),
        biases=get(sum(biases, [])),
        packed=pack(*(get(names) for names in kernels)),
        activation=activation,
        recurrent_activation=recurrent_activation,
    )
    results = dict(zip(["outputs"] + c + h, [outputs] + last_c + last_h))
    gradients = tf.gradients(list(results.values()), list(get(sources)), list(get(upstream)))
    results.update(zip(["x"] + c0 + h0 + sources[1 + 2 * layers :], gradients))
    return Layer(feeds, results)


def results(layer, values, session):
    """Computes the results of a `Layer` from arrays by the names of its feeds."""
    return session.run(layer.results, {placeholder: values[name] for name, placeholder in layer.feeds.items()})


def random_values(seed, T, B, I, H, lengths=True):  # noqa: E741
    """Random arrays by the names of a `Layer` with four kernels and biases. H may be a list with a size per layer."""
    random, width, sizes = np.random.RandomState(seed), I, H if isinstance(H, list) else [H]
    values = {"x": random.standard_normal([T, B, I]), "d_outputs": random.standard_normal([T, B, sizes[-1]])}
    for k, size in enumerate(sizes):
        states = {name: random.standard_normal([B, size]) for name in ("c", "h", "d_c", "d_h")}
        for gate in equations.GATE_ORDER:
            states["W" + gate] = random.standard_normal([size + width, size]) / np.sqrt(size + width)
            states["b" + gate] = random.standard_normal([size])
        values.update(zip(layer_names(states, k), states.values()))
        width = size
    if lengths:
        values["lengths"] = random.randint(0, T + 1, [B])
    return values


def fused(values):
    """The same arrays with one kernel, the rows for x first, and one bias."""
    H = values["c"].shape[1]
    kernel = np.concatenate([values["W" + gate] for gate in equations.GATE_ORDER], axis=1)
    bias = np.concatenate([values["b" + gate] for gate in equations.GATE_ORDER])
    states_and_inputs = {name: value for name, value in values.items() if name[0] not in "Wb"}
    return dict(states_and_inputs, kernel=np.concatenate([kernel[H:], kernel[:H]]), bias=bias)
