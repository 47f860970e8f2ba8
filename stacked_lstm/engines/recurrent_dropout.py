"""Dropout on the hidden states of layers.

With one mask for all steps, a step takes h * mask in the place of h. The next product is (h * mask) U, U being the rows
of the kernel for h. It equals h (mask * U), with the mask on the rows of U, so any engine can run it: the layer only
has another kernel. Two states need care. The initial state is not dropped out, so the first step runs by itself with
the layer's own kernel. The final state is dropped out after the last step.

Masks that differ between steps stay with the layer, and the `graph` engine applies them.

Source: Gal and Ghahramani, A Theoretically Grounded Application of Dropout in Recurrent Neural Networks, NeurIPS 2016,
https://arxiv.org/abs/1512.05287
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.equations import Noise
from stacked_lstm.layer import Layer
from stacked_lstm.state import LSTMState


def run(
    run_layers: Callable,
    layers: Sequence[Layer],
    x: tf.Tensor,
    states: Sequence[Any],
    lengths: tf.Tensor | None = None,
    starts_from_zeros: bool = False,
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs layers that may have an `h_mask` or `h_masks` on an engine.

    Args:
      run_layers, layers, x, states, lengths: `Engine.run_layers` and its arguments.
      starts_from_zeros: bool, whether all states are zeros. The first step then needs no care.

    Returns:
      What `Engine.run_layers` returns.
    """
    if all(layer.h_mask is None and layer.h_masks is None for layer in layers):
        return run_layers(layers, x, states, lengths)
    # A step of another equation may draw masks itself, which are right only if one loop runs all steps.
    if any(layer.h_masks is not None or layer.step for layer in layers):
        return _run_with_mask_per_step(run_layers, layers, x, states, lengths)
    masked = [layer.with_mask_in_kernel() for layer in layers]
    if starts_from_zeros:
        outputs, finals = run_layers(masked, x, states, lengths)
    else:
        plain = [layer._replace(h_mask=None) for layer in layers]
        in_first, in_others = (None, None) if lengths is None else (tf.minimum(lengths, 1), tf.maximum(lengths - 1, 0))
        first, states_after_first = run_layers(plain, x[:1], states, in_first)
        others, finals = run_layers(masked, x[1:], states_after_first, in_others)
        outputs = tf.concat([first, others], axis=0)
    steps = tf.fill(tf.shape(x)[1:2], tf.shape(x)[0]) if lengths is None else lengths
    return outputs, [
        final if layer.h_mask is None else LSTMState(final.c, tf.where(steps > 0, final.h * layer.h_mask, final.h))
        for final, layer in zip(finals, layers)
    ]


def _run_with_mask_per_step(
    run_layers: Callable, layers: Sequence[Layer], x: tf.Tensor, states: Sequence[Any], lengths: tf.Tensor | None
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Draws the masks. The one after step t is the one before step t + 1; nothing is dropped before the first step."""
    masked, after_last_step = [], []
    for layer, (_, h) in zip(layers, states):
        shape = tf.stack([tf.shape(x)[0], tf.shape(x)[1], layer.output_size])
        masks = tf.ones(shape, layer.dtype) if layer.h_masks is None else layer.h_masks(shape)
        masks = masks if layer.h_mask is None else masks * layer.h_mask
        masks = tf.concat([tf.ones_like(masks[:1]), masks], axis=0)
        masks.set_shape(tf.TensorShape([None]).concatenate(h.shape))
        masked.append(layer._replace(h_mask=None, h_masks=None, noise=Noise(recurrent=masks[:-1])))
        after_last_step.append(masks[-1] if lengths is None else padding.entry_at_end(masks, lengths))
    outputs, finals = run_layers(masked, x, states, lengths)
    return outputs, [LSTMState(final.c, final.h * mask) for final, mask in zip(finals, after_last_step)]
