"""LSTM layers as loops that keep only what inference needs.

LiteRT copies a loop's series at each step. The loops of the `graph` engine also keep the gates and the cell states of
all steps for the backward pass, which a session leaves out of inference, but LiteRT does not.
"""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm import equations
from stacked_lstm.compat import tf
from stacked_lstm.layer import Layer
from stacked_lstm.state import LSTMState


def run(
    layers: Sequence[Layer], x: tf.Tensor, states: Sequence[Any], lengths: tf.Tensor | None = None
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs plain layers, see `frozen.is_plain`; the arguments and results are those of `Engine.run_layers`."""
    finals = []
    for layer, state in zip(layers, states):
        x, final = _run_layer(layer, x, LSTMState(*state), lengths)
        finals.append(final)
    return x, finals


def _run_layer(layer: Layer, x: tf.Tensor, start: LSTMState, lengths: tf.Tensor | None) -> tuple[tf.Tensor, LSTMState]:
    recurrent, kernel, bias = layer.fused()
    shape = tf.shape(x)
    product = tf.matmul(tf.reshape(x, [-1, layer.input_size]), kernel)  # Of all steps at once.
    product = product if bias is None else tf.nn.bias_add(product, bias)
    product = tf.reshape(product, tf.concat([shape[:2], [4 * layer.hidden_size]], axis=0))

    def body(t: tf.Tensor, state: LSTMState, series: tf.TensorArray) -> Any:
        z = product[t] + tf.matmul(state.h, recurrent)
        z.set_shape([None, 4 * layer.hidden_size])
        new, _ = equations.step(z, state.c, layer.activation, layer.recurrent_activation, layer.extras)
        output = new.h
        if lengths is not None:
            is_valid = (t < lengths)[:, None]
            output = tf.where_v2(is_valid, output, tf.zeros_like(output))
            new = LSTMState(*[tf.where_v2(is_valid, *pair) for pair in zip(new, state)])
        for part, old in zip(new, state):
            part.set_shape(old.shape)
        return t + 1, new, series.write(t, output)

    steps = x.shape.as_list()[0] or shape[0]
    series = tf.TensorArray(x.dtype, size=steps, element_shape=[start.h.shape.as_list()[0], layer.output_size])
    loop = tf.while_loop(lambda t, *_: t < steps, body, (tf.constant(0), start, series), back_prop=False)
    _, final, series = loop
    return series.stack(), final
