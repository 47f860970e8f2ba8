"""Compares StackedLSTM with its peers: other LSTM implementations with the same weights and data.

The peers are dynamic_rnn (MultiRNNCell + dynamic_rnn of the installed TensorFlow), numpy (the NumPy implementation of
the package, in float64), keras (the LSTM layers of tf-keras, which is Keras 2) and pytorch. The training data are
hourly temperatures of Seattle, or a synthetic series. The comparison runs on every device that TensorFlow lists. The
command stacked-lstm-compare of the package has the same flags, except --data_dir. Its peers are dynamic_rnn and numpy,
and its data are synthetic.

The report of a device has, in this order:

1. the largest difference of each output, final state and gradient, on random data;
2. the devices on which the ops of a training step ran;
3. the training losses of all networks, which train on the same batches;
4. the median times of an inference step and of a training step.

A difference is max|a - b| / max|b|, where b is the tensor of the peer. The gradients are those of a random linear
function of all outputs plus sines and cosines of the final states.

The exit status is 0 if all differences are within the tolerances, 1 if a difference exceeds its tolerance (the report
names it), 2 if the comparison could not run, and 130 after an interrupt.

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
    text = f"Directory of {temperature_series.FILE} for --data=temperatures (default: the package vega-datasets)."
    flags.DEFINE_string("data_dir", None, text, flag_values=values)


def main(values):
    """Compares with all peers of the clone."""
    if values.data_dir is not None and values.data != "temperatures":
        raise ValueError(f"--data_dir: expected none with --data={values.data}, got {values.data_dir}")
    compare.compare(values, peers.loaders(), DATA)


if __name__ == "__main__":
    command.run(define_flags, main)
