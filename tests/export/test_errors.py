"""What cannot be exported: one message that names it, and no file."""

import importlib.util
import os
import re

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm import export, rnn_cell
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE
from support.files.recorded_files import Recorder
from support.networks import exports
from support.suite.sets import ONCE

NEEDS_ONNX = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for package in ("onnx", "tf2onnx", "onnxruntime")),
    reason="onnx, tf2onnx or onnxruntime is not installed",
)
NEEDS_LITERT = pytest.mark.skipif(
    importlib.util.find_spec("ai_edge_litert") is None, reason="ai-edge-litert is not installed"
)


@pytest.fixture
def network(plain_session):
    inputs, outputs = exports.stack("graph", has_lengths=False)
    exports.set_random(plain_session)
    return plain_session, inputs, outputs


def check(message, folder, *arguments, **options):
    """`export.write` raises one line, and leaves nothing."""
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        export.write(*arguments, **options)
    assert str(error.value).startswith("export.write: expected ") and "\n" not in str(error.value)
    assert os.listdir(str(folder)) == []


def test_arguments(network, tmp_path):
    session, inputs, outputs = network
    path = tmp_path / "model.pb"

    def fails(message, inputs=inputs, outputs=outputs, path=path, **options):
        check(message, tmp_path, session, inputs, outputs, path, **options)

    x = inputs["x"]
    fails("`inputs` to be a dictionary from names to tensors of the session's graph, got []", inputs=[])
    fails("`outputs` to be a dictionary from names to tensors", outputs={})
    check("`session` to be an open tf.Session, got None", tmp_path, None, inputs, outputs, path)
    fails("`inputs['x']` to be a placeholder, got the result of Mul", inputs={"x": 2 * x})
    fails("`inputs` to have each placeholder once, got x, y", inputs={"x": x, "y": x})
    message = "names in `inputs` to be letters, digits, _ and ., without _ and . at the start, got 'a b'"
    fails(message, inputs={"a b": x})
    fails("names that no other op of the graph has, got y", inputs={"y": x}, outputs={"y": outputs["c"]})
    other = tf.placeholder(tf.float32, [], name="other")
    fails("`inputs` that `outputs` need, got also z", inputs={"x": x, "z": other})
    fails("`inputs` to have all placeholders that `outputs` need, got none for other", outputs={"y": other * x})
    fails("`format` to be one of frozen_graph, npz, onnx, saved_model, tflite, got 'keras'", format="keras")
    fails("`path` to be a name that ends in .onnx, got ", format="onnx")
    fails("`path` in a folder that exists, got ", path=tmp_path / "folder" / "model.pb")
    fails(f"`quantize` to be None for {path}, got 'float16'", quantize="float16")
    fails("`example` to have an array for each of x, got y", example={"y": 1})
    fails("`example['x']` to have the shape [None, None, 3], got [2, 3]", example={"x": np.ones([2, 3])})
    with tf.Graph().as_default():
        fails("tensors of the session's graph", inputs={"x": tf.placeholder(tf.float32)})


def test_files_stay(network, tmp_path):
    session, inputs, outputs = network
    for name in ("model.pb", "model"):
        export.write(session, inputs, outputs, tmp_path / name)
        with pytest.raises(ValueError, match=f"expected `path` to be a new name, got .*{name}, which exists"):
            export.write(session, inputs, outputs, tmp_path / name)
    assert sorted(os.listdir(str(tmp_path))) == ["model", "model.pb"]


def test_no_example_for_unknown_sizes(plain_session, tmp_path):
    x, path = tf.placeholder(tf.float32), tmp_path / "model"
    message = "`example`, because the input 'x' has the dtype float32"
    check(message, tmp_path, plain_session, {"x": x}, {"y": x + 1}, path)
    ids = tf.placeholder(tf.int32, [None], name="ids")
    message = "`example`, because the graph does not run on ones (ids [3]), got none"
    check(message, tmp_path, plain_session, {"ids": ids}, {"y": tf.reshape(ids, [2, 2])}, path)


def test_other_numbers(plain_session, tmp_path):
    """An output that differs from run to run."""
    x = tf.placeholder(tf.float64, [2])
    message = "to compute the output 'y' to 1e-05 of its largest number, got a difference of "
    fraction = tf.math.floormod(1000 * tf.timestamp(), 1.0)
    check(message, tmp_path, plain_session, {"x": x}, {"y": x * fraction}, tmp_path / "model.pb")


def test_python_functions(plain_session, tmp_path):
    x = tf.placeholder(tf.float32, [2])
    y = tf.py_func(lambda array: array + 1, [x], tf.float32, name="sine")
    message = "ops that other programs can run, got sine (PyFunc)"
    check(message, tmp_path, plain_session, {"x": x}, {"y": y}, tmp_path / "model.pb")


@NEEDS_NATIVE
def test_native_layers_in_a_loop(plain_session, tmp_path):
    x = tf.placeholder(tf.float32, [2, 3, 4])
    lstm = stacked_lstm.StackedLSTM([4], engine="native")
    lstm.build(4)
    _, y = tf.while_loop(lambda k, _: k < 2, lambda k, y: (k + 1, lstm(y)[0]), [0, x])
    exports.set_random(plain_session)
    message = 'StackedLstmForward); build layers inside functions, loops and imported graphs with engine="graph"'
    check(message, tmp_path, plain_session, {"x": x}, {"y": y}, tmp_path / "model.pb")


def product_with_fed(factor):
    """A custom getter of variables."""
    return lambda getter, *args, **kw: factor * getter(*args, **kw)


def fed_weights(kind, engine):
    """(inputs, outputs, arrays for the inputs) of a network whose weights depend on what is fed, or wait for it."""
    x = tf.placeholder(tf.float32, [2, None, 4])
    factor = tf.placeholder(tf.float32, [])
    width = tf.cast(tf.shape(x)[2], tf.float32)  # TensorFlow computes it from what is fed, because T is unknown.
    getter = {"value": product_with_fed(factor), "shape": product_with_fed(width)}.get(kind)
    assertions = [tf.assert_non_negative(x)] if kind == "wait" else []
    with tf.control_dependencies(assertions), tf.variable_scope("net", custom_getter=getter):
        y, _ = rnn_cell.dynamic_rnn(rnn_cell.BasicLSTMCell(3), x, dtype=tf.float32, engine=engine)
    fed = {"x": x, "factor": factor} if kind == "value" else {"x": x}
    return fed, {"y": y}, {"x": np.ones([2, 3, 4]), **({"factor": 3.0} if kind == "value" else {})}


@pytest.mark.parametrize("name", ["model.pb", "model"])
@pytest.mark.parametrize("kind", ["value", "shape", "wait"])
def test_the_ops_of_the_graph_compute_weights_that_depend_on_inputs(kind, name, plain_session, tmp_path):
    inputs, outputs, example = fed_weights(kind, "graph")
    exports.set_random(plain_session)
    export.write(plain_session, inputs, outputs, tmp_path / name, example)
    arrays = {"x": np.random.RandomState(0).rand(2, 5, 4).astype(np.float32), "factor": np.float32(0.5)}
    arrays = {key: arrays[key] for key in inputs}
    expected = plain_session.run(outputs, {inputs[key]: array for key, array in arrays.items()})
    with tf.Graph().as_default(), tf.Session() as session:
        if name == "model":
            tf.saved_model.load(session, ["serve"], str(tmp_path / name))
        else:
            definition = tf.GraphDef.FromString((tmp_path / name).read_bytes())
            tf.import_graph_def(definition, name="")
        actual = session.run("y:0", {key + ":0": array for key, array in arrays.items()})
    np.testing.assert_allclose(actual, expected["y"], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "name, engine",
    [("model.npz", "graph"), *(pytest.param(name, "native", marks=NEEDS_NATIVE) for name in ("model.pb", "model"))],
)
@pytest.mark.parametrize("kind, source", [("value", "factor"), ("shape", "x"), ("wait", "x")])
def test_weights_that_depend_on_inputs_of_layers_that_are_built_again(
    kind, source, name, engine, plain_session, tmp_path
):
    """Also if they depend only on the shape of an input: it may differ from call to call."""
    inputs, outputs, example = fed_weights(kind, engine)
    exports.set_random(plain_session)
    message = f":0, which depends on {source}; for a SavedModel or a frozen graph, build the layers with engine"
    check(message, tmp_path, plain_session, inputs, outputs, tmp_path / name, example)


@pytest.mark.parametrize("engine", ["graph", pytest.param("native", marks=NEEDS_NATIVE)])
@pytest.mark.parametrize(
    "name, variable", [("m.pb", "beta"), ("m.pb", "gamma"), ("m.npz", "kernel"), ("m.npz", "bias")]
)
def test_weights_that_depend_on_a_placeholder_with_a_default(name, variable, engine, plain_session, tmp_path):
    """Without this placeholder among the inputs, its default is in the file."""
    factor = tf.placeholder_with_default(np.float32(2), [])
    x = tf.placeholder(tf.float32, [2, 3, 4])

    def getter(get, name, *args, **options):
        return factor * get(name, *args, **options) if variable in name else get(name, *args, **options)

    cell = rnn_cell.LSTMCell(3) if name == "m.npz" else rnn_cell.LayerNormBasicLSTMCell(3)
    with tf.variable_scope("net", custom_getter=getter):
        y, _ = rnn_cell.dynamic_rnn(cell, x, dtype=tf.float32, engine=engine)
    exports.set_random(plain_session)
    inputs, example = {"x": x, "factor": factor}, {"x": np.ones([2, 3, 4]), "factor": 3}
    if engine == "graph" and name == "m.pb":  # The graph's own ops are in the file.
        export.write(plain_session, inputs, {"y": y}, tmp_path / name, example)
    else:
        with pytest.raises(
            ValueError, match="^export.write: expected weights that .* which depends on factor; for a SavedModel "
        ):
            export.write(plain_session, inputs, {"y": y}, tmp_path / name, example)
    export.write(plain_session, {"x": x}, {"y": y}, str(tmp_path / "default_") + name)


def cell_outputs(cell):
    x = tf.placeholder(tf.float32, [2, 3, 4])
    outputs, _ = rnn_cell.dynamic_rnn(cell, x, dtype=tf.float32, engine="graph")
    return {"x": x}, {"y": outputs}


def stack_outputs(activation, **options):
    x = tf.placeholder(tf.float32, [2, 3, 4])
    return {"x": x}, {"y": stacked_lstm.StackedLSTM([4], activation=activation, engine="graph", **options)(x)[0]}


def triple(x):
    return 3 * x


# What the message says, and a function that makes such a network.
NETWORKS = [
    ("a projection", lambda: cell_outputs(rnn_cell.LSTMCell(4, num_proj=3))),
    ("a clip of the cell state", lambda: cell_outputs(rnn_cell.LSTMCell(4, cell_clip=1.0))),
    ("layer normalization", lambda: cell_outputs(rnn_cell.LayerNormBasicLSTMCell(4))),
    ("layer normalization", lambda: stack_outputs("tanh", layer_norm=True)),
    ("zoneout of h", lambda: stack_outputs("tanh", zoneout_h=0.5)),
    ("the activations triple and sigmoid", lambda: stack_outputs(triple)),
    ("the activations swish and sigmoid", lambda: stack_outputs("swish")),
]


@ONCE
@NEEDS_ONNX
@pytest.mark.parametrize("name, make", NETWORKS)
def test_layers_that_onnx_does_not_have(name, make, plain_session, tmp_path):
    inputs, outputs = make()
    exports.set_random(plain_session)
    message = "layers that the LSTM of ONNX can compute, got "
    with pytest.raises(ValueError, match=re.escape(f" with {name}")):
        export.onnx(plain_session, inputs, outputs, tmp_path / "model.onnx")
    check(message, tmp_path, plain_session, inputs, outputs, tmp_path / "model.onnx")


@ONCE
@NEEDS_ONNX
def test_ops_that_onnx_does_not_have(plain_session, tmp_path):
    x = tf.placeholder(tf.float32, [2])
    inputs, outputs = {"x": x}, {"y": tf.math.lgamma(x)}
    check("ops that ONNX has, got Lgamma (Lgamma)", tmp_path, plain_session, inputs, outputs, tmp_path / "model.onnx")


@ONCE
@NEEDS_ONNX
def test_ops_that_onnx_does_not_have_in_a_branch(plain_session, tmp_path):
    x = tf.placeholder(tf.float32, [2])
    inputs, outputs = {"x": x}, {"y": tf.cond(x[0] > 0, lambda: tf.math.lgamma(x), lambda: x)}
    check("ops that ONNX has, got ", tmp_path, plain_session, inputs, outputs, tmp_path / "model.onnx")


@ONCE
@NEEDS_ONNX
def test_float64_is_more_than_onnx_runtime_has(plain_session, tmp_path):
    inputs, outputs = exports.stack("graph", dtype=tf.float64)
    exports.set_random(plain_session)
    message = "ONNX Runtime to run the new file, got "
    check(message, tmp_path, plain_session, inputs, outputs, tmp_path / "model.onnx")


@ONCE
@NEEDS_LITERT
def test_what_tflite_does_not_have(plain_session, tmp_path):
    inputs, outputs = exports.stack("graph")
    exports.set_random(plain_session)
    path = tmp_path / "model.tflite"
    check("`example`, because the input 'x' has", tmp_path, plain_session, inputs, outputs, path)
    x = tf.placeholder(tf.float32, [2, 2])
    arguments = plain_session, {"x": x}, {"y": tf.linalg.det(x)}, path
    check("ops that TFLite has, got the ops MatrixDeterminant", tmp_path, *arguments, example={"x": np.eye(2)})
    x, false = tf.placeholder(tf.float32, [2, 3, 4]), tf.placeholder_with_default(False, [])
    message = "layers that can be built for other programs, got layers with zoneout of h by a tensor, which compute"
    fed_rate = tf.placeholder_with_default(0.5, [])
    for name, rate, training in [("noise", 0.5, True), ("fed_training", 0.5, false), ("fed_rate", fed_rate, False)]:
        outputs, _ = stacked_lstm.StackedLSTM([4], zoneout_h=rate, name=name)(x, training=training)
        exports.set_random(plain_session)
        check(message, tmp_path, plain_session, {"x": x}, {"y": outputs}, path)
    inputs, outputs = exports.stack("graph", has_lengths=False, name="second")
    exports.set_random(plain_session)
    example = {"x": np.zeros([2, 0, 3], np.float32)}
    message = "layers with time steps in a TFLite file, got inputs without any"
    check(message, tmp_path, plain_session, inputs, outputs, path, example=example)


@pytest.mark.parametrize("name", ["model.tflie", "model.ONNX", "model.h5", "model.onx"])
def test_suffixes_that_may_be_misspelled(name, network, tmp_path):
    session, inputs, outputs = network
    message = "export.write: expected `path` to end in .pb, .onnx, .tflite, .npz, or `format` to be 'saved_model', got "
    with pytest.raises(ValueError, match="^" + message):
        export.write(session, inputs, outputs, str(tmp_path / name))
    assert os.listdir(str(tmp_path)) == []
    export.write(session, inputs, outputs, str(tmp_path / name), format="saved_model")
    for folder in ("model", "model-1.5", "v1.2", "model.savedmodel", "model.v2", "run.best", "step.1e5", "final.model"):
        assert export.format_of(str(tmp_path / folder)) is export.FORMATS["saved_model"]


def test_missing_packages(network, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    session, inputs, outputs = network
    with pytest.raises(ImportError, match="^export.write: expected the package onnx for .*model.onnx, got none"):
        export.write(session, inputs, outputs, tmp_path / "model.onnx")
    assert os.listdir(str(tmp_path)) == []


def test_defaults_of_placeholders(plain_session, tmp_path):
    """They are in the file; an input with a default has none there."""
    x = tf.placeholder(tf.float32, [2])
    keep = tf.placeholder_with_default(tf.constant(0.5), [], name="keep")
    export.frozen_graph(plain_session, {"x": x}, {"y": keep * x}, tmp_path / "without.pb")
    export.frozen_graph(plain_session, {"x": x, "k": keep}, {"y": keep * x}, tmp_path / "with.pb")
    kinds = {}
    for name in ("without.pb", "with.pb"):
        definition = tf.GraphDef()
        definition.ParseFromString((tmp_path / name).read_bytes())
        kinds[name] = sorted(node.name for node in definition.node if "Placeholder" in node.op)
    assert kinds == {"without.pb": ["x"], "with.pb": ["k", "x"]}


def test_the_final_name_waits_for_the_disk(network, tmp_path, monkeypatch):
    """A SavedModel has its name only after each of its files is on the disk, and the name is on the disk at the end."""
    path = tmp_path / "model"
    recorder = Recorder(monkeypatch)
    export.write(*network, path)
    files = {name for _, _, names in os.walk(str(path)) for name in names}
    renamed = recorder.events.index(("replace", "model"))
    assert files and {("fsync", name) for name in files} <= set(recorder.events[:renamed])
    assert recorder.events[-1] == ("fsync", tmp_path.name)
