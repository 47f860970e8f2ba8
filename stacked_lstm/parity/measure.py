"""What is measured of a `Comparison`: differences, losses in training side by side, step times, devices."""

import collections
import time

import numpy as np

from stacked_lstm.compat import tf
from stacked_lstm.parity.comparison import OURS

# Largest max|a - b| / max|b| of outputs, states and gradients that counts as the same numbers.
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 1e-1, "float16": 1e-2}
# Largest relative difference of the losses after training side by side.
LOSS_TOLERANCES = {"float64": 1e-10, "float32": 1e-4, "bfloat16": 1e-1, "float16": 1e-2}

Difference = collections.namedtuple("Difference", ["peer", "name", "relative", "tolerance"])
Difference.__doc__ = """Largest difference of one tensor from a peer's, max|a - b| / max|b|, and what is tolerated."""


def differences(comparison, session, batch, dtype, tolerance=None):
    """Returns a `Difference` per peer and tensor, NaN where either is not finite.

    Args:
      batch: `Batch` of arrays.
      dtype: name of the networks' dtype, whose tolerance in `TOLERANCES` counts where `tolerance` is None.
    """
    tolerance = TOLERANCES[dtype] if tolerance is None else tolerance
    results = {name: network.compute(session, batch) for name, network in comparison.networks.items()}
    ours, found = results.pop(OURS), []
    for peer, theirs in results.items():
        if set(theirs) != set(ours):
            raise AssertionError(f"{peer} computes {sorted(theirs)}, StackedLSTM {sorted(ours)}")
        for name in ours:
            a, b = np.asarray(ours[name], np.float64), np.asarray(theirs[name], np.float64)
            relative = np.max(np.abs(a - b)) / max(np.max(np.abs(b)), np.finfo(np.float64).tiny)
            found.append(Difference(peer, name, relative, tolerance))
    return found


def exceeded(found):
    """Those of a list of `Difference` that are not within their tolerance; NaN is not."""
    return [d for d in found if not d.relative <= d.tolerance]


def train(comparison, session, batches):
    """Trains all on the same batches; returns an array [steps, networks] of losses, the StackedLSTM's first."""
    networks = comparison.networks.values()
    losses = [[network.train(session, batch) for network in networks] for batch in batches]
    return np.array(losses, np.float64).reshape(-1, len(networks))


def loss_differences(losses):
    """Largest relative difference of the first column of what `train` returns from each other one; NaN if a loss is."""
    return np.max(np.abs(losses[:, :1] - losses[:, 1:]) / np.abs(losses[:, 1:]), axis=0)


def step_times(comparison, session, batch, repeats, training):
    """Times all in turn: inference or training steps.

    Returns:
      name -> list of the seconds of `repeats` steps, after one untimed step.
    """
    seconds = collections.OrderedDict((name, []) for name in comparison.networks)
    for repeat in range(repeats + 1):
        for name, network in comparison.networks.items():
            begin = time.perf_counter()
            (network.train if training else network.infer)(session, batch)
            if repeat:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def devices_used(session, fetches, feed):
    """Returns device -> number of ops that ran there, from the metadata of one run."""
    metadata = tf.RunMetadata()
    options = tf.RunOptions(trace_level=tf.RunOptions.SOFTWARE_TRACE)
    session.run(fetches, feed, options=options, run_metadata=metadata)
    counts = {d.device: len(d.node_stats) for d in metadata.step_stats.dev_stats}
    return {device: count for device, count in counts.items() if "/device:" in device and "stream" not in device}
