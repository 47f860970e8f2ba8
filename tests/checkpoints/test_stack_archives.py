"""The format stacked_lstm in .npz files: what is written, read and refused, and what a predictor computes with it."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm import checkpoints, runtime
from stacked_lstm.compat import tf
from support.checkpoint_files import GOLDEN
from support.numeric import check_same, relative_difference
from support.random_networks import random_layers
from support.runtime import NEEDS_KERNELS

RANDOM = np.random.RandomState(3)
LAYERS = random_layers(RANDOM, [4, 4], 3)


def matrix(*shape):
    return RANDOM.standard_normal(shape)


STATES = {
    "zeros": [],
    "learned": [{"c": matrix(4), "h": matrix(4)}, {"c": matrix(4), "h": matrix(4)}],
    "projected": [{"W_c": matrix(3, 4), "W_h": matrix(3, 4)}, {"W_c": matrix(4, 4), "W_h": matrix(4, 4)}],
}


@NEEDS_KERNELS
@pytest.mark.parametrize("initial_state", sorted(STATES))
def test_a_predictor_computes_what_the_session_computes(initial_state, session, tmp_path):
    path, x = str(tmp_path / "model.npz"), matrix(2, 5, 3)
    lstm = stacked_lstm.StackedLSTM([4, 6], initial_state=initial_state, engine="graph")
    outputs, _ = lstm(tf.constant(x, tf.float32))
    session.run(tf.global_variables_initializer())
    weights = lstm.get_weights(session)
    random = [
        {key: matrix(*array.shape).astype("f") for key, array in layer.items()} for layer in weights.initial_state
    ]
    lstm.set_weights(session, weights.layers, random)
    checkpoints.write(path, weights.layers, "stacked_lstm", initial_state=random)
    actual, _ = runtime.load(path)(x)
    assert relative_difference(actual, session.run(outputs)) < 1e-6


@pytest.mark.parametrize("kind", sorted(STATES))
def test_names_and_numbers_in_the_file(kind, tmp_path):
    path = str(tmp_path / "model.npz")
    checkpoints.write(path, LAYERS, "stacked_lstm", initial_state=STATES[kind])
    expected = {f"layer_{k}/{name}": array for k, layer in enumerate(LAYERS, 1) for name, array in layer.items()}
    for k, state in enumerate(STATES[kind], 1):
        expected.update({f"initial_state/layer_{k}/{name}": array for name, array in state.items()})
    with np.load(path) as archive:
        check_same(dict(archive), expected, 0)
    checkpoint = checkpoints.read(path)
    assert [layer.name for layer in checkpoint.layers] == ["layer_1", "layer_2"] and not checkpoint.other_arrays
    for layer, weights, state in zip(checkpoint.layers, LAYERS, STATES[kind] or [{}, {}]):
        check_same(layer.weights, weights, 0)
        check_same(layer.initial_state, state, 0)


def test_a_template_keeps_its_other_arrays(tmp_path):
    template, path = str(tmp_path / "old.npz"), str(tmp_path / "new.npz")
    runtime.save(template, random_layers(RANDOM, [4, 4], 3), other_arrays={"embedding": np.arange(6.0)})
    checkpoints.write(path, LAYERS, "stacked_lstm", template=template)
    checkpoint = checkpoints.read(path)
    check_same(checkpoint.layers[1].weights, LAYERS[1], 0)
    assert checkpoint.other_arrays["other_arrays/embedding"].tolist() == [0, 1, 2, 3, 4, 5]


@NEEDS_KERNELS
def test_a_process_without_tensorflow(tmp_path):
    """From PyTorch's golden file to a predictor: no step imports TensorFlow, and the outputs are PyTorch's."""
    folder, paths = os.path.join(os.path.dirname(GOLDEN), "pytorch"), [str(tmp_path / n) for n in ("m.npz", "y.npy")]
    program = """
import sys
import numpy as np
from stacked_lstm import checkpoints, runtime
folder, path, outputs = sys.argv[1:]
checkpoints.write(path, checkpoints.read(folder + "/stacked.npz").layers, "stacked_lstm")
numbers = np.load(folder + "/network.npz")
states = list(zip(numbers["stacked/initial_state/c"], numbers["stacked/initial_state/h"]))
np.save(outputs, runtime.load(path)(numbers["stacked/inputs"], initial_state=states)[0])
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, folder, *paths], check=True)
    with np.load(os.path.join(folder, "network.npz")) as numbers:
        assert relative_difference(np.load(paths[1]), numbers["stacked/outputs"]) < 1e-6


def test_other_activations(session, tmp_path):
    """The activations of a stack are in files of `runtime.save` alone. Their layers are read by name."""
    path = str(tmp_path / "model.npz")
    lstm = stacked_lstm.StackedLSTM([3], activation="relu", engine="graph")
    lstm(tf.ones([1, 2, 3]))
    session.run(tf.global_variables_initializer())
    layers = lstm.get_weights(session).layers
    expected = "expected `layers` of a stack with the activations tanh and sigmoid, got relu and sigmoid; runtime.save"
    with pytest.raises(ValueError, match=expected):
        checkpoints.write(path, layers, "stacked_lstm")
    runtime.save(path, layers, activation="relu")
    with pytest.raises(ValueError, match=r"layer_1 \(activation relu and recurrent_activation sigmoid\)"):
        checkpoints.read(path)
    (layer,) = checkpoints.read(path, names="layer_1").layers
    check_same(layer.weights, layers[0], 0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(scope="encoder"), "expected no `scope`, since the names in {} have none, got 'encoder'"),
        (dict(format="rnn_cell"), "expected `format` to be 'pytorch', which the name of {} implies, got 'rnn_cell'"),
        (dict(other_arrays={"a": 1}), "expected no `other_arrays`, except in a new TensorFlow checkpoint, got a"),
    ],
)
def test_refused_arguments(arguments, message, tmp_path):
    path = str(tmp_path / "model.npz")
    arguments = dict({"format": "stacked_lstm"}, **arguments)
    with pytest.raises(ValueError, match=re.escape("checkpoints.write: " + message.format(path))):
        checkpoints.write(path, LAYERS, **arguments)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "options, problem",
    [
        (dict(peepholes=True), "gains, which a runtime.Predictor does not have, got pf, pi, po"),
        (dict(projection_size=2), "gains, which a runtime.Predictor does not have, got Wp"),
        (dict(layer_norm=True), "gain_c, gain_cell, gain_f, gain_i, gain_o, shift_cell"),
        (
            dict(residual=True),
            "expected `layers` without options that a file of stacked_lstm does not have, got `residual`",
        ),
    ],
)
def test_refused_layers(options, problem, session, tmp_path):
    lstm = stacked_lstm.StackedLSTM([3], engine="graph", **options)
    lstm(tf.ones([1, 2, 3]))
    session.run(tf.global_variables_initializer())
    with pytest.raises(ValueError, match=re.escape(problem)):
        checkpoints.write(str(tmp_path / "model.npz"), lstm.get_weights(session).layers, "stacked_lstm")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "name, array, message",
    [
        ("layer_3/Wf", np.ones([7, 4]), "LSTM layers without gaps|layer_3"),
        ("layer_2/Wp", np.ones([4, 4, 4]), "layer_2"),
    ],
)
def test_damaged_files(name, array, message, tmp_path):
    path = str(tmp_path / "model.npz")
    runtime.save(path, LAYERS)
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **arrays, **{name: array})
    with pytest.raises(ValueError, match=message):
        checkpoints.read(path)
