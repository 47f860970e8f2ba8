"""Errors of the drop-in: TensorFlow 1.15 raises them for the same arguments."""

import pytest

from stacked_lstm import rnn_cell
from stacked_lstm.compat import tf
from support.networks.some_cells import LSTMS


def test_states_of_the_wrong_structure():
    x = tf.zeros([2, 3])
    for cell, state, message in (
        (rnn_cell.MultiRNNCell([LSTMS[0](), LSTMS[0]()]), tf.zeros([2, 8]), "Expected state to be a tuple of length 2"),
        (rnn_cell.MultiRNNCell([LSTMS[0](), LSTMS[0]()]), (tf.zeros([2, 8]),), "a tuple of length 2"),
        (LSTMS[0](), tf.zeros([2, 8]), r"Expected state of basic_lstm_cell_\d to be a tuple \(c, h\)"),
        (LSTMS[1](), (tf.zeros([2, 4]),) * 3, r"Expected state of lstm_cell_\d to be a tuple"),
        (rnn_cell.NASCell(4), tf.zeros([2, 8]), r"Expected state of nas_cell_1 to be a tuple \(c, h\)"),
        (
            rnn_cell.AttentionCellWrapper(LSTMS[0](), 2),
            LSTMS[0]().zero_state(2, tf.float32),
            r"attention_cell_wrapper_1 to be a tuple \(state of the cell, attention, memory\)",
        ),
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
        with pytest.raises(ValueError, match=r"expected inputs of rank 2, \[batch, input\], in each step, got shape"):
            cell(tf.zeros([2, 5, 3]), state)
        with pytest.raises(ValueError, match="RNN cell only supports floating point inputs, but saw dtype: int32"):
            cell(tf.zeros([2, 3], tf.int32), state)
    cell = LSTMS[0]()
    with pytest.raises(ValueError, match="inputs.shape.* to be known"):
        cell(tf.placeholder(tf.float32, [2, None]), cell.zero_state(2, tf.float32))
    with pytest.raises(ValueError, match=r"basic_lstm_cell_\d: expected inputs of rank 2, .* in each step, got shape"):
        LSTMS[0]()(tf.zeros([2, 5, 3]), cell.zero_state(2, tf.float32))
    with pytest.raises(ValueError, match=r"a: expected a state c of shape \[batch, 4\], got shape \(2, 5\)"):
        LSTMS[0](name="a")(tf.zeros([2, 3]), rnn_cell.BasicLSTMCell(5).zero_state(2, tf.float32))
    with pytest.raises(ValueError, match=r"b: expected a state h of shape \[2, 4\], got shape \(3, 4\)"):
        LSTMS[0](name="b")(tf.zeros([2, 3]), cell.zero_state(3, tf.float32))


SIX_CELLS = (
    rnn_cell.LSTMCell, rnn_cell.BasicLSTMCell, rnn_cell.LSTMBlockCell, rnn_cell.GRUCell, rnn_cell.BasicRNNCell,
    rnn_cell.NASCell,
)  # fmt: skip


@pytest.mark.parametrize("make", SIX_CELLS)
def test_one_cell_in_two_layers_of_different_width(make):
    """Not TensorFlow's "Dimensions must be equal, but are 40 and 64 for '{{node ...": the message tells what to do."""
    stack = rnn_cell.MultiRNNCell([make(8)] * 2)
    message = (
        r"^\w+_cell(_1)?: expected inputs of width 3, as in its first call, got width 8; if the same cell object is in "
    )
    with pytest.raises(ValueError, match=message + r"two layers .* as in \[cell\] \* 2, give each its own cell$"):
        rnn_cell.dynamic_rnn(stack, tf.zeros([2, 5, 3]), dtype=tf.float32)


def test_one_cell_in_two_layers_on_an_engine_by_name():
    stack = rnn_cell.MultiRNNCell([rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(8), 0.5)] * 2)
    message = "the same cell has inputs of width 3 and of width 8; each layer needs its own cell"
    with pytest.raises(ValueError, match="^dynamic_rnn: the engine 'graph' .* cannot run this call: " + message):
        rnn_cell.dynamic_rnn(stack, tf.zeros([2, 5, 3]), dtype=tf.float32, engine="graph")


@pytest.mark.parametrize("make", SIX_CELLS)
def test_inputs_of_another_dtype_than_the_state(make):
    cell = make(4)
    with pytest.raises(
        ValueError, match=r"^\w+_cell(_1)?: expected inputs of the dtype of the state, float32, got float64"
    ):
        cell(tf.zeros([2, 3], tf.float64), cell.zero_state(2, tf.float32))


@pytest.mark.parametrize("time_major, axes", [(False, "batch, time, input"), (True, "time, batch, input")])
def test_inputs_without_time(time_major, axes):
    message = rf"^dynamic_rnn: expected `inputs` of rank 3, \[{axes}\], got shape \(2, 8\)"
    with pytest.raises(ValueError, match=message):
        rnn_cell.dynamic_rnn(rnn_cell.LSTMCell(4), tf.zeros([2, 8]), dtype=tf.float32, time_major=time_major)


def test_a_residual_connection_of_another_width():
    cell = rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(4))
    with pytest.raises(ValueError, match=r"of its inputs, \(2, 3\), or a `residual_fn`, got outputs of shape \(2, 4\)"):
        cell(tf.zeros([2, 3]), cell.zero_state(2, tf.float32))


def test_bad_constructors():
    for build, error, message in (
        (lambda: rnn_cell.MultiRNNCell([]), ValueError, "Must specify at least one cell"),
        (lambda: rnn_cell.MultiRNNCell(LSTMS[0]()), TypeError, "cells must be a list or tuple"),
        (lambda: rnn_cell.MultiRNNCell([LSTMS[0]()], state_is_tuple=False), ValueError, "Some cells return tuples"),
        (
            lambda: rnn_cell.BasicLSTMCell(4, units=4),
            TypeError,
            "BasicLSTMCell: got arguments that it does not have: units",
        ),
        (lambda: rnn_cell.LSTMCell(4, activation="tan"), ValueError, "LSTMCell: expected `activation` to be one of"),
        (lambda: rnn_cell.GRUCell(4, activation="tan"), ValueError, "GRUCell: expected `activation` to be one of"),
        (lambda: rnn_cell.GRUBlockCell(4, 4), ValueError, "Exactly one of num_units or cell_size must be provided"),
        (lambda: rnn_cell.NASCell(4, units=4), TypeError, "NASCell: got arguments that it does not have: units"),
        (lambda: rnn_cell.HighwayWrapper(tf.tanh), TypeError, "is not an RNNCell"),
        (lambda: rnn_cell.InputProjectionWrapper(tf.tanh, 2), TypeError, "is not an RNNCell"),
        (lambda: rnn_cell.OutputProjectionWrapper(LSTMS[0](), 0), ValueError, "output_size must be > 0: 0"),
        (lambda: rnn_cell.EmbeddingWrapper(LSTMS[0](), 0, 2), ValueError, "embedding_size must be > 0: 0, 2"),
        (lambda: rnn_cell.AttentionCellWrapper(LSTMS[0](), 0), ValueError, "attn_length should be greater than zero"),
        (lambda: rnn_cell.AttentionCellWrapper(LSTMS[0](), 2, state_is_tuple=False), ValueError, "returns tuple of"),
        (
            lambda: rnn_cell.ResidualWrapper(rnn_cell.LSTMCell),
            TypeError,
            r"'cell' .*but a class: write LSTMCell\(...\)",
        ),
        (lambda: rnn_cell.MultiRNNCell([LSTMS[0](), rnn_cell.GRUCell]), TypeError, r"'cells.1.'.*write GRUCell\(...\)"),
        (lambda: rnn_cell.ResidualWrapper([LSTMS[0]()]), TypeError, "'cell' .*but a list: make a MultiRNNCell of it"),
        (lambda: rnn_cell.LSTMCell("4"), ValueError, "LSTMCell: expected `num_units` to be a positive .*, got '4'"),
        (lambda: rnn_cell.GRUCell(None), ValueError, "GRUCell: expected `num_units` to be a positive .*, got None"),
        (lambda: rnn_cell.NASCell(4.5), ValueError, "NASCell: expected `num_units` to be a positive .*, got 4.5"),
        (lambda: rnn_cell.LSTMCell(0), ValueError, "LSTMCell: expected `num_units` to be a positive integer, got 0"),
        (lambda: rnn_cell.GRUCell(-3), ValueError, "GRUCell: expected `num_units` to be a positive integer, got -3"),
        (lambda: rnn_cell.DropoutWrapper(LSTMS[0](), "a"), ValueError, "`input_keep_prob` to be a number .*, got 'a'"),
        (
            lambda: rnn_cell.LSTMCell(4, num_proj=-1),
            ValueError,
            "^LSTMCell: expected `num_proj` to be None, 0 or .*, got -1",
        ),
        (lambda: rnn_cell.NASCell(4, "a"), ValueError, "^NASCell: expected `num_proj` to be a positive .*, got 'a'"),
        (
            lambda: rnn_cell.InputProjectionWrapper(LSTMS[0](), 0),
            ValueError,
            "^InputProjectionWrapper: expected `num_proj` to be a positive integer, got 0",
        ),
        (lambda: rnn_cell.MultiRNNCell([LSTMS[0](), "a"]), TypeError, r"'cells\[1\]' \('a'\) is not an RNNCell"),
        (
            lambda: rnn_cell.LayerNormBasicLSTMCell(3, dropout_keep_prob=2),
            ValueError,
            "^LayerNormBasicLSTMCell: expected `dropout_keep_prob` to be a number between 0 and 1, .*, got 2",
        ),
        (lambda: rnn_cell.AttentionCellWrapper(LSTMS[0](), "a"), ValueError, "be greater than zero, got 'a'"),
        (lambda: rnn_cell.CudnnLSTM(0, 3), ValueError, "^CudnnLSTM: expected `num_layers` to be a positive .*, got 0"),
        (lambda: rnn_cell.CudnnLSTM(1, "a"), ValueError, "^CudnnLSTM: expected `num_units` to be a positive .*'a'"),
        (
            lambda: rnn_cell.HighwayWrapper(rnn_cell.GRUCell(4))(tf.zeros([2, 3]), tf.zeros([2, 4])),
            ValueError,
            r"^HighwayWrapper: expected outputs of the shape of its inputs, \(2, 3\), got outputs of \(2, 4\)",
        ),
        (
            lambda: rnn_cell.DeviceWrapper(tf.tanh, "/cpu:0"),
            TypeError,
            "is not an RNNCell: it has no output_size, state_size",
        ),
    ):
        with pytest.raises(error, match=message):
            build()


@pytest.mark.parametrize("rows, width", [(2, 5), (1, 4), (3, 4)])
def test_states_of_wrong_shapes(rows, width):
    """Of single calls, and in loops. c may have one row for all sequences if h has all rows."""
    message = rf"a state.* of shape \[2, 4\], got shape \({rows}, {width}\)"
    for cell in (
        rnn_cell.LSTMCell(4),
        rnn_cell.LSTMBlockCell(4),
        rnn_cell.GRUCell(4),
        rnn_cell.LayerNormBasicLSTMCell(4),
        rnn_cell.NASCell(4),
    ):
        right, wrong = tf.zeros([2, 4]), tf.zeros([rows, width])
        state = wrong if isinstance(cell, rnn_cell.GRUCell) else rnn_cell.LSTMStateTuple(right, wrong)
        with pytest.raises(ValueError, match=message):
            cell(tf.zeros([2, 3]), state)
        with pytest.raises(ValueError, match=message):
            rnn_cell.dynamic_rnn(cell, tf.zeros([2, 5, 3]), initial_state=state)
    state = rnn_cell.LSTMStateTuple(tf.zeros([2, 5]), tf.zeros([2, 4]))
    with pytest.raises(ValueError, match=r"lstm_cell.*: expected a state c of shape \[batch, 4\], got shape \(2, 5\)"):
        rnn_cell.LSTMCell(4)(tf.zeros([2, 3]), state)
    output, _ = rnn_cell.LSTMCell(4)(tf.zeros([2, 3]), rnn_cell.LSTMStateTuple(tf.zeros([1, 4]), tf.zeros([2, 4])))
    assert output.shape.as_list() == [2, 4]


def test_widths_that_are_unknown():
    cell = rnn_cell.InputProjectionWrapper(LSTMS[0](), 2)
    with pytest.raises(ValueError, match="input_projection_wrapper_1: expected tensors of rank 2 with known widths"):
        cell(tf.placeholder(tf.float32, [2, None]), cell.zero_state(2, tf.float32))
    cell = rnn_cell.HighwayWrapper(rnn_cell.GRUCell(4))
    with pytest.raises(ValueError, match="expected outputs of the shape of its inputs"):
        cell(tf.zeros([2, 3]), cell.zero_state(2, tf.float32))


def test_more_parts_than_rows():
    cell = rnn_cell.CoupledInputForgetGateLSTMCell(4, num_unit_shards=9)
    with pytest.raises(ValueError, match=r"Too many shards: shape=\[7, 12\], num_shards=9"):
        cell(tf.zeros([2, 3]), cell.zero_state(2, tf.float32))


def test_missing_names():
    with pytest.raises(AttributeError, match="^stacked_lstm.rnn_cell has no LSTNCell; similar names are .*LSTMCell"):
        rnn_cell.LSTNCell  # noqa: B018
    for name, remark in (
        ("SRUCell", "copy tensorflow_core/contrib/rnn/python/ops/rnn_cell.py of .*, and import SRUCell from it"),
        ("CompiledWrapper", "leave it out"),
        ("_like_rnncell", "use assert_like_rnncell, which raises the error itself"),
        ("math_ops", "it is a module of TensorFlow: import tensorflow.python.ops.math_ops itself"),
        ("CudnnGRU", "GRUCell has another equation"),
        ("CudnnRNNTanh", "a stack of BasicRNNCells"),
        ("CudnnRNNRelu", "a stack of BasicRNNCells with activation=tf.nn.relu"),
        ("CudnnLSTMSaveable", "CudnnLSTM makes such an object itself"),
        ("CudnnParamsFormatConverterLSTM", "use the attribute saveable"),
        ("raw_rnn", "it is in tf.nn and runs these cells"),
        ("AttentionWrapper", "README.md of .* says how to move a copy of tf.contrib.seq2seq"),
    ):
        with pytest.raises(AttributeError, match=f"^stacked_lstm.rnn_cell has no {name}; .*{remark}.*[.]$"):
            getattr(rnn_cell, name)
    assert not hasattr(rnn_cell, "__path_of_nothing__")


def test_abstract_members():
    for member in ("state_size", "output_size"):
        with pytest.raises(NotImplementedError, match=f"RNNCell: a cell must define the property `{member}`"):
            getattr(rnn_cell.RNNCell(), member)
    with pytest.raises(NotImplementedError, match="RNNCell: a cell must define the method `call"):
        rnn_cell.RNNCell()(tf.zeros([2, 3]), tf.zeros([2, 3]))
