"""What tasks build their networks from: the recurrent part, ours or the peer's, and dense layers."""

import collections

import keras_lstm
from stacked_lstm import StackedLSTM, compat, initializers
from stacked_lstm.compat import tf
from stacked_lstm.parity import dynamic_rnn

Network = collections.namedtuple("Network", ["feeds", "losses", "scores", "predictions"])
Network.__doc__ = """A network in the graph.

Fields:
  feeds: name -> placeholder; the names are those of the task's `tasks.examples.Examples`.
  losses: float32 [B], what training makes smaller, one per example.
  scores: float32 [B], what is reported, one per example.
  predictions: float32 [B, ...], what the network says of each example, from the inputs alone.
"""


class Recurrent:
    """The recurrent part as the flags ask for it; a function from a sequence to the last layer's outputs.

    Attributes:
      description: what was built, for people; None before the call.
    """

    def __init__(self, hidden_sizes, peer=None, **options):
        """Takes `StackedLSTM`'s arguments, and a name of `PEERS` or None for `StackedLSTM`.

        Raises:
          ValueError: options that the peer does not have: others than `OF_PEERS`.
        """
        for flag, value in options.items():
            if peer and value != OF_PEERS[flag]:
                message = "--%s: expected %s with --peer=%s, got %s"
                raise ValueError(message % (flag, OF_PEERS[flag] or "none", peer, value))
        self._hidden_sizes, self._peer, self._options = hidden_sizes, peer, options
        self.description = None

    def __call__(self, inputs, lengths=None):
        """Adds it to the graph.

        Args:
          inputs: float32 [B, T, I].
          lengths: int32 [B]: only so many steps of each sequence count; None where all have T.

        Returns:
          (outputs [B, T, H_L], the output at the last step of each sequence [B, H_L]).

        Raises:
          ValueError: an engine that cannot run here, or not these layers.
        """
        if self._peer:
            built = PEERS[self._peer](self._hidden_sizes, inputs, lengths)
            outputs, state = built.outputs, built.state
            self.description = f"{self._hidden_sizes} of {built.source}"
        else:
            lstm = StackedLSTM(self._hidden_sizes, **self._options)
            outputs, state = lstm(inputs, sequence_length=lengths)
            if lstm.engine_used.name == "cudnn" and not compat.gpu_visible():  # TensorFlow's own words fill a screen.
                expected = "expected the engine native or graph where TensorFlow sees no GPU, got cudnn (%s)"
                raise ValueError(expected % lstm.engine_used.reason)
            self.description = "StackedLSTM %s, engine %s (%s)" % (lstm.hidden_sizes, *lstm.engine_used)
        return outputs, state[-1].h


# What peers have instead of `StackedLSTM`'s options.
OF_PEERS = {"initial_state": "zeros", "engine": "auto", "weight_initializer": None}
# Peers that are graphs, each with a function that adds a stack of its layers, as `parity.of_peer` describes it.
PEERS = {"dynamic_rnn": dynamic_rnn.build, "keras": keras_lstm.build}


def dense(x, units, activation=None, seed=None):
    """Returns activation(x W + b), [B, units], for x [B, I]; the variables are W and b in a new scope `dense...`.

    With a seed, W begins the same whatever is in the graph; without, TensorFlow's seed depends on the ops before it.
    """
    initializer = initializers.get("glorot_bengio") if seed is None else tf.glorot_uniform_initializer(seed)
    with tf.variable_scope(None, "dense"):
        W = tf.get_variable("W", [x.shape.as_list()[-1], units], x.dtype, initializer)
        b = tf.get_variable("b", [units], x.dtype, tf.zeros_initializer())
        y = tf.nn.bias_add(tf.matmul(x, W), b)
        return activation(y) if activation else y
