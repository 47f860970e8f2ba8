"""Two stacks that read the same inputs, the second one from the end of each sequence to its start.

Their layers are in one list. The last `from_end` of them are the second stack. Step t of the results belongs to step t
of the inputs, and so does entry t of the layers' masks, shares and resets. The outputs of both stacks are side by side.
If `from_end` is 0 or counts all layers, there is one stack.
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

from stacked_lstm.compat import tf
from stacked_lstm.engines import padding
from stacked_lstm.lstm.equations import Noise, Resets, is_series
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.state import LSTMState


def run(
    run_layers: Callable,
    layers: Sequence[Layer],
    x: tf.Tensor,
    states: Sequence[Any],
    lengths: tf.Tensor | None,
    from_end: int,
) -> tuple[tf.Tensor, list[LSTMState]]:
    """Runs both stacks on an engine that only reads from the start.

    The inputs and the outputs of the second stack are reversed, and the series of its layers.

    Args:
      run_layers, layers, x, states, lengths: `Engine.run_layers` and its arguments. The layers may have masks that are
        still to be drawn, if `run_layers` draws them.
      from_end: int, the number of layers in the second stack.

    Returns:
      (outputs [T, B, P], or [T, B, P_1 + P_2] of two stacks; list of final states, one per layer).
    """
    first = len(layers) - from_end
    outputs, finals = [], []
    if first:
        y, stack_finals = run_layers(layers[:first], x, states[:first], lengths)
        outputs.append(y)
        finals += stack_finals
    if from_end:
        reversed_x = padding.reverse(x, lengths, time_major=True)
        reversed_layers = [_with_reversed_series(layer, lengths) for layer in layers[first:]]
        y, stack_finals = run_layers(reversed_layers, reversed_x, states[first:], lengths)
        outputs.append(padding.reverse(y, lengths, time_major=True))
        finals += stack_finals
    return outputs[0] if len(outputs) == 1 else tf.concat(outputs, axis=2), finals


def _with_reversed_series(layer: Layer, lengths: tf.Tensor | None) -> Layer:
    """Returns a layer for reversed inputs: what has an entry per step is reversed, too.

    Masks of the candidate that are still to be drawn stay: they are in the order in which the layer reads.
    """

    def reverse(value: Any) -> Any:
        return padding.reverse(value, lengths, time_major=True) if is_series(value) else value

    def reverse_after_ones(draw: Callable | None) -> Callable | None:
        """Of masks of states that are still to be drawn. Their first row has ones; see `Layer.draw_h_masks`."""
        if draw is None:
            return None

        def reversed_draw(shape: tf.Tensor) -> tf.Tensor:
            masks = draw(shape)
            return tf.concat([masks[:1], padding.reverse(masks[1:], lengths, time_major=True)], axis=0)

        return reversed_draw

    resets = layer.resets
    if resets:
        is_reset = padding.reverse(resets.is_reset, lengths, time_major=True)
        resets = Resets(is_reset, LSTMState(*map(reverse, resets.start)))
    return layer._replace(
        draw_h_masks=reverse_after_ones(layer.draw_h_masks),
        draw_c_masks=reverse_after_ones(layer.draw_c_masks),
        noise=Noise(*map(reverse, layer.noise)),
        resets=resets,
    )
