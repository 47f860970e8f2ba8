"""The choice of an engine: what `native` can run, when "auto" prefers another engine, and the environment variable.

test_cudnn_choice.py has the same tests for `cudnn`.
"""

import functools
import logging

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, activations, engines, log, rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.engines import native
from stacked_lstm.engines.native import engine as native_engine
from stacked_lstm.engines.native import library
from stacked_lstm.engines.place import Place
from stacked_lstm.lstm.equations import LayerNorm
from stacked_lstm.lstm.layer import Layer
from stacked_lstm.lstm.normalization import Norm
from support.engines import native_ops


@pytest.fixture(autouse=True)
def gpus(monkeypatch):
    """The visible GPUs: none, unless a test adds some. TensorFlow has CUDA, and the environment names no engine."""
    visible = []
    monkeypatch.setattr(tf.config.experimental, "get_visible_devices", lambda kind: visible if kind == "GPU" else [])
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: True)
    monkeypatch.delenv(engines.ENVIRONMENT_VARIABLE, raising=False)
    return visible


def choice(**options):
    lstm = StackedLSTM([2], **options)
    lstm(tf.zeros([1, 1, 1], options.get("dtype", tf.float32)))
    return lstm.engine_used


def problem(layers=()):
    return native.ENGINE.problem(list(layers), Place())


def objection(layers=()):
    return native.ENGINE.objection(list(layers), Place())


def test_order():
    assert list(engines.ENGINES) == ["cudnn", "native", "graph"]


# Each condition, its text, and the test for it.

CONDITIONS = {
    "dtype": "it computes in float32 and float64, not in float16",  # test_layers_it_does_not_support
    "_named_activations": "the activation <lambda> is a Python function, not one of the package's",
    "features_allowed": "it does not support a step with another equation",
    "one_epsilon": "the norms of a layer have different epsilons",  # test_norms_it_does_not_support
    "device": "the device is ",  # test_devices
    "in_this_process": "and what that process can run is not known here",
    "outside_of_functions": "XLA may compile what is inside functions",  # test_inside_control_flow
    "_no_gpu": "there is a GPU",  # test_gpus
    "_compiled": "TensorFlow does not load the library",  # test_what_is_asked_last
}


def test_every_condition_is_listed():
    conditions = native.ENGINE.needs + native.ENGINE.prefers + native.ENGINE.ready
    assert list(CONDITIONS) == [condition.__name__ for condition in conditions]


@native_ops.NEEDS_NATIVE
def test_taken_by_auto():
    assert choice() == ("native", "not cudnn: there is no GPU; the first engine that supports these layers")
    assert choice(name="by_name", engine="native") == ("native", "asked for by name")


@pytest.mark.parametrize(
    "condition, options",
    [("dtype", {"dtype": tf.float16}), ("_named_activations", {"activation": lambda x: tf.tanh(x)})],
)
def test_layers_it_does_not_support(condition, options):
    words = CONDITIONS[condition]
    assert choice(**options).name == "graph" and "not native: " + words in choice(name="again", **options).reason
    with pytest.raises(ValueError, match="the engine 'native' .asked for by .*. cannot run these layers: " + words):
        choice(name="by_name", engine="native", **options)


@pytest.mark.parametrize(
    "make",
    [
        functools.partial(rnn_cell.CoupledInputForgetGateLSTMCell, layer_norm=True),
        functools.partial(rnn_cell.LSTMBlockCell, cell_clip=1),
    ],
)
def test_cells_it_does_not_support(make):
    outputs, _ = rnn_cell.dynamic_rnn(make(3), tf.zeros([1, 1, 1]), dtype=tf.float32)
    name, reason = rnn_cell.engine_used(outputs)
    assert name == "graph" and "; not native: " + CONDITIONS["features_allowed"] in reason


def test_norms_it_does_not_support():
    """Layers of the package have one epsilon."""
    ones = tf.ones([4, 3]), tf.zeros([4, 3])
    norms = [LayerNorm(Norm(*ones, 0.1), Norm(ones[0][0], ones[1][0], epsilon), True) for epsilon in (0.1, 0.2)]
    same, different = (Layer(1, 3, [tf.ones([4, 12])], norm=norm) for norm in norms)
    assert objection([same]) is None
    assert objection([same, different]) == CONDITIONS["one_epsilon"]


@native_ops.NEEDS_NATIVE
@pytest.mark.parametrize("extra", [{"use_peepholes": True}, {"num_proj": 2, "proj_clip": 1.0}, {"cell_clip": 1.0}])
def test_extras_it_supports(extra):
    outputs, _ = rnn_cell.dynamic_rnn(rnn_cell.LSTMCell(3, **extra), tf.zeros([1, 1, 1]), dtype=tf.float32)
    assert rnn_cell.engine_used(outputs).name == "native"


@native_ops.NEEDS_NATIVE
@pytest.mark.parametrize("norm", [True, "tensorflow"])
def test_extras_it_supports_with_layer_normalization(norm):
    extras = {"peepholes": True, "projection_size": 2, "cell_clip": 1.0, "projection_clip": 1.0}
    assert choice(layer_norm=norm, **extras).name == "native"


@native_ops.NEEDS_NATIVE
def test_activations_are_those_of_the_package(session):
    """The ops know the engine's activations, and compute what the package computes."""
    zeros, kernels = tf.zeros([1, 1]), [tf.ones([2, 1])] * 4

    def call(activation_name, recurrent_name):
        functions = {"activation": activation_name, "recurrent_activation": recurrent_name}
        return native_ops.forward(tf.ones([1, 1, 1]), [zeros + 1], [zeros], kernels, **functions)[0]

    one = tf.ones([])
    for name in native_engine.ACTIVATIONS:
        activation = activations.ACTIVATIONS[name]
        for actual, expected in (
            (call(name, "linear"), activation.function(activation.function(one) + 1)),
            (call("linear", name), activation.function(one) * 2 * activation.function(one)),
        ):
            np.testing.assert_allclose(session.run(actual)[0, 0, 0], session.run(expected), rtol=1e-6)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="expected the activation to be one of tanh, .*, got 'softmax'"
    ):
        session.run(call("tanh", "softmax"))


@pytest.mark.parametrize("name", sorted(set(activations.ACTIVATIONS) - set(native_engine.ACTIVATIONS)))
def test_activations_that_native_does_not_have(name):
    for k, argument in enumerate(("activation", "recurrent_activation")):
        used = choice(name=f"stack_{k}", **{argument: name})
        assert used.name == "graph" and f"; not native: it does not have the activation {name};" in used.reason
        with pytest.raises(
            ValueError,
            match=f"'native' .asked for by .*. cannot run these layers: it does not have the activation {name}",
        ):
            choice(name=f"native_{k}", engine="native", **{argument: name})


REMOTE = CONDITIONS["in_this_process"]

# Device, why native cannot run there, and why "auto" does not choose it.
DEVICES = [
    ("/device:CPU:0", None, None),
    ("/cpu:0", None, None),
    ("/device:cpu:0", None, None),
    ("/job:localhost/replica:0/task:0", None, None),
    ("/job:localhost/device:CPU:*", None, None),
    ("/job:worker/task:1/device:CPU:0", None, "the device is /job:worker/task:1/device:CPU:0, " + REMOTE),
    ("/job:worker", None, "the device is /job:worker, " + REMOTE),
    ("/device:GPU:0", None, None),  # Soft placement puts the ops on the CPU, because there is no GPU.
    ("/job:localhost/device:GPU:1", None, None),
    ("/job:cpu_worker/device:GPU:0", "the device is /job:cpu_worker/device:GPU:0", None),
    ("/device:XLA_CPU:0", "the device is /device:XLA_CPU:0", None),
    ("/device:TPU:0", "the device is /device:TPU:0", None),
    (lambda op: "/device:GPU:1", None, None),
    (lambda op: "/cpu:0", None, None),
    (None, None, None),
]


@native_ops.NEEDS_NATIVE
@pytest.mark.parametrize("device, problem_text, objection_text", DEVICES)
def test_devices(device, problem_text, objection_text, graph):
    with tf.device(device):
        assert problem() == problem_text
        assert objection() == (problem_text or objection_text)
        with tf.device(None):
            assert objection() is None
    assert graph.get_operations() == []  # The question adds no ops.


def test_asking_about_a_cell(graph):
    """The question adds no ops to the graph."""
    cell = rnn_cell.BasicLSTMCell(2)
    cell.build([None, 3])
    layer = cell.layer()
    before = graph.get_operations()
    problem([layer])
    objection([layer])
    assert graph.get_operations() == before


@native_ops.NEEDS_NATIVE
@pytest.mark.parametrize("device", ["/device:GPU:0", "/job:localhost/device:GPU:1"])
def test_devices_where_there_is_a_gpu(device, gpus):
    gpus.append("a GPU")
    with tf.device(device):
        assert problem() == objection() == "the device is " + device


@native_ops.NEEDS_NATIVE
def test_a_gpu_that_is_not_there():
    """The native ops run under soft placement. Without it TensorFlow refuses the graph, as it refuses its own ops."""
    with tf.device("/gpu:0"):
        lstm = StackedLSTM([2])
        outputs, _ = lstm(tf.ones([3, 4, 1]))
        gradients = tf.gradients(outputs, lstm.variables)
        own = tf.ones([2, 2], name="own") @ tf.ones([2, 2])
    assert lstm.engine_used.name == "native" and outputs.device == own.device == "/device:GPU:0"
    with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as session:
        session.run(tf.global_variables_initializer())
        assert np.all(np.isfinite(session.run(gradients[0])))
    with tf.Session() as session:
        for result in (own, outputs):
            with pytest.raises(tf.errors.InvalidArgumentError, match="Cannot assign a device"):
                session.run(result)


@native_ops.NEEDS_NATIVE
def test_devices_of_a_stack(gpus):
    gpus.append("a GPU")
    with tf.device("/device:GPU:0"):
        reason = choice(name="again", activation="relu").reason
        assert "not native: the device is /device:GPU:0" in reason
        with pytest.raises(
            ValueError, match="'native' .asked for by .*. cannot run these layers: the device is /device:GPU:0"
        ):
            choice(name="by_name", engine="native")
    with tf.device("/device:GPU:2"):
        tensor = tf.zeros([])
    with tf.colocate_with(tensor):
        assert "not native: the device is /device:GPU:2" in choice(name="beside", activation="relu").reason


@native_ops.NEEDS_NATIVE
def test_device_functions_in_loops(control_flow, gpus):
    gpus.append("a GPU")
    found = []
    with tf.device(lambda op: "/device:GPU:0"):
        tf.while_loop(lambda k: k < 1, lambda k: (found.append(problem()), k + 1)[1], [0])
    assert found[0] == "the device is /device:GPU:0"


@native_ops.NEEDS_NATIVE
def test_in_a_cluster():
    """With parameter servers, the devices of a worker's graph name jobs, even its own. A named engine runs there."""
    server = tf.train.Server({"worker": ["localhost:0"]}, job_name="worker", task_index=0)
    with tf.device(tf.train.replica_device_setter(ps_tasks=1, ps_device="/job:worker")):
        assert choice().name == "graph" and REMOTE in choice(name="again").reason
        lstm = StackedLSTM([2], engine="native", name="by_name")
        outputs, _ = lstm(tf.ones([3, 4, 1]))
    assert lstm.engine_used.name == "native" and outputs.device.startswith("/job:worker")
    with tf.Session(server.target) as session:
        session.run(tf.variables_initializer(lstm.variables))
        assert np.all(session.run(outputs) != 0)


@native_ops.NEEDS_NATIVE
def test_inside_control_flow(control_flow):
    found = []
    tf.while_loop(lambda k: k < 1, lambda k: (found.append(choice()), k + 1)[1], [0])
    assert found[0].name == "graph" and CONDITIONS["outside_of_functions"] in found[0].reason


@native_ops.NEEDS_NATIVE
def test_gpus(gpus):
    gpus.append("a GPU")
    assert "not native: " + CONDITIONS["_no_gpu"] in choice(activation="relu").reason
    assert choice(name="by_name", engine="native").name == "native"
    with tf.device("/cpu:0"):
        assert choice(name="placed").name == "native"


def test_what_is_asked_last(monkeypatch, caplog):
    """Looking for GPUs starts CUDA, and compiling takes long. Neither happens if another condition decides."""
    queries = []
    words = CONDITIONS["_compiled"]
    monkeypatch.setattr(tf.config.experimental, "get_visible_devices", lambda kind: queries.append(kind) or [])
    monkeypatch.setattr(library, "problem", lambda: queries.append("library") or words)
    monkeypatch.setattr(library.OPS, "_loaded", {})
    for k, options in enumerate([{"dtype": tf.bfloat16}, {"activation": tf.nn.softmax}]):
        assert choice(name=f"stack_{k}", **options).name == "graph"
    for device in ("/job:worker/device:GPU:0", "/job:worker/device:CPU:0"):
        with tf.device(device):
            assert objection().startswith("the device is")
    tf.while_loop(lambda k: k < 1, lambda k: k + len(objection()), [0])
    assert queries == []
    caplog.clear()  # Half-precision variables have a warning of their own.
    monkeypatch.setattr(log, "_logged", set())
    with caplog.at_level(logging.WARNING, "stacked_lstm"):
        assert problem() == words and queries == ["library"] and not caplog.records
        assert objection() == objection() == words
        assert queries == ["library"] + ["GPU", "library"] * 2
        monkeypatch.setattr(library, "problem", lambda: "the disk is full")
        assert objection() == "the disk is full"
        monkeypatch.setattr(library, "problem", lambda: words)
        assert objection() == words
    messages = [record.getMessage() for record in caplog.records]
    start = "stacked_lstm: continuing without the native engine: "
    assert messages == [start + words, start + "the disk is full"]  # Once for each reason.


# The environment variable.


def test_the_environment_says_what_auto_means(monkeypatch):
    monkeypatch.setenv("STACKED_LSTM_ENGINE", "graph")
    assert choice() == ("graph", "asked for by STACKED_LSTM_ENGINE")
    monkeypatch.setenv("STACKED_LSTM_ENGINE", "stepwise")  # TensorFlow's own ops, which for a stack means graph.
    assert choice(name="stepwise") == ("graph", "asked for by STACKED_LSTM_ENGINE")
    monkeypatch.setenv("STACKED_LSTM_ENGINE", "grap")
    expected = "expected `STACKED_LSTM_ENGINE` to be one of auto, cudnn, graph, native, stepwise, got 'grap'"
    with pytest.raises(ValueError, match="StackedLSTM: " + expected):
        choice(name="bad")
    assert choice(name="by_name", engine="graph") == ("graph", "asked for by name")
    with pytest.raises(ValueError, match="expected `engine` to be one of auto, cudnn, graph, native, got 'stepwise'"):
        StackedLSTM([2], engine="stepwise")
    for nothing in ("", "auto"):
        monkeypatch.setenv("STACKED_LSTM_ENGINE", nothing)
        assert "the first engine that supports these layers" in choice(name="nothing_" + nothing).reason


@native_ops.NEEDS_NATIVE
def test_native_from_the_environment(monkeypatch, gpus):
    """Like a name: preferences do not count, and layers that it cannot run are an error."""
    gpus.append("a GPU")
    monkeypatch.setenv("STACKED_LSTM_ENGINE", "native")
    assert choice() == ("native", "asked for by STACKED_LSTM_ENGINE")
    words = "bad: the engine 'native' .asked for by STACKED_LSTM_ENGINE. cannot run these layers: %s"
    with pytest.raises(ValueError, match=words % CONDITIONS["dtype"]):
        choice(name="bad", dtype=tf.float16)
    assert choice(name="other", dtype=tf.float16, engine="graph").name == "graph"


def cells(cell, scope, **options):
    outputs, _ = rnn_cell.dynamic_rnn(cell, tf.zeros([1, 1, 1]), dtype=tf.float32, scope=scope, **options)
    return rnn_cell.engine_used(outputs)


@native_ops.NEEDS_NATIVE
def test_cells_and_the_environment(monkeypatch):
    """The variable decides about cells that engines run. All other cells run on TensorFlow's loop."""
    monkeypatch.setenv("STACKED_LSTM_ENGINE", "native")
    assert cells(rnn_cell.LSTMCell(2), "plain") == ("native", "asked for by STACKED_LSTM_ENGINE")
    assert cells(rnn_cell.DropoutWrapper(rnn_cell.LSTMCell(2), 0.5), "dropout").name == "native"
    packed = rnn_cell.LSTMCell(2, state_is_tuple=False)  # Its wrapper drops out of c, too.
    assert cells(rnn_cell.DropoutWrapper(packed, state_keep_prob=0.5), "dropped_states").name == "native"
    with pytest.raises(
        ValueError, match="'native' .asked for by .*. cannot run these layers: " + CONDITIONS["features_allowed"]
    ):
        cells(rnn_cell.LSTMBlockCell(2, cell_clip=0.5), "clipped")
    monkeypatch.setenv("STACKED_LSTM_ENGINE", "stepwise")
    for k, engine in enumerate([None, "auto"]):
        expected = ("stepwise", "asked for by STACKED_LSTM_ENGINE")
        assert cells(rnn_cell.LSTMCell(2), f"stepwise_{k}", engine=engine) == expected
    assert cells(rnn_cell.LSTMCell(2), "graph", engine="graph") == ("graph", "asked for by name")
