"""Contestants of options that are TensorFlow graphs. Masks are random in each training step, and off in inference."""

from __future__ import annotations

import functools
from typing import Any, Callable

import numpy as np

import peers
from benchmarking.steps.graphs import engine_step, fed, graph_step
from benchmarking.subjects.options import CLIP, FED_ONE, RATE, OptionAt
from benchmarking.subjects.shapes import Shape
from shared import environment
from stacked_lstm import BidirectionalLSTM, StackedLSTM, engines
from stacked_lstm.compat import tf

_CELLS = "programs.names:stacked_lstm_names"
# Option -> class. The other options are those of StackedLSTM.
_LSTMS: dict[str, Any] = {"bidirectional": BidirectionalLSTM, "bidirectional_stacks": BidirectionalLSTM}


def plain_step(
    engines_by_device: dict[str, str], option: OptionAt, x: np.ndarray, mode: str, device: str
) -> Callable[[], Any]:
    """StackedLSTM without the option, with the engine of the device; for `FED_ONE`, cells without a wrapper."""
    if option.name == FED_ONE:
        return cells_step(_CELLS, engines_by_device[device], option._replace(name="plain"), x, mode, device)
    return engine_step(engines_by_device[device], option.shape, x, mode, device)


def lstm_step(engine: str, option: OptionAt, x: np.ndarray, mode: str, device: str) -> Callable[[], Any]:
    """StackedLSTM with the option, with an engine; for `FED_ONE`, cells in wrappers."""
    if option.name == FED_ONE:
        return cells_step(_CELLS, engine, option, x, mode, device)

    def build(inputs: tf.Tensor, shape: Shape) -> tf.Tensor:
        make, sizes = _LSTMS.get(option.name, StackedLSTM), [shape.hidden_size] * shape.layers
        lstm = make(sizes, engine=engine, dtype=inputs.dtype, **option.arguments())
        reset = None
        if option.name == "reset":
            reset = tf.constant(np.random.RandomState(0).uniform(size=[shape.steps, shape.batch]) < 0.1)
        return lstm(inputs, time_major=True, training=mode == "training", reset=reset)[0]

    return graph_step(build, option.shape, x, mode, device)


def keras_step(option: OptionAt, x: np.ndarray, mode: str, device: str) -> Callable[[], Any]:
    """Keras 2's LSTM layers. They have the names of our options; `dropout` there drops a layer's inputs."""
    from peers.keras import keras_2

    layers = keras_2()[0].layers

    def build(inputs: tf.Tensor, shape: Shape) -> tf.Tensor:
        common = {"return_sequences": True, "time_major": True, "dtype": inputs.dtype.name}
        for k in range(shape.layers):
            arguments = option.arguments()
            if option.name == "dropout":
                arguments = {"dropout": RATE} if _is_dropped(k, shape) else {}
            layer = layers.LSTM(shape.hidden_size, **common, **arguments)
            layer = layers.Bidirectional(layer) if option.name == "bidirectional" else layer
            inputs = layer(inputs, training=mode == "training")
        return inputs

    return graph_step(build, option.shape, x, mode, device)


def cells_step(names: str, engine: str, option: OptionAt, x: np.ndarray, mode: str, device: str) -> Callable[[], Any]:
    """Cells, wrappers and loops: the package's with an engine, or TensorFlow 1.15's.

    Args:
      names: function of `programs.names`, as "module:function".
      engine: for the environment, which the package's loops read; "" for TensorFlow's.
      option, x, mode, device: as for a contestant.
    """
    rnn = peers.load(names)().rnn

    def build(inputs: tf.Tensor, shape: Shape) -> tf.Tensor:
        if option.name == "bidirectional":
            for k in range(shape.layers):
                pair = [rnn.BasicLSTMCell(shape.hidden_size) for _ in range(2)]
                outputs, _ = rnn.bidirectional_dynamic_rnn(
                    *pair, inputs, dtype=inputs.dtype, time_major=True, scope=f"layer{k}"
                )
                inputs = tf.concat(outputs, 2)
            return inputs
        keep_prob = fed(1.0) if option.name == FED_ONE else 1 - RATE if mode == "training" else 1.0
        cell = rnn.MultiRNNCell([_cell(rnn, option, keep_prob, k, inputs.dtype) for k in range(shape.layers)])
        return rnn.dynamic_rnn(cell, inputs, dtype=inputs.dtype, time_major=True)[0]

    with environment.variable(engines.ENVIRONMENT_VARIABLE, engine):
        return graph_step(build, option.shape, x, mode, device)


def _cell(rnn: Any, option: OptionAt, keep_prob: Any, layer: int, dtype: tf.DType) -> Any:
    """A cell of a layer, in the wrapper that has the option. `keep_prob` is that of dropout."""
    shape = option.shape
    size, width = shape.hidden_size, shape.hidden_size if layer else shape.input_size
    classes = rnn.BasicLSTMCell, rnn.LSTMCell, rnn.LayerNormBasicLSTMCell
    basic, lstm, normalized = (functools.partial(cell, size) for cell in classes)
    variational = {"state_keep_prob": keep_prob, "variational_recurrent": True, "input_size": width, "dtype": dtype}
    dropped = functools.partial(rnn.DropoutWrapper, input_keep_prob=keep_prob)
    makers = {
        "plain": basic,
        "dropout": lambda: dropped(basic()) if _is_dropped(layer, shape) else basic(),
        FED_ONE: lambda: rnn.DropoutWrapper(basic(), keep_prob, keep_prob, keep_prob),
        "recurrent_dropout": lambda: rnn.DropoutWrapper(basic(), **variational),
        "recurrent_dropout_candidate": lambda: normalized(layer_norm=False, dropout_keep_prob=keep_prob),
        "layer_norm": normalized,
        "layer_norm_dropout": lambda: normalized(dropout_keep_prob=keep_prob),
        "residual": lambda: rnn.ResidualWrapper(basic()),
        "peepholes": lambda: lstm(use_peepholes=True),
        "projection": lambda: lstm(num_proj=option.arguments()["projection_size"]),
        "clips": lambda: lstm(cell_clip=CLIP),
        "activation": lambda: basic(activation=tf.nn.relu),
    }
    return makers[option.name]()


def _is_dropped(layer: int, shape: Shape) -> bool:
    """Whether dropout between layers drops the inputs of a layer: not of the first one, unless it is the only one."""
    return layer > 0 or shape.layers == 1
