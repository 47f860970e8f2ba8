"""What tasks build their networks from: the recurrent part, ours or the peer's, and dense layers."""

import collections

import keras_lstm
from stacked_lstm import StackedLSTM, initializers
from stacked_lstm.compat import tf
from stacked_lstm.parity import dynamic_rnn

Network = collections.namedtuple("Network", ["feeds", "losses", "scores"])
Network.__doc__ = """A network in the graph.

Fields:
  feeds: name -> placeholder; the names are those of the task's `training.Examples`.
  losses: float32 [B], what training makes smaller, one per example.
  scores: float32 [B], what is reported, one per example.
"""


class Recurrent(object):
    """The recurrent part as the flags ask for it; a function from a sequence to the last layer's last output.

    Attributes:
      description: what was built, for people; None before the call.
    """

    def __init__(self, hidden_sizes, initial_state="zeros", engine="auto", peer=None):
        """Takes `StackedLSTM`'s arguments and a name of `PEERS`, or None for `StackedLSTM`.

        Raises:
          ValueError: the peer has no such initial state, and no engines.
        """
        for flag, value, only in (("initial_state", initial_state, "zeros"), ("engine", engine, "auto")):
            if peer and value != only:
                raise ValueError("--%s: expected %s with --peer=%s, got %s" % (flag, only, peer, value))
        self._peer = peer
        self._arguments = (hidden_sizes, initial_state, engine)
        self.description = None

    def __call__(self, inputs, lengths=None):
        """Adds it to the graph.

        Args:
          inputs: float32 [B, T, I].
          lengths: int32 [B]: only so many steps of each sequence count; None where all have T.

        Returns:
          [B, H_L], the output at the last step of each sequence.
        """
        hidden_sizes, initial_state, engine = self._arguments
        if self._peer:
            built = PEERS[self._peer](hidden_sizes, inputs, lengths)
            state, self.description = built.state, "%s of %s" % (hidden_sizes, built.source)
        else:
            lstm = StackedLSTM(hidden_sizes, initial_state=initial_state, engine=engine)
            _, state = lstm(inputs, sequence_length=lengths)
            self.description = "StackedLSTM %s, engine %s (%s)" % ((hidden_sizes,) + tuple(lstm.engine_used))
        return state[-1].h


# Peers that are graphs, each with a function that adds a stack of its layers, as `parity.of_peer` describes it.
PEERS = {"dynamic_rnn": dynamic_rnn.build, "keras": keras_lstm.build}


def dense(x, units, activation=None):
    """Returns activation(x W + b), [B, units], for x [B, I]; the variables are W and b in a new scope `dense...`."""
    with tf.variable_scope(None, "dense"):
        W = tf.get_variable("W", [x.shape.as_list()[-1], units], x.dtype, initializers.get("glorot_bengio"))
        b = tf.get_variable("b", [units], x.dtype, tf.zeros_initializer())
        y = tf.nn.bias_add(tf.matmul(x, W), b)
        return activation(y) if activation else y
