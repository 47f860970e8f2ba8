"""The random masks of StackedLSTM's options: their rates, shapes and seeds. They are off outside of training."""

import numpy as np
import pytest

from stacked_lstm import BidirectionalLSTM, StackedLSTM, numpy_lstm
from stacked_lstm.compat import tf
from stacked_lstm.lstm import dropout_masks
from support.networks.option_masks import NAMES_OF_RATES, SEED, Masks
from support.networks.random_networks import LENGTHS
from support.references import numeric


@pytest.fixture
def masks(monkeypatch):
    return Masks(monkeypatch)


def test_masks_have_the_rate_and_the_shape(masks, session):
    """The share of kept entries lies within five standard deviations; recurrent dropout is constant in time."""
    steps, batch, size = 20, 30, 25
    rates = dict(zip(NAMES_OF_RATES, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)))
    for kind in ("variational", "candidate"):
        with tf.Graph().as_default(), tf.Session() as session:
            masks.clear()
            lstm = StackedLSTM([size, size], recurrent_dropout_kind=kind, seed=SEED, dtype=tf.float64, **rates)
            lstm(tf.zeros([batch, steps, size], tf.float64), training=True)
            shape = (batch, size) if kind == "variational" else (steps, batch, size)
            places = {
                "layer_1/dropout": (0.1, (steps, batch, size)),
                "layer_2/dropout": (0.2, (steps, batch, size)),
                "output_dropout": (0.3, (steps, batch, size)),
                "layer_1/recurrent_dropout": (0.4, shape),
                "layer_2/recurrent_dropout": (0.4, shape),
                "layer_1/zoneout_c": (0.5, (steps, batch, size)),
                "layer_2/zoneout_h": (0.6, (steps, batch, size)),
            }
            values = session.run({place: masks.at(place) for place in places})
        for place, (rate, expected_shape) in places.items():
            value = values[place]
            kept = 1 / (1 - rate) if "dropout" in place else 1.0
            expected = 1 - rate if "dropout" in place else rate
            assert value.shape == expected_shape, place
            np.testing.assert_allclose(value[value != 0], kept, rtol=1e-15)
            assert abs(np.mean(value != 0) - expected) < 5 * np.sqrt(rate * (1 - rate) / value.size), place
        assert np.any(values["layer_1/recurrent_dropout"] != values["layer_2/recurrent_dropout"])


def test_candidate_dropout_leaves_the_memory_path_alone(plain_session):
    """With forget gates that are open and candidates that are all dropped, c stays as it was."""
    lstm = StackedLSTM([3], recurrent_dropout=0.999999, recurrent_dropout_kind="candidate", forget_bias=100.0, seed=1)
    start = np.random.RandomState(0).standard_normal([2, 4, 3]).astype(np.float32)
    _, (state,) = lstm(tf.ones([4, 5, 2]), initial_state=[tuple(start)], training=True)
    plain_session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(plain_session.run(state.c), start[0])


RATES = dict.fromkeys(NAMES_OF_RATES, 0.5)


def test_seeds_repeat_within_and_across_sessions(masks):
    """The same seed: the same numbers in each new session. Another seed, or another run: other numbers."""

    def runs(seed):
        with tf.Graph().as_default():
            masks.clear()
            tf.set_random_seed(1)
            lstm = StackedLSTM([3, 3], seed=seed, weight_initializer="dl", **RATES)
            outputs, _ = lstm(tf.ones([2, 4, 3]), training=True)
            with tf.Session() as session:
                session.run(tf.global_variables_initializer())
                lstm.set_weights(
                    session, [{n: np.ones(v.shape) / 9 for n, v in w.items()} for w in lstm.variables_by_layer.layers]
                )
                return [session.run(outputs) for _ in range(2)]

    first, again, other = runs(SEED), runs(SEED), runs(SEED + 1)
    np.testing.assert_array_equal(first, again)
    assert np.any(first[0] != first[1]) and np.any(first[0] != other[0])


@pytest.mark.parametrize("make", [StackedLSTM, BidirectionalLSTM])
def test_a_tensor_as_seed_decides_alone(make, masks):
    """The same value: the same masks, whatever the session ran before. Every place has a mask of its own."""
    with tf.Graph().as_default():
        step = tf.placeholder(tf.int64, [])
        make([4, 4], seed=step, recurrent_dropout_kind="candidate", **RATES)(tf.ones([3, 50, 4]), training=True)
        drawn = masks.all()
        with tf.Session() as session, tf.Session() as other:
            first, second, again = (session.run(drawn, {step: value}) for value in (7, 8, 7))
            resumed = other.run(drawn, {step: 8})
    assert len(drawn) == {StackedLSTM: 9, BidirectionalLSTM: 15}[make]
    for one, two, three, four in zip(first, second, again, resumed):
        np.testing.assert_array_equal(one, three)
        np.testing.assert_array_equal(two, four)
        assert np.any(one != two) and abs(np.mean(one == 0) - 0.5) < 5 * np.sqrt(0.25 / one.size)
    same_shape = [(one == 0).tobytes() for one in first if one.size == 600]
    assert len(set(same_shape)) == len(same_shape) >= 8


@pytest.mark.parametrize("is_tensor", [False, True])
def test_training_off(is_tensor, masks, plain_session):
    """Nothing is dropped, and zoneout mixes with its rates; `training` may be fed. Numbers are those of NumPy."""
    lstm = StackedLSTM([3, 3], dtype=tf.float64, seed=SEED, **dict(RATES, zoneout_c=0.3, zoneout_h=0.2))
    training = tf.placeholder_with_default(False, []) if is_tensor else False
    x = np.random.RandomState(0).standard_normal([4, 6, 3])
    outputs, _ = lstm(tf.constant(x), LENGTHS, training=training)
    plain_session.run(tf.global_variables_initializer())
    options = [numpy_lstm.LayerOptions(zoneout_c=0.3, zoneout_h=0.2)] * 2
    layers = lstm.get_weights(plain_session).layers
    expected = numpy_lstm.forward(layers, x.transpose(1, 0, 2), None, LENGTHS, options=options)[0]
    actual = plain_session.run(outputs)
    assert numeric.relative_difference(actual, expected.transpose(1, 0, 2)) < 1e-14
    if is_tensor:
        trained = plain_session.run(outputs, {training: True})
        assert np.mean(trained == 0) > np.mean(actual == 0) + 0.1


def test_evaluation_is_the_default_and_has_the_bits_of_a_plain_stack(plain_session):
    rates = dict.fromkeys(("input_dropout", "dropout", "output_dropout", "recurrent_dropout"), 0.5)
    lstm, plain = StackedLSTM([3, 3], **rates), StackedLSTM([3, 3], name="plain")
    x = tf.constant(np.random.RandomState(0).standard_normal([4, 6, 3]).astype(np.float32))
    (outputs, state), (expected, expected_state) = lstm(x), plain(x)
    plain_session.run(tf.global_variables_initializer())
    plain.set_weights(plain_session, *lstm.get_weights(plain_session))
    for a, b in plain_session.run([(outputs, expected), *zip(tf.nest.flatten(state), tf.nest.flatten(expected_state))]):
        np.testing.assert_array_equal(a, b)


def test_rates_may_be_tensors(masks, plain_session):
    """A rate of 0 that is fed changes nothing, and a rate that is fed is the one of the masks."""
    rate = tf.placeholder_with_default(0.0, [])
    lstm = StackedLSTM([3, 3], dtype=tf.float64, seed=SEED, **dict.fromkeys(NAMES_OF_RATES, rate))
    plain = StackedLSTM([3, 3], dtype=tf.float64, name="plain", engine="graph")
    x = tf.constant(np.random.RandomState(0).standard_normal([4, 6, 3]))
    outputs, expected = lstm(x, training=True)[0], plain(x)[0]
    plain_session.run(tf.global_variables_initializer())
    plain.set_weights(plain_session, *lstm.get_weights(plain_session))
    assert numeric.relative_difference(*plain_session.run([outputs, expected])) < 1e-14
    mask = plain_session.run(masks.at("layer_2/recurrent_dropout"), {rate: 0.75})
    assert set(np.unique(mask)) == {0.0, 4.0}


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
@pytest.mark.parametrize("rate", [0.002, 0.05])
def test_rates_hold_in_half_precision(rate, dtype, session):
    """Half precision has too few numbers to compare small rates with; 6 standard deviations are allowed."""
    count = 10**6
    dropped = tf.reduce_mean(tf.cast(tf.equal(dropout_masks.draw([count], 1 - rate, 3, dtype), 0), tf.float32))
    kept_states = tf.reduce_mean(tf.cast(dropout_masks.zoneout([count], rate, 4, dtype), tf.float32))
    bound = 6 * np.sqrt(rate * (1 - rate) / count)
    assert all(abs(share - rate) < bound for share in session.run([dropped, kept_states]))
