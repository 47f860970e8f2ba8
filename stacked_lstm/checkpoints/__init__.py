"""LSTM layers in the files of other libraries: found, read as this package's weights, and written.

    source = checkpoints.read("model.ckpt-1000")                # TensorFlow's; of BasicLSTMCell, say
    [layer.name for layer in source.layers]                     # ["rnn/multi_rnn_cell/cell_0/basic_lstm_cell", ...]
    lstm.set_weights(session, [layer.layer for layer in source.layers])
    checkpoints.write("own.ckpt", source.layers, "stacked_lstm", others=source.others)
    checkpoints.write("model.onnx", source.layers)

| format | files | read | new file | into a template |
|---|---|---|---|---|
| stacked_lstm, rnn_cell, cudnn_compatible | TensorFlow's checkpoints, V1 (read only) and V2 | yes | yes | yes |
| keras | .weights.h5 and .h5, of Keras 2 and 3 | yes | yes | yes |
| keras | .keras | yes | no | yes |
| pytorch | .safetensors (with `pip install safetensors`), .npz: a state_dict | yes | yes | yes |
| onnx | .onnx (with `pip install onnx`) | yes | yes | yes |

Nothing is ever unpickled. Files are written under a temporary name, read back, compared bit for bit, and then renamed.
`formats.py` has the table of formats and says what makes a new one; `scripts/convert.py` is the command.
"""

from stacked_lstm.checkpoints.formats import FORMATS, format_of
from stacked_lstm.checkpoints.layers import FoundLayer, Location, sizes
from stacked_lstm.checkpoints.reading import Checkpoint, read
from stacked_lstm.checkpoints.writing import Plan, carry_out, plan, write

__all__ = [
    "FORMATS",
    "Checkpoint",
    "FoundLayer",
    "Location",
    "Plan",
    "carry_out",
    "format_of",
    "plan",
    "read",
    "sizes",
    "write",
]
