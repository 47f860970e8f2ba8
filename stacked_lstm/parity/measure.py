"""What is measured of a `Pair`: differences, losses in training side by side, step times, devices."""

import collections
import time

import numpy as np

from stacked_lstm.compat import tf

# Largest max|a - b| / max|b| of outputs, states and gradients that counts as the same numbers.
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 1e-1, "float16": 1e-2}
# Largest relative difference of the losses after training side by side.
LOSS_TOLERANCES = {"float64": 1e-4, "float32": 1e-4, "bfloat16": 1e-1, "float16": 1e-2}

Difference = collections.namedtuple("Difference", ["name", "absolute", "relative", "tolerance"])
Difference.__doc__ = """Largest difference of one tensor: max|a - b|, the same over max|b|, and what is tolerated."""

StepTimes = collections.namedtuple("StepTimes", ["ours", "peer"])
StepTimes.__doc__ = """Seconds of every timed step, two lists."""


def differences(pair, session, feed, dtype, tolerance=None):
    """Returns a `Difference` per tensor of `pair.tensors`, NaN where either is not finite.

    Args:
      dtype: name of the networks' dtype, whose tolerance in `TOLERANCES` counts where `tolerance` is None.
    """
    tolerance = TOLERANCES[dtype] if tolerance is None else tolerance
    values = session.run(pair.tensors, feed)
    found = []
    for name, (ours, theirs) in values.items():
        ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        absolute = np.max(np.abs(ours - theirs))
        relative = absolute / max(np.max(np.abs(theirs)), np.finfo(np.float64).tiny)
        found.append(Difference(name, absolute, relative, tolerance))
    return found


def exceeded(found):
    """Those of a list of `Difference` that are not within their tolerance; NaN is not."""
    return [d for d in found if not d.relative <= d.tolerance]


def train(pair, session, batches):
    """Trains both on the same batches; returns an array [steps, 2] of losses, ours and the peer's.

    Args:
      batches: iterable of (inputs [B, T, I], targets [B, horizon]).
    """
    losses = []
    for inputs, targets in batches:
        feed = pair.feed_batch(inputs, targets)
        losses.append([session.run([loss, step], feed)[0] for loss, step in zip(pair.losses, pair.train_steps)])
    return np.array(losses, np.float64)


def loss_difference(losses):
    """Largest relative difference between the columns of what `train` returns; NaN if a loss is."""
    return np.max(np.abs(losses[:, 0] - losses[:, 1]) / np.abs(losses[:, 1]))


def step_times(pair, session, feed, repeats, training):
    """Times both in turn: inference (fetching the outputs) or training steps.

    Returns:
      `StepTimes` of `repeats` entries each, after one untimed step.
    """
    seconds = StepTimes([], [])
    fetches = pair.train_steps if training else tuple(outputs.op for outputs in pair.outputs)
    for repeat in range(repeats + 1):
        for fetch, taken in zip(fetches, seconds):
            begin = time.perf_counter()
            session.run(fetch, feed)
            if repeat:
                taken.append(time.perf_counter() - begin)
    return seconds


def devices_used(session, fetches, feed):
    """Returns device -> number of ops that ran there, from the metadata of one run."""
    metadata = tf.RunMetadata()
    options = tf.RunOptions(trace_level=tf.RunOptions.SOFTWARE_TRACE)
    session.run(fetches, feed, options=options, run_metadata=metadata)
    counts = {d.device: len(d.node_stats) for d in metadata.step_stats.dev_stats}
    return {device: count for device, count in counts.items() if "/device:" in device and "stream" not in device}
