"""What is compared: the network that all compute, and the data they compute it on."""

import collections

import numpy as np

Setup = collections.namedtuple(
    "Setup",
    [
        "hidden_sizes",
        "input_size",
        "horizon",
        "initial_state",
        "lengths",
        "time_major",
        "dtype",
        "engine",
        "use_states",
    ],
)
Setup.__new__.__defaults__ = (1, "zeros", False, False, "float32", "auto", True)
Setup.__doc__ = """What to compare.

Fields:
  hidden_sizes, input_size: widths of the layers and of the input.
  horizon: how many values the dense layer on the last output predicts.
  initial_state, engine: as in `StackedLSTM`.
  lengths: whether all are given sequence lengths.
  time_major: layout of inputs and outputs.
  dtype: name of a float dtype.
  use_states: whether gradients flow back from the final states, too.
"""

Batch = collections.namedtuple("Batch", ["inputs", "lengths", "mixing", "targets"])
Batch.__doc__ = """Arrays, or the placeholders that they are fed to.

Fields:
  inputs: [B, T, I], or [T, B, I] if time-major.
  lengths: int32 [B]; None where the setup has no lengths.
  mixing: [B, T, H_L], laid out as the outputs: their gradient in the comparison of gradients; None in training.
  targets: [B, horizon]; None outside of training.
"""


def random_batch(setup, batch, time_steps, seed):
    """A `Batch` of random numbers; lengths 0 and T are among the lengths where there is room."""
    random = np.random.RandomState(seed)
    axes = (time_steps, batch) if setup.time_major else (batch, time_steps)
    inputs, targets = random.standard_normal(axes + (setup.input_size,)), random.standard_normal([batch, setup.horizon])
    lengths = random.randint(0, time_steps + 1, [batch])
    lengths[:2] = [time_steps, 0] if batch > 1 else lengths
    mixing = random.standard_normal(axes + (setup.hidden_sizes[-1],))
    return Batch(inputs, lengths if setup.lengths else None, mixing, targets)


def training_batch(setup, inputs, targets):
    """A `Batch` of whole sequences, inputs [B, T, I], with their targets [B, horizon]."""
    lengths = np.full([len(targets)], inputs.shape[1]) if setup.lengths else None
    return Batch(inputs.transpose(1, 0, 2) if setup.time_major else inputs, lengths, None, targets)
