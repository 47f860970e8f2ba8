"""`contrib.crf` and `contrib.layers` against the numbers of TensorFlow 1.15, all tag sequences, and their messages."""

import itertools
import os

import numpy as np
import pytest

from golden import tagging
from stacked_lstm.compat import tf
from stacked_lstm.contrib import crf, layers
from support.suite.paths import OF_TENSORFLOW


def test_numbers_and_names_of_tensorflow_1_15(plain_session):
    tensors = tagging.build(crf, layers)
    golden = np.load(os.path.join(OF_TENSORFLOW, "tagging.npz"))
    assert sorted(golden.files) == sorted(tensors)
    plain_session.run(tf.global_variables_initializer())
    for name, value in plain_session.run(tensors).items():
        assert value.dtype == golden[name].dtype and value.shape == golden[name].shape, name
        tolerance = 0 if name.startswith(("xavier/", "scaling/")) else 2e-5  # With the same seeds the same bits.
        np.testing.assert_allclose(value, golden[name], rtol=tolerance, atol=tolerance / 10, err_msg=name)


def scores(potentials, transitions):
    """All tag sequences -> their scores."""
    steps, tags = potentials.shape
    return {
        sequence: sum(potentials[t, tag] for t, tag in enumerate(sequence))
        + sum(transitions[pair] for pair in zip(sequence, sequence[1:]))
        for sequence in itertools.product(range(tags), repeat=steps)
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_tag_sequences(dtype, session):
    random = np.random.RandomState(0)
    potentials, transitions = [random.standard_normal(shape).astype(dtype) for shape in ([2, 4, 3], [3, 3])]
    tags, lengths = random.randint(3, size=[2, 4]), [4, 2]
    inputs = [tf.placeholder_with_default(potentials, [None, None, 3]), tf.placeholder(tf.int64, [None, None])]
    likelihood, _ = crf.crf_log_likelihood(*inputs, tf.constant(lengths), tf.constant(transitions))
    longer, _ = crf.crf_log_likelihood(*inputs, tf.constant([9, 2]), tf.constant(transitions))
    decoded, score = crf.crf_decode(inputs[0], tf.constant(transitions), tf.constant(lengths))
    likelihood, longer, decoded, score = session.run([likelihood, longer, decoded, score], {inputs[1]: tags})
    np.testing.assert_array_equal(longer, likelihood)  # A length beyond the last step counts as that of all steps.
    for b, length in enumerate(lengths):
        table = scores(potentials[b, :length], transitions)
        best = max(table, key=table.get)
        expected = table[tuple(tags[b, :length])] - np.log(sum(np.exp(list(table.values()))))
        np.testing.assert_allclose(likelihood[b], expected, rtol=1e-5)
        assert tuple(decoded[b, :length]) == best and not np.any(decoded[b, length:])
        np.testing.assert_allclose(score[b], table[best], rtol=1e-5)
        in_numpy, score_in_numpy = crf.viterbi_decode(potentials[b, :length], transitions)
        assert tuple(in_numpy) == best
        np.testing.assert_allclose(score_in_numpy, table[best], rtol=1e-5)


def test_the_transitions_are_a_variable():
    _, transitions = crf.crf_log_likelihood(tf.zeros([2, 3, 4]), tf.zeros([2, 3], tf.int32), tf.constant([3, 2]))
    assert [v.op.name for v in tf.trainable_variables()] == ["transitions"] == [transitions.op.name]
    assert transitions.shape.as_list() == [4, 4]


def test_scopes_collections_and_reuse():
    x = tf.zeros([2, 3])
    for _ in range(2):
        layers.fully_connected(x, 4)
    with tf.variable_scope("model"):
        y = layers.fully_connected(
            x, 4, scope="a", variables_collections={"biases": ["mine"]}, outputs_collections="out"
        )
        layers.fully_connected(x, 4, scope="a", reuse=True, trainable=False)
    names = [f"{scope}/{name}" for scope in ("fully_connected", "fully_connected_1", "model/a")
             for name in ("weights", "biases")]  # fmt: skip
    for key in (tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.TRAINABLE_VARIABLES, tf.GraphKeys.MODEL_VARIABLES):
        assert [variable.op.name for variable in tf.get_collection(key)] == names
    assert [variable.op.name for variable in tf.get_collection("mine")] == ["model/a/biases"]
    assert tf.get_collection("out") == [y]
    layers.fully_connected(x, 4, trainable=False, scope="fixed")
    assert len(tf.trainable_variables()) == 6 and len(tf.global_variables()) == 8


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: layers.fully_connected(tf.zeros([2, 3]), 4.0), ValueError, "num_outputs type should be one of"),
        (
            lambda: crf.crf_log_likelihood(tf.zeros([2, 3]), tf.zeros([2], tf.int32), [2, 2]),
            ValueError,
            r"crf_log_likelihood: expected `inputs` of rank 3, \[batch, time, tags\], got shape \(2, 3\)",
        ),
        (lambda: layers.fully_connected(tf.zeros([3]), 4), ValueError, "expected inputs of rank 2 or more"),
        (lambda: layers.fully_connected(tf.placeholder(tf.float32, [2, None]), 4), ValueError, "and known width, got"),
        (lambda: layers.xavier_initializer(dtype=tf.int32), TypeError, "Cannot create initializer for non-floating"),
        (lambda: layers.variance_scaling_initializer(mode="fan_in"), TypeError, "Unknown mode fan_in .FAN_IN, FAN_OUT"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
