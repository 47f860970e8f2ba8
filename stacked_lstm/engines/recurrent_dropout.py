"""Dropout on the states of layers.

With one mask for all steps, a step takes h * mask in the place of h. The next product is (h * mask) U, U being the rows
of the kernel for h. It equals h (mask * U), with the mask on the rows of U, so any engine can run it: the layer only
has another kernel. Two states need care. The initial state is not dropped out, so the first step runs by itself with
the layer's own kernel. The final state is dropped out after the last step. If a call has one step when the graph runs,
or if the mask is all ones, mask * U is not computed.

Masks that differ between steps, and masks on c or the candidate, are drawn here, and become the `Noise` of the layer.
The `native` and `graph` engines apply it. If layers read from the end, the mask after step t of the inputs is drawn at
step t, so that seeds give the same masks on each engine. Masks of the candidate are drawn in the order in which the
layer reads, as in TensorFlow.

Source: Gal and Ghahramani, A Theoretically Grounded Application of Dropout in Recurrent Neural Networks, NeurIPS 2016,
https://arxiv.org/abs/1512.05287
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Sequence

from stacked_lstm.compat import inside_function_or_control_flow, tf
from stacked_lstm.engines import padding
from stacked_lstm.lstm import dropout_masks
from stacked_lstm.lstm.conditional_product import multiply_if
from stacked_lstm.lstm.equations import masked
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState


def run(
    run_layers: Callable,
    layers: Sequence[Layer],
    x: tf.Tensor,
    states: Sequence[Any],
    lengths: tf.Tensor | None = None,
    starts_from_zeros: bool = False,
    from_end: bool = False,
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs layers that may have an `h_mask`, or masks that are still to be drawn, on an engine.

    Args:
      run_layers, layers, x, states, lengths: `Engine.run_layers` and its arguments.
      starts_from_zeros: bool, whether all states are zeros. The first step then needs no care.
      from_end: bool, whether `run_layers` is `Engine.run_from_end`. Default False.

    Returns:
      What `Engine.run_layers` returns.
    """
    layers = [_with_candidate_masks(layer, x, lengths, from_end) for layer in layers]
    draws_per_step = any(layer.draw_h_masks or layer.draw_c_masks for layer in layers)
    if not draws_per_step and all(layer.h_mask is None for layer in layers):
        return run_layers(layers, x, states, lengths)
    # One call runs all steps, because noise may have an entry per step, and another equation may draw masks itself.
    if draws_per_step or any(layer.noise.present or layer.step for layer in layers):
        return _run_with_mask_per_step(run_layers, layers, x, states, lengths, from_end)
    plain, is_one_step = [layer._replace(h_mask=None) for layer in layers], x.shape.as_list()[0] == 1
    if from_end and not (is_one_step or starts_from_zeros):  # The first steps are not in one slice of x.
        return _run_with_mask_per_step(run_layers, layers, x, states, lengths, from_end)
    if is_one_step:  # The product of masks and kernels would take longer.
        outputs, finals = run_layers(plain, x, states, lengths)
    elif starts_from_zeros:
        outputs, finals = run_layers(_with_masks_in_kernels(layers, x), x, states, lengths)
    else:
        masked_layers = _with_masks_in_kernels(layers, x)
        parts = (None, None) if lengths is None else (tf.minimum(lengths, 1), tf.maximum(lengths - 1, 0))
        first_output, first_states = run_layers(plain, x[:1], states, parts[0])
        later_outputs, finals = run_layers(masked_layers, x[1:], first_states, parts[1])
        outputs = tf.concat([first_output, later_outputs], axis=0)
    steps = padding.lengths_or_all_steps(lengths, x)
    return outputs, [
        final if layer.h_mask is None else LSTMState(final.c, tf.where(steps > 0, final.h * layer.h_mask, final.h))
        for final, layer in zip(finals, layers)
    ]


def _with_masks_in_kernels(layers: Sequence[Layer], x: tf.Tensor) -> list[Layer]:
    """Returns layers with their `h_mask` in their kernels, for x [T, B, I]. A single step needs no mask."""
    if inside_function_or_control_flow():  # XLA may compile it, with both branches.
        return [layer.with_mask_in_kernel(tf.multiply) for layer in layers]
    masks = [layer.h_mask for layer in layers if layer.h_mask is not None]
    drops = tf.reduce_any([tf.reduce_any(tf.not_equal(mask, tf.ones([], mask.dtype))) for mask in masks])
    is_needed = tf.logical_and(drops, tf.shape(x)[0] > 1)
    multiply = functools.partial(multiply_if, is_needed)
    return [layer.with_mask_in_kernel(multiply) for layer in layers]


def _with_candidate_masks(layer: Layer, x: tf.Tensor, lengths: tf.Tensor | None, from_end: bool) -> Layer:
    """Returns the layer with the masks of its candidate. As in TensorFlow's loop, steps past all ends draw no masks."""
    if layer.draw_candidate_masks is None:
        return layer
    noise = layer.noise
    steps, trims = tf.shape(x)[0], lengths is not None and not inside_function_or_control_flow()
    drawn_steps = tf.shape(padding.trim(x, lengths))[0] if trims else steps
    masks = layer.draw_candidate_masks(tf.stack([drawn_steps, tf.shape(x)[1], layer.hidden_size]))
    masks = padding.untrim(masks, steps) if trims else masks
    masks = padding.reverse(masks, lengths, time_major=True) if from_end else masks
    masks.set_shape([*x.shape.as_list()[:2], layer.hidden_size])
    return layer._replace(draw_candidate_masks=None, noise=noise._replace(candidate=masked(masks, noise.candidate)))


def _run_with_mask_per_step(
    run_layers: Callable,
    layers: Sequence[Layer],
    x: tf.Tensor,
    states: Sequence[Any],
    lengths: tf.Tensor | None,
    from_end: bool,
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Draws the masks, and applies those after the last step to the final states."""
    masked_layers, masks_at_end = [], []
    before = slice(1, None) if from_end else slice(None, -1)
    for layer, (c, h) in zip(layers, states):
        h_masks = _masks(layer.draw_h_masks, x, h, layer.h_mask)
        c_masks = _masks(layer.draw_c_masks, x, c)
        if from_end:
            h_masks, c_masks = _after_steps(h_masks, lengths), _after_steps(c_masks, lengths)
        noise = layer.noise
        if h_masks is not None:
            noise = noise._replace(recurrent=masked(h_masks[before], noise.recurrent))
        if c_masks is not None:
            noise = noise._replace(cell=masked(c_masks[before], noise.cell))
        masked_layers.append(layer._replace(h_mask=None, draw_h_masks=None, draw_c_masks=None, noise=noise))
        masks_at_end.append((c_masks, h_masks))
    outputs, finals = run_layers(masked_layers, x, states, lengths)
    pairs = [zip(final, masks) for final, masks in zip(finals, masks_at_end)]
    drop = functools.partial(_drop_at_end, lengths=lengths, from_end=from_end)
    return outputs, [LSTMState(*[drop(part, masks) for part, masks in pair]) for pair in pairs]


def _masks(
    draw: Callable | None, x: tf.Tensor, state: tf.Tensor, mask_of_all_steps: tf.Tensor | None = None
) -> tf.Tensor | None:
    """Returns masks [T + 1, B, N] for a state [B, N]; None if there is nothing to drop.

    Entry t multiplies the state before step t, which is the one after step t - 1. Nothing is dropped before the first
    step.
    """
    if draw is None and mask_of_all_steps is None:
        return None
    shape = tf.stack([tf.shape(x)[0], tf.shape(x)[1], state.shape.as_list()[1]])
    parts = [] if draw is None else [draw(shape)]
    if mask_of_all_steps is not None:
        parts.append(dropout_masks.after_ones(tf.ones(shape, state.dtype) * mask_of_all_steps))
    masks = parts[0] if len(parts) == 1 else parts[0] * parts[1]
    masks.set_shape(tf.TensorShape([None]).concatenate(state.shape))
    return masks


def _after_steps(masks: tf.Tensor | None, lengths: tf.Tensor | None) -> tf.Tensor | None:
    """Returns what `_masks` returned for layers that read from the end.

    Entry t multiplies the state after step t, which step t - 1 reads. The entry at the end of a sequence has ones.
    """
    if masks is None:
        return None
    after = tf.concat([masks[1:], masks[:1]], axis=0)
    after = after if lengths is None else padding.ones_at_end(after, lengths)
    after.set_shape(masks.shape)
    return after


def _drop_at_end(state: tf.Tensor, masks: tf.Tensor | None, lengths: tf.Tensor | None, from_end: bool) -> tf.Tensor:
    """Returns a state [B, N] after the last step that is read, times the mask after this step."""
    if masks is None:
        return state
    if from_end:
        return state * masks[0]
    return state * (masks[-1] if lengths is None else padding.entry_at_end(masks, lengths))
