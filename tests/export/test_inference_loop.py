"""The loops of TFLite files: the numbers of NumPy in float64, and one series per layer."""

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm import numpy_lstm
from stacked_lstm.compat import tf
from stacked_lstm.export import inference_loop
from support import exports
from support.numeric import relative_difference


@pytest.mark.parametrize("use_bias, has_lengths", [(True, True), (False, False)])
def test_the_numbers_of_numpy(use_bias, has_lengths, plain_session):
    """Inputs past the end of a sequence may be NaN."""
    lstm = stacked_lstm.StackedLSTM([3, 2], use_bias=use_bias, dtype=tf.float64, engine="graph")
    lstm.build(4)
    random = np.random.RandomState(2)
    x, lengths = random.standard_normal([5, 3, 4]), np.array([5, 0, 2], np.int32) if has_lengths else None
    states = [[random.standard_normal([3, size]) for _ in "ch"] for size in (3, 2)]
    exports.set_random(plain_session)
    expected, finals, _ = numpy_lstm.forward(lstm.get_weights(plain_session).layers, x, states, lengths)
    for row, length in enumerate(lengths if has_lengths else []):
        x[length:, row] = np.nan
    layers = [weights.layer() for weights in lstm.layers]
    fed = tf.placeholder(tf.float64, [None, None, 4])
    start = [[tf.constant(part) for part in pair] for pair in states]
    results = inference_loop.run(layers, fed, start, None if lengths is None else tf.constant(lengths))
    outputs, state = plain_session.run(results, {fed: x})
    assert relative_difference(outputs, expected) < 1e-12
    for pair, expected_pair in zip(state, finals):
        for part, expected_part in zip(pair, expected_pair):
            assert relative_difference(part, expected_part) < 1e-12


def test_one_series_per_layer(plain_session):
    """LiteRT copies each series at each step. The loops of the engine `graph` have six per layer."""
    lstm = stacked_lstm.StackedLSTM([3, 2, 2], engine="graph")
    lstm.build(4)
    x, states = tf.ones([5, 1, 4]), [[tf.zeros([1, size])] * 2 for size in (3, 2, 2)]
    layers = [weights.layer() for weights in lstm.layers]

    def count():
        ops = [op.type for op in tf.get_default_graph().get_operations()]
        return sum(ops.count(name) for name in ("TensorArrayV3", "TensorListReserve"))

    outputs, finals = inference_loop.run(layers, x, states)
    assert count() == 3
    nothing, same_finals = inference_loop.run(layers, x, states, has_outputs=False)
    assert count() == 3 + 2 and nothing is None
    exports.set_random(plain_session)
    for pair, same_pair in zip(*plain_session.run([finals, same_finals])):
        np.testing.assert_array_equal(pair, same_pair)
