"""The command convert: every golden file converted, and the options that change what is written."""

import os
import re

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, checkpoints
from stacked_lstm.compat import tf
from support.files.checkpoint_files import PROGRAM, arrays_in, cell, names_of, saved
from support.files.conversions import FOLDER, run
from support.networks.initial_states import saved_stack
from support.references import numeric, plain_lstm


def golden(folder_, archive, case):
    arrays = np.load(os.path.join(FOLDER, folder_, archive))
    return {key[len(case) + 1 :]: arrays[key] for key in arrays.files if key.startswith(case + "/")}


def restored_outputs(path, x, lengths=None):
    """The outputs of a StackedLSTM whose variables a Saver restored from a converted checkpoint."""
    layers = checkpoints.read(path, "stacked_lstm").layers
    with tf.Graph().as_default(), tf.Session() as session:
        lstm = StackedLSTM([layer.sizes[1] for layer in layers], use_bias="bf" in layers[0].weights)
        outputs, _ = lstm(x, sequence_length=lengths)
        tf.train.Saver().restore(session, path)
        return session.run(outputs)


@pytest.mark.parametrize(
    "source, options, archive, case, x, y",
    [
        ("tensorflow_1_15/cells.ckpt", {"layers": "multi_three/.*"}, "cells.npz", "multi_three", "inputs", "outputs"),
        (
            "tensorflow_1_15/cells.ckpt",
            {"layers": "basic_lstm_forget_bias_large/.*", "forget_bias": 2.5},
            "cells.npz",
            "basic_lstm_forget_bias_large",
            "inputs",
            "outputs",
        ),
        ("tensorflow_1_15/block_cells.ckpt", {"layers": "block/.*"}, "block_cells.npz", "block", "inputs", "outputs"),
        ("tf_keras/stacked.h5", {}, "network.npz", "stacked", "lstm/inputs", "lstm_1/outputs"),
        ("tf_keras/stacked_weights.h5", {}, "network.npz", "stacked", "lstm/inputs", "lstm_1/outputs"),
        ("tf_keras/no_bias.weights.h5", {}, "network.npz", "no_bias", "lstm/inputs", "lstm_1/outputs"),
        ("keras_3/stacked.keras", {}, "network.npz", "stacked", "lstm/inputs", "lstm_1/outputs"),
        ("keras_3/no_bias.h5", {}, "network.npz", "no_bias", "lstm/inputs", "lstm_1/outputs"),
    ],
)
def test_to_a_stacked_lstm(source, options, archive, case, x, y, tmp_path, capsys):
    path = str(tmp_path / "own.ckpt")
    status, printed, errors = run(
        capsys, source=os.path.join(FOLDER, source), to=path, to_format="stacked_lstm", **options
    )
    assert status == 0, errors
    assert f"Wrote {path} and read it back: " in printed and not errors
    numbers = golden(source.split("/")[0], archive, case)
    actual = restored_outputs(path, numbers[x], numbers.get("sequence_length"))
    numeric.check_same({"outputs": actual}, {"outputs": numbers[y]}, 1e-6)


FORMATS = {
    "own.ckpt": "stacked_lstm",
    "own.npz": "stacked_lstm",
    "cells.ckpt": "rnn_cell",
    "cudnn.ckpt": "cudnn_compatible",
}
TARGETS = [*FORMATS, "new.weights.h5", "new.h5", "new.npz", "new.safetensors", "new.onnx"]


@pytest.mark.parametrize("target", TARGETS)
def test_from_pytorch_to_everything(target, tmp_path, capsys):
    """The layers of the converted file compute what PyTorch computed."""
    pytest.importorskip(
        {"x": "onnx", "s": "safetensors"}.get(target[-1], "numpy"), reason="that extra is not installed"
    )
    numbers, path = golden("pytorch", "network.npz", "stacked"), str(tmp_path / target)
    source = os.path.join(FOLDER, "pytorch", "stacked.npz")
    status, _, errors = run(capsys, source=source, to=path, to_format=FORMATS.get(target))
    assert status == 0, errors
    states = list(zip(numbers["initial_state/c"], numbers["initial_state/h"]))
    layers = [layer.weights for layer in checkpoints.read(path).layers]
    outputs, _ = plain_lstm.run(layers, numbers["inputs"], states=states)
    numeric.check_same({"outputs": outputs}, {"outputs": numbers["outputs"]}, 1e-6)


def test_forget_biases_scopes_and_templates(tmp_path, capsys):
    path = str(tmp_path / "cells.ckpt")
    status, _, errors = run(
        capsys,
        source=PROGRAM,
        to=path,
        to_format="rnn_cell",
        forget_bias=0.5,
        to_forget_bias=0.25,
        to_scope="new/cell_%d/lstm_cell",
    )
    assert status == 0, errors
    old, new = arrays_in(PROGRAM), arrays_in(path)
    for k in range(2):
        bias = old[f"model/RNN/multi_rnn_cell/cell_{k}/lstm_cell/bias"]
        change = new[f"new/cell_{k}/lstm_cell/bias"] - bias
        units = len(bias) // 4
        np.testing.assert_allclose(change, np.repeat([0, 0, 0.25, 0], units), atol=1e-7)
    status, printed, errors = run(
        capsys, source=path, to=str(tmp_path / "back.ckpt"), to_format="rnn_cell", template=PROGRAM, forget_bias=0.25
    )
    assert status == 0, errors
    assert f"Everything else stays as it is in {PROGRAM}.\nThis includes 8 arrays that an optimizer" in printed
    assert set(arrays_in(tmp_path / "back.ckpt")) == set(old)


def test_one_network_of_several_after_the_other(tmp_path, capsys):
    """The two directions of bidirectional_dynamic_rnn become two stacks in one checkpoint."""
    source, half, whole = (str(tmp_path / name) for name in ("both.ckpt", "half.ckpt", "whole.ckpt"))
    saved(source, dict(cell("net/fw/lstm_cell"), **cell("net/bw/lstm_cell", seed=1)))
    status, printed, errors = run(capsys, source=source, to=half, to_format="stacked_lstm")
    assert status == 2 and "--layers: expected the layers of one network, got " in errors
    assert errors.endswith("2 networks: net/bw, net/fw; name those of one, as in --layers='net/bw.*'\n")
    assert not os.path.exists(half + ".index")
    for start, end, side in [(source, half, "fw"), (half, whole, "bw")]:
        options = dict(layers=f"net/{side}/.*", to_format="stacked_lstm", to_scope=side)
        status, _, errors = run(capsys, source=start, to=end, **options)
        assert status == 0, errors
    assert names_of(checkpoints.read(whole).layers) == ["fw/layer_1", "bw/layer_1"]


@pytest.mark.parametrize("kind", ["learned", "projected"])
def test_an_initial_state_is_not_dropped(kind, tmp_path, capsys):
    """Without a place in the new file, the command asks for a flag and names the arrays."""
    source, to = str(tmp_path / "model.ckpt"), str(tmp_path / "new.weights.h5")
    layers, states = saved_stack(source, kind)
    status, _, errors = run(capsys, source=source, to=to)
    names = [f"encoder/initial_state/layer_{k}/{key}" for k in (1, 2) for key in sorted(states[0])]
    expected = "convert.py: --to: expected --zero_initial_state, since a new file with the layout 'keras' has no place"
    assert status == 2 and errors.startswith(expected) and errors.endswith(f"got {', '.join(names)}\n"), errors
    assert not os.path.exists(to)
    status, printed, errors = run(capsys, source=source, to=to, zero_initial_state=True)
    assert status == 0 and f"Left out (--zero_initial_state): {', '.join(names)}.\n" in printed, errors
    own = str(tmp_path / "own.ckpt")
    status, printed, errors = run(capsys, source=source, to=own, to_format="stacked_lstm")
    assert status == 0 and printed.count(f"initial state {kind}\n") == 2, errors
    assert re.search(
        rf"  encoder/layer_1 +stacked_lstm +stacked_lstm/initial_state/layer_1/{sorted(states[0])[0]} ", printed
    )
    for layer, state in zip(checkpoints.read(own).layers, states):
        assert all(np.array_equal(layer.initial_state[key], state[key]) for key in state)


def test_averages_with_a_name_of_their_own(tmp_path, capsys):
    arrays = dict(cell("rnn/lstm_cell"), **{name + "/mean": array for name, array in cell("rnn/lstm_cell").items()})
    source, to = saved(tmp_path / "model.ckpt", arrays), str(tmp_path / "own.ckpt")
    for averages, text in [(None, " mean\n"), ("mean", r" mean \(average\)\n")]:
        options = dict(source=source, to=to, to_format="stacked_lstm", averages=averages, overwrite=True)
        status, printed, errors = run(capsys, **options)
        assert status == 0 and re.search(text, printed), errors
        same = np.array_equal(*(arrays_in(to)["stacked_lstm/layer_1/bf" + end] for end in ("", "/mean")))
        assert same == (averages is not None)
