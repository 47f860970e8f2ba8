"""The graph engine in a program that XLA compiles: outputs and all gradients, without and with random masks."""

import itertools

import numpy as np
import pytest
import tensorflow

from stacked_lstm import StackedLSTM, numpy_lstm
from stacked_lstm.compat import tf
from support.networks.option_masks import SEED, Masks, numpy_options
from support.networks.random_networks import flat
from support.references import numeric
from support.suite.sets import some
from support.suite.versions import OLD

pytestmark = pytest.mark.skipif(OLD, reason="TensorFlow 1.15 is built without XLA")

WAYS = {
    "tf.function": lambda step, x: tensorflow.function(step, jit_compile=True)(x),
    "compile": lambda step, x: tf.xla.experimental.compile(step, [x]),
    "jit_scope": lambda step, x: in_jit_scope(step, x),
}


def in_jit_scope(step, x):
    with tf.xla.experimental.jit_scope(compile_ops=True):
        return step(x)


@pytest.mark.parametrize(
    "way, lengths, control_flow",
    some(
        [("compile", None, "control_flow_v1"), ("compile", (5, 3), "control_flow_v2")]
        + [("jit_scope", None, "control_flow_v2"), ("jit_scope", (5, 3), "control_flow_v1")]
        + [("tf.function", None, "control_flow_v1"), ("tf.function", (5, 3), "control_flow_v2")],
        list(itertools.product(sorted(WAYS), [None, (5, 3)], ["control_flow_v1", "control_flow_v2"])),
    ),
    indirect=["control_flow"],
)
def test_training_in_xla(way, lengths, control_flow, session):
    """XLA compiles a stack and its gradients if the number of steps is known. Compared with NumPy."""
    x = np.random.RandomState(0).standard_normal([2, 5, 3])
    lstm = StackedLSTM([4, 4], dtype=tf.float64, bias_initializer="tn")  # "auto" takes graph in a function.
    lstm.build(3)

    def step(inputs):
        outputs, _ = lstm(inputs, None if lengths is None else tf.constant(lengths))
        return [outputs] + tf.gradients(tf.square(outputs), [inputs] + lstm.variables)

    results = WAYS[way](step, tf.constant(x))
    session.run(tf.global_variables_initializer())
    outputs, d_x, *d_variables = session.run(results)
    layers = lstm.get_weights(session).layers
    expected, _, cache = numpy_lstm.forward(layers, x.transpose(1, 0, 2), None, lengths)
    gradients = numpy_lstm.backward(2 * expected, None, cache)
    assert numeric.relative_difference(outputs, expected.transpose(1, 0, 2)) < 1e-12
    assert numeric.relative_difference(d_x, gradients["x"].transpose(1, 0, 2)) < 1e-12
    expected_gradients = [gradients["layers"][k][name] for k in range(2) for name in lstm.variables_by_layer.layers[k]]
    assert max(map(numeric.relative_difference, d_variables, expected_gradients)) < 1e-12


RATES = dict(input_dropout=0.4, dropout=0.5, output_dropout=0.2, recurrent_dropout=0.5, zoneout_c=0.5, zoneout_h=0.3)
KINDS = ["variational", "candidate"]  # Of recurrent dropout, a layer each.


@pytest.mark.parametrize(
    "way, is_fed",
    some(
        [("compile", True), ("jit_scope", False), ("tf.function", True)],
        list(itertools.product(sorted(WAYS), [False, True])),
    ),
)
def test_random_masks_in_xla(way, is_fed, monkeypatch, session):
    """XLA draws each mask once in a run: outputs and gradients are those of NumPy with the masks that the run returns.

    The masks have their rates, and differ from run to run.
    """
    masks, options = Masks(monkeypatch), dict(RATES, recurrent_dropout_kind=KINDS)
    x = np.random.RandomState(0).standard_normal([9, 40, 3])
    lstm = StackedLSTM([4, 4], dtype=tf.float64, bias_initializer="tn", engine="graph", seed=SEED, **options)
    lstm.build(3)
    training = tf.placeholder_with_default(True, []) if is_fed else True
    places = []

    def step(inputs):
        outputs, _ = lstm(inputs, time_major=True, training=training)
        drawn = masks.by_place(layers=2)
        places.extend(drawn)
        return [outputs, *tf.gradients(tf.square(outputs), [inputs, *lstm.variables]), *drawn.values()]

    results = WAYS[way](step, tf.constant(x))
    session.run(tf.global_variables_initializer())
    layers = lstm.get_weights(session).layers
    names = ["x", *[f"{k} {name}" for k, layer in enumerate(lstm.variables_by_layer.layers) for name in layer]]
    runs = [session.run(results) for _ in range(2)]  # In a jit_scope, TensorFlow compiles from the second run on.
    assert (runs[0][0] != runs[1][0]).any()
    for outputs, *arrays in runs:
        gradients, drawn = dict(zip(names, arrays)), dict(zip(places, arrays[len(names) :]))
        expected, _, cache = numpy_lstm.forward(layers, x, **numpy_options(drawn, options, layers=2))
        expected_gradients = flat(numpy_lstm.backward(2 * expected, None, cache))
        assert numeric.relative_difference(outputs, expected) < 1e-12
        for name, gradient in gradients.items():
            assert numeric.relative_difference(gradient, expected_gradients[name]) < 1e-12, name
        for place, mask in drawn.items():
            name = {"layer_1/dropout": "input_dropout"}.get(place, place.split("/")[-1])
            share = np.mean(mask == 1 if name.startswith("zoneout") else mask == 0)
            assert abs(share - RATES[name]) < 5 * np.sqrt(0.25 / mask.size), place


def test_a_tensor_as_seed_in_xla():
    """It decides the masks alone, also in XLA, where an int as seed has no effect."""
    seed = tf.placeholder(tf.int32, [])
    lstm = StackedLSTM([4], engine="graph", seed=seed, **RATES)
    (outputs,) = WAYS["compile"](lambda x: [lstm(x, training=True)[0]], tf.ones([2, 9, 3]))
    runs = []
    for _ in range(2):
        with tf.Session() as session:
            session.run(tf.global_variables_initializer(), {seed: 0})
            runs.append([session.run(outputs, {seed: value}) != 0 for value in (3, 3, 4)])
    (first, again, other), in_other_session = runs[0], runs[1][0]
    assert (first == again).all() and (first == in_other_session).all() and (first != other).any()
