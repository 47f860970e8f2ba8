"""The compiled op of the `cudnn` engine, on the CPU with a cuDNN for tests. test_gpu.py has its tests on a GPU."""

import numpy as np
import pytest

from stacked_lstm import LSTMState, StackedLSTM, numpy_lstm
from stacked_lstm.compat import tf
from stacked_lstm.engines.cudnn import compiled_op, library
from support.engines.cudnn_on_host import DYNAMIC, FEW_UNITS, NEEDS_COMPILED_OP, REFUSE, STANDARD, STATIC
from support.references import numeric

pytestmark = NEEDS_COMPILED_OP

NAMES = {
    "standard": STANDARD,
    "persistent_static": STATIC,
    "persistent_dynamic": DYNAMIC,
    "persistent_few_units": FEW_UNITS,
}


def algorithms(calls, name="forward"):
    return [facts["algorithm"] for call, facts in calls if call == name]


class Network:
    """A stack from fed states, with its gradient."""

    def __init__(self, hidden_sizes=(4, 4), dtype="float32", name="stack"):
        self.x = tf.placeholder(dtype, [None, None, 3])
        self.start = tuple(LSTMState(*[tf.placeholder(dtype, [None, size]) for _ in "ch"]) for size in hidden_sizes)
        self.lstm = StackedLSTM(list(hidden_sizes), engine="cudnn", dtype=dtype, name=name)
        outputs, state = self.lstm(self.x, None, self.start, time_major=True)
        self.results = [outputs, *tf.nest.flatten(state)]
        self.upstream = [tf.placeholder(dtype, result.shape) for result in self.results]
        self.sources = [self.x, *tf.nest.flatten(self.start), *self.lstm.variables]
        self.gradients = tf.gradients(self.results, self.sources, self.upstream)

    def feed(self, steps, batch, seed=0):
        random = np.random.RandomState(seed)

        def numbers(tensor, *axes):
            return random.standard_normal([*axes, tensor.shape.as_list()[-1]])

        feed = {tensor: numbers(tensor, steps, batch) for tensor in (self.x, self.upstream[0])}
        feed.update((tensor, numbers(tensor, batch)) for tensor in [*tf.nest.flatten(self.start), *self.upstream[1:]])
        return feed


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 2e-6)])
def test_numbers(dtype, tolerance, host_cudnn, session):
    """Results and all gradients against NumPy, for one and two calls of cuDNN, also without steps or sequences."""
    networks = [Network(sizes, dtype, f"stack_{k}") for k, sizes in enumerate([(4, 4), (5, 3, 3)])]
    session.run(tf.global_variables_initializer())
    for network, steps, batch in ((networks[0], 6, 7), (networks[1], 6, 7), (networks[1], 0, 7), (networks[1], 6, 0)):
        feed = network.feed(steps, batch)
        results, gradients = session.run([network.results, network.gradients], feed)
        layers = network.lstm.get_weights(session).layers
        start = tf.nest.map_structure(feed.get, network.start)
        outputs, state, cache = numpy_lstm.forward(layers, feed[network.x], start)
        ups = [feed[tensor] for tensor in network.upstream]
        expected = numpy_lstm.backward(ups[0], list(zip(ups[1::2], ups[2::2])), cache)
        names = [v.op.name.split("/")[-1] for v in network.lstm.variables]
        weights = [layer[name] for layer in expected["layers"] for name in names[:8]]
        pairs = list(zip(results, [outputs, *tf.nest.flatten(state)]))
        pairs += zip(gradients, [expected["x"], *tf.nest.flatten(expected["initial_state"]), *weights])
        for actual, wanted in pairs:
            assert actual.shape == wanted.shape and actual.dtype == dtype
            assert not wanted.size or numeric.relative_difference(actual, wanted) < tolerance


def test_two_gradients_and_second_derivatives(host_cudnn, graph):
    """Each gradient has a reserve space of its own, also if TensorFlow merges equal ops."""
    network = Network(dtype="float64")
    again = tf.gradients(network.results, network.sources, [3.0 * tensor for tensor in network.upstream])
    graph_stack = StackedLSTM([4, 4], engine="graph", dtype="float64", name="witness")
    outputs, state = graph_stack(network.x, None, network.start, time_major=True)
    sources = [network.x, *tf.nest.flatten(network.start), *graph_stack.variables]
    first = tf.gradients([outputs, *tf.nest.flatten(state)], sources, network.upstream)
    seconds = [
        tf.gradients([tf.reduce_sum(tf.sin(g)) for g in gradients], inputs + network.upstream)
        for gradients, inputs in ((network.gradients, network.sources), (first, sources))
    ]
    session = tf.Session()  # With TensorFlow's graph optimizer, which merges ops.
    session.run(tf.global_variables_initializer())
    session.run([a.assign(b) for a, b in zip(graph_stack.variables, network.lstm.variables)])
    one, three, expected, (ours, theirs) = session.run([network.gradients, again, first, seconds], network.feed(5, 3))
    for actual, tripled, wanted in zip(one, three, expected):
        assert numeric.relative_difference(actual, wanted) < 1e-12
        assert numeric.relative_difference(tripled, 3 * wanted) < 1e-12
    for actual, wanted in zip(ours, theirs):
        assert numeric.relative_difference(actual, wanted) < 1e-12


def test_gradients_in_a_loop(host_cudnn, control_flow, graph):
    """Each step of the loop has the reserve space of one forward pass, which is outside of the loop."""
    x = tf.constant(np.random.RandomState(0).standard_normal([3, 2, 3]))
    outputs, _ = StackedLSTM([4, 4], engine="cudnn", dtype="float64")(x, time_major=True)
    numbers = tf.reshape(outputs, [-1])
    rows = tf.map_fn(lambda k: tf.gradients(numbers[k], x)[0], tf.range(4), dtype=x.dtype)
    expected = tf.stack([tf.gradients(numbers[k], x)[0] for k in range(4)])
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(*session.run([rows, expected]), rtol=0, atol=1e-14)


def test_place_of_gradients(host_cudnn, graph):
    """They are where the forward pass is, not where tf.gradients is called."""
    with tf.device("/device:GPU:1"):
        outputs, _ = StackedLSTM([4], engine="cudnn")(tf.placeholder(tf.float32, [3, 2, 3]))
    with tf.device("/device:GPU:0"):
        elsewhere = tf.constant(0.0)
    with tf.device("/device:GPU:0"), tf.colocate_with(elsewhere):
        tf.gradients(outputs, graph.get_operations()[0].outputs[0])
    devices = {op.type: op.device for op in graph.get_operations()}
    assert devices["StackedLstmCudnn"] == devices["StackedLstmCudnnGrad"] == "/device:GPU:1"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_named_algorithm(name, host_cudnn, monkeypatch, session):
    """It runs alone, from the first call, and gives the numbers of the standard algorithm."""
    networks, results = [], []
    for algorithm in ("standard", name):
        monkeypatch.setenv(compiled_op.ENVIRONMENT_VARIABLE, algorithm)
        networks.append(Network(name=f"stack_{len(networks)}"))
    session.run(tf.global_variables_initializer())
    session.run([a.assign(b) for b, a in zip(*[network.lstm.variables for network in networks])])
    for algorithm, network in zip(("standard", name), networks):
        host_cudnn.calls()
        results.append(session.run([network.results, network.gradients], network.feed(5, 6)))
        calls = host_cudnn.calls()
        assert [algorithms(calls, kind) for kind in ("forward", "backward_data", "backward_weights")] == 3 * [
            [NAMES[algorithm]]
        ]
    for one, other in zip(*map(tf.nest.flatten, results)):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_fastest_algorithm_is_kept(host_cudnn, monkeypatch, session):
    """Each algorithm runs on the first batch of a size. An algorithm that cuDNN refuses does not harm the others."""
    monkeypatch.setenv(compiled_op.ENVIRONMENT_VARIABLE, compiled_op.FASTEST)
    network = Network((6, 6))
    session.run(tf.global_variables_initializer())
    for batch, fastest, refused in ((2, STATIC, None), (3, FEW_UNITS, DYNAMIC), (4, STANDARD, FEW_UNITS)):
        for algorithm in NAMES.values():
            host_cudnn.delay(algorithm, REFUSE if algorithm == refused else 0 if algorithm == fastest else 3)
        session.run(network.results, network.feed(5, batch))
        tried = set(algorithms(host_cudnn.calls()))
        assert tried == set(NAMES.values())
        for steps in (5, 4, 5):
            session.run(network.gradients, network.feed(steps, batch))
        calls = host_cudnn.calls()
        assert algorithms(calls) == algorithms(calls, "backward_data") == [fastest] * 3
        (line,) = [line for line in library.choices().splitlines() if line.startswith(f"float32 5,{batch},3,6,2: ")]
        names = [name for name, number in NAMES.items() if number != refused]
        assert line.split(": ")[1].split()[0] == next(k for k, v in NAMES.items() if v == fastest)
        assert line.count(" ms") == len(names) and all(name in line for name in names)


def test_accurate_algorithms(host_cudnn, monkeypatch, session):
    """By default float32 runs on the standard algorithm alone. More are allowed if TF32 is asked for."""
    network = Network((5, 5))
    monkeypatch.setenv("STACKED_LSTM_TF32", "1")
    tf.config.experimental.enable_tensor_float_32_execution(True)
    try:
        rounded = Network((5, 5), name="rounded")
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(False)
    session.run(tf.global_variables_initializer())
    for stack, tried, math in ((network, {STANDARD}, 3), (rounded, set(NAMES.values()), 0)):
        host_cudnn.calls()
        session.run(stack.results, stack.feed(3, 8))
        calls = host_cudnn.calls()
        assert set(algorithms(calls)) == tried and {facts["math"] for _, facts in calls} == {math}


def test_few_units_end_at_128(host_cudnn, monkeypatch, session):
    """cuDNN refuses the backward pass of more only when it runs, and its handle is then of no use."""
    monkeypatch.setenv(compiled_op.ENVIRONMENT_VARIABLE, compiled_op.FASTEST)
    networks = [Network((size,), name=f"with_{size}") for size in (128, 129)]
    monkeypatch.setenv(compiled_op.ENVIRONMENT_VARIABLE, "persistent_few_units")
    named = Network((129,), name="named")
    session.run(tf.global_variables_initializer())
    for network, tried in zip(networks, ({FEW_UNITS}, set())):
        host_cudnn.calls()
        session.run(network.gradients, network.feed(2, 1))
        assert set(algorithms(host_cudnn.calls())) & {FEW_UNITS} == tried
    with pytest.raises(tf.errors.InternalError) as errors:
        session.run(named.results, named.feed(2, 1))
    assert "the algorithm persistent_few_units does not support these layers; use standard" in str(errors.value)


def test_after_a_refusal(host_cudnn, monkeypatch, session):
    """The handle with which cuDNN refused a named algorithm is not used again."""
    standard = Network((3, 3))
    monkeypatch.setenv(compiled_op.ENVIRONMENT_VARIABLE, "persistent_static")
    refused = Network((3, 3), name="refused")
    session.run(tf.global_variables_initializer())
    host_cudnn.delay(STATIC, REFUSE)
    expected = session.run(standard.gradients, standard.feed(3, 5))
    with pytest.raises(tf.errors.InternalError, match="cudnnRNNForward failed: "):
        session.run(refused.results, refused.feed(3, 5))
    for one, other in zip(session.run(standard.gradients, standard.feed(3, 5)), expected):
        np.testing.assert_array_equal(one, other)


def test_no_object_is_lost(host_cudnn, monkeypatch, session):
    """Calls of a size that is known open nothing; each new size keeps the four objects of one network."""
    networks = [Network((3, 3))]
    monkeypatch.setenv(compiled_op.ENVIRONMENT_VARIABLE, compiled_op.FASTEST)
    networks.append(Network((3, 3), name="fastest"))
    session.run(tf.global_variables_initializer())
    counts = []
    for network, batch, steps in ((0, 11, 2), (0, 11, 3), (0, 11, 2), (0, 12, 2), (1, 11, 2), (1, 11, 3)):
        session.run(networks[network].gradients, networks[network].feed(steps, batch))
        counts.append(host_cudnn.open_objects - (counts[0] if counts else 0))
    assert counts[1:] == [0, 0, 4, 8, 8]


def test_wrong_arguments(host_cudnn, session):
    op, gradient = library.load().stacked_lstm_cudnn, library.load().stacked_lstm_cudnn_grad
    attributes = {"algorithm": "standard", "allow_tf32": False}

    def zeros(*sizes):
        return tf.placeholder_with_default(np.zeros(sizes, np.float32), None)

    def call(steps=5, batch=2, numbers=4 * 4 * (3 + 4) + 2 * 4 * 4):
        return [zeros(steps, batch, 3), zeros(1, 2, 4), zeros(1, 2, 4), zeros(numbers)]

    def backward(outputs=(5, 2, 4), d_outputs=(5, 2, 4), d_h=(1, 2, 4), d_c=(1, 2, 4)):
        results = op(*call(), **attributes)
        tensors = [zeros(*sizes) for sizes in (outputs, d_outputs, d_h, d_c)]
        return gradient(*call(), *tensors, results.reserve_space, **attributes)

    cases = [
        (op(*call(numbers=7), **attributes), r"expected \d+ bytes of weights, got 28"),
        (op(*call(batch=3), **attributes), r"expected x \[T, B, I\].*got \[5,3,3\], \[1,2,4\] and \[1,2,4\]"),
        (backward(outputs=(5, 2, 3)), r"expected outputs of the shape \[5,2,4\], got \[5,2,3\]"),
        (backward(d_outputs=()), r"expected the gradient of outputs of the shape \[5,2,4\], got \[\]"),
        (backward(d_h=(2, 4)), r"expected the gradient of h of the shape \[1,2,4\], got \[2,4\]"),
        (backward(d_c=(1, 1, 4)), r"expected the gradient of c of the shape \[1,2,4\], got \[1,1,4\]"),
    ]
    for tensors, words in cases:
        with pytest.raises(tf.errors.OpError, match=words):
            session.run(tensors[0])
    with pytest.raises(ValueError, match="Dimensions must be equal, but are 3 and 2"):
        op(tf.zeros([5, 3, 3]), tf.zeros([1, 2, 4]), tf.zeros([1, 2, 4]), tf.zeros([144]), **attributes)
    session.run(backward()[0])


def test_unknown_algorithm(host_cudnn, monkeypatch, graph):
    monkeypatch.setenv(compiled_op.ENVIRONMENT_VARIABLE, "quick")
    with pytest.raises(ValueError, match="STACKED_LSTM_CUDNN_ALGORITHM.*accurate.*fastest.*quick"):
        Network()


def test_where_the_op_runs(host_cudnn, monkeypatch, graph):
    """Not with lengths, not for other processes, and not if the environment names TensorFlow's op."""

    def kinds(lengths=None):
        StackedLSTM([3], engine="cudnn", name=f"stack_{len(graph.get_operations())}")(tf.zeros([2, 4, 3]), lengths)
        new, start[0] = graph.get_operations()[start[0] :], len(graph.get_operations())
        return {op.type for op in new} & {"StackedLstmCudnn", "CudnnRNNV3"}

    start = [0]
    assert kinds() == {"StackedLstmCudnn"} and kinds([4, 2]) == {"CudnnRNNV3"}
    with tf.device("/job:worker/device:GPU:0"):
        assert kinds() == {"CudnnRNNV3"}
    monkeypatch.setenv(compiled_op.ENVIRONMENT_VARIABLE, compiled_op.TENSORFLOW)
    assert kinds() == {"CudnnRNNV3"}
