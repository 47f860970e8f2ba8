"""A stack on the engine: groups of layers.

The engine cuts a stack into groups of layers and runs one loop over time for each group. A wide layer has a loop of its
own, because its input product, half of its work, is then one GEMM over all T x B rows before the loop. Layers so narrow
that TensorFlow's dispatch of ops takes most of a step share a loop, where the executor overlaps them.
"""

from __future__ import annotations

import functools
from typing import Any, Sequence

from stacked_lstm.compat import inside_function_or_control_flow, tf
from stacked_lstm.engines import padding
from stacked_lstm.engines.engine import Engine
from stacked_lstm.engines.graph import recurrence
from stacked_lstm.engines.graph.group_layer import GroupLayer
from stacked_lstm.lstm.equations import Noise, is_series
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState

# Layers whose fused kernel has at most this many entries (1 MB in float32, about a core's L2 cache) share a loop.
_SHARED_LOOP_ENTRIES = 2**18

# The inputs of a group's first layer go through the loop if the layer is at least this many times wider than they are.
# A slightly wider recurrent product then costs less than writing and reading [T, B, 4H].
_NARROW_INPUT = 4


def run(
    layers: Sequence[Layer], x: tf.Tensor, states: Sequence[Any], lengths: tf.Tensor | None = None
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs layers; see `Engine.run_layers`."""
    steps, x = tf.shape(x)[0], padding.zero_past_end(x, lengths)
    layers = [_with_mask_per_step(layer, steps) for layer in layers]
    # XLA may compile what is inside functions and loops, and it has no sizes that depend on values.
    trim = lengths is not None and not inside_function_or_control_flow()
    if trim:
        x = padding.trim(x, lengths)
        layers = [_trim_masks(layer, lengths) for layer in layers]
    finals: list[LSTMState] = []
    for size in _group_sizes(layers):
        first = len(finals)
        inputs, group = _prepare(layers[first : first + size], x)
        group_states = [LSTMState(*state) for state in states[first : first + size]]
        x, group_finals = recurrence.run(inputs, group, group_states, lengths)
        finals += group_finals
    if trim:
        x = padding.untrim(x, steps)
    return x, finals


ENGINE = Engine("graph", run)


def _group_sizes(layers: Sequence[Layer]) -> list[int]:
    """The number of successive layers in each loop."""
    sizes: list[int] = []
    previous_is_narrow = False
    for layer in layers:
        is_narrow = 4 * layer.hidden_size * (layer.output_size + layer.input_size) <= _SHARED_LOOP_ENTRIES
        if is_narrow and previous_is_narrow:
            sizes[-1] += 1
        else:
            sizes.append(1)
        previous_is_narrow = is_narrow
    return sizes


def _with_mask_per_step(layer: Layer, steps: tf.Tensor) -> Layer:
    """Returns a layer with an entry per step in its mask of h, if the gradient of the step is written by hand."""
    mask = layer.noise.recurrent
    if mask is None or is_series(mask) or len(layer.noise.present) > 1 or layer.norm or layer.resets:
        return layer
    return layer._replace(noise=Noise(mask * tf.ones(tf.stack([steps, 1, 1]), mask.dtype)))


def _trim_masks(layer: Layer, lengths: tf.Tensor) -> Layer:
    """Returns the layer with the masks of states of the steps that run."""

    def trim(mask: tf.Tensor | None) -> tf.Tensor | None:
        return padding.trim(mask, lengths) if is_series(mask) else mask

    noise = layer.noise
    return layer._replace(noise=noise._replace(recurrent=trim(noise.recurrent), cell=trim(noise.cell)))


def _prepare(layers: Sequence[Layer], x: tf.Tensor) -> tuple[tf.Tensor, list[GroupLayer]]:
    """Returns the inputs of a group's loop, or their product, and the `GroupLayer`s."""
    group = []
    for k, layer in enumerate(layers):
        kernel, inputs, bias = layer.fused()
        has_input_product = k == 0 and layer.input_size * _NARROW_INPUT > layer.hidden_size
        if has_input_product:
            x = _input_product(x, inputs, bias)
        else:
            kernel = tf.concat([kernel, inputs] + ([] if bias is None else [bias[None]]), axis=0)
        group.append(
            GroupLayer(
                kernel,
                has_input_product=has_input_product,
                has_bias=bias is not None and not has_input_product,
                activation=layer.activation,
                recurrent_activation=layer.recurrent_activation,
                extras=layer.extras,
                step=functools.partial(layer.step, layer=layer) if layer.step else None,
                norm=layer.norm,
                noise=layer.noise,
                resets=layer.resets,
            )
        )
    return x, group


def _input_product(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """x W + b of all steps, [T, B, 4H], in one GEMM."""
    product = tf.matmul(tf.reshape(x, [-1, kernel.shape.as_list()[0]]), kernel)
    if bias is not None:
        product = tf.nn.bias_add(product, bias)
    return tf.reshape(product, tf.concat([tf.shape(x)[:2], kernel.shape.as_list()[1:]], axis=0))
