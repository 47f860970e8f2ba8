"""The loops of TFLite files: the numbers of NumPy in float64, and which series of results they have."""

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm import numpy_lstm
from stacked_lstm.compat import tf
from stacked_lstm.export import inference_loop
from support.networks import exports
from support.references.numeric import relative_difference


@pytest.mark.parametrize("use_bias, has_lengths, steps", [(True, True, 5), (False, False, 5), (True, True, 1)])
def test_the_numbers_of_numpy(use_bias, has_lengths, steps, plain_session):
    """Inputs past the end of a sequence may be NaN."""
    lstm = stacked_lstm.StackedLSTM([3, 2], use_bias=use_bias, dtype=tf.float64, engine="graph")
    lstm.build(4)
    random = np.random.RandomState(2)
    x = random.standard_normal([steps, 3, 4])
    lengths = np.array([steps, 0, min(2, steps)], np.int32) if has_lengths else None
    states = [[random.standard_normal([3, size]) for _ in "ch"] for size in (3, 2)]
    exports.set_random(plain_session)
    expected, finals, _ = numpy_lstm.forward(lstm.get_weights(plain_session).layers, x, states, lengths)
    for row, length in enumerate(lengths if has_lengths else []):
        x[length:, row] = np.nan
    layers = [weights.layer() for weights in lstm.layers]
    fed = tf.placeholder(tf.float64, [steps, 3, 4])
    start = [[tf.constant(part) for part in pair] for pair in states]
    results = inference_loop.run(layers, fed, start, None if lengths is None else tf.constant(lengths))
    outputs, state = plain_session.run(results, {fed: x})
    assert relative_difference(outputs, expected) < 1e-12
    for pair, expected_pair in zip(state, finals):
        for part, expected_part in zip(pair, expected_pair):
            assert relative_difference(part, expected_part) < 1e-12


def test_series(plain_session):
    """LiteRT copies each series at each step, so that a long one makes all steps slow.

    Five steps are two blocks of two, and one step without a loop. Only the outputs of the last layer are kept longer.
    """
    lstm = stacked_lstm.StackedLSTM([3, 2, 2], engine="graph")
    lstm.build(4)
    x, states = tf.ones([5, 1, 4]), [[tf.zeros([1, size])] * 2 for size in (3, 2, 2)]
    layers = [weights.layer() for weights in lstm.layers]
    shapes = []

    def new_shapes():
        ops = [op for op in tf.get_default_graph().get_operations() if op.type == "Fill"]
        assert not [op for op in tf.get_default_graph().get_operations() if "TensorArray" in op.type]
        before = len(shapes)
        shapes.extend(op.outputs[0].shape.as_list() for op in ops[before:])
        return sorted(shapes[before:])

    _, finals = inference_loop.run(layers, x, states)
    assert new_shapes() == [[2, 1, 2], [2, 1, 2], [2, 1, 3], [2, 2, 1, 2]]
    nothing, same_finals = inference_loop.run(layers, x, states, has_outputs=False)
    assert new_shapes() == [[2, 1, 2], [2, 1, 3]] and nothing is None
    _, (final,) = inference_loop.run(layers[:1], x, states[:1], has_outputs=False)
    assert new_shapes() == []
    exports.set_random(plain_session)
    results = plain_session.run([finals, same_finals, final])
    for pair, same_pair in zip(*results[:2]):
        np.testing.assert_array_equal(pair, same_pair)
    np.testing.assert_allclose(results[2], results[0][0], rtol=1e-6)
