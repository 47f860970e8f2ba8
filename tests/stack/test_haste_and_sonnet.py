"""Zoneout and layer normalization of Haste and Sonnet 1. They cannot be installed here, so these are their equations.

Sources: Haste's `layer_norm_lstm_forward_gpu.cu.cc` and `layer_norm_lstm_cell.py`, Sonnet 1's `gated_rnn.py`.
"""

import numpy as np
import pytest

from stacked_lstm import LSTMState, StackedLSTM
from stacked_lstm.compat import tf
from support.networks.option_masks import SEED, Masks
from support.references import numeric

STEPS, BATCH, WIDTH, SIZE = 5, 3, 2, 4
GATES = "igfo"  # The order of Haste.
EPSILON = 1e-5  # Of Haste, Sonnet, and `layer_norm=True`.
X = np.random.RandomState(0).standard_normal([STEPS, BATCH, WIDTH])


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def normalize(values):
    mean, variance = values.mean(axis=-1, keepdims=True), values.var(axis=-1, keepdims=True)
    return (values - mean) / np.sqrt(variance + EPSILON)


def joined(layer, kind):
    """Returns the arrays of the four gates side by side, as both libraries store them."""
    return np.concatenate([layer[kind + gate] for gate in GATES.replace("g", "c")], axis=-1)


def plain_products(layer, x, h):
    return np.concatenate([h, x], axis=1) @ joined(layer, "W")


def haste_products(layer, x, h):
    """Normalizes the product of x and the product of h, each over all four gates."""
    recurrent, inputs = np.split(joined(layer, "W"), [SIZE])
    return (normalize(x @ inputs) + normalize(h @ recurrent)) * joined(layer, "gain_")


def sonnet_products(layer, x, h):
    """Normalizes the sum of both products over all four gates."""
    return normalize(plain_products(layer, x, h)) * joined(layer, "gain_")


def gates(layer, x, h, products):
    """Returns i, g, f and o."""
    i, g, f, o = np.split(products(layer, x, h) + joined(layer, "b"), 4, axis=1)
    return sigmoid(i), np.tanh(g), sigmoid(f), sigmoid(o)


def step(layer, x, state):
    """Returns the state after a step without options."""
    i, g, f, o = gates(layer, x, state.h, plain_products)
    c = f * state.c + i * g
    return LSTMState(c, o * np.tanh(c))


def haste(layer, state, mask):
    """Applies zoneout to h only. The output is h after zoneout. `mask` is the share of the new h."""
    outputs = []
    for x, share in zip(X, mask):
        new = step(layer, x, state)
        state = LSTMState(new.c, (new.h - state.h) * share + state.h)
        outputs.append(state.h)
    return np.stack(outputs), state


def sonnet(layer, state, c_mask, h_mask):
    """Applies zoneout to c and h. The output is h before zoneout. The masks are the shares of the new state."""
    outputs = []
    for x, c_share, h_share in zip(X, c_mask, h_mask):
        new = step(layer, x, state)
        state = LSTMState(state.c + (new.c - state.c) * c_share, state.h + (new.h - state.h) * h_share)
        outputs.append(new.h)
    return np.stack(outputs), state


def run(session, lstm, training):
    """Returns (layer, initial state, outputs, final state, steps) of a stack with random weights."""
    start = LSTMState(*np.random.RandomState(1).standard_normal([2, BATCH, SIZE]))
    outputs, state, steps = lstm(
        tf.constant(X), initial_state=[tuple(start)], time_major=True, training=training, return_steps=True
    )
    session.run(tf.global_variables_initializer())
    return (lstm.get_weights(session).layers[0], start, outputs, state[0], steps[0])


@pytest.fixture
def masks(monkeypatch):
    return Masks(monkeypatch)


@pytest.mark.parametrize("training", [False, True])
def test_zoneout(training, general_engine, masks, plain_session):
    """The states equal those of both libraries. The output equals that of Haste, because Sonnet's has no zoneout."""
    common = dict(dtype=tf.float64, bias_initializer="tn", seed=SEED, engine=general_engine)
    lstm = StackedLSTM([SIZE], zoneout_h=0.4, name="haste", **common)
    layer, start, outputs, state, _ = run(plain_session, lstm, training)
    rates = masks.at("layer_1/zoneout_h") if training else tf.constant(np.full([STEPS, 1, 1], 0.4))
    actual, final, rates = plain_session.run([outputs, state, rates])
    expected, expected_final = haste(layer, start, 1 - rates)
    assert numeric.relative_difference(actual, expected) < 1e-12
    numeric.check_same(final._asdict(), expected_final._asdict(), 1e-12)

    masks.clear()
    lstm = StackedLSTM([SIZE], zoneout_c=0.5, zoneout_h=0.05, name="sonnet", **common)
    layer, start, outputs, state, _ = run(plain_session, lstm, training)
    rates = [masks.at(f"layer_1/zoneout_{field}") for field in "ch"]
    rates = rates if training else [tf.constant(np.full([STEPS, 1, 1], rate)) for rate in (0.5, 0.05)]
    actual, final, (c_rate, h_rate) = plain_session.run([outputs, state, rates])
    expected, expected_final = sonnet(layer, start, 1 - c_rate, 1 - h_rate)
    numeric.check_same(final._asdict(), expected_final._asdict(), 1e-12)
    before = np.concatenate([start.h[None], actual[:-1]])
    assert numeric.relative_difference(actual, h_rate * before + (1 - h_rate) * expected) < 1e-12
    assert numeric.relative_difference(actual, expected) > 1e-3


@pytest.mark.parametrize("products", [haste_products, sonnet_products])
def test_layer_norm(products, plain_session):
    """The results differ, because the libraries normalize all gates together. They agree if all gates are equal.

    Gates are equal here if their matrices have the same columns in another order. One norm then has the mean and the
    variance of each gate.
    """
    lstm = StackedLSTM([SIZE], layer_norm=True, dtype=tf.float64, bias_initializer="tn", engine="graph")
    layer, _, _, _, steps = run(plain_session, lstm, False)
    first = [part[0] for part in (steps.i, steps.g, steps.f, steps.o)]
    for has_same_columns in (False, True):
        if has_same_columns:
            same = {"W" + gate: np.roll(layer["Wf"], k, axis=1) for k, gate in enumerate("fioc")}
            layer = dict(layer, **same)
        for gate in "fioc":  # The product of h is zero, so Haste's two norms are one.
            layer["W" + gate] = np.concatenate([np.zeros([SIZE, SIZE]), layer["W" + gate][SIZE:]])
        lstm.set_weights(plain_session, [layer])
        expected = gates(layer, X[0], np.zeros([BATCH, SIZE]), products)
        difference = max(map(numeric.relative_difference, plain_session.run(first), expected))
        assert difference < 1e-12 if has_same_columns else difference > 1e-2
