"""Drop-in for `tf.nn.rnn_cell`, `tf.contrib.rnn` and the loops around cells of TensorFlow 1.15.

    from stacked_lstm import rnn_cell

    cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(650) for _ in range(2)])
    outputs, state = rnn_cell.dynamic_rnn(cell, inputs, sequence_length=lengths, dtype=tf.float32)
    rnn_cell.engine_used(outputs)

Arguments, defaults, variable names and results are those of TensorFlow 1.15, so old checkpoints restore as they are.
Keras is not needed. The loops run LSTM cells, stacks and wrappers on the package's engines, and any other cell,
TensorFlow's or your own, on TensorFlow's loop; `loops.dispatch` decides. TensorFlow's loops (`tf.nn.dynamic_rnn`,
`tf.nn.raw_rnn` ...) run these cells, too. The folder's README.md tells how to move an old program.

A new cell is a file in `cells` with a subclass of `base.lstm_base.LSTMBase` (with `has_layer=True`, if engines run it),
of `base.one_state_base.OneStateBase` or of `base.cell.RNNCell`, and a line here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stacked_lstm import missing_names
from stacked_lstm.rnn_cell.base.cell import RNNCell
from stacked_lstm.rnn_cell.cells.basic_lstm_cell import BasicLSTMCell
from stacked_lstm.rnn_cell.cells.basic_rnn_cell import BasicRNNCell
from stacked_lstm.rnn_cell.cells.coupled_input_forget_gate_lstm_cell import CoupledInputForgetGateLSTMCell
from stacked_lstm.rnn_cell.cells.gru_cell import GRUBlockCell, GRUBlockCellV2, GRUCell
from stacked_lstm.rnn_cell.cells.layer_norm_basic_lstm_cell import LayerNormBasicLSTMCell
from stacked_lstm.rnn_cell.cells.lstm_block_cell import CudnnCompatibleLSTMCell, LSTMBlockCell
from stacked_lstm.rnn_cell.cells.lstm_cell import LSTMCell
from stacked_lstm.rnn_cell.cells.nas_cell import NASCell
from stacked_lstm.rnn_cell.cudnn.cudnn_lstm import CudnnLSTM
from stacked_lstm.rnn_cell.loops.decoder import rnn_decoder
from stacked_lstm.rnn_cell.loops.dynamic_rnn import bidirectional_dynamic_rnn, dynamic_rnn
from stacked_lstm.rnn_cell.loops.engines_used import engine_used
from stacked_lstm.rnn_cell.loops.fused_cells import (
    FusedRNNCell,
    FusedRNNCellAdaptor,
    LSTMBlockFusedCell,
    TimeReversedFusedRNN,
)
from stacked_lstm.rnn_cell.loops.stacked_bidirectional import stack_bidirectional_dynamic_rnn, stack_bidirectional_rnn
from stacked_lstm.rnn_cell.loops.static_rnn import static_bidirectional_rnn, static_rnn
from stacked_lstm.rnn_cell.wrappers.attention_cell_wrapper import AttentionCellWrapper
from stacked_lstm.rnn_cell.wrappers.cell_wrapper import DeviceWrapper, ResidualWrapper
from stacked_lstm.rnn_cell.wrappers.dropout_wrapper import DropoutWrapper
from stacked_lstm.rnn_cell.wrappers.highway_wrapper import HighwayWrapper
from stacked_lstm.rnn_cell.wrappers.input_output_wrappers import (
    EmbeddingWrapper,
    InputProjectionWrapper,
    OutputProjectionWrapper,
)
from stacked_lstm.rnn_cell.wrappers.linear import _Linear, _linear
from stacked_lstm.rnn_cell.wrappers.multi_rnn_cell import MultiRNNCell
from stacked_lstm.state import LSTMStateTuple

LayerRNNCell = RNNCell  # TensorFlow 1.15's base class of cells with a method `build`. Here, RNNCell has this method.
_RNNCell = RNNCell  # Its name in TensorFlow 1.0.
_LayerRNNCell = LayerRNNCell  # Its name in TensorFlow 1.4.

__all__ = [
    "AttentionCellWrapper",
    "BasicLSTMCell",
    "BasicRNNCell",
    "CoupledInputForgetGateLSTMCell",
    "CudnnCompatibleLSTMCell",
    "CudnnLSTM",
    "DeviceWrapper",
    "DropoutWrapper",
    "EmbeddingWrapper",
    "FusedRNNCell",
    "FusedRNNCellAdaptor",
    "GRUBlockCell",
    "GRUBlockCellV2",
    "GRUCell",
    "HighwayWrapper",
    "InputProjectionWrapper",
    "LSTMBlockCell",
    "LSTMBlockFusedCell",
    "LSTMCell",
    "LSTMStateTuple",
    "LayerRNNCell",
    "LayerNormBasicLSTMCell",
    "MultiRNNCell",
    "NASCell",
    "OutputProjectionWrapper",
    "RNNCell",
    "ResidualWrapper",
    "TimeReversedFusedRNN",
    "_LayerRNNCell",
    "_Linear",
    "_RNNCell",
    "_linear",
    "bidirectional_dynamic_rnn",
    "dynamic_rnn",
    "engine_used",
    "rnn_decoder",
    "stack_bidirectional_dynamic_rnn",
    "stack_bidirectional_rnn",
    "static_bidirectional_rnn",
    "static_rnn",
]

# Name that copies of TensorFlow's cells and decoders import -> the module of tensorflow.python.ops that has it, maybe
# with an underscore before the name.
TENSORFLOW_NAMES = {
    "_BIAS_VARIABLE_NAME": "rnn_cell_impl",
    "_WEIGHTS_VARIABLE_NAME": "rnn_cell_impl",
    "_best_effort_input_batch_size": "rnn",
    "_concat": "rnn_cell_impl",
    "_hasattr": "rnn_cell_impl",
    "_infer_state_dtype": "rnn",
    "_maybe_tensor_shape_from_tensor": "rnn",
    "_reverse_seq": "rnn",
    "_rnn_step": "rnn",
    "_transpose_batch_time": "rnn",
    "_zero_state_tensors": "rnn_cell_impl",
    "assert_like_rnncell": "rnn_cell_impl",
    "best_effort_input_batch_size": "rnn",
    "transpose_batch_time": "rnn",
}

if not TYPE_CHECKING:  # A type checker would take every name for one of the module's.

    def __getattr__(name: str) -> Any:
        if name in TENSORFLOW_NAMES:
            module = importlib.import_module(f"tensorflow.python.ops.{TENSORFLOW_NAMES[name]}")
            return getattr(module, name if hasattr(module, name) else f"_{name}")
        if name.startswith("_") and name not in missing_names.ADVICE:
            raise AttributeError(name)
        raise AttributeError(missing_names.message(name, __all__))
