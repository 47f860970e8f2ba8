"""The table of networks that `cells` builds; each case has a function that makes its cell."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import tensorflow.compat.v1 as tf

from golden.user_cells import cell_with_call, cell_with_dunder_call

BATCH, TIME, INPUT = 3, 5, 3
LENGTHS = [5, 2, 0]


class Case(NamedTuple):
    """One network.

    Fields:
      cell: function from a module of cells to a cell.
      backward: the same for the backward direction; None for a network of one direction.
      dtype: dtype of inputs, variables and outputs.
      lengths: whether the sequences have the lengths `LENGTHS`; otherwise all have TIME steps.
      initial_state: whether the network gets an initial state; otherwise it starts from zeros.
      time_major: whether inputs and outputs are [TIME, BATCH, width]; otherwise they are [BATCH, TIME, width].
      fused: whether the cell is called with the inputs of all steps; they are [TIME, BATCH, width].
      classes: None for inputs that are numbers; otherwise they are integers below `classes`, of width 1.
    """

    cell: Callable[[Any], Any]
    backward: Callable[[Any], Any] | None = None
    dtype: str = "float32"
    lengths: bool = True
    initial_state: bool = False
    time_major: bool = False
    fused: bool = False
    classes: int | None = None


def _keep(probability):
    """A keep probability that only the running graph knows."""
    return tf.placeholder_with_default(probability, [])


def _all_options(rnn, **options):
    return rnn.LSTMCell(4, use_peepholes=True, cell_clip=0.2, num_proj=3, proj_clip=0.1, forget_bias=0.5,
                        activation=tf.nn.softsign, **options)  # fmt: skip


def _dropout(rnn, cell=None, **options):
    return rnn.DropoutWrapper(cell or rnn.BasicLSTMCell(4), seed=11, **options)


_ALL_DROPOUT = {"input_keep_prob": 0.7, "output_keep_prob": 0.6, "state_keep_prob": 0.8}
_VARIATIONAL = {"variational_recurrent": True, "dtype": tf.float32}

# Cases cover both values of every option. Weights and data are random, so that swapped gates change the numbers.
CASES = {
    # BasicLSTMCell
    "basic_lstm": Case(lambda rnn: rnn.BasicLSTMCell(4)),
    "basic_lstm_forget_bias_zero": Case(lambda rnn: rnn.BasicLSTMCell(4, forget_bias=0.0)),
    "basic_lstm_forget_bias_large": Case(lambda rnn: rnn.BasicLSTMCell(4, forget_bias=2.5)),
    "basic_lstm_one_tensor": Case(lambda rnn: rnn.BasicLSTMCell(4, state_is_tuple=False)),
    "basic_lstm_one_tensor_given": Case(lambda rnn: rnn.BasicLSTMCell(4, state_is_tuple=False), initial_state=True),
    "basic_lstm_relu": Case(lambda rnn: rnn.BasicLSTMCell(4, activation=tf.nn.relu)),
    "basic_lstm_name": Case(lambda rnn: rnn.BasicLSTMCell(4, name="encoder")),
    "basic_lstm_float64": Case(lambda rnn: rnn.BasicLSTMCell(4), dtype="float64"),
    "basic_lstm_float16": Case(lambda rnn: rnn.BasicLSTMCell(4), dtype="float16"),
    "basic_lstm_no_lengths": Case(lambda rnn: rnn.BasicLSTMCell(4), lengths=False),
    "basic_lstm_initial_state": Case(lambda rnn: rnn.BasicLSTMCell(4), initial_state=True),
    "basic_lstm_time_major": Case(lambda rnn: rnn.BasicLSTMCell(4), time_major=True),
    "basic_lstm_time_major_no_lengths": Case(
        lambda rnn: rnn.BasicLSTMCell(4), lengths=False, initial_state=True, time_major=True
    ),
    # LSTMCell
    "lstm": Case(lambda rnn: rnn.LSTMCell(4)),
    "lstm_forget_bias_zero": Case(lambda rnn: rnn.LSTMCell(4, forget_bias=0.0)),
    "lstm_peepholes": Case(lambda rnn: rnn.LSTMCell(4, use_peepholes=True)),
    "lstm_peepholes_initial_state": Case(lambda rnn: rnn.LSTMCell(4, use_peepholes=True), initial_state=True),
    "lstm_projection": Case(lambda rnn: rnn.LSTMCell(4, num_proj=2)),
    "lstm_projection_initial_state": Case(lambda rnn: rnn.LSTMCell(4, num_proj=2), initial_state=True),
    "lstm_projection_wider": Case(lambda rnn: rnn.LSTMCell(4, num_proj=6)),
    "lstm_proj_clip": Case(lambda rnn: rnn.LSTMCell(4, num_proj=5, proj_clip=0.1)),
    "lstm_proj_clip_alone": Case(lambda rnn: rnn.LSTMCell(4, proj_clip=0.1)),
    "lstm_cell_clip": Case(lambda rnn: rnn.LSTMCell(4, cell_clip=0.25)),
    "lstm_cell_clip_zero": Case(lambda rnn: rnn.LSTMCell(4, use_peepholes=True, cell_clip=0.0), initial_state=True),
    "lstm_one_tensor": Case(lambda rnn: rnn.LSTMCell(4, state_is_tuple=False)),
    "lstm_one_tensor_projection": Case(lambda rnn: rnn.LSTMCell(4, num_proj=2, state_is_tuple=False)),
    "lstm_one_tensor_given": Case(lambda rnn: rnn.LSTMCell(4, num_proj=2, state_is_tuple=False), initial_state=True),
    "lstm_activation": Case(lambda rnn: rnn.LSTMCell(4, activation=tf.nn.relu)),
    "lstm_activation_by_name": Case(lambda rnn: rnn.LSTMCell(4, activation="sigmoid")),
    "lstm_shards": Case(lambda rnn: rnn.LSTMCell(4, num_proj=2, num_unit_shards=2, num_proj_shards=2)),
    "lstm_float64": Case(lambda rnn: rnn.LSTMCell(4, use_peepholes=True, num_proj=2), dtype="float64"),
    "lstm_float16": Case(lambda rnn: rnn.LSTMCell(4, use_peepholes=True, num_proj=2), dtype="float16"),
    "lstm_all_options": Case(_all_options, initial_state=True),
    "lstm_all_options_one_tensor": Case(lambda rnn: _all_options(rnn, state_is_tuple=False), time_major=True),
    # MultiRNNCell
    "multi_one": Case(lambda rnn: rnn.MultiRNNCell([rnn.BasicLSTMCell(4)])),
    "multi_two": Case(lambda rnn: rnn.MultiRNNCell([rnn.BasicLSTMCell(4), rnn.BasicLSTMCell(5)])),
    "multi_three": Case(lambda rnn: rnn.MultiRNNCell([rnn.LSTMCell(n) for n in (5, 2, 4)])),
    "multi_three_initial_state": Case(
        lambda rnn: rnn.MultiRNNCell([rnn.BasicLSTMCell(n) for n in (5, 2, 4)]), initial_state=True, time_major=True
    ),
    "multi_no_lengths": Case(lambda rnn: rnn.MultiRNNCell([rnn.LSTMCell(n) for n in (4, 5)]), lengths=False),
    "multi_float64": Case(lambda rnn: rnn.MultiRNNCell([rnn.LSTMCell(n) for n in (4, 5)]), dtype="float64"),
    "multi_mixed": Case(
        lambda rnn: rnn.MultiRNNCell([rnn.BasicLSTMCell(4), rnn.LSTMCell(5, num_proj=2), rnn.LSTMCell(4, True)])
    ),
    "multi_nested": Case(
        lambda rnn: rnn.MultiRNNCell([rnn.MultiRNNCell([rnn.BasicLSTMCell(4), rnn.LSTMCell(5)]), rnn.BasicLSTMCell(2)]),
        initial_state=True,
    ),
    "multi_one_tensor": Case(
        lambda rnn: rnn.MultiRNNCell(
            [rnn.BasicLSTMCell(4, state_is_tuple=False), rnn.LSTMCell(5, num_proj=2, state_is_tuple=False)],
            state_is_tuple=False,
        ),
        initial_state=True,
    ),
    "multi_of_one_tensors": Case(  # The state is a tuple with one tensor per layer.
        lambda rnn: rnn.MultiRNNCell([rnn.BasicLSTMCell(n, state_is_tuple=False) for n in (4, 5)])
    ),
    "multi_same_cell": Case(lambda rnn: rnn.MultiRNNCell([rnn.BasicLSTMCell(INPUT)] * 2)),  # They share variables.
    "multi_user_cell": Case(
        lambda rnn: rnn.MultiRNNCell([rnn.BasicLSTMCell(4), cell_with_call(rnn, 5), rnn.LSTMCell(2)])
    ),
    "multi_old_user_cell": Case(
        lambda rnn: rnn.MultiRNNCell([cell_with_dunder_call(rnn, 2), rnn.LSTMCell(5)]), initial_state=True
    ),
    "user_cell": Case(lambda rnn: cell_with_call(rnn, 4)),
    "old_user_cell": Case(lambda rnn: cell_with_dunder_call(rnn, 4), time_major=True),
    # DropoutWrapper
    "dropout_none": Case(lambda rnn: _dropout(rnn, input_keep_prob=1.0, output_keep_prob=1.0, state_keep_prob=1.0)),
    "dropout_input": Case(lambda rnn: _dropout(rnn, input_keep_prob=0.7)),
    "dropout_output": Case(lambda rnn: _dropout(rnn, output_keep_prob=0.6)),
    "dropout_state": Case(lambda rnn: _dropout(rnn, state_keep_prob=0.6)),
    "dropout_all": Case(lambda rnn: _dropout(rnn, **_ALL_DROPOUT), initial_state=True),
    "dropout_tensors": Case(
        lambda rnn: _dropout(rnn, input_keep_prob=_keep(0.7), output_keep_prob=_keep(1.0), state_keep_prob=_keep(0.6))
    ),
    "dropout_float64": Case(lambda rnn: _dropout(rnn, **_ALL_DROPOUT), dtype="float64", lengths=False),
    "dropout_one_tensor": Case(  # Dropout cannot leave out c if the state is one tensor.
        lambda rnn: _dropout(rnn, rnn.LSTMCell(4, num_proj=2, state_is_tuple=False), state_keep_prob=0.6)
    ),
    "dropout_filter": Case(
        lambda rnn: _dropout(
            rnn,
            state_keep_prob=0.6,
            dropout_state_filter_visitor=lambda s: (
                rnn.LSTMStateTuple(c=True, h=False) if isinstance(s, rnn.LSTMStateTuple) else True
            ),
        )
    ),
    "dropout_variational": Case(lambda rnn: _dropout(rnn, input_size=INPUT, **dict(_ALL_DROPOUT, **_VARIATIONAL))),
    "dropout_variational_shape": Case(
        lambda rnn: _dropout(rnn, input_keep_prob=0.6, input_size=tf.TensorShape([INPUT]), **_VARIATIONAL)
    ),
    "dropout_variational_tensors": Case(
        lambda rnn: _dropout(
            rnn, input_keep_prob=_keep(1.0), output_keep_prob=_keep(0.6), input_size=INPUT, **_VARIATIONAL
        )
    ),
    "dropout_variational_output": Case(lambda rnn: _dropout(rnn, output_keep_prob=0.6, **_VARIATIONAL)),
    "dropout_variational_multi": Case(
        lambda rnn: _dropout(
            rnn,
            rnn.MultiRNNCell([rnn.BasicLSTMCell(4), rnn.LSTMCell(5)]),
            input_size=INPUT,
            **dict(_ALL_DROPOUT, **_VARIATIONAL),
        )
    ),
    "dropout_multi": Case(
        lambda rnn: _dropout(rnn, rnn.MultiRNNCell([rnn.BasicLSTMCell(4), rnn.LSTMCell(5)]), **_ALL_DROPOUT)
    ),
    "dropout_user_cell": Case(lambda rnn: _dropout(rnn, cell_with_call(rnn, 4), **_ALL_DROPOUT)),
    # The other wrappers, and wrappers of wrappers
    "residual": Case(lambda rnn: rnn.ResidualWrapper(rnn.BasicLSTMCell(INPUT))),
    "residual_fn": Case(
        lambda rnn: rnn.ResidualWrapper(rnn.LSTMCell(2), residual_fn=lambda i, o: 2.0 * i[:, :2] - o),
        lengths=False,
    ),
    "device": Case(lambda rnn: rnn.DeviceWrapper(rnn.LSTMCell(4, num_proj=2), "/cpu:0"), initial_state=True),
    "multi_dropout": Case(
        lambda rnn: rnn.MultiRNNCell(
            [rnn.DropoutWrapper(rnn.LSTMCell(n), output_keep_prob=0.6, seed=n) for n in (4, 5)]
        )
    ),
    "multi_wrappers": Case(
        lambda rnn: rnn.MultiRNNCell(
            [
                rnn.ResidualWrapper(rnn.DropoutWrapper(rnn.BasicLSTMCell(INPUT), 0.7, 0.6, 0.8, seed=5)),
                rnn.DeviceWrapper(rnn.DropoutWrapper(rnn.LSTMCell(5, True), state_keep_prob=0.6, seed=6), "/cpu:0"),
                rnn.DropoutWrapper(rnn.ResidualWrapper(rnn.LSTMCell(5)), output_keep_prob=_keep(0.6), seed=7),
            ]
        )
    ),
    # bidirectional_dynamic_rnn
    "both": Case(lambda rnn: rnn.BasicLSTMCell(4), lambda rnn: rnn.BasicLSTMCell(5)),
    "both_no_lengths": Case(lambda rnn: rnn.LSTMCell(4), lambda rnn: rnn.LSTMCell(5, True), lengths=False),
    "both_time_major": Case(lambda rnn: rnn.LSTMCell(4), lambda rnn: rnn.BasicLSTMCell(5), time_major=True),
    "both_initial_state": Case(
        lambda rnn: rnn.MultiRNNCell([rnn.LSTMCell(4), rnn.LSTMCell(2)]),
        lambda rnn: rnn.LSTMCell(5, num_proj=2),
        initial_state=True,
    ),
    "both_dropout": Case(
        lambda rnn: rnn.DropoutWrapper(rnn.LSTMCell(4), output_keep_prob=0.6, seed=1),
        lambda rnn: rnn.DropoutWrapper(rnn.LSTMCell(5), output_keep_prob=0.6, seed=2),
        time_major=True,
        lengths=False,
    ),
}

# Cells of tf.contrib, which only TensorFlow 1 has.
BLOCK_CASES = {
    "block": Case(lambda rnn: rnn.LSTMBlockCell(4)),
    "block_initial_state": Case(lambda rnn: rnn.LSTMBlockCell(4), initial_state=True, time_major=True),
    "block_forget_bias_zero": Case(lambda rnn: rnn.LSTMBlockCell(4, forget_bias=0.0)),
    "block_peepholes": Case(lambda rnn: rnn.LSTMBlockCell(4, use_peephole=True), initial_state=True),
    "cudnn_compatible": Case(lambda rnn: rnn.CudnnCompatibleLSTMCell(4)),
    "cudnn_compatible_multi": Case(
        lambda rnn: rnn.MultiRNNCell([rnn.CudnnCompatibleLSTMCell(n) for n in (4, 5)]), initial_state=True
    ),
}
