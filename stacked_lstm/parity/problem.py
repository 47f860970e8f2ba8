"""The problem that all networks of a comparison solve: sizes, data, and the loss whose gradients are compared."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Sequence

import numpy as np


class Setup(NamedTuple):
    """The network that a `Comparison` builds for StackedLSTM and for each peer.

    Fields:
      hidden_sizes: widths of the layers, from the input upwards.
      input_size: width of the input.
      horizon: number of values that a dense layer predicts from the last output; default 1.
      initial_state: "zeros" (default), "learned" or "projected", as in `StackedLSTM`.
      lengths: whether the networks take sequence lengths; default False.
      time_major: whether inputs and outputs are [T, B, ...] instead of [B, T, ...]; default False.
      dtype: name of a float dtype; default "float32".
      engine: the engine of StackedLSTM; default "auto".
      use_states: whether gradients also flow back from the final states; default True.

    Example:
      >>> from stacked_lstm import parity
      >>> parity.Setup(hidden_sizes=[32, 64], input_size=8, lengths=True).dtype
      'float32'
    """

    hidden_sizes: Sequence[int]
    input_size: int
    horizon: int = 1
    initial_state: str = "zeros"
    lengths: bool = False
    time_major: bool = False
    dtype: str = "float32"
    engine: str = "auto"
    use_states: bool = True


class Batch(NamedTuple):
    """Arrays for one step, or the placeholders that they are fed to.

    Fields:
      inputs: [B, T, I], or [T, B, I] if the setup is time-major.
      lengths: int32 [B]; None if the setup has no lengths.
      mixing: the shape of the outputs; their weights in `mixed_loss`. None in training.
      targets: [B, horizon]; None outside of training.

    Example:
      >>> from stacked_lstm import parity
      >>> batch = parity.Batch(np.zeros([4, 20, 8]), None, None, np.zeros([4, 1]))
      >>> batch.inputs.shape
      (4, 20, 8)
    """

    inputs: Any
    lengths: Any
    mixing: Any
    targets: Any


def random_batch(setup: Setup, batch: int, time_steps: int, seed: int) -> Batch:
    """Draws a batch of normal numbers, the same for the same arguments.

    Args:
      setup: the `Setup` whose shapes the batch has.
      batch: number of sequences. With two or more, the first has `time_steps` steps and the second has none, if the
        setup has lengths.
      time_steps: number of time steps.
      seed: seed of `np.random.RandomState`.

    Returns:
      A `Batch` with all fields; `lengths` is None if the setup has no lengths.

    Example:
      >>> from stacked_lstm import parity
      >>> batch = parity.random_batch(parity.Setup([32], 8, lengths=True), batch=4, time_steps=20, seed=1)
      >>> batch.inputs.shape, batch.mixing.shape, batch.targets.shape
      ((4, 20, 8), (4, 20, 32), (4, 1))
      >>> [int(n) for n in batch.lengths[:2]]
      [20, 0]
    """
    random = np.random.RandomState(seed)
    axes = (time_steps, batch) if setup.time_major else (batch, time_steps)
    inputs, targets = random.standard_normal(axes + (setup.input_size,)), random.standard_normal([batch, setup.horizon])
    lengths = random.randint(0, time_steps + 1, [batch])
    lengths[:2] = [time_steps, 0] if batch > 1 else lengths
    mixing = random.standard_normal(axes + (setup.hidden_sizes[-1],))
    return Batch(inputs, lengths if setup.lengths else None, mixing, targets)


def training_batch(setup: Setup, inputs: np.ndarray, targets: np.ndarray) -> Batch:
    """Makes a batch of whole sequences from arrays.

    Args:
      setup: the `Setup` whose layout the batch gets.
      inputs: [B, T, I].
      targets: [B, horizon].

    Returns:
      A `Batch` without `mixing`; its lengths are T if the setup has lengths.

    Example:
      >>> from stacked_lstm import parity
      >>> setup = parity.Setup([32], 8, time_major=True)
      >>> parity.training_batch(setup, np.zeros([4, 20, 8]), np.zeros([4, 1])).inputs.shape
      (20, 4, 8)
    """
    lengths = np.full([len(targets)], inputs.shape[1]) if setup.lengths else None
    return Batch(inputs.transpose(1, 0, 2) if setup.time_major else inputs, lengths, None, targets)


def mixed_loss(
    setup: Setup, outputs: Any, state: Sequence[Any], mixing: Any, sin: Callable, cos: Callable, total: Callable
) -> Any:
    """Computes the scalar whose gradients are compared: each output and each final state has a weight of its own.

    It is sum(outputs * mixing) + sum over layers k of (sum(sin(c_k + 0.3 k)) - sum(cos(h_k + 0.7 k))).

    Args:
      setup: `Setup`; without `use_states` the final states are left out.
      outputs: the network's outputs.
      state: (c, h) per layer.
      mixing: the weights of the outputs, of the same shape.
      sin: the library's sine, such as `tf.sin`.
      cos: its cosine.
      total: its sum of all elements, such as `tf.reduce_sum`.

    Returns:
      A scalar of the library.

    Example:
      >>> from stacked_lstm import parity
      >>> one = np.ones([1, 1])
      >>> round(float(parity.mixed_loss(parity.Setup([1], 1), one, [(one, one)], 2 * one, np.sin, np.cos, np.sum)), 3)
      2.301
    """
    loss = total(outputs * mixing)
    if setup.use_states:
        for k, (c, h) in enumerate(state):
            loss += total(sin(c + 0.3 * k)) - total(cos(h + 0.7 * k))
    return loss


def mixed_loss_gradients(setup: Setup, state: Sequence[Any]) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """The gradients of `mixed_loss` with respect to the final (c, h) of each layer, in NumPy; None without them.

    The gradient with respect to the outputs is `mixing` itself.
    """
    if not setup.use_states:
        return None
    return [(np.cos(c + 0.3 * k), np.sin(h + 0.7 * k)) for k, (c, h) in enumerate(state)]
