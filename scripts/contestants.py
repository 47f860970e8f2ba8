"""Who takes part in the benchmark. A new one is a function and a line in `CONTESTANTS`.

A contestant is the library it needs and a function of a `Shape`, a random input [T, B, I] (of `DTYPES`), a mode and a
device of `DEVICES`, which returns a function without arguments that makes one step, from the host's memory, and waits
for its end:

  inference: the last layer's outputs of all steps, as one deploys it: of a frozen graph, whose variables are constants.
  training: a step of gradient descent on the mean square of those outputs.
  evaluation: inference from variables, as between steps of training.

On a GPU too, outputs are fetched and nothing is in training; TF32 is off for all, unless STACKED_LSTM_TF32 is 1.
"""

import collections
import functools
import importlib
import logging
import time

import numpy as np

import library_contestants
import networks
from stacked_lstm import StackedLSTM, engines, rnn_cell, tf32
from stacked_lstm.compat import tf

MODES = ("inference", "training", "evaluation")
DEVICES = ("CPU", "GPU")
DTYPES = ("float32", "float16", "float64")


class Shape(collections.namedtuple("Shape", ["steps", "batch", "input_size", "hidden_size", "layers"])):
    """T, B, I, H, L: the sizes of a benchmark."""

    __slots__ = ()

    def __str__(self):
        return ",".join(map(str, self))

    def products(self, mode):
        """The matrix products of one step, (m, k, n) each for [m, k] times [k, n].

        The backward pass has two for each of the forward pass: dz W^T and [h, x]^T dz. The input is data, whose
        gradient nobody asks for: in the first layer dz W^T is that of h alone.
        """
        rows, gates, width, sizes = self.steps * self.batch, 4 * self.hidden_size, self.input_size, []
        for layer in range(self.layers):
            joined = self.hidden_size + width
            sizes.append((rows, joined, gates))
            if mode == "training":
                sizes.append((rows, gates, joined if layer else self.hidden_size))
                sizes.append((joined, rows, gates))
            width = self.hidden_size
        return sizes

    def operations(self, mode):
        """Floating-point operations of the matrix products of one step."""
        return sum(2 * m * k * n for m, k, n in self.products(mode))


POOL, CALLER = 0, -1  # Values of inter_op_parallelism_threads: TensorFlow's choice of threads, and the caller's.


@library_contestants.fastest_of(POOL, CALLER)
def _in_session(build, shape, x, mode, device, threads):
    """A contestant that is a TensorFlow graph: `build` makes the outputs from a placeholder [T, B, I]."""
    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.disable_v2_behavior()
    with tf.Graph().as_default(), tf.device(f"/{device}:0"):
        inputs = tf.placeholder(x.dtype, [None, None, shape.input_size])
        fetch = build(inputs, shape)
        if mode == "training":
            fetch = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_mean(tf.square(fetch)))
        session = _session(threads, device)
        session.run(tf.global_variables_initializer())
        if mode == "inference":
            session, inputs, fetch = _frozen(session, threads, device, inputs, fetch)
    return functools.partial(session.make_callable(fetch, [inputs]), x)


def _session(threads, device, optimized=True):
    """A session of the default graph; `threads` run its ops, those within an op are always TensorFlow's choice."""
    config = tf.ConfigProto(gpu_options=tf.GPUOptions(allow_growth=True))  # Contestants on one GPU share its memory.
    if device == "CPU":
        config.device_count["GPU"] = 0  # TensorFlow would place there what a library leaves open.
    config.allow_soft_placement = device == "GPU"  # Loops count in integers, for which GPUs lack some kernels.
    config.inter_op_parallelism_threads = threads
    config.graph_options.rewrite_options.disable_meta_optimizer = not optimized
    return tf.Session(config=config)


def _frozen(session, threads, device, inputs, outputs):
    """Returns (session, inputs, outputs) of a graph in which the values of the variables are constants."""
    with session:
        definition = tf.graph_util.convert_variables_to_constants(session, session.graph_def, [outputs.op.name])
    with tf.Graph().as_default():
        inputs, outputs = tf.import_graph_def(definition, return_elements=[inputs.name, outputs.name])
        return _session(threads, device), inputs, outputs


def _stacked_lstm(engine, inputs, shape):
    lstm = StackedLSTM([shape.hidden_size] * shape.layers, engine=engine, dtype=inputs.dtype)
    return lstm(inputs, time_major=True)[0]


def _drop_in(inputs, shape):
    cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(shape.hidden_size) for _ in range(shape.layers)])
    return rnn_cell.dynamic_rnn(cell, inputs, dtype=inputs.dtype, time_major=True)[0]


def _peer(name, inputs, shape):
    return networks.PEERS[name]([shape.hidden_size] * shape.layers, inputs, time_major=True).outputs


def _block_lstm(inputs, shape):
    """Sonnet's way on a CPU: the op that TensorFlow has for a layer over time."""
    batch = tf.shape(inputs)[1]
    for k in range(shape.layers):
        width, hidden_size = inputs.shape.as_list()[2], shape.hidden_size
        zeros = tf.zeros([batch, hidden_size], inputs.dtype)
        none = tf.zeros([hidden_size], inputs.dtype)
        outputs = tf.raw_ops.BlockLSTMV2(
            seq_len_max=tf.cast(tf.shape(inputs)[0], tf.int64),
            x=inputs,
            cs_prev=zeros,
            h_prev=zeros,
            w=tf.get_variable(f"w_{k}", [width + hidden_size, 4 * hidden_size], inputs.dtype),
            wci=none,
            wcf=none,
            wco=none,
            b=tf.get_variable(f"b_{k}", [4 * hidden_size], inputs.dtype),
            cell_clip=0.0,
            use_peephole=False,
        )
        inputs = outputs[-1]
        inputs.set_shape([None, None, hidden_size])
    return inputs


def _nothing(shape, x, mode, device):
    """What a call of a session costs that has the feed of the others, and fetches a number of it."""
    return _in_session(lambda inputs, shape: inputs[0, 0, 0], shape, x, "evaluation", device)


# Some 10 ms at 100 GFLOP/s, and 20 ms at 50 TFLOP/s.
_OPERATIONS_PER_CALL = {"CPU": 1e9, "GPU": 1e12}


def _products_per_call(shape, mode, device):
    """How often one call makes a step's products.

    Made once in a call, those of a small shape would take less than the session's call, and their rate be no ceiling.
    """
    return int(np.clip(_OPERATIONS_PER_CALL[device] / shape.operations(mode), 1, 100))


@library_contestants.fastest_of(POOL, CALLER)
def _gemm(shape, x, mode, device, threads):
    """The ceiling: the bare matrix products, TensorFlow's, each of all time steps at once."""
    tf.disable_v2_behavior()
    with tf.Graph().as_default(), tf.device(f"/{device}:0"):
        operands = [
            [tf.Variable(tf.random_normal(sizes, dtype=x.dtype)) for sizes in ([m, k], [k, n])]
            for m, k, n in shape.products(mode)
        ]
        last = []
        for left, right in operands * _products_per_call(shape, mode, device):
            with tf.control_dependencies(last):  # One after the other, each with all threads.
                last = [tf.matmul(left, right)]
        session = _session(threads, device, optimized=False)  # It would leave out products of which nothing is fetched.
        session.run(tf.global_variables_initializer())
    return session.make_callable(last[0].op)


Contestant = collections.namedtuple("Contestant", ["library", "build", "modes", "devices", "steps_per_call"])
Contestant.__new__.__defaults__ = (MODES, DEVICES, lambda shape, mode, device: 1)


def _graph(build, *arguments):
    return Contestant("tensorflow", functools.partial(_in_session, functools.partial(build, *arguments)))


# Device -> the engine that runs on no other; the record is about it.
ENGINE_OF = {"CPU": "native", "GPU": "cudnn"}


def _engine(name):
    only = tuple(device for device in DEVICES if ENGINE_OF[device] == name)
    return _graph(_stacked_lstm, name)._replace(devices=only or DEVICES)


CONTESTANTS = collections.OrderedDict(
    [(name, _engine(name)) for name in engines.ENGINES]
    + [
        ("rnn_cell", _graph(_drop_in)),
        ("dynamic_rnn", _graph(_peer, "dynamic_rnn")),
        ("tf_keras", _graph(_peer, "keras")._replace(library="tf_keras")),
        ("block_lstm", _graph(_block_lstm)),
        ("pytorch", Contestant("torch", library_contestants.pytorch)),
        ("onnxruntime", Contestant("onnxruntime", library_contestants.onnxruntime, ("inference",), ("CPU",))),
        ("openvino", Contestant("openvino", library_contestants.openvino, ("inference",), ("CPU",))),
        ("gemm", Contestant("tensorflow", _gemm, steps_per_call=_products_per_call)),
        ("nothing", Contestant("tensorflow", _nothing)),
    ]
)
PEERS = ("dynamic_rnn", "tf_keras", "block_lstm", "pytorch", "onnxruntime", "openvino")


def serve(connection, name, shape, mode, device, dtype):
    """Runs a contestant in this process, in numbers of `DTYPES`.

    Sends the name and version of its library once that is imported; None once it is built, for which it waits until it
    receives something; then, for each number of seconds until None, a list of the seconds that its steps took in that
    time, at least one, and the most megabytes of memory that this process has used beyond its libraries. The last
    thing it sends may be a RuntimeError: what keeps it from going on.
    """
    contestant = CONTESTANTS[name]
    if device == "GPU":
        logging.getLogger("stacked_lstm").addHandler(logging.NullHandler())  # The record says it, for all of them.
        tf32.off_unless_asked_for()
    x = np.random.RandomState(0).standard_normal([shape.steps, shape.batch, shape.input_size]).astype(dtype)
    try:
        library = importlib.import_module(contestant.library)
        connection.send(f"{contestant.library} {library.__version__.split('-')[0]}")
        connection.recv()
        before = _peak_megabytes()
        call, steps = contestant.build(shape, x, mode, device), contestant.steps_per_call(shape, mode, device)
        _forget_peak()  # It may have been that of a setting that was tried.
        connection.send(None)
        for seconds in iter(connection.recv, None):
            taken = [t / steps for t in library_contestants.seconds_of_calls(call, seconds)]
            _wait_until_idle()
            connection.send((taken, _peak_megabytes() - before))
    except Exception as error:  # Whatever keeps a contestant away, the others go on.
        connection.send(RuntimeError(f"{type(error).__name__}: {error}"))


def _wait_until_idle():
    """Waits until this process' threads rest, two seconds at most: ONNX Runtime's spin for 80 ms after a call."""
    for _ in range(100):
        before = time.process_time()
        time.sleep(0.02)
        if time.process_time() - before < 0.001:
            return


def _forget_peak():
    with open("/proc/self/clear_refs", "w") as settings:
        settings.write("5")


def _peak_megabytes():
    """The most memory that this process has had; ru_maxrss would also count what its parent had."""
    with open("/proc/self/status") as status:
        (peak,) = [line.split()[1] for line in status if line.startswith("VmHWM")]
    return int(peak) / 1024
