"""The configs in files of tf-keras and Keras 3: directions, activations and wrappers."""

import itertools
import json
import zipfile

import numpy as np
import pytest

from stacked_lstm import checkpoints
from stacked_lstm.compat import tf
from support.files.checkpoint_files import names_of
from support.files.hdf5_files import LIBRARIES, group, write_file
from support.processes import programs
from support.references import keras_files_witness as witness
from support.references import numeric, plain_lstm


def config_of(*layers):
    return {
        "class_name": "Sequential",
        "config": {
            "layers": [{"class_name": kind, "config": dict(options, name=name)} for kind, name, options in layers]
        },
    }


def test_a_config_tells_directions_and_activations(tmp_path):
    arrays, config = {}, config_of(
        ("Dense", "a", {}),
        ("LSTM", "lstm_9", {"activation": "relu", "recurrent_activation": "hard_sigmoid"}),
        ("LSTM", "lstm", {"go_backwards": True, "activation": "tanh", "recurrent_activation": "sigmoid"}),
        ("Bidirectional", "both", {"layer": {"class_name": "LSTM", "config": {"name": "x", "activation": "elu"}}}),
    )  # fmt: skip
    scopes = ["lstm/cell", "lstm_1/cell", "bidirectional/forward_layer/cell", "bidirectional/backward_layer/cell"]
    for scope in scopes:
        arrays.update(group(f"layers/{scope}/vars"))
    arrays.update({f"optimizer/vars/{n}": a for n, a in zip("012", group("a").values())})
    weights = write_file(tmp_path / "model.weights.h5", arrays)
    with zipfile.ZipFile(str(tmp_path / "model.keras"), "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.write(weights, "model.weights.h5")
    expected = [
        ("forward", "activation relu, recurrent_activation hard_sigmoid"),
        ("backward", ""),
        ("forward", "activation elu"),
        ("backward", "activation elu"),
    ]
    with pytest.raises(ValueError, match="expected plain LSTM layers in .* got .*recurrent_activation hard_sigmoid"):
        checkpoints.read(str(tmp_path / "model.keras"))
    actual = checkpoints.read(str(tmp_path / "model.keras"), names=".*").layers
    assert names_of(actual) == [f"layers/{scope}/vars" for scope in scopes]
    assert [(layer.direction, layer.remark) for layer in actual] == expected
    legacy, keys = {}, ("kernel:0", "recurrent_kernel:0", "bias:0")
    for scope in ["lstm_9/lstm_9", "lstm/lstm", "both/both/forward_x", "both/both/backward_x"]:
        legacy.update(group(f"model_weights/{scope}/lstm_cell", names=keys))
        legacy.update(group(f"optimizer_weights/Adam/m/{scope}/lstm_cell", names=keys))
    actual = checkpoints.read(write_file(tmp_path / "model.h5", legacy, config), names=".*").layers
    assert [(layer.direction, layer.remark) for layer in actual] == expected


# Model of `keras_files_witness.wrapped` -> direction and remark of each LSTM in it.
WRAPPED = {
    "time_distributed": [("forward", ""), ("backward", "")],
    "nested": [("backward", ""), ("forward", "")],
    "cell": [("forward", "activation relu")],
    "cells": [("backward", ""), ("backward", "recurrent_activation relu")],
    "both": [("forward", "activation elu"), ("backward", "activation elu")],
    "two": [("forward", ""), ("backward", "activation relu")],
}


@pytest.mark.skipif(tf.__version__.startswith("1."), reason="TensorFlow 1.15 can have neither tf-keras nor Keras 3")
@pytest.mark.parametrize("library", sorted(LIBRARIES))
def test_what_wrappers_hide(library, tmp_path):
    """Keras saves the files. Plain layers compute what Keras computed; others must be selected by name."""
    programs.check([witness.__file__, LIBRARIES[library], tmp_path, "save"])
    golden = np.load(str(tmp_path / "wrapped.npz"))
    for name, suffix in itertools.product(WRAPPED, (".keras", ".h5")):
        path = str(tmp_path / (name + suffix))
        actual = checkpoints.read(path, names=".*").layers
        assert [(layer.direction, layer.remark) for layer in actual] == WRAPPED[name], path
        assert not any("no config" in layer.remark for layer in actual)
        if any(remark for _, remark in WRAPPED[name]):
            with pytest.raises(ValueError, match="expected plain LSTM layers in "):
                checkpoints.read(path)
            continue
        x, first, second = golden[name + "/x"], *[layer.weights for layer in actual]
        if name == "nested":  # A backward layer returns its outputs in the order of computation.
            y, _ = plain_lstm.run([first], x, backward=True)
            y, _ = plain_lstm.run([second], y[:, ::-1])
        else:
            flat = x.reshape([-1] + list(x.shape[2:]))
            sides = [plain_lstm.run([first], flat), plain_lstm.run([second], flat, backward=True)]
            y = np.concatenate([finals[0][1] for _, finals in sides], axis=1).reshape([2, 2, 8])
        numeric.check_same({"y": y}, {"y": golden[name + "/y"]}, 1e-6)


def test_wrappers_that_are_not_known(tmp_path):
    """Unknown wrappers may compute anything, so layers inside, and those without a config, must be selected by name."""
    lstm = {"class_name": "LSTM", "config": {"name": "lstm"}}
    cell = {"class_name": "LSTMCell", "config": {"name": "lstm_cell"}}
    residual = {"class_name": "ResidualWrapper", "config": {"name": "residual", "cell": cell}}
    for layer, scope, remark in [
        (("Normalized", "n", {"layer": lstm}), "normalized/layer/cell", "inside Normalized"),
        (("RNN", "r", {"cell": residual}), "rnn/cell/cell", "inside ResidualWrapper"),
        (("MyLSTM", "m", {"activation": "relu"}), "my_lstm/cell", "of the class MyLSTM, activation relu"),
        (("Dense", "d", {}), "lstm/cell", "the config in the file does not describe it"),
    ]:
        weights = write_file(tmp_path / "model.weights.h5", group(f"layers/{scope}/vars"))
        path = str(tmp_path / "model.keras")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(config_of(layer)))
            archive.write(weights, "model.weights.h5")
        assert [layer.remark for layer in checkpoints.read(path, names=".*").layers] == [remark]
        with pytest.raises(ValueError, match="expected plain LSTM layers in .* got .*" + remark):
            checkpoints.read(path)
