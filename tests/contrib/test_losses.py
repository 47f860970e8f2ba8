"""The losses of `contrib` against the numbers of TensorFlow 1.15, and their messages."""

import os

import numpy as np
import pytest

from golden import losses
from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.contrib import legacy_seq2seq, seq2seq
from support.suite.paths import OF_TENSORFLOW

MODULES = {"seq2seq": seq2seq, "legacy_seq2seq": legacy_seq2seq}


@pytest.mark.parametrize("name", sorted(losses.CASES))
def test_numbers_of_tensorflow_1_15(name, plain_session):
    golden = np.load(os.path.join(OF_TENSORFLOW, "losses.npz"))
    for key, value in zip(("loss", "gradient"), plain_session.run(losses.build(name, MODULES))):
        expected = golden[f"{name}/{key}"]
        assert value.dtype == expected.dtype and value.shape == expected.shape
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-7)


def test_all_weights_are_zero(session):
    zeros = tf.zeros([2, 3])
    tensors = [tf.zeros([2, 3, 4]), tf.zeros([2, 3], tf.int32), zeros]
    summed = {"sum_over_timesteps": True, "sum_over_batch": True}
    averaged = dict.fromkeys(["average_across_timesteps", "average_across_batch"], False)
    values = [
        seq2seq.sequence_loss(*tensors),
        seq2seq.sequence_loss(*tensors, **averaged, **summed),
        legacy_seq2seq.sequence_loss(*[tf.unstack(tensor, axis=1) for tensor in tensors]),
    ]
    assert session.run(values) == [0, 0, 0]


def test_scalar_targets(session):
    loss = legacy_seq2seq.sequence_loss_by_example([tf.zeros([1, 4])], [tf.constant(2)], [tf.ones([1])])
    np.testing.assert_allclose(session.run(loss), [np.log(4)], rtol=1e-6)


def test_unknown_sizes(session):
    logits = tf.placeholder(tf.float32, [None, None, 5])
    targets, weights = tf.placeholder(tf.int64, [None, None]), tf.placeholder(tf.float32, [None, None])
    loss = seq2seq.sequence_loss(logits, targets, weights, average_across_timesteps=False)
    feeds = {logits: np.zeros([2, 3, 5]), targets: np.ones([2, 3]), weights: [[1, 1, 0], [1, 0, 0]]}
    np.testing.assert_allclose(session.run(loss, feeds), [np.log(5), np.log(5), 0], rtol=1e-6)


@pytest.mark.parametrize(
    "ranks, options, message",
    [
        ((2, 2, 2), {}, r"Logits must be a \[batch_size x sequence_length x logits\] tensor"),
        ((3, 1, 2), {}, r"Targets must be a \[batch_size x sequence_length\] tensor"),
        ((3, 2, 3), {}, r"Weights must be a \[batch_size x sequence_length\] tensor"),
        (
            (3, 2, 2),
            {"sum_over_timesteps": True},
            "average_across_timesteps and sum_over_timesteps cannot be set to True at same time.",
        ),
        (
            (3, 2, 2),
            {"sum_over_batch": True},
            "average_across_batch and sum_over_batch cannot be set to True at same time.",
        ),
    ],
)
def test_errors(ranks, options, message):
    with pytest.raises(ValueError, match=message):
        seq2seq.sequence_loss(*[tf.zeros([2] * rank) for rank in ranks], **options)


def test_names_of_decoders():
    for module, name in ((seq2seq, "BeamSearchDecoder"), (legacy_seq2seq, "attention_decoder")):
        message = f"^{module.__name__} has no {name}. Copy tensorflow_core/contrib/.*/python/ops of .* import that.$"
        with pytest.raises(AttributeError, match=message):
            getattr(module, name)


def test_lists_of_different_lengths():
    message = "Lengths of logits, weights, and targets must be the same 2, 3, 1."
    for function in (legacy_seq2seq.sequence_loss, legacy_seq2seq.sequence_loss_by_example):
        with pytest.raises(ValueError, match=message):
            function([tf.zeros([2, 4])] * 2, [tf.zeros([2], tf.int32)], [tf.ones([2])] * 3)


def test_scopes_are_tensorflows():
    tensors = [tf.zeros([2, 3, 4]), tf.zeros([2, 3], tf.int32), tf.zeros([2, 3])]
    lists = [tf.unstack(tensor, axis=1) for tensor in tensors]
    assert seq2seq.sequence_loss(*tensors).op.name.startswith("sequence_loss/")
    assert legacy_seq2seq.sequence_loss(*lists, name="cost").op.name.startswith("cost/")
    assert legacy_seq2seq.sequence_loss_by_example(*lists).op.name.startswith("sequence_loss_by_example/")


def test_the_decoder_is_that_of_rnn_cell():
    assert legacy_seq2seq.rnn_decoder is rnn_cell.rnn_decoder
