"""Wrong options: each message names the function, the argument, the expected value and the actual value."""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM
from stacked_lstm.compat import tf

RATES = ["input_dropout", "dropout", "output_dropout", "recurrent_dropout", "zoneout_c", "zoneout_h"]
CASES = [
    *[({name: -0.1}, f"`{name}` to be a rate from 0 to") for name in RATES],
    *[({name: "0.1"}, ", a number or a scalar tensor of floats, got '0.1'") for name in RATES],
    *[({name: np.nan}, f"`{name}` to be a rate from 0 to") for name in RATES],
    *[({name: 1.0}, f"`{name}` to be a rate from 0 to below 1, got 1.0") for name in RATES[:4]],
    *[({name: 1.5}, f"`{name}` to be a rate from 0 to 1, got 1.5") for name in RATES[4:]],
    ({"dropout": [0.1, 0.2]}, "`dropout` to be one value, or a list of 1 value, one for each place between two layers"),
    (
        {"recurrent_dropout": [0.1]},
        "to be one value, or a list of 2 values, one per layer, got [0.1]",
    ),
    (
        {"input_dropout": [0.1, 0.1]},
        ", a number or a scalar tensor of floats, got [0.1, 0.1]",
    ),
    ({"recurrent_dropout_kind": "gal"}, "`recurrent_dropout_kind` to be one of candidate, variational, got 'gal'"),
    ({"layer_norm": "keras"}, "`layer_norm` to be True, False or 'tensorflow', got 'keras'"),
    ({"layer_norm": 1}, "`layer_norm` to be True, False or 'tensorflow', got 1"),
    ({"residual": 1}, "`residual` to be True, False, a list of them, or 'after layer k' with a layer k that has one"),
    ({"residual": "after layer 2"}, "with a layer k that has one above, got 'after layer 2'"),
    ({"residual": "after layer 0"}, "got 'after layer 0'"),
    ({"residual": [True, 1]}, "`residual` to be True or False, got 1"),
    ({"projection_size": 0}, "`projection_size` to be None or a positive integer, got 0"),
    ({"projection_size": 2.5}, "`projection_size` to be None or a positive integer, got 2.5"),
    ({"peepholes": 1}, "`peepholes` to be True or False, got 1"),
    ({"cell_clip": -1}, "`cell_clip` to be None or a positive, finite number, got -1"),
    ({"cell_clip": "1"}, "`cell_clip` to be None or a positive, finite number, got '1'"),
    (
        {"projection_clip": 0.0, "projection_size": 2},
        " to be None or a positive, finite number, got 0.0",
    ),
    ({"projection_clip": 1.0}, "a `projection_size` for layer 1, because it has a `projection_clip`, got None"),
    ({"projection_clip": 1.0, "projection_size": [2, None]}, "a `projection_size` for layer 2, because it has a"),
    ({"seed": 1.5}, "`seed` to be None, an integer, or a scalar tensor of integers, got 1.5"),
    ({"seed": True}, "`seed` to be None, an integer, or a scalar tensor of integers, got True"),
]


@pytest.mark.parametrize("options, expected", CASES)
def test_constructor(options, expected):
    with pytest.raises(ValueError) as error:
        StackedLSTM([3, 3], **options)
    assert str(error.value).startswith("StackedLSTM: expected ") and expected in str(error.value)


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda: tf.constant([0.1]), "a scalar tensor of floats, got a tensor of dtype float32 and shape (1,)"),
        (lambda: tf.constant(1), "a number or a scalar tensor of floats, got a tensor of dtype int32 and shape ()"),
    ],
)
def test_rates_that_are_other_tensors(make, expected):
    with pytest.raises(ValueError) as error:
        StackedLSTM([3], zoneout_h=make())
    assert "`zoneout_h` to be a rate from 0 to 1" in str(error.value) and expected in str(error.value)


@pytest.mark.parametrize(
    "argument, wrong", [(name, wrong) for name in RATES for wrong in (-0.5, 1.0 if "zone" not in name else 1.5, np.nan)]
)
def test_rates_that_are_fed(argument, wrong, plain_session):
    rate = tf.placeholder(tf.float32, [])
    outputs, _ = StackedLSTM([3, 3], name="encoder", **{argument: rate})(tf.ones([1, 2, 3]), training=True)
    plain_session.run(tf.global_variables_initializer())
    plain_session.run(outputs, {rate: 0.5})
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"encoder: expected `{argument}` to be a rate from 0 to"):
        plain_session.run(outputs, {rate: wrong})


@pytest.mark.parametrize("argument", RATES)
def test_rates_that_are_fed_as_vectors(argument, plain_session):
    rate = tf.placeholder(tf.float32)
    outputs, _ = StackedLSTM([3, 3], name="encoder", **{argument: rate})(tf.ones([1, 2, 3]), training=True)
    plain_session.run(tf.global_variables_initializer())
    assert plain_session.run(outputs, {rate: 0.5}).shape == (1, 2, 3)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=f"encoder: expected `{argument}` to be a scalar, got shape"
    ):
        plain_session.run(outputs, {rate: [0.5, 0.5]})


def test_values_per_layer_in_an_array():
    lstm = StackedLSTM([3, 3], zoneout_c=np.array([0.1, 0.2]), projection_size=np.array([2, 3]), dropout=np.array(0.3))
    assert [size.h for size in lstm.state_sizes] == [2, 3]
    with pytest.raises(ValueError, match=r"one value, or a list of 2 values, one per layer, got \[0.1, 0.2, 0.3\]"):
        StackedLSTM([3, 3], zoneout_c=np.array([0.1, 0.2, 0.3]))


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda: 1, "got 1"),
        (lambda: "yes", "got 'yes'"),
        (lambda: np.array([True]), "got array([ True])"),
        (lambda: tf.constant(1), "got a tensor of dtype int32 and shape ()"),
        (lambda: tf.placeholder(tf.bool, [None]), "got a tensor of dtype bool and shape (?,)"),
    ],
)
def test_training(make, expected):
    with pytest.raises(ValueError) as error:
        StackedLSTM([3], dropout=0.5)(tf.ones([1, 1, 2]), training=make())
    message = str(error.value).replace("(None,)", "(?,)")
    assert message == f"stacked_lstm: expected `training` to be True, False, or a scalar tensor of bools, {expected}"


def test_training_of_another_shape_that_is_fed(plain_session):
    training = tf.placeholder(tf.bool)
    outputs, _ = StackedLSTM([3], output_dropout=0.5)(tf.ones([1, 1, 2]), training=training)
    plain_session.run(tf.global_variables_initializer())
    assert plain_session.run(outputs, {training: True}).shape == (1, 1, 3)
    message = "stacked_lstm: expected `training` to be True, False, or a scalar tensor of bools, got shape.*1"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        plain_session.run(outputs, {training: [True]})


@pytest.mark.parametrize("value", [np.bool_(True), lambda: tf.placeholder(tf.bool, [])])
def test_training_may_be(value):
    StackedLSTM([3], output_dropout=0.5)(tf.ones([1, 1, 2]), training=value() if callable(value) else value)


def test_bools_of_numpy():
    """They are bools to every argument that is True or False."""
    arguments = ("peepholes", "residual", "layer_norm", "use_bias")
    lstm = StackedLSTM([2], **dict.fromkeys(arguments, np.bool_(True)))
    lstm(tf.ones([1, 1, 2], tf.float32), time_major=np.bool_(True))
    plain = StackedLSTM([2], name="plain", **dict.fromkeys(arguments, True))
    plain(tf.ones([1, 1, 2], tf.float32), time_major=True)
    sizes = [[v.shape.as_list() for v in stack.variables] for stack in (lstm, plain)]
    assert sizes[0] == sizes[1] and len(sizes[0]) > 12


@pytest.mark.parametrize(
    "options, expected",
    [
        (
            {"residual": True},
            "layer 1, which has a `residual` connection, to be as wide as its input, 2, got a width of 3",
        ),
        ({"residual": [False, True, False]}, "layer 2, which has a `residual` connection"),
        ({"residual": "after layer 2", "projection_size": 2}, None),
        ({"residual": "after layer 2"}, "layer 3, which has a `residual` connection, to be as wide as its input, 4"),
    ],
)
def test_residual_over_unequal_widths(options, expected):
    """The error comes before any variable is made."""
    lstm = StackedLSTM([3, 4, 3], **options)
    if expected is None:
        lstm.build(2)
        return
    with pytest.raises(ValueError) as error:
        lstm.build(2)
    assert expected in str(error.value) and tf.global_variables() == []


def test_initial_state_of_a_projection():
    zeros = tf.zeros([1, 3])
    with pytest.raises(ValueError, match=r"`initial_state\[0\].h` of shape \[1, 2\], got shape \(1, 3\)"):
        StackedLSTM([3], projection_size=2)(tf.ones([1, 1, 2]), initial_state=[(zeros, zeros)])


@pytest.mark.parametrize(
    "value, expected",
    [
        ("abc", "a rate from 0 to below 1, a number or a scalar tensor of floats, got 'abc'"),
        (5.0, "a rate from 0 to below 1, got 5.0"),
    ],
)
def test_dropout_of_a_single_layer_is_checked(value, expected):
    with pytest.raises(ValueError, match=f"`dropout` to be {expected}"):
        StackedLSTM([2], dropout=value)
