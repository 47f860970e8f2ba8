"""What the `cudnn` engine can run, and when "auto" prefers another engine."""

import logging

import pytest

from stacked_lstm import StackedLSTM, engines, log, rnn_cell
from stacked_lstm.compat import tf
from stacked_lstm.engines import cudnn
from stacked_lstm.engines.place import Place


@pytest.fixture(autouse=True)
def gpus(monkeypatch):
    """The visible GPUs: one, unless a test removes it. TensorFlow has CUDA, and the environment names no engine."""
    visible = ["a GPU"]
    monkeypatch.setattr(tf.config.experimental, "get_visible_devices", lambda kind: visible if kind == "GPU" else [])
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: True)
    monkeypatch.delenv(engines.ENVIRONMENT_VARIABLE, raising=False)
    return visible


def choice(**options):
    lstm = StackedLSTM([2, 2], **options)
    lstm(tf.zeros([1, 1, 1], options.get("dtype", tf.float32)))
    return lstm.engine_used


def problem():
    return cudnn.ENGINE.problem([], Place())


def objection():
    return cudnn.ENGINE.objection([], Place())


# Each condition and its text.
CONDITIONS = {
    "dtype": "it computes in float16 and float32 and float64, not in bfloat16",
    "_tanh_and_sigmoid": "cuDNN's ",
    "features_allowed": "it does not support ",  # tests/stack/test_options.py
    "device": "the device is ",
    "_not_rocm": "AMD's library arranges weights in another way",
    "_projections": "a projection needs the package's op for cuDNN, and ",
    "in_this_process": "and what that process can run is not known here",
    "outside_of_functions": "XLA may compile what is inside functions",
    "_with_cuda": "this TensorFlow is built without CUDA",
    "_gpu_visible": "there is no GPU",
}


def test_every_condition_is_listed():
    assert list(CONDITIONS) == [condition.__name__ for condition in cudnn.ENGINE.needs + cudnn.ENGINE.prefers]


def check_refused(words, **options):
    """It cannot run this: "auto" chooses another engine, and its name is an error."""
    engine_used = choice(**options)
    assert engine_used.name != "cudnn" and "not cudnn: " + words in engine_used.reason
    with pytest.raises(ValueError, match="the engine 'cudnn' .asked for by .*. cannot run these layers: " + words):
        choice(**dict(options, name="by_name", engine="cudnn"))


def check_not_preferred(words, name="left"):
    """It can run this, and does so by name, but "auto" chooses another engine."""
    engine_used = choice(name=name)
    assert engine_used.name != "cudnn" and words in engine_used.reason.split(";")[0]
    assert choice(name=name + "_by_name", engine="cudnn") == ("cudnn", "asked for by name")


@pytest.mark.parametrize("dtype", [tf.float16, tf.float32, tf.float64])
@pytest.mark.parametrize("use_bias", [True, False])
def test_taken_by_auto(dtype, use_bias):
    """Also without biases, which are zeros for cuDNN."""
    expected = ("cudnn", "the first engine that supports these layers")
    assert choice(dtype=dtype, use_bias=use_bias) == expected
    outputs, _ = rnn_cell.dynamic_rnn(rnn_cell.BasicLSTMCell(3), tf.zeros([1, 1, 1], dtype), dtype=dtype)
    assert rnn_cell.engine_used(outputs) == expected


def test_dtypes():
    check_refused(CONDITIONS["dtype"], dtype=tf.bfloat16)


@pytest.mark.parametrize(
    "option, value, words",
    [
        ("activation", "relu", "cuDNN's activation is tanh, not relu"),
        ("recurrent_activation", "hard_sigmoid", "cuDNN's recurrent_activation is sigmoid, not hard_sigmoid"),
        ("activation", lambda x: tf.tanh(x), "cuDNN's activation is tanh, not <lambda>"),
    ],
)
def test_activations(option, value, words):
    assert choice(**{option: {"activation": tf.nn.tanh, "recurrent_activation": tf.sigmoid}[option]}).name == "cudnn"
    check_refused(words, name="other", **{option: value})


@pytest.mark.parametrize("residual", [True, "after layer 1"])
@pytest.mark.parametrize("engine", ["auto", "cudnn"])
def test_residual_stacks(residual, engine):
    """The sums are between calls of cuDNN."""
    lstm = StackedLSTM([1, 1], residual=residual, engine=engine)
    lstm(tf.zeros([1, 1, 1]))
    assert lstm.engine_used.name == "cudnn"
    cell = rnn_cell.ResidualWrapper(rnn_cell.LSTMCell(1))
    outputs, _ = rnn_cell.dynamic_rnn(cell, tf.zeros([1, 1, 1]), dtype=tf.float32, engine=engine)
    assert rnn_cell.engine_used(outputs).name == "cudnn"


@pytest.mark.parametrize(
    "cell, words",
    [
        (lambda: rnn_cell.LayerNormBasicLSTMCell(3), "it does not support layer normalization"),
        (
            lambda: rnn_cell.LayerNormBasicLSTMCell(3, layer_norm=False, dropout_keep_prob=0.5),
            "it does not support recurrent dropout of the candidate",
        ),
        (lambda: rnn_cell.LSTMBlockCell(3, cell_clip=0.5), "it does not support a step with another equation"),
        (lambda: rnn_cell.LSTMCell(3, use_peepholes=True), "it does not support peepholes"),
        (lambda: rnn_cell.LSTMCell(3, cell_clip=1.0), "it does not support a clip of the cell state"),
        (lambda: rnn_cell.LSTMCell(3, num_proj=2, proj_clip=1.0), "it does not support a clip of the projection"),
        (
            lambda: rnn_cell.LSTMCell(3, num_proj=3),
            "cuDNN's projection has fewer columns than there are units, and this one goes from 3 units to 3",
        ),
        (
            lambda: rnn_cell.LSTMCell(3, num_proj=2),
            "a projection needs the package's op for cuDNN, and there is no GPU",
        ),
    ],
)
def test_what_cudnn_lacks(cell, words):
    outputs, _ = rnn_cell.dynamic_rnn(cell(), tf.zeros([1, 1, 1]), dtype=tf.float32)
    name, reason = rnn_cell.engine_used(outputs)
    assert name in ("graph", "native") and "not cudnn: " + words in reason
    with pytest.raises(ValueError, match="'cudnn' .asked for by .*. cannot run these layers: " + words):
        rnn_cell.dynamic_rnn(cell(), tf.zeros([1, 1, 1]), dtype=tf.float32, scope="by_name", engine="cudnn")


@pytest.mark.parametrize("device", ["/cpu:0", "/device:CPU:0", "/job:localhost/device:CPU:0", lambda op: "/cpu:0"])
def test_pinned_to_the_cpu(device):
    with tf.device(device):
        check_refused(CONDITIONS["device"])
        assert problem().upper().endswith("/DEVICE:CPU:0")


@pytest.mark.parametrize("device", ["/gpu:0", "/device:GPU:1", "/job:localhost/replica:0/task:0/device:GPU:0", None])
def test_on_a_gpu(device):
    with tf.device(device):
        assert choice().name == "cudnn"


def test_beside_something_on_the_cpu():
    with tf.device("/cpu:0"):
        tensor = tf.zeros([])
    with tf.colocate_with(tensor):
        assert problem() == "the device is /device:CPU:0"


def test_rocm(monkeypatch):
    monkeypatch.setattr(tf.test, "is_built_with_rocm", lambda: True)
    check_refused(CONDITIONS["_not_rocm"])


@pytest.mark.parametrize("device", ["/job:worker/task:1", "/job:worker/task:1/device:GPU:0"])
def test_other_processes(device):
    with tf.device(device):
        check_not_preferred(f"the device is {device}, " + CONDITIONS["in_this_process"])


def test_inside_functions(control_flow):
    objections = []
    tf.while_loop(lambda k: k < 1, lambda k: (objections.append(objection()), k + 1)[1], [0])
    assert objections[0].startswith(CONDITIONS["outside_of_functions"]) and objection() is None


def test_without_cuda(monkeypatch):
    """For example Apple's GPUs: TensorFlow lists them, and has no cuDNN."""
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: False)
    check_not_preferred(CONDITIONS["_with_cuda"])


def test_without_a_gpu(gpus):
    """There is none in the machine, or CUDA_VISIBLE_DEVICES or the program hides it."""
    gpus.clear()
    check_not_preferred(CONDITIONS["_gpu_visible"])


def test_gpus_are_looked_for_last(monkeypatch):
    queries = []
    monkeypatch.setattr(tf.config.experimental, "get_visible_devices", lambda kind: queries.append(kind) or ["a GPU"])
    for device in ("/cpu:0", "/job:worker/device:GPU:0"):
        with tf.device(device):
            assert objection().startswith("the device is")
    assert queries == [] and problem() is None and queries == []
    assert objection() is None and queries == ["GPU"]


def test_from_the_environment(monkeypatch, gpus):
    gpus.clear()
    monkeypatch.setenv("STACKED_LSTM_ENGINE", "cudnn")
    assert choice() == ("cudnn", "asked for by STACKED_LSTM_ENGINE")
    with pytest.raises(
        ValueError, match="'cudnn' .asked for by STACKED_LSTM_ENGINE. cannot run these layers: cuDNN's activation"
    ):
        choice(name="bad", activation="relu")


def test_warns_once_without_a_gpu(gpus, monkeypatch, caplog):
    """When the graph is built. A graph for another process is not our business."""
    monkeypatch.setattr(log, "_logged", set())
    with caplog.at_level(logging.WARNING, "stacked_lstm"):
        choice(name="with", engine="cudnn")
        gpus.clear()
        with tf.device("/job:worker/gpu:0"):
            choice(name="elsewhere", engine="cudnn")
        assert not any("sees no GPU" in message for message in caplog.messages)
        choice(name="without", engine="cudnn")
        choice(name="again", engine="cudnn")
    (message,) = [message for message in caplog.messages if "sees no GPU" in message]
    assert "'cudnn' was asked for by name" in message
