"""The messages of BidirectionalLSTM for wrong arguments, calls and weights."""

import pytest

from stacked_lstm import BidirectionalLSTM
from stacked_lstm.compat import tf

BAD_ARGUMENTS = {
    "hidden_sizes": (dict(hidden_sizes=[]), "expected `hidden_sizes` to be a non-empty sequence of positive integers"),
    "merge": (dict(merge="ave"), "expected `merge` to be one of average, concat, mul, sum or None, got 'ave'"),
    "stacking": (dict(stacking="both"), "expected `stacking` to be one of layers, stacks, got 'both'"),
    "name": (dict(name=""), "expected `name` to be a non-empty string"),
    "dropout": (dict(dropout=1.0), "expected `dropout` to be a rate from 0 to below 1, got 1.0"),
    "output_dropout": (dict(output_dropout=-1), "expected `output_dropout` to be a rate"),
    "seed": (dict(seed="x"), "expected `seed` to be None, an integer, or a scalar tensor of integers, got 'x'"),
    "residual": (
        dict(merge=None, residual=True),
        "expected no `residual` connection around the last layer, whose outputs merge=None does not merge, got True",
    ),
    "engine": (dict(engine="gpu"), "expected `engine` to be one of "),
    "dtype": (dict(dtype=tf.int32), "expected `dtype` to be one of "),
    "initial_state": (dict(initial_state="random"), "expected `initial_state` to be one of learned, projected, zeros"),
    "activation": (dict(activation="sin"), "expected `activation` to be"),
    "initializer": (
        dict(weight_initializer={"layer_1/Wf": "zeros"}),
        "expected the keys of `weight_initializer` to be names of variables, such as forward/layer_2/Wf, got 'layer_1/",
    ),
    "initializer of a layer": (
        dict(bias_initializer={"forward/layer_3/bf": "zeros"}),
        "expected the keys of `bias_initializer` to be names of variables, such as forward/layer_2/Wf, got 'forward/la",
    ),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments(name):
    arguments, message = BAD_ARGUMENTS[name]
    with pytest.raises(ValueError) as error:
        BidirectionalLSTM(**dict(dict(hidden_sizes=[4, 4]), **arguments))
    assert str(error.value).startswith("BidirectionalLSTM: " + message), error.value


def test_unknown_argument():
    with pytest.raises(TypeError, match="unexpected keyword argument 'direction'"):
        BidirectionalLSTM([4], direction="both")


def pair(width):
    return [(tf.zeros([2, width]), tf.zeros([2, width]))] * 2


BAD_CALLS = {
    "inputs": (dict(inputs=tf.float32), r"two: expected `inputs` to be a tensor of dtype float32"),
    "width": (dict(inputs=[[[1.0]]]), "two: expected inputs of width 3, as in the first call, got width 1"),
    "lengths": (dict(sequence_length=[6, 1]), "two: expected `sequence_length` between 0 and 5, got 6"),
    "training": (dict(training=1), "two: expected `training` to be True, False, or"),
    "time_major": (dict(time_major=1), "two: expected `time_major` to be True or False, got 1"),
    "states": (dict(initial_state=[1]), r"two: expected `initial_state` to be a pair \(forward, backward\) of lists"),
    "side": (dict(initial_state=[None, 1]), "two: expected `initial_state.backward` to be a list of 2 pairs"),
    "state": (
        lambda: dict(initial_state=[pair(4), pair(5)]),
        r"two: expected `initial_state.backward\[0\].c` of shape \[2, 4\], got shape \(2, 5\)",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls(name):
    arguments, message = BAD_CALLS[name]
    lstm = BidirectionalLSTM([4, 4], name="two")
    lstm.build(3)
    arguments = arguments() if callable(arguments) else arguments
    with pytest.raises(ValueError, match=message):
        lstm(**dict({"inputs": tf.zeros([2, 5, 3])}, **arguments))


def broken_initializer(*_, **__):
    raise ValueError("layer_1/Wf is not mine")


def test_errors_of_build(session):
    with pytest.raises(ValueError, match="^bidirectional_lstm.layers: the variables are made at the first call; call"):
        BidirectionalLSTM([4]).layers  # noqa: B018
    with pytest.raises(ValueError, match="layer 2, which has a `residual` connection, .* its input, 6, got .* 8$"):
        BidirectionalLSTM([3, 4], residual=True).build(6)
    with pytest.raises(ValueError, match="such as forward/layer_2/Wc and forward/layer_2/Wo, got forward/layer_2/Wz"):
        BidirectionalLSTM([3, 4], weight_initializer={"forward/layer_2/Wz": "zeros"}, name="unknown").build(6)
    with pytest.raises(ValueError, match=r"expected `weight_initializer\['backward/layer_2/Wf'\]` to be one of"):
        BidirectionalLSTM([3, 4], weight_initializer={"backward/layer_2/Wf": "none"}, name="bad")
    with pytest.raises(ValueError, match="^layer_1/Wf is not mine$"):
        BidirectionalLSTM([3, 4], weight_initializer=broken_initializer, name="broken").build(6)
    BidirectionalLSTM([3, 4]).build(6)
    with pytest.raises(ValueError, match="^BidirectionalLSTM: expected a `name` that no other stack .* layer_1/Wf alr"):
        BidirectionalLSTM([3, 4]).build(6)
    with pytest.raises(ValueError, match="^BidirectionalLSTM.build: expected `input_size` to be a positive integer"):
        BidirectionalLSTM([3, 4], name="size").build(0)
    lstm = BidirectionalLSTM([3], name="weights")
    lstm.build(2)
    with pytest.raises(ValueError, match=r"^weights.set_weights: expected `forward` to be None or a pair \(layers, "):
        lstm.set_weights(session, 3)
    with tf.variable_scope("shared", reuse=tf.AUTO_REUSE):
        BidirectionalLSTM([3]).build(2)
        with pytest.raises(ValueError, match="^BidirectionalLSTM: two stacks with the default name"):
            BidirectionalLSTM([3]).build(2)
