"""Contestants that are TensorFlow graphs.

Each function takes a `Shape`, an input [T, B, I], a mode and a device, and returns a step, as `contestants` describes.
"""

from __future__ import annotations

import functools
import logging
from typing import Any, Callable, Sequence

import numpy as np

from benchmarking import timing
from benchmarking.subjects.shapes import Shape, products_per_call
from benchmarking.timing import fastest_setting
from stacked_lstm import StackedLSTM, make_callable, rnn_cell, tf32
from stacked_lstm.compat import tf

POOL, CALLER = 0, -1  # Values of inter_op_parallelism_threads: TensorFlow's threads, or the caller's.
FEEDS = "benchmark_feeds"  # The collection of `fed`.
SHARING_CALLABLE = functools.partial(make_callable, share_results=True)  # As PyTorch and OpenVINO do.


def graph_step(
    build: Callable[[tf.Tensor, Shape], tf.Tensor],
    *arguments: Any,
    call: Callable[..., Any] = SHARING_CALLABLE,
    settings: Sequence[int] = (POOL, CALLER),
) -> Callable[[], Any]:
    """A step of a graph with the fastest of some settings.

    `build` makes the outputs from a placeholder [T, B, I], and `call` the function that runs them.
    """

    def compute(inputs: tf.Tensor, shape: Shape, mode: str) -> Any:
        outputs = build(inputs, shape)
        return _gradients(outputs) if mode == "training" else outputs

    return fastest_setting(*settings)(_session_step)(call, compute, *arguments)


def _session_step(
    call: Callable[..., Any],
    compute: Callable[[tf.Tensor, Shape, str], Any],
    shape: Shape,
    x: np.ndarray,
    mode: str,
    device: str,
    threads: int,
) -> Callable[[], Any]:
    """A step of a graph; `compute` makes the outputs or, in training, the gradients of the trainable variables."""
    prepare(device)
    with tf.Graph().as_default(), tf.device(f"/{device}:0"):
        inputs = tf.placeholder(x.dtype, [None, None, shape.input_size])
        fetch = compute(inputs, shape, mode)
        placeholders, values = zip((inputs, x), *tf.get_collection(FEEDS))
        if mode == "training":
            pairs = zip(fetch, tf.trainable_variables())
            fetch = tf.train.GradientDescentOptimizer(0.1).apply_gradients(pairs)
        session = new_session(threads, device)
        session.run(tf.global_variables_initializer())
        if mode == "inference":
            session, placeholders, fetch = _freeze(session, threads, device, placeholders, fetch)
    return functools.partial(call(session, fetch, placeholders), *values)


def fed(value: float) -> tf.Tensor:
    """A placeholder of one number, which each step feeds besides its input."""
    placeholder = tf.placeholder(tf.float32, [])
    tf.add_to_collection(FEEDS, (placeholder, value))
    return placeholder


def _gradients(outputs: tf.Tensor) -> list[tf.Tensor]:
    return tf.gradients(tf.reduce_mean(tf.square(outputs)), tf.trainable_variables())


def prepare(device: str) -> None:
    """Sets TensorFlow up: graphs, few words, and on a GPU no TF32 unless the environment asks for it."""
    tf.logging.set_verbosity(tf.logging.ERROR)
    tf.disable_v2_behavior()
    if device == "GPU":
        logging.getLogger("stacked_lstm").addHandler(logging.NullHandler())  # The record says it for all processes.
        tf32.off_unless_asked_for()


def new_session(threads: int, device: str, optimized: bool = True) -> tf.Session:
    """Opens a session of the default graph; `threads` run its ops, and `timing.THREADS` those within an op."""
    config = tf.ConfigProto(gpu_options=tf.GPUOptions(allow_growth=True))  # Contestants on one GPU share its memory.
    if device == "CPU":
        config.device_count["GPU"] = 0  # TensorFlow would place there what a library leaves open.
    config.allow_soft_placement = device == "GPU"  # Loops count in integers, for which GPUs lack some kernels.
    config.inter_op_parallelism_threads = threads
    config.intra_op_parallelism_threads = timing.THREADS or 0  # With 0, TensorFlow chooses.
    config.graph_options.rewrite_options.disable_meta_optimizer = not optimized
    return tf.Session(config=config)


def _freeze(
    session: tf.Session, threads: int, device: str, placeholders: Sequence[tf.Tensor], outputs: tf.Tensor
) -> tuple[tf.Session, Sequence[tf.Tensor], tf.Tensor]:
    """Returns (session, placeholders, outputs) of a graph in which the values of the variables are constants."""
    with session:
        definition = tf.graph_util.convert_variables_to_constants(session, session.graph_def, [outputs.op.name])
    with tf.Graph().as_default():
        names = [tensor.name for tensor in (*placeholders, outputs)]
        *placeholders, outputs = tf.import_graph_def(definition, return_elements=names)
        return new_session(threads, device), placeholders, outputs


def session_run_step(engine: str, *arguments: Any) -> Callable[[], Any]:
    """StackedLSTM with one of its engines. A step is a `session.run`."""
    return engine_step(engine, *arguments, call=tf.Session.make_callable)  # It calls session.run.


def session_threads_step(engine: str, *arguments: Any) -> Callable[[], Any]:
    """StackedLSTM with one of its engines. The session's threads run its ops."""
    return engine_step(engine, *arguments, settings=(POOL,))


def engine_step(engine: str, *arguments: Any, **keywords: Any) -> Callable[[], Any]:
    """StackedLSTM with one of its engines."""

    def build(inputs: tf.Tensor, shape: Shape) -> tf.Tensor:
        lstm = StackedLSTM([shape.hidden_size] * shape.layers, engine=engine, dtype=inputs.dtype)
        return lstm(inputs, time_major=True)[0]

    return graph_step(build, *arguments, **keywords)


def xla_step(engine: str, *arguments: Any) -> Callable[[], Any]:
    """StackedLSTM with one of its engines, compiled by XLA for the sizes of the shape."""

    def compute(inputs: tf.Tensor, shape: Shape, mode: str) -> Any:
        lstm = StackedLSTM([shape.hidden_size] * shape.layers, engine=engine, dtype=inputs.dtype)
        lstm.build(shape.input_size)
        inputs.set_shape([shape.steps, shape.batch, None])

        def compiled(x: tf.Tensor) -> list[tf.Tensor]:
            outputs, _ = lstm(x, time_major=True)
            return _gradients(outputs) if mode == "training" else [outputs]

        results = tf.xla.experimental.compile(compiled, [inputs])
        return results if mode == "training" else results[0]

    return fastest_setting(POOL, CALLER)(_session_step)(SHARING_CALLABLE, compute, *arguments)


def rnn_cell_step(*arguments: Any) -> Callable[[], Any]:
    """The package's cells, with the engine that "auto" chooses."""

    def build(inputs: tf.Tensor, shape: Shape) -> tf.Tensor:
        cell = rnn_cell.MultiRNNCell([rnn_cell.BasicLSTMCell(shape.hidden_size) for _ in range(shape.layers)])
        return rnn_cell.dynamic_rnn(cell, inputs, dtype=inputs.dtype, time_major=True)[0]

    return graph_step(build, *arguments)


def peer_step(name: str, *arguments: Any) -> Callable[[], Any]:
    """A peer that is a graph; `name` is that of its `build`, as "module:function"."""
    import peers

    def build(inputs: tf.Tensor, shape: Shape) -> tf.Tensor:
        return peers.load(name)([shape.hidden_size] * shape.layers, inputs, time_major=True).outputs

    return graph_step(build, *arguments)


def nothing_step(shape: Shape, x: np.ndarray, mode: str, device: str) -> Callable[[], Any]:
    """The cost of a call of a session with the same feed as the others, which fetches one number of it."""
    return graph_step(lambda inputs, shape: inputs[0, 0, 0], shape, x, "evaluation", device)


@fastest_setting(POOL, CALLER)
def gemm_step(shape: Shape, x: np.ndarray, mode: str, device: str, threads: int) -> Callable[[], Any]:
    """The ceiling: the bare matrix products in TensorFlow, each of all time steps at once."""
    prepare(device)
    with tf.Graph().as_default(), tf.device(f"/{device}:0"):
        operands = [
            [tf.Variable(tf.random_normal(sizes, dtype=x.dtype)) for sizes in ([m, k], [k, n])]
            for m, k, n in shape.products(mode)
        ]
        last: list[tf.Tensor] = []
        for left, right in operands * products_per_call(shape, mode, device):
            with tf.control_dependencies(last):  # One after the other, each with all threads.
                last = [tf.matmul(left, right)]
        # The optimizer would drop products whose results are not fetched.
        session = new_session(threads, device, optimized=False)
        session.run(tf.global_variables_initializer())
    return session.make_callable(last[0].op)
