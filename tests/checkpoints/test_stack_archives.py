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
from support.engines.runtime import NEEDS_KERNELS
from support.files.checkpoint_files import GOLDEN
from support.files.conversions import run
from support.networks.random_networks import random_layers
from support.references.numeric import check_same, relative_difference

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


def test_readers_that_name_the_format_or_distrust_the_file(tmp_path):
    path = str(tmp_path / "model.npz")
    checkpoints.write(path, LAYERS, "stacked_lstm", initial_state=STATES["learned"])
    for arguments in (dict(format="stacked_lstm"), dict(trusted=False), dict(names="layer_[12]")):
        for layer, weights, state in zip(checkpoints.read(path, **arguments).layers, LAYERS, STATES["learned"]):
            check_same(layer.weights, weights, 0)
            check_same(layer.initial_state, state, 0)


def test_an_array_of_another_program_does_not_make_a_state_dict_an_archive(tmp_path):
    path = str(tmp_path / "model.npz")
    checkpoints.write(path, LAYERS)
    with np.load(path) as archive:
        np.savez(path, **dict(archive), **{"layer_1/scale": np.ones(3)})
    assert [layer.layout for layer in checkpoints.read(path).layers] == ["pytorch", "pytorch"]


@pytest.mark.parametrize("format", [None, "stacked_lstm"])
def test_templates(format, tmp_path):
    """A template keeps its other arrays. `initial_state=[]` sets its initial states to zeros."""
    template, path = str(tmp_path / "old.npz"), str(tmp_path / "new.npz")
    other_arrays = {"embedding": np.arange(6.0)}
    runtime.save(template, random_layers(RANDOM, [4, 4], 3), STATES["learned"], other_arrays=other_arrays)
    for initial_state in (STATES["learned"], []):
        checkpoints.write(path, LAYERS, format, template=template, initial_state=initial_state, overwrite=True)
        checkpoint = checkpoints.read(path)
        zeros = {"c": np.zeros(4), "h": np.zeros(4)}
        for layer, weights, state in zip(checkpoint.layers, LAYERS, initial_state or [zeros, zeros]):
            check_same(layer.weights, weights, 0)
            check_same(layer.initial_state, state, 0)
        assert checkpoint.other_arrays["other_arrays/embedding"].tolist() == [0, 1, 2, 3, 4, 5]


def test_templates_of_the_other_format(tmp_path):
    """Without `format`, a template decides what an .npz file is."""
    template, path = str(tmp_path / "old.npz"), str(tmp_path / "new.npz")
    checkpoints.write(template, random_layers(RANDOM, [4, 4], 3))
    checkpoints.write(path, LAYERS, template=template)
    assert [layer.layout for layer in checkpoints.read(path).layers] == ["pytorch", "pytorch"]
    with pytest.raises(ValueError, match="expected LSTM layers in .*old.npz, got none"):
        checkpoints.write(str(tmp_path / "no.npz"), LAYERS, "stacked_lstm", template=template)


def test_a_command_from_a_checkpoint_to_an_archive_and_back(tmp_path, capsys):
    """The initial state goes with the layers, and the numbers keep their bits."""
    paths = [str(tmp_path / name) for name in ("own.ckpt", "own.npz", "back.ckpt")]
    checkpoints.write(paths[0], LAYERS, "stacked_lstm", initial_state=STATES["projected"])
    for source, target in zip(paths, paths[1:]):
        assert run(capsys, source=source, to=target, to_format="stacked_lstm")[0] == 0
    back = checkpoints.read(paths[2])
    for layer, weights, state in zip(back.layers, LAYERS, STATES["projected"]):
        check_same(layer.weights, weights, 0)
        check_same(layer.initial_state, state, 0)
    status, _, errors = run(
        capsys, source=paths[1], to=str(tmp_path / "a.onnx"), from_format="stacked_lstm", dry_run=True
    )
    assert status == 0, errors


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
    path, template = (str(tmp_path / name) for name in ("model.npz", "template.npz"))
    lstm = stacked_lstm.StackedLSTM([4, 4], activation="relu", engine="graph")
    lstm(tf.ones([1, 2, 3]))
    session.run(tf.global_variables_initializer())
    layers = lstm.get_weights(session).layers
    expected = (
        "expected `layers` of a stack with the activations tanh and sigmoid, got relu and sigmoid; "
        "write this stack with runtime.save"
    )
    with pytest.raises(ValueError, match=expected):
        checkpoints.write(path, layers, "stacked_lstm")
    runtime.save(template, [{name: array + 1 for name, array in layer.items()} for layer in layers], activation="relu")
    with pytest.raises(ValueError, match=r"layer_1 \(activations relu and sigmoid\)"):
        checkpoints.read(template)
    checkpoints.write(path, layers, template=template, template_names="layer_.*")
    with np.load(path) as archive:
        assert str(archive["activation"]) == "relu"
    for layer, weights in zip(checkpoints.read(path, names="layer_.*").layers, layers):
        check_same(layer.weights, weights, 0)
    lstm = stacked_lstm.StackedLSTM([4, 4], engine="graph", name="plain")
    lstm(tf.ones([1, 2, 3]))
    session.run(tf.global_variables_initializer())
    expected = "expected `layers` of a stack with the activations relu and sigmoid, got tanh and sigmoid"
    with pytest.raises(ValueError, match=expected):
        checkpoints.write(path, lstm.get_weights(session).layers, template=template, template_names="layer_.*")


def test_layers_that_read_backward(tmp_path):
    path = str(tmp_path / "both.npz")
    names = [f"{name}_l0{suffix}" for suffix in ("", "_reverse") for name in ("weight_ih", "weight_hh")]
    np.savez(path, **{name: np.ones([12, 2 if "ih" in name else 3], np.float32) for name in names})
    (layer,) = checkpoints.read(path, names="l0_reverse").layers
    with pytest.raises(ValueError, match="expected `layers` to be one stack, all forward, got l0_reverse backward"):
        checkpoints.write(str(tmp_path / "model.npz"), [layer], "stacked_lstm")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(scope="encoder"), "expected no `scope`, since the names in {} have none, got 'encoder'"),
        (
            dict(format="rnn_cell"),
            "expected `format` to be 'pytorch' or 'stacked_lstm', which the name of {} implies, got 'rnn_cell'",
        ),
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
        (dict(peepholes=True), "layer normalization, for a runtime.Predictor, got pf, pi, po"),
        (dict(projection_size=2), "layer normalization, for a runtime.Predictor, got Wp"),
        (dict(layer_norm=True), "gain_c, gain_cell, gain_f, gain_i, gain_o, shift_cell"),
        (
            dict(residual=True),
            "expected `layers` without options that a runtime.Predictor does not have, got `residual`",
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


def test_numbers_that_npz_files_do_not_have(tmp_path):
    layers = [{name: array.astype(tf.bfloat16.as_numpy_dtype) for name, array in layer.items()} for layer in LAYERS]
    with pytest.raises(ValueError, match="expected `layers` of a dtype that .npz files have, got bfloat16"):
        checkpoints.write(str(tmp_path / "model.npz"), layers, "stacked_lstm")


@pytest.mark.parametrize(
    "removed, added, message",
    [
        (
            "layer_1/",
            {},
            "LSTM layers without gaps in their numbers in .*, or `names` to select layers, got no layer_1",
        ),
        ("layer_2/Wf", {}, "layer_2"),
        ("layer_2/Wf", {"layer_2/Wf": np.ones([4, 4, 4])}, "layer_2"),
        ("no", {"initial_state/layer_3/c": np.ones([4])}, "got .*layer 3 with initial_state/layer_3/c alone"),
    ],
)
def test_damaged_files(removed, added, message, tmp_path):
    path = str(tmp_path / "model.npz")
    runtime.save(path, LAYERS)
    with np.load(path) as archive:
        arrays = {name: array for name, array in archive.items() if not name.startswith(removed)}
    np.savez(path, **arrays, **added)
    with pytest.raises(ValueError, match=message):
        checkpoints.read(path)
