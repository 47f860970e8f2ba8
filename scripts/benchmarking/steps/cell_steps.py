"""Contestants of cells: a TensorFlow loop of single calls, as old programs write it."""

from __future__ import annotations

import warnings
from typing import Any, Callable

import numpy as np

import peers
from benchmarking.steps.graphs import graph_step
from benchmarking.subjects.cells import CellAt
from benchmarking.subjects.shapes import Shape
from stacked_lstm.compat import tf


def step(names: str, cell_at: CellAt, x: np.ndarray, mode: str, device: str) -> Callable[[], Any]:
    """A step of T calls: each call reads its input and writes its output, and the next call reads its state.

    Args:
      names: function of `programs.names`, as "module:function".
      cell_at, x, mode, device: as for a contestant.
    """
    rnn = peers.load(names)().rnn

    def build(inputs: tf.Tensor, shape: Shape) -> tf.Tensor:
        inputs.set_shape([shape.steps, shape.batch, None])  # TensorFlow 2's LSTM op needs the number of sequences.
        cell = cell_at.make(rnn)
        series = tf.TensorArray(inputs.dtype, shape.steps).unstack(inputs)

        def call(t: tf.Tensor, state: Any, outputs: tf.TensorArray) -> tuple[tf.Tensor, Any, tf.TensorArray]:
            output, state = cell(series.read(t), state)
            return t + 1, state, outputs.write(t, output)

        start = tf.constant(0), cell.zero_state(shape.batch, inputs.dtype), tf.TensorArray(inputs.dtype, shape.steps)
        return tf.while_loop(lambda t, *_: t < shape.steps, call, start)[-1].stack()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # TensorFlow advises to use Keras' cells, which these are not.
        return graph_step(build, cell_at.shape, x, mode, device)
