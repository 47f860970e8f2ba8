"""Options of StackedLSTM, with the weights of TensorFlow 1's cells and of PyTorch."""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, layouts, rnn_cell
from stacked_lstm.compat import tf
from support.references import numeric
from support.suite.sets import ONCE


def test_layer_norm_basic_lstm_cell(plain_session):
    """`layer_norm="tensorflow"` with the weights of TensorFlow 1's cell, whose numbers are tested with its own."""
    random = np.random.RandomState(0)
    x = tf.constant(random.standard_normal([3, 5, 2]))
    cell = rnn_cell.LayerNormBasicLSTMCell(4)
    expected, final = rnn_cell.dynamic_rnn(cell, x, [5, 0, 2], dtype=tf.float64)
    lstm = StackedLSTM([4], layer_norm="tensorflow", dtype=tf.float64)
    outputs, (state,) = lstm(x, [5, 0, 2])
    assert "not cudnn: it does not support layer normalization" in lstm.engine_used.reason
    plain_session.run(tf.global_variables_initializer())
    values = {v.op.name.split("cell/")[1]: random.standard_normal(v.shape.as_list()) for v in cell.variables}
    for variable in cell.variables:
        variable.load(values[variable.op.name.split("cell/")[1]], plain_session)
    inputs, recurrent = np.split(values["kernel"], [2])
    layer = dict(zip(["Wi", "Wc", "Wf", "Wo"], np.split(np.concatenate([recurrent, inputs]), 4, axis=1)))
    for gate, scope in {"i": "input", "c": "transform", "f": "forget", "o": "output"}.items():
        layer["gain_" + gate] = values[scope + "/gamma"]
        layer["b" + gate] = values[scope + "/beta"] + (gate == "f")  # The cell adds its forget bias.
    layer.update(gain_cell=values["state/gamma"], shift_cell=values["state/beta"])
    lstm.set_weights(plain_session, [layer])
    for actual, reference in plain_session.run([(outputs, expected), (state.c, final.c), (state.h, final.h)]):
        assert numeric.relative_difference(actual, reference) < 1e-12


def test_lstm_cell(plain_session):
    """Peepholes, projection and both clips with the weights of TensorFlow 1's LSTMCell."""
    options = dict(use_peepholes=True, num_proj=3, cell_clip=0.4, proj_clip=0.3, forget_bias=0.0)
    random = np.random.RandomState(0)
    x = tf.constant(2 * random.standard_normal([3, 5, 2]))
    cell = rnn_cell.LSTMCell(4, initializer=tf.random_normal_initializer(seed=1), **options)
    expected, final = rnn_cell.dynamic_rnn(cell, x, [5, 0, 2], dtype=tf.float64, engine="stepwise")
    lstm = StackedLSTM([4], peepholes=True, projection_size=3, cell_clip=0.4, projection_clip=0.3, dtype=tf.float64)
    outputs, (state,) = lstm(x, [5, 0, 2])
    plain_session.run(tf.global_variables_initializer())
    names = {v.op.name.split("lstm_cell/")[1]: v for v in cell.variables}
    layer = layouts.unpack(plain_session.run(names), "rnn_cell", forget_bias=0.0)
    lstm.set_weights(plain_session, [layer])
    for actual, reference in plain_session.run([(outputs, expected), (state.c, final.c), (state.h, final.h)]):
        assert numeric.relative_difference(actual, reference) < 1e-12


@ONCE
def test_projection_of_pytorch(plain_session):
    torch = pytest.importorskip("torch")
    peer = torch.nn.LSTM(3, 5, num_layers=2, proj_size=2, batch_first=True).double()
    lstm = StackedLSTM([5, 5], projection_size=2, dtype=tf.float64)
    x = np.random.RandomState(0).standard_normal([4, 6, 3])
    outputs, state = lstm(tf.constant(x))
    plain_session.run(tf.global_variables_initializer())
    weights = {name: value.detach().numpy() for name, value in peer.named_parameters()}
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
    layers = [layouts.unpack({name: weights[f"{name}_l{k}"] for name in names}, "pytorch") for k in range(2)]
    lstm.set_weights(plain_session, layers)
    expected, (h, c) = peer(torch.tensor(x))
    actual, finals = plain_session.run([outputs, state])
    assert numeric.relative_difference(actual, expected.detach().numpy()) < 1e-12
    for k, final in enumerate(finals):
        numeric.check_same(final._asdict(), {"c": c[k].detach().numpy(), "h": h[k].detach().numpy()}, 1e-12)
