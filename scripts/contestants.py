"""Who takes part in the benchmark. A new one is a function and a line in `CONTESTANTS`.

A contestant is the library it needs and a function of a `Shape` and a random input [T, B, I] (float32), which returns
a mapping from mode to a function without arguments: "inference" computes the last layer's outputs of all steps,
"training" makes one step of gradient descent on their mean square.
"""

import collections
import functools
import importlib
import time

import numpy as np

from networks import PEERS
from stacked_lstm import StackedLSTM, engines, rnn_cell
from stacked_lstm.compat import tf

MODES = ("inference", "training")


class Shape(collections.namedtuple("Shape", ["steps", "batch", "input_size", "hidden_size", "layers"])):
    """T, B, I, H, L: the sizes of a benchmark."""

    __slots__ = ()

    def __str__(self):
        return ",".join(map(str, self))

    def operations(self, mode):
        """Floating-point operations of the matrix products; the backward pass has twice those of the forward pass."""
        inputs = [self.input_size] + [self.hidden_size] * (self.layers - 1)
        forward = sum(2 * self.steps * self.batch * 4 * self.hidden_size * (n + self.hidden_size) for n in inputs)
        return forward * {"inference": 1, "training": 3}[mode]


def _in_session(build, shape, x):
    """A contestant that is a TensorFlow graph: `build` makes the outputs from a placeholder [T, B, I]."""
    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.disable_v2_behavior()
    inputs = tf.placeholder(tf.float32, [None, None, shape.input_size])
    outputs = build(inputs, shape)
    loss = tf.reduce_mean(tf.square(outputs))
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    # Contestants on one GPU share its memory.
    session = tf.Session(config=tf.ConfigProto(gpu_options=tf.GPUOptions(allow_growth=True)))
    session.run(tf.global_variables_initializer())
    fetches = zip(MODES, (outputs, train))
    return {mode: functools.partial(session.make_callable(fetch, [inputs]), x) for mode, fetch in fetches}


def _stacked_lstm(engine, inputs, shape):
    outputs, _ = StackedLSTM([shape.hidden_size] * shape.layers, engine=engine)(inputs, time_major=True)
    return outputs


def _drop_in(inputs, shape):
    cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(shape.hidden_size) for _ in range(shape.layers)])
    return rnn_cell.dynamic_rnn(cell, inputs, dtype=inputs.dtype, time_major=True)[0]


def _peer(name, inputs, shape):
    return PEERS[name]([shape.hidden_size] * shape.layers, inputs, time_major=True).outputs


Contestant = collections.namedtuple("Contestant", ["library", "build"])


def _graph(build, *arguments):
    return functools.partial(_in_session, functools.partial(build, *arguments))


CONTESTANTS = collections.OrderedDict(
    [(name, Contestant("tensorflow", _graph(_stacked_lstm, name))) for name in engines.ENGINES]
    + [
        ("rnn_cell", Contestant("tensorflow", _graph(_drop_in))),
        ("dynamic_rnn", Contestant("tensorflow", _graph(_peer, "dynamic_rnn"))),
        ("tf_keras", Contestant("tf_keras", _graph(_peer, "keras"))),
    ]
)


def serve(connection, name, shape):
    """Runs a contestant in this process.

    First sends None, or why it cannot take part. Then answers each (mode, seconds) with (list of seconds per step,
    at least one; megabytes of memory that this process has used at most since its libraries were loaded), until None.
    """
    x = np.random.RandomState(0).standard_normal([shape.steps, shape.batch, shape.input_size]).astype(np.float32)
    try:
        importlib.import_module(CONTESTANTS[name].library)
        before = _peak_megabytes()
        steps = CONTESTANTS[name].build(shape, x)
    except Exception as error:  # Whatever keeps a contestant away, the others go on.
        connection.send("%s: %s" % (type(error).__name__, error))
        return
    connection.send(None)
    for mode, seconds in iter(connection.recv, None):
        taken, end = [], time.perf_counter() + seconds
        while not taken or time.perf_counter() < end:
            begin = time.perf_counter()
            steps[mode]()
            taken.append(time.perf_counter() - begin)
        connection.send((taken, _peak_megabytes() - before))


def _peak_megabytes():
    """The most memory that this process has had; ru_maxrss would also count what its parent had."""
    with open("/proc/self/status") as status:
        (peak,) = [line.split()[1] for line in status if line.startswith("VmHWM")]
    return int(peak) / 1024
