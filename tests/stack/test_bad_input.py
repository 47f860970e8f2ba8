"""Wrong arguments: each message names the argument, the expected value and the actual value."""

import numpy as np
import pytest

from stacked_lstm import StackedLSTM, rnn_cell
from stacked_lstm.compat import tf
from support.processes import programs

SEQUENCE = np.zeros([2, 5, 3], np.float32)


def float_placeholder(*shape):
    return tf.placeholder(tf.float32, shape)


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"hidden_sizes": []}, "`hidden_sizes` to be a non-empty sequence of positive integers, got []"),
        ({"hidden_sizes": [3, 0]}, "got [3, 0]"),
        ({"hidden_sizes": [-1]}, "got [-1]"),
        ({"hidden_sizes": [2.5]}, "got [2.5]"),
        ({"hidden_sizes": [True]}, "got [True]"),
        ({"hidden_sizes": 32}, "got 32"),
        ({"hidden_sizes": "32"}, "got '32'"),
        ({"initial_state": "ones"}, "`initial_state` to be one of learned, projected, zeros, got 'ones'"),
        ({"initial_state": None}, "got None"),
        (
            {"activation": "mish"},
            "one of elu, hard_sigmoid, hard_sigmoid_6, leaky_relu, linear, relu, relu6, selu, sigmoid, softplus, "
            "softsign, swish, tanh or a callable such as tf.nn.elu, got 'mish'",
        ),
        ({"recurrent_activation": 3}, "`recurrent_activation` to be one of"),
        ({"engine": "gpu"}, "`engine` to be one of auto, cudnn, graph, native, got 'gpu'"),
        (
            {"weight_initializer": "uniform"},
            "one of dl, glorot_bengio, glorot_normal, glorot_uniform, he, he_normal, he_uniform, lecun_normal, ",
        ),
        (
            {"weight_initializer": "missing.csv"},
            "`weight_initializer` to be the path of an existing CSV file, got 'missing.csv'",
        ),
        (
            {"weight_initializer": {"layer_1/Wf": "uniform"}},
            "StackedLSTM: expected `weight_initializer['layer_1/Wf']` to be",
        ),
        ({"bias_initializer": 0.0}, "got 0.0"),
        ({"bias_initializer": "one"}, "StackedLSTM: expected `bias_initializer` to be one of "),
        ({"dtype": tf.int32}, "`dtype` to be one of float16, bfloat16, float32, float64, got int32"),
        ({"dtype": "no_dtype"}, "no_dtype"),
        ({"use_bias": 1}, "`use_bias` to be True or False, got 1"),
        ({"forget_bias": "1"}, "`forget_bias` to be a finite number, got '1'"),
        ({"forget_bias": float("nan")}, "got nan"),
        ({"name": ""}, "`name` to be a non-empty string of letters, digits, _, ., - and /, got ''"),
        ({"name": "a b"}, "got 'a b'"),
    ],
)
def test_constructor(options, expected):
    with pytest.raises(ValueError) as error:
        StackedLSTM(**dict({"hidden_sizes": [3]}, **options))
    assert expected in str(error.value)


@pytest.mark.parametrize("options", [{"weight_initializer": {"layer_2/Wf": "dl"}}, {"bias_initializer": {"bf": "tn"}}])
def test_initializer_for_no_variable(options):
    """The error comes before any variable is made, so that a second call raises it again."""
    lstm = StackedLSTM([3], **options)
    for _ in range(2):
        assert_refused(lstm)
    assert tf.global_variables() == []


def assert_refused(lstm):
    with pytest.raises(
        ValueError, match="keys of `(weight|bias)_initializer` to be .*layer_1/.*, got (layer_2/Wf|bf)$"
    ):
        lstm.build(2)


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda: float_placeholder(None, 3), "`inputs` of rank 3, [batch, time, input], got shape (?, 3)"),
        (lambda: float_placeholder(2, 2, 2, 3), "rank 3"),
        (lambda: tf.placeholder(tf.float32), "got shape <unknown>"),
        (lambda: float_placeholder(2, 5, None), "of known width, got shape (2, 5, ?); call inputs.set_shape"),
        (lambda: float_placeholder(2, 5, 0), "at least one column"),
        (lambda: tf.placeholder(tf.int32, [2, 5, 3]), "`inputs` of dtype float32 (use tf.cast), got int32"),
        (lambda: np.zeros([2, 5, 3], np.int64), "got int64"),
        (lambda: np.zeros([2, 5, 3]), "got float64"),
        (lambda: "abc", "`inputs` to be a tensor of dtype float32"),
    ],
)
def test_inputs(make, expected):
    with pytest.raises(ValueError) as error:
        StackedLSTM([4])(make())
    assert expected in str(error.value).replace("None)", "?)").replace("(None,", "(?,")


def test_rank_names_the_time_major_layout():
    with pytest.raises(ValueError, match=r"\[time, batch, input\]"):
        StackedLSTM([4])(float_placeholder(2, 3), time_major=True)


def test_width_changes_between_calls():
    lstm = StackedLSTM([4], name="encoder")
    lstm(SEQUENCE)
    with pytest.raises(ValueError, match="encoder: expected inputs of width 3, as in the first call, got width 2"):
        lstm(SEQUENCE[:, :, :2])


def test_two_stacks_of_one_name():
    StackedLSTM([4]).build(3)
    expected = "expected a `name` that no other stack in this variable scope has, got 'stacked_lstm'.* give the second"
    with pytest.raises(ValueError, match=expected):
        StackedLSTM([4]).build(3)


def test_two_stacks_of_the_default_name_do_not_share_by_accident():
    with tf.variable_scope("model", reuse=tf.AUTO_REUSE):
        StackedLSTM([4]).build(3)
        for sizes in ([4], [5]):
            with pytest.raises(
                ValueError, match="would share their weights.*AUTO_REUSE; give the second stack another"
            ):
                StackedLSTM(sizes).build(3)
        StackedLSTM([5], name="second").build(3)
    with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
        StackedLSTM([4]).build(3)
        with pytest.raises(ValueError, match="would share"):
            StackedLSTM([4]).build(3)
    assert len(tf.trainable_variables()) == 3 * 8


@pytest.mark.parametrize(
    "attribute, message",
    [
        ("layers", "layers"),
        ("variables", "variables"),
        ("weights", "variables"),
        ("trainable_variables", "variables"),
        ("variables_by_layer", "variables_by_layer"),
    ],
)
def test_variables_before_the_first_call(attribute, message):
    with pytest.raises(ValueError, match=f"stacked_lstm.{message}: the variables are made at the first call"):
        getattr(StackedLSTM([4]), attribute)


def test_parameters_before_the_first_call():
    with pytest.raises(ValueError, match="encoder.count_params: the variables are made at the first call"):
        StackedLSTM([4], name="encoder").count_params()


def pair(batch=2, c=4, h=4, dtype=np.float32):
    return np.zeros([batch, c], dtype), np.zeros([batch, h], dtype)


@pytest.mark.parametrize(
    "state, expected",
    [
        ([pair()], "a list of 2 pairs (c, h), one per layer"),
        (pair(), "pairs"),
        ([pair(), np.zeros([2, 4], np.float32)], "pairs"),
        (np.zeros([2, 2, 2, 4], np.float32), "pairs"),
        ([pair(), pair(h=5)], "`initial_state[1].h` of shape [2, 4], got shape (2, 5)"),
        ([pair(batch=3), pair()], "`initial_state[0].c` of shape [2, 4], got shape (3, 4)"),
        ([pair(dtype=np.float64), pair()], "`initial_state[0].c` of dtype float32 (use tf.cast), got float64"),
        ([(np.zeros([4], np.float32),) * 2, pair()], "got shape (4,)"),
    ],
)
def test_initial_state(state, expected):
    with pytest.raises(ValueError) as error:
        StackedLSTM([4, 4])(SEQUENCE, initial_state=state)
    assert expected in str(error.value)


def test_sizes_of_numpy_and_of_tensorflow_1(session):
    start = rnn_cell.LSTMStateTuple(*[tf.placeholder_with_default(np.ones([2, 4], np.float32), None) for _ in range(2)])
    outputs, _ = rnn_cell.dynamic_rnn(rnn_cell.LSTMCell(np.int64(4)), SEQUENCE, initial_state=start)
    states = StackedLSTM([3]).initial_states(tf.zeros([5, 2]).shape[0])
    session.run(tf.global_variables_initializer())
    assert session.run(outputs).shape == (2, 5, 4) and states[0].c.shape.as_list() == [5, 3]
    for batch in (0, -1, 2.5, "a"):
        with pytest.raises(
            ValueError, match="initial_states: expected `batch_size` to be a scalar tensor or a positive"
        ):
            StackedLSTM([3]).initial_states(batch)


def test_initial_state_of_another_batch_at_run_time(session):
    state = float_placeholder(None, 4)
    x = float_placeholder(None, 5, 3)
    outputs, _ = StackedLSTM([4])(x, initial_state=[(state, state)])
    session.run(tf.global_variables_initializer())
    assert session.run(outputs, {x: SEQUENCE, state: np.zeros([2, 4])}).shape == (2, 5, 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"initial_state\[0\].[ch]"):
        session.run(outputs, {x: SEQUENCE, state: np.zeros([1, 4])})


@pytest.mark.parametrize("shape", [(4,), (1, 4), (2, 2, 4), (2, 5), ()])
def test_initial_state_of_another_rank_at_run_time(shape, general_engine, session):
    """None of them is broadcast. TensorFlow's optimizer may remove the assertion. The engine `native` checks, too."""
    c = tf.placeholder(tf.float32)
    outputs, _ = StackedLSTM([4], engine=general_engine)(SEQUENCE, initial_state=[(c, np.zeros([2, 4], np.float32))])
    session.run(tf.global_variables_initializer())
    assert session.run(outputs, {c: np.zeros([2, 4])}).shape == (2, 5, 4)
    message = r"expected `(initial_state\[0\].)?c` of shape\]? \[2[ ,]4\],? \[?got"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        session.run(outputs, {c: np.zeros(shape)})


@pytest.mark.parametrize(
    "lengths, expected",
    [
        ([[1, 2]], "an int32 or int64 vector with one length per sequence (2), got shape (1, 2)"),
        (3, "got shape ()"),
        ([1, 2, 3], "got shape (3,)"),
        ([1.0, 2.0], "got dtype float32"),
        (np.array([1, 2], np.int16), "got dtype int16"),
        (["a", "b"], "got dtype string"),
        ([1, 6], "`sequence_length` between 0 and 5, got 6 for sequence 1"),
        ([-1, 5], "`sequence_length` between 0 and 5, got -1 for sequence 0"),
    ],
)
def test_lengths(lengths, expected):
    with pytest.raises(ValueError) as error:
        StackedLSTM([4])(SEQUENCE, sequence_length=lengths)
    assert expected in str(error.value)


@pytest.mark.parametrize(
    "lengths, expected",
    [
        ([1, 6], r"of at most\] \[5\] \[time steps, got\] \[6\]"),
        ([-1, 5], r"of at least 0, got\] \[-1\]"),
        ([1], r"one length for each of\] \[2\] \[sequences, got\] \[1\]"),
    ],
)
@pytest.mark.parametrize("dtype", [tf.int32, tf.int64])
def test_lengths_at_run_time(lengths, expected, dtype, session):
    fed = tf.placeholder(dtype, [None])
    x = float_placeholder(None, None, 3)
    outputs, state = StackedLSTM([4])(x, fed)
    session.run(tf.global_variables_initializer())
    for fetch in (outputs, state[0].c):
        assert session.run(fetch, {fed: [0, 5], x: SEQUENCE}).shape[0] == 2
        with pytest.raises(tf.errors.InvalidArgumentError, match=expected):
            session.run(fetch, {fed: lengths, x: SEQUENCE})


def test_lengths_of_another_rank_at_run_time(session):
    fed = tf.placeholder(tf.int32)
    outputs, _ = StackedLSTM([4])(SEQUENCE, fed)
    session.run(tf.global_variables_initializer())
    with pytest.raises(tf.errors.InvalidArgumentError, match="to be a vector, got shape"):
        session.run(outputs, {fed: [[1], [2]]})


def test_time_major_is_a_flag():
    with pytest.raises(ValueError, match="`time_major` to be True or False, got 'no'"):
        StackedLSTM([4])(SEQUENCE, time_major="no")


def test_length_that_an_int32_would_wrap(session):
    fed = tf.placeholder(tf.int64, [None])
    outputs, _ = StackedLSTM([4])(SEQUENCE, fed)
    session.run(tf.global_variables_initializer())
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"of at most\] \[5\] \[time steps, got\] \[4294967297\]"):
        session.run(outputs, {fed: [2**32 + 1, 5]})


def test_eager_mode():
    """In its own process, because the other tests have disabled eager execution."""
    program = (
        "import numpy, stacked_lstm, tensorflow.compat.v1 as tf; tf.enable_eager_execution()\n"
        "stacked_lstm.StackedLSTM([2])(numpy.zeros([1, 1, 1], 'float32'))"
    )
    last = programs.run(["-c", program]).stderr.decode().strip().splitlines()[-1]
    assert last.startswith("RuntimeError: stacked_lstm: builds a TF1 graph and cannot run eagerly")
    assert "disable_eager_execution" in last
