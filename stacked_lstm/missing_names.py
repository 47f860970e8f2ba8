"""Names of TensorFlow 1.15 that the package does not have, and what to do instead. TensorFlow is not imported."""

from __future__ import annotations

import difflib
from typing import Sequence

_CELLS = "tensorflow_core/contrib/rnn/python/ops/rnn_cell.py"
_CUDNN = "tensorflow_core/contrib/cudnn_rnn/python/ops/cudnn_rnn_ops.py"

# Cells in a file of TensorFlow 1.15 that runs after the move. They are Python code around the base class of cells.
_RESEARCH = (
    "BidirectionalGridLSTMCell CFNCell Conv1DLSTMCell Conv2DLSTMCell Conv3DLSTMCell ConvLSTMCell GLSTMCell GridLSTMCell"
    " IndRNNCell IndyGRUCell IndyLSTMCell IntersectionRNNCell LayerNormLSTMCell MinimalRNNCell NTMCell"
    " NTMControllerState PhasedLSTMCell SRUCell TimeFreqLSTMCell UGRNNCell WeightNormLSTMCell"
).split()
_COPY_CELLS = f"copy {_CELLS} of TensorFlow 1.15, run stacked-lstm-migrate on the copy, and import {{}} from it"
_NORM = "; for layer_norm=True, change the function _norm of the copy as the README.md of stacked_lstm/rnn_cell says"
_COPY_CLASS = (
    f"copy the class CudnnCompatibleGRUCell and what it needs from {_CUDNN} of TensorFlow 1.15, and run "
    "stacked-lstm-migrate on the copy"
)
_GRU = f"GRUCell has another equation, CudnnCompatibleGRUCell has the same one; {_COPY_CLASS}"
_TANH = "a stack of BasicRNNCells computes the same and restores its kernels and biases"
_RELU = "a stack of BasicRNNCells with activation=tf.nn.relu computes the same and restores its kernels and biases"
_SAVEABLE = "leave it out: CudnnLSTM makes such an object itself, as its attribute saveable, and savers use it"
_CONVERTER = (
    "use the attribute saveable of a CudnnLSTM: [spec.tensor for spec in lstm.saveable.specs] has all kernels, then "
    "all biases, and lstm.saveable.restore(kernels + biases, None) assigns them"
)
_IN_NN = "it is in tf.nn and runs these cells"
_MODULE = "it is a module of TensorFlow: import {} itself"
_DECODERS = "the README.md of stacked_lstm/rnn_cell says how to move a copy of tf.contrib.seq2seq"

# Name of a module of TensorFlow in its modules of cells -> the complete name of that module.
MODULES = {
    **{
        name: f"tensorflow.python.framework.{name}"
        for name in ("constant_op", "dtypes", "ops", "tensor_shape", "tensor_util")
    },
    **{
        name: f"tensorflow.python.ops.{name}"
        for name in (
            "array_ops clip_ops control_flow_ops embedding_ops init_ops math_ops nn_ops partitioned_variables"
            " random_ops tensor_array_ops"
        ).split()
    },
    "base_layer": "tensorflow.python.layers.base",
    "context": "tensorflow.python.eager.context",
    "logging": "tensorflow.python.platform.tf_logging",
    "nest": "tensorflow.python.util.nest",
    "vs": "tensorflow.python.ops.variable_scope",
}

# Name of a cell, a function, a module or a class of cuDNN -> what to do instead.
ADVICE = {
    **{name: _COPY_CELLS.format(name) for name in _RESEARCH},
    "LayerNormLSTMCell": _COPY_CELLS.format("LayerNormLSTMCell") + _NORM,
    "CompiledWrapper": "leave it out: it only has XLA compile the cell, whose variables keep their names",
    "LSTMBlockWrapper": "use LSTMBlockFusedCell, for which it is the base class",
    "_like_rnncell": "use assert_like_rnncell, which raises the error itself",
    **{name: _MODULE.format(module) for name, module in MODULES.items()},
    "CudnnCompatibleGRUCell": _COPY_CLASS,
    **{name: _GRU for name in ("CudnnGRU", "CudnnGRUSaveable", "CudnnParamsFormatConverterGRU")},
    **{name: _TANH for name in ("CudnnRNNTanh", "CudnnRNNTanhSaveable", "CudnnParamsFormatConverterTanh")},
    **{name: _RELU for name in ("CudnnRNNRelu", "CudnnRNNReluSaveable", "CudnnParamsFormatConverterRelu")},
    **{name: _SAVEABLE for name in ("CudnnLSTMSaveable", "CudnnOpaqueParamsSaveable")},
    **{f"CudnnParamsFormatConverter{kind}": _CONVERTER for kind in ("LSTM", "")},
    **{name: _IN_NN for name in ("raw_rnn", "static_state_saving_rnn")},
    **{name: _DECODERS for name in ("BahdanauAttention", "LuongAttention", "AttentionWrapper")},
}


def message(name: str, names: Sequence[str]) -> str:
    """Returns the message for a name that `stacked_lstm.rnn_cell` does not have.

    Args:
      name: str, the name.
      names: list of str, the names that the module has.
    """
    if name in ADVICE:
        return f"stacked_lstm.rnn_cell has no {name}; {ADVICE[name]}."
    similar = difflib.get_close_matches(name, names, 3)
    advice = f"similar names are {', '.join(similar)}" if similar else "stacked_lstm.rnn_cell.__all__ has its names"
    return f"stacked_lstm.rnn_cell has no {name}; {advice}. A cell of TensorFlow's or of your own runs in its loops."


def decoder_message(module: str, name: str) -> str:
    """Returns the message for a name, maybe of a decoder, that a module of `stacked_lstm.contrib` does not have."""
    folder = module.replace("stacked_lstm", "tensorflow_core").replace(".", "/")
    return (
        f"{module} has no {name}. Copy {folder}/python/ops of TensorFlow 1.15, "
        "run stacked-lstm-migrate on the copy, and import that."
    )
