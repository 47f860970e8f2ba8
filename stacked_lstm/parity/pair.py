"""Both networks in one graph, on the same weights."""

import collections

import numpy as np

from stacked_lstm.compat import tf
from stacked_lstm.parity.peer import Peer
from stacked_lstm.stack import StackedLSTM

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
  lengths: whether both are given sequence lengths.
  time_major: layout of inputs and outputs.
  dtype: name of a float dtype.
  use_states: whether gradients flow back from the final states, too.
"""


class Pair(object):
    """Both networks in the default graph, each with a dense layer on its last output.

    Attributes:
      inputs, targets, lengths, mixing: placeholders: inputs [B, T, I] (or [T, B, I]); targets [B, horizon]; lengths
        int32 [B]; mixing [B, T, H_L], the gradient of the outputs in the gradient comparison, laid out as they are.
      tensors: name -> (ours, peer's): outputs, final states, gradients of the input and of every weight.
      losses, train_steps: (ours, peer's): mean squared error and one step of plain gradient descent.
      outputs: (ours, peer's).
      start: op that gives both the same weights; run it after the variables' initializer.
      lstm, peer: the `StackedLSTM` and the `Peer`.
    """

    def __init__(self, setup, learning_rate=0.05):
        """Builds both.

        Raises:
          PeerMissingError: see `rnn_cell`.
        """
        dtype = tf.as_dtype(setup.dtype)
        self._setup = setup
        self.inputs = tf.placeholder(dtype, [None, None, setup.input_size], "inputs")
        self.targets = tf.placeholder(dtype, [None, setup.horizon], "targets")
        self.lengths = tf.placeholder(tf.int32, [None], "lengths")
        self.mixing = tf.placeholder(dtype, [None, None, setup.hidden_sizes[-1]], "mixing")
        lengths = self.lengths if setup.lengths else None

        self.lstm = StackedLSTM(setup.hidden_sizes, initial_state=setup.initial_state, dtype=dtype, engine=setup.engine)
        outputs, state = self.lstm(self.inputs, lengths, time_major=setup.time_major)
        self.peer = Peer(self.lstm, self.inputs, lengths, setup.initial_state, setup.time_major)
        self.outputs, states = (outputs, self.peer.outputs), (state, self.peer.state)
        self.tensors = {"outputs": self.outputs}
        for k, layer in enumerate(zip(*states)):
            for field in "ch":
                self.tensors["layer_%d final %s" % (k + 1, field)] = tuple(getattr(one, field) for one in layer)
        self.tensors.update(self._gradients(*[self._mixed(*network) for network in zip(self.outputs, states)]))
        self._add_training(states, learning_rate)

    def _add_training(self, states, learning_rate):
        dtype, size, horizon = self.inputs.dtype, self._setup.hidden_sizes[-1], self._setup.horizon
        heads = [_dense_variables(dtype, size, horizon) for _ in states]
        self.start = tf.group(*self.peer.start + [theirs.assign(ours) for ours, theirs in zip(*heads)])
        self.losses = tuple(
            tf.losses.mean_squared_error(self.targets, tf.matmul(state[-1].h, matrix) + bias)
            for state, (matrix, bias) in zip(states, heads)
        )
        optimizer = tf.train.GradientDescentOptimizer(learning_rate)
        recurrent = (self.lstm.variables, self.peer.variables)
        self.train_steps = tuple(
            optimizer.minimize(loss, var_list=variables + head)
            for loss, variables, head in zip(self.losses, recurrent, heads)
        )

    def _mixed(self, outputs, state):
        """A scalar in which every output, and every final state if they are used, has a weight of its own."""
        total = tf.reduce_sum(outputs * self.mixing)
        if self._setup.use_states:
            for k, layer in enumerate(state):
                total += tf.reduce_sum(tf.sin(layer.c + 0.3 * k)) - tf.reduce_sum(tf.cos(layer.h + 0.7 * k))
        return total

    def _gradients(self, ours, theirs):
        """name -> (ours, peer's) gradients of these scalars."""
        names = [v.op.name.split("/", 1)[1] for v in self.lstm.variables]
        d_inputs, *d_variables = tf.gradients(ours, [self.inputs] + self.lstm.variables)
        peers, of_initial_state = self.peer.gradients(theirs)
        peers.update(zip(names[len(peers) :], of_initial_state))
        gradients = {"d inputs": (d_inputs, tf.gradients(theirs, self.inputs)[0])}
        gradients.update(("d " + name, (mine, peers[name])) for name, mine in zip(names, d_variables))
        return gradients

    def feed(self, batch, time_steps, seed):
        """Random inputs, targets, lengths (0 and T among them where there is room) and mixing weights."""
        random, setup = np.random.RandomState(seed), self._setup
        axes = (time_steps, batch) if setup.time_major else (batch, time_steps)
        lengths = random.randint(0, time_steps + 1, [batch])
        lengths[:2] = [time_steps, 0] if batch > 1 else lengths
        return {
            self.inputs: random.standard_normal(axes + (setup.input_size,)),
            self.targets: random.standard_normal([batch, setup.horizon]),
            self.lengths: lengths,
            self.mixing: random.standard_normal(axes + (setup.hidden_sizes[-1],)),
        }

    def feed_batch(self, inputs, targets):
        """Whole sequences, inputs [B, T, I], with their targets [B, horizon]."""
        time_steps = inputs.shape[1]
        inputs = inputs.transpose(1, 0, 2) if self._setup.time_major else inputs
        return {self.inputs: inputs, self.targets: targets, self.lengths: np.full([len(targets)], time_steps)}


def _dense_variables(dtype, size, units):
    matrix = tf.Variable(tf.random_normal([size, units], stddev=size**-0.5, dtype=dtype))
    return [matrix, tf.Variable(tf.zeros([units], dtype))]
