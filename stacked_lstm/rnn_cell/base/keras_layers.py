"""Refuses Keras' layer RNN, which does not track the variables of the cells in this package."""

from __future__ import annotations

import sys
from types import FrameType

# The last part of the names of the modules that define the layer in Keras 3, tf-keras and TensorFlow 1.15.
_MODULES = ("rnn", "base_rnn", "recurrent")

_FRAMES = 6  # Between Keras' code and the method of a cell are at most the methods of subclasses and wrappers.


def refuse(cell: str) -> None:
    """Raises TypeError if Keras' layer RNN calls the method that calls this function.

    Args:
      cell: the name of the class of the cell, for the message.
    """
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_FRAMES):
        if frame is None:
            return
        parts = frame.f_globals.get("__name__", "").split(".")
        if parts[-1] in _MODULES and "layers" in parts and ("keras" in parts or "tf_keras" in parts):
            raise TypeError(
                f"{cell}: Keras' layer RNN does not find the variables of this cell, so it can neither initialize nor "
                "train them; call rnn_cell.dynamic_rnn(cell, inputs, dtype=tf.float32) instead"
            )
        frame = frame.f_back
