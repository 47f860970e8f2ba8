"""What a comparison prints: tables for people, and the list of what is off."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from stacked_lstm import parity
from stacked_lstm.compat import tf


def print_sources(comparison: parity.Comparison) -> None:
    """Prints a line per network: where it comes from."""
    for name, network in comparison.networks.items():
        print(f"  {name:12} {network.source}")


def print_differences(measured: Sequence[parity.Difference]) -> list[str]:
    """Prints a row per tensor and a column per peer.

    Args:
      measured: what `parity.differences` returns.

    Returns:
      A sentence for each difference that is larger than its tolerance.
    """
    peers = list(dict.fromkeys(difference.peer for difference in measured))
    print("\n  Largest difference of StackedLSTM from each peer, max|a - b| / max|b|:")
    print(f"  {'':30}" + "".join(f"{peer:>13}" for peer in peers) + f"{'allowed':>13}")
    exceeded = parity.exceeded(measured)
    for name in dict.fromkeys(difference.name for difference in measured):
        row = [difference for difference in measured if difference.name == name]
        off = ", ".join(difference.peer for difference in row if difference in exceeded)
        cells = "".join(f"{difference.relative:13.2e}" for difference in row) + f"{row[0].tolerance:13.0e}"
        print(f"  {name:30}{cells}" + (f"  EXCEEDED: {off}" if off else ""))
    return [
        f"{d.name} differs from {d.peer}'s by {d.relative:.2e} of its size ({d.tolerance:.0e} allowed)"
        for d in exceeded
    ]


def print_devices(comparison: parity.Comparison, session: tf.Session, batch: parity.Batch) -> None:
    """Prints for each network in the graph on which devices the ops of a training step ran."""
    print()
    for name, network in comparison.networks.items():
        if isinstance(network, parity.GraphNetwork):
            counts = parity.devices_used(session, network.train_step, network.feed(batch))
            devices = ", ".join(f"{device} ({count} runs)" for device, count in sorted(counts.items()))
            print(f"  {name}: ops of a training step ran on {devices}")


def print_losses(names: Sequence[str], losses: np.ndarray, dtype: str) -> list[str]:
    """Prints some of the losses of training side by side.

    Args:
      names: the networks' names, StackedLSTM first.
      losses: [steps, networks], what `parity.train` returns.
      dtype: name of a dtype, whose tolerance counts.

    Returns:
      A sentence for each peer whose losses differ by more than the tolerance.
    """
    if not len(losses):
        return []
    print(f"\n  {'step':10}" + "".join(f"{name:>14}" for name in names) + "   losses, training side by side")
    for step in sorted(set(np.linspace(0, len(losses) - 1, num=6, dtype=int))):
        print(f"  {step + 1:<10}" + "".join(f"{loss:14.8g}" for loss in losses[step]))
    differences, allowed = parity.loss_differences(losses), parity.LOSS_TOLERANCES[dtype]
    print(f"  {'apart':10}{'':>14}" + "".join(f"{d:14.2e}" for d in differences) + f"   at most; {allowed:.0e} allowed")
    return [
        f"losses differ from {name}'s by {difference:.2e} in {len(losses)} steps ({allowed:.0e} allowed)"
        for name, difference in zip(names[1:], differences)
        if not difference <= allowed
    ]


def print_times(comparison: parity.Comparison, session: tf.Session, batch: parity.Batch, repeats: int) -> None:
    """Prints the median time of a step of each network, and its ratio to StackedLSTM's; nothing for no repeats."""
    if not repeats:
        return
    print(f"\n  {'':12}{'inference':>18}{'training':>18}   medians of {repeats} steps; ratios to StackedLSTM's")
    times = [parity.step_times(comparison, session, batch, repeats, training) for training in (False, True)]
    medians = [{name: np.median(seconds) * 1e3 for name, seconds in mode.items()} for mode in times]
    for name in comparison.networks:
        cells = [f"{mode[name]:9.2f} ms {mode[name] / mode[parity.STACKED_LSTM]:4.2f}x" for mode in medians]
        print(f"  {name:12}{cells[0]:>18}{cells[1]:>18}")
