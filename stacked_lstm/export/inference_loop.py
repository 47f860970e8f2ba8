"""LSTM layers as loops that keep only what inference needs.

The loops of the `graph` engine keep the gates and the cell states of all steps for the backward pass. In inference, a
session leaves these series out. LiteRT does not: it copies each series at each step, even if nothing reads it.
"""

from __future__ import annotations

from typing import Any, Sequence

from stacked_lstm import equations
from stacked_lstm.compat import tf
from stacked_lstm.layer import Layer
from stacked_lstm.state import LSTMState


def run(
    layers: Sequence[Layer],
    x: tf.Tensor,
    states: Sequence[Any],
    lengths: tf.Tensor | None = None,
    has_outputs: bool = True,
) -> tuple[tf.Tensor | None, list[LSTMState]]:
    """Runs plain layers, see `frozen.is_plain`.

    Args:
      layers, x, states, lengths: as for `Engine.run_layers`.
      has_outputs: whether the outputs are needed. The states always are.

    Returns:
      What `Engine.run_layers` returns; None in place of the outputs without `has_outputs`.
    """
    finals: list[LSTMState] = []
    series: Any = x
    for k, (layer, state) in enumerate(zip(layers, states)):
        has_series = has_outputs or k < len(layers) - 1
        series, final = _run_layer(layer, series, LSTMState(*state), lengths, has_series)
        finals.append(final)
    return series, finals


def _run_layer(
    layer: Layer, x: tf.Tensor, start: LSTMState, lengths: tf.Tensor | None, has_series: bool
) -> tuple[tf.Tensor | None, LSTMState]:
    recurrent, kernel, bias = layer.fused()
    sizes = tf.shape(x)
    product = tf.matmul(tf.reshape(x, [-1, layer.input_size]), kernel)  # Of all steps at once.
    product = product if bias is None else tf.nn.bias_add(product, bias)
    product = tf.reshape(product, tf.concat([sizes[:2], [4 * layer.hidden_size]], axis=0))

    def body(t: tf.Tensor, state: LSTMState, series: Any) -> Any:
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
        return t + 1, new, [array.write(t, output) for array in series]

    steps = x.shape.as_list()[0] or sizes[0]
    shape = [start.h.shape.as_list()[0], layer.output_size]
    series = [tf.TensorArray(x.dtype, size=steps, element_shape=shape)] if has_series else []
    loop = tf.while_loop(lambda t, *_: t < steps, body, (tf.constant(0), start, series), back_prop=False)
    _, final, series = loop
    return series[0].stack() if has_series else None, final
