"""Contestants of options that are TensorFlow graphs. Masks are random in each training step."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from benchmarking.graphs import graph_step
from benchmarking.options import CLIP, RATE, OptionAt
from benchmarking.shapes import Shape
from programs.names import stacked_lstm_names, tensorflow_names
from shared import environment
from stacked_lstm import BidirectionalLSTM, StackedLSTM, engines
from stacked_lstm.compat import tf


def lstm_step(engine: str, is_plain: bool, option: OptionAt, *arguments: Any) -> Callable[[], Any]:
    """StackedLSTM with an engine, with the option or, if `is_plain`, without."""

    def build(inputs: tf.Tensor, shape: Shape) -> tf.Tensor:
        sizes, common = [shape.hidden_size] * shape.layers, {"engine": engine, "dtype": inputs.dtype}
        if is_plain:
            return StackedLSTM(sizes, **common)(inputs, time_major=True)[0]
        if option.name.startswith("bidirectional"):
            return BidirectionalLSTM(sizes, **common, **option.arguments())(inputs, time_major=True)[0]
        reset = None
        if option.name == "reset":
            reset = tf.constant(np.random.RandomState(0).uniform(size=[shape.steps, shape.batch]) < 0.1)
        lstm = StackedLSTM(sizes, **common, **option.arguments())
        return lstm(inputs, time_major=True, training=True, reset=reset)[0]

    return graph_step(build, option.shape, *arguments)


def keras_step(option: OptionAt, *arguments: Any) -> Callable[[], Any]:
    """Keras 2's LSTM layers; `dropout` there drops a layer's inputs."""
    from peers.keras import keras_2

    layers = keras_2()[0].layers

    def build(inputs: tf.Tensor, shape: Shape) -> tf.Tensor:
        for k in range(shape.layers):
            is_dropped = option.name == "dropout" and (k > 0 or shape.layers == 1)
            layer = layers.LSTM(
                shape.hidden_size,
                return_sequences=True,
                time_major=True,
                dropout=RATE if is_dropped else 0.0,
                recurrent_dropout=RATE if option.name == "recurrent_dropout" else 0.0,
                dtype=inputs.dtype.name,
            )
            layer = layers.Bidirectional(layer) if option.name == "bidirectional" else layer
            inputs = layer(inputs, training=True)
        return inputs

    return graph_step(build, option.shape, *arguments)


def cells_step(contestant: str, option: OptionAt, *arguments: Any) -> Callable[[], Any]:
    """Cells and wrappers in TensorFlow's loop: the package's ("stepwise") or TensorFlow 1.15's ("tensorflow")."""
    is_package = contestant == "stepwise"
    rnn = (stacked_lstm_names() if is_package else tensorflow_names()).rnn

    def build(inputs: tf.Tensor, shape: Shape) -> tf.Tensor:
        if option.name == "bidirectional":
            for k in range(shape.layers):
                pair = [rnn.BasicLSTMCell(shape.hidden_size) for _ in range(2)]
                outputs, _ = rnn.bidirectional_dynamic_rnn(
                    *pair, inputs, dtype=inputs.dtype, time_major=True, scope=f"layer{k}"
                )
                inputs = tf.concat(outputs, 2)
            return inputs
        cell = rnn.MultiRNNCell([_cell(rnn, option, k, inputs.dtype) for k in range(shape.layers)])
        return rnn.dynamic_rnn(cell, inputs, dtype=inputs.dtype, time_major=True)[0]

    with environment.variable(engines.ENVIRONMENT_VARIABLE, "stepwise" if is_package else ""):
        return graph_step(build, option.shape, *arguments)


def _cell(rnn: Any, option: OptionAt, layer: int, dtype: tf.DType) -> Any:
    size, name, settings = option.shape.hidden_size, option.name, option.arguments()
    if name in ("layer_norm", "layer_norm_dropout", "recurrent_dropout_candidate"):
        keep = 1 - settings.get("recurrent_dropout", 0.0)
        return rnn.LayerNormBasicLSTMCell(size, layer_norm="layer_norm" in settings, dropout_keep_prob=keep)
    if name in ("peepholes", "projection", "clips"):
        clip = CLIP if name == "clips" else None
        projection = settings.get("projection_size")
        return rnn.LSTMCell(size, use_peepholes=name == "peepholes", num_proj=projection, cell_clip=clip)
    cell = rnn.BasicLSTMCell(size)
    if name == "residual":
        return rnn.ResidualWrapper(cell)
    if name == "recurrent_dropout":
        width = size if layer else option.shape.input_size
        return rnn.DropoutWrapper(
            cell, state_keep_prob=1 - RATE, variational_recurrent=True, input_size=width, dtype=dtype
        )
    is_dropped = layer > 0 or option.shape.layers == 1
    return rnn.DropoutWrapper(cell, input_keep_prob=1 - RATE) if is_dropped else cell
