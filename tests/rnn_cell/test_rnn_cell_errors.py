"""Errors of the drop-in: TensorFlow 1.15 raises them for the same arguments."""

import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.some_cells import LSTMS


def test_states_of_the_wrong_structure():
    x = tf.zeros([2, 3])
    for cell, state, message in (
        (rnn_cell.MultiRNNCell([LSTMS[0](), LSTMS[0]()]), tf.zeros([2, 8]), "Expected state to be a tuple of length 2"),
        (rnn_cell.MultiRNNCell([LSTMS[0](), LSTMS[0]()]), (tf.zeros([2, 8]),), "a tuple of length 2"),
        (LSTMS[0](), tf.zeros([2, 8]), r"Expected state of basic_lstm_cell to be a tuple \(c, h\)"),
        (LSTMS[1](), (tf.zeros([2, 4]),) * 3, "Expected state of lstm_cell to be a tuple"),
    ):
        with pytest.raises(ValueError, match=message):
            cell(x, state)
        with pytest.raises(ValueError, match=message):
            rnn_cell.dynamic_rnn(cell, x[:, None], initial_state=state)


def test_integers():
    for make in LSTMS:
        with pytest.raises(ValueError, match="RNN cell only supports floating point inputs, but saw dtype: int32"):
            make()(tf.zeros([2, 3], tf.int32), make().zero_state(2, tf.float32))
        with pytest.raises(ValueError, match="RNN cell only supports floating.*int32"):
            make()(tf.zeros([2, 3]), make().zero_state(2, tf.int32))
        with pytest.raises(ValueError, match="RNN cell only supports floating.*int64"):
            make(dtype=tf.int64)
    with pytest.raises(ValueError, match="RNN cell only supports floating.*int32"):
        rnn_cell.dynamic_rnn(LSTMS[0](), tf.zeros([2, 5, 3], tf.int32), dtype=tf.int32)


def test_wrong_sizes():
    for cell in (rnn_cell.GRUCell(4), rnn_cell.BasicRNNCell(4)):
        state = cell.zero_state(2, tf.float32)
        with pytest.raises(ValueError, match="inputs.shape.* to be known"):
            cell(tf.placeholder(tf.float32, [2, None]), state)
        with pytest.raises(ValueError, match=r"expected inputs of rank 2, \[batch, input\], got shape"):
            cell(tf.zeros([2, 5, 3]), state)
        with pytest.raises(ValueError, match="RNN cell only supports floating point inputs, but saw dtype: int32"):
            cell(tf.zeros([2, 3], tf.int32), state)
    cell = LSTMS[0]()
    with pytest.raises(ValueError, match="inputs.shape.* to be known"):
        cell(tf.placeholder(tf.float32, [2, None]), cell.zero_state(2, tf.float32))
    with pytest.raises(ValueError, match=r"basic_lstm_cell: expected inputs of rank 2, \[batch, input\], got shape"):
        LSTMS[0]()(tf.zeros([2, 5, 3]), cell.zero_state(2, tf.float32))
    with pytest.raises(ValueError, match="[Dd]imension"):
        LSTMS[0](name="a")(tf.zeros([2, 3]), rnn_cell.BasicLSTMCell(5).zero_state(2, tf.float32))
    with pytest.raises(ValueError, match="[Dd]imension"):
        LSTMS[0](name="b")(tf.zeros([2, 3]), cell.zero_state(3, tf.float32))


def test_bad_constructors():
    for build, error, message in (
        (lambda: rnn_cell.MultiRNNCell([]), ValueError, "Must specify at least one cell"),
        (lambda: rnn_cell.MultiRNNCell(LSTMS[0]()), TypeError, "cells must be a list or tuple"),
        (lambda: rnn_cell.MultiRNNCell([LSTMS[0]()], state_is_tuple=False), ValueError, "Some cells return tuples"),
        (lambda: rnn_cell.BasicLSTMCell(4, units=4), TypeError, "BasicLSTMCell: unexpected arguments units"),
        (lambda: rnn_cell.LSTMCell(4, activation="tan"), ValueError, "LSTMCell: expected `activation` to be one of"),
        (lambda: rnn_cell.GRUCell(4, activation="tan"), ValueError, "GRUCell: expected `activation` to be one of"),
        (lambda: rnn_cell.GRUBlockCell(4, 4), ValueError, "Exactly one of num_units or cell_size must be provided"),
        (lambda: rnn_cell.NASCell(4, units=4), TypeError, "NASCell: unexpected arguments units"),
        (lambda: rnn_cell.HighwayWrapper(tf.tanh), TypeError, "is not an RNNCell"),
        (lambda: rnn_cell.InputProjectionWrapper(tf.tanh, 2), TypeError, "is not an RNNCell"),
        (lambda: rnn_cell.OutputProjectionWrapper(LSTMS[0](), 0), ValueError, "output_size must be > 0: 0"),
        (lambda: rnn_cell.EmbeddingWrapper(LSTMS[0](), 0, 2), ValueError, "embedding_size must be > 0: 0, 2"),
        (lambda: rnn_cell.AttentionCellWrapper(LSTMS[0](), 0), ValueError, "attn_length should be greater than zero"),
        (lambda: rnn_cell.AttentionCellWrapper(LSTMS[0](), 2, state_is_tuple=False), ValueError, "returns tuple of"),
        (lambda: rnn_cell.ResidualWrapper(rnn_cell.LSTMCell), TypeError, "'cell' .* is not an RNNCell"),
        (lambda: rnn_cell.DeviceWrapper(tf.tanh, "/cpu:0"), TypeError, "is not an RNNCell: output_size, state_size"),
    ):
        with pytest.raises(error, match=message):
            build()


def test_widths_that_are_unknown():
    cell = rnn_cell.InputProjectionWrapper(LSTMS[0](), 2)
    with pytest.raises(ValueError, match="input_projection_wrapper: expected tensors of rank 2 with known widths"):
        cell(tf.placeholder(tf.float32, [2, None]), cell.zero_state(2, tf.float32))
    cell = rnn_cell.HighwayWrapper(rnn_cell.GRUCell(4))
    with pytest.raises(ValueError, match="[Ii]ncompatible|not compatible"):
        cell(tf.zeros([2, 3]), cell.zero_state(2, tf.float32))


def test_more_parts_than_rows():
    cell = rnn_cell.CoupledInputForgetGateLSTMCell(4, num_unit_shards=9)
    with pytest.raises(ValueError, match=r"Too many shards: shape=\[7, 12\], num_shards=9"):
        cell(tf.zeros([2, 3]), cell.zero_state(2, tf.float32))


def test_missing_names():
    with pytest.raises(AttributeError, match="^stacked_lstm.rnn_cell has no SRUCell. It has .*BasicLSTMCell, "):
        rnn_cell.SRUCell  # noqa: B018
    for name, remark in (
        ("CudnnGRU", "GRUCell is another equation"),
        ("CudnnRNNTanh", "use BasicRNNCell"),
        ("CudnnRNNRelu", "use BasicRNNCell"),
        ("raw_rnn", "It is in tf.nn and runs these cells"),
        ("AttentionWrapper", "tensorflow_addons.seq2seq has it"),
    ):
        with pytest.raises(AttributeError, match=f"^stacked_lstm.rnn_cell has no {name}. .*{remark}"):
            getattr(rnn_cell, name)
    assert not hasattr(rnn_cell, "__path_of_nothing__")


def test_abstract_members():
    for member in ("state_size", "output_size"):
        with pytest.raises(NotImplementedError, match="RNNCell." + member):
            getattr(rnn_cell.RNNCell(), member)
    with pytest.raises(NotImplementedError, match="RNNCell.call"):
        rnn_cell.RNNCell()(tf.zeros([2, 3]), tf.zeros([2, 3]))
