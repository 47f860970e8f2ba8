"""LSTM layers in the files of other libraries: found, read in this package's form, and written.

    checkpoint = checkpoints.read("model.ckpt-1000")            # a TensorFlow checkpoint, e.g. of BasicLSTMCell
    [layer.name for layer in checkpoint.layers]                 # ["rnn/multi_rnn_cell/cell_0/basic_lstm_cell", ...]
    lstm.set_weights(session, [layer.weights for layer in checkpoint.layers])
    checkpoints.write("own.ckpt", checkpoint.layers, "stacked_lstm", other_arrays=checkpoint.other_arrays)
    checkpoints.write("model.onnx", checkpoint.layers)

| format | files | read | new file | into a template |
|---|---|---|---|---|
| stacked_lstm | .npz: the file of `stacked_lstm.runtime` | yes | yes | yes |
| stacked_lstm, rnn_cell, cudnn_compatible, layer_norm_cell | TensorFlow checkpoints; V1: only read | yes | yes | yes |
| keras | .weights.h5, .h5, .hdf5, .hd5, of Keras 2 and 3 | yes | yes | yes |
| keras | .keras | yes | no | yes |
| pytorch | .safetensors (needs the package safetensors), .npz: a state_dict | yes | yes | yes |
| onnx | .onnx (needs the package onnx) | yes | yes | yes |

Nothing is ever unpickled. TensorFlow is imported only for TensorFlow checkpoints. README.md in this folder is the
manual; `stacked_lstm/commands/convert.py` is the command.
"""

from stacked_lstm.checkpoints.formats import FORMATS, Format, format_of
from stacked_lstm.checkpoints.layers import CheckpointLayer, Location
from stacked_lstm.checkpoints.plans import Plan
from stacked_lstm.checkpoints.reading import Checkpoint, read
from stacked_lstm.checkpoints.writing import plan, write

__all__ = [
    "FORMATS",
    "Checkpoint",
    "CheckpointLayer",
    "Format",
    "Location",
    "Plan",
    "format_of",
    "plan",
    "read",
    "write",
]
