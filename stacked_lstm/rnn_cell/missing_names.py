"""What the package says about names of TensorFlow 1.15 that it does not have."""

from __future__ import annotations

import difflib
from typing import Sequence

# Names -> what to use instead.
_REMARKS = {
    ("CudnnGRU", "CudnnCompatibleGRUCell"): (
        "GRUCell is another equation, which resets the state before the product, so it cannot use the weights of "
        "cuDNN's GRU; a new model can use it"
    ),
    ("CudnnRNNTanh", "CudnnRNNRelu"): "A new model can use BasicRNNCell, which does not restore its checkpoints",
    ("raw_rnn", "static_state_saving_rnn"): "It is in tf.nn and runs these cells",
    (
        "BahdanauAttention",
        "LuongAttention",
        "AttentionWrapper",
    ): "The folder's README.md says how to move a copy of tf.contrib.seq2seq",
}


def message(name: str, names: Sequence[str]) -> str:
    """Returns the message for a name that the module does not have.

    Args:
      name: str, the name.
      names: list of str, the names that the module has.
    """
    remark = next((remark for keys, remark in _REMARKS.items() if name in keys), None)
    if remark is None:
        similar = difflib.get_close_matches(name, names, 3)
        advice = f"Similar names are {', '.join(similar)}" if similar else "stacked_lstm.rnn_cell.__all__ has its names"
        remark = f"{advice}. A cell of TensorFlow's or of your own runs in its loops as it is"
    return f"stacked_lstm.rnn_cell has no {name}. {remark}."


def decoder_message(module: str, name: str) -> str:
    """Returns the message for a name, maybe of a decoder, that a module of `stacked_lstm.contrib` does not have."""
    folder = module.replace("stacked_lstm", "tensorflow_core").replace(".", "/")
    return (
        f"{module} has no {name}. Copy {folder}/python/ops of TensorFlow 1.15, "
        "run stacked-lstm-migrate on the copy, and import that."
    )
