"""`export.npz`: the layers of a graph for the runtime, against NumPy in float64; and what it refuses by name."""

import os
import re

import numpy as np
import pytest

import stacked_lstm
from stacked_lstm import export, numpy_lstm, rnn_cell, runtime
from stacked_lstm.compat import tf
from support.engines.native_ops import NEEDS_NATIVE
from support.engines.runtime import NEEDS_KERNELS
from support.networks import exports
from support.references.numeric import relative_difference

pytestmark = NEEDS_KERNELS

EXAMPLE = {"x": np.random.RandomState(0).standard_normal([3, 5, 4]), "lengths": np.array([5, 0, 2], np.int32)}


@pytest.fixture
def inputs():
    return {"x": tf.placeholder(tf.float32, [None, None, 4]), "lengths": tf.placeholder(tf.int32, [None])}


@pytest.mark.parametrize(
    "engine, start",
    [("graph", "zeros"), ("graph", "learned"), pytest.param("native", "projected", marks=NEEDS_NATIVE)],
)
def test_a_whole_network_without_tensorflow(engine, start, inputs, plain_session, tmp_path):
    """The file has the layers with their initial state, and the dense layer, with which NumPy computes the scores."""
    lstm = stacked_lstm.StackedLSTM([3, 2], initial_state=start, engine=engine)
    _, state = lstm(*inputs.values())
    scores = tf.matmul(state[-1].h, tf.get_variable("dense", [2, 6]))
    exports.set_random(plain_session)
    path = tmp_path / "model.npz"
    differences = export.write(plain_session, inputs, {"scores": scores}, path, EXAMPLE)
    assert sorted(differences) == ["outputs", "state"] and max(differences.values()) < 1e-5
    layers, starts = lstm.get_weights(plain_session)
    x, lengths = EXAMPLE["x"].swapaxes(0, 1), EXAMPLE["lengths"]
    first = np.where(lengths[:, None] > 0, x[0], 0)
    states = {
        "zeros": lambda: None,
        "learned": lambda: [[np.tile(layer[field], (3, 1)) for field in "ch"] for layer in starts],
        "projected": lambda: numpy_lstm.projected_forward(starts, first)[0],
    }[start]()
    expected, _, _ = numpy_lstm.forward(layers, x, states, lengths)
    predictor = runtime.load(path)
    outputs, state = predictor(EXAMPLE["x"], lengths)
    assert relative_difference(outputs, expected.swapaxes(0, 1)) < 1e-5
    with np.load(str(path)) as file:
        assert [name for name in file if name.startswith("other")] == ["other_arrays/dense"]
        numbers = state[-1].h @ file["other_arrays/dense"]
    feed = {inputs[name]: EXAMPLE[name] for name in inputs}
    assert relative_difference(numbers, plain_session.run(scores, feed)) < 1e-5


def test_states_that_the_program_passes_and_cells_of_old_programs(inputs, plain_session, tmp_path):
    """The forget bias of a cell, which is in no variable, is in the file."""
    pair = [tf.placeholder(tf.float32, [None, 3], name) for name in "ch"]
    cell = rnn_cell.BasicLSTMCell(3, forget_bias=0.7)
    outputs, _ = rnn_cell.dynamic_rnn(cell, inputs["x"], inputs["lengths"], rnn_cell.LSTMStateTuple(*pair))
    exports.set_random(plain_session)
    states = np.random.RandomState(1).standard_normal([2, 3, 3])
    example = dict(EXAMPLE, c=states[0], h=states[1])
    all_inputs = dict(inputs, c=pair[0], h=pair[1])
    assert export.npz(plain_session, all_inputs, {"y": outputs}, tmp_path / "model.npz", example)["outputs"] < 1e-5
    expected = plain_session.run(outputs, {all_inputs[name]: example[name] for name in example})
    predictor = runtime.load(tmp_path / "model.npz")
    numbers, _ = predictor(EXAMPLE["x"], EXAMPLE["lengths"], [tuple(states)])
    assert relative_difference(numbers, expected) < 1e-5


OPTIONS = {
    "a residual sum, stacked_lstm": {"residual": "after layer 1"},
    "zoneout of h in layer 1": {"zoneout_h": 0.1},
    "layer normalization in layer 2": {"layer_norm": [False, True]},
    "a projection in layer 1": {"projection_size": 4},
    "peepholes in layer 1": {"peepholes": True},
    "a clip of the cell state in layer 1": {"cell_clip": 1.0},
    "other activations than tanh, sigmoid": {"activation": tf.nn.elu},
    "weights of another dtype than float32 and float64 in layer 1": {"compute_dtype": tf.float16},
}
NETWORKS = {
    # The runtime has one argument for all layers. An example in which no sequence ends early would not show that.
    "layers with the same sequence lengths": lambda x, lengths: _stack("two")(_stack("one")(x, lengths)[0])[0],
    "a layer that reads Relu:0": lambda x, lengths: _stack("two")(tf.nn.relu(_stack("one")(x)[0]), lengths)[0],
    "a layer that reads bidirectional_lstm/": lambda x, lengths: stacked_lstm.BidirectionalLSTM([4], engine="graph")(
        x, lengths
    )[0],
    "layers that read in both directions": lambda x, lengths: stacked_lstm.BidirectionalLSTM([4])(x, lengths)[0],
    "got a backward stack": lambda x, lengths: rnn_cell.TimeReversedFusedRNN(rnn_cell.LSTMBlockFusedCell(4))(
        x, dtype=tf.float32, sequence_length=lengths
    )[0],
    'an initial state that is zero, "learned"': lambda x, lengths: _stack("fixed")(
        x, lengths, [(tf.ones([3, 4]),) * 2]
    )[0],
    "got recurrent dropout in layer 1": lambda x, lengths: _stack("drop", recurrent_dropout=0.5)(
        x, lengths, training=True
    )[0],
    "`outputs` that need LSTM layers, got none": lambda x, lengths: rnn_cell.dynamic_rnn(
        rnn_cell.GRUCell(3), x, lengths, dtype=tf.float32
    )[0],
}


@pytest.mark.parametrize("steps", [0, 2])
def test_an_example_of_known_sizes(steps, plain_session, tmp_path):
    """Without an example, the input is ones; no steps are a size, too. Two stacks may have equal constant lengths."""
    x = tf.placeholder(tf.float32, [2, steps, 4])
    lengths = [steps, 0]
    outputs, _ = _stack("two")(_stack("one")(x, lengths)[0], lengths)
    plain_session.run(tf.global_variables_initializer())
    export.npz(plain_session, {"x": x}, {"y": outputs}, tmp_path / "model.npz")
    ones = np.ones([2, steps, 4])
    actual, _ = runtime.load(tmp_path / "model.npz")(ones, np.array(lengths))
    assert relative_difference(actual, plain_session.run(outputs, {x: ones})) < 1e-5


def _stack(name, **options):
    return stacked_lstm.StackedLSTM([4], name=name, engine="graph", **options)


@pytest.mark.parametrize("message", [*OPTIONS, *NETWORKS])
def test_what_the_runtime_does_not_compute(message, inputs, plain_session, tmp_path):
    x, lengths = inputs.values()
    if message in OPTIONS:
        outputs, _ = stacked_lstm.StackedLSTM([4, 4], engine="graph", **OPTIONS[message])(x, lengths)
    else:
        outputs = NETWORKS[message](x, lengths)
    plain_session.run(tf.global_variables_initializer())
    with pytest.raises(ValueError, match="^export.npz: expected .*" + re.escape(message)) as error:
        export.npz(plain_session, inputs, {"y": outputs}, tmp_path / "model.npz", EXAMPLE)
    assert "\n" not in str(error.value) and os.listdir(str(tmp_path)) == []


@NEEDS_NATIVE
def test_a_residual_connection_in_the_native_op(inputs, plain_session, tmp_path):
    outputs, _ = stacked_lstm.StackedLSTM([4, 4], engine="native", residual="after layer 1")(*inputs.values())
    plain_session.run(tf.global_variables_initializer())
    with pytest.raises(ValueError, match="got a residual connection in layer 2"):
        export.npz(plain_session, inputs, {"y": outputs}, tmp_path / "model.npz", EXAMPLE)
