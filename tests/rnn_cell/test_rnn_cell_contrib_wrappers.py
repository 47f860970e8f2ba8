"""Wrappers of `tf.contrib.rnn`: their variables and zero states. Their numbers are golden."""

import numpy as np

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.some_cells import values

SHAPE = [2, 5, 3]


def names(cell, **options):
    rnn_cell.dynamic_rnn(cell, tf.zeros(SHAPE), dtype=tf.float32, **options)
    return [variable.op.name for variable in cell.trainable_variables]


def test_variables_of_wrappers():
    lstm = ["lstm_cell/kernel", "lstm_cell/bias"]
    for scope, cell, expected in (
        ("a", rnn_cell.HighwayWrapper(rnn_cell.LSTMCell(3), False), [*lstm, "carry_w", "carry_b", "transform_w"]),
        ("b", rnn_cell.InputProjectionWrapper(rnn_cell.LSTMCell(3), 2), ["kernel", "bias", *lstm]),
        ("c", rnn_cell.OutputProjectionWrapper(rnn_cell.LSTMCell(3), 2), [*lstm, "kernel", "bias"]),
        ("d", rnn_cell.AttentionCellWrapper(rnn_cell.LSTMCell(3), 2), ["kernel", "bias", *lstm, "attention/attn_w"]),
    ):
        inner = scope if scope == "a" else f"{scope}/{cell.name}"
        assert names(cell, scope=scope)[: len(expected)] == [f"{inner}/{name}" for name in expected]


def test_variables_that_are_not_trainable():
    """A getter of the program decides it."""
    cell = rnn_cell.HighwayWrapper(rnn_cell.LSTMCell(3))
    with tf.variable_scope("fixed", custom_getter=lambda get, *a, **k: get(*a, **dict(k, trainable=False))):
        assert names(cell) == [] and len(cell.non_trainable_variables) == 4
    assert [v.op.name for v in cell.variables][2:] == ["fixed/rnn/carry_w", "fixed/rnn/carry_b"]


def test_second_call_reuses():
    cell = rnn_cell.AttentionCellWrapper(rnn_cell.InputProjectionWrapper(rnn_cell.GRUCell(4), 3), 2)
    state = cell.zero_state(2, tf.float32)
    cell(tf.zeros([2, 3]), state)
    count = len(tf.global_variables())
    cell(tf.zeros([2, 3]), state)
    assert len(tf.global_variables()) == count == len(cell.variables)


def test_first_values(session):
    wrapped = [
        rnn_cell.HighwayWrapper(rnn_cell.LSTMCell(3), False, 0.5),
        rnn_cell.EmbeddingWrapper(rnn_cell.LSTMCell(3), 2000, 5),
    ]
    wrapped[0](tf.zeros([2, 3]), wrapped[0].zero_state(2, tf.float32))
    wrapped[1](tf.zeros([2, 1], tf.int32), wrapped[1].zero_state(2, tf.float32))
    arrays = values(session, {v.op.name: v for v in tf.global_variables()})
    assert np.all(arrays["carry_b"] == 0.5) and np.all(arrays["transform_b"] == -0.5)
    table = arrays["embedding_wrapper/embedding"]
    assert abs(np.var(table) - 1) < 0.05 and 1.7 < np.max(np.abs(table)) <= 3**0.5
    assert np.all(arrays["embedding_wrapper/lstm_cell/bias"] == 0)
