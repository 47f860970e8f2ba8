"""The peer: MultiRNNCell + dynamic_rnn of the installed TensorFlow, with the weights of a StackedLSTM."""

import importlib

from stacked_lstm.compat import tf

# What rnn_cell's cells add to the forget gate at run time, by default; the StackedLSTM has it in bf.
FORGET_BIAS = 1.0

# Columns of rnn_cell's kernel, by the suffix of our variables.
GATE_ORDER = "icfo"


class PeerMissingError(ImportError):
    """No MultiRNNCell can be had in this environment."""


def rnn_cell():
    """Returns (a module with BasicLSTMCell and MultiRNNCell, where it comes from).

    Raises:
      PeerMissingError: neither the public names nor TensorFlow's frozen private copy answer.
    """
    try:
        module = tf.nn.rnn_cell
        if callable(module.BasicLSTMCell):
            return module, "tf.nn.rnn_cell"
    except (AttributeError, ImportError):
        pass  # With Keras 3 the public names raise.
    name = "tensorflow.python.ops.rnn_cell_impl"
    try:
        return importlib.import_module(name), name
    except ImportError:
        raise PeerMissingError(
            "parity.rnn_cell: expected MultiRNNCell in the installed TensorFlow %s, found none; `pip install "
            "tf-keras` and set TF_USE_LEGACY_KERAS=1 before TensorFlow is imported, or use TensorFlow 2.21 or older"
            % tf.__version__
        ) from None


class Peer(object):
    """MultiRNNCell + dynamic_rnn in the default graph, beside a `StackedLSTM` that was built before.

    Attributes:
      source: where the cells come from.
      outputs, state: what dynamic_rnn returned.
      variables: the peer's own.
      start: list of ops that give them the values of the StackedLSTM's.
    """

    def __init__(self, lstm, inputs, lengths, initial_state, time_major):
        """Builds it.

        Args:
          lstm: the `StackedLSTM`.
          inputs, lengths, time_major: as the `StackedLSTM` was called.
          initial_state: the name of its kind.
        """
        cells, self.source = rnn_cell()
        stack = cells.MultiRNNCell([cells.BasicLSTMCell(size, FORGET_BIAS) for size in lstm.hidden_sizes])
        originals = lstm.variables[-2 * len(lstm.hidden_sizes) :] if initial_state != "zeros" else []
        self._copies = [tf.Variable(tf.zeros(v.shape, v.dtype.base_dtype)) for v in originals]
        first = inputs[0] if time_major else inputs[:, 0]
        if lengths is not None:  # What is past the end of an empty sequence is no first input.
            first = tf.where(lengths > 0, first, tf.zeros_like(first))
        self.outputs, self.state = tf.nn.dynamic_rnn(
            stack,
            inputs,
            lengths,
            initial_state=self._initial_state(cells, initial_state, first),
            dtype=inputs.dtype,
            time_major=time_major,
        )
        self._kernels, self._biases = stack.weights[::2], stack.weights[1::2]
        self._hidden_sizes = lstm.hidden_sizes
        self.variables = stack.weights + self._copies
        self.start = [copy.assign(original) for copy, original in zip(self._copies, originals)]
        for weights, kernel, bias in zip(lstm.layers, self._kernels, self._biases):
            self.start += [kernel.assign(_kernel_of(weights)), bias.assign(_bias_of(weights))]

    def _initial_state(self, cells, kind, x):
        """The initial state for dynamic_rnn, from `x`, the first input, and from the variables of c and h in turn."""
        if not self._copies:
            return None
        states, c, h = [], x, x
        for for_c, for_h in zip(self._copies[::2], self._copies[1::2]):
            if kind == "projected":
                c, h = tf.tanh(tf.matmul(c, for_c)), tf.tanh(tf.matmul(h, for_h))
            else:
                c, h = (tf.zeros([tf.shape(x)[0], 1], x.dtype) + vector for vector in (for_c, for_h))
            states.append(cells.LSTMStateTuple(c, h))
        return tuple(states)

    def gradients(self, loss):
        """Returns the gradients of `loss`: (name -> tensor, shaped as ours; a list, of the initial state's copies)."""
        found = {}
        for k, (kernel, bias, size) in enumerate(zip(self._kernels, self._biases, self._hidden_sizes)):
            d_kernel, d_bias = tf.gradients(loss, [kernel, bias])
            d_kernel = tf.concat([d_kernel[-size:], d_kernel[:-size]], axis=0)
            for letter, fused in (("W", d_kernel), ("b", d_bias)):
                for gate, part in zip(GATE_ORDER, tf.split(fused, 4, axis=-1)):
                    found["layer_%d/%s%s" % (k + 1, letter, gate)] = part
        return found, tf.gradients(loss, self._copies) if self._copies else []


def _kernel_of(weights):
    """One layer's explicit matrices as rnn_cell's kernel: rows of x before rows of h."""
    kernel = tf.concat([getattr(weights, "W" + gate) for gate in GATE_ORDER], axis=1)
    return tf.concat([kernel[weights.hidden_size :], kernel[: weights.hidden_size]], axis=0)


def _bias_of(weights):
    """One layer's explicit biases as rnn_cell's bias, which lacks what the cell adds itself."""
    biases = {gate: getattr(weights, "b" + gate) for gate in GATE_ORDER}
    biases["f"] -= FORGET_BIAS
    return tf.concat([biases[gate] for gate in GATE_ORDER], axis=0)
