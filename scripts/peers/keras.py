"""Keras 2's LSTM layers, of tf-keras or of TensorFlow 1, in a TF1 graph.

Keras 3 cannot build TF1 graphs; tests/parity/test_keras.py compares with it in a process of its own.
"""

from __future__ import annotations

import importlib
from typing import Any, Sequence

from stacked_lstm import LSTMState, parity
from stacked_lstm.compat import tf


def keras_2() -> tuple[Any, str]:
    """Returns (the module, its name and version).

    Raises:
      parity.PeerMissingError: tf-keras is not installed, and TensorFlow has no Keras 2 of its own.
    """
    try:
        module = importlib.import_module("tf_keras")
        return module, f"tf_keras {module.__version__}"
    except ImportError as error:
        if tf.__version__.startswith("1."):
            return tf.keras, f"tf.keras {tf.keras.__version__}"
        raise parity.PeerMissingError(
            f"--peer=keras needs the package tf-keras ({error}): pip install tf-keras"
        ) from error


def network() -> parity.PeerFactory:
    """Returns what `parity.Comparison` takes; raises as `keras_2`."""
    keras_2()
    return parity.graph_peer(build)


def build(
    hidden_sizes: Sequence[int],
    inputs: tf.Tensor,
    lengths: Any = None,
    initial_state: Sequence[LSTMState] | None = None,
    time_major: bool = False,
) -> parity.Recurrent:
    """Adds a stack of LSTM layers to the graph; sequence lengths become a mask. Raises as `keras_2`."""
    keras, source = keras_2()
    mask = None
    if lengths is not None:
        mask = tf.sequence_mask(lengths, tf.shape(inputs)[0 if time_major else 1])
        mask = tf.transpose(mask) if time_major else mask
    state, layers = [], []
    for k, size in enumerate(hidden_sizes):
        layer = keras.layers.LSTM(
            size,
            return_sequences=True,
            return_state=True,
            zero_output_for_mask=True,
            time_major=time_major,
            recurrent_activation="sigmoid",
            # TensorFlow draws no orthogonal matrices of bfloat16.
            recurrent_initializer="glorot_uniform" if inputs.dtype == tf.bfloat16 else "orthogonal",
            dtype=inputs.dtype.name,
        )
        start = None if initial_state is None else [initial_state[k].h, initial_state[k].c]
        inputs, h, c = layer(inputs, mask=mask, initial_state=start)
        state.append(LSTMState(c, h))
        layers.append(dict(zip(("kernel", "recurrent_kernel", "bias"), layer.weights)))
    return parity.Recurrent(inputs, state, layers, "keras", source)
