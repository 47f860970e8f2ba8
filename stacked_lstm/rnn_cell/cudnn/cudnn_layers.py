"""Runs the layers of a `CudnnLSTM`, in one or two directions, on the package's engines.

A pseudo-layer is one direction of a layer; see `cudnn_parameters`.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional, Sequence

from stacked_lstm import checks, engines, tensor_checks
from stacked_lstm.compat import tf
from stacked_lstm.engines import EngineUsed, mask_ops
from stacked_lstm.engines.segments import Segment
from stacked_lstm.lstm import dropout_masks
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.rnn_cell.cudnn import cudnn_parameters
from stacked_lstm.rnn_cell.cudnn.cudnn_parameters import Shapes
from stacked_lstm.rnn_cell.loops import engines_used
from stacked_lstm.state import LSTMState

# Dropout of the inputs of a layer: inputs [T, B, N] -> the same after dropout. None: without dropout.
Drop = Optional[Callable[[tf.Tensor], tf.Tensor]]


def make(params: tf.Tensor, shapes: Shapes) -> list[Layer]:
    """Returns the `Layer` of each pseudo-layer in a vector of weights; see `cudnn_parameters`."""
    weights = zip(shapes.input_sizes, *cudnn_parameters.unpack(params, shapes))
    return [Layer(width, shapes.num_units, [kernel], [bias]) for width, kernel, bias in weights]


def drops(count: int, rate: float, seed: int | None) -> list[Drop]:
    """Returns the dropout of the inputs of each layer. Nothing is dropped from those of the first one.

    Args:
      count: the number of layers.
      rate: the share of the inputs that is dropped.
      seed: int, for the same masks in every session; None for other masks in each.
    """

    def drop(k: int, x: tf.Tensor) -> tf.Tensor:
        return dropout_masks.drop_in_each_step(x, 1.0 - rate, None if seed is None else seed + k)

    return [functools.partial(drop, k) if k and rate else None for k in range(count)]


def unpack_states(
    state: Any, shapes: Shapes, batch: tensor_checks.Size, dtype: tf.DType, time_major: bool
) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Returns the initial state of a `CudnnLSTM` as a pair (c, h) per pseudo-layer.

    Args:
      state: (h, c), [N, B, H] each for N pseudo-layers, or [B, N, H] if `time_major` is False; None for zeros.
      shapes: `Shapes` of the network.
      batch: the `Size` of B.
      dtype: tf.DType of the network.
      time_major: bool.

    Raises:
      ValueError: other shapes.
    """
    widths = [shapes.num_units] * len(shapes.input_sizes)
    if state is None:
        zeros = tf.zeros([batch.value, shapes.num_units], dtype)
        return [(zeros, zeros) for _ in widths]
    axis = _states_axis(time_major)
    shape: list[Any] = [batch.static, shapes.num_units]
    shape.insert(axis, len(widths))
    tensor_checks.dense(state, "CudnnLSTM", "initial_state")
    tensors = [tf.convert_to_tensor(part, dtype) for part in state]
    if len(tensors) != 2 or not all(tensor.shape.is_compatible_with(shape) for tensor in tensors):
        actual = " and ".join(str(tensor.shape) for tensor in tensors)
        expected = f"`initial_state` to be a tuple (h, c) of tensors of shape {tf.TensorShape(shape)}"
        checks.fail("CudnnLSTM", expected, f"tensors of shape {actual}")
    h, c = (tf.unstack(tensor, len(widths), axis=axis) for tensor in tensors)
    return tensor_checks.states(list(zip(c, h)), widths, batch, dtype, "CudnnLSTM", "initial_state")


def pack_states(states: Sequence[LSTMState], time_major: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns an `LSTMState` per pseudo-layer as the state (h, c) of a `CudnnLSTM`; see `unpack_states`."""
    c, h = (tf.stack(parts, axis=_states_axis(time_major)) for parts in zip(*states))
    return h, c


def _states_axis(time_major: bool) -> int:
    """The axis of the pseudo-layers in a state."""
    return 0 if time_major else 1


def run(
    request: engines.Request,
    layers: Sequence[Layer],
    x: tf.Tensor,
    states: Sequence[Any],
    lengths: tf.Tensor | None,
    drops: Sequence[Drop],
    starts_from_zeros: bool,
) -> tuple[tf.Tensor, list[LSTMState], EngineUsed]:
    """Runs the layers over time.

    Args:
      request: the `engines.Request`.
      layers: a `Layer` per pseudo-layer. If there are twice as many as layers, each layer has two directions.
      x: [T, B, I].
      states: a pair (c, h) per pseudo-layer.
      lengths: int32 [B], or None if all sequences have T steps.
      drops: a `Drop` per layer. Both directions of a layer have the same inputs after dropout.
      starts_from_zeros: bool, whether all states are zeros.

    Returns:
      (outputs [T, B, H], or [T, B, 2H] with two directions; list of the final `LSTMState` per pseudo-layer;
      `EngineUsed`).
    """

    if len(layers) == len(drops):
        # Layers without dropout between them run in one call.
        tree = Segment([Segment([layer], before=drop) for layer, drop in zip(layers, drops)])
        return engines.run(request, tree, x, states, lengths, True, "CudnnLSTM", starts_from_zeros)
    finals: list[LSTMState] = []
    uses: list[EngineUsed] = []
    for k, drop in enumerate(drops):
        with mask_ops.choose(request.name, lambda: layers):
            x = drop(x) if drop else x
        pair = slice(2 * k, 2 * k + 2)
        x, pair_finals, used = _run_both(request, layers[pair], x, states[pair], lengths, starts_from_zeros)
        finals += pair_finals
        uses.append(used)
    return x, finals, engines_used.last(*uses)


def _run_both(
    request: engines.Request,
    layers: Sequence[Layer],
    x: tf.Tensor,
    states: Sequence[Any],
    lengths: tf.Tensor | None,
    starts_from_zeros: bool,
) -> tuple[tf.Tensor, list[LSTMState], EngineUsed]:
    """Runs both directions of a layer, in one call of an engine if that is possible."""
    trees = [Segment([layer]) for layer in layers]
    both = engines.run_both(request, trees, x, [[state] for state in states], lengths, "CudnnLSTM")
    if both is not None:
        joined, pairs, used = both
        return joined, sum(pairs, []), used
    outputs, finals, uses = [], [], []
    for tree, state, from_end in zip(trees, states, (False, True)):
        arguments = tree, x, [state], lengths, True, "CudnnLSTM", starts_from_zeros, from_end
        y, final, used = engines.run(request, *arguments)
        outputs.append(y)
        finals += final
        uses.append(used)
    return tf.concat(outputs, axis=2), finals, engines_used.last(*uses)
