"""Cells of TensorFlow 1 that are no plain LSTM, and what surrounds plain ones, in a checkpoint of TensorFlow 1.15."""

import os

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, checkpoints, rnn_cell
from stacked_lstm.compat import tf
from support.files.checkpoint_files import GOLDEN, arrays_in, cell, names_of, saved
from support.references import numeric

ALL = arrays_in(os.path.join(GOLDEN, "other_cells.ckpt"))


def network(path, *names):
    """A checkpoint of some of the golden networks."""
    return saved(path, {name: array for name, array in ALL.items() if name.split("/")[0] in names})


SURROUNDED = {
    "attention": "inside attention_cell_wrapper",
    "seq2seq": "inside attention_wrapper",
    "output": "inside output_projection_wrapper",
    "input": "inside input_projection_wrapper",
    "highway": "with highway/rnn/carry_w, highway/rnn/carry_b, which an LSTM cell does not have",
}


@pytest.mark.parametrize("name", SURROUNDED)
def test_wrappers(name, tmp_path):
    """The cell inside must be selected by name."""
    path = network(tmp_path / "model.ckpt", name)
    with pytest.raises(ValueError, match="expected plain LSTM layers in .* got .*" + SURROUNDED[name]):
        checkpoints.read(path)
    (layer,) = checkpoints.read(path, names=".*lstm_cell").layers
    assert layer.remark == SURROUNDED[name]
    scope = layer.name
    np.testing.assert_array_equal(layer.arrays["kernel"], ALL[scope + "/kernel"])


def test_a_wrapper_without_variables_leaves_no_trace(tmp_path):
    assert names_of(checkpoints.read(network(tmp_path / "model.ckpt", "dropout")).layers) == [
        "dropout/rnn/basic_lstm_cell"
    ]


@pytest.mark.parametrize("name", ["gru", "basic_rnn", "ugrnn", "nas", "coupled"])
def test_other_cells_with_such_shapes(name, tmp_path):
    """They are no LSTM layers, whatever the user selects."""
    path = network(tmp_path / "model.ckpt", name)
    for names in (None, ".*"):
        with pytest.raises(ValueError, match="expected .* got .*"):
            checkpoints.read(path, names=names)
    path = network(tmp_path / "both.ckpt", name, "dropout")
    checkpoint = checkpoints.read(path)
    assert names_of(checkpoint.layers) == ["dropout/rnn/basic_lstm_cell"] and checkpoint.other_layers == []


@pytest.mark.parametrize("name, variable", [("mixed", "gru_cell/candidate/bias")])
def test_other_cells_in_a_multi_rnn_cell(name, variable, tmp_path):
    """A network that lacks its last layer is not read without a word."""
    path, scope = network(tmp_path / "model.ckpt", name), f"{name}/rnn/multi_rnn_cell/cell_"
    with pytest.raises(
        ValueError,
        match=f"LSTM layers in all cells of a MultiRNNCell in .* got none in {scope}1, which has {scope}1/{variable}",
    ):
        checkpoints.read(path)
    assert names_of(checkpoints.read(path, names=".*cell_0/.*").layers) == [f"{scope}0/basic_lstm_cell"]


def test_layer_norm_basic_lstm_cell(tmp_path, plain_session):
    """A StackedLSTM with the weights of TensorFlow 1.15's cell has its numbers. `write` gives them the old names."""
    path = network(tmp_path / "model.ckpt", "layer_norm")
    (layer,) = checkpoints.read(path).layers
    assert (layer.layout, layer.remark, layer.forget_bias) == ("layer_norm_cell", "", 1.0)
    input_size, units, _ = layer.sizes
    x = tf.constant(np.random.RandomState(0).standard_normal([3, 5, input_size]).astype(np.float32))
    with tf.variable_scope("layer_norm"):
        expected, _ = rnn_cell.dynamic_rnn(rnn_cell.LayerNormBasicLSTMCell(units), x, dtype=tf.float32)
    lstm = StackedLSTM([units], layer_norm="tensorflow")
    outputs, _ = lstm(x)
    plain_session.run(tf.global_variables_initializer())
    tf.train.Saver([v for v in tf.global_variables() if v.op.name.startswith("layer_norm/")]).restore(
        plain_session, path
    )
    lstm.set_weights(plain_session, [layer.weights])
    assert numeric.relative_difference(*plain_session.run([outputs, expected])) < 1e-5
    target = str(tmp_path / "copy.ckpt")
    checkpoints.write(target, lstm.get_weights(plain_session).layers, "layer_norm_cell", layer.name)
    copies, originals = arrays_in(target), arrays_in(path)
    assert sorted(copies) == sorted(originals)
    for name, array in originals.items():
        np.testing.assert_allclose(copies[name], array, rtol=0, atol=1e-6 if name.endswith("forget/beta") else 0)
    other = StackedLSTM([units], layer_norm=True, name="other")  # It has the same arrays and other equations.
    other(x)
    plain_session.run(tf.global_variables_initializer())
    layers = other.get_weights(plain_session).layers
    with pytest.raises(ValueError, match="of layer_norm_cell does not have, got `layer_norm=True`; list"):
        checkpoints.write(target, layers, "layer_norm_cell", overwrite=True)
    checkpoints.write(str(tmp_path / "own.ckpt"), layers, "stacked_lstm")
    mixed = checkpoints.read(network(tmp_path / "mixed.ckpt", "mixed_layer_norm")).layers
    assert [layer.layout for layer in mixed] == ["rnn_cell", "layer_norm_cell"]
    del originals[layer.name + "/forget/gamma"]
    with pytest.raises(ValueError, match="LSTM arrays in the layout layer_norm_cell .*no .*/forget/gamma"):
        checkpoints.read(saved(tmp_path / "damaged.ckpt", originals))


def test_variables_inside_a_cell(tmp_path):
    """Layer normalisation in a cell that is called like a plain one; what an optimizer keeps is none of it."""
    arrays = cell("rnn/lstm_cell")
    slots = {name + "/Adam": array for name, array in arrays.items()}
    assert checkpoints.read(saved(tmp_path / "plain.ckpt", dict(arrays, **slots))).layers[0].remark == ""
    norms = {f"rnn/lstm_cell/{gate}/gamma": np.ones(4, np.float32) for gate in ("forget", "input", "output", "state")}
    with pytest.raises(
        ValueError,
        match="got .*with rnn/lstm_cell/forget/gamma, .*input/gamma, .*output/gamma, ..., which an LSTM cell",
    ):
        checkpoints.read(saved(tmp_path / "norm.ckpt", dict(arrays, **slots, **norms)))
    outer = {"rnn/embedding": np.ones([5, 3], np.float32), "rnn/dense/kernel": np.ones([4, 2], np.float32)}
    assert checkpoints.read(saved(tmp_path / "beside.ckpt", dict(arrays, **outer))).layers[0].remark == ""
