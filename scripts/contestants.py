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

import library_contestants
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


def _in_session(build, shape, x, frozen=False):
    """A contestant that is a TensorFlow graph: `build` makes the outputs from a placeholder [T, B, I].

    With `frozen` its variables are made constants, as in a graph that is deployed; it can only infer then.
    """
    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.disable_v2_behavior()
    inputs = tf.placeholder(tf.float32, [None, None, shape.input_size])
    outputs = build(inputs, shape)
    # Contestants on one GPU share its memory.
    config = tf.ConfigProto(gpu_options=tf.GPUOptions(allow_growth=True))
    session = tf.Session(config=config)
    fetches = {"inference": outputs}
    if not frozen:
        loss = tf.reduce_mean(tf.square(outputs))
        fetches["training"] = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    session.run(tf.global_variables_initializer())
    if frozen:
        names = [outputs.op.name]
        definition = tf.graph_util.convert_variables_to_constants(session, session.graph_def, names)
        graph = tf.Graph()
        with graph.as_default():
            inputs, outputs = tf.import_graph_def(
                definition, return_elements=[inputs.name, outputs.name], name="frozen"
            )
        session, fetches = tf.Session(graph=graph, config=config), {"inference": outputs}
    return {mode: functools.partial(session.make_callable(fetch, [inputs]), x) for mode, fetch in fetches.items()}


def _stacked_lstm(engine, inputs, shape):
    outputs, _ = StackedLSTM([shape.hidden_size] * shape.layers, engine=engine)(inputs, time_major=True)
    return outputs


def _drop_in(inputs, shape):
    cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(shape.hidden_size) for _ in range(shape.layers)])
    return rnn_cell.dynamic_rnn(cell, inputs, dtype=inputs.dtype, time_major=True)[0]


def _peer(name, inputs, shape):
    return PEERS[name]([shape.hidden_size] * shape.layers, inputs, time_major=True).outputs


def _block_lstm(inputs, shape):
    """Sonnet's way on a CPU: the op that TensorFlow has for a layer over time."""
    batch = tf.shape(inputs)[1]
    for k in range(shape.layers):
        width, hidden_size = inputs.shape.as_list()[2], shape.hidden_size
        zeros = tf.zeros([batch, hidden_size])
        none = tf.zeros([hidden_size])
        outputs = tf.raw_ops.BlockLSTMV2(
            seq_len_max=tf.cast(tf.shape(inputs)[0], tf.int64),
            x=inputs,
            cs_prev=zeros,
            h_prev=zeros,
            w=tf.get_variable("w_%d" % k, [width + hidden_size, 4 * hidden_size]),
            wci=none,
            wcf=none,
            wco=none,
            b=tf.get_variable("b_%d" % k, [4 * hidden_size]),
            cell_clip=0.0,
            use_peephole=False,
        )
        inputs = outputs[-1]
        inputs.set_shape([None, None, hidden_size])
    return inputs


def _gemm(shape, x):
    """The ceiling: TensorFlow's matrix products of all steps at once, forward, and the two of each backward."""
    tf.disable_v2_behavior()
    ops = {mode: [] for mode in MODES}
    random, rows, width, last = tf.random_normal, shape.steps * shape.batch, shape.input_size, []
    for _ in range(shape.layers):
        x, W, dz = (
            tf.Variable(random(sizes))
            for sizes in (
                [rows, width + shape.hidden_size],
                [width + shape.hidden_size, 4 * shape.hidden_size],
                [rows, 4 * shape.hidden_size],
            )
        )
        for mode, product in (
            ("inference", lambda: tf.matmul(x, W)),
            ("training", lambda: tf.matmul(dz, W, transpose_b=True)),
            ("training", lambda: tf.matmul(x, dz, transpose_a=True)),
        ):
            with tf.control_dependencies(last):  # One after the other, each with all threads.
                last = [product()[0, 0]]  # A number of each, or TensorFlow would leave it out.
            ops[mode] += last
        width = shape.hidden_size
    ops["training"] += ops["inference"]
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    return {mode: session.make_callable(made) for mode, made in ops.items()}


Contestant = collections.namedtuple("Contestant", ["library", "build", "modes"])
Contestant.__new__.__defaults__ = (MODES,)
INFERENCE = ("inference",)


def _graph(build, *arguments, **options):
    return functools.partial(_in_session, functools.partial(build, *arguments), **options)


CONTESTANTS = collections.OrderedDict(
    [(name, Contestant("tensorflow", _graph(_stacked_lstm, name))) for name in engines.ENGINES]
    + [
        ("native_frozen", Contestant("tensorflow", _graph(_stacked_lstm, "native", frozen=True), INFERENCE)),
        ("rnn_cell", Contestant("tensorflow", _graph(_drop_in))),
        ("dynamic_rnn", Contestant("tensorflow", _graph(_peer, "dynamic_rnn"))),
        ("tf_keras", Contestant("tf_keras", _graph(_peer, "keras"))),
        ("block_lstm", Contestant("tensorflow", _graph(_block_lstm))),
        ("pytorch", Contestant("torch", library_contestants.pytorch)),
        ("onnxruntime", Contestant("onnxruntime", library_contestants.onnxruntime, INFERENCE)),
        ("openvino", Contestant("openvino", library_contestants.openvino, INFERENCE)),
        ("gemm", Contestant("tensorflow", _gemm)),
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
