"""LSTM layers as loops that keep only what inference needs.

The loops of the `graph` engine keep the gates and the cell states of all steps for the backward pass. In inference, a
session leaves these series out. LiteRT does not: it copies each series at each step, even if nothing reads it. It also
copies the outputs of all steps at each step. That time grows with the square of the number of steps.

Therefore the steps are divided into blocks. The number of blocks is about that of the steps in a block. An outer loop
goes over the blocks, and only has the outputs of the last layer. In each block, all layers run one after the other. The
loop of a layer only has the outputs of the block.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Sequence

from stacked_lstm import checks
from stacked_lstm.compat import tf
from stacked_lstm.lstm import equations
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState


def run(
    layers: Sequence[Layer],
    x: tf.Tensor,
    states: Sequence[Any],
    lengths: tf.Tensor | None = None,
    has_outputs: bool = True,
) -> tuple[tf.Tensor | None, list[LSTMState]]:
    """Runs layers that have no other features than those that `portable` builds again.

    Args:
      layers, x, states, lengths: as for `Engine.run_layers`. The sizes of `x` are known.
      has_outputs: whether the outputs are needed. The states always are.

    Returns:
      What `Engine.run_layers` returns; None in place of the outputs without `has_outputs`.

    Raises:
      ValueError: the inputs have no time steps.
    """
    starts, steps = [LSTMState(*state) for state in states], x.shape.as_list()[0]
    if steps == 0:
        checks.fail("export.write", "layers with time steps in a TFLite file", "inputs without any")
    has_series = has_outputs or len(layers) > 1
    size = round(math.sqrt(steps)) if has_series else steps  # Of a block.
    if size == steps:
        return _run_block(layers, x, starts, lengths, has_outputs)
    count, shape = steps // size, x.shape.as_list()[1:]
    blocks = tf.reshape(tf.slice(x, [0, 0, 0], [count * size, *shape]), [count, size, *shape])

    def step(k: tf.Tensor, now: Sequence[LSTMState]) -> Any:
        left = None if lengths is None else lengths - k * size
        return _run_block(layers, tf.gather(blocks, k), now, left, has_outputs)

    outputs, finals = _loop(count, step, starts, x, [size, shape[0], layers[-1].output_size] if has_outputs else None)
    pieces = [tf.reshape(outputs, [count * size, shape[0], layers[-1].output_size])] if has_outputs else []
    if count * size < steps:
        left = None if lengths is None else lengths - count * size
        rest = tf.slice(x, [count * size, 0, 0], [steps - count * size, *shape])
        outputs, finals = _run_block(layers, rest, finals, left, has_outputs)
        pieces += [outputs] if has_outputs else []
    return tf.concat(pieces, axis=0) if has_outputs else None, finals


def _run_block(
    layers: Sequence[Layer], x: tf.Tensor, starts: Sequence[LSTMState], lengths: tf.Tensor | None, has_outputs: bool
) -> tuple[tf.Tensor | None, list[LSTMState]]:
    finals, series = [], x
    for k, (layer, start) in enumerate(zip(layers, starts)):
        series, final = _run_layer(layer, series, start, lengths, has_outputs or k < len(layers) - 1)
        finals.append(final)
    return series, finals


def _run_layer(
    layer: Layer, x: tf.Tensor, start: LSTMState, lengths: tf.Tensor | None, has_series: bool
) -> tuple[tf.Tensor | None, LSTMState]:
    recurrent, kernel, bias = layer.fused()
    steps, batch_size, _ = x.shape.as_list()
    product = tf.matmul(tf.reshape(x, [-1, layer.input_size]), kernel)  # Of all steps at once.
    product = product if bias is None else tf.nn.bias_add(product, bias)
    product = tf.reshape(product, [steps, batch_size, 4 * layer.hidden_size])

    def step(t: tf.Tensor, states: Sequence[LSTMState]) -> tuple[tf.Tensor, list[LSTMState]]:
        (state,) = states
        z = tf.gather(product, t) + tf.matmul(state.h, recurrent)  # product[t] takes LiteRT several times as long.
        new, _ = equations.step(z, state.c, layer.activation, layer.recurrent_activation, layer.extras, layer.norm)
        new = equations.zoneout(layer.noise, state, new)
        output = new.h
        if lengths is not None:
            is_valid = (t < lengths)[:, None]
            output = tf.where_v2(is_valid, output, tf.zeros_like(output))
            new = LSTMState(*[tf.where_v2(is_valid, *pair) for pair in zip(new, state)])
        return output, [new]

    series, (final,) = _loop(steps, step, [start], x, [batch_size, layer.output_size] if has_series else None)
    return series, final


def _loop(
    count: int,
    step: Callable[[tf.Tensor, Sequence[LSTMState]], Any],
    starts: Sequence[LSTMState],
    x: tf.Tensor,
    shape: Sequence[int] | None,
) -> tuple[tf.Tensor | None, list[LSTMState]]:
    """Calls `result, states = step(k, states)` for k from 0 to `count` - 1.

    Args:
      count, step: see above.
      starts: the first states.
      x: the inputs; any of their numbers fills the results before they are computed.
      shape: of a result; None if the results are not needed.

    Returns:
      (tensor [count, *shape] with all results, or None; list with the last states).
    """

    if count == 1:
        result, finals = step(tf.constant(0), starts)
        return (None if shape is None else result[None]), list(finals)

    def body(k: tf.Tensor, states: Sequence[LSTMState], series: Sequence[tf.Tensor]) -> Any:
        result, new = step(k, states)
        for pair, old_pair in zip(new, states):
            for part, old in zip(pair, old_pair):
                part.set_shape(old.shape)
        # The oldest result leaves. A TensorArray would become tensors of unknown size, which LiteRT copies more often.
        return k + 1, new, [tf.concat([tf.slice(old, *newest), result[None]], axis=0) for old in series]

    series = []
    if shape is not None:
        newest = [1] + [0] * len(shape), [count - 1, *shape]
        series = [tf.fill([count, *shape], x[0, 0, 0])]  # A constant would be in the file as often as it is here.
    _, finals, series = tf.while_loop(lambda k, *_: k < count, body, (tf.constant(0), list(starts), series))
    return (series[0] if series else None), finals
