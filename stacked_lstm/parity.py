"""StackedLSTM and MultiRNNCell + dynamic_rnn side by side: one graph, the same weights, the same data.

The only module of the package that touches a peer. `Pair` builds both, `differences` compares them, `train` and
`step_times` run them in turn.
"""

import collections
import importlib
import time

import numpy as np

from stacked_lstm.compat import tf
from stacked_lstm.stack import StackedLSTM

# Largest max|a - b| / max|b| of outputs, states and gradients that counts as the same numbers.
TOLERANCES = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 1e-1, "float16": 1e-2}
# Largest relative difference of the losses after training side by side.
LOSS_TOLERANCE = 1e-4

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

Difference = collections.namedtuple("Difference", ["name", "absolute", "relative", "tolerance"])
Difference.__doc__ = """Largest difference of one tensor: max|a - b|, the same over max|b|, and what is tolerated."""

StepTimes = collections.namedtuple("StepTimes", ["ours", "peer"])
StepTimes.__doc__ = """Seconds of every timed step, two lists."""


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


def kernel_of(weights):
    """One layer's explicit matrices as rnn_cell's kernel: rows of x before rows of h, columns i, c, f, o."""
    kernel = tf.concat([getattr(weights, "W" + gate) for gate in "icfo"], axis=1)
    return tf.concat([kernel[weights.hidden_size :], kernel[: weights.hidden_size]], axis=0)


def bias_of(weights, forget_bias):
    """One layer's explicit biases as rnn_cell's bias, which lacks the `forget_bias` that the cell adds itself."""
    return tf.concat([weights.bi, weights.bc, weights.bf - forget_bias, weights.bo], axis=0)


class Pair(object):
    """Both networks in the default graph, each with a dense layer on its last output.

    Attributes:
      inputs, targets, lengths, mixing: placeholders: inputs [B, T, I] (or [T, B, I]); targets [B, horizon]; lengths
        int32 [B]; mixing [B, T, H_L], the gradient of the outputs in the gradient comparison, laid out as they are.
      tensors: name -> (ours, peer's): outputs, final states, gradients of the input and of every weight.
      losses, train_steps: (ours, peer's): mean squared error and one step of plain gradient descent.
      outputs: (ours, peer's).
      start: op that gives both the same weights; run it after the variables' initializer.
      lstm, peer_source: the `StackedLSTM`, and where the peer's cells come from.
    """

    def __init__(self, setup, learning_rate=0.05):
        cells, self.peer_source = rnn_cell()
        dtype = tf.as_dtype(setup.dtype)
        self._setup = setup
        last = setup.hidden_sizes[-1]
        self.inputs = tf.placeholder(dtype, [None, None, setup.input_size], "inputs")
        self.targets = tf.placeholder(dtype, [None, setup.horizon], "targets")
        self.lengths = tf.placeholder(tf.int32, [None], "lengths")
        self.mixing = tf.placeholder(dtype, [None, None, last], "mixing")
        lengths = self.lengths if setup.lengths else None

        self.lstm = StackedLSTM(setup.hidden_sizes, initial_state=setup.initial_state, dtype=dtype, engine=setup.engine)
        ours = self.lstm(self.inputs, lengths, time_major=setup.time_major)
        stack = cells.MultiRNNCell([cells.BasicLSTMCell(size, dtype=dtype) for size in setup.hidden_sizes])
        first = self.inputs[0] if setup.time_major else self.inputs[:, 0]
        copies, start = _copy_initial_state(self.lstm, setup)
        theirs = tf.nn.dynamic_rnn(
            stack,
            self.inputs,
            lengths,
            initial_state=_peer_initial_state(cells, copies, setup, first),
            dtype=dtype,
            time_major=setup.time_major,
        )
        kernels, biases = stack.weights[::2], stack.weights[1::2]
        for weights, kernel, bias in zip(self.lstm.layers, kernels, biases):
            start += [kernel.assign(kernel_of(weights)), bias.assign(bias_of(weights, forget_bias=1.0))]

        self.outputs = (ours[0], theirs[0])
        heads = [_head(dtype, last, setup.horizon) for _ in range(2)]
        start += [theirs_.assign(ours_) for ours_, theirs_ in zip(*heads)]
        self.start = tf.group(*start)
        self.losses = tuple(
            tf.losses.mean_squared_error(self.targets, tf.matmul(state[-1].h, matrix) + bias)
            for (_, state), (matrix, bias) in zip((ours, theirs), heads)
        )
        self._variables = (self.lstm.variables + heads[0], kernels + biases + copies + heads[1])
        optimizer = tf.train.GradientDescentOptimizer(learning_rate)
        self.train_steps = tuple(
            optimizer.minimize(loss, var_list=variables) for loss, variables in zip(self.losses, self._variables)
        )
        self.tensors = {"outputs": self.outputs}
        for k, states in enumerate(zip(ours[1], theirs[1])):
            for field in "ch":
                self.tensors["layer_%d final %s" % (k + 1, field)] = tuple(getattr(s, field) for s in states)
        self.tensors.update(self._gradients(ours, theirs, kernels, biases, copies))

    def _gradients(self, ours, theirs, kernels, biases, copies):
        """name -> (ours, peer's) gradient of a loss in which every output and final state has its own weight."""
        ours, theirs = (self._mixed(*results) for results in (ours, theirs))
        mine = tf.gradients(ours, [self.inputs] + self.lstm.variables)
        gradients = {"d inputs": (mine[0], tf.gradients(theirs, self.inputs)[0])}
        mine = dict(zip([v.op.name.split("/", 1)[1] for v in self.lstm.variables], mine[1:]))
        for k, (kernel, bias, size) in enumerate(zip(kernels, biases, self._setup.hidden_sizes)):
            d_kernel, d_bias = tf.gradients(theirs, [kernel, bias])
            d_kernel = tf.concat([d_kernel[-size:], d_kernel[:-size]], axis=0)
            for name, fused in (("W", d_kernel), ("b", d_bias)):
                for gate, part in zip("icfo", tf.split(fused, 4, axis=-1)):
                    variable = "layer_%d/%s%s" % (k + 1, name, gate)
                    gradients["d " + variable] = (mine[variable], part)
        for variable, copy in zip(self.lstm.variables[-len(copies) :] if copies else [], copies):
            name = variable.op.name.split("/", 1)[1]
            gradients["d " + name] = (mine[name], tf.gradients(theirs, copy)[0])
        return gradients

    def _mixed(self, outputs, state):
        total = tf.reduce_sum(outputs * self.mixing)
        if self._setup.use_states:
            for k, layer in enumerate(state):
                total += tf.reduce_sum(tf.sin(layer.c + 0.3 * k)) - tf.reduce_sum(tf.cos(layer.h + 0.7 * k))
        return total

    def feed(self, batch, time_steps, seed):
        """Random inputs, targets, lengths (0 and T among them where there is room) and mixing weights."""
        random, setup = np.random.RandomState(seed), self._setup
        axes = (time_steps, batch) if setup.time_major else (batch, time_steps)
        lengths = random.randint(0, time_steps + 1, [batch])
        lengths[: min(2, batch)] = [time_steps, 0][: min(2, batch)]
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


def _head(dtype, size, horizon):
    """Variables of a dense layer."""
    matrix = tf.Variable(tf.random_normal([size, horizon], stddev=size**-0.5, dtype=dtype))
    return [matrix, tf.Variable(tf.zeros([horizon], dtype))]


def _copy_initial_state(lstm, setup):
    """The peer's own copies of the initial state's variables, and the ops that set them."""
    if setup.initial_state == "zeros":
        return [], []
    originals = lstm.variables[-2 * len(setup.hidden_sizes) :]
    copies = [tf.Variable(tf.zeros(v.shape, v.dtype.base_dtype)) for v in originals]
    return copies, [copy.assign(original) for copy, original in zip(copies, originals)]


def _peer_initial_state(cells, copies, setup, x):
    """The initial state for dynamic_rnn from c and h of every layer in turn; None for zeros."""
    if not copies:
        return None
    states, c, h = [], x, x
    if setup.lengths and setup.initial_state == "projected":
        raise ValueError("parity.Pair: expected `lengths` False with a projected initial state, got True")
    for c_copy, h_copy in zip(copies[::2], copies[1::2]):
        if setup.initial_state == "projected":
            c, h = tf.tanh(tf.matmul(c, c_copy)), tf.tanh(tf.matmul(h, h_copy))
        else:
            c, h = (tf.zeros([tf.shape(x)[0], 1], x.dtype) + copy for copy in (c_copy, h_copy))
        states.append(cells.LSTMStateTuple(c, h))
    return tuple(states)


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
