"""What is measured of a `Comparison`: differences, losses in training side by side, step times, devices."""

from __future__ import annotations

import time
from typing import Any, Iterable, NamedTuple

import numpy as np

from stacked_lstm.compat import tf
from stacked_lstm.parity.comparison import STACKED_LSTM, Comparison
from stacked_lstm.parity.problem import Batch

# Largest max|a - b| / max|b| of outputs, states and gradients that counts as the same numbers.
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 1e-1, "float16": 1e-2}
# Largest relative difference of the losses after training side by side.
LOSS_TOLERANCES = {"float64": 1e-10, "float32": 1e-4, "bfloat16": 1e-1, "float16": 1e-2}


class Difference(NamedTuple):
    """How far one tensor of StackedLSTM is from a peer's.

    Fields:
      peer: the peer's name.
      name: the tensor's name, as in `named_results`.
      relative: max|a - b| / max|b|, where b is the peer's tensor; NaN if either is not finite.
      tolerance: the largest value of `relative` that counts as the same numbers.

    Example:
      >>> from stacked_lstm import parity
      >>> difference = parity.Difference("dynamic_rnn", "outputs", relative=2e-7, tolerance=1e-5)
      >>> difference.relative <= difference.tolerance
      True
    """

    peer: str
    name: str
    relative: float
    tolerance: float


def differences(
    comparison: Comparison, session: tf.Session, batch: Batch, dtype: str, tolerance: float | None = None
) -> list[Difference]:
    """Measures how far every tensor of StackedLSTM is from each peer's.

    Args:
      comparison: a `Comparison` that has been started.
      session: its session.
      batch: a `Batch` of arrays, such as `random_batch` returns.
      dtype: name of the networks' dtype; `TOLERANCES` has the tolerance for it.
      tolerance: the tolerance instead of that one; default None.

    Returns:
      A `Difference` per peer and tensor.

    Raises:
      AssertionError: a peer computes other tensors than StackedLSTM.

    Example:
      >>> from stacked_lstm import parity
      >>> setup = parity.Setup([3], input_size=2, dtype="float64")
      >>> comparison = parity.Comparison(setup, {"numpy": parity.PEERS["numpy"]})
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     comparison.start(session)
      ...     measured = parity.differences(comparison, session, parity.random_batch(setup, 2, 5, seed=1), "float64")
      >>> [difference.name for difference in measured][:4]
      ['outputs', 'layer_1 final c', 'layer_1 final h', 'd inputs']
    """
    tolerance = TOLERANCES[dtype] if tolerance is None else tolerance
    results = {name: network.compute(session, batch) for name, network in comparison.networks.items()}
    reference, measured = results.pop(STACKED_LSTM), []
    for peer, tensors in results.items():
        if set(tensors) != set(reference):
            names = ", ".join(sorted(set(tensors) ^ set(reference)))
            raise AssertionError(f"only one of {peer} and StackedLSTM computes {names}")
        for name in reference:
            a, b = np.asarray(reference[name], np.float64), np.asarray(tensors[name], np.float64)
            relative = np.max(np.abs(a - b)) / max(np.max(np.abs(b)), np.finfo(np.float64).tiny)
            measured.append(Difference(peer, name, relative, tolerance))
    return measured


def exceeded(measured: Iterable[Difference]) -> list[Difference]:
    """Picks the differences that are larger than their tolerance, or NaN.

    Args:
      measured: what `differences` returns.

    Returns:
      A list of `Difference`; an empty one means that the numbers are the same.

    Example:
      >>> from stacked_lstm import parity
      >>> pair = [parity.Difference("numpy", "outputs", relative, 1e-5) for relative in (1e-6, float("nan"))]
      >>> len(parity.exceeded(pair))
      1
    """
    return [d for d in measured if not d.relative <= d.tolerance]


def train(comparison: Comparison, session: tf.Session, batches: Iterable[Batch]) -> np.ndarray:
    """Trains all networks side by side, each on the same batches.

    Args:
      comparison: a `Comparison` that has been started and has a learning rate.
      session: its session.
      batches: `Batch`es of arrays with targets, such as `training_batch` returns; a step each.

    Returns:
      The losses before each step, float64 [steps, networks]; the first column is StackedLSTM's.

    Example:
      >>> from stacked_lstm import parity
      >>> setup = parity.Setup([3], input_size=2)
      >>> comparison = parity.Comparison(setup)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     comparison.start(session)
      ...     losses = parity.train(comparison, session, [parity.random_batch(setup, 2, 5, seed=1)] * 4)
      >>> losses.shape, bool(losses[3, 0] < losses[0, 0])
      ((4, 2), True)
    """
    networks = comparison.networks.values()
    losses = [[network.train(session, batch) for network in networks] for batch in batches]
    return np.array(losses, np.float64).reshape(-1, len(networks))


def loss_differences(losses: np.ndarray) -> np.ndarray:
    """Measures how far StackedLSTM's losses are from each peer's.

    Args:
      losses: [steps, networks], what `train` returns.

    Returns:
      The largest relative difference of the first column from each other one, [networks - 1]; NaN if a loss is NaN.

    Example:
      >>> from stacked_lstm import parity
      >>> [float(d) for d in parity.loss_differences(np.array([[4.0, 4.0], [2.2, 2.0]])).round(3)]
      [0.1]
    """
    return np.max(np.abs(losses[:, :1] - losses[:, 1:]) / np.abs(losses[:, 1:]), axis=0)


def step_times(
    comparison: Comparison, session: tf.Session, batch: Batch, repeats: int, training: bool
) -> dict[str, list[float]]:
    """Times the steps of all networks, in turn.

    Args:
      comparison: a `Comparison` that has been started.
      session: its session.
      batch: a `Batch` of arrays.
      repeats: number of timed steps of each network; one more goes before them.
      training: True for training steps, False for inference.

    Returns:
      Network's name -> list of `repeats` times, in seconds.

    Example:
      >>> from stacked_lstm import parity
      >>> setup = parity.Setup([3], input_size=2)
      >>> comparison = parity.Comparison(setup)
      >>> with tf.Session() as session:
      ...     session.run(tf.global_variables_initializer())
      ...     comparison.start(session)
      ...     times = parity.step_times(comparison, session, parity.random_batch(setup, 2, 5, seed=1), 3, False)
      >>> [(name, len(seconds)) for name, seconds in times.items()]
      [('StackedLSTM', 3), ('dynamic_rnn', 3)]
    """
    seconds: dict[str, list[float]] = {name: [] for name in comparison.networks}
    for repeat in range(repeats + 1):
        for name, network in comparison.networks.items():
            begin = time.perf_counter()
            (network.train if training else network.infer)(session, batch)
            if repeat:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def devices_used(session: tf.Session, fetches: Any, feed: dict[tf.Tensor, Any]) -> dict[str, int]:
    """Counts on which devices the ops of one run are executed, from TensorFlow's own trace.

    Args:
      session: the session that runs them.
      fetches: what `session.run` is to fetch.
      feed: its feed dictionary.

    Returns:
      Device's name -> number of ops that ran there.

    Example:
      >>> from stacked_lstm import parity
      >>> x = tf.placeholder(tf.float32, [])
      >>> with tf.device("/CPU:0"), tf.Session() as session:
      ...     devices = parity.devices_used(session, tf.sin(x) + 1, {x: 2.0})
      >>> [name[-5:] for name in devices]
      ['CPU:0']
    """
    metadata = tf.RunMetadata()
    options = tf.RunOptions(trace_level=tf.RunOptions.SOFTWARE_TRACE)
    session.run(fetches, feed, options=options, run_metadata=metadata)
    counts: dict[str, int] = {d.device: len(d.node_stats) for d in metadata.step_stats.dev_stats}
    return {device: count for device, count in counts.items() if "/device:" in device and "stream" not in device}
