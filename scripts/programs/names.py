"""Cells and loops under the names of TensorFlow 1: this package's, or TensorFlow's own.

A program gets `Names` and takes cells and loops from it:

    cell = names.rnn.BasicLSTMCell(200)
    outputs, state = names.rnn.dynamic_rnn(cell, inputs, dtype=tf.float32)
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any, NamedTuple


class Names(NamedTuple):
    """Where a program finds what TensorFlow 1.15 has in several modules.

    Fields:
      rnn: cells, wrappers and loops, also `rnn_decoder`.
      seq2seq, legacy_seq2seq, crf: the modules of `tf.contrib`.
    """

    rnn: Any
    seq2seq: Any
    legacy_seq2seq: Any
    crf: Any


def stacked_lstm_names() -> Names:
    """The names in this package."""
    from stacked_lstm import rnn_cell
    from stacked_lstm.contrib import crf, legacy_seq2seq, seq2seq

    return Names(rnn_cell, seq2seq, legacy_seq2seq, crf)


def tensorflow_names() -> Names:
    """The names in TensorFlow 1.15."""
    import tensorflow as tf

    contrib = tf.contrib
    rnn = _FirstOf(tf.nn.rnn_cell, contrib.rnn, contrib.cudnn_rnn, tf.nn, contrib.legacy_seq2seq)
    return Names(rnn, contrib.seq2seq, contrib.legacy_seq2seq, contrib.crf)


def tensorflow_cells() -> Names:
    """TensorFlow's own cells: with `tf.contrib` all names, else only `rnn`."""
    if has_contrib():
        return tensorflow_names()
    from stacked_lstm import parity

    return Names(parity.rnn_cell()[0], None, None, None)


class _FirstOf:
    """The attributes of several modules; the first module that has a name counts."""

    def __init__(self, *modules: Any) -> None:
        self._modules = modules

    def __getattr__(self, name: str) -> Any:
        for module in self._modules:
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"TensorFlow has no {name} for cells")


def has_contrib() -> bool:
    """Whether the installed TensorFlow has `tf.contrib`, as versions before 2 do. TensorFlow is not imported."""
    specs = [importlib.util.find_spec(package) for package in ("tensorflow", "tensorflow_core")]
    folders = [os.path.dirname(spec.origin) for spec in specs if spec and spec.origin]
    return any(os.path.isdir(os.path.join(folder, "contrib")) for folder in folders)
