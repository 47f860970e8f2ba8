"""The command stacked-lstm-compare with more peers, Keras 2 and PyTorch, and with real data.

This is the command stacked-lstm-compare of the package (`stacked_lstm/commands/compare.py`) with two more peers, Keras
2's LSTM layers and PyTorch's, and with hourly temperatures of Seattle to train on side by side. The report has the
largest differences of outputs, final states and all gradients on random data; the losses of all networks in training;
the time of a step of each; and the devices on which the ops ran.

The exit status is 0 if all numbers are the same, 1 if a tolerance is exceeded (the report names it), and 2 if the
networks cannot be compared.

    python scripts/compare.py
    python scripts/compare.py --peer=all --chart=differences.png
    python scripts/compare.py --hidden_sizes=650,650 --batch_size=20 --time_steps=35 --device=/CPU:0
"""

from absl import flags

import peers
from stacked_lstm.commands import command, compare
from tasks import forecast, temperature_series

DATA = {"temperatures": forecast.comparison_data, **compare.DATA}


def define_flags(values):
    """Adds the flags of the command, with all peers and data of the clone."""
    compare.define_flags(values, peers.loaders(), DATA)
    text = f"Directory with {temperature_series.FILE} for --data=temperatures (default: the package vega-datasets)."
    flags.DEFINE_string("data_dir", None, text, flag_values=values)


def main(values):
    """Compares with all peers of the clone."""
    compare.compare(values, peers.loaders(), DATA)


if __name__ == "__main__":
    command.run(define_flags, main)
